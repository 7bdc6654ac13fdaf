"""Frozen parts and adapters: trained parameters, computed gradients, and saved inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.errors import SpecError
from trainsim.gpu_memory.weights import parameters_by_kind
from trainsim.model.layers import Layers
from trainsim.model.ops import MatMul
from trainsim.model.trainable import BASE_BYTES, Adapters
from trainsim.testing import refused

LENGTH = 512.0


def model(**changes: Any) -> ts.Model:
    block = ts.Block(attention=ts.GroupedQueryAttention(heads=4, kv_heads=2, head_dim=8), ffn=ts.GatedMLP(width=64))
    return ts.Model(hidden=32, vocab=100, stack=[Layers(name="dense", count=3, block=block)], **changes)


def trained(made: ts.Model) -> float:
    t = made.table
    return float((t.count * (t.matrices + t.vectors) * t.trainable).sum())


def ratio(made: ts.Model, part: str) -> float:
    """Backward over forward of a part."""
    ledger = ts.flops_per_token(made, LENGTH)
    return float(ledger.part("backward").part(part).total / ledger.part("forward").part(part).total)


def test_a_rank_above_that_of_every_matrix_is_refused() -> None:
    made = model()
    ts.count_params(made.replace({"adapters": Adapters(rank=32)}))  # some matrices have a smaller side, and are padded
    with refused(SpecError, "out-of-bounds", path="adapters.rank"):
        ts.count_params(made.replace({"adapters": Adapters(rank=33)}))
    with refused(SpecError, "out-of-bounds", path="adapters.rank"):
        ts.count_params(made.replace({"adapters": Adapters(rank=17, targets=("k", "v"))}))


@pytest.mark.parametrize(
    ("rank", "targets", "parameters"),
    [(8, ("q", "v"), 4_194_304), (16, "linear", 39_976_960)],
)
def test_adapters_of_llama2_7b(rank: int, targets: Any, parameters: int) -> None:
    """4,194,304 beside 6,738,415,616: what PEFT prints for rank 8 on queries and values; rank 16 on all products by hand."""
    base = ts.from_hf(
        {
            "model_type": "llama",
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "vocab_size": 32000,
        }
    )
    adapted = ts.LoRA(rank=rank, targets=targets).of(base)
    assert trained(adapted) == ts.count_params(adapted).total - ts.count_params(base).total == parameters
    if targets == "linear":
        assert parameters == 32 * rank * (4 * (4096 + 4096) + 3 * (4096 + 11008))


@given(rank=st.integers(1, 8))
def test_a_frozen_product_is_multiplied_once_in_backward(rank: int) -> None:
    made = ts.LoRA(rank=rank).of(model())
    assert ratio(made, "dense.ffn") == 1.0
    assert ratio(made, "dense.adapters") == 2.0
    assert ratio(made, "dense.attention.core") == 2.0
    assert ratio(made, "head") == 1.0


def test_nothing_before_the_first_trained_part_has_a_backward_pass() -> None:
    frozen = ts.Frozen(("embedding", "dense", "norm")).of(model())  # type: ignore[call-arg]
    backward = ts.flops_per_token(frozen, LENGTH).part("backward")
    assert "dense" not in backward
    assert ratio(frozen, "head") == 1.0  # only the gradient of its weight: its input needs none
    assert ratio(ts.Frozen(("head",)).of(model()), "dense") == 2.0  # type: ignore[call-arg]


def test_freezing_norms_changes_no_flops() -> None:
    plain, none = model(), ts.Frozen(("norms",)).of(model())  # type: ignore[call-arg]
    assert ts.flops_per_token(plain, LENGTH).total == ts.flops_per_token(none, LENGTH).total
    assert trained(plain) - trained(none) == 3 * 2 * 32


@pytest.mark.parametrize(
    ("targets", "holders"),
    [(("q",), {"q"}), (("v",), {"q"}), (("up",), {"gate"}), (("down",), {"down"}), (("q", "down"), {"q", "down"})],
)
def test_an_input_is_saved_if_a_trained_product_reads_it(targets: tuple[str, ...], holders: set[str]) -> None:
    made = ts.LoRA(rank=2, targets=targets).of(model())
    kept = {e.path[-1] for e in made.table.entries if isinstance(e.op, MatMul) and e.op.saved and "adapters" not in e.path}
    assert kept == holders


def test_unknown_names_of_parts_are_refused() -> None:
    for wrong in (ts.Frozen(("towers.vision",)), ts.LoRA(rank=4, targets=("query",)), ts.LoRA(rank=4, targets=("norms",))):  # type: ignore[call-arg]
        with pytest.raises(SpecError):
            wrong.of(model()).table  # noqa: B018  (compiled when it is asked for)


def test_nf4_weights_take_4_127_bits() -> None:
    assert BASE_BYTES["nf4"] * 8 == pytest.approx(4.127)
    assert Adapters(rank=1).targets == "linear"


# a run -----------------------------------------------------------------------------------------------------------


def run(**phase: Any) -> ts.Run:
    return ts.Run(
        model=ts.catalog.model("llama3-8b"),
        cluster=ts.catalog.cluster("hgx-h100", gpus=8),
        phases=[ts.Phase("sft", tokens=1e8, seq_len=4096, batch=64, **phase)],
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
        plan=ts.Plan(zero=1),
        reliability=ts.Goodput(0.95),
        price=ts.Rental(usd_per_gpu_hour=2.0),
    )


def test_frozen_parts_have_no_gradient_and_no_optimizer_state() -> None:
    full, lora, qlora = (ts.estimate(run(trains=t)) for t in (None, ts.LoRA(rank=16), ts.LoRA(rank=16, base="nf4")))
    of_weights = [e.memory.part("rank-0") for e in (full, lora, qlora)]
    assert of_weights[1].part("gradients").total == pytest.approx(4.0 * 41_943_040)
    assert of_weights[1].part("optimizer").total == pytest.approx(12.0 * 41_943_040 / 8)
    assert of_weights[1].part("weights").total > of_weights[2].part("weights").total
    assert lora.busy_gpu_hours < full.busy_gpu_hours
    assert float(lora.flops.total) < float(full.flops.total)


@pytest.mark.parametrize("precision", ["bf16", "fp8", "tf32"])
def test_a_frozen_base_has_the_weight_format_of_the_plan(precision: str) -> None:
    """Frozen weights of linear products take the recipe's working copy unless the base has a format of its own."""
    plan = ts.Plan(zero=1, precision=precision)
    whole, base = (run(trains=t, plan=plan) for t in (ts.LoRA(rank=16), ts.LoRA(rank=16, base="bf16")))
    held = [float(ts.memory(made).part("rank-0.weights").total) for made in (whole, base)]
    linear = sum(w.dense * m.count for w, m in _linear(whole))
    width = {"bf16": 2.0, "fp8": 4.0, "tf32": 4.0}[precision]
    assert held[0] - held[1] == pytest.approx((width - 2.0) * linear, rel=1e-12, abs=1.0)


