"""Correlation readings, tornado, regions and disagreement against closed forms."""

from typing import Annotated

import numpy as np
import pytest
from scipy import special, stats

from trainsim.core.errors import BeliefError
from trainsim.core.spec import Spec
from trainsim.core.units import Num, Unit
from trainsim.testing import refused
from trainsim.uncertainty.analysis.comparison import compare_beliefs
from trainsim.uncertainty.analysis.influence import region, tornado
from trainsim.uncertainty.analysis.sensitivity import sensitivity
from trainsim.uncertainty.beliefs.beliefs import Beliefs
from trainsim.uncertainty.beliefs.correlation import Correlation, linear_correlation, rank_correlation
from trainsim.uncertainty.distributions.interval import ci90
from trainsim.uncertainty.distributions.parametric import lognormal, normal, uniform


class Three(Spec):
    x: Annotated[Num, Unit("")] = 0.0
    y: Annotated[Num, Unit("")] = 0.0
    p: Annotated[Num, Unit("", gt=0)] = 1.0


def drawn(beliefs: Beliefs) -> dict[str, np.ndarray]:
    resolved = beliefs.resolve(Three())
    u = next(resolved.points(9, 16).blocks(slice(None), 0, 4096, 4096))
    return resolved.draw(u)


@pytest.mark.parametrize("rho", [-0.7, 0.2, 0.6])
def test_a_correlation_is_realised_as_the_kind_it_was_given(rho: float) -> None:
    def pair(reading: float | Correlation) -> tuple[np.ndarray, np.ndarray]:
        draws = drawn(Beliefs({"x": uniform(0, 1), "p": lognormal(0, 0.4)}, correlated={("x", "p"): reading}))
        return draws["x"], draws["p"]

    x, p = pair(rho)
    assert np.corrcoef(special.ndtri(x), np.log(p))[0, 1] == pytest.approx(rho, abs=2e-3)
    assert stats.spearmanr(*pair(rank_correlation(rho))).statistic == pytest.approx(rho, abs=2e-3)
    assert np.corrcoef(*pair(linear_correlation(rho)))[0, 1] == pytest.approx(rho, abs=4e-3)


def test_an_impossible_linear_correlation_is_refused() -> None:
    beliefs = Beliefs({"x": normal(0, 1), "p": lognormal(0, 2)}, correlated={("x", "p"): linear_correlation(0.9)})
    with refused(BeliefError, "infeasible", "correlated['p', 'x']"):
        beliefs.resolve(Three())


def test_correlating_what_is_one_draw_or_has_no_belief_is_refused() -> None:
    with refused(BeliefError, "unsupported", "correlated['x', 'y']"):
        Beliefs({("x", "y"): normal(0, 1)}, correlated={("x", "y"): 0.3}).resolve(Three())
    with refused(BeliefError, "missing", "correlated['x', 'y']"):
        Beliefs({"x": normal(0, 1)}, correlated={("x", "y"): 0.3}).resolve(Three())
    with refused(BeliefError, "out-of-bounds", "correlated['x', 'y']"):
        Beliefs({"x": normal(0, 1), "y": normal(0, 1)}, correlated={("x", "y"): 1.0})


def test_in_a_merge_the_right_belief_takes_precedence() -> None:
    left = Beliefs({("x", "y"): normal(0, 1), "p": ci90(1, 2)}, correlated={("x", "p"): 0.4})
    merged = left | Beliefs({"y": normal(5, 1)})
    assert merged["y"] == normal(5, 1)
    assert merged["x"] == normal(0, 1)
    assert merged.correlated == left.correlated


def test_a_tornado_is_the_output_at_the_ends_of_each_input() -> None:
    swings = tornado(Three(), Beliefs({"x": normal(0, 1), "y": normal(0, 3)}), lambda s: s.x + 2 * s.y)
    assert [swing.path for swing in swings] == ["y", "x"]
    assert swings[0].high == pytest.approx(6 * special.ndtri(0.95))
    assert swings[1].size == pytest.approx(2 * special.ndtri(0.95))


def test_a_region_lists_the_inputs_with_another_distribution_there() -> None:
    found = region(Three(), Beliefs({"x": normal(0, 1), "y": normal(0, 1)}), lambda s: s.x, above=1.0)
    assert found.probability == pytest.approx(special.ndtr(-1), abs=1e-3)
    assert [shift.path for shift in found.shifts] == ["x", "y"]
    # inside x > 1 the two distribution functions are farthest apart at 1, where the believed one is Φ(1)
    assert found.shifts[0].distance == pytest.approx(special.ndtr(1), abs=2e-3)
    assert found.shifts[1].distance < 0.02
    with refused(BeliefError, "infeasible", "value"):
        region(Three(), Beliefs({"x": normal(0, 1)}), lambda s: s.x, above=99.0)


def test_a_disagreement_is_attributed_to_its_path() -> None:
    mine = Beliefs({"p": ci90(1, 2), "x": normal(3, 0.1)})
    found = compare_beliefs(Three(), {"mine": mine, "theirs": mine | Beliefs({"p": ci90(2, 4)})}, lambda s: s.p * s.x)
    assert found.through["theirs"] == {"p": pytest.approx(2.0, rel=1e-4)}
    with refused(BeliefError, "too-few-data", "views"):
        compare_beliefs(Three(), {"mine": mine}, lambda s: s.p)


def test_shapley_effects_of_many_inputs_use_random_orders() -> None:
    class Many(Spec):
        a: Annotated[Num, Unit("")] = 0.0
        b: Annotated[Num, Unit("")] = 0.0
        c: Annotated[Num, Unit("")] = 0.0
        d: Annotated[Num, Unit("")] = 0.0
        e: Annotated[Num, Unit("")] = 0.0
        f: Annotated[Num, Unit("")] = 0.0
        g: Annotated[Num, Unit("")] = 0.0
        h: Annotated[Num, Unit("")] = 0.0
        i: Annotated[Num, Unit("")] = 0.0
        j: Annotated[Num, Unit("")] = 0.0
        k: Annotated[Num, Unit("")] = 0.0

    beliefs = Beliefs({path: normal(0, 1) for path in "abcdefghijk"}, correlated={("a", "b"): 0.5})

    def total(s: Many) -> Num:
        return s.a + s.b + s.c + s.d + s.e + s.f + s.g + s.h + s.i + s.j + 3 * s.k

    found = sensitivity(Many(), beliefs, total, n=1 << 11)
    assert sum(found.shapley.values()) == pytest.approx(1, abs=1e-9)
    # variance 2 + 2·0.5 + 8 + 9: a and b share theirs evenly
    for path, share in {"a": 1.5 / 20, "b": 1.5 / 20, "c": 1 / 20, "k": 9 / 20}.items():
        assert found.shapley[path] == pytest.approx(share, abs=5 * found.shapley[path].standard_error + 2e-3)
