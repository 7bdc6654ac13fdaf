"""Llama-Nemotron: layers found by a search, each with its own attention and its own feed-forward, or without one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..attention.base import Attention
from ..attention.grouped_query import GroupedQueryAttention
from ..feedforward import FeedForward, GatedMLP, NoFeedForward
from ..layers import Block, stack_of
from ..mixers.parallel import NoMixer
from ..transformer import Model
from .config import Config
from .parts import ALL, HEADS, HIDDEN, LAYERS, assemble, biases, split_hidden
from .reader import family

_UNSUPPORTED = ("replace_with_linear", "sparsify", "window_length", "num_sink_tokens")
_MULTIPLE = 256


@family("nemotron-nas")
def nemotron_nas(c: Config) -> Model:
    """Llama-Nemotron Super and Ultra (arXiv:2505.00949, section 2): ``block_configs`` says what each layer has."""
    layers, heads = c.layers(*LAYERS), c.size(*HEADS)
    given = c.data.get("block_configs")
    c.ignore("block_configs", "num_key_value_heads", "intermediate_size")
    if not isinstance(given, list) or len(given) != layers:
        raise c.fail("block_configs", "is not one group per layer", 'give [{"attention": {…}, "ffn": {…}}, …]', "wrong-type")
    kinds: dict[Block, str] = {}
    stack = []
    for each in given:
        attention, ffn = (_group(c, each, name) for name in ("attention", "ffn"))
        norms = tuple(name for name, group in (("attention", attention), ("ffn", ffn)) if group.get("no_op") is not True)
        block = Block(attention=_mixer(c, heads, attention), ffn=_channel(c, ffn), norms=norms)
        stack.append((kinds.setdefault(block, f"layer{len(kinds) + 1}"), block))
    return assemble(c, stack_of(stack), tied=False)


def _group(c: Config, layer: Any, name: str) -> Mapping[str, Any]:
    """The settings of one layer's attention or feed-forward."""
    group = layer.get(name) if isinstance(layer, Mapping) else None
    if not isinstance(group, Mapping) or any(group.get(key) not in (None, False) for key in _UNSUPPORTED):
        raise c.fail("block_configs", f"has a layer whose {name} is not mapped", f"known: {name} with no_op or sizes", "unsupported")
    return group


def _mixer(c: Config, heads: int, group: Mapping[str, Any]) -> Attention:
    if group.get("no_op") is True:
        return NoMixer()
    each = group.get("n_heads_in_group")
    if isinstance(each, bool) or not isinstance(each, int) or each < 1 or heads % each:
        raise c.fail("block_configs", f"has a layer with {each!r} heads in a group", f"give a divisor of {heads}", "out-of-bounds")
    return GroupedQueryAttention(heads=heads, kv_heads=heads // each, head_dim=split_hidden(c, heads), biases=biases(c, *ALL))


def _channel(c: Config, group: Mapping[str, Any]) -> FeedForward:
    """A gated MLP of ``2/3 · ffn_mult · hidden``, rounded up to a multiple of 256."""
    if group.get("no_op") is True:
        return NoFeedForward()
    times = group.get("ffn_mult")
    if isinstance(times, bool) or not isinstance(times, (int, float)) or not 0 < times < 1000:
        raise c.fail("block_configs", f"has a layer with ffn_mult={times!r}", "give a positive number", "out-of-bounds")
    width = -(-int(2 * times * c.size(*HIDDEN) / 3) // _MULTIPLE) * _MULTIPLE
    return GatedMLP(width=width, bias="both" if c.flag("mlp_bias", default=False) else "none")
