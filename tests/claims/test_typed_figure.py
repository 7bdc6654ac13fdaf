"""A typed figure: its quantity, its value, and whether it is a bound or a range."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainsim.claims.claim import Claim
from trainsim.claims.typed_figure import typed_figure
from trainsim.testing import refused

SPELLINGS = {
    "cost": ["{:g}M", "${:g} million", "{:g} million dollars", "{:g}M USD"],
    "gpu_hours": ["{:g}M GPU-hours", "{:g} million GPU hours", "{:g}M H800 hours", "{:g}M H100 GPU hours", "{:g}M A100-hours"],
    "gpus": ["{:g}M GPUs", "{:g}M H800s"],
    "energy": ["{:g}M kWh", "{:g} GWh", "{:g} gigawatt-hours"],
    "tokens": ["{:g}M tokens"],
    "params": ["{:g}M parameters", "{:g} million params"],
}
CASES = [(quantity, spelling) for quantity, spellings in SPELLINGS.items() for spelling in spellings]


@given(st.integers(1, 999), st.sampled_from(CASES))
def test_the_unit_of_a_figure_says_what_it_measures(number: int, case: tuple[str, str]) -> None:
    quantity, spelling = case
    claim = Claim(**typed_figure(spelling.format(number)))
    assert claim.quantity == quantity
    assert claim.in_base() == pytest.approx(number * 1e6, rel=1e-12)


@given(st.integers(1, 499), st.sampled_from(CASES), st.sampled_from(["{} to {}", "{}..{}", "{} – {}"]))
def test_a_range_takes_the_unit_of_its_upper_end(low: int, case: tuple[str, str], words: str) -> None:
    quantity, spelling = case
    claim = Claim(**typed_figure(words.format(low, spelling.format(2 * low))))
    assert claim.quantity == quantity
    assert claim.ends() == pytest.approx((low * 1e6, 2 * low * 1e6), rel=1e-12)


@given(
    st.integers(1, 999),
    st.sampled_from(CASES),
    st.sampled_from([("at least {}", "at least"), (">{}", "at least"), ("under {}", "at most"), ("≤ {}", "at most"), ("{}", "")]),
)
def test_words_before_a_figure_make_it_a_bound(number: int, case: tuple[str, str], bound: tuple[str, str]) -> None:
    quantity, spelling = case
    made = Claim(**typed_figure(bound[0].format(spelling.format(number))))
    assert (made.quantity, made.bound) == (quantity, bound[1])
    assert made.in_base() == pytest.approx(number * 1e6, rel=1e-12)


def test_other_spellings() -> None:
    assert typed_figure("2-5M") == {"quantity": "cost", "low": 2e6, "high": 5e6, "unit": "USD"}
    assert typed_figure("500M+")["bound"] == "at least"
    assert typed_figure("about 40%") == {"quantity": "mfu", "value": 0.4, "unit": "", "about": True}
    assert typed_figure("3M GPU days") == {"quantity": "gpu_hours", "value": 72e6, "unit": "GPU-h"}
    assert typed_figure("35M RMB") == {"quantity": "cost", "value": 35e6, "unit": "RMB"}
    assert typed_figure("30 days") == {"quantity": "wall_days", "value": 30.0, "unit": "day"}
    assert typed_figure("1,920 H100 GPUs") == typed_figure("1920gpus") == {"quantity": "gpus", "value": 1920.0, "unit": "GPU"}
    assert typed_figure("46.2% MFU") == {"quantity": "mfu", "value": 0.462, "unit": ""}
    assert typed_figure("14.8T", "tokens") == {"quantity": "tokens", "value": 14.8e12, "unit": "token"}
    assert typed_figure("2.7e6", "gpu_hours") == {"quantity": "gpu_hours", "value": 2.7e6, "unit": "GPU-h"}


@pytest.mark.parametrize(
    ("text", "quantity", "rule"),
    [
        ("6 apples", "", "unit-mismatch"),
        ("5M..2M", "", "wrong-type"),
        ("1M..2M..3M", "", "wrong-type"),
        ("at least 2M..5M", "", "wrong-type"),
        (".5M", "", "wrong-type"),
        ("", "", "wrong-type"),
        ("30M GPU-hours", "cost", "unit-mismatch"),
        ("6M", "costs", "unknown-name"),
    ],
)
def test_what_is_no_figure_is_refused(text: str, quantity: str, rule: str) -> None:
    with refused(rule_id=rule):
        typed_figure(text, quantity)
