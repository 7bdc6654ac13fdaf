"""Zamba and Zamba2: layers of Mamba, some with a transformer block whose weights they share."""

from __future__ import annotations

import math
from typing import Any, Literal

from ..attention.base import Attention
from ..feedforward import NoFeedForward
from ..layers import Block, stack_of
from ..mixers.parallel import ParallelMixers
from ..mixers.shared import Adapted, SharedTransformer
from ..mixers.state_space import Mamba, Mamba2
from ..transformer import Model
from .config import Config
from .parts import HEADS, HIDDEN, LAYERS, assemble, key_heads
from .reader import family
from .state_space import STEPS

_WORDS = {"mamba": "mamba", "linear_attention": "mamba", "hybrid": "hybrid", "full_attention": "hybrid"}


@family("zamba")
def zamba(c: Config) -> Model:
    """Zamba (arXiv:2405.16712): one shared block in every n-th layer, before Mamba mixers with several heads."""
    layers, hidden = c.layers(*LAYERS), c.size(*HIDDEN)
    every, at = c.optional("attn_layer_period", default=6), c.count("attn_layer_offset", default=4)
    types = ["mamba", "mamba", "hybrid", *("hybrid" if i % every == at else "mamba" for i in range(layers - 3))][:layers]
    inner, heads = c.optional("mamba_expand", default=2) * hidden, c.optional("n_mamba_heads", default=2)
    rank = math.ceil(hidden / 16)
    mixer = Mamba(
        width=inner,
        state=c.optional("mamba_d_state", default=16),
        rank=rank if c.value("mamba_dt_rank") in ("auto", None) else c.optional("mamba_dt_rank", default=rank),
        taps=c.optional("mamba_d_conv", default=4),
        projection_bias="both" if c.flag("mamba_proj_bias", default=False) else "none",
        convolution_bias="channel" if c.flag("mamba_conv_bias", default=True) else "none",
        heads=heads,
    )
    c.ignore("mamba_dt_rank", "use_mamba_kernels", "num_logits_to_keep", "use_associative_scan", *STEPS)
    shared = _shared(c, width=c.size("intermediate_size"))
    return _hybrid(c, c.words("layers_block_type", tuple(_WORDS), layers) or types, mixer, shared, 1)


@family("zamba2")
def zamba2(c: Config) -> Model:
    """Zamba2 (arXiv:2411.15242): shared blocks in turn, with separate low-rank adapters for each use, before Mamba-2 mixers."""
    layers, hidden = c.layers(*LAYERS), c.size(*HIDDEN)
    run = ["mamba"] * 5 + ["hybrid"]
    types = ["mamba", *run * 7, *["mamba"] * 4, "hybrid", *["mamba"] * 3, "hybrid", *["mamba"] * 2]
    words = c.words("layers_block_type", tuple(_WORDS), layers) or types
    if len(words) != layers:
        raise c.fail("layers_block_type", f"is missing, and the class default lists {len(words)} layers", "give one word per layer")
    bias: Literal["none", "both"] = "both" if c.flag("add_bias_linear", default=False) else "none"
    heads, inner = c.optional("n_mamba_heads", default=8), c.optional("mamba_expand", default=2) * hidden
    c.divides("n_mamba_heads", heads, "mamba_expand · hidden_size", inner)
    mixer = Mamba2(
        heads=heads,
        head_dim=inner // heads,
        state=c.optional("mamba_d_state", default=64),
        groups=c.optional("mamba_ngroups", default=1),
        taps=c.optional("mamba_d_conv", default=4),
        chunk=c.optional("chunk_size", default=256),
        projection_bias=bias,
    )
    adapted: tuple[Adapted, ...] = ("q", "k", "v", "ffn") if c.flag("use_shared_attention_adapter", default=False) else ("ffn",)
    width = c.size_or_none("intermediate_size") or 4 * hidden
    c.ignore("use_mamba_kernels", "num_logits_to_keep", "use_conv_bias", "use_mem_eff_path", "use_mem_rope", "use_long_context", *STEPS)
    c.ignore("mamba_headdim", "attention_hidden_size", "kv_channels", "num_query_groups", "hybrid_layer_ids", "ffn_hidden_size", "rope")
    shared = _shared(c, width=width, bias=bias, adapted=adapted, adapter_rank=c.optional("adapter_rank", default=128))
    if len(adapted) > 1 and shared.kv_heads != shared.heads:
        raise c.fail(
            "num_key_value_heads",
            f"differs from num_attention_heads={shared.heads}",
            f"give {shared.heads}: adapters of keys are as wide as all heads",
        )
    return _hybrid(c, words, mixer, shared, c.optional("num_mem_blocks", default=1))


def _shared(c: Config, **rest: Any) -> SharedTransformer:
    """The shared block; its attention reads a stream of twice the hidden size."""
    heads, both = c.size(*HEADS), 2 * c.size(*HIDDEN)
    c.fixed("attention_hidden_size", both)
    c.divides("num_attention_heads", heads, "2 · hidden_size", both)
    own = c.optional("attention_head_dim", "head_dim", default=both // heads, why="2 · hidden / heads")
    return SharedTransformer(heads=heads, kv_heads=key_heads(c, heads), head_dim=own, **rest)


def _hybrid(c: Config, words: list[str], mixer: Attention, shared: SharedTransformer, blocks: int) -> Model:
    """A stack of mixers, each hybrid layer with the next of ``blocks`` shared blocks; the first use of each stores its weights."""
    uses = sum(_WORDS[word] == "hybrid" for word in words)
    tied = c.flag("tie_word_embeddings", default=True)
    if not tied:
        c.note("tie_word_embeddings is false: the class then ties no weights at all, and every use stores its block with all its adapters")
    kinds: list[tuple[str, Attention]] = []
    used = 0
    for word in words:
        if _WORDS[word] == "mamba":
            kinds.append(("mamba", mixer))
            continue
        block = shared if tied else shared.replace({"adapters": len(range(used % blocks, uses, blocks))})
        name = "hybrid" if block.adapters == shared.adapters else f"hybrid-{block.adapters}"
        if tied and used >= blocks:
            name, block = "hybrid-again", shared.replace({"stored_in": "hybrid"})
        kinds.append((name, ParallelMixers(mixers=(block, mixer))))
        used += 1
    return assemble(c, stack_of([(name, Block(attention=each, ffn=NoFeedForward(), norms=("mixer",))) for name, each in kinds]), tied=True)
