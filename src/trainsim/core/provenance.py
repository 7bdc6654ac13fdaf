"""Sources of the values of a spec, by path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

BY_USER = "given by the user"


def sources_after_change(recorded: Mapping[str, str], changes: Iterable[str]) -> dict[str, str]:
    """Recorded sources after a change. The source of a changed path is the user; the source of a branch still covers its other paths."""
    changed = dict.fromkeys(changes).keys()
    kept = {path: source for path, source in recorded.items() if path not in changed and changed.isdisjoint(_branches(path))}
    return kept | {path: BY_USER for path in changed if "" in kept or not kept.keys().isdisjoint(_branches(path))}


def _branches(path: str) -> Iterator[str]:
    """The paths above a path, nearest first: ``a.b`` and ``a`` of ``a.b.c``."""
    while "." in path:
        path = path.rpartition(".")[0]
        yield path


def nearest_source(known: Mapping[str, str], path: str) -> str | None:
    """The source of the nearest path above a path; None if there is none."""
    return next((known[above] for above in _branches(path) if above in known), known.get(""))
