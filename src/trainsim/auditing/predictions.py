"""Predict a run's hours and cost at a scope, from rows public by a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np

from ..catalog.developments import Programme, programme
from ..catalog.evidence import prior_rows
from ..catalog.rows import Row, find
from ..catalog.run_beliefs import owner_beliefs
from ..claims.scope import CONTENTS, FINAL_RUN, Basis
from ..core.citations import judged as is_judged
from ..core.provenance import BY_USER
from ..cost.ownership import WATTS_PER_KILOWATT
from ..cost.rental import Rental
from ..run.run import Run
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.distribution import Belief, Distribution
from ..uncertainty.distributions.interval import ci90
from ..uncertainty.sampling.engine import simulate
from ..uncertainty.sampling.simulation import Simulation
from .amounts import Amount, Contents, amounts_of, label_of, sums_of
from .comparison import LEVELS, Prediction
from .measure import Predicted
from .rent import rent_of
from .run_view import RunView

DRAWS = 1 << 13
"""Number of points of a simulation; quantiles then have an error of a few tenths of a percent."""
LOOP_DRAWS = 1 << 12
"""Number of points where each draw simulates rollouts."""
TENTH = 0.1
"""Smallest share of an amount from which the grade of a part counts."""
NO_HOURS: Contents = frozenset({"data", "people", "evaluation", "infrastructure", "electricity", "fleet", "company"})
"""Contents that take no accelerator-hours."""
STEPS: tuple[Contents, ...] = (
    frozenset(FINAL_RUN), frozenset({"downtime", "failed_runs"}), frozenset({"feeder_runs"}), frozenset({"experiments"}),
    frozenset({"data"}), frozenset({"evaluation", "infrastructure"}), frozenset({"people"}),
)  # fmt: skip
"""Contents that each rung of the ladder adds."""
INPUTS: Mapping[str, tuple[str, ...]] = {
    "pretraining": ("price.", "efficiency.mfu", "recipe."), "downtime": ("goodput",), "failed_runs": ("failed",), "feeder_runs": (),
    "experiments": ("experiments",), "data": ("data.",), "people": ("people.",), "evaluation": ("evaluation_usd",),
    "infrastructure": ("storage_usd",),
}  # fmt: skip
"""Content → substrings of the paths of its inputs; inputs of the final run are under ``pretraining``."""


@dataclass(frozen=True)
class Priced:
    """A run's development on one price basis, with beliefs about it.

    Args:
        programme: the development, and the rows that it comes from.
        beliefs: beliefs by path of the development.
        how, rows: basis of rent and utilisation in words, and the addresses of the rows used.
        given: paths with beliefs given by the user.
        absent: contents without a public row; they are left out rather than counted as zero.
        seed: seed of the simulations.
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
        """Distributions by path of the development."""
        return self.beliefs.resolve(self.programme.development).laws if len(self.beliefs) else {}

    @cached_property
    def input_sources(self) -> Mapping[str, str]:
        """Sources of the development's numbers, by path."""
        return self.programme.development.sources()

    def parts(self, unit: Amount) -> dict[str, float]:
        """Median amount of each priced content [USD or GPU-h]."""
        if unit not in self._parts:
            self._parts[unit] = self._priced_parts(unit)
        return self._parts[unit]

    def rungs(self, unit: Amount) -> list[tuple[Contents, Contents]]:
        """Rungs of the ladder as pairs of added and total contents; rungs that add nothing are left out."""
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
        """Simulate the amounts at some scopes on common draws."""
        wanted = frozenset(scopes)
        key = next((k for k in self._made if k[0] == unit and wanted <= k[1]), (unit, wanted | {held for _, held in self.rungs(unit)}))
        if key not in self._made:
            rollouts = any(".recipe." in path for path in self.beliefs.paths)  # each draw simulates rollouts, which is slow
            function = sums_of(self.programme.final, unit, sorted(key[1], key=label_of))
            draws = LOOP_DRAWS if rollouts else DRAWS
            self._made[key] = simulate(self.programme.development, self.beliefs, function, n=draws, seed=self.seed)
        return self._made[key]

    def predicted(self, contents: Contents, unit: Amount) -> Predicted | None:
        """Prediction of an amount; None if none of its contents has a price."""
        asked = contents - NO_HOURS if unit == "GPU-h" else contents
        parts = self.parts(unit)
        run = asked & frozenset(FINAL_RUN)
        absent = run - parts.keys() if run & parts.keys() else frozenset()  # a run without a context extension lacks nothing
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
        """Grades of the parts with a tenth of an amount or more: B from rows, C from judgement or the user's input."""
        return {"C" if any(is_judged(s) for s in self.inputs(c).values()) else "B" for c in self.main_parts(contents, parts)}

    def depends_on_judgement(self, contents: Contents, parts: Mapping[str, float]) -> bool:
        """Whether a part with a tenth or more depends on the catalogue's judgement."""
        sources = (source for c in self.main_parts(contents, parts) for source in self.inputs(c).values())
        return any(is_judged(source) and source != BY_USER for source in sources)

    def main_parts(self, contents: Contents, parts: Mapping[str, float]) -> list[str]:
        """The parts with a tenth of an amount or more."""
        whole = sum(parts[c] for c in contents if c in parts)
        return [c for c in contents if c in parts and parts[c] >= TENTH * whole > 0]

    def inputs(self, content: str) -> dict[str, str]:
        """Inputs of a content: path → source."""
        marks = INPUTS.get("pretraining" if content in FINAL_RUN else content, ())
        mine = {path for paths in self.given for path in paths}
        believed, sources = self.laws, self.input_sources
        found = {}
        for path in believed.keys() | sources.keys():
            if any(mark in path for mark in marks):
                row = self.programme.rows.get(path)
                market = "the catalogue's rows, in verdict.evidence" if path in believed else sources.get(path, BY_USER)
                found[path] = BY_USER if path in mine else row.cited if row is not None else market
        return dict(sorted(found.items()))

    def newest(self, contents: Contents) -> dt.date | None:
        """Day of the newest row used for some contents."""
        marks = tuple(m for c in contents for m in INPUTS.get("pretraining" if c in FINAL_RUN else c, ()))
        behind = [row.date for path, row in self.programme.rows.items() if any(mark in path for mark in marks)]
        return max([*behind, *(row_at(address).date for address in self.rows)], default=None)


