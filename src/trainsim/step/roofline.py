"""Roofline of the kernels of a forward pass: arithmetic intensity, achieved rate, and the bound on the rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..cluster.hardware import Chip
from ..cluster.stack import Stack
from ..core.answer import Answer, AnswerRow, Summary
from ..model.documents import document_keys
from ..parallelism.layout import Layout
from ..parallelism.shapes import Shapes
from .host import attention_kernel
from .layers import BF16_BYTES, LayerTimes, gemm_tiles, kernel_formats

NAMED = 3
"""Number of ops of one shape that a label names; the label counts the others."""


@dataclass(frozen=True)
class RooflineKernel:
    """One kernel of the forward pass of a micro-batch.

    Args:
        name: the ops that use it, ``"moe.experts.gate, up"``.
        flop: FLOPs per launch [FLOP].
        moved: minimum of bytes read and written per launch [B].
        seconds: time per launch [s].
        launches: launches per micro-batch, over all layers [1].
        peak: dense peak of the chip in the format of its operands [FLOP/s].
    """

    name: str
    flop: float
    moved: float
    seconds: float
    launches: float
    peak: float

    @property
    def intensity(self) -> float:
        """Arithmetic intensity [FLOP/B]."""
        return self.flop / self.moved

    @property
    def rate(self) -> float:
        """Achieved rate [FLOP/s]."""
        return self.flop / self.seconds

    def roof(self, bandwidth: float) -> float:
        """Bound on the rate: ``min(peak, bandwidth · intensity)`` [FLOP/s]."""
        return min(self.peak, bandwidth * self.intensity)


@dataclass(frozen=True, repr=False)
class Roofline(Answer):
    """The kernels of a forward pass compared with the limits of the chip.

    Args:
        name: name of the run.
        chip: name of the accelerator.
        bandwidth: data-sheet bandwidth of its memory [B/s].
        peaks: number format → dense peak, for the formats that the kernels use [FLOP/s].
        kernels: kernels, those with the longest total time first.

    Source: Williams, Waterman, Patterson 2009 (Commun. ACM 52:65), the roofline.
    """

    name: str
    chip: str
    bandwidth: float
    peaks: Mapping[str, float]
    kernels: tuple[RooflineKernel, ...]

    def share(self, kernel: RooflineKernel) -> float:
        """Share of a kernel in the total time of all kernels [1]."""
        return kernel.seconds * kernel.launches / sum(k.seconds * k.launches for k in self.kernels)

    def summary(self) -> Summary:
        """Every kernel's rate, its share of the peak, and its intensity."""
        rows = []
        for k in self.kernels:
            rows += [
                AnswerRow(f"{k.name}.rate", k.name, k.rate, "FLOP/s", grade=f"{k.rate / k.peak:.0%} of the peak"),
                AnswerRow(f"{k.name}.intensity", k.name, k.intensity, "FLOP/B", group="arithmetic intensity"),
            ]
        return Summary(f"kernels of {self.name or 'a run'} on {self.chip}", tuple(rows))


def roofline_of(name: str, shapes: Shapes, times: LayerTimes, layout: Layout, chip: Chip, stack: Stack) -> Roofline:
    """Roofline of the forward pass of one micro-batch.

    Args:
        name: name of the run.
        shapes: shapes of the model's kernels.
        times: times of the model's layers.
        layout: the layout, with scalar degrees.
        chip, stack: accelerator and software stack.

    Returns:
        products and attention cores, those with the longest total time first.
    """
    found = [*_products(shapes, times, layout, chip, stack), *_cores(shapes, times, layout, chip, stack)]
    kernels = tuple(sorted(found, key=lambda k: -k.seconds * k.launches))
    formats = {"bf16", layout.recipe.products} if shapes.low_precision.any() else {"bf16"}
    peaks = {word: float(np.max(chip.peak_of(word))) for word in sorted(formats)}
    used = {k.peak for k in kernels}
    return Roofline(name, chip.name, float(np.max(chip.memory_bandwidth)), {w: p for w, p in peaks.items() if p in used}, kernels)


def _products(shapes: Shapes, times: LayerTimes, layout: Layout, chip: Chip, stack: Stack) -> Iterator[RooflineKernel]:
    tiles = gemm_tiles(shapes, layout, stack)
    peak, _, size = kernel_formats(shapes, layout, chip, stack)
    columns = (tiles.rows, tiles.inner, tiles.cols, tiles.groups, peak, size, times.products[0])
    rows = [np.broadcast_to(np.asarray(column, dtype=np.float64), (len(shapes.paths), 1))[:, 0] for column in columns]
    launches = (shapes.products_of * shapes.layers).sum(axis=0)
    for paths, m, k, n, groups, top, element, seconds, often in zip(shapes.paths, *rows, launches, strict=True):
        if seconds > 0 and often > 0:
            moved = groups * (element * k * (m + n) + BF16_BYTES * m * n)
            yield RooflineKernel(_called(paths), float(2 * groups * m * k * n), float(moved), float(seconds), float(often), float(top))


def _cores(shapes: Shapes, times: LayerTimes, layout: Layout, chip: Chip, stack: Stack) -> Iterator[RooflineKernel]:
    """Fused attention cores: they read queries, keys and values and write the output; scores stay on the chip."""
    launches = (shapes.cores_of * shapes.layers).sum(axis=0)
    for i, (paths, mask) in enumerate(zip(shapes.core_paths, shapes.masks, strict=True)):
        seconds = float(np.max(np.asarray(times.cores[0])[i]))
        if mask is None or attention_kernel(layout, stack) != "fused" or seconds <= 0:
            continue
        each = float(np.max(layout.tokens * shapes.heads.item(i) / layout.tp)) * shapes.width.item(i)
        keys = float(np.max(document_keys(mask.keys, layout.seq_len, layout.documents)))
        peak = float(np.max(chip.peak_of("bf16")))
        yield RooflineKernel(_called(paths), 2 * each * keys, 2 * BF16_BYTES * each, seconds, float(launches[i]), peak)


def _called(paths: tuple[tuple[str, ...], ...]) -> str:
    """Name of the ops of one shape: their common prefix once, then the differing parts."""
    first, *others = paths
    tails = [".".join(path[len(first) - 1 :]) if path[: len(first) - 1] == first[:-1] else ".".join(path) for path in others]
    more = [f"{len(tails) - NAMED + 1} more"] if len(tails) >= NAMED else []
    return ", ".join([".".join(first), *tails[: NAMED - 1], *more])
