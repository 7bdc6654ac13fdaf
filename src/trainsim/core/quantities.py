"""Parse numbers and intervals with suffix and unit: ``2T``, ``80GB``, ``400Gb/s``, ``$2.5/h``, ``40 days``, ``1.4..3.4``."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from .errors import SpecError, TrainsimError, TrainsimWarning
from .registry import look_up
from .values import to_float

_NUMBER = re.compile(r"^(?P<sign>[+-]?)(?P<currency>[$€¥£]?)\s*(?P<digits>(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<rest>.*)$")
_PREFIX = MappingProxyType({"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18})
_BINARY = MappingProxyType({"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50})
_COUNT = MappingProxyType(
    {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "m": 1e6, "B": 1e9, "b": 1e9, "bn": 1e9, "T": 1e12, "t": 1e12, "tn": 1e12}
    | {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
)  # fmt: skip
"""Suffixes of a count or of money. In these ``B`` is a billion; in a size it is a byte."""
_SECONDS = MappingProxyType({"ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "hour": 3600.0, "day": 86400.0, "d": 86400.0}
    | {"week": 604800.0, "month": 365.25 / 12 * 86400.0, "year": 365.25 * 86400.0})  # fmt: skip
_DOLLARS = re.compile(
    r"(?:\$|USD|dollars?)?\s*(?P<scale>[kKMmBbTt]|bn|tn|thousand|million|billion|trillion)??\s*(?:\$|USD|dollars?)?\s*(?P<per>(?:/|\bper\b).*)?",
    re.IGNORECASE,
)
_FOREIGN = re.compile(
    r"(?<![A-Za-z])(?:(?P<CNY>CNY|RMB|yuan)|(?P<EUR>EUR|euros?|€)|(?P<GBP>GBP|pounds?|£)|(?P<JPY>JPY|yen)"
    r"|(?P<KRW>KRW|won)|(?P<INR>INR|rupees?)|(?P<CHF>CHF)|(?P<CAD>CAD)|(?P<AUD>AUD)|(?P<AED>AED))(?![A-Za-z])",
    re.IGNORECASE,
)
"""Currencies other than dollars. ¥ is left out, since it stands for yuan and for yen."""
_PER_HOUR = re.compile(r"(?:/|per)(?:[A-Z]*\d*GPU[-/]?|[A-Z]+\d+[-/])?(?:h|hr|hour)(?:/GPU)?", re.IGNORECASE)


BINARY_THOUSAND = 1024.0
"""What K stands for in the length of a sequence: 128K tokens are 131,072. K of any other count is 1,000."""
_POWERS = MappingProxyType({"k": 1, "K": 1, "m": 2, "M": 2})
"""Suffix of a count → power of the number that K stands for."""


def parse_number(text: str, unit: str, path: str = "", thousand: float = 1e3) -> float:
    """Parse a number with an optional suffix, and convert it to the unit of its field.

    Args:
        text: ``"2T"``, ``"15.5e12"``, ``"80GB"``, ``"400Gb/s"``, ``"$2.5/h"``, ``"18 RMB/h"``, ``"40 days"``, ``"38%"``.
        unit: the field's unit, as in :class:`~trainsim.core.units.Unit`.
        path: path of the field, for the error.
        thousand: what K stands for in a count, and M its square: :data:`BINARY_THOUSAND` for the length of a sequence.

    Returns:
        the number in that unit.

    Raises:
        SpecError: the text is not a number, or its unit has another dimension; the remedy names units that fit.

    Warns:
        TrainsimWarning: an amount in another currency was converted; the warning gives the rate.

    >>> parse_number("2T", "token"), parse_number("400Gb/s", "B/s"), parse_number("$2.5/h", "USD/GPU-h"), parse_number("40 days", "s")
    (2000000000000.0, 50000000000.0, 2.5, 3456000.0)
    >>> parse_number("128K", "token"), parse_number("128K", "token", thousand=BINARY_THOUSAND)
    (128000.0, 131072.0)
    >>> parse_number("40 days", "token", "phases.pretrain.tokens")
    Traceback (most recent call last):
    trainsim.core.errors.SpecError: phases.pretrain.tokens='40 days': 'days' does not fit a number in [token]; write it as 2T or 15.5e12
    """
    found = _NUMBER.match(text.strip())
    if found is not None and re.search(r"\.\.|±|…", found["rest"]):
        remedy = "give one number here, and the interval as a belief: ts.Beliefs({path: '1.4..3.4'}), --believe path=1.4..3.4"
        raise SpecError(path, text, "is an interval, not a number", remedy, "wrong-type")
    if found is None:
        raise SpecError(path, text, f"is not a number in [{unit or 'ratio'}]", f"write it as {example_text(unit)}", "wrong-type")
    digits = found["digits"]
    if re.search(r",(?!\d{3}(?:\D|$))", digits):
        raise SpecError(path, text, "has a comma that does not separate thousands", "write 1.5, or 1,500", "wrong-type")
    if digits.startswith(".") and unit.startswith("USD"):
        remedy = "the shell may have expanded $2 to nothing: leave the sign out, 2.5/h"
        raise SpecError(path, text, "starts with a decimal point", remedy, "wrong-type")
    value = float(found["sign"] + digits.replace(",", "").replace("_", ""))
    suffix = f"{found['currency']} {found['rest']}".strip() if found["currency"] else found["rest"].strip()
    foreign = _FOREIGN.search(suffix) if unit.startswith("USD") else None
    factor = _factor(suffix if foreign is None else _FOREIGN.sub("", suffix, count=1).strip(), unit, thousand)
    if factor is None or not math.isfinite(value * factor):
        rule = f"{found['rest'] or found['currency']!r} does not fit a number in [{unit or 'ratio'}]"
        raise SpecError(path, text, rule, f"write it as {example_text(unit)}", "unit-mismatch")
    if foreign is None or foreign.lastgroup is None:
        return value * factor
    usd, rate = look_up("ExchangeRate", foreign.lastgroup, path)
    dollars = float(value * factor * usd)
    warnings.warn(TrainsimWarning(f"{path + ': ' if path else ''}{text.strip()} is {dollars:.4g} {unit}, at {rate}"), stacklevel=2)
    return dollars


def typed_number(value: object, unit: str, path: str, error: type[TrainsimError] = SpecError) -> float:
    """A positive number, or its text with a suffix, in a unit.

    Args:
        value: number or text, ``9.6`` or ``"9.6s"``.
        unit, path: as for :func:`parse_number`.
        error: class of the error for a value that is neither.

    Raises:
        TrainsimError: the value is not a number in this unit, not finite, or not above 0.

    >>> typed_number("50K", "USD", "limits.cost"), typed_number(9.6, "s", "step_time")
    (50000.0, 9.6)
    """
    return to_float(parse_number(value, unit, path) if isinstance(value, str) else value, path, error, above=0.0)


def parse_interval(text: str, unit: str, path: str = "", thousand: float = 1e3) -> tuple[float, ...] | None:
    """Parse an interval into its 5 % and 95 % quantiles, or 5 %, 50 % and 95 %; None if the text is a single number.

    ``a..b`` is a 90 % interval and ``a..m..b`` adds its median; ``m±d`` and ``m±20%`` mean ``m - d``, ``m`` and ``m + d``.

    Args:
        text: ``"1.4..3.4"``, ``"1.4..2..3.4 USD/h"``, ``"3±20%"``.
        unit, path, thousand: as for :func:`parse_number`.

    Raises:
        SpecError: the text is not an interval, its quantiles do not increase, or :func:`parse_number` rejects one.

    >>> parse_interval("1.4..3.4", "USD/GPU-h"), parse_interval("3±20%", "USD/GPU-h"), parse_interval("2", "USD/GPU-h")
    ((1.4, 3.4), (2.4, 3.0, 3.6), None)
    """
    centre, sign, spread = (text.replace("+-", "±").replace("+/-", "±")).partition("±")
    if sign:
        middle = parse_number(centre, unit, path, thousand)
        off = abs(middle) * parse_number(spread, "", path) if "%" in spread else parse_number(spread, unit, path, thousand)
        return _check_increasing((middle - off, middle, middle + off), text, path)
    ends = re.split(r"\s*(?:\.\.+|…)\s*", text.strip())
    if len(ends) == 1:
        return None
    if len(ends) > 3 or not all(ends):
        raise SpecError(path, text, "is not an interval", "write 1.4..3.4, its 5 % and 95 % quantiles", "wrong-type")
    words = _NUMBER.match(ends[-1])
    shared = words["rest"].strip() if words else ""
    made = tuple(parse_number(end if not shared or _has_unit(end) else f"{end} {shared}", unit, path, thousand) for end in ends)
    return _check_increasing(made, text, path)


def _has_unit(text: str) -> bool:
    found = _NUMBER.match(text.strip())
    return found is not None and bool(found["rest"].strip() or found["currency"])


def _check_increasing(values: tuple[float, ...], text: str, path: str) -> tuple[float, ...]:
    if any(not low < high for low, high in pairwise(values)):
        raise SpecError(path, text, "is an interval whose ends do not increase", "write the smaller end first: 1.4..3.4", "out-of-bounds")
    return values


def _factor(suffix: str, unit: str, thousand: float) -> float | None:
    """Factor from a suffix to the field's unit; None if the suffix has another dimension."""
    if not suffix or suffix == unit:
        return 1.0
    for reader in (_ratio_factor, _size_factor, _rate_factor, _flops_factor, _time_factor, _money_factor, _power_factor, _energy_factor,
                   _carbon_factor):  # fmt: skip
        factor = reader(suffix, unit)
        if factor is not None:
            return factor
    return _count_factor(suffix, unit, thousand)


