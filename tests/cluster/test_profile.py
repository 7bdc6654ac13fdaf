"""A stack fitted to measurements recovers the numbers they were made with, also with noise; a user's file can be used as a stack."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.cluster.profile import AttentionTiming, KernelProfile, ProductTimings, fit_stack
from trainsim.core.errors import EstimateError, TrainsimError
from trainsim.testing import refused

CHIP = ts.catalog.chip("h100-sxm")
BASE = ts.catalog.stack("mcore-hopper")
SHAPES = np.array(
    [(4096, 4096, 256), (4096, 4096, 1024), (8192, 8192, 4096), (8192, 8192, 16384), (4096, 11008, 4096), (2048, 2304, 8192),
     (1536, 1536, 2048), (640, 4096, 4096), (16384, 4096, 1024), (3072, 3072, 512)], dtype=np.float64,
)  # fmt: skip


def profile_of(stack: ts.Stack, noise: float = 0.0, seed: int = 0) -> KernelProfile:
    rng = np.random.default_rng(seed)

    def measured(seconds: Any) -> Any:
        return seconds * np.exp(noise * rng.normal(size=np.shape(seconds)))

    rows, cols, depth = SHAPES.T
    products = []
    for number_format in ("bf16", "fp8"):
        for groups, scale in ((1.0, 1.0), (8.0, 0.25)):
            given_ = (np.ceil(rows * scale), cols, depth, np.full(len(rows), groups))
            share = float(stack.share(number_format)) * (float(stack.grouped) if groups > 1 else 1.0)
            exact = ProductTimings(number_format, *given_, seconds=np.ones(len(rows))).modelled(CHIP, share, stack)
            products.append(ProductTimings(number_format, *given_, seconds=measured(exact)))
    width, length, backward = (
        each.ravel() for each in np.meshgrid([128.0, 192.0, 256.0, 320.0], [512.0, 2048.0, 8192.0, 32768.0], [0.0, 1.0])
    )
    shape = (np.full(width.shape, 16384.0), np.full(width.shape, 16.0), width, length, backward)
    attention = AttentionTiming(*shape, seconds=measured(AttentionTiming(*shape, seconds=np.ones(width.shape)).modelled(CHIP, stack)))
    moved = np.array([1e8, 1e9, 4e9])
    copied = measured(moved / (float(stack.memory) * float(CHIP.memory_bandwidth)))
    return KernelProfile(CHIP, tuple(products), attention, moved, copied, float(stack.launch))


NUMBERS = {
    "bf16": st.floats(0.4, 0.9), "fp8": st.floats(0.4, 0.9), "half_depth": st.floats(50, 1500), "wave": st.floats(0.1, 0.9),
    "grouped": st.floats(0.4, 0.95), "attention_forward": st.floats(0.2, 0.9), "attention_backward": st.floats(0.2, 0.9),
    "half_head": st.floats(10, 150), "half_length": st.floats(50, 2000), "memory": st.floats(0.6, 0.95), "launch": st.floats(1e-6, 2e-5),
}  # fmt: skip


@settings(deadline=None, max_examples=15)
@given(st.fixed_dictionaries(NUMBERS))
def test_measurements_of_a_known_stack_give_its_numbers_back(numbers: dict[str, float]) -> None:
    fitted = fit_stack(profile_of(BASE.replace(dict(numbers))), BASE)
    for field, value in numbers.items():
        assert float(getattr(fitted.stack, field)) == pytest.approx(value, rel=1e-3), field
        assert fitted.stack.tag(field) == "measured"
    assert max(fitted.errors.values()) < 1e-4
    assert fitted.stack.tag("scale_up") == BASE.tag("scale_up")


def test_noise_of_a_few_percent_moves_shares_by_less() -> None:
    told = BASE.replace({"bf16": 0.72, "fp8": 0.6, "half_depth": 400.0, "attention_forward": 0.6})
    fitted = fit_stack(profile_of(told, noise=0.03), BASE)
    for field in ("bf16", "fp8", "attention_forward", "memory"):
        assert float(getattr(fitted.stack, field)) == pytest.approx(float(getattr(told, field)), rel=0.06)
    assert 0.005 < max(fitted.errors.values()) < 0.05


def test_too_few_measurements_are_refused() -> None:
    whole = profile_of(BASE)
    first = whole.products[0]
    two = ProductTimings("bf16", *(getattr(first, name)[:2] for name in ("rows", "cols", "depth", "groups", "seconds")))
    with refused(EstimateError, "too-few-data", "profile"):
        fit_stack(KernelProfile(CHIP, (two,), None, whole.moved, whole.copied, whole.launch), BASE)


def test_a_users_file_is_a_stack_like_any_other(tmp_path: Path) -> None:
    fitted = fit_stack(profile_of(BASE.replace({"bf16": 0.77})), BASE)
    path = tmp_path / "mine.toml"
    path.write_text(
        ts.catalog.stack_text("mine", fitted.stack, like="mcore-hopper", source="my bench", date="2026-11-25"), encoding="utf-8"
    )
    read = ts.catalog.stack(path)
    assert read == ts.catalog.stack(str(path)) == fitted.stack.replace({"name": "mine"})
    assert read.tag("bf16") == "measured"
    assert "my bench" in read.sources()["bf16"]
    beliefs = ts.catalog.stack_beliefs(str(path))
    assert "efficiency.stack.bf16" not in str(beliefs)
    assert "efficiency.stack.scale_up" in str(beliefs)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            '[a]\nsource = ["x"]\ndate = "2026-01-01"\ngrade = "measured"\nevidence = "found"\nlike = "mcore-hoper"',
            ("unknown-name", "catalog.stacks"),
        ),
        (
            '[a]\ndate = "2026-01-01"\ngrade = "measured"\nevidence = "found"\nlike = "mcore-hopper"',
            ("missing",),
        ),
        (
            '[a]\nsource = ["x"]\ndate = "2026-01-01"\ngrade = "measured"\nevidence = "found"\nlike = "mcore-hopper"\nbf17 = 1.0',
            ("unknown-field", "bf17"),
        ),
        ("", ("conflict",)),
    ],
)
def test_a_file_that_is_no_stack_says_why(tmp_path: Path, text: str, named: tuple[str, ...]) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with refused(TrainsimError, *named):
        ts.catalog.stack(path)


SCRIPT = Path(__file__).parents[2] / "benchmarks" / "measure_kernels.py"


def test_the_measuring_script_skips_without_a_card() -> None:
    blind = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False, env=blind)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert done.stdout == "SKIPPED: no NVIDIA GPU\n"


def test_the_measuring_script_knows_its_rows() -> None:
    script = runpy.run_path(str(SCRIPT))
    for row in script["CHIPS"].values():
        ts.catalog.chip(row)
        assert ts.catalog.stack(script["LIKE"][row[0]]).architecture
