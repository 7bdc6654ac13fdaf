"""Read and write beliefs as TOML, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainsim.core import reading, toml_io
from trainsim.core.errors import BeliefError, TrainsimError, did_you_mean, recast
from trainsim.core.registry import find_member, kind_of, members, trust_modules
from trainsim.core.spec import Spec
from trainsim.core.values import to_float

from ..distributions.distribution import Belief
from .correlation import Correlation, LatentCorrelation

SAME, WITH = " = ", " ~ "
"""Separator of paths in a key, and of the two paths of a correlation."""
CSV_COLUMNS = ("path", "kind", "p5", "p10", "p50", "p90", "p95", "low", "mode", "high", "mu", "sigma", "a", "b", "rho", "more")
"""Columns of a CSV file; other fields are in ``more`` as JSON."""

Held = Mapping[tuple[str, ...], Belief]
"""Paths that share a draw, or that name the columns of a joint belief → belief."""
Correlated = Mapping[tuple[str, str], Correlation]
"""Two paths → correlation."""
Sources = Mapping[str, str]
"""Path → source of its belief."""
PARTS = ("beliefs", "correlated", "sources")
"""Tables of a file."""


def to_dict(held: Held, correlated: Correlated, sources: Sources | None = None) -> dict[str, Any]:
    """Nested plain dict of beliefs, the inverse of :func:`from_dict`.

    >>> from trainsim.uncertainty.distributions.interval import ci90
    >>> to_dict({("price",): ci90(1, 3)}, {})
    {'beliefs': {'price': {'kind': 'Interval', 'p5': 1.0, 'p95': 3.0}}}
    """
    data: dict[str, Any] = {"beliefs": {SAME.join(key): _plain(belief) for key, belief in held.items()}}
    if correlated:
        data["correlated"] = {WITH.join(pair): _correlation_value(rho) for pair, rho in correlated.items()}
    if sources:
        data["sources"] = dict(sources)
    return data


def from_dict(data: object) -> tuple[Held, Correlated, Sources]:
    """Read beliefs from a nested dict; entries that can't be read are skipped with a warning.

    Raises:
        BeliefError: the data is not a table of beliefs, or no entry can be read.
    """
    parts = _table(data, "beliefs file")
    for unknown in set(parts) - set(PARTS):
        meant = did_you_mean(unknown, PARTS, "its parts are")
        raise BeliefError(unknown, parts[unknown], "is not a part of a set of beliefs", meant, "unknown-field")
    beliefs, pairs, sources = (_table(parts.get(name, {}), name) for name in PARTS)
    entries: list[tuple[str, Callable[[], tuple[Any, Any]]]] = [
        *(
            (path, lambda path=path, fields=fields: (tuple(path.split(SAME)), _member(Belief, fields, path)))
            for path, fields in beliefs.items()
        ),
        *((pair, lambda pair=pair, rho=rho: (_pair(pair), _correlation(rho, pair))) for pair, rho in pairs.items()),
    ]
    read = reading.read_rows((("", read) for _, read in entries), lambda read: read(), BeliefError)
    held = {key: value for key, value in read if isinstance(value, Belief)}
    given_sources = {path: str(source) for path, source in sources.items()}
    return held, {key: value for key, value in read if isinstance(value, Correlation)}, given_sources


def _table(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BeliefError(path, value, "is not a table", "give path = {kind = …}", "wrong-type")
    return value


def _pair(text: str) -> tuple[str, str]:
    a, _, b = text.partition(WITH)
    return a, b


def _correlation(rho: Any, pair: str) -> Correlation:
    found: Correlation = _member(Correlation, rho if isinstance(rho, Mapping) else {"kind": "LatentCorrelation", "rho": rho}, pair)
    return found


def _plain(spec: Spec) -> dict[str, Any]:
    plain: dict[str, Any] = _finite({"kind": kind_of(type(spec)), **spec.to_dict()})
    return plain


def _finite(value: Any) -> Any:
    """The fields without infinite bounds and empty lists, which are the defaults."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items() if not (isinstance(v, float) and math.isinf(v)) and v != []}
    return [_finite(v) for v in value] if isinstance(value, list) else value


