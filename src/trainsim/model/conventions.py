"""Named ways to count FLOPs: those of the literature, and those of training frameworks, each version with its date."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..core.errors import SpecError, did_you_mean

Pairs = Literal["mask", "nowindow", "half", "full", "reach", "half-reach", "area", "none"]
"""Keys counted per query, of a sequence of ``S`` tokens.

``mask``: the keys that the mask allows. ``nowindow``: the causal half, ``(S + 1) / 2``. ``half``: ``S / 2``. ``full``: ``S``. ``none``: no
keys. Three values count a window ``w`` if some layers of the model have full attention: ``reach``: ``min(S, w)``; ``half-reach``: half of
that; ``area``: ``w − w² / 2S``, and ``S / 2`` without a window.
"""


@dataclass(frozen=True)
class Convention:
    """A named way to count FLOPs.

    Args:
        name: its name.
        doc: what the convention counts and what it leaves out.
        use: when to use the convention.
        pairs: keys counted per query.
        counts: roles of ops that count; vectors (norms, biases) count two FLOP per element and pass, as a product would.
        mtp: parts of a multi-token-prediction module that count; None if the convention has no such modules.
        source: where the convention is defined.
        since: year and month from which a framework counts this way; empty for a convention without versions.
        backward: the gradients that are computed ("gradients"), or twice the forward pass whatever is trained ("twice").
        recurrences: number of products with the state → forward FLOP per element of the state and token; empty to count the chunked kernel.
    """

    name: str
    doc: str
    use: str
    pairs: Pairs
    counts: frozenset[str]
    mtp: frozenset[str] | None
    source: str
    since: str = ""
    backward: Literal["gradients", "twice"] = "gradients"
    recurrences: tuple[tuple[int, float], ...] = ()

    @property
    def dated(self) -> str:
        """The name with its date; the meaning of a dated name never changes."""
        return f"{self.name}@{self.since}" if self.since else self.name


_PRODUCTS = frozenset({"linear", "router", "head", "attention", "scan", "convolution"})
_WHOLE = frozenset({"embedding", "norms", "projection", "block", "core", "head"})
_AS_MULTIPLIED = frozenset({"norm", "latent-norm", "bias", "position"})
_COUNTED = "counted from the ops"

_FIXED = (
    Convention(
        "causal",
        "Every product, router and head included; exactly the pairs the mask allows, the query itself included. "
        "Norms, activations, look-ups: nothing.",
        "what the model needs: the default",
        "mask",
        _PRODUCTS,
        _WHOLE,
        _COUNTED,
    ),
    Convention(
        "causal-nowindow",
        "As causal, windows and chunks ignored.",
        "a kernel that skips the upper triangle but no window",
        "nowindow",
        _PRODUCTS,
        _WHOLE,
        _COUNTED,
    ),
    Convention(
        "half",
        "As causal with S/2 keys per query, windows ignored: the usual shorthand.",
        "a report that halves attention",
        "half",
        _PRODUCTS,
        _WHOLE,
        "Narayanan et al. 2021 with causal halving",
    ),
    Convention(
        "full",
        "As causal with all S keys per query: what an unmasked kernel would run.",
        "a report in the manner of PaLM or Megatron's papers",
        "full",
        _PRODUCTS,
        _WHOLE,
        "PaLM, arXiv:2204.02311, appendix B",
    ),
    Convention(
        "6nd",
        "Six per active parameter without the input embedding: no attention scores, no multi-token prediction; "
        "norms, biases and learned positions as if multiplied.",
        "a figure given as 6 N D",
        "none",
        (_PRODUCTS - {"attention", "scan"}) | _AS_MULTIPLIED,
        None,
        "Kaplan et al. 2020, arXiv:2001.08361, section 2.1",
    ),
)

_DELTA_AS_FOUR = ((0, 0.0), (3, 8.0))
"""The gated delta rule as four products with the state; the triangular system of a chunk is not counted."""

_TOOLS = (
    Convention(
        "megatron",
        "S/2 keys, windows ignored; the router is left out; norms of latent attention and of prediction modules count as if multiplied.",
        "TFLOP/s from Megatron-LM's log",
        "half",
        (_PRODUCTS - {"router"}) | {"latent-norm"},
        _WHOLE | {"norms-counted"},
        "Megatron-LM, training.py, num_floating_point_operations, at d4f9a6f7b4",
        "2025-04",
        "twice",
    ),
    Convention(
        "megatron",
        "S/2 keys, windows ignored; the router is left out; norms of latent attention and of prediction modules count as if multiplied. "
        "The gated delta rule counts as four products with the state, a state-space scan as seven FLOP per element.",
        "TFLOP/s from Megatron-LM's log",
        "half",
        (_PRODUCTS - {"router"}) | {"latent-norm"},
        _WHOLE | {"norms-counted"},
        "Megatron-LM, training.py, num_floating_point_operations, at d98e8a64dd",
        "2026-01",
        "twice",
        (*_DELTA_AS_FOUR, (2, 7.0)),
    ),
    Convention(
        "maxtext",
        "S/2 keys, windows and selections by their area; a prediction module's projection and head are left out. "
        "The gated delta rule counts as four products with the state.",
        "TFLOP/s from MaxText's log",
        "area",
        _PRODUCTS,
        frozenset({"block", "core"}),
        "MaxText, maxtext_utils.py, calculate_tflops_training_per_device, at e591f30cbb",
        "2026-01",
        "twice",
        _DELTA_AS_FOUR,
    ),
    Convention(
        "torchtitan",
        "Six per parameter, norms and biases included, plus all S keys, windows ignored; "
        "a prediction module's attention scores and second head are left out.",
        "MFU from torchtitan's log",
        "full",
        _PRODUCTS | _AS_MULTIPLIED,
        frozenset({"norms", "projection", "block"}) | {"norms-counted"},
        "torchtitan, models/utils.py, get_moe_model_nparams_and_flops, at b5bcd76c66",
        "2025-04",
        "twice",
    ),
    Convention(
        "torchtitan",
        "Six per parameter, norms and biases included, plus all S keys, or those of the window; prediction modules whole.",
        "MFU from torchtitan's log",
        "reach",
        _PRODUCTS | _AS_MULTIPLIED,
        _WHOLE | {"norms-counted"},
        "torchtitan, pull request 4300",
        "2026-09",
        "twice",
    ),
    Convention(
        "verl",
        "S/2 keys, or half of the window; the embedding look-up is priced as a product; no multi-token prediction.",
        "MFU from verl's log",
        "half-reach",
        _PRODUCTS | {"embedding"},
        None,
        "verl, utils/flops_counter.py, at b178a3cd56",
        "2026-01",
        "twice",
    ),
    Convention(
        "verl",
        "S/2 keys, or half of the window; the embedding look-up is priced as a product; no multi-token prediction. "
        "The gated delta rule counts as fifteen FLOP per element of the state, backward included.",
        "MFU from verl's log",
        "half-reach",
        _PRODUCTS | {"embedding"},
        None,
        "verl, utils/flops_counter.py, at 1dda039b9c",
        "2026-07",
        "twice",
        ((0, 0.0), (3, 5.0)),
    ),
)
"""Each framework's conventions, oldest first."""

