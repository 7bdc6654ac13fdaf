"""The built site in headless Chromium, opened as files: nothing is fetched, the search finds, pictures fit the theme.

``mkdocs build`` comes first; without out/site these tests skip.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .chromium import AXE, VIEWS, axe_finds, browser, opened

__all__ = ["browser"]  # a fixture
pytestmark = pytest.mark.browser
SITE = Path(__file__).parents[2] / "out" / "site"
PAGES = ("index", "start", "check-a-claim", "gallery", "cookbook", "claims/deepseek-v3-6m", "formulas")


@pytest.fixture(autouse=True)
def built() -> None:
    if not (SITE / "index.html").exists():
        pytest.skip("no out/site: mkdocs build")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_complains_of_nothing_and_fits_its_screen(browser: Any, name: str, view: str) -> None:
    page, said = opened(browser, SITE / f"{name}.html", view, bypass_csp=True)
    page.wait_for_timeout(200)
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert axe_finds(page) == [] if AXE else True


@pytest.mark.parametrize("view", ["desktop", "dark"])
def test_pictures_are_light_on_light_and_dark_on_dark(browser: Any, view: str) -> None:
    page, _ = opened(browser, SITE / "gallery.html", view)
    shown = page.evaluate("[...document.querySelectorAll('article img')].filter(i => i.offsetHeight).map(i => i.getAttribute('src'))")
    assert len(shown) >= 10
    assert {".dark.svg" in address for address in shown} == {view == "dark"}


@pytest.mark.parametrize("words", ["hindcast", "roofline", "search_plans"])
def test_the_search_finds_without_a_server(browser: Any, words: str) -> None:
    page, said = opened(browser, SITE / "index.html", "desktop")
    page.keyboard.press("/")
    page.keyboard.type(words)
    first = page.locator(".md-search-result__item a").first
    first.wait_for(timeout=20_000)
    first.click()
    page.wait_for_load_state()
    assert page.url.startswith("file:")
    assert words in page.content().lower()
    assert said == []
