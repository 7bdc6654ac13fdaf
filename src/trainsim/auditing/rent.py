"""What renting a run's accelerators is believed to cost, on a basis and in the run's months."""

from __future__ import annotations

import datetime as dt

from ..catalog.evidence import Evidence
from ..catalog.rents import rent_evidence
from ..catalog.rows import day_of
from ..claims.scope import Basis
from ..core.errors import CatalogError, EstimateError
from ..core.units import Unit
from ..cost.rental import Rental
from .run_view import RunView
from .words import LEVELS, Check, Prediction, Stated, against_prediction

_RENT = Unit("USD/GPU-h", "rent", gt=0)
_PATH = "price.usd_per_gpu_hour"


def rent_of(view: RunView, basis: Basis, day: dt.date) -> Evidence | None:
    """What an hour of the run's accelerators is believed to cost; None where too few quotes are public.

    Args:
        view: the run; a user's own belief wins.
        basis: market rent, cloud list or contract.
        day: of the newest quote to use; the price is for the run's months.
    """
    mine = view.mine(_PATH)
    cached = view.__dict__.setdefault("_rents", {})
    if (basis, day) not in cached:
        cached[basis, day] = _evidence(view, basis, day)
    found: Evidence | None = cached[basis, day]
    if mine is None:
        return found
    return Evidence(mine, mine, mine, {}, {}, "rent as the user believes")


KINDS: dict[Basis, dict[str, str]] = {
    "market rent": {},
    "cloud list": {"tier": "hyperscaler", "term": "on-demand"},
    "contract": {"term": "1-year"},
}
"""Basis → the tier and term of the quotes that speak of it; the market's own where neither is named."""


def _evidence(view: RunView, basis: Basis, day: dt.date) -> Evidence | None:
    if basis not in KINDS:
        return None
    try:
        return rent_evidence(view.run, day, region=region_of(view), day=rented_on(view), **KINDS[basis])
    except (CatalogError, EstimateError):
        return None


def region_of(view: RunView) -> str:
    """Where the run's accelerators are rented; empty where that is not known."""
    price = view.given.price
    stated = price.region if isinstance(price, Rental) else ""
    return stated or str("" if view.row is None else view.row.get("region", ""))


def rented_on(view: RunView) -> dt.date | None:
    """The day the run's price is stated for, else the day before the claim; None for a public run, whose months the catalogue knows."""
    if view.row is not None:
        return None
    price = view.given.price
    return day_of(price.date, "price.date") if isinstance(price, Rental) and price.date else view.clock.blind


def rent_check(view: RunView, day: dt.date) -> Check | None:
    """The reported rent beside quotes that were public by a day; None where the run reports none."""
    if view.rate is None or not isinstance(view.given.price, Rental):
        return None
    evidence = rent_of(view, "market rent", day)
    if evidence is None:
        return Check("rent", "CANNOT BE JUDGED", f"too few quotes for {view.run.cluster.chip.name} were public on {day}")
    laws = [belief.meets(_RENT, _PATH) for belief in (evidence.belief, evidence.narrow, evidence.wide)]
    at, narrow, wide = (100.0 * float(law.cdf(view.rate)) for law in laws)
    levels = tuple(float(laws[0].ppf(q)) for q in LEVELS)
    caveat = f"; {evidence.caveat}" if evidence.caveat else ""
    word = against_prediction(Stated(view.rate, view.rate), Prediction(levels, laws[0].cdf))  # type: ignore[arg-type]
    return Check("rent", word, f"${view.rate:.2f} an hour vs {evidence.how}{caveat}", at, narrow, wide)


__all__ = ["rent_check", "rent_of", "rented_on"]
