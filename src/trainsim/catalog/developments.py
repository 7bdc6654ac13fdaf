"""Developments from their rows: a model's runs and what is believed about the rest of its cost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..cost.pricing import Price
from ..run.development import Data, Development, Line, People
from ..run.run import Run
from ..training.reliability import Goodput
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.interval import ci90
from .evidence import interval, prior_rows
from .published import row_of
from .rows import Row, find, rows
from .runs import run as published_run

GENERIC = {"failed": "failed-runs-fraction", "experiments": "experiments-multiplier-model"}
"""Prior rows that speak of any model line."""

PEOPLE = {"headcount", "usd_per_year", "years", "share"}
"""What has to be known of people before they can be priced."""
ONCE = dict.fromkeys(("times", "completed"), "counted: a run that was kept, once and to its end")


@dataclass(frozen=True)
class Programme:
    """A development with what is believed about it.

    Args:
        development: middle values.
        final: name of the line of the last run.
        beliefs: by path of the development.
        rows: path → the prior row behind its belief.

    >>> import trainsim as ts
    >>> made = ts.catalog.programme(ts.catalog.run("deepseek-v3"), price=ts.Rental(usd_per_gpu_hour=2.0))
    >>> made.final, "experiments" in made.beliefs.paths
    ('deepseek-v3', True)
    """

    development: Development
    final: str
    beliefs: Beliefs
    rows: Mapping[str, Row]


def programme(run: Run, price: Price, as_of: dt.date | None = None) -> Programme:
    """The development a run belongs to, with every hour at one price.

    A run of the catalogue brings its sibling runs and the rows that price data and people; any other run has what prior rows say
    of every model line: failed attempts and experiments.

    Args:
        run: the last run, with its own reliability.
        price: of an accelerator-hour; beliefs about it are the caller's.
        as_of: use only rows public by this day; all that is known where None.

    Returns:
        the development at middle values, with the beliefs about it and the rows behind them.

    >>> import trainsim as ts
    >>> made = programme(ts.catalog.run("deepseek-v3"), price=ts.Rental(usd_per_gpu_hour=2.0))
    >>> [line.name for line in made.development.lines]
    ['deepseek-v3', 'deepseek-r1-all']
    """
    published = row_of(run)
    final = None if published is None else published.id
    public = [r for r in rows("developments").values() if as_of is None or r.date <= as_of]
    row = next((r for r in public if r["final"] == final), None)
    siblings = [name for name in (row["siblings"] if row is not None else ()) if as_of is None or find("runs", name).date <= as_of]
    known = {name: r for name, r in rows("priors").items() if as_of is None or r.date <= as_of}
    wanted = row["priors"] if row is not None else GENERIC
    behind = _whole({path: known[name] for path, name in wanted.items() if name in known})
    middle = {path: float(r["p50"]) for path, r in behind.items()}
    lines = [
        Line(name=as_line(r.name), run=r.replace({"price": None})).with_sources(ONCE)
        for r in (run, *(published_run(name, gpus=run.cluster.gpus) for name in siblings))
    ]
    development = Development(
        name=run.name,
        lines=lines,
        price=price,
        failed=middle.get("failed", 0.0),
        experiments=middle.get("experiments"),
        data=Data(acquisition_usd=middle["data.acquisition_usd"]) if "data.acquisition_usd" in middle else None,
        people=_people(middle),
    )
    held: dict[Any, Any] = {path: _belief(r) for path, r in behind.items()}
    goodput = tuple(f"lines.{line.name}.run.reliability.goodput" for line in lines if isinstance(line.run.reliability, Goodput))
    if goodput and (prior := next(prior_rows("reliability.goodput", run, as_of), None)) is not None:
        held[goodput] = interval(prior)
        behind |= dict.fromkeys(goodput, prior)
    told = development.with_sources({path: r.cited for path, r in behind.items() if path not in goodput} | _overhead(middle))
    return Programme(told, as_line(run.name), Beliefs(held), behind)


def as_line(name: str) -> str:
    """A run's name as the name of a line, which may hold no dot: paths are cut there.

    >>> as_line("llama3.1-405b")
    'llama3_1-405b'
    """
    return name.replace(".", "_") or "run"


def _overhead(middle: Mapping[str, float]) -> dict[str, str]:
    return {"people.overhead": "counted: loaded pay holds the employer's share"} if "people.usd_per_year" in middle else {}


def _whole(behind: Mapping[str, Row]) -> dict[str, Row]:
    """The rows without those on people, where not every number of theirs has one."""
    people = {path for path in behind if path.startswith("people.")}
    return {path: row for path, row in behind.items() if path not in people or {p.removeprefix("people.") for p in people} == PEOPLE}


def _people(middle: Mapping[str, float]) -> People | None:
    """People, where rows speak of them; loaded pay holds the employer's share."""
    given = {path.removeprefix("people."): value for path, value in middle.items() if path.startswith("people.")}
    return People(**given, overhead=1.0) if given else None


def _belief(row: Row) -> Any:
    """A prior row's belief; one that starts at zero is given by its median and its upper end."""
    return interval(row) if row["p5"] > 0 else ci90(p50=row["p50"], p95=row["p95"])
