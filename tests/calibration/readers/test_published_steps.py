"""Rows of published runs: reported fields are used as reported; unreported ones are rejected or tried at usual values, never guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.calibration.readers.published_steps import CLUSTERS, USUAL_MICRO_BATCHES, published_step
from trainsim.calibration.records import MeasuredStep
from trainsim.catalog.rows import rows
from trainsim.catalog.software_stacks import applies_to, stack_for
from trainsim.core.answer import unfolded
from trainsim.core.errors import CatalogError
from trainsim.model.attention.grouped_query import GroupedQueryAttention
from trainsim.testing import refused

DENSE = {
    "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
    "intermediate_size": 14336, "vocab_size": 128256, "tie_word_embeddings": False, "gated_mlp": True,
}  # fmt: skip
ROUTED = DENSE | {"n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 14336}
WHOLE: dict[str, Any] = {
    "id": 1, "name": "Somebody: a run", "date": "2024-05", "gpu": "H100-SXM", "n_gpus": 64, "seq_len": 4096, "precision": "bf16",
    "global_batch_tokens": 4096 * 256, "architecture": DENSE, "iteration_time_s_reported": 2.0,
    "parallelism": {"tp": 4, "pp": 4, "dp": 4, "vpp": 2, "microbatch": 1, "zero": "ZeRO-1"},
}  # fmt: skip


def row(**changed: Any) -> dict[str, Any]:
    """The row with changed fields; fields of the layout are given by their own names."""
    layout = {name: changed.pop(name) for name in list(changed) if name in {"tp", "pp", "dp", "cp", "ep", "vpp", "microbatch", "zero"}}
    return {**WHOLE, **changed, "parallelism": {**WHOLE["parallelism"], **layout}}


def read(**changed: Any) -> MeasuredStep:
    return published_step(row(**changed))


# what ran ----------------------------------------------------------------------------------------------------------------


def test_a_complete_row_is_read_as_reported() -> None:
    step = read()
    assert step.layout is not None
    assert (step.layout.tp, step.layout.pp, step.layout.vpp, step.layout.dp, step.layout.micro_batch) == (4.0, 4, 2, 4.0, 1.0)
    assert (step.schedule, step.zero, step.batch, step.seconds, step.reported_as) == ("interleaved", 1, 256.0, 2.0, "time")
    assert (step.not_modelled, step.unreported, step.alternatives, step.usable) == ("", "", (), True)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"tp": None}, (4.0, 4, 1.0)),  # 4 x 4 of 64 accelerators: another degree is missing
        ({"tp": None, "dp": 16}, (1.0, 4, 16.0)),  # 4 x 16 are all 64 accelerators, so the missing degrees are 1
        ({"tp": None, "pp": None, "dp": None, "zero": "FSDP FULL_SHARD"}, (1.0, 1, 64.0)),  # fully sharded: no other degree
        ({"tp": None, "pp": None, "dp": None, "zero": "ZeRO-1"}, None),
    ],
)
def test_an_unreported_degree_is_1_only_where_it_must_be(changed: dict[str, Any], told: tuple[float, int, float] | None) -> None:
    step = read(**changed)
    if told is None or told[0] == 4.0:
        assert step.not_modelled.startswith("parallelism.tp=None: is not published")
        return
    assert step.layout is not None
    assert (step.layout.tp, step.layout.pp, step.layout.dp) == told


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"gpu": "TPUv4"}, "gpu='TPUv4': has no software stack here"),
        ({"architecture": None}, "architecture=None: is not published"),
        ({"architecture": ROUTED | {"dense_residual_mlp": True}}, "dense_residual_mlp"),
        ({"architecture": DENSE | {"sliding_window": 128, "sliding_window_pattern": "odd"}}, "sliding_window_pattern='odd'"),
        ({"vpp": "4 (2)"}, "names neither one number nor a schedule"),
        ({"iteration_time_s_reported": None}, "nor is a step time"),
        ({"global_batch_tokens": None}, "a pipeline's bubble depends on it"),
        ({"global_batch_tokens": 4096}, "is less than a micro-batch of every pipeline, 4 sequences"),
    ],
)
def test_required_inputs_are_never_guessed(changed: dict[str, Any], why: str) -> None:
    step = read(**changed)
    assert why in step.not_modelled
    assert not step.usable


# unreported fields -------------------------------------------------------------------------------------------------------


def test_unreported_virtual_stages_are_all_divisors() -> None:
    assert [r.layout.vpp for r in read(vpp=None).candidates if r.layout] == [1, 2, 4, 8]
    assert [r.schedule for r in read(vpp=None).candidates] == ["1f1b", "interleaved", "interleaved", "interleaved"]
    assert [r.layout.vpp for r in read(vpp="interleaved").candidates if r.layout] == [2, 4, 8]
    assert read(vpp=None).unreported == "virtual stages not reported: 1, 2, 4, 8"
    assert read(vpp="interleaved", pp=8, dp=2).unreported == "virtual stages not reported: 2, 4"
    assert read(vpp="n/a").unreported == read(vpp=None, pp=1, dp=16).unreported == ""


@pytest.mark.parametrize(
    ("words", "zero", "parts"),
    [
        ("full (uniform)", "ZeRO-1", {"full"}),
        ("yes (the framework's default)", "ZeRO-1", {"full"}),
        ("selective", "ZeRO-1", {"core"}),
        ("selective", "FSDP2", set()),  # a word that belongs to another framework
        ("selective per-op", "FSDP2", {"ops"}),
        ("RMSNorm + MLA up-projections", "ZeRO-1", {"norms", "q_up", "kv_up"}),
        (None, "ZeRO-1", set()),
    ],
)
def test_words_for_recompute_are_parts(words: str | None, zero: str, parts: set[str]) -> None:
    told = row(zero=zero, pp=1, dp=16, vpp=None)
    step = published_step(told | {"parallelism": {**told["parallelism"], "recompute": words}})
    assert step.layout is not None
    assert step.layout.recomputed == parts


def test_stacks_before_interleaving_was_usual_name_it() -> None:
    old = read(vpp=None, gpu="A100-80GB", date="2021-04")
    assert (old.stack, old.unreported) == ("megatron-2021", "")


@given(each=st.integers(1, 64))
def test_an_unreported_micro_batch_divides_the_pipelines_batch(each: int) -> None:
    step = read(microbatch=None, vpp=1, global_batch_tokens=4096 * 4 * each)
    sizes = [float(np.asarray(r.layout.micro_batch)) for r in step.candidates if r.layout]
    assert sizes == [float(m) for m in USUAL_MICRO_BATCHES if each % m == 0]


def test_candidates_are_possible_for_the_schedule() -> None:
    """DualPipe on 16 ranks needs 32 micro-batches; 120 sequences in micro-batches of four are only 30."""
    changed = {"name": "DeepSeek: a run", "gpu": "H800-SXM", "n_gpus": 2048, "tp": 1, "pp": 16, "dp": 128, "microbatch": None}
    step = read(**changed, vpp="DualPipe", precision="fp8", global_batch_tokens=4096 * 120 * 128)
    assert [float(np.asarray(r.layout.micro_batch)) for r in step.candidates if r.layout] == [1.0, 2.0]
    assert {r.schedule for r in step.candidates} == {"dualpipe"}


def file_of(folder: Path, *rows: Mapping[str, Any]) -> Path:
    file = folder / "rows.json"
    file.write_text(json.dumps(list(rows)))
    return file


def test_an_incomplete_row_is_forecast_as_its_fastest_candidate(tmp_path: Path) -> None:
    told = [row(vpp=v, name=f"Somebody: {v}") for v in (1, 2, 4, 8)]
    *each, open_ = ts.backtest(rows=file_of(tmp_path, *told, row(vpp=None))).forecasts  # type: ignore[union-attr]
    assert open_.modelled == min(f.modelled for f in each)
    assert (open_.low, open_.high) == min((f.low, f.high) for f in each)
    assert "virtual stages not reported: 1, 2, 4, 8" in unfolded(ts.backtest(rows=file_of(tmp_path, row(vpp=None))))


def test_incomplete_rows_are_not_fitted() -> None:
    from trainsim.calibration.fit import fit_problem

    steps = [read(), read(vpp=None), read(iteration_time_s_reported=None, mfu_reported=0.4, mfu_definition="as in the PaLM definition")]
    assert [s.reported_as for s in steps] == ["time", "time", "utilisation"]
    assert fit_problem(steps).steps == (steps[0],)


# how it was launched -----------------------------------------------------------------------------------------------------

GPT_OSS = {
    "hidden_size": 2880, "num_hidden_layers": 36, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64,
    "intermediate_size": 2880, "vocab_size": 201088, "gated_mlp": True, "n_routed_experts": 128, "num_experts_per_tok": 4,
    "moe_intermediate_size": 2880,
}  # fmt: skip


def bench(release: str = "26.02", **changed: Any) -> MeasuredStep:
    """A row of Megatron-Bridge's tables, whose recipe the catalogue knows."""
    layout = {"tp": 1, "pp": 1, "dp": 64, "ep": 64, "vpp": "n/a", "microbatch": 4, "zero": "distributed optimizer"}
    told = {"name": f"NVIDIA Megatron-Bridge {release} NeMo Container: GPT OSS 120B 64xGB200 BF16", "date": release, "gpu": "GB200"}
    return read(**{"architecture": GPT_OSS, "precision": "BF16", "global_batch_tokens": 1280 * 4096, **told, **layout, **changed})


