"""Laws of reading files: any input becomes plain data or one error with path, value, rule and remedy."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from trainsim.core import reading, values
from trainsim.core.errors import BeliefError, SkippedRow, SpecError, TrainsimError
from trainsim.testing import refused

N = values.MAX_DEPTH
words = st.text(st.characters(exclude_categories=["C"]), max_size=8)
scalars = st.one_of(st.booleans(), st.integers(-(2**200), 2**200), st.floats(allow_nan=False, allow_infinity=False), words)
documents = st.dictionaries(
    words, st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner), max_leaves=8)
)


@given(documents)
def test_json_round_trip(data: dict[str, Any]) -> None:
    assert reading.parse_json(json.dumps(data), "x") == data


@given(documents.filter(lambda d: all(abs(n) < 2**62 for n in _integers(d))))
def test_toml_round_trip(data: dict[str, Any]) -> None:
    assert reading.parse_toml(tomli_w.dumps(data), "x") == data


def _integers(data: Any) -> list[int]:
    if isinstance(data, dict):
        return [n for value in data.values() for n in _integers(value)]
    if isinstance(data, list):
        return [n for value in data for n in _integers(value)]
    return [data] if type(data) is int else []


@pytest.mark.parametrize("parse", [reading.parse_json, reading.parse_toml, reading.parse_table, reading.split_command_line])
@given(text=st.text(max_size=60) | st.text(alphabet='[]{}",=.#\\\n\x00 1ae-', max_size=60))
def test_any_text_is_read_or_refused(parse: Callable[[str, str], Any], text: str) -> None:
    error = refusal(parse, text)
    assert error is None or (error.path and error.remedy and error.rule_id != "invalid")


def refusal(parse: Callable[[str, str], Any], text: str) -> TrainsimError | None:
    try:
        parse(text, "x")
    except TrainsimError as error:
        return error
    return None


@given(st.binary(max_size=40))
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = ""
    if text and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        assert reading.decode(data, "x") == text
    elif data.decode("utf-8-sig", errors="ignore") != text:
        with refused(SpecError, "encoding"):
            reading.decode(data, "x")


TEXTS: list[tuple[str, Callable[..., Any], str, str]] = [
    ("brackets a level too deep", reading.parse_json, "[" * (N + 1) + "]" * (N + 1), "too-deep"),
    ("a hundred thousand brackets", reading.parse_toml, "a = " + "[" * 100_000, "too-deep"),
    ("a key of a hundred thousand parts", reading.parse_toml, ".".join("a" * 100_000) + " = 1", "too-deep"),
    ("a table of as many", reading.parse_toml, "[" + ".".join("a" * 100_000) + "]", "too-deep"),
    ("more digits than a float holds", reading.parse_json, "9" * 400, "too-large"),
    ("more digits than Python reads", reading.parse_toml, "a = " + "9" * 5000, "too-large"),
    ("more values than a million", reading.parse_json, "[" + "0," * values.MAX_VALUES + "0]", "too-large"),
    ("more text than any document", reading.parse_json, '"' + "a" * reading.MAX_BYTES + '"', "too-large"),
    ("an overflow", reading.parse_json, "[1e400]", "not-finite"),
    ("no number", reading.parse_json, "[NaN]", "not-finite"),
    ("an infinite number", reading.parse_toml, "a = inf", "not-finite"),
    ("a key with two values", reading.parse_json, '{"a": 1, "a": 2}', "duplicate"),
    ("a key given twice", reading.parse_toml, "a = 1\na = 2", "syntax"),
    ("half a document", reading.parse_json, '{"a": ', "syntax"),
    ("an escape", reading.parse_json, r'{"a": "\u001b]0;owned"}', "control-character"),
    ("half a surrogate pair", reading.parse_json, r'"\ud800"', "control-character"),
    ("reversed writing", reading.parse_toml, 'a = "\u202egnp"', "control-character"),
    ("a column named twice", reading.parse_table, "path,p5,p5\na,1,2\n", "duplicate"),
    ("a quote that doesn't close", reading.parse_table, 'path,p5\n"a,1\n', "syntax"),
    ("a cell beyond all cells", reading.parse_table, "path\n" + "x" * 200_000, "too-large"),
    ("a null character", reading.parse_table, "path\na\x00b\n", "control-character"),
    ("nothing", reading.parse_table, "\n\n", "empty"),
    ("an open quote", reading.split_command_line, '--name "a', "syntax"),
]


@pytest.mark.parametrize(("parse", "text", "rule_id"), [c[1:] for c in TEXTS], ids=[c[0] for c in TEXTS])
def test_a_text_beyond_bounds_is_refused_before_it_is_read(parse: Callable[..., Any], text: str, rule_id: str) -> None:
    with refused(BeliefError, rule_id):
        parse(text, "x", BeliefError)


def test_brackets_in_strings_and_comments_do_not_count_as_nesting() -> None:
    many = "[" * 1000
    assert reading.parse_json(json.dumps({"a": many + '"'}), "x") == {"a": many + '"'}
    text = f"a = '{many}' # {many}\nb = \"\"\"{many}\"\"\"\nc = '''{many}'''\n"
    assert reading.parse_toml(text, "x") == tomllib.loads(text)


def test_two_rows_with_one_key_are_refused() -> None:
    with refused(SpecError, "duplicate", path="sheet.csv:3.path"):
        reading.parse_table("path,p5\na,1\na,2\n", "sheet.csv", key="path")


def test_rows_keep_their_lines_and_leave_out_empty_cells() -> None:
    text = "\ufeffpath, p5 ,p95\n\na,1,\nb,,2,left over\n".removeprefix("\ufeff")
    assert reading.parse_table(text, "x") == [(3, {"path": "a", "p5": "1"}), (4, {"path": "b", "p95": "2", "": "left over"})]


def test_a_bad_row_of_many_is_reported_and_the_others_are_read() -> None:
    rows = [(f"line {i}", cell) for i, cell in enumerate("12x4")]
    with pytest.warns(SkippedRow) as caught:
        assert reading.read_rows(rows, lambda cell: values.to_float(cell, "p5"), BeliefError) == [1.0, 2.0, 4.0]
    assert [(w.message.error.path, w.message.error.value, w.message.error.rule_id) for w in caught] == [  # type: ignore[union-attr]
        ("line 2: p5", "x", "wrong-type")
    ]
    with refused(BeliefError, "wrong-type", path="line 0: p5"):
        reading.read_rows([("line 0", "x")], lambda cell: values.to_float(cell, "p5"), BeliefError)


FILES: list[tuple[str, Callable[[Path], Any], str]] = [
    ("nothing there", lambda here: here / "no.toml", "not-found"),
    ("a folder", lambda here: here, "unreadable"),
    ("a device without end", lambda _: "/dev/zero", "unreadable"),
    ("a null character", lambda _: "a\0b", "unreadable"),
    ("no path", lambda _: None, "wrong-type"),
    ("a number", lambda _: 5, "wrong-type"),
    ("UTF-16", lambda here: _file(here, "{}".encode("utf-16")), "encoding"),
    ("UTF-32", lambda here: _file(here, "{}".encode("utf-32")), "encoding"),
    ("Latin-1", lambda here: _file(here, "é".encode("latin-1")), "encoding"),
    ("seventeen megabytes", lambda here: _file(here, b" " * 17 * 2**20), "too-large"),
]


def _file(here: Path, data: bytes) -> Path:
    path = here / "file.json"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("path", "rule_id"), [c[1:] for c in FILES], ids=[c[0] for c in FILES])
def test_a_file_that_is_not_text_is_refused(path: Callable[[Path], Any], rule_id: str, tmp_path: Path) -> None:
    with refused(SpecError, rule_id):
        reading.load(path(tmp_path))


def test_a_byte_order_mark_of_utf_8_is_dropped(tmp_path: Path) -> None:
    assert reading.load(_file(tmp_path, '{"a": 1}'.encode("utf-8-sig"))) == {"a": 1}


VALUES: list[tuple[Callable[[object, str], Any], object, str]] = [
    *((values.to_float, value, "not-finite") for value in (math.inf, math.nan, "1e400", 10**400)),
    *((values.to_float, value, "wrong-type") for value in ("", ",", "x", None, True, [1], {}, b"1")),  # type: ignore[var-annotated]
    *((values.to_int, value, "wrong-type") for value in (8.5, "8.5", "x", [8, 8], None, True)),
    *((values.to_int, value, "out-of-bounds") for value in (-1, 10**10, "1e300")),
    *((values.to_texts, value, "wrong-type") for value in (3, None, [1], {"a": 1}, b"a")),
]


@pytest.mark.parametrize(("read", "value", "rule_id"), VALUES, ids=[f"{c[0].__name__}-{str(c[1])[:20]}" for c in VALUES])
def test_a_value_of_another_kind_is_refused(read: Callable[[object, str], Any], value: object, rule_id: str) -> None:
    with refused(SpecError, rule_id, path="--flag", value=value):
        read(value, "--flag")


@given(st.integers(0, 10**9))
def test_a_whole_number_is_read_as_number_and_as_text(n: int) -> None:
    assert values.to_int(n, "x") == values.to_int(str(n), "x") == values.to_int(f"{n:,}", "x") == values.to_int(float(n), "x") == n


def test_self_referential_objects_are_refused() -> None:
    class Itself:
        def tolist(self) -> object:
            return self

    ring: dict[str, Any] = {}
    ring["again"] = ring
    for value in (ring, Itself()):
        with refused(SpecError, "too-deep"):
            values.plain(value, "x")


def test_arrays_become_lists() -> None:
    assert values.plain({"a": np.arange(3), "b": np.float32(0.5)}, "x") == {"a": [0, 1, 2], "b": 0.5}
