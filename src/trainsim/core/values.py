"""Validate plain data from users, and convert single values to the requested type or raise one clear error."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from .errors import RuleId, SpecError, TrainsimError, did_you_mean

Error = type[TrainsimError]
K = TypeVar("K")
V = TypeVar("V")

MAX_DEPTH = 64
"""Largest number of nested levels."""
MAX_KEY = 1000
"""Largest number of characters of a key; a belief about several fields has a long key."""
MAX_DIGITS = 300
"""Largest number of digits; more would not fit a float64."""
MAX_VALUES = 500_000
"""Largest number of values in a document, lists and tables included."""
MAX_COUNT = 10**9
"""Largest integer, such as a degree, a count or a size."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, bidirectional overrides and lone surrogates."""


@dataclass(frozen=True)
class Rules:
    """Values that a document may contain in addition to plain data.

    Args:
        infinite: accept NaN and infinity, which the config of a model may contain.
        controls: accept control characters, as in special tokens of a tokenizer.
        long: accept any number of values; for machine-written files, whose size and depth are still bounded.
    """

    infinite: bool = False
    controls: bool = False
    long: bool = False


STRICT = Rules()
"""Plain data only."""


def plain(value: Any, where: str, error: Error = SpecError, rules: Rules = STRICT) -> Any:
    """A validated copy of plain data: dicts with text keys, lists, finite numbers and texts without control characters.

    Arrays become lists and array scalars become numbers. Other objects are kept for the caller to reject.

    Args:
        value: nested dicts, lists and scalars.
        where: name of the data, for the error.
        error: class of the error.
        rules: values accepted in addition to plain data.

    Raises:
        TrainsimError: too many levels or values, a number that is too large or not finite, a key that is not a text, or control characters.

    >>> plain({"a": [1, float("inf")]}, "row")
    Traceback (most recent call last):
    trainsim.core.errors.SpecError: row.a.1=inf: is not finite; give a finite number, or leave it out
    """
    return _BoundedCopy(error, rules).of(value, (where,))


class _BoundedCopy:
    """Makes one validated copy and counts its values."""

    def __init__(self, error: Error, rules: Rules) -> None:
        self.error, self.rules, self.left = error, rules, MAX_VALUES

    def fail(self, path: tuple[str, ...], value: object, rule: str, remedy: str, rule_id: RuleId) -> TrainsimError:
        return self.error(".".join(path)[:200], value, rule, remedy, rule_id)

    def of(self, value: Any, path: tuple[str, ...]) -> Any:
        self.left -= 1
        if self.left < 0:
            raise self.fail(path, "…", f"holds more than {MAX_VALUES:,} values", "split it", "too-large")
        if len(path) > MAX_DEPTH + 1:
            raise self.fail(path, "…", f"is nested deeper than {MAX_DEPTH} levels", "flatten it", "too-deep")
        match value:
            case str():
                return self.text(value, path)
            case bool() | None:
                return value
            case int():
                if value.bit_length() > MAX_DIGITS * 10 // 3:
                    shown = f"an integer of {value.bit_length():,} bits"
                    raise self.fail(path, shown, "is too large", "give a number below 1e300", "too-large")
                return value
            case float():
                if not (self.rules.infinite or math.isfinite(value)):
                    raise self.fail(path, value, "is not finite", "give a finite number, or leave it out", "not-finite")
                return value
            case Mapping():
                return {self.key(key, path): self.of(inner, (*path, str(key))) for key, inner in value.items()}
            case list() | tuple():
                numbers = sum(type(inner) is float for inner in value)
                self.left -= numbers
                if numbers == len(value) and self.left >= 0 and all(map(math.isfinite, value)):
                    return list(value)
                self.left += numbers
                return [self.of(inner, (*path, str(i))) for i, inner in enumerate(value)]
            case _:
                return self.of(value.tolist(), (*path, "[]")) if callable(getattr(value, "tolist", None)) else value

    def key(self, key: Any, path: tuple[str, ...]) -> str:
        word = str(key) if isinstance(key, (str, int)) else ""
        if not isinstance(key, (str, int)) or len(word) > MAX_KEY:
            raise self.fail(path, word[:80] or type(key).__name__, f"is not a key of up to {MAX_KEY} characters", "rename it", "wrong-type")
        return self.text(word, path)

    def text(self, value: str, path: tuple[str, ...]) -> str:
        found = None if self.rules.controls else _CONTROL.search(value)
        if found is not None:
            rule = f"holds the control character U+{ord(found.group()):04X}"
            raise self.fail(path, ascii(value), rule, "leave it out", "control-character")
        return value


def check_text(value: str, path: str, error: Error = SpecError) -> str:
    """The text itself, after a check that it contains no control characters, which a terminal would obey.

    Raises:
        TrainsimError: it contains one.
    """
    return _BoundedCopy(error, STRICT).text(value, (path,))


