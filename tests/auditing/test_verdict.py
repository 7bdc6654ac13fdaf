"""The verdict is computed: change the rent, the hours or the claim, and its words change."""

from __future__ import annotations

import math
import pickle
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.auditing.audit import BEFORE, clock_of
from trainsim.auditing.comparison import SEVERITY
from trainsim.auditing.disclosure import Disclosure
from trainsim.auditing.predictions import priced
from trainsim.catalog.rows import rows
from trainsim.claims.scope import CONTENTS

SIX = "deepseek-v3-6m"
V3 = ts.Claim("cost", 6, unit="MUSD", subject="deepseek-v3", scope="final-run rent", date="2024-12-26")


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
    assert len(lines) <= 44
    assert max(map(len, lines)) <= 80, "one screen, whatever the answer"
    assert any(line.startswith("NUMBER") for line in lines)
    return verdict


@cache
def said(value: float, told_as: str = "", scope: str = "final-run rent", unit: str = "MUSD", bound: str = "") -> Any:
    return ts.audit(V3.replace({"value": value, "told_as": told_as, "scope": scope, "unit": unit, "bound": bound}))


def test_the_number_is_confirmed_and_the_words_mislead() -> None:
    verdict = ts.audit(ts.catalog.claim(SIX))
    assert (verdict.number, verdict.words) == ("CONFIRMED", "MISLEADING")
    assert verdict.estimate.busy_gpu_hours == pytest.approx(2.788e6)  # type: ignore[union-attr]
    assert {r.name: r.words for r in verdict.readings} == {"the final run": "FAIR", "the whole model": "MISLEADING"}
    low, high = verdict.chosen.times(6e6)  # type: ignore[union-attr]
    assert 4 < low < 8
    assert 18 < high < 30
    assert verdict.headline in " ".join(str(verdict).split())
    assert verdict.quote in " ".join(str(verdict).split())
    assert "39.1% of the BF16 peak" in str(verdict)
    assert len(str(verdict).splitlines()) <= 40


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({}, "CONFIRMED"), ({"rent": 0.2}, "REFUTED"), ({"rent": 20.0}, "REFUTED"), ({"hours": 3.0}, "REFUTED"),
        ({"hours": 1 / 3}, "REFUTED"),
        ({"claim": (("value", 5.6), ("unit", "BUSD"))}, "REFUTED"), ({"claim": (("value", 0.0),)}, "REFUTED"),
    ],
)  # fmt: skip
def test_another_rent_other_hours_or_another_claim_change_the_word(changes: dict[str, Any], number: str) -> None:
    assert audited(**changes).number == number


def test_reported_hours_above_the_peak_are_impossible() -> None:
    verdict = audited(hours=0.1)
    assert verdict.check("reported").word == "IMPOSSIBLE"
    assert verdict.check("prediction").percentile is not None
    assert ts.audit(ts.Claim("gpu_hours", 2e5, unit="GPU-h", subject="deepseek-v3")).number == "IMPOSSIBLE"
    assert ts.audit(ts.Claim("mfu", 1.2, subject="deepseek-v3")).number == "IMPOSSIBLE"
    assert ts.audit(ts.Claim("tokens", 1, unit="Ttoken", subject="deepseek-v3")).number == "IMPOSSIBLE"
    assert ts.audit(ts.Claim("experts", 20_000, unit="expert", subject="deepseek-v3")).number == "IMPOSSIBLE"
    assert ts.audit(ts.Claim("cost", 1, unit="USD", subject="deepseek-v3")).number == "REFUTED", "money is never impossible"


@settings(deadline=None, max_examples=12)
@given(st.floats(1.0, 4.0), st.floats(1.0, 4.0), st.sampled_from((1, -1)))
def test_moving_away_from_the_disclosure_never_improves_the_number(near: float, far: float, side: int) -> None:
    close, away = (ts.audit(V3.replace({"value": 5.576 * f**side})).number for f in sorted((near, far)))
    assert SEVERITY.index(away) >= SEVERITY.index(close)


