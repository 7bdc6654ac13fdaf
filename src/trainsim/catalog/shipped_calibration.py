"""The shipped calibration of software stacks: priors of the constants, their posterior draws, and the unexplained variation."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cluster.stack import Tag
from ..core.values import frozen
from .rows import rows


@lru_cache(maxsize=256)
def class_of(name: str, *, routed: bool) -> str:
    """Class in which residuals are pooled: the stack without its release, and whether the model routes tokens to experts."""
    return f"{rows('stacks')[name].fields.get('like', name)}/{'moe' if routed else 'dense'}"


@dataclass(frozen=True, eq=False)
class Calibration:
    """Result of a calibration: the most probable constants, draws from their posterior, and the unexplained variation.

    Args:
        names: names of the constants, in the order of all columns.
        best: most probable values, shape ``(constants,)``.
        draws: joint draws from the posterior, shape ``(draws, constants)``.
        tags: status of each constant after the fit: fitted, prior-only or on-bound.
        spread: standard deviation of log(modelled / measured) within a source, by class of rows.
        measured: that standard deviation for layers that the source measured in another configuration, by source; ``""`` for any source.
        layers: layer effects, log(modelled / measured), by fingerprint of the layers.
        unseen: standard deviation for a new source, by kind: dense models, mixtures of experts, and a class of rows without any source.
        sources, left_out: sources whose rows were fitted, and sources that were held out.
        rows: fingerprints of the measured steps that were fitted.
        date: day of the fit; predictions as of an earlier day must not use the calibration.
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

    def spread_within(self, name: str, *, routed: bool) -> float:
        """Standard deviation of log residuals within a source, for a class of rows; if the class has none, for all models of its kind."""
        return self.spread.get(class_of(name, routed=routed), self.spread["moe" if routed else "dense"])

    def spread_unseen(self, name: str, *, routed: bool) -> float:
        """Standard deviation of log residuals for a new source: at least that within known sources, and larger for a stack without any
        rows.
        """
        kinds = ["moe" if routed else "dense"] + ([] if class_of(name, routed=routed) in self.spread else ["class"])
        return max(self.spread_within(name, routed=routed), *(self.unseen[kind] for kind in kinds))

    def unexplained(self, name: str, *, routed: bool, source: str | None = None, layers: str = "") -> tuple[float, float]:
        """Mean and standard deviation of the unexplained factor, log(measured / modelled).

        Args:
            name, routed: the stack, and whether the model routes tokens to experts.
            source: source of the run, if rows of that source were fitted.
            layers: fingerprint of the run's layers, for which the source may have a layer effect.
        """
        if source not in self.sources:
            return 0.0, self.spread_unseen(name, routed=routed)
        if layers in self.layers:
            return -self.layers[layers], self.measured.get(source or "", self.measured[""])
        return 0.0, self.spread_within(name, routed=routed)


@lru_cache(maxsize=1)
def calibration() -> Calibration:
    """The calibration shipped with the library."""
    text = (resources.files(__package__) / "data" / "calibration.json").read_text(encoding="utf-8")
    data = frozen(json.loads(text))
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


def _read_only(values: Any) -> NDArray[np.float64]:
    made = np.array(values, dtype=np.float64)
    made.setflags(write=False)
    return made
