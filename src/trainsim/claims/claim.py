"""Claim: a quantity, a value, a scope, a source."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import model_validator

from ..core.errors import ClaimError, SpecError, did_you_mean
from ..core.spec import AsTuple, Spec
from ..core.units import Num, Unit
from ..core.values import check_text
from .scope import Content, Scope

Bound = Literal["", "at least", "at most"]
"""Whether a figure is a point, a floor ("more than 500 million") or a ceiling."""
_PREFIXES = {
    "": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12,
    "thousand ": 1e3, "million ": 1e6, "billion ": 1e9, "trillion ": 1e12,
}  # fmt: skip
_BASES = {
    "USD": ("USD", 1.0), "$": ("USD", 1.0), "USD/year": ("USD/year", 1.0), "USD/month": ("USD/year", 12.0),
    "GPU-h": ("GPU-h", 1.0), "GPU-day": ("GPU-h", 24.0), "GPU-week": ("GPU-h", 168.0), "GPU-year": ("GPU-h", 8766.0),
    "GPU": ("GPU", 1.0), "expert": ("expert", 1.0), "layer": ("layer", 1.0), "token": ("token", 1.0),
    "parameter": ("parameter", 1.0), "FLOP": ("FLOP", 1.0), "B/token": ("B/token", 1.0), "token/position": ("token/position", 1.0),
    "kWh": ("kWh", 1.0), "MWh": ("kWh", 1e3), "GWh": ("kWh", 1e6), "kgCO2e": ("kgCO2e", 1.0), "tCO2e": ("kgCO2e", 1e3),
    "day": ("day", 1.0), "h": ("day", 1 / 24), "week": ("day", 7.0), "": ("1", 1.0), "1": ("1", 1.0), "%": ("1", 0.01),
    "times": ("times", 1.0), "x": ("times", 1.0), "×": ("times", 1.0), "fold": ("times", 1.0),
}  # fmt: skip
SPELT = {
    "percent": "%", "dollars": "USD", "GPU-hours": "GPU-h", "GPU hours": "GPU-h", "GPU-days": "GPU-day", "GPU-weeks": "GPU-week",
    "GPU-years": "GPU-year", "GPUs": "GPU", "experts": "expert", "layers": "layer", "tokens": "token", "parameters": "parameter",
    "params": "parameter", "FLOPs": "FLOP", "days": "day", "hours": "h", "weeks": "week",
}  # fmt: skip
"""Units as people spell them → as they are judged in."""
_BASES |= {spelt: _BASES[unit] for spelt, unit in SPELT.items()}
CURRENCIES = ("CNY", "RMB", "EUR", "GBP", "JPY", "KRW", "INR", "CHF", "CAD", "AUD", "AED")
"""ISO codes of currencies a figure may be told in, and RMB; dollars follow at the rate of the claim's day."""
DIMENSIONS = {
    "cost": "USD", "busy_gpu_hours": "GPU-h", "gpu_hours": "GPU-h", "wall_days": "day", "mfu": "1", "flops": "FLOP", "tokens": "token",
    "gpus": "GPU", "params": "parameter", "active_params": "parameter", "layers": "layer", "experts": "expert", "mtp_depth": "token",
    "tokens_per_position": "token/position", "kv_bytes_per_token": "B/token", "energy": "kWh", "carbon": "kgCO2e",
    "fleet.gpus": "GPU", "fleet.capex": "USD", "fleet.operating": "USD", "fleet.operating_per_year": "USD/year", "investment": "USD",
    "pay": "USD/year",
}  # fmt: skip
"""Quantity → the unit it is judged in: ``fleet.operating`` over the fleet's life, ``fleet.operating_per_year`` a year of it."""
TIMES = "times"
"""Unit of a claim that compares two subjects."""


