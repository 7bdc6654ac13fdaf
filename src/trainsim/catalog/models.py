"""Models, built from catalogue rows."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

from ..model.attention.grouped_query import GroupedQueryAttention
from ..model.feedforward import FeedForward, GatedMLP, MixtureOfExperts, PlainMLP
from ..model.huggingface.reader import from_hf
from ..model.layers import Block, stack_of
from ..model.transformer import Head, Model
from .counted import of_table
from .rows import Row, find


@lru_cache(maxsize=256)
def model(name: str) -> Model:
    """A model of the catalogue.

    Args:
        name: id of its row.

    Returns:
        the model.

    Raises:
        CatalogError: no such model; lists those there are.

    >>> model("deepseek-v3").layers
    61
    """
    row = find("models", name)
    absent = dict.fromkeys(row.get("null", ()))
    return from_hf({**row["config"], **absent}).replace({"name": row.id}).with_sources({"": row.cited})


def model_of(row: Row) -> Model | None:
    """The model that a row of ``runs`` names, else one built from its sizes; None if the row gives neither."""
    if row.get("model"):
        return model(row["model"])
    return from_sizes(row.id, row["architecture"]) if row.get("architecture") else None


def same_architecture(row: Row, made: Model) -> bool:
    """Whether a row of ``runs`` has the same architecture as a model; names are ignored.

    >>> same_architecture(find("runs", "deepseek-v3"), model("deepseek-v3").replace({"name": "ours"}))
    True
    """
    known = of_table(row)
    if known is not None and known.sizes != size_of(made):
        return False
    sizes = row.get("architecture") or {}
    return _same_architecture(made, row.get("model", ""), tuple(sorted(sizes.items())))


@lru_cache(maxsize=1 << 14)
def _same_architecture(made: Model, named: str, sizes: tuple[tuple[str, Any], ...]) -> bool:
    if not named and not sizes:
        return False
    other = model(named) if named else from_sizes("", dict(sizes))
    return made.hidden == other.hidden and made.replace({"name": ""}) == other.replace({"name": ""})


@lru_cache(maxsize=1 << 12)
def size_of(made: Model) -> tuple[int, int, int]:
    """Width, layers and experts, by which tables of published runs identify a model.

    >>> size_of(model("deepseek-v3"))
    (7168, 61, 256)
    """
    experts = [kind.block.ffn.experts for kind in made.stack if isinstance(kind.block.ffn, MixtureOfExperts)]
    return made.hidden, made.layers, max(experts, default=1)


def from_sizes(name: str, sizes: dict[str, Any]) -> Model:
    """A model built from published sizes: grouped-query attention, gated or plain feed-forward, optional routed experts and biases."""
    hidden, heads = sizes["hidden"], sizes["heads"]
    biased: Literal["none", "both"] = "both" if sizes.get("biases") else "none"
    attention = GroupedQueryAttention(
        heads=heads, kv_heads=sizes.get("kv_heads", heads), head_dim=sizes.get("head_dim", hidden // heads), window=sizes.get("window"),
        biases=("q", "k", "v", "o") if sizes.get("biases") else (),
    )  # fmt: skip
    gated = sizes.get("gated", True)
    mlp: FeedForward = GatedMLP(width=sizes["ffn"], bias=biased) if gated else PlainMLP(width=sizes["ffn"], bias=biased)
    norms = ("attention",) if sizes.get("parallel") else ("attention", "ffn")
    dense = Block(attention=attention, ffn=mlp, norms=norms)
    kinds = [("dense", dense)] * sizes["layers"]
    if sizes.get("experts"):
        routed = MixtureOfExperts(
            experts=sizes["experts"],
            top_k=sizes["top_k"],
            width=sizes["moe_ffn"],
            shared_width=sizes.get("shared_ffn", sizes.get("shared_experts", 0) * sizes["moe_ffn"]),
            activation="gated" if gated else "plain",
            bias=biased,
        )
        moe = Block(attention=attention, ffn=routed, norms=norms)
        first, every = sizes.get("dense_layers", 0), sizes.get("every", 1)
        kinds = [("dense", dense) if i < first or (i + 1) % every else ("moe", moe) for i in range(sizes["layers"])]
    head = Head(weights="tied" if sizes.get("tied") else "own")
    return Model(name=name, hidden=hidden, vocab=sizes["vocab"], stack=stack_of(kinds), head=head)
