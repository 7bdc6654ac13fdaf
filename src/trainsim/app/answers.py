"""Answer a question: hours and dollars, memory and layout, and the verdict on a claim, each with its picture, as parts of a page."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..auditing.audit import audit
from ..auditing.verdict import Verdict
from ..core.answer import Answer, AnswerRow, written
from ..core.errors import EstimateError, TrainsimError, TrainsimWarning
from ..gpu_memory.fit import Fit
from ..inference import simulate
from ..planning.claim_request import claim_of
from ..planning.default_layout import with_stack
from ..planning.quick_run import with_batch
from ..planning.ranked_plan import layout_words
from ..planning.requests import beliefs_of, run_of
from ..planning.search import search_plans
from ..report.draw import picture_of
from ..report.html_report import LEVELS, report_text
from ..report.page import assumed_table, figures_table, group_tables, notes_list, picture_figure, section, sources_list, what_if_panel
from ..report.what_if import SHOWN, what_if
from ..run.assumed import assumed_of
from ..run.estimate import UNITS, Estimate, estimate
from ..run.memory import fits
from ..run.run import Run
from ..run.step_time import step_time
from ..uncertainty.sampling.simulation import Simulation
from .command import command_of
from .inputs import claim_request_of, run_request_of
from .jobs import Report
from .question import Question

RTOL, SEED = 1e-3, 1
"""Relative accuracy of the quantiles of the page [1], and the seed of its draws."""
RANKED = 5
"""Number of layouts that are shown."""
LABELS = {"cost": "Cost", "gpu_hours": "GPU-hours", "wall_days": "Time"}
"""Quantity → its name above the page's main figures."""


@dataclass(frozen=True)
class MainFigure:
    """A figure at the top of an answer.

    Args:
        name, label: name and label of the quantity.
        text: the figure with its unit, or a word.
        value: the exact figure; None for a word.
        low, high: 5 % and 95 % quantiles; None if the figure is certain.
        note: the interval in words, or another remark.
    """

    name: str
    label: str
    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class PageAnswer:
    """An answer as the page shows it.

    Args:
        title: the question in a few words.
        figures: the main figures.
        sections: HTML of each section, in order; its text is escaped.
        errors: errors of the parts that could not be answered.
        command: the command line of the same question.
    """

    title: str
    figures: tuple[MainFigure, ...]
    sections: tuple[str, ...]
    errors: tuple[TrainsimError, ...]
    command: str


class _Parts:
    """Collects the sections of a page; a part that fails is replaced by its error.

    Args:
        report: function that records the progress.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        self.sections: list[str] = []
        self.errors: list[TrainsimError] = []
        self.pictures = 0

    def add(self, name: str, heading: str, make: Callable[[], str]) -> None:
        """Add a section; ``make`` computes its HTML."""
        self.report(heading.lower())
        try:
            self.sections.append(section(heading, make(), name))
        except TrainsimError as error:
            self.errors.append(error)

    def picture(self, answer: object, **options: Any) -> str:
        """A picture of an answer, in both themes; nothing if there is none."""
        self.pictures += 1
        self.report("drawing a picture")
        try:
            return picture_figure(picture_of(answer, **options), self.pictures)
        except EstimateError as error:
            return notes_list((str(error),))


def answer_of(asked: Question, folder: Path | None, report: Report) -> PageAnswer:
    """Answer a question.

    Args:
        asked: the question, in which no input is missing.
        folder: the only folder that files are read from; None for none.
        report: function that records the progress, and raises if the reader stopped the question.

    Raises:
        TrainsimError: the run can't be built or estimated.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TrainsimWarning)
        request = run_request_of(asked, folder)
        run = run_of(request)
        beliefs, est = beliefs_of(run, request), estimate(run)
        parts = _Parts(report)
        drawn = simulate(run, beliefs, rtol=RTOL, seed=SEED, outputs=SHOWN, progress=_drawing(report)) if beliefs else None
        figures = _main_figures(est, drawn)
        parts.add("cost", "Hours and cost", lambda: _cost(parts, est, drawn))
        if asked.claim:
            parts.report("auditing the claim")
            try:
                verdict = audit(claim_of(claim_request_of(asked)), subject=run, as_of=asked.as_of or None, seed=SEED)
                figures.append(MainFigure("verdict", "The claim", f"{verdict.number}", note=f"its words: {verdict.words}"))
                parts.add("verdict", "Verdict on the claim", lambda: _verdict(parts, verdict))
            except TrainsimError as error:
                parts.errors.append(error)
        laid_out = run
        if asked.layout != "skip":
            try:
                laid_out, fit = _lay_out(parts, run)
                low, high = (written(end, "B") for end in (fit.used[0], fit.used[2]))
                figures.append(
                    MainFigure("memory", "Memory of a GPU", fit.word, note=f"90 %: {low} to {high} of {written(fit.capacity, 'B')}")
                )
            except TrainsimError as error:
                parts.errors.append(error)
        parts.add("what-if", "What if", lambda: what_if_panel(what_if(run, drawn)))
    notes = (*est.notes, *dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, TrainsimWarning)))
    _add_evidence(parts, laid_out, est, notes)
    return PageAnswer(est.summary().title, tuple(figures), tuple(parts.sections), tuple(parts.errors), command_of(asked, "estimate"))


