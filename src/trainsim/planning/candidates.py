"""Layouts that fit in memory, as arrays: lower bounds of their step times, and step times on request."""

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
from ..step.lower_bound import lower_bound_seconds, select_columns
from ..step.step import Step, layer_times_of, step_of
from .problem import SearchProblem
from .space import Array, Structure, expert_tp_of

Index = NDArray[np.intp]
BLOCK = 2048
"""Number of layouts timed in one call: large enough to amortise overhead, small enough for the cache."""
STAGED = ("zero", "schedule", "pp", "vpp", "stage_layers", "expert_overlap")
"""Fields of a plan that define stages and schedule and do not affect the time of a layer."""
ROUNDING = 1e-9
"""Relative rounding error of a bound, caused by another order of summation."""


def plan_of(structure: Structure, degrees: Mapping[str, int]) -> Plan:
    """A plan from a structure and degrees."""
    return Plan(**{**structure, **degrees, **({"sequence_parallel": "off"} if degrees["tp"] == 1 else {})})


@dataclass(frozen=True, eq=False)
class CandidateLayouts:
    """Layouts that fit in memory, as arrays of shape ``(n,)``: structure, degrees, peak memory.

    Args:
        setting: the search problem.
        structures, sizes: fields and number of accelerators of each structure. Structures that differ only in ZeRO are adjacent.
        axes: values of each degree.
        which, code: for each layout, the index of its structure (increasing), and the index of its degrees among all combinations of the
            axes.
        memory: peak memory of the fullest rank [B].
    """

    setting: SearchProblem
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
        """One layout as a plan; sequence parallelism is off without tensor parallelism."""
        return plan_of(self.structures[self.which[i]], {name: int(value) for name, value in self._decoded(self.code[i]).items()})

    def _plan(self, structure: int) -> Plan:
        """A plan with the fields of a structure and default degrees."""
        if structure not in self._plans:
            self._plans[structure] = Plan(**self.structures[structure])
        return self._plans[structure]

    @cached_property
    def _plans(self) -> dict[int, Plan]:
        return {}

    # seconds -------------------------------------------------------------------------------------------------------------

    @cached_property
    def seconds(self) -> Array:
        """Step time of each layout [s]."""
        return self.seconds_of(np.arange(len(self)))

    def seconds_of(self, layouts: Index) -> Array:
        """Step times of some layouts, given by increasing indices [s]."""
        found = np.empty(len(layouts))
        for at, step in self.steps(layouts):
            found[np.searchsorted(layouts, at)] = step.seconds
        return found

    def steps(self, layouts: Index) -> Iterator[tuple[Index, Step]]:
        """Steps of some layouts, given by increasing indices, in blocks of indices and step."""
        s = self.setting
        for structure, here in _runs_of_equal(self.which[layouts]):
            plan, gpus = self._plan(structure), self.sizes[structure]
            for first in range(here.start, here.stop, BLOCK):
                at = layouts[first : min(first + BLOCK, here.stop)]
                code = self.code[at]
                layout, times = self._layout(plan, gpus, code), self._times(structure, code)
                yield at, step_of(s.model, layout, s.batch, plan.pass_order, plan.zero, s.on(gpus), s.stack, times)

    def _layout(self, plan: Plan, gpus: int, code: Index) -> Layout:
        """A layout with arrays of degrees."""
        degrees: dict[str, Any] = self._decoded(code)
        tp = degrees["tp"]
        one = layout_of(plan, gpus, self.setting.seq_len, self.setting.phase.document_length)
        split = {"on": tp, "off": np.ones_like(tp)}[plan.sequence_parallel]
        dp = gpus / (tp * degrees["cp"] * plan.pp)
        return replace(one, **degrees, dp=dp, sequence_split=split, expert_tp=expert_tp_of(plan.expert_tp, degrees))

    # bounds --------------------------------------------------------------------------------------------------------------

    @cached_property
    def lower_bounds(self) -> Array:
        """Lower bound of each step time, without timing any layout: the work of the busiest rank [s]."""
        lower_bounds = np.empty(len(self))
        for first, part in _runs_of_equal(self._zero_groups[self.which]):
            here, number = self._distinct(self.code[part])
            plan, gpus, s = self._plan(first), self.sizes[first], self.setting
            layout, times = self._layout(plan, gpus, here), self._times(first, here)
            least = np.asarray(lower_bound_seconds(s.model, layout, s.batch, plan.pass_order, s.on(gpus), s.stack, times))
            lower_bounds[part] = least[number[self.code[part]]]
        return lower_bounds * (1.0 - ROUNDING)

    # layers --------------------------------------------------------------------------------------------------------------

    def _times(self, structure: int, code: Index) -> LayerTimes:
        """Layer times at given degrees."""
        number, times = self._layers[self._layer_keys[structure]]
        return select_columns(times, number[code])

    @cached_property
    def _layers(self) -> dict[Hashable, tuple[Index, LayerTimes]]:
        """Layer times, computed once for all structures with the same sharding and recompute, and the column of each code in these times.

        ``gpus`` and ``dp`` differ between such structures; they are NaN here: a formula that wrongly used them would give NaN.
        """
        alike: dict[Hashable, list[tuple[int, Index]]] = {}
        for structure, part in _runs_of_equal(self.which):
            alike.setdefault(self._layer_keys[structure], []).append((structure, self.code[part]))
        found: dict[Hashable, tuple[Index, LayerTimes]] = {}
        for sharing, parts in alike.items():
            first, s = parts[0][0], self.setting
            code, number = self._distinct(np.concatenate([codes for _, codes in parts]))
            plan, gpus = self._plan(first), self.sizes[first]
            layout = replace(self._layout(plan, gpus, code), gpus=np.nan, dp=np.nan)
            found[sharing] = number, layer_times_of(s.model, layout, plan.pass_order, s.on(gpus), s.stack)
        return found

    @cached_property
    def _layer_keys(self) -> list[Hashable]:
        """Cache key of each structure's layer times. The key includes the stages if only some layers of a stage are recomputed."""
        found: list[Hashable] = []
        for gpus, structure in zip(self.sizes, self.structures, strict=True):
            ignored = STAGED if structure["recompute_layers"] is None else ("zero", "expert_overlap")
            found.append((gpus, *(value for name, value in structure.items() if name not in ignored)))
        return found

    @cached_property
    def _zero_groups(self) -> Index:
        """For each structure, the index of the first structure that differs from it at most in ZeRO."""
        unsharded = [(gpus, {**structure, "zero": None}) for gpus, structure in zip(self.sizes, self.structures, strict=True)]
        new = [i == 0 or unsharded[i] != unsharded[i - 1] for i in range(len(unsharded))]
        return np.maximum.accumulate(np.where(new, np.arange(len(unsharded)), 0))

    def _distinct(self, code: Index) -> tuple[Index, Index]:
        """The distinct codes, and a table from code to its index among them."""
        there = np.zeros(prod(map(len, self.axes.values())), dtype=np.bool_)
        there[code] = True
        return np.flatnonzero(there), np.cumsum(there) - 1


def _runs_of_equal(values: Index) -> Iterator[tuple[int, slice]]:
    """Runs of equal values: the value, and its slice."""
    starts = np.flatnonzero(np.diff(values, prepend=-1)).tolist()
    for start, stop in pairwise([*starts, len(values)]):
        yield int(values[start]), slice(start, stop)
