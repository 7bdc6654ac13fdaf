"""Towers: encoders of images or audio whose outputs enter the sequence, their projections, and the images that they encode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field

from ..core.by_name import ByName
from ..core.errors import SpecError
from ..core.spec import Count, Spec, invariant
from .images import Resize, grid_of
from .layers import Layers, Norm, norm
from .masks import Mask, keys_on_grid
from .ops import Entry, Gradients, Lookup, MatMul, Op, Stream, TowerTokens, place

PATCHES = "patches"
"""The tokens of a tower that are patches of its input; stem and connector run over patches only."""


class Projection(Spec):
    """A product of a tower outside its layers: patches to vectors, or outputs to the model's width.

    Args:
        name: its name in paths.
        inner, cols: sides of its matrix; for a convolution with separate patches, ``inner`` is the number of elements of a patch.
        bias: whether each output has a bias.
        norm_width: elements of a norm before it, of kind ``norm``; None for no norm.
        rows: rows per patch; 1/4 for a product after groups of four patches are merged.
    """

    name: str
    inner: Count
    cols: Count
    bias: Literal["none", "bias"] = "none"
    norm_width: Count | None = None
    norm: Norm = "layer"
    rows: Annotated[float, Field(gt=0)] = 1.0

    def ops(self, gradients: Gradients = "both") -> Iterator[Op]:
        """The norm, and the product."""
        if self.norm_width is not None:
            yield norm(f"{self.name}_norm", self.norm_width, self.norm)
        bias, saved = self.cols * (self.bias == "bias"), self.rows * self.inner
        yield MatMul(name=self.name, inner=self.inner, cols=self.cols, bias=bias, rows=self.rows, saved=saved, gradients=gradients)


class Tower(Spec):
    """An encoder beside the text model, over tokens of its own: patches of images, frames of audio.

    Args:
        name: its name in paths: ``towers.vision``.
        hidden: width of its residual stream.
        stem: products that turn the input into tokens.
        stack: its layers.
        connector: products that bring its outputs into the text model's sequence.
        patch, merge: side of a patch [pixel], and patches along either side that become one token of the text model.
        resize: the processor's rule for images; None for a tower that takes no images.
        extra: number of learned tokens added to the patches of every picture, such as a class token.
        positions: rows of a table of learned positions.
        stem_norm, norm: norms after the stem and after the stack; None for none.
        scales: other learned elements.
        counted: "apart" if only totals that include towers count the tower; "with" if it always counts, as the encoder of an
            encoder-decoder does.

    Raises:
        SpecError: no layers.

    >>> from trainsim.model.attention.grouped_query import GroupedQueryAttention
    >>> from trainsim.model.feedforward import PlainMLP
    >>> from trainsim.model.layers import Block
    >>> block = Block(attention=GroupedQueryAttention(heads=4, kv_heads=4, head_dim=16), ffn=PlainMLP(width=256))
    >>> vision = Tower(name="vision", hidden=64, stack=[Layers(name="block", count=2, block=block)], positions=16)
    >>> ".".join(next(vision.entries()).path)
    'towers.vision.stem.positions'
    """

    name: str
    hidden: Count
    stem: Annotated[Sequence[Projection], ByName()] = ()
    stack: Annotated[Sequence[Layers], ByName()]
    connector: Annotated[Sequence[Projection], ByName()] = ()
    patch: Count = 1
    merge: Count = 1
    resize: Resize | None = None
    extra: Annotated[int, Field(ge=0)] = 0
    positions: Annotated[int, Field(ge=0)] = 0
    stem_norm: Norm | None = None
    norm: Norm | None = None
    scales: Annotated[int, Field(ge=0)] = 0
    counted: Literal["apart", "with"] = "apart"

    @invariant
    def _consistent(self) -> Self:
        if not self.stack:
            raise SpecError("stack", self.stack, "has no layers", "give at least one Layers(name, count, block)", "empty")
        return self

    def entries(self) -> Iterator[Entry]:
        """The tower's ops with their paths, over its own tokens."""
        # no gradient is needed for the input of a tower
        before: list[Op] = [op for i, each in enumerate(self.stem) for op in each.ops("both" if i else "weight")]
        if self.positions:
            before.append(Lookup(name="positions", rows=self.positions, width=self.hidden, role="position"))
        if self.extra or self.scales:
            before.append(Stream(name="learned", params=self.extra * self.hidden + self.scales, role="bias"))
        if self.stem_norm is not None:
            before.append(norm("norm", self.hidden, self.stem_norm))
        patches = f"{self.name}.{PATCHES}"
        yield from place(before, "towers", self.name, "stem", count=1, over=patches)
        for kind in self.stack:
            yield from kind.block.entries(self.hidden, "towers", self.name, kind.name, count=kind.count, over=self.name)
        after: list[Op] = [] if self.norm is None else [norm("norm", self.hidden, self.norm)]
        after += [op for projection in self.connector for op in projection.ops()]
        yield from place(after, "towers", self.name, "connector", count=1, over=patches)


