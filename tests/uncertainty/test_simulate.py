"""``simulate`` compared with exact values, and its errors."""

import pickle
from typing import Any

import numpy as np
import pytest

import trainsim as ts
from trainsim.core.errors import BeliefError, PathError, TrainsimError, TrainsimWarning
from trainsim.core.ledger import Ledger
from trainsim.testing import refused
from trainsim.uncertainty.beliefs.beliefs import Beliefs
from trainsim.uncertainty.distributions.interval import ci90
from trainsim.uncertainty.distributions.parametric import normal
from trainsim.uncertainty.sampling.engine import simulate
from trainsim.uncertainty.sampling.reference import BELIEFS, EXACT, EXACT_BELOW_6M, EXACT_MEAN, ReferenceRun, cost
from trainsim.uncertainty.sampling.simulation import Figure


def off(figure: Figure, exact: float) -> float:
    return abs(figure.value - exact) / figure.standard_error


@pytest.mark.parametrize("how", [{"n": 2**16}, {"rtol": 1e-3}])
def test_the_reference_workload_agrees_within_three_standard_errors(how: dict[str, Any]) -> None:
    sim = simulate(ReferenceRun(), BELIEFS, cost, seed=7, **how)
    for figure, exact in zip(sim.quantile("value", list(EXACT)), EXACT.values(), strict=True):
        assert off(figure, exact) < 3
        assert figure.standard_error < 2e-3 * exact
    assert off(sim.mean("value"), EXACT_MEAN) < 3
    assert sim.mean("value").value == pytest.approx(EXACT_MEAN, rel=5e-4)
    assert off(sim.probability("value", below=6e6), EXACT_BELOW_6M) < 3


def test_a_simulation_reaches_the_requested_accuracy() -> None:
    sim = simulate(ReferenceRun(), BELIEFS, cost, rtol=5e-3, seed=3)
    assert sim.reached
    for figure in (*sim.quantile("value", [0.05, 0.5, 0.95]), sim.mean("value")):
        low, high = figure.interval()
        assert (high - low) / 2 <= 5e-3 * figure


def test_an_unreached_accuracy_is_reported() -> None:
    with pytest.warns(TrainsimWarning, match="is only within"):
        sim = simulate(ReferenceRun(), BELIEFS, cost, rtol=1e-7, seed=3, budget=2**13)
    assert not sim.reached


def test_a_ledger_line_can_be_asked_for_later() -> None:
    def bill(s: ReferenceRun) -> dict[str, Ledger]:
        return {"cost": Ledger("USD", {"rent": {"compute": s.price * 2.0, "idle": s.price}, "power": s.k})}

    sim = simulate(ReferenceRun(), BELIEFS, bill, n=4096)
    parts = sim.mean("cost.rent.compute") + sim.mean("cost.rent.idle") + sim.mean("cost.power")
    assert sim.mean("cost") == pytest.approx(parts, rel=1e-12)
    with refused(PathError, "unknown-path", "powr"):
        sim.mean("cost.powr")


def test_a_draw_without_a_finite_answer_is_named() -> None:
    with refused(BeliefError, "not-finite", "value"):
        simulate(ReferenceRun(), BELIEFS, lambda s: np.where(s.price > 2.9, np.nan, 1.0))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"n": 0}, ("out-of-bounds", "n")),
        ({"n": 1.5}, ("out-of-bounds", "n")),
        ({"rtol": -1.0}, ("out-of-bounds", "rtol")),
        ({"rtol": 0}, ("out-of-bounds", "rtol")),
        ({"seed": -1}, ("out-of-bounds", "seed")),
        ({"replicates": 1}, ("too-few-data", "replicates")),
        ({"quantiles": [1.0]}, ("out-of-bounds", "quantiles")),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], word: tuple[str, str]) -> None:
    with refused(BeliefError, *word):
        simulate(ReferenceRun(), BELIEFS, cost, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("beliefs", "word"),
    [
        ({"pricee": ci90(1, 2)}, ("unknown-path", "pricee")),
        ({"mfu": ci90(0.5, 1.5)}, ("out-of-bounds", "mfu")),
        ({"mfu": normal(0.4, 0.1)}, ("out-of-bounds", "mfu")),
    ],
)
def test_beliefs_that_do_not_fit_are_named(beliefs: dict[str, object], word: tuple[str, str]) -> None:
    with refused(TrainsimError, *word):
        simulate(ReferenceRun(), Beliefs(beliefs), cost)


