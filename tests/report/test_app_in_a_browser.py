"""The app in headless Chromium: asked by keyboard and by pointer, reloaded from an address, stopped; axe-core finds nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import trainsim as ts
from trainsim.app.jobs import Report, Stopped
from trainsim.app.question import Question
from trainsim.app.server import make_app

from .chromium import AXE, VIEWS, axe_finds, browser

pytestmark = pytest.mark.browser
__all__ = ["browser"]
ASKED = Question(model="7B", chip="h100", gpus="16", tokens="1T", claim="6M", told_as="the cost of training it", date="2024-12-26")
WRONG = Question(model="7B", chip="h100", gpus="lots", tokens="1T")
PATHS = {
    "question": "/",
    "answer": f"/answer?{ASKED.address}",
    "error": f"/answer?{WRONG.address}",
    "stopped": f"/stopped?{ASKED.address}",
}
PATIENCE = 60_000
"""Longest accepted time of an answer [ms]; long, because machines are shared."""


@contextmanager
def served(app: Any) -> Iterator[str]:
    """An app on a free port of this machine: its address."""
    waitress = pytest.importorskip("waitress", reason="the app needs the extra 'app'")
    server = waitress.create_server(app, host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    app.extensions["trainsim"].jobs.close()
    server.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    pytest.importorskip("flask", reason="the app needs the extra 'app'")
    with served(make_app()) as found:
        yield found


def endless(_asked: Question, _folder: Path | None, report: Report) -> None:
    for i in range(10**9):
        report("counting", i, 10**9)
        time.sleep(0.001)


@pytest.fixture
def slow() -> Iterator[str]:
    pytest.importorskip("flask", reason="the app needs the extra 'app'")
    with served(make_app(answer=endless)) as found:
        yield found


def shown(browser: Any, address: str, path: str, view: str = "desktop", **options: Any) -> tuple[Any, list[str]]:
    """A page of the app, with its console messages and its requests to other machines."""
    page = browser.new_context(**VIEWS[view], **options).new_page()
    page.set_default_timeout(PATIENCE)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith((address, "data:")) else said.append(request.url))
    page.goto(address + path)
    return page, said


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", PATHS)
def test_nothing_complains_nothing_is_too_wide_and_axe_is_silent(browser: Any, address: str, name: str, view: str) -> None:
    page, said = shown(browser, address, PATHS[name], view, bypass_csp=bool(AXE))
    if name == "answer":
        page.wait_for_selector("dl.figures")
    assert [one for one in said if "422" not in one] == []  # the browser reports the status of a question with an error
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    if not AXE:
        pytest.skip("TRAINSIM_AXE names no axe.min.js")
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert axe_finds(page) == []


def test_a_question_asked_by_keyboard_alone(browser: Any, address: str) -> None:
    page, said = shown(browser, address, "/")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "model":
            break
    for text in ("7B", "", "h100", "64", "1T", "2.5/h"):  # the second is the pasted config
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "layout"
    page.keyboard.type("leave")  # the second choice, by its first letters
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#main-cost data")
    est = ts.estimate(ts.quick("7B", chip="h100", gpus=64, tokens="1T", price=2.5))
    assert float(page.get_attribute("#main-cost data", "value")) == pytest.approx(float(est.cost.total), rel=1e-12)
    assert page.url.endswith("/answer?model=7B&chip=h100&gpus=64&tokens=1T&price=2.5%2Fh&layout=skip")
    assert said == []


def test_a_question_asked_by_pointer_is_changed_and_reloaded(browser: Any, address: str) -> None:
    page, said = shown(browser, address, "/")
    for name, text in {"model": "7B", "chip": "h100", "gpus": "64", "tokens": "1T", "price": "2/h"}.items():
        page.click(f"#{name}")
        page.fill(f"#{name}", text)
    page.select_option("#layout", "skip")
    page.click("text=Answer")
    page.wait_for_selector("#main-cost data")
    cost = float(page.get_attribute("#main-cost data", "value"))
    page.click("text=Change the question")
    page.fill("#price", "4/h")
    page.click("button:text('Answer')")
    page.wait_for_selector("#main-cost data")
    assert float(page.get_attribute("#main-cost data", "value")) == pytest.approx(2 * cost, rel=1e-12)
    low = page.get_attribute("#main-cost data", "data-low")
    linked, _ = shown(browser, address, page.url.removeprefix(address))
    linked.wait_for_selector("#main-cost data")
    linked.reload()
    assert linked.get_attribute("#main-cost data", "data-low") == low
    linked.go_back()
    assert said == []


def test_the_panel_starts_from_the_answer(browser: Any, address: str) -> None:
    page, _ = shown(browser, address, f"/answer?{ASKED.address}")
    page.wait_for_selector("#what-cost")
    cost = float(page.get_attribute("#main-cost data", "value"))
    assert float(page.get_attribute("#what-cost", "data-value")) == pytest.approx(cost, rel=1e-9)
    now = float(page.input_value("#knob-price"))
    page.fill("#knob-price", repr(2 * now))
    assert float(page.get_attribute("#what-cost", "data-value")) == pytest.approx(2 * cost, rel=1e-4)  # the box shows five digits


def test_an_error_leads_to_its_input(browser: Any, address: str) -> None:
    page, _ = shown(browser, address, f"/answer?{WRONG.address}")
    page.click("section.errors a")
    assert page.evaluate("location.hash") == "#gpus"
    assert page.get_attribute("#gpus", "aria-invalid") == "true"
    assert page.get_attribute("#gpus", "aria-describedby").split() == ["gpus-hint", "gpus-error"]
    assert page.input_value("#gpus") == "lots"


@pytest.mark.parametrize("by", ["pointer", "keyboard"])
def test_long_work_shows_progress_and_stops(browser: Any, slow: str, by: str) -> None:
    page, said = shown(browser, slow, f"/answer?{ASKED.address}", bypass_csp=bool(AXE))
    page.wait_for_function("document.getElementById('step').textContent.includes('counting')")
    first = page.text_content("#step")
    page.wait_for_function("text => document.getElementById('step').textContent !== text", arg=first)
    assert not AXE or axe_finds(page) == []
    if by == "pointer":
        page.click("text=Stop")
    else:
        page.focus("text=Stop")
        page.keyboard.press("Enter")
    page.wait_for_url("**/stopped?*")
    assert page.text_content("h1") == "Stopped"
    assert page.input_value("#model") == "7B"
    assert said == []


def many_layouts(asked: Question, _folder: Path | None, report: Report) -> None:
    run = ts.quick(asked.model, chip=asked.chip, gpus=int(asked.gpus), tokens=asked.tokens)
    searched = run.replace({"efficiency": ts.Modelled(stack=ts.catalog.stack("mcore-hopper"))})
    ts.search_plans(searched, progress=lambda done, total: report("searching layouts", done, total))
    raise AssertionError("the search ended before it was stopped")


@pytest.mark.parametrize("part", [0, 1], ids=["filter", "ranking"])
def test_a_search_ends_within_two_seconds_of_stop(browser: Any, part: int) -> None:
    pytest.importorskip("flask", reason="the app needs the extra 'app'")
    asked = Question(model="llama3.1-405b", chip="h100", gpus="16384", tokens="15T")
    app = make_app(answer=many_layouts)
    with served(app) as address:
        page, _ = shown(browser, address, f"/answer?{asked.address}")
        job = app.extensions["trainsim"].jobs.find(("/answer", asked))
        assert job is not None
        deadline = time.monotonic() + PATIENCE / 1000
        while not job.progress.total or job.progress.done < part * (job.progress.total - 1):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        pressed = time.monotonic()
        page.click("text=Stop")
        assert job.finished(10.0)
        assert time.monotonic() - pressed < 2.0
        assert isinstance(job.future.exception(), Stopped)


def test_another_tab_learns_that_the_work_was_stopped(browser: Any, slow: str) -> None:
    first, _ = shown(browser, slow, f"/answer?{ASKED.address}")
    second, _ = shown(browser, slow, f"/answer?{ASKED.address}")
    first.click("text=Stop")
    second.wait_for_url("**/stopped?*")


def test_the_page_works_without_a_script(browser: Any, address: str) -> None:
    page, said = shown(browser, address, f"/answer?{ASKED.address}", java_script_enabled=False)
    page.wait_for_selector("dl.figures")  # reloaded by the page itself until the answer is there
    assert page.get_attribute("#main-cost data", "value")
    assert said == []


def test_print_leaves_the_form_out(browser: Any, address: str) -> None:
    page, _ = shown(browser, address, f"/answer?{ASKED.address}", "dark")
    page.wait_for_selector("dl.figures")
    page.emulate_media(media="print")
    assert not page.is_visible(".question")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert len(page.pdf()) > 10_000
