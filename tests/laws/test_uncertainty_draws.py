"""Laws of distributions, beliefs and draws."""

from typing import Annotated

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from trainsim.core.errors import BeliefError
from trainsim.core.spec import Spec
from trainsim.core.units import Num, Unit
from trainsim.testing import refused
from trainsim.uncertainty.beliefs.beliefs import Beliefs
from trainsim.uncertainty.distributions.composed import empirical, joint, mixture
from trainsim.uncertainty.distributions.distribution import Distribution
from trainsim.uncertainty.distributions.interval import ci90
from trainsim.uncertainty.distributions.parametric import beta, lognormal, normal, pert, triangular, uniform
from trainsim.uncertainty.distributions.tables import CubicScoreTable, accurate_sampler, fast_sampler
from trainsim.uncertainty.sampling.engine import simulate


class Box(Spec):
    """Numbers with every kind of bound."""

    a: Annotated[Num, Unit("", gt=0)] = 1.0
    b: Annotated[Num, Unit("", gt=0)] = 1.0
    c: Annotated[Num, Unit("", gt=0)] = 1.0
    share: Annotated[Num, Unit("", gt=0, lt=1)] = 0.5
    free: Annotated[Num, Unit("")] = 0.0


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False).map(lambda x: round(x, 6))


@st.composite
def rising(draw: st.DrawFn, low: float, high: float, count: int) -> tuple[float, ...]:
    """Numbers in increasing order, well separated."""
    steps = draw(st.lists(floats(0.05, 1.0), min_size=count + 1, max_size=count + 1))
    return tuple((low + (high - low) * np.cumsum(steps)[:count] / sum(steps)).tolist())


simple = st.one_of(
    st.builds(normal, floats(-5, 5), floats(0.1, 3)),
    st.builds(lognormal, floats(-2, 2), floats(0.05, 1)),
    rising(-3, 9, 2).map(lambda ends: uniform(*ends)),
    rising(-3, 9, 3).map(lambda ends: triangular(*ends)),
    rising(-3, 9, 3).map(lambda ends: pert(*ends)),
    st.builds(beta, floats(0.5, 40), floats(0.5, 40)),
    st.builds(
        lambda q, unit: ci90(*q).for_field(unit, "x"),
        rising(0.05, 0.95, 2),
        st.sampled_from([Unit(""), Unit("", gt=0), Unit("", lt=1), Unit("", gt=0, lt=1)]),
    ),
    st.builds(
        lambda q, unit: ci90(*q).for_field(unit, "x"),
        rising(0.05, 0.95, 3),
        st.sampled_from([Unit(""), Unit("", gt=0), Unit("", lt=1), Unit("", gt=0, lt=1)]),
    ),
)
composed = st.one_of(
    simple,
    st.builds(lambda law, u: law.truncate(*map(float, law.ppf(u))), simple, rising(0.02, 0.98, 2)),
    st.builds(lambda laws: mixture(laws), st.lists(simple, min_size=1, max_size=3)),
)
SHARES = np.linspace(0.001, 0.999, 97)


@given(composed)
@settings(deadline=None)
def test_the_distribution_function_undoes_the_quantile_function(law: Distribution) -> None:
    np.testing.assert_allclose(law.cdf(law.ppf(SHARES)), SHARES, atol=1e-9)
    assert np.all(np.diff(law.ppf(SHARES)) > 0)


@given(composed)
@settings(deadline=None)
def test_a_normal_score_and_its_level_give_the_same_value(law: Distribution) -> None:
    z = np.linspace(-3, 3, 13)
    np.testing.assert_allclose(law.score(law.from_score(z)), z, atol=1e-7)


