"""Numbers that know their unit and their bounds, and how people read them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import core_schema

from .errors import SpecError
from .quantities import number
from .validation_errors import field_error

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

Num = float | NDArray[np.float64]
"""A number: one float, or a float64 array of draws. Formulas take either."""
Holds = bool | NDArray[np.bool_]
"""Whether something holds: for one number, or for each of many."""

LARGEST = 1e60
"""The largest size of a number that a field takes: products of several stay within a float64."""

SECONDS_PER_HOUR = 3600.0
HOURS_PER_DAY = 24.0
HOURS_PER_YEAR = 8766.0
"""Julian year: 365.25 days of 24 hours."""


def rows_of(*values: Num) -> NDArray[np.float64]:
    """Numbers as rows of one array: ``(…), (…)`` → ``(rows, …)``, each broadcast against all.

    >>> rows_of(1.0, np.array([2.0, 3.0]))
    array([[1., 1.],
           [2., 3.]])
    """
    rows = np.empty((len(values), *np.broadcast(*values).shape))
    for i, value in enumerate(values):
        rows[i] = value
    return rows


def smaller(a: Num, b: Num) -> Num:
    """The smaller of two numbers, elementwise: ``np.minimum``, and of two floats in a tenth of its time.

    >>> smaller(1.0, 2.0), smaller(1.5, np.array([1.0, 2.0]))
    (1.0, array([1. , 1.5]))
    """
    return min(a, b) if isinstance(a, float) and isinstance(b, float) else np.minimum(a, b)


def larger(a: Num, b: Num) -> Num:
    """The larger of two numbers, elementwise: ``np.maximum``, and of two floats in a tenth of its time.

    >>> larger(1.0, 2.0), larger(1.5, np.array([1.0, 2.0]))
    (2.0, array([1.5, 2. ]))
    """
    return max(a, b) if isinstance(a, float) and isinstance(b, float) else np.maximum(a, b)


def choose(condition: Holds, yes: Num, no: Num) -> Num:
    """One number where a condition holds, another where it doesn't: ``np.where``, and for one condition the number as it is.

    >>> choose(2.0 > 1.0, 1.0, np.zeros(3)), choose(np.array([True, False]), 1.0, 2.0)
    (1.0, array([1., 2.]))
    """
    if isinstance(condition, np.ndarray):
        return np.where(condition, yes, no)
    return yes if condition else no


def anywhere(condition: Holds) -> bool:
    """Whether a condition holds for any of the numbers.

    >>> anywhere(2.0 > 1.0), anywhere(np.array([False, False]))
    (True, False)
    """
    return bool(condition.any()) if isinstance(condition, np.ndarray) else bool(condition)


class Arrays(Enum):
    """How a field meets an array: specs that users hold are scalar."""

    REFUSED = "refused"
    CHECKED = "checked"
    KNOWN = "known"
    """Values of laws that were held against the fields' bounds, which a look at every draw would only repeat."""


_arrays: ContextVar[Arrays] = ContextVar("arrays", default=Arrays.REFUSED)


@contextmanager
def arrays_are(met: Arrays) -> Iterator[None]:
    """Let fields hold arrays while a batch is put together."""
    token = _arrays.set(met)
    try:
        yield
    finally:
        _arrays.reset(token)


