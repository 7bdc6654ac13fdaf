"""Caches of intermediate results: of functions of scalars, and between evaluations that differ in a few numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from .spec import holds_draws

T = TypeVar("T")
P = ParamSpec("P")
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


def cached_for_scalars(function: Callable[P, T]) -> Callable[P, T]:
    """Cache the last 256 results of a function; inputs that hold arrays of draws are computed without the cache.

    >>> import numpy as np
    >>> calls = []
    >>> @cached_for_scalars
    ... def double(x):
    ...     calls.append("call")
    ...     return 2 * x
    >>> double(1.0), double(1.0), double(np.array([1.0, 2.0])), len(calls)
    (2.0, 2.0, array([2., 4.]), 2)
    """
    cached: Any = functools.lru_cache(maxsize=256)(function)

    @functools.wraps(function)
    def found(*args: P.args, **named: P.kwargs) -> T:
        result: T = (function if any(map(holds_draws, args)) else cached)(*args, **named)
        return result

    found.cache_clear = cached.cache_clear  # type: ignore[attr-defined]  # the tests that change constants empty every cache
    return found


def shared(make: Callable[[], T], *inputs: object) -> T:
    """Result of a function, cached for equal inputs inside :func:`sharing`.

    Plain numbers and texts are compared by value. Other inputs are compared by identity, since comparing arrays can cost as much as the
    result.

    Args:
        make: computes the result; it depends only on the inputs.
        *inputs: everything that the result depends on.

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
        known[key] = inputs, make()  # keeps the inputs alive, so that no other object gets their ids
    result: T = known[key][1]
    return result
