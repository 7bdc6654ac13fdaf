"""Paths and figures as text for pictures."""

from __future__ import annotations

from collections.abc import Mapping

from ..auditing.drivers import NAMES
from ..auditing.sentences import money
from ..core.units import human

QUANTITIES: Mapping[str, tuple[str, str]] = {
    "cost": ("cost", "USD"),
    "gpu_hours": ("GPU-hours", "GPU-h"),
    "busy_gpu_hours": ("busy GPU-hours", "GPU-h"),
    "wall_days": ("time on the clock", "day"),
    "mfu": ("MFU", "1"),
}
"""Quantity of a run → its name in a sentence, and its unit."""
STATED: Mapping[str, str] = {
    "params": "parameters", "flops": "model FLOPs", "cost": "cost", "hours": "GPU-hours", "busy_hours": "busy GPU-hours",
    "step_time": "one optimizer step", "memory": "memory of a GPU", "price": "price of an hour",
}  # fmt: skip
"""Ledger of an estimate → its quantity in words."""


WRITTEN: Mapping[str, str] = {"GPU-h": "GPU-hours", "day": "days", "parameter": "parameters"}
"""Unit → text after a figure."""


def input_words(path: str) -> str:
    """An input in a word or two.

    >>> input_words("price.usd_per_gpu_hour"), input_words("phases.pretrain.efficiency.mfu"), input_words("cluster.chip.power")
    ('rent', 'MFU of pretrain', 'chip power')
    """
    return " = ".join(dict.fromkeys(map(_input, path.split(" = "))))


ENDINGS: Mapping[str, str] = {**NAMES, "efficiency.gpu_hours": "GPU-hours", "tokens": "tokens", "efficiency.seconds": "step time"}
"""Ending of a path → short name of the input."""


def _input(path: str) -> str:
    parts = path.split(".")
    named = next((name for ending, name in ENDINGS.items() if path.endswith(ending)), "")
    if named and parts[0] == "phases":
        return f"{named} of {parts[1]}"
    return named or " ".join(parts[-2:]).replace("_", " ")


def part_words(path: str) -> str:
    """A line of a ledger in words.

    >>> part_words("moe.experts.q_down")
    'moe › experts › q down'
    """
    return path.replace(".", " › ").replace("_", " ")


def amount(value: float, unit: str, digits: int = 3) -> str:
    """A figure with its unit, short enough for a label.

    >>> amount(5.87e6, "USD"), amount(77.5e9, "B"), amount(9.64, "s"), amount(671e9, "parameter"), amount(0.39, "1")
    ('$5.87M', '77.5 GB', '9.64 s', '671B parameters', '39 %')
    >>> amount(0.0, "USD"), amount(2.788e6, "GPU-h")
    ('$0', '2.79M GPU-hours')
    """
    match unit:
        case "USD":
            return money(value, digits)
        case "B":
            return f"{value / 1e9:.{digits}g} GB"
        case "1":
            return f"{100 * value:.{digits}g} %"
        case "USD/GPU-h":
            return f"${human(value, digits)}/h"
        case _:
            return f"{human(value, digits)} {WRITTEN.get(unit, unit)}".rstrip()


def short(value: float, unit: str, digits: int = 3) -> str:
    """A figure for an axis mark or a cell, without the unit's word.

    >>> short(671e9, "parameter"), short(5.87e6, "USD"), short(77.5e9, "B")
    ('671B', '$5.87M', '77.5')
    """
    match unit:
        case "USD":
            return money(value, digits)
        case "B":
            return f"{value / 1e9:.{digits}g}"
        case "1":
            return f"{100 * value:.{digits}g} %"
        case _:
            return human(value, digits)


def share_words(share: float) -> str:
    """A share in percent.

    >>> share_words(0.974), share_words(0.0004), share_words(1.0)
    ('97 %', '<0.1 %', '100 %')
    """
    percent = 100 * share
    return "<0.1 %" if 0 < percent < 0.1 else f"{percent:.1f} %" if percent < 10 else f"{percent:.0f} %"
