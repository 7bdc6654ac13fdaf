"""Seconds and bytes of every layout a space allows: loops over structure, broadcasts over the rest."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cluster.hardware import Cluster
from ..cluster.stack import Stack
from ..errors import EstimateError, SpecError, did_you_mean
from ..run import Run
from ..training.layers import Layout
from ..training.memory import Degrees, peak_by_zero
from ..training.phases import Phase
from ..training.plan import Plan
from ..training.step import layout_of, step_of
from ..training.timing import needed_stack
from .space import AXES, Array, Grid, Mask, Structure, expert_tp_of, spoken, structures, tally, values_of

BLOCK = 2048
"""Layouts timed at once: enough that overhead is spread thin, few enough for the cache."""

ONCE = "sequence_parallel=on is off at tp=1"
"""Where both are tried, a layout without tensor parallelism counts once."""


@dataclass(frozen=True)
class Setting:
    """One phase of a run as a search sees it: all but the layout and the number of accelerators."""

    run: Run
    phase: Phase
    stack: Stack
    seq_len: float
    batch: float

    @property
    def plan(self) -> Plan:
        """The layout the phase has; an empty one where none is given."""
        return self.phase.plan or self.run.plan or Plan()

    @property
    def cluster(self) -> Cluster:
        """Where the phase runs."""
        return self.phase.cluster or self.run.cluster

    def on(self, gpus: int) -> Cluster:
        """The same cluster with so many accelerators."""
        return self.cluster if gpus == self.cluster.gpus else self.cluster.replace({"gpus": gpus})

    def with_plan(self, plan: Plan, gpus: int) -> Run:
        """The run with another layout on so many accelerators in this phase."""
        here = f"phases.{self.phase.name}."
        changes: dict[str, Any] = {"plan" if self.phase.plan is None else f"{here}plan": plan}
        if gpus != self.cluster.gpus:
            changes["cluster.gpus" if self.phase.cluster is None else f"{here}cluster.gpus"] = gpus
        return self.run.replace(changes)


def setting_of(run: Run, phase: str | None) -> Setting:
    """The phase a search is about, with all that a step needs.

    Raises:
        EstimateError: no such phase, no sequence length or batch, or a told efficiency.
    """
    chosen = next((p for p in run.phases if phase in {None, p.name}), None)
    if chosen is None:
        raise EstimateError("phase", phase, "is no phase of the run", did_you_mean(str(phase), [p.name for p in run.phases], "phases"))
    for name in ("seq_len", "batch"):
        if getattr(chosen, name) is None:
            raise EstimateError(f"phases.{chosen.name}.{name}", None, "is needed to search plans", f"give {name}")
    assert chosen.seq_len is not None
    assert chosen.batch is not None
    return Setting(run, chosen, needed_stack(run, chosen), float(chosen.seq_len), float(chosen.batch))


# frameworks --------------------------------------------------------------------------------------------------------------


def frameworks() -> list[str]:
    """Frameworks a plan can be written for: those with both ``to_…`` and ``from_…``.

    >>> frameworks()
    ['megatron', 'torchtitan']
    """
    written = (name.removeprefix("to_") for name in dir(Plan) if name.startswith("to_"))
    return sorted(name for name in written if hasattr(Plan, f"from_{name}"))


def refusal(plan: Plan, framework: str) -> str | None:
    """Why a framework can't express a plan; None where it can."""
    try:
        getattr(plan, f"to_{framework}")()
    except SpecError as error:
        return spoken(error)
    return None


def expressible(structure: Structure, grid: Grid, framework: str) -> Iterator[tuple[str, Mask]]:
    """What a framework refuses of a structure: by itself, or together with one degree."""
    refused = refusal(Plan(**structure), framework)
    if refused is not None:
        yield f"{framework}: {refused}", np.zeros((1, 1, 1, 1), dtype=bool)
        return
    for name in AXES:
        said = [refusal(Plan(**{**structure, name: value}), framework) for value in grid.axes[name]]
        for rule in dict.fromkeys(filter(None, said)):
            holds = np.array([rule != word for word in said]).reshape(grid.degrees[name].shape)
            yield f"{framework}: {rule}", holds


