"""Plans: errors name the rule and a remedy; launch files of Megatron-LM and torchtitan are read and written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.core.errors import SpecError
from trainsim.parallelism.optimizer import OPTIMIZERS, AdamW, Muon
from trainsim.parallelism.plan import Plan, check_plan, data_parallel, micro_batches
from trainsim.parallelism.precision import RECIPES, Precision
from trainsim.parallelism.schedules.discovery import framework_schedules, schedule_of
from trainsim.testing import refused
from trainsim.testing.schedules import virtual_stages

DEGREE = st.sampled_from([1, 2, 4, 8])


def cluster(gpus: int) -> ts.Cluster:
    chip = ts.Chip(name="chip", peak=ts.Peak(bf16=1e15), memory=80e9, memory_bandwidth=3e12)
    return ts.Cluster(chip=chip, gpus=gpus)


def model() -> ts.Model:
    attention = ts.GroupedQueryAttention(heads=32, kv_heads=4, head_dim=64)
    dense = ts.Block(attention=attention, ffn=ts.GatedMLP(width=1024))
    moe = ts.Block(attention=attention, ffn=ts.MixtureOfExperts(experts=64, top_k=4, width=256))
    return ts.Model(
        hidden=512, vocab=1024, stack=[ts.Layers(name="dense", count=1, block=dense), ts.Layers(name="moe", count=11, block=moe)]
    )


def test_the_contract_of_the_design() -> None:
    plan = Plan(pp=16, ep=64, zero=1, schedule="dualpipe")
    assert (plan.pp, plan.ep, plan.zero, plan.tp, plan.stages) == (16, 64, 1, 1, 16)
    run = ts.catalog.run("deepseek-v3").replace({"plan": plan})
    assert ts.Run(**run.to_dict()).plan == plan


def test_recipes_and_optimizers_are_names_or_values() -> None:
    assert Plan(precision="fp8-deepseek").recipe is RECIPES["fp8-deepseek"]
    own = Precision(name="mine", products="fp8", gradients=2.0)
    assert Plan(precision=own).recipe is own
    assert Plan(**Plan(precision=own, optimizer=Muon()).to_dict()) == Plan(precision=own, optimizer=Muon())
    assert Plan().update_rule == AdamW()
    assert "precision.gradients" in Plan(precision=own).numbers()
    with refused(SpecError, "unknown-name", "precision"):
        Plan(precision="fp9")
    with refused(SpecError, "unknown-name", "optimizer"):
        Plan(optimizer="adam-w")


def test_states_of_an_optimizer() -> None:
    bf16, v3 = RECIPES["bf16"], RECIPES["fp8-deepseek"]
    zero = bf16.weights + bf16.master + OPTIMIZERS["adamw"].moments("linear", bf16)
    assert zero == 14.0  # and 2 bytes of gradient in half precision: the 16 of arXiv:1910.02054, section 3.1
    assert OPTIMIZERS["adamw"].moments("linear", v3) == 4.0
    assert OPTIMIZERS["adamw-8bit"].moments("embedding", bf16) == 8.0
    assert OPTIMIZERS["adamw-8bit"].moments("linear", bf16) < 2.1
    assert OPTIMIZERS["muon"].moments("linear", bf16) == 4.0
    assert OPTIMIZERS["muon"].moments("head", bf16) == 8.0


@pytest.mark.parametrize(
    ("plan", "gpus", "named"),
    [
        (Plan(tp=6), 12, ("conflict", "plan.tp")),
        (Plan(ep=48), 48, ("conflict", "plan.ep")),
        (Plan(pp=16), 16, ("out-of-bounds", "plan.pp")),
        (Plan(pp=4, vpp=4), 16, ("out-of-bounds", "plan.pp·vpp")),
        (Plan(tp=4, pp=3), 16, ("conflict", "plan.tp·pp·cp")),
        (Plan(tp=4, dp=3), 16, ("conflict", "plan.dp")),
        (Plan(ep=16), 8, ("conflict", "plan.ep")),
        (Plan(ep=8, expert_tp=4), 16, ("conflict", "plan.expert_tp")),
        (Plan(expert_tp=3), 3, ("conflict", "plan.expert_tp")),
        (Plan(zero=3, shard=3), 16, ("conflict", "plan.shard")),
        (Plan(pp=2, stage_layers=(6, 7)), 16, ("conflict", "plan.stage_layers")),
    ],
)
def test_an_impossible_plan_raises_an_error_with_rule_and_remedy(plan: Plan, gpus: int, named: tuple[str, str]) -> None:
    with refused(SpecError, *named):
        check_plan(plan, model(), gpus)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"vpp": 2, "schedule": "1f1b"}, ("conflict", "vpp")),
        ({"schedule": "interleaved"}, ("conflict", "vpp")),
        ({"schedule": "dualpipe", "pp": 3}, ("conflict", "pp")),
        ({"pp": 4, "stage_layers": (3, 3)}, ("conflict", "stage_layers")),
        ({"schedule": "dualpip"}, ("unknown-name", "schedule")),
    ],
)
def test_an_impossible_schedule_is_refused_by_the_constructor(fields: Any, named: tuple[str, str]) -> None:
    with refused(SpecError, *named):
        Plan(**fields)


@pytest.mark.parametrize(
    ("plan", "gpus"),
    [
        (Plan(tp=1, ep=64), 64),
        (Plan(tp=8, ep=8), 64),
        (Plan(pp=5), 40),
        (Plan(tp=8, ep=16, expert_tp=1), 64),
        (Plan(zero=3, shard=4, cp=2), 16),
    ],
)
def test_unusual_published_plans_are_accepted(plan: Plan, gpus: int) -> None:
    check_plan(plan, model(), gpus)


def test_several_stages_per_rank_mean_an_interleaved_schedule_by_default() -> None:
    assert Plan(pp=4, vpp=2).schedule == "interleaved"
    assert Plan(pp=4, vpp=2).stages == 8


def test_a_batch_is_divided_evenly_or_refused() -> None:
    plan = Plan(pp=16, ep=64, zero=1, schedule="dualpipe")
    assert data_parallel(plan, 2048) == 128
    assert micro_batches(plan, 15360, 2048) == 120
    with refused(SpecError, "conflict", "batch"):
        micro_batches(plan, 15400, 2048)
    with refused(SpecError, "conflict", "micro-batches"):
        micro_batches(plan, 2048, 2048)


# frameworks ----------------------------------------------------------------------------------------------------------------

MODULES = [
    ("core",),
    ("norms",),
    ("core", "norms"),
    ("q_up", "kv_up"),
    ("norms", "q_up", "kv_up", "experts.activation"),
    ("ffn", "experts", "shared"),
]


@st.composite
def megatron_plans(draw: Any) -> Plan:
    vpp, recompute = draw(st.sampled_from([1, 2, 4])), draw(st.sampled_from(["none", "selective", "full"]))
    fields: dict[str, Any] = {
        "tp": draw(DEGREE), "pp": draw(DEGREE), "cp": draw(DEGREE), "ep": draw(DEGREE), "vpp": vpp, "micro_batch": draw(DEGREE),
        "schedule": "1f1b" if vpp == 1 else "interleaved", "expert_tp": draw(st.sampled_from([None, 1, 2])),
        "zero": draw(st.integers(0, 3)),
        "sequence_parallel": draw(st.sampled_from(["off", "on"])), "recompute": recompute,
        "attention": draw(st.sampled_from(["fused", "unfused"])), "dropout": draw(st.sampled_from(["off", "on"])),
        "loss": draw(st.sampled_from(["fused", "vocab-parallel"])), "optimizer": draw(st.sampled_from(["adamw", "sgd", "muon"])),
        "precision": draw(st.sampled_from(["bf16", "fp16", "fp8", "mxfp8", "nvfp4"])),
        "dispatcher": draw(st.sampled_from([None, "alltoall", "fused"])),
        "graphs": draw(st.sampled_from([(), ("step",), ("layer",), ("attention", "router"), ("ffn",)])),
    }  # fmt: skip
    if vpp > 1 or fields["pp"] == 1:
        fields["expert_overlap"] = draw(st.sampled_from(["off", "on"]))
    if recompute == "selective":
        fields["recompute_parts"] = draw(st.sampled_from(MODULES))
    if recompute == "full":
        fields["recompute_layers"] = draw(st.sampled_from([None, 1, 3]))
    if vpp == 1 and fields["pp"] > 1 and draw(st.booleans()):
        middle = [4] * (fields["pp"] - 2)
        fields["stage_layers"] = (3, *middle, 2)
    return Plan(**fields)


PRECISION_FLAGS = ["--fp8-param-gather", "--exp-avg-dtype bf16 --exp-avg-sq-dtype bf16", "--grad-reduce-in-bf16"]


RECIPE_FLAGS = [
    "--bf16", "--fp16", "--fp8-format hybrid", "--fp8-format e4m3 --fp8-recipe blockwise", "--fp8-format e4m3 --fp8-recipe mxfp8",
    "--fp4-format e2m1",
]  # fmt: skip


@given(st.sampled_from(RECIPE_FLAGS), st.sets(st.sampled_from(PRECISION_FLAGS)))
def test_flags_of_precision_and_back(base: str, changes: set[str]) -> None:
    plan = Plan.from_megatron(" ".join([base, *sorted(changes)]))
    assert Plan.from_megatron(plan.to_megatron()) == plan
    if "--exp-avg-dtype bf16 --exp-avg-sq-dtype bf16" in changes:
        assert plan.recipe.moments == 2.0


@given(megatron_plans())
def test_megatron_and_back(plan: Plan) -> None:
    words = plan.to_megatron()
    assert Plan.from_megatron(words) == plan
    assert Plan.from_megatron(" ".join(words)) == plan


@st.composite
def torchtitan_plans(draw: Any) -> Plan:
    tp, pp = draw(DEGREE), draw(DEGREE)
    schedule: Any = draw(st.sampled_from(sorted(one.name for one in framework_schedules("torchtitan").values()))) if pp > 1 else "1f1b"
    recompute = draw(st.sampled_from(["none", "selective", "full"]))
    parts: dict[str, Any] = {"recompute_parts": ("ops",)} if recompute == "selective" else {}
    return Plan(
        tp=tp,
        pp=pp,
        cp=draw(DEGREE),
        ep=draw(DEGREE),
        expert_tp=draw(st.sampled_from([None, 1])),
        micro_batch=draw(DEGREE),
        vpp=draw(st.sampled_from(virtual_stages(schedule_of(schedule)))),
        schedule=schedule,
        zero=3,
        sequence_parallel="on" if tp > 1 else "off",
        recompute=recompute,
        loss="plain",
        precision=draw(st.sampled_from(["bf16-fsdp", "fp8-fsdp"])),
        optimizer=draw(st.sampled_from(["adamw", "muon"])),
        **parts,
    )


@given(torchtitan_plans())
def test_torchtitan_and_back(plan: Plan) -> None:
    assert Plan.from_torchtitan(plan.to_torchtitan()) == plan


def test_a_real_megatron_command_line() -> None:
    line = """--tensor-model-parallel-size 2 --pipeline-model-parallel-size 2 --num-virtual-stages-per-pipeline-rank 4
    --expert-model-parallel-size 4 --expert-tensor-parallel-size 1 --use-distributed-optimizer --overlap-grad-reduce --sequence-parallel
    --micro-batch-size 4 --global-batch-size 32 --num-layers 16 --hidden-size 1024 --swiglu --attention-dropout 0.0 --hidden-dropout 0.0
    --attention-backend unfused --cross-entropy-loss-fusion --num-experts 32 --moe-router-topk 4 --bf16 --lr 0.00015"""
    plan = Plan.from_megatron(line)
    assert plan == Plan(
        tp=2, pp=2, vpp=4, ep=4, expert_tp=1, zero=1, sequence_parallel="on", micro_batch=4, attention="unfused", schedule="interleaved",
        overlap=("ep", "cp", "dp"),
    )  # fmt: skip


GPT_175B = """torchrun --nproc_per_node 8 --nnodes 128 pretrain_gpt.py \\
    --num-layers 96 --hidden-size 12288 --num-attention-heads 96 --seq-length 2048 --attention-backend auto  # or flash, fused
    --tensor-model-parallel-size 8 --pipeline-model-parallel-size 16 --micro-batch-size 1 --global-batch-size 1536 \\
    --rampup-batch-size 16 16 5859375 --fp16 --lr 6.0e-5 --lr-warmup-fraction .001 --clip-grad 1.0 --split 949,50,1 --data-path a_b"""
MIXTRAL = """--use-mcore-models --disable-bias-linear --num-layers 32 --num-experts 8 --moe-router-topk 2 --moe-grouped-gemm
    --moe-token-dispatcher-type alltoall --overlap-param-gather --attention-dropout 0.0 --hidden-dropout 0.0 --micro-batch-size 1
    --tensor-model-parallel-size 1 --pipeline-model-parallel-size 4 --expert-model-parallel-size 8 --use-distributed-optimizer
    --sequence-parallel --bf16 --no-load-optim --no-load-rng --tokenizer-type Llama2Tokenizer --rotary-base 1000000"""
DEEPSEEK_V3 = """--tensor-model-parallel-size 2 --pipeline-model-parallel-size 8 --expert-model-parallel-size 64
    --expert-tensor-parallel-size 1 --num-layers 61 --pipeline-model-parallel-layout Et|(tt|)*30mL
    --mtp-num-layers 1 --use-distributed-optimizer --sequence-parallel
    --attention-dropout 0.0 --hidden-dropout 0.0 --moe-layer-freq ([0]*3+[1]*58) --moe-router-group-topk 4 --use-flash-attn
    --recompute-granularity selective --recompute-modules mla_up_proj mlp --cross-entropy-loss-fusion --cross-entropy-fusion-impl native
    --fp8-recipe blockwise --fp8-format e4m3 --fp8-param-gather --use-precision-aware-optimizer --main-grads-dtype fp32
    --main-params-dtype fp32 --exp-avg-dtype bf16 --exp-avg-sq-dtype bf16 --delay-wgrad-compute --overlap-moe-expert-parallel-comm
    --manual-gc --auto-detect-ckpt-format --logging-level 40 --micro-batch-size 1 --global-batch-size 8192 --bf16"""


def test_a_launchers_whole_command_with_comments_is_read() -> None:
    assert Plan.from_megatron(GPT_175B) == Plan(
        tp=8, pp=16, dropout="on", loss="vocab-parallel", precision="fp16", schedule="1f1b", overlap=("tp", "ep", "cp", "weights")
    )  # fmt: skip


def test_mixtral_and_deepseek_v3_command_lines() -> None:
    assert Plan.from_megatron(MIXTRAL) == Plan(
        pp=4, ep=8, zero=1, sequence_parallel="on", loss="vocab-parallel", dispatcher="alltoall", overlap=("tp", "ep", "cp", "weights")
    )  # fmt: skip
    plan = Plan.from_megatron(DEEPSEEK_V3)
    assert (plan.tp, plan.pp, plan.vpp, plan.ep, plan.expert_tp, plan.zero, plan.schedule) == (2, 8, 4, 64, 1, 1, "interleaved")
    assert plan.stage_layers == (1, *[2] * 30, 0)
    assert plan.expert_overlap == "on"
    assert plan.recompute_parts == ("q_up", "kv_up", "ffn")
    recipe = plan.recipe
    assert (recipe.products, recipe.moments, recipe.gradients, recipe.master) == ("fp8", 2.0, 4.0, 4.0)
    assert recipe.weights == pytest.approx(2 * (1 + 4 / 128))
    assert Plan.from_megatron(plan.to_megatron()) == plan
    check_plan(plan, ts.catalog.model("deepseek-v3"), 1024)


@pytest.mark.parametrize("flags", range(8))
def test_overlap_by_megatrons_flags_is_read_and_written(flags: int) -> None:
    """By hand: each exchange of the layout needs its own flag; with all three flags the plan leaves the choice to its stack."""
    named = {"dp": "--overlap-grad-reduce", "weights": "--overlap-param-gather", "tp": "--tp-comm-overlap"}
    asked = {name for i, name in enumerate(named) if flags >> i & 1}
    line = "--tensor-model-parallel-size 2 --sequence-parallel --use-distributed-optimizer " + " ".join(named[name] for name in asked)
    plan = Plan.from_megatron(line)
    assert set(plan.overlap or {*named, "ep", "cp"}) == asked | {"ep", "cp"}
    assert Plan.from_megatron(plan.to_megatron()) == plan


@pytest.mark.parametrize(("word", "how"), [("p2p", "ring"), ("all_gather", "all-gather"), ("a2a", "all-to-all")])
def test_key_exchange_and_offload_are_read_and_written(word: str, how: str) -> None:
    line = f"--context-parallel-size 4 --cp-comm-type {word} --optimizer-cpu-offload --optimizer-offload-fraction 0.5"
    plan = Plan.from_megatron(line)
    assert (plan.cp_exchange, plan.offload) == (how, ts.Offload(optimizer=0.5))
    assert Plan.from_megatron(plan.to_megatron()) == plan
    if how != "all-to-all":
        rotate = {"all-gather": "allgather", "ring": "alltoall"}[how]
        titan = Plan.from_torchtitan(f'[parallelism]\ncontext_parallel_degree = 4\ncontext_parallel_rotate_method = "{rotate}"')
        assert titan.cp_exchange == how
        assert Plan.from_torchtitan(titan.to_torchtitan()) == titan


ENDS = "--account-for-embedding-in-pipeline-split --account-for-loss-in-pipeline-split"


@pytest.mark.parametrize(
    ("line", "graphs"),
    [
        ("--cuda-graph-impl none --cuda-graph-modules attn", ()),
        ("--cuda-graph-impl transformer_engine --cuda-graph-scope attn moe_router moe_preprocess", ("attention", "router")),
        ("--cuda-graph-impl local --cuda-graph-modules mlp", ("ffn",)),
        ("--cuda-graph-impl local --cuda-graph-scope full_iteration", ("step",)),
        ("--cuda-graph-impl full_iteration", ("step",)),
        ("--cuda-graph-impl local --cuda-graph-scope full", ("layer",)),
        ("--enable-cuda-graph", ("layer",)),
        ("--external-cuda-graph --cuda-graph-scope attn", ("attention",)),
        ("--moe-token-dispatcher-type flex --moe-flex-dispatcher-backend hybridep --moe-enable-deepep", ()),
    ],
)
def test_graphs_of_megatron_are_parts_of_a_layer(line: str, graphs: tuple[str, ...]) -> None:
    plan = Plan.from_megatron(line)
    assert plan.graphs == graphs
    assert plan.dispatcher == ("fused" if "flex" in line else None)


@pytest.mark.parametrize(("backend", "dispatcher"), [("standard", "alltoall"), ("deepep", "fused"), ("hybridep", "fused")])
def test_backends_of_torchtitan_are_dispatchers(backend: str, dispatcher: str) -> None:
    plan = Plan.from_torchtitan(f'[parallelism]\nexpert_parallel_comm_backend = "{backend}"')
    assert plan.dispatcher == dispatcher
    assert Plan.from_torchtitan(plan.to_torchtitan()) == plan
    with refused(SpecError, "unknown-name", "parallelism.expert_parallel_comm_backend"):
        Plan.from_torchtitan('[parallelism]\nexpert_parallel_comm_backend = "nvep"')


@pytest.mark.parametrize(
    ("pp", "line", "layers"),
    [
        (4, "--pipeline-model-parallel-layout Ett|ttt|(t)*3,|tL", (2, 3, 3, 1)),
        (2, f"--num-layers 14 {ENDS}", (7, 7)),
        (4, f"--num-layers 14 {ENDS}", (3, 4, 4, 3)),
        (4, "--num-layers 12 --decoder-first-pipeline-num-layers 2 --decoder-last-pipeline-num-layers 4", (2, 3, 3, 4)),
    ],
)
def test_layers_of_each_stage_are_read(pp: int, line: str, layers: tuple[int, ...]) -> None:
    assert Plan.from_megatron(f"--pipeline-model-parallel-size {pp} {line}").stage_layers == layers


def test_the_default_sharding_of_experts_is_megatrons() -> None:
    spread = Plan.from_megatron("--tensor-model-parallel-size 4 --expert-model-parallel-size 8")
    assert spread.expert_tp == 4  # --expert-tensor-parallel-size takes --tensor-model-parallel-size
    whole = Plan(tp=4, ep=8)
    assert whole.to_megatron()[whole.to_megatron().index("--expert-tensor-parallel-size") + 1] == "1"
    assert whole == Plan(tp=4, ep=8, expert_tp=1) != Plan(tp=4, ep=8, expert_tp=4)
    assert Plan(tp=4) == Plan(tp=4, expert_tp=4)
    assert hash(whole) == hash(Plan(tp=4, ep=8, expert_tp=1))


def test_megatron_mappings_defaults_and_layers_per_virtual_stage() -> None:
    plan = Plan.from_megatron(
        {"--num-layers": 32, "--pipeline-model-parallel-size": 4, "--num-layers-per-virtual-pipeline-stage": 1, "sequence_parallel": False}
    )
    assert (plan.vpp, plan.stages, plan.dropout, plan.sequence_parallel) == (8, 32, "on", "off")
    assert Plan.from_megatron("--recompute-activations --recompute-modules core_attn mla_up_proj").recompute_parts == (
        "core",
        "q_up",
        "kv_up",
    )
    assert Plan.from_megatron("--use-megatron-fsdp --data-parallel-sharding-strategy optim_grads_params").zero == 3


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (
            "--tensor-model-paralel-size 8",
            ("unsupported", "--tensor-model-paralel-size"),
        ),
        ("--cpu-offloading-num-layers 2", ("unsupported", "--cpu-offloading-num-layers")),
        ("--recompute-granularity full --recompute-method uniform --recompute-num-layers 2", ("unsupported", "--recompute-num-layers")),
        ("--recompute-granularity selective --recompute-modules mamba", ("unknown-name", "--recompute-modules")),
        ("--optimizer lion", ("unknown-name", "--optimizer")),
        ("--context-parallel-size 8 --cp-comm-type a2a+p2p", ("unsupported", "--cp-comm-type")),
        ("--context-parallel-size 8 --cp-comm-type ring", ("unknown-name", "--cp-comm-type")),
        ("--first-last-layers-bf16", ("unsupported", "--first-last-layers-bf16")),
        ("--moe-layer-recompute", ("unsupported", "--moe-layer-recompute")),
        (
            "--pipeline-model-parallel-size 2 --pipeline-model-parallel-layout Et|m|t|L",
            ("unsupported", "--pipeline-model-parallel-layout"),
        ),
        ("--pipeline-model-parallel-size 3 --pipeline-model-parallel-layout Et|tL", ("conflict", "--pipeline-model-parallel-layout")),
        ("--pipeline-model-parallel-layout Etx|tL", ("syntax", "--pipeline-model-parallel-layout")),
        (
            "--microbatch-group-size-per-virtual-pipeline-stage 5 --pipeline-model-parallel-size 4",
            ("unsupported", "--microbatch-group-size-per-virtual-pipeline-stage"),
        ),
        ("--num-distributed-optimizer-instances 2", ("missing", "--world-size")),
        ("--exp-avg-dtype int4", ("unknown-name", "--exp-avg-dtype")),
        ("--moe-token-dispatcher-type allgather", ("unsupported", "--moe-token-dispatcher-type")),
        ("--moe-token-dispatcher-type flx", ("unknown-name", "--moe-token-dispatcher-type")),
        ("--moe-token-dispatcher-type flex --moe-flex-dispatcher-backend deepp", ("unknown-name", "--moe-flex-dispatcher-backend")),
        ("--cuda-graph-impl full", ("unknown-name", "--cuda-graph-impl")),
        ("--cuda-graph-impl local --cuda-graph-modules mamba", ("unknown-name", "--cuda-graph-modules")),
        (
            "--num-layers 61 --pipeline-model-parallel-size 8 --num-layers-per-virtual-pipeline-stage 2",
            ("conflict", "--num-layers-per-virtual-pipeline-stage"),
        ),
        ("--num-layers 13 --pipeline-model-parallel-size 4 --account-for-loss-in-pipeline-split", ("conflict", "--num-layers")),
        ("8 --tensor-model-parallel-size", ("syntax", "arguments")),
    ],
)
def test_an_untranslatable_megatron_flag_is_named(line: str, named: tuple[str, str]) -> None:
    with refused(SpecError, *named):
        Plan.from_megatron(line)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[parallelism]\ntensor_paralel_degree = 8", ("unsupported", "parallelism.tensor_paralel_degree")),
        (
            "[parallelism]\npipeline_parallel_degree = 2\npipeline_parallel_schedule = 'LoopedDFS'",
            ("unknown-name", "parallelism.pipeline_parallel_schedule"),
        ),
        ("[parallelism]\ndata_parallel_replicate_degree = 2", ("unsupported", "parallelism.data_parallel_replicate_degree")),
        (
            "[activation_checkpoint]\nmode = 'selective'\nselective_ac_option = '2'",
            ("unsupported", "activation_checkpoint.selective_ac_option"),
        ),
        ("[parallelism", ("syntax", "torchtitan")),
        (
            "[training]\nenable_cpu_offload = true",
            ("unsupported", "training.enable_cpu_offload"),
        ),
        ("[training]\nmixed_precision_param = 'float32'", ("unsupported", "training.mixed_precision_param")),
        ("[model]\nconverters = ['float9']", ("unknown-name", "model.converters")),
    ],
)
def test_an_untranslatable_torchtitan_key_is_named(text: str, named: tuple[str, str]) -> None:
    with refused(SpecError, *named):
        Plan.from_torchtitan(text)


def test_real_torchtitan_files() -> None:
    llama = """[job]
