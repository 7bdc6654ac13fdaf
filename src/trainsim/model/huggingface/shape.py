"""A family of models as data: a row of renamed keys, class defaults, and switches for the differences between families."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import Field

from ...core.errors import SpecError
from ...core.spec import AsTuple, Spec
from ...core.tables import Tables
from ...core.values import frozen
from ..attention.base import Attention
from ..attention.cross import IdleCrossAttention
from ..attention.grouped_query import GroupedQueryAttention
from ..feedforward import FeedForward
from ..layers import Block, Layers, Norm, stack_of
from ..mixers.parallel import ParallelMixers
from ..transformer import Model, MultiTokenPrediction
from .config import Config
from .shape_attention import AttentionShape, Grouped, Switch
from .shape_ends import EmbeddingShape, HeadShape
from .shape_feedforward import ChannelShape, Experts, Gated
from .shape_layers import FULL, SLIDING, ExpertPattern, MixerPattern, Window

Names = Annotated[tuple[str, ...], AsTuple]


class FamilyShape(Spec):
    """One family of models: the keys by which its configs describe each part.

    In a field, a text is a key of the config; true, false and numbers are constants.

    Args:
        source: where the architecture is described.
        keys: name used in this row → the name that the family's files give it.
        defaults: defaults for keys that a file leaves out, in addition to those of the recorded class.
        defaults_of: the type whose recorded class is used in place of an unrecorded one.
        ignore: keys that change neither parameters nor FLOPs.
        noted: key that the class ignores → note made if a file gives the key.
        same: key → another key whose value it must equal, if a file gives it.
        fixed: key → the values that are supported; other values are refused.
        attention, mixers: the mixer of full-attention layers, and kind of layer → mixer for other kinds.
        cross: a cross-attention with the same heads and biases, without an encoder.
        cross_width: key of the width of that encoder's outputs; "" for the hidden size.
        window, kinds: the sliding window, and which layers have which kind.
        mlp, experts, sparse: the dense feed-forward, the experts, and which layers have them.
        per_layer: key → key of a list that holds its value for each layer.
        norms: the norms of a block.
        norms_if, norms_unless: key → norms added if the key is true, and if it is false.
        sparse_norms: additional norms in layers with experts.
        first_norms: the norms of the first layer, if they differ.
        norm: kind of the norms; with ``norm_bias`` false, LayerNorm has no bias.
        embedding, head: the parts before and after the layers.
        decoder: the key of a flag that makes attention causal; "" if it always is.
        encoder: the key of a flag that makes attention bidirectional.
        mtp: whether multi-token-prediction modules have the structure of DeepSeek-V3's; others are left out, with a note.

    >>> FamilyShape(source="arXiv:2302.13971", attention=Grouped(bias="attention_bias")).norm
    'rms'
    """

    source: str
    keys: dict[str, str] = Field(default_factory=dict)
    defaults: dict[str, Any] = Field(default_factory=dict)
    defaults_of: str | None = None
    ignore: Names = ()
    same: dict[str, str] = Field(default_factory=dict)
    noted: dict[str, str] = Field(default_factory=dict)
    fixed: dict[str, Any] = Field(default_factory=dict)
    attention: AttentionShape = Grouped()
    mixers: dict[str, AttentionShape] = Field(default_factory=dict)
    cross: Literal["none", "idle"] = "none"
    cross_width: str = ""
    window: Window | None = None
    kinds: MixerPattern = MixerPattern()
    mlp: ChannelShape = Gated()
    experts: Experts | None = None
    sparse: ExpertPattern = ExpertPattern()
    per_layer: dict[str, str] = Field(default_factory=dict)
    norms: Names = ("attention", "ffn")
    sparse_norms: Names = ()
    first_norms: Names | None = None
    norms_if: dict[str, Any] = Field(default_factory=dict)
    norms_unless: dict[str, Any] = Field(default_factory=dict)
    norm: Norm = "rms"
    norm_bias: Switch = True
    embedding: EmbeddingShape = EmbeddingShape()
    head: HeadShape = HeadShape()
    decoder: str = ""
    encoder: str = ""
    mtp: Literal["as-deepseek", "left-out"] = "left-out"

    def read(self, c: Config) -> Model:
        """The model that a config of this family describes."""
        layers = c.layers("num_hidden_layers")
        if (self.decoder and not c.flag(self.decoder)) or (self.encoder and c.flag(self.encoder)):
            c.causal = False
        for key, other in self.same.items():
            c.fixed(key, c.value(other))
        for key, text in self.noted.items():
            if c.has(key):
                c.note(f"{key}: {text}")
        for key, allowed in self.fixed.items():
            c.fixed(key, *(allowed if isinstance(allowed, tuple) else [allowed]))
        stack = self._stack(c, self._mixers(c, layers), self._channels(c, layers))
        c.ignore(*self.ignore)
        norm = self._norm(c)
        return Model(
            hidden=c.size("hidden_size"),
            vocab=c.size("vocab_size"),
            stack=stack,
            head=self.head.read(c, norm),
            embedding=self.embedding.read(c, norm),
            mtp=self._prediction(c, stack),
        )

    def _mixers(self, c: Config, layers: int) -> list[tuple[str, Attention]]:
        """The mixer of each layer with its label: "" for full attention."""
        width = self.window.width(c) if self.window else None
        words = self.kinds.of(c, layers, frozenset(self.mixers), width)
        if SLIDING in words and width is None:
            key = self.window.size if self.window else "sliding_window"
            raise c.fail(self.kinds.key, f"contains {SLIDING}, which needs {key}", f"give {key} as a positive integer")
        read: dict[tuple[str, str], Attention] = {}
        found = []
        for word, changes in zip(words, c.per_layer_changes(self.per_layer, layers), strict=True):
            kind = (word, repr(sorted(changes.items())))
            if kind not in read:
                mixer = self.mixers.get(word, self.attention).read(c.changed(changes))
                mixer = mixer.replace({"window": width}) if word == SLIDING else mixer
                read[kind] = mixer if self.cross == "none" else _with_idle_cross(c, mixer, self.cross_width)
            label = {FULL: "", SLIDING: "sliding"}.get(word, word.removesuffix("_attention").replace("_", "-"))
            found.append((label, read[kind]))
        return found

    def _channels(self, c: Config, layers: int) -> list[tuple[str, FeedForward]]:
        """The feed-forward of each layer with its label: dense or moe."""
        if self.experts is None:
            return [("dense", self.mlp.read(c))] * layers
        sparse = self.sparse.of(c, layers)
        if not all(sparse):
            dense = self.mlp.read(c)
        else:
            c.ignore(self.mlp.width)
        experts = self.experts.read(c)
        return [("moe", experts) if has else ("dense", dense) for has in sparse]

    def _stack(self, c: Config, mixers: list[tuple[str, Attention]], channels: list[tuple[str, FeedForward]]) -> tuple[Layers, ...]:
        """The stack. Kinds are named by their labels (dense, moe, sliding, sliding-moe); a second kind of the same label gets a number."""
        asked = [(key, names, True) for key, names in self.norms_if.items()] + [
            (key, names, False) for key, names in self.norms_unless.items()
        ]
        more = tuple(name for key, names, value in asked if c.flag(key) == value for name in names)
        norm = self._norm(c)
        names: dict[Block, str] = {}
        kinds = []
        for i, ((mixer, attention), (channel, ffn)) in enumerate(zip(mixers, channels, strict=True)):
            first = i == 0 and self.first_norms is not None
            norms = self.first_norms or () if first else self.norms
            norms = (*norms, *more, *(self.sparse_norms if channel == "moe" else ()))
            block = Block(attention=attention, ffn=ffn, norms=norms, norm=norm)
            if block not in names:
                name = "-".join(word for word in (mixer, channel if channel != "dense" or not mixer else "") if word)
                alike = sum(1 for taken in names.values() if taken == name or taken.startswith(f"{name}-no"))
                names[block] = f"{name}-no{alike + 1}" if alike else name
            kinds.append((names[block], block))
        return stack_of(kinds)

    def _norm(self, c: Config) -> Norm:
        return "layer-no-bias" if self.norm == "layer" and not c.switch(self.norm_bias) else self.norm

    def _prediction(self, c: Config, stack: tuple[Layers, ...]) -> MultiTokenPrediction | None:
        """Multi-token-prediction modules with a block like the last layer's."""
        depth = c.count("num_nextn_predict_layers")
        if not depth:
            return None
        if self.mtp == "left-out":
            c.note(f"{depth} multi-token-prediction modules are left out: this family's are not mapped")
            return None
        ends = [max(kind.positions, default=-1) for kind in stack]
        last = stack[ends.index(max(ends)) if max(ends) >= 0 else -1]
        return MultiTokenPrediction(depth=depth, block=last.block)


