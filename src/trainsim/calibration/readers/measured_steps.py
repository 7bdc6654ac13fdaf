"""Read files of measured steps; each file format is a class in its own module, found by discovery."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import ClassVar

from ...core.errors import SpecError
from ...core.reading import read_text
from ...core.registry import members
from ..records import MeasuredStep


class StepTable(abc.ABC):
    """A file format of measured steps.

    To add a format, define a subclass in a module that is imported before the file is read.
    """

    ending: ClassVar[str]
    """File ending: ``".csv"``."""

    def recognises(self, text: str) -> bool:
        """Whether a text has this format; needed where several formats share an ending."""
        return bool(text)

    @abc.abstractmethod
    def steps(self, text: str, name: str) -> list[MeasuredStep]:
        """The steps of a file; a row that can't be modelled carries the reason.

        Args:
            text: content of the file.
            name: name of the file.

        Raises:
            SpecError: the text has another structure.
        """


def step_tables() -> tuple[StepTable, ...]:
    """All known formats, user-defined ones first."""
    found = members(StepTable)
    return tuple(found[kind]() for kind in sorted(found, key=lambda kind: (":" not in kind, kind)))


def read_steps(path: str | Path) -> list[MeasuredStep]:
    """The rows of a file of measured steps; rows that can't be modelled are included and carry the reason.

    Args:
        path: a JSON file with a list ``runs``, a CSV file of iteration times, or a file in a user-defined format.

    Raises:
        SpecError: no such file, or a file of no known format.
    """
    text, name = read_text(path, what="table of measured steps"), Path(path).name
    if not text.strip():
        raise SpecError("rows", name, "is empty", "give a table of measured steps, .csv or .json", "empty")
    known = step_tables()
    fitting = [one for one in known if name.endswith(one.ending) and one.recognises(text)]
    if not fitting:
        endings = ", ".join(sorted({one.ending for one in known}))
        raise SpecError("rows", name, "has an unknown file ending", f"known endings: {endings}", "unsupported")
    return fitting[0].steps(text, name)
