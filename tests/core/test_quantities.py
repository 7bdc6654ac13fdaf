"""Numbers as text: the accepted spellings of every unit, round trips, and rejected texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.catalog.currencies import usd_per
from trainsim.catalog.rows import PUBLISHED
from trainsim.core.errors import SpecError
from trainsim.core.quantities import parse_interval, parse_number
from trainsim.testing import refused


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("2T", "token", 2e12), ("15.5e12", "token", 15.5e12), ("15.5T tokens", "token", 15.5e12), ("1,500", "token", 1500.0),
        ("2.5/h", "USD/GPU-h", 2.5), ("$2.5/h", "USD/GPU-h", 2.5), ("2.5 USD/GPU-h", "USD/GPU-h", 2.5), ("2/H800-hour", "USD/GPU-h", 2.0),
        ("2.5 dollars per hour", "USD/GPU-h", 2.5), ("$6M", "USD", 6e6), ("6 MUSD", "USD", 6e6), ("5.6 million dollars", "USD", 5.6e6),
        ("30k", "USD/GPU", 3e4), ("80GB", "B", 80e9), ("80GiB", "B", 80 * 2.0**30), ("400Gb/s", "B/s", 50e9), ("3.35TB/s", "B/s", 3.35e12),
        ("989T", "FLOP/s", 989e12), ("989 TFLOP/s", "FLOP/s", 989e12), ("40 days", "day", 40.0), ("2 weeks", "h", 336.0),
        ("9600ms", "s", 9.6), ("38.94%", "", 0.3894), ("2.788M GPU-hours", "GPU-h", 2.788e6), ("16k GPU-days", "GPU-h", 384e3),
        ("700W", "W/GPU", 700.0), ("$0.10/kWh", "USD/kWh", 0.1),
    ],
)  # fmt: skip
def test_a_number_is_read_in_the_unit_of_its_field(text: str, unit: str, value: float) -> None:
    assert parse_number(text, unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "unit", "rule_id"),
    [
        ("80GB", "token", "unit-mismatch"), ("2T", "s", "unit-mismatch"), ("40 days", "token", "unit-mismatch"),
        ("5 M", "B", "unit-mismatch"),
        ("2.5/day", "USD/GPU-h", "unit-mismatch"), ("2M/h", "USD/GPU-h", "unit-mismatch"), (".5/h", "USD/GPU-h", "wrong-type"),
        ("1.4..3.4", "USD/GPU-h", "wrong-type"), ("3±20%", "USD/GPU-h", "wrong-type"),
        ("1,5", "token", "wrong-type"), ("many", "token", "wrong-type"), ("", "token", "wrong-type"), ("1e999", "token", "unit-mismatch"),
    ],
)  # fmt: skip
def test_another_dimension_is_refused(text: str, unit: str, rule_id: str) -> None:
    with refused(SpecError, rule_id, path="here"):
        parse_number(text, unit, "here")


@given(st.floats(1e-6, 1e15))
def test_a_number_without_a_suffix_is_unchanged(value: float) -> None:
    for unit in ("token", "USD/GPU-h", "B", "s", "", "FLOP/s"):
        assert parse_number(repr(value), unit) == value


@given(st.floats(1.0, 1e3), st.sampled_from([("K", 1e3), ("M", 1e6), ("B", 1e9), ("T", 1e12)]))
def test_suffixes_are_powers_of_a_thousand(value: float, suffix: tuple[str, float]) -> None:
    assert parse_number(f"{value!r}{suffix[0]}", "token") == value * suffix[1]


@given(st.integers(1, 999), st.sampled_from([("K", 1), ("k", 1), ("M", 2)]))
def test_a_length_counts_in_1024_and_tokens_in_1000(value: int, suffix: tuple[str, int]) -> None:
    letter, power = suffix
    phase = ts.Phase("pretrain", tokens=f"{value}{letter}", seq_len=f"{value}{letter} tokens", document_length=f"{value} {letter}")  # type: ignore[arg-type]
    assert phase.tokens == value * 1000**power
    assert phase.seq_len == phase.document_length == value * 1024**power


def test_intervals() -> None:
    assert parse_interval("1.4..3.4", "USD/GPU-h") == (1.4, 3.4)
    assert parse_interval("$1.4..$3.4/h", "USD/GPU-h") == (1.4, 3.4)
    assert parse_interval("1T..2T..4T", "token") == (1e12, 2e12, 4e12)
    assert parse_interval("1..4T tokens", "token") == (1e12, 4e12)
    assert parse_interval("3±20%", "USD/GPU-h") == pytest.approx((2.4, 3.0, 3.6))
    assert parse_interval("3+-0.5", "USD/GPU-h") == (2.5, 3.0, 3.5)
    assert parse_interval("3", "USD/GPU-h") is None
    with refused(SpecError, "out-of-bounds", path="p"):
        parse_interval("3.4..1.4", "USD/GPU-h", "p")


def test_fields_and_beliefs_take_texts() -> None:
    assert ts.Phase("pretrain", tokens="2T", seq_len=4096).tokens == 2e12  # type: ignore[arg-type]
    price = ts.Rental(usd_per_gpu_hour="$2.5/h")  # type: ignore[arg-type]
    assert price.usd_per_gpu_hour == 2.5
    typed, written = (ts.Beliefs({"usd_per_gpu_hour": given}).resolve(price).laws for given in ("1.4..3.4", ts.ci90(1.4, 3.4)))
    assert typed == written


@given(st.floats(0.01, 1e6), st.sampled_from([("RMB", "CNY"), ("yuan", "CNY"), ("€", "EUR"), ("GBP", "GBP"), ("yen", "JPY")]))
def test_an_amount_in_another_currency_is_converted_with_a_warning(value: float, currency: tuple[str, str]) -> None:
    word, code = currency
    with pytest.warns(ts.TrainsimWarning, match=rf"{code} a dollar, the mean of \d{{4}}"):
        dollars = parse_number(f"{value} {word}/h", "USD/GPU-h")
    assert dollars == pytest.approx(value * usd_per(code, PUBLISHED))


@pytest.mark.parametrize(("text", "unit"), [("18 RMB/token", "USD/GPU-h"), ("18 RMB", "token"), ("¥18/h", "USD/GPU-h")])
def test_a_currency_does_not_make_another_unit_fit(text: str, unit: str) -> None:
    with refused(SpecError, "unit-mismatch"):
        parse_number(text, unit)
