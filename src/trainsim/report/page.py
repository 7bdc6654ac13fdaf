"""Parts of an HTML report; all inserted text is escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from ..core.answer import AnswerRow, Summary
from ..core.ledger import Ledger
from ..core.version import __version__
from .draw import drawing_of
from .picture import Picture
from .style import THEMES
from .what_if import MOST, SHOWN_AS, WhatIf
from .words import QUANTITIES, amount, share_words

DEEP = 5
"""Number of levels of a ledger that a tree shows."""
SHORT = 40
"""Largest number of letters of a figure that is aligned to the right; longer texts are aligned to the left."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""Content security policy of the page: only its own style and script, no network."""


def page(title: str, lead: str, sections: list[str], command: str = "") -> str:
    """A complete page.

    Args:
        title: heading of the page, plain text.
        lead: line below the heading, plain text.
        sections: HTML of each section, in order.
        command: command that writes the page.
    """
    made = " · ".join(filter(None, (f"trainsim {__version__}", command)))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">
<meta name="generator" content="trainsim {escape(__version__)}">
<title>{escape(title)}</title>
<style>{stylesheet()}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the figures</a>
<header><h1>{escape(title)}</h1>{f'<p class="lead">{escape(lead)}</p>' if lead else ""}</header>
<main id="main">
{"".join(sections)}
</main>
<footer><p>{escape(made)}</p></footer>
<script>{script()}</script>
</body>
</html>
"""


def stylesheet() -> str:
    """The style of a page. It follows the reader's light or dark theme; print is light."""
    colours = {name: {key: value for key, value in vars(theme).items() if key != "name"} for name, theme in THEMES.items()}
    variables = {name: "".join(f"--{key}:{value};" for key, value in found.items()) for name, found in colours.items()}
    dark = f"@media screen and (prefers-color-scheme: dark){{:root{{{variables['dark']}}}}}"
    return f":root{{{variables['light']}}}{dark}\n{_asset('report.css')}"


def script() -> str:
    """The script of a page, which updates the panel."""
    return _asset("report.js")


def _asset(name: str) -> str:
    return (files(__package__ or "") / "assets" / name).read_text(encoding="utf-8")


def section(heading: str, body: str, name: str) -> str:
    """A section with a heading that links can address."""
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(heading)}</h2>{body}</section>\n'


def figures_table(summary: Summary, spread: Mapping[str, str]) -> str:
    """Table of the main figures, each with its grade and a link to its source.

    Args:
        summary: summary of the answer.
        spread: name of a row → its 90 % interval in words, for rows that have one.
    """
    rows = [row for row in summary.rows if not row.group]
    return _rows("", rows, spread, linked=bool(summary.sources))


def group_tables(summary: Summary) -> str:
    """The further figures under their headings, folded; figures that the list of sources shows are left out."""
    groups: dict[str, list[AnswerRow]] = {}
    for row in summary.rows:
        if row.group and row.group != "Inputs":
            groups.setdefault(row.group, []).append(row)
    return "".join(f"<details><summary>{escape(name)}</summary>{_rows(name, rows, {})}</details>" for name, rows in groups.items())


def _rows(caption: str, rows: list[AnswerRow], spread: Mapping[str, str], *, linked: bool = False) -> str:
    """Rows of figures, with an interval below its figure."""
    graded = linked or any(row.grade for row in rows)
    lines = []
    for row in rows:
        between = f"<small>90 %: {escape(spread[row.name])}</small>" if row.name in spread else ""
        cells = [
            f'<td class="{"words" if isinstance(row.value, str) and len(row.text) > SHORT else "figure"}">{escape(row.text)}{between}</td>'
        ]
        if graded:
            known = escape(row.grade) if row.grade else '<a href="#sources">sources</a>' if linked else ""
            cells.append(f'<td class="grade">{known}</td>')
        lines.append(f'<tr><th scope="row">{escape(row.label)}</th>{"".join(cells)}</tr>')
    sentences = all(isinstance(row.value, str) and len(row.text) > SHORT for row in rows)
    heads = [("what", ""), ("finding", "") if sentences else ("figure", ' class="figure"'), *([("notes", "")] if graded else [])]
    head = "".join(f'<th scope="col"{kind}>{words}</th>' for words, kind in heads)
    titled = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{titled}<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def sources_list(summary: Summary) -> str:
    """Every source once, with the inputs that it gives; each input has its catalogue row where the rows differ."""
    inputs = {row.name: row for row in summary.rows if row.group == "Inputs"}
    held: dict[str, dict[str, str]] = {}
    for path, source in summary.sources.items():
        words, mark, row = source.rpartition(" [")
        held.setdefault(words or source, {})[path] = f"{mark.strip()}{row}" if words else ""
    lists = []
    for words, rows in held.items():
        one = next(iter(rows.values())) if len(set(rows.values())) == 1 else ""
        lines = [_input(path, inputs.get(path), "" if one else row) for path, row in rows.items()]
        lists.append(f"<p>{escape(f'{words} {one}'.rstrip())}</p><ul class='inputs'>{''.join(lines)}</ul>")
    return "".join(lists)


def _input(path: str, row: AnswerRow | None, listed: str) -> str:
    value = "" if row is None else f' <span class="figure">{escape(row.text)}</span>'
    grade = "" if row is None or not row.grade else f' <span class="grade">{escape(row.grade)}</span>'
    where = f' <span class="grade">{escape(listed)}</span>' if listed else ""
    return f'<li id="source-{escape(path)}"><code>{escape(path)}</code>{value}{grade}{where}</li>'


