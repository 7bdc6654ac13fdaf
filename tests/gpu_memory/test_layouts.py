"""Layouts of published runs: uneven stages, expert parallelism without tensor parallelism, batch ramps."""

from typing import Any

import numpy as np
import pytest

import trainsim as ts
from trainsim.run.memory import memory

LAYOUTS: dict[str, dict[str, Any]] = {
    "dualpipe": {"pp": 16, "ep": 64, "zero": 1, "schedule": "dualpipe", "precision": "fp8-deepseek"},
    "one forward one backward": {"pp": 16, "ep": 64, "zero": 1},
    "zero bubble": {"pp": 16, "ep": 64, "zero": 1, "schedule": "zero-bubble"},
    "interleaved": {"pp": 8, "vpp": 4, "tp": 2, "ep": 64, "expert_tp": 1, "zero": 1, "sequence_parallel": "on"},
    "sharded only": {"ep": 64, "zero": 3},
}


def run(*phases: ts.Phase, **plan: Any) -> ts.Run:
    return ts.Run(
        model=ts.catalog.model("deepseek-v3"),
        cluster=ts.catalog.cluster("hgx-h800", gpus=2048),
        phases=list(phases) or [ts.Phase("pretrain", tokens=1e12, seq_len=4096, batch=15360)],
        efficiency=ts.Modelled(stack=ts.catalog.stack("deepseek-2024")),
        reliability=ts.Goodput(0.95),
        price=ts.Rental(usd_per_gpu_hour=2.0),
        plan=ts.Plan(**plan),
    )


@pytest.mark.parametrize("plan", LAYOUTS.values(), ids=LAYOUTS)
def test_sixty_one_layers_on_any_number_of_stages_with_experts_spread_and_tensors_whole(plan: dict[str, Any]) -> None:
    est = ts.estimate(run(**plan))
    assert 0.05 < float(np.asarray(est.mfu)) < 0.9
    step = ts.step_time(run(**plan))
    assert float(step.part("exchange.ep.sent").total) > 0
    assert (float(step.part("exchange.tp.sent").total) > 0) == (plan.get("tp", 1) > 1)
    assert (float(step.part("bubble").total) > 0) == (plan.get("pp", 1) > 1)
    ledger = memory(run(**plan))
    assert len(ledger.parts) == plan.get("pp", 1)
    parameters = float(ts.count_params(run(**plan).model, mtp="unique").total)
    held = sum(float(ledger.part(f"rank-{rank}.weights").total) for rank in range(len(ledger.parts))) * 2048 / plan.get("pp", 1)
    assert held >= parameters * min(1.0, float(ts.Plan(**plan).recipe.weights))


def test_a_batch_ramp_is_the_sum_of_its_stages() -> None:
    plan = LAYOUTS["one forward one backward"]
    stages = ((3072, 1e10), (9216, 4e11), (15360, 2e12))
    ramp = [ts.Phase(f"ramp-{batch}", tokens=tokens, seq_len=4096, batch=batch) for batch, tokens in stages]
    whole = ts.estimate(run(*ramp, **plan))
    alone = [ts.estimate(run(phase, **plan)) for phase in ramp]
    assert float(np.asarray(whole.busy_gpu_hours)) == pytest.approx(sum(float(np.asarray(est.busy_gpu_hours)) for est in alone), rel=1e-9)
    mfu = [float(np.asarray(est.mfu)) for est in alone]
    assert mfu == sorted(mfu)  # in a longer step, bubble and optimizer have smaller shares
