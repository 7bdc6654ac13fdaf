"""Words parsed as scopes: test phrasings that were not used to write the catalogue's phrases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.catalog.phrases import phrases
from trainsim.claims.scope import CONTENTS, FINAL_RUN, MODEL, expand_contents
from trainsim.claims.scope_parser import OPERATORS, TRAILING_OPERATORS, Phrase, parse_scope, stem

RUN, WHOLE = frozenset(FINAL_RUN), frozenset(MODEL)


def of(*names: str) -> frozenset[str]:
    return frozenset(expand_contents(names))


READ: dict[str, list[frozenset[str]]] = {
    "the GPU rental of the final training run": [RUN],
    "pre-training compute": [of("pretraining")],
    "what it cost to train DeepSeek-V3": [RUN, WHOLE],
    "the total training cost": [RUN, WHOLE],
    "V3 cost 6 million to build": [WHOLE],
    "all in: research, staff, data, failed runs": [RUN | of("failed_runs", "experiments", "people", "data"), WHOLE],
    "training cost excluding research and ablations": [RUN],
    "compute and salaries": [RUN | of("people")],
    "only the electricity": [of("electricity")],
    "what was invested in the company": [of("company")],
    "the price tag of the final training run": [RUN],
    "everything except salaries": [WHOLE - of("people")],
    "all but the data": [WHOLE - of("data")],
    "all costs but salaries": [WHOLE - of("people")],
    "the full cost of building R1, failed attempts included": [WHOLE],
    "GPU hours of the last run, without downtime": [RUN],
    "the final run plus failed runs": [RUN | of("failed_runs")],
    "the hardware it owns": [of("fleet")],
    "salaries of the research team": [of("people")],
    "training the model, not counting staff": [RUN],
    "annual operating costs of the fleet": [of("fleet")],
    "final training run and ablations": [RUN | of("experiments")],
    "reinforcement learning on top of V3": [of("post_training")],
    "training cost (compute only)": [RUN],
    "training cost: compute, staff and electricity": [RUN | of("people", "electricity")],
    "final run excluding context extension": [RUN - of("context_extension")],
    "cost of the last run with downtime": [RUN | of("downtime")],
    "compute costs only, excluding R&D and salaries": [RUN],
    "cost of training, research, staff and data not included": [RUN],
    "the bill for the final run, salaries not counted": [RUN],
    "the electricity for the final run": [of("electricity")],
    "all training runs": [RUN | of("downtime", "failed_runs", "feeder_runs")],
    "not just the final run but also the failed runs": [RUN | of("failed_runs")],
    "training cost rather than development cost": [RUN],
    "DeepSeek spent 5.6 million dollars on the final training run": [RUN],
    "the costs of the official training, excluding prior research": [RUN],
    "training, data and salaries": [RUN | of("data", "people"), WHOLE],
    "chips, data centres and electricity": [of("fleet", "infrastructure", "electricity")],
    "the total spent by the lab": [of("company")],
    "final run and its predecessors": [RUN | of("feeder_runs")],
    "training excluding failed runs": [RUN],
    "compute, people and data": [RUN | of("people", "data")],
    "what it took to train the model, minus experiments": [RUN],
    "the last training run and the runs that failed": [RUN | of("failed_runs")],
    "total development cost including staff": [WHOLE],
    "the model, people included": [WHOLE],
    "teacher models and experiments": [of("feeder_runs", "experiments")],
    "what the lab spends each year on electricity": [of("electricity")],
    "the cluster of the pre-training run": [of("pretraining")],
    "training R1, without counting the predecessors": [RUN],
    "final training run costs (not total project costs)": [RUN],
    "the cost of compute, excluding everything else": [RUN],
    "reinforcement learning on top of the base model": [of("post_training")],
    "the cost of the GPUs used in training": [RUN],
    "hardware amortization and electricity for the final training run": [RUN | of("electricity")],
    "the raw compute cost of the final pretraining run": [of("pretraining")],
    "the actual training, not the ablations": [RUN],
    "nearly $6 million in computing power to train": [RUN],
    "the bill to rent 2,048 GPUs for two months": [RUN],
    "the price of the GPUs it bought": [of("fleet")],
    "the RLHF phase": [of("post_training")],
    "amortized cost of the training hardware": [RUN],
    "to pretrain the base model": [of("pretraining")],
    "a single successful pretraining run": [of("pretraining")],
    "the total cost of ownership of its servers": [of("fleet", "infrastructure", "electricity")],
}
"""Words → contents that they may mean, the likeliest first."""
SILENT = (
    "flurble compute", "the marginal cost of the last epoch", "quantum overhead", "neither staff nor data", "not the research",
    "Kosten des Trainings", "o custo de treinar o modelo", "training and inference", "marketing", "non-staff costs", "the cost",
    "a single pass over the data", "the cost to train and run the model",
    "salaries, without which nothing would exist", "everything, from data to salaries",
)  # fmt: skip
"""Words that must not be understood, since any reading would be a guess."""
PHRASES = sorted(" ".join(key) for key, phrase in phrases().items() if phrase.readings)


@pytest.mark.parametrize("words", READ)
def test_words_are_read(words: str) -> None:
    found = ts.read_scope(words)
    assert found.unread == ()
    assert set(found.readings) == set(READ[words])


@pytest.mark.parametrize("words", SILENT)
def test_words_that_are_not_understood_give_no_reading(words: str) -> None:
    assert not ts.read_scope(words).understood


@pytest.mark.parametrize(
    ("words", "basis", "kind"),
    [
        ("the final run at market rent", "market rent", None),
        ("the final run at cloud list prices", "cloud list", None),
        ("the amortised cost of the final run", "owner's amortised", None),
        ("the yearly payroll", None, "year"),
        ("the hardware", None, "stock"),
        ("what was invested in the final run", None, None),
        ("hardware depreciation over the final run", "owner's amortised", None),
    ],
)
def test_words_tell_basis_and_kind(words: str, basis: str | None, kind: str | None) -> None:
    found = ts.read_scope(words)
    assert found.understood
    assert (found.basis, found.kind) == (basis, kind)


@given(st.sampled_from(PHRASES), st.text(alphabet="qxzjv", min_size=4, max_size=9))
def test_an_unknown_word_gives_no_reading(phrase: str, word: str) -> None:
    found = ts.read_scope(f"{phrase} {word}")
    assert not found.understood
    assert word in found.unread


@given(st.lists(st.sampled_from(CONTENTS), unique=True, min_size=1, max_size=4), st.permutations(range(4)))
def test_a_list_of_parts_is_their_union_in_any_order(parts: list[str], order: list[int]) -> None:
    table = {(f"part{i}",): Phrase((frozenset({part}),)) for i, part in enumerate(parts)}
    named = [f"part{i}" for i in order if i < len(parts)]
    assert parse_scope(" and ".join(named), table).readings == (frozenset(parts),)  # type: ignore[arg-type]
    assert parse_scope(", ".join(named), table).readings == (frozenset(parts),)  # type: ignore[arg-type]


@given(st.sampled_from(PHRASES), st.sampled_from(PHRASES))
def test_what_is_excluded_is_in_no_reading(base: str, left_out: str) -> None:
    found = ts.read_scope(f"{base} excluding {left_out}")
    assert all(not reading & found.excluded for reading in found.readings)


def test_every_phrase_of_the_catalogue_reads_as_itself() -> None:
    for key, phrase in phrases().items():
        if phrase.readings and phrase.rank != "neutral":
            assert ts.read_scope(" ".join(key)).readings == phrase.readings, key


def test_operators_are_not_phrases() -> None:
    stems = {" ".join(key) for key in phrases()}
    assert [w for w in (*OPERATORS, *TRAILING_OPERATORS) if " ".join(map(stem, w.split())) in stems] == []
