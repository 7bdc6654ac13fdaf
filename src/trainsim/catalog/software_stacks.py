"""Software stacks, built from catalogue rows: published figures if there are any, else calibrated constants."""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_right
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, logit

from ..cluster.stack import Stack, Tag
from ..core.errors import CatalogError, did_you_mean
from ..core.units import Num
from ..core.values import ReadOnlyDict
from ..uncertainty.beliefs.beliefs import Beliefs
from ..uncertainty.distributions.composed import joint
from ..uncertainty.distributions.interval import ci90
from ..uncertainty.distributions.parametric import lognormal
from .rows import Row, find, rows, source_title
from .shipped_calibration import calibration
from .stack_files import is_stack_file, overlaid_stack, stack_file_row, stack_numbers

_HEADER = {"like", "release", "constants", "tags", "sources", "applies_to", "note", "date_precision"}
_PRODUCTS = ("bf16", "fp8", "fp4")


def stack(name: str | Path) -> Stack:
    """A software stack of the catalogue at the most probable constants, or one from a user's file.

    Args:
        name: id of its row: ``"megatron-2021"``, ``"deepseek-2024"``; or a TOML file with one row (:func:`~trainsim.catalog.stack_text`).

    Returns:
        the stack; each number is tagged as measured, published, fitted or prior-only.

    Raises:
        CatalogError: no such stack; lists those there are.

    >>> stack("deepseek-2024").tag("fp8")
    'published'
    """
    if is_stack_file(name):
        row = stack_file_row(name)
        return overlaid_stack(row, stack(row["like"]))
    return _stack(str(name))


@lru_cache(maxsize=256)
def _stack(name: str) -> Stack:
    fitted = calibration()
    return stack_at(name, dict(zip(fitted.names, fitted.best.tolist(), strict=True)), fitted.tags)


@lru_cache(maxsize=256)
def prior_stack(name: str) -> Stack:
    """A software stack with all constants at their prior medians: the starting point of a fit, independent of the shipped calibration."""
    used = {constant for _, constant, _, _ in _fitted_formulas(name)} | {"products-trend"}
    constants, medians = rows("constants"), {}
    for constant in sorted(used):
        medians[constant] = float(constants[constant].fields["prior"])
    return _unsourced(name, medians, None)


@lru_cache(maxsize=256)
def applies_to(name: str) -> Mapping[str, Any]:
    """Settings of the published rows that a stack applies to: framework, first month, computation of the loss, precision recipes."""
    fields = rows("stacks")[name].fields
    base: Mapping[str, Any] = applies_to(fields["like"]) if "like" in fields else {}
    return ReadOnlyDict({**base, **fields.get("applies_to", {})})


def stack_for(architecture: str, framework: str, month: str, name: str = "") -> str:
    """The stack that a published run most likely used.

    This is the newest stack of the framework that existed in the month, or the oldest if all are newer. If the framework has no stack on
    these chips, Megatron's is taken. A variant or a release that ``name`` mentions takes precedence.

    Args:
        architecture: generation of the chips.
        framework: ``"megatron"``, ``"fsdp"``, or a lab's own: ``"hai-llm"``.
        month: month of publication, ``"2024-07"``.
        name: name of the published row, which may mention a release (``26.04``) or a variant.

    Returns:
        id of the stack's row.

    Raises:
        CatalogError: no stack is known for these chips, or the framework is unknown.

    >>> stack_for("ampere", "megatron", "2021-04"), stack_for("ampere", "megatron", "2024-02")
    ('megatron-2021', 'mcore-ampere')
    >>> stack_for("hopper", "megatron", "2026-05", "a row of 26.05")
    'mcore-26.04-hopper'
    """
    offered = _stacks_by_framework()
    if framework not in offered:
        meant = did_you_mean(framework, sorted(offered), "frameworks")
        raise CatalogError("catalog.stacks", framework, "is not the framework of any stack", meant, "unknown-name")
    since = offered[framework].get(architecture) or offered["megatron"].get(architecture)
    if not since:
        known = ", ".join(sorted(set().union(*offered.values())))
        remedy = f"model {known}, or estimate the run from a utilisation (trainsim estimate, efficiency=ts.MFU(…)), which needs no stack"
        rule = "is a generation of chips without a calibrated software stack, so its steps can't be modelled"
        raise CatalogError("cluster.chip.architecture", architecture, rule, remedy, "unsupported")
    base = since[max(bisect_right(since, (month, "~")) - 1, 0)][1]
    variants, releases = _variants_and_releases().get(base, ((), ()))
    words = name.lower()
    named = [stack for word, stack in variants if word in words]
    release = re.search(RELEASE, name)
    at = bisect_right(releases, (release[0], "~")) - 1 if release else -1
    return named[0] if named else releases[at][1] if at >= 0 else base