class TowerInput(Spec):
    """The input of a tower in one sequence: pictures of one size.

    Args:
        name: name of the tower.
        pictures: number of pictures per sequence; each tile of an image is a picture.
        height, width: size of a picture [patch].
        extra: tokens that the tower adds to each picture.
        merged: tokens of the text model per picture [token].
        seq_len: tokens of the sequence; None if unknown, in which case seconds and bytes can't be computed [token].
    """

    name: str
    pictures: Annotated[float, Field(ge=0)]
    height: Count
    width: Count
    extra: Annotated[int, Field(ge=0)] = 0
    merged: Annotated[float, Field(ge=0)] = 0.0
    seq_len: Annotated[float, Field(ge=1)] | None = None

    @invariant
    def _consistent(self) -> Self:
        if self.seq_len is not None and self.pictures * self.merged > self.seq_len:
            rule = f"become {self.pictures * self.merged:g} tokens, more than the sequence's {self.seq_len:g}"
            raise SpecError("images", self.pictures, rule, "give fewer or smaller images, or a longer sequence", "conflict")
        return self

    def keys(self, mask: Mask) -> float:
        """Mean number of keys that a token of the tower attends to."""
        return keys_on_grid(mask, self.height, self.width, self.extra)

    def token_counts(self) -> dict[str, TowerTokens]:
        """The tokens of the tower, and those that are patches, in the form that the op table takes."""
        patches = self.pictures * self.height * self.width
        tokens = patches + self.pictures * self.extra
        return {
            self.name: TowerTokens(tokens, self.keys, self.seq_len),
            f"{self.name}.{PATCHES}": TowerTokens(patches, self.keys, self.seq_len),
        }


def tower_input(tower: Tower, images: float, resolution: tuple[int, int], seq_len: float | None = None) -> TowerInput:
    """The pictures that a tower encodes for some images per sequence, by its processor's rule.

    Args:
        tower: the tower.
        images: per sequence.
        resolution: height and width of each [pixel].
        seq_len: tokens of the sequence, including those of the images; None if unknown [token].

    Raises:
        SpecError: a tower that takes no images, an invalid resolution, or images of more tokens than the sequence has.
    """
    if tower.resize is None:
        raise SpecError(
            "images", images, f"are not an input of tower {tower.name!r}", "give images to a tower with a resize rule", "unsupported"
        )
    grid = grid_of(tower.resize, resolution, tower.patch, tower.merge)
    merged = (grid.height // tower.merge) * (grid.width // tower.merge)
    pictures, extra = images * grid.tiles, tower.extra
    return TowerInput(
        name=tower.name, pictures=pictures, height=grid.height, width=grid.width, extra=extra, merged=float(merged), seq_len=seq_len
    )
