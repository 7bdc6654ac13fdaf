"""The keys by which a family's configs describe the embedding and the head."""

from __future__ import annotations

from typing import Literal

from ...core.spec import Spec
from ..layers import Norm
from ..transformer import Embedding, Head
from .config import Config
from .shape_attention import Switch


class EmbeddingShape(Spec):
    """The embedding.

    Args:
        width: key of the table's width, if that may differ from the hidden size; "" for the hidden size.
        project: whether a projection to the hidden size follows if the width differs, or always; ``project_bias`` is the projection's bias.
        extra_rows: rows beyond the vocabulary.
        positions: key of the number of learned positions, used if ``positions_if`` holds; ``beyond`` is added to the number; "" for none.
        position_width: width of the table of positions: that of the embedding, or of a head (RoFormer).
        segments: key of the number of kinds of segment; "" for none.
        more_segments: key of the number of rows of a second table of segments, used if ``more_segments_if`` holds.
        norm: the switch of a norm on the embeddings.
    """

    width: str = ""
    project: Literal["where-it-differs", "always"] = "where-it-differs"
    project_bias: Literal["none", "hidden"] = "none"
    extra_rows: int = 0
    positions: str = ""
    positions_if: Switch = True
    beyond: int = 0
    position_width: Literal["own", "head"] = "own"
    segments: str = ""
    more_segments: str = ""
    more_segments_if: Switch = False
    norm: Switch = False

    def read(self, c: Config, norm: Norm) -> Embedding:
        """The embedding of a config; ``norm`` is the kind of the model's norms."""
        width = c.size_or_none(self.width) if self.width else None
        positions = c.optional(self.positions, default=1) + self.beyond if self.positions and c.switch(self.positions_if) else 0
        segments = c.count(self.segments) if self.segments else 0
        if self.more_segments:
            c.ignore(self.more_segments)
            segments += c.count(self.more_segments) if c.switch(self.more_segments_if) else 0
        return Embedding(
            width=width,
            project=self.project,
            project_bias=self.project_bias,
            extra_rows=self.extra_rows,
            positions=positions,
            position_width=c.size("hidden_size") // c.size("num_attention_heads") if self.position_width == "head" else width,
            segments=segments,
            norm=norm if c.switch(self.norm) else None,
        )


class HeadShape(Spec):
    """The head.

    Args:
        tied: the switch of a head that uses the embedding's matrix.
        norm: the switch of the final norm.
        bias: the switch of a bias per word; in an untied head ``bias_if_own`` is the switch instead.
        width: key of the width of the head's input, if that may differ from the hidden size; "" for the hidden size.
        transform: whether a dense layer and a norm come before the logits; ``transform_bias`` is the switch of that layer's bias.
    """

    tied: Switch = "tie_word_embeddings"
    norm: Switch = True
    bias: Switch = False
    bias_if_own: Literal["none", "vocab", "twice"] | None = None
    width: str = ""
    transform: Switch = False
    transform_bias: Switch = True

    def read(self, c: Config, norm: Norm) -> Head:
        """The head of a config; ``norm`` is the kind of the model's norms."""
        tied = c.switch(self.tied)
        bias: Literal["none", "vocab", "twice"] = "vocab" if c.switch(self.bias) else "none"
        return Head(
            weights="tied" if tied else "own",
            norm=norm if c.switch(self.norm) else None,
            bias=bias if tied or self.bias_if_own is None else self.bias_if_own,
            width=c.size_or_none(self.width) if self.width else None,
            transform=norm if c.switch(self.transform) else None,
            transform_bias="width" if c.switch(self.transform_bias) else "none",
        )
