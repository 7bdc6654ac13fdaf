"""The kind of every layer of a model, from the keys of its config."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...core.spec import AsTuple, Spec
from .config import Config
from .shape_attention import Size, Switch

FULL, SLIDING = "full_attention", "sliding_attention"


class Window(Spec):
    """Keys that describe the sliding window in a family's configs: the width, and whether the window is used.

    Args:
        size: key of the width [token], which includes the query itself.
        previous: key of the number of tokens before the query; if present, it takes precedence over ``size``.
        divisor, beyond: the window is ``size / divisor + beyond`` keys.
        on: key that switches the window on.
    """

    size: str = "sliding_window"
    previous: str = ""
    divisor: int = 1
    beyond: int = 0
    on: Switch = True

    def width(self, c: Config) -> int | None:
        """Width of the window [token]; None if it is off."""
        if not c.switch(self.on):
            if c.has(self.size):
                c.count(self.size)  # the width is not used, but must still be a number
            return None
        size = c.size_or_none(self.size)
        if self.previous and c.has(self.previous):
            return c.size(self.previous) + 1
        if size is None:
            c.note(f"{self.size} is null: layers have full attention")
        return None if size is None else size // self.divisor + self.beyond


class MixerPattern(Spec):
    """The kind of token mixer of each layer: listed in the config, else given by the pattern of the family's class.

    Args:
        key: key of the list of kinds, one per layer.
        codes: key of a list with 0 for full attention and 1 for the first kind of ``cycle``.
        cycle: kinds of the first layers, repeated to the last layer; empty for full attention in every layer.
        words: kind as the config names it → kind of this library, where they differ.
        every: key of a period [layer]: one layer per period has full attention, the others are of the first kind of ``cycle``.
        at: index of the full-attention layer within a period; None for the last.
        leading, leading_every: keys of the number of leading layers, and of the period of these [layer]; the period of the others starts
            after them.
        first, last: number of layers at the beginning, and at the end, that have full attention.
        since, until: keys of the first layer of the cycle, and of the first layer after it; all other layers have full attention.
    """

    key: str = "layer_types"
    words: dict[str, str] = Field(default_factory=dict)
    codes: str = ""
    cycle: Annotated[tuple[str, ...], AsTuple] = ()
    every: str | None = None
    at: int | None = None
    leading: str | None = None
    leading_every: str | None = None
    first: int = 0
    last: int = 0
    since: str | None = None
    until: str | None = None

    def of(self, c: Config, layers: int, known: frozenset[str], window: int | None) -> list[str]:
        """The kind of each layer."""
        listed = c.words(self.key, sorted(self.words or known | {FULL, SLIDING}), layers)
        if listed:
            c.ignore(*(key for key in (self.every, self.since, self.until, self.codes, self.leading_every) if key))
            return [self.words.get(word, word) for word in listed]
        coded = c.per_layer(self.codes, layers) if self.codes else None
        pattern = [self.cycle[0] if code else FULL for code in coded] if coded else self._pattern(c, layers)
        return [FULL if word == SLIDING and window is None else word for word in pattern]

    def _pattern(self, c: Config, layers: int) -> list[str]:
        lead = min(c.count(self.leading), layers) if self.leading else 0
        words = self._repeated(c, lead, self.leading_every) + self._repeated(c, layers - lead, self.every)
        start = c.count(self.since) if self.since else 0
        end = c.count(self.until) if self.until else layers
        full = {*range(self.first), *range(layers - self.last, layers), *range(start), *range(end, layers)}
        return [FULL if i in full else word for i, word in enumerate(words)]

    def _repeated(self, c: Config, layers: int, period: str | None) -> list[str]:
        """The kinds of consecutive layers, with the period that a key holds."""
        letters = c.value(period) if period is not None else None
        if isinstance(letters, str):  # repeated letters: L for local, G for global (EXAONE 4)
            if not letters or set(letters) - {"L", "G"}:
                raise c.fail(period or "", "is not a pattern of layers", "give letters L and G, or a period", "wrong-type")
            return [FULL if letters[i % len(letters)] == "G" else self.cycle[0] for i in range(layers)]
        if period is None:
            return [self.cycle[i % len(self.cycle)] if self.cycle else FULL for i in range(layers)]
        every = c.optional(period, default=1)
        at = every - 1 if self.at is None else self.at
        return [FULL if i % every == at % every else self.cycle[0] for i in range(layers)]


class ExpertPattern(Spec):
    """The layers whose feed-forward is a mixture of experts.

    Args:
        words: key of a list with ``dense`` or ``sparse`` for each layer.
        codes: key of a list with 0 for dense and 1 for sparse.
        dense: number of dense layers at the beginning, or the key of that number.
        every: a period [layer], or the key of it: one layer per period has experts; None if every layer has.
        at: index of the layer with experts within a period; None for the last.
        spared: key of a list of additional dense layers.
    """

    words: str | None = None
    codes: str | None = None
    dense: Size = 0
    every: Size | None = None
    at: int | None = None
    spared: str | None = None

    def of(self, c: Config, layers: int) -> list[bool]:
        """Whether each layer has experts."""
        listed = c.words(self.words, ("dense", "sparse"), layers) if self.words else None
        dense = c.count(self.dense) if isinstance(self.dense, str) else self.dense
        if isinstance(self.dense, str) and c.has(self.dense):
            c.at_most(self.dense, dense, "num_hidden_layers", layers)
        every = c.optional(self.every, default=1) if isinstance(self.every, str) else self.every or 1
        at = every - 1 if self.at is None else self.at
        spared = set(c.positions(self.spared, layers) or c.default(self.spared) or ()) if self.spared else set()
        if listed is not None:
            return [word == "sparse" for word in listed]
        if self.codes is not None and (coded := c.per_layer(self.codes, layers)):
            return [bool(code) for code in coded]
        return [i >= dense and i % every == at % every and i not in spared for i in range(layers)]
