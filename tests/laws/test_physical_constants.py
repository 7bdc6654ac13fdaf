"""Constants of the modules in step/, gpu_memory/, parallelism/ and cluster/. A doubled physical constant breaks a law or a sourced figure;
a doubled numerical setting changes no answer.
"""

from __future__ import annotations

import ast
import importlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainsim as ts
from trainsim.cluster.collectives import Fabric, all_reduce, expected_largest_normal
from trainsim.cluster.kernels import alignment_speed, fused_attention_seconds
from trainsim.cluster.profile import ProductTimings
from trainsim.cluster.stack import Stack
from trainsim.gpu_memory.peak import rank_memory
from trainsim.model.attention.grouped_query import GroupedQueryAttention
from trainsim.model.feedforward import PlainMLP
from trainsim.model.ops import Stream
from trainsim.model.transformer import Block, Layers, Model  # type: ignore[attr-defined]
from trainsim.parallelism import precision
from trainsim.parallelism.layout import Degrees
from trainsim.parallelism.optimizer import clipping_traffic, optimizer_of
from trainsim.parallelism.placement import stage_counts
from trainsim.parallelism.plan import Plan
from trainsim.parallelism.precision import recipe_of
from trainsim.parallelism.schedules.bubble import pipeline_step_seconds, pipeline_timeline
from trainsim.parallelism.schedules.discovery import schedule_of
from trainsim.parallelism.schedules.events import Times
from trainsim.step import layers

SRC = Path(ts.__file__).parent
PACKAGES = ("step", "gpu_memory", "parallelism", "cluster")
IDEAL = Stack(  # type: ignore[call-arg]
    "ideal", architecture="hopper", bf16=1.0, half_depth=0.0, wave=0.0, attention_forward=1.0, attention_backward=1.0, half_head=0.0,
    half_length=0.0, keys_tile=0.0, memory=1.0, launch=0.0, scale_up=1.0, scale_out=1.0, inside_latency=0.0, outside_latency=0.0,
    overlap_cp=0.0, overlap_dp=0.0, sharpness=1.0,
)  # fmt: skip
"""A stack at data-sheet speed, without overlap and without launch time."""


# what a constant must not change -----------------------------------------------------------------------------------------


def run(stack: dict[str, Any] | None = None, model: Any = None, gpus: int = 8, batch: int = 64, **plan: Any) -> ts.Run:
    return ts.Run(
        model=model or ts.catalog.model("llama3-8b"),
        cluster=ts.catalog.cluster("hgx-h100", gpus),
        plan=ts.Plan(**plan),
        phases=[ts.Phase("pretrain", tokens=1e12, seq_len=4096, batch=batch)],
        efficiency=ts.Modelled(stack=IDEAL.replace(stack or {})),
    )


def part(made: ts.Run, name: str) -> float:
    return float(np.asarray(ts.step_time(made).part(name).total))


def gpt(heads: int = 16, head_dim: int = 64) -> Model:
    attention = GroupedQueryAttention(heads=heads, kv_heads=heads, head_dim=head_dim, biases=("q", "k", "v", "o"))
    block = Block(attention=attention, ffn=PlainMLP(width=4 * heads * head_dim, bias="both"), norm="layer")
    return Model(hidden=heads * head_dim, vocab=1024, stack=[Layers(name="dense", count=2, block=block)])


def at(model: Model, plan: Plan, tp: float = 1.0, dp: float = 1.0, length: float = 2048.0) -> list[ts.Ledger]:
    """Memory of each rank with one sequence [B]."""
    degrees = Degrees(tp=tp, dp=dp, ep=1.0, cp=1.0, expert_tp=tp, micro_batch=1.0, seq_len=length)
    return rank_memory(model, plan, degrees, 1.0)


def layer_bytes(**plan: Any) -> float:
    return float(at(gpt(), Plan(**plan))[0].part("activations.dense").total) / 2


def largest_of_eight_normals() -> None:
    assert float(expected_largest_normal(8)) == pytest.approx(1.4236, rel=0.01)  # Harter 1961, expected largest of eight


def rows_of_sixteen_bytes_run_at_full_speed() -> None:
    """NVIDIA, Matrix Multiplication Background User's Guide, section 4.1."""
    stack = Stack("s", architecture="ampere", misaligned=0.4)  # type: ignore[call-arg]
    assert float(alignment_speed(32.0, 32.0, 2.0, stack)) == 1.0
    assert float(alignment_speed(4096.0, 24.0, 2.0, stack)) == 1.0
    assert float(alignment_speed(4096.0, 50257.0, 2.0, stack)) == pytest.approx(0.4)


