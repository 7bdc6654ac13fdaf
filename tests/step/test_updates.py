"""Optimizer, loss and number formats of a plan affect the step time; counts by hand are the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.errors import EstimateError
from trainsim.parallelism.precision import SCALED_FP8
from trainsim.parallelism.schedules.discovery import schedules
from trainsim.parallelism.schedules.schedule import Schedule
from trainsim.parallelism.shapes import shapes_of
from trainsim.step.layers import LOSS_BYTES
from trainsim.testing import refused
from trainsim.testing.schedules import virtual_stages

IDEAL = {
    **dict.fromkeys(("bf16", "memory", "scale_up", "scale_out"), 1.0),
    **dict.fromkeys(("half_depth", "wave", "inside_latency", "outside_latency", "launch", "jitter"), 0.0),
    **dict.fromkeys(("tile", "processors"), 1.0),
}
HIDDEN, LAYERS, FFN, VOCAB, EXPERTS = 1024, 4, 2816, 32000, 8


def run(model: str | ts.Model = "llama3-8b", gpus: int = 8, ideal: dict[str, float] | None = None, **plan: Any) -> ts.Run:
    stack = ts.catalog.stack("mcore-hopper").replace(IDEAL | (ideal or {}))
    made = ts.Run(
        model=ts.catalog.model(model) if isinstance(model, str) else model,
        cluster=ts.catalog.cluster("hgx-h100", gpus),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=4096, batch=256)],
        plan=ts.Plan(**plan),
        efficiency=ts.Modelled(stack=stack),
        reliability=ts.Goodput(0.95),
        price=ts.Rental(usd_per_gpu_hour=2.0),
    )
    known = {"scale_up.achieved": None, "scale_out.achieved": None}
    return made.replace({f"cluster.{path}": value for path, value in known.items()})


def line(made: ts.Run, path: str) -> float:
    whole, _, last = path.rpartition(".")
    parts = ts.step_time(made).part(whole).parts
    return float(np.asarray(ts.step_time(made).part(path).total)) if last in parts else 0.0


def small(experts: int = 0) -> ts.Model:
    attention = ts.GroupedQueryAttention(heads=8, kv_heads=8, head_dim=128)
    ffn = ts.MixtureOfExperts(experts=experts, top_k=2, width=FFN) if experts else ts.GatedMLP(width=FFN)
    block = ts.Block(attention=attention, ffn=ffn)
    return ts.Model(hidden=HIDDEN, vocab=VOCAB, stack=[ts.Layers(name="dense", count=LAYERS, block=block)])


def flop(short: int, wide: int) -> float:
    """Five iterations: A = X·Xᵀ, A·A, B·X."""
    return 5.0 * (2.0 * short * short * wide + 2.0 * short**3 + 2.0 * short * short * wide)


def muon(experts: int = 0, **plan: Any) -> float:
    """FLOPs of orthogonalisation: its time with infinitely fast memory and links, times the peak."""
    made = run(small(experts), optimizer="muon", **plan)
    fast = {"cluster.chip.memory_bandwidth": 1e30, "cluster.scale_up.bandwidth": 1e30, "cluster.scale_out.bandwidth": 1e30}
    return line(made.replace(fast), "optimizer.orthogonal") * float(made.cluster.chip.peak_of("bf16"))


# the optimizer -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "precision", "linear", "rest"),
    [
        ("adamw", "bf16", 4 + 2 * (4 + 8) + 4 + 2, 4 + 2 * (4 + 8) + 4 + 2),
        ("adamw", "fp8-deepseek", 4 + 2 * (4 + 4) + 4 + 2, 4 + 2 * (4 + 4) + 4 + 2),
        ("adamw-8bit", "bf16", 4 + 2 * (4 + 2 + 8 / 256) + 4 + 2, None),
        ("muon", "bf16", 4 + 2 * (4 + 4) + 4 + 2, 4 + 2 * (4 + 8) + 4 + 2),
        ("sgd", "bf16", 4 + 2 * (4 + 4) + 4 + 2, 4 + 2 * (4 + 4) + 4 + 2),
    ],
)
def test_an_update_moves_the_optimizers_states(optimizer: str, precision: str, linear: float, rest: float | None) -> None:
    made = run(small(), optimizer=optimizer, precision=precision)
    moved = line(made, "optimizer.update") * float(made.cluster.chip.memory_bandwidth)
    inside = LAYERS * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * FFN)
    embedding = VOCAB * HIDDEN
    whole = float(np.asarray(ts.count_params(made.model).total))
    if rest is not None:
        assert moved == pytest.approx(linear * inside + rest * (whole - inside), rel=1e-9)
    else:  # moments of an embedding keep 32 bits
        assert moved == pytest.approx(linear * (whole - embedding) + 34.0 * embedding, rel=1e-9)


@pytest.mark.parametrize(("precision", "each"), [("bf16", 4 + 8), ("fp16", (2 + 4) + 8 + 4 + 8), ("fp8-deepseek", 4 + 8)])
def test_gradients_are_converted_unscaled_normed_and_clipped(precision: str, each: float) -> None:
    made = run(small(), gpus=1, precision=precision)
    moved = line(made, "optimizer.norm") * float(made.cluster.chip.memory_bandwidth)
    assert moved == pytest.approx(each * float(np.asarray(ts.count_params(made.model).total)), rel=1e-9)


def test_muon_iterates_on_every_matrix_of_a_layer_and_on_nothing_else() -> None:
    square, oblong = flop(HIDDEN, HIDDEN), flop(HIDDEN, FFN)
    assert muon() == pytest.approx(LAYERS * (4 * square + 3 * oblong), rel=1e-9)
    router = flop(EXPERTS, HIDDEN)
    assert muon(EXPERTS) == pytest.approx(LAYERS * (4 * square + router + EXPERTS * 3 * oblong), rel=1e-9)
    assert muon(EXPERTS, ep=4) == pytest.approx(LAYERS * (4 * square + router + EXPERTS / 4 * 3 * oblong), rel=1e-9)


def test_tensor_parallelism_cuts_matrices_and_muon_takes_each_part_for_one() -> None:
    quarter = flop(HIDDEN // 4, HIDDEN)
    assert muon(tp=4) == pytest.approx(LAYERS * (4 * quarter + 3 * flop(FFN // 4, HIDDEN)), rel=1e-9)


def test_a_sharded_muon_never_does_less_than_one_matrix() -> None:
    whole, largest = muon(), flop(HIDDEN, FFN)
    assert muon(zero=1) == pytest.approx(whole / 8, rel=1e-9)
    assert muon(gpus=256, zero=1) == pytest.approx(largest, rel=1e-9)


def test_muon_gathers_its_matrices_in_bf16() -> None:
    made = run(small(), optimizer="muon", zero=1)
    free = made.replace({"cluster.scale_up.bandwidth": 1e30})
    sent = line(made, "optimizer.orthogonal") - line(free, "optimizer.orthogonal")
    size = 2.0 * LAYERS * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * FFN)
    assert sent == pytest.approx(7 / 8 * size / float(made.cluster.scale_up.bandwidth), rel=1e-9)  # type: ignore[union-attr]
    assert line(run(small(), zero=1), "optimizer.orthogonal") == 0.0


def test_muons_cost_is_the_published_one() -> None:
    """Liu et al. 2025, section 2.3: 1 to 3 % of a step; Jordan 2024: below 1 % of the FLOPs."""
    plan: dict[str, Any] = {"pp": 4, "zero": 1, "gpus": 256}
    plain, with_muon = (ts.step_time(run("llama3-8b", ideal={"bf16": 0.7}, optimizer=o, **plan)).total for o in ("adamw", "muon"))
    assert 0.0 < float(with_muon) / float(plain) - 1.0 < 0.03


# the loss ----------------------------------------------------------------------------------------------------------------


@given(tp=st.sampled_from([1, 2, 4]), loss=st.sampled_from(sorted(LOSS_BYTES)))
@settings(max_examples=12, deadline=None)
def test_a_loss_streams_its_bytes_of_every_logit(tp: int, loss: Any) -> None:
    fused, other = (run(tp=tp, loss=each, ideal={"sharpness": 1.0}) for each in ("fused", loss))
    logits = 256 * 4096 / 8 * float(fused.model.vocab)  # share of a rank's step, for any sharding
    more = logits * (sum(LOSS_BYTES[loss]) - sum(LOSS_BYTES["fused"])) / float(fused.cluster.chip.memory_bandwidth)
    assert float(ts.step_time(other).total) - float(ts.step_time(fused).total) == pytest.approx(more, rel=1e-6, abs=1e-9)


# formats and sends -------------------------------------------------------------------------------------------------------


def test_tokens_travel_to_their_experts_in_the_recipes_formats() -> None:
    wide, narrow = (line(run("mixtral-8x7b", ep=8, precision=p), "exchange.ep.sent") for p in ("bf16", "fp8-deepseek"))
    assert narrow / wide == pytest.approx((SCALED_FP8 + 2.0) / 4.0, rel=1e-9)
    sharded = [line(run("mixtral-8x7b", expert_tp=8, precision=p), "exchange.tp.sent") for p in ("bf16", "fp8-deepseek")]
    assert sharded[1] / sharded[0] == pytest.approx((SCALED_FP8 + 2.0) / 4.0, rel=1e-9)


@given(part=st.sampled_from([8, 4, 2]), way=st.sampled_from(["ep", "expert_tp"]))
@settings(max_examples=6, deadline=None)
def test_experts_on_a_narrow_stream_are_sent_that_stream(part: int, way: str) -> None:
    """A token is sent to its experts at the width of their stream, for any placement of experts."""

    def sent(latent: int | None) -> float:
        ffn = ts.MixtureOfExperts(experts=8, top_k=2, width=FFN, latent=latent)
        block = ts.Block(attention=ts.GroupedQueryAttention(heads=8, kv_heads=8, head_dim=128), ffn=ffn)
        model = ts.Model(hidden=HIDDEN, vocab=VOCAB, stack=[ts.Layers(name="moe", count=LAYERS, block=block)])
        spread: dict[str, Any] = {way: 8}
        return line(run(model, **spread), f"exchange.{'ep' if way == 'ep' else 'tp'}.sent")

    assert sent(HIDDEN // part) == pytest.approx(sent(None) / part, rel=1e-9)


@pytest.mark.parametrize("sequence_parallel", ["off", "on"])
def test_tensor_parallel_ranks_share_what_goes_to_the_next_stage(sequence_parallel: Any) -> None:
    made = run(gpus=64, pp=8, tp=4, sequence_parallel=sequence_parallel)
    out, near = (float(np.asarray(link.bandwidth)) for link in (made.cluster.scale_out, made.cluster.scale_up) if link is not None)
    size = 4096 * float(made.model.hidden) * 2
    gathered = 0.0 if sequence_parallel == "on" else 3 / 4 * size / near
    assert line(made, "exchange.pp.sent") == pytest.approx(2 * 128 * (size / 4 / out + gathered), rel=1e-9)


@given(schedule=st.sampled_from(list(schedules().values())), tp=st.sampled_from([1, 2, 4]), gpus=st.sampled_from([8, 16, 64]))
@settings(max_examples=25, deadline=None)
def test_the_ends_of_a_pipeline_sum_the_embedding_they_share(schedule: Schedule, tp: int, gpus: int) -> None:
    """The all-reduce runs once per step between the two stages, unless the head is untied or one rank has both stages."""
    pp = 2
    plan = ts.Plan(tp=tp, pp=pp, vpp=virtual_stages(schedule)[0], schedule=schedule)
    own = run(small(), gpus=gpus).replace({"plan": plan})
    tied = own.replace({"model.head": ts.Head(weights="tied")})
    link = own.cluster.scale_up if gpus / pp * (pp - 1) < own.cluster.domain else own.cluster.scale_out
    assert link is not None
    apart = schedule.stages_per_rank in {None, 1}
    size = VOCAB * HIDDEN / tp * 4.0  # the recipe reduces gradients in FP32
    more = line(tied, "exchange.pp.sent") - line(own, "exchange.pp.sent")
    assert more == pytest.approx(apart * size / float(np.asarray(link.bandwidth)), rel=1e-6, abs=1e-12)


# chips -------------------------------------------------------------------------------------------------------------------


def test_an_unsupported_format_is_named_with_supported_ones() -> None:
    made = run(precision="nvfp4").replace({"cluster": ts.catalog.cluster("dgx-a100", 8)})
    with refused(EstimateError, "unsupported", "plan.precision"):
        ts.step_time(made)


def test_a_stack_of_another_generation_is_noted() -> None:
    made = run()
    assert not [note for note in ts.estimate(made).notes if "stack" in note]
    other = made.replace({"cluster": ts.catalog.cluster("dgx-a100", 8)})
    (note,) = [note for note in ts.estimate(other).notes if "stack" in note]
    assert {"hopper", "a100-80gb-sxm", "ampere"} <= set(note.replace(";", " ").split())
    own = {"cluster.chip": made.cluster.chip.replace({"architecture": None})}
    assert not [note for note in ts.estimate(other.replace(own)).notes if "stack" in note]


# what travels between replicas -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
@given(reduced=st.floats(0.5, 8.0), gathered=st.floats(0.5, 8.0))
@settings(max_examples=10, deadline=None)
def test_gradients_and_weights_travel_in_the_recipes_formats(zero: int, reduced: float, gathered: float) -> None:
    """A reduction sends bytes of gradients and a gather bytes of weights; without latency, the time is linear in both."""
    link = {"cluster.scale_up.bandwidth": 1e8, "cluster.scale_out.bandwidth": 1e8}  # links so slow that latency is negligible

    def sent(reduced: float, gathered: float) -> float:
        recipe = ts.Precision(name="mine", reduced=reduced, gathered=gathered)
        return line(run(small(), gpus=8).replace({"plan": ts.Plan(zero=zero, precision=recipe), **link}), "exchange.dp.sent")

    gradient, weight = sent(2.0, 1e-9) / 2.0, sent(1e-9, 2.0) / 2.0
    assert sent(reduced, gathered) == pytest.approx(reduced * gradient + gathered * weight, rel=1e-4)
    assert (weight > 1e-6 * gradient) == (zero > 0)


def test_gradients_are_accumulated_in_the_recipes_format() -> None:
    """A weight-gradient product reads and writes the accumulated gradient, in its format and not in that of the reduction."""

    def weights(**bytes_of: Any) -> float:
        recipe = ts.Precision(name="mine", **bytes_of)
        return line(
            run(small()).replace({"plan": ts.Plan(precision=recipe), "cluster.chip.memory_bandwidth": 1e9}), "compute.dense.weights"
        )

    two, four, eight = (weights(gradients=b) for b in (2.0, 4.0, 8.0))
    assert eight - four == pytest.approx(2 * (four - two), rel=1e-9)
    assert four > two
    assert weights(gradients=4.0, reduced=2.0) == four


@given(hidden=st.sampled_from([64, 128, 256]), frozen=st.sampled_from([(), ("dense",)]))
@settings(max_examples=6, deadline=None)
def test_the_gradient_of_a_bias_reads_its_products_gradient_once(hidden: int, frozen: tuple[str, ...]) -> None:
    """By hand, a GPT layer: q, k, v, o and both products of the feed-forward, 9 h elements per token; none if the layer is frozen."""
    attention = ts.GroupedQueryAttention(heads=4, kv_heads=4, head_dim=hidden // 4)
    plain = ts.Block(attention=attention, ffn=ts.PlainMLP(width=4 * hidden))
    biased = plain.replace(
        {"attention": attention.replace({"biases": ("q", "k", "v", "o")}), "ffn": ts.PlainMLP(width=4 * hidden, bias="both")}
    )
    trained = not frozen
    models = [
        ts.Model(hidden=hidden, vocab=512, stack=[ts.Layers(name="dense", count=2, block=block)], frozen=frozen)
        for block in (plain, biased)
    ]
    shapes = [shapes_of(model) for model in models]
    at = shapes[1].kinds.index("dense")
    assert float((shapes[1].split_bias + shapes[1].whole_bias)[at, 0]) == (9 * hidden if trained else 0)
    assert not (shapes[0].split_bias + shapes[0].whole_bias).any()
    stack, chip = ts.catalog.stack("mcore-hopper"), ts.catalog.chip("h100-sxm")
    run = [
        ts.Run(
            model=model, cluster=ts.catalog.cluster("hgx-h100", 1), plan=ts.Plan(),
            phases=[ts.Phase("p", tokens=1e6, seq_len=1024, batch=1)], efficiency=ts.Modelled(stack=stack),
        )
        for model in models
    ]  # fmt: skip
    one, other = (float(np.asarray(ts.step_time(made).part("compute.dense.elementwise").total)) for made in run)
    expected = 2 * 1024 * 9 * hidden * 2.0 / float(np.asarray(chip.memory_bandwidth * stack.memory)) * trained
    assert other - one == pytest.approx(expected, rel=1e-6, abs=1e-15)
