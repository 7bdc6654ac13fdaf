"""search_plans: rank the layouts of a run, find the Pareto front of time, memory and accelerators, and explain why the best wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np

from ..core.answer import Answer, AnswerRow, Summary
from ..core.errors import BeliefError, EstimateError, SpecError, did_you_mean
from ..core.ledger import Ledger
from ..core.units import SECONDS_PER_HOUR, Num
from ..gpu_memory.fit import fit_word, spread_for
from ..gpu_memory.peak import peak_memory
from ..inference import simulate
from ..parallelism.layout import degrees_of
from ..parallelism.plan import Plan
from ..run.estimate import estimate
from ..run.run import Run
from ..run.step_time import step_time
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.sampling.sweep import Progress
from .memory_filter import FilterResult, filter_layouts, frameworks
from .problem import SearchProblem, search_problem
from .progress import Reports
from .ranked_plan import RankedPlan, layout_words
from .ranking import Ranking

By = Literal["time", "cost"]
DRAWS = 2048
"""Number of draws with which layouts are ranked under beliefs; the draws are the same for all layouts."""
SHOWN = 10
"""Number of rules that are printed individually."""
MOST_RANKED = 1_000
"""Largest number of layouts that are ranked: each is timed in full."""
PATIENCE = 32
"""Number of layouts in a row without an improvement after which the ranking under beliefs stops."""


@dataclass(frozen=True, repr=False)
class PlanSearch(Answer):
    """Result of a search over layouts.

    Args:
        run, phase: the run and the phase searched.
        by, probability: the objective, ``"time"`` of a step [s] or ``"cost"`` of the phase [USD], and the quantile of it under beliefs;
            None without beliefs.
        framework: the framework that must be able to express the layouts; None for no restriction.
        ranked: the best layouts, best first.
        own: the run's own plan; None if the run has no plan, or one that can't be timed.
        faster: number of layouts with a better objective than the run's own plan, by point estimate.
        considered, possible, fitting: number of all layouts, of those that the rules allow, and of those that also fit in memory.
        timed: number of fitting layouts whose step was timed in full; a lower bound excludes the others.
        rejected: rule → number of layouts it rejected; each layout counts at the first rule it breaks.
        simulated: number of layouts simulated under beliefs, in order of their point estimates; ``doubted`` is its former name.
        front_of: function that computes the Pareto front; see :attr:`front`.

    >>> import trainsim as ts
    >>> run = ts.Run(model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", 16),
    ...              efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
    ...              phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)])
    >>> found = search_plans(run, space={"schedule": "1f1b"})
    >>> found.best_run.plan == found.best.plan, found.timed <= found.fitting
    (True, True)
    """

    run: Run
    phase: str
    by: By
    probability: float | None
    framework: str | None
    ranked: tuple[RankedPlan, ...]
    own: RankedPlan | None
    faster: int | None
    considered: int
    possible: int
    fitting: int
    timed: int
    rejected: Mapping[str, int]
    simulated: int
    front_of: Callable[[], tuple[RankedPlan, ...]] = field(repr=False, compare=False, default=tuple)

    @cached_property
    def front(self) -> tuple[RankedPlan, ...]:
        """Pareto front in step time, memory and accelerators, by accelerators and step time.

        It is computed on first access, because it times more layouts than a ranking needs.
        """
        return self.front_of()

    @property
    def doubted(self) -> int:
        """Former name of ``simulated``."""
        return self.simulated

    @property
    def best(self) -> RankedPlan:
        """The best layout."""
        return self.ranked[0]

    @property
    def best_run(self) -> Run:
        """The run with the best layout."""
        return self._with(self.best)

    def _with(self, ranked: RankedPlan) -> Run:
        return search_problem(self.run, self.phase).with_plan(ranked.plan, ranked.gpus)

    @cached_property
    def over_runner_up(self) -> Ledger | None:
        """Step time of the best layout minus that of the second best, line by line [s]; None if there is only one layout."""
        return self._difference(self.ranked[1]) if len(self.ranked) > 1 else None

    @cached_property
    def over_own(self) -> Ledger | None:
        """Step time of the best layout minus that of the run's own plan, line by line [s]; None if the run has no plan."""
        return None if self.own is None else self._difference(self.own)

    def _difference(self, other: RankedPlan) -> Ledger:
        return step_time(self._with(self.best), self.phase) - step_time(self._with(other), self.phase)

    @property
    def _unfit(self) -> str:
        capacity = float(search_problem(self.run, self.phase).cluster.chip.memory)
        return f"the run's own plan does not fit in {capacity / 1e9:g} GB: these are the seconds that it would take"

    def summary(self) -> Summary:
        """The ranked layouts, the run's own, and the number of layouts that each rule rejected."""
        rows = [_row(f"rank-{i}", f"{i}.", one) for i, one in enumerate(self.ranked, 1)]
        rows += [] if self.own is None else [_row("own", "the run's own plan", self.own)]
        counts = (("considered", self.considered), ("possible", self.possible), ("fitting", self.fitting), ("timed", self.timed))
        rows += [AnswerRow(name, f"layouts {name}", count, group="Counts") for name, count in counts]
        rows += [AnswerRow(f"rejected-{i}", rule, count, group="Rejected") for i, (rule, count) in enumerate(self.rejected.items(), 1)]
        return Summary(
            f"layouts of {self.run.label}, {self.run.phase_label(self.phase)}: seconds of a step", tuple(rows), sources=self.run.sources()
        )

    def _text(self) -> str:
        counts = (f"{self.possible:,} possible", f"{self.fitting:,} fit", f"{self.timed:,} timed in full")
        head = f"{self.run.label}, {self.run.phase_label(self.phase)}: {self.considered:,} layouts, {', '.join(counts)}"
        objective = {"time": "seconds of a step", "cost": "dollars of the phase"}[self.by]
        order = f"by {objective}" + ("" if self.probability is None else f" at {self.probability:.0%} ({self.simulated} layouts simulated)")
        lines = [head, order, *(f"{i:>3} {one}" for i, one in enumerate(self.ranked, 1))]
        if self.own is not None:
            beaten = f"{self.faster:,} layouts that fit are {'faster' if self.by == 'time' else 'cheaper'} by point estimate"
            lines += [f"own {self.own}", f"    {self._unfit if self.own.word == 'does not fit' else beaten}"]
        fair = self.own is not None and self.own.word != "does not fit"
        for title, ledger in (
            ("first layout minus the second, by part", self.over_runner_up),
            ("first layout minus the run's own, by part", self.over_own if fair else None),
        ):
            if ledger is not None and (reasons := reasons_of(ledger)):
                lines += [f"{title} [s]", *(f"    {name:<28}{seconds:+.4g}" for name, seconds in reasons)]
        rules = list(self.rejected.items())
        lines += ["rejected", *(f"    {count:>12,}  {rule}" for rule, count in rules[:SHOWN])]
        return "\n".join([*lines, *([f"    {sum(n for _, n in rules[SHOWN:]):>12,}  other rules"] if rules[SHOWN:] else [])])


