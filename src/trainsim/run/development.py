"""Development: the full cost of one model, including failed runs, experiments, data and people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np

from ..core.answer import Answer, AnswerRow, Summary
from ..core.by_name import ByName
from ..core.errors import SpecError
from ..core.ledger import Ledger
from ..core.spec import Spec, invariant
from ..core.units import Num, Unit
from ..cost.price import Price
from .estimate import Estimate, estimate
from .run import Run

Usd = Annotated[Num, Unit("USD", "spent over the development", ge=0)]


class Line(Spec):
    """Runs of one kind in a development.

    Args:
        name: name in paths: ``lines.pretrain.run.price``.
        run: the run; without a price, the development's price applies.
        contents: ``"final"`` for a run whose result is kept, ``"failed"`` for an abandoned attempt, or ``"experiment"``.
        times: number of such runs [1].
        completed: completed share of each run [1].

    Raises:
        SpecError: a final run that was not completed.

    >>> import trainsim as ts
    >>> Line(name="lost", run=ts.catalog.run("deepseek-v3"), contents="failed", completed=0.3).times
    1.0
    """

    name: str
    run: Run
    contents: Literal["final", "failed", "experiment"] = "final"
    times: Annotated[Num, Unit("", "number of such runs", gt=0)] = 1.0
    completed: Annotated[Num, Unit("", "completed share of each run", gt=0, le=1)] = 1.0

    @invariant
    def _consistent(self) -> Self:
        if self.contents == "final" and np.any(self.completed != 1.0):
            raise SpecError(
                "completed", self.completed, "is below 1 for a final run", 'set completed=1, or contents="failed"', "out-of-bounds"
            )
        return self


class Data(Spec):
    """Cost of data.

    Args:
        acquisition_usd: crawling, licences and storage of the raw text [USD].
        generation_usd: synthetic text, unless a line includes the runs that generate it [USD].
        annotation_usd: writing, ranking and labelling by people [USD].

    >>> Data(acquisition_usd=5e6, annotation_usd=2e6).cost().total
    7000000.0
    """

    acquisition_usd: Usd = 0.0
    generation_usd: Usd = 0.0
    annotation_usd: Usd = 0.0

    def cost(self) -> Ledger:
        """Cost by part [USD]."""
        return Ledger("USD", {"acquisition": self.acquisition_usd, "generation": self.generation_usd, "annotation": self.annotation_usd})


class People(Spec):
    """Cost of people: ``headcount · pay · overhead · share · years``.

    Pay is one number for all people, so that a belief about pay is one shared draw. Independent draws would make the sum too certain.

    Args:
        headcount: number of people [person].
        usd_per_year: mean pay, equity included where it is paid [USD/person/year].
        overhead: employer's cost divided by pay [1].
        share: share of the people's effort spent on this model [1].
        years: duration [year].

    Source: form of Cottier et al. 2024 (arXiv:2405.21015), R&D staff cost, with pay shared instead of drawn per person.

    >>> People(headcount=100, usd_per_year=2e5, overhead=1.3, share=0.5, years=1).cost().total
    13000000.0
    """

    headcount: Annotated[Num, Unit("person", "number of people", gt=0)]
    usd_per_year: Annotated[Num, Unit("USD/person/year", "mean pay", ge=0)]
    overhead: Annotated[Num, Unit("", "employer's cost over pay", ge=1)]
    share: Annotated[Num, Unit("", "share of their effort", gt=0, le=1)]
    years: Annotated[Num, Unit("year", "duration", gt=0)]

    def cost(self) -> Ledger:
        """Cost of pay, and of overhead [USD]."""
        pay = self.headcount * self.usd_per_year * self.share * self.years
        return Ledger("USD", {"pay": pay, "overhead": pay * (self.overhead - 1.0)})


class Development(Spec):
    """The full development of one model: final and failed runs, experiments, data, people, evaluation, storage.

    Models that feed each other are one development. Counted separately, each would omit costs that the other bears.

    Args:
        name: name in reports.
        lines: runs by name.
        price: price of an accelerator-hour, for runs without a price.
        failed: cost of abandoned full-scale attempts divided by that of the final runs [1]; or use lines with ``contents="failed"``.
        experiments: (final + experiments) / final, in dollars [1]; or use lines with ``contents="experiment"``.
        data, people: costs of data and people; None omits the part from the ledger.
        evaluation_usd, storage_usd: cost of evaluation and of storage [USD].
        date: date of the dollar amounts; empty if not stated.

    Raises:
        SpecError: no final run; failed runs or experiments given both as a factor and as lines; a run without a price.

    >>> import trainsim as ts
    >>> v3 = ts.catalog.run("deepseek-v3").replace({"price": None, "reliability": ts.Goodput(1.0)})
    >>> whole = Development(lines=[Line(name="v3", run=v3)], price=ts.Rental(usd_per_gpu_hour=2.0), experiments=3.2)
    >>> round(float(estimate_development(whole).cost.total) / 1e6, 2)
    17.84
    """

    name: str = "development"
    lines: Annotated[Sequence[Line], ByName()]
    price: Price | None = None
    failed: Annotated[Num, Unit("", "cost of failed runs over that of final runs", ge=0)] = 0.0
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
            raise SpecError("lines", sorted(kinds), "contain no final run", 'give at least one Line(…, contents="final")', "too-few-data")
        if self.experiments is not None and "experiment" in kinds:
            raise SpecError(
                "experiments",
                self.experiments,
                "counts experiments that are also given as lines",
                "give experiments= or the lines",
                "duplicate",
            )
        if "failed" in kinds and np.any(self.failed != 0.0):
            raise SpecError(
                "failed", self.failed, "counts failed runs that are also given as lines", "give failed= or the lines", "duplicate"
            )
        for line in self.lines:
            if line.run.price is None and self.price is None:
                raise SpecError(
                    f"lines.{line.name}.run.price", None, "is not given", "give it, or price= for the whole development", "missing"
                )
        return self


@dataclass(frozen=True, repr=False)
class DevelopmentEstimate(Answer):
    """Point estimate of a development's cost; every line can be traced to a part of a run."""

    development: Development
    runs: Mapping[str, Estimate]

    @cached_property
    def hours(self) -> Ledger:
        """Accelerator-hours by line [GPU-h], without experiments and failed runs that are given as factors."""
        return Ledger("GPU-h", {line.name: self._done(line, self.runs[line.name].hours) for line in self.development.lines})

    @cached_property
    def compute(self) -> Ledger:
        """Cost of compute: final runs, failed runs, experiments [USD]."""
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
        """Cost of the whole development [USD]."""
        development = self.development
        parts: dict[str, Ledger | Num] = {"compute": self.compute}
        if development.data is not None:
            parts["data"] = development.data.cost()
        if development.people is not None:
            parts["people"] = development.people.cost()
        return Ledger("USD", {**parts, "evaluation": development.evaluation_usd, "storage": development.storage_usd})

    def summary(self) -> Summary:
        """Cost and hours, in total, by part and by line."""
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
    """Estimate the cost of a development from the given inputs; nothing is looked up.

    Args:
        development: the development; its numbers may be arrays ``(n,)`` inside a batch.

    Returns:
        cost [USD] and hours [GPU-h], as ledgers.

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
