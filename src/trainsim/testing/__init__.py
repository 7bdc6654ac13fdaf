"""Strategies and contracts for tests of models, parts and users' own members; needs the ``testing`` extra."""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {"hf_configs": "models", "covering_configs": "models", "check_part": "parts"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