@pytest.mark.parametrize(
    ("told_as", "words"),
    [
        ("the GPU rental of the final run", "FAIR"), ("what training the model cost", "MISLEADING"), ("the hardware", "MISLEADING"),
        ("all in: research, staff, data, failed runs", "MISLEADING"), ("pre-training alone", "FAIR"), ("flurble compute", "NOT UNDERSTOOD"),
        ("the yearly cost of the final run", "MISLEADING"),
    ],
)  # fmt: skip
def test_words_are_judged_at_the_scope_they_name(told_as: str, words: str) -> None:
    verdict = said(5.6, told_as)
    assert verdict.words == words
    assert verdict.number == "CONFIRMED", "words are no part of the number"


@settings(deadline=None, max_examples=8)
@given(st.text(alphabet="qxzjv", min_size=4, max_size=8))
def test_unread_words_never_give_more_than_not_understood(word: str) -> None:
    assert said(5.6, f"the final run and {word}").words == "NOT UNDERSTOOD"


def test_a_source_may_show_the_intended_meaning() -> None:
    shown = ts.audit(V3.replace({"value": 5.6, "told_as": "training cost", "meant": ("pretraining", "context_extension", "post_training")}))
    assert shown.words == "FAIR"
    assert said(5.6, "training cost").words == "MISLEADING", "else the widest counts"


def test_a_scope_that_is_not_understood_is_an_error() -> None:
    with pytest.raises(ts.TrainsimError) as caught:
        said(6.0, scope="what a cat would say")
    assert caught.value.path == "scope"
    assert "final_run" in caught.value.remedy


def test_a_scope_can_be_given_as_parts() -> None:
    parts = ts.Scope(contents=("final_run",), basis="rent")  # type: ignore[arg-type]
    assert ts.audit(V3.replace({"scope": parts})).number == "CONFIRMED"
    assert ts.audit(V3.replace({"scope": ts.Scope(contents=("final_run", "people"))})).number in ("CANNOT BE JUDGED", "REFUTED")  # type: ignore[arg-type]
    less = ts.audit(V3.replace({"value": 1.0, "scope": ts.Scope(contents=("model",))}))  # type: ignore[arg-type]
    assert less.number == "REFUTED", "less than a part of it"


@pytest.mark.parametrize(("value", "unit"), [(0.006, "B$"), (6000, "kUSD"), (6, "million USD")])
def test_another_unit_has_the_same_verdict(value: float, unit: str) -> None:
    one, other = said(6.0, "training cost"), said(value, "training cost", unit=unit)
    assert (other.number, other.words, other.scopes) == (one.number, one.words, one.scopes)


def test_another_currency_at_the_rate_of_the_day_has_the_same_verdict() -> None:
    from trainsim.catalog.currencies import usd_per

    for currency in ("CNY", "EUR", "GBP"):
        rate = usd_per(currency, clock_of(V3, None).blind)
        other = said(6.0 / rate, "training cost", unit=f"M{currency}")
        assert (other.number, other.words) == (said(6.0, "training cost").number, said(6.0, "training cost").words)
    with pytest.raises(ts.TrainsimError):
        said(6.0, unit="MXYZ")


@pytest.mark.parametrize(
    ("value", "scope", "number"),
    [
        (5.4, "final run at owner's cost", "CANNOT BE JUDGED"), (200, "final run at owner's cost", "CANNOT BE JUDGED"),
        (6.0, "fleet purchase", "CANNOT BE JUDGED"), (5.3, "pre-training", "CONFIRMED"),
        (10.0, "final run at cloud list prices", "NOT REFUTED"),
    ],
)  # fmt: skip
def test_a_number_is_judged_at_its_own_scope(value: float, scope: str, number: str) -> None:
    assert said(value, scope=scope).number in (number, "REFUTED" if value == 200 else number)


