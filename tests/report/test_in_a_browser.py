"""Reports in headless Chromium: the panel agrees with the library, the keyboard opens a tree, the console is empty, axe-core finds
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainsim as ts
from trainsim.report.what_if import SHOWN, SHOWN_AS, turn, what_if

from .chromium import AXE, VIEWS, axe_finds, browser, opened
from .samples import BELIEFS, answer, v3, verdict

__all__ = ["browser"]  # a fixture
pytestmark = pytest.mark.browser
ANSWERS: dict[str, Callable[[], Any]] = {
    "run": lambda: ts.estimate(v3()),
    "verdict": verdict,
    "comparison": lambda: answer("two runs"),
    "search": lambda: answer("a search"),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    return {name: ts.write_report(make(), folder / f"{name}.html", BELIEFS if name == "run" else None) for name, make in ANSWERS.items()}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ANSWERS)
def test_nothing_complains_and_nothing_is_wider_than_the_screen(browser: Any, pages: dict[str, Path], name: str, view: str) -> None:
    page, said = opened(browser, pages[name], view)
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    shown = page.evaluate("[...document.querySelectorAll('figure div')].filter(d => d.offsetHeight).map(d => d.className)")
    assert set(shown) == {"dark" if view == "dark" else "light"}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ANSWERS)
def test_axe_finds_nothing_serious(browser: Any, pages: dict[str, Path], name: str, view: str) -> None:
    if not AXE:
        pytest.skip("TRAINSIM_AXE names no axe.min.js")
    page, _ = opened(browser, pages[name], view, bypass_csp=True)
    assert axe_finds(page) == []


def test_a_phone_shows_whole_pictures_with_their_finding_in_readable_letters(browser: Any, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["verdict"], "phone")
    overflow = "[...document.querySelectorAll('figure')].map(f => f.scrollWidth - f.clientWidth)"
    letters = "parseFloat(getComputedStyle(document.querySelector('figcaption strong')).fontSize)"
    assert max(page.evaluate(overflow)) <= 0
    assert page.is_visible("figcaption strong")
    assert page.evaluate(letters) >= 14
    page.focus("figcaption input")
    page.keyboard.press("Space")
    assert min(page.evaluate(overflow)) > 0, "the enlarged picture scrolls within its figure"
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_the_panel_is_the_estimate_at_fifty_settings(browser: Any, pages: dict[str, Path]) -> None:
    page, said = opened(browser, pages["run"], "desktop")
    found, rng = what_if(v3()), np.random.default_rng(7)
    for _ in range(50):
        settings = {name: now * float(rng.uniform(0.4, 1.0 if name in ("mfu", "goodput") else 3.0)) for name, now in found.knobs.items()}
        settings["gpus"] = float(round(settings["gpus"]))
        for name, value in settings.items():
            page.fill(f"#knob-{name}", repr(value * SHOWN_AS[name]))
        est = ts.estimate(turn(found.run, found.knobs, settings))
        for quantity in SHOWN:
            shown = float(page.get_attribute(f"#what-{quantity}", "data-value"))
            assert shown == pytest.approx(float(est.quantity(quantity)), rel=1e-9)
    page.click("#what-reset")
    assert float(page.get_attribute("#what-cost", "data-value")) == pytest.approx(float(ts.estimate(v3()).cost.total), rel=1e-9)
    assert said == []


def test_a_slider_moves_by_keyboard_and_the_interval_with_it(browser: Any, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["run"], "desktop")
    before = [float(page.get_attribute("#spread-cost", f"data-{end}")) for end in ("low", "high")]
    page.focus("#slide-price")
    for _ in range(100):
        page.keyboard.press("ArrowRight")
    after = [float(page.get_attribute("#spread-cost", f"data-{end}")) for end in ("low", "high")]
    assert after == pytest.approx([2 * end for end in before], rel=1e-9)


def test_the_keyboard_opens_a_tree(browser: Any, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["run"], "desktop")
    summary = page.locator("section[aria-labelledby=ledgers] details > summary").first
    summary.focus()
    assert not summary.evaluate("e => e.parentElement.open")
    page.keyboard.press("Enter")
    assert summary.evaluate("e => e.parentElement.open")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY", "the next line can be reached"


def test_print_is_light_and_whole(browser: Any, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["run"], "dark")
    page.emulate_media(media="print")
    shown = page.evaluate("[...document.querySelectorAll('figure div')].filter(d => d.offsetHeight).map(d => d.className)")
    assert set(shown) == {"light"}
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    depths = page.evaluate(
        "[...document.querySelectorAll('ul.leaves')].filter(u => u.getClientRects().length)"
        ".map(u => { let n = 0; for (let e = u; e; e = e.parentElement) n += e.classList.contains('leaves'); return n; })"
    )
    assert max(depths, default=0) <= 2, "two levels of a ledger are printed"
    assert 0 < page.pdf().count(b"/Type /Page\n") <= 20
