"""Claims: figures with units in all accepted spellings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.claims.claim import DIMENSIONS
from trainsim.testing import refused


@pytest.mark.parametrize(
    ("quantity", "value", "unit", "base"),
    [
        ("cost", 6e6, "USD", 6e6),
        ("cost", 6, "MUSD", 6e6),
        ("cost", 6, "M$", 6e6),
        ("cost", 0.006, "BUSD", 6e6),
        ("cost", 6000, "kUSD", 6e6),
        ("busy_gpu_hours", 2.788, "MGPU-h", 2.788e6),
        ("gpu_hours", 100, "GPU-day", 2400),
        ("wall_days", 48, "h", 2),
        ("mfu", 39, "%", 0.39),
        ("tokens", 14.8, "Ttoken", 14.8e12),
        ("pay", 1.3, "MUSD/year", 1.3e6),
        ("params", 671, "Bparameter", 671e9),
        ("gpus", 50, "KGPU", 50e3),
        ("gpu_hours", 3000, "GPU-week", 504e3),
        ("mfu", 0.39, "", 0.39),
    ],
)
def test_a_unit_is_read(quantity: str, value: float, unit: str, base: float) -> None:
    assert ts.Claim(quantity, value, unit=unit).in_base() == pytest.approx(base, rel=1e-12)


@given(
    st.sampled_from(sorted(DIMENSIONS)), st.sampled_from(["USD", "GPU-h", "day", "token", "GPU", "USD/year", "FLOP", "parameter", "expert"])
)
def test_only_its_own_dimension_measures_a_quantity(quantity: str, unit: str) -> None:
    claim = ts.Claim(quantity, 1.0, unit=unit)
    if DIMENSIONS[quantity] == unit:
        assert claim.in_base() == 1.0
    else:
        with refused(ts.TrainsimError, "unit-mismatch", "unit") as caught:
            claim.in_base()
        assert DIMENSIONS[quantity] in caught.error.rule


def test_a_claim_survives_a_file(tmp_path: Path) -> None:
    for name in ("deepseek-v3-6m", "fleet-1.6b", "mla-key-words"):
        claim = ts.catalog.claim(name)
        claim.save(tmp_path / "claim.toml")
        assert ts.Claim.load(tmp_path / "claim.toml") == claim


def test_the_catalogue_has_all_fifteen_claims() -> None:
    claims = ts.catalog.claims()
    assert len(claims) == 15
    for name, claim in claims.items():
        assert claim.name == name
        assert claim.statement
        assert claim.source
        assert claim.primary is not None
        assert claim.primary.statement
        if claim.value is not None:
            claim.in_base()


def test_a_range_has_two_ends_and_no_bound() -> None:
    assert ts.Claim("cost", low=2, high=5, unit="MUSD").ends() == (2e6, 5e6)
    for wrong in (
        {"low": 2.0},
        {"low": 5.0, "high": 2.0},
        {"value": 3.0, "low": 2.0, "high": 5.0},
        {"low": 2.0, "high": 5.0, "bound": "at least"},
    ):
        with pytest.raises(ts.TrainsimError):
            ts.Claim("cost", unit="MUSD", **wrong)


def test_another_currency_needs_a_rate() -> None:
    said = ts.Claim("cost", 40, unit="MCNY")
    assert said.currency == "CNY"
    assert ts.Claim("cost", 40, unit="million RMB").currency == "CNY"
    assert ts.Claim("pay", 40, unit="kEUR/year").currency == "EUR"
    with pytest.raises(ts.TrainsimError):
        said.in_base()
    assert said.in_dollars(0.14).in_base() == pytest.approx(5.6e6)
    assert ts.Claim("cost", 6, unit="MUSD").currency == ""
