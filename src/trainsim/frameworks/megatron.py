"""Megatron-LM arguments, read as a plan and written from a plan (Megatron-LM, ``megatron/training/arguments.py``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, product
from typing import Any

from ..core.errors import SpecError, did_you_mean
from ..core.reading import split_command_line
from ..core.values import NamedValues, plain, to_choice
from ..parallelism.plan import Plan
from ..parallelism.schedules.discovery import framework_schedules
from .megatron_flags.modules import GRAPH_READERS, PARTS, names_of, recomputed_parts, written_graphs
from .megatron_flags.overlap import OVERLAP_READERS, overlap_of, written_overlap
from .megatron_flags.precision import DTYPES, precision_of
from .megatron_flags.stages import counted_stages, end_stages, layout_stages, virtual_stages

DEGREES = {
    "tensor-model-parallel-size": "tp",
    "pipeline-model-parallel-size": "pp",
    "context-parallel-size": "cp",
    "expert-model-parallel-size": "ep",
    "expert-tensor-parallel-size": "expert_tp",
    "micro-batch-size": "micro_batch",
    "num-virtual-stages-per-pipeline-rank": "vpp",
    "recompute-num-layers": "recompute_layers",
}
"""Flag → field of the plan with another name."""

SHARDING = ("no_shard", "optim", "optim_grads", "optim_grads_params")
"""``--data-parallel-sharding-strategy`` → ZeRO stage."""

DROPOUT = 0.1
"""Default of ``--hidden-dropout`` and ``--attention-dropout``."""

ELSEWHERE = (
    # shapes of the model
    "num-layers", "hidden-size", "ffn-hidden-size", "num-attention-heads", "kv-channels", "group-query-attention", "num-query-groups",
    "seq-length", "decoder-seq-length", "encoder-seq-length", "encoder-num-layers", "max-position-embeddings", "position-embedding-type",
    "rotary", "use-rotary", "no-position-embedding", "rope", "use-rope", "yarn", "no-rope", "normalization", "norm-epsilon", "swiglu",
    "squared-relu", "quick-geglu", "openai-gelu", "glu-", "activation-func", "disable-bias-linear", "add-qkv-bias", "add-bias-linear",
    "untie-embeddings", "make-vocab-size", "multi-latent-attention", "q-lora", "kv-lora", "qk-", "v-head-dim", "mscale", "num-experts",
    "moe-", "mtp-", "window-", "softmax", "attention-output-gate", "experimental-attention", "dsa-", "linear-", "mamba-", "hybrid-",
    "is-hybrid", "spec", "enable-gpt-oss", "use-mup", "mup-", "cache-mla", "apply-layernorm",
    # data, learning rates, numerical settings of the optimizer
    "vocab", "merge-file", "tokenizer", "tiktoken", "data-path", "data-cache", "data-args", "train-data", "valid-data", "test-data",
    "per-split", "split", "mock-data", "dataloader", "num-workers", "num-dataset", "fim-", "eod-mask", "reset-", "create-attention-mask",
    "no-create", "no-mmap", "mid-level", "object-storage", "sft", "global-batch-size", "rampup-batch-size", "step-batch-size",
    "train-iters", "train-samples", "lr", "min-lr", "decoupled-", "warmup", "weight-decay", "no-weight-decay", "adam-", "sgd-momentum",
    "muon-", "clip-grad", "init-method", "initial-loss-scale", "min-loss-scale", "loss-scale", "hysteresis", "seed", "apply-",
    "calculate-per-token-loss", "override-opt", "override_opt",
    # checkpoints, logs, tests and restarts
    "save", "load", "ckpt", "no-ckpt", "dist-ckpt", "use-dist-ckpt", "async-", "use-persistent-ckpt-worker", "use-checkpoint", "no-load",
    "no-save", "auto-detect-ckpt", "verify-integrity", "finetune", "export-", "pretrained-", "log-", "no-log", "logging-", "tensorboard",
    "wandb", "timing", "one-logger", "no-one-logger", "enable-one-logger", "eval-", "exit-", "manual-gc", "profile", "use-pytorch-profiler",
    "record-memory", "memory-snapshot", "check-", "no-check-for-nan", "rerun-", "error-injection", "test-mode", "inprocess", "ft-",
    "enable-ft", "adlr", "enable-experimental", "yaml-cfg", "high-priority-stream",
    # processes, kernels and overlap
    "distributed-", "disable-gloo", "nccl", "use-nccl", "local-rank", "world-size", "nproc", "nnodes", "node", "master", "rdzv",
    "use-mcore-models", "transformer-impl", "use-te", "use-transformer-engine", "bf16", "no-bias", "bias-", "no-persist-layer-norm",
    "persist-layer-norm", "no-masked-softmax-fusion", "masked-softmax", "attention-softmax-in-fp32", "no-gradient-accumulation-fusion",
    "gradient-accumulation-fusion", "permute", "cuda-graph-warmup", "cuda-graph-share", "te-rng-tracker",
    "inference-rng-tracker", "overlap-", "no-overlap", "no-async-tensor", "tp-comm", "disable-tp-comm", "ddp-", "delay-wgrad",
    "defer-embedding-wgrad", "wgrad-deferral", "deterministic-mode", "attention-backend-deterministic",
    "hierarchical-context-parallel-sizes", "use-tp-pp-dp-mapping", "use-cpu-initialization", "init-model-with-meta", "empty-unused-memory",
    "accumulate-allreduce-grads-in-fp32", "no-align-param-gather", "no-use-layer-wise", "fsdp-", "reuse-grad-buf", "fp8-amax",
    "fp8-margin", "fp8-interval", "use-fused-",
)  # fmt: skip
"""Prefixes of flags that change neither the layout nor its bytes."""


def from_megatron(arguments: Mapping[str, Any] | Sequence[str] | str) -> Plan:
    """The plan that a Megatron-LM command line or its arguments describe.

    Args:
        arguments: a command line, its words, or a mapping ``{"--tensor-model-parallel-size": 8}``.

    Returns:
        the plan.

    Raises:
        SpecError: a flag of the layout that has no counterpart in a plan, or an unknown flag.

    >>> from_megatron("--tensor-model-parallel-size 8 --sequence-parallel --hidden-dropout 0 --attention-dropout 0 --bf16").tp
    8
    """
    flags = _flags(arguments)
    fields: dict[str, Any] = {"recompute_parts": ("core",)}
    for flag, value in flags.items():
        if flag in DEGREES:
            fields[DEGREES[flag]] = flags.integer(flag)
        elif flag in _READERS:
            fields |= _READERS[flag](value, flags)
        elif not flag.startswith(ELSEWHERE):
            raise SpecError(
                f"--{flag}",
                value,
                "has no counterpart in a plan",
                did_you_mean(flag, [*DEGREES, *_READERS], "flags with a counterpart"),
                "unsupported",
            )
    dropped = [flags.number(name, DROPOUT) for name in ("hidden-dropout", "attention-dropout")]
    fields["dropout"] = "on" if any(dropped) else "off"
    fields["precision"] = precision_of(flags)
    if fields.get("recompute", "none") != "full" or flags.get("recompute-method") == "uniform":
        fields.pop("recompute_layers", None)
    fields |= overlap_of(flags)
    fields.setdefault("attention", "fused")
    fields.setdefault("loss", "vocab-parallel")
    if fields.get("ep", 1) > 1 and fields.get("tp", 1) > 1:
        fields.setdefault("expert_tp", fields["tp"])  # Megatron-LM's default, unlike that of a plan
    return Plan(**fields)


def _flags(arguments: Mapping[str, Any] | Sequence[str] | str) -> NamedValues:
    """Flag → value: True for a flag without a value, a list for several words. False or None in a mapping means that the flag is not
    given.
    """
    if isinstance(arguments, Mapping):
        given = plain(arguments, "arguments")
        cleaned = {key.removeprefix("--").replace("_", "-"): value for key, value in given.items()}
        return NamedValues({key: value for key, value in cleaned.items() if value is not None and value is not False}, "--")
    words = split_command_line(arguments, "arguments")
    script = next((k for k, word in enumerate(words) if word.endswith(".py")), -1)  # words before the script are arguments of the launcher
    found: dict[str, list[str]] = {}
    flag = ""
    for word in words[script + 1 :]:
        if word.startswith("--"):
            flag, _, value = word.removeprefix("--").partition("=")
            found[flag] = [value] if value else []
        elif flag:
            found[flag].append(word)
        else:
            raise SpecError("arguments", word, "comes before the first flag", "begin with a flag: --tensor-model-parallel-size 8", "syntax")
    return NamedValues({flag: True if not words else words[0] if len(words) == 1 else words for flag, words in found.items()}, "--")


def _sharding(value: Any, flags: NamedValues) -> dict[str, Any]:
    del flags
    return {"zero": SHARDING.index(to_choice(value, SHARDING, "--data-parallel-sharding-strategy"))}


def _group(value: Any, flags: NamedValues) -> dict[str, Any]:
    pp = flags.integer("pipeline-model-parallel-size", 1)
    if flags.integer("microbatch-group-size-per-virtual-pipeline-stage") != pp:
        rule = "changes the order of interleaved passes"
        raise SpecError(
            "--microbatch-group-size-per-virtual-pipeline-stage",
            value,
            rule,
            f"leave it out, or give {pp}, the number of pipeline ranks",
            "unsupported",
        )
    return {}


def _instances(value: Any, flags: NamedValues) -> dict[str, Any]:
    """Number of distributed-optimizer instances. With n instances, each shards its state over 1/n of the data-parallel ranks."""
    del value
    instances = flags.integer("num-distributed-optimizer-instances", least=1)
    if instances == 1:
        return {}
    model = [flags.integer(f"{name}-model-parallel-size", 1, least=1) for name in ("tensor", "pipeline")]
    return {"shard": flags.integer("world-size") // (model[0] * model[1] * instances)}


def _outer(value: Any, flags: NamedValues) -> dict[str, Any]:
    del flags
    if value != "no_shard":
        raise SpecError("--outer-dp-sharding-strategy", value, "has no counterpart in a plan", "give no_shard", "unsupported")
    return {}


def _renamed(value: Any, flags: NamedValues) -> dict[str, Any]:
    del flags
    raise SpecError(
        "--moe-layer-recompute",
        value,
        "is a deprecated flag",
        "give --recompute-granularity selective --recompute-modules moe",
        "unsupported",
    )


def _granularity(value: Any, flags: NamedValues) -> dict[str, Any]:
    method = flags.get("recompute-method")
    if value == "full" and method == "uniform" and flags.integer("recompute-num-layers", 1) != 1:
        number = flags["recompute-num-layers"]
        raise SpecError(
            "--recompute-num-layers",
            number,
            "is the number of layers whose activations share one saved input, which a plan can't state",
            "give 1, or --recompute-method block",
            "unsupported",
        )
    if value == "full" and flags.integer("recompute-num-layers", 1) == 0:
        return {"recompute": "none"}
    return {"recompute": value}


def _modules(value: Any, flags: NamedValues) -> dict[str, Any]:
    del value
    return {"recompute_parts": recomputed_parts(names_of(flags.texts("recompute-modules")))}


def _attention(value: Any, flags: NamedValues) -> dict[str, Any]:
    del flags
    backend = to_choice(str(value).rpartition(".")[2], ("auto", "fused", "flash", "unfused", "local"), "--attention-backend")
    return {"attention": "unfused" if backend in {"unfused", "local"} else "fused"}


def _optimizer(value: Any, flags: NamedValues) -> dict[str, Any]:
    del flags
    known = {"adam": "adamw", "sgd": "sgd", "muon": "muon", "dist_muon": "muon"}
    return {"optimizer": known[to_choice(value, known, "--optimizer")]}


def _zero_one(value: Any, flags: NamedValues) -> dict[str, Any]:
    del value
    return {} if "data-parallel-sharding-strategy" in flags else {"zero": 1}


_READERS: dict[str, Callable[[Any, NamedValues], dict[str, Any]]] = {
    "sequence-parallel": lambda _value, _flags: {"sequence_parallel": "on"},
    "use-distributed-optimizer": _zero_one,
    "data-parallel-sharding-strategy": _sharding,
    "use-torch-fsdp2": lambda _value, _flags: {"zero": 3},
    "use-megatron-fsdp": lambda _value, _flags: {},
    "use-custom-fsdp": lambda _value, _flags: {},
    "num-layers-per-virtual-pipeline-stage": virtual_stages,
    "decoder-first-pipeline-num-layers": end_stages,
    "decoder-last-pipeline-num-layers": end_stages,
    "recompute-granularity": _granularity,
    "recompute-activations": lambda _value, _flags: {"recompute": "selective"},
    "recompute-method": lambda _value, _flags: {},
    "recompute-modules": _modules,
    "attention-backend": _attention,
    "use-flash-attn": lambda _value, _flags: {"attention": "fused"},
    "hidden-dropout": lambda _value, _flags: {},
    "attention-dropout": lambda _value, _flags: {},
    "cross-entropy-loss-fusion": lambda _value, _flags: {"loss": "fused"},
    "cross-entropy-fusion-impl": lambda _value, _flags: {},
    **GRAPH_READERS,
    **OVERLAP_READERS,
    "optimizer": _optimizer,
    "pipeline-model-parallel-layout": layout_stages,
    "account-for-embedding-in-pipeline-split": counted_stages,
    "account-for-loss-in-pipeline-split": counted_stages,
    "microbatch-group-size-per-virtual-pipeline-stage": _group,
    "num-distributed-optimizer-instances": _instances,
    "outer-dp-sharding-strategy": _outer,
    "moe-layer-recompute": _renamed,
    **dict.fromkeys(
        (*DTYPES, "fp16", "fp8-format", "fp8-recipe", "fp4-format", "fp4-recipe", "fp8-param-gather", "use-precision-aware-optimizer",
         "exp-avg-dtype", "exp-avg-sq-dtype", "grad-reduce-in-bf16"),
        lambda _value, _flags: {},
    ),
}  # fmt: skip


def to_megatron(plan: Plan) -> list[str]:
    """A plan as words of a Megatron-LM command line; :func:`from_megatron` reads it back.

    Args:
        plan: the layout.

    Returns:
        flags and their values.

    Raises:
        SpecError: a field Megatron-LM has no flag for.

    >>> to_megatron(Plan(tp=8, sequence_parallel="on"))[:3]
    ['--tensor-model-parallel-size', '8', '--sequence-parallel']
    """
    precision = _written_precision(plan)
    _refuse(plan)
    words: list[str] = []
    for flag, field in DEGREES.items():
        value = getattr(plan, field)
        if field == "expert_tp" and value is None and plan.ep > 1 and plan.tp > 1:
            value = plan.expert_tp_degree  # always written, since Megatron-LM's default differs
        if value is not None and (value != 1 or field == "expert_tp") and field != "recompute_layers":
            words += [f"--{flag}", str(value)]
    words += ["--sequence-parallel"] if plan.sequence_parallel == "on" else []
    words += ["--use-distributed-optimizer"] if plan.zero == 1 else []
    words += ["--use-megatron-fsdp", "--data-parallel-sharding-strategy", SHARDING[plan.zero]] if plan.zero > 1 else []
    words += _written_recompute(plan)
    words += _written_stages(plan)
    words += ["--attention-backend", "unfused"] if plan.attention == "unfused" else ["--attention-backend", "flash"]
    dropped = str(DROPOUT if plan.dropout == "on" else 0.0)
    words += ["--hidden-dropout", dropped, "--attention-dropout", dropped]
    words += written_graphs(plan)
    words += written_overlap(plan)
    words += ["--cross-entropy-loss-fusion"] if plan.loss == "fused" else []
    optimizer = {"adamw": "adam", "sgd": "sgd", "muon": "muon"}[str(plan.optimizer)]
    return [*words, *precision, "--optimizer", optimizer]


FORMATS = {
    "bf16": "--bf16", "fp16": "--fp16", "fp8": "--bf16 --fp8-format hybrid", "nvfp4": "--bf16 --fp4-format e2m1",
    "mxfp8": "--bf16 --fp8-format e4m3 --fp8-recipe mxfp8", "fp8-blockwise": "--bf16 --fp8-format e4m3 --fp8-recipe blockwise",
}  # fmt: skip
"""Recipe → its flags in Megatron-LM."""
CHANGES = (
    ("--fp8-param-gather",), ("--use-precision-aware-optimizer", "--exp-avg-dtype", "bf16", "--exp-avg-sq-dtype", "bf16"),
    ("--grad-reduce-in-bf16",),
)  # fmt: skip
"""Flags that change a recipe; any combination of them can be written."""


def _written_precision(plan: Plan) -> list[str]:
    if str(plan.precision) in FORMATS:
        return FORMATS[str(plan.precision)].split()
    for base in FORMATS.values():
        for several in product(*((change, ()) for change in CHANGES)):
            words = [*base.split(), *chain(*several)]
            if precision_of(_flags(words)) == plan.precision:
                return words
    raise SpecError(
        "plan.precision",
        plan.recipe.name,
        "has no flags in Megatron-LM",
        f"give {', '.join(FORMATS)}, or one of these as its flags change it",
        "unsupported",
    )


def _refuse(plan: Plan) -> None:
    remedies = {
        "dp": (plan.dp is not None, "leave it out: Megatron-LM computes it from the other degrees"),
        "shard": (plan.shard is not None, "leave it out"),
        "offload": (plan.offload is not None and plan.offload.activations != 0, "give activations=0, or leave it out"),
        "routing": (plan.routing == "learned", "routing='even' or 'random'"),
        "elementwise": (plan.elementwise != "fused", "give elementwise='fused'"),
        "cp_order": (plan.cp_order != "balanced", "give cp_order='balanced'"),
        "schedule": (
            "megatron" not in plan.pass_order.words,
            "give " + " or ".join(sorted(one.name for one in framework_schedules("megatron").values())),
        ),
        "optimizer": (plan.optimizer not in {"adamw", "sgd", "muon"}, "give adamw, sgd or muon"),
        "recompute_layers": (plan.recompute_layers == 0, "give recompute='none'"),
        "loss": (plan.loss not in {"vocab-parallel", "fused"}, "give vocab-parallel or fused"),
    }
    for field, (refused, remedy) in remedies.items():
        if refused:
            raise SpecError(f"plan.{field}", getattr(plan, field), "has no flag in Megatron-LM", remedy, "unsupported")


def _written_recompute(plan: Plan) -> list[str]:
    if plan.recompute == "none":
        return []
    words = ["--recompute-granularity", plan.recompute]
    if plan.recompute == "full" and plan.recompute_layers is not None:
        return [*words, "--recompute-method", "block", "--recompute-num-layers", str(plan.recompute_layers)]
    if plan.recompute == "full":
        return [*words, "--recompute-method", "uniform", "--recompute-num-layers", "1"]
    left, modules = list(plan.recompute_parts), []
    for module, parts in PARTS.items():
        if all(part in left for part in parts):
            modules.append(module)
            left = [part for part in left if part not in parts]
    if left:
        raise SpecError(
            "plan.recompute_parts",
            tuple(left),
            "has no module in Megatron-LM",
            did_you_mean(left[0], [p for v in PARTS.values() for p in v]),
            "unsupported",
        )
    return [*words, "--recompute-modules", *modules]


def _written_stages(plan: Plan) -> list[str]:
    if not plan.stage_layers:
        return []
    first, *middle, last = plan.stage_layers if len(plan.stage_layers) > 1 else (*plan.stage_layers, None)
    if plan.vpp > 1 or last is None or len(set(middle)) > 1:
        return ["--pipeline-model-parallel-layout", "E" + "|".join("t" * layers for layers in plan.stage_layers) + "L"]
    ends = ["--decoder-first-pipeline-num-layers", str(first), "--decoder-last-pipeline-num-layers", str(last)]
    return ["--num-layers", str(sum(plan.stage_layers)), *ends]
