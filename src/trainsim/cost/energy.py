"""Energy and emissions of accelerator-hours, and the emissions section of a model card."""

from __future__ import annotations

import json
from typing import Annotated

import numpy as np

from ..core.ledger import Ledger
from ..core.spec import Spec
from ..core.units import HOURS_PER_YEAR, Num, Unit, human
from .ownership import WATTS_PER_KILOWATT, Site

GRAMS_PER_KILOGRAM = 1000.0


class Grid(Spec):
    """Carbon intensity of electricity at the place and time of a run.

    Args:
        kg_per_kwh: greenhouse gases per kilowatt-hour [kgCO2e/kWh].
        region, date, source: region, date and source of that figure; may be empty.

    >>> Grid(kg_per_kwh=0.057, region="France", date="2022").kg_per_kwh
    0.057
    """

    kg_per_kwh: Annotated[Num, Unit("kgCO2e/kWh", "greenhouse gases of electricity", ge=0)]
    region: str = ""
    date: str = ""
    source: str = ""


class Embodied(Spec):
    """Embodied emissions of the machines, spread over their hours of use.

    Args:
        kg_per_gpu: greenhouse gases of making one accelerator and its share of the server [kgCO2e/GPU].
        life_years: useful life [year].
        utilization: share of calendar hours in use [1].
        source: source of ``kg_per_gpu``; may be empty.

    >>> round(Embodied(kg_per_gpu=462.5, life_years=6, utilization=0.85).kg_per_gpu_hour(), 5)
    0.01035
    """

    kg_per_gpu: Annotated[Num, Unit("kgCO2e/GPU", "embodied emissions, server share included", ge=0)]
    life_years: Annotated[Num, Unit("year", "useful life", gt=0)]
    utilization: Annotated[Num, Unit("", "share of calendar hours in use", gt=0, le=1)]
    source: str = ""

    def kg_per_gpu_hour(self) -> Num:
        """Embodied emissions per hour of use: ``kg_per_gpu / (life · 8766 h · utilization)`` [kgCO2e/GPU-h]."""
        return self.kg_per_gpu / (self.life_years * HOURS_PER_YEAR * self.utilization)


def energy(gpu_hours: Num, site: Site, idle_gpu_hours: Num = 0.0) -> Ledger:
    """Electricity of a run at the meter.

    ``E = PUE · (watts · hours + idle watts · idle hours)``

    Args:
        gpu_hours: wall-clock accelerator-hours of the run, number or array ``(n,)`` [GPU-h].
        site: power of an accelerator and PUE of the facility.
        idle_gpu_hours: reserved but unused hours that are charged to the run, number or array ``(n,)`` [GPU-h].

    Returns:
        ledger [kWh] with parts ``in use`` and ``idle``, each split into ``machines`` and ``facility``.

    Source: Luccioni et al. 2022 (arXiv:2211.02001), section 4: dynamic, idle and infrastructure consumption.

    >>> site = Site(watts=1030, idle_watts=300, pue=1.25, usd_per_kwh=0.08)
    >>> round(float(energy(2.788e6, site).total) / 1e6, 2)
    3.59
    """
    overhead = site.pue - 1.0

    def drawn(hours: Num, watts: Num) -> dict[str, Num]:
        machines = hours * watts / WATTS_PER_KILOWATT
        return {"machines": machines, "facility": machines * overhead}

    return Ledger("kWh", {"in use": drawn(gpu_hours, site.watts), "idle": drawn(idle_gpu_hours, site.idle_watts)})


def energy_cost(used: Ledger, site: Site) -> Ledger:
    """Cost of energy at the site's electricity price.

    Args:
        used: energy [kWh].
        site: the site that gives the price.

    Returns:
        ledger [USD].

    >>> site = Site(watts=1000, idle_watts=0, pue=1.0, usd_per_kwh=0.1)
    >>> float(energy_cost(energy(1000.0, site), site).total)
    100.0
    """
    return used.scaled(site.usd_per_kwh, "USD")