def _row(name: str, label: str, one: RankedPlan) -> AnswerRow:
    return AnswerRow(name, label, one.seconds, "s", grade=_where(one))


def _where(one: RankedPlan) -> str:
    """Memory, whether it fits, and the layout."""
    return f"{one.memory / 1e9:.1f} GB, {one.word}: {layout_words(one.plan, one.gpus)}"


def reasons_of(difference: Ledger, most: int = 6) -> list[tuple[str, float]]:
    """The largest lines of a difference of step times: compute by pass, exchanges by kind, and the rest.

    Kinds of layers are summed, because the slowest ranks of two layouts may hold different layers.
    """
    lines: dict[str, float] = {}
    for path, seconds in difference.lines():
        words = path.split(".")
        name = f"compute.{words[2] if len(words) > 2 else words[1]}" if words[0] == "compute" else ".".join(words[:2])
        lines[name] = lines.get(name, 0.0) + float(np.mean(seconds))
    largest = sorted(((name, seconds) for name, seconds in lines.items() if seconds), key=lambda line: -abs(line[1]))
    return largest[:most]


# the search --------------------------------------------------------------------------------------------------------------


def search_plans(
    run: Run,
    *,
    phase: str | None = None,
    by: By = "time",
    beliefs: Beliefs | None = None,
    probability: float = 0.5,
    framework: str | None = None,
    gpus: Sequence[int] | int | None = None,
    space: Mapping[str, Any] | None = None,
    top: int = 10,
    seed: int = 0,
    progress: Progress | None = None,
) -> PlanSearch:
    """Search all layouts of a run that its model, cluster and batch allow, and rank those that fit in memory.

    ``min over layouts of step time | cost | quantile_p of either, subject to the rules of a plan and peak memory <= capacity``

    Args:
        run: a run with a modelled efficiency; precision, optimizer, loss and other settings of its plan apply to all layouts.
        phase: name of the phase; None for the first.
        by: ``"time"`` for the step time, ``"cost"`` for the dollars of the phase.
        beliefs: path → distribution; ranks by a quantile instead of the point. Layouts are simulated in the order of their point estimates
            until ``PATIENCE`` in a row bring no improvement, all with the same draws.
        probability: the quantile to rank by under beliefs.
        framework: only layouts that ``"megatron"`` or ``"torchtitan"`` can express; None for all.
        gpus: numbers of accelerators to try; None for the run's own.
        space: field of a plan → value or values to try, to restrict the search: ``{"tp": (1, 2, 4, 8), "recompute": "none"}``.
        top: number of layouts to rank.
        seed: seed of the draws.
        progress: called with the number of finished parts of the search and the total, such as ``ts.progress_bar``; repeats a
            number while layouts are timed. An exception that it raises stops the search.

    Returns:
        the ranked layouts, the Pareto front of step time, memory and accelerators, and the number of layouts rejected by each rule.

    Raises:
        EstimateError: the step can't be modelled, or no layout is possible or fits; the error names the nearest.
        SpecError: no such framework, or ``space`` names a field that a plan does not have.

    Source: the rules are those of :func:`~trainsim.parallelism.plan.check_plan`; exhaustive search over layouts as in Isaev et al. 2023
    (Calculon, SC '23, doi:10.1145/3581784.3607102), section 4.

    >>> import trainsim as ts
    >>> stack = ts.Modelled(stack=ts.catalog.stack("mcore-hopper"))
    >>> run = ts.Run(model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", 16), efficiency=stack,
    ...              phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)])
    >>> found = search_plans(run, space={"schedule": "1f1b"})
    >>> found.best.memory <= 80e9, found.fitting <= found.possible <= found.considered
    (True, True)
    """
    if framework is not None and framework not in frameworks():
        raise SpecError(
            "framework",
            framework,
            "is not a framework that a plan can be written for",
            did_you_mean(framework, frameworks()),
            "unknown-name",
        )
    if not 0 < probability < 1:
        raise BeliefError("probability", probability, "must be between 0 and 1, both excluded", "give probability=.8", "out-of-bounds")
    if not 1 <= top <= MOST_RANKED:
        raise SpecError("top", top, f"must be from 1 to {MOST_RANKED:,}", "give the number of layouts to return", "out-of-bounds")
    setting = search_problem(run, phase)
    sizes = (setting.cluster.gpus,) if gpus is None else tuple(sorted({gpus} if isinstance(gpus, int) else set(gpus)))
    reports = Reports(progress, 1 if beliefs is None else top + PATIENCE)
    tried = filter_layouts(setting, sizes, framework, dict(space or {}), reports.filtered)
    if not len(tried.layouts):
        raise _no_layout_error(setting, sizes, tried)
    dollars = {n: _dollars_per_second(setting, n) for n in sizes}
    if by == "cost" and None in dollars.values():
        raise EstimateError("cost", None, "needs the run's price and reliability and the phase's tokens", "give all three, or by='time'")
    rates = np.array([dollars[n] if by == "cost" else 1.0 for n in sizes], dtype=np.float64)[np.searchsorted(sizes, tried.layouts.gpus)]
    order = Ranking(tried.layouts, rates, reports.working)
    make = partial(_ranked, order, dollars)
    simulated = 0
    if beliefs is None:
        ranked = [make(i) for i in order.first(top)]
    else:
        ranked, simulated = _rank_under_beliefs(
            setting, beliefs, by, probability, seed, reports.each(map(make, _in_order(order, top + PATIENCE))), top
        )
    reports.done()
    own = _own_plan(setting, dollars)
    mine = None if own is None else own.seconds if by == "time" else own.cost
    return PlanSearch(
        run=run, phase=setting.phase.name, by=by, probability=None if beliefs is None else probability, framework=framework,
        ranked=tuple(ranked), own=own, faster=None if mine is None else order.count_below(mine), considered=tried.considered,
        possible=tried.possible, fitting=len(tried.layouts), timed=len(order.timed), rejected=tried.rejected, simulated=simulated,
        front_of=partial(_front, order, make),
    )  # fmt: skip


