"""Is the interval of a modelled step honest? Rows predicted by fits that have not seen them: how many lie inside, and how sharp it is."""

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
    HeldOutPredictions,
    Unit,
    calibrated_sigma,
    configuration,
    split_half,
    splits,
    spread_of,
    spread_unseen,
    together,
)
from ..calibration.cross_validation import by_class as class_spreads
from ..calibration.cross_validation import by_source as source_spreads
from ..calibration.fit import problem
from ..calibration.records import MeasuredStep
from ..core.errors import SpecError
from ..core.units import Num
from ..model.counting import flops_per_token
from ..uncertainty.analysis.scores import LEVEL, interval_score

Array = NDArray[np.float64]
By = Literal["source", "group"]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Rows predicted with an interval, point and width both from other rows.

    Args:
        unseen: the rows, log(modelled / measured) and the constants' doubt of each.
        spread: standard deviation of what nothing explains, as other rows were missed, shape ``(rows,)``.
    """

    unseen: HeldOutPredictions
    spread: Array

    @property
    def half_width(self) -> Array:
        """Half of the 90 % interval in log seconds, shape ``(rows,)``: ``z·√(doubt² + σ²)``."""
        z = float(ndtri((1.0 + LEVEL) / 2))
        width: Array = z * np.hypot(self.unseen.doubt, self.spread)
        return width

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which measured times lie in their interval, shape ``(rows,)``."""
        found: NDArray[np.bool_] = np.abs(self.unseen.residuals) <= self.half_width
        return found

    @property
    def scores(self) -> Num:
        """Interval score of each row in log seconds, shape ``(rows,)``."""
        modelled = np.exp(self.unseen.residuals)  # in units of what was measured
        return interval_score(modelled * np.exp(-self.half_width), modelled * np.exp(self.half_width), 1.0)


# two ways to hold out ----------------------------------------------------------------------------------------------------


Spread = Callable[[HeldOutPredictions, HeldOutPredictions], Array]
"""Rows as predicted, other rows as predicted → the spread that the first say of each of the second."""


def by_class(missed: HeldOutPredictions, rows: HeldOutPredictions) -> Array:
    """Spread as the calibration sets it: of the row's layers where they were seen, else of its class, each mixed with all where few."""
    return spread_of({"spread": class_spreads(missed), "measured": source_spreads(missed)}, rows)


def by_group(missed: HeldOutPredictions, rows: HeldOutPredictions) -> Array:
    """Spread of the row's own group alone; of all rows where the group has none."""
    groups = np.array([s.group for s in missed.steps])

    def of(group: str) -> float:
        rows = groups == group
        return calibrated_sigma(missed, np.ones(len(groups)) * (rows if np.any(rows) else 1.0))

    found = {group: of(group) for group in {s.group for s in rows.steps}}
    return np.array([found[s.group] for s in rows.steps])


def other_half(
    steps: Sequence[MeasuredStep],
    forecast: Forecaster,
    spread: Spread = by_class,
    repeats: int = 2,
    seed: int = 0,
    unit: Unit = configuration,
) -> HeldOut:
    """Random halves: constants fitted to one half, the spread set as its own halves miss each other, all counted on the other half."""
    parts, spreads = [], []
    for i, (seen, unseen) in enumerate(splits(steps, repeats, seed, unit)):
        parts.append(forecast(seen, unseen))
        spreads.append(spread(split_half(seen, forecast, repeats=1, seed=seed + i + 1, unit=unit), parts[-1]))
    return HeldOut(together(parts), np.concatenate(spreads))


def other_sources(apart: HeldOutPredictions) -> HeldOut:
    """A source at a time: the spread is set as the other sources were missed when each of them was left out.

    Args:
        apart: rows as fits to all other sources predict them (``calibration.leave_one_source_out``).

    The spread of a source depends on misses of the others alone; the constants behind those misses were fitted to its rows among others.
    """
    names = np.array([s.source for s in apart.steps])
    spread = np.zeros(len(names))
    for name in set(names):
        spread[names == name] = spread_unseen(apart.only(names != name))
    return HeldOut(apart, spread)


# a yardstick -------------------------------------------------------------------------------------------------------------


