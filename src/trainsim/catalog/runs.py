"""Published runs, built from catalogue rows, and defaults for inputs that a run lacks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..cluster.hardware import Cluster
from ..core.citations import FILLED
from ..core.errors import CatalogError
from ..core.units import Unit
from ..core.values import ReadOnlyDict
from ..cost.rental import Rental
from ..model.counting import flops_per_token
from ..model.transformer import Model
from ..parallelism.plan import Plan
from ..parallelism.schedules.discovery import find_schedule
from ..run.run import Run
from ..training.efficiency import MFU, BusyHours, Efficiency
from ..training.phases import Phase
from ..training.reliability import Goodput
from .evidence import goodput_evidence, mfu_evidence
from .hardware import chip, cluster
from .matching import phases_of
from .models import model_of, size_of
from .rental_period import rental_period
from .rents import rent_evidence
from .rows import Row, day_of, find, rows


@dataclass(frozen=True)
class Filled:
    """One input that the catalogue filled in.

    Args:
        path: path of the input in the run.
        value: value filled in, in the input's unit.
        source: where the value comes from, in words.

    >>> print(Filled("reliability.goodput", 0.95, "median of a prior"))
    reliability.goodput = 0.95: median of a prior
    """

    path: str
    value: float
    source: str

    def __str__(self) -> str:
        return f"{self.path} = {self.value:.4g}: {self.source}"


def run(name: str, gpus: int | None = None) -> Run:
    """A published run, with the source of each input.

    Published hours are used as hours. Inputs that an estimate needs and that were never published (goodput, rent) are filled in from the
    catalogue's priors and marked as such in ``run.sources()``. The rent is that of the run's own months.

    Args:
        name: id of the row.
        gpus: accelerators [GPU], if the row does not give them. Wall-clock days depend on this number; dollars of published hours do not.

    Returns:
        the run, complete.

    Raises:
        CatalogError: no such run, or its row lacks the model, the cluster or the number of accelerators.

    >>> [p.name for p in run("deepseek-v3").phases]
    ['pretrain', 'extend-32k', 'extend-128k', 'post-train']
    """
    made = published(name, gpus)
    return complete(made, day=rental_period(find("runs", name)).middle)[0]


def published(name: str, gpus: int | None = None) -> Run:
    """A published run as its row states it, without inputs that were not published.

    Args:
        name: id of the row.
        gpus: accelerators [GPU], if the row does not give them.

    Returns:
        the run.

    Raises:
        CatalogError: no such run, or its row lacks the model, the chip or the number of accelerators.

    >>> published("llama3.1-405b").price is None
    True
    """
    row = find("runs", name)
    made = model_of(row)
    gpus = row.get("gpus", gpus)
    if gpus is None:
        raise CatalogError(
            f"runs/{name}.gpus",
            None,
            "was never published",
            f"give it: catalog.run({name!r}, gpus=…); it changes the days, not the reported hours",
            "missing",
        )
    if made is None or not (row.get("cluster") or row.get("chip")):
        raise CatalogError(
            f"runs/{name}", None, "names no model, or neither a cluster nor a chip", "build a ts.Run with what you know", "missing"
        )
    machines = cluster(row["cluster"], int(gpus)) if row.get("cluster") else Cluster(chip=chip(row["chip"]), gpus=int(gpus))
    phases = _phases(row, made)
    price = row.get("usd_per_gpu_hour_assumed")
    return Run(
        name=name,
        model=made,
        cluster=machines,
        phases=phases,
        plan=_plan(row),
        price=Rental(usd_per_gpu_hour=price, date=row.date.isoformat(), term="imputed", region=row.get("region", "")) if price else None,
    ).with_sources({"phases": row.cited, "plan": row.cited, "price": row.cited, "cluster.gpus": row.cited})


def cluster_of(org: str, model: Model, chip: str, gpus: float) -> str | None:
    """Cluster of an organisation's published run, found by model size, chip and number of accelerators; None if no row matches.

    >>> from trainsim.catalog.models import model
    >>> cluster_of("BigScience", model("bloom-176b"), "a100-80gb-sxm", 384)
    'jean-zay-a100'
    """
    for row in _runs_on_clusters().get((org.casefold(), chip, gpus), ()):
        made = model_of(row)
        if made is not None and size_of(made) == size_of(model):
            return str(row["cluster"])
    return None


@lru_cache(maxsize=1)
def _runs_on_clusters() -> Mapping[tuple[str, str | None, float | None], tuple[Row, ...]]:
    """Organisation, chip and number of accelerators → published runs on a known cluster."""
    found: dict[tuple[str, str | None, float | None], tuple[Row, ...]] = {}
    for row in rows("runs").values():
        if row.get("cluster"):
            key = (row.get("org", "").casefold(), row.get("chip"), row.get("gpus"))
            found[key] = (*found.get(key, ()), row)
    return ReadOnlyDict(found)


def _phases(row: Row, made: Model) -> list[Phase]:
    listed = phases_of(row)
    hours = {p["name"]: p.get("gpu_hours") for p in listed}
    group = row.get("gpu_hours_group")
    if group:
        hours |= _split(group, {p["name"]: p for p in listed}, made)
    return [_phase(row, p, hours[p["name"]]) for p in listed]


def _split(group: Mapping[str, Any], phases: Mapping[str, Mapping[str, Any]], made: Model) -> dict[str, float]:
    """Split hours that were published only as a sum over phases, in proportion to model FLOPs, as if all phases had one utilisation."""
    flop = {n: phases[n]["tokens"] * float(flops_per_token(made, float(phases[n]["seq_len"])).total) for n in group["phases"]}
    return {n: group["gpu_hours"] * f / sum(flop.values()) for n, f in flop.items()}


def _phase(row: Row, listed: Mapping[str, Any], hours: float | None) -> Phase:
    batch = listed.get("batch")
    if batch is None and listed.get("batch_tokens") and listed.get("seq_len"):
        batch = listed["batch_tokens"] / listed["seq_len"]
    wall = listed.get("hours_are", row.get("hours_are")) == "wall"
    efficiency: Efficiency | None = None
    if hours is not None:
        efficiency = BusyHours(gpu_hours=hours, time="wall" if wall else "busy")
    elif listed.get("mfu_reported") and listed.get("mfu_flops") in ("half", "full", "megatron"):
        efficiency = MFU(listed["mfu_reported"], flops=listed["mfu_flops"])
    return Phase(listed["name"], tokens=listed.get("tokens"), seq_len=listed.get("seq_len"), batch=batch, efficiency=efficiency)


def _plan(row: Row) -> Plan | None:
    given = {k: v for k, v in row.get("plan", {}).items() if k in ("tp", "pp", "ep", "cp", "vpp", "zero")}
    if not given or row.get("plan", {}).get("pp") is None:
        return None
    words = row["plan"].get("schedule")
    known: dict[str, Any] = {} if words is None else {"schedule": find_schedule(words).name}
    if parts := row["plan"].get("recompute_parts"):
        known |= {"recompute": "selective", "recompute_parts": tuple(parts)}
    precision = "fp8" if str(row.get("precision", "")).startswith("fp8") else "bf16"
    return Plan(**given, **known, precision=row["plan"].get("recipe", precision))


NEEDS = ("efficiency", "reliability", "price")
"""Inputs that an estimate of dollars needs; an estimate of hours needs no price."""


def complete(
    run: Run, as_of: dt.date | str | None = None, *, day: dt.date | str | None = None, needs: Sequence[str] = NEEDS
) -> tuple[Run, list[Filled]]:
    """Fill in the inputs that an estimate needs and the run lacks, from the catalogue's priors.

    Args:
        run: a run that may lack efficiency, reliability or price.
        as_of: use only rows that were public by this day.
        day: day on which the machines are rented; None for ``as_of``, or the day of the latest quotes if that is None too.
        needs: the members of ``NEEDS`` to fill in.

    Returns:
        the completed run, and the inputs that were filled in, each with its source.

    >>> bare = Run(model=run("deepseek-v3").model, cluster=cluster("hgx-h800", 2048),
    ...            phases=[Phase("pretrain", tokens=1e12, seq_len=4096)])
    >>> [f.path for f in complete(bare)[1]]
    ['efficiency.mfu', 'reliability.goodput', 'price.usd_per_gpu_hour']
    """
    known, rented = (day_of(value, name) if isinstance(value, str) else value for name, value in (("as_of", as_of), ("day", day)))
    filled: list[Filled] = []
    if "efficiency" in needs and run.efficiency is None and any(phase.efficiency is None for phase in run.phases):
        evidence = mfu_evidence(run, known)
        filled.append(Filled("efficiency.mfu", _median(evidence.belief, "efficiency.mfu", _RATIO), FILLED + evidence.how))
        run = run.replace({"efficiency": MFU(filled[-1].value, peak=run.cluster.chip.half)})
    if "reliability" in needs and run.reliability is None:
        goodput = goodput_evidence(run, known)
        filled.append(Filled("reliability.goodput", _median(goodput.belief, "reliability.goodput", _RATIO), FILLED + goodput.how))
        run = run.replace({"reliability": Goodput(filled[-1].value)})
    if "price" in needs and run.price is None:
        quotes = rent_evidence(run, known, day=rented)
        filled.append(Filled("price.usd_per_gpu_hour", _median(quotes.belief, "price.usd_per_gpu_hour", _PRICE), FILLED + quotes.how))
        dated = "" if rented is None else rented.isoformat()
        run = run.replace({"price": Rental(usd_per_gpu_hour=filled[-1].value, date=dated)})
    return run.with_sources({f.path: f.source for f in filled}), filled


def filled_in(run: Run) -> set[str]:
    """Paths of a run that the catalogue filled in.

    Args:
        run: any run.

    Returns:
        the paths.

    >>> sorted(filled_in(run("llama3.1-405b")))
    ['price.usd_per_gpu_hour', 'reliability.goodput']
    """
    return {path for path, source in run.sources().items() if source.startswith(FILLED)}


_RATIO, _PRICE = Unit("", "model FLOPs over peak", gt=0, le=1), Unit("USD/GPU-h", "rent", gt=0)


def _median(belief: Any, path: str, unit: Unit) -> float:
    return float(belief.for_field(unit, path).ppf(0.5))
