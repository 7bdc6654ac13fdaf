"""Megatron-LM arguments: read as a plan's fields, written from a plan (Megatron-LM, ``megatron/training/arguments.py``)."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from ..plan import Plan

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
"""Flags that are a field of the plan under another name."""

PARTS = {
    "core_attn": ("core",),
    "layernorm": ("norms",),
    "mla_up_proj": ("q_up", "kv_up"),
    "moe_act": ("experts.activation",),
    "mlp": ("ffn",),
    "moe": ("experts",),
    "shared_experts": ("shared",),
}
"""``--recompute-modules`` → parts of a layer."""

SHARDING = ("no_shard", "optim", "optim_grads", "optim_grads_params")
"""``--data-parallel-sharding-strategy``, by ZeRO stage."""

DROPOUT = 0.1
"""``--hidden-dropout`` and ``--attention-dropout`` where not given."""

ELSEWHERE = (
    "num-layers", "hidden-size", "ffn-hidden-size", "num-attention-heads", "kv-channels", "group-query-attention", "num-query-groups",
    "seq-length", "max-position-embeddings", "position-embedding-type", "rotary", "use-rotary", "no-position-embedding", "rope",
    "no-rope-fusion", "normalization", "norm-epsilon", "swiglu", "squared-relu", "disable-bias-linear", "add-qkv-bias", "untie-embeddings",
    "make-vocab-size", "vocab", "merge-file", "tokenizer", "multi-latent-attention", "q-lora", "kv-lora", "qk-", "v-head-dim", "mscale",
    "num-experts", "moe-", "mtp-", "window-size", "softmax", "attention-softmax-in-fp32", "apply-", "no-masked-softmax-fusion",
    "global-batch-size", "rampup-batch-size", "train-iters", "train-samples", "lr", "min-lr", "weight-decay", "adam-", "sgd-momentum",
    "clip-grad", "init-method", "initial-loss-scale", "min-loss-scale", "loss-scale", "seed", "data-", "split", "mock-data", "dataloader",
    "num-workers", "save", "load", "ckpt", "dist-ckpt", "async-save", "use-persistent-ckpt-worker", "no-load", "no-save", "log-",
    "no-log", "tensorboard", "wandb", "timing", "eval-", "exit-", "manual-gc", "profile", "use-pytorch-profiler", "distributed-",
    "nccl", "local-rank", "world-size", "use-mcore-models", "transformer-impl", "bf16", "no-check-for-nan", "no-bias", "overlap-",
    "no-overlap", "tp-comm", "disable-tp-comm", "ddp-", "deterministic-mode", "no-gradient-accumulation-fusion", "permute",
    "enable-experimental", "muon-", "no-create", "reset-", "calculate-per-token-loss", "create-attention-mask", "no-mmap", "yaml-cfg",
    "accumulate-allreduce-grads-in-fp32", "grad-reduce-in-bf16", "attention-backend-deterministic", "cp-comm-type", "use-tp-pp-dp-mapping",
)  # fmt: skip
"""Beginnings of flags that say nothing of the layout: shapes of the model, data, schedule of the learning rate, logs, kernels."""


def read(arguments: Mapping[str, Any] | Sequence[str] | str) -> dict[str, Any]:
    """Fields of the plan that Megatron-LM arguments describe.

    Raises:
        SpecError: a flag without counterpart, or that is not known.
    """
    flags = _flags(arguments)
    fields: dict[str, Any] = {"recompute_parts": ("core",)}
    for flag, value in flags.items():
        if flag in DEGREES:
            fields[DEGREES[flag]] = int(value)
        elif flag in _READERS:
            fields |= _READERS[flag](value, flags)
        elif not flag.startswith(ELSEWHERE):
            raise SpecError(f"--{flag}", value, "can't be said by a plan", did_you_mean(flag, [*DEGREES, *_READERS], "flags that can"))
    dropped = [float(flags.get(name, DROPOUT)) for name in ("hidden-dropout", "attention-dropout")]
    fields["dropout"] = "on" if any(dropped) else "off"
    if fields.get("vpp", 1) > 1:
        fields["schedule"] = "interleaved"
    if fields.get("recompute", "none") != "full" or flags.get("recompute-method") == "uniform":
        fields.pop("recompute_layers", None)
    fields.setdefault("attention", "fused")
    fields.setdefault("loss", "vocab-parallel")
    return fields


def _flags(arguments: Mapping[str, Any] | Sequence[str] | str) -> dict[str, Any]:
    """Flag → value; True for a flag alone, a list for several words; a mapping's False or None is a flag not given."""
    if isinstance(arguments, Mapping):
        cleaned = {key.removeprefix("--").replace("_", "-"): value for key, value in arguments.items()}
        return {key: value for key, value in cleaned.items() if value is not None and value is not False}
    found: dict[str, list[str]] = {}
    flag = ""
    for word in shlex.split(arguments) if isinstance(arguments, str) else arguments:
        if word.startswith("--"):
            flag, _, value = word.removeprefix("--").partition("=")
            found[flag] = [value] if value else []
        elif flag:
            found[flag].append(word)
        else:
            raise SpecError("arguments", word, "stands before the first flag", "begin with a flag: --tensor-model-parallel-size 8")
    return {flag: True if not words else words[0] if len(words) == 1 else words for flag, words in found.items()}


