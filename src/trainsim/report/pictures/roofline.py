"""The roofline: kernels by arithmetic intensity and rate, below the limits of the chip."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ...core.units import human
from ...step.roofline import Roofline, RooflineKernel
from ..marks import log_axis, written
from ..picture import ACROSS, Canvas, Picture
from ..style import SMALL, Theme, cut
from ..words import part_words, share_words

TALL, LEFT, LINE = 3.0, 0.75, 0.2
"""Heights of the axes, of their marks, and of a line of the table [inch]."""
SHOWN = 8
"""Number of marks with a name."""
SAME = 0.02
"""Relative difference of intensity and rate below which kernels share a mark."""


@dataclass(frozen=True)
class RooflineMark:
    """Kernels that share a mark.

    Args:
        name: names of the kernels.
        share: share of the time of all kernels [1].
        kernel: one of the kernels, for intensity and rate.
    """

    name: str
    share: float
    kernel: RooflineKernel


class RooflinePicture(Picture):
    """Kernels of a forward pass, compared with the chip's peak and memory bandwidth."""

    answers = (Roofline,)

    @cached_property
    def marks(self) -> tuple[RooflineMark, ...]:
        """Kernels grouped by intensity and rate, the longest total time first."""
        groups: list[list[RooflineKernel]] = []
        for kernel in self.answer.kernels:
            same = (g for g in groups if _near(g[0].intensity, kernel.intensity) and _near(g[0].rate, kernel.rate))
            if (group := next(same, None)) is None:
                groups.append([kernel])
            else:
                group.append(kernel)
        made = [RooflineMark(_names([k.name for k in g]), sum(self.answer.share(k) for k in g), g[0]) for g in groups]
        return tuple(sorted(made, key=lambda mark: -mark.share))

    @cached_property
    def shown(self) -> tuple[RooflineMark, ...]:
        """The marks with a name."""
        return self.marks[:SHOWN]

    @property
    def title(self) -> str:
        """Title: the bound of most of the time, and the rate of the largest kernel."""
        answer, first = self.answer, self.marks[0]
        bound = sum(answer.share(k) for k in answer.kernels if k.roof(answer.bandwidth) >= k.peak)
        takes = "take" if "," in first.name else "takes"
        largest = f"{first.name} {takes} {share_words(first.share)} at {share_words(first.kernel.rate / first.kernel.peak)} of the peak"
        return f"{share_words(bound)} of the kernels' time is bound by arithmetic; {largest}"

    @property
    def subtitle(self) -> str:
        """Subtitle: the run and its chip."""
        return f"{self.answer.name or 'a run'} on {self.answer.chip}: forward pass of one micro-batch; area: share of the kernels' time"

    @property
    def alt(self) -> str:
        """Alternative text: every named kernel."""
        told = "; ".join(
            f"{mark.name} {human(k.intensity)} FLOP/B at {human(k.rate)} FLOP/s, {share_words(k.rate / k.peak)} of the peak"
            for mark in self.shown
            for k in [mark.kernel]
        )
        return f"Roofline of {self.answer.chip}: memory {human(self.answer.bandwidth)} B/s. Kernels: {told}."

    @property
    def note(self) -> str:
        """Note: the meaning of the lines."""
        return "Lines: dense peak by number format, and memory bandwidth, by the data sheet. Bytes: each operand once."

    @property
    def height(self) -> float:
        """Height of axes and table [inch]."""
        return TALL + 0.55 + LINE * (len(self.shown) + 1)

    def paint(self, canvas: Canvas) -> None:
        """Draw the roofs, the kernels, and a table of their names."""
        theme, answer = canvas.theme, self.answer
        axes = canvas.axes(LEFT, 0.1, ACROSS - LEFT - 0.1, TALL - 0.1)
        across = [k.intensity for k in answer.kernels]
        peak = max(answer.peaks.values())
        low, high = min(*across, peak / answer.bandwidth / 4) / 2, max(*across, peak / answer.bandwidth * 4) * 2
        axes.set_xlim(low, high)
        axes.set_ylim(min(*(k.rate for k in answer.kernels), low * answer.bandwidth) / 1.5, peak * 2.2)
        for name, roof in answer.peaks.items():
            ridge = roof / answer.bandwidth
            axes.plot([low, ridge, high], [low * answer.bandwidth, roof, roof], color=theme.muted, lw=1.5)
            axes.text(
                high / 1.05,
                roof * 1.05,
                f"{name.upper()} {roof / 1e12:,.0f} TFLOP/s",
                ha="right",
                va="bottom",
                fontsize=SMALL,
                color=theme.muted,
            )
        for i, mark in enumerate(self.marks):
            marker, colour = _mark(i, theme)
            at = ([mark.kernel.intensity], [mark.kernel.rate])
            axes.scatter(*at, s=30 + 900 * mark.share, marker=marker, color=colour, alpha=0.75, lw=0, zorder=3)
        log_axis(axes, lambda value: f"{written(value)}")
        log_axis(axes, lambda value: f"{value / 1e12:,.4g}", vertical=True, most=5)
        axes.set_xlabel("FLOP for a byte moved")
        axes.set_ylabel("TFLOP/s")
        axes.tick_params(axis="y", labelcolor=theme.muted)
        axes.grid()
        self._table(canvas, TALL + 0.62)

    def _table(self, canvas: Canvas, top: float) -> None:
        theme = canvas.theme
        for x, head in ((4.6, "of the time"), (5.7, "of the peak"), (ACROSS, "FLOP/B")):
            canvas.text(x, top, head, size=SMALL, color=theme.muted, ha="right")
        for i, mark in enumerate(self.shown):
            y, k = top + LINE * (i + 1), mark.kernel
            canvas.mark(0.07, y, *_mark(i, theme))
            canvas.text(0.2, y, cut(mark.name, SMALL, 3.6), size=SMALL)
            for x, words in ((4.6, share_words(mark.share)), (5.7, share_words(k.rate / k.peak)), (ACROSS, human(k.intensity))):
                canvas.text(x, y, words, size=SMALL, ha="right")


def _mark(i: int, theme: Theme) -> tuple[str, str]:
    """Shape and colour of a mark; each pair occurs once, and all marks without a name share one."""
    colours = theme.series[:6]
    return ("os"[i // len(colours)], colours[i % len(colours)]) if i < SHOWN else (".", theme.muted)


def _near(a: float, b: float) -> bool:
    """Whether two marks would lie on each other."""
    return abs(a - b) <= SAME * max(a, b)


def _names(paths: list[str]) -> str:
    """Parts in words; parts of one layer share the layer's name.

    >>> _names(["dense.ffn.up", "dense.ffn.gate", "head.logits"])
    'dense › ffn › up, gate; head › logits'
    """
    heads: dict[str, list[str]] = {}
    for path in paths:
        head, _, last = path.rpartition(".")
        heads.setdefault(head, []).append(part_words(last))
    return "; ".join(f"{part_words(head)}{' › ' if head else ''}{', '.join(last)}" for head, last in heads.items())
