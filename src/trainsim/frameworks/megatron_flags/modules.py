"""Flags for recomputed modules, CUDA graphs and token dispatchers of Megatron-LM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ...core.errors import SpecError, did_you_mean
from ...core.values import NamedValues, to_choice

if TYPE_CHECKING:
    from ...parallelism.plan import Plan

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

GRAPHS = {"attn": ("attention",), "mlp": ("ffn",), "moe": ("experts",), "moe_router": ("router",), "moe_preprocess": ()}
"""``--cuda-graph-modules`` → parts of a layer; the work before the experts is not a separate op of a model."""

BACKENDS = ("deepep", "hybridep", "ncclep")
"""``--moe-flex-dispatcher-backend`` → dispatcher."""


def recomputed_parts(names: Iterable[str]) -> tuple[str, ...]:
    """Parts of a layer that ``--recompute-modules`` names.

    Raises:
        SpecError: no such module.

    >>> recomputed_parts(["mla_up_proj"])
    ('q_up', 'kv_up')
    """
    return _parts("--recompute-modules", names, PARTS)


def captured_parts(names: Iterable[str]) -> frozenset[str]:
    """Parts of a layer that ``--cuda-graph-modules`` names; ``full_iteration`` is ``step``.

    Raises:
        SpecError: no such module.

    >>> sorted(captured_parts(["attn", "moe_router", "moe_preprocess"]))
    ['attention', 'router']
    """
    return frozenset(_parts("--cuda-graph-modules", names, {**GRAPHS, "full_iteration": ("step",)}))


def _parts(flag: str, names: Iterable[str], known: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    found: list[str] = []
    for name in names:
        found += known[to_choice(name, known, flag)]
    return tuple(found)


def names_of(words: Iterable[str]) -> list[str]:
    """Names in the words of a flag's value: one name per word, or a list written as text."""
    return [name for word in words for name in word.strip("[]").replace(",", " ").split()]


def _graphs(value: Any, flags: NamedValues) -> dict[str, Any]:
    """Graphs by ``--cuda-graph-impl``: none, the named modules (whole layers if none is named), or the whole step."""
    to_choice(value, ("none", "local", "transformer_engine", "full_iteration"), "--cuda-graph-impl")
    names = names_of(flags.texts("cuda-graph-modules" if "cuda-graph-modules" in flags else "cuda-graph-scope"))
    if value == "none":
        return {}
    if value == "full_iteration" or "full_iteration" in names:
        return {"graphs": ("step",)}
    whole = not names or names == ["full"]
    return {"graphs": ("layer",) if whole else tuple(sorted(captured_parts(names)))}


def _dispatcher(value: Any, flags: NamedValues) -> dict[str, Any]:
    del flags
    if value == "allgather":
        rule = "sends every token to every rank, which a plan can't state"
        raise SpecError("--moe-token-dispatcher-type", value, rule, "give alltoall or flex", "unsupported")
    to_choice(value, ("alltoall", "flex"), "--moe-token-dispatcher-type")
    return {"dispatcher": "fused" if value == "flex" else "alltoall"}


def _backend(value: Any, flags: NamedValues) -> dict[str, Any]:
    del flags
    to_choice(value, BACKENDS, "--moe-flex-dispatcher-backend")
    return {}


GRAPH_READERS: dict[str, Callable[[Any, NamedValues], dict[str, Any]]] = {
    "moe-token-dispatcher-type": _dispatcher,
    "moe-flex-dispatcher-backend": _backend,
    "moe-enable-deepep": lambda _value, _flags: {},
    "overlap-moe-expert-parallel-comm": lambda _value, _flags: {"expert_overlap": "on"},
    "cuda-graph-impl": _graphs,
    "cuda-graph-modules": lambda _value, _flags: {},
    "cuda-graph-scope": lambda _value, _flags: {},
    "enable-cuda-graph": lambda _value, flags: _graphs("local", flags),
    "external-cuda-graph": lambda _value, flags: _graphs("transformer_engine", flags),
}
"""Flags of graphs and dispatchers → fields of the plan."""


def written_graphs(plan: Plan) -> list[str]:
    """Flags for the dispatcher, its overlap, and the graphs of a plan.

    Raises:
        SpecError: a part that no module of Megatron-LM captures.
    """
    words = {None: [], "alltoall": ["--moe-token-dispatcher-type", "alltoall"], "fused": ["--moe-token-dispatcher-type", "flex"]}[
        plan.dispatcher
    ]
    words += ["--overlap-moe-expert-parallel-comm"] if plan.expert_overlap == "on" else []
    if not plan.graphs:
        return words
    if "step" in plan.graphs:
        return [*words, "--cuda-graph-impl", "full_iteration"]
    words += ["--cuda-graph-impl", "transformer_engine"]
    if "layer" in plan.graphs:
        return words
    modules = {parts[0]: module for module, parts in GRAPHS.items() if parts}
    for part in plan.graphs:
        if part not in modules:
            raise SpecError(
                "plan.graphs", part, "has no module in Megatron-LM", did_you_mean(part, [*modules, "layer", "step"]), "unsupported"
            )
    return [*words, "--cuda-graph-modules", *(modules[part] for part in plan.graphs)]