def _linear(made: ts.Run) -> list[tuple[Any, Any]]:
    model = made.phases[0].model_of(made.model)
    return [(w, model.stack[0]) for w in parameters_by_kind(model) if w.role == "linear" and not w.trainable]


def test_a_base_in_four_bits_is_widened_for_every_product() -> None:
    """By hand: the weights are read in 4.127 bits and written in 16 in each pass; an 8-bit base is multiplied without widening."""
    plain, quantized, eight = (run(trains=ts.LoRA(rank=16, base=base), plan=ts.Plan()) for base in ("bf16", "nf4", "int8"))
    stack, chip = ts.catalog.stack("mcore-hopper"), plain.cluster.chip
    weights = sum(w.dense * m.count for w, m in _linear(plain))
    rate = float(np.asarray(chip.memory_bandwidth * stack.memory * stack.dequantization))
    casts = [float(ts.step_time(made).part("compute.dense.casts").total) for made in (plain, quantized, eight)]
    micro_batches = 64 / 8
    assert casts[1] == pytest.approx(2 * micro_batches * weights * (BASE_BYTES["nf4"] + 2.0) / rate, rel=1e-9)
    assert casts[0] == casts[2] == 0.0


def test_a_run_that_trains_adapters_is_equal_after_save_and_load(tmp_path: Any) -> None:
    made = run(trains=ts.LoRA(rank=16, targets=("attention",), base="nf4"))
    made.save(tmp_path / "run.toml")
    assert ts.load(tmp_path / "run.toml") == made
