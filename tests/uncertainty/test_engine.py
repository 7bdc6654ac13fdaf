"""Exact integration, counting in bins, and coverage of standard errors."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from trainsim.core.errors import BeliefError
from trainsim.core.ledger import Ledger
from trainsim.core.units import Num
from trainsim.testing import refused
from trainsim.uncertainty.analysis.comparison import difference
from trainsim.uncertainty.analysis.inverse import what_must_be_true
from trainsim.uncertainty.beliefs.beliefs import Beliefs
from trainsim.uncertainty.distributions.interval import ci90
from trainsim.uncertainty.distributions.parametric import normal, uniform
from trainsim.uncertainty.sampling.engine import simulate
from trainsim.uncertainty.sampling.reference import BELIEFS, EXACT, EXACT_BELOW_6M, EXACT_MEAN, ReferenceRun, cost
from trainsim.uncertainty.sampling.simulation import Figure

INDEPENDENT = Beliefs(dict(BELIEFS))


def off(figure: Figure, exact: float) -> float:
    return abs(figure.value - exact) / figure.standard_error


# exact integration over an affine input ----------------------------------------------------------------------------


def test_the_linear_input_with_the_largest_effect_is_integrated() -> None:
    sim = simulate(ReferenceRun(), BELIEFS, cost, rtol=1e-3, seed=1)
    assert "price integrated exactly" in sim.method
    plain = simulate(ReferenceRun(), BELIEFS, lambda s: np.maximum(cost(s), 1e-6 * cost(s) ** 2), n=sim.n, seed=1)
    assert "integrated" not in plain.method
    assert sim.quantile("value", 0.5).standard_error < 0.2 * plain.quantile("value", 0.5).standard_error
    assert off(sim.probability("value", below=6e6), EXACT_BELOW_6M) < 4
    assert sim.probability("value", below=6e6) + sim.probability("value", above=6e6) == pytest.approx(1, abs=1e-12)


def test_an_input_with_negative_slope_is_integrated() -> None:
    sim = simulate(ReferenceRun(), BELIEFS, lambda s: 1e8 - cost(s), rtol=1e-3, seed=2)
    assert "integrated" in sim.method
    for level, exact in EXACT.items():
        assert off(sim.quantile("value", 1 - level), 1e8 - exact) < 4


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("path", ["price", "mfu"])
def test_a_kink_at_one_draw_in_a_thousand_is_detected(path: str, seed: int) -> None:
    """Affine in the price except on a set of measure 1e-3, either of the price itself or of another input."""
    edge = float(BELIEFS.resolve(ReferenceRun()).laws[path].ppf(0.999))

    def bent(s: ReferenceRun) -> Num:
        return cost(s) * np.where(s.get(path) > edge, s.price**2, 1.0)

    only = Beliefs({"price": BELIEFS["price"], "mfu": BELIEFS["mfu"]})
    assert "price integrated exactly" in simulate(ReferenceRun(), only, cost, seed=seed).method
    assert "integrated" not in simulate(ReferenceRun(), only, bent, rtol=0.05, seed=seed).method


def test_each_output_is_integrated_over_its_own_input() -> None:
    def outputs(s: ReferenceRun) -> dict[str, Any]:
        hours = 6 * 37e9 * s.tokens / (989.5e12 * s.mfu) / 3600
        return {"hours": hours, "cost": Ledger("USD", {"rent": hours * s.price, "power": hours * 0.1}), "kink": np.maximum(hours, 2.5e6)}

    sim = simulate(ReferenceRun(), BELIEFS, outputs, n=1 << 13, seed=3)
    assert "tokens and price integrated exactly" in sim.method or "price and tokens integrated exactly" in sim.method
    assert sim.mean("cost.rent") + sim.mean("cost.power") == pytest.approx(sim.mean("cost"), rel=1e-12)
    assert sim.quantile("cost.power", 0.5) == pytest.approx(0.1 * sim.quantile("hours", 0.5), rel=1e-9)


# counting ----------------------------------------------------------------------------------------------------------


def test_counted_draws_give_the_quantiles_of_stored_draws() -> None:
    sim = simulate(ReferenceRun(), BELIEFS, cost, n=1 << 20, seed=4)
    assert "counted" in sim.method
    for figure, exact in zip(sim.quantile("value", list(EXACT)), EXACT.values(), strict=True):
        assert off(figure, exact) < 4
    assert sim.mean("value") == pytest.approx(EXACT_MEAN, rel=1e-5)
    assert off(sim.probability("value", below=6e6), EXACT_BELOW_6M) < 4


@pytest.mark.parametrize(
    ("function", "exact"),
    [
        (lambda s: special.ndtri(s.k - 1) * 2 + 0.7, lambda z: 2 * z + 0.7),  # both signs
        (lambda s: -np.exp(special.ndtri(s.k - 1)), lambda z: -math.exp(-z)),  # negative
        (lambda s: special.ndtri(s.k - 1) * (np.abs(s.k - 1.5) > 0.2), lambda z: z * (abs(special.ndtr(z) - 0.5) > 0.2)),  # an atom at zero
        (lambda s: 0 * s.k + 3.25, lambda _: 3.25),
    ],
)
def test_counting_handles_values_of_any_sign(function: Callable[[ReferenceRun], Num], exact: Callable[[float], float]) -> None:
    sim = simulate(ReferenceRun(), Beliefs({"k": uniform(1, 2)}), function, n=1 << 20)
    for level in (0.05, 0.25, 0.4, 0.95):
        value = exact(float(special.ndtri(level)))
        assert sim.quantile("value", level) == pytest.approx(value, rel=2.0**-12, abs=1e-9)


def test_memory_does_not_grow_with_the_draws() -> None:
    import tracemalloc

    peaks = []
    for n in (1 << 20, 1 << 22):
        simulate(ReferenceRun(), BELIEFS, cost, n=1 << 20)
        tracemalloc.start()
        simulate(ReferenceRun(), BELIEFS, cost, n=n)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[1] < 60e6


# error bars --------------------------------------------------------------------------------------------------------


def bent_cost(s: ReferenceRun) -> Num:
    """An increasing function of the cost with a kink near its median, so that its quantiles are known."""
    return np.maximum(cost(s), 2 * cost(s) - 7e6)


def exact_quantiles(beliefs: Beliefs, *, bent: bool) -> dict[float, float]:
    from trainsim.uncertainty.sampling.exact import exact_product
    from trainsim.uncertainty.sampling.sweep import Study

    law = exact_product(Study(ReferenceRun(), beliefs, cost, 0, 16), "value")
    values = {level: law.quantile(level) for level in EXACT}
    return {level: max(v, 2 * v - 7e6) if bent else v for level, v in values.items()}


def coverage(how: dict[str, Any], beliefs: Beliefs, *, bent: bool, seeds: int) -> list[float]:
    """The share of seeds whose 95 % interval holds the exact value, for each quantile."""
    exact = exact_quantiles(beliefs, bent=bent)
    hits = dict.fromkeys(exact, 0)
    for seed in range(seeds):
        sim = simulate(ReferenceRun(), beliefs, bent_cost if bent else cost, seed=seed, **how)
        for level, value in exact.items():
            low, high = sim.quantile("value", level).interval()
            hits[level] += low <= value <= high
    return [count / seeds for count in hits.values()]


CASES = [(how, beliefs, bent) for how in ({"n": 4096}, {"rtol": 0.01}) for beliefs in (BELIEFS, INDEPENDENT) for bent in (False, True)]


def test_confidence_intervals_have_their_nominal_coverage() -> None:
    for bent in (False, True):
        for share in coverage({"n": 4096}, BELIEFS, bent=bent, seeds=150):
            assert 0.88 <= share <= 0.995


@pytest.mark.slow
@pytest.mark.parametrize(("how", "beliefs", "bent"), CASES)
def test_over_a_thousand_seeds_intervals_cover_93_to_97_percent(how: dict[str, Any], beliefs: Beliefs, bent: bool) -> None:  # noqa: FBT001
    for share in coverage(how, beliefs, bent=bent, seeds=1000):
        assert 0.93 <= share <= 0.97


def test_an_interval_is_longer_on_the_steeper_side_of_the_quantile_function() -> None:
    def steep_above(s: ReferenceRun) -> Num:
        return np.maximum(cost(s), 9 * cost(s) - 8 * 7e6)

    sim = simulate(ReferenceRun(), BELIEFS, steep_above, n=1 << 16, seed=1)
    at_the_kink = sim.quantile("value", float(sim.probability("value", below=7e6)))
    low, high = at_the_kink.interval()
    assert (high - at_the_kink) / (at_the_kink - low) == pytest.approx(9, rel=0.3)
    assert sim.mean("value").skew == 0


# the oracle, what must be true -------------------------------------------------------------------------------------


def test_the_exact_result_has_the_published_digits_and_checks_a_simulation() -> None:
    found = simulate(ReferenceRun(), BELIEFS, cost, rtol=1e-4, seed=6).check()
    for level, figure, exact, _ in found.rows:
        assert exact == pytest.approx(EXACT[level], rel=2e-6)
        assert figure == pytest.approx(exact, rel=2e-4)
    assert found.worst < 4


def test_the_exact_result_is_refused_for_an_output_that_is_no_product() -> None:
    with refused(BeliefError, "wrong-type", "check"):
        simulate(ReferenceRun(), BELIEFS, lambda s: s.price + s.mfu, n=1024).check()


def test_what_must_be_true_of_a_normal_sum_is_the_closed_form() -> None:
    class_spec = ReferenceRun()
    beliefs = Beliefs({"tokens": normal(100, 3).truncate(1), "price": normal(50, 4).truncate(1)})
    found = what_must_be_true(class_spec, beliefs, lambda s: s.tokens + s.price, below=140.0)
    assert found.together is not None
    assert found.together.distance == pytest.approx(2.0, rel=1e-3)
    assert found.together.values == pytest.approx({"tokens": 100 - 10 * 9 / 25, "price": 50 - 10 * 16 / 25}, rel=1e-4)
    assert found.probability == pytest.approx(special.ndtr(-2.0), abs=1e-3)
    alone = {a.path: a for a in found.alone}
    assert alone["price"].value == pytest.approx(40.0, rel=1e-6)
    assert alone["price"].percentile == pytest.approx(100 * special.ndtr(-2.5), rel=1e-4)


def test_an_unreachable_target_is_reported() -> None:
    found = what_must_be_true(ReferenceRun(), BELIEFS, cost, below=1.0)
    assert found.together is None
    assert all(a.value is None and a.reach[0] > 1.0 for a in found.alone)
    assert found.probability.value == 0


def test_a_difference_has_its_own_standard_error() -> None:
    found = difference(ReferenceRun(mfu=0.3), ReferenceRun(mfu=0.4), BELIEFS.without("mfu"), cost, seed=1)
    assert found.a_below_b.value == 0
    assert found.quantile(0.5).standard_error < 1e-3 * abs(found.quantile(0.5))


def test_an_interval_of_no_width_is_refused() -> None:
    with refused(BeliefError, "out-of-bounds", "interval"):
        ci90(2.0, 2.0)
