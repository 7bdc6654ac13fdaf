"""Which parameters a phase trains: all, all but frozen parts, or low-rank adapters only."""

from __future__ import annotations

import abc
import re
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator

from ..core.errors import SpecError
from ..core.family import Family
from ..core.spec import AsTuple, Count
from ..model.trainable import Adapters, Base
from ..model.transformer import Model


class Trains(Family):
    """Base class: which parameters of a model a phase trains."""

    @abc.abstractmethod
    def of(self, model: Model) -> Model:
        """The model with frozen parts and adapters marked in its op table.

        Args:
            model: the model of the run.

        Raises:
            SpecError: a name is not a part of the model.
        """


class Frozen(Trains):
    """Freeze some parts: no weight gradients, no optimizer state, and no backward pass if nothing before them is trained.

    Args:
        parts: dotted sections of paths: ``("towers.vision",)``, ``("embedding", "experts")``.

    >>> import trainsim as ts
    >>> model = Frozen(("embedding",)).of(ts.catalog.model("llama3-8b"))
    >>> model.table.entries[0].path, model.table.entries[0].trainable
    (('embedding', 'tokens'), False)
    """

    positional: ClassVar[tuple[str, ...]] = ("parts",)
    parts: Annotated[tuple[str, ...], AsTuple]

    def of(self, model: Model) -> Model:
        """The model with these parts frozen."""
        return model.replace({"frozen": tuple(dict.fromkeys((*model.frozen, *self.parts)))})


class LoRA(Trains):
    """Train low-rank adapters beside frozen products (Hu et al. 2021, arXiv:2106.09685).

    A frozen product runs in the forward pass and for the gradient of its input, but not for that of its weight.

    Args:
        rank: rank of the adapters.
        targets: "linear" for every linear product, or dotted sections of paths: ``("attention",)``, ``("q", "v")``.
        base: format of the frozen weights of linear products; "nf4" is QLoRA (Dettmers et al. 2023, arXiv:2305.14314); None for the
            format of the plan's precision.

    >>> import trainsim as ts
    >>> base = ts.catalog.model("llama3-8b")
    >>> ts.count_params(LoRA(rank=16).of(base)).total - ts.count_params(base).total
    41943040.0
    """

    rank: Count
    targets: Literal["linear"] | Annotated[tuple[str, ...], AsTuple] = "linear"
    base: Base | None = None

    def of(self, model: Model) -> Model:
        """The model with trainable adapters; all its other parameters are frozen."""
        return model.replace({"adapters": Adapters(rank=self.rank, targets=self.targets), "base": self.base})


USUAL_RANK = 16
"""Rank of adapters where none is given (judgement: between the 8 of the LoRA paper's tables and the 64 of QLoRA's)."""


def trains_from(words: str) -> Trains | None:
    """Which parameters are trained, from ``"full"``, ``"lora"``, ``"lora:64"`` or ``"qlora:64"``; None for all.

    Args:
        words: the method, and behind a colon the rank of its adapters, 16 if left out.

    Raises:
        SpecError: another word, or a rank that is no positive whole number.

    >>> print(trains_from("qlora:64"), trains_from("full"))
    rank=64 targets='linear' base='nf4' None
    """
    method, _, rank = words.strip().casefold().partition(":")
    if method == "full" and not rank:
        return None
    if method not in BASES or not re.fullmatch(r"[1-9]\d{0,5}|", rank):
        raise SpecError("", words, "is not a way to fine-tune", "write full, lora:16 or qlora:16", "unknown-name")
    return LoRA(rank=int(rank or USUAL_RANK), base=BASES[method])


BASES: dict[str, Base | None] = {"lora": None, "qlora": "nf4"}
"""Method → format of its frozen weights."""
FROM_WORDS = BeforeValidator(lambda value: trains_from(value) if isinstance(value, str) else value)
"""For a field that also accepts the words of :func:`trains_from`."""
