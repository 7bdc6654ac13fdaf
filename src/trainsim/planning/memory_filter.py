"""Compute the memory of all layouts of a search space and keep those that fit, with a loop over structures and arrays over degrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import SpecError
from ..gpu_memory.peak import peak_by_zero
from ..parallelism.layout import Degrees
from ..parallelism.plan import Plan
from ..uncertainty.sampling.sweep import Progress
from .candidates import CandidateLayouts, plan_of
from .problem import SearchProblem
from .space import AXES, Array, LayoutGrid, Mask, Structure, apply_rules, expert_tp_of, rule_text, structures, values_of

ONCE = "sequence_parallel=on is off at tp=1"
"""Rule that drops duplicates: without tensor parallelism, a layout is the same with sequence parallelism on or off."""


# frameworks --------------------------------------------------------------------------------------------------------------


def frameworks() -> list[str]:
    """Frameworks whose launch files can be both written and read: those with ``to_…`` and ``from_…``.

    >>> frameworks()
    ['megatron', 'torchtitan']
    """
    written = (name.removeprefix("to_") for name in dir(Plan) if name.startswith("to_"))
    return sorted(name for name in written if hasattr(Plan, f"from_{name}"))


def framework_error(plan: Plan, framework: str) -> str | None:
    """Reason a framework can't express a plan; None if it can."""
    try:
        getattr(plan, f"to_{framework}")()
    except SpecError as error:
        return rule_text(error)
    return None


def framework_rules(structure: Structure, grid: LayoutGrid, framework: str) -> Iterator[tuple[str, Mask]]:
    """Rules of a framework that a structure breaks on its own, or together with one degree."""
    refused = framework_error(Plan(**structure), framework)
    if refused is not None:
        yield f"{framework}: {refused}", np.zeros((1, 1, 1, 1), dtype=bool)
        return
    for name in AXES:
        errors = [framework_error(Plan(**{**structure, name: value}), framework) for value in grid.axes[name]]
        for rule in dict.fromkeys(filter(None, errors)):
            holds = np.array([rule != error for error in errors]).reshape(grid.degrees[name].shape)
            yield f"{framework}: {rule}", holds


# evaluation --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FilterResult:
    """The layouts of a search space that fit in memory, and how many were rejected by which rule.

    Args:
        layouts: layouts that fit.
        possible: number of layouts that the rules allow.
        rejected: rule → number of layouts it rejects, ``memory`` last.
        nearest: the layout with the least memory among those that don't fit, its accelerators, and its bytes; None if all fit.
    """

    layouts: CandidateLayouts
    possible: int
    rejected: Mapping[str, int]
    nearest: tuple[Plan, int, float] | None

    @property
    def considered(self) -> int:
        """Number of layouts in the space."""
        return len(self.layouts) + sum(self.rejected.values())


def filter_layouts(
    setting: SearchProblem, gpus: Sequence[int], framework: str | None, given: Mapping[str, Any], progress: Progress | None = None
) -> FilterResult:
    """Compute the memory of all layouts of a search space, on each number of accelerators, and keep those that fit.

    Args:
        setting: the search problem.
        gpus: numbers of accelerators.
        framework: only layouts that this framework can express; None for all.
        given: field of a plan → values to try, as for :func:`~.space.values_of`.
        progress: called with the groups of layouts done and all of them.
    """
    values = values_of(setting.model, setting.plan, gpus, given)
    trial = _LayoutFilter(setting, framework, values)
    zero_groups = [list(group) for _, group in groupby(structures(values), key=lambda s: {name: s[name] for name in s if name != "zero"})]
    for k, n in enumerate(gpus):
        axes = {name: tuple(v for v in values[name] if v <= n or name in given or name == "micro_batch") for name in AXES}
        grid = LayoutGrid(setting.model, setting.cluster, n, setting.seq_len, setting.batch, axes)
        codes = trial.codes(grid)
        for i, group in enumerate(zero_groups, 1):
            trial.add(grid, codes, group)
            if progress is not None:
                progress(k * len(zero_groups) + i, len(gpus) * len(zero_groups))
    return trial.tried()


