"""Read a layout as people type it, and as answers print it: ``tp=8 pp=2 zero=1 recompute=full``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from ..core.errors import SpecError, did_you_mean
from ..parallelism.plan import Plan, data_parallel

EXAMPLE = "write tp=8 pp=2 zero=1"


def layout_from(text: str, gpus: int, path: str = "--plan") -> Plan:
    """Read a layout: fields of a plan with their values, separated by spaces or commas; the inverse of ``layout_words``.

    Args:
        text: ``"tp=8 pp=2 zero=1"``; parts of a list are joined by ``+``.
        gpus: accelerators, by which a degree ``dp`` is checked.
        path: where the text was typed, for errors.

    Raises:
        SpecError: a field is unknown or typed twice, a value is refused, or the degrees do not multiply to the accelerators.

    >>> layout_from("tp=8 pp=2 dp=4 zero=1, recompute=full", 64).recompute
    'full'
    >>> layout_from("pp=2 stage_layers=3+4", 8).stage_layers
    (3, 4)
    """
    fields: dict[str, Any] = {}
    for name, value in _pairs(text, path):
        if name in fields:
            raise SpecError(path, text, f"gives {name} twice", f"keep one {name}", "duplicate")
        fields[name] = value
    return _checked(fields, text, gpus, path)


def _checked(fields: dict[str, Any], text: str, gpus: int, path: str) -> Plan:
    degree = fields.pop("dp", None)
    try:
        plan = Plan(**fields)
    except SpecError as error:
        raise SpecError(f"{path} {error.path}", error.value, error.rule, error.remedy, error.rule_id) from None
    used = plan.tp * plan.pp * plan.cp * (degree or 1)
    if gpus % used or degree not in (None, data_parallel(plan, gpus)):
        rule = f"uses {' × '.join(('tp', 'pp', 'cp') + (() if degree is None else ('dp',)))} = {used:,} accelerators, not {gpus:,}"
        remedy = "leave out dp, and choose degrees whose product divides the accelerators"
        raise SpecError(path, text, rule, remedy, "conflict")
    return plan


def _pairs(text: str, path: str) -> Iterator[tuple[str, Any]]:
    """Field and value of every part of a text."""
    for part in filter(None, re.split(r"[\s,]+", text)):
        name, sign, value = part.partition("=")
        if not (name and sign and value):
            raise SpecError(path, part, "is not field=value", EXAMPLE, "syntax")
        if name not in Plan.model_fields:
            raise SpecError(path, name, "is not a field of a layout", did_you_mean(name, Plan.model_fields), "unknown-field")
        yield name, _value(name, value)


def _value(name: str, text: str) -> Any:
    """A value as its field takes it: a whole number, a list of parts, or a word."""
    each = [int(part) if re.fullmatch(r"\d+", part) else part for part in text.split("+")]
    return each if _is_list(Plan.model_fields[name].annotation) else int(text) if re.fullmatch(r"\d+", text) else text


def _is_list(annotation: Any) -> bool:
    return "tuple" in str(annotation) or any(_is_list(one) for one in get_args(annotation))