def heads_wider_than_128_slow_in_backward() -> None:
    """FlashAttention pull requests 2270 and 2280: 1,360 TFLOP/s at 128, 1,073 at 192 beside 128, on one chip."""
    stack = IDEAL.replace({"wide_backward": 0.8})
    of = partial(fused_attention_seconds, 1024.0, 1.0, keys=512.0, length=1024.0, peak=1e12, stack=stack, backward=1.0)
    narrow, wide = (float(np.asarray(of(width=width))) / width for width in (256.0, 320.0))
    assert wide / narrow == pytest.approx(1.0 / 0.8)


def operands_of_a_profile_take_their_bytes() -> None:
    chip = ts.catalog.chip("h100-sxm")
    one = np.array([1.0])
    for number_format, size in (("bf16", 2.0), ("fp16", 2.0), ("fp8", 1.0)):
        thin = ProductTimings(number_format, 8.0 * one, 8192.0 * one, 8192.0 * one, one, one)  # limited by memory bandwidth
        moved = size * 8192.0 * (8.0 + 8192.0) + 2.0 * 8.0 * 8192.0
        assert float(thin.modelled(chip, 1.0, IDEAL)[0]) == pytest.approx(moved / float(np.asarray(chip.memory_bandwidth)))


def a_gpt_layer_keeps_what_the_paper_says() -> None:
    """Korthikanti et al. 2022 (arXiv:2205.05198), eq. 1: sbh·(34 + 5·a·s/h)."""
    sbh, scores = 2048.0 * 1024.0, 5 * 16 * 2048 / 1024
    assert layer_bytes(attention="unfused", dropout="on") == pytest.approx(sbh * (34 + scores), rel=1e-12)
    assert layer_bytes(attention="unfused", dropout="off") == pytest.approx(sbh * (32 + 2 * 16 * 2048 / 1024), rel=1e-12)


def fused_attention_keeps_a_logarithm_to_a_head() -> None:
    """Dao 2023 (arXiv:2307.08691), section 3.1: the log-sum-exp of every row, in FP32."""
    assert layer_bytes() == pytest.approx(2048 * (32 * 1024 + 4 * 16), rel=1e-12)


def logits_at_the_peak() -> None:
    """BF16 logits and an FP32 copy; with Megatron-LM's loss a BF16 gradient beside them; in plain PyTorch the FP32 log-softmax too."""
    copies = {"fused": (2, 4), "vocab-parallel": (2, 4, 2), "plain": (2, 4, 4, 2)}
    for loss, sizes in copies.items():
        logits = float(np.asarray(at(gpt(), Plan(loss=loss))[0].part("logits").total))  # type: ignore[arg-type]
        assert logits == pytest.approx(sum(sizes) * 1024 * 2048, rel=1e-12)
    narrow = gpt().replace({"hidden": 512, "stack": gpt(8).stack})
    chunk = float(np.asarray(at(narrow, Plan(loss="chunked"))[0].part("logits").total))
    assert chunk == pytest.approx(6 * 512 * 2048, rel=1e-12)


def a_third_of_memory_is_moved_by_a_residual() -> None:
    """A residual addition reads two streams and writes one: bytes of a layer's streams grow by six an element and addition."""
    made = run({"elementwise": 1.0, "elementwise_backward": 0.0}, model=gpt())
    moved = part(made, "compute.dense.elementwise") * float(np.asarray(made.cluster.chip.memory_bandwidth))
    streams = sum(e.op.read + e.op.written for e in made.model.table.entries if e.path[0] == "dense" and isinstance(e.op, Stream))
    additions, deep, tokens, biases = 2, 2, 64 / 8 * 4096, 9  # gradients of biases read nine streams more
    assert moved == pytest.approx(2.0 * deep * tokens * ((3 * additions + biases) * made.model.hidden + streams), rel=1e-9)


def unfused_attention_launches_four_kernels_more() -> None:
    """Two batched products, scale and mask, softmax and dropout, for one fused kernel (Megatron-LM ``CoreAttention``)."""
    slow = {"launch": 1e6}  # launch times so long that the chip's times are negligible
    more = part(run(slow, attention="unfused"), "compute") - part(run(slow), "compute")
    assert more / 1e6 == pytest.approx(4.0 * 32 * 2 * 8, rel=1e-3)  # layers, both directions, micro-batches


