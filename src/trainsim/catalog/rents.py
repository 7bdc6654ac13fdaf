"""A prior on rent from dated quotes of the day it is for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
from scipy import special

from ..core.errors import CatalogError
from ..cost.pricing import Rental
from ..run.run import Run
from ..uncertainty.distributions.distribution import Belief
from ..uncertainty.distributions.interval import ci90
from .evidence import GENERATIONS, TAILS, Evidence, why_hidden
from .rows import Row, day_of, rows


def rent_evidence(run: Run, as_of: dt.date | None = None, region: str = "", months: int = 12, *, day: dt.date | None = None) -> Evidence:
    """What an hour of such a chip was offered at on a day: a log-normal prediction from dated quotes.

    The centre is the mean log of the quotes for the chip itself anywhere and for its silicon generation in the region, within
    ``months`` before the day; the spread is that of all the generation's quotes around their regions' means (Student-t), pooled with
    :func:`usual_spread` as if that were one quote more: ``s² = (f s² + s₀²) / (f + 1)``. Prices a lab imputed to its own machines
    don't count, nor do list prices of hyperscalers and ranges over several kinds of offer where others quote the chip: they are of
    another kind. The wide reading takes all regions and those alike; the narrow one ignores that the centre rests on few quotes.

    Args:
        run: whose chips are rented.
        as_of: quotes that became public later are hidden.
        region: where.
        months: how far from the day the search begins.
        day: what the price is for; ``as_of`` where None, then the day the run's own price is stated for, then the latest quote's.

    Raises:
        CatalogError: fewer than three quotes, none for the chip or its generation in the region, or no two that differ anywhere.
    """
    generation = GENERATIONS.get(run.cluster.chip.name)
    family = {c for c, g in GENERATIONS.items() if g == generation and "200" not in c} | {run.cluster.chip.name}
    quotes = [r for r in rows("prices").values() if r.get("kind") == "rent" and r.get("chip") in family]
    day = day or as_of or _day_of(run) or max((r.date for r in quotes), default=dt.date.max)
    hidden = {r.address: why for r in quotes if (why := _no_quote(r, run, as_of))}
    found = _near(quotes, hidden, run, day, region, months)
    if found is None:
        rule = f"quotes for {run.cluster.chip.name} within {8 * months} months of {day}: too few to build a belief on"
        raise CatalogError("catalog.prices", 0, rule, "give price its own belief, or a later as_of")
    kept, near, within, when, aside = found
    logs = {r.address: float(np.log(_middle(r))) for r in kept}
    by_region: dict[str, list[float]] = {}
    for row in kept:
        by_region.setdefault(str(row.get("region")), []).append(logs[row.address])
    usual = usual_spread(run, as_of)
    if usual == 0.0:
        rule = "no two quotes of one kind and year differ anywhere: no spread can be told"
        raise CatalogError("catalog.prices", len(kept), rule, "give price its own belief, or a later as_of")
    spread, freedom = _around_means(by_region.values(), usual)
    centre = float(np.mean([logs[r.address] for r in near]))
    everywhere = np.array([np.log(_middle(r)) for r in quotes if r.address not in hidden and within(r)])
    apart, _ = _around_means([list(everywhere)], usual)
    wide = _log_student(float(everywhere.mean()), apart * np.sqrt(1 + 1 / len(everywhere)), len(everywhere) - 1)
    quoted = f"{len(near)} quote{'' if len(near) == 1 else 's'}{f' in {_place(region)}' if region else ''}"
    how = f"{quoted} ({len(kept)} for the spread), {when} {day}"
    used = {r.address: _middle(r) for r in near}
    return Evidence(
        _log_student(centre, spread * np.sqrt(1 + 1 / len(near)), freedom), _log_student(centre, spread, freedom), wide, used, aside, how
    )


def usual_spread(run: Run, as_of: dt.date | None = None) -> float:
    """Deviation of log rents of one chip, region, tier, term and year around their mean, pooled over all that may be seen [1].

    Quotes that happen to agree don't make a price certain: one more offer differs from them as offers of one kind and year do.

    Args:
        run: what derives from it is hidden.
        as_of: quotes that became public later are hidden.

    >>> from trainsim.catalog import run
    >>> 0.1 < usual_spread(run("deepseek-v3")) < 0.4
    True
    """
    kinds: dict[tuple[str, ...], list[float]] = {}
    for row in rows("prices").values():
        if row.get("kind") == "rent" and row.get("tier") != "mixed" and not _no_quote(row, run, as_of):
            kind = (row["chip"], str(row.get("region")), str(row.get("tier")), row["term"], str(row.date.year))
            kinds.setdefault(kind, []).append(float(np.log(_middle(row))))
    return _around_means(kinds.values())[0]


def _around_means(groups: Iterable[list[float]], usual: float = 0.0) -> tuple[float, int]:
    """Pooled deviation of the members of groups around their groups' means, and its degrees of freedom (one at least).

    Source: a scaled inverse chi-square prior of one degree of freedom on the variance, where a usual deviation is given (Gelman et al.,
    Bayesian Data Analysis, 3rd ed., section 2.6).
    """
    listed = list(groups)
    freedom = max(1, sum(len(g) for g in listed) - len(listed))
    squares = sum(float(np.sum((np.array(g) - np.mean(g)) ** 2)) for g in listed)
    return float(np.sqrt((squares + usual**2) / (freedom + (usual > 0.0)))), freedom


OTHER_KINDS = {
    "hyperscaler": "a hyperscaler's list price, where others quote the chip",
    "mixed": "a range over several kinds of offer, where others quote the chip",
}
"""Tier of a quote → why it does not count beside those of specialists and markets."""


def _near(
    quotes: list[Row], hidden: Mapping[str, str], run: Run, day: dt.date, region: str, months: int
) -> tuple[list[Row], list[Row], Callable[[Row], bool], str, dict[str, str]] | None:
    """Quotes for the spread, those for the centre, which are of the day, that in words, and why the others don't count; None where too few.

    An old chip is quoted seldom: the search goes further back until three are found, then to both sides of the day, and to other
    kinds of price last.
    """
    for kinds in ({r.address: OTHER_KINDS[r["tier"]] for r in quotes if r.get("tier") in OTHER_KINDS}, {}):
        for side, after in (("before", 0), ("around", 1)):
            for span in (months, 2 * months, 4 * months, 8 * months):
                within = partial(_within_months, day=day, before=span, after=after * span)
                away = {r.address: f"not within {span} months {side} {day}" for r in quotes if not within(r)}
                aside = {**kinds, **away, **hidden}
                kept = [r for r in quotes if r.address not in aside]
                near = [r for r in kept if not region or r.get("region") == region or r.get("chip") == run.cluster.chip.name]
                if len(kept) >= 3 and near:
                    return kept, near, within, f"{span} months {side}", aside
    return None


def _place(region: str) -> str:
    """A region in a sentence: China, the US."""
    return f"the {region.upper()}" if len(region) == 2 else region.title()


def _no_quote(row: Row, run: Run, as_of: dt.date | None) -> str:
    """Why a rent row is no quote for this run, on whatever day."""
    if why := why_hidden(row, run, as_of):
        return why
    return "imputed by a lab to its own machines" if row.get("term") == "imputed" else ""


def _within_months(row: Row, day: dt.date, before: int, after: int) -> bool:
    return -after * 30.5 <= (day - row.date).days <= before * 30.5


def _day_of(run: Run) -> dt.date | None:
    """The day the run's own rent is stated for."""
    stated = run.price.date if isinstance(run.price, Rental) else ""
    return day_of(stated, "price.date") if stated else None


def _middle(row: Row) -> float:
    return float(row["usd_per_gpu_hour"]) if row.get("usd_per_gpu_hour") else float(np.sqrt(row["low"] * row["high"]))


def _log_student(centre: float, scale: float, freedom: int) -> Belief:
    """A Student-t prediction in logs, by its quantiles."""
    low, mid, high = np.exp(centre + scale * special.stdtrit(freedom, TAILS))
    return ci90(float(low), float(mid), float(high))
