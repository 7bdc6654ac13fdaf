"""Question: all inputs of the page, read from the page's URL and written to one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from ..core import reading
from ..core.errors import SpecError, TrainsimError, did_you_mean
from ..core.values import check_text

LINE, LINES, CONFIG = 200, 4_000, 64_000
"""Largest length of a line, of several lines, and of a pasted config [character]."""
QUANTITIES: Mapping[str, str] = MappingProxyType(
    {
        "": "cost [USD]",
        "gpu_hours": "GPU-hours",
        "busy_gpu_hours": "GPU-hours of useful steps",
        "wall_days": "days from start to end",
        "mfu": "MFU",
        "flops": "training FLOPs",
        "tokens": "training tokens",
    }
)
"""Quantity of a claim → its name on the page; the first is the default."""
LAYOUTS: Mapping[str, str] = MappingProxyType({"": "find the fastest that fits", "skip": "leave it out"})
"""Question about the layout → its name on the page."""


@dataclass(frozen=True)
class InputField:
    """One input of the page.

    Args:
        name: name of the input in the page's URL and in :class:`Question`.
        label, hint: name of the input and example, for the reader.
        group: heading above the input.
        most: largest length of the text [character].
        rows: lines of a field of several lines; 0 for a field of one line.
        listed: kind of the catalogue whose ids are offered; empty for none.
        choices: value → words, if the value is chosen instead of typed.
    """

    name: str
    label: str
    hint: str
    group: str
    most: int = LINE
    rows: int = 0
    listed: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)


RUN, MORE, CLAIM = "Your run", "More inputs", "A claim about it"
"""Groups of inputs, in the order of the page; the second is folded while it is empty."""


def _typed(label: str, hint: str, group: str, **options: Any) -> Any:
    return field(default="", metadata={"label": label, "hint": hint, "group": group, **options})


@dataclass(frozen=True)
class Question:
    """The typed inputs; an empty text is an input that is left out.

    >>> asked, errors = read_question([("model", "7B"), ("chip", "h100"), ("gpus", " 512 "), ("tokens", "2T")])
    >>> asked.address, errors
    ('model=7B&chip=h100&gpus=512&tokens=2T', ())
    """

    model: str = _typed("Model", "kimi-k2, or a size: 7B, 235B-A22B", RUN, listed="models")
    config: str = _typed("or paste its config.json", "the file as downloaded", RUN, most=CONFIG, rows=2)
    file: str = _typed("or a file of the folder", "a config.json, or a saved run", RUN, listed="files")
    chip: str = _typed("Chip", "or a cluster: h100, hgx-h800", RUN, listed="chips")
    gpus: str = _typed("GPUs", "512, or 512xH100", RUN)
    tokens: str = _typed("Training tokens", "10T", RUN)
    price: str = _typed("Price of a GPU-hour", "2.5/h; if left out, a median", RUN)
    layout: str = _typed("Layout", "and whether it fits in memory", RUN, choices=LAYOUTS)
    seq_len: str = _typed("Sequence length [token]", "4096", MORE)
    batch: str = _typed("Batch [sequence]", "1024", MORE)
    mfu: str = _typed("MFU", "40%", MORE)
    goodput: str = _typed("Goodput", "95%", MORE)
    as_of: str = _typed("Data public by", "2024-12-25", MORE)
    changes: str = _typed("Other inputs, one a line", "price.usd_per_gpu_hour=1.9", MORE, most=LINES, rows=2)
    believe: str = _typed("Beliefs, one a line", "price.usd_per_gpu_hour=1.4..3.4", MORE, most=LINES, rows=2)
    claim: str = _typed("Claimed figure", "4.6M, 35M RMB, 2.788M", CLAIM)
    quantity: str = _typed("What it is a figure of", "dollars, hours, days …", CLAIM, choices=QUANTITIES)
    told_as: str = _typed("Its words", "the cost of training it", CLAIM)
    scope: str = _typed("What it covers", "final-run rent, where known", CLAIM)
    date: str = _typed("Published on", "2024-12-26", CLAIM)

    @property
    def address(self) -> str:
        """The question as the query of the page's URL, without empty inputs."""
        return urlencode({name: text for name, text in asdict(self).items() if text})

    @property
    def empty(self) -> bool:
        """Whether every input is empty."""
        return self == Question()


