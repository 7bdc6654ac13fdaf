"""Laws of evidence, sensitivity and files."""

import math
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from trainsim.core.errors import BeliefError, TrainsimWarning
from trainsim.core.spec import Spec
from trainsim.core.units import Num, Unit
from trainsim.testing import refused
from trainsim.uncertainty.analysis.comparison import difference
from trainsim.uncertainty.analysis.condition import condition, measured
from trainsim.uncertainty.analysis.influence import disclosure
from trainsim.uncertainty.analysis.sensitivity import sensitivity
from trainsim.uncertainty.beliefs.beliefs import Beliefs
from trainsim.uncertainty.beliefs.correlation import linear_correlation, rank_correlation
from trainsim.uncertainty.beliefs.files import from_dict, schema
from trainsim.uncertainty.distributions.composed import joint, mixture
from trainsim.uncertainty.distributions.interval import ci90
from trainsim.uncertainty.distributions.parametric import beta, lognormal, normal, pert, triangular, uniform
from trainsim.uncertainty.sampling.engine import simulate


class Pair(Spec):
    """Two free numbers and a positive one."""

    x: Annotated[Num, Unit("")] = 0.0
    y: Annotated[Num, Unit("")] = 0.0
    p: Annotated[Num, Unit("", gt=0)] = 1.0


NORMALS = Beliefs({"x": normal(1, 2), "y": normal(-1, 1)})


def x_of(pair: Pair) -> Num:
    return pair.x


def x_plus_y(pair: Pair) -> Num:
    return pair.x + pair.y


def moments(beliefs: Beliefs, path: str) -> tuple[float, float]:
    law = beliefs.resolve(Pair()).laws[path]
    return law.mean, law.sd


# evidence ----------------------------------------------------------------------------------------------------------


@given(st.floats(-2, 4), st.floats(0.2, 5))
@settings(max_examples=15, deadline=None)
def test_the_posterior_of_a_normal_is_the_conjugate_one(value: float, sd: float) -> None:
    after = condition(Pair(), NORMALS, {"value": measured(value, sd=sd)}, x_of, n=1 << 13)
    precision = 1 / 4 + 1 / sd**2
    mean, spread = moments(after, "x")
    assert mean == pytest.approx((1 / 4 + value / sd**2) / precision, abs=0.06 / math.sqrt(precision))
    assert spread == pytest.approx(1 / math.sqrt(precision), rel=0.06)
    assert moments(after, "y") == pytest.approx((-1, 1), abs=0.06)
    assert 0 < after.ess <= after.n


def test_collapsed_weights_are_tempered_to_the_conjugate_posterior() -> None:
    after = condition(Pair(), NORMALS, {"value": measured(2.0, sd=0.01)}, x_plus_y, n=1 << 13)
    assert after.method == "tempered"
    # given x + y = 2: x has mean 1 + 4/5 · 2 and variance 4 · 1 / 5
    mean, spread = moments(after, "x")
    assert mean == pytest.approx(2.6, abs=0.06)
    assert spread == pytest.approx(math.sqrt(0.8), rel=0.06)
    sim = simulate(Pair(), after, x_plus_y, n=1 << 12)
    assert sim.mean("value") == pytest.approx(2.0, abs=0.002)


def test_conditioning_on_what_is_certain_changes_nothing() -> None:
    after = condition(Pair(), NORMALS, {"value": measured(2.0, rel=0.01)}, lambda pair: 2.0 + 0 * pair.x)
    assert after == NORMALS
    assert after.ess == after.n


def test_sequential_conditioning_is_joint_conditioning() -> None:
    both = {"s": measured(0.5, sd=0.5), "x": measured(1.5, sd=1.0)}

    def outputs(pair: Pair) -> dict[str, Num]:
        return {"s": pair.x + pair.y, "x": pair.x}

    at_once = condition(Pair(), NORMALS, both, outputs)
    first = condition(Pair(), NORMALS, {"s": both["s"]}, outputs)
    assert condition(Pair(), first, {"x": both["x"]}, outputs) == at_once


