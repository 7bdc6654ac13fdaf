"""``trainsim report``: a run, a claim and a comparison as a page."""

from pathlib import Path

import pytest

from trainsim.cli.main import main

pytest.importorskip("typer")
pytest.importorskip("matplotlib")
ASKED = {
    "a model with flags": (["7B", "--chip", "h100", "--gpus", "512", "--tokens", "1T"], "what-if-data"),
    "a claim": (["fleet-944m"], "CANNOT BE JUDGED"),
    "two runs": (["deepseek-v3", "--versus", "llama3.1-405b"], "work per token"),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_page_is_written(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, held = ASKED[name]
    page = tmp_path / "page.html"
    assert main(["report", *words, "-o", str(page)]) == 0
    assert held in page.read_text(encoding="utf-8")
    assert str(page) in capsys.readouterr().out


def test_what_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "fleet-944m", "-o", str(tmp_path / "no" / "page.html")]) in (1, 2)
    assert capsys.readouterr().err.count("\n") == 1
