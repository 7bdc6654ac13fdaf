"""Smooth density through a few quantiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST, KNOTS = -3.0, 2.6, 14
"""Lowest and highest normal score of the quantiles through which a density is drawn, and number of these quantiles."""


EDGE, LEVELS = 0.003, 25
"""Lowest level and number of levels for a distribution with several modes."""


def density(
    quantile: Callable[[list[float]], list[float]], points: int = 400, *, logarithmic: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Density of a quantity, or of its logarithm.

    Quantiles are a nearly straight function of their normal scores, so a curve through a few quantiles gives the density ``φ(z) ·
    dz/dx``. If this density is not unimodal, the distribution has a hard edge or several modes; the density is then ``Δp / Δx`` between
    quantiles.

    Args:
        quantile: levels → values.
        points: number of points of the curve, if the density is unimodal.
        logarithmic: whether the density is that of the logarithm, for a quantity above 0.

    Returns:
        values and the density there, each (n,).
    """
    from scipy.interpolate import CubicSpline
    from scipy.special import ndtr

    z = np.linspace(LOWEST, HIGHEST, KNOTS)
    values = np.asarray(quantile(ndtr(z).tolist()))
    knots = np.log(values) if logarithmic else values
    if np.ptp(knots) == 0:  # no uncertainty: a narrow peak
        return values[0] + (abs(values[0]) or 1.0) * np.array([-0.02, 0.0, 0.02]), np.array([0.0, 1.0, 0.0])
    rises = np.concatenate([[True], np.diff(knots) > 1e-12 * max(1.0, float(np.ptp(knots)))])
    curve = CubicSpline(knots[rises], z[rises])
    at = np.linspace(knots[0], knots[-1], points)
    found = np.maximum(curve(at, 1), 0.0) * np.exp(-(curve(at) ** 2) / 2) / np.sqrt(2 * np.pi)
    if np.count_nonzero(np.diff(np.sign(np.diff(found)))) > 1:  # not unimodal: a hard edge, or several modes
        levels = np.linspace(EDGE, 1 - EDGE, LEVELS)
        values = np.asarray(quantile(levels.tolist()))
        ends = np.log(values) if logarithmic else values
        steps = np.maximum(np.diff(ends), 1e-12 * max(1.0, float(np.ptp(ends))))
        found = np.diff(levels) / steps
        at = np.concatenate([ends[:1], (ends[1:] + ends[:-1]) / 2, ends[-1:]])
        found = np.concatenate([found[:1], found, found[-1:]])
    return (np.exp(at) if logarithmic else at), found
