"""Read a figure as it is published: ``$6M``, ``at least 500M``, ``2M to 5M``, ``2.788M H800 hours``, ``1,287 MWh``."""

from __future__ import annotations

import re
from typing import Any

from ..core.errors import SpecError, did_you_mean
from ..core.quantities import parse_number
from .claim import CURRENCIES, DIMENSIONS, Bound

USUAL = ("cost", "gpu_hours", "gpus", "wall_days", "energy", "carbon", "tokens", "params", "mfu", "flops", "experts", "layers")
"""Quantities in the order in which a figure's unit is tried; a number without a unit is a cost in dollars."""
_BOUNDS: tuple[tuple[Bound, str], ...] = (
    ("at least", r"(?:at least|more than|over|above|no less than|>=?|≥)\s*"),
    ("at most", r"(?:at most|less than|under|below|up to|no more than|<=?|≤)\s*"),
)
_ABOUT = re.compile(r"(?:about|around|roughly|approximately|approx\.?|some|nearly|almost|circa|ca\.|~|≈)\s*", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:\.\.+|…|–|—|\bto\b|(?<=[\dkKMBT%])-(?=[$€£]?\d))\s*")
_NAMED = re.compile(r"\s+(mfu)$", re.IGNORECASE)
"""A ratio has no unit: the name of its quantity follows the number, "40% MFU"."""
_WORDS = re.compile(r"^[$€£]?\s*[\d,._]+(?:[eE][+-]?\d+)?\s*(.*)$")


def typed_figure(text: str, quantity: str = "", path: str = "--claim") -> dict[str, Any]:
    """The fields of a claim that a typed figure gives: quantity, value or range, unit, bound, about.

    Args:
        text: the figure, with its unit if it is not in dollars; bounds and ranges are read.
        quantity: what the figure measures; by default what its unit measures, and cost for a number without a unit.
        path: path of the figure, for errors.

    Raises:
        SpecError: no such quantity, or the text is not a figure of it.

    >>> typed_figure("at least 30.84M GPU-hours")
    {'quantity': 'gpu_hours', 'value': 30840000.0, 'unit': 'GPU-h', 'bound': 'at least'}
    >>> typed_figure("46.2% MFU")
    {'quantity': 'mfu', 'value': 0.462, 'unit': ''}
    >>> typed_figure("$2M to 5M"), typed_figure("35M RMB")
    ({'quantity': 'cost', 'low': 2000000.0, 'high': 5000000.0, 'unit': 'USD'}, {'quantity': 'cost', 'value': 35000000.0, 'unit': 'RMB'})
    """
    if quantity and quantity not in DIMENSIONS:
        raise SpecError("--quantity", quantity, "is not a quantity of a claim", did_you_mean(quantity, DIMENSIONS), "unknown-name")
    rest, bound = _without_bound(text.strip())
    bare = _ABOUT.sub("", rest, count=1) if _ABOUT.match(rest) else rest
    if not quantity and (named := _NAMED.search(bare)):
        quantity, bare, rest = named[1].lower(), bare[: named.start()], rest[: len(rest) - len(named[0])]
    kind = quantity or _quantity_of(bare)
    unit = "" if DIMENSIONS[kind] == "1" else DIMENSIONS[kind]
    money = next((code for code in CURRENCIES if code in bare), "") if unit == "USD" else ""
    ends = [parse_number(part, unit, path) for part in _parts(bare.replace(money, "") if money else bare)]
    if len(ends) > 1 and (len(ends) > 2 or bound or not ends[0] <= ends[1]):
        raise SpecError(path, text, "is not a range", "write 2M..5M, the lower end first", "wrong-type")
    figure = {"value": ends[0]} if len(ends) == 1 else {"low": ends[0], "high": ends[1]}
    said: dict[str, Any] = {"bound": bound} if bound else {}
    return {"quantity": kind, **figure, "unit": money or unit, **said} | ({"about": True} if bare != rest else {})


def _without_bound(text: str) -> tuple[str, Bound]:
    for bound, words in _BOUNDS:
        if found := re.match(words, text, re.IGNORECASE):
            return text[found.end() :], bound
    return (text[:-1].rstrip(), "at least") if text.endswith("+") else (text, "")


def _quantity_of(text: str) -> str:
    """The first quantity whose unit fits the words after the number; cost if none fits, so that the error names dollars."""
    found = _WORDS.match(_RANGE.split(text)[-1])
    if found is None or any(code in text for code in CURRENCIES):
        return "cost"
    for quantity in USUAL:
        unit = DIMENSIONS[quantity]
        try:
            parse_number(f"1 {found[1]}", "" if unit == "1" else unit)
        except SpecError:
            continue
        return quantity
    return "cost"


def _parts(text: str) -> list[str]:
    """The numbers of a range; a number without scale and unit takes those of the last: ``2-5M`` → ``2M``, ``5M``."""
    parts = _RANGE.split(text)
    last = _WORDS.match(parts[-1])
    words = last[1] if last else ""
    return [f"{part} {words}" if words and (own := _WORDS.match(part)) and not own[1] else part for part in parts]
