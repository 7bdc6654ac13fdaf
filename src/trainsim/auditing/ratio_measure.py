"""RatioMeasure: claims that compare two subjects, such as "18 times cheaper"."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..catalog.evidence import GENERATIONS
from ..claims.scope import Basis, Content, contents_text
from ..core.spec import Spec
from ..core.units import Num, human
from ..run.development import Development
from ..run.run import Run
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.distribution import Belief
from ..uncertainty.sampling.engine import simulate
from ..uncertainty.sampling.simulation import Figure, Simulation
from .amounts import Amount, Contents, amounts_of, label_of
from .comparison import LEVELS, Prediction
from .disclosure import Disclosure, point
from .measure import RUN, Measure, Predicted
from .predictions import DRAWS, NO_HOURS, Priced
from .relatives import disclosed_of
from .run_measures import RunAmount
from .scope_ladder import LABELS

_RENT = "price.usd_per_gpu_hour"


class Pair(Spec):
    """Two developments in one spec, so that shared inputs share a draw."""

    first: Development
    second: Development


@dataclass(frozen=True)
class RatioMeasure(Measure):
    """Ratio of the other subject's quantity to the subject's.

    Args:
        mine, theirs: the quantity of the subject, and of the other.
        quantity, subject, versus: names in the claim, for disclosed ratios.
        why: reason that the two can't be compared; empty if they can.
    """

    mine: Measure
    theirs: Measure
    quantity: str
    subject: str
    versus: str
    why: str = ""

    def relevant(self, contents: Contents) -> Contents:
        """Contents of the quantity."""
        return self.mine.relevant(contents)

    def disclosures(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """Disclosed ratios, in either direction, and ratios of both sides' disclosures for the same contents."""
        found = list(disclosed_of(self.subject, self.quantity, day, self.versus))
        found += [inverted(d) for d in disclosed_of(self.versus, self.quantity, day, self.subject)]
        ours, others = (side.disclosures(contents or self._default(), basis, day) for side in (self.mine, self.theirs))
        if ours and others:
            found += list(_quotients(ours, others))
        return tuple(d for d in found if contents is None or not d.contents or d.contents == contents)

    def _default(self) -> Contents | None:
        return RUN if isinstance(self.mine, RunAmount) else None

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Ratio on common draws of rent and goodput; utilisations are correlated by similarity of the runs."""
        found = self._joint(basis, day)
        if found is None:
            return None
        ours, others, turned = found
        unit = self._unit
        asked = (contents or RUN) - (NO_HOURS if unit == "GPU-h" else frozenset())
        each = [asked & frozenset(side.parts(unit)) for side in (ours, others)]
        held = each[0] | each[1]
        if not each[0] or not each[1] or len(ours.beliefs) + len(others.beliefs) == 0:
            return None
        sim = ratios(ours, others, unit, [held])
        levels = tuple(float(q) for q in sim.quantile(label_of(held), LEVELS))
        if turned:
            levels = tuple(1.0 / q for q in reversed(levels))
        prediction = Prediction(levels, partial(_cdf, sim, label_of(held), turned=turned))  # type: ignore[arg-type]
        missing = tuple(sorted(asked - (each[0] & each[1]) - RUN))
        newest = max((d for d in (ours.newest(held), others.newest(held)) if d is not None), default=None)
        judged = any(side.depends_on_judgement(held, side.parts(unit)) for side in (ours, others))
        return Predicted(prediction, f"both sides at {contents_text(asked)} on common draws", missing, judged, newest)

    @property
    def _unit(self) -> Amount:
        return self.mine.unit if isinstance(self.mine, RunAmount) else "USD"

    def _joint(self, basis: Basis | None, day: dt.date) -> tuple[Priced, Priced, bool] | None:
        """Both sides in a fixed order, and whether this order swaps them."""
        if not isinstance(self.mine, RunAmount) or not isinstance(self.theirs, RunAmount):
            return None
        ours, others = self.mine._priced(basis, day), self.theirs._priced(basis, day)
        if ours is None or others is None:
            return None
        turned = self.subject > self.versus or (self.subject == self.versus and self.mine.view.given.name > self.theirs.view.given.name)
        return (others, ours, True) if turned else (ours, others, False)

    def at_each_rung(self, day: dt.date) -> dict[str, tuple[Figure, ...]]:
        """Label of a rung → P5, P50 and P95 of the cost ratio, for rungs that both sides have."""
        found = self._joint(None, day) if self._unit == "USD" else None
        if found is None or len(found[0].beliefs) + len(found[1].beliefs) == 0:
            return {}
        ours, others, turned = found
        theirs = dict(others.rungs("USD"))
        steps = [(step, held | theirs[step]) for step, held in ours.rungs("USD") if step in theirs]
        if not steps:
            return {}
        sim = ratios(ours, others, "USD", [held for _, held in steps])
        return {LABELS[step]: _turned(sim.quantile(label_of(held), (0.05, 0.5, 0.95)), turned=turned) for step, held in steps}

    @property
    def scenario(self) -> str:
        """Reason that either side is a scenario."""
        return self.mine.scenario or self.theirs.scenario

    @property
    def reason_unknown(self) -> str:
        """Reason that nothing is known."""
        return self.why or f"{self.quantity} of one side was never published and can't be predicted"


def inverted(disclosed: Disclosure) -> Disclosure:
    """The inverse of a disclosed ratio; a lower bound becomes an upper bound."""
    bound = {"at least": "at most", "at most": "at least"}.get(disclosed.bound, "")
    return replace(disclosed, low=1.0 / disclosed.high, high=1.0 / disclosed.low, bound=bound)  # type: ignore[arg-type]


def _quotients(ours: tuple[Disclosure, ...], others: tuple[Disclosure, ...]) -> list[Disclosure]:
    """Ratio of the other subject's first disclosure to this subject's, for the same contents."""
    mine, theirs = ours[0], next((o for o in others if o.contents == ours[0].contents), others[0])
    if mine.value <= 0 or mine.bound or theirs.bound:
        return []
    label = f"{human(theirs.value, 4)} over {human(mine.value, 4)}"
    day = max((d for d in (mine.day, theirs.day) if d is not None), default=None)
    return [point(theirs.value / mine.value, label, day=day, contents=mine.contents, sourced=mine.sourced and theirs.sourced)]


def ratios(first: Priced, second: Priced, unit: Amount, scopes: list[Contents]) -> Simulation:
    """Simulate the ratio of the second development's amounts to the first's, on common draws.

    Rents of one generation in one region share a draw, since they are one market. Goodputs share a draw too. Utilisations are correlated,
    by :func:`similarity`.
    """
    held: dict[tuple[str, ...], Belief] = {}
    for head, side in (("first", first), ("second", second)):
        held |= {tuple(f"{head}.{p}" for p in paths): belief for paths, belief in side.beliefs.items()}
    shared = [k for k in held if all(p.startswith("first.") for p in k) and (_is_market(k) or all("goodput" in p for p in k))]
    for key in shared:
        twin = next((k for k in held if k != key and held[k] == held[key] and k[0].startswith("second.") and _like(k, key)), None)
        if twin is not None:
            held[tuple(sorted((*key, *twin)))] = held.pop(key)
            del held[twin]
    loads = [
        next((p for k in held for p in k if p.startswith(head) and p.endswith("efficiency.mfu")), None) for head in ("first.", "second.")
    ]
    correlated = {}
    if loads[0] is not None and loads[1] is not None:
        correlated[loads[0], loads[1]] = similarity(_final(first), _final(second))
    pair = Pair(first=first.programme.development, second=second.programme.development)
    function = partial(_quotient, first.programme.final, second.programme.final, unit, tuple(scopes))
    return simulate(pair, Beliefs(held, correlated=correlated), function, n=DRAWS, seed=first.seed)


def _is_market(paths: tuple[str, ...]) -> bool:
    return all(p.endswith(_RENT) for p in paths)


def _like(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return _is_market(one) == _is_market(other)


def _final(side: Priced) -> Run:
    return next(line.run for line in side.programme.development.lines if line.name == side.programme.final)


def similarity(one: Run, other: Run) -> float:
    """Correlation of the utilisations of two runs: the share of five classes in which the runs agree.

    ``ρ = classes that agree / 5``

    >>> import trainsim as ts
    >>> v3, r405 = ts.catalog.run("deepseek-v3"), ts.catalog.run("llama3.1-405b")
    >>> similarity(v3, v3), similarity(v3, r405)
    (0.4, 0.2)
    """
    generations = [GENERATIONS.get(r.cluster.chip.name, r.cluster.chip.name) for r in (one, other)]
    return ((generations[0] == generations[1]) + (one.model.is_moe == other.model.is_moe)) / 5.0


def _quotient(first: str, second: str, unit: Amount, scopes: tuple[Contents, ...], pair: Pair) -> Mapping[str, Num]:
    ours, others = amounts_of(first, unit, pair.first), amounts_of(second, unit, pair.second)

    def total(parts: Mapping[Content, Num], scope: Contents) -> Num:
        return sum((amount for content, amount in parts.items() if content in scope), 0.0)

    return {label_of(scope): total(others, scope) / total(ours, scope) for scope in scopes}


def _cdf(sim: Simulation, name: str, value: float, *, turned: bool) -> float:
    if not turned:
        return float(sim.cdf(name, value))
    return 1.0 - float(sim.cdf(name, float(np.nextafter(1.0 / value, 0.0)))) if value > 0 else 0.0


def _turned(figures: tuple[Figure, ...], *, turned: bool) -> tuple[Figure, ...]:
    if not turned:
        return figures
    return tuple(Figure(1.0 / q, q.standard_error / float(q) ** 2, q.replicates, -q.skew) for q in reversed(figures))
