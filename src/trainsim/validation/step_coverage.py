"""Coverage and sharpness of the intervals of modelled step times, on held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri

from ..calibration.cross_validation import (
    Forecaster,
    GroupBy,
    HeldOutPredictions,
    calibrated_sigma,
    concatenate,
    configuration_of,
    sigma_of_new_source,
    sigma_of_rows,
    split_half,
    splits,
)
from ..calibration.cross_validation import by_class as class_spreads
from ..calibration.cross_validation import by_source as source_spreads
from ..calibration.fit import fit_problem
from ..calibration.records import MeasuredStep
from ..core.errors import SpecError
from ..core.units import Num
from ..model.counting import flops_per_token
from ..uncertainty.analysis.scores import LEVEL, interval_score

Array = NDArray[np.float64]
By = Literal["source", "group"]


@dataclass(frozen=True, eq=False)
class HeldOutIntervals:
    """Held-out rows with a predicted interval; both its point and its width come from other rows.

    Args:
        unseen: the held-out predictions.
        spread: standard deviation of the unexplained part, from residuals of other rows, shape ``(rows,)``.
    """

    unseen: HeldOutPredictions
    spread: Array

    @property
    def half_width(self) -> Array:
        """Half of the 90 % interval in log seconds, shape ``(rows,)``: ``z·√(parameter_sd² + σ²)``."""
        z = float(ndtri((1.0 + LEVEL) / 2))
        width: Array = z * np.hypot(self.unseen.parameter_sd, self.spread)
        return width

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Whether each measured time lies in its interval, shape ``(rows,)``."""
        found: NDArray[np.bool_] = np.abs(self.unseen.residuals) <= self.half_width
        return found

    @property
    def scores(self) -> Num:
        """Interval score of each row in log seconds, shape ``(rows,)``."""
        modelled = np.exp(self.unseen.residuals)  # relative to the measured time
        return interval_score(modelled * np.exp(-self.half_width), modelled * np.exp(self.half_width), 1.0)


# two ways to hold out ----------------------------------------------------------------------------------------------------


Spread = Callable[[HeldOutPredictions, HeldOutPredictions], Array]
"""Function that calibrates on the predictions of some rows and gives the standard deviation of each of other rows."""


def by_class(missed: HeldOutPredictions, rows: HeldOutPredictions) -> Array:
    """Standard deviation as in the calibration: for known layers that of the source, else that of the row's class, both shrunk towards all
    rows.
    """
    return sigma_of_rows({"spread": class_spreads(missed), "measured": source_spreads(missed)}, rows)


def by_group(missed: HeldOutPredictions, rows: HeldOutPredictions) -> Array:
    """Standard deviation of the row's group, or of all rows if no calibrating row is in the group."""
    groups = np.array([s.group for s in missed.steps])

    def of(group: str) -> float:
        rows = groups == group
        return calibrated_sigma(missed, np.ones(len(groups)) * (rows if np.any(rows) else 1.0))

    found = {group: of(group) for group in {s.group for s in rows.steps}}
    return np.array([found[s.group] for s in rows.steps])


def held_out_by_halves(
    steps: Sequence[MeasuredStep],
    forecast: Forecaster,
    spread: Spread = by_class,
    repeats: int = 2,
    seed: int = 0,
    group_by: GroupBy = configuration_of,
) -> HeldOutIntervals:
    """Hold out random halves: constants are fitted to one half, σ to the cross-validated residuals of that half; both predict the other
    half.
    """
    parts, spreads = [], []
    for i, (seen, unseen) in enumerate(splits(steps, repeats, seed, group_by)):
        parts.append(forecast(seen, unseen))
        spreads.append(spread(split_half(seen, forecast, repeats=1, seed=seed + i + 1, group_by=group_by), parts[-1]))
    return HeldOutIntervals(concatenate(parts), np.concatenate(spreads))


def held_out_by_source(unseen: HeldOutPredictions) -> HeldOutIntervals:
    """Hold out one source at a time. The σ of a source comes from the residuals of all other sources, each left out in turn.

    The fits behind those residuals include rows of the source itself; its own residuals are not used.

    Args:
        unseen: predictions of each source from all other sources (``calibration.cross_validation.leave_one_source_out``).
    """
    names = np.array([s.source for s in unseen.steps])
    spread = np.zeros(len(names))
    for name in set(names):
        spread[names == name] = sigma_of_new_source(unseen.subset(names != name))
    return HeldOutIntervals(unseen, spread)


# a baseline --------------------------------------------------------------------------------------------------------------


def constant_mfu(seen: Sequence[MeasuredStep], unseen: Sequence[MeasuredStep]) -> HeldOutPredictions:
    """Baseline predictor: a constant MFU per class of rows, the median of the class's seen rows.

    ``seconds = FLOP of a step / (accelerators · peak · MFU)``. A class is a group of rows on one chip in one format. A class without seen
    rows takes the median of its chip and format, of its format, or of all rows.
    """
    usable = list(fit_problem(unseen).steps)
    known: list[dict[tuple[str, ...], list[float]]] = [{} for _ in _classes(usable[0])]
    for step in seen:
        for level, name in zip(known, _classes(step), strict=True):
            level.setdefault(name, []).append(np.log(seconds_at_peak(step) / step.seconds))
    residuals = []
    for step in usable:
        rows = next(level[name] for level, name in zip(known, _classes(step), strict=True) if name in level)
        residuals.append(np.log(seconds_at_peak(step) / step.seconds) - np.median(rows))
    return HeldOutPredictions(tuple(usable), np.array(residuals), np.zeros(len(usable)), np.zeros(len(usable), dtype=np.bool_))


