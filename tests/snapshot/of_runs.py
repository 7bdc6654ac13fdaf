"""Models, runs, prices, developments of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from figures import Named, lines, quantiles, refused, section

import trainsim as ts


@section()
def counts() -> Named:
    """Parameters and FLOPs of every model of the catalogue, in every convention."""
    for name in ts.catalog.rows("models"):
        model, why = refused(ts.catalog.model, name)
        if model is None:
            yield name, why
            continue
        yield f"{name} params", ts.count_params(model).total
        yield f"{name} active", ts.count_active_params(model).total
        for convention in ts.CONVENTIONS:
            yield f"{name} {convention}", ts.flops_per_token(model, 4096, convention).total
        yield f"{name} causal 32768", ts.flops_per_token(model, 32768).total
        yield f"{name} documents", ts.flops_per_token(model, 8192, document_length=ts.Documents(lengths=(500, 8192), weights=(9, 1))).total
    for name in ("deepseek-v3", "minimax-text-01", "gpt-oss-120b"):
        yield from lines(f"{name} params by part", ts.count_params(ts.catalog.model(name)))
        yield from lines(f"{name} flops by part", ts.flops_per_token(ts.catalog.model(name), 4096).part("forward"))


# what it takes -----------------------------------------------------------------------------------------------------------


def published_runs() -> Iterator[tuple[str, ts.Run | None, str]]:
    """Every run of the catalogue, or the path of the error that prevents it; 2,048 accelerators if its row doesn't give them."""
    for name in ts.catalog.rows("runs"):
        yield name, *refused(ts.catalog.run, name, gpus=2048)


@section()
def runs() -> Named:
    """Every run of the catalogue: hours, days, dollars, utilisation, and what was filled in."""
    for name, run, odd in published_runs():
        est, why = refused(ts.estimate, run) if run is not None else (None, odd)
        if run is None or est is None:
            yield name, why
            continue
        yield f"{name} filled in", " ".join(sorted(ts.catalog.filled_in(run)))
        for quantity in ("busy_gpu_hours", "gpu_hours", "wall_days", "mfu"):
            value, unknown = refused(getattr, est, quantity)
            yield f"{name} {quantity}", float(np.asarray(value)) if value is not None else unknown
        yield f"{name} cost", est.cost.total
        for phase in est.cost.parts:
            yield f"{name} cost of {phase}", est.cost.part(phase).total
    yield from lines("deepseek-v3 dollars", ts.estimate(ts.catalog.run("deepseek-v3")).cost)


@section()
def priors() -> Named:
    """The catalogue's priors for every run, without the run's own rows."""
    for name, run, _ in published_runs():
        if run is None:
            continue
        day = ts.catalog.find("runs", name).date.isoformat()
        beliefs, why = refused(ts.catalog.beliefs, run, as_of=day)
        if beliefs is None:
            yield name, why
            continue
        for path in sorted(beliefs.paths):
            yield from quantiles(f"{name} {path}", (beliefs[path].for_field(run.unit_of(path), path).ppf(q) for q in (0.05, 0.5, 0.95)))


@section()
def prices() -> Named:
    """Price of an hour: rented, owned, quoted."""
    owned = ts.Ownership(usd_per_gpu=30e3, life_years=4, cost_of_capital=0.08, residual_share=0.1, utilization=0.8,
                         site=ts.Site(watts=1100, idle_watts=300, pue=1.3, usd_per_kwh=0.08))  # fmt: skip
    quote = ts.Quote(
        nodes=256, gpus_per_node=8, term_days=90, price_per_gpu_hour=2.3, used_share=0.9, storage_tb=500, price_per_tb_month=20
    )
    for name, price in {"rented": ts.Rental(usd_per_gpu_hour=2.0), "owned": owned, "quoted": quote}.items():
        est = ts.estimate(ts.catalog.run("deepseek-v3").replace({"price": price}))
        yield from lines(f"{name} hour", est.price)
        yield f"{name} cost", est.cost.total


@section()
def developments() -> Named:
    """Costs of developments and of fleets."""
    for name in ts.catalog.rows("developments"):
        programme = ts.catalog.programme(ts.catalog.run(name, gpus=2048), ts.Rental(usd_per_gpu_hour=2.0))
        found = ts.estimate_development(programme.development)
        yield from lines(f"{name} cost", found.cost)
        yield from lines(f"{name} hours", found.hours)
    for name in ts.catalog.rows("fleets"):
        fleet = ts.estimate_fleet(ts.catalog.fleet(name))
        yield from lines(f"{name} capital", fleet.capital)
        yield from lines(f"{name} operation", fleet.operation)
