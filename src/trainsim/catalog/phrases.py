"""Phrases that name a scope, and names that may appear beside them, from the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ..claims.scope import expand_contents
from ..claims.scope_parser import Phrase, stem, tokenize
from ..core.errors import CatalogError
from ..core.values import ReadOnlyDict
from .rows import rows, sources


@lru_cache(maxsize=1)
def phrases() -> Mapping[tuple[str, ...], Phrase]:
    """Word stems of each phrase → its meaning. Phrases are language rather than evidence, so none is hidden by date.

    Raises:
        CatalogError: a phrase occurs in two rows.

    >>> sorted(phrases()["salary",].readings[0])
    ['people']
    """
    found: dict[tuple[str, ...], Phrase] = {}
    for name, row in rows("phrases").items():
        meaning = Phrase(
            tuple(frozenset(expand_contents(reading)) for reading in row["readings"]),
            row.get("rank", "part"),
            frozenset(expand_contents(row.get("part", ()))),
            row.get("basis"),
            row.get("kind"),
        )
        for words in row["phrases"]:
            key = tuple(stem(token) for token in tokenize(words))
            if found.setdefault(key, meaning) != meaning:
                raise CatalogError(f"phrases/{name}.phrases", words, "occurs in two rows", "keep it in one", "duplicate")
    return ReadOnlyDict(found)


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Word stems of the names of models, runs, labs, chips and subjects of claims, without those that occur in phrases."""
    texts = [str(row.get(field, "")) for row in (*rows("models").values(), *rows("runs").values()) for field in ("name", "title", "org")]
    texts += [*rows("models"), *rows("runs"), *rows("chips"), *(str(row.get("subject", "")) for row in rows("claims").values())]
    texts += [str(row.get("subject", "")) for row in rows("disclosures").values()]
    texts += [str(row.get("lab", "")) for row in rows("fleets").values()]
    texts += [str(source.get("title", "")) for source in sources().values() if source.get("kind") == "organisation"]
    words = {stem(token) for text in texts for token in tokenize(text)}
    parts = {part for key in phrases() for part in key}
    return frozenset(w for w in words if w not in parts and len(w) > 1)


@lru_cache(maxsize=1)
def labs() -> frozenset[str]:
    """Word stems of the names of labs.

    >>> "deepseek" in labs(), "bloom" in labs()
    (True, False)
    """
    texts = [str(row.get("org", "")) for row in rows("runs").values()] + [str(row.get("lab", "")) for row in rows("fleets").values()]
    return frozenset(stem(token) for text in texts for token in tokenize(text))
