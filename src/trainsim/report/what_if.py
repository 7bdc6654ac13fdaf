"""Quantities of a run at another price, utilisation, number of tokens or GPUs, or goodput, as products that a page can evaluate.

The page holds no formula of its own. Each quantity is taken from the run's ledgers, phase by phase, as a product of powers of the inputs.
The powers are found by evaluating the estimate, and a quantity that is not such a product is rejected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import EstimateError
from ..core.units import HOURS_PER_DAY, SECONDS_PER_HOUR
from ..cost.rental import Rental
from ..run.estimate import Estimate, estimate
from ..run.run import Run
from ..training.efficiency import MFU
from ..training.reliability import Goodput
from ..uncertainty.sampling.simulation import Simulation
from .words import QUANTITIES

SHOWN = ("cost", "gpu_hours", "wall_days")
"""Quantities that a panel shows."""
DRAWS = 1000
"""Number of draws included in a page."""
EXACT = 1e-9
"""Relative tolerance between products and the estimate."""
PROBE = {"price": 2.0, "mfu": 0.5, "tokens": 2.0, "gpus": 2.0, "goodput": 0.5}
"""Knob → factor at which it is tested."""
LABELS = {
    "price": "price of a GPU-hour [USD]",
    "mfu": "MFU [%]",
    "tokens": "training tokens [trillion]",
    "gpus": "GPUs",
    "goodput": "goodput [%]",
}
"""Knob → label on a page."""
SHOWN_AS = {"price": 1.0, "mfu": 100.0, "tokens": 1e-12, "gpus": 1.0, "goodput": 100.0}
"""Knob → factor from its value to the displayed one."""
MOST = {"mfu": 1.0, "goodput": 1.0}
"""Knob → largest value."""


@dataclass(frozen=True)
class Term:
    """One product: its value for the unchanged run, and the power of each knob.

    ``value · Π (knob / its value now) ^ power``
    """

    name: str
    value: float
    powers: Mapping[str, int]


@dataclass(frozen=True)
class WhatIf:
    """A run as sums of products.

    Args:
        run: the run to which the knobs apply, with utilisation, goodput and price as plain numbers.
        knobs: name → value now.
        terms: quantity → products that sum to it.
        draws: quantity → 1,000 equally likely values of each of its terms, ``(terms, 1000)``; empty without beliefs.
    """

    run: Run
    knobs: Mapping[str, float]
    terms: Mapping[str, tuple[Term, ...]]
    draws: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def value(self, quantity: str, settings: Mapping[str, float]) -> float:
        """A quantity at some settings, computed from its products.

        Args:
            quantity: one of ``terms``.
            settings: knob → value; other knobs are unchanged.
        """
        ratios = {name: settings.get(name, now) / now for name, now in self.knobs.items()}
        return sum(term.value * _product(ratios, term.powers) for term in self.terms[quantity])

    def to_dict(self) -> dict[str, Any]:
        """Data of the panel, as JSON values."""
        knobs = [
            {"name": name, "label": LABELS[name], "value": now, "shown": SHOWN_AS[name], "most": MOST.get(name)}
            for name, now in self.knobs.items()
        ]
        terms = {name: [{"name": t.name, "value": t.value, "powers": dict(t.powers)} for t in found] for name, found in self.terms.items()}
        words = {name: {"label": QUANTITIES[name][0], "unit": QUANTITIES[name][1]} for name in terms}
        draws = {name: [[float(f"{v:.7g}") for v in row] for row in rows] for name, rows in self.draws.items()}
        return {"knobs": knobs, "terms": terms, "words": words, "draws": draws}


def what_if(run: Run, simulation: Simulation | None = None) -> WhatIf:
    """A run as sums of products of five knobs.

    Args:
        run: a run with price, reliability and efficiency.
        simulation: a simulation of the same run, for intervals.

    Raises:
        EstimateError: an input of the run is missing, or a quantity is not a sum of products.

    >>> import trainsim as ts
    >>> found = what_if(ts.catalog.run("deepseek-v3"))
    >>> round(found.value("cost", {"price": 4.0}) / found.value("cost", {}), 9)
    2.0
    """
    base = turned_into_numbers(run)
    now = estimate(base)
    _check_same(estimate(run), now)
    knobs = {"price": float(np.mean(now.price.total)), "mfu": float(np.mean(now.mfu)), "tokens": _tokens(base)}
    knobs |= {"gpus": float(base.cluster.gpus), "goodput": float(np.mean(now.busy_gpu_hours / now.gpu_hours))}
    knobs = {name: value for name, value in knobs.items() if np.isfinite(value) and value > 0}
    amounts, tried = _amounts(now), {name: _amounts(estimate(turn(base, knobs, {name: PROBE[name] * knobs[name]}))) for name in knobs}
    terms = {
        quantity: tuple(Term(phase, value, _powers(quantity, phase, value, tried)) for phase, value in parts.items())
        for quantity, parts in amounts.items()
    }
    return WhatIf(base, knobs, terms, {} if simulation is None else _draws(base, simulation, amounts))


def turned_into_numbers(run: Run) -> Run:
    """The run with its computed utilisation, goodput and price per hour as given numbers.

    Hours, days and dollars do not change. A phase with unknown tokens keeps its hours. The plan is dropped, because its degrees would
    restrict the number of GPUs.
    """
    found = estimate(run)
    phases = []
    for phase in run.phases:
        made, efficiency = found.phases[phase.name], phase.efficiency or run.efficiency
        reached = made.mfu
        if reached is not None and efficiency is not None and not isinstance(efficiency, MFU):
            flops, mtp = efficiency.counting
            cluster = phase.cluster or run.cluster
            peak = next(n for n, p in cluster.chip.peak if p is not None and np.all(np.asarray(p) == np.asarray(made.peak)))
            phase = phase.replace({"efficiency": MFU(float(np.mean(reached)), peak=peak, flops=flops, mtp=mtp)})  # noqa: PLW2901
        phases.append(phase.replace({"plan": None}))
    price = run.price if isinstance(run.price, Rental) else Rental(usd_per_gpu_hour=float(np.mean(found.price.total)))
    goodput = float(np.mean(found.busy_gpu_hours / found.gpu_hours))
    return run.replace({"plan": None, "phases": tuple(phases), "reliability": Goodput(goodput), "price": price})


def turn(run: Run, knobs: Mapping[str, float], settings: Mapping[str, float]) -> Run:
    """A run with some knobs set; utilisation and tokens of every phase change by the same factor.

    Args:
        run: a run from :func:`turned_into_numbers`.
        knobs: name → value now.
        settings: knob → value.
    """
    changes: dict[str, Any] = {}
    for name, value in settings.items():
        ratio = value / knobs[name]
        known = [phase for phase in run.phases if phase.tokens is not None]
        match name:
            case "price":
                changes["price.usd_per_gpu_hour"] = value
            case "goodput":
                changes["reliability.goodput"] = value
            case "gpus":
                changes["cluster.gpus"] = round(value)
            case "tokens":
                changes |= {f"phases.{p.name}.tokens": p.tokens * ratio for p in known if p.tokens is not None}
            case _:
                own = {f"phases.{p.name}.efficiency.mfu": p.efficiency for p in known if isinstance(p.efficiency, MFU)}
                shared = {"efficiency.mfu": run.efficiency} if isinstance(run.efficiency, MFU) else {}
                changes |= {path: efficiency.mfu * ratio for path, efficiency in {**own, **shared}.items()}
    return run.replace(changes)


def _check_same(given: Estimate, numbers: Estimate) -> None:
    """Check that the run with given numbers has the hours of the run.

    Raises:
        EstimateError: the hours differ, for example because phases on separate clusters have different goodputs.
    """
    if not np.allclose(float(np.mean(given.gpu_hours)), float(np.mean(numbers.gpu_hours)), rtol=EXACT, atol=0.0):
        raise EstimateError("phases", given.run.name, "have different goodputs", "make a report for each phase", "unsupported")


def _tokens(run: Run) -> float:
    known = [phase.tokens for phase in run.phases if phase.tokens is not None]
    return sum(float(np.mean(tokens)) for tokens in known)


def _amounts(found: Estimate) -> dict[str, dict[str, float]]:
    """Quantity → phase → value."""
    hours = {name: float(np.mean(p.gpu_seconds)) / SECONDS_PER_HOUR for name, p in found.phases.items()}
    rate = float(np.mean(found.price.total))
    days = {name: hours[name] / (HOURS_PER_DAY * p.gpus) for name, p in found.phases.items()}
    return {"cost": {name: each * rate for name, each in hours.items()}, "gpu_hours": hours, "wall_days": days}


def _powers(quantity: str, phase: str, value: float, tried: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, int]:
    """The power of each knob in one amount, without knobs that have no effect.

    Raises:
        EstimateError: the amount is not a product of whole powers of the knobs.
    """
    found = {}
    for name, amounts in tried.items():
        change = amounts[quantity][phase] / value
        power = round(np.log(change) / np.log(PROBE[name]))
        if not np.isclose(change, PROBE[name] ** power, rtol=EXACT, atol=0.0):
            rule = f"does not change by a whole power of {name}"
            raise EstimateError(f"{quantity}.{phase}", change, rule, "call ts.estimate for other values", "unsupported")
        if power:
            found[name] = power
    return found


def _product(ratios: Mapping[str, float], powers: Mapping[str, int]) -> float:
    product = 1.0
    for name, power in powers.items():
        product *= ratios[name] ** power
    return product


def _draws(run: Run, simulation: Simulation, amounts: Mapping[str, Mapping[str, float]]) -> dict[str, NDArray[np.float64]]:
    """Equally likely draws of every phase's amounts, from the weighted points of a simulation: the points are sorted by cost and taken at
    equal steps of cumulative weight.
    """
    names = list(amounts["cost"])
    cost, hours = ([simulation.draws(f"{head}.{name}") for name in names] for head in ("cost", "gpu_hours"))
    dollars = np.array([draws.values for draws in cost])
    order = np.argsort(dollars.sum(axis=0))
    reached = np.cumsum(np.asarray(cost[0].weights)[order])
    steps = (np.arange(DRAWS) + 0.5) / DRAWS * reached[-1]
    kept = order[np.searchsorted(reached, steps)]
    taken = np.array([draws.values for draws in hours])[:, kept]
    gpus = {phase.name: (phase.cluster or run.cluster).gpus for phase in run.phases}
    days = taken / (HOURS_PER_DAY * np.array([[gpus[name]] for name in names]))
    return {"cost": dollars[:, kept], "gpu_hours": taken, "wall_days": days}