def _drawing(report: Report) -> Callable[[int, int], None]:
    return lambda done, total: report("drawing the unknown inputs", done, total)


def _main_figures(est: Estimate, drawn: Simulation | None) -> list[MainFigure]:
    found = []
    for name in SHOWN:
        value, unit = float(np.asarray(est.quantity(name))), UNITS[name]
        low, _, high = (value,) * 3 if drawn is None else (float(q) for q in drawn.quantile(name, LEVELS))
        certain = bool(np.isclose(low, high, rtol=1e-9))
        ends = {} if certain else {"low": low, "high": high}
        text, _, interval = AnswerRow(name, LABELS[name], value, unit, ends.get("low"), ends.get("high")).text.partition(" (")
        note = "every input was given" if certain else f"90 %: {interval.removesuffix(')')}"
        found.append(MainFigure(name, LABELS[name], text, value, **ends, note=note))
    return found


def _cost(parts: _Parts, est: Estimate, drawn: Simulation | None) -> str:
    """The figures of an estimate, and its distribution; if nothing is uncertain, the parts of its cost instead."""
    summary = est.summary()
    spread = {f.name: f.note for f in _main_figures(est, drawn) if f.low is not None}
    picture = parts.picture(est, of="cost") if drawn is None else parts.picture(drawn, of="cost")
    return picture + figures_table(summary, {name: note.removeprefix("90 %: ") for name, note in spread.items()}) + group_tables(summary)


def _lay_out(parts: _Parts, run: Run) -> tuple[Run, Fit]:
    """The run in its own layout, or in the fastest that fits; adds the sections of its layout and its memory."""
    planned = run.phases[0].plan or run.plan
    parts.report("searching layouts")
    modelled = with_batch(with_stack(run))
    found = None
    if planned is None:
        found = search_plans(modelled, top=RANKED, progress=lambda done, total: parts.report("searching layouts", done, total))
        modelled = found.best_run
    plan = modelled.phases[0].plan or modelled.plan
    assert plan is not None
    fit = fits(modelled)
    whose = "the run's own" if found is None else "the fastest that fits, of those that the rules allow; assumed"
    words = notes_list((f"{layout_words(plan, modelled.cluster.gpus)} ({whose})",))
    parts.add("memory", "Memory of a GPU", lambda: _answer(parts, fit))
    if found is not None:
        parts.add("layout", "Layout", lambda: words + parts.picture(found) + group_tables(found.summary()))
    else:
        parts.add("layout", "Layout", lambda: words)
    parts.add("step", "One optimizer step", lambda: parts.picture(step_time(modelled)))
    return modelled, fit


def _answer(parts: _Parts, answer: Answer) -> str:
    """An answer: its picture, figures and notes."""
    summary = answer.summary()
    return parts.picture(answer) + figures_table(summary, {}) + group_tables(summary) + notes_list(summary.notes)


def _verdict(parts: _Parts, verdict: Verdict) -> str:
    """A verdict: the faithful sentence, the figure at each meaning of the words, and the checks."""
    summary = verdict.summary()
    return notes_list((verdict.headline,)) + _answer(parts, verdict) if verdict.headline != summary.title else _answer(parts, verdict)


def _add_evidence(parts: _Parts, laid_out: Run, est: Estimate, notes: tuple[str, ...]) -> None:
    """Assumed inputs of cost and layout, notes, and sources of the figures."""
    if assumed := assumed_of(est.run) | assumed_of(laid_out):
        parts.add("assumed", "Assumed inputs", lambda: assumed_table(assumed))
    if notes:
        parts.add("notes", "What to know", lambda: notes_list(notes))
    summary = est.summary()
    if summary.sources:
        parts.add("sources", "Sources", lambda: sources_list(summary))


def report_of(asked: Question, folder: Path | None, report: Report) -> str:
    """The run of a question as one HTML page, which needs no network and no app.

    Raises:
        TrainsimError: as for :func:`answer_of`.
    """
    request = run_request_of(asked, folder)
    report("writing the report")
    with warnings.catch_warnings(action="ignore", category=TrainsimWarning):
        run = run_of(request)
        return report_text(estimate(run), beliefs_of(run, request) or None, command_of(asked, "report"))
