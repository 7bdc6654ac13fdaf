"""Software stacks from their rows: published figures where there are, the calibration's constants where there are none."""

from __future__ import annotations

import datetime as dt
import json
import re
from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from ..cluster.stack import Stack, Tag
from ..core.errors import CatalogError, did_you_mean
from ..core.units import Num
from ..core.values import ReadOnlyDict, frozen
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.composed import joint
from ..uncertainty.distributions.interval import ci90
from ..uncertainty.distributions.parametric import lognormal
from .rows import Row, find, read_rows, source_title
from .stack_files import file_row, is_file, laid_over, measured_fields

_HEADER = {"like", "release", "constants", "tags", "sources", "stands_for", "note", "date_precision"}
_PRODUCTS = ("bf16", "fp8", "fp4")


@lru_cache(maxsize=1)
def constants() -> Mapping[str, Row]:
    """What was believed of every calibrated constant before any row was seen."""
    return read_rows("constants", _data("constants.toml"))


@lru_cache(maxsize=1)
def stack_rows() -> Mapping[str, Row]:
    """Every software stack's row."""
    return read_rows("stacks", _data("stacks.toml"))


@dataclass(frozen=True, eq=False)
class Calibration:
    """What measured steps taught: the constants' most probable point, joint draws, and what remains unexplained.

    Args:
        names: of the constants, in the order of every column.
        best: the most probable point, shape ``(constants,)``.
        draws: joint draws from the posterior, shape ``(draws, constants)``.
        tags: how each constant is known after the fit: fitted, prior-only or on-bound.
        spread: standard deviation of log(modelled / measured) inside a source, by class of rows.
        measured: the same for layers that a source was measured with in another configuration, by source; ``""`` for any source.
        layers: log(modelled / measured) of those layers, by their fingerprint.
        unseen: standard deviation for a source nobody has seen: of dense models, of routed ones, and of a class of rows without a source.
        sources, left_out: whose rows the fit has seen, and whose it was kept from.
        rows: fingerprints of the measured steps it has seen.
        date: day of the fit: blind to what is judged before it.
    """

    names: tuple[str, ...]
    best: NDArray[np.float64]
    draws: NDArray[np.float64]
    tags: Mapping[str, Tag]
    spread: Mapping[str, float]
    measured: Mapping[str, float]
    layers: Mapping[str, float]
    unseen: Mapping[str, float]
    sources: tuple[str, ...]
    left_out: tuple[str, ...]
    rows: frozenset[str]
    date: dt.date

    def within(self, name: str, *, routed: bool) -> float:
        """Spread inside a source of its class of rows; of all such models where the class has none."""
        return self.spread.get(class_of(name, routed=routed), self.spread["moe" if routed else "dense"])

    def outside(self, name: str, *, routed: bool) -> float:
        """Spread of a source nobody has seen: never narrower than inside known sources, and wider for a stack without any rows."""
        kinds = ["moe" if routed else "dense"] + ([] if class_of(name, routed=routed) in self.spread else ["class"])
        return max(self.within(name, routed=routed), *(self.unseen[kind] for kind in kinds))

    def unexplained(self, name: str, *, routed: bool, source: str | None = None, layers: str = "") -> tuple[float, float]:
        """Mean and standard deviation of log(measured / modelled) that no mechanism explains.

        Args:
            name, routed: the stack, and whether the model routes tokens.
            source: whose run it is, if the calibration has seen it.
            layers: fingerprint of its layers (``MeasuredStep.kernels``), which the source may have been measured with.
        """
        if source not in self.sources:
            return 0.0, self.outside(name, routed=routed)
        if layers in self.layers:
            return -self.layers[layers], self.measured.get(source or "", self.measured[""])
        return 0.0, self.within(name, routed=routed)


