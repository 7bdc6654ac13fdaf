"""Optimizers: state per parameter, and memory traffic of an update."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import PlainValidator

from ..core.errors import SpecError, did_you_mean
from ..core.family import Family
from ..core.registry import find_member
from ..core.units import Num
from .precision import Precision

SCALE_BLOCK = 256.0
"""Elements that share one FP32 scale in 8-bit states (Dettmers et al. 2022, arXiv:2110.02861, and bitsandbytes)."""
FP32 = 4.0
"""Bytes per element of the gradient that an update reads; narrower gradients are converted first."""


def clipping_traffic(precision: Precision) -> Num:
    """Memory traffic per parameter between the last gradient and the update: conversion to FP32, norm and clipping.

    ``[gradients + 4 if gradients are narrower than FP32] + [8 in FP16, to unscale the loss] + 4 for the norm + 8 for the clip``

    Args:
        precision: the recipe.

    Returns:
        bytes per parameter [B].

    Source: Megatron-LM ``Float16OptimizerWithFloat16Params.step`` and ``clip_grad_norm_fp32``: each step is a separate pass over memory.

    >>> from trainsim.parallelism.precision import recipe_of
    >>> [float(clipping_traffic(recipe_of(name))) for name in ("bf16", "fp16")]
    [12.0, 26.0]
    """
    widened = (precision.gradients < FP32) * (precision.gradients + FP32)
    traffic: Num = np.asarray(widened + {"fp16": 2.0 * FP32}.get(precision.products, 0.0) + 3.0 * FP32)[()]
    return traffic


class Optimizer(Family):
    """Base class of optimizers: state besides weight, gradient and master copy."""

    @abc.abstractmethod
    def moments(self, role: str, precision: Precision) -> Num:
        """Bytes of optimizer state per parameter.

        Args:
            role: the op's role: ``linear``, ``norm``, ``embedding``, ``head`` ….
            precision: the recipe, which gives the width of a moment.

        Returns:
            bytes per parameter [B].
        """

    def traffic(self, role: str, precision: Precision) -> Num:
        """Memory traffic per parameter of an update: gradient read, master and moments read and written, working copy written.

        ``FP32 gradient + 2·(master + moments) + master + working copy``

        Args:
            role, precision: as for :meth:`moments`.

        Returns:
            bytes per parameter [B].

        >>> AdamW().traffic("linear", Precision(name="bf16")), AdamW8bit().traffic("linear", Precision(name="bf16"))
        (34.0, 22.0625)
        """
        traffic: Num = FP32 + 2.0 * self.moments(role, precision) + 3.0 * precision.master + precision.gathered
        return traffic

    def iterations(self, role: str) -> float:
        """Newton-Schulz iterations per update of a matrix; 0 for element-wise optimizers.

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
    """AdamW with 8-bit moments and one scale per block; embeddings have 32-bit moments (arXiv:2110.02861, sections 2.1-2.3).

    >>> AdamW8bit().moments("linear", Precision(name="bf16"))
    2.03125
    """

    def moments(self, role: str, precision: Precision) -> Num:
        """Two one-byte moments, each with its share of a block's scale."""
        return 2.0 * precision.moments if role in {"embedding", "position"} else 2.0 * (1.0 + 4.0 / SCALE_BLOCK)


class Muon(Optimizer):
    """One moment for the matrices of hidden layers, AdamW for embeddings, head, norms and biases (Liu et al. 2025, arXiv:2502.16982).

    Five Newton-Schulz iterations orthogonalise the moment (Jordan 2024, Muon: an optimizer for hidden layers).

    >>> Muon().moments("linear", Precision(name="bf16")), Muon().moments("norm", Precision(name="bf16"))
    (4.0, 8.0)
    """

    def moments(self, role: str, precision: Precision) -> Num:
        """One moment for a matrix of a hidden layer, two for other parameters."""
        return precision.moments if self.iterations(role) else 2.0 * precision.moments

    def iterations(self, role: str) -> float:
        """Five for a matrix of a hidden layer, else 0."""
        return 5.0 if role in {"linear", "router"} else 0.0


class SGD(Optimizer):
    """SGD with momentum (Polyak 1964).

    >>> SGD().moments("linear", Precision(name="bf16"))
    4.0
    """

    def moments(self, role: str, precision: Precision) -> Num:
        """One moment."""
        del role
        return precision.moments


OPTIMIZERS: dict[str, Optimizer] = {"adamw": AdamW(), "adamw-8bit": AdamW8bit(), "muon": Muon(), "sgd": SGD()}
"""Optimizers by name; users may define further ones."""


def optimizer_of(optimizer: Optimizer | str) -> Optimizer:
    """Find an optimizer by name; an optimizer is returned as it is.

    >>> optimizer_of("muon")
    Muon()
    """
    return OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer


def _known(value: Any) -> Any:
    if isinstance(value, str) and value not in OPTIMIZERS:
        raise SpecError("", value, "is not an optimizer", did_you_mean(value, OPTIMIZERS) + "; or pass a ts.Optimizer", "unknown-name")
    if isinstance(value, Mapping):
        return find_member(Optimizer, value.get("kind"), "kind")(**{k: v for k, v in value.items() if k != "kind"})
    return value


OptimizerField = Annotated[Optimizer | str, PlainValidator(_known)]
"""Field type: an optimizer or its name."""
