"""Assertions on errors by their fields, not by their text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trainsim.core.errors import TrainsimError

_ANY: Any = object()


class Refusal:
    """The error caught by a :func:`refused` block."""

    error: TrainsimError


@contextmanager
def refused(
    kind: type[TrainsimError] = TrainsimError, rule_id: str | None = None, path: str | None = None, *, value: Any = _ANY
) -> Iterator[Refusal]:
    """Assert that a block raises one clear error, and compare its fields.

    Args:
        kind: class of the error.
        rule_id: the rule that is broken (:data:`trainsim.core.errors.RuleId`).
        path: path of the refused value.
        value: the refused value.

    Raises:
        AssertionError: nothing was raised, or a field differs.

    >>> from trainsim.core.values import to_int
    >>> with refused(rule_id="wrong-type", path="--tp", value="x") as found:
    ...     to_int("x", "--tp")
    >>> found.error.remedy
    'give a plain number: 14.8e12'
    """
    found = Refusal()
    try:
        yield found
    except kind as caught:
        found.error = caught
    else:
        raise AssertionError(f"no {kind.__name__} was raised")
    error = found.error
    said = f"{type(error).__name__} {error.rule_id} at {error.path!r}: {error}"
    assert error.rule.strip(), said
    assert error.remedy.strip(), said
    assert "\n" not in str(error), said
    assert rule_id is None or error.rule_id == rule_id, said
    assert path is None or error.path == path, said
    assert value is _ANY or error.value is value or error.value == value, said
