"""A model from whatever names one: a config, an id of the catalogue, or a size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import CatalogError
from ..model.huggingface.reader import from_hf
from ..model.transformer import Model
from .generic import generic_model
from .models import model as catalogue_model


def model_from(model: Model | Mapping[str, Any] | str | Path) -> Model:
    """A model from whatever names one: itself, a config, an id of the catalogue, or a size.

    Raises:
        CatalogError: no such id, and no such file; a hub id gets the command that fetches its config.

    >>> model_from("llama3-8b").name
    'llama3-8b'
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, (Mapping, Path)) or str(model).endswith(".json") or Path(str(model)).is_file():
        return from_hf(model)
    if (generic := generic_model(str(model))) is not None:
        return generic
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(model)):
        fetched = f"curl -LO https://huggingface.co/{model}/resolve/main/config.json"
        raise CatalogError("model", model, "is an id of a model hub, and nothing is ever fetched", f"run: {fetched}", "not-found")
    return catalogue_model(str(model))
