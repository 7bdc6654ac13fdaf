"""Chips and clusters, built from catalogue rows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from ..cluster.hardware import Chip, Cluster, Host, Link, Peak
from ..core.errors import CatalogError
from .rows import Row, find, rows


def check_chips(chips: Mapping[str, Row]) -> None:
    """Check that chip rows hold dense peaks of the part they name.

    Raises:
        CatalogError: a dense peak equals the row's own sparse figure, or an SXM row repeats a figure of its PCIe sibling without
            listing it in ``shared_with_sibling``.
    """
    fields = {name: row.fields for name, row in chips.items()}
    for name, row in fields.items():
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
        sibling = fields.get(row.get("sibling", ""))
        if sibling is None:
            continue
        shared = row.get("shared_with_sibling", ())
        mine, theirs = _figures(row), _figures(sibling)
        for figure, value in mine.items():
            if value == theirs.get(figure) and figure.split(".")[0] not in shared:
                remedy = f"write the figure of the {row['form']} part, or list it in shared_with_sibling"
                raise CatalogError(
                    f"chips/{name}.{figure}", value, f"equals the figure of its sibling {row['sibling']}", remedy, "conflict"
                )


def _figures(row: Mapping[str, Any]) -> dict[str, float]:
    named = {f"peak.{dtype}": flops for dtype, flops in row["peak"].items()}
    return named | {k: row[k] for k in ("memory_bandwidth", "power") if row.get(k) is not None}


@lru_cache(maxsize=256)
def chip(name: str) -> Chip:
    """A chip of the catalogue, with the source of each field.

    Args:
        name: id of its row.

    Returns:
        the chip; its peaks are dense [FLOP/s].

    Raises:
        CatalogError: no such chip; lists those there are.

    >>> chip("h800-sxm").peak.bf16
    989400000000000.0
    """
    return _chip_of(find("chips", name))


def _chip_of(row: Row) -> Chip:
    name, sibling = row.id, row.fields.get("sibling")
    check_chips({name: row} if sibling is None else {name: row, sibling: find("chips", sibling)})
    fields: dict[str, Any] = {field: row.fields.get(field) for field in ("memory", "memory_bandwidth", "power", "architecture")}
    made = Chip(name=name, peak=Peak(**{d: f for d, f in row.fields["peak"].items() if d in Peak.model_fields}), **fields)
    return made.with_sources({"": row.cited})


def cluster(name: str, gpus: int) -> Cluster:
    """A cluster of the catalogue with a number of accelerators.

    Args:
        name: kind of node, ``"hgx-h800"``; or a chip, which gives a scale-up domain without a network between domains.
        gpus: accelerators [GPU].

    Returns:
        the cluster, with the source of each field.

    Raises:
        CatalogError: no such cluster.

    >>> cluster("hgx-h800", gpus=2048).chip.name
    'h800-sxm'
    """
    node, sources = _node(name)
    return Cluster(gpus=gpus, **node).with_sources(sources)


@lru_cache(maxsize=256)
def _node(name: str) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Fields of a cluster except the number of accelerators, and the sources of its links."""
    if name in rows("chips"):  # a chip gives one scale-up domain, without a network
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
        "chip": _chip_of(part),
        "domain": int(up.get("domain", row["gpus_per_node"])) if up else int(row["gpus_per_node"]),
        "scale_up": Link(bandwidth=up["bandwidth"], achieved=part.get("scale_up_achieved"), topology=up.get("topology", "switch"))
        if up and "bandwidth" in up
        else None,
        "scale_out": Link(bandwidth=out["bandwidth"]) if out and "bandwidth" in out else None,
    }
    sources = {"scale_up": part.cited, "scale_out": row.cited}
    if "host" in row.fields:
        server = find("hosts", row["host"])
        node["host"] = Host(
            link=Link(bandwidth=server["link"]),
            memory_bandwidth=server["memory_bandwidth"],
            accelerators=server["accelerators"],
            processor=server["processor"],
        )
        sources["host"] = server.cited
    return MappingProxyType(node), MappingProxyType(sources)
