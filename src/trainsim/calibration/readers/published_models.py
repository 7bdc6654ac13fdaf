"""Build models of published runs from the sizes in their rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...catalog.models import from_sizes
from ...core.errors import SpecError
from ...model.attention.grouped_query import GroupedQueryAttention
from ...model.huggingface.reader import from_hf
from ...model.layers import Block, stack_of
from ...model.transformer import Head, Model


def missing(field: str, value: Any, rule: str) -> SpecError:
    """The error for a field that a row lacks, or whose value can't be modelled."""
    return SpecError(field, value, rule, "leave the row out", "missing" if value is None else "unsupported")


BIASED = r"GPT|BLOOM|MT-NLG|Megatron-LM|seq-parallel"
"""Names of models whose products have biases: GPT as Megatron-LM builds it, BLOOM, MT-NLG and GPT-OSS."""


def published_model(row: Mapping[str, Any]) -> Model:
    """The model that a row's architecture describes."""
    sizes = row.get("architecture")
    if not sizes:
        raise missing("architecture", sizes, "is not published")
    if sizes.get("dense_residual_mlp"):
        raise missing("architecture.dense_residual_mlp", True, "adds a dense branch beside the experts, which sizes alone don't describe")
    if sizes.get("attention") == "MLA":
        own = dict(sizes) | {"model_type": "deepseek_v3"}
        if "w/o MTP" in str(row.get("name")):
            own["num_nextn_predict_layers"] = 0
        known = {k: v for k, v in own.items() if k not in {"attention", "gated_mlp", "seq_pretrain"} and v is not None}
        return from_hf({**_MLA, **known})
    named = {
        "hidden": sizes["hidden_size"], "heads": sizes["num_attention_heads"], "kv_heads": sizes["num_key_value_heads"],
        "head_dim": sizes.get("head_dim") or sizes["hidden_size"] // sizes["num_attention_heads"], "ffn": sizes["intermediate_size"],
        "layers": sizes["num_hidden_layers"], "vocab": sizes["vocab_size"], "tied": sizes.get("tie_word_embeddings"),
        "gated": sizes.get("gated_mlp", True), "experts": sizes.get("n_routed_experts"), "top_k": sizes.get("num_experts_per_tok"),
        "moe_ffn": sizes.get("moe_intermediate_size"), "shared_experts": sizes.get("n_shared_experts") or 0,
        "dense_layers": sizes.get("first_k_dense_replace") or 0, "every": sizes.get("moe_layer_freq") or 1,
        "biases": re.search(BIASED, str(row.get("name"))) is not None,
        "parallel": sizes.get("parallel_block") or False,
    }  # fmt: skip
    whole = from_sizes("published", named)
    return _windowed(whole, int(sizes["sliding_window"]), sizes.get("sliding_window_pattern")) if sizes.get("sliding_window") else whole


_MLA = {
    "first_k_dense_replace": 0, "n_shared_experts": 0, "num_nextn_predict_layers": 0, "moe_layer_freq": 1, "max_position_embeddings": 4096,
}  # fmt: skip


def _windowed(model: Model, window: int, pattern: Any) -> Model:
    """The model with windowed attention in all layers, in every second one ("alternating"), or in the first n of every m ("n of m")."""
    found = re.match(r"(\d+) of (\d+)", "1 of 2" if pattern == "alternating" else str(pattern or "1 of 1"))
    if found is None:
        raise missing("architecture.sliding_window_pattern", pattern, "is not a known pattern")
    of, period = int(found[1]), int(found[2])
    kinds: list[tuple[str, Block]] = []
    for i, (name, kind) in enumerate(_unrolled(model)):
        attention = kind.attention
        if i % period < of and isinstance(attention, GroupedQueryAttention):
            kinds.append(("sliding", kind.replace({"attention": attention.replace({"window": window})})))
        else:
            kinds.append((name, kind))
    return Model(name=model.name, hidden=model.hidden, vocab=model.vocab, stack=stack_of(kinds), head=Head(weights=model.head.weights))


def _unrolled(model: Model) -> Iterator[tuple[str, Block]]:
    for kind in model.stack:
        for _ in range(kind.count):
            yield kind.name, kind.block