def test_a_ladder_of_scopes_rises() -> None:
    verdict = ts.audit(ts.catalog.claim(SIX))
    for lower, upper in pairwise(verdict.rungs):
        assert lower.contents < upper.contents
        assert all(low <= high for low, high in zip(lower.rent, upper.rent, strict=True))
        assert lower.odds >= upper.odds
    for rung in verdict.rungs:
        assert list(rung.rent) == sorted(rung.rent)
        assert rung.grade in "BC"
        assert all(figure.standard_error < 0.02 * figure for figure in rung.rent)


@settings(deadline=None, max_examples=10)
@given(st.sets(st.sampled_from(CONTENTS[:9]), min_size=1), st.sets(st.sampled_from(CONTENTS[:9])))
def test_adding_contents_never_lowers_a_prediction(some: set[str], more: set[str]) -> None:
    held = rented()
    fewer, all_of_them = (held.predicted(frozenset(c), "USD") for c in (some, some | more))
    if fewer is None or all_of_them is None:
        return
    sim = held.simulation("USD", [frozenset(some) & frozenset(held.parts("USD")), frozenset(some | more) & frozenset(held.parts("USD"))])
    assert sim is not None
    assert all(a <= b * (1 + 5e-3) for a, b in zip(fewer.prediction.quantiles, all_of_them.prediction.quantiles, strict=True))


@cache
def rented() -> Any:
    verdict = ts.audit(ts.catalog.claim(SIX))
    return priced(verdict.view, "market rent", verdict.clock.known)  # type: ignore[arg-type, union-attr]


def test_shared_runs_count_once() -> None:
    v3, r1 = (ts.audit(ts.catalog.claim(n)) for n in (SIX, "r1-5m-against-100m"))
    whole = [float(v.rungs[-1].rent[1]) for v in (v3, r1)]
    assert whole[0] == pytest.approx(whole[1], rel=0.15), "one programme, seen from two ends"
    assert all("one programme" in str(v) for v in (v3, r1))


def test_users_beliefs_take_precedence() -> None:
    run = ts.catalog.published("llama3.1-405b", gpus=16_384)
    sure = ts.Beliefs({"price.usd_per_gpu_hour": ts.ci90(19, 21)})
    claim = ts.Claim("cost", 62, unit="MUSD", scope="the final run", date="2024-07-23")
    assert ts.audit(claim, run, sure).number == "REFUTED"
    assert ts.audit(claim.replace({"value": 616}), run, sure).number == "NOT REFUTED"
    assert ts.audit(claim, run).number in ("STRAINED", "NOT REFUTED")


def test_predictions_use_rows_up_to_the_day_before() -> None:
    verdict = ts.audit(ts.catalog.claim(SIX))
    evidence = verdict.evidence["mfu"]
    rows = ts.catalog.rows("runs")
    assert evidence.used
    assert all(rows[address.partition("/")[2]].date.isoformat() < verdict.claim.date for address in evidence.used)
    assert "runs/deepseek-v3" in evidence.excluded


def test_a_check_that_was_not_made_is_named() -> None:
    with pytest.raises(ts.TrainsimError) as caught:
        audited().check("vibes")
    assert "disclosure" in caught.value.remedy


RUNS = ["llama3.1-405b", "deepseek-r1-all", "bloom-176b", "pythia-12b", "phi-3.5-mini", "palm-540b"]
"""A dense run with a dot in its name, one without tokens, two from years with few rows, a small one, and one without a rent."""


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("quantity", ["cost", "gpu_hours", "mfu", "tokens", "flops"])
def test_every_makers_statement_on_a_run_can_be_audited(name: str, quantity: str) -> None:
    row = ts.catalog.rows("runs")[name]
    value, unit = {"cost": (5e6, "USD"), "gpu_hours": (1e6, "GPU-h"), "mfu": (0.4, ""), "tokens": (5e11, "token"), "flops": (4e23, "FLOP")}[
        quantity
    ]
    verdict = ts.audit(
        ts.Claim(quantity, value, unit=unit, subject=name, scope="the final run", source="its maker", date=row.date.isoformat())
    )
    assert verdict.number in SEVERITY
    lines = str(verdict).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    sections = [line[:3] for line in lines if line[:1].isdigit() and line[1:3] == "  "]
    assert sections == [f"{i}  " for i in range(1, len(sections) + 1)]


