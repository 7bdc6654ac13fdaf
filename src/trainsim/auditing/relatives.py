"""Catalogue figures about a subject, and about its relatives: siblings of one programme, and runs of one family."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..catalog.rows import Row, rows
from ..claims.claim import Bound, Claim
from ..claims.scope import FINAL_RUN, expand_contents
from ..core.tables import mentioning
from .disclosure import Disclosure, point
from .run_view import PUBLIC, grade_of

FIELDS = {"cost": "usd_reported", "gpu_hours": "gpu_hours", "busy_gpu_hours": "gpu_hours", "tokens": "tokens", "gpus": "gpus"}
"""Quantity → the field of a run's row that discloses it."""


def disclosed_of(subject: str, quantity: str, day: dt.date, versus: str = "") -> tuple[Disclosure, ...]:
    """Disclosures about a subject (and the subject it is compared with) that were public by a day, including shares of a run's row.

    >>> [d.bound for d in disclosed_of("gpt-4", "cost", dt.date(2024, 1, 1))]
    ['at least']
    """
    named = [row for row in rows("disclosures").values() if row.earliest <= day and row.grade in PUBLIC]
    found = [_of_row(r) for r in named if (r["subject"], r["quantity"], r.get("versus", "")) == (subject, quantity, versus)]
    run = rows("runs").get(subject)
    if run is not None and run.earliest <= day and versus:
        found += [_of_share(run, share) for share in run.get("shares", ()) if (share["quantity"], share["versus"]) == (quantity, versus)]
    return tuple(found)


def _of_share(row: Row, share: Mapping[str, Any]) -> Disclosure:
    """A disclosed share of another run's quantity, as the ratio of the other run's quantity to this run's."""
    bound: Bound = "at least" if "at_most" in share else ""
    part = float(share.get("at_most") or share["value"])
    label = f"{'under' if bound else 'about'} {part:.3g} of it, by its maker"
    return Disclosure(1.0 / part, 1.0 / part, label, row.cited, bound, row.earliest, frozenset(FINAL_RUN))


def estimates_of(subject: str, quantity: str, day: dt.date) -> Iterator[Row]:
    """Outsiders' estimates of a subject; they are shown but never count as disclosures."""
    for row in rows("disclosures").values():
        if (row["subject"], row["quantity"]) == (subject, quantity) and row.earliest <= day and row.grade not in PUBLIC:
            yield row


def _of_row(row: Row) -> Disclosure:
    unit = row.get("unit", "")
    low, high = (
        Claim(row["quantity"], row[k], unit=unit).in_base() for k in (("low", "high") if row.get("low") is not None else ("value",) * 2)
    )
    contents = frozenset(expand_contents(row.get("contents", ())))
    return Disclosure(low, high, str(row.get("label", row["subject"])), row.cited, row.get("bound", ""), row.earliest, contents)


def relatives_of(subject: str, quantity: str, day: dt.date) -> tuple[Disclosure, ...]:
    """Figures that a claim may have been taken from: those of each relative, and their sum.

    Relatives are the other runs of one programme, of one family, rows that sum the subject with other runs, and subjects that a disclosure
    names as kin.
    """
    found: list[Disclosure] = []
    for names, together in _groups(subject, day):
        others = [d for name in names if name != subject for d in _own(name, quantity, day)]
        found += others
        parts = [next(iter(_own(name, quantity, day)), None) for name in names]
        if len(names) > 1 and quantity in ("cost", "gpu_hours", "busy_gpu_hours") and all(p is not None for p in parts):
            total = sum(p.value for p in parts if p is not None)
            found.append(point(total, together, day=max(p.day for p in parts if p is not None and p.day is not None)))
    for row in mentioning(rows("runs"), f'"runs/{subject}"'):
        if f"runs/{subject}" in row.derived_from and "sum_of" in row.fields:
            found += [replace(whole, label=str(row["sum_of"])) for whole in _own(row.id, quantity, day)]
    for row in rows("disclosures").values():
        if subject in row.get("kin", ()) and row["quantity"] == quantity and row.date <= day and row.grade in PUBLIC:
            found.append(_of_row(row))
    return tuple(found)


def _groups(subject: str, day: dt.date) -> Iterator[tuple[tuple[str, ...], str]]:
    """Groups of runs that include the subject, with a description of each group."""
    known = rows("runs")
    for row in rows("developments").values():
        names = (row["final"], *row["siblings"])
        if subject == row["final"] and row.date <= day and all(known[n].date <= day for n in names):
            yield names, f"{' and '.join(title(n) for n in names)} together"
    family = known[subject].get("family") if subject in known else None
    if family:
        names = tuple(n for n, r in known.items() if r.get("family") == family and r.date <= day)
        yield names, f"{' and '.join(title(n) for n in names)} together"


def title(name: str) -> str:
    """Published name of a run or model, shortened as long as it stays unique.

    >>> title("deepseek-r1-all"), title("deepseek-v3")
    ('DeepSeek-R1', 'DeepSeek-V3')
    """
    row = rows("runs").get(name)
    if row is not None and row.get("title"):
        return str(row["title"])
    known = rows("models")
    model = known.get(str(name if row is None else row.get("model", name)))
    if model is None or (row is not None and name != model.id):
        return name
    full = str(model.get("name", name))
    short = full.rpartition(" ")[0]
    kin = [other for other in mentioning(known, f'"{short} ') if str(other.get("name")).startswith(f"{short} ")]
    return short if short and len(kin) == 1 else full


def of_run_row(name: str, quantity: str, day: dt.date) -> tuple[Disclosure, ...]:
    """Disclosures of a quantity in a run's row, without building the run."""
    row = rows("runs").get(name)
    ceiling = None if row is None or quantity != "cost" else row.get("usd_at_most")
    if row is not None and ceiling is not None and row.earliest <= day and row.grade in PUBLIC:
        return (Disclosure(float(ceiling), float(ceiling), title(name), row.cited, "at most", row.earliest),)
    return _own(name, quantity, day) if row is not None else ()


def _own(name: str, quantity: str, day: dt.date) -> tuple[Disclosure, ...]:
    """The figure that the row itself gives."""
    field = FIELDS.get(quantity, "")
    row = rows("runs")[name]
    value = row.get(field)
    if value is None and field == "gpu_hours":
        phases = [p.get("gpu_hours") for p in row.get("phases", ())]
        value = sum(phases) if phases and all(v is not None for v in phases) else None
    if value is None or row.earliest > day or grade_of(row, field) not in PUBLIC:
        return ()
    count = "machines" if quantity == "gpus" else ""
    return (point(float(value), f"{title(name)} alone", row.cited, day=row.earliest, count=count),)
