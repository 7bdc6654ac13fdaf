"""Software stacks from their rows: published figures where there are, priors where there are none."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from ..cluster.stack import Stack
from ..errors import CatalogError, did_you_mean
from ..uncertainty import Beliefs, ci90
from ..units import Num
from .rows import Row, read_rows

_HEADER = {"like", "release", "constants", "tags", "note", "date_precision"}
_ROUTING = ("permute_bytes", "routing_launch")


@cache
def constants() -> Mapping[str, Row]:
    """What was believed of every calibrated constant before any row was seen."""
    return read_rows("constants", _data("constants.toml"))


@cache
def stack_rows() -> Mapping[str, Row]:
    """Every software stack's row."""
    return read_rows("stacks", _data("stacks.toml"))


def stack(name: str) -> Stack:
    """A software stack of the catalogue at what was believed of each constant before any step was seen.

    Args:
        name: its row: ``"megatron-2021"``, ``"deepseek-2024"``.

    Raises:
        CatalogError: no such stack; says which there are.

    >>> stack("deepseek-2024").tag("fp8")
    'published'
    """
    return stack_at(name, {constant: float(row["prior"]) for constant, row in constants().items()})


def stack_beliefs(name: str, path: str = "efficiency.stack") -> Beliefs:
    """What is believed of a stack's constants: log-normal or logit-normal around their priors; a constant two fields share is one draw.

    Args:
        name: the stack's row.
        path: where the stack stands in the run.
    """
    shared: dict[str, list[str]] = {}
    for field, formula in fitted_fields(name).items():
        if " * " not in formula:  # a field that is a multiple of another's constant keeps its middle value
            shared.setdefault(formula, []).append(f"{path}.{field}")
    held = {}
    for constant, fields in shared.items():
        row = constants()[constant]
        middle, spread = float(row["prior"]), float(row["spread"])
        if row["kind"] == "share":
            odds = middle / (1.0 - middle)
            low, high = (odds * np.exp(z * spread) / (1.0 + odds * np.exp(z * spread)) for z in (-Z95, Z95))
        else:
            low, high = middle * np.exp(-Z95 * spread), middle * np.exp(Z95 * spread)
        held[tuple(sorted(fields))] = ci90(float(low), middle, float(high))
    return Beliefs(held)


Z95 = 1.6448536269514722
"""Normal score of the 95th percentile."""


def fitted_fields(name: str) -> dict[str, str]:
    """Which of a stack's fields are constants that a calibration could fit: field → constant, with its factor."""
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


def stack_at(name: str, values: Mapping[str, Num]) -> Stack:
    """A stack whose constants have these values."""
    row = _found(name)
    base = _found(row["like"]) if row.get("like") else row
    plain: dict[str, Any] = {k: v for k, v in base.fields.items() if k not in _HEADER}
    known: dict[str, Any] = dict(base.get("tags", {}))
    numbers: dict[str, Any] = {field: float(np.asarray(value)) for field, value in fields_at(name, values).items()}
    return Stack(name=name, **plain, **numbers, tags=known).with_sources({"": row.cited})


def _found(name: str) -> Row:
    known = stack_rows()
    if name not in known:
        raise CatalogError("catalog.stacks", name, "is in no row", did_you_mean(name, known, "rows"))
    return known[name]


def _data(file: str) -> str:
    return (resources.files(__package__) / "data" / file).read_text(encoding="utf-8")
