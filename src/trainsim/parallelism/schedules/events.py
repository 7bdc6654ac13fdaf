"""Event simulation of a pipeline: a slot starts when its rank is free and its inputs have arrived."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import SpecError
from ...core.units import Num
from .graph import Graph, end_times, graph_of
from .passes import Order, Slot

Seconds = NDArray[np.float64]


@dataclass(frozen=True)
class Times:
    """Time of each pass of one micro-batch by stage; each ``(stages,)``, or ``(stages, n)`` for draws [s].

    Stages with equal times may share a row: give ``(rows,)`` or ``(rows, n)``, and ``row``.

    Args:
        forward: forward pass [s].
        inputs, weights: backward pass for inputs and for weights; the whole backward pass is their sum [s].
        pair: two overlapped passes, a forward pass and a backward pass of the rank's other stage, indexed by the stage of the forward pass;
            None if a pair takes the sum of its passes [s].
        row: row of each stage; None if every stage has its own.

    >>> one = np.ones(2)
    >>> Times(forward=one, inputs=one, weights=one).stages
    2
    """

    forward: Seconds
    inputs: Seconds
    weights: Seconds
    pair: Seconds | None = None
    row: NDArray[np.intp] | None = field(default=None, kw_only=True)

    @cached_property
    def by_stage(self) -> Times:
        """The same times with one row per stage.

        >>> Times(*(np.array([1.0, 2.0]),) * 3, row=np.array([0, 1, 1])).by_stage.forward
        array([1., 2., 2.])
        """
        if self.row is None:
            return self
        pair = None if self.pair is None else self.pair[self.row]
        return Times(self.forward[self.row], self.inputs[self.row], self.weights[self.row], pair)

    def slot_seconds(self, graph: Graph) -> Seconds:
        """Time of each kind of slot in a graph, ``(kinds,)`` or ``(kinds, n)`` [s]."""
        first, second, paired = graph.rows
        of = self.by_stage
        pair = of.forward if of.pair is None else of.pair
        each = np.broadcast_arrays(of.forward, of.inputs, of.weights, of.inputs + of.weights, pair)
        table = np.concatenate([*each, np.zeros((1, *each[0].shape[1:]))])
        seconds: Seconds = table[first] + table[second] if self.pair is None else table[paired]
        return seconds

    def broadcast_with(self, *others: Num) -> Times:
        """These times with a column axis added if another number is an array, so that both broadcast."""
        if self.forward.ndim > 1 or not any(np.ndim(other) for other in others):
            return self
        pair = None if self.pair is None else self.pair[:, None]
        return Times(self.forward[:, None], self.inputs[:, None], self.weights[:, None], pair, row=self.row)

    def on(self, stages: int) -> Times:
        """These times repeated for a number of stages, if one row stands for uniform stages.

        >>> one = np.ones(1)
        >>> Times(one, one, one).on(3).forward
        array([1., 1., 1.])
        """
        if self.stages == stages:
            return self
        f, i, w = (np.broadcast_to(each, (stages, *np.shape(each)[1:])) for each in (self.forward, self.inputs, self.weights))
        return Times(f, i, w, None if self.pair is None else np.broadcast_to(self.pair, (stages, *np.shape(self.pair)[1:])))

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.forward if self.row is None else self.row)

    @cached_property
    def distinct(self) -> tuple[Seconds, Times]:
        """The distinct times, ``(rows, n)``, and the times of the stages as indicator matrices over those rows, each ``(stages, rows)``.

        >>> two, units = Times(*(np.array([[1.0, 2.0], [1.0, 2.0]]),) * 2, np.array([[3.0, 4.0], [5.0, 6.0]])).distinct
        >>> two.tolist(), units.weights.tolist()
        ([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        """
        parts = [self.forward, self.inputs, self.weights, *([] if self.pair is None else [self.pair])]
        rows = [row for part in np.broadcast_arrays(*parts) for row in part]
        candidates: dict[tuple[float, float], list[int]] = {}  # (first, last element) → distinct rows that share them
        unique: list[Seconds] = []
        number = []
        for row in rows:
            found = candidates.setdefault((float(row[0]), float(row[-1])), [])
            same = next((k for k in found if np.array_equal(unique[k], row)), None)
            if same is None:
                found.append(len(unique))
                unique.append(row)
            number.append(len(unique) - 1 if same is None else same)
        units = np.eye(len(unique))[number].reshape(len(parts), -1, len(unique))
        return np.array(unique), Times(*(units if self.row is None else units[:, self.row]))


@dataclass(frozen=True)
class Bar:
    """One slot of a rank with start and end [s]; ``label`` names its passes, ``"F3"`` or ``"F7·B2"``."""

    rank: int
    slot: Slot
    start: Num
    end: Num

    @property
    def label(self) -> str:
        """Letters and micro-batches of its passes."""
        return "·".join(f"{part.letter}{part.micro_batch}" for part in self.slot)


@dataclass(frozen=True)
class Timeline:
    """Start and end of every slot of a step.

    Args:
        order: the order of the slots.
        bars: slots with start and end, rank by rank.
    """

    order: Order
    bars: tuple[Bar, ...]

    @property
    def seconds(self) -> Num:
        """Time from the first start to the last end [s]."""
        last: Num = np.maximum.reduce(np.broadcast_arrays(*(bar.end for bar in self.bars)))
        return last

    def busy(self, rank: int) -> Num:
        """Busy time of a rank [s]."""
        return sum((bar.end - bar.start for bar in self.bars if bar.rank == rank), start=0.0)

    def bubble(self, rank: int) -> Num:
        """Idle time of a rank, its wait for slower ranks included [s]."""
        return self.seconds - self.busy(rank)

    def to_chrome_trace(self, path: str | Path) -> Path:
        """Write the timeline as a Chrome trace for Perfetto or chrome://tracing, with a track per rank and an event per slot.

        Args:
            path: path of the JSON file.

        Returns:
            the path; times in the file are in microseconds, as the format requires.

        Raises:
            SpecError: the timeline holds arrays of draws.

        Source: Google, Trace Event Format: complete events ("X") and metadata events ("M").

        >>> import json, tempfile
        >>> from trainsim.parallelism.schedules.discovery import schedule_of
        >>> from trainsim.parallelism.schedules.schedule import slot_order
        >>> one = np.ones(2)
        >>> made = timeline(slot_order(schedule_of("1f1b"), 2, 3), Times(one, one, one))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     events = json.loads(made.to_chrome_trace(folder + "/step.json").read_text())["traceEvents"]
        >>> len([e for e in events if e["ph"] == "X"]), len(made.bars)
        (12, 12)
        """
        if any(np.size(bar.end) > 1 for bar in self.bars):
            raise SpecError(
                "timeline",
                np.size(self.bars[0].end),
                "draws per event can't be written: a trace has one time per event",
                "give scalar times",
                "conflict",
            )
        ranks = sorted({bar.rank for bar in self.bars})
        events: list[dict[str, Any]] = [
            {"ph": "M", "name": "process_name", "pid": 0, "args": {"name": "pipeline"}},
            *({"ph": "M", "name": "thread_name", "pid": 0, "tid": rank, "args": {"name": f"rank {rank}"}} for rank in ranks),
            *(_event(bar) for bar in self.bars),
        ]
        file = Path(path)
        file.write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}) + "\n", encoding="utf-8")
        return file


COLOURS = {"F": "good", "B": "rail_response", "I": "rail_response", "W": "rail_animation", "FB": "thread_state_running"}
"""Letters of a slot's passes → colour name of the trace viewer."""
MICROSECONDS = 1e6
"""Microseconds per second."""


def _event(bar: Bar) -> dict[str, Any]:
    """A slot as a complete event of a Chrome trace."""
    start, end = (float(np.asarray(t).reshape(-1)[0]) * MICROSECONDS for t in (bar.start, bar.end))
    letters = "".join(part.letter for part in bar.slot)
    stages = [{"pass": part.letter, "micro_batch": part.micro_batch, "stage": part.stage} for part in bar.slot]
    return {
        "ph": "X", "name": bar.label, "cat": letters, "cname": COLOURS.get(letters, "generic_work"), "pid": 0, "tid": bar.rank,
        "ts": start, "dur": end - start, "args": {"passes": stages},
    }  # fmt: skip


def timeline(order: Order, times: Times, delay: Num = 0.0) -> Timeline:
    """Simulate an order: a slot starts when its rank is free and the inputs of its passes have arrived.

    A forward pass needs the forward pass of the stage before; a backward pass needs that of the stage after, or its own forward pass at
    the last stage; a weight pass needs its input pass. A message between ranks takes ``delay`` and blocks neither of them.

    Args:
        order: from :func:`~.schedule.slot_order`.
        times: time of each pass [s].
        delay: time of a message between ranks [s].

    Returns:
        the timeline; starts and ends broadcast over draws.

    Raises:
        SpecError: ``times`` has another number of stages.

    >>> from trainsim.parallelism.schedules.discovery import schedule_of
    >>> from trainsim.parallelism.schedules.schedule import slot_order
    >>> one = np.ones(2)
    >>> float(timeline(slot_order(schedule_of("1f1b"), 2, 3), Times(one, one, one)).seconds)  # (m + p − 1)(f + b + w)
    12.0
    """
    if times.stages != order.stages:
        raise SpecError(
            "times", times.stages, f"is not the number of stages, {order.stages}", "give one time per stage, in data-flow order", "conflict"
        )
    graph = graph_of(order)
    seconds = times.slot_seconds(graph)
    ended = end_times(graph, seconds, np.asarray(delay, dtype=np.float64))
    bars: list[Bar] = []
    for rank, slots in enumerate(order.slots):
        for k, slot in enumerate(slots):
            end = ended[graph.number[rank][k]]
            bars.append(Bar(rank, slot, end - seconds[graph.kind[graph.number[rank][k]]], end))
    return Timeline(order, tuple(bars))
