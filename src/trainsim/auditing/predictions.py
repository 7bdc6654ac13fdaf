"""What a run's hours and dollars are predicted to be at a scope, from rows public by a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np

from ..catalog.developments import Programme, programme
from ..catalog.rows import Row, find
from ..catalog.run_beliefs import owner_beliefs
from ..claims.scope import CONTENTS, FINAL_RUN, Basis
from ..core.spec import BY_USER
from ..cost.rental import Rental
from ..run.explain import judged as is_judged
from ..run.run import Run
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.distribution import Belief, Distribution
from ..uncertainty.sampling.engine import simulate
from ..uncertainty.sampling.simulation import Simulation
from .amounts import Amount, Contents, amounts_of, label_of, sums_of
from .measure import Predicted
from .rent import rent_of
from .run_view import RunView
from .words import LEVELS, Prediction

DRAWS = 1 << 13
"""Points of a simulation whose quantiles are printed to two digits: their error is a few tenths of a percent."""
LOOP_DRAWS = 1 << 12
"""Points where each draw steps through a loop of decoding."""
TENTH = 0.1
"""Share of an amount from which on a part's grade counts."""
NO_HOURS: Contents = frozenset({"data", "people", "evaluation", "infrastructure", "electricity", "fleet", "company"})
"""Contents that take no accelerator-hours."""
STEPS: tuple[Contents, ...] = (
    frozenset(FINAL_RUN), frozenset({"downtime", "failed_runs"}), frozenset({"feeder_runs"}), frozenset({"experiments"}),
    frozenset({"data"}), frozenset({"evaluation", "infrastructure"}), frozenset({"people"}),
)  # fmt: skip
"""What each rung of the ladder adds."""
INPUTS: Mapping[str, tuple[str, ...]] = {
    "pretraining": ("price.", "efficiency.mfu", "recipe."), "downtime": ("goodput",), "failed_runs": ("failed",), "feeder_runs": (),
    "experiments": ("experiments",), "data": ("data.",), "people": ("people.",), "evaluation": ("evaluation_usd",),
    "infrastructure": ("storage_usd",),
}  # fmt: skip
"""Content → what the paths of the inputs hold that carry it; the final run's are under ``pretraining``."""


