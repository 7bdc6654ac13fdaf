"""Strategies and contracts for models: configs of every mapped family, and the contract of every part of a block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

from .families import ABSENT, FAMILIES, Value
from .hybrid_families import HYBRIDS

EVERY = FAMILIES | HYBRIDS


def _settle(model_type: str, drawn: Mapping[str, Value]) -> dict[str, Any]:
    """The config with functions of earlier keys evaluated and absent keys left out."""
    config: dict[str, Any] = {"model_type": model_type}
    for key, value in drawn.items():
        settled = value(config) if callable(value) else value
        if settled is not ABSENT:
            config[key] = settled
    return config


def hf_configs(*model_types: str) -> st.SearchStrategy[dict[str, Any]]:
    """Small ``config.json`` dicts of the given families, or of every mapped one, with a drawn value for every shape-changing key.

    Args:
        model_types: families to draw from; none for all.

    >>> from hypothesis import find
    >>> find(hf_configs("llama"), lambda config: config["num_hidden_layers"] == 5)["model_type"]
    'llama'
    """
    kinds = model_types or tuple(EVERY)

    def of(kind: str) -> st.SearchStrategy[dict[str, Any]]:
        keys = EVERY[kind]
        drawn = st.tuples(*map(st.sampled_from, keys.values()))
        return drawn.map(lambda values: _settle(kind, dict(zip(keys, values, strict=True))))

    return st.sampled_from(kinds).flatmap(of)


def covering_configs(model_type: str) -> Iterator[dict[str, Any]]:
    """Configs of one family in which every key takes each of its values at least once.

    The first config has the first value of each key. Every later config changes one key of the config before it, so that later keys are
    combined with different values of the others.

    >>> len(list(covering_configs("bloom")))
    8
    """
    keys = EVERY[model_type]
    current = {key: values[0] for key, values in keys.items()}
    yield _settle(model_type, current)
    for key, values in keys.items():
        for value in values[1:]:
            current[key] = value
            yield _settle(model_type, current)