def test_a_benchmark_was_launched_as_its_recipe_says() -> None:
    layout = bench().layout
    assert layout is not None
    assert (layout.dispatcher, layout.expert_overlap, layout.graphs) == ("alltoall", "off", frozenset())
    assert layout.recomputed == {"norms", "experts.activation"}
    later = bench("26.06", precision="MXFP8").layout
    assert later is not None
    assert (later.dispatcher, later.expert_overlap) == ("fused", "on")
    assert (later.graphs, later.recomputed) == (frozenset({"step"}), frozenset())


def test_launch_settings_of_another_layout_are_marked() -> None:
    assert bench().unreported == ""
    other = bench(microbatch=2)
    assert other.layout is not None
    assert (other.layout.dispatcher, other.layout.recomputed, other.unreported) == (
        "alltoall", frozenset(), "launch settings from the recipe of another layout",
    )  # fmt: skip


def test_reported_settings_take_precedence_over_the_recipe() -> None:
    told = row(name="NVIDIA Megatron-Bridge 26.02", date="26.02", gpu="GB200", architecture=GPT_OSS, tp=1, pp=1, dp=64, ep=64, vpp="n/a")
    step = published_step(told | {"parallelism": {**told["parallelism"], "microbatch": 4, "recompute": "full"}})
    assert step.layout is not None
    assert step.layout.recomputed == {"full"}


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "Somebody: GPT OSS 120B"},  # another's run
        {"name": "Somebody of NeMo 26.02: GPT OSS 120B"},
        {"architecture": GPT_OSS | {"num_hidden_layers": 24}},  # another model
        {"gpu": "B200", "architecture": ROUTED},
    ],
)
def test_other_runs_have_no_launch_settings(changed: dict[str, Any]) -> None:
    layout = bench(**changed).layout
    assert layout is not None
    assert (layout.dispatcher, layout.expert_overlap, layout.graphs, layout.recomputed) == (None, "off", frozenset(), frozenset())


