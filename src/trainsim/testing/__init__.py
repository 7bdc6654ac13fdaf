"""Strategies and contracts for tests of models, parts and your own extensions; needs the ``testing`` extra."""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    "hf_configs": "models",
    "covering_configs": "models",
    "check_part": "parts",
    "check_schedule": "schedules",
    "refused": "refusal",
} | {
    name: module
    for module, names in {
        "runs": ("numbers_in", "small_models", "small_clusters", "reported_efficiencies", "small_runs", "small_ledgers", "beliefs_over"),
        "laws": ("Function", "Samples", "check_broadcast", "numeric_functions"),
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