def _with_idle_cross(c: Config, mixer: Attention, width: str) -> Attention:
    c.note("cross-attention is stored and idle: no encoder feeds this decoder")
    if not isinstance(mixer, GroupedQueryAttention):
        raise SpecError(
            "cross", type(mixer).__name__, "can only be combined with grouped-query attention", "leave cross out", "unsupported"
        )
    biases = tuple(b for b in mixer.biases if b != "gate")
    source = c.size_or_none(width) if width else None
    cross = IdleCrossAttention(heads=mixer.heads, head_dim=mixer.head_dim, source_width=source, biases=biases)
    return ParallelMixers(mixers=(mixer, cross))


def check_rows(rows: Mapping[str, Any], name: str) -> None:
    """Refuse rows that are not one table per ``model_type``.

    Raises:
        SpecError: something that is not a table.
    """
    for kind, given in rows.items():
        if not isinstance(given, dict):
            raise SpecError(f"{name}.{kind}", given, "is not a table", f"write [{kind}] and its fields below", "wrong-type")


def family_of(kind: str, rows: Mapping[str, Mapping[str, Any]], seen: tuple[str, ...] = ()) -> FamilyShape:
    """The family of a row; a row with ``like`` inherits from another row.

    Raises:
        SpecError: an unknown field, or ``like`` naming an unknown row or the row itself.
    """
    try:
        return FamilyShape(**_whole(kind, rows, seen))
    except SpecError as error:
        raise error.under(kind) from None


