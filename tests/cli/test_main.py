"""The command line prints what the library prints, and an error is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

import trainsim as ts
from trainsim.cli.main import main


def test_a_claim(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "moe-256-networks"]) == 0
    assert capsys.readouterr().out.strip() == str(ts.audit(ts.catalog.claim("moe-256-networks")))


def test_every_claim_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ts.catalog.claims())


@pytest.mark.parametrize(
    "command", [["estimate", "deepseek-v3"], ["explain", "deepseek-v3", "cost.pretrain.moe"], ["compare", "deepseek-v3", "llama3.1-405b"]]
)
def test_runs_by_id(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command) == 0
    assert "pretrain" in capsys.readouterr().out or command[0] == "compare"


def test_a_run_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.toml"
    ts.catalog.run("deepseek-v3").save(path)
    assert main(["estimate", str(path)]) == 0
    from_file = capsys.readouterr().out
    main(["estimate", "deepseek-v3"])
    assert from_file == capsys.readouterr().out


def test_a_count(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["count", "deepseek-v3"]) == 0
    assert "671,026,404,352" in capsys.readouterr().out


def test_an_error_is_one_line_and_status_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "deepseek-v3-6"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "did you mean 'deepseek-v3-6m'" in err
