"""Picture of one ledger of an estimate."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ...catalog.ids import runs
from ...catalog.runs import run as published_run
from ...core.errors import EstimateError, TrainsimError, did_you_mean
from ...core.ledger import Ledger
from ...run.estimate import Estimate
from ...run.memory import fits
from ...run.run import Run
from ..draw import picture_of
from ..picture import Canvas, Picture
from ..words import STATED


class EstimatePicture(Picture):
    """One ledger of an estimate: its cost by default.

    Args:
        answer: the estimate.
        of: ``"cost"``, ``"params"``, ``"flops"``, ``"hours"``, ``"step_time"``, ``"memory"``, ``"price"``.

    Raises:
        EstimateError: no such ledger, or the run lacks an input of it.
    """

    answers = (Estimate,)

    def __init__(self, answer: Estimate, of: str = "") -> None:
        super().__init__(answer)
        self.of = of or ("cost" if answer.run.price is not None else "hours")
        if self.of not in STATED:
            raise EstimateError("of", of, "is not a ledger of an estimate", did_you_mean(of, STATED), "unknown-name")

    @cached_property
    def ledger(self) -> Any:
        """The answer that is drawn: a ledger, or a memory fit."""
        if self.of == "memory":
            return fits(self.answer.run)
        found: Ledger = getattr(self.answer, self.of)
        if self.of != "step_time":
            return found
        first = next(iter(found.parts.values()), None)
        if first is None:
            raise EstimateError("phases", None, "has no phase whose batch is known", "give a phase its batch and seq_len", "missing")
        return first

    @cached_property
    def inner(self) -> Picture:
        """The picture of the ledger."""
        return picture_of(self.ledger)

    @property
    def title(self) -> str:
        """Title: the ledger's finding."""
        return self.inner.title

    @property
    def subtitle(self) -> str:
        """Subtitle: the ledger and the run."""
        phases = self.answer.run.phases
        phase = f", {phases[0].name}" if self.of in ("step_time", "memory") and len(phases) > 1 else ""
        return " · ".join(filter(None, (f"{self.answer.run.name or 'a run'}{phase}: {STATED[self.of]}", self.inner.subtitle)))

    @property
    def alt(self) -> str:
        """Alternative text: the ledger's description."""
        return self.inner.alt

    @property
    def height(self) -> float:
        """Height of the ledger's picture [inch]."""
        return self.inner.height

    @property
    def note(self) -> str:
        """Note: the ledger's, and a remark that an estimate is a point."""
        return self.inner.note

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources of the run's numbers, each once."""
        return tuple(dict.fromkeys(source.partition(" (")[0] for source in self.answer.sources().values()))

    @property
    def command(self) -> str:
        """Command, if the run is in the catalogue."""
        run = self.answer.run
        named = run.name in runs() and _is_published(run)
        return (
            f'ts.draw(ts.estimate(ts.catalog.run("{run.name}")), of="{self.of}")' if named else f'ts.draw(ts.estimate(run), of="{self.of}")'
        )

    def paint(self, canvas: Canvas) -> None:
        """Draw the ledger's body."""
        self.inner.paint(canvas)


def _is_published(run: Run) -> bool:
    """Whether a run is an unchanged run of the catalogue."""
    try:
        return bool(published_run(run.name) == run)
    except TrainsimError:  # a run with an unpublished number of GPUs can't be built without that number
        return False