def _correlation_value(rho: Correlation) -> Any:
    return rho.rho if isinstance(rho, LatentCorrelation) else _plain(rho)


def _member(base: type[Spec], fields: Any, path: str) -> Any:
    if not isinstance(fields, Mapping) or "kind" not in fields:
        raise BeliefError(path, fields, "has no kind", f"kinds: {', '.join(sorted(members(base)))}", "missing")
    try:
        member = find_member(base, fields["kind"], "kind")
        return member(**{str(name): value for name, value in fields.items() if name != "kind"})
    except TrainsimError as error:
        raise recast(error, BeliefError, f"{path}.{error.path}") from None


def save(data: Mapping[str, Any], path: str | Path) -> None:
    """Write the dict of :func:`to_dict` to a ``.toml``, ``.json`` or ``.csv`` file, by its suffix.

    Raises:
        BeliefError: the file has another suffix.
    """
    match _ending(path):
        case ".csv":
            toml_io.write_text(path, _to_csv(data))
        case _:
            toml_io.save(path, data)


def load(path: str | Path, trusted: Sequence[str] = ()) -> tuple[Held, Correlated, Sources]:
    """Read beliefs from a ``.toml``, ``.json`` or ``.csv`` file.

    Args:
        path: the file.
        trusted: modules of user distributions that the file may name.

    Raises:
        BeliefError: the file does not exist, is truncated or has another suffix, two rows have the same path, or no row can be read.
    """
    text = reading.read_text(path, BeliefError, what="beliefs file")
    name = Path(path).name
    with trust_modules(trusted):
        match _ending(path):
            case ".toml":
                return from_dict(reading.parse_toml(text, name, BeliefError))
            case ".json":
                return from_dict(reading.parse_json(text, name, BeliefError))
            case _:
                return from_dict(_from_csv(text, name))


def _ending(path: str | Path) -> str:
    ending = Path(path).suffix.lower()
    if ending not in {".toml", ".json", ".csv"}:
        raise BeliefError("beliefs file", str(path), "has an unknown suffix", "name it .toml, .json or .csv", "unsupported")
    return ending


def _to_csv(data: Mapping[str, Any]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for path, fields in {**data["beliefs"], **data.get("correlated", {})}.items():
        given = fields if isinstance(fields, Mapping) else {"kind": "LatentCorrelation", "rho": fields}
        own = {name: value for name, value in given.items() if name in CSV_COLUMNS}
        more = {name: value for name, value in given.items() if name not in CSV_COLUMNS}
        writer.writerow({"path": path, **own, **({"more": json.dumps(more)} if more else {})})
    return out.getvalue()


def _from_csv(text: str, name: str) -> dict[str, Any]:
    """Read CSV into the dict of :func:`to_dict`; rows that can't be read are skipped with a warning."""
    rows = reading.parse_table(text, name, BeliefError, key="path")
    read = reading.read_rows(((f"{name}:{line}", cells) for line, cells in rows), _row, BeliefError)
    parts: dict[str, dict[str, Any]] = {"beliefs": {}, "correlated": {}}
    for path, fields in read:
        parts["correlated" if WITH in path else "beliefs"][path] = fields
    return parts


def _row(cells: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Path and fields of one CSV row."""
    path = cells.get("path", "")
    if not path:
        raise BeliefError("path", "", "is missing", "name the path in the first column", "missing")
    if "" in cells:
        raise BeliefError(path, cells[""], "is a cell without a column", f"the columns are {', '.join(CSV_COLUMNS)}", "syntax")
    more = reading.parse_json(cells.get("more", "{}"), "more", BeliefError)
    if not isinstance(more, dict):
        raise BeliefError("more", more, "is not an object", 'leave it empty, or give {"name": value}', "wrong-type")
    kind = cells.get("kind", "LatentCorrelation" if WITH in path else "Interval")
    numbers = {name: to_float(cell, name, BeliefError) for name, cell in cells.items() if name not in {"path", "kind", "more"}}
    return path, {"kind": kind, **numbers, **more}


def schema() -> dict[str, Any]:
    """JSON schema of a beliefs file."""
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
            "sources": {"type": "object", "additionalProperties": {"type": "string"}},
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
