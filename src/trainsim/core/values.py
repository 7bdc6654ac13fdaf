"""Plain values that people hand in: bounded, finite, clean; each of the kind that is asked for, or one clear error."""

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
"""Levels of nesting."""
MAX_KEY = 1000
"""Characters of a key; a path of beliefs that several fields share is long."""
MAX_DIGITS = 300
"""Digits of a number; more would not fit a float64."""
MAX_VALUES = 500_000
"""Values of a document, lists and tables counted too."""
MAX_COUNT = 10**9
"""The largest whole number: a degree, a count, a size."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, overrides of the writing direction, and halves of surrogate pairs."""


@dataclass(frozen=True)
class Rules:
    """What a document may hold beside plain data.

    Args:
        infinite: numbers that are NaN or infinite; a model's config may hold them where no size is meant.
        controls: control characters in texts that nobody prints, such as special tokens.
        long: any number of values, none of them looked at: for what a machine wrote, bounded in size and depth alone.
    """

    infinite: bool = False
    controls: bool = False
    long: bool = False


STRICT = Rules()
"""Plain data alone."""


def plain(value: Any, where: str, error: Error = SpecError, rules: Rules = STRICT) -> Any:
    """A bounded copy of plain data: dicts with words for keys, lists, finite numbers and clean texts.

    Arrays and their scalars become lists and numbers; other objects stay as they are, for the reader to refuse.

    Args:
        value: nested dicts, lists and scalars.
        where: its name, for the error.
        error: class of the error.
        rules: what is accepted beside.

    Raises:
        TrainsimError: too deep, too many values, a number that is not finite or too long, a key that is no word, or control characters.

    >>> plain({"a": [1, float("inf")]}, "row")
    Traceback (most recent call last):
    trainsim.core.errors.SpecError: row.a.1=inf: is not finite; give a finite number, or leave it out
    """
    return _Copy(error, rules).of(value, (where,))


class _Copy:
    """One bounded copy: counts the values it has seen."""

    def __init__(self, error: Error, rules: Rules) -> None:
        self.error, self.rules, self.left = error, rules, MAX_VALUES

    def fail(self, path: tuple[str, ...], value: object, rule: str, remedy: str, rule_id: RuleId) -> TrainsimError:
        return self.error(".".join(path)[:200], value, rule, remedy, rule_id)

    def of(self, value: Any, path: tuple[str, ...]) -> Any:
        self.left -= 1
        if self.left < 0:
            raise self.fail(path, "…", f"holds more than {MAX_VALUES:,} values", "give less at a time", "too-large")
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
    """A text without control characters, which would steer a terminal when it is printed.

    Raises:
        TrainsimError: it holds one.
    """
    return _Copy(error, STRICT).text(value, (path,))


def real(value: object, path: str, error: Error = SpecError, *, above: float = -math.inf) -> float:
    """A finite number, from a number or its text; a comma between groups of three digits is dropped.

    Args:
        value: number or text.
        path: where it stands, for the error.
        error: class of the error.
        above: the number is larger than this.

    Raises:
        TrainsimError: no number, not finite, or not above the bound.

    >>> real("9,532.1", "elapsed time")
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


def whole(value: object, path: str, error: Error = SpecError, *, least: int = 0, most: int = MAX_COUNT) -> int:
    """A whole number within bounds, from a number or its text.

    Args:
        value, path, error: as for :func:`real`.
        least, most: bounds, both included.

    Raises:
        TrainsimError: no whole number, or out of bounds.

    >>> whole("8", "--tensor-model-parallel-size")
    8
    """
    number = real(value, path, error)
    if number != int(number):
        raise error(path, value, "is not a whole number", "give a whole number", "wrong-type")
    if not least <= number <= most:
        raise error(path, value, f"must be >= {least} and <= {most:,}", "give a number within", "out-of-bounds")
    return int(number)


def texts(value: object, path: str, error: Error = SpecError) -> tuple[str, ...]:
    """Texts, from one or a list of them.

    Raises:
        TrainsimError: something else.

    >>> texts(["core_attn", "moe"], "--recompute-modules"), texts("moe", "--recompute-modules")
    (('core_attn', 'moe'), ('moe',))
    """
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not all(isinstance(each, str) for each in found):
        raise error(path, value, "is neither a text nor a list of texts", "give a text", "wrong-type")
    return tuple(found)


def one_of(value: object, known: Iterable[str], path: str, error: Error = SpecError, *, what: str = "known") -> str:
    """A word among those known.

    Raises:
        TrainsimError: another one; offers the nearest.

    >>> one_of("adm", ("adam", "sgd"), "--optimizer")
    Traceback (most recent call last):
    trainsim.core.errors.SpecError: --optimizer='adm': is not known; did you mean 'adam'?
    """
    words = tuple(known)
    if not isinstance(value, str) or value not in words:
        raise error(path, value, "is not known", did_you_mean(str(value), words, what), "unknown-name")
    return value


class ReadOnlyDict(dict[K, V]):
    """A dict that can't be changed; it is compared, printed, pickled and written as JSON like any other.

    >>> ReadOnlyDict(a=1)["b"] = 2
    Traceback (most recent call last):
    TypeError: a ReadOnlyDict can't be changed
    """

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("a ReadOnlyDict can't be changed")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to other processes as the dict it is."""
        return ReadOnlyDict, (dict(self),)


def frozen(value: Any) -> Any:
    """A copy that can't be changed, however deep: dicts are read-only, lists are tuples.

    >>> frozen({"a": [1, {"b": 2}]})
    {'a': (1, {'b': 2})}
    """
    if isinstance(value, Mapping):
        return ReadOnlyDict({key: frozen(inner) for key, inner in value.items()})
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value


class Given(Mapping[str, Any]):
    """Values by name, as a person gave them; each is read as the kind that is asked for.

    Args:
        values: plain data.
        prefix: what stands before a name in errors: ``"--"`` for flags.
        error: class of the errors.

    >>> flags = Given({"num-layers": "61", "bf16": True}, "--")
    >>> flags.whole("num-layers"), flags.whole("num-experts", 1)
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
        """A name as errors write it."""
        return f"{self._prefix}{name}"

    def whole(self, name: str, otherwise: int | None = None, *, least: int = 0) -> int:
        """A whole number.

        Args:
            name: of the value.
            otherwise: where it is not given; needed where None.
            least: the smallest number accepted.

        Raises:
            TrainsimError: another kind of value, or none.
        """
        return whole(self.needed(name) if otherwise is None else self.get(name, otherwise), self.path(name), self._error, least=least)

    def real(self, name: str, otherwise: float | None = None) -> float:
        """A finite number; arguments as for :meth:`whole`."""
        return real(self.needed(name) if otherwise is None else self.get(name, otherwise), self.path(name), self._error)

    def texts(self, name: str) -> tuple[str, ...]:
        """Texts, from one or a list; none where not given, or a flag alone."""
        value = self.get(name, ())
        return () if value is True else texts(value, self.path(name), self._error)

    def one_of(self, name: str, known: Iterable[str], otherwise: str | None = None) -> str:
        """A word among those known; arguments as for :meth:`whole`."""
        return one_of(self.needed(name) if otherwise is None else self.get(name, otherwise), known, self.path(name), self._error)

    def needed(self, name: str) -> Any:
        """A value as it was given.

        Raises:
            TrainsimError: it was not.
        """
        if name not in self._values:
            raise self._error(self.path(name), None, "is missing", f"give {self.path(name)}", "missing")
        return self._values[name]
