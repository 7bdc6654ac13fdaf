"""Scopes: inclusion and addition at equal basis and kind, and nowhere else."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.claims.scope import RUNGS, SCOPES, scope_of
from trainsim.testing import refused

CONTENTS = (*RUNGS, "fleet", "operation")
contents = st.lists(st.sampled_from(CONTENTS), unique=True, max_size=5).map(tuple)
scopes = st.builds(
    lambda c, b, k: ts.Scope(contents=c, basis=b, kind=k),
    contents,
    st.sampled_from(["rent", "owner"]),
    st.sampled_from(["run", "year", "stock"]),
)


def alike(a: ts.Scope, b: ts.Scope) -> bool:
    return (a.basis, a.kind) == (b.basis, b.kind)


@given(scopes, contents, contents)
def test_inclusion_is_an_order(scope: ts.Scope, first: tuple[str, ...], second: tuple[str, ...]) -> None:
    a, b = (scope.replace({"contents": c}) for c in (first, second))
    assert scope.inside(scope)
    assert a.inside(b) == (set(first) <= set(second))
    if a.inside(b) and b.inside(scope):
        assert a.inside(scope)
    if a.inside(b) and b.inside(a):
        assert set(a.contents) == set(b.contents)
    assert set(a.lacks(b)) == set(second) - set(first)
    assert (not a.lacks(b)) == b.inside(a)


@given(scopes, contents, contents)
def test_addition_holds_both_and_counts_nothing_twice(scope: ts.Scope, first: tuple[str, ...], second: tuple[str, ...]) -> None:
    a, b = (scope.replace({"contents": c}) for c in (first, second))
    if set(first) & set(second):
        with refused(ts.TrainsimError, "duplicate", "scope"):
            _ = a + b
        return
    both = a + b
    assert a.inside(both)
    assert b.inside(both)
    assert set(both.contents) == set((b + a).contents) == set(first) | set(second)
    assert alike(both, scope)


@given(scopes, scopes)
def test_another_basis_or_kind_is_a_translation(a: ts.Scope, b: ts.Scope) -> None:
    assume(not alike(a, b))
    for act in (lambda: a.inside(b), lambda: a + b, lambda: a.lacks(b)):
        with refused(ts.TrainsimError, "unit-mismatch", "scope"):
            act()


def test_the_ladder_is_a_chain_of_named_scopes() -> None:
    rungs = ["final-run rent", "final run with downtime", "all runs at rent", "compute at rent", "model at rent"]
    for lower, upper in pairwise(rungs):
        assert SCOPES[lower].inside(SCOPES[upper])
        assert not SCOPES[upper].inside(SCOPES[lower])
    with pytest.raises(ts.TrainsimError):
        SCOPES["final-run rent"].inside(SCOPES["final run at owner's cost"])


def test_words_name_a_scope_or_none() -> None:
    assert scope_of("The Cost of the Model ") == SCOPES["model at rent"]
    assert scope_of("final run  RENT") == SCOPES["final-run rent"]
    assert scope_of("all the money in the world") is None
