"""The ladder: what a run's dollars come to as each further meaning of "cost" is added."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from ..catalog.developments import Programme, programme
from ..catalog.recipes import POINTS
from ..catalog.rows import Row
from ..catalog.runs import owner_beliefs
from ..claims.scope import Content, Scope
from ..core.spec import BY_USER
from ..core.units import Num, human
from ..cost.pricing import Rental
from ..run.development import Development, estimate_development
from ..run.explain import judged
from ..run.run import Run
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.distribution import Belief
from ..uncertainty.sampling.engine import simulate
from ..uncertainty.sampling.simulation import Figure, Simulation

LABELS = {
    "run": "the last run",
    "downtime": "+ downtime, failed runs",
    "sibling runs": "+ runs that feed it",
    "experiments": "+ experiments",
    "data": "+ data",
    "rest": "+ evaluation, storage",
    "people": "+ people = the model",
}
CONTENTS: dict[str, tuple[Content, ...]] = {
    "run": ("run",),
    "downtime": ("downtime", "failed runs"),
    "sibling runs": ("sibling runs",),
    "experiments": ("experiments",),
    "data": ("data",),
    "rest": ("evaluation", "storage"),
    "people": ("people",),
}
"""What each rung adds."""
INPUTS = {
    "run": ("price.", "efficiency.mfu", "recipe."),
    "downtime": ("goodput", "failed"),
    "sibling runs": (),
    "experiments": ("experiments",),
    "data": ("data.",),
    "rest": ("evaluation_usd", "storage_usd"),
    "people": ("people.",),
}
"""Rung → what the paths of the inputs hold that carry what it adds."""


@dataclass(frozen=True)
class Rung:
    """One scope of the ladder.

    Args:
        label, contents: what it adds, and all it holds.
        rent: 5, 50 and 95 % quantiles at rented hours [USD]; middle: 25 and 75 %.
        owned: the same at the owner's cost, as rent; empty where no owner's cost is known.
        odds: probability of less than the claimed value.
        grade: of the inputs that carry it: B market data or others' figures, C judgement or what the user gave.
        detail: what it rests on, in words.
        inputs: path of each input that carries what it adds → its source with day and grade.
    """

    label: str
    contents: tuple[Content, ...]
    rent: tuple[Figure, ...]
    middle: tuple[Figure, ...]
    owned: tuple[Figure, ...]
    odds: Figure
    grade: str
    detail: str
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> Figure | None:
        """Median at the owner's cost [USD]; None where no owner's cost is known."""
        return self.owned[1] if self.owned else None


@dataclass(frozen=True)
class Ladder:
    """The rungs, the simulations they were read from, and the programme behind them.

    Args:
        rungs: each adds to the one before.
        rented: at market rent; owned: at an owner's cost, None where no row tells what such a machine costs to buy.
        programme: the development whose dollars they are.
    """

    rungs: tuple[Rung, ...]
    rented: Simulation
    owned: Simulation | None
    programme: Programme

    def at(self, scope: Scope) -> tuple[Simulation, str] | None:
        """The simulation and the lowest rung that hold a scope; None where nothing here prices all of it.

        >>> import trainsim as ts
        >>> steps = ladder(ts.catalog.run("deepseek-v3"), ts.ci90(1.4, 3.4), 6e6)
        >>> steps.at(ts.Scope(contents=("run", "data")))[1], steps.at(ts.Scope(contents=("fleet",), kind="stock"))
        ('data', None)
        """
        sim = self.rented if scope.basis == "rent" else self.owned
        name = None if sim is None or scope.kind != "run" else rung_holding(scope, sim.outputs)
        return None if sim is None or name is None else (sim, name)


def said(name: str) -> str:
    """A rung inside a sentence."""
    return LABELS[name].removeprefix("+ ").partition(" = ")[0]


def rung_holding(scope: Scope, names: Iterable[str]) -> str | None:
    """The lowest of some rungs that holds all a scope does; None where none does. A development without sibling runs has none to price."""
    names = tuple(names)
    held: set[Content] = set() if "sibling runs" in names else {"sibling runs"}
    for name in names:
        held |= set(CONTENTS[name])
        if set(scope.contents) <= held:
            return name
    return None


def ladder(
    run: Run,
    rent: Belief | None,
    value: float,
    beliefs: Beliefs | None = None,
    seed: int = 1,
    hours: Beliefs | None = None,
    carried_by: Mapping[str, Row] | None = None,
    as_of: dt.date | None = None,
) -> Ladder:
    """What a run's hours come to, rung by rung, at market rent and at an owner's cost.

    Args:
        run: the last run.
        rent: belief about an accelerator-hour [USD/GPU-h]; None where no market is known, and the run's own price stands.
        value: the claimed value [USD], for the odds.
        beliefs: a user's own, by path of the run or of its development; they win.
        seed: of the simulations.
        hours: beliefs about the run's hours, where nobody told them, by path of the run; carried_by: the rows behind them.
        as_of: use only rows public by this day; all that is known where None.
    """
    rented, held = at_market(run, rent, beliefs, hours, carried_by, as_of)
    owned = owner_beliefs(run, as_of)
    owner = None
    if owned is not None:
        behind = programme(run, owned[0], as_of)
        owner = behind, _over(_over(behind.beliefs | owned[1], hours, behind), beliefs, behind)
    return climb(rented, held, value, seed, owner, _translated(beliefs, rented))


def at_market(
    run: Run,
    rent: Belief | None,
    beliefs: Beliefs | None = None,
    hours: Beliefs | None = None,
    carried_by: Mapping[str, Row] | None = None,
    as_of: dt.date | None = None,
) -> tuple[Programme, Beliefs]:
    """A run's programme at market rent, and all that is believed of it; arguments as for :func:`ladder`."""
    stated = run.price if rent is None and run.price is not None else Rental(usd_per_gpu_hour=2.0)
    rented = programme(run, stated, as_of)
    held = rented.beliefs if rent is None else rented.beliefs | Beliefs({"price.usd_per_gpu_hour": rent})
    behind = {f"lines.{rented.final}.run.{path}": row for path, row in (carried_by or {}).items()}
    return replace(rented, rows={**rented.rows, **behind}), _over(_over(held, hours, rented), beliefs, rented)