# evaluation --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Layouts:
    """Layouts that fit, as columns ``(n,)``: which structure, on how many accelerators, degrees, seconds of a step, bytes at the peak."""

    structures: Sequence[Structure]
    which: NDArray[np.intp]
    gpus: Array
    degrees: Mapping[str, Array]
    seconds: Array
    memory: Array

    def __len__(self) -> int:
        return len(self.seconds)

    def plan(self, i: int) -> Plan:
        """One of them as a plan; sequence parallelism is off where there is no tensor parallelism to split along."""
        return plan_of(self.structures[self.which[i]], {name: int(column[i]) for name, column in self.degrees.items()})


def plan_of(structure: Structure, degrees: Mapping[str, int]) -> Plan:
    """A structure at some degrees as a plan."""
    return Plan(**{**structure, **degrees, **({"sequence_parallel": "off"} if degrees["tp"] == 1 else {})})


@dataclass(frozen=True)
class Tried:
    """What became of every layout of a space.

    Args:
        layouts: those that fit.
        possible: how many the rules allow.
        rejected: rule → how many it refuses, ``memory`` last.
        nearest: the one that needs least memory of those that don't fit, with its accelerators and bytes; None if all fit.
    """

    layouts: Layouts
    possible: int
    rejected: Mapping[str, int]
    nearest: tuple[Plan, int, float] | None

    @property
    def considered(self) -> int:
        """All layouts of the space."""
        return len(self.layouts) + sum(self.rejected.values())


def try_all(setting: Setting, gpus: Sequence[int], framework: str | None, given: Mapping[str, Any]) -> Tried:
    """Seconds and bytes of every layout of a space on each number of accelerators.

    Args:
        setting: the phase.
        gpus: numbers of accelerators.
        framework: whose plans; None for all.
        given: field of a plan → values to try, as for :func:`values_of`.
    """
    values = values_of(setting.run.model, setting.plan, gpus, given)
    trial = _Trial(setting, framework, values)
    loops = [list(alike) for _, alike in groupby(structures(values), key=lambda s: {name: s[name] for name in s if name != "zero"})]
    for n in gpus:
        axes = {name: tuple(v for v in values[name] if v <= n or name in given or name == "micro_batch") for name in AXES}
        grid = Grid(setting.run.model, setting.cluster, n, setting.seq_len, setting.batch, axes)
        for alike in loops:
            trial.add(grid, alike)
    return trial.tried()


