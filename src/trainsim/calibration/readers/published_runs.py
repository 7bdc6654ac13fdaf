"""Published runs: JSON files with a list of what ran, on what, and how long its steps took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from ...core.errors import SpecError
from ...core.reading import parse_json
from ..records import MeasuredStep
from .measured_steps import StepTable
from .published_steps import published_step

SUPERSEDED = 1.4
"""A row that a later patch of the same configuration beats by this factor is a class of its own: a regression that was mended."""


class PublishedRuns(StepTable):
    """A ``.json`` file that is a list of runs, or an object with a list ``runs``."""

    ending: ClassVar[str] = ".json"

    def steps(self, text: str, name: str) -> list[MeasuredStep]:
        """One step a run; a run that can't be modelled says why."""
        data = parse_json(text, name)
        runs = data.get("runs") if isinstance(data, Mapping) else data
        if not isinstance(runs, list):
            raise SpecError(f"{name}.runs", runs, "is not a list of runs", 'give [{"name": …}, …], or {"runs": […]}', "wrong-type")
        return _judged([published_step(row) for row in runs if isinstance(row, Mapping)])


def _judged(steps: Sequence[MeasuredStep]) -> list[MeasuredStep]:
    """Rows that a later patch of the same configuration supersedes, marked."""
    fastest: dict[str, float] = {}
    for step in steps:
        if step.seconds > 0:
            fastest[step.key] = min(fastest.get(step.key, step.seconds), step.seconds)
    marked = []
    for step in steps:
        beaten = step.seconds > SUPERSEDED * fastest.get(step.key, step.seconds)
        marked.append(replace(step, doubt=step.doubt or "superseded by another release of the same configuration") if beaten else step)
    return marked
