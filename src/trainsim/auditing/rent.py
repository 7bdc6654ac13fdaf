"""Rent of a run's accelerators, on a price basis and in the run's months."""

from __future__ import annotations

import datetime as dt

from ..catalog.evidence import Evidence
from ..catalog.rents import rent_evidence
from ..catalog.rows import day_of
from ..claims.scope import Basis
from ..core.errors import CatalogError, EstimateError
from ..core.units import Unit
from ..cost.rental import Rental
from .comparison import LEVELS, Check, Prediction, Stated, compare_with_prediction
from .run_view import RunView

_RENT = Unit("USD/GPU-h", "rent", gt=0)
_PATH = "price.usd_per_gpu_hour"


def rent_of(view: RunView, basis: Basis, day: dt.date) -> Evidence | None:
    """Prior on the rent of the run's accelerators; None if too few quotes are public.

    Args:
        view: the run; a user's own belief takes precedence.
        basis: market rent, cloud list or contract.
        day: the last day whose quotes may be used; the price is for the run's months.
    """
    mine = view.mine(_PATH)
    cached = view.__dict__.setdefault("_rents", {})
    if (basis, day) not in cached:
        cached[basis, day] = _evidence(view, basis, day)
    found: Evidence | None = cached[basis, day]
    if mine is None:
        return found
    return Evidence(mine, mine, mine, {}, {}, "rent by the user's beliefs")


KINDS: dict[Basis, dict[str, str]] = {
    "market rent": {},
    "cloud list": {"tier": "hyperscaler", "term": "on-demand"},
    "contract": {"term": "1-year"},
}
"""Price basis → tier and term of its quotes."""


def _evidence(view: RunView, basis: Basis, day: dt.date) -> Evidence | None:
    if basis not in KINDS:
        return None
    try:
        return rent_evidence(view.run, day, region=region_of(view), day=rented_on(view), **KINDS[basis])
    except (CatalogError, EstimateError):
        return None


def region_of(view: RunView) -> str:
    """Region of the run's accelerators; empty if unknown."""
    price = view.given.price
    stated = price.region if isinstance(price, Rental) else ""
    return stated or str("" if view.row is None else view.row.get("region", ""))


def rented_on(view: RunView) -> dt.date | None:
    """Day at which the run is priced: the day of its price, else the day before the claim; None for a published run, whose months are in
    the catalogue.
    """
    if view.row is not None:
        return None
    price = view.given.price
    return day_of(price.date, "price.date") if isinstance(price, Rental) and price.date else view.clock.blind


def rent_check(view: RunView, day: dt.date) -> Check | None:
    """Compare the reported rent with quotes that were public by a day; None if the run reports none."""
    if view.rate is None or not isinstance(view.given.price, Rental):
        return None
    evidence = rent_of(view, "market rent", day)
    if evidence is None:
        return Check("rent", "CANNOT BE JUDGED", f"too few quotes for {view.run.cluster.chip.name} were public on {day}")
    laws = [belief.for_field(_RENT, _PATH) for belief in (evidence.belief, evidence.narrow, evidence.wide)]
    at, narrow, wide = (100.0 * float(law.cdf(view.rate)) for law in laws)
    levels = tuple(float(laws[0].ppf(q)) for q in LEVELS)
    caveat = f"; {evidence.caveat}" if evidence.caveat else ""
    word = compare_with_prediction(Stated(view.rate, view.rate), Prediction(levels, laws[0].cdf))  # type: ignore[arg-type]
    return Check("rent", word, f"${view.rate:.2f} an hour vs {evidence.how}{caveat}", at, narrow, wide)


__all__ = ["rent_check", "rent_of", "rented_on"]
