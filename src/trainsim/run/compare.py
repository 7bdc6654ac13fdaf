"""Two runs side by side: the ratio as factors that multiply to it exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..core.answer import Answer, AnswerRow, Summary, written
from ..core.ledger import Ledger
from ..core.units import SECONDS_PER_HOUR, Num
from .estimate import Estimate, estimate
from .run import Run

UNKNOWN_WORK = "hours not attributable to FLOPs"
"""The factor of phases whose tokens are unpublished."""


@dataclass(frozen=True)
class Factor:
    """One reason two runs differ: the quotient of two ledgers (or of one's total over the other's).

    ``value = a.total / b.total``, or its inverse for what divides the cost (peak, utilization, goodput).
    """

    name: str
    a: Ledger
    b: Ledger
    power: int = 1

    @property
    def value(self) -> Num:
        """The factor."""
        ratio = self.a.total / self.b.total
        return ratio if self.power > 0 else 1.0 / ratio


@dataclass(frozen=True, repr=False)
class Comparison(Answer):
    """The cost of ``a`` over the cost of ``b``, factor by factor, on totals over phases."""

    a: Estimate
    b: Estimate
    factors: Mapping[str, Factor]

    @cached_property
    def hours_ratio(self) -> Num:
        """Wall-clock accelerator-hours of a over those of b."""
        return self.a.gpu_hours / self.b.gpu_hours

    @cached_property
    def ratio(self) -> Num:
        """Dollars of a over dollars of b."""
        return self.a.cost.total / self.b.cost.total

    def __getitem__(self, name: str) -> Num:
        return self.factors[name].value

    @property
    def names(self) -> tuple[str, str]:
        """What the two runs are called: their names where they have different ones."""
        named = self.a.run.name, self.b.run.name
        if all(named) and named[0] != named[1]:
            return named
        return f"{named[0] or 'run'} (a)", f"{named[1] or 'run'} (b)"

    def _lines(self) -> list[tuple[str, Num, Ledger, Ledger]]:
        """Name, factor and the two figures of every factor, the product last."""
        kept = [f for f in self.factors.values() if not _is_one(f)]
        lines = [(f.name if f.power > 0 else f"1 / {f.name}", f.value, f.a, f.b) for f in kept]
        return [*lines, ("= cost", self.ratio, self.a.cost, self.b.cost)]

    def summary(self) -> Summary:
        """Every factor with the two figures that it is the quotient of."""
        a, b = self.names
        rows = []
        for name, factor, left, right in self._lines():
            rows += [
                AnswerRow(f"{name}.factor", name, f"× {_mean(factor):.4g}", grade=f"{_two(left)} vs {_two(right)}"),
                AnswerRow(f"{name}.a", name, left.total, left.unit, group=a),
                AnswerRow(f"{name}.b", name, right.total, right.unit, group=b),
            ]
        sources = {
            f"{name}: {path}": source for name, est in zip((a, b), (self.a, self.b), strict=True) for path, source in est.sources().items()
        }
        return Summary(f"cost of {a} over cost of {b}", tuple(rows), sources=sources)

    def __str__(self) -> str:
        table = [("", "factor", *self.names)]
        table += [(name, f"× {_mean(factor):.4g}", _two(left), _two(right)) for name, factor, left, right in self._lines()]
        widths = [max(len(row[column]) for row in table) for column in range(4)]
        return "\n".join(
            "  ".join([f"{row[0]:<{widths[0]}}", *(f"{text:>{width}}" for text, width in zip(row[1:], widths[1:], strict=True))])
            for row in table
        )


def _two(ledger: Ledger) -> str:
    """A total with its unit."""
    return written(ledger.total, "" if ledger.unit == "1" else ledger.unit)


def _is_one(factor: Factor) -> bool:
    """Whether a factor has nothing to say: hours of phases whose work is unknown, where there are none."""
    return factor.name == UNKNOWN_WORK and bool(np.all(np.asarray(factor.value) == 1.0))


def compare(a: Run | Estimate, b: Run | Estimate) -> Comparison:
    """Why run ``a`` costs more or less than run ``b``.

    ``cost = FLOP/token · tokens · (1/peak) · (1/utilization) · all hours/hours of known work · (1/goodput) · $/hour``, each on
    totals over phases, so the factors multiply to the ratio exactly. The fifth is 1 where every phase's work is known.

    Args:
        a, b: runs, or estimates of them.

    Returns:
        the comparison: ``.ratio``, ``.hours_ratio``, and ``.factors`` by name with the two ledgers each is the quotient of.

    Raises:
        EstimateError: an input of either run is missing.
    """
    left, right = (x if isinstance(x, Estimate) else estimate(x) for x in (a, b))
    terms = {name: Factor(name, x, y, power) for (name, power, x), (_, _, y) in zip(_terms(left), _terms(right), strict=True)}
    return Comparison(left, right, terms)


def _terms(est: Estimate) -> list[tuple[str, int, Ledger]]:
    """A run's cost as a product of totals."""
    known = {n: p for n, p in est.phases.items() if p.flops is not None}
    flop: Num = sum((p.flops.total for p in known.values() if p.flops is not None), 0.0)
    tokens: Num = sum((p.phase.tokens for p in known.values() if p.phase.tokens is not None), 0.0)
    seconds: Num = sum((p.busy_gpu_seconds for p in known.values()), 0.0)
    capacity: Num = sum((p.busy_gpu_seconds * p.peak for p in known.values()), 0.0)
    work = Ledger("FLOP", {n: p.flops for n, p in known.items()}) if known else Ledger("FLOP", {"unknown": 1.0})
    if not known:
        flop = tokens = seconds = capacity = 1.0
    busy = est.busy_gpu_hours * SECONDS_PER_HOUR
    return [
        ("work per token", 1, work.scaled(1.0 / tokens, "FLOP/token")),
        ("tokens", 1, Ledger("token", {n: p.phase.tokens for n, p in known.items()} if known else {"unknown": 1.0})),
        ("peak", -1, _single("FLOP/s", "peak", capacity / seconds)),
        ("utilization", -1, _single("1", "mfu", flop / capacity)),
        (UNKNOWN_WORK, 1, _single("1", "all over known", busy / seconds)),
        ("goodput", -1, _single("1", "busy over wall", est.busy_gpu_hours / est.gpu_hours)),
        ("price", 1, est.price),
    ]


def _single(unit: str, name: str, value: Num) -> Ledger:
    return Ledger(unit, {name: value})


def _mean(value: Any) -> float:
    return float(np.mean(value))
