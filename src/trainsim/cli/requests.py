"""What the flags of a command ask for, as runs, beliefs and claims."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import catalog
from ..catalog.model_lookup import model_from
from ..core import reading
from ..core.citations import ASSUMED
from ..core.errors import SpecError, did_you_mean
from ..planning.quick import assumptions, quick
from ..run.run import Run, load

if TYPE_CHECKING:
    from ..claims.claim import Claim
    from ..uncertainty.beliefs.beliefs import Beliefs


@dataclass(frozen=True)
class RunRequest:
    """The flags that say which run is meant.

    Args:
        target: a run's file or ``-``, an id of a run, or a model: its config, id or size.
        chip, gpus, tokens, seq_len, batch, price, mfu, goodput: as for :func:`~trainsim.planning.quick.quick`; empty where not given.
        changes: ``path=value``, each.
        beliefs: ``path=interval``, each.
        as_of: use rows public by this day.
    """

    target: str
    chip: str = ""
    gpus: str = ""
    tokens: str = ""
    seq_len: str = ""
    batch: str = ""
    price: str = ""
    mfu: str = ""
    goodput: str = ""
    changes: Sequence[str] = ()
    beliefs: Sequence[str] = ()
    as_of: str = ""


FLAGS = {"price": "price.usd_per_gpu_hour", "mfu": "efficiency.mfu", "goodput": "reliability.goodput"}
"""Flag → the path it sets in a run that is given whole."""


def run_of(asked: RunRequest) -> Run:
    """The run that the flags name: a file, an id, or one built from a model, a chip, accelerators and tokens.

    Raises:
        TrainsimError: nothing of that name, or a flag that is missing or can't be read.
    """
    run = _whole(asked)
    if run is None:
        run = _built(asked)
    else:
        changes = {path: getattr(asked, flag) for flag, path in FLAGS.items() if getattr(asked, flag)}
        first = run.phases[0].name
        changes |= {f"phases.{first}.{n}": v for n in ("tokens", "seq_len", "batch") if (v := getattr(asked, n))}
        if asked.gpus:
            changes["cluster.gpus"] = machines(asked)[1]
        run = run.replace(changes) if changes else run
    for text in asked.changes:
        path, value = _pair(text, "--set")
        run = run.replace({path: _literal(value)})
    return catalog.complete(run, asked.as_of or None)[0]


def _whole(asked: RunRequest) -> Run | None:
    """A run that is given whole; None where the target names a model."""
    target = asked.target
    if target == "-":
        text = sys.stdin.read()
        data = reading.parse_json(text, "-") if text.lstrip().startswith("{") else reading.parse_toml(text, "-")
        sources = data.pop("sources", {})
        return Run(**{name: value for name, value in data.items() if name != "spec"}).with_sources(sources)
    if target.endswith((".toml",)) or (target.endswith(".json") and Path(target).is_file() and _is_run(target)):
        return load(target)
    row = catalog.rows("runs").get(target)
    if row is None or not row.get("cluster"):
        return None
    return catalog.run(target, gpus=machines(asked)[1] if asked.gpus else None)


def _is_run(path: str) -> bool:
    data = reading.load(path)
    return isinstance(data, dict) and {"model", "cluster"} <= set(data)


def machines(asked: RunRequest) -> tuple[str, int]:
    """Chip and accelerators from ``--chip h100 --gpus 512`` or ``--gpus 512xH100``.

    Raises:
        SpecError: no number, or two chips.

    >>> machines(RunRequest("7B", gpus="2048xH800"))
    ('H800', 2048)
    """
    found = re.fullmatch(r"\s*([\d_,.]+\s*[kK]?)\s*(?:[x×*]?\s*([A-Za-z].*))?", asked.gpus or "")
    if found is None:
        raise SpecError("--gpus", asked.gpus, "is not a number of accelerators", "write --gpus 512, or --gpus 512xH100", "missing")
    from ..core.quantities import parse_number

    chip = asked.chip or (found[2] or "").strip()
    return chip, int(parse_number(found[1].strip(), "GPU", "--gpus"))


def _built(asked: RunRequest) -> Run:
    model = model_from(asked.target)
    chip, gpus = machines(asked) if asked.gpus else (asked.chip, 0)
    needed = {"--chip": chip, "--gpus": gpus, "--tokens": asked.tokens}
    if missing := [flag for flag, value in needed.items() if not value]:
        example = "--chip h100 --gpus 512 --tokens 10T"
        raise SpecError(missing[0], "", "is needed to build a run from a model", f"give {' '.join(missing)}: {example}", "missing")
    return quick(
        model, chip=chip, gpus=gpus, tokens=asked.tokens, seq_len=asked.seq_len or None, batch=_real(asked.batch, "sequence"),
        price=asked.price or None, mfu=asked.mfu or None, goodput=asked.goodput or None,
    )  # fmt: skip


def _real(text: str, unit: str) -> float | None:
    from ..core.quantities import parse_number

    return parse_number(text, unit, "--batch") if text else None


def _pair(text: str, flag: str) -> tuple[str, str]:
    path, sign, value = text.partition("=")
    if not sign or not path.strip() or not value.strip():
        raise SpecError(flag, text, "is not path=value", f"write {flag} price.usd_per_gpu_hour=1.9", "syntax")
    return path.strip(), value.strip()


def _literal(text: str) -> Any:
    """A value of ``--set``: a whole number, a truth value, or the text, which the field reads."""
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    return {"true": True, "false": False, "none": None}.get(text.casefold(), text)


def beliefs_of(run: Run, asked: RunRequest) -> Beliefs:
    """The catalogue's beliefs about what was assumed of a run, under those that were typed.

    A number that the user gave stays certain, unless ``--believe`` names it.
    """
    from ..uncertainty.beliefs.beliefs import Beliefs

    typed = Beliefs(dict(_pair(text, "--believe") for text in asked.beliefs))
    given = {path for path, source in run.sources().items() if not source.startswith((ASSUMED, "median of"))}
    held = catalog.beliefs(run, asked.as_of or None)
    return held.without(*(path for path in held.paths if path in given and not path.startswith("efficiency.stack"))) | typed


def assumed_lines(run: Run) -> list[str]:
    """What the library filled in of a run, a line each."""
    by_stack = {path: source for path, source in assumptions(run).items() if ".stack." in path}
    rest = {path: source for path, source in assumptions(run).items() if path not in by_stack}
    lines = [f"assumed: {path} = {run.get(path):.6g} ({source.removeprefix(ASSUMED)})" for path, source in rest.items()]
    lines += sorted(
        {f"assumed: {path.partition('.stack.')[0]}.stack = {source.removeprefix(ASSUMED)}" for path, source in by_stack.items()}
    )
    return [textwrap.shorten(line, 158, placeholder=" …)") for line in lines]


UNITS = {"cost": "USD", "gpu_hours": "GPU-h", "busy_gpu_hours": "GPU-h", "wall_days": "day", "mfu": "", "tokens": "token", "flops": "FLOP"}
"""Quantity → the unit its claims are read in."""


def claim_of(figure: str, quantity: str, told_as: str, scope: str, source: str, date: str) -> Claim:
    """A claim from flags.

    Args:
        figure: ``"4.6M"``, ``"$6M"``, ``"2.788M GPU-hours"``.
        quantity: what it is a figure of.
        told_as: the words it was published with.
        scope: what it covers, where known; the words' own scope if empty.
        source, date: where and when it was published.

    Raises:
        SpecError: not a number in the quantity's unit.
    """
    from ..claims.claim import Claim
    from ..core.quantities import parse_number

    if quantity not in UNITS:
        raise SpecError("--quantity", quantity, "is not a quantity of a claim", did_you_mean(quantity, UNITS), "unknown-name")
    value = parse_number(figure, UNITS[quantity], "--claim")
    given: dict[str, Any] = {"told_as": told_as, "scope": scope, "source": source or "typed", "date": date}
    return Claim(quantity, value, unit=UNITS[quantity], **{name: word for name, word in given.items() if word})
