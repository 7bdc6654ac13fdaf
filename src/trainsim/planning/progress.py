"""Progress reports of a search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from ..uncertainty.sampling.sweep import Progress

T = TypeVar("T")


class Reports:
    """Reports progress of a search to a user's function: first groups of layouts filtered by memory, then layouts ranked.

    Args:
        progress: the function; None for none.
        ranked: largest number of layouts that are ranked individually after the filter.

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
        """Report groups of layouts that have been filtered."""
        self._groups = groups
        self._report(done)

    def working(self) -> None:
        """Report the same number again, so that a function that raises stops work of unknown length."""
        if self._progress is not None:
            self._progress(self._last, self._groups + self._ranked)

    def each(self, layouts: Iterable[T]) -> Iterator[T]:
        """The same layouts; each is reported as done when the next one is requested."""
        for i, one in enumerate(layouts, 1):
            yield one
            self._report(self._groups + min(i, self._ranked))

    def done(self) -> None:
        """Report the end of the search."""
        self._report(self._groups + self._ranked)