@dataclass(frozen=True)
class Priced:
    """A run's development at one basis, with what is believed of it.

    Args:
        programme: the development and the rows behind it; beliefs: by path of the development.
        how: in words; rows: addresses of the rows behind rent and utilisation.
        given: paths that the user believes something of.
        absent: contents of which no row was public: they are missing, not nothing.
        seed: of the simulations.
    """

    programme: Programme
    beliefs: Beliefs
    how: str
    rows: tuple[str, ...] = ()
    given: Beliefs = field(default_factory=lambda: Beliefs({}))
    absent: Contents = frozenset()
    seed: int = 1
    _made: dict[tuple[Amount, frozenset[Contents]], Simulation] = field(default_factory=dict, repr=False, compare=False)
    _parts: dict[Amount, dict[str, float]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def laws(self) -> Mapping[str, Distribution]:
        """What is believed, by path of the development."""
        return self.beliefs.resolve(self.programme.development).laws if len(self.beliefs) else {}

    @cached_property
    def told(self) -> Mapping[str, str]:
        """Where the development's numbers came from, by path."""
        return self.programme.development.sources()

    def parts(self, unit: Amount) -> dict[str, float]:
        """The middle value of every content that is priced [USD or GPU-h]."""
        if unit not in self._parts:
            self._parts[unit] = self._priced_parts(unit)
        return self._parts[unit]

    def rungs(self, unit: Amount) -> list[tuple[Contents, Contents]]:
        """The rungs of the ladder: (what each adds, what it holds); a rung that adds nothing is left out."""
        parts, held, found = self.parts(unit), frozenset[str](), []
        for step in STEPS:
            added = frozenset(c for c in step if c in parts and (c != "feeder_runs" or parts[c] > 0))
            if added:
                held |= added
                found.append((step, held))
        return found

    def _priced_parts(self, unit: Amount) -> dict[str, float]:
        found = amounts_of(self.programme.final, unit, self.programme.development)
        return {content: float(np.asarray(amount)) for content, amount in found.items() if content not in self.absent}

    def simulation(self, unit: Amount, scopes: Iterable[Contents]) -> Simulation:
        """Amounts at some scopes on common draws, one output each."""
        wanted = frozenset(scopes)
        key = next((k for k in self._made if k[0] == unit and wanted <= k[1]), (unit, wanted | {held for _, held in self.rungs(unit)}))
        if key not in self._made:
            rollouts = any(".recipe." in path for path in self.beliefs.paths)  # each draw then steps through a loop of decoding
            function = sums_of(self.programme.final, unit, sorted(key[1], key=label_of))
            draws = LOOP_DRAWS if rollouts else DRAWS
            self._made[key] = simulate(self.programme.development, self.beliefs, function, n=draws, seed=self.seed)
        return self._made[key]

    def predicted(self, contents: Contents, unit: Amount) -> Predicted | None:
        """What an amount is predicted to be; None where none of its contents is priced."""
        asked = contents - NO_HOURS if unit == "GPU-h" else contents
        parts = self.parts(unit)
        run = asked & frozenset(FINAL_RUN)
        absent = run - parts.keys() if run & parts.keys() else frozenset()  # a run without context extension lacks nothing
        missing = asked - parts.keys() - absent
        held = asked & frozenset(parts)
        if not held:
            return None
        if len(self.beliefs) == 0:
            whole = sum(parts[c] for c in held)
            prediction = Prediction((whole,) * len(LEVELS), partial(_step, whole))  # type: ignore[arg-type]
        else:
            sim, name = self.simulation(unit, [held]), label_of(held)
            levels = tuple(float(q) for q in sim.quantile(name, LEVELS))
            prediction = Prediction(levels, partial(_cdf, sim, name))  # type: ignore[arg-type]
        graded = self.depends_on_judgement(held, parts)
        return Predicted(prediction, self.how, tuple(c for c in CONTENTS if c in missing), graded, self.newest(held))

    def grades(self, contents: Contents, parts: Mapping[str, float]) -> set[str]:
        """Grades of the parts that carry a tenth of an amount or more: B from rows, C where judgement or the user's input enters."""
        return {"C" if any(is_judged(s) for s in self.inputs(c).values()) else "B" for c in self.heavy(contents, parts)}

    def depends_on_judgement(self, contents: Contents, parts: Mapping[str, float]) -> bool:
        """Whether judgement of the catalogue, not of the user, enters a part that carries a tenth or more."""
        sources = (source for c in self.heavy(contents, parts) for source in self.inputs(c).values())
        return any(is_judged(source) and source != BY_USER for source in sources)

    def heavy(self, contents: Contents, parts: Mapping[str, float]) -> list[str]:
        """The parts that carry a tenth of an amount or more."""
        whole = sum(parts[c] for c in contents if c in parts)
        return [c for c in contents if c in parts and parts[c] >= TENTH * whole > 0]

    def inputs(self, content: str) -> dict[str, str]:
        """What carries a content: path → source."""
        marks = INPUTS.get("pretraining" if content in FINAL_RUN else content, ())
        mine = {path for paths in self.given for path in paths}
        believed, told = self.laws, self.told
        found = {}
        for path in believed.keys() | told.keys():
            if any(mark in path for mark in marks):
                row = self.programme.rows.get(path)
                market = "the catalogue's rows, in verdict.evidence" if path in believed else told.get(path, BY_USER)
                found[path] = BY_USER if path in mine else row.cited if row is not None else market
        return dict(sorted(found.items()))

    def newest(self, contents: Contents) -> dt.date | None:
        """Day of the newest row behind some contents."""
        marks = tuple(m for c in contents for m in INPUTS.get("pretraining" if c in FINAL_RUN else c, ()))
        behind = [row.date for path, row in self.programme.rows.items() if any(mark in path for mark in marks)]
        return max([*behind, *(row_at(address).date for address in self.rows)], default=None)


def _step(whole: float, value: float) -> float:
    """The distribution of an amount that nothing uncertain enters."""
    return float(value >= whole)


def _cdf(sim: Simulation, name: str, value: float) -> float:
    return float(sim.cdf(name, value))


def row_at(address: str) -> Row:
    """The row at an address."""
    file, _, name = address.partition("/")
    return find(file, name)


def priced(view: RunView, basis: Basis | None, day: dt.date) -> Priced | None:
    """A run's development at a basis, from rows public by a day; None where no row prices such machines.

    Args:
        view: the run; basis: market rent where None.
        day: of the newest row to use.
    """
    hours = view.hours_belief(day)
    if hours is None:
        return None
    run = view.run if len(hours) == 0 else view.blind_run
    evidence = view.utilisation(day) if len(hours) and "efficiency.mfu" in hours.paths else None
    used = tuple(evidence.used) if evidence is not None else ()
    if basis == "owner's amortised":
        return _owned(view, run, hours, day, used)
    if basis == "owner's cash":
        return None
    rent = rent_of(view, basis or "market rent", day)
    if rent is None and view.rate is None:
        return None
    price = view.given.price if rent is None and view.given.price is not None else Rental(usd_per_gpu_hour=2.0)
    made = programme(run, price, day)
    held = made.beliefs if rent is None else made.beliefs | Beliefs({"price.usd_per_gpu_hour": rent.belief})
    how = "the stated price" if rent is None else rent.how
    if evidence is not None:
        how = f"{how}; hours from {evidence.how}"
    else:
        how = f"{'reported hours' if len(hours) == 0 else 'hours of its loop'} at {how}"
    return _laid_over(view, made, held, hours, how, (*used, *(rent.used if rent is not None else ())))


def in_hours(view: RunView, day: dt.date) -> Priced | None:
    """A run's development in accelerator-hours: at a price of one, so that no rent is needed; None where its hours are unknown."""
    hours = view.hours_belief(day)
    if hours is None:
        return None
    evidence = view.utilisation(day) if len(hours) else None
    made = programme(view.run if len(hours) == 0 else view.blind_run, Rental(usd_per_gpu_hour=1.0), day)
    how = (
        evidence.how if evidence is not None else "reported hours" if len(hours) == 0 else "its loop, on engines as they are believed to be"
    )
    return _laid_over(view, made, made.beliefs, hours, how, tuple(evidence.used) if evidence is not None else ())


def _owned(view: RunView, run: Run, hours: Beliefs, day: dt.date, used: tuple[str, ...]) -> Priced | None:
    owned = owner_beliefs(run, day)
    if owned is None:
        return None
    made = programme(run, owned[0], day)
    return _laid_over(view, made, made.beliefs | owned[1], hours, "what owning such machines costs", used)


def _laid_over(view: RunView, made: Programme, held: Beliefs, hours: Beliefs, how: str, used: tuple[str, ...]) -> Priced:
    """The catalogue's beliefs, then those on hours, then the user's."""
    behind = {f"lines.{made.final}.run.{path}": row for path, row in view.carried_by.items()}
    made = replace(made, rows={**made.rows, **behind})
    mine = translated(view.beliefs, made)
    unknown = {"failed_runs"} if "failed" not in made.rows else set()
    unknown |= {"downtime"} if not view.knows_goodput else set()
    return Priced(made, held | translated(hours, made) | mine, how, used, mine, frozenset(unknown), view.seed)


def translated(given: Beliefs, behind: Programme) -> Beliefs:
    """Beliefs by path of the final run as beliefs by path of the development; a path of neither is left out."""
    paths = behind.development.numbers()
    found: dict[tuple[str, ...], Belief] = {}
    for key, belief in given.items():
        inner = tuple(p if p in paths else f"lines.{behind.final}.run.{p}" for p in key)
        if all(p in paths for p in inner):
            found[inner] = belief
    return Beliefs(found)
