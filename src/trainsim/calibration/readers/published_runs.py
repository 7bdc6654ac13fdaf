"""Read JSON files of published runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ...core.errors import SpecError
from ...core.reading import parse_json
from ..records import MeasuredStep
from .measured_steps import StepTable
from .published_steps import published_step


class PublishedRuns(StepTable):
    """A ``.json`` file that is a list of runs, or an object with a list ``runs``."""

    ending: ClassVar[str] = ".json"

    def steps(self, text: str, name: str) -> list[MeasuredStep]:
        """One step per run; a run that can't be modelled carries the reason."""
        data = parse_json(text, name)
        runs = data.get("runs") if isinstance(data, Mapping) else data
        if not isinstance(runs, list):
            raise SpecError(f"{name}.runs", runs, "is not a list of runs", 'give [{"name": …}, …], or {"runs": […]}', "wrong-type")
        return [published_step(row) for row in runs if isinstance(row, Mapping)]