def to_float(value: object, path: str, error: Error = SpecError, *, above: float = -math.inf) -> float:
    """Convert a number or its text to a finite float; commas between groups of three digits are dropped.

    Args:
        value: number or text.
        path: path of the value, for the error.
        error: class of the error.
        above: exclusive lower bound.

    Raises:
        TrainsimError: the value is not a number, not finite, or not above the bound.

    >>> to_float("9,532.1", "elapsed time")
    9532.1
    """
    if isinstance(value, bool) or not (isinstance(value, (int, float, str)) or hasattr(value, "__float__")):
        raise error(path, value, "is not a number", "give a plain number: 14.8e12", "wrong-type")
    try:
        text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", value) if isinstance(value, str) else value
        number = float(text)
    except (ValueError, TypeError):
        raise error(path, value, "is not a number", "give a plain number: 14.8e12", "wrong-type") from None
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise error(path, value, "is not finite", "give a finite number", "not-finite")
    if not number > above:
        raise error(path, value, f"must be > {above:g}", "give a larger number", "out-of-bounds")
    return number


def to_int(value: object, path: str, error: Error = SpecError, *, least: int = 0, most: int = MAX_COUNT) -> int:
    """Convert a number or its text to an integer within bounds.

    Args:
        value, path, error: as for :func:`to_float`.
        least, most: inclusive bounds.

    Raises:
        TrainsimError: the value is not an integer, or out of bounds.

    >>> to_int("8", "--tensor-model-parallel-size")
    8
    """
    number = to_float(value, path, error)
    if number != int(number):
        raise error(path, value, "is not a whole number", "give a whole number", "wrong-type")
    if not least <= number <= most:
        raise error(path, value, f"must be >= {least} and <= {most:,}", "give a number within these bounds", "out-of-bounds")
    return int(number)


def to_texts(value: object, path: str, error: Error = SpecError) -> tuple[str, ...]:
    """Convert a text, or a list of texts, to a tuple of texts.

    Raises:
        TrainsimError: the value is neither.

    >>> to_texts(["core_attn", "moe"], "--recompute-modules"), to_texts("moe", "--recompute-modules")
    (('core_attn', 'moe'), ('moe',))
    """
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not all(isinstance(each, str) for each in found):
        raise error(path, value, "is neither a text nor a list of texts", "give a text", "wrong-type")
    return tuple(found)


def to_choice(value: object, known: Iterable[str], path: str, error: Error = SpecError, *, what: str = "known") -> str:
    """The value itself, after a check that it is one of the known words.

    Raises:
        TrainsimError: it is not; the error names similar words.

    >>> to_choice("adm", ("adam", "sgd"), "--optimizer")
    Traceback (most recent call last):
    trainsim.core.errors.SpecError: --optimizer='adm': is not known; did you mean 'adam'?
    """
    words = tuple(known)
    if not isinstance(value, str) or value not in words:
        raise error(path, value, "is not known", did_you_mean(str(value), words, what), "unknown-name")
    return value


class ReadOnlyDict(dict[K, V]):
    """An immutable dict that compares, prints, pickles and serialises like any other.

    >>> ReadOnlyDict(a=1)["b"] = 2
    Traceback (most recent call last):
    TypeError: a ReadOnlyDict can't be changed
    """

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("a ReadOnlyDict can't be changed")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a plain dict."""
        return ReadOnlyDict, (dict(self),)


def frozen(value: Any) -> Any:
    """An immutable deep copy: dicts become read-only, lists become tuples.

    >>> frozen({"a": [1, {"b": 2}]})
    {'a': (1, {'b': 2})}
    """
    if isinstance(value, Mapping):
        return ReadOnlyDict({key: frozen(inner) for key, inner in value.items()})
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value


class NamedValues(Mapping[str, Any]):
    """Named values from a user, such as command-line flags, with typed getters that raise clear errors.

    Args:
        values: plain data.
        prefix: prefix of a name in errors: ``"--"`` for flags.
        error: class of the errors.

    >>> flags = NamedValues({"num-layers": "61", "bf16": True}, "--")
    >>> flags.integer("num-layers"), flags.integer("num-experts", 1)
    (61, 1)
    """

    def __init__(self, values: Mapping[str, Any], prefix: str = "", error: Error = SpecError) -> None:
        self._values, self._prefix, self._error = values, prefix, error

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def path(self, name: str) -> str:
        """A name with its prefix, as shown in errors."""
        return f"{self._prefix}{name}"

    def integer(self, name: str, default: int | None = None, *, least: int = 0) -> int:
        """The value as an integer.

        Args:
            name: name of the value.
            default: result if the value was not given; None makes the value required.
            least: the smallest accepted integer.

        Raises:
            TrainsimError: the value is not an integer, or is required and missing.
        """
        return to_int(self.required(name) if default is None else self.get(name, default), self.path(name), self._error, least=least)

    def number(self, name: str, default: float | None = None) -> float:
        """The value as a finite float; arguments as for :meth:`integer`."""
        return to_float(self.required(name) if default is None else self.get(name, default), self.path(name), self._error)

    def texts(self, name: str) -> tuple[str, ...]:
        """The value as a tuple of texts; empty if it was not given, or is a flag without a value."""
        value = self.get(name, ())
        return () if value is True else to_texts(value, self.path(name), self._error)

    def choice(self, name: str, known: Iterable[str], default: str | None = None) -> str:
        """The value as one of the known words; arguments as for :meth:`integer`."""
        return to_choice(self.required(name) if default is None else self.get(name, default), known, self.path(name), self._error)

    def required(self, name: str) -> Any:
        """The value as given.

        Raises:
            TrainsimError: it was not given.
        """
        if name not in self._values:
            raise self._error(self.path(name), None, "is missing", f"give {self.path(name)}", "missing")
        return self._values[name]