@lru_cache(maxsize=1)
def calibration() -> Calibration:
    """The calibration this library ships.

    Raises:
        CatalogError: its constants are not those of ``constants.toml``.
    """
    data = frozen(json.loads(_data("calibration.json")))
    if set(data["names"]) != set(constants()):
        odd = sorted(set(data["names"]) ^ set(constants()))
        raise CatalogError("calibration.names", odd, "differ from constants.toml", "regenerate it: make calibrate", "conflict")
    return Calibration(
        names=tuple(data["names"]),
        best=_read_only(data["best"]),
        draws=_read_only(data["draws"]),
        tags=data["tags"],
        spread=data["spread"],
        measured=data["measured"],
        layers=data["layers"],
        unseen=data["unseen"],
        sources=tuple(data["sources"]),
        left_out=tuple(data["left_out"]),
        rows=frozenset(data["rows"]),
        date=dt.date.fromisoformat(data["date"]),
    )


def stack(name: str | Path) -> Stack:
    """A software stack of the catalogue at the calibration's most probable point, or one of a user's file.

    Args:
        name: its row: ``"megatron-2021"``, ``"deepseek-2024"``; or a TOML file with one row (:func:`~trainsim.catalog.stack_text`).

    Returns:
        the stack; each number is tagged with where it comes from.

    Raises:
        CatalogError: no such stack; says which there are.

    >>> stack("deepseek-2024").tag("fp8")
    'published'
    """
    if is_file(name):
        row = file_row(name)
        return laid_over(row, stack(row["like"]))
    return _stack(str(name))


def _read_only(values: Any) -> NDArray[np.float64]:
    made = np.array(values, dtype=np.float64)
    made.setflags(write=False)
    return made


@lru_cache(maxsize=256)
def _stack(name: str) -> Stack:
    fitted = calibration()
    return stack_at(name, dict(zip(fitted.names, fitted.best.tolist(), strict=True)), fitted.tags)


@lru_cache(maxsize=256)
def prior_stack(name: str) -> Stack:
    """A software stack with every constant at the median of its prior: what a fit starts from, whatever calibration is shipped."""
    return stack_at(name, {constant: float(row.fields["prior"]) for constant, row in constants().items()})


@lru_cache(maxsize=256)
def stands_for(name: str) -> Mapping[str, Any]:
    """What published rows run a stack, and what they do that no number of it says: the framework, since when, its loss, its recipes."""
    told = _found(name).fields
    above: Mapping[str, Any] = stands_for(told["like"]) if "like" in told else {}
    return ReadOnlyDict({**above, **told.get("stands_for", {})})


def stack_for(architecture: str, framework: str, month: str, name: str = "") -> str:
    """The stack that a published run on some chips most likely had.

    The newest stack of the framework that was there in that month; of Megatron's where the framework has none on those chips; the oldest
    where the month is earlier than all. A variant that the row's name has the word of comes before it, then the last release named.

    Args:
        architecture: generation of the chips.
        framework: ``"megatron"``, ``"fsdp"``, or a lab's own: ``"hai-llm"``.
        month: when the run was published, ``"2024-07"``.
        name: of the row: may name a release (``26.04``), or a variant.

    Returns:
        name of the stack's row.

    Raises:
        CatalogError: no stack for such chips, or of such a framework on any.

    >>> stack_for("ampere", "megatron", "2021-04"), stack_for("ampere", "megatron", "2024-02")
    ('megatron-2021', 'mcore-ampere')
    >>> stack_for("hopper", "megatron", "2026-05", "a row of 26.05")
    'mcore-26.04-hopper'
    """
    offered = _offered()
    if framework not in offered:
        meant = did_you_mean(framework, sorted(offered), "frameworks")
        raise CatalogError("catalog.stacks", framework, "is no framework that a stack stands for", meant, "unknown-name")
    since = offered[framework].get(architecture) or offered["megatron"].get(architecture)
    if not since:
        meant = did_you_mean(architecture, sorted(set().union(*offered.values())))
        raise CatalogError("catalog.stacks", architecture, "is no generation of chips that a stack is for", meant, "unknown-name")
    base = since[max(bisect_right(since, (month, "~")) - 1, 0)][1]
    variants, releases = _versions().get(base, ((), ()))
    words = name.lower()
    named = [stack for word, stack in variants if word in words]
    release = re.search(RELEASE, name)
    at = bisect_right(releases, (release[0], "~")) - 1 if release else -1
    return named[0] if named else releases[at][1] if at >= 0 else base


RELEASE = r"\b2\d\.\d\d"
"""Year and month of a release, as names have it."""