class Terms(Spec):
    """What a figure is for, as its source says: what a retelling may drop or change.

    Args:
        gpus: machines it is for; years: time it covers; statistic: of whom it holds ("mean", "maximum", "some").
    """

    gpus: Annotated[Num, Unit("GPU", "machines the figure is for")] | None = None
    years: Annotated[Num, Unit("year", "time the figure covers")] | None = None
    statistic: str = ""


class Primary(Spec):
    """What the source nearest to the fact says."""

    statement: str
    value: Annotated[Num, Unit("", "as the primary source gives it")] | None = None
    low: Annotated[Num, Unit("", "as the primary source gives it")] | None = None
    high: Annotated[Num, Unit("", "as the primary source gives it")] | None = None
    unit: str = ""
    terms: Terms | None = None


class Claim(Spec):
    """A figure that somebody published about a run, a model or a lab.

    Args:
        name: its name in answers and errors; empty for none.
        quantity: what is quantified: ``cost``, ``gpu_hours``, ``mfu``, ``tokens``, ``gpus``, ``experts`` …; empty where nothing is.
        value: the published figure [``unit``].
        low, high: ends of a published range, in place of a value [``unit``].
        unit: unit of the figure, with a prefix k, M, B, T; ISO currencies, percent.
        bound: ``"at least"`` or ``"at most"`` where the figure is a floor or a ceiling.
        about: whether the source calls it approximate; no rule is looser for it.
        scope: what the number is: a :class:`Scope`, or words that :func:`trainsim.read_scope` understands.
        told_as: the words around the figure; those of ``scope`` where empty.
        original: the same words in the language of the source.
        meant: contents that a source shows were meant, where the words are ambiguous.
        source, date: who says so and where, and on which day (``"2024-12-26"``).
        subject: the run, model or lab it is about.
        versus: another subject it is compared with; a value in ``"times"`` is the other's quantity over this one's ("18 times
            cheaper" is 18).
        versus_value: the other's figure [``unit``].
        statement: the claim in words.
        leaves_out: what the figure does not include, in words.
        terms: what the figure is for.
        primary: what the source nearest to the fact says.

    Raises:
        SpecError: a comparison with nothing; a value beside a range; a range that is empty or a bound.
        ClaimError: from :meth:`in_base`: a unit of another dimension than the quantity's.

    >>> Claim("cost", 6, unit="million USD", scope="the final run", source="an article").in_base()
    6000000.0
    >>> Claim("cost", low=2, high=5, unit="MUSD").ends()
    (2000000.0, 5000000.0)
    """

    positional: ClassVar[tuple[str, ...]] = ("quantity", "value")
    name: str = ""
    quantity: str = ""
    value: Annotated[Num, Unit("", "as told", ge=0)] | None = None
    low: Annotated[Num, Unit("", "lower end, as told", ge=0)] | None = None
    high: Annotated[Num, Unit("", "upper end, as told", ge=0)] | None = None
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
    versus_value: Annotated[Num, Unit("", "the other's figure, as told", ge=0)] | None = None
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

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in type(self).model_fields:
            if isinstance(text := getattr(self, name), str):
                check_text(text, name)  # a verdict prints the words of strangers
        if self.versus_value is not None and not self.versus:
            raise SpecError(
                "versus", "", "is not given: the other figure has no subject", "say whose it is: versus='llama3.1-405b'", "missing"
            )
        if (self.low is None) != (self.high is None):
            remedy = "give both, or value= with bound='at least' or 'at most'"
            raise SpecError("low", self.low, "and high make a range together", remedy, "missing")
        if self.low is not None and (self.value is not None or self.bound):
            raise SpecError("value", self.value, "or bound is given beside a range", "give value=, or low= and high=", "conflict")
        if self.low is not None and self.high is not None and not self.low <= self.high:
            raise SpecError("low", self.low, "is above high", "give the lower end as low=", "conflict")
        return self

    @property
    def quantified(self) -> bool:
        """Whether the claim has a figure."""
        return self.value is not None or self.low is not None

    @property
    def is_ratio(self) -> bool:
        """Whether the figure says how many times one subject's quantity is another's."""
        return self._base() is not None and _BASES.get(self._base() or "", ("", 1.0))[0] == TIMES

    @property
    def currency(self) -> str:
        """ISO code of the currency the figure was told in, where it is none of dollars; empty otherwise."""
        for prefix in _PREFIXES:
            head = self.unit.removeprefix(prefix).partition("/")[0] if self.unit.startswith(prefix) else ""
            if head in CURRENCIES:
                return "CNY" if head == "RMB" else head
        return ""

    @property
    def judged_in(self) -> str:
        """The unit the quantity is judged in; ``"times"`` where it compares two subjects."""
        known = DIMENSIONS.get(self.quantity) or DIMENSIONS.get(self.quantity.split(".")[0])
        if known is None:
            plain = [quantity for quantity in DIMENSIONS if "." not in quantity]
            near = did_you_mean(self.quantity, DIMENSIONS, "")
            rule, remedy = "is no quantity that is judged", near if near.startswith("did") else f"such as {', '.join(plain[:12])}"
            raise ClaimError("quantity", self.quantity, rule, remedy, "unknown-name")
        return TIMES if self.is_ratio else known

    def in_base(self) -> float:
        """The value in the unit the quantity is judged in; the geometric middle of a range.

        Raises:
            ClaimError: the claim has no value, or its unit is of another dimension.
        """
        low, high = self.ends()
        return low if low == high else math.sqrt(low * high) if low > 0 else (low + high) / 2

    def ends(self) -> tuple[float, float]:
        """Both ends of the figure in the unit the quantity is judged in; equal where it is a point.

        Raises:
            ClaimError: the claim has no value, or its unit is of another dimension.
        """
        if not self.quantified:
            raise ClaimError("value", None, "is missing: the claim quantifies nothing", "give value and unit", "missing")
        factor = self._factor()
        low, high = (self.value, self.value) if self.value is not None else (self.low, self.high)
        assert low is not None  # quantified
        assert high is not None
        return float(low) * factor, float(high) * factor

    def versus_in_base(self) -> float:
        """The other's figure in the same unit.

        Raises:
            ClaimError: there is none, or its unit is of another dimension.
        """
        return self.replace({"value": self.versus_value, "low": None, "high": None, "versus_value": None}).in_base()

    def in_dollars(self, usd_per_unit: float) -> Claim:
        """The same claim in dollars, where it was told in another currency.

        Args:
            usd_per_unit: dollars that one unit of the currency buys on the claim's day [USD].
        """
        told = self.currency if self.currency in self.unit else "RMB"
        ends = {name: None if (v := getattr(self, name)) is None else float(v) * usd_per_unit for name in _FIGURES}
        return self.replace({**ends, "unit": self.unit.replace(told, "USD")})

    def _base(self) -> str | None:
        """The unit without its prefix; None where it is none of the known ones."""
        return next((b for p in _PREFIXES if self.unit.startswith(p) and (b := self.unit.removeprefix(p)) in _BASES), None)

    def _factor(self) -> float:
        wanted = self.judged_in
        for prefix, size in _PREFIXES.items():
            base = self.unit.removeprefix(prefix) if prefix else self.unit
            if (prefix == "" or self.unit.startswith(prefix)) and base in _BASES and _BASES[base][0] == wanted:
                return size * _BASES[base][1]
        if self.currency and wanted.startswith("USD"):
            raise ClaimError("unit", self.unit, "needs an exchange rate", "use ts.audit, or claim.in_dollars(rate)", "missing")
        fitting = ", ".join(u for u, (dimension, _) in _BASES.items() if dimension == wanted and u)
        remedy = f"use {fitting}, with k, M, B or T before it if you like" if fitting else "leave the unit out"
        raise ClaimError("unit", self.unit, f"can't measure {self.quantity} [{wanted}]", remedy, "unit-mismatch")


_FIGURES = ("value", "low", "high", "versus_value")
