"""Claim: a published figure with its quantity, unit, scope and source."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from ..core.errors import ClaimError, SpecError, did_you_mean
from ..core.spec import AsTuple, Spec, invariant
from ..core.units import Num, Unit
from ..core.values import check_text
from .scope import Content, Scope

Bound = Literal["", "at least", "at most"]
"""Whether a figure is a point, a lower bound ("more than 500 million") or an upper bound."""
_PREFIXES = {
    "": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12,
    "thousand ": 1e3, "million ": 1e6, "billion ": 1e9, "trillion ": 1e12,
}  # fmt: skip
_BASES = {
    "USD": ("USD", 1.0), "$": ("USD", 1.0), "USD/year": ("USD/year", 1.0), "USD/month": ("USD/year", 12.0),
    "GPU-h": ("GPU-h", 1.0), "GPU-day": ("GPU-h", 24.0), "GPU-week": ("GPU-h", 168.0), "GPU-year": ("GPU-h", 8766.0),
    "GPU": ("GPU", 1.0), "expert": ("expert", 1.0), "layer": ("layer", 1.0), "token": ("token", 1.0),
    "parameter": ("parameter", 1.0), "FLOP": ("FLOP", 1.0), "B/token": ("B/token", 1.0), "token/position": ("token/position", 1.0),
    "kWh": ("kWh", 1.0), "MWh": ("kWh", 1e3), "GWh": ("kWh", 1e6), "TWh": ("kWh", 1e9), "kgCO2e": ("kgCO2e", 1.0), "tCO2e": ("kgCO2e", 1e3),
    "day": ("day", 1.0), "h": ("day", 1 / 24), "week": ("day", 7.0), "": ("1", 1.0), "1": ("1", 1.0), "%": ("1", 0.01),
    "times": ("times", 1.0), "x": ("times", 1.0), "×": ("times", 1.0), "fold": ("times", 1.0),
}  # fmt: skip
UNIT_SPELLINGS = {
    "percent": "%", "dollars": "USD", "GPU-hours": "GPU-h", "GPU hours": "GPU-h", "GPU-days": "GPU-day", "GPU-weeks": "GPU-week",
    "GPU-years": "GPU-year", "GPUs": "GPU", "experts": "expert", "layers": "layer", "tokens": "token", "parameters": "parameter",
    "params": "parameter", "FLOPs": "FLOP", "days": "day", "hours": "h", "weeks": "week",
    "kilowatt-hours": "kWh", "megawatt-hours": "MWh", "gigawatt-hours": "GWh", "megawatt hours": "MWh", "gigawatt hours": "GWh",
}  # fmt: skip
"""Spelling of a unit in text → its symbol."""
_BASES |= {spelt: _BASES[unit] for spelt, unit in UNIT_SPELLINGS.items()}
CURRENCIES = ("CNY", "RMB", "EUR", "GBP", "JPY", "KRW", "INR", "CHF", "CAD", "AUD", "AED")
"""Accepted currencies: ISO codes, and RMB. Amounts are converted to dollars at the rate of the claim's date."""
DIMENSIONS = {
    "cost": "USD", "busy_gpu_hours": "GPU-h", "gpu_hours": "GPU-h", "wall_days": "day", "mfu": "1", "flops": "FLOP", "tokens": "token",
    "gpus": "GPU", "params": "parameter", "active_params": "parameter", "layers": "layer", "experts": "expert", "mtp_depth": "token",
    "tokens_per_position": "token/position", "kv_bytes_per_token": "B/token", "energy": "kWh", "carbon": "kgCO2e",
    "fleet.gpus": "GPU", "fleet.capex": "USD", "fleet.operating": "USD", "fleet.operating_per_year": "USD/year", "investment": "USD",
    "pay": "USD/year",
}  # fmt: skip
"""Quantity → its base unit. ``fleet.operating`` covers the fleet's life, ``fleet.operating_per_year`` one year."""
TIMES = "times"
"""Unit of a claim that compares two subjects."""


class Terms(Spec):
    """Conditions that the source attaches to a figure; a quotation may drop or change them.

    Args:
        gpus: number of accelerators that the figure is for [GPU].
        years: time that the figure covers [year].
        statistic: what the figure describes: "mean", "maximum", or "some" of a group.
    """

    gpus: Annotated[Num, Unit("GPU", "accelerators that the figure is for")] | None = None
    years: Annotated[Num, Unit("year", "time that the figure covers")] | None = None
    statistic: str = ""


