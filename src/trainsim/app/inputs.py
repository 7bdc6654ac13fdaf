"""Turn a question into a request for a run and for a claim; files are read from one folder alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import catalog
from ..catalog.model_lookup import named_model
from ..core import reading
from ..core.errors import ConfigError, SpecError, TrainsimError, did_you_mean
from ..planning.claim_request import ClaimRequest, claim_of
from ..planning.requests import RunRequest
from .question import Question, lines_of_text, missing_inputs

SUFFIXES = (".json", ".toml")
"""Suffixes of the offered files: configs and saved runs."""


def files_of(folder: Path | None) -> Mapping[str, Path]:
    """Name → path of the files of a folder that a question may name; a link that leads out of the folder is left out.

    >>> files_of(None)
    {}
    """
    if folder is None:
        return {}
    inside = folder.resolve()
    found = ((path.name, path.resolve()) for path in sorted(inside.iterdir()) if path.suffix in SUFFIXES)
    return {name: path for name, path in found if path.is_file() and path.is_relative_to(inside)}


def run_request_of(asked: Question, folder: Path | None) -> RunRequest:
    """The run that a question describes.

    Args:
        asked: the question, in which no input is missing.
        folder: the only folder that files are read from; None for none.

    Raises:
        TrainsimError: no such model or file, or the config can't be read.

    >>> run_request_of(Question(model="7B", chip="h100", gpus="512", tokens="2T"), None).gpus
    '512'
    """
    return RunRequest(
        _target(asked, folder), chip=asked.chip, gpus=asked.gpus, tokens=asked.tokens, seq_len=asked.seq_len, batch=asked.batch,
        price=asked.price, mfu=asked.mfu, goodput=asked.goodput, as_of=asked.as_of, changes=lines_of_text(asked.changes),
        beliefs=lines_of_text(asked.believe),
    )  # fmt: skip


def _target(asked: Question, folder: Path | None) -> Any:
    if asked.config:
        data = reading.parse_json(asked.config, "config", ConfigError)
        if not isinstance(data, Mapping):
            raise ConfigError("config", asked.config, "is not a JSON object", "paste a whole config.json, from { to }", "wrong-type")
        return data
    if asked.file:
        return str(_file(asked.file, folder))
    return asked.model if asked.model in catalog.runs() else named_model(asked.model)


def _file(name: str, folder: Path | None) -> Path:
    known = files_of(folder)
    if name not in known:
        remedy = did_you_mean(name, known, "files") if folder is not None else "start the app with --folder"
        raise SpecError("file", name, "is not a file of the app's folder", remedy, "not-found")
    return known[name]


def is_whole(asked: Question, folder: Path | None) -> bool:
    """Whether the question names a complete run: a published or a saved one."""
    row = catalog.rows("runs").get(asked.model)
    if asked.model and row is not None:
        return bool(row.get("cluster"))
    path = files_of(folder).get(asked.file)
    if path is None:
        return False
    try:
        data = reading.load(path)
    except TrainsimError:
        return True  # the file's own error is the one to show
    return isinstance(data, Mapping) and {"model", "cluster"} <= set(data)


def errors_of(asked: Question, folder: Path | None) -> tuple[TrainsimError, ...]:
    """Errors of inputs that are missing or can't be read, before any run is built."""
    found = list(missing_inputs(asked, whole=is_whole(asked, folder)))
    typed = [name for name in ("told_as", "scope", "date", "quantity") if getattr(asked, name)]
    if typed and not asked.claim:
        found.append(SpecError("claim", "", "is missing", "give the figure, or clear the other inputs of the claim", "missing"))
    try:
        if asked.claim:
            claim_of(claim_request_of(asked))
    except TrainsimError as error:
        found.append(error)
    return tuple(found)


def claim_request_of(asked: Question) -> ClaimRequest:
    """The claim that a question states.

    >>> claim_request_of(Question(claim="6M", quantity="cost")).quantity
    'cost'
    """
    return ClaimRequest(asked.claim, asked.quantity, told_as=asked.told_as, scope=asked.scope, date=asked.date)
