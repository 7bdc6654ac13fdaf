"""The panel's products equal the estimate at any setting; its draws are those of the simulation."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.errors import EstimateError
from trainsim.report.what_if import DRAWS, MOST, SHOWN, turn, turned_into_numbers, what_if
from trainsim.testing import refused

from .samples import modelled, simulation, v3

RUNS: dict[str, Callable[[], ts.Run]] = {
    "stated hours, one phase of unknown tokens": v3,
    "modelled": modelled,
    "failures": lambda: modelled().replace(
        {"reliability": ts.Failures(failures_per_gpu_day=1e-4, checkpoint_seconds=30.0, restart_seconds=600.0)}
    ),
    "owned": lambda: modelled().replace({"price": ts.catalog.complete(ts.catalog.run("llama3.1-405b"))[0].price}),
}
FACTORS = st.floats(0.3, 3.0)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_with_given_numbers_costs_the_same(name: str) -> None:
    run = RUNS[name]()
    a, b = ts.estimate(run), ts.estimate(turned_into_numbers(run))
    for quantity in SHOWN:
        assert float(b.quantity(quantity)) == pytest.approx(float(a.quantity(quantity)), rel=1e-9)
        assert what_if(run).value(quantity, {}) == pytest.approx(float(a.quantity(quantity)), rel=1e-9)


PANELS = {name: what_if(make()) for name, make in RUNS.items()}


@given(name=st.sampled_from(list(RUNS)), factors=st.tuples(*(FACTORS for _ in range(5))))
def test_products_equal_the_estimate(name: str, factors: tuple[float, ...]) -> None:
    found = PANELS[name]
    settings = {knob: min(now * factor, MOST.get(knob, np.inf)) for (knob, now), factor in zip(found.knobs.items(), factors, strict=True)}
    settings["gpus"] = max(1.0, float(round(settings["gpus"])))
    settings["mfu"] = min(settings["mfu"], found.knobs["mfu"])  # other phases may be higher, and none may pass 1
    est = ts.estimate(turn(found.run, found.knobs, settings))
    for quantity in SHOWN:
        assert found.value(quantity, settings) == pytest.approx(float(est.quantity(quantity)), rel=1e-9)


def test_draws_are_those_of_the_simulation() -> None:
    found = what_if(v3(), simulation())
    for quantity in ("cost", "gpu_hours", "wall_days"):
        rows = found.draws[quantity]
        assert rows.shape == (len(found.terms[quantity]), DRAWS)
        ours = np.quantile(rows.sum(axis=0), [0.05, 0.5, 0.95])
        theirs = [float(q) for q in simulation().quantile(quantity, [0.05, 0.5, 0.95])]
        assert ours == pytest.approx(theirs, rel=0.01)


def test_a_panel_survives_json() -> None:
    data = json.loads(json.dumps(what_if(v3(), simulation()).to_dict(), allow_nan=False))
    assert {knob["name"] for knob in data["knobs"]} == {"price", "mfu", "tokens", "gpus", "goodput"}
    assert len(data["draws"]["cost"][0]) == DRAWS


def test_a_run_without_a_price_is_refused() -> None:
    with refused(EstimateError, "missing", "price"):
        what_if(modelled().replace({"price": None}))
