"""Errors that name the path, the value, the rule and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TrainsimError(ValueError):
    """Something the user gave can't be used.

    Args:
        path: where it stands, as written in beliefs and reports (``"plan.tp"``); may be empty.
        value: what was given.
        rule: the rule it breaks.
        remedy: what to do about it.

    >>> print(TrainsimError("plan.tp", 6, "does not divide model.heads=128", "divisors up to 8: 1, 2, 4, 8"))
    plan.tp=6: does not divide model.heads=128; divisors up to 8: 1, 2, 4, 8
    """

    def __init__(self, path: str, value: object, rule: str, remedy: str) -> None:
        self.path, self.value, self.rule, self.remedy = path, value, rule, remedy
        super().__init__(path, value, rule, remedy)

    def __str__(self) -> str:
        shown = " ".join(repr(self.value).split())  # an array's goes over several lines
        if len(shown) > 80:
            shown = f"{shown[:60]} … {shown[-17:]}"
        where = f"{self.path}={shown}" if self.path else shown
        return f"{where}: {self.rule}; {self.remedy}"

    def under(self, head: str) -> TrainsimError:
        """The same error seen from one level further out."""
        path = f"{head}.{self.path}" if self.path else head
        return type(self)(path, self.value, self.rule, self.remedy)


class SpecError(TrainsimError):
    """A field of a spec breaks its own rule."""


class PathError(TrainsimError, KeyError):
    """A path leads nowhere."""

    __str__ = TrainsimError.__str__


class ConfigError(TrainsimError):
    """A ``config.json`` can't be read as a model."""


class LedgerError(TrainsimError):
    """Two ledgers can't be put together."""


class CatalogError(TrainsimError):
    """A catalogue row lacks what every row must have, or contradicts itself."""


class BeliefError(TrainsimError):
    """A belief can't be held about the spec it is laid over."""


class EstimateError(TrainsimError):
    """An answer needs an input that was not given."""


class ClaimError(TrainsimError):
    """A claim can't be put to the test as it stands."""


def check_kind(value: object, kind: type, path: str, remedy: str) -> None:
    """Whether an argument is of the kind a function takes.

    Raises:
        SpecError: it is not; the remedy says how to come by one.

    >>> check_kind("llama", dict, "model", "ts.catalog.model('llama')")
    Traceback (most recent call last):
    trainsim.core.errors.SpecError: model='llama': is no dict; give ts.catalog.model('llama')
    """
    if not isinstance(value, kind):
        raise SpecError(path, value, f"is no {kind.__name__}", f"give {remedy}")


class TrainsimWarning(UserWarning):
    """Something allowed, but rarely meant."""


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "known") -> str:
    """A remedy that offers the nearest known words.

    >>> did_you_mean("mfuu", ["mfu", "hfu"])
    "did you mean 'mfu'?"
    >>> did_you_mean("x", ["mfu", "hfu"])
    'known: hfu, mfu'
    """
    words = sorted(set(known))
    near = difflib.get_close_matches(word, words, n=3, cutoff=0.6)
    if not near:
        tail = word.rsplit(".", 1)[-1]
        near = [w for w in words if w.rsplit(".", 1)[-1] == tail][:3]
    if near:
        return "did you mean " + " or ".join(f"'{w}'" for w in near) + "?"
    return f"{otherwise}: {', '.join(words[:40])}{' …' if len(words) > 40 else ''}" if words else f"{otherwise}: none"
