"""In which order each pipeline rank runs its passes: the published rules of each schedule, as data.

A pipeline has ``stages`` in the order data flows through them. A pass is a letter, a stage and a micro-batch: ``F`` forward,
``B`` the whole backward pass, ``I`` backward for inputs, ``W`` backward for weights. A slot is one pass, or two that overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from ...core.errors import SpecError, did_you_mean

Schedule = Literal["gpipe", "1f1b", "interleaved", "zero-bubble", "zero-bubble-v", "dualpipe", "dualpipe-v"]
"""How forward and backward passes are ordered in a pipeline."""

Letter = Literal["F", "B", "I", "W"]


class Pass(NamedTuple):
    """One pass of one micro-batch through one stage."""

    letter: Letter
    stage: int
    micro_batch: int


Slot = tuple[Pass, ...]
"""One pass, or a forward and a backward pass that overlap."""


@dataclass(frozen=True)
class Order:
    """What each rank runs, first to last.

    Args:
        schedule: the rule it came from.
        stages: stages that data flows through; rank ``r`` may hold several.
        micro_batches: per step.
        slots: rank → its slots in order.
    """

    schedule: Schedule
    stages: int
    micro_batches: int
    slots: tuple[tuple[Slot, ...], ...]

    @property
    def ranks(self) -> int:
        """Pipeline ranks."""
        return len(self.slots)


def check_schedule(schedule: str, pp: int, vpp: int, micro_batches: int) -> None:
    """Whether a schedule's rule can order so many micro-batches on so many stages.

    Raises:
        SpecError: names the rule and the nearest values that would do.
    """
    if schedule not in get_args(Schedule):
        raise SpecError("plan.schedule", schedule, "is no schedule", did_you_mean(schedule, get_args(Schedule)), "unknown-name")
    chunks = CHUNKS.get(schedule, 1)
    if schedule == "interleaved":
        if vpp < 2:
            raise SpecError("plan.vpp", vpp, "interleaved needs several stages to a rank", "give vpp >= 2, or schedule='1f1b'", "conflict")
        if micro_batches % pp:
            low = micro_batches // pp * pp
            near = ", ".join(str(n) for n in (low, low + pp) if n)
            raise SpecError("micro-batches", micro_batches, f"interleaved needs a multiple of pp={pp}", f"nearest: {near}", "conflict")
    elif vpp != chunks and not (vpp == 1 and chunks == 2):
        raise SpecError(
            "plan.vpp", vpp, f"{schedule} has {chunks} stages to a rank", f"set vpp={chunks}, or schedule='interleaved'", "conflict"
        )
    if schedule == "dualpipe" and pp % 2:
        raise SpecError(
            "plan.pp", pp, "dualpipe feeds both ends and needs an even number of ranks", f"nearest: {pp - 1 or 2}, {pp + 1}", "conflict"
        )
    least = {"dualpipe": 2 * pp, "dualpipe-v": 2 * pp, "zero-bubble-v": 2 * pp - 1}.get(schedule, 1)
    if micro_batches < least:
        raise SpecError(
            "micro-batches", micro_batches, f"{schedule} at pp={pp} needs at least {least}", "more batch, or less dp", "conflict"
        )
    if schedule == "dualpipe" and micro_batches % 2:
        raise SpecError(
            "micro-batches",
            micro_batches,
            "dualpipe feeds both ends alike",
            f"nearest: {micro_batches - 1}, {micro_batches + 1}",
            "conflict",
        )


CHUNKS = {"dualpipe": 2, "dualpipe-v": 2, "zero-bubble-v": 2}
"""Stages that a rank holds where the schedule fixes it: DualPipe keeps two copies of the pipeline, the V schedules fold it once."""


@lru_cache(maxsize=256)
def order(schedule: Schedule, pp: int, micro_batches: int, vpp: int = 1) -> Order:
    """The order a schedule's published rule gives.

    Args:
        schedule: which rule.
        pp: pipeline ranks.
        micro_batches: per step, both ends together for DualPipe.
        vpp: stages to a rank, for interleaved.

    Raises:
        SpecError: the rule can't order that many.

    Source: one function a rule below.

    >>> [p.letter + str(p.micro_batch) for (p,) in order("1f1b", 2, 3).slots[0]]
    ['F0', 'F1', 'B0', 'F2', 'B1', 'B2']
    """
    check_schedule(schedule, pp, vpp, micro_batches)
    rule = {
        "gpipe": _gpipe, "1f1b": _interleaved, "interleaved": _interleaved, "zero-bubble": _zero_bubble,
        "zero-bubble-v": _zero_bubble_v, "dualpipe": _dualpipe, "dualpipe-v": _dualpipe_v,
    }[schedule]  # fmt: skip
    stages = pp * {"interleaved": vpp, "zero-bubble-v": 2, "dualpipe-v": 2}.get(schedule, 1)
    return Order(schedule, stages, micro_batches, tuple(tuple(rule(rank, pp, micro_batches, vpp)) for rank in range(pp)))


def _gpipe(rank: int, pp: int, m: int, vpp: int) -> Iterator[Slot]:
    """All forward, then all backward (Huang et al. 2019, arXiv:1811.06965, section 2.3)."""
    del pp, vpp
    yield from ((Pass("F", rank, n),) for n in range(m))
    yield from ((Pass("B", rank, n),) for n in range(m))


def _interleaved(rank: int, pp: int, m: int, vpp: int) -> Iterator[Slot]:
    """Warm-up, one forward and one backward in turn, cool-down; chunks change every ``pp`` micro-batches.

    Narayanan et al. 2021 (arXiv:2104.04473), sections 2.2.1-2.2.2; Megatron-LM ``schedules.py``. One chunk is plain 1F1B.
    """
    units = m * vpp
    warm_up = min(units, pp - 1 - rank if vpp == 1 else 2 * (pp - 1 - rank) + (vpp - 1) * pp)

    def unit(k: int) -> tuple[int, int]:  # (chunk, micro-batch) of the k-th forward pass
        return (k // pp % vpp, k // (pp * vpp) * pp + k % pp) if vpp > 1 else (0, k)

    def forward(k: int) -> Slot:
        chunk, n = unit(k)
        return (Pass("F", chunk * pp + rank, n),)

    def backward(k: int) -> Slot:
        chunk, n = unit(k)
        return (Pass("B", (vpp - 1 - chunk) * pp + rank, n),)

    yield from (forward(k) for k in range(warm_up))
    for k in range(units - warm_up):
        yield forward(k + warm_up)
        yield backward(k)
    yield from (backward(k) for k in range(units - warm_up, units))


def _zero_bubble(rank: int, pp: int, m: int, vpp: int) -> Iterator[Slot]:
    """ZB-H1: 1F1B whose weight passes lag by as many micro-batches as ranks come before, so that every rank holds ``pp``.

    Qi et al. 2024 (arXiv:2401.10241), section 2.1.1, figure 2; the lag as in PyTorch ``pipelining/schedules.py``.
    """
    del vpp
    warm_up = min(m, pp - 1 - rank)
    yield from ((Pass("F", rank, n),) for n in range(warm_up))
    for n in range(m):
        if n + warm_up < m:
            yield (Pass("F", rank, n + warm_up),)
        yield (Pass("I", rank, n),)
        if n >= rank:
            yield (Pass("W", rank, n - rank),)
    yield from ((Pass("W", rank, n),) for n in range(max(0, m - rank), m))


def _zero_bubble_v(rank: int, pp: int, m: int, vpp: int) -> Iterator[Slot]:
    """ZB-V: two chunks a rank in a V, weight passes right behind input passes until the tail (Qi et al. 2024, section 6, figure 6)."""
    del vpp
    near, far = rank, 2 * pp - 1 - rank
    done = {(letter, stage): 0 for letter in "FIW" for stage in (near, far)}

    def run(letter: Letter, stage: int) -> Slot:
        n = done[letter, stage]
        done[letter, stage] += 1
        return (Pass(letter, stage, n),)

    yield from (run("F", near) for _ in range(2 * (pp - rank) - 1))
    for _ in range(rank):
        yield run("F", far)
        yield run("F", near)
    for _ in range(pp - rank):
        yield from (run("F", far), run("I", far), run("W", far))
    while done["F", far] < m:
        if done["F", near] < m:
            yield run("F", near)
        yield from (run("I", near), run("W", near), run("F", far), run("I", far), run("W", far))
    for _ in range(rank):
        yield from (run("I", near), run("I", far))
    for _ in range(pp - rank):
        yield from (run("I", near), run("W", near))
    yield from (run("W", far) for _ in range(m - done["W", far]))
    yield from (run("W", near) for _ in range(m - done["W", near]))


def _dualpipe(rank: int, pp: int, m: int, vpp: int) -> Iterator[Slot]:
    """DualPipe: micro-batches enter at both ends of two copies of the pipeline; the first half of them goes forward in rank.

    DeepSeek-V3 (arXiv:2412.19437), section 3.2.1, figure 5; the order as in the released ``dualpipe.py``.
    """
    del vpp
    half = m // 2
    from_end = rank >= pp // 2  # the second half of the ranks mirrors the first
    stages = (rank, pp - 1 - rank)
    firsts = (0, half)
    sides = [(stages[i], firsts[i]) for i in ((1, 0) if from_end else (0, 1))]
    yield from _from_both_ends(min(rank, pp - 1 - rank), pp // 2, half, sides)


def _dualpipe_v(rank: int, pp: int, m: int, vpp: int) -> Iterator[Slot]:
    """DualPipeV: DualPipe cut in half, its two copies folded into one V (released ``dualpipev.py``; Qi et al., "Cut-in-half")."""
    del vpp
    yield from _from_both_ends(rank, pp, m, [(rank, 0), (2 * pp - 1 - rank, 0)])


def _from_both_ends(place: int, ranks: int, each: int, sides: list[tuple[int, int]]) -> Iterator[Slot]:
    """The eight steps of DualPipe on the rank ``place`` of ``ranks`` from an end, ``each`` micro-batches a side.

    ``sides`` holds the stage and the first micro-batch of side 0, which enters at the nearer end, and of side 1.
    """
    done: dict[tuple[str, int], int] = {}
    lagging: list[Pass] = []

    def run(letter: Letter, side: int) -> Pass:
        key = ("F" if letter == "F" else "B", side)
        n = done.get(key, 0)
        done[key] = n + 1
        made = Pass(letter, sides[side][0], sides[side][1] + n)
        if letter == "I":
            lagging.append(made._replace(letter="W"))
        return made

    beyond, here = ranks - place - 1, place + 1
    yield from ((run("F", 0),) for _ in range(2 * beyond))
    for _ in range(here):
        yield (run("F", 0),)
        yield (run("F", 1),)
    for _ in range(beyond):
        yield (run("I", 1),)
        yield (lagging.pop(0),)
        yield (run("F", 1),)
    for i in range(each - 2 * ranks + here):
        if i == 0 and beyond == 0:  # the innermost rank doesn't overlap its first pair: waiting for both would cost more
            yield (run("F", 0),)
            yield (run("B", 1),)
        else:
            yield (run("F", 0), run("B", 1))
        yield (run("F", 1), run("B", 0))
    for _ in range(beyond):
        yield (run("B", 1),)
        yield (run("F", 1), run("B", 0))
    for i in range(2 * here):
        yield (run("I" if i >= here // 2 * 2 + 1 - place % 2 else "B", 1 - i % 2),)
    for _ in range(beyond):
        yield (lagging.pop(0),)
        yield (run("I", 0),)
    yield from ((w,) for w in lagging)
