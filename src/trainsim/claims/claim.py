"""Claim: a quantity, a value, a scope, a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from ..errors import ClaimError
from ..spec import AsTuple, Spec
from ..units import Num, Unit

_PREFIXES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}
_BASES = {
    "USD": ("USD", 1.0), "$": ("USD", 1.0), "USD/year": ("USD/year", 1.0), "USD/month": ("USD/year", 12.0),
    "GPU-h": ("GPU-h", 1.0), "GPU-day": ("GPU-h", 24.0), "GPU-year": ("GPU-h", 8766.0),
    "GPU": ("GPU", 1.0), "expert": ("expert", 1.0), "token": ("token", 1.0), "parameter": ("parameter", 1.0), "FLOP": ("FLOP", 1.0),
    "day": ("day", 1.0), "h": ("day", 1 / 24), "": ("1", 1.0), "1": ("1", 1.0), "%": ("1", 0.01),
}  # fmt: skip
DIMENSIONS = {
    "cost": "USD", "busy_gpu_hours": "GPU-h", "gpu_hours": "GPU-h", "wall_days": "day", "mfu": "1", "flops": "FLOP", "params": "parameter",
    "gpus": "GPU", "experts": "expert", "fleet.gpus": "GPU", "fleet.capex": "USD", "fleet.operating": "USD", "investment": "USD",
    "pay": "USD/year", "tokens": "token",
}  # fmt: skip
"""Quantity → the unit it is judged in."""


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
        scope: what the number is (``"final-run rent"``); told_as: what the words say.
        source: who says so, where.
        subject: the run, model or lab it is about.
        statement, leaves_out, primary: in words.

    Raises:
        ClaimError: from :meth:`in_base`: a unit of another dimension than the quantity's.

    >>> Claim("cost", 6, unit="MUSD", scope="final-run rent", source="an article").in_base()
    6000000.0
    """

    positional: ClassVar[tuple[str, ...]] = ("quantity", "value")
    name: str = ""
    quantity: str = ""
    value: Annotated[Num, Unit("", "as told")] | None = None
    unit: str = ""
    scope: str = ""
    told_as: str = ""
    source: str = ""
    subject: str = ""
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
            name: str = ...,
            date: str = ...,
            statement: str = ...,
            leaves_out: tuple[str, ...] = ...,
            primary: Primary | None = ...,
        ) -> None: ...

    @property
    def judged_in(self) -> str:
        """The unit the quantity is judged in."""
        known = DIMENSIONS.get(self.quantity) or DIMENSIONS.get(self.quantity.split(".")[0])
        if known is None:
            raise ClaimError("quantity", self.quantity, "is no quantity the library computes", f"quantities: {', '.join(DIMENSIONS)}")
        return known

    def in_base(self) -> float:
        """The value in the unit the quantity is judged in.

        Raises:
            ClaimError: the claim has no value, or its unit is of another dimension.
        """
        if self.value is None:
            raise ClaimError("value", None, "is missing: the claim quantifies nothing", "give value and unit")
        factor = self._factor()
        return float(self.value) * factor

    def _factor(self) -> float:
        wanted = self.judged_in
        for prefix, size in _PREFIXES.items():
            base = self.unit.removeprefix(prefix) if prefix else self.unit
            if (prefix == "" or self.unit.startswith(prefix)) and base in _BASES and _BASES[base][0] == wanted:
                return size * _BASES[base][1]
        fitting = ", ".join(u for u, (dimension, _) in _BASES.items() if dimension == wanted and u)
        raise ClaimError(
            "unit", self.unit, f"can't measure {self.quantity} [{wanted}]", f"use {fitting}, with k, M, B or T before it if you like"
        )