def test_launch_settings_distinguish_layers() -> None:
    """The same layers with other launch settings count as other layers, since their residuals are unrelated."""
    assert bench("26.04").layer_fingerprint != bench("26.02").layer_fingerprint  # exchanges overlap another pass from this release on


def test_a_published_run_uses_its_own_cluster() -> None:
    bloom = {
        "hidden_size": 14336, "num_hidden_layers": 70, "num_attention_heads": 112, "num_key_value_heads": 112,
        "intermediate_size": 57344, "vocab_size": 250880, "tie_word_embeddings": True, "gated_mlp": False,
    }  # fmt: skip
    layout = {"tp": 4, "pp": 12, "dp": 8, "vpp": None, "microbatch": 2}
    told = {"architecture": bloom, "gpu": "A100-80GB", "n_gpus": 384, "date": "2022-07", "seq_len": 2048, **layout}
    own, other, fewer = (read(**{**told, **c}).cluster for c in ({"org": "BigScience"}, {}, {"org": "BigScience", "n_gpus": 96, "dp": 2}))
    assert (own and own.name, other and other.name, fewer and fewer.name) == ("jean-zay-a100", "dgx-a100", "dgx-a100")


# how long it took --------------------------------------------------------------------------------------------------------


def test_a_rate_and_a_utilisation_give_the_original_step_time() -> None:
    seconds = 3.0
    rate = 4096 * 256 / (64 * seconds)
    assert read(iteration_time_s_reported=None, tokens_per_s_per_gpu_reported=rate).seconds == pytest.approx(seconds)
    products = 32 * (4096 * 4096 * 2 + 2 * 4096 * 1024 + 3 * 4096 * 14336) + 4096 * 128256
    flop = 4096 * 256 * (6 * products + 12 * 32 * 4096 * 4096)  # PaLM: 6N + 12·L·h·S, every pair of a sequence
    found = read(iteration_time_s_reported=None, mfu_reported=flop / (seconds * 64 * 989.4e12), mfu_definition="PaLM definition")
    assert found.seconds == pytest.approx(seconds, rel=1e-3)
    assert found.reported_as == "utilisation"
    assert not read(iteration_time_s_reported=None, mfu_reported=0.4, mfu_definition="not stated").usable


