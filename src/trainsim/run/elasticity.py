"""Which lines of an answer depend on which inputs: each is moved by a percent, all in one batch, and what moves is read off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.batch import Batch
from ..core.errors import TrainsimError
from ..core.ledger import Ledger
from ..core.spec import Spec
from ..core.units import Num, Unit

STEP = 0.01
"""How far an input is moved, relative to itself: one percent, so that "+1 %" is what was computed, a jump of a rounded count included;
on one that is zero nothing rests, and it stays."""
STILL = 1e-9
"""A line that moves by less, relative to itself, depends on something else."""


@dataclass(frozen=True)
class Dependence:
    """An answer with every input moved in turn.

    Args:
        spec: what was asked about.
        inputs: paths, in the order of the draws.
        moved: the answer: the first draw as it is, one more for each input moved.
    """

    spec: Spec
    inputs: tuple[str, ...]
    moved: Ledger

    def part(self, path: str) -> Dependence:
        """The same for a part of the answer."""
        return Dependence(self.spec, self.inputs, self.moved.part(path)) if path else self

    @cached_property
    def elasticities(self) -> dict[str, float]:
        """Percent of the whole for one percent more of each input that moves it (less, at an upper bound), the strongest first."""
        slopes = self._slopes(self.moved.total)
        found = {path: float(slope) for path, slope in zip(self.inputs, slopes, strict=True) if abs(slope) > STILL / STEP}
        return dict(sorted(found.items(), key=lambda item: -round(abs(item[1]), 3)))

    def effect(self, path: str) -> str:
        """What a percent of an input does to the whole, in words; a percent less where more is out of bounds."""
        step = float(self._steps[self.inputs.index(path)])
        return f"{100 * step:+.0f} % of it: {100 * step * self.elasticities.get(path, 0.0):+.2f} %"

    def carries(self, *paths: str) -> dict[str, float]:
        """What depends on some inputs: the highest levels of which all lines move with one of them → how much of the answer they are.

        Where every line moves it is the whole, under the empty name. What an input shifts from one line to another, their sum
        unmoved, does not depend on it.

        >>> from trainsim.cost.ownership import Ownership
        >>> owner = Ownership(usd_per_gpu=35064, life_years=4, operating_share=0.1, utilization=1.0)
        >>> found = dependence(owner, Ownership.rate)
        >>> {path: round(x, 3) for path, x in found.elasticities.items()}
        {'utilization': -1.01, 'usd_per_gpu': 1.0, 'life_years': -0.707, 'operating_share': 0.286}
        >>> {level: round(x, 2) for level, x in found.carries("life_years").items()}
        {'capital': 1.0}
        """
        chosen = np.isin(self.inputs, paths)
        if not chosen.any() or not self._moves(self.moved.total, chosen):
            return {}
        if self._all_move(self.moved, chosen):
            return {"": float(self._draws(self.moved.total)[0])}
        return dict(self._levels(self.moved, "", chosen))

    def _levels(self, ledger: Ledger, prefix: str, chosen: NDArray[np.bool_]) -> Iterator[tuple[str, float]]:
        for name in ledger:
            part = ledger.part(name)
            if not self._moves(part.total, chosen):
                continue
            if self._all_move(part, chosen):
                yield f"{prefix}{name}", float(self._draws(part.total)[0])
            else:
                yield from self._levels(part, f"{prefix}{name}.", chosen)

    def _all_move(self, part: Ledger, chosen: NDArray[np.bool_]) -> bool:
        return all(self._moves(line, chosen) for _, line in part.lines() if np.any(line))

    def _moves(self, total: Num, chosen: NDArray[np.bool_]) -> bool:
        base, *moved = self._draws(total)
        return bool(np.any(np.abs(np.asarray(moved) - base)[chosen] > STILL * abs(base)))

    @cached_property
    def _steps(self) -> NDArray[np.float64]:
        numbers = self.spec.numbers()
        return np.array([_step(*numbers[path])[1] for path in self.inputs])

    def _draws(self, value: Num) -> NDArray[np.float64]:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), (1 + len(self.inputs),))

    def _slopes(self, total: Num) -> NDArray[np.float64]:
        """Relative change over the relative step, by input; nothing for what is nothing."""
        base, *moved = self._draws(total)
        return np.zeros(len(moved)) if base == 0.0 else (np.asarray(moved) / base - 1.0) / self._steps


def dependence(spec: Any, answer: Callable[[Any], Ledger]) -> Dependence:
    """Move every input of a spec in turn and read off which lines of an answer move.

    Args:
        spec: what is asked about; each of its numbers is an input.
        answer: from the spec to a ledger, broadcasting over draws.

    Returns:
        the answer under each move; an input that is zero, or that a rule ties to its value, is left out.
    """
    numbers: dict[str, tuple[Any, Unit]] = spec.numbers()
    paths = tuple(path for path, (value, _) in numbers.items() if value != 0.0)
    try:
        return Dependence(spec, paths, answer(_each_moved(spec, paths, numbers)))
    except TrainsimError:
        free = tuple(path for path in paths if _may_move(spec, path, numbers))
        return Dependence(spec, free, answer(_each_moved(spec, free, numbers)))


def _each_moved(spec: Spec, paths: tuple[str, ...], numbers: dict[str, tuple[Any, Unit]]) -> Spec:
    draws = {path: np.full(1 + len(paths), float(numbers[path][0])) for path in paths}
    for i, path in enumerate(paths, 1):
        draws[path][i] = _step(*numbers[path])[0]
    return Batch(spec, draws).spec if draws else spec


def _may_move(spec: Spec, path: str, numbers: dict[str, tuple[Any, Unit]]) -> bool:
    try:
        Batch(spec, {path: np.array([_step(*numbers[path])[0]])})
    except TrainsimError:
        return False
    return True


def _step(value: Any, unit: Unit) -> tuple[float, float]:
    """Where an input is moved to, within its bounds, and by how much relative to itself."""
    here = float(value)
    step = STEP if unit.low < here * (1.0 + STEP) < unit.high else -STEP
    return here * (1.0 + step), step


__all__ = ["Dependence", "dependence"]
