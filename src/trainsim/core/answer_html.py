"""Answers as HTML for notebooks: a small table, with longer parts folded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

STYLE = (
    ".trainsim{font:14px/1.45 system-ui,sans-serif;color:#1b1f24;max-width:60em}"
    ".trainsim table{border-collapse:collapse;margin:.3em 0;min-width:min(32em,100%)}"
    ".trainsim caption,.trainsim summary{text-align:left;font-weight:600;padding:.2em 0}"
    ".trainsim th,.trainsim td{text-align:left;font-weight:400;padding:.12em 1.2em .12em 0;border-bottom:1px solid #d8dee4;"
    "background:none;vertical-align:top}"
    ".trainsim td.figure{font-variant-numeric:tabular-nums;font-weight:600}"
    ".trainsim td.grade,.trainsim .more{color:#57606a}"
    ".trainsim summary{cursor:pointer}"
    "@media (prefers-color-scheme:dark){.trainsim{color:#e6edf3}.trainsim th,.trainsim td{border-color:#3d444d}"
    ".trainsim td.grade,.trainsim .more{color:#9aa4ae}}"
)
"""Colours of both schemes have a contrast of 4.5 or more on white, and on black."""
MOST = 40
"""Largest number of lines of a folded list."""


def html_of(title: str, groups: Mapping[str, Sequence[tuple[str, str, str]]], notes: Iterable[str], sources: Mapping[str, str]) -> str:
    """An answer as one HTML fragment; every text is escaped.

    Args:
        title: caption of the main table.
        groups: heading → (label, figure, grade) of each line; the main lines under the empty heading.
        notes: sentences below the table.
        sources: path → source of the figure.

    >>> html = html_of("a <b> run", {"": [("cost", "$5.9M", "")]}, (), {})
    >>> "a &lt;b&gt; run" in html, "<details>" in html
    (True, False)
    """
    parts = [f"<style>{STYLE}</style>", _table(groups.get("", ()), title)]
    parts += [_folded(heading, _table(rows)) for heading, rows in groups.items() if heading]
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    parts += [_folded("Notes", f"<ul>{listed}</ul>")] if listed else []
    parts += [_folded("Sources", _table([(path, source, "") for path, source in sources.items()]))] if sources else []
    return f'<div class="trainsim">{"".join(parts)}</div>'


def _table(rows: Sequence[tuple[str, str, str]], title: str = "") -> str:
    """A table with one row per figure, whose label is the row's heading."""
    lines = [
        f'<tr><th scope="row">{escape(label)}</th><td class="figure">{escape(figure)}</td><td class="grade">{escape(grade)}</td></tr>'
        for label, figure, grade in rows[:MOST]
    ]
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    more = f'<p class="more">and {len(rows) - MOST} more: .to_frame() lists all</p>' if len(rows) > MOST else ""
    return f"<table>{caption}<tbody>{''.join(lines)}</tbody></table>{more}"


def _folded(heading: str, content: str) -> str:
    return f"<details><summary>{escape(heading)}</summary>{content}</details>"
