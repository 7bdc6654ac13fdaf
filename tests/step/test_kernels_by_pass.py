"""Kernels by pass: weight gradients, wide heads, idle time of paired slots, power by format, and allowed overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import trainsim as ts
from trainsim.run.step_time import slot_time


def dense(**plan: Any) -> ts.Run:
    return ts.Run(
        model=ts.catalog.model("llama3-8b"),
        cluster=ts.catalog.cluster("hgx-h100", 64),
        plan=ts.Plan(**{"zero": 1, **plan}),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=8192, batch=128)],
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
    )


def routed(**plan: Any) -> ts.Run:
    told = ts.catalog.run("deepseek-v3")
    phase = ts.Phase("pretrain", tokens=14.8e12, seq_len=4096, batch=15360)
    return dense().replace(
        {
            "model": told.model, "cluster": told.cluster, "plan": told.plan.replace(plan),  # type: ignore[union-attr]
            "phases": [phase], "efficiency.stack": ts.catalog.stack("deepseek-2024"),
        }
    )  # fmt: skip


def seconds(run: ts.Run, **stack: Any) -> ts.Ledger:
    return ts.step_time(run.replace({f"efficiency.stack.{name}": value for name, value in stack.items()}))


def of_pass(ledger: ts.Ledger, kind: str, name: str) -> float:
    return float(np.asarray(ledger.part(f"compute.{kind}.{name}").total))


@pytest.mark.parametrize(
    ("precision", "field"), [("bf16", "weight_gradient"), ("fp8", "weight_gradient"), ("fp8-blockwise", "weight_gradient_block")]
)
def test_only_gradients_of_weights_slow_with_their_own_speed(precision: str, field: str) -> None:
    run = dense(precision=precision)
    full, half = seconds(run, **{field: 1.0}), seconds(run, **{field: 0.5})
    assert of_pass(half, "dense", "forward") == of_pass(full, "dense", "forward")
    assert of_pass(half, "dense", "inputs") == of_pass(full, "dense", "inputs")
    assert of_pass(half, "dense", "weights") == pytest.approx(2.0 * of_pass(full, "dense", "weights"), rel=0.02)


def test_scales_decide_which_speed_counts() -> None:
    run = dense(precision="fp8")
    assert float(seconds(run, weight_gradient_block=0.5).total) == float(seconds(run, weight_gradient_block=1.0).total)


def test_backward_of_wide_heads_alone_slows() -> None:
    narrow, wide = dense(), routed()
    assert float(seconds(narrow, wide_backward=0.5).total) == float(seconds(narrow, wide_backward=1.0).total)
    assert float(seconds(wide, wide_backward=0.5).total) > 1.02 * float(seconds(wide, wide_backward=1.0).total)


def test_idle_time_is_its_share_of_paired_slots() -> None:
    """If a share q of a paired slot has no compute, the slot takes 1/(1 - q) times as long, in routed layers."""
    run = routed()
    q = 0.1
    busy, idle = (slot_time(run.replace({"efficiency.stack.paired_idle": share}), rank=8) for share in (0.0, q))
    paired = "forward beside backward"
    ratio = float(np.asarray(idle.part(paired).total)) / float(np.asarray(busy.part(paired).total))
    assert ratio == pytest.approx(1.0 / (1.0 - q), rel=1e-9)
    for alone in ("weights", "optimizer"):
        assert float(np.asarray(idle.part(alone).total)) == pytest.approx(float(np.asarray(busy.part(alone).total)))


def test_paired_idle_time_is_a_line_of_the_ledger() -> None:
    ledger = seconds(routed(), paired_idle=0.1)
    assert float(np.asarray(ledger.part("exchange.ep.idle").total)) > 0
    assert float(np.asarray(sum(np.asarray(ledger.part(name).total) for name in ledger))) == pytest.approx(float(np.asarray(ledger.total)))
    assert float(np.asarray(seconds(dense(), paired_idle=0.1).part("exchange.ep.idle").total)) == 0.0


@pytest.mark.parametrize(("precision", "field"), [("bf16", "power_exponent"), ("fp8", "power_exponent_narrow")])
def test_power_slows_the_format_whose_exponent_it_is(precision: str, field: str) -> None:
    run = dense(precision=precision).replace({"cluster.chip.power": 350.0, "efficiency.stack.rated_power": 700.0})
    other = {"power_exponent": "power_exponent_narrow", "power_exponent_narrow": "power_exponent"}[field]
    with_own, without = seconds(run, **{field: 1.0, other: 0.0}), seconds(run, **{field: 0.0, other: 0.0})
    assert float(with_own.part("compute").total) > 1.2 * float(without.part("compute").total)


def test_exchanges_that_may_not_overlap_are_exposed() -> None:
    run = dense(tp=4, cp=2, sequence_parallel="on")
    shown = ts.step_time(run.replace({"plan.overlap": ()}))
    for exchange in ("tp", "cp", "dp"):
        assert float(np.asarray(shown.part(f"exchange.{exchange}.hidden").total)) == 0.0
    free = ts.step_time(run)
    assert float(np.asarray(free.part("exchange.dp.hidden").total)) < 0.0
    assert float(free.total) < float(np.asarray(ts.step_time(run.replace({"plan.overlap": ("dp",)})).total)) < float(shown.total)


def test_naming_every_exchange_equals_the_default() -> None:
    run = routed()
    every = run.replace({"plan.overlap": ("tp", "ep", "cp", "dp")})
    assert float(np.asarray(ts.step_time(every).total)) == float(np.asarray(ts.step_time(run).total))
