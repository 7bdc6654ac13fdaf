"""The timeline of a pipeline, by events: every slot starts when its rank is free and what it needs has arrived."""

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
from .graph import Graph, ends, graph_of
from .passes import Order, Slot

Seconds = NDArray[np.float64]


@dataclass(frozen=True)
class Times:
    """Seconds of each pass of one micro-batch, by stage; each ``(stages,)``, or ``(stages, n)`` for draws.

    Many stages that share their times may be given as few rows, ``(rows,)`` or ``(rows, n)``, and the row of each.

    Args:
        forward: forward pass [s].
        inputs, weights: backward pass for inputs and for weights; the whole backward pass is their sum [s].
        pair: a forward pass overlapped with a backward pass of the rank's other stage, by the stage of the forward pass;
            None where overlapping gains nothing: forward plus backward [s].
        row: row of each stage; None where every stage has its own.

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
        """The same with one row a stage.

        >>> Times(*(np.array([1.0, 2.0]),) * 3, row=np.array([0, 1, 1])).by_stage.forward
        array([1., 2., 2.])
        """
        if self.row is None:
            return self
        pair = None if self.pair is None else self.pair[self.row]
        return Times(self.forward[self.row], self.inputs[self.row], self.weights[self.row], pair)

    def of_kinds(self, graph: Graph) -> Seconds:
        """Seconds of each kind of slot in a graph, ``(kinds,)`` or ``(kinds, n)``."""
        first, second, paired = graph.rows
        of = self.by_stage
        pair = of.forward if of.pair is None else of.pair
        each = np.broadcast_arrays(of.forward, of.inputs, of.weights, of.inputs + of.weights, pair)
        table = np.concatenate([*each, np.zeros((1, *each[0].shape[1:]))])
        seconds: Seconds = table[first] + table[second] if self.pair is None else table[paired]
        return seconds

    def beside(self, *others: Num) -> Times:
        """The same times, ready to meet arrays of draws: one time a stage becomes a column where another number is an array."""
        if self.forward.ndim > 1 or not any(np.ndim(other) for other in others):
            return self
        pair = None if self.pair is None else self.pair[:, None]
        return Times(self.forward[:, None], self.inputs[:, None], self.weights[:, None], pair, row=self.row)

    def on(self, stages: int) -> Times:
        """The same for so many stages, where one row stands for uniform ones.

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
        """Stages that data flows through."""
        return len(self.forward if self.row is None else self.row)

    @cached_property
    def distinct(self) -> tuple[Seconds, Times]:
        """The times that differ from each other, ``(rows, n)``, and those of all stages in units of these, ``(stages, rows)`` each.

        Stages with the same layers share their times.

        >>> two, units = Times(*(np.array([[1.0, 2.0], [1.0, 2.0]]),) * 2, np.array([[3.0, 4.0], [5.0, 6.0]])).distinct
        >>> two.tolist(), units.weights.tolist()
        ([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        """
        parts = [self.forward, self.inputs, self.weights, *([] if self.pair is None else [self.pair])]
        rows = [row for part in np.broadcast_arrays(*parts) for row in part]
        alike: dict[tuple[float, float], list[int]] = {}  # rows that start and end alike
        kept: list[Seconds] = []
        number = []
        for row in rows:
            found = alike.setdefault((float(row[0]), float(row[-1])), [])
            same = next((k for k in found if np.array_equal(kept[k], row)), None)
            if same is None:
                found.append(len(kept))
                kept.append(row)
            number.append(len(kept) - 1 if same is None else same)
        units = np.eye(len(kept))[number].reshape(len(parts), -1, len(kept))
        return np.array(kept), Times(*(units if self.row is None else units[:, self.row]))


@dataclass(frozen=True)
class Bar:
    """One slot in time: what a rank runs from start to end [s]; ``label`` names its passes, ``"F3"`` or ``"F7·B2"``."""

    rank: int
    slot: Slot
    start: Num
    end: Num

    @property
    def label(self) -> str:
        """Letters and micro-batches."""
        return "·".join(f"{part.letter}{part.micro_batch}" for part in self.slot)


@dataclass(frozen=True)
class Timeline:
    """Every slot of a step in time, ready to draw.

    Args:
        order: what was run.
        bars: each slot with its start and end, rank by rank.
    """

    order: Order
    bars: tuple[Bar, ...]

    @property
    def seconds(self) -> Num:
        """First start to last end [s]."""
        last: Num = np.maximum.reduce(np.broadcast_arrays(*(bar.end for bar in self.bars)))
        return last

    def busy(self, rank: int) -> Num:
        """Seconds a rank works [s]."""
        return sum((bar.end - bar.start for bar in self.bars if bar.rank == rank), start=0.0)

    def bubble(self, rank: int) -> Num:
        """Seconds a rank stands idle in the step, its wait for slower ranks included [s]."""
        return self.seconds - self.busy(rank)

    def to_chrome_trace(self, path: str | Path) -> Path:
        """Write the timeline as a Chrome trace, which Perfetto and chrome://tracing open: a track a rank, an event a slot.

        Args:
            path: of the JSON file.

        Returns:
            the file's path; times in it are in microseconds, as the format has them.

        Raises:
            SpecError: starts and ends that are arrays of draws.

        Source: Google, Trace Event Format: complete events ("X") and metadata events ("M").

        >>> import json, tempfile
        >>> from trainsim.parallelism.schedules.known import schedule_of
        >>> from trainsim.parallelism.schedules.schedule import order
        >>> one = np.ones(2)
        >>> made = timeline(order(schedule_of("1f1b"), 2, 3), Times(one, one, one))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     events = json.loads(made.to_chrome_trace(folder + "/step.json").read_text())["traceEvents"]
        >>> len([e for e in events if e["ph"] == "X"]), len(made.bars)
        (12, 12)
        """
        if any(np.size(bar.end) > 1 for bar in self.bars):
            raise SpecError(
                "timeline",
                np.size(self.bars[0].end),
                "holds draws, and a trace has one time an event",
                "give times of one draw",
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
"""Letters of a slot's passes → a colour of the trace viewer's palette."""
MICROSECONDS = 1e6
"""Of a second."""


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
    """Runs an order: a slot starts when its rank is free and what its passes need has arrived.

    A forward pass needs the one of the stage before, a backward pass that of the stage after (at the last stage, its own forward
    pass), a weight pass its own input pass. What crosses ranks takes ``delay`` on the way and blocks nobody.

    Args:
        order: from :func:`order`.
        times: seconds of each pass.
        delay: between ranks [s].

    Returns:
        the timeline; starts and ends broadcast over draws.

    Raises:
        SpecError: times for another number of stages.

    >>> from trainsim.parallelism.schedules.known import schedule_of
    >>> from trainsim.parallelism.schedules.schedule import order
    >>> one = np.ones(2)
    >>> float(timeline(order(schedule_of("1f1b"), 2, 3), Times(one, one, one)).seconds)  # (m + p − 1)(f + b + w)
    12.0
    """
    if times.stages != order.stages:
        raise SpecError(
            "times", times.stages, f"are not for {order.stages} stages", "give one time a stage, in the order data flows", "conflict"
        )
    graph = graph_of(order)
    seconds = times.of_kinds(graph)
    ended = ends(graph, seconds, np.asarray(delay, dtype=np.float64))
    bars: list[Bar] = []
    for rank, slots in enumerate(order.slots):
        for k, slot in enumerate(slots):
            end = ended[graph.number[rank][k]]
            bars.append(Bar(rank, slot, end - seconds[graph.kind[graph.number[rank][k]]], end))
    return Timeline(order, tuple(bars))
