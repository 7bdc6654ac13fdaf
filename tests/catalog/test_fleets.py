"""The analyst's fleet adds up to its published sums; the library's scenario has intervals."""

from __future__ import annotations

import trainsim as ts
from trainsim.auditing.fleet_measures import fleet_scenario
from trainsim.core.errors import CatalogError
from trainsim.run.fleet import estimate_fleet
from trainsim.testing import refused


def test_the_published_sums() -> None:
    est = estimate_fleet(ts.catalog.fleet("semianalysis-deepseek"))
    assert round(float(est.capital.total) / 1e6) == 1629
    assert round(float(est.operation.total) * 4 / 1e6) == 944
    assert round(float(est.over_life.total) / 1e6) == 2573
    assert {k: round(float(v.total), 2) for k, v in est.clock_hours.items()} == {"A100": 1.12, "H20": 1.06, "H800": 1.39, "H100": 1.65}


def test_the_first_published_total_is_ambiguous() -> None:
    capital = estimate_fleet(ts.catalog.fleet("semianalysis-deepseek")).capital
    assert len(capital.subsets(1.3e9, rounding=0.05e9)) == 2


def test_the_scenario_has_intervals_and_the_analysts_table_has_none() -> None:
    sim = fleet_scenario("deepseek-scenario")
    low, high = sim.quantile("fleet.capex", (0.05, 0.95))
    assert 1.5 < high / low < 5
    with refused(CatalogError, "too-few-data", "fleets/semianalysis-deepseek"):
        ts.catalog.fleet_beliefs("semianalysis-deepseek")


def test_life_and_operation_are_one_draw_for_all_kinds() -> None:
    keys = [key for key in ts.catalog.fleet_beliefs("deepseek-scenario") if len(key) > 1]
    assert {len(key) for key in keys} == {4}
