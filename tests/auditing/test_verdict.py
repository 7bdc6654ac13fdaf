"""The verdict is computed: change the rent, the hours or the claim, and its words change."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import pytest

import trainsim as ts
from trainsim.auditing.words import word_at, word_for_rounding
from trainsim.testing import refused

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
    with refused(ts.TrainsimError, "out-of-bounds", "mfu"):
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
        with refused(ts.TrainsimError, "unit-mismatch", "unit"):
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
    with refused(ts.TrainsimError, "missing", "check"):
        audited().check("vibes")


def at_scope(value: float, scope: str, told_as: str = "") -> Any:
    """The claim with another value, at another scope."""
    return audited(claim=(("value", value), ("scope", scope), ("told_as", told_as)))


@pytest.mark.parametrize(
    ("value", "scope", "number"),
    [
        (70e6, "model at rent", "HOLDS"), (6e6, "model at rent", "FAILS"), (700e6, "model at rent", "FAILS"),
        (5.4e6, "final run at owner's cost", "HOLDS"), (60e6, "final run at owner's cost", "FAILS"),
        (60e6, "model at owner's cost", "HOLDS"), (6e6, "model at owner's cost", "FAILS"),
        (6.0e6, "final run with downtime", "HOLDS"), (6e6, "fleet purchase", "CANNOT BE JUDGED"),
    ],
)  # fmt: skip
def test_a_number_is_judged_at_its_own_scope(value: float, scope: str, number: str) -> None:
    verdict = at_scope(value, scope)
    assert verdict.check("dollars").word == number
    others = {c.name: c.word for c in verdict.checks}
    # hours times a rent is no arithmetic of people and data, and a rent says nothing of an owner
    assert ("arithmetic" in others) == (scope == "final run with downtime")
    assert ("rent" in others) == scope.endswith(("rent", "downtime"))


def test_an_owners_cost_is_another_figure_than_a_rent() -> None:
    rented, owned = (at_scope(6e6, scope) for scope in ("final-run rent", "final run at owner's cost"))
    assert rented.percentile < owned.percentile


def test_words_that_promise_less_than_the_number_holds_mislead_as_well() -> None:
    assert at_scope(70e6, "model at rent", "the last run").words == "MISLEADING"
    assert at_scope(70e6, "model at rent", "the cost of the model").words == "FAIR"
    assert at_scope(6e6, "final-run rent", "final run at owner's cost").words == "FAIR", "it holds there as well"


def test_a_scope_nobody_knows_is_said() -> None:
    verdict = at_scope(6e6, "what a cat would say")
    assert '"what a cat would say" names no scope' in verdict.check("dollars").finding
    assert "names no scope" in str(verdict)
    assert verdict.check("dollars").percentile == audited().check("dollars").percentile


@pytest.mark.parametrize("value", [0.0, -6e6])
def test_nothing_and_less_than_nothing_fail(value: float) -> None:
    assert audited(claim=(("value", value),)).number == "FAILS"


RUNS = ["llama3.1-405b", "deepseek-r1-all", "bloom-176b", "pythia-12b", "phi-3.5-mini"]
"""A dense run with a dot in its name; one without tokens; two before anyone published much; a small one."""


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("quantity", ["cost", "busy_gpu_hours"])
def test_what_its_maker_states_of_any_run_can_be_audited(name: str, quantity: str) -> None:
    run = ts.catalog.run(name)
    stated = ts.estimate(run)
    told = float(stated.told_gpu_hours) * float(stated.price.total)
    value, unit = (told, "USD") if quantity == "cost" else (float(stated.busy_gpu_hours), "GPU-h")
    day = ts.catalog.rows("runs")[name].date.isoformat()
    verdict = ts.audit(ts.Claim(quantity, value, unit=unit, scope="final-run rent", source="its maker", date=day), run)
    assert verdict.check("arithmetic").word == "HOLDS"
    lines = str(verdict).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    sections = [line[:3] for line in lines if line[:1].isdigit() and line[1:3] == "  "]
    assert sections == [f"{i}  " for i in range(1, len(sections) + 1)]
    judged = quantity == "cost" and name not in {"bloom-176b", "pythia-12b"}
    assert bool(verdict.rungs) == judged, "rents of A100 were quoted too seldom to price the two oldest"


def test_where_too_little_was_public_a_users_belief_serves() -> None:
    run = ts.catalog.run("bloom-176b")
    hours = float(ts.estimate(run).told_gpu_hours)
    said = ts.Claim("gpu_hours", hours, unit="GPU-h", source="its log", date="2022-05-31")
    nobody = ts.audit(said, run)
    assert nobody.check("hours").word == "CANNOT BE JUDGED"
    assert "too few" in nobody.check("hours").finding
    assert nobody.check("physics").word == "HOLDS"
    mine = ts.audit(said, run, ts.Beliefs({"efficiency.mfu": ts.ci90(0.25, 0.45)}))
    assert mine.check("hours").word == "HOLDS"
    assert ts.audit(said, run, ts.Beliefs({"efficiency.mfu": ts.ci90(0.6, 0.7)})).check("hours").word == "FAILS"


def test_a_subject_nobody_disclosed_is_no_guess() -> None:
    said = ts.Claim("cost", 6e6, unit="USD", subject="deepseek-v33", source="a typo")
    assert ts.audit(said).number == "CANNOT BE JUDGED"
    assert "did you mean 'deepseek-v3'" in ts.audit(said).checks[0].finding
