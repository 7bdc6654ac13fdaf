"""Llama 3.2 Vision: a text model with cross-attention layers, and a tower whose tokens only these layers read."""

from __future__ import annotations

from collections.abc import Sequence

from ..attention.cross import CrossAttention
from ..feedforward import PlainMLP
from ..images import FixedSquares
from ..layers import Block, Layers, stack_of
from ..towers import Projection, Tower
from ..transformer import Embedding, Model
from .config import Config
from .parts import LAYERS, assemble, gated, grouped_query
from .reader import family
from .vision import seen_by
from .vision_parts import heads_of, patches, sees_all, side

_TOWER = "vision"
_MORE_ROWS = 8
"""Rows of the embedding beyond those of the head, for the tokens of images."""


@family("mllama_text_model")
def mllama_text(c: Config) -> Model:
    """Llama 3.2 Vision (Meta 2024): Llama's layers; some attend to the images instead of the text, with gates on both sublayers."""
    layers = c.layers(*LAYERS)
    attention = grouped_query(c, kv=8)
    at = c.positions("cross_attention_layers", layers)
    crossing = set(range(3, layers, 5)) if at is None else set(at)
    cross = CrossAttention(
        tower=_TOWER,
        heads=attention.heads,
        kv_heads=attention.kv_heads,
        head_dim=attention.head_dim,
        qk_norm="head",
    )
    c.note("cross-attention layers count for every token; the class skips them in a sequence without images")
    kinds = {
        False: ("dense", Block(attention=attention, ffn=gated(c))),
        True: ("cross", Block(attention=cross, ffn=gated(c), scales=2)),
    }
    stack = stack_of([kinds[i in crossing] for i in range(layers)])
    return assemble(c, stack, tied=False, embedding=Embedding(extra_rows=_MORE_ROWS))


@seen_by("mllama")
def mllama(outer: Config, c: Config, width: int) -> Tower:
    """Two stacks over all squares of an image at once; outputs of some layers of the first stack are concatenated with those of the
    second.
    """
    del outer
    image, patch, hidden = side(c, "image_size", 448), side(c, "patch_size", 14), c.optional("hidden_size", default=1280)
    c.at_most("patch_size", patch, "image_size", image)
    tiles, shapes = c.optional("max_num_tiles", default=4), _shapes(c)
    tokens = (image // patch) ** 2 + 1
    attention = sees_all(heads_of(c, hidden, 16, "attention_heads", "num_attention_heads"), hidden)
    block = Block(attention=attention, ffn=PlainMLP(width=c.optional("intermediate_size", default=5120), bias="both"), norm="layer")
    # three kinds of positions: of each token; of each token, by square and shape; and of each square, by shape, before and after "local"
    positions = tokens * hidden + (shapes + 1) * tiles * (tokens + 2) * hidden
    return Tower(
        name=_TOWER,
        hidden=hidden,
        patch=patch,
        merge=image // patch,
        resize=FixedSquares(size=image, squares=tiles),
        stem=(patches(c, patch, hidden, bias=False),),
        extra=tiles,
        scales=positions + 3 - (tiles - 1) * hidden,  # three gates of one number each; the squares share one class vector
        stem_norm="layer",
        stack=(
            Layers(name="local", count=c.optional("num_hidden_layers", default=32), block=block),
            Layers(name="global", count=c.optional("num_global_layers", default=8), block=block.replace({"scales": 2})),
        ),
        norm="layer",
        connector=(
            Projection(
                name="out", inner=c.optional("vision_output_dim", default=7680), cols=width, bias="bias", rows=tokens / (tokens - 1)
            ),
        ),
    )


def _shapes(c: Config) -> int:
    """Number of shapes of several squares into which an image may be cut."""
    c.ignore("supported_aspect_ratios")
    given = c.data.get("supported_aspect_ratios")
    return len(given) if isinstance(given, Sequence) and not isinstance(given, str) else 8