FIELDS: tuple[InputField, ...] = tuple(InputField(one.name, **one.metadata) for one in fields(Question))
"""All inputs, in the order of the page."""


def read_question(pairs: Iterable[tuple[str, str]]) -> tuple[Question, tuple[TrainsimError, ...]]:
    """Read a question from the pairs of the URL's query.

    Args:
        pairs: name and text of each input.

    Returns:
        the question with every text that has a field, and what is wrong with them. A pasted config is written without spaces.

    >>> read_question([("modl", "7B")])[1][0].rule_id
    'unknown-field'
    """
    known = {one.name: one for one in FIELDS}
    texts: dict[str, str] = {}
    errors: list[TrainsimError] = []
    for name, typed in pairs:
        text = typed.replace("\r\n", "\n").strip()
        if name not in known:
            rule = "is in the page's URL, but is not an input of this page"
            errors.append(SpecError("address", name, rule, did_you_mean(name, known, "inputs"), "unknown-field"))
        elif name in texts:
            errors.append(SpecError(name, text, "is given twice", "give it once", "duplicate"))
        else:
            texts[name], wrong = _text(known[name], text)
            errors += wrong
    return Question(**texts), tuple(errors)


def _text(of: InputField, text: str) -> tuple[str, list[TrainsimError]]:
    """A text as the field stores it, and the error of the text."""
    try:
        if len(text) > of.most:
            other = ", or save it as a file and start the app with --folder" if of.name == "config" else ""
            raise SpecError(of.name, text, f"is longer than {of.most:,} characters", f"shorten it{other}", "too-large")
        check_text(text.replace("\n", " ").replace("\t", " "), of.name)
        if of.choices and text not in of.choices:
            raise SpecError(of.name, text, "is not one of the choices", did_you_mean(text, filter(None, of.choices)), "unknown-name")
        if of.name == "config" and text:
            return json.dumps(reading.parse_json(text, of.name), separators=(",", ":"), ensure_ascii=False), []
    except TrainsimError as error:
        return text, [error]
    return text, []


def missing_inputs(asked: Question, *, whole: bool) -> tuple[TrainsimError, ...]:
    """One error for each input that the question lacks.

    Args:
        asked: the question.
        whole: whether the run is complete, such as a published or a saved one.
    """
    sources = [name for name in ("model", "config", "file") if getattr(asked, name)]
    errors: list[TrainsimError] = []
    if not sources:
        errors.append(SpecError("model", "", "is missing", "give an id, a size such as 7B, or a config.json", "missing"))
    errors += [SpecError(name, getattr(asked, name), "excludes the other ways to name a model", "give one of them", "conflict")
               for name in sources[1:]]  # fmt: skip
    if not whole and sources:
        needed = {"chip": "give a chip: h100", "gpus": "give a number: 512", "tokens": "give a number: 2T"}
        given = {
            "chip": asked.chip or any(letter.isalpha() for letter in asked.gpus.rstrip("kK")),
            "gpus": asked.gpus,
            "tokens": asked.tokens,
        }
        errors += [SpecError(name, "", "is missing", needed[name], "missing") for name, there in given.items() if not there]
    return tuple(errors)


ALIASES: Mapping[str, str] = MappingProxyType(
    {"usd_per_gpu_hour": "price", "set": "changes", "believe": "believe", "value": "claim", "unit": "quantity", "models": "model"}
)
"""End of an error's path → the input that sets it, if their names differ."""


def field_of(error: TrainsimError, asked: Question) -> str:
    """Name of the input that an error is about; empty if there is none.

    >>> field_of(SpecError("price.usd_per_gpu_hour", "x", "is not a number", "write 2.5/h"), Question(price="x"))
    'price'
    """
    path = error.path.removeprefix("--").replace("-", "_")
    head, _, _ = path.partition(".")
    for name in ("changes", "believe"):
        if path and any(line.partition("=")[0].strip() == path for line in getattr(asked, name).splitlines()):
            return name
    if head == "config":
        return next((name for name in ("config", "file", "model") if getattr(asked, name)), "model")
    last = path.rpartition(".")[2]
    return next((name for name in (ALIASES.get(last, last), ALIASES.get(head, head)) if name in {one.name for one in FIELDS}), "")


def lines_of_text(text: str) -> Sequence[str]:
    """The lines of a field of several lines, without the empty ones."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())
