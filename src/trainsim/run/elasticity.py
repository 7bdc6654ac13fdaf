"""Elasticities of an estimate: the effect of a one-percent change of each input on each line, evaluated in one batch."""

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
"""Relative change of each input: one percent, so that a printed "+1 %" is exact, even for a count that is rounded. Zero inputs are
skipped."""
UNCHANGED = 1e-9
"""Relative change below which a line counts as unchanged."""


@dataclass(frozen=True)
class InputEffects:
    """A ledger evaluated with each input changed in turn.

    Args:
        spec: the spec whose numbers are the inputs.
        inputs: paths of the changed inputs, in the order of the draws.
        moved: the ledger; its first draw is unchanged, the others have one input changed each.
    """

    spec: Spec
    inputs: tuple[str, ...]
    moved: Ledger

    def part(self, path: str) -> InputEffects:
        """The effects on a part of the ledger."""
        return InputEffects(self.spec, self.inputs, self.moved.part(path)) if path else self

    @cached_property
    def elasticities(self) -> dict[str, float]:
        """Relative change of the total per relative change of each input that affects it, the strongest first."""
        slopes = self._slopes(self.moved.total)
        found = {path: float(slope) for path, slope in zip(self.inputs, slopes, strict=True) if abs(slope) > UNCHANGED / STEP}
        return dict(sorted(found.items(), key=lambda item: -round(abs(item[1]), 3)))

    def effect(self, path: str) -> str:
        """Effect of one percent more of an input on the total, ``+1 % → +0.96 %``; of one percent less if more is out of bounds."""
        step = float(self._steps[self.inputs.index(path)])
        return f"{100 * step:+.0f} % → {100 * step * self.elasticities.get(path, 0.0):+.2f} %"

    def dependent_lines(self, *paths: str) -> dict[str, float]:
        """Largest subtrees of the ledger that depend wholly on some inputs, with their amounts.

        The whole ledger has the empty name. If an input only shifts an amount between two lines, their sum does not depend on the input.

        >>> from trainsim.cost.ownership import Ownership
        >>> owner = Ownership(usd_per_gpu=35064, life_years=4, operating_share=0.1, utilization=1.0)
        >>> found = input_effects(owner, Ownership.rate)
        >>> {path: round(x, 3) for path, x in found.elasticities.items()}
        {'utilization': -1.01, 'usd_per_gpu': 1.0, 'life_years': -0.707, 'operating_share': 0.286}
        >>> {level: round(x, 2) for level, x in found.dependent_lines("life_years").items()}
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
        return bool(np.any(np.abs(np.asarray(moved) - base)[chosen] > UNCHANGED * abs(base)))

    @cached_property
    def _steps(self) -> NDArray[np.float64]:
        numbers = self.spec.numbers()
        return np.array([_step(*numbers[path])[1] for path in self.inputs])

    def _draws(self, value: Num) -> NDArray[np.float64]:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), (1 + len(self.inputs),))

    def _slopes(self, total: Num) -> NDArray[np.float64]:
        """Relative change divided by the relative step, by input; 0 for a zero total."""
        base, *moved = self._draws(total)
        return np.zeros(len(moved)) if base == 0.0 else (np.asarray(moved) / base - 1.0) / self._steps


def input_effects(spec: Any, answer: Callable[[Any], Ledger]) -> InputEffects:
    """Evaluate a ledger with each input of a spec changed in turn.

    Args:
        spec: the spec; each of its numbers is an input.
        answer: function from the spec to a ledger, broadcasting over draws.

    Returns:
        the ledger under each change; inputs that are zero, or that a rule does not allow to change, are left out.
    """
    numbers: dict[str, tuple[Any, Unit]] = spec.numbers()
    paths = tuple(path for path, (value, _) in numbers.items() if value != 0.0)
    try:
        return InputEffects(spec, paths, answer(_with_each_changed(spec, paths, numbers)))
    except TrainsimError:
        free = tuple(path for path in paths if _may_change(spec, path, numbers))
        return InputEffects(spec, free, answer(_with_each_changed(spec, free, numbers)))


def _with_each_changed(spec: Spec, paths: tuple[str, ...], numbers: dict[str, tuple[Any, Unit]]) -> Spec:
    draws = {path: np.full(1 + len(paths), float(numbers[path][0])) for path in paths}
    for i, path in enumerate(paths, 1):
        draws[path][i] = _step(*numbers[path])[0]
    return Batch(spec, draws).spec if draws else spec


def _may_change(spec: Spec, path: str, numbers: dict[str, tuple[Any, Unit]]) -> bool:
    try:
        Batch(spec, {path: np.array([_step(*numbers[path])[0]])})
    except TrainsimError:
        return False
    return True


def _step(value: Any, unit: Unit) -> tuple[float, float]:
    """Changed value of an input, within its bounds, and the relative step."""
    here = float(value)
    step = STEP if unit.low < here * (1.0 + STEP) < unit.high else -STEP
    return here * (1.0 + step), step


__all__ = ["InputEffects", "input_effects"]
