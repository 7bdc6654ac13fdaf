"""A simulation: the distribution of a quantity, and its quantiles with their standard errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from ...core.errors import EstimateError, did_you_mean
from ...uncertainty.analysis.comparison import Difference
from ...uncertainty.sampling.simulation import Figure, Simulation
from ..density import density
from ..marks import log_axis, plain_axis, written
from ..picture import ACROSS, Canvas, Picture
from ..style import SMALL, TEXT, width_of
from ..words import QUANTITIES, amount, short

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
TALL, HEAD = 2.1, 0.46
"""Heights of the axes, and of the quantiles above them [inch]."""
WIDE_RATIO = 4.0
"""P95 over P5 from which the axis is logarithmic."""


class DistributionPicture(Picture):
    """Distribution of a quantity under beliefs.

    Args:
        answer: the simulation, or the difference of two runs.
        of: the output, or a line of a ledger; empty for the first output.

    Raises:
        EstimateError: no such output.
    """

    answers = (Simulation, Difference)

    def __init__(self, answer: Simulation | Difference, of: str = "") -> None:
        super().__init__(answer)
        self.simulation = answer.simulation if isinstance(answer, Difference) else answer
        self.of = of or ("difference" if isinstance(answer, Difference) else self.simulation.outputs[0])
        if self.of.partition(".")[0] not in self.simulation.outputs:
            raise EstimateError("of", of, "is not an output", did_you_mean(of, self.simulation.outputs), "unknown-name")
        name = answer.of if isinstance(answer, Difference) else self.of
        self.name, self.unit = QUANTITIES.get(name.partition(".")[0], (name.replace("_", " "), ""))

    @cached_property
    def quantiles(self) -> tuple[Figure, ...]:
        """The quantile at each of ``LEVELS``."""
        return self.simulation.quantile(self.of, LEVELS)

    @property
    def certain(self) -> bool:
        """Whether all quantiles are equal."""
        return bool(self.quantiles[0] == self.quantiles[-1])

    @property
    def title(self) -> str:
        """Title: the median and the 90 % interval; for a difference, the probability that a is lower."""
        low, _, middle, _, high = self.quantiles
        name = f"{self.name[:1].upper()}{self.name[1:]}"
        if self.certain:
            same = "a and b are equal" if isinstance(self.answer, Difference) and float(middle) == 0 else amount(middle, self.unit)
            return f"{name}: {same} in every draw"
        spread = f"with 90 % probability between {amount(low, self.unit)} and {amount(high, self.unit)}"
        if isinstance(self.answer, Difference):
            odds = f"a is lower with {100 * float(self.answer.a_below_b):.0f} % probability"
            more = "more" if middle >= 0 else "less"
            return f"{name}: b takes {amount(abs(middle), self.unit)} {more} than a; {odds}"
        return f"{name}: {amount(middle, self.unit)}; {spread}"

    @property
    def subtitle(self) -> str:
        """Subtitle: the number of draws and of uncertain inputs."""
        paths = len(self.simulation.beliefs.paths)
        return f"{self.simulation.n:,} draws over {paths} uncertain input{'s' if paths > 1 else ''}; quantiles ± standard error"

    @property
    def alt(self) -> str:
        """Alternative text: every quantile."""
        told = ", ".join(f"P{100 * p:g} {amount(q, self.unit)}" for p, q in zip(LEVELS, self.quantiles, strict=True))
        return f"Density of {self.name} with its quantiles: {told}."

    @property
    def note(self) -> str:
        """Note: the meaning of the shades."""
        return "" if self.certain else "Shaded: 90 % and 50 % intervals."

    @property
    def command(self) -> str:
        """Command that reproduces the simulation."""
        if isinstance(self.answer, Difference):
            return f'ts.draw(ts.compare(a, b, beliefs, of="{self.answer.of}", seed={self.simulation.seed}))'
        return f'ts.draw(ts.simulate(run, beliefs, seed={self.simulation.seed}), of="{self.of}")'

    @property
    def height(self) -> float:
        """Height of quantiles, density and axis [inch]; 0 if all quantiles are equal."""
        return 0.0 if self.certain else HEAD + TALL + 0.3

    def paint(self, canvas: Canvas) -> None:
        """Draw the density, its intervals, and each quantile by name."""
        if self.certain:
            return
        theme = canvas.theme
        axes = canvas.axes(0.1, HEAD, ACROSS - 0.2, TALL)
        low, high = float(self.quantiles[0]), float(self.quantiles[-1])
        logarithmic = low > 0 and high / low > WIDE_RATIO
        every: Callable[[list[float]], list[float]] = lambda levels: [float(q) for q in self.simulation.quantile(self.of, levels)]  # noqa: E731
        x, y = density(every, logarithmic=logarithmic)
        shown = [float(q) for q in self.quantiles]
        x, y = np.sort(np.concatenate([x, shown])), np.interp(np.sort(np.concatenate([x, shown])), x, y)  # shades end at the quantiles
        axes.plot([x[0], *x, x[-1]], [0.0, *y, 0.0], color=theme.blue, lw=1.8)
        for first, last, strength in ((0, 4, 0.18), (1, 3, 0.25)):
            inside = (x >= shown[first]) & (x <= shown[last])
            axes.fill_between(x[inside], y[inside], color=theme.blue, alpha=strength, lw=0)
        axes.set_ylim(0, float(y.max()) * 1.02)
        spare = 0.0 if logarithmic else 0.01 * float(x[-1] - x[0])
        axes.set_xlim(float(x[0]) - spare, float(x[-1]) + spare)
        axes.set_yticks([])
        if logarithmic:
            log_axis(axes, self._mark)
        else:
            plain_axis(axes, self._mark)
        self._named(canvas, axes)

    def _mark(self, value: float) -> str:
        return short(value, self.unit) if self.unit in ("1", "USD") else written(value)

    def _named(self, canvas: Canvas, axes: Any) -> None:
        """Write P5, P50 and P95 above the axes, each over its line, and apart from each other."""
        shown = [(LEVELS[i], self.quantiles[i]) for i in (0, 2, 4)]
        places = axes.transAxes.inverted().transform(axes.transData.transform([(float(q), 0.0) for _, q in shown]))[:, 0]
        lines = [(f"P{100 * p:g}  {amount(q, self.unit)}", _error(q, self.unit)) for p, q in shown]
        half = [max(width_of(a, TEXT, "bold"), width_of(b, SMALL)) / 2 + 0.06 for a, b in lines]
        at = [0.1 + float(place) * (ACROSS - 0.2) for place in places]
        at[0] = max(min(at[0], at[1] - half[0] - half[1]), half[0])
        at[1] = max(at[1], at[0] + half[0] + half[1])
        at[2] = min(max(at[2], at[1] + half[1] + half[2]), ACROSS - half[2])
        for x, (head, below), (_, q) in zip(at, lines, shown, strict=True):
            canvas.text(x, 0.12, head, weight="bold", ha="center")
            canvas.text(x, 0.29, below, size=SMALL, color=canvas.theme.muted, ha="center")
            axes.axvline(float(q), color=canvas.theme.ink, lw=1.0, ymax=0.98)


def _error(figure: Figure, unit: str) -> str:
    """The standard error of a quantile, without powers of ten."""
    words = short(figure.standard_error, unit, 2)
    return f"± {np.format_float_positional(float(words), trim='-') if 'e' in words else words}"
