"""Errors that name the path, the value, the rule and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar, Literal, Self

RuleId = Literal[
    "missing",  # a required value was not given
    "empty",  # a list or a table needs at least one entry
    "duplicate",  # one name, key, row or cost occurs twice
    "conflict",  # two values contradict each other
    "wrong-type",  # another type of value is needed
    "not-finite",  # a number is NaN or infinite
    "not-scalar",  # an array of draws, where one number is needed
    "out-of-bounds",  # a number lies outside its bounds
    "unit-mismatch",  # units, scopes or kinds of cost that can't be added
    "unknown-field",  # no field, key, flag or column of that name
    "unknown-name",  # no row, option or word of that name
    "unknown-path",  # nothing is at a path
    "unknown-kind",  # no member of a family of that name
    "untrusted",  # a file names a module that the caller does not trust
    "unsupported",  # the library has no rule or counterpart for an input
    "infeasible",  # nothing satisfies all conditions
    "too-few-data",  # not enough evidence for an answer
    "not-found",  # no such file
    "unreadable",  # a file exists and can't be read
    "unwritable",  # a file can't be written
    "encoding",  # a text is not UTF-8
    "syntax",  # a text breaks the grammar of its format
    "too-large",  # longer than any sensible input
    "too-deep",  # nested deeper than any sensible input
    "control-character",  # a text holds terminal control characters
    "callback-failed",  # a user's function raised, or returned the wrong type
    "not-installed",  # an optional package is missing
    "invalid",  # any other rule
]
"""Identifier of the broken rule. Programs and tests compare identifiers, since sentences may change."""


class TrainsimError(ValueError):
    """An input can't be used.

    Args:
        path: path of the input, as in beliefs and reports (``"plan.tp"``); may be empty.
        value: the value that was given.
        rule: the rule that the value breaks, as a sentence without its subject.
        remedy: how to correct the input.
        rule_id: identifier of the rule, one of :data:`RuleId`; by default the class's ``default_rule_id``.

    >>> error = TrainsimError("plan.tp", 6, "does not divide model.heads=128", "divisors up to 8: 1, 2, 4, 8", "conflict")
    >>> print(error)
    plan.tp=6: does not divide model.heads=128; divisors up to 8: 1, 2, 4, 8
    >>> error.path, error.value, error.rule_id
    ('plan.tp', 6, 'conflict')
    """

    default_rule_id: ClassVar[RuleId] = "invalid"

    def __init__(self, path: str, value: object, rule: str, remedy: str, rule_id: RuleId | None = None) -> None:
        self.path, self.value, self.rule, self.remedy = path, value, rule, remedy
        self.rule_id: RuleId = rule_id or self.default_rule_id
        super().__init__(path, value, rule, remedy)

    def __str__(self) -> str:
        shown = " ".join(repr(self.value).split())  # the repr of an array spans several lines
        if len(shown) > 80:
            shown = f"{shown[:60]} … {shown[-17:]}"
        where = f"{self.path}={shown}" if self.path else shown
        return f"{where}: {self.rule}; {self.remedy}"

    def at(self, path: str) -> Self:
        """The same error at another path."""
        return type(self)(path, self.value, self.rule, self.remedy, self.rule_id)

    def under(self, head: str) -> Self:
        """The same error with ``head.`` in front of its path."""
        return self.at(f"{head}.{self.path}" if self.path else head)


class SpecError(TrainsimError):
    """A field of a spec breaks its own rule."""


class PathError(TrainsimError, KeyError):
    """A path does not exist."""

    default_rule_id = "unknown-path"
    __str__ = TrainsimError.__str__


class ConfigError(TrainsimError):
    """A ``config.json`` can't be read as a model."""


class LedgerError(TrainsimError):
    """Two ledgers can't be combined."""

    default_rule_id = "unit-mismatch"


class CatalogError(TrainsimError):
    """A catalogue row lacks a required field, or contradicts itself."""


