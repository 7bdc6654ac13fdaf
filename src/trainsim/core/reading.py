"""Read files and texts from users into plain data; invalid input raises one clear error.

Size, nesting, digits and number of values are checked before parsing. A text must be UTF-8 without control characters, a key
occurs once, numbers are finite. Every failure is a :class:`~trainsim.core.errors.TrainsimError`.
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
import sys
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
"""Largest size of a settings file [B]; saved runs and beliefs are far smaller."""
MAX_LOG_BYTES = 2**29
"""Largest size of a training log or profiler trace, decompressed [B]."""
_JSON_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_TOML_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?|\'\'\'(?:[^\']|\'(?!\'\'))*+(?:\'\'\')?|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"?|\'[^\'\n]*+\'?|#[^\n]*+',
    re.DOTALL,
)
_LONG_NUMBER = re.compile(rf"(?<![0-9_])[0-9_]{{{MAX_DIGITS}}}")
_DEEP_KEY = re.compile(rf'(?<![\w"-])(?:(?:[\w-]++|"")\s*+\.\s*+){{{MAX_DEPTH}}}')
_BOMS = {b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


# files -------------------------------------------------------------------------------------------------------------


def read_text(path: object, error: Error = SpecError, *, what: str = "file", max_bytes: int = MAX_BYTES, errors: str = "strict") -> str:
    """The text of a file.

    Args:
        path: a string or a path.
        error: class of the error.
        what: the kind of file, for the error: ``"run"``, ``"log"``.
        max_bytes: the largest accepted size [B].
        errors: bytes that are not UTF-8 are rejected (``"strict"``) or replaced by U+FFFD (``"replace"``), as for ``bytes.decode``.

    Raises:
        TrainsimError: :func:`read_bytes` rejects the file, or its text is not UTF-8.

    >>> read_text("no/such/run.toml", what="run")
    Traceback (most recent call last):
    trainsim.core.errors.SpecError: run='no/such/run.toml': there is no such file; give the path of an existing file
    """
    return decode(read_bytes(path, error, what=what, max_bytes=max_bytes), str(path), error, errors=errors)


def read_bytes(path: object, error: Error = SpecError, *, what: str = "file", max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file; a ``.gz`` file is decompressed, up to ``max_bytes``.

    Args:
        path, error, what, max_bytes: as for :func:`read_text`.

    Raises:
        TrainsimError: the path is not a path, or the file does not exist, is not a regular file, is too large or can't be read.
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


def decode(data: bytes, where: str, error: Error = SpecError, *, errors: str = "strict") -> str:
    """Decode UTF-8 bytes; a byte order mark is removed.

    Args:
        data: the bytes.
        where: name of the text, for the error.
        error: class of the error.
        errors: as for :func:`read_text`.

    Raises:
        TrainsimError: the text has another encoding; the error names it if a byte order mark shows it.

    >>> decode("{}".encode("utf-16"), "beliefs.json")
    Traceback (most recent call last):
    trainsim.core.errors.SpecError: encoding='UTF-16': is the encoding of beliefs.json, which must be UTF-8; save it as UTF-8
    """
    found = next((name for mark, name in _BOMS.items() if data.startswith(mark)), None)
    if found is not None:
        raise error("encoding", found, f"is the encoding of {where}, which must be UTF-8", "save it as UTF-8", "encoding")
    try:
        return data.decode("utf-8-sig", errors=errors)
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        byte = f"byte 0x{data[problem.start]:02x} in line {line}"
        raise error("encoding", byte, f"of {where} is not UTF-8", "save it as UTF-8", "encoding") from None


def load(path: object, error: Error = SpecError, *, what: str = "file") -> Any:
    """The data of a ``.toml`` or ``.json`` file.

    Raises:
        TrainsimError: the file name ends otherwise, or :func:`read_text`, :func:`parse_toml` or :func:`parse_json` rejects it.
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
    """Parse TOML into nested dicts of finite numbers, texts, lists and dates.

    Args:
        text: the text.
        where: its name, for the error.
        error: class of the error.

    Raises:
        TrainsimError: invalid TOML, or TOML that is too large, too deep or has too many digits.

    >>> parse_toml("tp = 8", "plan.toml")
    {'tp': 8}
    """
    _check_limits(text, _TOML_STRING, where, error, STRICT)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError, TypeError) as problem:
        raise _syntax_error("TOML", problem, where, error) from None
    return dict(plain(data, where, error))


