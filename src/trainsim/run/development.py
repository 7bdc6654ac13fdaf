"""Development: all that one model took beside its final run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np

from ..core.answer import Answer, AnswerRow, Summary
from ..core.errors import SpecError
from ..core.ledger import Ledger
from ..core.spec import ByName, Spec, invariant
from ..core.units import Num, Unit
from ..cost.price import Price
from .estimate import Estimate, estimate
from .run import Run

Usd = Annotated[Num, Unit("USD", "spent over the development", ge=0)]


class Line(Spec):
    """Runs of one kind in a development.

    Args:
        name: how paths address it: ``lines.pretrain.run.price``.
        run: what was run; without a price, the development's is taken.
        contents: a run whose result is kept ("final"), an attempt that was given up ("failed"), or an experiment.
        times: how often it was run [1].
        completed: share of each that was done before it ended [1].

    Raises:
        SpecError: a final run that was not completed.

    >>> import trainsim as ts
    >>> Line(name="lost", run=ts.catalog.run("deepseek-v3"), contents="failed", completed=0.3).times
    1.0
    """

    name: str
    run: Run
    contents: Literal["final", "failed", "experiment"] = "final"
    times: Annotated[Num, Unit("", "how often it was run", gt=0)] = 1.0
    completed: Annotated[Num, Unit("", "share done before it ended", gt=0, le=1)] = 1.0

    @invariant
    def _consistent(self) -> Self:
        if self.contents == "final" and np.any(self.completed != 1.0):
            raise SpecError(
                "completed", self.completed, "is below 1 for a final run", 'set completed=1, or contents="failed"', "out-of-bounds"
            )
        return self


class Data(Spec):
    """What data cost.

    Args:
        acquisition_usd: crawling, licences, storage of the raw text [USD].
        generation_usd: text made by other models, where no line holds those runs [USD].
        annotation_usd: people who write, rank and label [USD].

    >>> Data(acquisition_usd=5e6, annotation_usd=2e6).cost().total
    7000000.0
    """

    acquisition_usd: Usd = 0.0
    generation_usd: Usd = 0.0
    annotation_usd: Usd = 0.0

    def cost(self) -> Ledger:
        """By part [USD]."""
        return Ledger("USD", {"acquisition": self.acquisition_usd, "generation": self.generation_usd, "annotation": self.annotation_usd})


class People(Spec):
    """What the people cost: ``headcount · pay · overhead · share · years``.

    Pay is one number for all: one belief is one shared draw. Drawn person by person, the sum would be far too sure.

    Args:
        headcount: persons [person].
        usd_per_year: mean pay, equity included where it is paid [USD/person/year].
        overhead: employer's cost over pay [1].
        share: of their effort that went into this model [1].
        years: how long [year].

    Source: form of Cottier et al. 2024 (arXiv:2405.21015), R&D staff cost, with pay shared instead of drawn per person.

    >>> People(headcount=100, usd_per_year=2e5, overhead=1.3, share=0.5, years=1).cost().total
    13000000.0
    """

    headcount: Annotated[Num, Unit("person", "people", gt=0)]
    usd_per_year: Annotated[Num, Unit("USD/person/year", "mean pay", ge=0)]
    overhead: Annotated[Num, Unit("", "employer's cost over pay", ge=1)]
    share: Annotated[Num, Unit("", "of their effort", gt=0, le=1)]
    years: Annotated[Num, Unit("year", "how long", gt=0)]

    def cost(self) -> Ledger:
        """Pay and what comes on top of it [USD]."""
        pay = self.headcount * self.usd_per_year * self.share * self.years
        return Ledger("USD", {"pay": pay, "overhead": pay * (self.overhead - 1.0)})


class Development(Spec):
    """What one model took: its runs, those that failed, experiments, data, people, evaluation, storage.

    Models that feed each other are one development: counted apart, each leaves out what the other paid.

    Args:
        name: what reports call it.
        lines: runs by name, each once.
        price: of an accelerator-hour, for runs that have none of their own.
        failed: hours of attempts given up at full scale over those of the final runs [1]; or lines with ``contents="failed"``.
        experiments: (final + experiments) / final, in dollars of the final runs [1]; or lines with ``contents="experiment"``.
        data, people: None leaves them out, and the ledger then has no such part.
        evaluation_usd, storage_usd: what was spent on them [USD].
        date: day whose dollars these are; empty where not stated.

    Raises:
        SpecError: no final run; failed runs or experiments both as a factor and as lines; a run without a price.

    >>> import trainsim as ts
    >>> v3 = ts.catalog.run("deepseek-v3").replace({"price": None, "reliability": ts.Goodput(1.0)})
    >>> whole = Development(lines=[Line(name="v3", run=v3)], price=ts.Rental(usd_per_gpu_hour=2.0), experiments=3.2)
    >>> round(float(estimate_development(whole).cost.total) / 1e6, 2)
    17.84
    """

    name: str = "development"
    lines: Annotated[Sequence[Line], ByName()]
    price: Price | None = None
    failed: Annotated[Num, Unit("", "failed over final hours", ge=0)] = 0.0
    experiments: Annotated[Num, Unit("", "(final + experiments) / final", ge=1)] | None = None
    data: Data | None = None
    people: People | None = None
    evaluation_usd: Usd = 0.0
    storage_usd: Usd = 0.0
    date: str = ""

    @invariant
    def _consistent(self) -> Self:
        kinds = {line.contents for line in self.lines}
        if "final" not in kinds:
            raise SpecError("lines", sorted(kinds), "hold no final run", 'give at least one Line(…, contents="final")', "too-few-data")
        if self.experiments is not None and "experiment" in kinds:
            raise SpecError(
                "experiments", self.experiments, "stands beside lines of experiments: they would be paid twice", "give one", "duplicate"
            )
        if "failed" in kinds and np.any(self.failed != 0.0):
            raise SpecError("failed", self.failed, "stands beside lines of failed runs: they would be paid twice", "give one", "duplicate")
        for line in self.lines:
            if line.run.price is None and self.price is None:
                raise SpecError(
                    f"lines.{line.name}.run.price", None, "is not given", "give it, or price= for the whole development", "missing"
                )
        return self


@dataclass(frozen=True, repr=False)
class DevelopmentEstimate(Answer):
    """What a development took: a point, no interval; every dollar is traceable down to a part of a run."""

    development: Development
    runs: Mapping[str, Estimate]

    @cached_property
    def hours(self) -> Ledger:
        """Accelerator-hours by line [GPU-h]; experiments and failed runs given as factors have none of their own here."""
        return Ledger("GPU-h", {line.name: self._done(line, self.runs[line.name].hours) for line in self.development.lines})

    @cached_property
    def compute(self) -> Ledger:
        """Dollars of compute: final runs, failed ones, experiments [USD]."""
        development = self.development
        final, failed, experiments = (self._lines(kind) for kind in ("final", "failed", "experiment"))
        whole = Ledger("USD", final).total
        parts: dict[str, Ledger | Num] = {"final": Ledger("USD", final)}
        parts["failed"] = Ledger("USD", failed) if failed else whole * development.failed
        if experiments or development.experiments is None:
            parts["experiments"] = Ledger("USD", experiments) if experiments else 0.0
        else:
            parts["experiments"] = whole * (development.experiments - 1.0)
        return Ledger("USD", parts)

    @cached_property
    def cost(self) -> Ledger:
        """Dollars of the whole development [USD]."""
        development = self.development
        parts: dict[str, Ledger | Num] = {"compute": self.compute}
        if development.data is not None:
            parts["data"] = development.data.cost()
        if development.people is not None:
            parts["people"] = development.people.cost()
        return Ledger("USD", {**parts, "evaluation": development.evaluation_usd, "storage": development.storage_usd})

    def summary(self) -> Summary:
        """Dollars and hours, then dollars by part and hours by line."""
        rows = [AnswerRow("cost", "cost", self.cost.total, "USD"), AnswerRow("gpu_hours", "GPU-hours", self.hours.total, "GPU-h")]
        rows += [AnswerRow(f"cost.{name}", name, self.cost.part(name).total, "USD", group="Dollars by part") for name in self.cost]
        rows += [AnswerRow(f"hours.{name}", name, self.hours.part(name).total, "GPU-h", group="GPU-hours by line") for name in self.hours]
        return Summary(
            f"development of {self.development.name}",
            tuple(rows),
            ("A point estimate; ts.simulate gives an interval.",),
            self.development.sources(),
        )

    def _lines(self, contents: str) -> dict[str, Ledger]:
        return {line.name: self._done(line, self.runs[line.name].cost) for line in self.development.lines if line.contents == contents}

    @staticmethod
    def _done(line: Line, ledger: Ledger) -> Ledger:
        return ledger * (line.times * line.completed)


def estimate_development(development: Development) -> DevelopmentEstimate:
    """What a development took, by the inputs given; nothing is looked up.

    Args:
        development: its numbers may be arrays ``(n,)`` inside a batch.

    Returns:
        dollars [USD] and hours [GPU-h], as ledgers.

    Raises:
        EstimateError: a run lacks an input.

    >>> import trainsim as ts
    >>> data = Data(acquisition_usd=5e6)
    >>> est = estimate_development(Development(lines=[Line(name="v3", run=ts.catalog.run("deepseek-v3"))], data=data))
    >>> round(float(est.cost.total) / 1e6, 1)  # 5.9 of the run, 5.0 of the data
    10.9
    """
    runs = {line.name: line.run for line in development.lines}
    priced = {n: run if run.price is not None else run.replace({"price": development.price}) for n, run in runs.items()}
    return DevelopmentEstimate(development, {name: estimate(run) for name, run in priced.items()})
