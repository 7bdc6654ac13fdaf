"""Draw the screenshots of docs/app.md, light and dark: ``python -m tests.report.app_shot``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from trainsim.app.question import Question
from trainsim.app.server import make_app

from .chromium import CHROMIUM
from .test_app_in_a_browser import served

SHOTS = Path(__file__).parents[2] / "docs" / "img"
ASKED = Question(model="deepseek-v3", chip="h800", gpus="2048", tokens="14.8T", price="2/h", claim="6M", told_as="the cost of training it")


def main() -> None:
    """Ask one question in both themes and save the top of its answer."""
    api: Any = import_module("playwright.sync_api")
    with served(make_app()) as address, api.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            page = chromium.new_context(viewport={"width": 1000, "height": 1100}, color_scheme=theme, reduced_motion="reduce").new_page()
            page.goto(f"{address}/answer?{ASKED.address}")
            page.wait_for_selector("dl.figures", timeout=120_000)
            page.screenshot(path=SHOTS / f"app.{theme}.png")
        chromium.close()


if __name__ == "__main__":
    main()
