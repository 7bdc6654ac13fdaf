"""The verdict is computed: change the rent, the hours or the claim, and its words change."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import pytest

import trainsim as ts
from trainsim.claims.words import word_at, word_for_rounding

SIX = "deepseek-v3-6m"


@cache
def audited(hours: float = 1.0, rent: float = 2.0, claim: tuple[tuple[str, Any], ...] = ()) -> Any:
    """The $6M claim on the run as disclosed, with hours, rent or the claim changed."""
    run = ts.catalog.run("deepseek-v3")
    changes: dict[str, Any] = {"price.usd_per_gpu_hour": rent}
    for phase in run.phases:
        path = f"phases.{phase.name}.efficiency.gpu_hours"
        changes[path] = float(run.get(path)) * hours
    verdict = ts.audit(ts.catalog.claim(SIX).replace(dict(claim)), run.replace(changes))
    lines = str(verdict).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80, "one screen, whatever the answer"
    assert lines[0].startswith("Is ")
    assert any(line.startswith("VERDICT") for line in lines)
    return verdict


def words(verdict: Any) -> dict[str, str]:
    return {"number": verdict.number, "words": verdict.words, **{c.name: c.word for c in verdict.checks}}


def test_as_told_the_number_holds_and_the_words_mislead() -> None:
    verdict = audited()
    assert words(verdict) == {
        "number": "HOLDS", "words": "MISLEADING", "arithmetic": "HOLDS", "physics": "HOLDS", "hours": "HOLDS", "rent": "HOLDS",
        "dollars": "HOLDS",
    }  # fmt: skip
    assert verdict.estimate.busy_gpu_hours == pytest.approx(2.788e6)
    assert "39.1% of the BF16 peak" in verdict.check("physics").finding
    assert words(ts.audit(ts.catalog.claim(SIX))) == words(verdict), "the catalogue's own run is the subject"


@pytest.mark.parametrize(
    ("changes", "number", "changed"),
    [
        ({"rent": 0.2}, "FAILS", {"rent", "arithmetic"}),
        ({"rent": 20.0}, "FAILS", {"rent", "arithmetic"}),
        ({"hours": 3.0}, "FAILS", {"arithmetic", "dollars"}),
        ({"hours": 1 / 3}, "FAILS", {"arithmetic", "hours"}),
        ({"claim": (("value", 5.6), ("unit", "BUSD"))}, "FAILS", {"arithmetic", "dollars"}),
    ],
    ids=["rent of $0.2", "rent of $20", "three times the hours", "a third of the hours", "a claim of $5.6B"],
)
def test_another_rent_other_hours_or_another_claim_change_the_words(changes: dict[str, Any], number: str, changed: set[str]) -> None:
    told, verdict = words(audited()), words(audited(**changes))
    assert verdict["number"] == number
    assert {name for name in told if verdict[name] != told[name]} >= {"number", *changed}


def test_an_implied_utilisation_above_one_is_a_verdict() -> None:
    verdict = audited(hours=0.1)
    assert verdict.number == "IMPOSSIBLE"
    assert verdict.check("physics").word == "IMPOSSIBLE"
    assert "can't do that much work" in str(verdict)
    with pytest.raises(ts.TrainsimError, match="<= 1"):
        ts.MFU(1.95)


def test_words_that_name_the_scope_are_fair() -> None:
    assert audited(claim=(("told_as", "final-run rent"),)).words == "FAIR"
    assert audited(claim=(("told_as", "something vague"),)).words == "CANNOT BE JUDGED"


@pytest.mark.parametrize(("value", "unit"), [(0.006, "B$")])
def test_the_same_value_in_another_unit_has_the_same_verdict(value: float, unit: str) -> None:
    other = audited(claim=(("value", value), ("unit", unit)))
    assert words(other) == words(audited())
    assert other.percentile == audited().percentile
    assert [r.odds for r in other.rungs] == [r.odds for r in audited().rungs]
    assert other.scopes == audited().scopes


def test_a_unit_of_another_dimension_is_an_error() -> None:
    for unit in ("GPU-h", "token", "EUR", ""):
        with pytest.raises(ts.TrainsimError, match="can't measure cost"):
            ts.audit(ts.catalog.claim(SIX).replace({"unit": unit}))


def test_a_ladder_of_scopes_rises() -> None:
    verdict = audited()
    for lower, upper in pairwise(verdict.rungs):
        assert set(lower.contents) < set(upper.contents)
        assert all(low <= high for low, high in zip(lower.rent, upper.rent, strict=True))
        assert lower.odds >= upper.odds
    for rung in verdict.rungs:
        assert list(rung.rent) == sorted(rung.rent)
        assert all(figure.standard_error < 0.02 * figure for figure in rung.rent)


def test_users_beliefs_win() -> None:
    run = ts.catalog.run("deepseek-v3")
    sure = ts.Beliefs({"price.usd_per_gpu_hour": ts.ci90(19, 21)})
    verdict = ts.audit(ts.catalog.claim(SIX), run, sure)
    assert verdict.check("dollars").word == "FAILS"


def test_blind_means_the_day_before() -> None:
    told = ts.catalog.claim(SIX)
    evidence = audited().evidence["mfu"]
    rows = ts.catalog.rows("runs")
    assert evidence.used
    for address in evidence.used:
        row = rows[address.partition("/")[2]]
        assert row.date.isoformat() < told.date
    assert "runs/deepseek-v3" in evidence.set_aside


@pytest.mark.parametrize(
    ("percentile", "word"),
    [(50, "HOLDS"), (5, "HOLDS"), (95, "HOLDS"), (4.9, "STRAINED"), (95.1, "STRAINED"), (1, "STRAINED"), (0.9, "FAILS"),
     (99.1, "FAILS"),     (0, "FAILS"), (100, "FAILS")],
)  # fmt: skip
def test_words_are_defined_by_percentiles(percentile: float, word: str) -> None:
    assert word_at(percentile) == word


@pytest.mark.parametrize(
    ("stated", "computed", "word"),
    [(6e6, 5.576e6, "HOLDS"), (5.6e6, 5.576e6, "HOLDS"), (5.576e6, 5.576e6, "HOLDS"), (5.5e6, 5.576e6, "STRAINED"), (7e6, 5.576e6, "FAILS"),
     (5.6e9, 5.576e6, "FAILS"), (6, 16.7, "FAILS")],
)  # fmt: skip
def test_rounding_is_no_fault(stated: float, computed: float, word: str) -> None:
    assert word_for_rounding(stated, computed) == word


def test_a_check_that_was_not_made_is_named() -> None:
    with pytest.raises(ts.TrainsimError, match="made: arithmetic, physics, hours"):
        audited().check("vibes")