class Primary(Spec):
    """What the primary source says."""

    statement: str
    value: Annotated[Num, Unit("", "as the primary source gives it")] | None = None
    low: Annotated[Num, Unit("", "as the primary source gives it")] | None = None
    high: Annotated[Num, Unit("", "as the primary source gives it")] | None = None
    unit: str = ""
    terms: Terms | None = None


class Claim(Spec):
    """A published figure about a run, a model or a lab.

    Args:
        name: its name in answers and errors; may be empty.
        quantity: the quantity: ``cost``, ``gpu_hours``, ``mfu``, ``tokens``, ``gpus``, ``experts`` …; empty if the claim has no figure.
        value: the published figure [``unit``].
        low, high: ends of a published range, instead of a value [``unit``].
        unit: unit of the figure, optionally with a prefix k, M, B or T; percent and ISO currencies are accepted.
        bound: ``"at least"`` or ``"at most"`` if the figure is a lower or an upper bound.
        about: whether the source calls the figure approximate; this does not change any verdict.
        scope: what the figure covers: a :class:`Scope`, or words that :func:`trainsim.read_scope` understands.
        told_as: the words around the figure; by default those of ``scope``.
        original: the same words in the language of the source.
        meant: the intended contents according to a source, if the words are ambiguous.
        source, date: who published the figure and where, and on which day (``"2024-12-26"``).
        subject: the run, model or lab that the claim is about.
        versus: another subject to compare with. A value in ``"times"`` is the other subject's quantity divided by this subject's:
            "18 times cheaper" is 18.
        versus_value: the figure of the other subject [``unit``].
        statement: the claim as a sentence.
        leaves_out: what the figure does not include, in words.
        terms: conditions that the source attaches to the figure.
        primary: what the primary source says.

    Raises:
        SpecError: ``versus_value`` without ``versus``, a value or bound together with a range, or a range with ``low`` above ``high``.
        ClaimError: from :meth:`in_base`: the unit does not have the dimension of the quantity.

    >>> Claim("cost", 6, unit="million USD", scope="the final run", source="an article").in_base()
    6000000.0
    >>> Claim("cost", low=2, high=5, unit="MUSD").ends()
    (2000000.0, 5000000.0)
    """

    positional: ClassVar[tuple[str, ...]] = ("quantity", "value")
    name: str = ""
    quantity: str = ""
    value: Annotated[Num, Unit("", "as published", ge=0)] | None = None
    low: Annotated[Num, Unit("", "lower end, as published", ge=0)] | None = None
    high: Annotated[Num, Unit("", "upper end, as published", ge=0)] | None = None
    unit: str = ""
    bound: Bound = ""
    about: bool = False
    scope: str | Scope = ""
    told_as: str = ""
    original: str = ""
    meant: Annotated[tuple[Content, ...], AsTuple] = ()
    source: str = ""
    subject: str = ""
    versus: str = ""
    versus_value: Annotated[Num, Unit("", "figure of the other subject, as published", ge=0)] | None = None
    date: str = ""
    statement: str = ""
    leaves_out: Annotated[tuple[str, ...], AsTuple] = ()
    terms: Terms | None = None
    primary: Primary | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            quantity: str = ...,
            value: Num | None = ...,
            *,
            low: Num | None = ...,
            high: Num | None = ...,
            unit: str = ...,
            bound: Bound = ...,
            about: bool = ...,
            scope: str | Scope = ...,
            told_as: str = ...,
            original: str = ...,
            meant: tuple[Content, ...] = ...,
            source: str = ...,
            subject: str = ...,
            versus: str = ...,
            versus_value: Num | None = ...,
            name: str = ...,
            date: str = ...,
            statement: str = ...,
            leaves_out: tuple[str, ...] = ...,
            terms: Terms | None = ...,
            primary: Primary | None = ...,
        ) -> None: ...

    @invariant
    def _consistent(self) -> Self:
        for name in type(self).model_fields:
            if isinstance(text := getattr(self, name), str):
                check_text(text, name)  # a verdict prints these texts
        if self.versus_value is not None and not self.versus:
            raise SpecError("versus", "", "is missing: versus_value has no subject", "name the subject: versus='llama3.1-405b'", "missing")
        if (self.low is None) != (self.high is None):
            remedy = "give both, or value= with bound='at least' or 'at most'"
            given, other = ("low", "high") if self.high is None else ("high", "low")
            raise SpecError(given, getattr(self, given), f"is given without {other}", remedy, "missing")
        if self.low is not None and (self.value is not None or self.bound):
            given = "bound" if self.value is None else "value"
            rule = "is given together with the range low= to high="
            raise SpecError(given, getattr(self, given), rule, f"leave {given} out, or leave low and high out", "conflict")
        if self.low is not None and self.high is not None and not self.low <= self.high:
            raise SpecError("low", self.low, "is above high", "give the lower end as low=", "conflict")
        return self

    @property
    def quantified(self) -> bool:
        """Whether the claim has a figure."""
        return self.value is not None or self.low is not None

    @property
    def is_ratio(self) -> bool:
        """Whether the figure is a ratio of the quantities of two subjects."""
        return self._base() is not None and _BASES.get(self._base() or "", ("", 1.0))[0] == TIMES

    @property
    def currency(self) -> str:
        """ISO code of the figure's currency; empty if it is dollars or not money."""
        for prefix in _PREFIXES:
            head = self.unit.removeprefix(prefix).lstrip().partition("/")[0] if self.unit.startswith(prefix) else ""
            if head in CURRENCIES:
                return "CNY" if head == "RMB" else head
        return ""

    @property
    def base_unit(self) -> str:
        """The base unit of the quantity; ``"times"`` for a ratio of two subjects."""
        known = DIMENSIONS.get(self.quantity) or DIMENSIONS.get(self.quantity.split(".")[0])
        if known is None:
            plain = [quantity for quantity in DIMENSIONS if "." not in quantity]
            near = did_you_mean(self.quantity, DIMENSIONS, "")
            rule, remedy = "is not a known quantity", near if near.startswith("did") else f"quantities: {', '.join(plain[:12])} …"
            raise ClaimError("quantity", self.quantity, rule, remedy, "unknown-name")
        return TIMES if self.is_ratio else known

    def in_base(self) -> float:
        """The value in the quantity's base unit; the geometric mean of a range.

        Raises:
            ClaimError: the claim has no value, or its unit has another dimension.
        """
        low, high = self.ends()
        return low if low == high else math.sqrt(low * high) if low > 0 else (low + high) / 2

    def ends(self) -> tuple[float, float]:
        """Both ends of the figure in the quantity's base unit; equal for a point.

        Raises:
            ClaimError: the claim has no value, or its unit has another dimension.
        """
        if not self.quantified:
            raise ClaimError("value", None, "is missing: the claim has no figure", "give value and unit", "missing")
        factor = self._factor()
        low, high = (self.value, self.value) if self.value is not None else (self.low, self.high)
        assert low is not None  # quantified
        assert high is not None
        return float(low) * factor, float(high) * factor

    def versus_in_base(self) -> float:
        """The figure of the other subject in the quantity's base unit.

        Raises:
            ClaimError: there is none, or its unit has another dimension.
        """
        return self.replace({"value": self.versus_value, "low": None, "high": None, "versus_value": None}).in_base()

    def in_dollars(self, usd_per_unit: float) -> Claim:
        """The same claim converted to dollars.

        Args:
            usd_per_unit: dollars per unit of the currency on the claim's date [USD].
        """
        currency = self.currency if self.currency in self.unit else "RMB"
        ends = {name: None if (v := getattr(self, name)) is None else float(v) * usd_per_unit for name in _FIGURE_FIELDS}
        return self.replace({**ends, "unit": self.unit.replace(currency, "USD")})

    def _base(self) -> str | None:
        """The unit without its prefix; None if it is unknown."""
        return next((b for p in _PREFIXES if self.unit.startswith(p) and (b := self.unit.removeprefix(p).lstrip()) in _BASES), None)

    def _factor(self) -> float:
        wanted = self.base_unit
        for prefix, size in _PREFIXES.items():
            base = self.unit.removeprefix(prefix).lstrip() if prefix else self.unit
            if (prefix == "" or self.unit.startswith(prefix)) and base in _BASES and _BASES[base][0] == wanted:
                return size * _BASES[base][1]
        if self.currency and wanted.startswith("USD"):
            raise ClaimError("unit", self.unit, "needs an exchange rate", "use ts.audit, or claim.in_dollars(rate)", "missing")
        fitting = ", ".join(u for u, (dimension, _) in _BASES.items() if dimension == wanted and u)
        remedy = f"use {fitting}, optionally with a prefix k, M, B or T" if fitting else "leave the unit out"
        raise ClaimError("unit", self.unit, f"is not a unit of {self.quantity} [{wanted}]", remedy, "unit-mismatch")


_FIGURE_FIELDS = ("value", "low", "high", "versus_value")
