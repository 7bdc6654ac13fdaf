"""The encoder beside a decoder, for files that name the whole model: BART and similar models, Whisper."""

from __future__ import annotations

from typing import Any

from ..attention.base import Attention
from ..attention.cross import CrossAttention, IdleCrossAttention
from ..attention.grouped_query import GroupedQueryAttention
from ..feedforward import PlainMLP
from ..layers import Block, Layers
from ..mixers.parallel import ParallelMixers
from ..towers import Tower
from ..transformer import Head, Model
from .audio_whisper import audio_stem
from .config import Config

ENCODER = "encoder"
_WHOLE = ("ForConditionalGeneration", "MTModel")


def with_encoder(model: Model, c: Config) -> Model:
    """The decoder with its encoder added as a tower, if ``architectures`` names the encoder-decoder class and the decoder has
    cross-attention; otherwise the model unchanged.

    The encoder is a tower that shares the decoder's word embeddings. A phase's ``source_len`` gives the tokens that the encoder reads.
    """
    names: Any = c.data.get("architectures") or [""]
    crossed = [kind for kind in model.stack if isinstance(kind.block.attention, ParallelMixers)]
    if not str(names[0]).endswith(_WHOLE) or not crossed or "encoder_layers" not in c.data:
        return model
    c.fixed("share_encoder_decoder_embeddings", True)
    c.notes[:] = [note for note in c.notes if not note.startswith("cross-attention is stored and idle")]
    stack = tuple(kind.replace({"block": kind.block.replace({"attention": _fed(kind.block.attention)})}) for kind in model.stack)
    tied = c.flag("tie_word_embeddings", default=True)
    head = Head(weights="tied" if tied else "own", norm=model.head.norm)
    return model.replace({"stack": stack, "head": head, "towers": (*model.towers, _encoder(model, c, crossed[0].block))})


def _fed(mixers: Attention) -> Attention:
    """The mixers, with cross-attention to the encoder."""
    if not isinstance(mixers, ParallelMixers):
        return mixers
    fed = [
        CrossAttention(tower=ENCODER, heads=m.heads, kv_heads=m.heads, head_dim=m.head_dim, source_width=m.source_width, biases=m.biases)
        if isinstance(m, IdleCrossAttention)
        else m
        for m in mixers.mixers
    ]
    return ParallelMixers(mixers=tuple(fed))


def _encoder(model: Model, c: Config, block: Block) -> Tower:
    """The encoder, with the norms of the decoder; Whisper's reads audio through two convolutions over three frames."""
    own = next(m for m in block.attention.mixers if isinstance(m, GroupedQueryAttention))  # type: ignore[attr-defined]
    heads, hidden = c.size("encoder_attention_heads"), model.hidden
    c.divides("encoder_attention_heads", heads, "d_model", hidden)
    attention = GroupedQueryAttention(heads=heads, kv_heads=heads, head_dim=hidden // heads, biases=own.biases, direction="both")
    layer = Block(attention=attention, ffn=PlainMLP(width=c.size("encoder_ffn_dim"), bias="both"), norm=block.norm)
    stem = audio_stem(c.optional("num_mel_bins", default=80), hidden) if c.has("max_source_positions") else ()
    return Tower(
        name=ENCODER,
        hidden=hidden,
        stem=stem,
        positions=c.size("max_source_positions") if stem else model.embedding.positions,
        stem_norm=model.embedding.norm,
        stack=(Layers(name="block", count=c.layers("encoder_layers"), block=layer),),
        norm=model.head.norm,
        counted="with",
    )