def parse_json(text: str, where: str, error: Error = SpecError, rules: Rules = STRICT) -> Any:
    """Parse JSON into plain data; a key may occur twice only with the same value.

    Args:
        text, where, error: as for :func:`parse_toml`.
        rules: values accepted in addition to plain data.

    Raises:
        TrainsimError: invalid JSON, a key with two values, a number that is not finite, or too many characters, levels or digits.

    >>> parse_json('{"a": 1, "a": 2}', "beliefs.json")
    Traceback (most recent call last):
    trainsim.core.errors.SpecError: beliefs.json.a=2: contradicts a=1 earlier in the file; keep one of them
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found and found[key] != value:
                rule = f"contradicts {key[:40]}={str(found[key])[:40]} earlier in the file"
                raise error(f"{where}.{key[:80]}", value, rule, "keep one of them", "duplicate")
            found[key] = value
        return found

    _check_limits(text, _JSON_STRING, where, error, rules)
    try:
        data = json.loads(text, object_pairs_hook=None if rules.long else once)
    except TrainsimError:
        raise
    except (ValueError, RecursionError) as problem:
        raise _syntax_error("JSON", problem, where, error) from None
    return data if rules.long else plain(data, where, error, rules)


def _syntax_error(language: str, problem: Exception, where: str, error: Error) -> TrainsimError:
    return error(where, "…", f"is not valid {language} ({str(problem)[:120]})", "correct the file; it may be cut short", "syntax")


def _check_limits(text: str, strings: re.Pattern[str], where: str, error: Error, rules: Rules) -> None:
    """Reject a text before parsing if it is too long or too deeply nested, or has too many values or digits outside strings."""
    if len(text) > (MAX_LOG_BYTES if rules.long else MAX_BYTES):
        raise error(where, "…", f"has {len(text):,} characters, which is too many", "split it", "too-large")
    bare = strings.sub('""', text)
    if not rules.long and sum(map(bare.count, "[{,")) > MAX_VALUES:
        raise error(where, "…", f"holds more than {MAX_VALUES:,} values", "split it", "too-large")
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
    r"""Parse CSV into pairs of line number and row (column → cell); empty lines and cells are left out.

    Args:
        text, where, error: as for :func:`parse_toml`.
        key: column whose values must differ between rows.

    Raises:
        TrainsimError: the header is missing or names a column twice, a quote is not closed, or two rows have the same key.

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
                rule = f"is also in line {seen[name]}"
                raise error(f"{where}:{reader.line_num}.{key}", name, rule, "keep one of the two rows", "duplicate")
            seen[name] = reader.line_num
            at = f"{where}:{reader.line_num}"
            rows.append((reader.line_num, {column: check_text(cell, f"{at}.{column}", error) for column, cell in row.items() if cell}))
    except csv.Error as problem:
        rule_id: RuleId = "too-large" if "larger than" in str(problem) else "syntax"
        raise error(f"{where}:{reader.line_num}", "…", f"is not valid CSV ({problem})", "correct that line", rule_id) from None
    if not header:
        raise error(where, "", "has no header", "start with a line of column names", "empty")
    return rows


def _header(cells: list[str], where: str, error: Error) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise error(f"{where}.header", twice, "names two columns", "give each column its own name", "duplicate")
    return names


def split_command_line(text: object, where: str, error: Error = SpecError) -> list[str]:
    """Split a command line into words; a list of words is returned as it is. Comments and escaped line breaks are dropped.

    Raises:
        TrainsimError: the value is neither a text nor a list of words, or a quote is not closed.

    >>> split_command_line("--tensor-model-parallel-size 8 # two nodes", "arguments")
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


def read_rows(rows: Iterable[tuple[str, T]], read: Callable[[T], R], error: Error = SpecError) -> list[R]:
    """Apply a reader to every row; rows that can't be read are skipped with a warning.

    Args:
        rows: pairs of location (file and line) and row.
        read: row → record.
        error: class of the error.

    Returns:
        the records, in order.

    Raises:
        TrainsimError: no row could be read (the error of the first), or a row names an untrusted module.
    """
    records: list[R] = []
    failures: list[TrainsimError] = []
    for where, row in rows:
        try:
            records.append(read(row))
        except TrainsimError as problem:
            if problem.rule_id == "untrusted":
                raise
            failures.append(recast(problem, error, ": ".join(filter(None, (where, problem.path)))))
    if failures and not records:
        raise failures[0]
    for failure in failures:
        warnings.warn(SkippedRow(failure), stacklevel=3)
    return records


STANDARD_INPUT = "-"
"""File name that stands for standard input."""


def standard_input() -> dict[str, Any]:
    """The table on standard input, as TOML or JSON.

    Raises:
        SpecError: it is neither.
    """
    text = sys.stdin.read()
    read = parse_json if text.lstrip().startswith("{") else parse_toml
    data: dict[str, Any] = read(text, "standard input")
    return data