@given(composed, st.sampled_from(["ppf", "from_score", "cdf", "score"]))
@settings(deadline=None)
def test_a_number_gives_a_number_equal_to_that_of_an_array(law: Distribution, method: str) -> None:
    levels = np.array([0.05, 0.5, 0.95])
    given_to = {"ppf": levels, "from_score": levels, "cdf": law.ppf(levels), "score": law.ppf(levels)}[method]
    alone = [getattr(law, method)(float(value)) for value in given_to]
    assert [np.shape(value) for value in alone] == [()] * 3
    np.testing.assert_allclose(alone, getattr(law, method)(given_to), rtol=1e-12, atol=1e-12)


@given(simple)
@settings(max_examples=30, deadline=None)
def test_mean_and_deviation_are_those_of_the_draws(law: Distribution) -> None:
    x = law.ppf((np.arange(1 << 16) + 0.5) / (1 << 16))
    assume(law.sd < 0.4 * (x[-650] - x[650]))  # for larger values a mean of draws is inaccurate
    assert x.mean() == pytest.approx(law.mean, abs=5e-3 * law.sd)
    assert x.std() == pytest.approx(law.sd, rel=0.05)


@given(rising(-5, 20, 3))
@settings(max_examples=25, deadline=None)
def test_the_mean_of_a_pert_is_a_weighted_third(ends: tuple[float, float, float]) -> None:
    low, mode, high = ends
    law = pert(low, mode, high)
    x = law.ppf((np.arange(1 << 14) + 0.5) / (1 << 14))
    assert x.mean() == pytest.approx((low + 4 * mode + high) / 6, abs=1e-4 * (high - low))


@given(rising(0.05, 0.95, 3), st.sampled_from([Unit(""), Unit("", gt=0), Unit("", lt=1), Unit("", gt=0, lt=1), Unit("", gt=-2)]))
@settings(deadline=None)
def test_an_interval_hits_its_quantiles_and_keeps_its_bounds(q: tuple[float, float, float], unit: Unit) -> None:
    for interval, levels in [(ci90(*q), [0.05, 0.5, 0.95]), (ci90(q[0], q[2]), [0.05, 0.95]), (ci90(p50=q[1], p95=q[2]), [0.5, 0.95])]:
        law = interval.for_field(unit, "x")
        np.testing.assert_allclose(law.ppf(levels), list(interval.quantiles.values()), rtol=1e-12)
        low, high = law.from_score([-8.0, 8.0])
        assert unit.low < low < high < unit.high


@given(rising(0.05, 0.95, 3))
@settings(deadline=None)
def test_three_quantiles_give_a_density_without_a_kink(q: tuple[float, float, float]) -> None:
    law = ci90(*q).for_field(Unit("", gt=0, lt=1), "x")
    z = np.linspace(-3, 3, 6001)
    slope = np.gradient(law.from_score(z), z)
    assert np.all(slope > 0)
    # at a kink the slope jumps between nodes of any spacing; that of a smooth density does not
    assert np.max(np.abs(np.diff(slope))) < 0.02 * np.max(slope)


@given(simple, rising(0.02, 0.98, 2))
@settings(deadline=None)
def test_truncation_leaves_no_mass_at_a_bound(law: Distribution, u: tuple[float, float]) -> None:
    low, high = (float(x) for x in law.ppf(u))
    cut = law.truncate(low, high)
    x = cut.ppf(SHARES)
    assert np.all((x > low) & (x < high))
    assert len(np.unique(x)) == len(x)
    # renormalised: inside the bounds the density is the original one, scaled
    np.testing.assert_allclose(cut.cdf(x), (law.cdf(x) - u[0]) / (u[1] - u[0]), atol=1e-9)


@given(composed)
@example(mixture([uniform(4.4, 8.1), uniform(0.7, 1.6)]))  # an empty stretch just in the middle, between two checks
@example(mixture([uniform(4.4, 8.1), uniform(0.7, 1.6)]).truncate(1.0, 8.0))
@settings(max_examples=40, deadline=None)
def test_tables_give_the_values_of_their_law(law: Distribution) -> None:
    inner = float(np.ptp(law.ppf([0.05, 0.95])))
    u = np.linspace(0.004, 0.996, 300)
    assert np.max(np.abs(accurate_sampler(law).ppf(u) - law.ppf(u))) <= 1e-7 * inner
    if isinstance(accurate_sampler(law), CubicScoreTable):
        assert np.max(np.abs(fast_sampler(law).ppf(u.copy()) - law.ppf(u))) <= 3e-5 * inner


