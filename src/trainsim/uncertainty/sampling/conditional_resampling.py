"""Conditional resampling: redraw some inputs given the others, for conditional variances."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from scipy import special

from ..beliefs.beliefs import Resolved
from ..distributions.distribution import Array


def redraw(resolved: Resolved, u: Array, v: Array, keep: Collection[int]) -> dict[str, Array]:
    """Draw the columns in ``keep`` at u, and all other columns at v, conditional on those in ``keep``.

    Under the Gaussian copula the normal scores of the other columns (T) given the kept ones (K) are ``C_TK C_KK⁻¹ z_K + chol(C_TT - C_TK
    C_KK⁻¹ C_KT) η``.

    Args:
        resolved: beliefs resolved against a spec.
        u, v: points, shape (d, n).
        keep: columns to keep.

    Returns:
        path → draws, shape (n,).
    """
    points = np.where(np.isin(np.arange(len(u)), list(keep))[:, None], u, v)
    scores: dict[int, Array] = {}
    for members, factor in resolved.groups:
        kept = [k for k, i in enumerate(members) if i in keep]
        others = [k for k, i in enumerate(members) if i not in keep]
        z = factor @ special.ndtri(u[list(members)])
        for k in kept:
            scores[members[k]] = z[k]
        if not others:
            continue
        matrix = factor @ factor.T
        pull = np.linalg.solve(matrix[np.ix_(kept, kept)], matrix[np.ix_(kept, others)]).T
        left = matrix[np.ix_(others, others)] - pull @ matrix[np.ix_(kept, others)]
        fresh = pull @ z[kept] + np.linalg.cholesky(left) @ special.ndtri(v[[members[k] for k in others]])
        scores |= {members[k]: row for k, row in zip(others, fresh, strict=True)}
    return resolved.draw_at(points, scores)