def test_evidence_against_the_prior_is_told_with_its_percentile() -> None:
    with pytest.warns(TrainsimWarning, match=r"value = 30 contradicts the prior: it is at percentile 100"):
        condition(Pair(), NORMALS, {"value": measured(30.0, sd=0.5)}, x_of)


@pytest.mark.parametrize("bad", [{}, {"rel": 0.1, "sd": 1.0}, {"rel": 0.0}, {"sd": -1.0}, {"sd": math.nan}])
def test_a_measurement_needs_one_deviation(bad: dict[str, float]) -> None:
    with pytest.raises(BeliefError, match="measured"):
        measured(1.0, **bad)


# sensitivity -------------------------------------------------------------------------------------------------------


@given(st.floats(0.1, 3), st.floats(0.1, 3), st.floats(0.1, 3))
@settings(max_examples=10, deadline=None)
def test_indices_of_a_sum_are_shares_of_variance(a: float, b: float, c: float) -> None:
    beliefs = Beliefs({"x": normal(0, 1), "y": uniform(0, 1), "p": lognormal(0, 0.2)})
    found = sensitivity(Pair(), beliefs, lambda pair: a * pair.x + b * pair.y + c * pair.p + 7.0, n=1 << 14)
    law = lognormal(0, 0.2)
    parts = {"x": a**2, "y": b**2 / 12, "p": (c * law.sd) ** 2}
    for path, part in parts.items():
        share = part / sum(parts.values())
        assert found.first[path] == pytest.approx(share, abs=5 * found.first[path].standard_error + 1e-4)
        assert found.total[path] == pytest.approx(share, abs=5 * found.total[path].standard_error + 1e-4)
    assert sum(found.first.values()) == pytest.approx(1, abs=0.01)


def test_a_product_is_exact_and_the_estimate_agrees() -> None:
    beliefs = Beliefs({"x": normal(5, 0.5), "y": uniform(1, 2), "p": lognormal(0, 0.3)})
    exact = sensitivity(Pair(), beliefs, lambda pair: pair.x * pair.y / pair.p)
    # with a small added term the output is no product
    estimate = sensitivity(Pair(), beliefs, lambda pair: pair.x * pair.y / pair.p + 1e-6 * pair.x, n=1 << 15)
    assert exact.method.startswith("exact")
    assert not estimate.method.startswith("exact")
    squares = {"x": 0.01, "y": 1 / 12 / 1.5**2, "p": math.expm1(0.09)}
    whole = math.prod(1 + s for s in squares.values()) - 1
    for path, square in squares.items():
        assert exact.first[path] == pytest.approx(square / whole, rel=1e-9)
        assert estimate.first[path] == pytest.approx(exact.first[path], abs=2e-3)
        assert estimate.total[path] == pytest.approx(exact.total[path], abs=2e-3)
    assert sum(exact.first.values()) <= 1 <= sum(exact.total.values())


@given(st.floats(-0.8, 0.8), st.floats(0.3, 2))
@settings(max_examples=8, deadline=None)
def test_shapley_effects_of_a_correlated_sum_are_the_closed_form(rho: float, sd: float) -> None:
    beliefs = Beliefs({"x": normal(0, 1), "y": normal(0, sd)}, correlated={("x", "y"): rho})
    found = sensitivity(Pair(), beliefs, x_plus_y, n=1 << 14)
    if rho == 0:
        assert found.shapley == {} or sum(found.shapley.values()) == pytest.approx(1)
        return
    # Owen & Prieur (2017), SIAM/ASA J. UQ 5, theorem 2 with d = 2
    variance = 1 + 2 * rho * sd + sd**2
    share = (1 * (1 - rho**2 / 2) + rho * sd + sd**2 * rho**2 / 2) / variance
    assert found.shapley["x"] == pytest.approx(share, abs=5 * found.shapley["x"].standard_error + 2e-3)
    assert sum(found.shapley.values()) == pytest.approx(1, abs=1e-9)


