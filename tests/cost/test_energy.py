from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainsim.core.batch import Batch
from trainsim.core.errors import SpecError
from trainsim.cost.energy import Embodied, Grid, emissions, energy, energy_cost, model_card_emissions
from trainsim.cost.ownership import Site
from trainsim.testing import refused

FRANCE = Grid(kg_per_kwh=0.057, region="France", date="2022", source="Luccioni et al. 2022")
BLOOM_HOURS = 1_082_990.0
BLOOM_KWH = 433_196.0


def bloom_site() -> Site:
    """BLOOM: 433,196 kWh of dynamic power over its hours; Jean Zay's PUE of 1.2 is not in that figure."""
    return Site(watts=BLOOM_KWH / BLOOM_HOURS * 1e3, idle_watts=0, pue=1, usd_per_kwh=0.1)


def test_bloom_dynamic_and_embodied_emissions_are_the_published_ones() -> None:
    """arXiv:2211.02001: 24.69 t dynamic; 11.2 t embodied = 7.57 t of servers + 3.64 t of GPUs."""
    servers_and_gpus = Embodied(kg_per_gpu=2500 / 8 + 150, life_years=6, utilization=0.85, source="Luccioni et al. 2022")
    made = emissions(energy(BLOOM_HOURS, bloom_site()), FRANCE, servers_and_gpus, BLOOM_HOURS)
    assert float(made.part("operational").total) / 1e3 == pytest.approx(24.69, abs=0.01)
    assert float(made.part("embodied").total) / 1e3 == pytest.approx(11.2, abs=0.1)


def test_energy_of_the_v3_run_lies_in_the_recorded_range() -> None:
    """Cost facts: 3.2 to 4.9 GWh for 2.788M hours; 1,640 to 2,990 t at China's grid."""
    site = Site(watts=1030, idle_watts=300, pue=1.27, usd_per_kwh=0.078)
    used = energy(2.788e6, site)
    assert 3.2e6 < float(used.total) < 4.9e6
    assert 0.195e6 < float(energy_cost(used, site).total) < 0.44e6
    assert 1.64e6 < float(emissions(used, Grid(kg_per_kwh=0.56)).total) < 2.99e6


def test_parts_are_machines_and_facility_in_use_and_idle() -> None:
    site = Site(watts=1000, idle_watts=200, pue=1.5, usd_per_kwh=0.1)
    used = energy(100.0, site, idle_gpu_hours=50.0)
    assert {path: float(v) for path, v in used.lines()} == pytest.approx(
        {"in use.machines": 100, "in use.facility": 50, "idle.machines": 10, "idle.facility": 5}
    )


def test_without_embodied_figures_the_ledger_has_no_such_part() -> None:
    assert "embodied" not in emissions(energy(1.0, bloom_site()), FRANCE)


def test_the_card_is_yaml_the_hub_reads_and_says_what_is_in_it() -> None:
    embodied = Embodied(kg_per_gpu=462.5, life_years=6, utilization=0.85)
    card = model_card_emissions(
        emissions(energy(BLOOM_HOURS, bloom_site()), FRANCE, embodied, BLOOM_HOURS),
        FRANCE,
        hardware='384 "A100"',
        gpu_hours=BLOOM_HOURS,
        provider="IDRIS",
    )
    metadata = dict(line.strip().split(": ", 1) for line in card.split("---")[1].strip().splitlines()[1:])
    assert int(metadata["emissions"]) == pytest.approx(24.69e6, rel=1e-3)
    assert metadata["hardware_used"] == '"384 \\"A100\\""'
    assert "24.7 t CO2e from electricity; 11.2 t CO2e embodied in the machines" in card
    assert "0.057 kg CO2e per kWh" in card


def test_arrays_equal_scalars() -> None:
    hours, pues = np.array([1e6, 2e6]), np.array([1.1, 1.5])
    base = Site(watts=1000, idle_watts=200, pue=1, usd_per_kwh=0.1)
    drawn = energy(hours, Batch(base, {"pue": pues}).spec).total
    one_by_one = [energy(h, base.replace({"pue": p})).total for h, p in zip(hours, pues, strict=True)]
    np.testing.assert_allclose(np.asarray(drawn), np.asarray(one_by_one), rtol=1e-12)


@pytest.mark.parametrize(("field", "value"), [("life_years", 0), ("utilization", 0), ("kg_per_gpu", -1)])
def test_bad_input(field: str, value: float) -> None:
    fields: dict[str, Any] = {"kg_per_gpu": 150.0, "life_years": 6.0, "utilization": 0.85}
    with refused(SpecError, "out-of-bounds"):
        Embodied(**fields | {field: value})
