"""Batch: a spec whose numbers are arrays of draws, as input for functions that broadcast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np

from .errors import SpecError
from .spec import Spec
from .units import ArrayPolicy, array_policy

S = TypeVar("S", bound=Spec)


class Batch(Generic[S]):
    """A spec with arrays of draws at some paths; it can't be saved or compared.

    Args:
        spec: the spec with scalar values.
        draws: path → array, shape ``(n,)``; all arrays have the same length.
        arrays: whether draws are checked against the bounds of their fields, or trusted.

    Raises:
        SpecError: arrays of different lengths or of several dimensions, or a draw outside the bounds of its field.

    >>> from trainsim.cluster.hardware import Link
    >>> Batch(Link(bandwidth=50e9), {"bandwidth": np.array([1e9, 2e9])}).spec.bandwidth
    array([1.e+09, 2.e+09])
    """

    __slots__ = ("n", "paths", "spec")

    def __init__(self, spec: S, draws: Mapping[str, np.ndarray[Any, Any]], *, arrays: ArrayPolicy = ArrayPolicy.CHECKED) -> None:
        lengths = {path: np.shape(values) for path, values in draws.items()}
        for path, shape in lengths.items():
            if len(shape) != 1:
                raise SpecError(
                    path, draws[path], f"has shape {shape}, not (n,)", "give one array of draws, or replace a single number", "not-scalar"
                )
        if len(set(lengths.values())) > 1:
            raise SpecError("draws", lengths, "have different lengths", "draw the same number for every path", "conflict")
        with array_policy(arrays):
            self.spec: S = spec.replace(draws) if draws else spec
        self.paths = tuple(draws)
        self.n = next(iter(lengths.values()), (1,))[0]

    def __repr__(self) -> str:
        return f"Batch({type(self.spec).__name__}, n={self.n}, paths={self.paths})"
