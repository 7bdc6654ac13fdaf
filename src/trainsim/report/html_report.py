"""``ts.write_report``: an answer as one self-contained HTML page with pictures, ledgers, sources, and a what-if panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from pathlib import Path
from typing import Any

from ..auditing.verdict import Verdict
from ..core.answer import Answer, written
from ..core.errors import EstimateError, SpecError, TrainsimError
from ..core.ledger import Ledger
from ..inference import simulate, tornado
from ..planning.search import PlanSearch
from ..run.compare import Comparison
from ..run.estimate import UNITS, Estimate
from ..uncertainty.beliefs.beliefs import Beliefs
from .draw import picture_of
from .page import figures_table, group_tables, ledger_tree, notes_list, page, picture_figure, section, sources_list, what_if_panel
from .picture import Picture
from .what_if import SHOWN, WhatIf, what_if
from .words import STATED

POINTS = 1 << 12
"""Number of points of the simulation for a report's intervals."""
LEVELS = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Content:
    """Parts of a report besides the figures of its answer.

    Args:
        pictures: pictures, in order.
        ledgers: heading → ledger.
        panel: what-if panel; None if the answer is not about one run.
        spread: name of a figure → its 90 % interval in words.
        missing: parts that are not shown, each with the reason.
    """

    pictures: tuple[Picture, ...] = ()
    ledgers: Mapping[str, Ledger] = field(default_factory=dict)
    panel: WhatIf | None = None
    spread: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def write_report(answer: Answer, path: str | Path, beliefs: Beliefs | None = None, command: str = "") -> Path:
    """Write an answer as one HTML page, which needs no network, can be printed, and follows the reader's light or dark theme.

    Args:
        answer: an estimate, a verdict, a comparison, a search, or any other.
        path: path of the page.
        beliefs: beliefs about the run of an estimate, which give intervals.
        command: command that writes the page, for the footer.

    Returns:
        the path written.

    Raises:
        EstimateError: matplotlib is not installed.
        SpecError: the page can't be written.

    >>> import trainsim as ts
    >>> write_report(ts.estimate(ts.catalog.run("deepseek-v3")), "v3.html")  # doctest: +SKIP
    PosixPath('v3.html')
    """
    text, file = report_text(answer, beliefs, command), Path(path)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecError(
            "path", str(path), f"can't be written ({error.strerror})", "give a path in a folder that exists", "unwritable"
        ) from None
    return file


def report_text(answer: Answer, beliefs: Beliefs | None = None, command: str = "") -> str:
    """The page of :func:`write_report` as text."""
    summary, content = answer.summary(), content_of(answer, beliefs)
    notes = (*summary.notes, *content.missing)
    trees = "".join(f"<h3>{name}</h3>{ledger_tree(f'total {name}', ledger)}" for name, ledger in content.ledgers.items())
    pictures = "".join(picture_figure(picture, i) for i, picture in enumerate(content.pictures))
    sections = [
        section("Figures", figures_table(summary, content.spread) + group_tables(summary), "figures"),
        section("What if", what_if_panel(content.panel), "what-if") if content.panel is not None else "",
        section("Pictures", pictures, "pictures") if pictures else "",
        section("Part by part", f'<p class="printed">The page as a file has every level; two are printed.</p>{trees}', "ledgers")
        if trees
        else "",
        section("What to know", notes_list(notes), "notes") if notes else "",
        section("Sources", sources_list(summary), "sources") if summary.sources else "",
    ]
    lead = f"A verdict: the number {answer.number}, the words {answer.words}" if isinstance(answer, Verdict) else ""
    return page(summary.title, lead, sections, command)


@singledispatch
def content_of(answer: object, _beliefs: Beliefs | None) -> Content:
    """Pictures, ledgers and panel of an answer; by default its one picture, if it has one."""
    try:
        return Content((picture_of(answer),))
    except EstimateError:
        return Content()


@content_of.register
def _(answer: Estimate, beliefs: Beliefs | None) -> Content:
    """An estimate: every ledger and its picture; with beliefs, also the distribution of its cost and the shares of inputs in its
    variance.
    """
    pictures: list[Picture] = []
    ledgers: dict[str, Ledger] = {}
    missing: list[str] = []
    simulated = None if not beliefs else simulate(answer.run, beliefs, n=POINTS)
    if simulated is not None and beliefs is not None:
        pictures += [picture_of(simulated, of="cost"), picture_of(tornado(answer.run, beliefs))]
    for name, words in STATED.items():
        try:
            ledger = getattr(answer, name)
            if name not in ("price", "hours", "busy_hours") and ledger.parts:
                picture = picture_of(answer, of=name)
                _ = picture.title, picture.height  # raises an error if an input is missing
                pictures.append(picture)
            if name == "step_time":
                ledgers |= {f"{words} of {phase}": part for phase, part in ledger.parts.items()}
            elif ledger.parts:
                ledgers[words if name != "memory" else "memory of one pipeline, rank by rank"] = ledger
        except TrainsimError as error:
            missing.append(f"Not shown: {words} ({error})")
    try:
        panel = what_if(answer.run, simulated)
    except TrainsimError as error:
        panel = None
        missing.append(f"No panel: {error}")
    spread = {} if simulated is None else {name: _spread(name, simulated) for name in SHOWN}
    return Content(tuple(pictures), ledgers, panel, spread, tuple(missing))


def _spread(name: str, simulated: Any) -> str:
    low, _, high = (float(q) for q in simulated.quantile(name, LEVELS))
    return f"{written(low, UNITS[name])} to {written(high, UNITS[name])}"


@content_of.register
def _(answer: Verdict, _beliefs: Beliefs | None) -> Content:
    """A verdict: its picture, if it is about a run, and the cost ledger of the run as stated."""
    ledgers = {} if answer.estimate is None or answer.estimate.run.price is None else {STATED["cost"]: answer.estimate.cost}
    return Content(() if answer.view is None else (picture_of(answer),), ledgers)


@content_of.register
def _(answer: Comparison, _beliefs: Beliefs | None) -> Content:
    """A comparison: the factors, and the cost ledger of each run."""
    a, b = answer.names
    return Content((picture_of(answer),), {f"{STATED['cost']} of {a}": answer.a.cost, f"{STATED['cost']} of {b}": answer.b.cost})


@content_of.register
def _(answer: PlanSearch, _beliefs: Beliefs | None) -> Content:
    """A search: the layouts, and the step-time ledger of the best."""
    from ..run.memory import fits
    from ..run.step_time import step_time

    best = answer.best_run
    step = step_time(best, answer.phase)
    pictures = (picture_of(answer), picture_of(step), picture_of(fits(best, answer.phase)))
    return Content(pictures, {STATED["step_time"]: step})
