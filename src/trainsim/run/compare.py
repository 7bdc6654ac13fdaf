"""Compare the cost of two runs as a product of factors."""

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
"""Name of the factor for phases with unpublished tokens."""


@dataclass(frozen=True)
class Factor:
    """One factor of a cost ratio: the quotient of the totals of two ledgers.

    ``value = a.total / b.total``, or its inverse for a quantity that divides the cost (peak, utilization, goodput).
    """

    name: str
    a: Ledger
    b: Ledger
    power: int = 1

    @property
    def value(self) -> Num:
        """Value of the factor."""
        ratio = self.a.total / self.b.total
        return ratio if self.power > 0 else 1.0 / ratio


@dataclass(frozen=True, repr=False)
class Comparison(Answer):
    """Ratio of the cost of ``a`` to that of ``b``, as a product of factors over totals of all phases."""

    a: Estimate
    b: Estimate
    factors: Mapping[str, Factor]

    @cached_property
    def hours_ratio(self) -> Num:
        """Ratio of the wall-clock accelerator-hours of ``a`` to those of ``b``."""
        return self.a.gpu_hours / self.b.gpu_hours

    @cached_property
    def ratio(self) -> Num:
        """Ratio of the cost of ``a`` to that of ``b``."""
        return self.a.cost.total / self.b.cost.total

    def __getitem__(self, name: str) -> Num:
        return self.factors[name].value

    @property
    def names(self) -> tuple[str, str]:
        """Labels of the two runs: their names, if these differ."""
        named = self.a.run.label, self.b.run.label
        return named if named[0] != named[1] else (f"{named[0]} (a)", f"{named[1]} (b)")

    def _lines(self) -> list[tuple[str, Num, Ledger, Ledger]]:
        """Name, factor and both figures of each factor, the product last."""
        shown = [f for f in self.factors.values() if not _is_trivial(f)]
        lines = [(f.name if f.power > 0 else f"1 / {f.name}", f.value, f.a, f.b) for f in shown]
        return [*lines, ("= cost", self.ratio, self.a.cost, self.b.cost)]

    def summary(self) -> Summary:
        """Each factor with its two figures."""
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

    def _text(self) -> str:
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


def _is_trivial(factor: Factor) -> bool:
    """Whether a factor can be left out: that of phases with unknown work, if no phase has unknown work."""
    return factor.name == UNKNOWN_WORK and bool(np.all(np.asarray(factor.value) == 1.0))


def compare(a: Run | Estimate, b: Run | Estimate) -> Comparison:
    """Compare the cost of two runs, factor by factor.

    ``cost = FLOP/token · tokens · (1/peak) · (1/utilization) · all hours/hours of known work · (1/goodput) · $/hour``. Each factor is a
    ratio of totals over phases, so the factors multiply to the cost ratio exactly. The factor ``all hours/hours of known work`` is 1 if the
    work of all phases is known.

    Args:
        a, b: runs, or estimates of them.

    Returns:
        the comparison: ``.ratio``, ``.hours_ratio``, and ``.factors`` by name, each with its two ledgers.

    Raises:
        EstimateError: an input of either run is missing.
    """
    left, right = (x if isinstance(x, Estimate) else estimate(x) for x in (a, b))
    terms = {name: Factor(name, x, y, power) for (name, power, x), (_, _, y) in zip(_terms(left), _terms(right), strict=True)}
    return Comparison(left, right, terms)


def _terms(est: Estimate) -> list[tuple[str, int, Ledger]]:
    """Factors of a run's cost: name, exponent, ledger."""
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
