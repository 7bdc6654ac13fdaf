"""torchtitan TOML, read as a plan and written from a plan (torchtitan, ``torchtitan/config/job_config.py``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..cluster.stack import Dispatcher
from ..core.errors import SpecError, did_you_mean
from ..core.reading import parse_toml
from ..core.values import NamedValues, plain, to_choice, to_texts
from ..parallelism.plan import ContextExchange, Plan
from ..parallelism.precision import RECIPES, Precision
from ..parallelism.schedules.discovery import framework_schedules

DEGREES = {
    "parallelism.tensor_parallel_degree": "tp",
    "parallelism.pipeline_parallel_degree": "pp",
    "parallelism.context_parallel_degree": "cp",
    "parallelism.expert_parallel_degree": "ep",
    "parallelism.expert_tensor_parallel_degree": "expert_tp",
    "parallelism.pipeline_parallel_microbatch_size": "micro_batch",
}
"""Key → field of the plan with another name."""

USUAL_STAGES = 2
"""Default of ``pipeline_parallel_stages_per_rank`` for a schedule with several stages per rank."""

OPTIMIZERS = {"AdamW": "adamw", "Adam": "adamw", "Muon": "muon"}
"""``optimizer.name`` → optimizer."""

ELSEWHERE = (
    "job.", "profiling.", "metrics.", "lr_scheduler.", "checkpoint.", "comm.", "compile.", "experimental.", "validation.", "debug.",
    "fault_tolerance.", "memory_estimation.", "model.", "optimizer.lr", "optimizer.eps", "optimizer.beta", "optimizer.weight_decay",
    "optimizer.implementation", "optimizer.early_step_in_backward", "training.", "parallelism.enable_async_tensor_parallel",
    "parallelism.disable_loss_parallel", "parallelism.enable_compiled_autograd",
    "parallelism.fsdp_reshard_after_forward",
    "parallelism.pipeline_parallel_expert_parallel_overlap", "activation_checkpoint.early_stop", "activation_checkpoint.per_op_sac",
    "activation_checkpoint.preserve_rng_state", "activation_checkpoint.determinism_check", "activation_checkpoint.debug",
    "quantize.", "float8.", "mx.",
)  # fmt: skip
"""Prefixes of keys that don't change the layout."""


def from_torchtitan(text: str | Mapping[str, Any]) -> Plan:
    r"""The plan that a torchtitan TOML describes.

    Args:
        text: the TOML text, or its parsed mapping.

    Returns:
        the plan.

    Raises:
        SpecError: a key of the layout that has no counterpart in a plan, or an unknown key.

    >>> from_torchtitan("[parallelism]\ntensor_parallel_degree = 8").tp
    8
    """
    if not isinstance(text, (str, Mapping)):
        raise SpecError("torchtitan", text, "is neither text nor a mapping", "give the file's text", "wrong-type")
    given = NamedValues(dict(_leaves(parse_toml(text, "torchtitan") if isinstance(text, str) else plain(text, "torchtitan"))))
    fields: dict[str, Any] = {"attention": "fused", "loss": "plain", "precision": "bf16-fsdp", "zero": 3}
    for key, value in given.items():
        if key in DEGREES:
            fields[DEGREES[key]] = given.integer(key)
        elif key in _READERS:
            fields |= _READERS[key](value, given)
        elif not key.startswith(ELSEWHERE):
            raise SpecError(
                key,
                value,
                "has no counterpart in a plan",
                did_you_mean(key, [*DEGREES, *_READERS], "keys with a counterpart"),
                "unsupported",
            )
    if "micro_batch" not in fields and fields.get("pp", 1) == 1:
        fields["micro_batch"] = given.integer("training.local_batch_size", given.integer("training.batch_size", 1))
    fields["elementwise"] = "fused" if any(given.get(key) is True for key in COMPILED) else "eager"
    if fields.get("cp", 1) > 1:
        fields["cp_exchange"] = ROTATE_METHODS[given.choice(ROTATE, ROTATE_METHODS, "allgather")]
    if fields.get("tp", 1) > 1:
        fields["sequence_parallel"] = "on"  # torchtitan's tensor parallelism always includes sequence parallelism
    fields["precision"] = _precision(given)
    return Plan(**fields)


CONVERTERS = {
    "float8": "fp8-fsdp", "quantize.linear.float8": "fp8-fsdp", "quantize.grouped_mm.float8": "fp8-fsdp",
    "quantize.dense.float8": "fp8-fsdp", "quantize.moe.float8": "fp8-fsdp",
    "mx": "fp8-fsdp", "quantize.linear.mx": "fp8-fsdp", "quantize.grouped_mm.mx": "fp8-fsdp",
}  # fmt: skip
"""``model.converters`` → recipe. MX formats need the same bytes as FP8, since inputs are saved in BF16 and cast again in the backward
pass."""


