"""Beliefs in files that people edit: TOML, JSON and CSV sheets."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainsim.core import toml_io as toml
from trainsim.core.errors import BeliefError, TrainsimError
from trainsim.core.spec import Spec, find_member, kind_of, members

from ..distributions.distribution import Belief
from .beliefs import Beliefs
from .correlation import Correlation, Latent

SAME, WITH = " = ", " ~ "
"""Between paths of one key; between the two paths of a correlation."""
SHEET = ("path", "kind", "p5", "p10", "p50", "p90", "p95", "low", "mode", "high", "mu", "sigma", "a", "b", "rho", "more")
"""Columns of a CSV sheet; what has no column of its own stands in ``more`` as JSON."""


def to_dict(beliefs: Beliefs) -> dict[str, Any]:
    """Plain nested dict; ``from_dict`` gives equal beliefs.

    >>> from trainsim.uncertainty.distributions.interval import ci90
    >>> to_dict(Beliefs({"price": ci90(1, 3)}))
    {'beliefs': {'price': {'kind': 'Interval', 'p5': 1.0, 'p95': 3.0}}}
    """
    data: dict[str, Any] = {"beliefs": {SAME.join(key): _plain(belief) for key, belief in beliefs.items()}}
    if beliefs.correlated:
        data["correlated"] = {WITH.join(pair): _reading(rho) for pair, rho in beliefs.correlated.items()}
    return data


def from_dict(data: Mapping[str, Any]) -> Beliefs:
    """Beliefs from what ``to_dict`` gave, or a person wrote.

    Raises:
        BeliefError: an unknown kind, or a value that breaks a rule; names the path.
    """
    if unknown := set(data) - {"beliefs", "correlated"}:
        raise BeliefError("beliefs", sorted(unknown), "are no parts of a set of beliefs", "its parts are beliefs and correlated")
    held = {tuple(key.split(SAME)): _member(Belief, fields, key) for key, fields in data.get("beliefs", {}).items()}
    correlated = {}
    for pair, rho in data.get("correlated", {}).items():
        a, _, b = pair.partition(WITH)
        correlated[a, b] = _member(Correlation, rho, pair) if isinstance(rho, Mapping) else rho
    return Beliefs(held, correlated)


def _plain(spec: Spec) -> dict[str, Any]:
    plain: dict[str, Any] = _finite({"kind": kind_of(type(spec)), **spec.to_dict()})
    return plain


def _finite(value: Any) -> Any:
    """Without infinite ends, which are what leaving them out means, and without empty lists."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items() if not (isinstance(v, float) and math.isinf(v)) and v != []}
    return [_finite(v) for v in value] if isinstance(value, list) else value


def _reading(rho: Correlation) -> Any:
    return rho.rho if isinstance(rho, Latent) else _plain(rho)


def _member(face: type[Spec], fields: Any, path: str) -> Any:
    if not isinstance(fields, Mapping) or "kind" not in fields:
        known = ", ".join(sorted(members(face)))
        raise BeliefError(path, fields, "says no kind", f"kinds: {known}")
    try:
        member = find_member(face, fields["kind"], f"{path}.kind")
    except TrainsimError as error:
        raise BeliefError(error.path, error.value, error.rule, error.remedy) from None
    try:
        return member(**{name: value for name, value in fields.items() if name != "kind"})
    except TrainsimError as error:
        raise BeliefError(f"{path}: {error.path}", error.value, error.rule, error.remedy) from None


def save(beliefs: Beliefs, path: str | Path) -> None:
    """Write beliefs as ``.toml``, ``.json`` or ``.csv``, by the file's name.

    Raises:
        BeliefError: another ending.
    """
    writers = {".toml": toml.dumps, ".json": lambda data: json.dumps(data, indent=2) + "\n", ".csv": _sheet}
    suffix = Path(path).suffix
    if suffix not in writers:
        raise BeliefError("save", str(path), "is of no known ending", "end it in .toml, .json or .csv")
    toml.write(path, writers[suffix](to_dict(beliefs)))