@given(composed)
@settings(max_examples=60, deadline=None)
def test_draws_stay_within_the_support_out_to_the_outermost_points(law: Distribution) -> None:
    # draws of a distribution that was checked against its field are not checked again
    near = np.array([2.0**-53, 1e-15, 1e-9, 1e-4])
    u = np.concatenate([near, SHARES, 1 - near])
    low, high = law.support
    for sampler in (accurate_sampler(law), fast_sampler(law)):
        for x in (sampler.ppf(u.copy()), sampler.from_score(np.linspace(-8.2, 8.2, 99))):
            assert np.all(np.isfinite(x) & (x >= low) & (x <= high))


fields = st.sampled_from(["a", "b", "c", "share", "free"])
POOL = {"a": ci90(1, 3), "b": lognormal(0, 0.3), "c": triangular(1, 2, 4), "share": beta(5, 9), "free": normal(0, 1)}


def draws_of(beliefs: Beliefs, path: str) -> list[np.ndarray]:
    seen: list[np.ndarray] = []

    def watch(box: Box) -> Num:
        seen.append(np.array(box.get(path)))
        return box.get(path)  # type: ignore[no-any-return]

    simulate(Box(), beliefs, watch, n=1 << 12, seed=11)
    return seen


@given(st.sets(fields, min_size=1), fields)
@settings(max_examples=20, deadline=None)
def test_a_belief_elsewhere_leaves_a_marginal_unchanged(others: set[str], path: str) -> None:
    alone = draws_of(Beliefs({path: POOL[path]}), path)
    beside = draws_of(Beliefs({p: POOL[p] for p in others | {path}}), path)
    for x, y in zip(alone[-1:], beside[-1:], strict=True):
        assert np.array_equal(np.unique(x), np.unique(y))
    one, many = (
        simulate(Box(), Beliefs({p: POOL[p] for p in ps}), lambda box: box.get(path), n=1 << 12) for ps in ({path}, others | {path})
    )
    assert one.quantile("value", [0.05, 0.5, 0.95]) == many.quantile("value", [0.05, 0.5, 0.95])
    # the values and their order are equal
    resolved = [Beliefs({p: POOL[p] for p in ps}).resolve(Box()) for ps in ({path}, others | {path})]
    blocks = [r.draw(next(r.points(5, 4).blocks(slice(0, 1), 0, 256, 256)))[path] for r in resolved]
    assert np.array_equal(blocks[0], blocks[1])


