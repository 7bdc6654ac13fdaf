"""Predictions of reinforcement learning compared with published hours: all rows, by fixed rules, misses included."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainsim.catalog import rl_settings
from trainsim.catalog.rl_recipes import recipes
from trainsim.catalog.rl_settings import settings_evidence
from trainsim.catalog.rows import Row, find, rows
from trainsim.core.errors import CatalogError
from trainsim.testing import refused
from trainsim.validation.rl_hindcast import KINDS, ReinforcementBacktest, coverage, median_width, reinforcement_backtest

DAY = dt.date(2025, 9, 16)
PAGE = Path(__file__).parents[2] / "docs" / "hindcasts.md"
NUMBER = re.compile(r"(\d+(?:\.\d+)?)")
QUANTITIES = ("steps_per_rollout", "responses_per_step", "steps", "samples")


@pytest.fixture(scope="module")
def found() -> ReinforcementBacktest:
    return reinforcement_backtest()


def test_none_is_dropped(found: ReinforcementBacktest) -> None:
    named = {name for name, row in rows("programmes").items() if row["kind"] in KINDS}
    assert {said.row.id for said in found.found} == named
    assert len(found.of_kind("grpo")) >= 12
    assert len({said.row.get("org", said.row.id) for said in found.of_kind("grpo")}) >= 6


def test_the_page_is_what_is_computed(found: ReinforcementBacktest) -> None:
    """Words are equal, and numbers to the last printed digit."""
    page = PAGE.read_text(encoding="utf-8")
    written = page[page.index("published   row") :].partition("\n```")[0]
    ours, theirs = NUMBER.split(str(found)), NUMBER.split(written)
    assert [w.split() for w in ours[::2]] == [w.split() for w in theirs[::2]], "trainsim hindcasts, and look at the difference"
    off = [
        (a, b) for a, b in zip(ours[1::2], theirs[1::2], strict=True) if abs(float(a) - float(b)) > 1.01 * 10.0 ** -len(b.partition(".")[2])
    ]
    assert not off, off


def test_misses_stay_on_the_page(found: ReinforcementBacktest) -> None:
    missed = [said for said in found.found if not said.inside]
    assert missed
    assert str(found).count("MISS") == len(missed) == PAGE.read_text(encoding="utf-8").split("## Reinforcement learning")[1].count(" MISS")
    for kind in KINDS:
        told = found.of_kind(kind)
        assert coverage(told) == sum(said.p5 <= (said.published or 0.0) <= said.p95 for said in told) / len(told)
        assert median_width(told) >= 1.0


def test_predictions_use_no_row_of_the_day_of_disclosure(found: ReinforcementBacktest) -> None:
    for said in found.of_kind("recipe-by-rule"):
        judged = find("runs", said.row["judges"].removeprefix("runs/"))
        assert said.row.date < judged.date
        for quantity in said.row["by_rule"]:
            evidence = settings_evidence(quantity, said.row.date, judged)
            assert all(find("reinforcement", address.partition("/")[2]).date <= said.row.date for address in evidence.used)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replaces the published settings by other rows."""

    def write(*new: Row) -> None:
        def seen(file: str) -> Mapping[str, Row]:
            return {row.id: row for row in new} if file == "reinforcement" else rows(file)

        monkeypatch.setattr(rl_settings, "rows", seen)
        monkeypatch.setattr(sys.modules[Row.__module__], "rows", seen)  # lineage

    return write


def a_setting(name: str, org: str, value: float, date: dt.date = dt.date(2025, 1, 1), **changes: Any) -> Row:
    like = rows("reinforcement")["dapo-32b"]
    return dataclasses.replace(like, id=name, date=date, fields={"org": org, "steps_per_rollout": value}, **changes)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_every_row_is_used_or_says_why_not(quantity: str) -> None:
    evidence = settings_evidence(quantity, DAY)
    assert set(evidence.used) | set(evidence.excluded) == {row.address for row in rows("reinforcement").values()}
    assert all(evidence.excluded.values())
    assert 1.0 <= evidence.levels[0] < evidence.levels[1] < evidence.levels[2]
    assert min(evidence.used.values()) >= 1.0


def test_later_rows_and_those_of_the_run_itself_are_not_seen(written: Any) -> None:
    judged = find("runs", "deepseek-r1-zero")
    base = [a_setting(f"r{i}", f"lab {i}", 2.0**i) for i in range(4)]
    written(*base)
    before = settings_evidence("steps_per_rollout", DAY, judged)
    later = a_setting("later", "late", 500.0, dt.date(2025, 9, 17))
    own = a_setting("own", "own", 500.0, derived_from=(judged.address,))
    written(*base, later, own)
    after = settings_evidence("steps_per_rollout", DAY, judged)
    assert after.levels == before.levels
    assert "after" in after.excluded["reinforcement/later"]
    assert "itself" in after.excluded["reinforcement/own"]
    assert settings_evidence("steps_per_rollout", dt.date(2025, 9, 17), judged).levels != before.levels


def test_a_labs_rows_are_one_observation(written: Any) -> None:
    base = [a_setting(f"r{i}", f"lab {i}", 4.0**i + 1.0) for i in range(4)]
    written(*base)
    before = settings_evidence("steps_per_rollout", DAY)
    written(*base, *(a_setting(f"again{i}", "lab 3", 4.0**3 + 1.0) for i in range(5)))
    after = settings_evidence("steps_per_rollout", DAY)
    assert after.levels == pytest.approx(before.levels)
    assert after.labs == before.labs == 4
    written(*base[:2])
    with refused(CatalogError, "too-few-data", "catalog.reinforcement.steps_per_rollout"):
        settings_evidence("steps_per_rollout", DAY)


@given(st.lists(st.floats(1.0, 1e4), min_size=3, max_size=20), st.integers(0, 10**6))
def test_the_quantiles_are_those_of_a_truncated_student_t(values: list[float], seed: int) -> None:
    """An oracle without a quantile function: draws of the prediction, without those below one."""
    if np.std(np.log(values)) < 0.05:
        return
    patch = pytest.MonkeyPatch()
    with patch.context() as held:
        known = {f"r{i}": a_setting(f"r{i}", f"lab {i}", v) for i, v in enumerate(values)}
        held.setattr(rl_settings, "rows", lambda file: known if file == "reinforcement" else rows(file))
        low, mid, high = settings_evidence("steps_per_rollout", DAY).levels
    logs, n = np.log(values), len(values)
    draws = logs.mean() + logs.std(ddof=1) * np.sqrt(1 + 1 / n) * np.random.default_rng(seed).standard_t(n - 1, 40_000)
    kept = draws[draws >= 0.0]
    for level, share in ((low, 0.05), (mid, 0.5), (high, 0.95)):
        assert abs(np.mean(kept < np.log(level)) - share) < 0.015


@pytest.mark.parametrize("name", ["recipe-r1-zero-by-rule", "recipe-r1-by-rule"])
def test_the_rule_changes_only_the_settings_it_names(name: str) -> None:
    row = find("programmes", name)
    ours, theirs = recipes(name)[0], recipes(row["like"])[0]
    changed = {path for path in theirs.beliefs.paths if ours.beliefs[path] != theirs.beliefs[path]}
    assert changed == {"prompts" if q == "responses_per_step" else q for q in row["by_rule"]}
    assert (ours.spec, ours.clusters) == (theirs.spec, theirs.clusters)
