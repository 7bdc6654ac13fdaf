"""Fit a stack to kernel times measured on one accelerator, by least squares on :mod:`~trainsim.cluster.kernels`."""

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
ELEMENT_BYTES = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0}
"""Number format → size of an operand's element [B]; elements of results have two bytes."""


@dataclass(frozen=True, eq=False)
class ProductTimings:
    """Measured times of matrix products: ``groups`` products ``rows × depth`` by ``depth × cols`` in one launch.

    Args:
        number_format: number format of the operands.
        rows, cols, depth: dimensions of each product, ``(n,)``, or ``(n, 1)`` to broadcast against draws [element].
        groups: products in one launch [1].
        seconds: measured time [s].
    """

    number_format: str
    rows: Array
    cols: Array
    depth: Array
    groups: Array
    seconds: Array

    def modelled(self, chip: Chip, share: Num, stack: Stack) -> Array:
        """Modelled times at a share of the peak [s]."""
        peak, size = chip.peak_of(self.number_format), ELEMENT_BYTES[self.number_format]
        made = product_seconds(
            self.rows, self.cols, self.depth, self.groups, peak, share, chip.memory_bandwidth, stack, element_bytes=size, output_bytes=2.0
        )
        return np.asarray(made, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class AttentionTiming:
    """Measured times of fused causal attention, ``(n,)``; ``backward`` is 1 for a backward pass, 0 for a forward pass."""

    tokens: Array
    heads: Array
    width: Array
    length: Array
    backward: Array
    seconds: Array

    def modelled(self, chip: Chip, stack: Stack) -> Array:
        """Modelled times [s]."""
        keys = (self.length + 1.0) / 2.0
        shape = (self.tokens, self.heads, self.width, keys, self.length)
        return np.asarray(fused_attention_seconds(*shape, chip.peak_of("bf16"), stack, backward=self.backward), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class KernelProfile:
    """Kernel times measured on one accelerator.

    Args:
        chip: the accelerator.
        products: single and grouped products, by number format.
        attention: fused attention; None if not measured.
        moved: bytes read and written by large copies; empty if not measured [B].
        copied: their times [s].
        launch: time to launch an empty kernel; None if not measured [s].
    """

    chip: Chip
    products: tuple[ProductTimings, ...]
    attention: AttentionTiming | None
    moved: Array
    copied: Array
    launch: float | None


@dataclass(frozen=True, eq=False)
class FittedStack:
    """A fitted stack, and the median relative error of each kind of kernel."""

    stack: Stack
    errors: Mapping[str, float]


def fit_stack(profile: KernelProfile, base: Stack) -> FittedStack:
    """Fit a stack's numbers to measured kernel times.

    The memory share is the geometric mean over the copies. Products and attention minimise ``Σ (log t_model − log t_measured)²``:
    products over the share of each number format, ``half_depth``, ``wave`` and, if groups were measured, ``grouped``; attention over
    its shares and half-speed sizes.

    Args:
        profile: the measurements.
        base: stack that gives every number that is not measured: tiles, exchanges, overlap, optimizer.

    Returns:
        the stack, with its fitted numbers tagged "measured", and the median relative error by kind of kernel.

    Raises:
        EstimateError: fewer measurements than fitted numbers.

    Source: ordinary least squares in the logarithm, from several starting points.
    """
    fields: dict[str, float] = {} if profile.launch is None else {"launch": profile.launch}
    if len(profile.moved):
        log_shares = np.log(profile.moved / (profile.chip.memory_bandwidth * profile.copied))
        fields["memory"] = min(float(np.exp(np.mean(log_shares))), 1.0)
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
    return FittedStack(stack.replace({"tags": {**stack.tags, **dict.fromkeys(fields, "measured")}}), errors)


def _median_error(modelled: Array, measured: Array) -> float:
    return float(np.median(np.abs(modelled / measured - 1.0)))


def _fit_products(profile: KernelProfile, stack: Stack) -> dict[str, float]:
    """Fit the share of each number format, ``half_depth``, ``wave``, and ``grouped`` if groups were measured."""
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
    """Fit the shares of attention, and its half-speed width and length if several widths and lengths were measured."""
    names = ["attention_forward"]
    names += ["attention_backward"] if np.any(attention.backward > 0) else []
    names += ["half_head"] if len(np.unique(attention.width)) > 1 else []
    names += ["half_length"] if len(np.unique(attention.length)) > 1 else []

    def residuals(numbers: Mapping[str, float]) -> Array:
        return np.log(attention.modelled(chip, stack.replace(dict(numbers))) / attention.seconds)

    return _least_squares(residuals, names)


START_SCALES = {"half_depth": 300.0, "half_head": 40.0, "half_length": 300.0}
"""Starting points of positive numbers; shares start between 0 and 1."""
START_POINTS = (-1.0, 0.0, 1.5)


def _least_squares(residuals: Callable[[Mapping[str, float]], Array], names: list[str]) -> dict[str, float]:
    """Minimise the squared residuals: shares are logistic, other numbers exponential functions of the search variables."""
    from scipy.optimize import least_squares

    def numbers(point: Array) -> dict[str, float]:
        return {n: float(START_SCALES[n] * np.exp(x)) if n in START_SCALES else float(expit(x)) for n, x in zip(names, point, strict=True)}

    if len(residuals(numbers(np.zeros(len(names))))) < len(names):
        measured = len(residuals(numbers(np.zeros(len(names)))))
        raise EstimateError(
            "profile", measured, f"measurements are too few to fit {len(names)} numbers", "measure more shapes", "too-few-data"
        )
    limits = np.array([8.0 if name in START_SCALES else float(logit(1 - 1e-6)) for name in names])

    def log_errors(point: Array) -> Array:
        return residuals(numbers(point))

    fits = [least_squares(log_errors, np.full(len(names), start), bounds=(-limits, limits), x_scale="jac") for start in START_POINTS]
    return numbers(min(fits, key=lambda fit: float(fit.cost)).x)