def a_sum_over_tensor_parallel_ranks_is_of_two_bytes() -> None:
    """Shoeybi et al. 2019 (arXiv:1909.08053), section 3: two sums of b·s·h in each direction, of BF16; one more of the embedding."""
    fabric = Fabric(8.0, 450e9, 50e9, 0.0, 0.0)
    each = float(np.asarray(all_reduce(2.0 * 4096 * 4096, 8.0, 8.0, fabric)))
    assert part(run({"overlap_tp": 0.0}, tp=8), "exchange.tp") == pytest.approx(64 * 2 * (32 * 2 + 1) * each, rel=1e-9)


def a_number_is_as_wide_as_its_format() -> None:
    """FP8 halves the bytes of a product's operands, FP4 quarters them."""
    assert layers.NUMBER_BYTES == {"bf16": 16 / 8, "fp16": 16 / 8, "fp8": 8 / 8, "fp4": 4 / 8}


def a_loss_moves_what_its_kernels_read_and_write() -> None:
    """The passes that the sources name: fused 6 + 4 B a logit, Megatron-LM's 38 + 14, plain PyTorch 14 + 22."""
    logits = 64 / 8 * 4096 * 128256
    bandwidth = float(np.asarray(ts.catalog.chip("h100-sxm").memory_bandwidth))
    for loss, moved in (("chunked", 6.0), ("fused", 10.0), ("vocab-parallel", 52.0), ("plain", 36.0)):
        streams = part(run({"elementwise": 0.0}, loss=loss), "compute.head.elementwise")
        assert streams == pytest.approx(moved * logits / bandwidth, rel=1e-9)


def cut_short_recompute_saves_one_of_four_halves() -> None:
    """The backward pass doesn't need the last scatter of a layer, so one of the four collectives around its two sublayers is saved."""
    fields: dict[str, Any] = {"tp": 8, "recompute": "full"}
    whole = part(run({"overlap_tp": 0.0, "checkpoint": "whole"}, **fields), "exchange.tp")
    short = part(run({"overlap_tp": 0.0, "checkpoint": "early-stop"}, **fields), "exchange.tp")
    sublayers, ends = 2 * 32, 1  # the embedding's all-reduce is not repeated
    assert short / whole == pytest.approx((sublayers * (3 - 1 / 4) + 2 * ends) / (3 * sublayers + 2 * ends), rel=1e-9)


def stragglers_are_counted_from_one_node_of_eight() -> None:
    """One slow-down per doubling above a node: none at 8 accelerators, one at 16, two at 32."""
    for gpus, doublings in ((8, 0), (16, 1), (32, 2)):
        made = run({"jitter": 0.01}, gpus=gpus)
        step = ts.step_time(made)
        body = float(np.asarray(step.total)) / (1.0 + 0.01 * doublings)
        assert float(np.asarray(step.part("stragglers").total)) == pytest.approx(0.01 * doublings * body, abs=1e-12)


def sequence_parallelism_gathers_an_input_and_its_gradient() -> None:
    """Korthikanti et al. 2022 (arXiv:2205.05198), section 4.2.2: both are whole tensors in BF16, in addition to the widest operation."""
    split, whole = (at(gpt(), Plan(tp=2, sequence_parallel=each), tp=2.0)[0].part("working").total for each in ("on", "off"))
    assert float(np.asarray(split)) - float(np.asarray(whole)) == pytest.approx(2 * 2 * 1024 * 2048, rel=1e-9)


def fully_sharded_layers_are_gathered_two_at_a_time() -> None:
    """PyTorch FSDP2: the current layer and the prefetched next one, in BF16."""
    model = ts.catalog.model("llama3-8b")
    found = at(model, Plan(zero=3), dp=64.0, length=128.0)[0]
    hidden, ffn, kv = 4096, 14336, 1024
    layer = 2 * hidden * hidden + 2 * hidden * kv + 3 * hidden * ffn + 2 * hidden
    largest = max(layer, 128256 * hidden)
    assert float(np.asarray(found.part("buffers.gathered").total)) == pytest.approx(2 * 2 * largest, rel=1e-3)