@dataclass
class _Trial:
    """A search under way: columns of one structure after another, and what was refused."""

    setting: Setting
    framework: str | None
    values: Mapping[str, tuple[Any, ...]]
    structures: list[Structure] = field(default_factory=list)
    columns: dict[str, list[Array]] = field(default_factory=dict)
    rejected: Counter[str] = field(default_factory=Counter)
    possible: int = 0
    nearest: tuple[Plan, int, float] | None = None

    def tried(self) -> Tried:
        """What became of all layouts."""
        joined = {name: np.concatenate(parts) for name, parts in self.columns.items()}
        empty = np.zeros(0)
        degrees = {name: joined.get(name, empty) for name in AXES}
        which = joined.get("which", empty).astype(np.intp)
        layouts = Layouts(
            self.structures, which, joined.get("gpus", empty), degrees, joined.get("seconds", empty), joined.get("memory", empty)
        )
        rejected = {rule: count for rule, count in self.rejected.most_common() if count}
        return Tried(layouts, self.possible, rejected, self.nearest)

    def add(self, grid: Grid, alike: Sequence[Structure]) -> None:
        """Structures that differ in ZeRO alone."""
        allowed = [self._allowed(grid, structure) for structure in alike]
        anywhere = np.logical_or.reduce(allowed)
        if not anywhere.any():
            return
        plan = Plan(**alike[0])
        kept, at = grid.within(anywhere)
        zeros = [structure["zero"] for structure in alike]
        sizes = peak_by_zero(self.setting.run.model, plan, _degrees(kept, alike[0], plan), zeros)
        for structure, mask, size in zip(alike, allowed, sizes, strict=True):
            if mask.any():
                self._add(kept, structure, mask[np.ix_(*at)], np.broadcast_to(size, kept.shape))

    def _allowed(self, grid: Grid, structure: Structure) -> Mask:
        """Layouts of a structure that all rules allow, the framework's among them."""
        allowed, counts = grid.possible(structure)
        self.rejected += counts
        if not allowed.any():
            return allowed
        rules: list[tuple[str, Mask]] = []
        if structure["sequence_parallel"] == "on" and "off" in self.values["sequence_parallel"]:
            rules.append((ONCE, grid.degrees["tp"] > 1))
        if self.framework is not None:
            rules += expressible(structure, grid, self.framework)
        allowed, counts = tally(rules, grid.shape, allowed)
        self.rejected += counts
        return allowed

    def _add(self, grid: Grid, structure: Structure, allowed: Mask, size: Array) -> None:
        """One structure: layouts that fit are timed, the others are counted."""
        chip = self.setting.cluster.chip
        at = np.nonzero(allowed & (size <= chip.memory))
        possible, count = int(np.count_nonzero(allowed)), len(at[0])
        self.possible += possible
        self.rejected[f"more memory than the {float(chip.memory) / 1e9:g} GB of a {chip.name}"] += possible - count
        if count < possible:
            self._note_nearest(grid, structure, np.where(allowed & (size > chip.memory), size, np.inf))
        if count:
            columns = {name: grid.degrees[name].reshape(-1)[at[i]] for i, name in enumerate(AXES)}
            columns["seconds"] = _seconds(self.setting, grid, Plan(**structure), columns)
            columns |= {"which": np.full(count, float(len(self.structures))), "gpus": np.full(count, float(grid.gpus)), "memory": size[at]}
            self.structures.append(structure)
            for name, column in columns.items():
                self.columns.setdefault(name, []).append(column)

    def _note_nearest(self, grid: Grid, structure: Structure, over: Array) -> None:
        """Keeps the layout that needs least memory of those that don't fit."""
        least = int(np.argmin(over))
        size = float(over.reshape(-1)[least])
        if self.nearest is None or size < self.nearest[2]:
            at = np.unravel_index(least, grid.shape)
            self.nearest = (plan_of(structure, {name: grid.axes[name][at[i]] for i, name in enumerate(AXES)}), grid.gpus, size)


def _degrees(grid: Grid, structure: Structure, plan: Plan) -> Degrees:
    """The whole grid as the degrees of :func:`peak_by_zero`."""
    d, dp = grid.degrees, grid.data_parallel(plan.pp)
    return Degrees(
        tp=d["tp"], dp=dp, ep=d["ep"], cp=d["cp"], expert_tp=expert_tp_of(structure["expert_tp"], d),
        shard=dp * d["cp"] if plan.shard is None else np.full((1, 1, 1, 1), float(plan.shard)),
        micro_batch=d["micro_batch"], seq_len=grid.seq_len, micro_batches=grid.batch / (dp * d["micro_batch"]),
    )  # fmt: skip


def _layout(setting: Setting, cluster: Cluster, plan: Plan) -> Layout:
    return layout_of(plan, cluster, setting.seq_len, setting.phase.document_length)


def _seconds(setting: Setting, grid: Grid, plan: Plan, columns: Mapping[str, Array]) -> Array:
    """Seconds of a step of each column, ``(n,)``."""
    cluster, tp = setting.on(grid.gpus), columns["tp"]
    alone, pair = (_layout(setting, cluster, plan.replace({"tp": degree})) for degree in (1, 2))
    whole = {
        **columns,
        "dp": grid.gpus / (tp * columns["cp"] * plan.pp),
        "sequence_split": tp if pair.sequence_split == 2 else np.ones_like(tp),
        "expert_tp": np.where(columns["ep"] == 1, tp, 1.0) if plan.expert_tp is None else np.full_like(tp, plan.expert_tp),
    }
    known = {field.name for field in dataclasses.fields(Layout)}
    parts = []
    for first in range(0, len(tp), BLOCK):
        layout = _at(alone, {name: column[first : first + BLOCK] for name, column in whole.items() if name in known})
        made = step_of(setting.run.model, layout, setting.batch, plan.schedule, plan.zero, cluster, setting.stack)
        parts.append(np.asarray(made.seconds, dtype=np.float64).reshape(-1))
    return np.concatenate(parts)


def _at(layout: Layout, columns: Mapping[str, Any]) -> Layout:
    """A layout whose numbers are columns."""
    return dataclasses.replace(layout, **columns)