@lru_cache(maxsize=1)
def _offered() -> Mapping[str, Mapping[str, tuple[tuple[str, str], ...]]]:
    """Framework → generation of chips → its stacks, oldest first: the month since when one was there, and its name."""
    found: dict[str, dict[str, tuple[tuple[str, str], ...]]] = {}
    for name, row in stack_rows().items():
        if "like" not in row.fields:
            told, chips = row.fields["stands_for"], row.fields["architecture"]
            stacks = found.setdefault(told["framework"], {})
            stacks[chips] = tuple(sorted((*stacks.get(chips, ()), (told["since"], name))))
    return ReadOnlyDict({framework: ReadOnlyDict(stacks) for framework, stacks in found.items()})


@lru_cache(maxsize=1)
def _versions() -> Mapping[str, tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]]:
    """Stack → its variants, each a word of a row's name with its stack, and its releases with theirs, oldest first."""
    found: dict[str, tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]] = {}
    for name, row in stack_rows().items():
        if base := row.fields.get("like"):
            variants, releases = found.get(base, ((), ()))
            if word := row.fields.get("stands_for", {}).get("variant"):
                variants = (*variants, (word, name))
            if release := re.search(RELEASE, name):
                releases = tuple(sorted((*releases, (release[0], name))))
            found[base] = variants, releases
    return ReadOnlyDict(found)


@lru_cache(maxsize=256)
def class_of(name: str, *, routed: bool) -> str:
    """What a step is pooled with: its stack without the release, and whether the model routes tokens."""
    return f"{_found(name).fields.get('like', name)}/{'moe' if routed else 'dense'}"


def stack_beliefs(
    name: str | Path, path: str = "efficiency.stack", *, routed: bool = True, as_of: dt.date | None = None, source: str | None = None
) -> Beliefs:
    """What is believed of a stack: its constants, jointly as the calibration drew them, and the factor that nothing explains.

    Before the calibration's day its constants have their priors. The factor is log-normal around 1: as wide as the calibration missed
    sources it had not seen, or, for a source it has seen, other configurations of it.

    Args:
        name: the stack's row, or the path of a user's file, whose own numbers are taken as measured; of another stack of your own only
            the factor is doubted.
        path: path of the stack in the run.
        routed: whether the model routes tokens to experts.
        as_of: the last day whose rows may be used; None for all.
        source: whose machine it is, if the calibration has seen it.

    Returns:
        beliefs by path of the run.

    >>> {"efficiency.stack.bf16", "efficiency.stack.factor"} <= set(stack_beliefs("deepseek-2024").paths)
    True
    """
    told: dict[str, Any] = {}
    if is_file(name):
        row = file_row(name)
        name, told = row["like"], measured_fields(row)
    name, fitted = str(name), calibration()
    if as_of is not None and as_of < fitted.date:
        unseen = find("priors", "source-factor")
        return _prior_beliefs(name, path, told) | Beliefs({f"{path}.factor": ci90(unseen["p5"], unseen["p95"])})
    unexplained = Beliefs({f"{path}.factor": lognormal(*fitted.unexplained(name, routed=routed, source=source))})
    if name not in stack_rows():
        return unexplained
    drawn = fields_at(name, dict(zip(fitted.names, fitted.draws.T, strict=True)))
    keys = sorted(set(drawn) - set(told))
    return unexplained | Beliefs(
        {tuple(f"{path}.{field}" for field in keys): joint(np.stack([np.asarray(drawn[f]) for f in keys], axis=1))}
    )


def _prior_beliefs(name: str, path: str, told: Collection[str]) -> Beliefs:
    """Log-normal or logit-normal around the priors of what was not measured; a constant two fields share is one draw."""
    shared: dict[str, list[str]] = {}
    for field, formula in (fitted_fields(name) if name in stack_rows() else {}).items():
        if field not in told and " * " not in formula:  # a field that is a multiple of another's constant keeps its middle value
            shared.setdefault(formula, []).append(f"{path}.{field}")
    held = {}
    for constant, fields in shared.items():
        row = constants()[constant]
        middle, spread = float(row["prior"]), float(row["spread"])
        if row["kind"] == "share":
            low, high = (float(expit(logit(middle) + z * spread)) for z in (-Z95, Z95))
        else:
            low, high = (float(middle * np.exp(z * spread)) for z in (-Z95, Z95))
        held[tuple(sorted(fields))] = ci90(low, middle, high)
    return Beliefs(held)