def assumed_table(assumed: Mapping[str, tuple[str, str]]) -> str:
    """Assumed inputs: the path, the value, and the reason.

    Args:
        assumed: path → value in words, and reason.
    """
    lines = "".join(
        f'<tr><th scope="row"><code>{_breakable(path)}</code></th><td>{escape(value)}</td><td class="grade">{escape(why)}</td></tr>'
        for path, (value, why) in assumed.items()
    )
    heads = "".join(f'<th scope="col">{words}</th>' for words in ("input", "assumed value", "reason"))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"


def _breakable(path: str) -> str:
    """A path that a narrow column may break after a dot."""
    return escape(path).replace(".", ".<wbr>")


def notes_list(notes: tuple[str, ...]) -> str:
    """The notes, one per line."""
    return f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>" if notes else ""


def picture_figure(picture: Picture, number: int) -> str:
    """A picture in both themes; the page shows the reader's, print is light. A phone also shows its finding and its description as text,
    since the picture's own letters are small there until the reader enlarges it.
    """
    drawn = {name: _own_ids(drawing_of(picture, theme).svg, f"p{number}{name[0]}") for name, theme in THEMES.items()}
    words = f"<strong>{escape(picture.title)}</strong>{escape(picture.subtitle)}"
    caption = f"<p>{words}</p><details><summary>The picture in words</summary><p>{escape(picture.alt)}</p></details>"
    larger = f'<label for="larger-{number}"><input type="checkbox" id="larger-{number}"> Enlarge the picture</label>'
    shown = "".join(f'<div class="{name}">{svg}</div>' for name, svg in drawn.items())
    return f'<figure tabindex="0"><figcaption>{caption}{larger}</figcaption>{shown}</figure>'


def _own_ids(svg: str, mark: str) -> str:
    """An SVG whose ids are unique on a page with other pictures."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{mark}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{mark}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{mark}-\1)", svg)
    return re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)


def ledger_tree(name: str, ledger: Ledger) -> str:
    """A ledger as a foldable tree, each line with its share of the total."""
    lines = ledger.to_dict()
    whole = _sum(lines)
    return "".join(_branch(name, lines, whole, ledger.unit, 0))


def _branch(name: str, part: Any, whole: float, unit: str, level: int) -> Iterator[str]:
    value = _sum(part)
    share = f'<span class="share">{share_words(value / whole)}</span>' if level and whole and value >= 0 else ""
    words = f'{escape(name.replace("_", " "))} <span class="figure">{escape(amount(value, unit, 4))}</span>{share}'
    if not isinstance(part, Mapping) or not part or level >= DEEP:
        yield f"<li>{words}</li>" if level else f"<p>{words}</p>"
        return
    yield f"{'<li>' if level else ''}<details><summary>{words}</summary><ul class='leaves'>"
    for inner, deeper in part.items():
        yield from _branch(inner, deeper, whole, unit, level + 1)
    yield f"</ul></details>{'</li>' if level else ''}"


def _sum(part: Any) -> float:
    """Sum of the known lines of a part; an unknown line adds nothing, and its own row says so."""
    return float(np.nansum([_sum(each) for each in part.values()])) if isinstance(part, Mapping) else float(np.mean(part))


def what_if_panel(found: WhatIf) -> str:
    """Knobs and the resulting quantities; without the script, the page shows those of the unchanged run."""
    knobs = []
    for knob in found.to_dict()["knobs"]:
        name, now = knob["name"], knob["value"]
        most = min(2.0, float(np.log2(MOST[name] / now))) if name in MOST else 2.0
        value, end = f"{now * SHOWN_AS[name]:.5g}", f' max="{SHOWN_AS[name]:g}"' if name in MOST else ""
        label = escape(knob["label"])
        knobs.append(
            f'<div><label for="knob-{name}">{label}</label>'
            f'<input type="number" id="knob-{name}" min="0" step="any" value="{value}"{end}>'
            f'<input type="range" id="slide-{name}" min="-2" max="{most:.4f}" step="0.01" value="0" aria-label="{label}, slider"></div>'
        )
    shown = []
    for name in found.terms:
        label, unit = QUANTITIES[name]
        value = amount(found.value(name, {}), "" if unit == "GPU-h" else unit, 4)
        spread = f'<small id="spread-{name}"></small>' if found.draws else ""
        shown.append(f'<div><dt>{escape(label)}</dt><dd><span id="what-{name}">{escape(value)}</span>{spread}</dd></div>')
    data = json.dumps(found.to_dict(), allow_nan=False).replace("<", "\\u003c")
    doubt = " The interval keeps the relative uncertainty of each number." if found.draws else ""
    return (
        f"<p>Change a number; the others stay as they are.{doubt} MFU and tokens change every phase of known work by the same factor.</p>"
        f'<div class="panel"><div class="knobs">{"".join(knobs)}</div><button type="button" id="what-reset">Back to the run</button>'
        f'<dl aria-live="polite">{"".join(shown)}</dl></div>{_terms(found)}'
        f'<script type="application/json" id="what-if-data">{data}</script>'
    )


def _terms(found: WhatIf) -> str:
    """How each quantity is computed, as products."""
    lines = []
    for name, terms in found.terms.items():
        label, unit = QUANTITIES[name]
        for term in terms:
            powers = " ".join(f"× ({knob} / now)<sup>{power}</sup>" for knob, power in term.powers.items())
            lines.append(f"<li>{escape(label)}, {escape(term.name)}: {escape(amount(term.value, unit, 5))} {powers}</li>")
    return f"<details><summary>How the panel computes</summary><ul>{''.join(lines)}</ul></details>"
