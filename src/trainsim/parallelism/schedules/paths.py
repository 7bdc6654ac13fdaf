"""Many draws of one step: what never matters in the box around them is taken out of its events once, and every draw runs what is left.

A path is a vector, how often it pays each distinct time, and the longest path at the center of the box leads. By how much another falls
behind it is a sum over its slots, linear in the times, whose least value in the box is known. Of two ways from one place to another the
one that falls behind no less anywhere is left out, and so is a way that can't catch up any more.
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
"""(number of an earlier step, number of a vector): what stands there, and what is added to it."""
START = -1
"""Number of the place that paths start from."""


@dataclass(frozen=True, eq=False)
class Box:
    """A box around draws, turned along the directions they vary in.

    Args:
        center: ``(rows,)``.
        axes: its directions, ``(rows, rows)``.
        reach: how far it reaches along each on either side of the center, ``(rows,)``.
    """

    center: Array
    axes: Array
    reach: Array

    def least(self, vectors: Array) -> Array:
        """The least that ``vectors · x`` is in the box, ``(…, rows) → (…)``."""
        least: Array = vectors @ self.center - np.abs(vectors @ self.axes) @ self.reach
        return least


def box_of(times: Array) -> Box:
    """The box around draws ``(rows, n)``, each scaled to a sum of one: which of two paths is longer doesn't hang on the scale."""
    shares = times / times.sum(axis=0)
    _, axes = np.linalg.eigh(np.atleast_2d(np.cov(shares)))
    along = axes.T @ shares
    low, high = along.min(axis=1), along.max(axis=1)
    return Box(axes @ (low + high) / 2, axes, (high - low) / 2)


# the events with every way through them ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Ways:
    """Slots of a step as nodes, each twice where a path may pay for further periods once: before that and after.

    Args:
        slot: of each node.
        before: nodes a node waits for, ``(nodes, 4)``; the one past the last stands for the start.
        there: which of those there are; the last is the payment.
        crosses: which come from another rank.
        levels, last: nodes that wait only for earlier ones, and those nothing waits for.
    """

    slot: Index
    before: Index
    there: Mask
    crosses: Mask
    levels: tuple[slice, ...]
    last: Index


def together(graph: Graph, pays: tuple[int, ...]) -> Index:
    """Of each slot the first that always ends with it, ``(slots + 1,)``: one that pays the same and waits for such slots.

    Args:
        graph: the events.
        pays: of each slot, a number of what it pays.

    A schedule that looks the same from both ends of the pipeline, as DualPipe's does, has every slot twice.
    """
    nothing = len(graph.kind)
    known: dict[tuple[int, frozenset[tuple[int, bool]]], int] = {}
    first: list[int] = []
    for i, (pay, before, crosses) in enumerate(zip(pays, graph.before.tolist(), graph.crosses.tolist(), strict=True)):
        awaited = frozenset((first[other], away) for other, away in zip(before, crosses, strict=True) if other != nothing)
        first.append(known.setdefault((pay, awaited), i))
    return np.array([*first, nothing])


@lru_cache(maxsize=64)
def ways_of(graph: Graph, pays: tuple[int, ...], layers: int) -> Ways:
    """The slots of a graph that end apart once, or before and after a payment that any of them may take; ``pays`` as for :func:`together`.

    Those before stand a level ahead of those after, so that the nodes of a level lie side by side.
    """
    first = together(graph, pays)
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
    return Ways(np.tile(kept, layers)[order], before, there, crosses, levels, place[ends + (layers - 1) * slots])


def _leading(ways: Ways, pays: Array, spent: Array) -> Array:
    """The longest path to each node, where ``spent`` is what each way to it takes."""
    nodes = len(ways.before)
    length, best = np.zeros(nodes + 1), np.zeros(nodes, dtype=np.intp)
    for part in ways.levels:
        reached = length[ways.before[part]] + spent[part]
        best[part], length[part] = reached.argmax(axis=1), np.maximum.reduce(reached, axis=1)
    every = np.arange(nodes)
    lead, back = np.zeros((nodes + 1, pays.shape[-1])), np.append(ways.before[every, best], nodes)
    lead[:nodes] = pays[every, best]
    while (back != nodes).any():  # each time back over twice as many slots
        lead += lead[back]
        back = back[back]
    return lead


# what is left ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Shortened:
    """What is left of a step's events in a box of times: a few sums and minima.

    Args:
        lead: the longest path at the center of the box, ``(rows,)``.
        vectors: by how much ways fall behind, ``(vectors, rows)``.
        steps: each is the least of its terms; the start is number 0, and the last is how far the longest path falls behind the leading one.
    """

    lead: Array
    vectors: Array
    steps: tuple[tuple[Term, ...], ...]

    def seconds(self, times: Array) -> Array:
        """The longest path, ``(rows, n) → (n,)``."""
        behind = self.vectors @ times
        found: list[Array] = [np.zeros(times.shape[1])]
        for (step, vector), *others in self.steps:
            least = found[step] + behind[vector]
            for other, more in others:
                np.minimum(least, found[other] + behind[more], out=least)
            found.append(least)
        seconds: Array = self.lead @ times - found[-1]
        return seconds