def _ratio_factor(suffix: str, unit: str) -> float | None:
    return 0.01 if unit == "" and suffix in ("%", "percent") else None


def _size_factor(suffix: str, unit: str) -> float | None:
    per_byte = {"B": 1.0, "TB": 1e-12}.get(unit)
    found = re.fullmatch(r"([kKMGTPE]?|[KMGTP]i)B", suffix)
    return None if per_byte is None or found is None else per_byte * (_PREFIX | _BINARY)[found[1]]


def _rate_factor(suffix: str, unit: str) -> float | None:
    found = re.fullmatch(r"([kKMGTPE]?|[KMGTP]i)(B|b|bit)(?:/s|ps)", suffix)
    if unit != "B/s" or found is None:
        return None
    return (_PREFIX | _BINARY)[found[1]] * (1.0 if found[2] == "B" else 0.125)


def _flops_factor(suffix: str, unit: str) -> float | None:
    found = re.fullmatch(r"([kKMGTPE]?)\s*(?:FLOPS?|FLOPs?)?(?:/s)?", suffix, re.IGNORECASE)
    return None if unit not in ("FLOP/s", "FLOP") or found is None else _PREFIX.get(found[1].upper().replace("K", "k"))


def _time_factor(suffix: str, unit: str) -> float | None:
    base = {"s": 1.0, "h": 3600.0, "day": 86400.0, "year": 365.25 * 86400.0}.get(unit)
    word = suffix.casefold()
    seconds = _SECONDS.get(word, _SECONDS.get(word.removesuffix("s"), _SECONDS.get(word.removesuffix("urs") + "ur")))
    return None if base is None or seconds is None else seconds / base


