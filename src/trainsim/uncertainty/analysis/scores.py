"""Interval score: rewards narrow intervals and penalises truths outside them."""

from __future__ import annotations

import numpy as np

from ...core.units import Num

LEVEL = 0.9
"""Nominal probability of an interval."""


def interval_score(low: Num, high: Num, truth: Num, level: Num = LEVEL) -> Num:
    """Interval score of logarithms: ``(u − l) + 2/α · (l − x)₊ + 2/α · (x − u)₊`` with ``α = 1 − level``; lower is better.

    Args:
        low, high: ends of the interval, above 0.
        truth: the true value, in the same unit.
        level: nominal probability of the interval [1].

    Source: Gneiting and Raftery 2007, Strictly proper scoring rules, eq. 43.

    >>> [round(float(x), 12) for x in interval_score(1.0, np.e, np.array([2.0, np.e**2]))]
    [1.0, 21.0]
    """
    below, above = np.maximum(np.log(low / np.asarray(truth)), 0.0), np.maximum(np.log(truth / np.asarray(high)), 0.0)
    score: Num = np.log(high / np.asarray(low)) + 2.0 / (1.0 - np.asarray(level)) * (below + above)
    return score
