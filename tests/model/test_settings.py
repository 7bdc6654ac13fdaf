"""The numbers of a model are settings, not uncertain inputs, because counts are cached by model."""

import importlib
import pkgutil

import pytest

import trainsim as ts
from trainsim import model
from trainsim.core.spec import Spec

for found in pkgutil.walk_packages(model.__path__, f"{model.__name__}."):
    importlib.import_module(found.name)


def specs(kind: type[Spec] = Spec) -> list[type[Spec]]:
    below = [each for sub in kind.__subclasses__() for each in specs(sub)]
    return ([kind] if kind.__module__.startswith(model.__name__) else []) + below


KINDS = {kind.__qualname__: kind for kind in specs()}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_no_float_of_a_model_is_an_input(name: str) -> None:
    fields = KINDS[name].model_fields.items()
    floats = {field: info.metadata for field, info in fields if "float" in str(info.annotation)}
    assert not [field for field, metadata in floats.items() if any(isinstance(each, ts.Unit) for each in metadata)]
