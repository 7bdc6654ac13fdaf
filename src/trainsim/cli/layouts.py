"""Answers about layouts: memory, the fastest layouts, and whether a step is normal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from ..core.answer import unfolded
from ..core.errors import EstimateError
from ..core.quantities import parse_number
from .printing import answered
from .terminal import working

if TYPE_CHECKING:
    from ..gpu_memory.fit import Fit
    from ..parallelism.plan import Plan
    from ..planning.requests import RunRequest
    from ..planning.ways_to_fit import Way
    from ..run.run import Run


def memory_of(asked: RunRequest, form: str) -> str:
    """Peak memory of the fullest accelerator, whether it fits, and if not, layouts that fit."""
    from ..planning.ranked_plan import layout_words
    from ..planning.requests import option_of, step_of
    from ..planning.ways_to_fit import ways_to_fit, with_closest_layout
    from ..run.assumed import assumed_lines
    from ..run.memory import fits, memory

    given = step_of(asked)
    with working("searching layouts") as progress:
        run = given if _plan(given) is not None else with_closest_layout(given, progress)
    plan = _plan(run)
    assert plan is not None
    fit, ledger = fits(run), memory(run)
    ways: tuple[Way, ...] = ()
    if fit.word != "fits" and not fit.nearest and _plan(given) is None:
        with working("searching what would fit"):
            ways = ways_to_fit(given)
    layout = layout_words(plan, run.cluster.gpus)
    modelled = float(ledger.part(fit.rank).total)
    how = "the fastest whose modelled peak is within the GPU's memory" if modelled <= fit.capacity else "the one that needs least memory"
    lines = [
        unfolded(fit),
        *(
            ["what would fit", *(f"  {way.change}: from {way.memory / 1e9:.1f} GB a GPU ({option_of(way, asked)})" for way in ways)]
            if ways
            else []
        ),
        f"layout: {layout}{'' if _plan(given) is not None else f' (assumed: {how})'}",
        _modelled(fit, modelled),
        ledger.part(fit.rank).table(depth=1),
        *assumed_lines(run),
    ]
    more = {"word": fit.word, "used": list(fit.used), "capacity": fit.capacity, "layout": layout, "ranks": ledger.to_dict()}
    would = {"would_fit": [{"change": way.change, "option": option_of(way, asked), "memory": way.memory} for way in ways]} if ways else {}
    return answered(fit, form, more | would, "\n".join(lines))


def _modelled(fit: Fit, modelled: float) -> str:
    """Heading of the table of a rank's modelled memory, with the ratio of measured peaks to modelled ones."""
    low, middle, high = (used / modelled for used in fit.used)
    return f"modelled, {fit.rank}; measured peaks are {middle:.2f} ({low:.2f} to {high:.2f}) × modelled ones"


def _plan(run: Run) -> Plan | None:
    """The layout of a run's first phase."""
    return run.phases[0].plan or run.plan


def searched(asked: RunRequest, form: str, by: Literal["time", "cost"], top: int) -> str:
    """The fastest or cheapest layouts that fit."""
    from ..planning.default_layout import with_stack
    from ..planning.quick_run import with_batch
    from ..planning.requests import option_of, run_of
    from ..planning.search import NoLayoutFitsError, search_plans
    from ..planning.ways_to_fit import ways_to_fit
    from ..run.assumed import assumed_lines, assumed_of, assumptions

    run = with_batch(run_of(asked))
    if f"phases.{run.phases[0].name}.tokens" in assumptions(run):
        run = run.replace({"price": None, "reliability": None})  # no dollars of tokens that nobody gave
    try:
        with working("searching layouts") as progress:
            found = search_plans(with_stack(run), by=by, top=top, progress=progress)
    except NoLayoutFitsError as error:
        with working("searching what would fit"):
            ways = [f"{way.change} ({option_of(way, asked)})" for way in ways_to_fit(run)]
        would = f"what would fit: {', '.join(ways)}" if ways else error.remedy
        raise EstimateError(error.path, error.value, error.rule, would, error.rule_id) from None
    return answered(found, form, {"assumed": assumed_of(run)}, "\n".join([unfolded(found), *assumed_lines(run)]))


def diagnosed(asked: RunRequest, step_time: str, form: str) -> str:
    """Whether a measured step is normal, and what may explain it."""
    from ..calibration.diagnose import diagnose
    from ..planning.default_layout import with_layout
    from ..planning.ranked_plan import layout_words
    from ..planning.requests import step_of
    from ..run.assumed import assumed_lines, assumed_of

    given = step_of(asked)
    with working("searching layouts") as progress:
        run = with_layout(given, progress=progress)
    with working("comparing causes"):
        found = diagnose(run, step_time=parse_number(step_time, "s", "--step-time"))
    found = found if _plan(run) == _plan(given) else replace(found, layout="assumed")
    phase, plan = run.phases[0], _plan(run)
    assert plan is not None
    layout = layout_words(plan, run.cluster.gpus) + ("" if plan == _plan(given) else " (assumed: the fastest that fits)")
    step = f"the step is of {phase.batch:,g} sequences of {phase.seq_len:,g} tokens; layout: {layout}"
    text = "\n".join([unfolded(found), step, *assumed_lines(run)])
    return answered(found, form, {"layout": layout, "assumed": assumed_of(run)}, text)