@dataclass
class _LayoutFilter:
    """Accumulator of a search: arrays of the layouts that fit, structure by structure, and counts of rejected ones."""

    setting: SearchProblem
    framework: str | None
    values: Mapping[str, tuple[Any, ...]]
    structures: list[Structure] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    columns: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    rejected: Counter[str] = field(default_factory=Counter)
    possible: int = 0
    nearest: tuple[Plan, int, float] | None = None

    def tried(self) -> FilterResult:
        """The result over all structures added."""
        joined = {name: np.concatenate(parts) for name, parts in self.columns.items()}
        which, code = (joined.get(name, np.zeros(0, dtype=np.intp)) for name in ("which", "code"))
        axes = {name: np.array(self.values[name], dtype=np.float64) for name in AXES}
        layouts = CandidateLayouts(self.setting, self.structures, self.sizes, axes, which, code, joined.get("memory", np.zeros(0)))
        rejected = {rule: count for rule, count in self.rejected.most_common() if count}
        return FilterResult(layouts, self.possible, rejected, self.nearest)

    def codes(self, grid: LayoutGrid) -> NDArray[np.intp]:
        """Index of each combination of a grid's degrees among all combinations."""
        places = [[self.values[name].index(value) for value in grid.axes[name]] for name in AXES]
        codes: NDArray[np.intp] = np.ravel_multi_index(np.ix_(*places), tuple(len(self.values[name]) for name in AXES))
        return codes

    def add(self, grid: LayoutGrid, codes: NDArray[np.intp], group: Sequence[Structure]) -> None:
        """Add structures that differ only in ZeRO."""
        allowed = [self._allowed(grid, structure) for structure in group]
        at = np.nonzero(np.logical_or.reduce(allowed))
        if not len(at[0]):
            return
        degrees = {name: grid.degrees[name].reshape(-1)[places] for name, places in zip(AXES, at, strict=True)}
        plan, zeros = Plan(**group[0]), [structure["zero"] for structure in group]
        spread = _degrees(grid, degrees, plan)
        sizes = peak_by_zero(self.setting.model, plan, spread, spread.micro_batches(grid.batch), zeros)
        for structure, mask, size in zip(group, allowed, sizes, strict=True):
            here = np.flatnonzero(mask[at])
            if len(here):
                self._add(grid.gpus, structure, codes[at][here], np.broadcast_to(size, at[0].shape)[here])

    def _allowed(self, grid: LayoutGrid, structure: Structure) -> Mask:
        """Layouts of a structure that all rules allow, including those of the framework."""
        allowed, counts = grid.possible(structure)
        self.rejected += counts
        if not allowed.any():
            return allowed
        rules: list[tuple[str, Mask]] = []
        if structure["sequence_parallel"] == "on" and "off" in self.values["sequence_parallel"]:
            rules.append((ONCE, grid.degrees["tp"] > 1))
        if self.framework is not None:
            rules += framework_rules(structure, grid, self.framework)
        allowed, counts = apply_rules(rules, grid.shape, allowed)
        self.rejected += counts
        return allowed

    def _add(self, gpus: int, structure: Structure, code: NDArray[np.intp], size: Array) -> None:
        """Keep the layouts of one structure that fit, and count the others."""
        chip = self.setting.cluster.chip
        fits = size <= chip.memory
        count = int(np.count_nonzero(fits))
        self.possible += len(size)
        self.rejected[f"more memory than the {float(chip.memory) / 1e9:g} GB of a {chip.name}"] += len(size) - count
        if count < len(size):
            self._note_nearest(gpus, structure, code[~fits], size[~fits])
        if count:
            columns = {"which": np.full(count, len(self.structures)), "code": code[fits], "memory": size[fits]}
            self.structures.append(structure)
            self.sizes.append(gpus)
            for name, column in columns.items():
                self.columns.setdefault(name, []).append(column)

    def _note_nearest(self, gpus: int, structure: Structure, code: NDArray[np.intp], over: Array) -> None:
        """Keep the layout with the least memory among those that don't fit."""
        least = int(np.argmin(over))
        if self.nearest is None or over[least] < self.nearest[2]:
            at = np.unravel_index(code[least], tuple(len(self.values[name]) for name in AXES))
            degrees = {name: self.values[name][place] for name, place in zip(AXES, at, strict=True)}
            self.nearest = (plan_of(structure, degrees), gpus, float(over[least]))


def _degrees(grid: LayoutGrid, d: Mapping[str, Array], plan: Plan) -> Degrees:
    """Arrays of degrees in the form that :func:`peak_by_zero` takes."""
    dp = grid.gpus / (d["tp"] * d["cp"] * plan.pp)
    return Degrees(
        tp=d["tp"], dp=dp, ep=d["ep"], cp=d["cp"], expert_tp=expert_tp_of(plan.expert_tp, d),
        shard=None if plan.shard is None else np.full_like(dp, plan.shard), micro_batch=d["micro_batch"], seq_len=grid.seq_len,
    )  # fmt: skip