def _sharding(value: Any, flags: Mapping[str, Any]) -> dict[str, Any]:
    del flags
    if value not in SHARDING:
        raise SpecError("--data-parallel-sharding-strategy", value, "is no strategy", did_you_mean(str(value), SHARDING))
    return {"zero": SHARDING.index(value)}


def _virtual(value: Any, flags: Mapping[str, Any]) -> dict[str, Any]:
    if "num-layers" not in flags:
        raise SpecError("--num-layers-per-virtual-pipeline-stage", value, "needs --num-layers beside it", "give --num-layers")
    stages = int(flags["num-layers"]) // (int(flags.get("pipeline-model-parallel-size", 1)) * int(value))
    return {"vpp": stages}


def _ends(value: Any, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Layers of the first and the last stage; the rest is shared out evenly."""
    del value
    if "num-layers" not in flags:
        raise SpecError("--decoder-first-pipeline-num-layers", None, "needs --num-layers beside it", "give --num-layers")
    pp = int(flags.get("pipeline-model-parallel-size", 1))
    first, last = (flags.get(f"decoder-{end}-pipeline-num-layers") for end in ("first", "last"))
    between = pp - (first is not None) - (last is not None)
    left = int(flags["num-layers"]) - int(first or 0) - int(last or 0)
    if between < 0 or (left % between if between else left):
        raise SpecError("--num-layers", flags["num-layers"], f"leaves {left} layers for {between} stages between", "give a multiple")
    middle = [left // between] * between if between else []
    return {"stage_layers": (*([int(first)] if first is not None else []), *middle, *([int(last)] if last is not None else []))}


def _granularity(value: Any, flags: Mapping[str, Any]) -> dict[str, Any]:
    method = flags.get("recompute-method")
    if value == "full" and method == "uniform" and int(flags.get("recompute-num-layers", 1)) != 1:
        number = flags["recompute-num-layers"]
        raise SpecError("--recompute-num-layers", number, "keeps one layer's input in so many", "give 1, or --recompute-method block")
    if value == "full" and "recompute-num-layers" in flags and int(flags["recompute-num-layers"]) == 0:
        return {"recompute": "none"}
    return {"recompute": value}


def _modules(value: Any, flags: Mapping[str, Any]) -> dict[str, Any]:
    del flags
    names = [value] if isinstance(value, str) else list(value)
    for name in names:
        if name not in PARTS:
            raise SpecError("--recompute-modules", name, "is no module a plan knows", did_you_mean(name, PARTS))
    return {"recompute_parts": tuple(part for name in names for part in PARTS[name])}


def _attention(value: Any, flags: Mapping[str, Any]) -> dict[str, Any]:
    del flags
    return {"attention": "unfused" if str(value) in {"unfused", "local"} else "fused"}


def _optimizer(value: Any, flags: Mapping[str, Any]) -> dict[str, Any]:
    del flags
    known = {"adam": "adamw", "sgd": "sgd", "muon": "muon", "dist_muon": "muon"}
    if value not in known:
        raise SpecError("--optimizer", value, "is no optimizer a plan knows", did_you_mean(str(value), known))
    return {"optimizer": known[value]}


def _zero_one(value: Any, flags: Mapping[str, Any]) -> dict[str, Any]:
    del value
    return {} if "data-parallel-sharding-strategy" in flags else {"zero": 1}


_READERS: dict[str, Callable[[Any, Mapping[str, Any]], dict[str, Any]]] = {
    "sequence-parallel": lambda _value, _flags: {"sequence_parallel": "on"},
    "use-distributed-optimizer": _zero_one,
    "data-parallel-sharding-strategy": _sharding,
    "use-torch-fsdp2": lambda _value, _flags: {"zero": 3},
    "use-megatron-fsdp": lambda _value, _flags: {},
    "use-custom-fsdp": lambda _value, _flags: {},
    "num-layers-per-virtual-pipeline-stage": _virtual,
    "decoder-first-pipeline-num-layers": _ends,
    "decoder-last-pipeline-num-layers": _ends,
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
    "optimizer": _optimizer,
    "fp16": lambda _value, _flags: {"precision": "fp16"},
    "fp8-format": lambda _value, flags: {"precision": "mxfp8" if flags.get("fp8-recipe") == "mxfp8" else "fp8"},
    "fp8-recipe": lambda _value, _flags: {},
    "fp4-format": lambda _value, _flags: {"precision": "nvfp4"},
}


def write(plan: Plan) -> list[str]:
    """Words of a command line that reads back as the plan.

    Raises:
        SpecError: a field without counterpart.
    """
    _refuse(plan)
    words: list[str] = []
    for flag, field in DEGREES.items():
        value = getattr(plan, field)
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
    words += ["--cross-entropy-loss-fusion"] if plan.loss == "fused" else []
    formats = {"bf16": "--bf16", "fp16": "--fp16", "fp8": "--bf16 --fp8-format hybrid", "nvfp4": "--bf16 --fp4-format e2m1",
               "mxfp8": "--bf16 --fp8-format e4m3 --fp8-recipe mxfp8"}  # fmt: skip
    return [*words, *formats[plan.recipe.name].split(), "--optimizer", {"adamw": "adam", "sgd": "sgd", "muon": "muon"}[str(plan.optimizer)]]


def _refuse(plan: Plan) -> None:
    remedies = {
        "dp": (plan.dp is not None, "leave it out: Megatron-LM takes what the other degrees leave"),
        "shard": (plan.shard is not None, "leave it out"),
        "schedule": (plan.schedule not in {"1f1b", "interleaved"}, "1f1b or interleaved"),
        "precision": (plan.precision not in {"bf16", "fp16", "fp8", "mxfp8", "nvfp4"}, "bf16, fp16, fp8, mxfp8 or nvfp4"),
        "optimizer": (plan.optimizer not in {"adamw", "sgd", "muon"}, "adamw, sgd or muon"),
        "recompute_layers": (plan.recompute_layers == 0, "recompute='none'"),
        "loss": (plan.loss == "plain", "vocab-parallel or fused"),
    }
    for field, (refused, remedy) in remedies.items():
        if refused:
            raise SpecError(f"plan.{field}", getattr(plan, field), "has no flag in Megatron-LM", remedy)


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
        )
    return [*words, "--recompute-modules", *modules]


def _written_stages(plan: Plan) -> list[str]:
    if not plan.stage_layers:
        return []
    first, *middle, last = plan.stage_layers if len(plan.stage_layers) > 1 else (*plan.stage_layers, None)
    if plan.vpp > 1 or last is None or len(set(middle)) > 1:
        raise SpecError("plan.stage_layers", plan.stage_layers, "has no flags in Megatron-LM", "let only the first and last stage differ")
    ends = ["--decoder-first-pipeline-num-layers", str(first), "--decoder-last-pipeline-num-layers", str(last)]
    return ["--num-layers", str(sum(plan.stage_layers)), *ends]
