"""Run a comparison over the configs of a family: every value of every key, and random combinations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings

from trainsim.testing.models import covering_configs, hf_configs

Comparison = Callable[[dict[str, Any]], None]
"""Asserts that this library agrees with the class of a config."""


def compare_every_value(family: str, agree: Comparison) -> int:
    """Compare configs that together have every value of every key; returns their number."""
    configs = list(covering_configs(family))
    for config in configs:
        agree(config)
    return len(configs)


def compare_random(family: str, agree: Comparison, examples: int) -> int:
    """Compare random configs; returns their number."""
    drawn = []

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(hf_configs(family))
    def check(config: dict[str, Any]) -> None:
        agree(config)
        drawn.append(config)

    check()
    return len(drawn)