def test_a_simulation_can_be_pickled_with_its_inputs() -> None:
    sim = simulate(ReferenceRun(), BELIEFS, cost, n=1024, seed=9)
    there = pickle.loads(pickle.dumps(sim))  # noqa: S301  (our own)
    assert there.quantile("value", [0.05, 0.95]) == sim.quantile("value", [0.05, 0.95])
    record = sim.record()
    assert (record["seed"], record["n"], record["function"]) == (9, 1024, "trainsim.uncertainty.sampling.reference:cost")
    assert ReferenceRun(**{k: v for k, v in record["spec"].items() if k != "kind"}) == sim.spec
    again = simulate(sim.spec, sim.beliefs, sim.function, n=record["n"], seed=record["seed"])
    assert again.quantile("value", 0.5) == sim.quantile("value", 0.5)
    assert "seed=9" in sim.footnote


@pytest.mark.parametrize("n", [1, 3, 17])
def test_the_fewest_points_still_give_an_answer_with_an_error(n: int) -> None:
    sim = simulate(ReferenceRun(), BELIEFS, cost, n=n)
    assert sim.n >= n
    assert sim.quantile("value", 0.5).standard_error > 0


def test_a_certain_output_has_no_standard_error() -> None:
    sim = simulate(ReferenceRun(), BELIEFS, lambda s: {"sure": 2.5, "cost": cost(s)}, rtol=0.01)
    assert [f.value for f in sim.quantile("sure", [0.05, 0.95])] == [2.5, 2.5]
    assert sim.mean("sure").standard_error == 0
    assert sim.percentile("sure", 3.0) == 100


def test_draws_are_the_points_whose_quantiles_the_simulation_gives() -> None:
    doubt = ts.Beliefs({"price.usd_per_gpu_hour": ts.ci90(1.4, 3.4), "reliability.goodput": ts.ci90(0.9, 0.98)})
    sim = ts.simulate(ts.catalog.run("deepseek-v3"), doubt, n=1 << 14, seed=3)
    cost, weights = sim.draws("cost")
    price, goodput = sim.draws("price.usd_per_gpu_hour").values, sim.draws("reliability.goodput").values
    assert len(cost) == len(weights) == len(price) == sim.n
    assert weights.sum() == pytest.approx(1.0)
    # one point is one run: cost follows from its own price and goodput
    assert np.ptp(cost * goodput / price) == pytest.approx(0.0, abs=1e-6 * cost.max())
    assert float(weights @ cost) == pytest.approx(float(sim.mean("cost")), rel=1e-3)
    assert np.quantile(cost, 0.9) == pytest.approx(float(sim.quantile("cost", 0.9)), rel=5e-3)


def test_draws_of_a_large_simulation_come_shard_by_shard_in_the_same_order() -> None:
    doubt = ts.Beliefs({"price.usd_per_gpu_hour": ts.ci90(1.4, 3.4), "reliability.goodput": ts.ci90(0.9, 0.98)})
    sim = ts.simulate(ts.catalog.run("deepseek-v3"), doubt, n=1 << 18)
    cost, price, goodput = (sim.draws(path).values for path in ("cost", "price.usd_per_gpu_hour", "reliability.goodput"))
    assert np.ptp(cost * goodput / price) == pytest.approx(0.0, abs=1e-6 * cost.max())


def test_draws_of_what_is_neither_believed_nor_an_output() -> None:
    sim = ts.simulate(ts.catalog.run("deepseek-v3"), ts.Beliefs({"price.usd_per_gpu_hour": ts.ci90(1.4, 3.4)}), n=64)
    with pytest.raises(ts.TrainsimError) as caught:
        sim.draws("price.usd_per_hour")
    assert caught.value.path == "price.usd_per_hour"