def emissions(used: Ledger, grid: Grid, embodied: Embodied | None = None, gpu_hours: Num = 0.0) -> Ledger:
    """Greenhouse gases of a run: from its electricity, and its share of the embodied emissions.

    ``operational = E · kg_per_kwh``, ``embodied = kg_per_gpu / (life · 8766 h · utilization) · hours``

    Args:
        used: energy at the meter [kWh].
        grid: carbon intensity of the electricity.
        embodied: embodied emissions of the machines; None leaves that part out.
        gpu_hours: wall-clock accelerator-hours that are charged for embodied emissions, number or array ``(n,)`` [GPU-h].

    Returns:
        ledger [kgCO2e] with parts ``operational`` and, if given, ``embodied``.

    Source: Luccioni et al. 2022 (arXiv:2211.02001), section 4.1 to 4.3.

    >>> site = Site(watts=400, idle_watts=0, pue=1.0, usd_per_kwh=0.1)
    >>> bloom = emissions(energy(1_082_990.0, site), Grid(kg_per_kwh=0.057))
    >>> round(float(bloom.total) / 1000, 1)
    24.7
    """
    parts: dict[str, Ledger | Num] = {"operational": used.scaled(grid.kg_per_kwh, "kgCO2e")}
    if embodied is not None:
        parts["embodied"] = embodied.kg_per_gpu_hour() * gpu_hours
    return Ledger("kgCO2e", parts)


def model_card_emissions(
    emitted: Ledger, grid: Grid, *, hardware: str, gpu_hours: float, training_type: str = "pre-training", provider: str = "unknown"
) -> str:
    """The emissions metadata of a model card for the Hugging Face hub, and a section for readers.

    Args:
        emitted: emissions [kgCO2e]; the metadata states the operational part in grams, as the hub requires.
        grid: carbon intensity of the electricity.
        hardware: description of the accelerators.
        gpu_hours: wall-clock accelerator-hours [GPU-h].
        training_type: "pre-training" or "fine-tuning".
        provider: owner of the machines.

    Returns:
        YAML metadata between ``---`` lines, and a Markdown section.

    Source: Hugging Face hub documentation, "Displaying carbon emissions for your model"; Lacoste et al. 2019 (arXiv:1910.09700) for
    the section.

    >>> site = Site(watts=1000, idle_watts=0, pue=1.0, usd_per_kwh=0.1)
    >>> grid = Grid(kg_per_kwh=0.5, region="China", date="2024", source="Ember")
    >>> print(model_card_emissions(emissions(energy(100.0, site), grid), grid, hardware="8 x H800", gpu_hours=100.0))
    ---
    co2_eq_emissions:
      emissions: 50000
      source: "trainsim: electricity of the run at the grid's average intensity; Ember"
      training_type: "pre-training"
      geographical_location: "China"
      hardware_used: "8 x H800"
    ---
    <BLANKLINE>
    ## Environmental impact
    <BLANKLINE>
    - **Hardware type:** 8 x H800
    - **Hours used:** 100 accelerator-hours
    - **Cloud provider:** unknown
    - **Compute region:** China (2024, 0.5 kg CO2e per kWh)
    - **Carbon emitted:** 50.0 kg CO2e from electricity; embodied emissions not included
    """
    operational = float(np.mean(emitted.part("operational").total))
    source = "; ".join(filter(None, ["trainsim: electricity of the run at the grid's average intensity", grid.source]))
    metadata = {"source": source, "training_type": training_type, "geographical_location": grid.region, "hardware_used": hardware}
    embodied = f"{_mass_text(float(np.mean(emitted.part('embodied').total)))} embodied in the machines" if "embodied" in emitted else ""
    where = ", ".join(filter(None, [grid.date, f"{float(np.mean(grid.kg_per_kwh)):g} kg CO2e per kWh"]))
    lines = [
        "---",
        "co2_eq_emissions:",
        f"  emissions: {operational * GRAMS_PER_KILOGRAM:.0f}",
        *(f"  {name}: {json.dumps(text, ensure_ascii=False)}" for name, text in metadata.items()),
        "---",
        "",
        "## Environmental impact",
        "",
        f"- **Hardware type:** {hardware}",
        f"- **Hours used:** {human(float(np.mean(gpu_hours)), 4).removesuffix('.0')} accelerator-hours",
        f"- **Cloud provider:** {provider}",
        f"- **Compute region:** {grid.region or 'unknown'} ({where})",
        f"- **Carbon emitted:** {_mass_text(operational)} from electricity; {embodied or 'embodied emissions not included'}",
    ]
    return "\n".join(lines)


def _mass_text(kilograms: float) -> str:
    tonne = 1000.0
    return f"{kilograms / tonne:,.1f} t CO2e" if kilograms >= tonne else f"{kilograms:.1f} kg CO2e"
