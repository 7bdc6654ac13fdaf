"""The ladder: what a run's dollars come to as each further meaning of "cost" is added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..catalog.developments import Programme, programme
from ..catalog.runs import owner_beliefs
from ..cost.pricing import Price, Rental
from ..development import Development, estimate_development
from ..run import Run
from ..uncertainty import Belief, Beliefs, Figure, Simulation, simulate
from ..units import Num, human
from .scope import Scope
from .words import INSIDE, Check, word_at

LABELS = {
    "run": "the last run",
    "downtime": "+ downtime, failed runs",
    "sibling runs": "+ runs that feed it",
    "experiments": "+ experiments",
    "data": "+ data",
    "people": "+ people = the model",
}
CONTENTS = {
    "run": ("run",),
    "downtime": ("downtime", "failed runs"),
    "sibling runs": ("sibling runs",),
    "experiments": ("experiments",),
    "data": ("data",),
    "people": ("people",),
}
"""What each rung adds."""


@dataclass(frozen=True)
class Rung:
    """One scope of the ladder.

    Args:
        label, contents: what it adds, and all it holds.
        rent: 5, 50 and 95 % quantiles at rented hours [USD]; middle: 25 and 75 %.
        owner: median at the owner's cost [USD]; None where no owner's cost is known.
        odds: probability of less than the claimed value.
        grade: of the inputs that carry it: B market data or others' figures, C judgement.
        detail: what it rests on, in words.
    """

    label: str
    contents: tuple[str, ...]
    rent: tuple[Figure, ...]
    middle: tuple[Figure, ...]
    owner: Figure | None
    odds: Figure
    grade: str
    detail: str


@dataclass(frozen=True)
class Ladder:
    """The rungs, the simulations they were read from at rent and at an owner's cost, and the programme behind them."""

    rungs: tuple[Rung, ...]
    rented: Simulation
    owned: Simulation | None
    programme: Programme

    def judge(self, scope: Scope, value: float) -> Check:
        """A value among what a scope comes to.

        Where some of the scope is priced by no row, what is priced bounds it from below. A figure of another kind than a run's
        dollars, or an owner's where no row tells what such a machine costs, can't be judged.
        """
        if scope.kind != "run":
            return Check("dollars", "CANNOT BE JUDGED", f"a figure of kind {scope.kind} is no sum of a run's dollars")
        sim = self.rented if scope.basis == "rent" else self.owned
        if sim is None:
            return Check("dollars", "CANNOT BE JUDGED", "no row tells what such a machine costs its owner")
        priced = "at market rent" if scope.basis == "rent" else "at an owner's cost"
        rungs = dict(zip(self.rented.outputs, self.rungs, strict=True))
        name = next((n for n, r in rungs.items() if set(scope.contents) <= set(r.contents)), None)
        if name is not None:
            at = float(sim.percentile(name, value))
            return Check("dollars", word_at(at), f"${human(value, 4)} among what {_said(name)} comes to {priced}", at)
        last = self.rented.outputs[-1]
        at = float(sim.percentile(last, value))
        missing = ", ".join(c for c in scope.contents if c not in rungs[last].contents)
        finding = f"${human(value, 4)} against what {_said(last)} comes to {priced}; {missing} come on top, priced by no row"
        return Check("dollars", word_at(at) if at < INSIDE[0] else "CANNOT BE JUDGED", finding, at)


def _said(name: str) -> str:
    """A rung inside a sentence."""
    return LABELS[name].removeprefix("+ ").partition(" = ")[0]