# the stack ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpu", "date", "zero", "name", "stack"),
    [
        ("A100-80GB", "2022-12", "ZeRO-1", "Somebody", "megatron-2021"),
        ("A100-80GB", "2023-01", "ZeRO-1", "Somebody", "mcore-ampere"),
        ("A100-80GB", None, "ZeRO-1", "Somebody", "mcore-ampere"),
        ("A100-40GB", "2023-05", "FSDP FULL_SHARD", "Somebody", "fsdp-2023"),
        ("H100-SXM", "2023-11", "HSDP (shard within 64)", "Somebody", "fsdp-2023-hopper"),
        ("H100-SXM", "2025-11", "HSDP (shard within 64)", "Somebody", "torchtitan-2024"),
        ("H100-SXM", "2024-12", "FSDP2", "torchtitan with async TP", "torchtitan-2024-async"),
        ("H100-SXM", "26.04.01", "FSDP 64", "NVIDIA Megatron-Bridge 26.04.01 NeMo Container", "mcore-26.04-hopper"),
        ("H100-SXM", "26.04.01", "FSDP2", "Somebody", "fsdp-2026-hopper"),  # a release is a month
        ("B200", "2025-11", "FSDP2", "Somebody", "fsdp-2026-blackwell"),
        ("H800-SXM", "2024-12", "ZeRO-1", "DeepSeek-V9", "deepseek-2024"),
        ("H100-SXM", "25.09", "ZeRO-1", "NVIDIA Megatron-Bridge 25.09: DeepSeekV3", "mcore-25.09-hopper"),  # by owner, not model
    ],
)
def test_the_stack_is_the_newest_of_the_framework_on_those_chips(gpu: str, date: str | None, zero: str, name: str, stack: str) -> None:
    assert read(gpu=gpu, date=date, zero=zero, name=name, pp=1, dp=16, vpp=None).stack == stack


@given(month=st.dates().map(lambda day: f"{day:%Y-%m}"), framework=st.sampled_from(["megatron", "fsdp", "hai-llm"]), data=st.data())
def test_a_later_month_never_gives_an_older_stack(month: str, framework: str, data: st.DataObject) -> None:
    chips = data.draw(st.sampled_from(sorted({r["architecture"] for r in rows("stacks").values() if "architecture" in r.fields})))
    later = data.draw(st.dates().map(lambda day: f"{day:%Y-%m}").filter(lambda other: other >= month))
    one, other = (applies_to(stack_for(chips, framework, at))["since"] for at in (month, later))
    assert one <= other


