"""The command line: input, output and error messages."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.catalog.currencies import usd_per
from trainsim.catalog.rows import PUBLISHED
from trainsim.cli.main import _app, main
from trainsim.cli.terminal import plain, working
from trainsim.core.errors import BeliefError, CatalogError, SpecError
from trainsim.core.folding import LAST_COLUMN, fold
from trainsim.planning.requests import RunRequest, run_of

FLAGS = ["--chip", "h100", "--gpus", "64", "--tokens", "1T"]


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(ts.catalog.rows("models")["llama3-8b"]["config"]), encoding="utf-8")
    return str(path)


def out_of(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(words) == status
    captured = capsys.readouterr()
    return captured.out if status == 0 else captured.err


def test_an_estimate_needs_flags_alone_and_marks_what_it_assumed(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "run.toml"
    out = out_of(capsys, "estimate", config, *FLAGS, "--price", "2.5/h", "--save", str(saved))
    run = ts.load(saved)
    assert run.phases[0].tokens == 1e12
    assert run.price == ts.Rental(usd_per_gpu_hour=2.5)
    assumed = out.partition("assumed inputs")[2]
    assert "efficiency.mfu" in assumed
    assert "price" not in assumed
    again = json.loads(out_of(capsys, "estimate", str(saved), "--json"))
    assert again["cost"] == pytest.approx(float(ts.estimate(run).cost.total))
    assert again["interval"]["cost"]["P5"] < again["cost"] < again["interval"]["cost"]["P95"]


def test_what_the_user_gave_stays_certain(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = [*FLAGS, "--price", "2.5/h", "--mfu", "40%", "--goodput", "0.95"]
    assert json.loads(out_of(capsys, "estimate", config, *given, "--json"))["interval"] == {}
    believed = json.loads(out_of(capsys, "estimate", config, *given, "--believe", "price.usd_per_gpu_hour=1.4..3.4", "--json"))["interval"]
    assert believed["cost"]["P95"] / believed["cost"]["P5"] == pytest.approx(3.4 / 1.4, rel=0.02)
    assert believed["gpu_hours"]["P95"] == pytest.approx(believed["gpu_hours"]["P5"])


def test_set_changes_a_path(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (
        json.loads(out_of(capsys, "estimate", config, *FLAGS, "--set", f"price.usd_per_gpu_hour={p}", "--json"))["cost"]
        for p in (1, "$2/h")
    )
    assert two == pytest.approx(2 * one)


def test_a_run_from_standard_input(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.toml"
    ts.catalog.run("llama3.1-405b").save(path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(path.read_text(encoding="utf-8")))
    from_pipe = out_of(capsys, "explain", "-", "cost")
    assert from_pipe == out_of(capsys, "explain", str(path), "cost")


def piped(path: Path | str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stdin", io.StringIO(Path(path).read_text(encoding="utf-8")))
    return "-"


def test_a_config_from_standard_input(config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for command, *flags in (("count",), ("estimate", *FLAGS)):
        from_pipe = json.loads(out_of(capsys, command, piped(config, monkeypatch), *flags, "--json"))
        assert from_pipe == json.loads(out_of(capsys, command, config, *flags, "--json"))
    assert out_of(capsys, "count", piped(config, monkeypatch)).startswith("model: parameters")
    assert "trainsim count" in out_of(capsys, "check", piped(config, monkeypatch), status=2)


@pytest.mark.parametrize("text", ["hello", "{", "model = 5", "[cluster]\ngpus = 8"])
def test_standard_input_that_is_no_run_is_one_line(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "input"
    path.write_text(text, encoding="utf-8")
    for command in ("check", "estimate"):
        assert out_of(capsys, command, piped(path, monkeypatch), status=2).count("\n") == 1


@pytest.mark.parametrize(
    ("option", "interval", "path"),
    [
        ("--price", "1.4..3.4", "price.usd_per_gpu_hour"), ("--price", "$2/h±20%", "price.usd_per_gpu_hour"),
        ("--mfu", "30%..45%", "efficiency.mfu"), ("--goodput", "0.85..0.93..0.97", "reliability.goodput"),
    ],
)  # fmt: skip
def test_an_option_takes_an_interval(option: str, interval: str, path: str, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    other = [*FLAGS, "--price", "2/h", "--mfu", "40%", "--goodput", "0.95", "--json"]
    at = other.index(option) if option in other else None
    given = [*other[:at], *other[at + 2 :], option, interval] if at is not None else [*other, option, interval]
    found = json.loads(out_of(capsys, "estimate", config, *given))
    assert path not in found["assumed"]
    low, high = (found["interval"]["cost"][level] for level in ("P5", "P95"))
    assert low < found["cost"] < high
    believed = json.loads(out_of(capsys, "estimate", config, *other, "--believe", f"{path}={interval}"))["interval"]["cost"]
    assert (low, high) == pytest.approx((believed["P5"], believed["P95"]), rel=1e-6)


def test_a_published_run_moves_to_other_chips(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(out_of(capsys, "estimate", "deepseek-v3", "--chip", "h100", "--json"))
    assert "phases.post-train.efficiency.gpu_hours" in found["assumed"]
    assert "efficiency.mfu" in found["assumed"]


@pytest.mark.parametrize(("name", "meant"), [("Llama-3-8B", "llama3-8b"), ("Mistral_7B", "mistral-7b"), ("30B A3B", "30B-A3B")])
def test_case_and_punctuation_of_a_name_do_not_matter(name: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (json.loads(out_of(capsys, "count", each, "--json"))["parameters"] for each in (name, meant))
    assert first == second
    assert run_of(RunRequest("7B", chip="H100_SXM", gpus="8", tokens="1T")).cluster.chip.name == "h100-sxm"


def test_a_limit_and_a_probability_as_people_write_them(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["solve", config, "phases.pretrain.tokens", *FLAGS, "--json", "--limit"]
    first, second = (
        out_of(capsys, *words, *rest) for rest in (("cost<50K", "--probability", "0.9"), ("cost <= 50K", "--probability", "90%"))
    )
    assert first == second


def test_a_check_reads_standard_input(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.toml"
    ts.catalog.run("llama3.1-405b").save(path)
    from_pipe = out_of(capsys, "check", piped(path, monkeypatch))
    assert from_pipe.split(":", 1)[1] == out_of(capsys, "check", str(path)).split(":", 1)[1]


def test_csv_has_a_line_for_each_figure(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(out_of(capsys, "count", "deepseek-v3", "--csv"))))
    assert {"name": "parameters.total", "value": "671026404352.0"} in rows


def test_a_count_shows_every_convention(capsys: pytest.CaptureFixture[str]) -> None:
    out = out_of(capsys, "count", "deepseek-v3")
    assert "671,026,404,352" in out
    assert all(name in out for name in ts.CONVENTIONS)


def test_an_assertion_has_a_status_of_its_own(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", config, *FLAGS, "--rtol", "0.01", "--assert"]
    assert "assertion holds" in out_of(capsys, *words, "cost<1e12@0.9")
    assert main([*words, "cost<1@0.9"]) == 3
    captured = capsys.readouterr()
    assert "assertion fails" in captured.err
    assert "P95" in captured.out, "the quantiles are not lost"


def test_a_claim_of_the_catalogue_and_every_claim(capsys: pytest.CaptureFixture[str]) -> None:
    assert out_of(capsys, "audit", "moe-256-networks").strip() == str(ts.audit(ts.catalog.claim("moe-256-networks")))
    listed = out_of(capsys, "claims")
    assert all(name in listed for name in ts.catalog.claims())


def test_a_schema_names_the_members_of_families(capsys: pytest.CaptureFixture[str]) -> None:
    made = json.loads(out_of(capsys, "schema", "run"))
    assert "MFU" in json.dumps(made)
    assert {"model", "cluster", "phases"} <= set(made["properties"])


def test_a_first_run_is_written_and_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "run.toml")
    out_of(capsys, "init", path)
    assert ts.load(path).cluster.gpus == 512
    out_of(capsys, "init", path, status=2)


def test_a_run_of_reinforcement_learning_needs_flags_alone(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reinforce", "7B", "--chip", "h100", "--gpus", "16", "--steps", "100", "--end", "2K"]
    found = json.loads(out_of(capsys, *words, "--json"))
    assert found["interval"]["cost"]["P5"] < found["cost"] < found["interval"]["cost"]["P95"]
    given = [*words, "--set", "phases.reinforce.efficiency.recipe.learning_mfu=0.3", "--json"]
    assert "phases.reinforce.efficiency.recipe.learning_mfu" in found["assumed"]
    assert "phases.reinforce.efficiency.recipe.learning_mfu" not in json.loads(out_of(capsys, *given))["assumed"]


def test_a_price_in_another_currency_is_converted_and_said(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", config, *FLAGS, "--price", "18 RMB/h", "--mfu", "0.4", "--goodput", "1", "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["cost"] / found["gpu_hours"] == pytest.approx(18 * usd_per("CNY", PUBLISHED))
    assert captured.err.count("\n") == 1
    assert "CNY a dollar" in captured.err


def test_a_price_below_every_quote_is_pointed_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "llama3.1-405b", "--price", "0.2/h"]) == 0
    assert "below the cheapest quote" in capsys.readouterr().err


def test_a_scope_in_parts_is_what_the_verdict_is_of(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["audit", "--model", "deepseek-v3", "--claim", "5.6M", "--includes", "final_run", "--includes", "people", "--basis", "owner"]
    out = out_of(capsys, *words, "--json")
    claim = ts.Claim("cost", 5.6e6, unit="USD", scope=ts.Scope(contents=("final_run", "people"), basis="owner"), source="typed")  # type: ignore[arg-type]
    verdict = ts.audit(claim, ts.catalog.run("deepseek-v3"))
    assert json.loads(out)["quote"] == verdict.quote


def test_a_table_of_claims_gives_a_table_of_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "claims.csv"
    rows = ["id,model,claim,told_as,includes", "moe-256-networks,,,,", ",deepseek-v3,5.6M,the final run,", ",deepseek-v3,lots,,",
            ',deepseek-v3,5.6M,,"final_run,people"']  # fmt: skip
    path.write_text("\n".join(rows))
    found = list(csv.DictReader(io.StringIO(out_of(capsys, "audit", str(path)))))
    assert [row["line"] for row in found] == ["2", "3", "4", "5"]
    assert found[0]["number"] == ts.audit(ts.catalog.claim("moe-256-networks")).number
    assert found[2]["quote"].startswith("error: --claim='lots'")
    assert all(row["quote"] for row in found)
    path.write_text("model,clame\ndeepseek-v3,6M\n")
    assert "clame" in out_of(capsys, "audit", str(path), status=2)


def test_a_run_of_a_file_is_called_after_it(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert out_of(capsys, "estimate", config, *FLAGS).startswith("config.json on 64 h100-sxm\n")


def test_tokens_of_a_run_stay_where_none_are_typed(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = str(tmp_path / "run.toml")
    out_of(capsys, "estimate", config, *FLAGS[:-1], "7T", "--save", saved)
    assert run_of(RunRequest(saved, usual_tokens="1T")).phases[0].tokens == 7e12
    assert run_of(RunRequest(saved, tokens="8T", usual_tokens="1T")).phases[0].tokens == 8e12


def test_a_saved_run_of_reinforcement_learning_is_simulated_without_mfu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = str(tmp_path / "grpo.toml")
    out_of(capsys, "reinforce", "7B", "--gpus", "8xH100", "--steps", "100", "--end", "1500", "--save", saved)
    assert set(json.loads(out_of(capsys, "simulate", saved, "--rtol", "0.05", "--json"))) == {"cost", "gpu_hours", "wall_days"}


@pytest.mark.parametrize("words", [["diagnose", "--step-time", "9.6s"], ["memory"], ["search", "--top", "1"]], ids=lambda words: words[0])
def test_a_run_of_stated_hours_gets_the_usual_stack_and_layout(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--chip", "h100", "--gpus", "64", "--seq-len", "8192", "--batch", "128"]
    found = json.loads(out_of(capsys, words[0], "llama3-8b", *words[1:], *flags, "--json"))
    if words[0] == "diagnose":
        assert "efficiency.stack" in found["assumed"]
        assert "assumed" in found["layout"]


def test_a_diagnosis_shows_the_step_that_it_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    out = out_of(capsys, "diagnose", "8B", "--gpus", "64xH100", "--step-time", "9.6")
    assumed = out.partition("assumed inputs")[2]
    assert all(path in assumed for path in ("phases.pretrain.batch", "phases.pretrain.seq_len", "efficiency.stack"))


def test_a_model_too_large_is_an_answer_with_what_would_fit(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["memory", "70B", "--gpus", "8xA100", "--seq-len", "2048", "--batch", "64", "--json"]
    found = json.loads(out_of(capsys, *words))
    assert found["word"] == "does not fit"
    assert found["used"][0] > found["capacity"]
    ways = {way["option"]: way["memory"] for way in found["would_fit"]}
    assert {"--finetune lora:16", "--finetune qlora:16"} < set(ways)
    assert all(memory < found["capacity"] for memory in ways.values())
    for option in ways:
        again = [*words[:2], *option.split(), *(["--chip", "a100"] if "gpus" in option else words[2:4]), *words[4:]]
        assert json.loads(out_of(capsys, *again))["word"] != "does not fit", option


@pytest.mark.parametrize(("words", "rank", "base"), [("lora:8", 8, None), ("qlora", 16, "nf4"), ("QLoRA:64", 64, "nf4")])
def test_fine_tuning_is_one_option(words: str, rank: int, base: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of(RunRequest("8B", chip="h100", gpus="8", tokens="1B", finetune=words))
    assert run.phases[0].trains == ts.LoRA(rank=rank, base=base)  # type: ignore[arg-type]
    assert "phases.finetune.batch" in out_of(capsys, "estimate", "8B", "--gpus", "8xH100", "--tokens", "1B", "--finetune", words)
    whole = run_of(RunRequest("deepseek-v3", finetune=words))
    assert whole.phases[0].trains == run.phases[0].trains
    counted = json.loads(out_of(capsys, "count", "llama3-8b", "--finetune", words, "--json"))["parameters"]
    assert counted["trained"] == pytest.approx(41_943_040 * rank / 16)


def test_the_end_of_a_path_gets_the_whole_path_in_the_error() -> None:
    from trainsim.planning.requests import beliefs_of

    asked = RunRequest("7B", chip="h100", gpus="8", tokens="1B", beliefs=("usd_per_gpu_hour=1..2",))
    with pytest.raises(BeliefError) as error:
        beliefs_of(run_of(asked), asked)
    assert "price.usd_per_gpu_hour" in error.value.remedy


def test_a_normal_step_is_normal_and_names_no_cause(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["diagnose", "llama3-8b", "--gpus", "64", "--batch", "128", "--step-time"]
    expected = {row["name"]: row["value"] for row in json.loads(out_of(capsys, *words, "9s", "--json"))["rows"]}["modelled"]
    normal, slow = (out_of(capsys, *words, f"{times * expected}s") for times in (1.0, 5.0))
    assert "normal" in normal
    assert "instead of" not in normal
    assert " %  " not in normal
    assert " %  " in slow
    assert all("next, " in out for out in (normal, slow))


def test_an_assumed_layout_is_a_cause_of_a_slow_step_and_a_given_one_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["diagnose", "llama3-8b", "--gpus", "64", "--batch", "128", "--step-time", "60s"]
    assumed, given = (out_of(capsys, *words, *more) for more in ([], ["--plan", "tp=8 zero=1"]))
    assert ["layout: " in out.partition("none of these")[2].partition("the step is of")[0] for out in (assumed, given)] == [True, False]


def test_a_question_about_a_step_assumes_the_usual_batch(capsys: pytest.CaptureFixture[str]) -> None:
    out = out_of(capsys, "diagnose", "llama3-8b", "--gpus", "64", "--step-time", "7s")
    assert "phases.pretrain.batch" in out.partition("assumed inputs")[2]
    assert "--gpus" in out_of(capsys, "diagnose", "llama3-8b", "--step-time", "7s", status=2)


@pytest.mark.parametrize("text", ["a ± b × c ÷ d ≤ e → f", "Łódź, naïve café", "“x” … ∞ √2"])
def test_plain_characters_are_ascii_and_leave_other_text_alone(text: str) -> None:
    assert plain(text, "ascii").isascii()
    assert plain(text, "utf-8") == text
    assert plain("plain", None) == "plain"


def test_progress_on_a_terminal_names_the_work_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    with working("searching layouts") as progress:
        progress(3, 7)
    assert "searching layouts" in screen.getvalue()
    assert "3/7" in screen.getvalue()
    assert not {"\x1b[33m", "\x1b[2m"} & set(re.findall(r"\x1b\[\d+m", screen.getvalue()))


def test_what_a_run_needs_is_named() -> None:
    with pytest.raises(SpecError) as error:
        run_of(RunRequest("7B", chip="h100"))
    assert error.value.rule_id == "missing"
    assert all(flag in error.value.rule for flag in ("--gpus", "--tokens"))
    assert "--chip" not in error.value.rule


@pytest.mark.parametrize("gpus", [("--gpus", "8xA100"), ("--chip", "a100", "--gpus", "8")], ids=" ".join)
def test_a_search_in_which_nothing_fits_names_options_that_do(gpus: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    said = out_of(capsys, "search", "70B", *gpus, status=2)
    options = re.findall(r"\((--\w+) (\S+)\)", said)
    assert {flag for flag, _ in options} == {"--finetune", "--gpus"}
    for flag, value in (options[0], options[-1]):
        out_of(capsys, "search", "70B", *gpus, flag, value, "--top", "1")


def test_the_length_of_a_sequence_is_exact_and_its_reading_is_said(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    for target in (config, "llama3-8b"):
        found = json.loads(out_of(capsys, "estimate", target, *FLAGS, "--seq-len", "128K", "--json"))["assumed"]
        assert found["phases.pretrain.seq_len"][0] == "131,072 tokens"
        assert not any(
            path.endswith("seq_len")
            for path in json.loads(out_of(capsys, "estimate", target, *FLAGS, "--seq-len", "131072", "--json"))["assumed"]
        )


def test_a_search_lists_what_it_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    out = out_of(capsys, "search", "7B", "--gpus", "8xH100", "--top", "1")
    assert "phases.pretrain.seq_len" in out
    assert "$" not in out, "dollars of tokens that nobody gave"
    assert "$" in out_of(capsys, "search", "7B", "--gpus", "8xH100", "--top", "1", "--tokens", "1T")


BAD = [
    ["audit", "deepseek-v3-6"], ["estimate", "no-such-run"], ["estimate", "missing.toml"], ["estimate", "7B"],
    ["estimate", "7B", "--chip", "h100", "--gpus", "64", "--tokens", "80GB"],
    ["estimate", "7B", "--chip", "q100", "--gpus", "64", "--tokens", "1T"], ["estimate", "7B", *FLAGS, "--price", ".5/h"],
    ["estimate", "7B", *FLAGS, "--set", "price"], ["estimate", "7B", *FLAGS, "--mfu", "140%"],
    ["estimate", "7B", *FLAGS, "--set", "price.usd_per_gpu_hours=2"], ["estimate", "7B", *FLAGS, "--believe", "price.usd_per_gpu_hour=2"],
    ["estimate", "7B", *FLAGS, "--believe", "price.usd_per_gpu_hour=3..2"], ["estimate", "7B", *FLAGS, "--json", "--csv"], ["estimate"],
    ["estimate", "Qwen/Qwen3-8B", *FLAGS], ["simulate", "7B", *FLAGS, "--assert", "cost"], ["audit"], ["bogus"], ["--bogus"],
    ["catalog", "engines"], ["schema", "cluster"], ["catalog", "chips", "abacus"], ["reinforce", "7B", "--chip", "h100"],
    ["audit", "--claim", "4M", "--model", "deepseek-v3", "--includes", "everything"],
    ["audit", "--claim", "4M", "--model", "deepseek-v3", "--basis", "rent"],
    ["audit", "--claim", "4M", "--model", "deepseek-v3", "--includes", "people", "--scope", "the final run"],
    ["audit", "claims-that-are-nowhere.csv"], ["check", "missing.toml"], ["backtest", "missing.csv"],
    ["compare", "deepseek-v3", "nope"],
    ["explain", "deepseek-v3", "costs"], ["solve", "deepseek-v3", "phases.pretrain.tokens", "--limit", "costs<1"], ["count", "nope"],
    ["count", "7B", "--seq-len", "40 days"], ["estimate", "7B", "--gpus", "many", "--chip", "h100", "--tokens", "1T"],
    ["audit", "--claim", "lots", "--model", "deepseek-v3"], ["audit", "deepseek-v3-6m", "--claim", "5M"], ["count", "0B"],
    ["search", "7B", "--gpus", "8xH100", "--top", "-1"], ["search", "7B", "--gpus", "8xH100", "--top", "100000000"],
    ["estimate", "7B", "--gpus", "8.5xH100", "--tokens", "1T"], ["estimate", "7B", *FLAGS, "--finetune", "mora"],
    ["simulate", "7B", *FLAGS, "--assert", "cost<1M@1.8"], ["memory", "7B", "--gpus", "64xV100"],
    ["estimate", "7B", "--gpus", "8xH100", "--tokens", "1B", "--batch", "4M"], ["memory", "8B", "--gpus", "1x4090"],
    ["estimate", "7B", *FLAGS, "--price", "3.4..1.4"], ["solve", "7B", "phases.pretrain.tokens", *FLAGS, "--probability", "many"],
    ["search", "70B", "--gpus", "8xA100"], ["search", "7B", "--gpus", "8xH100", "--by", "cost"],
    ["estimate", "7B", *FLAGS, "--finetune", "lora:99999"], ["estimate", "7B", "--gpus", "1e12xH100", "--tokens", "1T"],
]  # fmt: skip


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_a_mistake_is_one_line_and_status_two(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("trainsim: ")


@pytest.mark.parametrize("text", ["[model\n", 'spec = "Run"\nname = "x', "model = 5\n", "", "\x00"])
def test_a_broken_file_is_one_line(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    for command in ("estimate", "check", "explain"):
        assert out_of(capsys, command, str(path), status=2).count("\n") == 1


@pytest.mark.parametrize("folder", ["/proc", "/nonexistent/folder"])
def test_an_unwritable_folder_loses_only_the_file(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["estimate", "7B", *FLAGS, "--save", f"{folder}/run.toml"])
    captured = capsys.readouterr()
    assert status in (1, 2)
    assert "cost" in captured.out
    assert captured.err.count("\n") == 1


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("trainsim.cli.main.typer", None)
    assert "pip install 'trainsim[cli]'" in out_of(capsys, "estimate", "7B", status=2)


def run_process(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "trainsim", *words], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]  # noqa: S603


def test_a_terminal_without_unicode_gets_plain_characters() -> None:
    done = run_process("compare", "llama3.1-405b", "deepseek-v3", env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "x" in done.stdout


def test_a_closed_pipe_is_silent() -> None:
    command = f"{sys.executable} -m trainsim schema run | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "trainsim", "claims"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_an_interrupt_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trainsim.run.estimate.estimate", interrupted)
    assert main(["estimate", "7B", *FLAGS]) == 130
    assert capsys.readouterr().err == "trainsim: interrupted\n"


def test_a_picture_that_cannot_be_written_keeps_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    status = main(["audit", "moe-256-networks", "--plot", "/nonexistent/x.png"])
    captured = capsys.readouterr()
    assert status in (1, 2)
    assert captured.out.strip() != ""
    assert captured.err.count("\n") == 1


@given(st.text(st.sampled_from("ab  \u00d7"), max_size=300), st.integers(40, 130))
def test_folding_keeps_the_words_and_the_width(line: str, columns: int) -> None:
    folded = fold(line, columns)
    assert folded.split() == line.split()
    assert all(len(row) <= columns or max(map(len, row.split())) + LAST_COLUMN * columns > columns for row in folded.split("\n"))


COMMANDS = sorted(typer.main.get_group(_app()).commands)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_terminal_and_nothing_is_cut(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = out_of(capsys, *([command] if command else []), "--help")
    assert max(map(len, out.splitlines())) <= 80
    assert "..." not in out.replace("[ARGS]...", "")
    assert "\x1b" not in out


@pytest.mark.parametrize(("name", "chip"), [("NVIDIA H100 80GB HBM3", "h100-sxm"), ("NVIDIA A100-SXM4-40GB", "a100-40gb-sxm")])
def test_a_chip_may_be_named_as_its_driver_names_it(name: str, chip: str) -> None:
    assert run_of(RunRequest("7B", chip=name, gpus="8", tokens="1T")).cluster.chip == ts.catalog.chip(chip)
    with pytest.raises(CatalogError):
        run_of(RunRequest("7B", chip="NVIDIA H100 PCIe", gpus="8", tokens="1T"))


def test_options_of_a_comparison_change_both_runs(capsys: pytest.CaptureFixture[str]) -> None:
    out = out_of(capsys, "compare", "7B", "13B", *FLAGS)
    assert "7B" in out
    assert "13B" in out


def test_a_number_that_is_solved_for_needs_no_belief(capsys: pytest.CaptureFixture[str]) -> None:
    assert "price.usd_per_gpu_hour" in out_of(capsys, "solve", "7B", "price.usd_per_gpu_hour", *FLAGS, "--limit", "cost<200K")


def test_a_layout_that_does_not_fit_new_accelerators_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    assert "pp=16" not in json.loads(out_of(capsys, "memory", "deepseek-v3", "--gpus", "64", "--json"))["layout"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe, text = tmp_path / "pipe.toml", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: text.append(pipe.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    ts.catalog.run("llama3.1-405b").save(pipe)
    reader.join(timeout=10)
    assert pipe.is_fifo()
    assert "llama3.1-405b" in text[0]


def test_a_link_is_kept_and_its_file_replaced(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("old", encoding="utf-8")
    link = tmp_path / "link.toml"
    link.symlink_to(tmp_path / "run.toml")
    ts.catalog.run("llama3.1-405b").save(link)
    assert link.is_symlink()
    assert ts.load(tmp_path / "run.toml").cluster.gpus == 16384


def test_a_picture_of_no_known_format_keeps_the_verdict(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert main(["audit", "moe-256-networks", "--plot", str(tmp_path / "x.toml")]) == 2
    captured = capsys.readouterr()
    assert captured.out.strip() != ""
    assert captured.err.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
def test_a_saved_run_has_the_permissions_of_any_file(tmp_path: Path) -> None:
    plain_file, run = tmp_path / "plain", tmp_path / "run.toml"
    plain_file.write_text("", encoding="utf-8")
    ts.catalog.run("llama3.1-405b").save(run)
    assert run.stat().st_mode == plain_file.stat().st_mode
    run.chmod(0o640)
    ts.catalog.run("llama3.1-405b").save(run)
    assert run.stat().st_mode & 0o777 == 0o640


def test_a_claim_about_an_unknown_model_says_how_to_describe_its_run(capsys: pytest.CaptureFixture[str]) -> None:
    said = out_of(capsys, "audit", "--model", "zorblax", "--claim", "5M", status=2)
    assert said.count("\n") == 1
    assert {"--model", "--chip", "--gpus", "--tokens"} <= set(re.findall(r"--[a-z]+", said))


def test_a_published_run_needs_no_accelerators_for_its_hours(capsys: pytest.CaptureFixture[str]) -> None:
    claim = ts.Claim("gpu_hours", 5e6, unit="GPU-h", subject="llama4-scout", source="typed")
    assert out_of(capsys, "audit", "--model", "Llama 4 Scout", "--claim", "5M GPU-hours").strip() == str(ts.audit(claim))
