"""The app's pages: the form contains the question, the figures equal the library's, and hostile input is refused with one error."""

from __future__ import annotations

import html
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import HealthCheck, given, settings

import trainsim as ts
from trainsim.app.answers import RTOL, SEED
from trainsim.app.jobs import Report
from trainsim.app.question import FIELDS, Question
from trainsim.app.server import EXAMPLES, LONGEST, make_app
from trainsim.cli.main import main
from trainsim.planning.default_layout import with_stack
from trainsim.planning.requests import RunRequest, beliefs_of, run_of

from .forms import answered, parsed
from .test_question import GOOD, QUESTIONS

pytest.importorskip("flask", reason="the app needs the extra 'app'")
pytest.importorskip("matplotlib", reason="the app's pictures need matplotlib")
SKIP = Question(**GOOD, price="2.5/h", layout="skip")
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}",
    "'; DROP TABLE runs; --",
    "../../etc/passwd",
    "%00",
    "𝒳" * 50,
]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    app = make_app()
    yield app.test_client()
    app.extensions["trainsim"].jobs.close()


def endless(_asked: Question, _folder: Path | None, report: Report) -> None:
    for i in range(10**9):
        report("counting", i, 10**9)
        time.sleep(0.001)


@pytest.fixture
def slow() -> Iterator[Any]:
    """An app whose answers never finish."""
    app = make_app(answer=endless)
    yield app.test_client()
    app.extensions["trainsim"].jobs.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(asked=QUESTIONS)
def test_the_form_holds_the_question_and_sends_it(client: Any, asked: Question) -> None:
    page = parsed(client.get(f"/?{asked.address}").text)
    hidden = {} if "file" in page.asked else {"file": ""}
    assert page.asked | hidden == vars(asked)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", [one.name for one in FIELDS])
def test_what_is_typed_is_never_markup(client: Any, name: str, text: str) -> None:
    plain = parsed(client.get("/stopped?model=x").text)
    found = client.get(f"/?{urlencode({name: text})}")
    assert found.status_code == 200
    page = parsed(found.text)
    assert page.tags.count("script") == plain.tags.count("script")
    assert "img" not in page.tags
    assert page.asked.get(name, text) in (text, "" if name in ("layout", "quantity") else text)
    wrong = client.get(f"/answer?{urlencode(GOOD | {name: text})}", follow_redirects=True)
    assert wrong.status_code in (200, 422)
    assert parsed(wrong.text).tags.count("script") == plain.tags.count("script") + wrong.text.count('id="what-if-data"')


def test_the_figures_are_the_librarys(client: Any) -> None:
    found = answered(client, SKIP)
    assert found.status_code == 200
    page = parsed(found.text)
    run = ts.quick("7B", chip="h100", gpus=64, tokens="1T", price=2.5)
    est = ts.estimate(run)
    for name in ("cost", "gpu_hours", "wall_days"):
        assert float(page.figures[name]["value"]) == pytest.approx(float(est.quantity(name)), rel=1e-12)
    beliefs = beliefs_of(run, RunRequest("7B"))
    drawn = ts.simulate(run, beliefs, rtol=RTOL, seed=SEED, outputs=("cost", "gpu_hours", "wall_days"))
    low, high = drawn.quantile("cost", [0.05, 0.95])
    assert (float(page.figures["cost"]["data-low"]), float(page.figures["cost"]["data-high"])) == (float(low), float(high))
    assert "price.usd_per_gpu_hour" not in found.text.partition('id="assumed"')[2].partition("</table>")[0], "what was given is not assumed"
    assert "goodput" in found.text.partition('id="assumed"')[2].partition("</table>")[0]
    assert {"cost", "assumed", "sources", "what-if"} <= set(page.ids)
    assert "</svg>" in found.text


def test_a_run_laid_out_and_a_claim_judged(client: Any) -> None:
    asked = Question(**(GOOD | {"gpus": "16"}), claim="6M", told_as="the cost of training it", date="2024-12-26")
    page = parsed(answered(client, asked).text)
    run = run_of(RunRequest("7B", chip="h100", gpus="16", tokens="1T"))
    claim = ts.Claim("cost", 6e6, unit="USD", told_as="the cost of training it", date="2024-12-26", source="typed")
    verdict = ts.audit(claim, subject=run, seed=SEED)
    assert page.words["verdict"] == verdict.number
    found = ts.search_plans(with_stack(run), top=1)
    assert page.words["memory"] == ts.fits(found.best_run).word
    assert {"verdict", "memory", "layout", "step"} <= set(page.ids)


def test_what_fails_leaves_the_rest(client: Any) -> None:
    asked = Question(**GOOD, price="2.5/h", layout="skip", claim="6M", scope="blub")
    found = answered(client, asked)
    page = parsed(found.text)
    assert "cost" in page.figures
    assert "verdict" not in page.words
    assert "errors" in page.ids


@pytest.mark.parametrize(("changes", "field"), [({"gpus": "lots"}, "gpus"), ({"price": "cheap"}, "price"), ({"tokens": ""}, "tokens")])
def test_an_error_is_beside_its_input_and_nothing_is_lost(client: Any, changes: dict[str, str], field: str) -> None:
    asked = Question(**(GOOD | changes))
    found = answered(client, asked)
    assert found.status_code == 422
    page = parsed(found.text)
    assert page.wrong == {field}
    assert f"{field}-error" in page.ids
    assert page.asked == {name: text for name, text in vars(asked).items() if name != "file"}


