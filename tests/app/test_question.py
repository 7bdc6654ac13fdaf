"""A question equals its address; each invalid text gives one error at its input."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainsim.app.inputs import errors_of, files_of, is_whole, run_request_of
from trainsim.app.question import CONFIG, FIELDS, LINE, Question, field_of, read_question
from trainsim.core.errors import SpecError, TrainsimError
from trainsim.planning.requests import beliefs_of, run_of

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=LINE).map(str.strip)
LINES = st.lists(WORDS, max_size=3).map(lambda lines: "\n".join(lines).strip())
CONFIGS = st.just("") | st.sampled_from(['{"hidden_size":8}', "[1,2]", '{"a":{"b":[true,null,1.5,"<é>"]}}'])
TEXTS = {
    one.name: st.sampled_from(list(one.choices)) if one.choices else CONFIGS if one.name == "config" else LINES if one.rows else WORDS
    for one in FIELDS
}
QUESTIONS = st.builds(Question, **TEXTS)
GOOD = {"model": "7B", "chip": "h100", "gpus": "64", "tokens": "1T"}


@given(QUESTIONS)
def test_an_address_is_its_question(asked: Question) -> None:
    assert read_question(parse_qsl(asked.address, keep_blank_values=True)) == (asked, ())


@given(st.lists(st.tuples(st.sampled_from([one.name for one in FIELDS] + ["x"]), st.text(max_size=300)), max_size=6))
def test_reading_never_fails_and_settles_at_once(pairs: list[tuple[str, str]]) -> None:
    asked, _ = read_question(pairs)
    again, _ = read_question(parse_qsl(asked.address, keep_blank_values=True, errors="surrogatepass"))
    assert again == asked


@pytest.mark.parametrize(
    ("pairs", "field", "rule"),
    [
        ([("model", "7B"), ("model", "8B")], "model", "duplicate"),
        ([("modl", "7B")], "", "unknown-field"),
        ([("gpus", "5\x00")], "gpus", "control-character"),
        ([("gpus", "5" * (LINE + 1))], "gpus", "too-large"),
        ([("config", "[" * CONFIG + "0")], "config", "too-large"),
        ([("config", "[" * 5000)], "config", "too-deep"),
        ([("config", "{")], "config", "syntax"),
        ([("quantity", "beauty")], "quantity", "unknown-name"),
    ],
)
def test_a_text_that_no_input_takes(pairs: list[tuple[str, str]], field: str, rule: str) -> None:
    asked, (error,) = read_question(pairs)
    assert (field_of(error, asked), error.rule_id) == (field, rule)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"model": ""}, ["model"]),
        ({"chip": "", "gpus": "", "tokens": ""}, ["chip", "gpus", "tokens"]),
        ({"chip": "", "gpus": "64xH100"}, []),
        ({"config": "{}"}, ["config"]),
        ({"told_as": "the cost of training it"}, ["claim"]),
        ({"claim": "lots"}, ["claim"]),
        ({"model": "deepseek-v3", "chip": "", "gpus": "", "tokens": ""}, []),
    ],
)
def test_each_missing_input_has_its_error(changes: dict[str, str], fields: list[str]) -> None:
    asked = Question(**(GOOD | changes))
    assert [field_of(error, asked) for error in errors_of(asked, None)] == fields


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": "nope"}, "model"),
        ({"model": "/etc/passwd"}, "model"),
        ({"model": "", "config": '{"model_type":"llama","hidden_size":"x"}'}, "config"),
        ({"model": "", "config": "[]"}, "config"),
        ({"model": "", "file": "config.json"}, "file"),
        ({"chip": "zzz"}, "chip"),
        ({"gpus": "lots"}, "gpus"),
        ({"gpus": "-5"}, "gpus"),
        ({"tokens": "many"}, "tokens"),
        ({"tokens": "-1"}, "tokens"),
        ({"price": "cheap"}, "price"),
        ({"price": "-2"}, "price"),
        ({"mfu": "3"}, "mfu"),
        ({"goodput": "2"}, "goodput"),
        ({"batch": "x"}, "batch"),
        ({"seq_len": "x"}, "seq_len"),
        ({"as_of": "x"}, "as_of"),
        ({"changes": "a"}, "changes"),
        ({"changes": "nope=1"}, "changes"),
        ({"changes": "model=/etc/passwd"}, "changes"),
        ({"believe": "a"}, "believe"),
        ({"believe": "price.usd_per_gpu_hour=5..1"}, "believe"),
        ({"believe": "nope=1..2"}, "believe"),
    ],
)
def test_an_error_of_the_run_is_at_its_input(changes: dict[str, str], field: str) -> None:
    asked = Question(**(GOOD | changes))
    with pytest.raises(TrainsimError) as caught:
        _resolved(asked)
    assert field_of(caught.value, asked) == field
    assert caught.value.rule
    assert caught.value.remedy


def _resolved(asked: Question) -> None:
    request = run_request_of(asked, None)
    run = run_of(request)
    beliefs_of(run, request).resolve(run)


def test_an_error_without_an_input_has_none() -> None:
    assert field_of(SpecError("", None, "is wrong", "mend it"), Question()) == ""


def test_only_files_of_the_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    for folder in (inside, outside):
        (folder / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    (outside / "7B").write_text('{"model_type": "llama"}', encoding="utf-8")
    (inside / "link.json").symlink_to(outside / "config.json")
    (inside / "notes.txt").write_text("x", encoding="utf-8")
    (inside / "folder.json").mkdir()
    assert list(files_of(inside)) == ["config.json"]
    for name in ("../outside/config.json", str(outside / "config.json"), "link.json", "notes.txt", "folder.json", "", ".", "config.json/"):
        with pytest.raises(TrainsimError):
            run_request_of(Question(file=name, chip="h100", gpus="8", tokens="1T"), inside)
    monkeypatch.chdir(outside)
    for name in ("config.json", "./config.json", str(outside / "config.json")):
        with pytest.raises(TrainsimError):
            run_request_of(Question(**(GOOD | {"model": name})), inside)
    assert run_of(run_request_of(Question(**GOOD), inside)).model.name == "7B", "a size, not the file of that name in the working folder"


def test_a_saved_run_is_whole_and_a_config_is_not(tmp_path: Path) -> None:
    run_of(run_request_of(Question(**GOOD), None)).save(tmp_path / "run.toml")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    assert [is_whole(Question(file=name), tmp_path) for name in ("run.toml", "config.json", "broken.json", "none.toml")] == [
        True,
        False,
        True,
        False,
    ]
    assert run_of(run_request_of(Question(file="run.toml"), tmp_path)).cluster.gpus == 64
