"""An answer as a screen, as JSON, or as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .terminal import BAD_INPUT, NOT_MET, complain, emit, stop

if TYPE_CHECKING:
    from ..core.answer import Answer
    from ..run.run import Run

Data = Mapping[str, Any]


def form_of(*, as_json: bool, as_csv: bool) -> str:
    """The output form that flags choose: ``"text"``, ``"json"`` or ``"csv"``."""
    if as_json and as_csv:
        complain("--json and --csv can't be combined; give one")
        stop(BAD_INPUT)
    return "json" if as_json else "csv" if as_csv else "text"


def show(text: str, form: str, failure: str = "") -> None:
    """Print an answer; lines of JSON and CSV are not folded. If an assertion failed, the command then ends.

    Args:
        text: the answer.
        form: ``"text"``, ``"json"`` or ``"csv"``.
        failure: the assertion that fails; empty for none.
    """
    emit(text, folded=form == "text")
    if failure:
        complain(failure)
        stop(NOT_MET)


def save_run(run: Run, path: str, form: str) -> None:
    """Write a run after its answer is printed, so that a failure loses only the file."""
    if path:
        run.save(path)
        if form == "text":
            emit(f"saved {path}")


def printed(text: str, data: Callable[[], Data], form: str) -> str:
    """A screen, or figures nested by name as JSON, or as CSV with one line per figure.

    Args:
        text: the screen.
        data: function that gives the figures.
        form: ``"text"``, ``"json"`` or ``"csv"``.
    """
    if form == "json":
        from ..core.answer import plain

        return json.dumps(plain(data()), indent=2, ensure_ascii=False)
    if form == "csv":
        return _csv(("name", "value"), _flat(data()))
    return text


def answered(answer: Answer, form: str, more: Data | None = None, text: str = "") -> str:
    """An answer of the library as text, as JSON, or as CSV of its figures.

    Args:
        answer: the answer.
        form: ``"text"``, ``"json"`` or ``"csv"``.
        more: further figures by name, for JSON.
        text: the screen, where it is not the answer's own.
    """
    from ..core.answer import plain, unfolded

    if form == "text":
        return text or unfolded(answer)
    if form == "csv":
        return answer.to_csv().rstrip("\n")
    return json.dumps(plain({**(more or {}), **answer.to_dict()}), indent=2, ensure_ascii=False)


def _csv(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue().rstrip("\n")


def _flat(data: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(data, Mapping):
        return [row for key, value in data.items() for row in _flat(value, f"{name}.{key}" if name else str(key))]
    if isinstance(data, (list, tuple)):
        return [row for i, value in enumerate(data) for row in _flat(value, f"{name}.{i}")]
    return [(name, data)]
