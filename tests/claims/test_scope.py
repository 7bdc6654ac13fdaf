"""Scopes: inclusion and addition, which need equal basis and kind."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.claims.scope import BASES, CONTENTS, GROUPS, contents_text, expand_contents

contents = st.lists(st.sampled_from([c for c in CONTENTS if c != "company"]), unique=True, max_size=5).map(tuple)
scopes = st.builds(
    lambda c, b, k: ts.Scope(contents=c, basis=b, kind=k),
    contents,
    st.sampled_from(["market rent", "cloud list", "owner's amortised"]),
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
        assert a == b
    assert set(a.lacks(b)) == set(second) - set(first)
    assert (not a.lacks(b)) == b.inside(a)


@given(scopes, contents, contents)
def test_addition_holds_both_and_counts_nothing_twice(scope: ts.Scope, first: tuple[str, ...], second: tuple[str, ...]) -> None:
    a, b = (scope.replace({"contents": c}) for c in (first, second))
    if set(first) & set(second):
        with pytest.raises(ts.TrainsimError) as caught:
            _ = a + b
        assert caught.value.remedy == "count it once"
        return
    both = a + b
    assert a.inside(both)
    assert b.inside(both)
    assert both == b + a
    assert set(both.contents) == set(first) | set(second)
    assert alike(both, scope)


@given(scopes, scopes)
def test_another_basis_or_kind_needs_its_own_inputs(a: ts.Scope, b: ts.Scope) -> None:
    assume(not alike(a, b))
    for act in (lambda: a.inside(b), lambda: a + b, lambda: a.lacks(b)):
        with pytest.raises(ts.TrainsimError) as caught:
            act()
        assert caught.value.path == "scope"
    assert not a.comparable(b)


def test_groups_and_short_names() -> None:
    run = ts.Scope(contents=("final_run",))  # type: ignore[arg-type]
    assert run == ts.Scope(contents=("post_training", "pretraining", "context_extension"))
    assert run.inside(ts.Scope(contents=("model",)))  # type: ignore[arg-type]
    for short, name in BASES.items():
        assert ts.Scope(contents=("people",), basis=short).basis == name  # type: ignore[arg-type]
    company = ts.Scope(contents=("company",))
    assert all(ts.Scope(contents=(c,)).inside(company) for c in CONTENTS)
    with pytest.raises(ts.TrainsimError) as caught:
        ts.Scope(contents=("staff",))  # type: ignore[arg-type]
    assert caught.value.path == "contents"


def test_groups_are_a_chain_and_have_a_name() -> None:
    for lower, upper in pairwise([expand_contents(name) for name in ("pretraining", *GROUPS)]):
        assert set(lower) < set(upper)
    assert {contents_text(expand_contents(group)) for group in GROUPS} == {"the final run", "the whole model"}


def test_a_scope_survives_a_file(tmp_path: Path) -> None:
    scope = ts.Scope(contents=("final_run", "people"), basis="cloud list")  # type: ignore[arg-type]
    scope.save(tmp_path / "scope.toml")
    assert ts.Scope.load(tmp_path / "scope.toml") == scope
    claim = ts.Claim("cost", low=2, high=5, unit="MUSD", scope=scope, original="2 a 5 milhões")
    claim.save(tmp_path / "claim.toml")
    assert ts.Claim.load(tmp_path / "claim.toml") == claim