def climb(
    rented: Programme,
    held: Beliefs,
    value: float,
    seed: int = 1,
    owner: tuple[Programme, Beliefs] | None = None,
    given: Beliefs | None = None,
) -> Ladder:
    """The ladder of a development under beliefs.

    Args:
        rented: the development at rented hours; held: what is believed of it.
        value: the claimed value [USD], for the odds.
        seed: of the simulations.
        owner: the same at an owner's cost, with its beliefs; None where no such cost is known.
        given: which of the beliefs are the user's.
    """
    sim = _simulate(rented, held, seed)
    owned = None if owner is None else _simulate(*owner, seed)
    rungs: list[Rung] = []
    contents: tuple[Content, ...] = ()
    for name in sim.outputs:
        contents += CONTENTS[name]
        inputs = _inputs(rented, name, sim, given or Beliefs({}))
        rungs.append(
            Rung(
                label=LABELS[name],
                contents=contents,
                rent=sim.quantile(name, (0.05, 0.5, 0.95)),
                middle=sim.quantile(name, (0.25, 0.75)),
                owned=() if owned is None else owned.quantile(name, (0.05, 0.5, 0.95)),
                odds=sim.probability(name, below=value),
                grade="C" if any(judged(source) for source in inputs.values()) else "B",
                detail=_detail(rented, name, sim),
                inputs=inputs,
            )
        )
    return Ladder(tuple(rungs), sim, owned, rented)


def _simulate(behind: Programme, held: Beliefs, seed: int) -> Simulation:
    rollouts = any(".recipe." in path for path in held.paths)  # each draw then walks through a loop of decoding
    return simulate(behind.development, held, rungs_of(behind.final), n=POINTS if rollouts else None, seed=seed)


def rungs_of(final: str) -> Callable[[Development], dict[str, Num]]:
    """The function of a development that gives dollars at each rung, each holding those before it.

    Args:
        final: the line of the last run.
    """
    return partial(_dollars, final)  # no closure: a verdict travels between processes with the simulation behind it


