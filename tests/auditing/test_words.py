"""The rules of the verdict's words: invariances and monotonicity."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.auditing.comparison import (
    LEVELS,
    SEVERITY,
    Prediction,
    Stated,
    compare_with_bound,
    compare_with_figure,
    compare_with_prediction,
    distance,
    says_little,
)
from trainsim.auditing.disclosure import nearest, point, repeated, word_for

positive = st.floats(1e-3, 1e12)
factor = st.floats(1.0, 50.0)


def at(value: float, bound: str = "") -> Stated:
    return Stated(value, value, bound)  # type: ignore[arg-type]


def lognormal(median: float, width: float) -> Prediction:
    """A log-normal prediction with P95 / P5 = width."""
    sigma = math.log(width) / (2 * 1.6448536)
    scores = (-2.5758293, -1.6448536, 0.0, 1.6448536, 2.5758293)

    def cdf(value: float) -> float:
        return 0.5 * (1 + math.erf(math.log(value / median) / sigma / math.sqrt(2))) if value > 0 else 0.0

    return Prediction(tuple(median * math.exp(sigma * z) for z in scores), cdf)  # type: ignore[arg-type]


def worse_or_equal(a: str, b: str) -> bool:
    return SEVERITY.index(a) >= SEVERITY.index(b)


@given(positive, factor, factor, st.sampled_from((1, -1)), st.sampled_from(("", "structural", "machines")))
def test_moving_away_from_a_disclosure_never_improves_the_word(figure: float, near: float, far: float, side: int, count: str) -> None:
    fact = point(figure, "", count=count)
    close, away = (figure * f**side for f in sorted((near, far)))
    assert worse_or_equal(word_for(at(away), fact), word_for(at(close), fact))


@given(positive, factor, factor, st.sampled_from((1, -1)), st.floats(1.5, 9.9))
def test_moving_away_from_a_prediction_never_improves_the_word(median: float, near: float, far: float, side: int, width: float) -> None:
    predicted = lognormal(median, width)
    close, away = (median * f**side for f in sorted((near, far)))
    assert worse_or_equal(compare_with_prediction(at(away), predicted), compare_with_prediction(at(close), predicted))


@given(positive, positive, st.floats(1e-6, 1.0))
def test_a_true_lower_bound_implies_every_smaller_one(figure: float, floor: float, lower: float) -> None:
    assume(compare_with_figure(at(floor, "at least"), figure) == "CONFIRMED")
    assert compare_with_figure(at(floor * lower, "at least"), figure) == "CONFIRMED"
    assert compare_with_figure(at(figure / lower, "at most"), figure) == "CONFIRMED"


@given(positive, positive, st.floats(0.01, 100))
def test_words_do_not_depend_on_the_unit(value: float, figure: float, unit: float) -> None:
    assume(all(abs(distance(value, figure) - math.log(edge)) > 1e-9 for edge in (1.1, 1.3)))
    assert compare_with_figure(at(value), figure) == compare_with_figure(at(value * unit), figure * unit)


@pytest.mark.parametrize(
    ("value", "word"),
    [(5.576, "CONFIRMED"), (5.5, "CONFIRMED"), (6.0, "CONFIRMED"), (6.2, "STRAINED"), (4.5, "STRAINED"), (10.0, "REFUTED"),
     (0.0, "REFUTED"),
     (-6.0, "REFUTED")],
)  # fmt: skip
def test_distances_from_a_disclosure(value: float, word: str) -> None:
    assert compare_with_figure(at(value), 5.576) == word
    given = word_for(at(value), point(5.576, "", sourced=False))
    assert given == ("NOT REFUTED" if word == "CONFIRMED" else word), "what only the user gives never confirms"


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(5.0, 6.0, "CONFIRMED"), (2.0, 10.0, "NOT REFUTED"), (6.0, 8.0, "STRAINED"), (8.0, 9.0, "REFUTED"), (4.0, 5.0, "STRAINED")],
)
def test_a_range_counts_by_its_nearer_end(low: float, high: float, word: str) -> None:
    assert compare_with_figure(Stated(low, high), 5.576) == word


@pytest.mark.parametrize(
    ("value", "bound", "disclosed", "word"),
    [
        (100, "at least", "at least", "CONFIRMED"), (50, "at least", "at least", "CONFIRMED"), (200, "at least", "at least", "NOT REFUTED"),
        (100, "", "at least", "NOT REFUTED"), (300, "", "at least", "NOT REFUTED"), (95, "", "at least", "STRAINED"),
        (50, "", "at least", "REFUTED"), (50, "at most", "at least", "REFUTED"), (200, "at most", "at least", "NOT REFUTED"),
        (100, "at most", "at most", "CONFIRMED"), (50, "", "at most", "NOT REFUTED"), (150, "", "at most", "REFUTED"),
    ],
)  # fmt: skip
def test_a_disclosure_that_is_itself_a_bound(value: float, bound: str, disclosed: str, word: str) -> None:
    assert compare_with_bound(at(value, bound), 100, disclosed) == word  # type: ignore[arg-type]


def test_counts_are_compared_at_their_precision() -> None:
    machines, experts = point(2048, "", count="machines"), point(256, "", count="structural")
    assert word_for(at(2048), machines) == "CONFIRMED"
    assert word_for(at(2000), machines) == "STRAINED"
    assert word_for(at(4096), machines) == "REFUTED"
    assert [word_for(at(x), experts) for x in (256, 255, 257)] == ["CONFIRMED", "REFUTED", "REFUTED"]
    assert word_for(at(49_000), point(50_000, "", count="machines")) == "CONFIRMED", "printed to one digit"


def test_a_prediction_without_power_says_so() -> None:
    wide, narrow = lognormal(1e7, 12.0), lognormal(1e7, 4.0)
    assert [compare_with_prediction(at(x), narrow) for x in (1e7, 2.5e7, 1e9)] == ["NOT REFUTED", "STRAINED", "REFUTED"]
    assert [compare_with_prediction(at(x), wide) for x in (1e7, 4e7, 1e9)] == ["CANNOT BE JUDGED", "CANNOT BE JUDGED", "REFUTED"]
    assert compare_with_prediction(at(1e3, "at least"), narrow) == "NOT REFUTED", "its own side"
    assert compare_with_prediction(at(1e9, "at least"), narrow) == "REFUTED"
    assert compare_with_prediction(Stated(1e3, 8e6), narrow) == "NOT REFUTED", "it meets the interval"


def test_a_true_bound_far_from_the_fact_says_little() -> None:
    assert says_little(at(1e6, "at least"), 5.576e6)
    assert not says_little(at(2e6, "at least"), 5.576e6)
    assert not says_little(at(6e6, "at least"), 5.576e6), "it is not true"


def test_the_nearest_of_several_figures_counts() -> None:
    word, fact = nearest(at(0.44), [point(0.3894, "half"), point(0.4373, "full")])
    assert (word, fact.label) == ("CONFIRMED", "full")


def test_a_repeated_figure_of_another_row_is_pointed_to() -> None:
    own, family = point(2.38e6, "Maverick"), point(7.38e6, "family")
    assert repeated(at(7.38e6), own, [family]) is family
    assert repeated(at(2.38e6), own, [family]) is None
    assert repeated(at(7e6), own, [family]) is None, "printed to three digits"


def test_levels_are_those_of_the_intervals() -> None:
    assert LEVELS == (0.005, 0.05, 0.5, 0.95, 0.995)


@pytest.mark.parametrize(
    ("words", "hours", "contents"),
    [
        ("post-training", 5e3, {"post_training"}),
        ("context extension", 119e3, {"context_extension"}),
        ("pre-training", 2.664e6, {"pretraining"}),
        ("the final run", 2.788e6, {"pretraining", "context_extension", "post_training"}),
        ("what the model cost", 2.788e6, {"pretraining", "context_extension", "post_training"}),
    ],
)
def test_a_claim_without_a_scope_is_about_no_more_than_its_words_name(words: str, hours: float, contents: set[str]) -> None:
    verdict = ts.audit(ts.Claim("gpu_hours", hours, unit="GPU-h", told_as=words, subject="deepseek-v3"))
    assert (verdict.number, verdict.contents) == ("CONFIRMED", frozenset(contents))


def test_dollars_told_as_machines_are_not_judged_as_rent() -> None:
    verdict = ts.audit(ts.Claim("cost", 1600, unit="MUSD", told_as="hardware capex", subject="deepseek-v3"))
    assert (verdict.number, verdict.contents) == ("CANNOT BE JUDGED", frozenset({"fleet"}))


@pytest.mark.parametrize("name", ["BLOOM", "bloom 176B", "PaLM", "GPT-3"])
def test_a_name_may_leave_out_a_size_that_only_one_model_has(name: str) -> None:
    """Law: the verdict names the one run that is meant."""
    verdict = ts.audit(ts.Claim("tokens", 1e12, unit="token", subject=name))
    assert verdict.claim.subject in ("bloom-176b", "palm-540b", "gpt3-175b")


@pytest.mark.parametrize("name", ["pythia", "falcon", "llama3.1"])
def test_a_name_of_several_sizes_is_not_guessed(name: str) -> None:
    assert ts.audit(ts.Claim("tokens", 1e12, unit="token", subject=name)).number == "CANNOT BE JUDGED"


@given(st.floats(0.01, 0.9), st.sampled_from(["", "the final run", "training"]))
def test_a_ceiling_that_only_a_part_of_the_run_keeps_is_refuted(share: float, words: str) -> None:
    """Law: "at most x" is false if the run's disclosed figure is above x, even if a phase of the run took less."""
    claim = ts.Claim("gpu_hours", share * 2.788e6, unit="GPU-h", bound="at most", told_as=words, subject="deepseek-v3")
    assert ts.audit(claim).number in ("REFUTED", "STRAINED", "IMPOSSIBLE")