def _classes(step: MeasuredStep) -> tuple[tuple[str, ...], ...]:
    """Classes of a row, from the finest to the coarsest."""
    if step.layout is None or step.cluster is None:
        raise SpecError("rows", step.name, "can't be modelled", "leave it out", "unsupported")
    chip, number_format = step.cluster.chip.name, step.layout.recipe.products
    return (step.group, chip, number_format), (chip, number_format), (number_format,), ()


@lru_cache(maxsize=4096)
def seconds_at_peak(step: MeasuredStep) -> float:
    """Time of a step at the dense peak of its format, with causal FLOPs [s]."""
    if step.model is None or step.layout is None or step.cluster is None:
        raise SpecError("rows", step.name, "can't be modelled", "leave it out", "unsupported")
    seq_len = float(np.asarray(step.layout.seq_len))
    flop = float(np.asarray(flops_per_token(step.model, seq_len).total)) * step.batch * seq_len
    return flop / (float(np.asarray(step.layout.gpus)) * float(np.asarray(step.cluster.chip.peak_of(step.layout.recipe.products))))


# counts ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Coverage:
    """Coverage of a group of rows; each configuration counts once, however often it was measured or predicted.

    Args:
        name: source, group, or "all".
        configurations, inside: number of configurations, and of those inside their 90 % interval.
        width: median half-width of the interval, as a factor.
        score, yardstick: mean interval score in log seconds, of the model and of a constant MFU per class.
    """

    name: str
    configurations: int
    inside: float
    width: float
    score: float
    yardstick: float

    @property
    def share(self) -> float:
        """Share of configurations inside."""
        return self.inside / self.configurations

    @property
    def chance(self) -> float:
        """One-sided p-value, ``P(X ≤ ⌊inside⌋)`` for ``X ~ Binomial(configurations, 0.9)``."""
        return float(bdtr(np.floor(self.inside + ROUNDING), self.configurations, LEVEL))

    def __str__(self) -> str:
        return (
            f"{self.name:<36}{self.configurations:>6}{self.inside:>8.1f}{100 * self.share:>7.0f} %{self.chance:>9.3f}"
            f"{self.width:>8.2f}{self.score:>8.2f}{self.yardstick:>8.2f}"
        )


ROUNDING = 1e-9
HEADER = f"{'':<36}{'conf':>6}{'inside':>8}{'share':>9}{'chance':>9}{'x/÷':>8}{'score':>8}{'MFU':>8}"


def coverage(ours: HeldOutIntervals, yardstick: HeldOutIntervals, by: By) -> tuple[Coverage, ...]:
    """Coverage, width and interval score by source or by group, and over all rows.

    Args:
        ours, yardstick: the same rows predicted by the model and by a constant MFU per class.
        by: how rows are grouped.

    Raises:
        SpecError: ``ours`` and ``yardstick`` predict different rows.
    """
    rows, others = ([(s.fingerprint, s.id) for s in held.unseen.steps] for held in (ours, yardstick))
    if rows != others:
        raise SpecError(
            "yardstick", len(others), f"predicts other rows than the {len(rows)} of the model", "use the same splits for both", "conflict"
        )
    names = np.array([getattr(s, by) for s in ours.unseen.steps])
    chosen = [(str(name), names == name) for name in sorted(set(names))]
    return tuple(_pooled(name, rows, ours, yardstick) for name, rows in (*chosen, ("all", np.ones(len(names), dtype=np.bool_))))


def _pooled(name: str, rows: NDArray[np.bool_], ours: HeldOutIntervals, yardstick: HeldOutIntervals) -> Coverage:
    _, at = np.unique([s.key for s, here in zip(ours.unseen.steps, rows, strict=True) if here], return_inverse=True)

    def mean(values: Num) -> Array:
        """Mean over the rows of each configuration."""
        found: Array = np.bincount(at, np.asarray(values, dtype=np.float64)[rows]) / np.bincount(at)
        return found

    return Coverage(
        name=name,
        configurations=int(at.max()) + 1,
        inside=float(np.sum(mean(ours.inside.astype(np.float64)))),
        width=float(np.exp(np.median(mean(ours.half_width)))),
        score=float(np.mean(mean(ours.scores))),
        yardstick=float(np.mean(mean(yardstick.scores))),
    )


def holm(chances: Sequence[float], level: float = 0.05) -> tuple[bool, ...]:
    """Which of several hypotheses are rejected by Holm's method, with a family-wise error rate below ``level``.

    In ascending order of p, the i-th of m is rejected while ``p ≤ level / (m − i + 1)``; testing stops at the first that is not.

    Source: Holm 1979 (Scand. J. Statist. 6:65), section 3.

    >>> holm([0.04, 0.001, 0.03])
    (False, True, False)
    """
    order = np.argsort(chances)
    falls = np.asarray(chances)[order] <= level / np.arange(len(chances), 0, -1)
    first = int(np.argmin(falls)) if not np.all(falls) else len(falls)
    fallen = set(order[:first].tolist())
    return tuple(i in fallen for i in range(len(chances)))


def report(ours: HeldOutIntervals, yardstick: HeldOutIntervals) -> str:
    """Table of coverage by group and by source; sources with significantly low coverage by Holm's method are marked."""
    return "\n".join(_lines(ours, yardstick))


def _lines(ours: HeldOutIntervals, yardstick: HeldOutIntervals) -> Iterator[str]:
    yield HEADER
    yield from map(str, coverage(ours, yardstick, "group"))
    *sources, _ = coverage(ours, yardstick, "source")
    yield "by source"
    for source, under in zip(sources, holm([s.chance for s in sources]), strict=True):
        yield f"{source}{'  UNDER-COVERED' if under else ''}"