def _front(order: Ranking, make: Callable[[int], RankedPlan]) -> tuple[RankedPlan, ...]:
    return tuple(map(make, order.front()))


def _in_order(ranking: Ranking, count: int) -> Iterator[int]:
    """Layouts in order of their point estimates, timed as needed."""
    given = 0
    while given < len(ranking.layouts):
        more = ranking.first(count)[given:]
        yield from (int(i) for i in more)
        given, count = given + len(more), 2 * count


def _ranked(ranking: Ranking, dollars: Mapping[int, float | None], i: int) -> RankedPlan:
    layouts, seconds = ranking.layouts, float(ranking.seconds[i])
    gpus = int(layouts.gpus[i])
    rate = dollars[gpus]
    size = float(layouts.memory[i])
    word = fit_word(size, float(layouts.setting.cluster.chip.memory), spread_for(layouts.setting.model))
    return RankedPlan(layouts.plan(i), gpus, seconds, size, word, None if rate is None else rate * seconds)


def _dollars_per_second(setting: SearchProblem, gpus: int) -> float | None:
    """Cost of the phase per second of step time [USD/s]; None if price, reliability or tokens are missing."""
    run, steps = setting.run, setting.phase.steps
    if run.price is None or run.reliability is None or steps is None:
        return None
    hours = steps * gpus / SECONDS_PER_HOUR / run.reliability.expected_goodput(gpus)
    return float(hours * run.price.rate().total)


