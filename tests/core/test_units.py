"""Elementwise minimum, maximum and choice: results for floats equal numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainsim.core.units import Num, any_true, choose, larger, smaller

FINITE = st.floats(allow_nan=False)
NUMBERS = FINITE | st.lists(FINITE, min_size=3, max_size=3).map(np.array)


@given(NUMBERS, NUMBERS)
def test_smaller_and_larger_equal_numpy(a: Num, b: Num) -> None:
    assert np.array_equal(smaller(a, b), np.minimum(a, b))
    assert np.array_equal(larger(a, b), np.maximum(a, b))


@given(NUMBERS, NUMBERS, st.booleans(), st.lists(st.booleans(), min_size=3, max_size=3).map(np.array))
def test_choose_equals_numpy_where(yes: Num, no: Num, one: bool, many: NDArray[np.bool_]) -> None:  # noqa: FBT001
    assert np.array_equal(np.broadcast_to(choose(one, yes, no), 3), np.broadcast_to(np.where(one, yes, no), 3))
    assert np.array_equal(choose(many, yes, no), np.where(many, yes, no))
    scalar: Any = np.bool_(one)
    assert choose(scalar, 1.0, 2.0) == choose(one, 1.0, 2.0)
    assert (any_true(one), any_true(many)) == (one, bool(np.any(many)))


@pytest.mark.parametrize("function", [smaller, larger])
def test_floats_stay_floats(function: object) -> None:
    assert type(function(1.0, 2.0)) is float  # type: ignore[operator]
