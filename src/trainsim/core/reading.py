"""The guarded door: files, texts and objects that people hand in become plain data, or one clear error.

Size, depth, digits and number of values are bounded before anything is parsed; a text is UTF-8; a key stands once; numbers are
finite; a text holds no characters that steer a terminal. Every failure is a :class:`~trainsim.core.errors.TrainsimError`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import shlex
import stat
import tomllib
import warnings
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from .errors import RuleId, SkippedRow, SpecError, TrainsimError, recast
from .values import MAX_DEPTH, MAX_DIGITS, MAX_VALUES, STRICT, Error, Rules, check_text, plain

T = TypeVar("T")
R = TypeVar("R")

MAX_BYTES = 2**24
"""Bytes of a file of settings; saved runs and beliefs stay far below."""
MAX_LOG_BYTES = 2**29
"""Bytes of a training log or a profiler's trace, unpacked."""
_JSON_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_TOML_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?|\'\'\'(?:[^\']|\'(?!\'\'))*+(?:\'\'\')?|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"?|\'[^\'\n]*+\'?|#[^\n]*+',
    re.DOTALL,
)
_LONG_NUMBER = re.compile(rf"(?<![0-9_])[0-9_]{{{MAX_DIGITS}}}")
_DEEP_KEY = re.compile(rf'(?<![\w"-])(?:(?:[\w-]++|"")\s*+\.\s*+){{{MAX_DEPTH}}}')
_BOMS = {b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


# files -------------------------------------------------------------------------------------------------------------


def read_text(path: object, error: Error = SpecError, *, what: str = "file", max_bytes: int = MAX_BYTES, broken: str = "strict") -> str:
    """The text of a file.

    Args:
        path: a string or a path.
        error: class of the error.
        what: the kind of file, for the error: ``"run"``, ``"log"``.
        max_bytes: the largest size accepted [B].
        broken: what is done with bytes that are not UTF-8: ``"strict"`` refuses them, ``"replace"`` marks them.

    Raises:
        TrainsimError: what :func:`read_bytes` refuses, or a text that is not UTF-8.

    >>> read_text("no/such/run.toml", what="run")
    Traceback (most recent call last):
    trainsim.core.errors.SpecError: run='no/such/run.toml': there is no such file; give the path of an existing file
    """
    return decode(read_bytes(path, error, what=what, max_bytes=max_bytes), str(path), error, broken=broken)


def read_bytes(path: object, error: Error = SpecError, *, what: str = "file", max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file; a ``.gz`` file is unpacked, and bounded once more while it is.

    Args:
        path, error, what, max_bytes: as for :func:`read_text`.

    Raises:
        TrainsimError: no path, no such file, no regular file, one that is too large or can't be read.
    """
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise error(what, path, "is not a path", f"give the path of a {what}", "wrong-type")
    shown = str(path)
    try:
        file = Path(shown)
        regular = stat.S_ISREG(file.stat().st_mode)
        data = b""
        if regular:
            with gzip.open(file) if shown.endswith(".gz") else file.open("rb") as stream:
                data = stream.read(max_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise error(what, shown, "there is no such file", "give the path of an existing file", "not-found") from None
    except (OSError, ValueError, EOFError, zlib.error) as problem:  # ValueError: a path with a null character
        reason = getattr(problem, "strerror", None) or problem
        raise error(what, shown, f"can't be read ({reason})", "check the path and its permissions", "unreadable") from None
    if not regular:
        raise error(what, shown, "can't be read: it is not a regular file", f"give the path of a {what}", "unreadable")
    if len(data) > max_bytes:
        raise error(what, shown, f"is longer than {max_bytes:,} bytes", f"give a {what}", "too-large")
    return data


def decode(data: bytes, where: str, error: Error = SpecError, *, broken: str = "strict") -> str:
    """Bytes as UTF-8 text; a byte order mark is dropped.

    Args:
        data: the bytes.
        where: the name of the text, for the error.
        error: class of the error.
        broken: as for :func:`read_text`.

    Raises:
        TrainsimError: another encoding, named where its mark gives it away.

    >>> decode("{}".encode("utf-16"), "beliefs.json")
    Traceback (most recent call last):
    trainsim.core.errors.SpecError: encoding='UTF-16': is the encoding of beliefs.json, which must be UTF-8; save it as UTF-8
    """
    found = next((name for mark, name in _BOMS.items() if data.startswith(mark)), None)
    if found is not None:
        raise error("encoding", found, f"is the encoding of {where}, which must be UTF-8", "save it as UTF-8", "encoding")
    try:
        return data.decode("utf-8-sig", errors=broken)
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        byte = f"byte 0x{data[problem.start]:02x} in line {line}"
        raise error("encoding", byte, f"of {where} is not UTF-8", "save it as UTF-8", "encoding") from None


def load(path: object, error: Error = SpecError, *, what: str = "file") -> Any:
    """The data of a ``.toml`` or ``.json`` file.

    Raises:
        TrainsimError: another ending, or what :func:`read_text`, :func:`parse_toml` and :func:`parse_json` refuse.
    """
    text = read_text(path, error, what=what)
    name = Path(str(path)).name
    match Path(str(path)).suffix.lower():
        case ".toml":
            return parse_toml(text, name, error)
        case ".json":
            return parse_json(text, name, error)
        case suffix:
            raise error(what, name, f"ends in {suffix or 'nothing'}", "end it in .toml or .json", "unsupported")


# texts -------------------------------------------------------------------------------------------------------------


def parse_toml(text: str, where: str, error: Error = SpecError) -> dict[str, Any]:
    """A TOML text as nested dicts of finite numbers, words, lists and days.

    Args:
        text: the text.
        where: its name, for the error.
        error: class of the error.

    Raises:
        TrainsimError: invalid TOML, or one of unreasonable size, depth or digits.

    >>> parse_toml("tp = 8", "plan.toml")
    {'tp': 8}
    """
    _bound(text, _TOML_STRING, where, error, STRICT)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError, TypeError) as problem:
        raise _broken("TOML", problem, where, error) from None
    return dict(plain(data, where, error))


def parse_json(text: str, where: str, error: Error = SpecError, rules: Rules = STRICT) -> Any:
    """A JSON text as plain data; a key of an object stands once, or several times with one value.

    Args:
        text, where, error: as for :func:`parse_toml`.
        rules: what is accepted beside plain data.

    Raises:
        TrainsimError: invalid JSON, a key with two values, a number that is not finite, or unreasonable size, depth or digits.

    >>> parse_json('{"a": 1, "a": 2}', "beliefs.json")
    Traceback (most recent call last):
    trainsim.core.errors.SpecError: beliefs.json.a=2: contradicts a=1 further up; keep one of them
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found and found[key] != value:
                rule = f"contradicts {key[:40]}={str(found[key])[:40]} further up"
                raise error(f"{where}.{key[:80]}", value, rule, "keep one of them", "duplicate")
            found[key] = value
        return found

    _bound(text, _JSON_STRING, where, error, rules)
    try:
        data = json.loads(text, object_pairs_hook=None if rules.long else once)
    except TrainsimError:
        raise
    except (ValueError, RecursionError) as problem:
        raise _broken("JSON", problem, where, error) from None
    return data if rules.long else plain(data, where, error, rules)


def _broken(language: str, problem: Exception, where: str, error: Error) -> TrainsimError:
    return error(where, "…", f"is not valid {language} ({str(problem)[:120]})", "mend the file; it may be cut short", "syntax")


def _bound(text: str, strings: re.Pattern[str], where: str, error: Error, rules: Rules) -> None:
    """Refuse a text that would take a parser too long or too deep: its size, brackets, dotted keys and digits, outside strings."""
    if len(text) > (MAX_LOG_BYTES if rules.long else MAX_BYTES):
        raise error(where, "…", f"is of {len(text):,} characters, too many", "give less at a time", "too-large")
    bare = strings.sub('""', text)
    if not rules.long and sum(map(bare.count, "[{,")) > MAX_VALUES:
        raise error(where, "…", f"holds more than {MAX_VALUES:,} values", "give less at a time", "too-large")
    depth = deepest = 0
    for bracket in re.finditer(r"[\[{]|[\]}]", bare):
        depth += 1 if bracket.group() in "[{" else -1
        deepest = max(deepest, depth)
        if deepest > MAX_DEPTH:
            break
    if deepest > MAX_DEPTH or _DEEP_KEY.search(bare):
        raise error(where, "…", f"is nested deeper than {MAX_DEPTH} levels", "flatten it", "too-deep")
    if _LONG_NUMBER.search(bare):
        raise error(where, "…", f"holds a number of {MAX_DIGITS} digits or more", "write it as 1.5e12", "too-large")


def parse_table(text: str, where: str, error: Error = SpecError, *, key: str = "") -> list[tuple[int, dict[str, str]]]:
    r"""The rows of a CSV text as line number and cells by column; empty lines and cells are left out.

    Args:
        text, where, error: as for :func:`parse_toml`.
        key: column whose value a row may not share with another.

    Raises:
        TrainsimError: a header that is missing or names a column twice, a broken quote, or two rows with one key.

    >>> parse_table("path,p5\nprice,1\n", "beliefs.csv")
    [(2, {'path': 'price', 'p5': '1'})]
    """
    if len(text) > MAX_BYTES:
        raise error(where, "…", f"is longer than {MAX_BYTES:,} characters", "give fewer rows", "too-large")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    header: list[str] = []
    seen: dict[str, int] = {}
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header(cells, where, error)
                continue
            row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
            row |= {"": ",".join(cells[len(header) :])} if any(cells[len(header) :]) else {}
            name = row.get(key, "") if key else ""
            if name and name in seen:
                rule = f"stands in line {seen[name]} too"
                raise error(f"{where}:{reader.line_num}.{key}", name, rule, "keep one of the two rows", "duplicate")
            seen[name] = reader.line_num
            at = f"{where}:{reader.line_num}"
            rows.append((reader.line_num, {column: check_text(cell, f"{at}.{column}", error) for column, cell in row.items() if cell}))
    except csv.Error as problem:
        rule_id: RuleId = "too-large" if "larger than" in str(problem) else "syntax"
        raise error(f"{where}:{reader.line_num}", "…", f"is not valid CSV ({problem})", "mend that line", rule_id) from None
    if not header:
        raise error(where, "", "has no header", "begin with a line of column names", "empty")
    return rows


def _header(cells: list[str], where: str, error: Error) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise error(f"{where}.header", twice, "names two columns", "give each column its own name", "duplicate")
    return names


def words_of(text: object, where: str, error: Error = SpecError) -> list[str]:
    """A command line, or a list of its words, as words; comments and line breaks after a backslash are dropped.

    Raises:
        TrainsimError: neither text nor a list of words, or a quote that is not closed.

    >>> words_of("--tensor-model-parallel-size 8 # two nodes", "arguments")
    ['--tensor-model-parallel-size', '8']
    """
    if isinstance(text, str):
        if len(text) > MAX_BYTES:
            raise error(where, "…", f"is longer than {MAX_BYTES:,} characters", "give one command", "too-large")
        try:
            words = shlex.split(re.sub(r"\\\r?\n", " ", text), comments=True)
        except ValueError as problem:
            raise error(where, text, f"is not a command line ({problem})", "close the quote", "syntax") from None
    elif isinstance(text, Collection) and not isinstance(text, (bytes, Mapping)) and all(isinstance(word, str) for word in text):
        words = list(text)
    else:
        raise error(where, text, "is neither a text nor a list of words", "give the command line", "wrong-type")
    return list(plain(words, where, error))


def each(rows: Iterable[tuple[str, T]], read: Callable[[T], R], error: Error = SpecError) -> list[R]:
    """Read every row; one that can't be read is skipped with a warning, and the others are kept.

    Args:
        rows: pairs of where a row stands and the row.
        read: row → answer.
        error: class of the error.

    Returns:
        the answers, in order.

    Raises:
        TrainsimError: no row could be read; the first one's error. A row that names a module that is not trusted is never skipped.
    """
    answers: list[R] = []
    failures: list[TrainsimError] = []
    for where, row in rows:
        try:
            answers.append(read(row))
        except TrainsimError as problem:
            if problem.rule_id == "untrusted":
                raise
            failures.append(recast(problem, error, ": ".join(filter(None, (where, problem.path)))))
    if failures and not answers:
        raise failures[0]
    for failure in failures:
        warnings.warn(SkippedRow(failure), stacklevel=3)
    return answers
