"""Measured steps out of files: every format is a class in a file of its own, found by discovery."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import ClassVar

from ...core.errors import SpecError
from ...core.reading import read_text
from ...core.registry import members
from ..records import MeasuredStep


class StepTable(abc.ABC):
    """A format of a file of measured steps.

    A format of one's own is a subclass in a module that is imported before the file is read.
    """

    ending: ClassVar[str]
    """How names of such files end: ``".csv"``."""

    def recognises(self, text: str) -> bool:
        """Whether a text is of this format, where several formats share an ending."""
        return bool(text)

    @abc.abstractmethod
    def steps(self, text: str, name: str) -> list[MeasuredStep]:
        """The steps of a file; a row that can't be modelled says why.

        Args:
            text: of the file.
            name: of the file.

        Raises:
            SpecError: the text is of another shape.
        """


def step_tables() -> tuple[StepTable, ...]:
    """Every format that is known: the user's own before this library's."""
    found = members(StepTable)
    return tuple(found[kind]() for kind in sorted(found, key=lambda kind: (":" not in kind, kind)))


def read_steps(path: str | Path) -> list[MeasuredStep]:
    """The rows of a file of published steps, those that can't be modelled among them with the reason.

    Args:
        path: a JSON file with a list ``runs``, a CSV file of iteration times, or a file of a format of one's own.

    Raises:
        SpecError: no such file, or a file of no known format.
    """
    text, name = read_text(path, what="rows"), Path(path).name
    known = step_tables()
    fitting = [one for one in known if name.endswith(one.ending) and one.recognises(text)]
    if not fitting:
        endings = ", ".join(sorted({one.ending for one in known}))
        raise SpecError("rows", name, "is of no known format", f"endings: {endings}", "unsupported")
    return fitting[0].steps(text, name)
