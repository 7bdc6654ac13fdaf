"""Fleets, built from catalogue rows: an analyst's table as published, or a bottom-up scenario."""

from __future__ import annotations

from typing import Any

from ..core.errors import CatalogError
from ..cost.ownership import Ownership
from ..run.fleet import Fleet, Holding, reported_holding
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.interval import ci90
from .evidence import interval
from .rows import Row, find


def fleet(name: str) -> Fleet:
    """A fleet of the catalogue at median values.

    Args:
        name: id of its row.

    Returns:
        the fleet.

    Raises:
        CatalogError: no such fleet; lists those there are.

    >>> [h.name for h in fleet("semianalysis-deepseek").holdings]
    ['A100', 'H20', 'H800', 'H100']
    """
    row = find("fleets", name)
    if row.get("reported"):
        return Fleet(name=name, holdings=_reported_holdings(row), whose=row.cited, date=row.date.isoformat())
    shared = {path.removeprefix("ownership."): find("priors", prior) for path, prior in row["priors"].items()}
    middle = {path: float(prior["p50"]) for path, prior in shared.items()}
    holdings = []
    for kind, holding in row["holdings"].items():
        bought = find("priors", holding["capex"])
        owner = Ownership(
            usd_per_gpu=float(bought["p50"]),
            life_years=middle["life_years"],
            operating_share=middle["operating_share"],
            utilization=1.0,
        )
        cited = {"usd_per_gpu": bought.cited, "utilization": EVERY_HOUR} | {path: prior.cited for path, prior in shared.items()}
        made = Holding(name=kind, gpus=float(holding["gpus"][1]), ownership=owner.with_sources(cited))
        holdings.append(made.with_sources({"gpus": row.cited}))
    return Fleet(name=name, holdings=holdings, whose=row.cited, date=row.date.isoformat())


EVERY_HOUR = "counted: a fleet is run every hour of the clock"
"""Source of the utilisation of 1 in a fleet: its costs are per hour of the clock, not per hour of use."""


def _reported_holdings(row: Row) -> list[Holding]:
    """Holdings of an analyst's table, whose purchase prices and operating costs are two rows."""
    lines = zip(row["names"], row["reported"], row["prices"], strict=True)
    made = []
    for kind, operated, bought in ((k, find("prices", r), find("prices", p)) for k, r, p in lines):
        gpus, operating, years = (float(operated[field]) for field in ("gpus", "operating_usd", "years"))
        holding = reported_holding(kind, gpus, float(bought["usd_per_gpu"]), operating, years)
        cited = dict.fromkeys(("gpus", "ownership.life_years", "ownership.operating_share"), operated.cited)
        made.append(holding.with_sources({**cited, "ownership.usd_per_gpu": bought.cited, "ownership.utilization": EVERY_HOUR}))
    return made


def fleet_beliefs(name: str) -> Beliefs:
    """Beliefs about a scenario fleet: counts and prices by kind of chip; service life and operating share are shared by all kinds.

    Args:
        name: id of the fleet's row.

    Returns:
        beliefs by path of the fleet.

    Raises:
        CatalogError: the fleet is an analyst's table, which has no intervals.

    >>> "holdings.H100.gpus" in fleet_beliefs("deepseek-scenario").paths
    True
    """
    row = find("fleets", name)
    if not row.get("holdings"):
        raise CatalogError(
            row.address, None, "is reported without intervals", "use a scenario fleet, or give your own beliefs", "too-few-data"
        )
    believed: dict[Any, Any] = {}
    for kind, holding in row["holdings"].items():
        low, middle, high = (float(x) for x in holding["gpus"])
        if high > low:
            believed[f"holdings.{kind}.gpus"] = ci90(low, middle, high)
        believed[f"holdings.{kind}.ownership.usd_per_gpu"] = interval(find("priors", holding["capex"]))
    for path, prior in row["priors"].items():
        believed[tuple(f"holdings.{kind}.{path}" for kind in row["holdings"])] = interval(find("priors", prior))
    return Beliefs(believed)
