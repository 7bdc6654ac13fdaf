"""Granite 3 mixtures of experts."""

from __future__ import annotations

from typing import Any

from ..transformer import Model
from .config import Config
from .parts import ALL, LAYERS, alike, assemble, biases, grouped_query, routed, stack
from .reader import family


def _granite(c: Config, **shared: Any) -> Model:
    layers = c.layers(*LAYERS)
    attention = grouped_query(c, biases=biases(c, *ALL))
    moe = routed(c, "num_local_experts", **shared)
    return assemble(c, stack(alike(layers, "", attention), alike(layers, "moe", moe)), tied=False)


@family("granitemoe")
def granitemoe(c: Config) -> Model:
    """Granite 3.0 mixtures of experts (IBM 2024)."""
    return _granite(c)


@family("granitemoeshared")
def granitemoeshared(c: Config) -> Model:
    """The same with a shared expert."""
    return _granite(c, shared_width=c.count("shared_intermediate_size"))
