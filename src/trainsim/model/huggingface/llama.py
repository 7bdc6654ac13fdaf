"""Llama and its near relatives: pre-norm, grouped queries, gated feed-forward."""

from __future__ import annotations

from ..attention import GroupedQueryAttention
from ..feedforward import FeedForward, GatedMLP, MixtureOfExperts
from ..transformer import Block, Head, Layers, Model, stack_of
from .config import Config
from .reader import family


def grouped_query(c: Config, *, biases: tuple[str, ...] = (), qk_norm: str = "none", window: int | None = None) -> GroupedQueryAttention:
    """Attention by the common keys: heads, kv heads, head size apart from hidden / heads."""
    heads = c.size("num_attention_heads")
    kv_heads = c.optional("num_key_value_heads", heads, why="one per query head")
    c.at_most("num_key_value_heads", kv_heads, "num_attention_heads", heads)
    c.divides("num_key_value_heads", kv_heads, "num_attention_heads", heads)
    return GroupedQueryAttention(heads=heads, kv_heads=kv_heads, head_dim=head_dim(c, heads), biases=biases, qk_norm=qk_norm, window=window)  # type: ignore[arg-type]


def head_dim(c: Config, heads: int) -> int:
    """``head_dim``, or hidden / heads where the key is absent."""
    if c.has("head_dim"):
        return c.size("head_dim")
    hidden = c.size("hidden_size", "n_embd", "d_model")
    c.divides("num_attention_heads", heads, "hidden_size", hidden)
    return hidden // heads


def head(c: Config, *, tied: bool) -> Head:
    """Tied or not by the family's own default."""
    return Head(weights="tied" if c.flag("tie_word_embeddings", default=tied) else "own")


def experts(c: Config, *keys: str) -> tuple[int, int]:
    """Experts and how many a token meets."""
    number = c.size(*keys)
    top_k = c.size("num_experts_per_tok", "experts_per_token", "moe_k", "moe_topk", "moe_top_k")
    c.at_most("num_experts_per_tok", top_k, keys[0], number)
    return number, top_k


@family("llama")
def llama(c: Config) -> Model:
    """Llama 1–3, DeepSeek-LLM, Yi and all that use the class (arXiv:2302.13971)."""
    biases = ("q", "k", "v", "o") if c.flag("attention_bias", default=False) else ()
    mlp = GatedMLP(width=c.size("intermediate_size"), bias="both" if c.flag("mlp_bias", default=False) else "none")
    block = Block(attention=grouped_query(c, biases=biases), ffn=mlp)
    return _uniform(c, block, tied=False)


@family("mixtral")
def mixtral(c: Config) -> Model:
    """Mixtral (arXiv:2401.04088)."""
    number, top_k = experts(c, "num_local_experts")
    window = c.size_or_none("sliding_window")
    ffn = MixtureOfExperts(experts=number, top_k=top_k, width=c.size("intermediate_size"))
    return _uniform(c, Block(attention=grouped_query(c, window=window), ffn=ffn), tied=False, name="moe")


@family("qwen3")
def qwen3(c: Config) -> Model:
    """Qwen3 dense (arXiv:2505.09388)."""
    biases = ("q", "k", "v", "o") if c.flag("attention_bias", default=False) else ()
    attention = grouped_query(c, biases=biases, qk_norm="head")
    return windowed(c, attention, GatedMLP(width=c.size("intermediate_size")), tied=False)


@family("qwen3_moe")
def qwen3_moe(c: Config) -> Model:
    """Qwen3 mixture of experts (arXiv:2505.09388)."""
    biases = ("q", "k", "v", "o") if c.flag("attention_bias", default=False) else ()
    number, top_k = experts(c, "num_experts", "num_local_experts")
    window = c.size_or_none("sliding_window") if c.flag("use_sliding_window", default=False) else None
    c.ignore("sliding_window", "max_window_layers")
    attention = grouped_query(c, biases=biases, qk_norm="head", window=window)
    moe = Block(attention=attention, ffn=MixtureOfExperts(experts=number, top_k=top_k, width=c.size("moe_intermediate_size")))
    dense = Block(attention=attention, ffn=GatedMLP(width=c.size("intermediate_size")))
    step = c.optional("decoder_sparse_step", 1)
    listed = c.data.get("mlp_only_layers") or []
    c.ignore("mlp_only_layers")
    kinds = [("moe", moe) if i not in listed and (i + 1) % step == 0 else ("dense", dense) for i in range(c.size("num_hidden_layers"))]
    return Model(hidden=c.size("hidden_size"), vocab=c.size("vocab_size"), stack=stack_of(kinds), head=head(c, tied=False))


def windowed(c: Config, attention: GroupedQueryAttention, ffn: FeedForward, *, tied: bool) -> Model:
    """Layers that alternate between full and sliding attention by Qwen's keys."""
    layers = c.size("num_hidden_layers")
    window = c.size_or_none("sliding_window") if c.flag("use_sliding_window", default=False) else None
    c.ignore("sliding_window")
    first = c.optional("max_window_layers", layers) if window else layers
    c.ignore("max_window_layers")
    listed = c.words("layer_types", ("full_attention", "sliding_attention"))
    types = listed or ["sliding_attention" if window and i >= first else "full_attention" for i in range(layers)]
    if len(types) != layers:
        raise c.fail("layer_types", f"has {len(types)} entries for num_hidden_layers={layers}", "list one type per layer")
    full = Block(attention=attention, ffn=ffn)
    sliding = Block(attention=attention.replace({"window": window}), ffn=ffn)
    kinds = [("sliding", sliding) if t == "sliding_attention" and window else ("dense", full) for t in types]
    return Model(hidden=c.size("hidden_size"), vocab=c.size("vocab_size"), stack=stack_of(kinds), head=head(c, tied=tied))


def _uniform(c: Config, block: Block, *, tied: bool, name: str = "dense") -> Model:
    stack = (Layers(name=name, count=c.size("num_hidden_layers"), block=block),)
    return Model(hidden=c.size("hidden_size"), vocab=c.size("vocab_size"), stack=stack, head=head(c, tied=tied))
