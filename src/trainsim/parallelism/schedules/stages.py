"""How many stages data flows through: a rank may hold several."""

from __future__ import annotations

from .orders import Schedule


def stages_of(schedule: Schedule, pp: int, vpp: int) -> int:
    """Stages that data flows through: a rank may hold several.

    >>> stages_of("interleaved", 4, 2), stages_of("dualpipe", 4, 1), stages_of("dualpipe-v", 4, 1)
    (8, 4, 8)
    """
    return pp * {"interleaved": vpp, "zero-bubble-v": 2, "dualpipe-v": 2}.get(schedule, 1)
