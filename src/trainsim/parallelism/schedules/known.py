"""The schedules that the library has: found in their files, looked up by name or by the words of papers and frameworks."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import PlainValidator

from ...core.errors import SpecError, did_you_mean
from ...core.registry import find_member, members
from .schedule import Schedule


@lru_cache(maxsize=1)
def schedules() -> Mapping[str, Schedule]:
    """Every schedule of this package by name; a new one is a new file here.

    >>> schedules()["dualpipe"].copies
    2
    """
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        import_module(f"{package}.{module.name}")
    own = [member() for member in members(Schedule).values() if member.__module__.startswith(package)]
    return MappingProxyType({one.name: one for one in sorted(own, key=lambda one: one.name)})


def schedule_of(schedule: Schedule | str) -> Schedule:
    """A schedule by its name, or the schedule itself.

    Raises:
        SpecError: no such schedule.

    >>> schedule_of("gpipe")
    GPipe()
    """
    if isinstance(schedule, Schedule):
        return schedule
    if not isinstance(schedule, str) or schedule not in schedules():
        raise SpecError(
            "", schedule, "is no schedule", did_you_mean(str(schedule), schedules()) + "; or give a ts.Schedule of your own", "unknown-name"
        )
    return schedules()[schedule]


def schedule_named(words: str) -> Schedule:
    """The schedule that a paper, a recipe or a row names; letter case, spaces, hyphens and underscores don't matter.

    Raises:
        SpecError: no schedule is called so.

    >>> schedule_named("Interleaved 1F1B").name, schedule_named("ZB-H1").name, schedule_named("DualPipeV").name
    ('interleaved', 'zero-bubble', 'dualpipe-v')
    """
    if _plain(words) not in _called():
        raise SpecError("schedule", words, "names no schedule", did_you_mean(words, schedules()), "conflict")
    return _called()[_plain(words)]


@lru_cache(maxsize=1)
def _called() -> Mapping[str, Schedule]:
    """Schedules by everything they are called."""
    return {_plain(word): one for one in schedules().values() for word in (*one.aliases, *one.words.values(), one.name)}


def _plain(words: str) -> str:
    return "".join(letter for letter in words.casefold() if letter not in " -_")


@lru_cache(maxsize=64)
def usual_schedule(vpp: int) -> Schedule:
    """What a pipeline runs that names no schedule: Megatron-LM's own, with one stage to a rank or several.

    >>> usual_schedule(1).name, usual_schedule(4).name
    ('1f1b', 'interleaved')
    """
    return next(one for one in schedules().values() if "megatron" in one.words and (one.stages_per_rank is None) == (vpp > 1))


def in_framework(framework: str) -> Mapping[str, Schedule]:
    """The schedules that a framework runs, by its word.

    >>> in_framework("torchtitan")["LoopedBFS"].name
    'breadth-first'
    """
    return {one.words[framework]: one for one in schedules().values() if framework in one.words}


def _known(value: Any) -> Any:
    if isinstance(value, Mapping):
        value = find_member(Schedule, value.get("kind"), "kind")(**{k: v for k, v in value.items() if k != "kind"})
    found = schedule_of(value)
    return found.name if schedules().get(found.name) == found else found


ScheduleField = Annotated[Schedule | str, PlainValidator(_known)]
"""A schedule's name, or a schedule of the user's own."""
