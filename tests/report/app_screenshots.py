"""Write the screenshots of docs/app.md: ``python -m tests.report.app_screenshots``; needs the extras ``app`` and ``browser``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from trainsim.app.server import make_app

from .chromium import CHROMIUM
from .test_app_in_a_browser import ASKED, served

IMAGES = Path(__file__).parents[2] / "docs" / "img"
SIZE = {"width": 860, "height": 860}


def write() -> None:
    """The top of an answer's page, light and dark."""
    with served(make_app()) as address, import_module("playwright.sync_api").sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for theme, name in (("light", "app.png"), ("dark", "app.dark.png")):
            page = browser.new_context(viewport=SIZE, color_scheme=theme).new_page()
            page.goto(f"{address}/answer?{ASKED.address}")
            page.wait_for_selector("dl.figures")
            page.screenshot(path=IMAGES / name)
        browser.close()


if __name__ == "__main__":
    write()
