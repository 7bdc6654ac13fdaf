"""How far a search has come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from ..uncertainty.sampling.sweep import Progress

T = TypeVar("T")


class Reports:
    """Calls a user's function with the parts of a search that are done: groups of layouts filtered by memory, then layouts ranked.

    Args:
        progress: the function; None for none.
        ranked: most layouts that are ranked one by one after the filter.

    >>> calls = []
    >>> reports = Reports(lambda done, total: calls.append((done, total)), 2)
    >>> reports.filtered(3, 3)
    >>> list(reports.each("ab")), reports.done(), calls
    (['a', 'b'], None, [(3, 5), (4, 5), (5, 5)])
    """

    def __init__(self, progress: Progress | None, ranked: int) -> None:
        self._progress, self._ranked = progress, ranked
        self._groups = self._last = 0

    def _report(self, done: int) -> None:
        if self._progress is not None and done > self._last:
            self._progress(done, self._groups + self._ranked)
        self._last = max(done, self._last)

    def filtered(self, done: int, groups: int) -> None:
        """Groups of layouts that have been filtered."""
        self._groups = groups
        self._report(done)

    def each(self, layouts: Iterable[T]) -> Iterator[T]:
        """The same layouts; each counts as done when the next one is asked for."""
        for i, one in enumerate(layouts, 1):
            yield one
            self._report(self._groups + min(i, self._ranked))

    def done(self) -> None:
        """The search is over."""
        self._report(self._groups + self._ranked)