def _own_plan(setting: SearchProblem, dollars: Mapping[int, float | None]) -> RankedPlan | None:
    """The run's own plan as an entry of the ranking."""
    plan, gpus = setting.phase.plan or setting.run.plan, setting.cluster.gpus
    if plan is None:
        return None
    seconds = float(step_time(setting.run, setting.phase.name).total)
    degrees = degrees_of(plan, gpus, setting.seq_len)
    size = float(peak_memory(setting.model, plan, degrees, degrees.micro_batches(setting.batch)))
    rate = dollars.get(gpus)
    word = fit_word(size, float(setting.cluster.chip.memory), spread_for(setting.model))
    return RankedPlan(plan, gpus, seconds, size, word, None if rate is None else rate * seconds)


def _rank_under_beliefs(
    setting: SearchProblem, beliefs: Beliefs, by: By, probability: float, seed: int, candidates: Any, top: int
) -> tuple[list[RankedPlan], int]:
    """The best layouts by a quantile, and the number of layouts that were simulated."""
    ranked: list[RankedPlan] = []
    count = since = 0
    function = partial(_objective, by=by, phase=setting.phase.name)
    for candidate in candidates:
        made = setting.with_plan(candidate.plan, candidate.gpus)
        found = simulate(made, beliefs, function, n=DRAWS, seed=seed).quantile("value", probability)
        count += 1
        worst = ranked[top - 1].quantile if len(ranked) >= top else None
        since = since + 1 if worst is not None and found >= worst else 0
        entry = replace(candidate, quantile=found)
        ranked = sorted([*ranked, entry], key=lambda one: float(one.quantile or 0.0))[:top]
        if since >= PATIENCE:
            break
    return ranked, count


def _objective(run: Run, *, by: By, phase: str) -> Num:
    """The ranking objective, for arrays of draws."""
    return step_time(run, phase).total if by == "time" else estimate(run).cost.part(phase).total


class NoLayoutFitsError(EstimateError):
    """No layout fits in memory.

    Attributes:
        plan: the layout that needs least memory; None if it is not known.
    """

    plan: Plan | None = None


def _no_layout_error(setting: SearchProblem, sizes: tuple[int, ...], tried: FilterResult) -> EstimateError:
    """The error if no layout remains; it names the nearest layout."""
    where = f"{', '.join(f'{n:,}' for n in sizes)} x {setting.cluster.chip.name}"
    if tried.nearest is not None:
        plan, gpus, size = tried.nearest
        rule = f"none of the {tried.possible:,} possible layouts fits in {float(setting.cluster.chip.memory) / 1e9:g} GB"
        nearest = (
            f"nearest: {size / 1e9:.1f} GB with {layout_words(plan, gpus)} on {gpus:,}; give more gpus, or a smaller batch or optimizer"
        )
        error = NoLayoutFitsError("gpus", where, rule, nearest, "infeasible")
        error.plan = plan
        return error
    reasons = "; ".join(f"{rule} ({count:,})" for rule, count in list(tried.rejected.items())[:4])
    rule = f"no layout of {tried.considered:,} is possible: {reasons}"
    return EstimateError("plan", where, rule, "widen space=, or change the input that the first rule names", "infeasible")