@pytest.mark.parametrize("words", ["what DeepSeek spent in total", "DeepSeek's spending"])
def test_the_name_of_a_lab_alone_may_mean_the_whole_lab(words: str) -> None:
    assert [sorted(reading)[:1] for reading in ts.read_scope(words).readings[1:]] == [["company"]]


@pytest.mark.parametrize("words", ["what V3 cost DeepSeek", "what Llama 3.1 cost"])
def test_the_name_of_a_model_means_the_model(words: str) -> None:
    assert [reading & {"company", "people"} for reading in ts.read_scope(words).readings] == [{"people"}]


@pytest.mark.parametrize(("subject", "hours"), [("llama3.1-405b", 39.3e6), ("llama3.1-70b", 39.3e6), ("llama4-maverick", 7.38e6)])
def test_the_hours_of_a_family_are_not_those_of_one_model(subject: str, hours: float) -> None:
    """Sources: the model cards of Llama 3.1 and Llama 4 give these totals."""
    verdict = ts.audit(ts.Claim("gpu_hours", hours, unit="GPU-h", subject=subject))
    assert verdict.number == "REFUTED"
    assert any(check.name == "elsewhere" for check in verdict.checks)


def test_a_round_figure_is_not_taken_for_that_of_a_smaller_sibling() -> None:
    """Source: the model card of Llama 3.1 gives more than 15T tokens for all three models."""
    assert ts.audit(ts.Claim("tokens", 15e12, unit="token", subject="llama3.1-405b")).number == "CONFIRMED"
