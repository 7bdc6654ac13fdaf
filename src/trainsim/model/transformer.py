"""A model: kinds of layers with their counts between embedding and head, with multi-token-prediction modules and towers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, repeat
from typing import Annotated, Literal, Self

from pydantic import Field

from ..core.by_name import ByName
from ..core.errors import SpecError
from ..core.spec import AsTuple, Count, Spec, invariant
from .feedforward import MixtureOfExperts
from .layers import MAX_LAYERS, Block, Layers, Norm, norm
from .ops import Entry, Lookup, MatMul, Op, OpTable, Stream, compile_ops, place
from .towers import Tower, TowerInput, tower_input
from .trainable import Adapters, Base, adapt, freeze, with_gradients


class Embedding(Spec):
    """The embedding, which turns tokens into the residual stream.

    Args:
        width: width of the table if it is not the hidden size; a projection then follows (OPT-350m).
        patch: elements of a patch, which a product turns into a vector in place of a table (image encoders); 0 for tokens.
        patch_share: share of the sequence that is patches; the rest are learned tokens.
        patch_bias: a bias of that product.
        learned: other learned elements (tokens before the patches).
        extra_rows: rows of the table beyond the vocabulary of the head.
        positions: learned positions, rows of a second table; 0 for none (rotary, ALiBi).
        position_width: width of that table; None for the hidden size.
        segments: learned kinds of segment, rows of a third table (BERT); 0 for none.
        norm: a norm on the embeddings, before a projection (BLOOM, ELECTRA); None for none.
        project: whether a projection to the hidden size follows if the width differs, or always (RemBERT).
        project_bias: a bias of the projection.
        layer_rows, layer_width: rows, and elements per row, of a table whose rows have a vector for every layer (Gemma 3n); 0 for none.
        layer_norm: elements of the norm on those vectors.
        streams: number of residual streams; a product computes each but the first (AltUp); 1 in every other model.

    >>> [entry.op.name for entry in Embedding(positions=512, norm="layer").entries(vocab=1000, hidden=64)]
    ['tokens', 'positions', 'norm']
    """

    width: Count | None = None
    patch: Annotated[int, Field(ge=0)] = 0
    patch_share: Annotated[float, Field(gt=0, le=1)] = (
        1.0  # a plain number, not a Num that beliefs can change: FLOPs are counted once per model and cached
    )
    patch_bias: Literal["none", "hidden"] = "none"
    learned: Annotated[int, Field(ge=0)] = 0
    extra_rows: int = 0
    positions: int = 0
    position_width: Count | None = None
    segments: int = 0
    norm: Norm | None = None
    project: Literal["where-it-differs", "always"] = "where-it-differs"
    project_bias: Literal["none", "hidden"] = "none"
    layer_rows: int = 0
    layer_width: int = 0
    layer_norm: int = 0
    streams: Count = 1

    def entries(self, vocab: int, hidden: int) -> Iterator[Entry]:
        """Tables, norm, projection."""
        width = self.width or hidden
        ops: list[Op] = [self._input(vocab, width)]
        if self.learned:
            ops.append(Stream(name="learned", params=self.learned, role="bias"))
        if self.positions:
            ops.append(Lookup(name="positions", rows=self.positions, width=self.position_width or hidden, role="position"))
        if self.segments:
            ops.append(Lookup(name="segments", rows=self.segments, width=width, role="position"))
        if self.norm is not None:
            ops.append(norm("norm", width, self.norm))
        if self.project == "always" or width != hidden:
            ops.append(MatMul(name="project", inner=width, cols=hidden, bias=hidden * (self.project_bias == "hidden")))
        if self.layer_width:
            ops.append(Lookup(name="layers", rows=self.layer_rows, width=self.layer_width))
            ops.append(MatMul(name="layers_project", inner=hidden, cols=self.layer_width, saved=hidden))
            moved = float(self.layer_width)
            ops.append(Stream(name="layers_norm", params=self.layer_norm, read=moved, written=moved, saved=moved))
        if self.streams > 1:
            ops.append(MatMul(name="streams", inner=hidden, cols=hidden * (self.streams - 1)))
        yield from place(ops, "embedding", count=1)

    def _input(self, vocab: int, width: int) -> Op:
        """The table of tokens, or the product of patches, whose input needs no gradient."""
        if not self.patch:
            return Lookup(name="tokens", rows=vocab + self.extra_rows, width=width)
        bias, share = width * (self.patch_bias == "hidden"), self.patch_share
        saved = share * self.patch
        return MatMul(name="patches", inner=self.patch, cols=width, rows=share, bias=bias, saved=saved, gradients="weight")


class Head(Spec):
    """The head, which turns the residual stream into logits.

    Args:
        weights: whether the head has a matrix, shares that of the embedding ("tied"), or does not exist ("none": embedding models).
        outputs: number of scores in place of a vocabulary (classifiers, reward models); None for one logit per word.
        norm: the final norm; None for none.
        bias: a bias per output; "twice" if the class stores a second one that it never adds (an untied BERT).
        width: width of the head's input if it is not the hidden size; a projection then comes first (OPT-350m).
        transform: a dense layer, an activation and a norm before the logits (BERT), in place of that projection.
        transform_bias: a bias of the dense layer.
        streams: number of residual streams that the head reads.
        merge: how several streams become one: each but the first through its own matrix (AltUp), or weighted by one product of all streams
            (hyper-connections).

    >>> [entry.op.name for entry in Head(weights="tied").entries(vocab=1000, hidden=64)]
    ['norm', 'logits']
    """

    weights: Literal["own", "tied", "none"] = "own"
    outputs: Count | None = None
    norm: Norm | None = "rms"
    bias: Literal["none", "vocab", "twice"] = "none"
    width: Count | None = None
    transform: Norm | None = None
    transform_bias: Literal["none", "width"] = "width"
    streams: Count = 1
    merge: Literal["products", "weights"] = "products"

    def entries(self, vocab: int, hidden: int) -> Iterator[Entry]:
        """Merge of the streams, final norm, projection or transform, logits."""
        width = self.width or hidden
        ops: list[Op] = list(self._merged(hidden)) if self.streams > 1 else []
        ops += [norm("norm", hidden, self.norm)] if self.norm is not None else []
        if self.transform is not None:
            bias = width * (self.transform_bias == "width")
            ops.append(MatMul(name="transform", inner=hidden, cols=width, bias=bias, saved=hidden))
            ops.append(norm("transform_norm", width, self.transform))
        elif width != hidden:
            ops.append(MatMul(name="project", inner=hidden, cols=width))
        outputs = self.outputs or vocab
        if self.weights != "none":
            biases = {"none": 0, "vocab": 1, "twice": 2}[self.bias]
            ops.append(_logits(width, outputs, bias=outputs * biases, tied=self.weights == "tied"))
        yield from place(ops, "head", count=1)

    def _merged(self, hidden: int) -> Iterator[Op]:
        n = self.streams
        if self.merge == "products":
            yield MatMul(name="streams", inner=hidden, cols=hidden * (n - 1), saved=(n - 1) * hidden)
        else:
            yield MatMul(name="streams", inner=n * hidden, cols=n, bias=n, saved=n * hidden)
            yield Stream(name="streams_scale", params=1, role="bias", read=n * hidden, written=hidden)


def _logits(width: int, vocab: int, *, bias: int = 0, tied: bool) -> MatMul:
    return MatMul(name="logits", inner=width, cols=vocab, axes=("hidden", "vocab"), role="head", bias=bias, tied=tied, saved=width)


class MultiTokenPrediction(Spec):
    """Modules that predict additional tokens, one after another (DeepSeek-V3, arXiv:2412.19437, section 2.2, eq. 21-24).

    Each module has two norms, a ``2h → h`` projection, a block and a final norm; it shares the embedding and the head of the model.

    Args:
        depth: number of modules; each predicts one more token.
        block: the layer inside each module.

    >>> from trainsim.model.attention.grouped_query import GroupedQueryAttention
    >>> from trainsim.model.feedforward import GatedMLP
    >>> block = Block(attention=GroupedQueryAttention(heads=4, kv_heads=4, head_dim=16), ffn=GatedMLP(width=160))
    >>> [entry.op.name for entry in MultiTokenPrediction(depth=1, block=block).entries(vocab=1000, hidden=64)][:4]
    ['tokens', 'norms.embedding', 'norms.hidden', 'projection']
    """

    depth: Annotated[int, Field(gt=0, le=64)]
    block: Block

    def entries(self, vocab: int, hidden: int) -> Iterator[Entry]:
        """The modules' ops, all under ``mtp``."""
        kind = self.block.norm
        yield from place([Lookup(name="tokens", rows=vocab, width=hidden, tied=True)], "mtp", "embedding", count=self.depth, mtp=True)
        ops: list[Op] = [
            norm("norms.embedding", hidden, kind),
            norm("norms.hidden", hidden, kind),
            MatMul(name="projection", inner=2 * hidden, cols=hidden, saved=2 * hidden),
        ]
        yield from place(ops, "mtp", count=self.depth, mtp=True)
        yield from self.block.entries(hidden, "mtp", "block", count=self.depth, mtp="mtp")
        yield from place([norm("norms.head", hidden, kind), _logits(hidden, vocab, tied=True)], "mtp", "head", count=self.depth, mtp=True)


