"""Find a model by a config file, an id of the catalogue, or a size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import CatalogError
from ..core.reading import STANDARD_INPUT
from ..model.huggingface.reader import from_hf
from ..model.transformer import Model
from .generic_models import generic_model
from .models import model as catalogue_model


def model_from(model: Model | Mapping[str, Any] | str | Path) -> Model:
    """The model given by a Model, a config (path or dict), an id of the catalogue, or a size such as ``"7B"``.

    Raises:
        CatalogError: no such id or file; for a model-hub id the error gives the command that downloads its config.

    >>> model_from("llama3-8b").name
    'llama3-8b'
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, (Mapping, Path)) or str(model).endswith(".json") or Path(str(model)).is_file():
        return from_hf(model)
    return named_model(str(model))


def named_model(name: str) -> Model:
    """The model of an id of the catalogue or of a size such as ``"7B"``; no file is read.

    Raises:
        CatalogError: no such id; for a model-hub id the error gives the command that downloads its config.

    >>> named_model("7B").name, named_model("Llama-3-8B").name
    ('7B', 'llama3-8b')
    """
    if (generic := generic_model(name)) is not None:
        return generic
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        command = f"curl -LO https://huggingface.co/{name}/resolve/main/config.json"
        raise CatalogError("model", name, "is an id of a model hub; trainsim downloads nothing", f"run: {command}", "not-found")
    return catalogue_model(name)


def name_of(model: Model, target: object) -> str:
    """Name for a model given by a file, an id or a size; the name of a file is used only if its model has none."""
    unnamed = model.name in ("", type(model).model_fields["name"].default)
    return Path(target).name if unnamed and isinstance(target, str) and target != STANDARD_INPUT else model.name