def test_an_older_chip_has_a_half_precision_of_its_own() -> None:
    run = ts.Run(
        name="gpt3", model=ts.catalog.model("gpt3-175b"), cluster=ts.catalog.cluster("dgx-1-v100", gpus=10_000),
        phases=[ts.Phase("pretrain", tokens=300e9, seq_len=2048)], efficiency=ts.BusyHours(gpu_hours=3.11e6),
        price=ts.Rental(usd_per_gpu_hour=1.5, date="2020-06-03"),
    )  # fmt: skip
    verdict = ts.audit(ts.Claim("cost", 4.6, unit="MUSD", scope="final-run rent", date="2020-06-03"), run)
    assert verdict.number == "NOT REFUTED", "the user's own figures never confirm"
    assert ts.audit(ts.Claim("gpu_hours", 1000, unit="GPU-h"), run).number == "IMPOSSIBLE"


def test_a_range_and_a_bound_against_a_disclosure() -> None:
    wide = V3.replace({"value": None, "low": 5.0, "high": 6.0})
    assert ts.audit(wide).number == "CONFIRMED"
    assert ts.audit(wide.replace({"low": 1.0, "high": 60.0})).number == "NOT REFUTED"
    assert said(5.0, bound="at least").number == "CONFIRMED"
    assert "says little" in said(1.0, bound="at least").check("disclosure").finding
    assert said(6.0, bound="at least").number == "STRAINED"
    assert said(9.0, bound="at least").number == "REFUTED"


def test_an_approximate_claim_is_judged_like_an_exact_one() -> None:
    assert ts.audit(V3.replace({"value": 8.0, "about": True})).number == "REFUTED"


def test_a_subject_without_disclosures_cannot_be_judged() -> None:
    verdict = ts.audit(ts.Claim("cost", 6e6, unit="USD", subject="deepseek-v33", source="a typo"))
    assert verdict.number == "CANNOT BE JUDGED"
    assert "did you mean 'deepseek-v3'" in verdict.checks[0].finding


def test_a_bound_that_was_disclosed() -> None:
    claim = ts.Claim("cost", 100, unit="MUSD", subject="gpt-4", bound="at least", date="2023-04-17")
    assert ts.audit(claim).number == "CONFIRMED"
    assert ts.audit(claim.replace({"bound": ""})).number == "NOT REFUTED"
    assert ts.audit(claim.replace({"bound": "", "value": 40})).number == "REFUTED"


def pointed_to(verdict: ts.Verdict) -> tuple[Disclosure, ...]:
    assert verdict.found is not None
    return verdict.found.points_to


def test_figures_of_relatives_are_pointed_to() -> None:
    sibling = ts.audit(V3.replace({"value": 0.294}))
    assert sibling.number == "REFUTED"
    assert [f.value for f in pointed_to(sibling)] == pytest.approx([294e3]), "R1's own"
    both = ts.audit(ts.Claim("cost", 5.87, unit="MUSD", subject="deepseek-r1-all", scope="final-run rent"))
    assert both.number == "REFUTED"
    assert [f.value for f in pointed_to(both)] == pytest.approx([5.576e6 + 294e3], rel=1e-3), "V3 and R1 together"


def test_words_that_state_the_figure_are_quoted_as_they_are() -> None:
    said = "the training of BLOOM cost 50M dollars"
    verdict = ts.audit(ts.Claim("cost", 50, unit="MUSD", subject="bloom-176b", told_as=said, source="a newspaper"))
    assert verdict.misquote == f"“{said[0].upper()}{said[1:]}.”"