Z95 = 1.6448536269514722
"""Normal score of the 95th percentile."""


@lru_cache(maxsize=256)
def fitted_fields(name: str) -> Mapping[str, str]:
    """Which of a stack's fields are constants that a calibration could fit: field → constant, with its factor."""
    told = _found(name).fields
    above: Mapping[str, str] = fitted_fields(told["like"]) if "like" in told else {}
    return ReadOnlyDict({**above, **told.get("constants", {})})


def fields_at(name: str, values: Mapping[str, Num]) -> dict[str, Num]:
    """The calibrated fields of a stack where the constants have these values; arrays give arrays.

    ``field = factor · constant``; what products reach rises with the months of releases, ``· trend^months``, up to the peak.
    """
    made: dict[str, Num] = {}
    for field, constant, factor, months in _formulas(name):
        made[field] = values[constant] * factor
        if months:
            made[field] = np.minimum(made[field] * np.power(values["products-trend"], months), 1.0)
    return made


@lru_cache(maxsize=256)
def _formulas(name: str) -> tuple[tuple[str, str, float, float], ...]:
    """Calibrated fields of a stack: field, constant, factor, and the months of releases that it has risen for; 0 for none."""
    months, found = float(_found(name).fields.get("release", 0)), []
    for field, formula in fitted_fields(name).items():
        constant, _, factor = formula.partition(" * ")
        found.append((field, constant, float(factor or 1.0), months if field in _PRODUCTS else 0.0))
    return tuple(found)


def stack_at(name: str, values: Mapping[str, Num], tags: Mapping[str, Tag] | None = None) -> Stack:
    """A stack whose constants have these values."""
    row = _found(name)
    base = _found(row.fields.get("like", name))
    plain: dict[str, Any] = {k: v for k, v in base.fields.items() if k not in _HEADER}
    known: dict[str, Any] = dict(base.fields.get("tags", {}))
    for field, formula in fitted_fields(name).items():
        known[field] = (tags or {}).get(formula.partition(" * ")[0], "prior-only")
    numbers: dict[str, Any] = {field: float(np.asarray(value)) for field, value in fields_at(name, values).items()}
    return Stack(name=name, **plain, **numbers, tags=known).with_sources({"": row.cited} | _cited(name, base, tags))


def _cited(name: str, base: Row, tags: Mapping[str, Tag] | None) -> dict[str, str]:
    """Where each number of a stack comes from: its own table, the row, the calibration or a constant's prior, or nobody's data."""
    formulas, own = fitted_fields(name), base.fields.get("sources", {})
    found = {}
    for field in Stack.model_fields:
        if field in formulas:
            constant = formulas[field].partition(" * ")[0]
            found[field] = (
                _fitted() + f" [calibration/{constant}]" if (tags or {}).get(constant) == "fitted" else constants()[constant].cited
            )
        elif field in own:
            grade = "judgement" if own[field] == "own-judgement" else base.grade
            found[field] = f"{source_title(own[field])} ({base.date.isoformat()}, {grade}) [{base.address}.{field}]"
        elif field in base.fields:
            found[field] = base.cited
        elif field not in _NEUTRAL:
            found[field] = f"what every stack has unless its row says otherwise ({base.date.isoformat()}, judgement) [Stack.{field}]"
    return found


_NEUTRAL = {"name", "tags", "factor", "rated_power", "power_exponent"}
"""Fields of a stack that are no figure of anyone's until they are given."""


@lru_cache(maxsize=1)
def _fitted() -> str:
    shipped = calibration()
    return (
        f"Fitted to {len(shipped.rows):,} measured steps of {len(shipped.sources)} sources ({shipped.date.isoformat()}, measured, derived)"
    )


@lru_cache(maxsize=1)
def _found(name: str) -> Row:
    known = stack_rows()
    if name not in known:
        raise CatalogError("catalog.stacks", name, "is not found in the catalogue", did_you_mean(name, known, "rows"), "unknown-name")
    return known[name]


def _data(file: str) -> str:
    return (resources.files(__package__) / "data" / file).read_text(encoding="utf-8")
