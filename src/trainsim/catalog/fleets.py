"""Fleets from their rows: an analyst's, as published, and a scenario of our own, bottom-up."""

from __future__ import annotations

from typing import Any

from ..core.errors import CatalogError
from ..cost.pricing import Ownership
from ..run.fleet import Fleet, Holding, told_holding
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.interval import ci90
from .evidence import interval
from .rows import Row, find


def fleet(name: str) -> Fleet:
    """A fleet of the catalogue at its middle values.

    Args:
        name: id of its row.

    Returns:
        the fleet.

    Raises:
        CatalogError: no such fleet; says which there are.

    >>> [h.name for h in fleet("semianalysis-deepseek").holdings]
    ['A100', 'H20', 'H800', 'H100']
    """
    row = find("fleets", name)
    if row.get("told"):
        return Fleet(name=name, holdings=_told(row), whose=row.cited, date=row.date.isoformat())
    shared = {path.removeprefix("ownership."): find("priors", prior) for path, prior in row["priors"].items()}
    middle = {path: float(prior["p50"]) for path, prior in shared.items()}
    holdings = []
    for kind, held in row["holdings"].items():
        bought = find("priors", held["capex"])
        owner = Ownership(
            usd_per_gpu=float(bought["p50"]),
            life_years=middle["life_years"],
            operating_share=middle["operating_share"],
            utilization=1.0,
        )
        cited = {"usd_per_gpu": bought.cited, "utilization": EVERY_HOUR} | {path: prior.cited for path, prior in shared.items()}
        made = Holding(name=kind, gpus=float(held["gpus"][1]), ownership=owner.with_sources(cited))
        holdings.append(made.with_sources({"gpus": row.cited}))
    return Fleet(name=name, holdings=holdings, whose=row.cited, date=row.date.isoformat())


EVERY_HOUR = "counted: a fleet is run every hour of the clock"
"""Source of the utilisation of a fleet, whose stock and flow no hour of use divides."""


def _told(row: Row) -> list[Holding]:
    """Lines of an analyst's table: purchase from one row, operation as a result from another."""
    lines = zip(row["names"], row["told"], row["prices"], strict=True)
    made = []
    for kind, told, bought in ((k, find("prices", t), find("prices", p)) for k, t, p in lines):
        held = told_holding(kind, float(told["gpus"]), float(bought["usd_per_gpu"]), float(told["operating_usd"]), float(told["years"]))
        cited = dict.fromkeys(("gpus", "ownership.life_years", "ownership.operating_share"), told.cited)
        made.append(held.with_sources({**cited, "ownership.usd_per_gpu": bought.cited, "ownership.utilization": EVERY_HOUR}))
    return made


def fleet_beliefs(name: str) -> Beliefs:
    """What is believed about a scenario fleet: counts and prices by kind; life and operating share are one draw for all kinds.

    Args:
        name: id of the fleet's row.

    Returns:
        beliefs by path of the fleet.

    Raises:
        CatalogError: the fleet is an analyst's, given without intervals.

    >>> "holdings.H100.gpus" in fleet_beliefs("deepseek-scenario").paths
    True
    """
    row = find("fleets", name)
    if not row.get("holdings"):
        raise CatalogError(
            row.address, None, "is told without intervals", "use the scenario of our own, or beliefs of yours", "too-few-data"
        )
    held: dict[Any, Any] = {}
    for kind, holding in row["holdings"].items():
        low, middle, high = (float(x) for x in holding["gpus"])
        if high > low:
            held[f"holdings.{kind}.gpus"] = ci90(low, middle, high)
        held[f"holdings.{kind}.ownership.usd_per_gpu"] = interval(find("priors", holding["capex"]))
    for path, prior in row["priors"].items():
        held[tuple(f"holdings.{kind}.{path}" for kind in row["holdings"])] = interval(find("priors", prior))
    return Beliefs(held)