def ladder(run: Run, rent: Belief, value: float, beliefs: Beliefs | None = None, seed: int = 1) -> Ladder:
    """What the stated hours come to, rung by rung, at market rent and at an owner's cost.

    Args:
        run: the last run.
        rent: belief about an accelerator-hour [USD/GPU-h].
        value: the claimed value [USD], for the odds.
        beliefs: a user's own, by path of the run or of its development; they win.
        seed: of the simulations.
    """
    rented = programme(run, Rental(usd_per_gpu_hour=2.0))
    held = rented.beliefs | Beliefs({"price.usd_per_gpu_hour": rent})
    sim = _simulate(rented, _over(held, beliefs, rented), seed)
    owned = _owned(run, beliefs, seed)
    rungs: list[Rung] = []
    contents: tuple[str, ...] = ()
    for name in sim.outputs:
        contents += CONTENTS[name]
        rungs.append(
            Rung(
                label=LABELS[name],
                contents=contents,
                rent=sim.quantile(name, (0.05, 0.5, 0.95)),
                middle=sim.quantile(name, (0.25, 0.75)),
                owner=None if owned is None else owned.quantile(name, 0.5),
                odds=sim.probability(name, below=value),
                grade=_grade(rented, name),
                detail=_detail(rented, name, sim),
            )
        )
    return Ladder(tuple(rungs), sim, owned, rented)


def _simulate(behind: Programme, held: Beliefs, seed: int) -> Simulation:
    return simulate(behind.development, held, rungs_of(behind.final), seed=seed)


def rungs_of(final: str) -> Callable[[Development], dict[str, Num]]:
    """The function of a development that gives dollars at each rung, each holding those before it.

    Args:
        final: the line of the last run.
    """

    def dollars(development: Development) -> dict[str, Num]:
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
        below = below + est.compute.part("experiments").total
        found["experiments"] = below
        if development.data is not None:
            below = below + development.data.cost().total
            found["data"] = below
        if development.people is not None:
            found["people"] = below + development.people.cost().total
        return found

    return dollars


def _owned(run: Run, beliefs: Beliefs | None, seed: int) -> Simulation | None:
    """The same ladder at an owner's amortised cost; None where no row tells what such a machine costs to buy."""
    owned = owner_beliefs(run)
    if owned is None:
        return None
    price: Price = owned[0]
    behind = programme(run, price)
    return _simulate(behind, _over(behind.beliefs | owned[1], beliefs, behind), seed)


def _over(held: Beliefs, given: Beliefs | None, behind: Programme) -> Beliefs:
    """A user's beliefs laid over the catalogue's; a path of the run is the same path of its line."""
    paths = behind.development.numbers()
    translated = {}
    for key, belief in (given or {}).items():
        inner = tuple(p if p in paths else f"lines.{behind.final}.run.{p}" for p in key)
        if all(p in paths for p in inner):
            translated[inner] = belief
    return held | Beliefs(translated)


def _grade(behind: Programme, name: str) -> str:
    """C where the row that carries a rung is judgement, else B."""
    carries = {"experiments": ("experiments",), "data": ("data.",), "people": ("people.",)}.get(name, ())
    return "C" if any(row.grade == "judgement" for path, row in behind.rows.items() if path.startswith(carries)) and carries else "B"


def _detail(behind: Programme, name: str, sim: Simulation) -> str:
    development = behind.development
    match name:
        case "run":
            law = sim.beliefs.resolve(development).laws["price.usd_per_gpu_hour"]
            hours = float(estimate_development(development).runs[behind.final].told_gpu_hours)
            return f"{human(hours, 4)} hours at ${float(law.ppf(0.05)):.2f}–{float(law.ppf(0.95)):.2f}"
        case "downtime":
            row = next((r for p, r in behind.rows.items() if p.endswith("goodput")), None)
            return f"goodput {row['p5']:.0%}–{row['p95']:.0%}" if row is not None else "goodput as told"
        case "sibling runs":
            siblings = [line for line in development.lines if line.name != behind.final]
            hours = sum(float(estimate_development(development).runs[line.name].gpu_hours) for line in siblings)
            return f"{human(hours)} hours, disclosed"
        case "experiments":
            row = behind.rows["experiments"]
            return f"×{row['p5']:g}–{row['p95']:g} of the runs above"
        case "data":
            row = behind.rows["data.acquisition_usd"]
            return f"${row['p5'] / 1e6:g}–{row['p95'] / 1e6:g}M, nobody has said"
        case _:
            people, pay = behind.rows["people.headcount"], behind.rows["people.usd_per_year"]
            return f"{people['p5']:g}–{people['p95']:g} people, ${pay['p5'] / 1e3:g}–{pay['p95'] / 1e3:g}K each"
