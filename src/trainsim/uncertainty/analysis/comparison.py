"""Comparison under doubt: two specs on shared draws, or one spec under several people's beliefs."""

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
from ..sampling.sweep import Function, pick


class SideBySide(Spec):
    """Two specs side by side, so that one belief can be laid over both."""

    a: Spec
    b: Spec


@dataclass(frozen=True)
class _Both:
    """The output of both specs of a pair, and what lies between them."""

    function: Function
    of: str

    def __call__(self, pair: SideBySide) -> dict[str, Num]:
        answers = [self.function(spec) for spec in (pair.a, pair.b)]
        a, b = (pick(answer if isinstance(answer, Mapping) else {"value": answer}, self.of) for answer in answers)
        return {"a": a, "b": b, "difference": b - a}


@dataclass(frozen=True, repr=False)
class Difference(Answer):
    """Two specs under the same draws.

    Args:
        of: the output compared.
        simulation: outputs ``"a"``, ``"b"`` and ``"difference"``, which is b - a.
        names: what the two are called.
    """

    of: str
    simulation: Simulation
    names: tuple[str, str] = ("a", "b")

    @property
    def a_below_b(self) -> Figure:
        """The probability that a comes out lower than b."""
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
    """How two specs compare when they share every draw they can.

    A belief whose path is in both specs is one draw at both; one whose path is in one of them is drawn there alone.

    Args:
        a, b: the specs.
        beliefs: laid over both.
        function: as for ``simulate``.
        of: the output or ledger line.
        options: of ``simulate``.

    Raises:
        PathError: a believed path that neither spec has.
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
    sim = simulate(SideBySide(a=a, b=b), Beliefs(held, correlated), _Both(function, of), **{"n": 1 << 16, **options})
    return Difference(of, sim, _names(a, b))


def _names(a: Spec, b: Spec) -> tuple[str, str]:
    """What two specs are called: their labels, told apart where they are the same."""
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
        simulations: name → what the output comes to under these beliefs.
        through: name → path → what the first one's median becomes when it takes over the other's belief there alone,
            as a ratio; those that move it most first.
    """

    of: str
    simulations: Mapping[str, Simulation]
    through: Mapping[str, Mapping[str, float]]

    def summary(self) -> Summary:
        """The output of each view, and what moves the first one's median to it."""
        rows = [AnswerRow(name, name, *_point(sim, self.of, sim.units.get(self.of, ""))) for name, sim in self.simulations.items()]
        notes = [
            f"{name}: " + ", ".join(f"{path} moves the median by a factor {ratio:.3g}" for path, ratio in list(moved.items())[:3])
            for name, moved in self.through.items()
            if moved
        ]
        return Summary(f"{self.of} under each view: median (5 % to 95 %)", tuple(rows), tuple(notes))


def compare_beliefs(spec: Spec, views: Mapping[str, Beliefs], function: Function, *, of: str = "value", **options: Any) -> Disagreement:
    """Who disagrees about an output, and through which paths.

    Args:
        spec: what the beliefs are laid over.
        views: name → beliefs; the others are compared with the first.
        function: as for ``simulate``.
        of: the output or ledger line.
        options: of ``simulate``.

    Raises:
        BeliefError: fewer than two views.
    """
    if len(views) < 2:
        raise BeliefError("views", list(views), "are fewer than two", "give {name: beliefs} for each of those who disagree", "too-few-data")
    asked = {"n": 1 << 14, **options, "outputs": (of,)}
    simulations = {name: simulate(spec, beliefs, function, **asked) for name, beliefs in views.items()}
    (first_name, first), *others = views.items()
    median = float(simulations[first_name].quantile(of, 0.5))
    through: dict[str, dict[str, float]] = {}
    for name, other in others:
        moved = {}
        for key in dict.fromkeys([*other, *first]):
            swapped = _swapped(first, other, key)
            if swapped is not None:
                moved[" = ".join(key)] = float(simulate(spec, swapped, function, **asked).quantile(of, 0.5)) / median
        through[name] = dict(sorted(moved.items(), key=lambda item: -abs(item[1] - 1)))
    return Disagreement(of, simulations, through)


def _swapped(first: Beliefs, other: Beliefs, key: tuple[str, ...]) -> Beliefs | None:
    """The first beliefs with those at one key taken from the other; None if that changes nothing or leaves none."""
    if key in other:
        return None if key in first and first[key] == other[key] else first | Beliefs({key: other[key]})
    if any(path in other.paths for path in key):
        return None
    return first.without(*key) if len(first) > 1 else None
