"""All fifteen claims of the article: each verdict is computed, so each changes when its figure does."""

from __future__ import annotations

import pytest

import trainsim as ts
from trainsim.auditing.words import SEVERITY
from trainsim.core.errors import ClaimError
from trainsim.testing import refused

CLAIMS = ts.catalog.claims()
UNITS = {"USD": ("MUSD", 1e-6), "GPU": ("kGPU", 1e-3), "expert": ("kexpert", 1e-3), "USD/year": ("MUSD/year", 1e-6)}


@pytest.fixture(scope="module")
def verdicts() -> dict[str, ts.Verdict]:
    return {name: ts.audit(claim) for name, claim in CLAIMS.items()}


def test_there_are_fifteen(verdicts: dict[str, ts.Verdict]) -> None:
    assert len(verdicts) == 15
    assert all(v.number in SEVERITY for v in verdicts.values())


@pytest.mark.parametrize("name", CLAIMS)
def test_ten_times_the_value_changes_the_verdict(name: str, verdicts: dict[str, ts.Verdict]) -> None:
    said, verdict = CLAIMS[name], verdicts[name]
    if said.value is None or verdict.number == "CANNOT BE JUDGED":
        return
    other = ts.audit(said.replace({"value": float(said.value) * 10}))
    assert (other.number, other.words) != (verdict.number, verdict.words)


@pytest.mark.parametrize("name", [n for n, c in CLAIMS.items() if c.value is not None])
def test_another_unit_of_the_dimension_changes_nothing(name: str, verdicts: dict[str, ts.Verdict]) -> None:
    said = CLAIMS[name]
    unit, factor = UNITS[said.judged_in]
    other = ts.audit(said.replace({"value": float(said.value or 0.0) * factor, "unit": unit}))
    assert (other.number, other.words, other.scopes) == (verdicts[name].number, verdicts[name].words, verdicts[name].scopes)


@pytest.mark.parametrize("name", CLAIMS)
def test_what_cannot_be_judged_says_what_the_primary_source_says(name: str, verdicts: dict[str, ts.Verdict]) -> None:
    said, verdict = CLAIMS[name], verdicts[name]
    if verdict.number != "CANNOT BE JUDGED":
        return
    assert said.primary is not None
    assert said.primary.statement in " ".join(str(verdict).split()), "in full"


@pytest.mark.parametrize("name", ["subsidiary-of-high-flyer", "owns-data-centres", "gpt-4o-100m"])
def test_no_value_or_no_disclosure_cannot_be_judged(name: str, verdicts: dict[str, ts.Verdict]) -> None:
    assert verdicts[name].number == "CANNOT BE JUDGED"


def test_the_architecture_is_the_modelled_one(verdicts: dict[str, ts.Verdict]) -> None:
    assert "256 routed experts in each of 58 layers" in verdicts["moe-256-networks"].checks[0].finding
    assert "1 prediction module" in verdicts["mtp-several-words"].checks[0].finding
    # 512 + 64 elements instead of 128 · (128 + 64 + 128)
    assert "576 elements kept per token and layer where full heads would keep 40,960" in verdicts["mla-key-words"].checks[0].finding


def test_a_claim_needs_no_row() -> None:
    run = ts.catalog.run("llama3.1-405b")
    hours = float(ts.estimate(run).told_gpu_hours)
    said = ts.Claim("gpu_hours", hours, unit="GPU-h", source="the model card")
    assert ts.audit(said, run).check("arithmetic").word == "HOLDS"
    assert ts.audit(said.replace({"value": hours / 3}), run).check("arithmetic").word == "FAILS"


def test_a_wrong_unit_is_an_error_even_where_nothing_can_be_judged() -> None:
    with refused(ClaimError, "unit-mismatch", "unit"):
        ts.audit(CLAIMS["gpt-4o-100m"].replace({"unit": "GPU-h"}))


def test_the_ladder_adds_up(verdicts: dict[str, ts.Verdict]) -> None:
    rungs = verdicts["deepseek-v3-6m"].rungs
    assert [r.contents for r in rungs[1:]] > [r.contents for r in rungs[:-1]]
    for level in range(3):
        values = [float(r.rent[level]) for r in rungs]
        assert values == sorted(values)
    assert all(r.owner is not None for r in rungs)


def test_every_dollar_of_a_rung_names_its_inputs(verdicts: dict[str, ts.Verdict]) -> None:
    rungs = {f"{name}: {rung.label}": rung for name, verdict in verdicts.items() for rung in verdict.rungs}
    assert len(rungs) >= 12
    for where, rung in rungs.items():
        assert rung.inputs or "runs that feed it" in where, where
        assert all(source for source in rung.inputs.values()), where
