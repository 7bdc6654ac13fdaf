"""T5 and similar models: an encoder and a decoder without biases, whose positions are learned biases of the scores."""

from __future__ import annotations

from ..attention.base import Attention
from ..attention.cross import CrossAttention
from ..attention.grouped_query import GroupedQueryAttention
from ..feedforward import FeedForward, GatedMLP, PlainMLP
from ..layers import Block, Layers
from ..mixers.parallel import ParallelMixers
from ..towers import Tower
from ..transformer import Model
from .config import Config
from .decoders import ENCODER
from .parts import HEADS, HIDDEN, assemble
from .reader import family


@family("t5", "mt5", "umt5")
def t5(c: Config) -> Model:
    """T5 (arXiv:1910.10683), mT5 (arXiv:2010.11934) and UMT5 (arXiv:2304.09151), which learns biases in every layer.

    If ``architectures`` names the encoder alone, the model is the encoder.
    """
    layers = c.layers("num_layers", "num_hidden_layers")
    named = c.data.get("architectures")
    alone = isinstance(named, list) and str(next(iter(named), "")).endswith("EncoderModel")
    c.ignore("is_gated_act", "dense_act_fn", "relative_attention_max_distance", "scale_decoder_outputs", "n_positions")
    if alone:
        c.causal = False
        c.ignore("num_decoder_layers")
        return assemble(c, _stack(c, layers, _attention(c, both=True), ()), tied=True)
    number = layers if c.null("num_decoder_layers") else c.optional("num_decoder_layers", default=layers, why="as many as num_layers")
    attention = _attention(c, both=False)
    cross = CrossAttention(tower=ENCODER, heads=attention.heads, kv_heads=attention.kv_heads, head_dim=attention.head_dim)
    decoder = _stack(c, number, ParallelMixers(mixers=(attention, cross)), ("cross",))
    encoder = Tower(name=ENCODER, hidden=c.size(*HIDDEN), stack=_stack(c, layers, _attention(c, both=True), ()), norm="rms", counted="with")
    return assemble(c, decoder, tied=True, towers=(encoder,))


def _attention(c: Config, *, both: bool) -> GroupedQueryAttention:
    heads = c.size(*HEADS)
    return GroupedQueryAttention(heads=heads, kv_heads=heads, head_dim=c.size("d_kv"), direction="both" if both else "causal")


def _stack(c: Config, layers: int, mixer: Attention, cross: tuple[str, ...]) -> tuple[Layers, ...]:
    """Layers of one kind; the first layer has learned biases of the scores, or each layer (UMT5)."""
    width, gated = c.size("d_ff"), str(c.value("feed_forward_proj") or "relu").startswith("gated")
    ffn: FeedForward = GatedMLP(width=width) if gated else PlainMLP(width=width)
    biases = c.optional("relative_attention_num_buckets", default=32) * c.size(*HEADS)
    first = Block(attention=mixer, ffn=ffn, norms=("attention", *cross, "ffn"), scales=biases)
    if c.data.get("model_type") == "umt5" or layers == 1:
        return (Layers(name="block", count=layers, block=first),)
    return (Layers(name="first", count=1, block=first), Layers(name="block", count=layers - 1, block=first.replace({"scales": 0})))