def an_allocator_reserves_four_percent_more_than_it_gives_out() -> None:
    """SimuMax's B200 release summary: reserved over allocated peaks of 43 runs, 4.04 % more in the median."""
    found = at(ts.catalog.model("llama3-8b"), Plan())[0]
    lost = float(np.asarray(found.part("fragmentation").total))
    moving = sum(float(np.asarray(found.part(name).total)) for name in ("activations", "logits", "recomputed", "working", "buffers"))
    assert lost / moving == pytest.approx(0.0404, rel=0.05)


def zero_shards_what_its_stages_say() -> None:
    """Rajbhandari et al. 2020 (arXiv:1910.02054), figure 1: 7.5B parameters on 64 ranks take 120, 31.4, 16.6 and 1.9 GB."""
    model = ts.catalog.model("llama3-8b")
    params = float(np.asarray(ts.count_params(model).total))
    for stage, bytes_each in ((0, 16.0), (1, 4.0 + 12.0 / 64), (2, 2.0 + 14.0 / 64), (3, 16.0 / 64)):
        plan = Plan(zero=stage, precision=recipe_of("bf16").replace({"gradients": 2.0}))
        found = at(model, plan, dp=64.0, length=128.0)[0]
        held = sum(float(np.asarray(found.part(name).total)) for name in ("weights", "gradients", "optimizer"))
        assert held == pytest.approx(bytes_each * params, rel=1e-6), stage


def updates_move_the_bytes_of_their_states() -> None:
    """AdamW in FP32: gradient, moments and master read, moments and master written, a BF16 copy: 4 + 8 + 4 + 12 + 2 + 4 B; the norm reads
    4 and the clip moves 8; states of 8 bits hold one FP32 scale to 256 elements (arXiv:2110.02861)."""
    assert float(np.asarray(optimizer_of("adamw").traffic("linear", recipe_of("bf16")))) == 34.0
    assert float(np.asarray(clipping_traffic(recipe_of("bf16")))) == 12.0
    assert float(np.asarray(optimizer_of("adamw-8bit").moments("linear", recipe_of("bf16")))) == pytest.approx(2 * (1 + 4 / 256))


def a_scale_goes_with_128_elements() -> None:
    """DeepSeek-V3 (arXiv:2412.19437), section 3.3.2: an FP32 scale to every 128."""
    assert recipe_of("fp8-deepseek").dispatched == pytest.approx(precision.SCALED_FP8) == 1.03125


def a_trace_is_in_microseconds() -> None:
    one = np.array([1.0])
    with tempfile.TemporaryDirectory() as folder:
        made = pipeline_timeline(schedule_of("1f1b"), Times(one, one, one), 2, pp=2)
        events = json.loads(made.to_chrome_trace(Path(folder) / "t.json").read_text())["traceEvents"]
    assert max(e["ts"] + e["dur"] for e in events if e["ph"] == "X") == pytest.approx(9e6)


def an_eager_norm_works_in_four_bytes() -> None:
    """Two norms of a layer of Llama keep their input in FP32 in place of BF16, and the gate its activation's result."""
    model, degrees = ts.catalog.model("llama3-8b"), Degrees(tp=1.0, dp=1.0, ep=1.0, cp=1.0, micro_batch=1.0, seq_len=1024.0)
    held = [
        float(np.asarray(rank_memory(model, Plan(elementwise=how), degrees, 1.0)[0].part("activations.dense").total))
        for how in ("fused", "eager")
    ]
    assert held[1] - held[0] == pytest.approx(1024 * model.layers * (2 * 4 * 4096 + 2 * 14336))


def keys_of_one_block_go_around_in_two_bytes() -> None:
    """Llama 3 8B on two ranks: a half of 2 × 1,024 elements a token in BF16, once forward and twice backward."""
    made = ts.Run(
        model=ts.catalog.model("llama3-8b"), cluster=ts.catalog.cluster("hgx-h100", 8), plan=ts.Plan(cp=2, zero=1),
        phases=[ts.Phase("p", tokens=1e9, seq_len=8192, batch=4)],
        efficiency=ts.Modelled(stack=IDEAL.replace({"inside_latency": 0.0, "scale_up": 1.0})),
    )  # fmt: skip
    link = made.cluster.scale_up
    assert link is not None
    each = 8192 / 2 * 2 * 1024 * 2.0 / float(np.asarray(link.achieved or link.bandwidth))
    assert float(np.asarray(ts.step_time(made).part("exchange.cp.sent").total)) == pytest.approx(3 * 32 * each, rel=1e-9)