RELEASE = r"\b2\d\.\d\d"
"""Pattern of a release in a name: year and month, ``26.04``."""


@lru_cache(maxsize=1)
def _stacks_by_framework() -> Mapping[str, Mapping[str, tuple[tuple[str, str], ...]]]:
    """Framework → generation of chips → its stacks, oldest first, as pairs of first month and name."""
    found: dict[str, dict[str, tuple[tuple[str, str], ...]]] = {}
    for name, row in rows("stacks").items():
        if "like" not in row.fields:
            applies, chips = row.fields["applies_to"], row.fields["architecture"]
            stacks = found.setdefault(applies["framework"], {})
            stacks[chips] = tuple(sorted((*stacks.get(chips, ()), (applies["since"], name))))
    return ReadOnlyDict({framework: ReadOnlyDict(stacks) for framework, stacks in found.items()})


@lru_cache(maxsize=1)
def _variants_and_releases() -> Mapping[str, tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]]:
    """Stack → its variants, as pairs of word and stack, and its releases, oldest first, as pairs of release and stack."""
    found: dict[str, tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]] = {}
    for name, row in rows("stacks").items():
        if base := row.fields.get("like"):
            variants, releases = found.get(base, ((), ()))
            if word := row.fields.get("applies_to", {}).get("variant"):
                variants = (*variants, (word, name))
            if release := re.search(RELEASE, name):
                releases = tuple(sorted((*releases, (release[0], name))))
            found[base] = variants, releases
    return ReadOnlyDict(found)


def stack_beliefs(
    name: str | Path, path: str = "efficiency.stack", *, routed: bool = True, as_of: dt.date | None = None, source: str | None = None
) -> Beliefs:
    """Beliefs about a stack: joint posterior draws of its constants, and an unexplained factor.

    The factor is log-normal around 1. For a new source its width is that of the residuals of held-out sources. For a fitted source its
    width is that of other configurations of the source. With ``as_of`` before the day of the calibration, the constants have their priors.

    Args:
        name: id of the stack's row, or path of a user's file, whose numbers count as measured. For any other stack, only the factor is
            uncertain.
        path: path of the stack in the run.
        routed: whether the model routes tokens to experts.
        as_of: the last day whose rows may be used; None for all.
        source: source of the run, if rows of that source were fitted.

    Returns:
        beliefs by path of the run.

    >>> {"efficiency.stack.bf16", "efficiency.stack.factor"} <= set(stack_beliefs("deepseek-2024").paths)
    True
    """
    measured: dict[str, Any] = {}
    if is_stack_file(name):
        row = stack_file_row(name)
        name, measured = row["like"], stack_numbers(row)
    name, fitted = str(name), calibration()
    if as_of is not None and as_of < fitted.date:
        unseen = find("priors", "source-factor")
        prior = _prior_beliefs(name, path, measured) | Beliefs({f"{path}.factor": ci90(unseen["p5"], unseen["p95"])})
        return prior.from_source("priors on the constants of a stack")
    believed: dict[Any, Any] = {f"{path}.factor": lognormal(*fitted.unexplained(name, routed=routed, source=source))}
    if name in rows("stacks"):
        drawn = fields_at(name, dict(zip(fitted.names, fitted.draws.T, strict=True)))
        keys = sorted(set(drawn) - set(measured))
        believed[tuple(f"{path}.{field}" for field in keys)] = joint(np.stack([np.asarray(drawn[f]) for f in keys], axis=1))
    return Beliefs(believed).from_source(f"calibration of {fitted.date}")


def _prior_beliefs(name: str, path: str, measured: Collection[str]) -> Beliefs:
    """Log-normal or logit-normal priors of the fields that were not measured; fields that share a constant share its draw."""
    shared: dict[str, list[str]] = {}
    for field, formula in (fitted_fields(name) if name in rows("stacks") else {}).items():
        if field not in measured and " * " not in formula:  # a multiple of a constant keeps its median
            shared.setdefault(formula, []).append(f"{path}.{field}")
    believed = {}
    for constant, fields in shared.items():
        row = rows("constants")[constant]
        middle, spread = float(row["prior"]), float(row["spread"])
        if row["kind"] == "share":
            low, high = (float(expit(logit(middle) + z * spread)) for z in (-Z95, Z95))
        else:
            low, high = (float(middle * np.exp(z * spread)) for z in (-Z95, Z95))
        believed[tuple(sorted(fields))] = ci90(low, middle, high)
    return Beliefs(believed)


