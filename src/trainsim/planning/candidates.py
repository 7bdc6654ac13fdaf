"""Layouts that fit in memory: what none of them can beat, for all at once, and their seconds for those that are asked for."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..parallelism.layout import Layout, layout_of
from ..parallelism.plan import Plan
from ..step.layers import LayerTimes
from ..step.lower_bound import columns_of, least_seconds
from ..step.step import Step, step_of, times_of
from .problem import Setting
from .space import Array, Structure, expert_tp_of

Index = NDArray[np.intp]
BLOCK = 2048
"""Layouts timed at once: enough that overhead is spread thin, few enough for the cache."""
STAGED = ("zero", "schedule", "pp", "vpp", "stage_layers", "expert_overlap")
"""Fields of a plan that say which stages there are and when they run, and so leave the seconds of a layer alone."""
ROUNDING = 1e-9
"""By how much a bound may be off through rounding: sums in another order."""


def plan_of(structure: Structure, degrees: Mapping[str, int]) -> Plan:
    """A structure at some degrees as a plan."""
    return Plan(**{**structure, **degrees, **({"sequence_parallel": "off"} if degrees["tp"] == 1 else {})})


@dataclass(frozen=True, eq=False)
class Layouts:
    """Layouts that fit, as columns ``(n,)``: which structure, which degrees, bytes at the peak.

    Args:
        setting: the phase.
        structures, sizes: of each structure its fields and its accelerators; those that differ in ZeRO alone stand side by side.
        axes: values of each degree.
        which, code: structure of each layout, rising; place of its degrees among all combinations of the axes.
        memory: bytes at the peak of the fullest rank [B].
    """

    setting: Setting
    structures: Sequence[Structure]
    sizes: Sequence[int]
    axes: Mapping[str, Array]
    which: Index
    code: Index
    memory: Array

    def __len__(self) -> int:
        return len(self.which)

    @cached_property
    def gpus(self) -> Array:
        """Accelerators of each layout."""
        return np.array(self.sizes, dtype=np.float64)[self.which]

    @cached_property
    def degrees(self) -> dict[str, Array]:
        """Degrees of each layout."""
        return self._decoded(self.code)

    def _decoded(self, code: Index) -> dict[str, Array]:
        places = np.unravel_index(code, tuple(map(len, self.axes.values())))
        return {name: values[at] for (name, values), at in zip(self.axes.items(), places, strict=True)}

    def plan(self, i: int) -> Plan:
        """One of them as a plan; sequence parallelism is off where there is no tensor parallelism to split along."""
        return plan_of(self.structures[self.which[i]], {name: int(value) for name, value in self._decoded(self.code[i]).items()})

    def _plan(self, structure: int) -> Plan:
        """A structure at no degrees."""
        if structure not in self._plans:
            self._plans[structure] = Plan(**self.structures[structure])
        return self._plans[structure]

    @cached_property
    def _plans(self) -> dict[int, Plan]:
        return {}

    # seconds -------------------------------------------------------------------------------------------------------------

    @cached_property
    def seconds(self) -> Array:
        """Seconds of a step of every layout [s]."""
        return self.seconds_of(np.arange(len(self)))

    def seconds_of(self, layouts: Index) -> Array:
        """Seconds of a step of some layouts, their numbers rising [s]."""
        found = np.empty(len(layouts))
        for at, step in self.steps(layouts):
            found[np.searchsorted(layouts, at)] = step.seconds
        return found

    def steps(self, layouts: Index) -> Iterator[tuple[Index, Step]]:
        """Steps of some layouts, their numbers rising, block by block: which, and their step."""
        s = self.setting
        for structure, here in _stretches(self.which[layouts]):
            plan, gpus = self._plan(structure), self.sizes[structure]
            for first in range(here.start, here.stop, BLOCK):
                at = layouts[first : min(first + BLOCK, here.stop)]
                code = self.code[at]
                layout, times = self._layout(plan, gpus, code), self._times(structure, code)
                yield at, step_of(s.model, layout, s.batch, plan.pass_order, plan.zero, s.on(gpus), s.stack, times)

    def _layout(self, plan: Plan, gpus: int, code: Index) -> Layout:
        """A structure at columns of degrees."""
        degrees: dict[str, Any] = self._decoded(code)
        tp = degrees["tp"]
        one = layout_of(plan, gpus, self.setting.seq_len, self.setting.phase.document_length)
        split = {"on": tp, "off": np.ones_like(tp)}[plan.sequence_parallel]
        dp = gpus / (tp * degrees["cp"] * plan.pp)
        return replace(one, **degrees, dp=dp, sequence_split=split, expert_tp=expert_tp_of(plan.expert_tp, degrees))

    # bounds --------------------------------------------------------------------------------------------------------------

    @cached_property
    def floors(self) -> Array:
        """What no layout's step is shorter than, before any is timed: what its busiest rank works [s]."""
        floors = np.empty(len(self))
        for first, part in _stretches(self._firsts[self.which]):
            here, number = self._distinct(self.code[part])
            plan, gpus, s = self._plan(first), self.sizes[first], self.setting
            layout, times = self._layout(plan, gpus, here), self._times(first, here)
            least = np.asarray(least_seconds(s.model, layout, s.batch, plan.pass_order, s.on(gpus), s.stack, times))
            floors[part] = least[number[self.code[part]]]
        return floors * (1.0 - ROUNDING)

    # layers --------------------------------------------------------------------------------------------------------------

    def _times(self, structure: int, code: Index) -> LayerTimes:
        """Seconds of layers at some degrees."""
        number, times = self._layers[self._sharing[structure]]
        return columns_of(times, number[code])

    @cached_property
    def _layers(self) -> dict[Hashable, tuple[Index, LayerTimes]]:
        """Seconds of layers, timed once for all structures that shard and recompute alike; the column of each code among them.

        What differs between such structures is no number here, so that it would show if it were used.
        """
        alike: dict[Hashable, list[tuple[int, Index]]] = {}
        for structure, part in _stretches(self.which):
            alike.setdefault(self._sharing[structure], []).append((structure, self.code[part]))
        found: dict[Hashable, tuple[Index, LayerTimes]] = {}
        for sharing, parts in alike.items():
            first, s = parts[0][0], self.setting
            code, number = self._distinct(np.concatenate([codes for _, codes in parts]))
            plan, gpus = self._plan(first), self.sizes[first]
            layout = replace(self._layout(plan, gpus, code), gpus=np.nan, dp=np.nan)
            found[sharing] = number, times_of(s.model, layout, plan.pass_order, s.on(gpus), s.stack)
        return found

    @cached_property
    def _sharing(self) -> list[Hashable]:
        """What the seconds of each structure's layers depend on: on the stages too, where only some layers of one are computed again."""
        found: list[Hashable] = []
        for gpus, structure in zip(self.sizes, self.structures, strict=True):
            aside = STAGED if structure["recompute_layers"] is None else ("zero", "expert_overlap")
            found.append((gpus, *(value for name, value in structure.items() if name not in aside)))
        return found

    @cached_property
    def _firsts(self) -> Index:
        """Of each structure, the first of those that differ from it in ZeRO alone."""
        told = [(gpus, {**structure, "zero": None}) for gpus, structure in zip(self.sizes, self.structures, strict=True)]
        new = [i == 0 or told[i] != told[i - 1] for i in range(len(told))]
        return np.maximum.accumulate(np.where(new, np.arange(len(told)), 0))

    def _distinct(self, code: Index) -> tuple[Index, Index]:
        """Codes without those that come twice, and the number of each."""
        there = np.zeros(prod(map(len, self.axes.values())), dtype=np.bool_)
        there[code] = True
        return np.flatnonzero(there), np.cumsum(there) - 1


def _stretches(values: Index) -> Iterator[tuple[int, slice]]:
    """Stretches of equal values: the value, and where."""
    starts = np.flatnonzero(np.diff(values, prepend=-1)).tolist()
    for start, stop in pairwise([*starts, len(values)]):
        yield int(values[start]), slice(start, stop)