def constant_mfu(seen: Sequence[MeasuredStep], unseen: Sequence[MeasuredStep]) -> HeldOutPredictions:
    """Rows predicted by a constant MFU of their class: the median of the class's rows that were seen.

    ``seconds = FLOP of a step / (accelerators · peak · MFU)``; a class is a group of rows on one chip in one format. Of a class without
    rows seen, that of its chip and format, of its format, or of all rows.
    """
    usable = list(problem(unseen).steps)
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
    """Classes of a row, the finest first."""
    if step.layout is None or step.cluster is None:
        raise SpecError("rows", step.name, "can't be modelled", "leave it out", "unsupported")
    chip, low = step.cluster.chip.name, step.layout.recipe.products
    return (step.group, chip, low), (chip, low), (low,), ()


@lru_cache(maxsize=4096)
def seconds_at_peak(step: MeasuredStep) -> float:
    """Seconds of a step at the dense peak of its format, causal pairs counted exactly [s]."""
    if step.model is None or step.layout is None or step.cluster is None:
        raise SpecError("rows", step.name, "can't be modelled", "leave it out", "unsupported")
    seq_len = float(np.asarray(step.layout.seq_len))
    flop = float(np.asarray(flops_per_token(step.model, seq_len).total)) * step.batch * seq_len
    return flop / (float(np.asarray(step.layout.gpus)) * float(np.asarray(step.cluster.chip.peak_of(step.layout.recipe.products))))


# counts ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Coverage:
    """Rows pooled, each configuration counted once however often it was run or predicted.

    Args:
        name: source, group, or "all".
        configurations, inside: how many, and how many of them lie in their 90 % interval.
        width: median half-width of the interval as a factor.
        score, yardstick: mean interval score in log seconds, and that of a constant MFU per class.
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
        """``P(X ≤ ⌊inside⌋)``, ``X ~ Binomial(configurations, 0.9)``: one-sided."""
        return float(bdtr(np.floor(self.inside + ROUNDING), self.configurations, LEVEL))

    def __str__(self) -> str:
        return (
            f"{self.name:<36}{self.configurations:>6}{self.inside:>8.1f}{100 * self.share:>7.0f} %{self.chance:>9.3f}"
            f"{self.width:>8.2f}{self.score:>8.2f}{self.yardstick:>8.2f}"
        )


ROUNDING = 1e-9
HEADER = f"{'':<36}{'conf':>6}{'inside':>8}{'share':>9}{'chance':>9}{'x/÷':>8}{'score':>8}{'MFU':>8}"


def coverage(ours: HeldOut, yardstick: HeldOut, by: By) -> tuple[Coverage, ...]:
    """Coverage, width and interval score by source or by group, and of all.

    Args:
        ours, yardstick: the same rows predicted by the model and by a constant MFU per class.
        by: what rows are pooled by.

    Raises:
        SpecError: the two predict different rows.
    """
    rows, others = ([(s.hash, s.id) for s in held.unseen.steps] for held in (ours, yardstick))
    if rows != others:
        raise SpecError("yardstick", len(others), f"predicts other rows than the {len(rows)} of the model", "split both alike", "conflict")
    names = np.array([getattr(s, by) for s in ours.unseen.steps])
    chosen = [(str(name), names == name) for name in sorted(set(names))]
    return tuple(_pooled(name, rows, ours, yardstick) for name, rows in (*chosen, ("all", np.ones(len(names), dtype=np.bool_))))


def _pooled(name: str, rows: NDArray[np.bool_], ours: HeldOut, yardstick: HeldOut) -> Coverage:
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
    """Which of several hypotheses fall, the chance that any true one does held below ``level``.

    In ascending order, the i-th of m falls while ``p ≤ level / (m − i + 1)``; the first that stands saves the rest.

    Source: Holm 1979 (Scand. J. Statist. 6:65), section 3.

    >>> holm([0.04, 0.001, 0.03])
    (False, True, False)
    """
    order = np.argsort(chances)
    falls = np.asarray(chances)[order] <= level / np.arange(len(chances), 0, -1)
    first = int(np.argmin(falls)) if not np.all(falls) else len(falls)
    fallen = set(order[:first].tolist())
    return tuple(i in fallen for i in range(len(chances)))


def report(ours: HeldOut, yardstick: HeldOut) -> str:
    """Coverage by group and by source as a table; sources that hold too few by Holm's test are marked."""
    return "\n".join(_lines(ours, yardstick))


def _lines(ours: HeldOut, yardstick: HeldOut) -> Iterator[str]:
    yield HEADER
    yield from map(str, coverage(ours, yardstick, "group"))
    *sources, _ = coverage(ours, yardstick, "source")
    yield "by source"
    for source, under in zip(sources, holm([s.chance for s in sources]), strict=True):
        yield f"{source}{'  UNDER-COVERED' if under else ''}"