def _step(whole: float, value: float) -> float:
    """CDF of an amount without uncertainty: a step."""
    return float(value >= whole)


def _cdf(sim: Simulation, name: str, value: float) -> float:
    return float(sim.cdf(name, value))


def row_at(address: str) -> Row:
    """The row at an address."""
    file, _, name = address.partition("/")
    return find(file, name)


def priced(view: RunView, basis: Basis | None, day: dt.date) -> Priced | None:
    """A run's development on a price basis, from rows public by a day; None if such machines have no price.

    Args:
        view: the run.
        basis: the price basis; market rent if None.
        day: the last day whose rows may be used.
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
    return _with_beliefs(view, made, held, hours, how, (*used, *(rent.used if rent is not None else ())))


def in_hours(view: RunView, day: dt.date) -> Priced | None:
    """A run's development in accelerator-hours, at a price of 1, so that no rent is needed; None if its hours are unknown."""
    hours = view.hours_belief(day)
    if hours is None:
        return None
    evidence = view.utilisation(day) if len(hours) else None
    made = programme(view.run if len(hours) == 0 else view.blind_run, Rental(usd_per_gpu_hour=1.0), day)
    how = evidence.how if evidence is not None else "reported hours" if len(hours) == 0 else "a model of its RL loop"
    return _with_beliefs(view, made, made.beliefs, hours, how, tuple(evidence.used) if evidence is not None else ())


def in_energy(view: RunView, day: dt.date) -> Priced | None:
    """A run's development in kilowatt-hours at the meter: priced in kWh per accelerator-hour; None if hours or power are unknown.

    ``energy = hours · rated power · (energy at the meter over rated energy)``
    """
    hours, rated = view.hours_belief(day), view.run.cluster.chip.power
    row = next(prior_rows("energy.meter_over_rated", view.run, day), None)
    if hours is None or rated is None or row is None:
        return None
    run = view.run if len(hours) == 0 else view.blind_run
    evidence = view.utilisation(day) if len(hours) else None
    kilowatts = float(rated) / WATTS_PER_KILOWATT
    made = programme(run, Rental(usd_per_gpu_hour=row["p50"] * kilowatts), day)
    drawn = ci90(*(row[level] * kilowatts for level in ("p5", "p50", "p95")))
    how = f"{evidence.how if evidence is not None else 'its hours'}; {row['p50']:.3g} times the rated {float(rated):.0f} W"
    used = (row.address, *(evidence.used if evidence is not None else ()))
    return _with_beliefs(view, made, made.beliefs | Beliefs({"price.usd_per_gpu_hour": drawn}), hours, how, used)


def _owned(view: RunView, run: Run, hours: Beliefs, day: dt.date, used: tuple[str, ...]) -> Priced | None:
    owned = owner_beliefs(run, day)
    if owned is None:
        return None
    made = programme(run, owned[0], day)
    return _with_beliefs(view, made, made.beliefs | owned[1], hours, "what owning such machines costs", used)


def _with_beliefs(view: RunView, made: Programme, held: Beliefs, hours: Beliefs, how: str, used: tuple[str, ...]) -> Priced:
    """Combine beliefs: the catalogue's, then those about hours, then the user's; later ones take precedence."""
    behind = {f"lines.{made.final}.run.{path}": row for path, row in view.carried_by.items()}
    made = replace(made, rows={**made.rows, **behind})
    mine = translated(view.beliefs, made)
    unknown = {"failed_runs"} if "failed" not in made.rows else set()
    unknown |= {"downtime"} if not view.knows_goodput else set()
    return Priced(made, held | translated(hours, made) | mine, how, used, mine, frozenset(unknown), view.seed)


def translated(given: Beliefs, behind: Programme) -> Beliefs:
    """Translate beliefs by path of the final run to paths of the development; unknown paths are left out."""
    paths = behind.development.numbers()
    found: dict[tuple[str, ...], Belief] = {}
    for key, belief in given.items():
        inner = tuple(p if p in paths else f"lines.{behind.final}.run.{p}" for p in key)
        if all(p in paths for p in inner):
            found[inner] = belief
    return Beliefs(found)
