"""Developments, built from catalogue rows: all runs of one model, and priors on its other costs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..cost.price import Price
from ..run.development import Data, Development, Line, People
from ..run.run import Run
from ..training.reliability import Goodput
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.interval import ci90
from .evidence import interval, prior_rows
from .matching import row_of
from .rows import Row, find, rows
from .runs import run as published_run

GENERIC = {"failed": "failed-runs-fraction", "experiments": "experiments-multiplier-model"}
"""Part of a development → row of ``priors`` that applies to any model."""

PEOPLE = {"headcount", "usd_per_year", "years", "share"}
"""Numbers that are needed to price people."""
ONCE = dict.fromkeys(("times", "completed"), "counted: one completed run")


@dataclass(frozen=True)
class Programme:
    """A development with beliefs about its numbers.

    Args:
        development: the development at median values.
        final: name of the final run's line.
        beliefs: beliefs by path of the development.
        rows: path → the prior row of its belief.

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
    """The development that a run belongs to, with all hours at one price.

    For a run of the catalogue, the development includes its sibling runs and the priors on data and people. For any other run, it includes
    only the generic priors on failed runs and experiments.

    Args:
        run: the final run, with its own reliability.
        price: price of an accelerator-hour; beliefs about it are added by the caller.
        as_of: use only rows public by this day; all rows if None.

    Returns:
        the development at median values, with beliefs about its numbers and the rows they come from.

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
    priors = _without_partial_people({path: known[name] for path, name in wanted.items() if name in known})
    middle = {path: float(r["p50"]) for path, r in priors.items()}
    lines = [
        Line(name=line_name(r.name), run=r.replace({"price": None})).with_sources(ONCE)
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
    believed: dict[Any, Any] = {path: _belief(r) for path, r in priors.items()}
    goodput = tuple(f"lines.{line.name}.run.reliability.goodput" for line in lines if isinstance(line.run.reliability, Goodput))
    if goodput and (prior := next(prior_rows("reliability.goodput", run, as_of), None)) is not None:
        believed[goodput] = interval(prior)
        priors |= dict.fromkeys(goodput, prior)
    sourced = development.with_sources({path: r.cited for path, r in priors.items() if path not in goodput} | _overhead(middle))
    return Programme(sourced, line_name(run.name), Beliefs(believed), priors)


def line_name(name: str) -> str:
    """Name of a run's line: the run's name without dots, which separate the parts of a path.

    >>> line_name("llama3.1-405b")
    'llama3_1-405b'
    """
    return name.replace(".", "_") or "run"


def _overhead(middle: Mapping[str, float]) -> dict[str, str]:
    return {"people.overhead": "counted: loaded pay includes the employer's share"} if "people.usd_per_year" in middle else {}


def _without_partial_people(priors: Mapping[str, Row]) -> dict[str, Row]:
    """The prior rows. Those on people are left out unless all numbers of ``PEOPLE`` have a row."""
    people = {path for path in priors if path.startswith("people.")}
    return {path: row for path, row in priors.items() if path not in people or {p.removeprefix("people.") for p in people} == PEOPLE}


def _people(middle: Mapping[str, float]) -> People | None:
    """People, if there are priors on them. The overhead is 1, since loaded pay includes the employer's share."""
    given = {path.removeprefix("people."): value for path, value in middle.items() if path.startswith("people.")}
    return People(**given, overhead=1.0) if given else None


def _belief(row: Row) -> Any:
    """Belief of a prior row, given by its P50 and P95 if its P5 is zero."""
    return interval(row) if row["p5"] > 0 else ci90(p50=row["p50"], p95=row["p95"])
