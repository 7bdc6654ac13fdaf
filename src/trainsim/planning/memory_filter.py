"""Bytes of every layout a space allows, and which of them fit: loops over structure, broadcasts over the rest."""

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
from .candidates import Layouts, plan_of
from .problem import Setting
from .space import AXES, Array, LayoutGrid, Mask, Structure, expert_tp_of, spoken, structures, tally, values_of

ONCE = "sequence_parallel=on is off at tp=1"
"""Where both are tried, a layout without tensor parallelism counts once."""


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


def expressible(structure: Structure, grid: LayoutGrid, framework: str) -> Iterator[tuple[str, Mask]]:
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


def try_all(
    setting: Setting, gpus: Sequence[int], framework: str | None, given: Mapping[str, Any], progress: Progress | None = None
) -> Tried:
    """Every layout of a space on each number of accelerators: bytes of all, seconds of those that fit when they are asked for.

    Args:
        setting: the phase.
        gpus: numbers of accelerators.
        framework: whose plans; None for all.
        given: field of a plan → values to try, as for :func:`values_of`.
        progress: called with the groups of layouts done and all of them.
    """
    values = values_of(setting.model, setting.plan, gpus, given)
    trial = _Trial(setting, framework, values)
    loops = [list(alike) for _, alike in groupby(structures(values), key=lambda s: {name: s[name] for name in s if name != "zero"})]
    for k, n in enumerate(gpus):
        axes = {name: tuple(v for v in values[name] if v <= n or name in given or name == "micro_batch") for name in AXES}
        grid = LayoutGrid(setting.model, setting.cluster, n, setting.seq_len, setting.batch, axes)
        codes = trial.codes(grid)
        for i, alike in enumerate(loops, 1):
            trial.add(grid, codes, alike)
            if progress is not None:
                progress(k * len(loops) + i, len(gpus) * len(loops))
    return trial.tried()


@dataclass
class _Trial:
    """A search under way: columns of one structure after another, and what was refused."""

    setting: Setting
    framework: str | None
    values: Mapping[str, tuple[Any, ...]]
    structures: list[Structure] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    columns: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    rejected: Counter[str] = field(default_factory=Counter)
    possible: int = 0
    nearest: tuple[Plan, int, float] | None = None

    def tried(self) -> Tried:
        """What became of all layouts."""
        joined = {name: np.concatenate(parts) for name, parts in self.columns.items()}
        which, code = (joined.get(name, np.zeros(0, dtype=np.intp)) for name in ("which", "code"))
        axes = {name: np.array(self.values[name], dtype=np.float64) for name in AXES}
        layouts = Layouts(self.setting, self.structures, self.sizes, axes, which, code, joined.get("memory", np.zeros(0)))
        rejected = {rule: count for rule, count in self.rejected.most_common() if count}
        return Tried(layouts, self.possible, rejected, self.nearest)

    def codes(self, grid: LayoutGrid) -> NDArray[np.intp]:
        """Where each combination of a grid's degrees stands among all."""
        places = [[self.values[name].index(value) for value in grid.axes[name]] for name in AXES]
        codes: NDArray[np.intp] = np.ravel_multi_index(np.ix_(*places), tuple(len(self.values[name]) for name in AXES))
        return codes

    def add(self, grid: LayoutGrid, codes: NDArray[np.intp], alike: Sequence[Structure]) -> None:
        """Structures that differ in ZeRO alone."""
        allowed = [self._allowed(grid, structure) for structure in alike]
        at = np.nonzero(np.logical_or.reduce(allowed))
        if not len(at[0]):
            return
        degrees = {name: grid.degrees[name].reshape(-1)[places] for name, places in zip(AXES, at, strict=True)}
        plan, zeros = Plan(**alike[0]), [structure["zero"] for structure in alike]
        spread = _degrees(grid, degrees, plan)
        sizes = peak_by_zero(self.setting.model, plan, spread, spread.micro_batches(grid.batch), zeros)
        for structure, mask, size in zip(alike, allowed, sizes, strict=True):
            here = np.flatnonzero(mask[at])
            if len(here):
                self._add(grid.gpus, structure, codes[at][here], np.broadcast_to(size, at[0].shape)[here])

    def _allowed(self, grid: LayoutGrid, structure: Structure) -> Mask:
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

    def _add(self, gpus: int, structure: Structure, code: NDArray[np.intp], size: Array) -> None:
        """Possible layouts of one structure: those that fit are kept, the others are counted."""
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
        """Keeps the layout that needs least memory of those that don't fit."""
        least = int(np.argmin(over))
        if self.nearest is None or over[least] < self.nearest[2]:
            at = np.unravel_index(code[least], tuple(len(self.values[name]) for name in AXES))
            degrees = {name: self.values[name][place] for name, place in zip(AXES, at, strict=True)}
            self.nearest = (plan_of(structure, degrees), gpus, float(over[least]))


def _degrees(grid: LayoutGrid, d: Mapping[str, Array], plan: Plan) -> Degrees:
    """Columns of degrees as those of :func:`peak_by_zero`."""
    dp = grid.gpus / (d["tp"] * d["cp"] * plan.pp)
    return Degrees(
        tp=d["tp"], dp=dp, ep=d["ep"], cp=d["cp"], expert_tp=expert_tp_of(plan.expert_tp, d),
        shard=None if plan.shard is None else np.full_like(dp, plan.shard), micro_batch=d["micro_batch"], seq_len=grid.seq_len,
    )  # fmt: skip