def test_an_output_that_does_not_vary_has_no_shares() -> None:
    with refused(BeliefError, "infeasible", "value"):
        sensitivity(Pair(), NORMALS, lambda pair: 3.0 + 0 * pair.x)


def test_knowing_more_never_widens_the_expected_interval_of_a_sum() -> None:
    found = {d.paths: float(d.width) for d in disclosure(Pair(), NORMALS, x_plus_y)}
    assert found[("x",)] == pytest.approx(1 / math.sqrt(5), rel=0.03)
    assert found[("y",)] == pytest.approx(2 / math.sqrt(5), rel=0.03)


# comparison --------------------------------------------------------------------------------------------------------


def test_a_spec_compared_with_itself_differs_by_nothing() -> None:
    found = difference(Pair(), Pair(), NORMALS, x_plus_y)
    assert found.simulation.quantile("difference", [0.05, 0.95]) == (0.0, 0.0)


def test_shared_draws_cancel_in_a_difference() -> None:
    found = difference(Pair(p=1.0), Pair(p=2.0), NORMALS, lambda pair: pair.x * pair.p)
    exact = special.ndtri(0.95) * 2 + 1
    assert found.quantile(0.95) == pytest.approx(exact, rel=1e-4)
    assert found.a_below_b == pytest.approx(special.ndtr(0.5), abs=1e-3)


# files -------------------------------------------------------------------------------------------------------------

laws = st.one_of(
    st.builds(lambda a, w: ci90(a, a + w), st.floats(0.1, 5), st.floats(0.1, 5)),
    st.builds(lambda a, w, v: ci90(a, a + w, a + w + v), st.floats(0.1, 5), st.floats(0.1, 5), st.floats(0.1, 5)),
    st.builds(lambda a, w: uniform(a, a + w).truncate(a), st.floats(0.1, 5), st.floats(0.1, 5)),
    st.builds(lambda a, w: mixture([pert(a, a + w, a + 2 * w), triangular(a, a, a + w)], [1, 3]), st.floats(0.1, 5), st.floats(0.1, 5)),
    st.builds(beta, st.floats(0.5, 9), st.floats(0.5, 9)),
)


@given(laws, laws, st.sampled_from([0.25, rank_correlation(0.5), linear_correlation(-0.1)]), st.sampled_from(["toml", "json", "csv"]))
@settings(max_examples=40, deadline=None)
def test_beliefs_come_back_from_a_file_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, a: object, b: object, rho: object, ending: str
) -> None:
    beliefs = Beliefs({"x": a, "p": b, ("y", "z.w"): joint([[1.0, 2.0], [0.5, 3.0]])}, correlated={("x", "p"): rho})  # type: ignore[dict-item]
    file = tmp_path_factory.mktemp("beliefs") / f"mine.{ending}"
    beliefs.save(file)
    assert Beliefs.load(file) == beliefs
    assert Beliefs(*from_dict(beliefs.to_dict())) == beliefs


def test_the_schema_knows_every_kind() -> None:
    known = schema()["$defs"]
    assert {
        "Interval",
        "Normal",
        "LogNormal",
        "Uniform",
        "Triangular",
        "Pert",
        "Beta",
        "Mixture",
        "Empirical",
        "Joint",
        "Truncated",
    } <= set(known)


@pytest.mark.parametrize(
    ("name", "text", "rule_id"),
    [
        ("b.toml", "[beliefs.x]\nkind = 'Interval'\np5 = 3.0\np95 = 1.0\n", "out-of-bounds"),
        ("b.toml", "[beliefs.x]\nkind = 'Intervall'\n", "unknown-kind"),
        ("b.toml", "[beliefs.x]\np5 = 1.0\n", "missing"),
        ("b.json", '{"beliefs": {', "syntax"),
        ("b.csv", "path,kind,p5\nx,Interval,one\n", "wrong-type"),
        ("b.yaml", "", "unsupported"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path: Path, name: str, text: str, rule_id: str) -> None:
    (tmp_path / name).write_text(text)
    with refused(BeliefError, rule_id):
        Beliefs.load(tmp_path / name)
