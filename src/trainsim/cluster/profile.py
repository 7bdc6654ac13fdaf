"""A profile of measured kernels as a Stack: the forms of :mod:`~trainsim.cluster.kernels`, fitted by least squares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from ..core.errors import EstimateError
from ..core.units import Num
from .hardware import Chip
from .kernels import fused_attention_seconds, product_seconds
from .stack import Stack

Array = NDArray[np.float64]
BYTES = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0}
"""Of an operand's element; results are written in two."""


@dataclass(frozen=True, eq=False)
class Products:
    """Measured matrix products: ``groups`` of ``rows × depth`` by ``depth × cols`` in one launch, and their seconds [s].

    Each ``(n,)``; ``(n, 1)`` beside draws.
    """

    number_format: str
    rows: Array
    cols: Array
    depth: Array
    groups: Array
    seconds: Array

    def modelled(self, chip: Chip, share: Num, stack: Stack) -> Array:
        """Seconds by the roofline, at a share of the peak [s]."""
        peak, size = chip.peak_of(self.number_format), BYTES[self.number_format]
        made = product_seconds(
            self.rows, self.cols, self.depth, self.groups, peak, share, chip.memory_bandwidth, stack, element_bytes=size, output_bytes=2.0
        )
        return np.asarray(made, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class AttentionTiming:
    """Measured fused causal attention, each ``(n,)``; ``backward`` is 1 for a backward pass, 0 for a forward pass; seconds [s]."""

    tokens: Array
    heads: Array
    width: Array
    length: Array
    backward: Array
    seconds: Array

    def modelled(self, chip: Chip, stack: Stack) -> Array:
        """Seconds by the ramps of head width and length [s]."""
        keys = (self.length + 1.0) / 2.0
        shape = (self.tokens, self.heads, self.width, keys, self.length)
        return np.asarray(fused_attention_seconds(*shape, chip.peak_of("bf16"), stack, backward=self.backward), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Profile:
    """What was measured on one accelerator.

    Args:
        chip: its data sheet.
        products: single and grouped products, by number format.
        attention: fused attention; None where it was not measured.
        moved, copied: bytes read and written by large copies [B], and their seconds [s]; empty where they were not measured.
        launch: seconds to launch a kernel that does nothing [s]; None where it was not measured.
    """

    chip: Chip
    products: tuple[Products, ...]
    attention: AttentionTiming | None
    moved: Array
    copied: Array
    launch: float | None


@dataclass(frozen=True, eq=False)
class Fitted:
    """A stack with its measured numbers, and the median relative error of each kind of kernel under it."""

    stack: Stack
    errors: Mapping[str, float]


def fit_stack(profile: Profile, base: Stack) -> Fitted:
    """The stack whose kernels take the seconds measured, as nearly as its forms allow.

    Memory's share is the geometric mean of the copies'. Products: ``Σ (log t_model − log t_measured)²`` over the share of each
    number format, the depth at half speed, the weight of the last wave and, where there are groups, what they reach of single
    products. Attention: the same over both shares and both ramps.

    Args:
        profile: measurements.
        base: gives what is not measured: tiles, exchanges, overlap, optimizer.

    Returns:
        the stack, its fitted numbers tagged "measured", and the median error left by kind of kernel.

    Raises:
        EstimateError: too few measurements to tell the numbers apart.

    Source: ordinary least squares in the logarithm, from several starts.
    """
    fields: dict[str, float] = {} if profile.launch is None else {"launch": profile.launch}
    if len(profile.moved):
        reached = np.log(profile.moved / (profile.chip.memory_bandwidth * profile.copied))
        fields["memory"] = min(float(np.exp(np.mean(reached))), 1.0)
    stack = base.replace(dict(fields))
    errors: dict[str, float] = {}
    if profile.products:
        found = _fit_products(profile, stack)
        fields |= found
        stack = stack.replace(found)
        for each in profile.products:
            share = float(stack.share(each.number_format)) * np.where(each.groups > 1, stack.grouped, 1.0)
            errors[f"products {each.number_format}"] = _median_error(each.modelled(profile.chip, share, stack), each.seconds)
    if profile.attention is not None:
        found = _fit_attention(profile.chip, profile.attention, stack)
        fields |= found
        stack = stack.replace(found)
        errors["attention"] = _median_error(profile.attention.modelled(profile.chip, stack), profile.attention.seconds)
    if len(profile.moved):
        errors["copies"] = _median_error(profile.moved / (fields["memory"] * profile.chip.memory_bandwidth), profile.copied)
    return Fitted(stack.replace({"tags": {**stack.tags, **dict.fromkeys(fields, "measured")}}), errors)


def _median_error(modelled: Array, measured: Array) -> float:
    return float(np.median(np.abs(modelled / measured - 1.0)))


def _fit_products(profile: Profile, stack: Stack) -> dict[str, float]:
    """Shares by number format, half depth, wave, and grouped where groups were measured."""
    field = {"bf16": "bf16", "fp16": "bf16", "fp8": "fp8"}
    names = list(dict.fromkeys(field[each.number_format] for each in profile.products))
    grouped = any(np.any(each.groups > 1) for each in profile.products)
    names += ["half_depth", "wave", *(["grouped"] if grouped else [])]

    def residuals(numbers: Mapping[str, float]) -> Array:
        tried = stack.replace(dict(numbers))
        parts = []
        for each in profile.products:
            share = numbers[field[each.number_format]] * np.where(each.groups > 1, numbers.get("grouped", 1.0), 1.0)
            parts.append(np.log(each.modelled(profile.chip, share, tried) / each.seconds))
        return np.concatenate(parts)

    return _least_squares(residuals, names)


def _fit_attention(chip: Chip, attention: AttentionTiming, stack: Stack) -> dict[str, float]:
    """Shares forward and backward, and the ramps that the measured widths and lengths can tell."""
    names = ["attention_forward"]
    names += ["attention_backward"] if np.any(attention.backward > 0) else []
    names += ["half_head"] if len(np.unique(attention.width)) > 1 else []
    names += ["half_length"] if len(np.unique(attention.length)) > 1 else []

    def residuals(numbers: Mapping[str, float]) -> Array:
        return np.log(attention.modelled(chip, stack.replace(dict(numbers))) / attention.seconds)

    return _least_squares(residuals, names)


SCALES = {"half_depth": 300.0, "half_head": 40.0, "half_length": 300.0}
"""Where the search for a positive number starts; shares start between 0 and 1."""
STARTS = (-1.0, 0.0, 1.5)


def _least_squares(residuals: Callable[[Mapping[str, float]], Array], names: list[str]) -> dict[str, float]:
    """The numbers of least squared residuals: shares through the logistic function, the rest through the exponential."""
    from scipy.optimize import least_squares

    def numbers(point: Array) -> dict[str, float]:
        return {n: float(SCALES[n] * np.exp(x)) if n in SCALES else float(expit(x)) for n, x in zip(names, point, strict=True)}

    if len(residuals(numbers(np.zeros(len(names))))) < len(names):
        raise EstimateError("profile", len(names), "numbers from fewer measurements", "measure more shapes", "too-few-data")
    limits = np.array([8.0 if name in SCALES else float(logit(1 - 1e-6)) for name in names])

    def left(point: Array) -> Array:
        return residuals(numbers(point))

    fits = [least_squares(left, np.full(len(names), start), bounds=(-limits, limits), x_scale="jac") for start in STARTS]
    return numbers(min(fits, key=lambda fit: float(fit.cost)).x)