class BeliefError(TrainsimError):
    """A belief does not fit the spec that it is about."""


class EstimateError(TrainsimError):
    """An answer needs an input that was not given."""

    default_rule_id = "missing"


class ClaimError(TrainsimError):
    """A claim can't be checked as stated."""


def recast(error: TrainsimError, kind: type[TrainsimError], path: str | None = None) -> TrainsimError:
    """The same error as an instance of another class, with its own path or a new one.

    >>> recast(SpecError("p5", 3, "is above p95", "swap them"), BeliefError, "price.p5")
    BeliefError('price.p5', 3, 'is above p95', 'swap them')
    """
    return kind(error.path if path is None else path, error.value, error.rule, error.remedy, error.rule_id)


def check_type(value: object, expected: type, path: str, remedy: str) -> None:
    """Raise an error unless an argument has the expected type.

    Args:
        value: the argument.
        expected: the type that it must have.
        path: name of the argument.
        remedy: how to get a value of that type.

    Raises:
        SpecError: the argument has another type.

    >>> check_type("llama", dict, "model", "ts.catalog.model('llama')")
    Traceback (most recent call last):
    trainsim.core.errors.SpecError: model='llama': is not a dict; give ts.catalog.model('llama')
    """
    if not isinstance(value, expected):
        article = "an" if expected.__name__[0] in "AEIOU" else "a"
        raise SpecError(path, value, f"is not {article} {expected.__name__}", f"give {remedy}", "wrong-type")


class TrainsimWarning(UserWarning):
    """An input that is allowed but probably a mistake.

    >>> str(TrainsimWarning("batch=1 is allowed, but rare"))
    'batch=1 is allowed, but rare'
    """


class SkippedRow(TrainsimWarning):
    """A row of a file could not be read and was skipped.

    Args:
        error: the reason, with path, value, rule and remedy.
    """

    def __init__(self, error: TrainsimError) -> None:
        self.error = error
        super().__init__(error)

    def __str__(self) -> str:
        return f"skipped: {self.error}"


def _squeezed(word: str) -> str:
    """Letters and digits only, in lower case: ids and names write hyphens and dots differently."""
    return "".join(letter for letter in word[:200].lower() if letter.isalnum())


LISTED = 12
"""Largest number of accepted words that a remedy lists."""


def same_name(word: str, known: Iterable[str]) -> str | None:
    """The one known name that differs from a word in case and punctuation alone; None if there is none, or more than one.

    >>> same_name("Llama-3.1_8B", ["llama3.1-8b", "llama3-8b"])
    'llama3.1-8b'
    """
    found = [name for name in known if _squeezed(name) == _squeezed(word)]
    return found[0] if len(found) == 1 else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "known") -> str:
    """A remedy that names the known words closest to a misspelt one.

    Args:
        word: the unknown word.
        known: the accepted words.
        otherwise: label of the list of accepted words, shown where none is close.

    >>> did_you_mean("mfuu", ["mfu", "hfu"])
    "did you mean 'mfu'?"
    >>> did_you_mean("GPT-3", ["gpt2", "gpt3-175b"])
    "did you mean 'gpt3-175b'?"
    >>> did_you_mean("x", ["mfu", "hfu"])
    'known: hfu, mfu'
    """
    words = sorted(set(known))
    begun = [known for known in words if len(_squeezed(word)) > 2 and _squeezed(known).startswith(_squeezed(word))]
    near = [*begun, *(w for w in difflib.get_close_matches(word[:200], words, n=3, cutoff=0.6) if w not in begun)][:3]
    if not near:
        tail = word.rsplit(".", 1)[-1]
        near = [w for w in words if w.rsplit(".", 1)[-1] == tail][:3]
    if near:
        return "did you mean " + " or ".join(f"'{w}'" for w in near) + "?"
    more = f" and {len(words) - LISTED} more" if len(words) > LISTED else ""
    return f"{otherwise}: {', '.join(words[:LISTED])}{more}" if words else f"{otherwise}: none"
