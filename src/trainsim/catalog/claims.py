"""Claims from their rows."""

from __future__ import annotations

from typing import Any

from ..claims.claim import Claim, Primary
from .rows import Row, find, rows


def claim(name: str) -> Claim:
    """A claim of the catalogue.

    Raises:
        CatalogError: no such claim; says which there are.

    >>> claim("deepseek-v3-6m").in_base()
    6000000.0
    """
    return _claim(find("claims", name))


def claims() -> dict[str, Claim]:
    """Every claim of the catalogue, by name."""
    return {name: _claim(row) for name, row in rows("claims").items()}


def _claim(row: Row) -> Claim:
    told: dict[str, Any] = {k: v for k, v in row.fields.items() if k in Claim.model_fields and k != "primary"}
    primary = {k: v for k, v in row.get("primary", {}).items() if k in Primary.model_fields}
    made = {**told, "name": row.id, "source": row.cited, "date": row.date.isoformat(), "leaves_out": tuple(row.get("leaves_out", ()))}
    return Claim(**made, primary=Primary(**primary) if primary else None)
