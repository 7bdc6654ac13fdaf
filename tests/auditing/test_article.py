"""All fifteen claims of the article: each verdict is computed, so it changes if its figure changes."""

from __future__ import annotations

import pytest

import trainsim as ts
from trainsim.auditing.comparison import SEVERITY
from trainsim.auditing.disclosure import word_for
from trainsim.core.errors import ClaimError

CLAIMS = ts.catalog.claims()
UNITS = {
    "USD": ("MUSD", 1e-6), "GPU": ("kGPU", 1e-3), "expert": ("kexpert", 1e-3), "USD/year": ("MUSD/year", 1e-6),
    "token/position": ("ktoken/position", 1e-3),
}  # fmt: skip
OPEN = "CANNOT BE JUDGED"
EXPECTED = {
    "deepseek-v3-6m": ("CONFIRMED", "MISLEADING"),
    "deepseek-v3-2048-gpus": ("CONFIRMED", "FAIR"),
    "gpt-4o-100m": (OPEN, OPEN),
    "r1-5m-against-100m": ("REFUTED", "MISLEADING"),
    "deepseek-v3-6m-scope": (OPEN, "MISLEADING"),
    "mtp-several-words": ("CONFIRMED", "FAIR"),
    "moe-256-networks": ("CONFIRMED", "FAIR"),
    "mla-key-words": (OPEN, OPEN),
    "fleet-50000-gpus": (OPEN, "FAIR"),
    "fleet-1.6b": (OPEN, "MISLEADING"),
    "fleet-944m": (OPEN, "MISLEADING"),
    "investment-500m": (OPEN, "FAIR"),
    "subsidiary-of-high-flyer": (OPEN, OPEN),
    "owns-data-centres": (OPEN, OPEN),
    "pay-1.3m": (OPEN, "MISLEADING"),
}
SAID = {
    "gpt-4o-100m": ("elsewhere", "said of GPT-4"),
    "r1-5m-against-100m": ("disclosure", "×17"),
    "deepseek-v3-6m-scope": ("scope", "half right: context extension and post-training are included too"),
    "mtp-several-words": ("disclosure", "the next and one for each module"),
    "moe-256-networks": ("disclosure", "routed experts in each of 58 layers"),
    "mla-key-words": ("architecture", "576 elements cached per token and layer where full heads would need 40,960"),
    "fleet-1.6b": ("source", "60,000 GPUs stated as 50,000"),
    "fleet-944m": ("source", "4 years dropped"),
    "pay-1.3m": ("source", "a maximum stated as 'some earn'"),
}
"""Claim → name of a check and its expected finding, which is computed from the model, the rows or the terms of the source."""


@pytest.fixture(scope="module")
def verdicts() -> dict[str, ts.Verdict]:
    return {name: ts.audit(claim) for name, claim in CLAIMS.items()}


@pytest.mark.parametrize("name", CLAIMS)
def test_each_claim_has_its_words(name: str, verdicts: dict[str, ts.Verdict]) -> None:
    verdict = verdicts[name]
    assert (verdict.number, verdict.words) == EXPECTED[name]
    lines = str(verdict).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", SAID)
def test_each_finding_is_computed(name: str, verdicts: dict[str, ts.Verdict]) -> None:
    check, text = SAID[name]
    assert any(text in c.finding for c in verdicts[name].checks if c.name == check)


def test_r1_is_strained_with_v3_and_its_ratio_is_open(verdicts: dict[str, ts.Verdict]) -> None:
    verdict = verdicts["r1-5m-against-100m"]
    assert verdict.found is not None
    together = next(f for f in verdict.found.points_to if f.value == pytest.approx(5.87e6, rel=1e-3))
    assert word_for(verdict.stated, together) == "STRAINED"
    assert verdict.check("ratio").word == OPEN


@pytest.mark.parametrize("name", CLAIMS)
def test_ten_times_the_value_changes_the_verdict(name: str, verdicts: dict[str, ts.Verdict]) -> None:
    said, verdict = CLAIMS[name], verdicts[name]
    if said.value is None or verdict.number == OPEN:
        return
    other = ts.audit(said.replace({"value": float(said.value) * 10}))
    assert SEVERITY.index(other.number) >= SEVERITY.index("STRAINED")


@pytest.mark.parametrize("name", [n for n, c in CLAIMS.items() if c.value is not None])
def test_another_unit_of_the_dimension_changes_nothing(name: str, verdicts: dict[str, ts.Verdict]) -> None:
    said = CLAIMS[name]
    unit, factor = UNITS[said.base_unit]
    other = ts.audit(said.replace({"value": float(said.value or 0.0) * factor, "unit": unit}))
    assert (other.number, other.words, other.scopes) == (verdicts[name].number, verdicts[name].words, verdicts[name].scopes)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_that_cannot_be_judged_quotes_the_primary_source(name: str, verdicts: dict[str, ts.Verdict]) -> None:
    said, verdict = CLAIMS[name], verdicts[name]
    if verdict.number != OPEN:
        return
    assert said.primary is not None
    assert said.primary.statement in " ".join(str(verdict).split()), "in full"


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_has_a_sentence_to_print_and_one_not_to(name: str, verdicts: dict[str, ts.Verdict]) -> None:
    verdict = verdicts[name]
    assert verdict.quote.endswith(".")
    assert verdict.misquote.startswith("“")
    assert verdict.quote != verdict.misquote


def test_a_wrong_unit_is_an_error_even_where_nothing_can_be_judged() -> None:
    with pytest.raises(ClaimError) as caught:
        ts.audit(CLAIMS["gpt-4o-100m"].replace({"unit": "GPU-h"}))
    assert caught.value.path == "unit"


def test_every_dollar_of_a_rung_names_its_inputs(verdicts: dict[str, ts.Verdict]) -> None:
    rungs = {f"{name}: {rung.label}": rung for name, verdict in verdicts.items() for rung in verdict.rungs}
    assert len(rungs) >= 12
    for where, rung in rungs.items():
        assert rung.inputs or "runs that feed it" in where, where
        assert all(source for source in rung.inputs.values()), where