def _dollars(final: str, development: Development) -> dict[str, Num]:
    est = estimate_development(development)
    last = est.runs[final]
    siblings = {line.name for line in development.lines} - {final}
    found: dict[str, Num] = {"run": last.told_gpu_hours * last.price.total}
    found["downtime"] = last.cost.total * (1.0 + development.failed)
    below = found["downtime"]
    if siblings:
        compute = est.compute
        below = compute.part("final").total + compute.part("failed").total
        found["sibling runs"] = below
    if development.experiments is not None or any(line.contents == "experiment" for line in development.lines):
        below = below + est.compute.part("experiments").total
        found["experiments"] = below
    if development.data is not None:
        below = below + development.data.cost().total
        found["data"] = below
    rest = development.evaluation_usd + development.storage_usd
    if np.any(rest):
        below = below + rest
        found["rest"] = below
    if development.people is not None:
        found["people"] = below + development.people.cost().total
    return found


def _over(held: Beliefs, given: Beliefs | None, behind: Programme) -> Beliefs:
    """A user's beliefs laid over the catalogue's; a path of the run is the same path of its line."""
    return held | _translated(given, behind)


def _translated(given: Beliefs | None, behind: Programme) -> Beliefs:
    """Beliefs by path of the last run, as beliefs by path of the development; what is at neither is left out."""
    paths = behind.development.numbers()
    translated = {}
    for key, belief in (given or {}).items():
        inner = tuple(p if p in paths else f"lines.{behind.final}.run.{p}" for p in key)
        if all(p in paths for p in inner):
            translated[inner] = belief
    return Beliefs(translated)


def _inputs(behind: Programme, name: str, sim: Simulation, given: Beliefs) -> dict[str, str]:
    """What carries a rung: path → source; the user's own says so."""
    mine = {path for paths in given for path in paths}
    believed = sim.beliefs.resolve(behind.development).laws
    told = behind.development.sources()
    found = {}
    for path in believed.keys() | told.keys():
        if any(mark in path for mark in INPUTS[name]):
            row = behind.rows.get(path)
            market = "the catalogue's rows, in verdict.evidence" if path in believed else told.get(path, BY_USER)
            found[path] = BY_USER if path in mine else row.cited if row is not None else market
    return dict(sorted(found.items()))


def _detail(behind: Programme, name: str, sim: Simulation) -> str:
    development = behind.development
    laws = sim.beliefs.resolve(development).laws

    def span(path: str, scale: float = 1.0) -> str:
        """Ends of a belief, or the number itself where none is held."""
        if path in laws:
            return "–".join(f"{float(laws[path].ppf(q)) / scale:.3g}" for q in (0.05, 0.95))
        return f"{float(np.asarray(development.get(path))) / scale:.3g}"

    match name:
        case "run":
            hours = float(np.asarray(estimate_development(development).runs[behind.final].told_gpu_hours))
            law = laws.get("price.usd_per_gpu_hour")
            rate = "their price" if law is None else f"${float(law.ppf(0.05)):.2f}–{float(law.ppf(0.95)):.2f}"
            about = "about " if any("efficiency" in path for path in laws) else ""
            return f"{about}{human(hours, 4)} hours at {rate}"
        case "downtime":
            law = next((laws[p] for p in laws if p.endswith("goodput")), None)
            return "goodput as told" if law is None else f"goodput {float(law.ppf(0.05)):.0%}–{float(law.ppf(0.95)):.0%}"
        case "sibling runs":
            siblings = [line for line in development.lines if line.name != behind.final]
            hours = sum(float(estimate_development(development).runs[line.name].gpu_hours) for line in siblings)
            return f"{human(hours)} hours, disclosed"
        case "experiments":
            return f"×{span('experiments')} of the runs above" if development.experiments is not None else "runs of their own"
        case "data":
            said = ", nobody has said" if "data.acquisition_usd" in behind.rows else ""
            return f"${span('data.acquisition_usd', 1e6)}M{said}"
        case "rest":
            return "as given"
        case _:
            return f"{span('people.headcount')} people, ${span('people.usd_per_year', 1e3)}K each"
