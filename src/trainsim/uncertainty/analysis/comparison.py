"""Comparisons under uncertainty: two specs with shared draws, or one spec under several sets of beliefs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainsim.core.answer import Answer, AnswerRow, Summary
from trainsim.core.errors import BeliefError
from trainsim.core.spec import Spec
from trainsim.core.units import Num

from ..beliefs.beliefs import Beliefs
from ..distributions.composed import Joint
from ..sampling.engine import simulate
from ..sampling.simulation import Figure, Simulation
from ..sampling.sweep import Function, pick_output


class SideBySide(Spec):
    """Two specs as one, so that a belief can apply to both."""

    a: Spec
    b: Spec


@dataclass(frozen=True)
class _BothOutputs:
    """The output of both specs, and their difference."""

    function: Function
    of: str

    def __call__(self, pair: SideBySide) -> dict[str, Num]:
        answers = [self.function(spec) for spec in (pair.a, pair.b)]
        a, b = (pick_output(answer if isinstance(answer, Mapping) else {"value": answer}, self.of) for answer in answers)
        return {"a": a, "b": b, "difference": b - a}


@dataclass(frozen=True, repr=False)
class Difference(Answer):
    """Comparison of two specs with shared draws.

    Args:
        of: the compared output.
        simulation: outputs ``"a"``, ``"b"`` and ``"difference"``, which is b - a.
        names: names of the two specs.
    """

    of: str
    simulation: Simulation
    names: tuple[str, str] = ("a", "b")

    @property
    def a_below_b(self) -> Figure:
        """Probability that a is lower than b."""
        return self.simulation.probability("difference", above=0.0)

    def quantile(self, p: float) -> Figure:
        """A quantile of b - a."""
        return self.simulation.quantile("difference", p)

    def summary(self) -> Summary:
        """The output of each, b - a, and the probability that a is lower."""
        unit = self.simulation.units.get(self.of, "")
        labels = {"a": self.names[0], "b": self.names[1], "difference": f"{self.names[1]} less {self.names[0]}"}
        rows = [AnswerRow(name, label, *_point(self.simulation, name, unit)) for name, label in labels.items()]
        lower = AnswerRow("a_below_b", f"{self.names[0]} is lower with probability", 100 * float(self.a_below_b), "%")
        return Summary(f"{self.of}: median (5 % to 95 %)", (*rows, lower), (self.simulation.footnote,), self.simulation.spec.sources())


def difference(a: Spec, b: Spec, beliefs: Beliefs, function: Function, *, of: str = "value", **options: Any) -> Difference:
    """Compare two specs with shared draws: a belief about a path of both specs has the same draws in both.

    Args:
        a, b: the specs.
        beliefs: beliefs about either or both.
        function: as for ``simulate``.
        of: the output or ledger line.
        options: options of ``simulate``.

    Raises:
        PathError: neither spec has a path of the beliefs.
    """
    inside = {"a": set(a.numbers()), "b": set(b.numbers())}
    held: dict[tuple[str, ...], Any] = {}
    for key, belief in beliefs.items():
        spread = {path: tuple(f"{side}.{path}" for side in "ab" if path in inside[side]) or (f"a.{path}",) for path in key}
        names = tuple(name for path in key for name in spread[path])
        if isinstance(belief, Joint):
            columns = tuple(belief.columns[belief.names.index(path)] for path in key for _ in spread[path])
            held[names] = Joint(columns=columns, names=names, weights=belief.weights)
        else:
            held[names] = belief
    first = {path: next((f"{side}.{path}" for side in "ab" if path in inside[side]), path) for key in beliefs for path in key}
    correlated = {(first.get(i, i), first.get(j, j)): rho for (i, j), rho in beliefs.correlated.items()}
    sim = simulate(SideBySide(a=a, b=b), Beliefs(held, correlated), _BothOutputs(function, of), **{"n": 1 << 16, **options})
    return Difference(of, sim, _names(a, b))


def _names(a: Spec, b: Spec) -> tuple[str, str]:
    """Labels of two specs, with "(a)" and "(b)" added if they are equal; "a" and "b" without labels."""
    named = str(getattr(a, "label", "")), str(getattr(b, "label", ""))
    if not all(named):
        return "a", "b"
    return named if named[0] != named[1] else (f"{named[0]} (a)", f"{named[1]} (b)")


def _point(sim: Simulation, name: str, unit: str = "") -> tuple[float, str, float, float]:
    """Median, unit, 5 % and 95 % quantiles of an output."""
    low, middle, high = sim.quantile(name, [0.05, 0.5, 0.95])
    return float(middle), unit, float(low), float(high)


@dataclass(frozen=True, repr=False)
class Disagreement(Answer):
    """One spec under several sets of beliefs.

    Args:
        of: the output.
        simulations: name → simulation under these beliefs.
        through: name → path → factor on the first set's median if it adopts the other's belief about that path alone; the largest changes
            first.
    """

    of: str
    simulations: Mapping[str, Simulation]
    through: Mapping[str, Mapping[str, float]]

    def summary(self) -> Summary:
        """The output under each set of beliefs, and the paths that explain the differences."""
        rows = [AnswerRow(name, name, *_point(sim, self.of, sim.units.get(self.of, ""))) for name, sim in self.simulations.items()]
        notes = [
            f"{name}: " + ", ".join(f"{path} moves the median by a factor {ratio:.3g}" for path, ratio in list(moved.items())[:3])
            for name, moved in self.through.items()
            if moved
        ]
        return Summary(f"{self.of} under each view: median (5 % to 95 %)", tuple(rows), tuple(notes))


def compare_beliefs(spec: Spec, views: Mapping[str, Beliefs], function: Function, *, of: str = "value", **options: Any) -> Disagreement:
    """Compare several sets of beliefs about an output, and attribute their differences to paths.

    Args:
        spec: the spec.
        views: name → beliefs; the others are compared with the first.
        function: as for ``simulate``.
        of: the output or ledger line.
        options: options of ``simulate``.

    Raises:
        BeliefError: there are fewer than two sets of beliefs.
    """
    if len(views) < 2:
        raise BeliefError("views", list(views), "has fewer than two entries", "give {name: beliefs} for each view", "too-few-data")
    asked = {"n": 1 << 14, **options, "outputs": (of,)}
    simulations = {name: simulate(spec, beliefs, function, **asked) for name, beliefs in views.items()}
    (first_name, first), *others = views.items()
    median = float(simulations[first_name].quantile(of, 0.5))
    through: dict[str, dict[str, float]] = {}
    for name, other in others:
        moved = {}
        for key in dict.fromkeys([*other, *first]):
            swapped = _with_belief_of(first, other, key)
            if swapped is not None:
                moved[" = ".join(key)] = float(simulate(spec, swapped, function, **asked).quantile(of, 0.5)) / median
        through[name] = dict(sorted(moved.items(), key=lambda item: -abs(item[1] - 1)))
    return Disagreement(of, simulations, through)


def _with_belief_of(first: Beliefs, other: Beliefs, key: tuple[str, ...]) -> Beliefs | None:
    """The first beliefs with one key taken from the other; None if nothing changes or no belief is left."""
    if key in other:
        return None if key in first and first[key] == other[key] else first | Beliefs({key: other[key]})
    if any(path in other.paths for path in key):
        return None
    return first.without(*key) if len(first) > 1 else None
