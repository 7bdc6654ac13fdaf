"""Claims, built from catalogue rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..claims.claim import Claim, Primary, Terms
from .rows import Row, find, rows


def claim(name: str) -> Claim:
    """A claim of the catalogue.

    Args:
        name: id of its row.

    Returns:
        the claim, with its source.

    Raises:
        CatalogError: no such claim; the error lists the known ones.

    >>> claim("deepseek-v3-6m").in_base()
    6000000.0
    """
    return _claim(find("claims", name))


def claims() -> dict[str, Claim]:
    """Every claim of the catalogue, by name.

    Returns:
        name → claim.

    >>> claims()["deepseek-v3-6m"].in_base()
    6000000.0
    """
    return {name: _claim(row) for name, row in rows("claims").items()}


def _claim(row: Row) -> Claim:
    fields: dict[str, Any] = {k: v for k, v in row.fields.items() if k in Claim.model_fields and k not in ("primary", "terms")}
    primary = {k: v for k, v in row.get("primary", {}).items() if k in Primary.model_fields and k != "terms"}
    lists = {name: tuple(row.get(name, ())) for name in ("leaves_out", "meant")}
    made = {**fields, **lists, "name": row.id, "source": row.cited, "date": row.date.isoformat(), "terms": _terms(row.fields)}
    return Claim(**made, primary=Primary(**primary, terms=_terms(row.get("primary", {}))) if primary else None)


def _terms(fields: Mapping[str, Any]) -> Terms | None:
    return Terms(**fields["terms"]) if fields.get("terms") else None
