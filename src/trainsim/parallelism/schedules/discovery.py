"""Find schedules: in the files of this package, by name, or by their names in papers and frameworks."""

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
    """Every schedule of this package by name; each new file in the package is found.

    >>> schedules()["dualpipe"].copies
    2
    """
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        import_module(f"{package}.{module.name}")
    own = [member() for member in members(Schedule).values() if member.__module__.startswith(package)]
    return MappingProxyType({one.name: one for one in sorted(own, key=lambda one: one.name)})


@lru_cache(maxsize=64)
def _of_its_file(name: str) -> Schedule | None:
    """The schedule after which a file of this package is named, without importing the other files; None if there is no such file."""
    stem = name.replace("-", "_")
    if not stem.isidentifier() or not (Path(__file__).parent / f"{stem}.py").is_file():
        return None
    module = import_module(f"{__name__.rpartition('.')[0]}.{stem}")
    return next((kind() for kind in vars(module).values() if getattr(kind, "name", None) == name), None)


def _named(name: str) -> Schedule | None:
    """The schedule of a name; None if there is none."""
    return _of_its_file(name) or schedules().get(name)


def schedule_of(schedule: Schedule | str) -> Schedule:
    """Find a schedule by name; a schedule is returned as it is.

    Raises:
        SpecError: there is no such schedule.

    >>> schedule_of("gpipe")
    GPipe()
    """
    if isinstance(schedule, Schedule):
        return schedule
    found = _named(schedule) if isinstance(schedule, str) else None
    if found is None:
        raise SpecError(
            "", schedule, "is not a schedule", did_you_mean(str(schedule), schedules()) + "; or pass a ts.Schedule", "unknown-name"
        )
    return found


def find_schedule(words: str) -> Schedule:
    """Find a schedule by any of its names in papers and frameworks, ignoring case, spaces, hyphens and underscores.

    Raises:
        SpecError: no schedule has that name.

    >>> find_schedule("Interleaved 1F1B").name, find_schedule("ZB-H1").name, find_schedule("DualPipeV").name
    ('interleaved', 'zero-bubble', 'dualpipe-v')
    """
    if (found := _of_its_file(_normalised(words))) is not None:
        return found
    if _normalised(words) not in _by_alias():
        raise SpecError("schedule", words, "is not the name of a schedule", did_you_mean(words, schedules()), "conflict")
    return _by_alias()[_normalised(words)]


@lru_cache(maxsize=1)
def _by_alias() -> Mapping[str, Schedule]:
    """Schedules by all of their names, normalised."""
    return {_normalised(word): one for one in schedules().values() for word in (*one.aliases, *one.words.values(), one.name)}


def _normalised(words: str) -> str:
    return "".join(letter for letter in words.casefold() if letter not in " -_")


@lru_cache(maxsize=64)
def default_schedule(vpp: int) -> Schedule:
    """The default schedule: Megatron-LM's, for one or several stages per rank.

    >>> default_schedule(1).name, default_schedule(4).name
    ('1f1b', 'interleaved')
    """
    return next(one for one in schedules().values() if "megatron" in one.words and (one.stages_per_rank is None) == (vpp > 1))


def framework_schedules(framework: str) -> Mapping[str, Schedule]:
    """The schedules of a framework, by their name in it.

    >>> framework_schedules("torchtitan")["LoopedBFS"].name
    'breadth-first'
    """
    return {one.words[framework]: one for one in schedules().values() if framework in one.words}


def _known(value: Any) -> Any:
    if isinstance(value, Mapping):
        value = find_member(Schedule, value.get("kind"), "kind")(**{k: v for k, v in value.items() if k != "kind"})
    found = schedule_of(value)
    return found.name if _named(found.name) == found else found


ScheduleField = Annotated[Schedule | str, PlainValidator(_known)]
"""Field type: a schedule or its name."""