class Model(Spec):
    """A model: a stack of layers between an embedding and a head.

    Args:
        name: its name in answers and errors.
        hidden: width of the residual stream.
        vocab: rows of the embedding and of the head.
        stack: kinds of layers in order, each a name, a count and a block.
        embedding, head: the parts before and after the layers.
        mtp: multi-token-prediction modules; None for none.
        towers: encoders whose outputs enter the sequence.
        shown: input of the towers in one sequence; a tower without input has parameters and no FLOPs.
        frozen: sections of paths whose ops are not trained: ("towers.vision",), ("embedding", "experts").
        adapters: low-rank pairs, which alone are trained; None for none.
        base: format of the weights of frozen linear products; None for the working copy of the plan's precision.
        quantization_block: side of the square blocks whose scales a quantised release stores beside the weights; None for none.
        notes: assumptions made when the config was read.

    Raises:
        SpecError: a missing or absurd size, or positions that don't cover the stack.

    >>> from trainsim.model.attention.grouped_query import GroupedQueryAttention
    >>> from trainsim.model.feedforward import GatedMLP
    >>> block = Block(attention=GroupedQueryAttention(heads=4, kv_heads=4, head_dim=32), ffn=GatedMLP(width=320))
    >>> Model(hidden=128, vocab=1000, stack=[Layers(name="dense", count=3, block=block)]).layers
    3
    """

    name: str = "model"
    hidden: Count
    vocab: Count
    stack: Annotated[Sequence[Layers], ByName()]
    embedding: Embedding = Embedding()
    head: Head = Head()
    mtp: MultiTokenPrediction | None = None
    towers: Annotated[Sequence[Tower], ByName()] = ()
    shown: Annotated[Sequence[TowerInput], ByName()] = ()
    frozen: Annotated[tuple[str, ...], AsTuple] = ()
    adapters: Adapters | None = None
    base: Base | None = None
    quantization_block: Count | None = None
    notes: Annotated[tuple[str, ...], AsTuple] = ()

    @invariant
    def _consistent(self) -> Self:
        if not self.stack:
            raise SpecError("stack", self.stack, "has no layers", "give at least one Layers(name, count, block)", "empty")
        if self.layers > MAX_LAYERS:
            raise SpecError("stack", self.layers, f"has more than {MAX_LAYERS} layers", "check the layer count", "too-large")
        given = sorted(p for kind in self.stack for p in kind.positions)
        if given and given != list(range(self.layers)):
            raise SpecError(
                "stack",
                f"{len(given)} positions",
                f"does not cover layers 0 to {self.layers - 1} once each",
                "give every kind its positions, or none",
                "conflict",
            )
        if reserved := {kind.name for kind in self.stack} & {"embedding", "head", "mtp", "towers", "forward", "backward"}:
            raise SpecError(
                "stack",
                min(reserved),
                "is the name of another part",
                "give the kind of layer another name: dense, moe, sliding …",
                "duplicate",
            )
        return self

    @property
    def layers(self) -> int:
        """Layers of the main model."""
        return sum(kind.count for kind in self.stack)

    @property
    def is_moe(self) -> bool:
        """Whether any layer of the main model routes tokens to experts."""
        return any(isinstance(kind.block.ffn, MixtureOfExperts) for kind in self.stack)

    @cached_property
    def layout(self) -> tuple[str, ...]:
        """The kind of each layer, first to last."""
        if not any(kind.positions for kind in self.stack):
            return tuple(chain.from_iterable(repeat(kind.name, kind.count) for kind in self.stack))
        placed = {p: kind.name for kind in self.stack for p in kind.positions}
        return tuple(placed[i] for i in range(self.layers))

    @cached_property
    def table(self) -> OpTable:
        """The op table, compiled once."""
        return compile_ops(self._trained(), dict(pair for each in self.shown for pair in each.token_counts().items()))

    def seeing(self, images: float, resolution: tuple[int, int], tower: str = "vision", seq_len: float | None = None) -> Model:
        """The model on sequences that contain images: FLOPs, seconds and bytes of the tower then count.

        Args:
            images: number per sequence; their tokens are part of the sequence.
            resolution: height and width of each image [pixel].
            tower: the tower that encodes them.
            seq_len: tokens of the sequence; None is enough for FLOPs [token].

        Raises:
            SpecError: no such tower, an invalid resolution, or images of more tokens than the sequence has.
        """
        known = {each.name: each for each in self.towers}
        if tower not in known:
            raise SpecError(
                "images", images, f"have no tower {tower!r} to encode them", f"towers: {', '.join(known) or 'none'}", "unknown-name"
            )
        others = tuple(each for each in self.shown if each.name != tower)
        return self.replace({"shown": (*others, tower_input(known[tower], images, resolution, seq_len))})

    def reading(self, source_len: float, tower: str | None = None, seq_len: float | None = None) -> Model:
        """The model whose encoder reads ``source_len`` tokens for each sequence of the decoder.

        Args:
            source_len: tokens that the encoder reads; for audio, the tokens after its convolutions [token].
            tower: the encoder; None for the one tower that takes no images.
            seq_len: tokens of the decoder's sequence; None is enough for FLOPs [token].

        Raises:
            SpecError: no such tower.
        """
        able = [each.name for each in self.towers if (each.resize is None if tower is None else each.name == tower)]
        if len(able) != 1:
            asked = f"no tower {tower!r}" if tower else "no tower, or more than one,"
            raise SpecError("source_len", source_len, f"has {asked} to read it", "give it to an encoder-decoder", "unknown-name")
        others = tuple(each for each in self.shown if each.name != able[0])
        read = TowerInput(name=able[0], pictures=1.0, height=1, width=int(source_len), seq_len=seq_len)
        return self.replace({"shown": (*others, read)})

    def _trained(self) -> Sequence[Entry]:
        """The ops with their paths, each with the gradients that it must compute."""
        entries = list(self._entries())
        if self.adapters is None and not self.frozen:
            return entries
        entries = freeze(entries, self.frozen) if self.adapters is None else adapt(entries, self.adapters)
        return with_gradients(entries, self.base)

    def _entries(self) -> Iterator[Entry]:
        for tower in self.towers:
            yield from tower.entries()
        yield from self.embedding.entries(self.vocab, self.hidden)
        for kind in self.stack:
            yield from kind.block.entries(self.hidden, kind.name, count=kind.count)
        yield from self.head.entries(self.vocab, self.hidden)
        if self.mtp is not None:
            yield from self.mtp.entries(self.vocab, self.hidden)
