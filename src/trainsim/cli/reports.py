"""``trainsim report``: an answer as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .. import catalog
from ..core.answer import Answer
from ..planning.requests import RunRequest, beliefs_of, run_of
from .terminal import working

if TYPE_CHECKING:
    from ..uncertainty.beliefs.beliefs import Beliefs


def reported(asked: RunRequest, output: str, versus: str, *, layouts: bool, command: str) -> Path:
    """Write the page that the options define.

    Args:
        asked: the run, or the id of a claim in ``target``.
        output: path of the page.
        versus: a second run; empty for none.
        layouts: whether to search layouts of the run.
        command: the typed command, for the footer of the page.

    Returns:
        the path written.

    Raises:
        TrainsimError: nothing of that name, or the page can't be written.
    """
    from ..report.html_report import write_report

    answer, beliefs = _answer(asked, versus, layouts=layouts)
    with working("writing the report"):
        return write_report(answer, output, beliefs, command)


def _answer(asked: RunRequest, versus: str, *, layouts: bool) -> tuple[Answer, Beliefs | None]:
    """The answer, and beliefs about the run."""
    if isinstance(asked.target, str) and asked.target in catalog.claims():
        from ..auditing.audit import audit

        return audit(catalog.claim(asked.target), as_of=asked.as_of or None), None
    run = run_of(asked)
    if versus:
        from ..inference import compare

        return compare(run, run_of(RunRequest(versus, as_of=asked.as_of))), None
    if layouts:
        from ..planning.search import search_plans

        with working("searching layouts") as progress:
            return search_plans(run, progress=progress), None
    from ..run.estimate import estimate

    return estimate(run), beliefs_of(run, asked) or None