def _whole(kind: str, rows: Mapping[str, Mapping[str, Any]], seen: tuple[str, ...]) -> dict[str, Any]:
    """A row merged with the row that it inherits from."""
    table = dict(rows[kind])
    like = table.pop("like", None)
    if like is None:
        return _merged(_KINDS, table)
    if like not in rows or like in seen:
        rule = "inherits from itself" if like in seen else "is not a family"
        raise SpecError("like", like, rule, f"families: {', '.join(sorted(rows))[:200]}", "unknown-name")
    return _merged(_whole(like, rows, (*seen, kind)), table)


_KINDS: dict[str, Any] = {"attention": {"kind": "Grouped"}, "mlp": {"kind": "Gated"}}
"""Default kinds of the parts of a row."""


def _merged(base: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a table into a base: inner tables of the same kind are merged, all other values are replaced."""
    made = dict(base)
    for key, value in table.items():
        below = made.get(key)
        same = isinstance(value, dict) and isinstance(below, dict) and value.get("kind", below.get("kind")) == below.get("kind")
        made[key] = _merged(below or {}, value) if same else value
    return made


@lru_cache(maxsize=1)
def family_rows() -> Mapping[str, Mapping[str, Any]]:
    """Every family that is a row, by ``model_type``."""
    found = sorted(files(__package__ or "").joinpath("families").iterdir(), key=lambda file: file.name)
    texts = [file.read_text(encoding="utf-8") for file in found if file.name.endswith(".toml")]
    return Tables("\n".join(texts), lambda _, row: frozen(row), "families", None)
