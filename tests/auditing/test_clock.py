"""Rows after the ``as_of`` day have no effect."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest

import trainsim as ts
from trainsim.catalog.rows import PUBLISHED, Row, day_of
from trainsim.catalog.rows import rows as real_rows

LANGUAGE = ("phrases", "currencies", "claims", "sources")
"""Files that contain words and units, not evidence."""
AS_OF = ("2024-12-28", "2025-03-31", "2026-03-31")


@pytest.mark.parametrize("name", ["deepseek-v3-6m", "r1-5m-against-100m", "fleet-1.6b", "deepseek-v3-2048-gpus"])
@pytest.mark.parametrize("as_of", AS_OF)
def test_excluded_rows_have_no_effect(name: str, as_of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = ts.catalog.claim(name)
    hidden = str(ts.audit(claim, as_of=as_of))
    last = day_of(as_of, "as_of")

    def without(file: str) -> Mapping[str, Row]:
        known = real_rows(file)
        return known if file in LANGUAGE else {n: row for n, row in known.items() if row.date <= last}

    for module in [m for n, m in sys.modules.items() if n.startswith("trainsim.") and getattr(m, "rows", None) is real_rows]:
        monkeypatch.setattr(module, "rows", without)
    assert str(ts.audit(claim, as_of=as_of)) == hidden


@pytest.mark.parametrize("as_of", AS_OF)
def test_every_day_on_the_screen_is_public(as_of: str) -> None:
    verdict = ts.audit(ts.catalog.claim("deepseek-v3-6m"), as_of=as_of)
    assert verdict.clock is not None
    assert verdict.clock.known.isoformat() == as_of
    days = [r.newest for r in verdict.readings if r.newest is not None]
    assert all(day.isoformat() <= as_of for day in days)
    assert all(c.newest <= as_of for c in verdict.checks)


def test_predictions_do_not_use_rows_of_the_day_of_the_claim() -> None:
    verdict: Any = ts.audit(ts.catalog.claim("deepseek-v3-6m"))
    assert verdict.clock.blind.isoformat() == "2024-12-25"
    assert verdict.check("hours").newest < "2024-12-26"
    assert verdict.clock.known == PUBLISHED


def test_before_the_disclosure_there_is_none() -> None:
    verdict = ts.audit(ts.catalog.claim("deepseek-v3-6m"), as_of="2024-12-25")
    assert verdict.number == "CANNOT BE JUDGED"


def test_no_row_is_later_than_the_catalogue() -> None:
    for file in ("chips", "clusters", "models", "runs", "prices", "rents", "priors", "programmes", "developments", "fleets", "disclosures",
                 "phrases", "currencies", "claims", "reliability"):  # fmt: skip
        assert all(row.date <= PUBLISHED for row in real_rows(file).values()), file
