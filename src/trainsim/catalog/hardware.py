"""Chips and clusters from their rows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from ..cluster.hardware import Chip, Cluster, Link, Peak
from ..core.errors import CatalogError
from .rows import Row, find, rows


def check_chips(chips: Mapping[str, Row]) -> None:
    """Whether chip rows hold dense peaks of the part they name.

    Raises:
        CatalogError: a dense peak that equals the row's own sparse figure, or an SXM row with a figure of its PCIe sibling that
            the row doesn't say they share.
    """
    told = {name: row.fields for name, row in chips.items()}
    for name, row in told.items():
        sparse = row.get("peak_sparse", {})
        for dtype, flops in row["peak"].items():
            if flops == sparse.get(dtype):
                raise CatalogError(
                    f"chips/{name}.peak.{dtype}",
                    flops,
                    "equals the sparse figure",
                    "write the dense peak: half of a 2:4-sparse one",
                    "conflict",
                )
        sibling = told.get(row.get("sibling", ""))
        if sibling is None:
            continue
        shared = row.get("shared_with_sibling", ())
        mine, theirs = _figures(row), _figures(sibling)
        for figure, value in mine.items():
            if value == theirs.get(figure) and figure.split(".")[0] not in shared:
                remedy = f"write the {row['form']} part's own, or list it in shared_with_sibling"
                raise CatalogError(f"chips/{name}.{figure}", value, f"is the figure of its sibling {row['sibling']}", remedy, "conflict")


def _figures(row: Mapping[str, Any]) -> dict[str, float]:
    named = {f"peak.{dtype}": flops for dtype, flops in row["peak"].items()}
    return named | {k: row[k] for k in ("memory_bandwidth", "power") if row.get(k) is not None}


@lru_cache(maxsize=256)
def chip(name: str) -> Chip:
    """A chip of the catalogue, its fields remembering their source.

    Args:
        name: id of its row.

    Returns:
        the chip; its peaks are dense ones [FLOP/s].

    Raises:
        CatalogError: no such chip; says which there are.

    >>> chip("h800-sxm").peak.bf16
    989400000000000.0
    """
    row = find("chips", name)
    sibling = row.fields.get("sibling")
    check_chips({name: row} if sibling is None else {name: row, sibling: find("chips", sibling)})
    told: dict[str, Any] = {field: row.fields.get(field) for field in ("memory", "memory_bandwidth", "power", "architecture")}
    made = Chip(name=name, peak=Peak(**{d: f for d, f in row.fields["peak"].items() if d in Peak.model_fields}), **told)
    return made.with_sources({"": row.cited})


def cluster(name: str, gpus: int) -> Cluster:
    """A cluster of the catalogue with a number of accelerators.

    Args:
        name: the kind of node, ``"hgx-h800"``; or a chip, whose row gives a node without a network beyond its domain.
        gpus: accelerators [GPU].

    Returns:
        the cluster, its fields remembering their source.

    Raises:
        CatalogError: no such cluster.

    >>> cluster("hgx-h800", gpus=2048).chip.name
    'h800-sxm'
    """
    node, sources = _node(name)
    return Cluster(gpus=gpus, **node).with_sources(sources)


@lru_cache(maxsize=256)
def _node(name: str) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Everything of a cluster but its accelerators, and where its links are from."""
    if name in rows("chips"):  # a chip's own row: its scale-up domain, and no network between domains
        row = find("chips", name)
        up = row.get("scale_up") or {}
        link = {"achieved": row.get("scale_up_achieved"), "topology": up.get("topology", "switch")}
        one = {
            "name": name,
            "chip": chip(name),
            "domain": int(up.get("domain", 1)),
            "scale_up": Link(bandwidth=up["bandwidth"], **link) if "bandwidth" in up else None,
        }
        return MappingProxyType(one), MappingProxyType({"scale_up": row.cited})
    row = find("clusters", name)
    part = find("chips", row["chip"])
    up, out = part.get("scale_up"), row.get("scale_out")
    node = {
        "name": name,
        "chip": chip(row["chip"]),
        "domain": int(up.get("domain", row["gpus_per_node"])) if up else int(row["gpus_per_node"]),
        "scale_up": Link(bandwidth=up["bandwidth"], achieved=part.get("scale_up_achieved"), topology=up.get("topology", "switch"))
        if up and "bandwidth" in up
        else None,
        "scale_out": Link(bandwidth=out["bandwidth"]) if out and "bandwidth" in out else None,
    }
    return MappingProxyType(node), MappingProxyType({"scale_up": part.cited, "scale_out": row.cited})