def test_an_address_is_made_short(client: Any) -> None:
    config = json.dumps({"model_type": "llama"}, indent=4)
    found = client.get("/answer?" + urlencode({"config": config, "chip": "h100", "gpus": "8", "tokens": "1T", "price": ""}))
    assert found.status_code == 303
    pairs = [("config", '{"model_type":"llama"}'), ("chip", "h100"), ("gpus", "8"), ("tokens", "1T")]
    assert parse_qsl(found.headers["Location"].partition("?")[2]) == pairs


def test_the_report_is_one_file_of_the_same_run(client: Any) -> None:
    found = answered(client, SKIP, "/report")
    assert found.status_code == 200
    assert "what-if-data" in found.text
    assert html.escape("trainsim report 7B --chip h100 --gpus 64 --tokens 1T --price 2.5/h") in found.text


def test_long_work_shows_progress_and_stops(slow: Any) -> None:
    working = slow.get(f"/answer?{SKIP.address}")
    assert working.status_code == 200
    assert "data-poll" in working.text
    first = slow.get(f"/progress?{SKIP.address}&for=/answer").json
    time.sleep(0.1)
    second = slow.get(f"/progress?{SKIP.address}&for=/answer").json
    assert first["state"] == second["state"] == "working"
    assert first["done"] < second["done"] < second["total"]
    stopped = slow.post(f"/stop?{SKIP.address}&for=/answer")
    assert (stopped.status_code, stopped.headers["Location"]) == (303, f"/stopped?{SKIP.address}")
    assert parsed(slow.get(stopped.headers["Location"]).text).asked["model"] == "7B"
    assert slow.get(f"/progress?{SKIP.address}&for=/answer").json["state"] == "none"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "169.254.169.254", ""])
def test_another_name_of_the_machine_is_refused(client: Any, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 400


def test_another_site_can_open_a_link_and_nothing_else(client: Any, slow: Any) -> None:
    other = {"Sec-Fetch-Site": "cross-site"}
    assert client.get("/", headers=other | {"Sec-Fetch-Dest": "document"}).status_code == 200
    for target in ("image", "iframe", "empty", "script"):
        assert client.get(f"/answer?{SKIP.address}", headers=other | {"Sec-Fetch-Dest": target}).status_code == 403
    slow.get(f"/answer?{SKIP.address}")
    for headers in (other, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert slow.post(f"/stop?{SKIP.address}", headers=headers).status_code == 403
    assert slow.get(f"/progress?{SKIP.address}").json["state"] == "working"


def test_sizes_and_methods_are_bounded(client: Any) -> None:
    assert client.get("/?told_as=" + "x" * (LONGEST + 1)).status_code == 414
    assert client.post("/answer?model=7B").status_code == 405
    assert client.get("/stop?model=7B").status_code == 405
    assert client.get("/etc/passwd").status_code == 404
    assert client.get("/../../etc/passwd").status_code == 404


def test_every_page_keeps_to_itself(client: Any) -> None:
    for address in ("/", "/style.css", "/script.js", "/none", "/progress"):
        headers = client.get(address).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in headers
    assert "http" not in client.get("/").text, "nothing on the page leads away from it"


def test_a_failure_of_our_own_is_a_page() -> None:
    def broken(_asked: Question, _folder: Path | None, _report: Report) -> None:
        raise ZeroDivisionError

    app = make_app(answer=broken)
    app.logger.disabled = True
    found = answered(app.test_client(), SKIP)
    assert found.status_code == 500
    assert "ZeroDivisionError" in found.text
    app.extensions["trainsim"].jobs.close()


def test_the_examples_are_questions_that_can_be_asked() -> None:
    from trainsim.app.inputs import errors_of, run_request_of

    for _, asked in EXAMPLES:
        assert errors_of(asked, None) == ()
        run_of(run_request_of(asked, None))


def test_a_folder_offers_its_files(tmp_path: Path) -> None:
    ts.quick("7B", chip="h100", gpus=8, tokens="1T", price=2).save(tmp_path / "mine.toml")
    app = make_app(tmp_path)
    found = answered(app.test_client(), Question(file="mine.toml", layout="skip"))
    assert found.status_code == 200
    assert 'value="mine.toml"' in found.text
    assert answered(app.test_client(), Question(file="../mine.toml", layout="skip")).status_code == 422
    app.extensions["trainsim"].jobs.close()


@pytest.mark.parametrize("words", [["--folder", "no/such/folder"], ["--port", "99999"], ["--host", "203.0.113.1"]])
def test_what_cannot_be_served_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("waitress", reason="the app needs the extra 'app'")
    assert main(["app", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_serves_until_it_is_interrupted() -> None:
    pytest.importorskip("waitress", reason="the app needs the extra 'app'")
    command = [sys.executable, "-m", "trainsim", "app", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address) as page:  # noqa: S310
            assert b"<form" in page.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) in (0, 130)