@dataclass(frozen=True)
class Unit:
    """Marks a field as a number with a unit, bounds and a meaning: ``Annotated[Num, Unit("FLOP/s", gt=0)]``.

    Args:
        symbol: the unit, ``"FLOP/s"``, ``"USD/GPU-h"``; ``""`` for a pure ratio.
        doc: what the number means, in a few words.
        gt, ge, lt, le: bounds, checked on every draw.

    Raises:
        SpecError: (from the field) a value that is no number, is not finite or is out of bounds.

    >>> Unit("FLOP/s", gt=0).rule
    'must be > 0'
    """

    symbol: str
    doc: str = ""
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    @property
    def low(self) -> float:
        """The lower bound, or minus infinity."""
        bounds = [b for b in (self.gt, self.ge) if b is not None]
        return max(bounds, default=-math.inf)

    @property
    def high(self) -> float:
        """The upper bound, or infinity."""
        bounds = [b for b in (self.lt, self.le) if b is not None]
        return min(bounds, default=math.inf)

    @property
    def rule(self) -> str:
        """The bounds in words.

        >>> Unit("", gt=0, le=1).rule
        'must be > 0 and <= 1'
        """
        given = ((">", self.gt), (">=", self.ge), ("<", self.lt), ("<=", self.le))
        parts = [f"{sign} {bound:g}" for sign, bound in given if bound is not None]
        return "must be " + " and ".join(parts) if parts else "must be finite"

    def dimension(self) -> dict[str, int]:
        """Exponents of the base units: ``FLOP, B, s, h, GPU, USD, token …``.

        >>> Unit("USD/GPU-h").dimension()
        {'USD': 1, 'GPU': -1, 'h': -1}
        """
        powers: dict[str, int] = {}
        numerator, *denominators = self.symbol.split("/")
        for sign, factors in [(1, numerator), *((-1, d) for d in denominators)]:
            for base in re.split(r"[-·]", factors):
                if base and base != "1":
                    powers[base] = powers.get(base, 0) + sign
        return {base: power for base, power in powers.items() if power}

    def _holds(self, value: float) -> bool:
        """Whether one number is finite and within the bounds."""
        return bool(
            math.isfinite(value)
            and (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.lt is None or value < self.lt)
            and (self.le is None or value <= self.le)
        )

    def check(self, value: Any) -> Num:
        """The value as float64; a text is read as people type numbers: ``"2T"``.

        Raises:
            PydanticCustomError: no number, or one out of bounds, with rule and remedy.
        """
        if isinstance(value, str):
            try:
                value = number(value, self.symbol)
            except SpecError as error:
                raise field_error(error.rule, error.remedy, error.rule_id) from None
        if isinstance(value, np.ndarray) and value.ndim > 0:
            met = _arrays.get()
            if met is Arrays.REFUSED:
                raise field_error(
                    "holds one number, not an array", "put draws over it with ts.Beliefs and ts.simulate, or ts.Batch", "not-scalar"
                )
            if value.dtype.kind not in "iuf":
                raise field_error("must be numbers", f"give an array of floats [{self.symbol or 'ratio'}]", "wrong-type")
            array = np.asarray(value, dtype=np.float64)
            if met is Arrays.KNOWN:
                return array
        elif isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating, np.ndarray)):
            raise field_error("must be a number", f"give a plain number [{self.symbol or 'ratio'}]", "wrong-type")
        else:
            size: Any = abs(value)
            if math.inf > size > LARGEST:
                raise field_error(
                    f"must be at most {LARGEST:g} in size", f"give a smaller number [{self.symbol or 'ratio'}]", "out-of-bounds"
                )
            array = np.float64(value)  # type: ignore[assignment]
        if array.size and self._holds(array.min()) and self._holds(array.max()):  # both are NaN if any draw is
            return array if np.ndim(array) else float(array)
        if not np.all(np.isfinite(array)):
            raise field_error("must be finite", f"give a finite number [{self.symbol or 'ratio'}]", "not-finite")
        outside = ((array <= self.gt) if self.gt is not None else False) | ((array < self.ge) if self.ge is not None else False)
        outside |= ((array >= self.lt) if self.lt is not None else False) | ((array > self.le) if self.le is not None else False)
        if np.any(outside):
            culprit = "" if np.ndim(array) == 0 else f" (draw {int(np.argmax(outside))} is {array[np.argmax(outside)]:g})"
            raise field_error(self.rule + culprit, f"it is {self.doc or 'a number'} in [{self.symbol or 'ratio'}]", "out-of-bounds")
        return array if np.ndim(array) else float(array)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        bounds = {"exclusiveMinimum": self.gt, "minimum": self.ge, "exclusiveMaximum": self.lt, "maximum": self.le}
        described = {"type": "number", "unit": self.symbol, "description": self.doc}
        return described | {key: bound for key, bound in bounds.items() if bound is not None}


def half_last_digit(quoted: float) -> float:
    """Half the last digit a figure was told with: what rounding may have taken or given.

    >>> half_last_digit(1.3e9), half_last_digit(6e6), half_last_digit(0)
    (50000000.0, 500000.0, 0.0)
    """
    if quoted == 0:
        return 0.0
    exponent = math.floor(math.log10(abs(quoted)))
    leading = abs(quoted) / 10.0**exponent
    digits = next((d for d in range(16) if math.isclose(round(leading, d), leading, rel_tol=1e-12)), 16)
    return 0.5 * 10.0 ** (exponent - digits)


_SUFFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


def human(value: float, digits: int = 3) -> str:
    """A number as people read it.

    >>> human(2.664e6), human(14.8e12), human(0.3894), human(float("nan"))
    ('2.66M', '14.8T', '0.389', 'unknown')
    >>> human(3.7068e24)
    '3.71e24'
    """
    if math.isnan(value):
        return "unknown"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    size = abs(value)
    if size >= 1e15 or size < 1e-4:
        return f"{value:.{digits - 1}e}".replace("e+", "e")
    for factor, suffix in _SUFFIXES:
        if size >= factor * (1 - 0.5 * 10.0**-digits):
            return _significant(value / factor, digits) + suffix
    return _significant(value, digits)


def _significant(value: float, digits: int) -> str:
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value)) + 1e-12))
    return f"{value:.{decimals}f}"