def shortened(graph: Graph, units: Array, box: Box, late: Array, further: tuple[Index, Array] | None = None) -> Shortened:
    """The events of a step without what never matters in a box of times.

    Args:
        graph: the events.
        units: what each kind of slot pays, ``(kinds, rows)``.
        box: of the times.
        late: what a message between ranks pays, ``(rows,)``.
        further: slots at which a path may pay once more, and what, ``(slots, rows)``: the further periods of a longer step; None for none.

    Source: longest paths of a timed event graph are sums and maxima (Baccelli et al. 1992, Synchronization and Linearity, section 2.5);
    what is left out is never longer for any of the draws.
    """
    more, once_more = np.zeros((len(graph.kind), units.shape[1])), np.zeros(len(graph.kind), dtype=np.intp)
    if further is not None:
        more[further[0]], once_more[further[0]] = further[1], 1 + _numbered(further[1])
    pays_alike = _numbered(units)[graph.kind] * (1 + once_more.max()) + once_more
    ways = ways_of(graph, tuple(pays_alike.tolist()), 1 if further is None else 2)
    nodes, there = len(ways.before), ways.there.copy()
    pays = units[graph.kind[ways.slot]][:, None] + ways.crosses[..., None] * late
    if further is not None:
        pays[:, 3], there[:, 3] = more[ways.slot], there[:, 3] & (once_more[ways.slot] > 0)
    lead = _leading(ways, pays, np.where(there, pays @ box.center, -np.inf))
    finish = lead[ways.last[np.argmax(lead[ways.last] @ box.center)]]
    behind = lead[:nodes, None] - lead[ways.before] - pays
    least = np.where(there, box.least(behind), np.inf)
    so_far, to_come = np.full(nodes + 1, np.inf), np.full(nodes + 1, np.inf)  # the least that a path falls behind, slot by slot
    so_far[nodes], to_come[ways.last] = 0.0, box.least(finish - lead[ways.last])
    for part in ways.levels:
        so_far[part] = np.minimum.reduce(so_far[ways.before[part]] + least[part], axis=1)
    for part in reversed(ways.levels):
        np.minimum.at(to_come, ways.before[part], least[part] + to_come[part, None])
    at, column = np.nonzero(so_far[ways.before] + least + to_come[:nodes, None] < 0.0)
    left = _Left(box)
    waits = np.where(ways.before == nodes, START, ways.before)[at, column]
    for node, before, vector in zip(at.tolist(), waits.tolist(), behind[at, column], strict=True):
        left.way(node, before, left.number(vector), float(to_come[node]))
    left.close()
    return left.ended([(int(node), finish - lead[node]) for node in ways.last], finish)


def _numbered(rows: Array) -> Index:
    """A number of each row, the same of rows that are alike."""
    number: dict[bytes, int] = {}
    return np.array([number.setdefault(row.tobytes(), len(number)) for row in rows])


class _Left:
    """Steps that are left so far, node by node, and what is asked of vectors again and again."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.vectors: list[Array] = []
        self.least: list[float] = []
        self.most: list[float] = []
        self.steps: list[tuple[Term, ...]] = []
        self.bounds = [(0.0, 0.0)]  # the least and the most that each step is in the box
        self._numbers: dict[bytes, int] = {}
        self._sums: dict[Term, int] = {}
        self._exceeds: dict[Term, bool] = {}
        self._made: dict[tuple[Term, ...], int] = {}
        self._places: dict[int, Term] = {START: (0, self.number(np.zeros(len(box.center))))}
        self._node, self._to_come, self._terms = START, 0.0, dict[Term, None]()

    def number(self, vector: Array) -> int:
        """Of a vector."""
        key = (vector + 0.0).tobytes()
        if key not in self._numbers:
            self._numbers[key] = len(self.vectors)
            self.vectors.append(vector)
            self.least.append(float(self.box.least(vector)))
            self.most.append(-float(self.box.least(-vector)))
        return self._numbers[key]

    def way(self, node: int, before: int, vector: int, to_come: float) -> None:
        """One more way to a node; those to one node come one after the other."""
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
        """All ways to the node are known: it is the least of those that matter."""
        terms = [(step, v) for step, v in self._terms if self.bounds[step][0] + self.least[v] + self._to_come < 0.0]
        if len(terms) > 1:
            most = min(self.bounds[step][1] + self.most[v] for step, v in terms)
            terms = self._unexceeded([(step, v) for step, v in terms if self.bounds[step][0] + self.least[v] <= most])
        if len(terms) == 1:
            self._places[self._node] = terms[0]
        elif terms:
            self._places[self._node] = (self._step(tuple(sorted(terms))), self._places[START][1])

    def _unexceeded(self, terms: list[Term]) -> list[Term]:
        kept: list[Term] = []
        for step, v in terms:
            if not any(step == other and self._no_less(v, w) for other, w in kept):
                kept = [*((other, w) for other, w in kept if not (step == other and self._no_less(w, v))), (step, v)]
        return kept

    def _no_less(self, a: int, b: int) -> bool:
        """Whether a vector is nowhere in the box less than another."""
        if (a, b) not in self._exceeds:
            self._exceeds[a, b] = bool(self.box.least(self.vectors[a] - self.vectors[b]) >= 0.0)
        return self._exceeds[a, b]

    def _step(self, terms: tuple[Term, ...]) -> int:
        if terms not in self._made:
            self.steps.append(terms)
            bounds = (min(self.bounds[step][i] + bound[v] for step, v in terms) for i, bound in enumerate((self.least, self.most)))
            self.bounds.append((next(bounds), next(bounds)))
            self._made[terms] = len(self.steps)
        return self._made[terms]

    def ended(self, last: list[tuple[int, Array]], finish: Array) -> Shortened:
        """The whole: nothing behind on the leading path, or what is left at the last nodes, each with what it falls behind from there."""
        ends = [self._beyond(self._places[node], self.number(vector)) for node, vector in last if node in self._places]
        self.steps.append(tuple(dict.fromkeys([self._places[START], *ends])))
        return Shortened(finish, np.array(self.vectors), tuple(self.steps))