def load(path: str | Path) -> Beliefs:
    """Read beliefs that ``save`` or a person wrote.

    Raises:
        BeliefError: no such file, another ending, a file cut short, or a value that breaks a rule.
    """
    suffix = Path(path).suffix
    try:
        if suffix == ".toml":
            return from_dict(toml.read(path))
        text = Path(path).read_text(encoding="utf-8")
        if suffix == ".json":
            return from_dict(json.loads(text))
        if suffix == ".csv":
            return from_dict(_unsheet(text))
    except (OSError, json.JSONDecodeError) as error:
        raise BeliefError("load", str(path), f"can't be read ({error})", "give the path of a whole file") from None
    raise BeliefError("load", str(path), "is of no known ending", "end it in .toml, .json or .csv")


def _sheet(data: Mapping[str, Any]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, SHEET, lineterminator="\n")
    writer.writeheader()
    for path, fields in {**data["beliefs"], **data.get("correlated", {})}.items():
        given = fields if isinstance(fields, Mapping) else {"kind": "Latent", "rho": fields}
        own = {name: value for name, value in given.items() if name in SHEET}
        more = {name: value for name, value in given.items() if name not in SHEET}
        writer.writerow({"path": path, **own, **({"more": json.dumps(more)} if more else {})})
    return out.getvalue()


def _unsheet(text: str) -> dict[str, Any]:
    parts: dict[str, dict[str, Any]] = {"beliefs": {}, "correlated": {}}
    for line, row in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        path, kind = (row.get("path") or "").strip(), (row.get("kind") or "").strip()
        if not path or None in row:
            raise BeliefError(f"line {line}", row, "has no path, or more cells than the header", f"the header is {','.join(SHEET)}")
        fields: dict[str, Any] = {"kind": kind or "Interval"}
        for name, cell in row.items():
            if name not in {"path", "kind", "more"} and cell is not None and cell.strip():
                fields[name] = _number(cell, f"{path}.{name}")
        try:
            fields |= json.loads(row.get("more") or "{}")
        except json.JSONDecodeError as error:
            raise BeliefError(
                f"{path}.more", row.get("more"), f"is no whole JSON ({error})", 'leave it empty, or give {"name": value}'
            ) from None
        parts["correlated" if WITH in path else "beliefs"][path] = fields
    return {name: part for name, part in parts.items() if part}


def _number(cell: str, path: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise BeliefError(path, cell, "is no number", "write it plainly: 14.8e12") from None


def schema() -> dict[str, Any]:
    """JSON schema of a file of beliefs."""
    kinds = [{"$ref": f"#/$defs/{kind}"} for kind in sorted(members(Belief))]
    defs: dict[str, Any] = {kind: _kind_schema(kind, cls) for kind, cls in sorted(members(Belief).items())}
    readings = [{"type": "number", "exclusiveMinimum": -1, "exclusiveMaximum": 1}]
    readings += [_kind_schema(kind, cls) for kind, cls in sorted(members(Correlation).items())]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Beliefs",
        "type": "object",
        "properties": {
            "beliefs": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Belief"}},
            "correlated": {"type": "object", "additionalProperties": {"anyOf": readings}},
        },
        "additionalProperties": False,
        "$defs": {"Belief": {"anyOf": kinds}, **defs},
    }


_SHAPES: dict[str, Any] = {
    "base": {"$ref": "#/$defs/Belief"},
    "laws": {"type": "array", "items": {"$ref": "#/$defs/Belief"}},
    "columns": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
    "names": {"type": "array", "items": {"type": "string"}},
    "samples": {"type": "array", "items": {"type": "number"}},
    "weights": {"type": "array", "items": {"type": "number"}},
}


def _kind_schema(kind: str, cls: type) -> dict[str, Any]:
    assert issubclass(cls, Spec)
    fields = {name: _SHAPES.get(name, {"type": "number"}) for name in cls.model_fields}
    required = [name for name, info in cls.model_fields.items() if info.is_required()]
    return {
        "type": "object",
        "description": (cls.__doc__ or "").strip().split("\n")[0],
        "properties": {"kind": {"const": kind}, **fields},
        "required": ["kind", *required],
        "additionalProperties": False,
    }