def test_every_base_stack_says_what_it_applies_to() -> None:
    for name, told in rows("stacks").items():
        found = applies_to(name)
        assert {"framework", "since"} <= set(found), name
        if not told.get("like"):
            assert stack_for(told["architecture"], found["framework"], found["since"]) == name


@pytest.mark.parametrize("gpu", sorted(CLUSTERS))
def test_every_accelerator_that_is_read_has_a_machine_and_a_stack(gpu: str) -> None:
    step = read(gpu=gpu)
    assert step.usable
    assert step.cluster is not None
    assert rows("stacks")[step.stack]["architecture"] == step.cluster.chip.architecture


def test_a_framework_without_a_stack_is_named() -> None:
    with refused(CatalogError, "unknown-name", "catalog.stacks"):
        stack_for("hopper", "jax", "2024-05")


def test_chips_without_a_stack_are_named() -> None:
    with refused(CatalogError, "unsupported", "cluster.chip.architecture"):
        stack_for("volta", "megatron", "2020-05")


def test_a_frameworks_own_loss_and_recipes_are_its_rows() -> None:
    lab = read(name="DeepSeek-V9", gpu="H800-SXM", precision="fp8")
    assert lab.layout is not None
    assert (lab.layout.recipe.name, lab.layout.loss) == ("fp8-deepseek", "fused")
    old = read(gpu="A100-80GB", date="2021-04")
    assert old.layout is not None
    assert (old.layout.loss, old.layout.sequence_split) == ("vocab-parallel", 1.0)
    split = read(gpu="A100-80GB", date="2022-05", name="A paper: sequence parallel + selective")
    assert split.layout is not None
    assert split.layout.sequence_split == 4.0
    other = read(gpu="A100-80GB", date="2022-05", name="A paper: sequences of 2048")
    assert other.layout is not None
    assert other.layout.sequence_split == 1.0


# the model ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pattern", "windowed"), [("alternating", 16), ("3 of 4 layers", 24), (None, 32)])
def test_windows_follow_the_pattern(pattern: str | None, windowed: int) -> None:
    model = read(architecture=DENSE | {"sliding_window": 512, "sliding_window_pattern": pattern}).model
    assert model is not None
    found = [k.count for k in model.stack if isinstance(k.block.attention, GroupedQueryAttention) and k.block.attention.window == 512]
    assert sum(found) == windowed


def test_every_nth_layer_routes() -> None:
    model = read(architecture=ROUTED | {"moe_layer_freq": 2}).model
    assert model is not None
    assert [model.layout.count(kind) for kind in ("dense", "moe")] == [16, 16]
    assert model.layout[:4] == ("dense", "moe", "dense", "moe")


def test_a_parallel_block_sums_once() -> None:
    """Attention and feed-forward are added on each rank, so there are half as many all-reduces; no product changes."""
    from trainsim.parallelism.shapes import shapes_of

    one, two = (read(architecture=DENSE | {"parallel_block": parallel}).model for parallel in (True, False))
    assert one is not None
    assert two is not None
    at = shapes_of(two).kinds.index("dense")
    assert (shapes_of(one).split_sublayers[at], shapes_of(two).split_sublayers[at]) == (1.0, 2.0)
    assert shapes_of(one).params[0, at] == shapes_of(two).params[0, at] - 4096  # one norm fewer


def test_gradient_buffers_follow_the_stack() -> None:
    narrow, own = (read(**changed).layout for changed in ({}, {"name": "DeepSeek-V9", "gpu": "H800-SXM", "precision": "fp8"}))
    assert narrow is not None
    assert own is not None
    assert (narrow.recipe.gradients, narrow.recipe.reduced) == (2.0, 2.0)
    assert (own.recipe.gradients, own.recipe.reduced) == (4.0, 4.0)