@pytest.mark.parametrize(("quantity", "unit"), [("cost", "USD"), ("gpu_hours", "GPU-h")])
def test_an_assumed_input_is_never_a_disclosure(quantity: str, unit: str) -> None:
    run = ts.quick("130B", chip="a100", gpus=768, tokens="400B")
    value = 1.3 * float(ts.estimate(run).quantity(quantity))  # 30 % above what the assumptions give
    verdict = ts.audit(ts.Claim(quantity, value, unit=unit, source="typed"), run)
    assert verdict.number in ("NOT REFUTED", "CANNOT BE JUDGED")
    assert "own figures" not in verdict.quote


def test_a_sum_over_runs_is_pointed_to_where_one_of_them_is_asked_for() -> None:
    whole = ts.audit(ts.Claim("cost", 294e3, unit="USD", subject="deepseek-r1", told_as="the cost of training R1", source="a newspaper"))
    assert whole.number == "REFUTED"
    assert [f.value for f in pointed_to(whole)] == pytest.approx([294e3], rel=1e-3), "R1-Zero, R1 and their data"
    assert ts.audit(ts.Claim("cost", 294e3, unit="USD", subject="deepseek-r1-all", source="a newspaper")).number == "CONFIRMED"


def test_two_claims_are_compared() -> None:
    run, fleet = ts.catalog.claim(SIX), ts.catalog.claim("fleet-1.6b")
    assert ts.compare_claims(fleet, run).word == ts.compare_claims(run, fleet).word == "both can be true"
    assert not ts.compare_claims(run, fleet).comparable
    assert ts.compare_claims(run, run.replace({"value": 60e6})).word == "contradicts"
    assert ts.compare_claims(run, run.replace({"value": 5.5e6})).word == "agrees"
    assert ts.compare_claims(run, run.replace({"scope": "the whole model", "value": 60e6})).word == "both can be true"
    assert ts.compare_claims(run, run.replace({"scope": "the whole model", "value": 1e6})).word == "contradicts"  # a part above the whole
    assert ts.compare_claims(run, run.replace({"subject": "gpt-4", "value": 100e6})).word == "both can be true"
    floors = [run.replace({"value": value, "bound": "at least"}) for value in (5e6, 50e6)]
    ceiling = run.replace({"value": 10e6, "bound": "at most"})
    assert ts.compare_claims(*floors).word == ts.compare_claims(floors[0], ceiling).word == "agrees"
    assert ts.compare_claims(floors[1], ceiling).word == ts.compare_claims(ceiling, floors[1]).word == "contradicts"


def test_a_verdict_can_be_pickled() -> None:
    verdict = ts.audit(ts.catalog.claim(SIX))
    there = pickle.loads(pickle.dumps(verdict))  # noqa: S301
    assert (there.number, there.words, there.quote) == (verdict.number, verdict.words, verdict.quote)
    assert [float(r.rent[1]) for r in there.rungs] == [float(r.rent[1]) for r in verdict.rungs]
    assert not math.isnan(there.readings[0].low)


def reported(hours: float, source: str = "arXiv:0000.00000") -> ts.Run:
    """A dense 7B on a trillion tokens with reported H100-hours."""
    run = ts.Run(
        name="seven", model=ts.catalog.model("llama2-7b"), cluster=ts.catalog.cluster("hgx-h100", gpus=256),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=4096)], efficiency=ts.BusyHours(gpu_hours=hours),
    )  # fmt: skip
    return run.with_sources({"efficiency": source}) if source else run


