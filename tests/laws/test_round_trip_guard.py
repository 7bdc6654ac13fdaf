"""A field that may be absent must default to absence: a file has no word for None, so any other default would come back instead."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic_core import PydanticUndefined

import trainsim as ts


def test_a_field_that_may_be_absent_defaults_to_absence() -> None:
    def deeper(cls: type[ts.Spec]) -> Iterator[type[ts.Spec]]:
        for child in cls.__subclasses__():
            yield child
            yield from deeper(child)

    wrong = [
        f"{cls.__name__}.{name}"
        for cls in dict.fromkeys(deeper(ts.Spec))
        for name, field in cls.model_fields.items()
        if "None" in str(field.annotation) and field.default is not None and field.default is not PydanticUndefined
    ]
    assert wrong == []
