"""Developments from their rows: a model's runs and what is believed about the rest of its cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..cost.pricing import Price
from ..development import Data, Development, Line, People
from ..run import Run
from ..training.reliability import Goodput
from ..uncertainty import Beliefs, ci90
from .evidence import interval, prior_rows
from .rows import Row, find, rows
from .runs import run as published_run

GENERIC = {"failed": "failed-runs-fraction", "experiments": "experiments-multiplier-model"}
"""Prior rows that speak of any model line."""

ONCE = dict.fromkeys(("times", "completed"), "counted: a run that was kept, once and to its end")


@dataclass(frozen=True)
class Programme:
    """A development with what is believed about it.

    Args:
        development: middle values; final: the line of the last run.
        beliefs: by path of the development.
        rows: path → the prior row behind its belief.
    """

    development: Development
    final: str
    beliefs: Beliefs
    rows: Mapping[str, Row]


def programme(run: Run, price: Price) -> Programme:
    """The development a run belongs to, every hour at one price.

    A run of the catalogue brings its sibling runs and the rows that price data and people; any other run has what prior rows say
    of every model line: failed attempts and experiments.

    Args:
        run: the last run, with its own reliability.
        price: of an accelerator-hour; beliefs about it are the caller's.
    """
    known = rows("developments")
    row = next((r for r in known.values() if r["final"] == run.name), None)
    siblings = [published_run(name, gpus=run.cluster.gpus) for name in row["siblings"]] if row is not None else []
    behind = {path: find("priors", name) for path, name in (row["priors"] if row is not None else GENERIC).items()}
    middle = {path: float(r["p50"]) for path, r in behind.items()}
    lines = [Line(name=as_line(r.name), run=r.replace({"price": None})).with_sources(ONCE) for r in (run, *siblings)]
    development = Development(
        name=run.name,
        lines=lines,
        price=price,
        failed=middle["failed"],
        experiments=middle["experiments"],
        data=Data(acquisition_usd=middle["data.acquisition_usd"]) if "data.acquisition_usd" in middle else None,
        people=_people(middle),
    )
    held: dict[Any, Any] = {path: _belief(r) for path, r in behind.items()}
    goodput = tuple(f"lines.{line.name}.run.reliability.goodput" for line in lines if isinstance(line.run.reliability, Goodput))
    if goodput and (prior := next(prior_rows("reliability.goodput", run, None), None)) is not None:
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


def _people(middle: Mapping[str, float]) -> People | None:
    """People, where every number of theirs has a row; loaded pay holds the employer's share."""
    given = {path.removeprefix("people."): value for path, value in middle.items() if path.startswith("people.")}
    if set(given) != {"headcount", "usd_per_year", "years", "share"}:
        return None
    return People(
        headcount=given["headcount"], usd_per_year=given["usd_per_year"], years=given["years"], share=given["share"], overhead=1.0
    )


def _belief(row: Row) -> Any:
    """A prior row's belief; one that starts at zero is told by its median and its upper end."""
    return interval(row) if row["p5"] > 0 else ci90(p50=row["p50"], p95=row["p95"])