def _money_factor(suffix: str, unit: str) -> float | None:
    if not unit.startswith("USD"):
        return None
    found = _DOLLARS.fullmatch(suffix)
    if found is None:
        return None
    per = re.sub(r"\s+", "", found["per"] or "")
    if unit == "USD/GPU-h":
        return 1.0 if not found["scale"] and (not per or _PER_HOUR.fullmatch(per)) else None
    return _COUNT.get(found["scale"] or "") if not per or f"USD{per}" == unit else None


def _power_factor(suffix: str, unit: str) -> float | None:
    found = re.fullmatch(r"([kKMG]?)W", suffix)
    return None if unit not in ("W", "W/GPU") or found is None else _PREFIX[found[1]]


def _energy_factor(suffix: str, unit: str) -> float | None:
    found = re.fullmatch(r"(k|M|G|T|kilo|mega|giga|tera|)(?:Wh|watt[- ]?hours?)", suffix)
    return None if unit != "kWh" or found is None else _PREFIX[found[1] if len(found[1]) < 2 else found[1][0].upper()] / 1e3


def _carbon_factor(suffix: str, unit: str) -> float | None:
    """Factor of a mass of carbon dioxide: kg, t, kt and Mt, with or without "eq"."""
    found = re.fullmatch(r"(?:(k|M)?(t|g)|(tons?|tonnes?))\s*(?:of\s+)?CO[2₂]-?(?:e|eq|equivalents?)?", suffix)
    if unit != "kgCO2e" or found is None:
        return None
    return _PREFIX[found[1] or ""] * (1e-3 if found[2] == "g" else 1e3)


