"""Diagnosis: a measured step compared with the modelled one, and the possible causes of a difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..core.answer import Answer, AnswerRow, Summary, written
from ..core.ledger import Ledger
from ..core.units import human

CHANCE, OUTSIDE = "", "none of these"
"""Paths of the causes that are not numbers of the stack: the usual scatter, and a fault outside the model."""
NORMAL = (5.0, 95.0)
"""Percentiles between which a step counts as normal."""
NAMED, LEAST = 5, 0.005
"""Number of causes that are printed, and the smallest probability of a printed cause."""
MAX_CAUSES = 3
"""Number of causes that the next measurement should distinguish."""


@dataclass(frozen=True)
class Cause:
    """One cause that could explain a measured step on its own.

    Args:
        path: path of the number of the stack; empty for the usual scatter of steps, ``"none of these"`` for a fault outside the model.
        probability: posterior probability of this cause; all causes are equally likely a priori.
        value, usual: the value that explains the step best, and the value in the run.
        percentile: percentile of that value in the belief about the number, 0 to 100.
        lines: time of each part of the step under this cause [s].
        meaning: short description of the number.
    """

    path: str
    probability: float
    value: float
    usual: float
    percentile: float
    lines: Mapping[str, float]
    meaning: str = ""

    @property
    def name(self) -> str:
        """Name of the number."""
        return self.path.rpartition(".")[2] or "chance"

    def __str__(self) -> str:
        if self.path == CHANCE:
            return "chance: steps of such runs spread that far"
        if self.path == OUTSIDE:
            return "none of these: nothing in the model explains it"
        if self.name == "factor":
            return f"the whole step is {self.value:.3g} × what the stack's numbers give ({self._place})"
        meaning = f" ({self.meaning})" if self.meaning else ""
        return f"{self.name}{meaning} would have to be {human(self.value)} instead of {human(self.usual)} ({self._place})"

    @property
    def _place(self) -> str:
        return f"percentile {self.percentile:.0f} of what is believed"


@dataclass(frozen=True, repr=False)
class Diagnosis(Answer):
    """Comparison of a measured step with the modelled one.

    Args:
        modelled: P5, P50 and P95 of the modelled step [s].
        measured: the measured step [s].
        percentile: percentile of the measured step in the prediction, 0 to 100.
        explanations: possible causes, the most likely first.
        measure_next: part of the step whose time best distinguishes the most likely causes; ``tell_apart`` is its former name.
        memory: measured minus modelled bytes of the fullest rank, and its parts [B]; None if none was measured.
        layout: whether the layout of the modelled step was given or is assumed.

    >>> lines = {"compute": 1.5, "exchange": 0.5}
    >>> print(Diagnosis((1.8, 2.0, 2.2), 4.0, 100.0, (Cause(OUTSIDE, 1.0, 2.0, 1.0, np.nan, lines),), ""))
    4 s measured, 2.00 s expected (1.80 to 2.20 s): slower than more than 99.9 % of what is expected
    suspect something outside the model
      100 %  none of these: nothing in the model explains it
             network: exchanges that compute does not hide would take 2.50 s instead of 0.500 s
             stragglers: the slowest GPU would compute 2.3 × as long as the others
             data: every step would wait 2.00 s for batches, logging or checkpoints
    next, time a step on one node and a step on synthetic data: they leave out the network and the loading of data
    """

    modelled: tuple[float, float, float]
    measured: float
    percentile: float
    explanations: tuple[Cause, ...]
    measure_next: str
    memory: tuple[float, Ledger] | None = None
    layout: Literal["given", "assumed"] = "given"

    @property
    def tell_apart(self) -> str:
        """Former name of ``measure_next``."""
        return self.measure_next

    @property
    def normal(self) -> bool:
        """Whether the step lies in the 90 % interval of the prediction."""
        return NORMAL[0] <= self.percentile <= NORMAL[1]

    @property
    def standing(self) -> str:
        """The percentile in words."""
        slower = self.percentile >= 50.0
        share = self.percentile if slower else 100.0 - self.percentile
        figure = "more than 99.9" if share > 99.9 else f"{share:.1f}" if share > 99.0 else f"{share:.0f}"
        normal = "normal, " if self.normal else ""
        return f"{normal}{'slower' if slower else 'faster'} than {figure} % of what is expected"

    @property
    def suspect(self) -> str:
        """The most likely cause in words; empty if the step is normal."""
        if not self.explanations or self.normal:
            return ""
        first = self.explanations[0]
        outside = "something outside the model" if self.layout == "given" else "the assumed layout, or something outside the model"
        return {CHANCE: "chance", OUTSIDE: outside}.get(first.path, first.name)

    @property
    def outside(self) -> tuple[tuple[str, str], ...]:
        """Faults outside the model that could explain the step, with the size that each would need."""
        cause = next((e for e in self.explanations if e.path == OUTSIDE), None)
        more = self.measured - self.modelled[1]
        if cause is None:
            return ()
        if more < 0:
            return (
                ("tokens", f"a step would have {self.measured / self.modelled[1]:.2g} × the tokens: check batch, sequence length and GPUs"),
                ("work", "part of the work would be left out: check recomputation, frozen parts and what the timer spans"),
            )
        exchange, compute = (max(cause.lines.get(part, 0.0), 0.0) for part in ("exchange", "compute"))
        waits = f"exchanges that compute does not hide would take {written(exchange + more, 's')} instead of {written(exchange, 's')}"
        times = (compute + more) / compute if compute else np.inf
        slower = f"the slowest GPU would compute {times:.2g} × as long as the others"
        assumed = "the fastest was assumed; the one that runs may be slower"
        return (
            *((("layout", assumed),) if self.layout == "assumed" else ()),
            ("network", waits),
            ("stragglers", slower),
            ("data", f"every step would wait {written(more, 's')} for batches, logging or checkpoints"),
        )

    @property
    def advice(self) -> str:
        """What to measure next, and the value expected under each cause."""
        if self.normal:
            return "time more steps, and update the run with them (ts.calibrate): the interval narrows"
        if self.explanations and self.explanations[0].path == OUTSIDE:
            if self.measured < self.modelled[1]:
                return "check the tokens of a step, and that the timer spans whole optimizer steps"
            if self.layout == "assumed":
                return "give the layout that runs, such as --plan 'tp=8 pp=2 zero=1'"
            return "time a step on one node and a step on synthetic data: they leave out the network and the loading of data"
        if not self.measure_next:
            return ""
        each = ", ".join(f"{e.lines[self.measure_next]:.3g} s if {e.name}" for e in stack_numbers(self.explanations)[:MAX_CAUSES])
        return f"measure {self.measure_next} in a trace of one step: {each}"

    def summary(self) -> Summary:
        """Measured and expected step, and the causes with their probabilities."""
        low, middle, high = self.modelled
        rows: list[AnswerRow] = []
        if self.explanations:
            rows = [
                AnswerRow("measured", "measured step", self.measured, "s"),
                AnswerRow("modelled", "expected step", middle, "s", low, high),
                AnswerRow("percentile", "percentile", self.percentile, "%"),
            ]
        rows += [AnswerRow(f"causes.{e.path or 'chance'}", str(e), 100 * e.probability, "%", group="Causes") for e in self.explanations]
        rows += [AnswerRow(f"outside.{name}", name, words, group="If none of these") for name, words in self.outside]
        if self.memory is not None:
            rows.append(AnswerRow("memory", "measured less modelled memory", self.memory[0], "B"))
        notes = tuple(filter(None, (f"suspect {self.suspect}" if self.suspect else "", self.advice)))
        return Summary(self.standing if self.explanations else "measured memory beside the modelled", tuple(rows), notes)

    def _text(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.explanations:
            low, middle, high = (written(seconds, "s") for seconds in self.modelled)
            yield f"{self.measured:.4g} s measured, {middle} expected ({low.removesuffix(' s')} to {high}): {self.standing}"
            if self.suspect:
                yield f"suspect {self.suspect}"
            for cause in (e for e in self.explanations[:NAMED] if e.probability >= LEAST and not self.normal):
                yield f"  {100 * cause.probability:3.0f} %  {cause}"
                if cause.path == OUTSIDE:
                    yield from (f"         {name}: {words}" for name, words in self.outside)
            if self.advice:
                yield f"next, {self.advice}"
        if self.memory is not None:
            more, parts = self.memory
            largest = sorted(((float(np.asarray(size)), path) for path, size in parts.lines()), reverse=True)[:3]
            sizes = ", ".join(f"{path} {written(size, 'B')}" for size, path in largest)
            yield f"memory: {written(abs(more), 'B')} {'above' if more >= 0 else 'below'} the model, whose largest parts are {sizes}"


def stack_numbers(causes: tuple[Cause, ...]) -> tuple[Cause, ...]:
    """The causes that are numbers of the stack."""
    return tuple(e for e in causes if e.path not in (CHANCE, OUTSIDE))