def _precision(given: NamedValues) -> Precision | str:
    """A recipe's name, or the recipe changed by ``training.dtype`` and ``training.mixed_precision_reduce``."""
    written = to_texts(given.get("model.converters", ()), "model.converters")
    name = "bf16-fsdp"
    for converter in ",".join(written).replace(" ", "").split(",") if written else ():
        name = CONVERTERS[to_choice(converter, CONVERTERS, "model.converters")]
    changed: dict[str, float] = {}
    if given.get("training.dtype", "float32") == "bfloat16":  # weights, gradients and moments are all BF16
        changed = {"master": 2.0, "gradients": 2.0, "moments": 2.0, "reduced": 2.0}
    if given.get("training.mixed_precision_reduce", "float32") == "bfloat16":
        changed["reduced"] = 2.0
    return RECIPES[name].replace({**changed, "name": f"{name}-torchtitan"}) if changed else name


def _leaves(level: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in level.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _schedule(value: Any, given: NamedValues) -> dict[str, Any]:
    key, known = "parallelism.pipeline_parallel_schedule", framework_schedules("torchtitan")
    to_choice(value, known, key)
    if given.integer("parallelism.pipeline_parallel_degree", 1) == 1:
        return {}
    fixed, named = known[value].stages_per_rank, "parallelism.pipeline_parallel_stages_per_rank"
    stages = given.integer(named, 0)
    if fixed is None:
        return {"schedule": known[value].name, "vpp": stages or USUAL_STAGES}
    if stages not in {0, fixed}:
        raise SpecError(
            "parallelism.pipeline_parallel_stages_per_rank",
            stages,
            f"is not the number of {value}, {fixed} per rank",
            f"give {fixed}",
            "conflict",
        )
    return {"schedule": known[value].name}


REPLICAS, SHARDS = "parallelism.data_parallel_replicate_degree", "parallelism.data_parallel_shard_degree"


def _shards(value: Any, given: NamedValues) -> dict[str, Any]:
    del value
    replicas, shards = given.integer(REPLICAS, 1), given.integer(SHARDS, least=-1)
    if replicas == 1 or shards == -1:
        return {"zero": 0} if shards == 1 and replicas > 1 else {}
    return {"zero": 0} if shards == 1 else {"shard": shards * given.integer("parallelism.context_parallel_degree", 1)}


def _replicas(value: Any, given: NamedValues) -> dict[str, Any]:
    if given.integer(REPLICAS) > 1 and given.integer(SHARDS, -1, least=-1) == -1:
        rule, remedy = "makes the sharding degree depend on the world size", "give data_parallel_shard_degree as well"
        raise SpecError(REPLICAS, value, rule, remedy, "unsupported")
    return {}


def _checkpointing(value: Any, given: NamedValues) -> dict[str, Any]:
    to_choice(value, ("none", "full", "selective"), "activation_checkpoint.mode")
    if value != "selective":
        return {"recompute": value}
    option = str(given.get("activation_checkpoint.selective_ac_option", "2"))
    if option != "op":
        raise SpecError(
            "activation_checkpoint.selective_ac_option", option, "has no counterpart in a plan", "give 'op', or mode='full'", "unsupported"
        )
    return {"recompute": "selective", "recompute_parts": ("ops",)}


def _optimizer(value: Any, given: NamedValues) -> dict[str, Any]:
    del given
    return {"optimizer": OPTIMIZERS[to_choice(value, OPTIMIZERS, "optimizer.name")]}


COMM_BACKENDS: dict[str, Dispatcher] = {"standard": "alltoall", "deepep": "fused", "hybridep": "fused"}
"""``parallelism.expert_parallel_comm_backend`` → dispatcher."""


def _dispatcher(value: Any, given: NamedValues) -> dict[str, Any]:
    del given
    return {"dispatcher": COMM_BACKENDS[to_choice(value, COMM_BACKENDS, "parallelism.expert_parallel_comm_backend")]}


COMPILED = ("compile.enable", "training.compile")
"""Keys that fuse element-wise work, in new and old versions."""
ROTATE = "parallelism.context_parallel_rotate_method"
ROTATE_METHODS: dict[str, ContextExchange] = {"allgather": "all-gather", "alltoall": "ring"}
"""Exchange of keys and values between context-parallel ranks: gathered at once (the default), or passed on block by block."""


def _refused(key: str, usual: Any) -> Callable[[Any, NamedValues], dict[str, Any]]:
    """A reader that accepts only the usual value of a key, since a plan has no field for it."""

    def read(value: Any, given: NamedValues) -> dict[str, Any]:
        del given
        if value != usual:
            raise SpecError(key, value, "has no counterpart in a plan", f"write {key.partition('.')[2]} = {_toml(usual)}", "unsupported")
        return {}

    return read


_READERS: dict[str, Callable[[Any, NamedValues], dict[str, Any]]] = {
    "parallelism.pipeline_parallel_schedule": _schedule,
    "parallelism.pipeline_parallel_stages_per_rank": lambda _value, _given: {},
    "parallelism.data_parallel_shard_degree": _shards,
    "parallelism.data_parallel_replicate_degree": _replicas,
    "activation_checkpoint.mode": _checkpointing,
    "activation_checkpoint.selective_ac_option": lambda _value, _given: {},
    "optimizer.name": _optimizer,
    "training.enable_cpu_offload": _refused("training.enable_cpu_offload", usual=False),
    "parallelism.expert_parallel_comm_backend": _dispatcher,
    ROTATE: lambda _value, _given: {},
    "training.mixed_precision_param": _refused("training.mixed_precision_param", usual="bfloat16"),
}


def to_torchtitan(plan: Plan) -> str:
    """A plan as torchtitan TOML; :func:`from_torchtitan` reads it back.

    Args:
        plan: the layout.

    Returns:
        the TOML's text.

    Raises:
        SpecError: a field torchtitan has no key for.

    >>> "tensor_parallel_degree = 8" in to_torchtitan(
    ...     Plan(tp=8, zero=3, sequence_parallel="on", loss="plain", precision="bf16-fsdp"))
    True
    """
    _refuse(plan)
    tables: dict[str, dict[str, Any]] = {"parallelism": {}, "activation_checkpoint": {"mode": plan.recompute}, "optimizer": {}}
    for key, field in DEGREES.items():
        value = getattr(plan, field)
        if value is not None and (value != 1 or field in {"expert_tp", "micro_batch"}):
            tables["parallelism"][key.partition(".")[2]] = value
    if plan.dispatcher is not None:
        tables["parallelism"]["expert_parallel_comm_backend"] = next(k for k, v in COMM_BACKENDS.items() if v == plan.dispatcher)
    if plan.elementwise == "fused":
        tables["compile"] = {"enable": True}
    if plan.cp > 1:
        tables["parallelism"][ROTATE.partition(".")[2]] = next(k for k, v in ROTATE_METHODS.items() if v == plan.cp_exchange)
    if plan.pp > 1:
        tables["parallelism"]["pipeline_parallel_schedule"] = plan.pass_order.words["torchtitan"]
    if plan.vpp > 1:
        tables["parallelism"]["pipeline_parallel_stages_per_rank"] = plan.vpp
    if plan.recompute == "selective":
        tables["activation_checkpoint"]["selective_ac_option"] = "op"
    tables["optimizer"]["name"] = next(k for k, v in OPTIMIZERS.items() if v == plan.optimizer)
    if plan.recipe.products == "fp8":
        tables["model"] = {"converters": ["float8"]}
    if not isinstance(plan.precision, str):
        dtypes = {"dtype": plan.recipe.master, "mixed_precision_reduce": plan.recipe.reduced}
        tables["training"] = {key: "bfloat16" for key, size in dtypes.items() if size == 2.0}
        written = {f"training.{k}": v for k, v in tables["training"].items()} | _converters(tables)
        if plan.precision != _precision(NamedValues(written)):
            raise SpecError("plan.precision", plan.recipe.name, "has no keys in torchtitan", "give bf16-fsdp or fp8-fsdp", "unsupported")
    return "\n".join(f"[{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in table.items()) for name, table in tables.items())


def _converters(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {"model.converters": tables["model"]["converters"]} if "model" in tables else {}


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _refuse(plan: Plan) -> None:
    parts = plan.recompute == "selective" and plan.recompute_parts != ("ops",)
    whole = plan.tp > 1 and plan.sequence_parallel == "off"
    remedies = {
        "dp": (plan.dp is not None, "leave it out: torchtitan computes it from the other degrees"),
        "zero": (plan.zero != 3, "give zero=3"),
        "shard": (plan.shard is not None, "leave it out"),
        "offload": (plan.offload is not None, "leave it out"),
        "schedule": (
            "torchtitan" not in plan.pass_order.words,
            "give one of " + ", ".join(sorted(one.name for one in framework_schedules("torchtitan").values())),
        ),
        "sequence_parallel": (whole, "give 'on': torchtitan's tensor parallelism always includes sequence parallelism"),
        "recompute_parts": (parts, "give recompute_parts=('ops',), or recompute='full'"),
        "recompute_layers": (plan.recompute_layers is not None, "leave it out"),
        "stage_layers": (bool(plan.stage_layers), "leave it out"),
        "cp_exchange": (plan.cp > 1 and plan.cp_exchange not in ROTATE_METHODS.values(), "give ring or all-gather"),
        "cp_order": (plan.cp_order != "balanced", "give cp_order='balanced'"),
        "overlap": (plan.overlap is not None, "leave it out"),
        "routing": (plan.routing != "even", "routing='even'"),
        "capacity_factor": (plan.capacity_factor is not None, "leave it out: its experts drop no token"),
        "expert_overlap": (plan.expert_overlap != "off", "leave it off"),
        "graphs": (bool(plan.graphs), "leave them out"),
        "attention": (plan.attention != "fused", "give attention='fused'"),
        "loss": (plan.loss != "plain", "give loss='plain'"),
        "dropout": (plan.dropout != "off", "give dropout='off'"),
        "precision": (isinstance(plan.precision, str) and plan.precision not in {"bf16-fsdp", "fp8-fsdp"}, "give bf16-fsdp or fp8-fsdp"),
        "optimizer": (plan.optimizer not in OPTIMIZERS.values(), "give adamw or muon"),
    }
    for field, (refused, remedy) in remedies.items():
        if refused:
            raise SpecError(f"plan.{field}", getattr(plan, field), "has no key in torchtitan", remedy, "unsupported")
