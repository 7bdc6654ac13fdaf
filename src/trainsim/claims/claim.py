"""Claim: a quantity, a value, a scope, a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import model_validator

from ..core.errors import ClaimError, SpecError, did_you_mean
from ..core.spec import AsTuple, Spec
from ..core.units import Num, Unit
from ..core.values import check_text

Bound = Literal["", "at least", "at most"]
"""Whether a figure was told as such, as a floor ("more than 500 million") or as a ceiling."""
_PREFIXES = {
    "": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12,
    "thousand ": 1e3, "million ": 1e6, "billion ": 1e9, "trillion ": 1e12,
}  # fmt: skip
_BASES = {
    "USD": ("USD", 1.0), "$": ("USD", 1.0), "USD/year": ("USD/year", 1.0), "USD/month": ("USD/year", 12.0),
    "GPU-h": ("GPU-h", 1.0), "GPU-day": ("GPU-h", 24.0), "GPU-year": ("GPU-h", 8766.0),
    "GPU": ("GPU", 1.0), "expert": ("expert", 1.0), "layer": ("layer", 1.0), "token": ("token", 1.0),
    "parameter": ("parameter", 1.0), "FLOP": ("FLOP", 1.0), "B/token": ("B/token", 1.0),
    "day": ("day", 1.0), "h": ("day", 1 / 24), "": ("1", 1.0), "1": ("1", 1.0), "%": ("1", 0.01),
    "times": ("times", 1.0), "x": ("times", 1.0), "×": ("times", 1.0), "fold": ("times", 1.0),
}  # fmt: skip
DIMENSIONS = {
    "cost": "USD", "busy_gpu_hours": "GPU-h", "gpu_hours": "GPU-h", "wall_days": "day", "mfu": "1", "flops": "FLOP", "tokens": "token",
    "gpus": "GPU", "params": "parameter", "active_params": "parameter", "layers": "layer", "experts": "expert", "mtp_depth": "token",
    "kv_bytes_per_token": "B/token", "fleet.gpus": "GPU", "fleet.capex": "USD", "fleet.operating": "USD",
    "fleet.operating_per_year": "USD/year", "investment": "USD", "pay": "USD/year",
}  # fmt: skip
"""Quantity → the unit it is judged in: ``fleet.operating`` over the fleet's life, ``fleet.operating_per_year`` a year of it."""
TIMES = "times"
"""Unit of a claim that compares two subjects."""


class Primary(Spec):
    """What the source nearest to the fact says."""

    statement: str
    value: Annotated[Num, Unit("", "as the primary source gives it")] | None = None
    low: Annotated[Num, Unit("", "as the primary source gives it")] | None = None
    high: Annotated[Num, Unit("", "as the primary source gives it")] | None = None
    unit: str = ""


class Claim(Spec):
    """Something said about a run, a model or a lab.

    Args:
        quantity: what is quantified: ``cost``, ``busy_gpu_hours``, ``gpus``, ``experts`` …; empty where nothing is.
        value, unit: the figure as told; a prefix k, M, B, T may stand before the unit.
        bound: whether the figure was told as a floor or a ceiling.
        scope: what the number is (``"final-run rent"``); told_as: what the words say.
        source: who says so, where.
        subject: the run, model or lab it is about.
        versus: another subject it is compared with; a value in ``"times"`` is then the other's quantity over this one's:
            "18 times cheaper" is 18. ``versus_value`` is the other's figure, where both were told, in the same unit.
        date: the day it was made, ``"2024-12-26"``; what became public later is hidden from its judge.
        statement, leaves_out, primary: in words.

    Raises:
        SpecError: a comparison with nothing.
        ClaimError: from :meth:`in_base`: a unit of another dimension than the quantity's.

    >>> Claim("cost", 6, unit="million USD", scope="final-run rent", source="an article").in_base()
    6000000.0
    >>> Claim("cost", 18, unit="times", subject="deepseek-v3", versus="llama3.1-405b").judged_in
    'times'
    """

    positional: ClassVar[tuple[str, ...]] = ("quantity", "value")
    name: str = ""
    quantity: str = ""
    value: Annotated[Num, Unit("", "as told", ge=0)] | None = None
    unit: str = ""
    bound: Bound = ""
    scope: str = ""
    told_as: str = ""
    source: str = ""
    subject: str = ""
    versus: str = ""
    versus_value: Annotated[Num, Unit("", "the other's figure, as told", ge=0)] | None = None
    date: str = ""
    statement: str = ""
    leaves_out: Annotated[tuple[str, ...], AsTuple] = ()
    primary: Primary | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            quantity: str = ...,
            value: Num | None = ...,
            *,
            unit: str = ...,
            scope: str = ...,
            told_as: str = ...,
            source: str = ...,
            subject: str = ...,
            bound: Bound = ...,
            versus: str = ...,
            versus_value: Num | None = ...,
            name: str = ...,
            date: str = ...,
            statement: str = ...,
            leaves_out: tuple[str, ...] = ...,
            primary: Primary | None = ...,
        ) -> None: ...

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in type(self).model_fields:
            if isinstance(text := getattr(self, name), str):
                check_text(text, name)  # a verdict prints the words of strangers
        if self.versus_value is not None and not self.versus:
            raise SpecError(
                "versus", "", "is not given: the other figure is of nobody", "say whose it is: versus='llama3.1-405b'", "missing"
            )
        return self

    @property
    def is_ratio(self) -> bool:
        """Whether the value says how many times one subject's quantity is another's."""
        bases = (self.unit.removeprefix(prefix) for prefix in _PREFIXES if self.unit.startswith(prefix))
        return any(_BASES.get(base, ("", 1.0))[0] == TIMES for base in bases)

    @property
    def judged_in(self) -> str:
        """The unit the quantity is judged in; ``"times"`` where it compares two subjects."""
        known = DIMENSIONS.get(self.quantity) or DIMENSIONS.get(self.quantity.split(".")[0])
        if known is None:
            rule, remedy = "is no quantity the library computes", did_you_mean(self.quantity, DIMENSIONS, "quantities")
            raise ClaimError("quantity", self.quantity, rule, remedy, "unknown-name")
        return TIMES if self.is_ratio else known

    def in_base(self) -> float:
        """The value in the unit the quantity is judged in.

        Raises:
            ClaimError: the claim has no value, or its unit is of another dimension.
        """
        if self.value is None:
            raise ClaimError("value", None, "is missing: the claim quantifies nothing", "give value and unit", "missing")
        factor = self._factor()
        return float(self.value) * factor

    def versus_in_base(self) -> float:
        """The other's figure in the same unit.

        Raises:
            ClaimError: there is none, or its unit is of another dimension.
        """
        return self.replace({"value": self.versus_value, "versus_value": None}).in_base()

    def _factor(self) -> float:
        wanted = self.judged_in
        for prefix, size in _PREFIXES.items():
            base = self.unit.removeprefix(prefix) if prefix else self.unit
            if (prefix == "" or self.unit.startswith(prefix)) and base in _BASES and _BASES[base][0] == wanted:
                return size * _BASES[base][1]
        fitting = ", ".join(u for u, (dimension, _) in _BASES.items() if dimension == wanted and u)
        remedy = f"use {fitting}, with k, M, B or T before it if you like" if fitting else "leave the unit out"
        raise ClaimError("unit", self.unit, f"can't measure {self.quantity} [{wanted}]", remedy, "unit-mismatch")
