"""Draws of a simulation at its points, with their weights."""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple

import numpy as np

from ..distributions.distribution import Array
from .sweep import Range, Study, blocks, evaluate, sweep


class Draws(NamedTuple):
    """Values at the points of a simulation.

    Args:
        values: values, shape ``(n,)``, replicate after replicate; equal indices of two paths belong to the same point.
        weights: weights of the points, which sum to 1.
    """

    values: Array
    weights: Array


class DrawsReducer:
    """Reduces a shard to the values of one path, (replicates, n).

    Args:
        path: a path with a belief, or an output or ledger line of the function.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self, study: Study, shard: Range) -> Array:
        """The values of the shard."""
        found = []
        for count, u in blocks(study, shard):
            drawn = study.resolved.draw(u)
            values = drawn[self.path] if self.path in drawn else evaluate(study, drawn, u.shape[1], (self.path,))[self.path]
            found.append(np.array(values).reshape(count, -1))
        return np.concatenate(found, axis=1)


def draws_of(study: Study, size: int, path: str) -> Draws:
    """Values of a path at the points of a study.

    Args:
        study: the study.
        size: points per replicate.
        path: a path with a belief, or an output or ledger line.

    Raises:
        PathError: there is no such path.
    """
    replies = sweep(study, DrawsReducer(path), 0, size, executor=None, progress=None)
    rows = [np.concatenate([part for _, part in parts], axis=1) for _, parts in groupby(replies, key=lambda reply: reply[0][0])]
    values = np.concatenate(rows, axis=0).ravel()
    return Draws(values, np.full(len(values), 1.0 / len(values)))