CONVENTIONS: dict[str, Convention] = {c.name: c for c in (*_FIXED, *_TOOLS)}
"""Every convention by name; the newest of each framework."""
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def convention_of(name: str, path: str = "") -> Convention:
    """The convention of a name: ``"causal"``; ``"torchtitan"`` for the newest version; ``"torchtitan@2026-03"`` for the version in force in
    that month.

    Raises:
        SpecError: no such convention, a date before its first known version, or a date for a convention without versions.

    >>> convention_of("torchtitan@2026-03").dated
    'torchtitan@2025-04'
    """
    tool, at, date = name.partition("@") if isinstance(name, str) else (name, "", "")
    if not isinstance(tool, str) or tool not in CONVENTIONS:
        raise SpecError(path, name, "is not a counting convention", did_you_mean(str(name), CONVENTIONS, "conventions"), "unknown-name")
    if not at:
        return CONVENTIONS[tool]
    dated = [c for c in _TOOLS if c.name == tool]
    known = ", ".join(c.dated for c in dated) or tool
    if not dated or not _MONTH.fullmatch(date):
        rule = "has a date that is not a month" if dated else "has a date, and this convention never changes"
        raise SpecError(path, name, rule, f"give one of: {known}", "invalid")
    in_force = [c for c in dated if c.since <= date]
    if not in_force:
        raise SpecError(path, name, "is before the first version that is known", f"known: {known}", "out-of-bounds")
    return in_force[-1]


def known_convention(name: str, path: str = "") -> str:
    """A convention's name with its date. A run stores the dated name, which keeps its meaning when the framework changes its formula.

    Raises:
        SpecError: there is no such convention.

    >>> known_convention("megatron")
    'megatron@2026-01'
    """
    return convention_of(name, path).dated


def conventions() -> Iterable[Convention]:
    """Every counting convention; each describes what it counts."""
    return CONVENTIONS.values()