PHYSICAL: dict[str, Callable[[], None]] = {
    "cluster.collectives.BLOM": largest_of_eight_normals,
    "cluster.kernels.ALIGNED_BYTES": rows_of_sixteen_bytes_run_at_full_speed,
    "cluster.kernels.MISALIGNMENT": rows_of_sixteen_bytes_run_at_full_speed,
    "cluster.kernels.WIDE_HEAD": heads_wider_than_128_slow_in_backward,
    "cluster.profile.ELEMENT_BYTES": operands_of_a_profile_take_their_bytes,
    "gpu_memory.activations.SOFTMAX": a_gpt_layer_keeps_what_the_paper_says,
    "gpu_memory.activations.DROPPED_SCORE": a_gpt_layer_keeps_what_the_paper_says,
    "gpu_memory.activations.MASK": a_gpt_layer_keeps_what_the_paper_says,
    "gpu_memory.activations.FP32": an_eager_norm_works_in_four_bytes,
    "step.context.BF16_BYTES": keys_of_one_block_go_around_in_two_bytes,
    "step.context.VISITS": keys_of_one_block_go_around_in_two_bytes,
    "gpu_memory.activations.LOG_SUM": fused_attention_keeps_a_logarithm_to_a_head,
    "gpu_memory.peak.LOGITS": logits_at_the_peak,
    "gpu_memory.peak.GATHERED_INPUTS": sequence_parallelism_gathers_an_input_and_its_gradient,
    "gpu_memory.peak.FRAGMENTATION": an_allocator_reserves_four_percent_more_than_it_gives_out,
    "gpu_memory.weights.GATHERED_LAYERS": fully_sharded_layers_are_gathered_two_at_a_time,
    "gpu_memory.weights.ZERO_STAGE": zero_shards_what_its_stages_say,
    "parallelism.optimizer.SCALE_BLOCK": updates_move_the_bytes_of_their_states,
    "parallelism.optimizer.FP32": updates_move_the_bytes_of_their_states,
    "parallelism.precision.SCALED_FP8": a_scale_goes_with_128_elements,
    "parallelism.schedules.events.MICROSECONDS": a_trace_is_in_microseconds,
    "parallelism.shapes.RESIDUAL_TRAFFIC": a_third_of_memory_is_moved_by_a_residual,
    "step.host.UNFUSED_KERNELS": unfused_attention_launches_four_kernels_more,
    "step.layers.BF16_BYTES": a_sum_over_tensor_parallel_ranks_is_of_two_bytes,
    "step.layers.NUMBER_BYTES": a_number_is_as_wide_as_its_format,
    "step.layers.LOSS_BYTES": a_loss_moves_what_its_kernels_read_and_write,
    "step.overlap.TP_COLLECTIVES": cut_short_recompute_saves_one_of_four_halves,
    "step.step.JITTER_NODE": stragglers_are_counted_from_one_node_of_eight,
}
"""Constant → the law or sourced figure that fails if the constant is doubled."""
ALLOWANCES = {
    "gpu_memory.peak.CONTEXT": "bytes outside the allocator, by judgement: no published peak counts them",
    "gpu_memory.fit.MEASURED_OVER_MODELLED": "quantiles of published peaks, as tests/gpu_memory and docs/memory.md have them",
    "parallelism.precision.RECIPES": "a table of bytes, held by tests/gpu_memory and tests/step/test_updates.py",
}
"""Constants without a law, each with the reason."""
STRUCTURE = {
    "step.step.NORM_BYTES": "one FP32 number, whose sum over all ranks is latency alone",
    "step.roofline.NAMED": "how many lines a text names",
    "step.data_parallel.WHOLE_ON_PASS": "a stage of ZeRO",
    "step.layers.PASS_DIMENSIONS": "which dimension is which in the three passes",
    "parallelism.schedules.path_pruning.START": "the number of no node",
}


def settings_of_profiles() -> list[float]:
    """Times of products under the fitted stack, for any starting point of the fit."""
    from trainsim.cluster.profile import KernelProfile, fit_stack

    chip, one = ts.catalog.chip("h100-sxm"), np.ones(6)
    rows, depth = 8192.0 * one, np.array([512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0])
    seconds = 2.0 * rows * rows * depth / (0.6 * depth / (depth + 250.0) * float(np.asarray(chip.peak_of("bf16"))))
    products = (ProductTimings("bf16", rows, rows, depth, one, seconds),)
    stack = fit_stack(KernelProfile(chip, products, None, np.zeros(0), np.zeros(0), None), IDEAL).stack
    return products[0].modelled(chip, stack.bf16, stack).tolist()  # type: ignore[no-any-return]


