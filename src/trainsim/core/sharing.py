"""Work that evaluations share where they differ in a few numbers only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")
PLAIN = (float, int, bool, str, type(None))
_results: ContextVar[dict[tuple[object, ...], tuple[tuple[object, ...], Any]] | None] = ContextVar("results", default=None)


@contextmanager
def sharing() -> Iterator[None]:
    """Let evaluations in this context share the results of :func:`shared`; they are dropped at its end.

    Arrays that are inputs must not be changed inside the context.
    """
    token = _results.set({})
    try:
        yield
    finally:
        _results.reset(token)


def shared(make: Callable[[], T], *inputs: object) -> T:
    """What a function gives, kept for the same inputs inside :func:`sharing`.

    Plain numbers and texts are the same if they are equal; other inputs if they are the same object, as comparing arrays would cost as much
    as many a result.

    Args:
        make: works the result out; depends on nothing but the inputs.
        *inputs: all that it depends on.

    >>> made = []
    >>> with sharing():
    ...     first, second = (shared(lambda: made.append("work") or len(made), made) for _ in range(2))
    >>> first, second, made
    (1, 1, ['work'])
    """
    known = _results.get()
    if known is None:
        return make()
    key = tuple([one if type(one) in PLAIN else id(one) for one in inputs])
    if key not in known:
        known[key] = inputs, make()  # inputs are held, so that no other object takes their place in memory
    result: T = known[key][1]
    return result