@given(st.integers(0, 11), st.integers(1, 4), st.integers(4, 12), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_points_are_the_same_in_one_or_several_blocks(start: int, doublings: int, size: int, replicates: int) -> None:
    first, last = 1 << start, 1 << (start + doublings)
    points = Beliefs(POOL).resolve(Box()).points(3, replicates)
    whole = next(points.blocks(slice(None), 0, last, last)).copy().reshape(5, replicates, -1)
    assert len(np.unique(whole[0])) == whole[0].size  # each point is in its own cell of its replicate
    pieces = [u.copy().reshape(5, replicates, -1) for u in points.blocks(slice(None), first, last, 1 << size)]
    assert np.array_equal(np.concatenate([whole[..., :first], *pieces], axis=-1), whole)


def mix(box: Box) -> Num:
    return box.a * box.b + box.c / box.share + box.free


@given(st.permutations(list(POOL)))
@settings(max_examples=10, deadline=None)
def test_permuting_beliefs_changes_nothing(order: list[str]) -> None:
    correlated = [(("a", "b"), 0.3), (("c", "a"), -0.2)]
    turned = {(j, i): rho for (i, j), rho in reversed(correlated)}
    first = simulate(Box(), Beliefs(POOL, correlated=dict(correlated)), mix, n=1 << 12, seed=2)
    other = simulate(Box(), Beliefs({p: POOL[p] for p in order}, correlated=turned), mix, n=1 << 12, seed=2)
    assert first.quantile("value", [0.05, 0.5, 0.95]) == other.quantile("value", [0.05, 0.5, 0.95])
    assert first.mean("value") == other.mean("value")


@given(composed)
@settings(max_examples=20, deadline=None)
def test_a_number_less_itself_is_zero(law: Distribution) -> None:
    sim = simulate(Box(), Beliefs({"free": law}), lambda box: box.free - box.free, n=1 << 10)
    assert sim.quantile("value", [0.01, 0.99]) == (0.0, 0.0)


def test_one_belief_at_two_paths_is_one_draw() -> None:
    sim = simulate(Box(), Beliefs({("a", "b"): ci90(1, 3)}), lambda box: box.a - box.b, n=1 << 10)
    assert sim.quantile("value", [0.01, 0.99]) == (0.0, 0.0)


@given(rising(1, 9, 3), st.booleans())
@settings(max_examples=15, deadline=None)
def test_a_larger_input_moves_every_quantile_of_a_rising_output_up(q: tuple[float, float, float], kinked: bool) -> None:  # noqa: FBT001  (Hypothesis draws it)
    def output(box: Box) -> Num:
        return np.maximum(box.a, 2.0) * box.b if kinked else box.a * box.b

    low, high = (simulate(Box(), Beliefs({"a": ci90(*ends), "b": POOL["b"]}), output, n=1 << 13) for ends in (q[:2], (q[1], q[2])))
    for level in (0.05, 0.5, 0.95):
        a, b = low.quantile("value", level), high.quantile("value", level)
        assert b >= a or (kinked and b == pytest.approx(a, rel=1e-3))


def test_joint_rows_are_drawn_whole() -> None:
    rows = np.random.default_rng(3).lognormal(size=(200, 2))
    belief = Beliefs({("b", "a"): joint(rows)})
    resolved = belief.resolve(Box())
    drawn = resolved.draw(np.linspace(0.001, 0.999, 501)[None, :])
    known = {(a, b) for b, a in rows.tolist()}
    assert all(pair in known for pair in zip(drawn["a"].tolist(), drawn["b"].tolist(), strict=True))


def test_an_empirical_belief_draws_only_its_samples() -> None:
    law = empirical([1.0, 2.0, 4.0], weights=[1, 2, 1])
    assert set(law.ppf(SHARES).tolist()) == {1.0, 2.0, 4.0}
    assert law.cdf(2.0) == pytest.approx(0.75)


@given(st.lists(floats(-0.95, 0.95), min_size=3, max_size=3))
@settings(deadline=None)
def test_an_impossible_matrix_is_refused_with_a_value_that_would_do(rhos: list[float]) -> None:
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    matrix = np.array([[1, rhos[0], rhos[1]], [rhos[0], 1, rhos[2]], [rhos[1], rhos[2], 1]])
    least = np.linalg.eigvalsh(matrix)[0]
    assume(abs(least) > 1e-6)
    beliefs = Beliefs({p: POOL[p] for p in "abc"}, correlated=dict(zip(pairs, rhos, strict=True)))
    if least > 0:
        beliefs.resolve(Box())
        return
    with refused(BeliefError, "infeasible") as found:
        beliefs.resolve(Box())
    pair = next(p for p in pairs if f"correlated[{p[0]!r}, {p[1]!r}]" == found.error.path)
    nearest = float(found.error.remedy.rsplit(" ", 1)[1])
    mended = {**dict(zip(pairs, rhos, strict=True)), pair: nearest * (1 - 1e-3) if abs(nearest) > 0.01 else nearest}
    i, j = ("abc".index(p) for p in pair)
    matrix[i, j] = matrix[j, i] = mended[pair]
    assert np.linalg.eigvalsh(matrix)[0] > -2e-3