def test_an_implausible_disclosure_caps_the_word() -> None:
    """At full peak the work takes 12,000 hours: 35,000 is ordinary, 13,500 is 89 % of the peak, and 11,000 is impossible."""
    words = {}
    for hours in (35_000, 13_500, 11_000):
        claim = ts.Claim("gpu_hours", hours, unit="GPU-hours", scope="the final run", date="2026-01-31")
        words[hours] = ts.audit(claim, reported(hours)).number
    assert words == {35_000: "CONFIRMED", 13_500: "STRAINED", 11_000: "IMPOSSIBLE"}
    slow = ts.audit(ts.Claim("gpu_hours", 400_000, unit="GPU-h", scope="the final run", date="2026-01-31"), reported(400_000))
    assert slow.number == "CONFIRMED", "it may hold more than the run predicted"
    assert "includes more than the predicted run" in slow.check("hours").finding
    assert ts.audit(ts.Claim("gpu_hours", 35_000, unit="GPU-h", date="2026-01-31"), reported(35_000, source="")).number == "NOT REFUTED"


@pytest.mark.parametrize("as_of", ["2022-04-05", None])
def test_an_average_over_all_hours_refutes_no_rate_while_stepping(as_of: str | None) -> None:
    """PaLM's paper gives 46.2 % while stepping; its 64 days come to 34 % (arXiv:2204.02311, sections 4.1 and 5)."""
    said = ts.Claim("mfu", 46.2, unit="%", subject="palm-540b", date="2022-04-05")
    assert ts.audit(said, as_of=as_of).number == "CONFIRMED"
    assert ts.audit(said.replace({"value": 80}), as_of=as_of).number == "REFUTED"
    assert ts.audit(said.replace({"value": 20}), as_of=as_of).number == "REFUTED"
    before = ts.audit(said, subject=ts.catalog.run("palm-540b"), as_of="2022-03-15")
    assert before.number != "REFUTED"  # only hours are known, and they include downtime


def test_a_row_of_a_month_counts_for_its_subject_from_the_first() -> None:
    row = rows("runs")["bloom-176b"]
    assert row.get("date_precision") == "month"
    said = ts.Claim("gpu_hours", float(row["gpu_hours"]), unit="GPU-h", subject="bloom-176b", scope="final run", date=str(row.earliest))
    assert ts.audit(said, as_of=str(row.earliest)).number == "CONFIRMED"
    assert ts.audit(said, as_of=str(row.earliest - BEFORE)).number == "CANNOT BE JUDGED"


@pytest.mark.parametrize("name", ["DeepSeek V3", "deepseek_v3", "DEEPSEEK-V3"])
def test_a_subject_is_known_however_it_is_spelt(name: str) -> None:
    said = ts.Claim("cost", 5.5, unit="MUSD", subject=name, scope="final run", date="2024-12-26")
    assert ts.audit(said) == ts.audit(said.replace({"subject": "deepseek-v3"}))


def test_a_rounded_figure_is_quoted_with_the_disclosed_one() -> None:
    said = ts.Claim("cost", 6, unit="MUSD", subject="deepseek-v3", scope="final run", date="2024-12-26")
    assert "$5.576M" in ts.audit(said).quote
    assert "about" not in ts.audit(said.replace({"value": 5.576})).quote


@settings(max_examples=25, deadline=None)
@given(
    value=st.floats(1e-3, 1e4), unit=st.sampled_from(["MUSD", "MCNY"]), bound=st.sampled_from(["", "at least", "at most"]),
    subject=st.sampled_from(["deepseek-v3", "kimi-k2", "llama3.1-405b", "gpt-4", "nobody-1"]),
    told_as=st.sampled_from(["", "what training the model cost", "the GPU rental of the final run"]),
)  # fmt: skip
def test_the_faithful_quote_is_a_sentence(value: float, unit: str, bound: Any, subject: str, told_as: str) -> None:
    claim = ts.Claim("cost", value, unit=unit, bound=bound, subject=subject, scope="final run", told_as=told_as, date="2025-11-07")
    verdict = ts.audit(claim)
    for text in (verdict.quote, verdict.headline):
        assert text.endswith(".")
        assert text[0].isupper()
        assert not any(odd in text for odd in ("nan", "inf ", "  ", "..", "None", "_"))
    assert "at least at" not in verdict.quote
    assert (verdict.number == "REFUTED") == verdict.quote.startswith("It is wrong")
