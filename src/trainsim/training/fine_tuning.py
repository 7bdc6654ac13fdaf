"""What a phase trains: everything, all but frozen parts, or low-rank adapters beside a frozen base."""

from __future__ import annotations

import abc
from typing import Annotated, ClassVar, Literal

from ..core.spec import AsTuple, Count, Family
from ..model.trainable import Adapters, Base
from ..model.transformer import Model


class Trains(Family):
    """What of a model a phase trains."""

    @abc.abstractmethod
    def of(self, model: Model) -> Model:
        """The model with what is frozen, and what is added, marked in its op table.

        Args:
            model: what the run holds.

        Raises:
            SpecError: a name that is no part of the model.
        """


class Frozen(Trains):
    """Some parts keep their weights: no gradient of theirs, no optimizer state, and no backward pass where nothing before them is trained.

    Args:
        parts: stretches of paths: ``("towers.vision",)``, ``("embedding", "experts")``.

    >>> import trainsim as ts
    >>> model = Frozen(("embedding",)).of(ts.catalog.model("llama3-8b"))
    >>> model.table.entries[0].path, model.table.entries[0].trainable
    (('embedding', 'tokens'), False)
    """

    positional: ClassVar[tuple[str, ...]] = ("parts",)
    parts: Annotated[tuple[str, ...], AsTuple]

    def of(self, model: Model) -> Model:
        """The model with the parts frozen."""
        return model.replace({"frozen": tuple(dict.fromkeys((*model.frozen, *self.parts)))})


class LoRA(Trains):
    """Low-rank pairs of matrices are trained beside products that are not (Hu et al. 2021, arXiv:2106.09685).

    A frozen product is multiplied forward and for the gradient of its input, not for one of its weight.

    Args:
        rank: inner width of a pair.
        targets: "linear" for every linear product, or stretches of paths: ``("attention",)``, ``("q", "v")``.
        base: format of the frozen weights of linear products; "nf4" is QLoRA (Dettmers et al. 2023, arXiv:2305.14314); None for the
            working copy of the plan's precision.

    >>> import trainsim as ts
    >>> base = ts.catalog.model("llama3-8b")
    >>> ts.count_params(LoRA(rank=16).of(base)).total - ts.count_params(base).total
    41943040.0
    """

    rank: Count
    targets: Literal["linear"] | Annotated[tuple[str, ...], AsTuple] = "linear"
    base: Base | None = None

    def of(self, model: Model) -> Model:
        """The model with adapters, all else frozen."""
        return model.replace({"adapters": Adapters(rank=self.rank, targets=self.targets), "base": self.base})
