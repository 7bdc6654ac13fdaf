"""Optimizers: what each keeps for a parameter."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import PlainValidator

from ..core.errors import SpecError, did_you_mean
from ..core.registry import find_member
from ..core.spec import Family
from ..core.units import Num
from .precision import Precision

BLOCK = 256.0
"""Elements that share one FP32 scale in 8-bit states (Dettmers et al. 2022, arXiv:2110.02861, and bitsandbytes)."""


FP32 = 4.0
"""Bytes of an element of the gradient that an update reads, however wide it was summed."""


def clipping_traffic(precision: Precision) -> Num:
    """Memory traffic per parameter between the last gradient and the update: FP32 gradients, their norm, and the clip.

    ``[narrow + 4 where gradients are narrower than FP32] + [8 in FP16, whose loss scale is taken out] + 4 for the norm + 8 for the clip``

    Args:
        precision: the recipe.

    Returns:
        bytes per parameter [B].

    Source: Megatron-LM ``Float16OptimizerWithFloat16Params.step`` and ``clip_grad_norm_fp32``: each is a pass of its own.

    >>> from trainsim.parallelism.precision import recipe_of
    >>> [float(clipping_traffic(recipe_of(name))) for name in ("bf16", "fp16")]
    [12.0, 26.0]
    """
    widened = (precision.gradients < FP32) * (precision.gradients + FP32)
    traffic: Num = np.asarray(widened + {"fp16": 2.0 * FP32}.get(precision.products, 0.0) + 3.0 * FP32)[()]
    return traffic


class Optimizer(Family):
    """What an optimizer keeps beside weight, gradient and master copy."""

    @abc.abstractmethod
    def moments(self, role: str, precision: Precision) -> Num:
        """Bytes of state for one parameter.

        Args:
            role: the op's role: ``linear``, ``norm``, ``embedding``, ``head`` ….
            precision: the recipe; says how wide a moment is.

        Returns:
            bytes per parameter [B].
        """

    def traffic(self, role: str, precision: Precision) -> Num:
        """Memory traffic of one parameter's update: gradient read, master and moments read and written, the master cast to a working copy.

        ``FP32 gradient + 2·(master + moments) + master + working copy``

        Args:
            role, precision: as for :meth:`moments`; the working copy is written as it is gathered.

        Returns:
            bytes per parameter [B].

        >>> AdamW().traffic("linear", Precision(name="bf16")), AdamW8bit().traffic("linear", Precision(name="bf16"))
        (34.0, 22.0625)
        """
        traffic: Num = FP32 + 2.0 * self.moments(role, precision) + 3.0 * precision.master + precision.gathered
        return traffic

    def iterations(self, role: str) -> float:
        """Newton-Schulz iterations that the update of a matrix takes; 0 for an optimizer that works element by element.

        Args:
            role: as for :meth:`moments`.
        """
        del role
        return 0.0


class AdamW(Optimizer):
    """First and second moment of every parameter (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2).

    >>> AdamW().moments("linear", Precision(name="bf16"))
    8.0
    """

    def moments(self, role: str, precision: Precision) -> Num:
        """Two moments."""
        del role
        return 2.0 * precision.moments


class AdamW8bit(Optimizer):
    """AdamW with both moments in 8 bits and a scale to each block; embeddings keep 32 bits (arXiv:2110.02861, sections 2.1-2.3).

    >>> AdamW8bit().moments("linear", Precision(name="bf16"))
    2.03125
    """

    def moments(self, role: str, precision: Precision) -> Num:
        """Two bytes and two shares of a scale."""
        return 2.0 * precision.moments if role in {"embedding", "position"} else 2.0 * (1.0 + 4.0 / BLOCK)


class Muon(Optimizer):
    """One moment for the matrices of hidden layers, AdamW for embeddings, head, norms and biases (Liu et al. 2025, arXiv:2502.16982).

    The moment is made orthogonal by five iterations of Newton and Schulz (Jordan 2024, Muon: an optimizer for hidden layers).

    >>> Muon().moments("linear", Precision(name="bf16")), Muon().moments("norm", Precision(name="bf16"))
    (4.0, 8.0)
    """

    def moments(self, role: str, precision: Precision) -> Num:
        """One moment or two."""
        return precision.moments if self.iterations(role) else 2.0 * precision.moments

    def iterations(self, role: str) -> float:
        """Five for a matrix of a hidden layer."""
        return 5.0 if role in {"linear", "router"} else 0.0


class SGD(Optimizer):
    """Momentum alone (Polyak 1964).

    >>> SGD().moments("linear", Precision(name="bf16"))
    4.0
    """

    def moments(self, role: str, precision: Precision) -> Num:
        """One moment."""
        del role
        return precision.moments


OPTIMIZERS: dict[str, Optimizer] = {"adamw": AdamW(), "adamw-8bit": AdamW8bit(), "muon": Muon(), "sgd": SGD()}
"""Optimizers by name; another one is a member of the user's own."""


def optimizer_of(optimizer: Optimizer | str) -> Optimizer:
    """An optimizer by its name, or the optimizer itself.

    >>> optimizer_of("muon")
    Muon()
    """
    return OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer


def _known(value: Any) -> Any:
    if isinstance(value, str) and value not in OPTIMIZERS:
        raise SpecError(
            "", value, "is no optimizer", did_you_mean(value, OPTIMIZERS) + "; or give a ts.Optimizer of your own", "unknown-name"
        )
    if isinstance(value, Mapping):
        return find_member(Optimizer, value.get("kind"), "kind")(**{k: v for k, v in value.items() if k != "kind"})
    return value


OptimizerField = Annotated[Optimizer | str, PlainValidator(_known)]
"""An optimizer's name, or a member of the user's own."""