Z95 = 1.6448536269514722
"""95th percentile of the standard normal distribution."""


@lru_cache(maxsize=256)
def fitted_fields(name: str) -> Mapping[str, str]:
    """The calibrated fields of a stack: field → constant, with its factor: ``"attention-ampere * 0.8"``."""
    fields = rows("stacks")[name].fields
    base: Mapping[str, str] = fitted_fields(fields["like"]) if "like" in fields else {}
    return ReadOnlyDict({**base, **fields.get("constants", {})})


def fields_at(name: str, values: Mapping[str, Num]) -> dict[str, Num]:
    """The calibrated fields of a stack at given values of the constants; array constants give array fields.

    ``field = factor · constant``. The efficiencies of matrix products also grow with the release, ``· trend^months``, up to 1.
    """
    made: dict[str, Num] = {}
    for field, constant, factor, months in _fitted_formulas(name):
        made[field] = values[constant] * factor
        if months:
            made[field] = np.minimum(made[field] * np.power(values["products-trend"], months), 1.0)
    return made


@lru_cache(maxsize=256)
def _fitted_formulas(name: str) -> tuple[tuple[str, str, float, float], ...]:
    """Calibrated fields of a stack: field, constant, factor, and months of growth up to the release (0 without growth)."""
    formulas = fitted_fields(name)
    months, found = float(rows("stacks")[name].fields.get("release", 0)), []
    for field, formula in formulas.items():
        constant, _, factor = formula.partition(" * ")
        found.append((field, constant, float(factor or 1.0), months if field in _PRODUCTS else 0.0))
    return tuple(found)


def stack_at(name: str, values: Mapping[str, Num], tags: Mapping[str, Tag] | None = None) -> Stack:
    """A stack at given values of the constants, each number with its source."""
    row = find("stacks", name)
    cited = _cited(name, rows("stacks")[row.fields.get("like", name)], tags)
    return _unsourced(name, values, tags).with_sources({"": row.cited} | cited)


def _unsourced(name: str, values: Mapping[str, Num], tags: Mapping[str, Tag] | None) -> Stack:
    stacks = rows("stacks")
    base = stacks[stacks[name].fields.get("like", name)]
    plain: dict[str, Any] = {k: v for k, v in base.fields.items() if k not in _HEADER}
    known: dict[str, Any] = dict(base.fields.get("tags", {}))
    for field, formula in fitted_fields(name).items():
        known[field] = (tags or {}).get(formula.partition(" * ")[0], "prior-only")
    numbers: dict[str, Any] = {field: float(np.asarray(value)) for field, value in fields_at(name, values).items()}
    return Stack(name=name, **plain, **numbers, tags=known)


def _cited(name: str, base: Row, tags: Mapping[str, Tag] | None) -> dict[str, str]:
    """Source of each number of a stack: its own source, the row's, the calibration, a constant's prior, or the default of ``Stack``."""
    formulas, own = fitted_fields(name), base.fields.get("sources", {})
    found = {}
    for field in Stack.model_fields:
        if field in formulas:
            constant = formulas[field].partition(" * ")[0]
            found[field] = (
                _calibration_cited() + f" [calibration/{constant}]"
                if (tags or {}).get(constant) == "fitted"
                else rows("constants")[constant].cited
            )
        elif field in own:
            grade = "judgement" if own[field] == "own-judgement" else base.grade
            found[field] = f"{source_title(own[field])} ({base.date.isoformat()}, {grade}) [{base.address}.{field}]"
        elif field in base.fields:
            found[field] = base.cited
        elif field not in _NEUTRAL:
            found[field] = f"default of every stack ({base.date.isoformat()}, judgement) [Stack.{field}]"
    return found


_NEUTRAL = {"name", "tags", "factor", "rated_power", "power_exponent"}
"""Fields of a stack that need no source at their default."""


@lru_cache(maxsize=1)
def _calibration_cited() -> str:
    shipped = calibration()
    return (
        f"Fitted to {len(shipped.rows):,} measured steps of {len(shipped.sources)} sources ({shipped.date.isoformat()}, measured, derived)"
    )
