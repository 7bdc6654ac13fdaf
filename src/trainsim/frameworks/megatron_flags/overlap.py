"""Flags for overlap, for exchanges of keys and of tokens, and for offload to the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...core.errors import SpecError
from ...core.values import NamedValues, to_choice
from ...parallelism.offload import Offload

if TYPE_CHECKING:
    from ...parallelism.plan import ContextExchange, Plan

FLAGS = {"dp": "overlap-grad-reduce", "weights": "overlap-param-gather", "tp": "tp-comm-overlap"}
"""Exchange → the flag that lets Megatron-LM overlap it."""
CP_COMM_TYPES: dict[str, ContextExchange] = {"p2p": "ring", "all_gather": "all-gather", "a2a": "all-to-all"}
"""``--cp-comm-type``."""


def overlap_of(flags: NamedValues) -> dict[str, Any]:
    """Exchanges that may overlap with compute; None if the flags allow all exchanges of the layout.

    Megatron-LM overlaps gathers of weights only with a distributed optimizer, and exchanges of tensor parallelism only with sequence
    parallelism. Otherwise these flags have no effect, and the absence of a flag forbids nothing.
    """
    asked = {exchange for exchange, flag in FLAGS.items() if flag in flags}
    asked |= {"dp", "weights"} if "use-torch-fsdp2" in flags else set()  # FSDP2 always prefetches
    split = flags.integer("tensor-model-parallel-size", 1) > 1 and "sequence-parallel" in flags
    sharded = "use-distributed-optimizer" in flags or "data-parallel-sharding-strategy" in flags
    possible = {"dp", *(["weights"] if sharded else []), *(["tp"] if split else [])}
    if possible <= asked:
        return {"overlap": None}
    return {"overlap": tuple(name for name in ("tp", "ep", "cp", "dp", "weights") if name in asked or name not in possible)}


def written_overlap(plan: Plan) -> list[str]:
    """The flags of :func:`overlap_of`, ``--cp-comm-type``, those of the experts' capacity, and those of offload.

    Raises:
        SpecError: the plan excludes an exchange that Megatron-LM always overlaps.
    """
    may = {*FLAGS, "ep", "cp"} if plan.overlap is None else set(plan.overlap)
    if denied := sorted({"ep", "cp"} - may):
        raise SpecError(
            "plan.overlap", plan.overlap, f"leaves out {denied[0]}, which Megatron-LM always overlaps", "add it to overlap=", "unsupported"
        )
    words = ["--overlap-grad-reduce"] if "dp" in may else []
    words += ["--overlap-param-gather"] if "weights" in may and plan.zero > 0 else []
    words += ["--tp-comm-overlap"] if "tp" in may and plan.tp > 1 and plan.sequence_parallel == "on" else []
    if plan.cp > 1:
        words += ["--cp-comm-type", next(word for word, how in CP_COMM_TYPES.items() if how == plan.cp_exchange)]
    words += ["--moe-router-force-load-balancing"] if plan.routing == "random" else []
    words += [] if plan.capacity_factor is None else ["--moe-expert-capacity-factor", str(plan.capacity_factor)]
    words += ["--moe-pad-expert-input-to-capacity"] if plan.capacity_padding == "on" else []
    if plan.offload is not None:
        words += ["--optimizer-cpu-offload", "--optimizer-offload-fraction", str(plan.offload.optimizer)]
    return words


def _cp_exchange(value: Any, flags: NamedValues) -> dict[str, Any]:
    words = set(flags.texts("cp-comm-type"))
    if len(words) > 1 or words == {"a2a+p2p"}:
        raise SpecError("--cp-comm-type", value, "mixes kinds of exchange", f"give one of {', '.join(CP_COMM_TYPES)}", "unsupported")
    return {"cp_exchange": CP_COMM_TYPES[to_choice(words.pop(), CP_COMM_TYPES, "--cp-comm-type")]}


def _capacity(value: Any, flags: NamedValues) -> dict[str, Any]:
    """The capacity of an expert; a negative factor drops no token, as in Megatron-Bridge's recipes."""
    del value
    factor = flags.number("moe-expert-capacity-factor")
    return {} if factor < 0 else {"capacity_factor": factor}


def _offload(value: Any, flags: NamedValues) -> dict[str, Any]:
    del value
    return {"offload": Offload(optimizer=flags.number("optimizer-offload-fraction", 1.0))}


OVERLAP_READERS: dict[str, Callable[[Any, NamedValues], dict[str, Any]]] = {
    **dict.fromkeys(FLAGS.values(), lambda _value, _flags: {}),
    "cp-comm-type": _cp_exchange,
    "moe-router-force-load-balancing": lambda _value, _flags: {"routing": "random"},
    "moe-expert-capacity-factor": _capacity,
    "moe-pad-expert-input-to-capacity": lambda _value, _flags: {"capacity_padding": "on"},
    "optimizer-cpu-offload": _offload,
    "optimizer-offload-fraction": lambda _value, _flags: {},
    "overlap-cpu-optimizer-d2h-h2d": lambda _value, _flags: {},
}
"""Readers of single flags; the overlap follows from several flags together."""