_CHIP = r"(?:GPU|gpu|TPU|(?!CO2)[A-Z]{1,3}\d{1,4}\w*)"
_NOUNS: Mapping[str, str] = MappingProxyType(
    {
        "token": r"tok(?:en)?s?",
        "parameter": r"param(?:eter)?s",
        "sequence": r"seq(?:uence)?s?",
        "GPU": rf"(?:{_CHIP}s?(?:[- ]GPUs?)?|accelerators|chips)",
    }
    | {"GPU-h": rf"{_CHIP}(?:[- ]GPU)?[- ]?(?:hours?|hrs?|h)", "GPU-day": rf"{_CHIP}(?:[- ]GPU)?[- ]?days?"}
)
"""Unit of a count → pattern of the nouns that may follow its number."""


def _count_factor(suffix: str, unit: str, thousand: float) -> float | None:
    """Factor of a count such as ``2T`` or ``2T tokens``; None for units that have their own suffixes."""
    if unit in ("B", "B/s", "TB", "FLOP/s", "FLOP", "s", "h", "day", "year", "USD/GPU-h") or unit.startswith("USD"):
        return None
    for counted, size in ((unit, 1.0), ("GPU-day", 24.0)) if unit == "GPU-h" else ((unit, 1.0),):
        noun = _NOUNS.get(counted, f"{re.escape(unit)}s?" if unit else "")
        found = re.fullmatch(rf"([A-Za-z]*?)\s*(?:{noun})?", suffix)
        if found is not None and found[1] in _COUNT:
            return size * (thousand ** _POWERS[found[1]] if found[1] in _POWERS else _COUNT[found[1]])
    return None


_EXAMPLES = MappingProxyType(
    {"token": "2T or 15.5e12", "B": "80GB", "B/s": "3.35TB/s or 400Gb/s", "FLOP/s": "989T", "FLOP": "3.8e25", "s": "9.6s", "h": "12h"}
    | {"day": "40 days", "year": "4 years", "USD": "5.6M", "USD/GPU-h": "2.5/h", "GPU-h": "2.79M", "": "0.4 or 40%"}
    | {"W": "700W", "kWh": "1.3 GWh"}
)  # fmt: skip


def example_text(unit: str) -> str:
    """Example of a number as text, for the remedy of an error.

    >>> example_text("USD/GPU-h")
    '2.5/h'
    """
    return _EXAMPLES.get(unit, "1.5, 1.5e3 or 1.5K")
