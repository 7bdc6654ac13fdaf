"""Software stacks from their rows, with the constants the calibration fitted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cluster.stack import Stack
from ..errors import CatalogError, did_you_mean
from ..units import Num
from .rows import Row, read_rows

_HEADER = {"like", "release", "constants", "tags", "note", "date_precision"}
_ROUTING = ("permute_bytes", "routing_launch")


@dataclass(frozen=True, eq=False)
class Calibration:
    """The fitted constants: their names, a best point, joint draws, and what remains unexplained.

    Args:
        names: of the constants, in the order of every column.
        best: the most probable point, shape ``(constants,)``.
        draws: joint draws from the posterior, shape ``(draws, constants)``.
        tags: how each constant is known after the fit: fitted, prior-only or on-bound.
        rows: hashes of the measured steps the fit has seen.
        spread: standard deviation of log(modelled / measured) within a source by group, and between sources.
        date: day of the youngest row.
    """

    names: tuple[str, ...]
    best: NDArray[np.float64]
    draws: NDArray[np.float64]
    tags: Mapping[str, str]
    rows: frozenset[str]
    spread: Mapping[str, float]
    date: str


@cache
def constants() -> Mapping[str, Row]:
    """What was believed of every calibrated constant before any row was seen."""
    return read_rows("constants", _data("constants.toml"))


@cache
def stack_rows() -> Mapping[str, Row]:
    """Every software stack's row."""
    return read_rows("stacks", _data("stacks.toml"))


@cache
def calibration() -> Calibration:
    """The calibration this library ships.

    Raises:
        CatalogError: its constants are not those of ``constants.toml``.
    """
    data = json.loads(_data("calibration.json"))
    if set(data["names"]) != set(constants()):
        odd = sorted(set(data["names"]) ^ set(constants()))
        raise CatalogError("calibration.names", odd, "differ from constants.toml", "regenerate it: make calibrate")
    return Calibration(
        names=tuple(data["names"]),
        best=np.array(data["best"], dtype=np.float64),
        draws=np.array(data["draws"], dtype=np.float64),
        tags=data["tags"],
        rows=frozenset(data["rows"]),
        spread=data["spread"],
        date=data["date"],
    )


def stack(name: str) -> Stack:
    """A software stack of the catalogue at the calibration's best point.

    Args:
        name: its row: ``"megatron-2021"``, ``"mcore-26.04-blackwell"``, ``"deepseek-2024"``.

    Raises:
        CatalogError: no such stack; says which there are.

    >>> stack("deepseek-2024").tag("fp8")
    'published'
    """
    fitted = calibration()
    return stack_at(name, dict(zip(fitted.names, fitted.best.tolist(), strict=True)), fitted.tags)


def fitted_fields(name: str) -> dict[str, str]:
    """Which of a stack's fields are calibrated constants: field → constant, with its factor."""
    row = _found(name)
    above = fitted_fields(row["like"]) if row.get("like") else {}
    return above | dict(row.get("constants", {}))


def fields_at(name: str, values: Mapping[str, Num]) -> dict[str, Num]:
    """The calibrated fields of a stack where the constants have these values; arrays give arrays.

    ``field = factor · constant``; what routing costs falls with the months of releases, ``· trend^months``, and
    what grouped products reach rises with them, up to single ones.
    """
    months = _found(name).get("release", 0)
    made: dict[str, Num] = {}
    for field, formula in fitted_fields(name).items():
        constant, _, factor = formula.partition(" * ")
        made[field] = values[constant] * float(factor or 1.0)
        if field in _ROUTING:
            made[field] = made[field] * np.power(values["routing-trend"], months)
        if field == "grouped":
            made[field] = np.minimum(made[field] * np.power(values["routing-trend"], -float(months)), 1.0)
    return made


def stack_at(name: str, values: Mapping[str, Num], tags: Mapping[str, str] | None = None) -> Stack:
    """A stack whose constants have these values."""
    row = _found(name)
    base = _found(row["like"]) if row.get("like") else row
    plain = {k: v for k, v in base.fields.items() if k not in _HEADER}
    known: dict[str, Any] = dict(base.get("tags", {}))
    for field, formula in fitted_fields(name).items():
        known[field] = (tags or {}).get(formula.partition(" * ")[0], "fitted")
    numbers = {field: float(np.asarray(value)) for field, value in fields_at(name, values).items()}
    return Stack(name=name, **plain, **numbers, tags=known).with_sources({"": row.cited})


def _found(name: str) -> Row:
    known = stack_rows()
    if name not in known:
        raise CatalogError("catalog.stacks", name, "is in no row", did_you_mean(name, known, "rows"))
    return known[name]


def _data(file: str) -> str:
    return (resources.files(__package__) / "data" / file).read_text(encoding="utf-8")