def settings_of_cuts() -> list[float]:
    """Layers on the stages of a model whose layers don't divide equally."""
    return [float(n) for n in np.asarray(stage_counts(ts.catalog.model("deepseek-v3"), 16)).sum(axis=1)]


def settings_of_events() -> list[float]:
    """Times of pipelines with unequal stages, for one draw and for many."""
    rng = np.random.default_rng(1)
    made = []
    for draws in (1, 700, 5000):
        times = Times(*(rng.uniform(1.0, 2.0, (8, draws)) for _ in range(3)))
        made += [float(np.sum(pipeline_step_seconds(schedule_of("interleaved"), times, 24, 4, 2)))]
    return made


NUMERICAL: dict[str, Callable[[], list[float]]] = {
    "cluster.profile.START_SCALES": settings_of_profiles,
    "cluster.profile.START_POINTS": settings_of_profiles,
    "parallelism.placement.REFERENCE_LENGTH": settings_of_cuts,
    "parallelism.placement.TIE_DECIMALS": settings_of_cuts,
    "parallelism.schedules.pipeline_time.EVENT_BLOCK": settings_of_events,
    "parallelism.schedules.pipeline_time.PRUNED_BLOCK": settings_of_events,
    "parallelism.schedules.pipeline_time.PRUNING_DRAWS": settings_of_events,
    "parallelism.schedules.pipeline_time.SETTLED_ROUNDS": settings_of_events,
}
"""Numerical setting → answers that must not change if the setting is doubled."""


# doubling ----------------------------------------------------------------------------------------------------------------


def constants() -> Iterator[str]:
    """Every constant at the top of a module of these packages that holds a number."""
    for file in sorted(path for package in PACKAGES for path in (SRC / package).rglob("*.py")):
        module = ".".join(file.relative_to(SRC).with_suffix("").parts)
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
            names = [t.id for target in targets for t in ast.walk(target) if isinstance(t, ast.Name)]
            value = getattr(node, "value", None)
            numbers = value is not None and any(
                isinstance(c, ast.Constant) and isinstance(c.value, int | float) and not isinstance(c.value, bool) for c in ast.walk(value)
            )
            yield from (f"{module}.{name}" for name in names if name.lstrip("_").isupper() and numbers)


def doubled(value: Any) -> Any:
    """A number, or every number of a table, doubled."""
    if isinstance(value, Mapping):
        return {key: doubled(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(doubled(each) for each in value)
    return value * 2


def doubling(name: str, patch: pytest.MonkeyPatch) -> None:
    """Double a constant in every module that imported it, and clear all caches."""
    module, _, constant = name.rpartition(".")
    value = getattr(importlib.import_module(f"trainsim.{module}"), constant)
    for each in [m for n, m in list(sys.modules.items()) if n.startswith("trainsim") and getattr(m, constant, None) is value]:
        patch.setattr(each, constant, doubled(value))
    forget()


def forget() -> None:
    """Empty every cache of the library."""
    for module in [m for n, m in list(sys.modules.items()) if n.startswith("trainsim")]:
        for thing in vars(module).values():
            if hasattr(thing, "cache_clear") and getattr(thing, "__module__", "").startswith("trainsim"):
                thing.cache_clear()


def test_every_constant_has_its_law_or_its_setting() -> None:
    known = {*PHYSICAL, *ALLOWANCES, *STRUCTURE, *NUMERICAL}
    assert set(constants()) == known


@pytest.mark.parametrize("check", sorted(set(PHYSICAL.values()), key=lambda f: f.__name__), ids=lambda f: f.__name__)  # type: ignore[attr-defined]
def test_the_laws_hold(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("name", PHYSICAL)
def test_a_physical_constant_doubled_breaks_its_law(name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        doubling(name, patch)
        with pytest.raises((AssertionError, IndexError)):
            PHYSICAL[name]()
    forget()


@pytest.mark.parametrize("name", NUMERICAL)
def test_a_numerical_setting_doubled_moves_no_answer(name: str) -> None:
    before = NUMERICAL[name]()
    with pytest.MonkeyPatch.context() as patch:
        doubling(name, patch)
        assert NUMERICAL[name]() == pytest.approx(before, rel=2e-3)
    forget()