description = "Llama 3 405B"
[model]
name = "llama3"
flavor = "405B"
converters = "float8"
[training]
local_batch_size = 2
seq_len = 8192
[parallelism]
data_parallel_replicate_degree = 1
data_parallel_shard_degree = -1
fsdp_reshard_after_forward = "default"
tensor_parallel_degree = 8
enable_async_tensor_parallel = true
context_parallel_degree = 1
[activation_checkpoint]
mode = "full"
[float8]
enable_fsdp_float8_all_gather = true"""
    assert Plan.from_torchtitan(llama) == Plan(
        tp=8, zero=3, micro_batch=2, sequence_parallel="on", recompute="full", loss="plain", precision="fp8-fsdp",
        elementwise="eager",
    )  # fmt: skip
    v3 = """[training]
local_batch_size = 4
dtype = "bfloat16"
mixed_precision_reduce = "bfloat16"
[parallelism]
expert_parallel_degree = 8
expert_tensor_parallel_degree = 1
pipeline_parallel_degree = 1
pipeline_parallel_schedule = "Interleaved1F1B"
[activation_checkpoint]
mode = "selective"
selective_ac_option = "op"
per_op_sac_force_recompute_mm_shapes_by_fqns = ["moe.router.gate"]
[quantize.moe.float8]
fqns = ["experts"]"""
    plan = Plan.from_torchtitan(v3)
    assert (plan.ep, plan.expert_tp, plan.micro_batch, plan.schedule, plan.recompute_parts) == (8, 1, 4, "1f1b", ("ops",))
    assert (plan.recipe.master, plan.recipe.moments, plan.recipe.gradients, plan.recipe.products) == (2.0, 2.0, 2.0, "bf16")
    assert Plan.from_torchtitan(plan.to_torchtitan()) == plan


def test_hybrid_sharding_is_read_from_torchtitan() -> None:
    text = "[parallelism]\ndata_parallel_replicate_degree = 4\ndata_parallel_shard_degree = 8\n[training]\nlocal_batch_size = 2"
    plan = Plan.from_torchtitan(text)
    assert (plan.zero, plan.shard, plan.micro_batch) == (3, 8, 2)


@pytest.mark.parametrize(
    ("plan", "megatron", "torchtitan"),
    [
        (Plan(schedule="dualpipe", pp=2), ("unsupported", "plan.schedule"), ("unsupported", "plan.zero")),
        (Plan(dp=4), ("unsupported", "plan.dp"), ("unsupported", "plan.dp")),
        (Plan(optimizer="adamw-8bit"), ("unsupported", "plan.optimizer"), ("unsupported", "plan.zero")),
        (Plan(recompute="selective", recompute_parts=("o",)), ("unsupported", "plan.recompute_parts"), ("unsupported", "plan.zero")),
        (
            Plan(graphs=("o",), zero=3, precision="bf16-fsdp", loss="plain"),
            ("unsupported", "plan.precision"),
            ("unsupported", "plan.graphs"),
        ),
        (
            Plan(expert_overlap="on", zero=3, precision="bf16-fsdp", loss="plain"),
            ("unsupported", "plan.precision"),
            ("unsupported", "plan.expert_overlap"),
        ),
        (Plan(graphs=("o",)), ("unsupported", "plan.graphs"), ("unsupported", "plan.zero")),
        (
            Plan(loss="plain", zero=3, tp=2, precision="bf16-fsdp"),
            ("unsupported", "plan.precision"),
            ("unsupported", "plan.sequence_parallel"),
        ),
        (
            Plan(pp=3, stage_layers=(1, 2, 1), zero=3, precision="bf16-fsdp", loss="plain"),
            ("unsupported", "plan.precision"),
            ("unsupported", "plan.stage_layers"),
        ),
    ],
)
def test_a_field_without_counterpart_is_named(plan: Plan, megatron: tuple[str, str], torchtitan: tuple[str, str]) -> None:
    with refused(SpecError, *megatron):
        plan.to_megatron()
    with refused(SpecError, *torchtitan):
        plan.to_torchtitan()
