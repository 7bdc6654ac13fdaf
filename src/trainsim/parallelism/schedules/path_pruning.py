"""Prune the event graph of a step for many draws: remove the paths that are never the longest in a box around the draws. A path is a vector
that counts how often the path contains each distinct time. The critical path is the longest path at the center of the box. The slack of
another path is the critical path's length minus its own. Slack is linear in the times, so its minimum over the box has a closed form. Of
two paths between the same nodes, the one whose slack is nowhere smaller is removed. A path is also removed if its slack is positive
everywhere in the box.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .graph import Graph

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]
Term = tuple[int, int]
"""(index of an earlier step, index of a vector): the slack of that step, plus the vector times the draws."""
START = -1
"""Index of the node at which paths start."""


@dataclass(frozen=True, eq=False)
class Box:
    """A box around draws, aligned with their principal axes.

    Args:
        center: center of the box, ``(rows,)``.
        axes: principal axes of the draws, ``(rows, rows)``.
        reach: half the width of the box along each axis, ``(rows,)``.
    """

    center: Array
    axes: Array
    reach: Array

    def least(self, vectors: Array) -> Array:
        """Minimum of ``vectors · x`` over the box, ``(…, rows) → (…)``."""
        least: Array = vectors @ self.center - np.abs(vectors @ self.axes) @ self.reach
        return least


def bounding_box(times: Array) -> Box:
    """The box around draws ``(rows, n)``, each scaled to sum to one, since the scale does not affect which path is longest."""
    shares = times / times.sum(axis=0)
    _, axes = np.linalg.eigh(np.atleast_2d(np.cov(shares)))
    along = axes.T @ shares
    low, high = along.min(axis=1), along.max(axis=1)
    return Box(axes @ (low + high) / 2, axes, (high - low) / 2)


# the graph ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TimeExpandedGraph:
    """Event graph with two nodes per slot. Every path adds the time of the further periods once: one node is before this, one after it.

    Args:
        slot: slot of each node.
        before: predecessors of each node, ``(nodes, 4)``. The fourth is the same slot before the addition. The index after the last node is
            the start.
        there: which of these predecessors exist.
        crosses: which of them are on another rank.
        levels: nodes by level.
        last: nodes without successors.
    """

    slot: Index
    before: Index
    there: Mask
    crosses: Mask
    levels: tuple[slice, ...]
    last: Index


def merge_identical_slots(graph: Graph, pays: tuple[int, ...]) -> Index:
    """For each slot, the first slot that always ends at the same time, ``(slots + 1,)``. Such slots have equal times and equivalent
    predecessors.

    In a schedule that is symmetric in both ends of the pipeline, such as DualPipe, every slot occurs twice.

    Args:
        graph: the event graph.
        pays: index of the time vector of each slot.
    """
    nothing = len(graph.kind)
    known: dict[tuple[int, frozenset[tuple[int, bool]]], int] = {}
    first: list[int] = []
    for i, (pay, before, crosses) in enumerate(zip(pays, graph.before.tolist(), graph.crosses.tolist(), strict=True)):
        awaited = frozenset((first[other], away) for other, away in zip(before, crosses, strict=True) if other != nothing)
        first.append(known.setdefault((pay, awaited), i))
    return np.array([*first, nothing])


@lru_cache(maxsize=64)
def time_expanded_graph(graph: Graph, pays: tuple[int, ...], layers: int) -> TimeExpandedGraph:
    """Nodes for the distinct slots of an event graph, in one or two layers; ``pays`` as for :func:`merge_identical_slots`.

    The second layer holds the slots after the addition of the further periods. It is shifted by one level, so that the nodes of a level are
    contiguous.
    """
    first = merge_identical_slots(graph, pays)
    kept, at = np.unique(first, return_inverse=True)
    kept = kept[:-1]
    slots = len(kept)
    waited, crossing = at[graph.before[kept]], graph.crosses[kept]
    level = np.searchsorted(np.array([start for start, _ in graph.levels]), kept, side="right") - 1
    depth = np.concatenate([level + layer for layer in range(layers)])
    order = np.argsort(depth, kind="stable")
    place = np.empty(layers * slots + 1, dtype=np.intp)
    place[order], place[-1] = np.arange(layers * slots), layers * slots
    before = np.full((layers * slots, 4), layers * slots)
    there, crosses = np.zeros(before.shape, dtype=np.bool_), np.zeros(before.shape, dtype=np.bool_)
    for layer in range(layers):
        node = place[layer * slots : (layer + 1) * slots]
        known = waited != slots
        before[node, :3] = np.where(known, place[np.minimum(waited, slots - 1) + layer * slots], layers * slots)
        there[node, :3], crosses[node, :3] = known, crossing
        if layer:
            before[node, 3], there[node, 3] = place[:slots], True
        else:
            there[node[~known.any(axis=1)], 0] = True
    ends = np.unique(at[np.flatnonzero((graph.after == len(graph.kind)).all(axis=1))])
    bounds = np.flatnonzero(np.diff(depth[order], prepend=-1)).tolist()
    levels = tuple(slice(*part) for part in pairwise([*bounds, layers * slots]))
    return TimeExpandedGraph(np.tile(kept, layers)[order], before, there, crosses, levels, place[ends + (layers - 1) * slots])


def _longest_paths(expanded: TimeExpandedGraph, pays: Array, spent: Array) -> Array:
    """Vector of the longest path to each node; ``spent`` is the time of each edge."""
    nodes = len(expanded.before)
    length, best = np.zeros(nodes + 1), np.zeros(nodes, dtype=np.intp)
    for part in expanded.levels:
        reached = length[expanded.before[part]] + spent[part]
        best[part], length[part] = reached.argmax(axis=1), np.maximum.reduce(reached, axis=1)
    every = np.arange(nodes)
    lead, back = np.zeros((nodes + 1, pays.shape[-1])), np.append(expanded.before[every, best], nodes)
    lead[:nodes] = pays[every, best]
    while (back != nodes).any():  # pointer doubling
        lead += lead[back]
        back = back[back]
    return lead


# the pruned graph --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PrunedPaths:
    """The pruned event graph in a box of times, as sums and minima of slacks.

    Args:
        lead: the critical path at the center of the box, ``(rows,)``.
        vectors: slack vectors, ``(vectors, rows)``.
        steps: each step is the minimum of its terms. Step 0 is the start; the last step is the slack of the longest path.
    """

    lead: Array
    vectors: Array
    steps: tuple[tuple[Term, ...], ...]

    def seconds(self, times: Array) -> Array:
        """Length of the longest path, ``(rows, n) → (n,)`` [s]."""
        behind = self.vectors @ times
        found: list[Array] = [np.zeros(times.shape[1])]
        for (step, vector), *others in self.steps:
            least = found[step] + behind[vector]
            for other, more in others:
                np.minimum(least, found[other] + behind[more], out=least)
            found.append(least)
        seconds: Array = self.lead @ times - found[-1]
        return seconds


def prune_dominated_paths(graph: Graph, units: Array, box: Box, late: Array, further: tuple[Index, Array] | None = None) -> PrunedPaths:
    """Remove paths of an event graph that are never the longest in a box of times.

    Args:
        graph: the event graph.
        units: time vector of each kind of slot, ``(kinds, rows)``.
        box: the box around the draws of the times.
        late: time vector of a message between ranks, ``(rows,)``.
        further: slots at which a path may add the further periods of a longer step, and the time vectors of these periods, ``(slots,
            rows)``; or None.

    Source: longest paths of a timed event graph are sums and maxima (Baccelli et al. 1992, Synchronization and Linearity, section 2.5).
    Removed paths are not the longest for any of the draws.
    """
    more, once_more = np.zeros((len(graph.kind), units.shape[1])), np.zeros(len(graph.kind), dtype=np.intp)
    if further is not None:
        more[further[0]], once_more[further[0]] = further[1], 1 + _row_numbers(further[1])
    pays_alike = _row_numbers(units)[graph.kind] * (1 + once_more.max()) + once_more
    expanded = time_expanded_graph(graph, tuple(pays_alike.tolist()), 1 if further is None else 2)
    nodes, there = len(expanded.before), expanded.there.copy()
    pays = units[graph.kind[expanded.slot]][:, None] + expanded.crosses[..., None] * late
    if further is not None:
        pays[:, 3], there[:, 3] = more[expanded.slot], there[:, 3] & (once_more[expanded.slot] > 0)
    lead = _longest_paths(expanded, pays, np.where(there, pays @ box.center, -np.inf))
    finish = lead[expanded.last[np.argmax(lead[expanded.last] @ box.center)]]
    behind = lead[:nodes, None] - lead[expanded.before] - pays
    least = np.where(there, box.least(behind), np.inf)
    so_far, to_come = np.full(nodes + 1, np.inf), np.full(nodes + 1, np.inf)  # minimal slack of the path before and after each node
    so_far[nodes], to_come[expanded.last] = 0.0, box.least(finish - lead[expanded.last])
    for part in expanded.levels:
        so_far[part] = np.minimum.reduce(so_far[expanded.before[part]] + least[part], axis=1)
    for part in reversed(expanded.levels):
        np.minimum.at(to_come, expanded.before[part], least[part] + to_come[part, None])
    at, column = np.nonzero(so_far[expanded.before] + least + to_come[:nodes, None] < 0.0)
    pruner = _Pruner(box)
    waits = np.where(expanded.before == nodes, START, expanded.before)[at, column]
    for node, before, vector in zip(at.tolist(), waits.tolist(), behind[at, column], strict=True):
        pruner.add_edge(node, before, pruner.number(vector), float(to_come[node]))
    pruner.close()
    return pruner.finish([(int(node), finish - lead[node]) for node in expanded.last], finish)


def _row_numbers(rows: Array) -> Index:
    """Index of each row among the distinct rows."""
    number: dict[bytes, int] = {}
    return np.array([number.setdefault(row.tobytes(), len(number)) for row in rows])


class _Pruner:
    """Builds the steps of a pruned graph node by node, and caches comparisons of vectors."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.vectors: list[Array] = []
        self.least: list[float] = []
        self.most: list[float] = []
        self.steps: list[tuple[Term, ...]] = []
        self.bounds = [(0.0, 0.0)]  # minimum and maximum of each step over the box
        self._numbers: dict[bytes, int] = {}
        self._sums: dict[Term, int] = {}
        self._dominated: dict[Term, bool] = {}
        self._made: dict[tuple[Term, ...], int] = {}
        self._places: dict[int, Term] = {START: (0, self.number(np.zeros(len(box.center))))}
        self._node, self._to_come, self._terms = START, 0.0, dict[Term, None]()

    def number(self, vector: Array) -> int:
        """The index of a vector; equal vectors share it."""
        key = (vector + 0.0).tobytes()
        if key not in self._numbers:
            self._numbers[key] = len(self.vectors)
            self.vectors.append(vector)
            self.least.append(float(self.box.least(vector)))
            self.most.append(-float(self.box.least(-vector)))
        return self._numbers[key]

    def add_edge(self, node: int, before: int, vector: int, to_come: float) -> None:
        """Add an edge to a node; the edges of a node must be added consecutively."""
        if node != self._node:
            self.close()
            self._node, self._to_come, self._terms = node, to_come, {}
        if before in self._places:
            self._terms[self._beyond(self._places[before], vector)] = None

    def _beyond(self, place: Term, vector: int) -> Term:
        step, there = place
        if (there, vector) not in self._sums:
            self._sums[there, vector] = self.number(self.vectors[there] + self.vectors[vector])
        return step, self._sums[there, vector]

    def close(self) -> None:
        """Finish a node: its step is the minimum over the edges that are not dominated."""
        terms = [(step, v) for step, v in self._terms if self.bounds[step][0] + self.least[v] + self._to_come < 0.0]
        if len(terms) > 1:
            most = min(self.bounds[step][1] + self.most[v] for step, v in terms)
            terms = self._undominated([(step, v) for step, v in terms if self.bounds[step][0] + self.least[v] <= most])
        if len(terms) == 1:
            self._places[self._node] = terms[0]
        elif terms:
            self._places[self._node] = (self._step(tuple(sorted(terms))), self._places[START][1])

    def _undominated(self, terms: list[Term]) -> list[Term]:
        kept: list[Term] = []
        for step, v in terms:
            if not any(step == other and self._is_dominated(v, w) for other, w in kept):
                kept = [*((other, w) for other, w in kept if not (step == other and self._is_dominated(w, v))), (step, v)]
        return kept

    def _is_dominated(self, a: int, b: int) -> bool:
        """Whether one vector's product with the times is at least another's everywhere in the box."""
        if (a, b) not in self._dominated:
            self._dominated[a, b] = bool(self.box.least(self.vectors[a] - self.vectors[b]) >= 0.0)
        return self._dominated[a, b]

    def _step(self, terms: tuple[Term, ...]) -> int:
        if terms not in self._made:
            self.steps.append(terms)
            bounds = (min(self.bounds[step][i] + bound[v] for step, v in terms) for i, bound in enumerate((self.least, self.most)))
            self.bounds.append((next(bounds), next(bounds)))
            self._made[terms] = len(self.steps)
        return self._made[terms]

    def finish(self, last: list[tuple[int, Array]], finish: Array) -> PrunedPaths:
        """The pruned paths: the smallest slack at the end of the step, of the critical path (0) or of any last node."""
        ends = [self._beyond(self._places[node], self.number(vector)) for node, vector in last if node in self._places]
        self.steps.append(tuple(dict.fromkeys([self._places[START], *ends])))
        return PrunedPaths(finish, np.array(self.vectors), tuple(self.steps))
