# ruff: noqa: ANN001, ANN201  (scripts: read beside the peers they time)
"""OpenTURNS with a normal copula."""

import numpy as np
import openturns as ot
from harness import main
from workload import MFU, OVERHEAD, PRICE, RESTART, RESTART_BETA, RHO, TOKENS, K

MATRIX = ot.CorrelationMatrix(6)
MATRIX[1, 2] = RHO
JOINT = ot.JointDistribution(
    [
        ot.LogNormal(*TOKENS),
        ot.Beta(*MFU, 0.0, 1.0),
        ot.LogNormal(*PRICE),
        ot.Triangular(*OVERHEAD),
        ot.Beta(*RESTART_BETA, RESTART[0], RESTART[2]),
        ot.Uniform(*K),
    ],
    ot.NormalCopula(MATRIX),
)


def sample(function, n, seed):
    ot.RandomGenerator.SetSeed(seed)
    tokens, mfu, price, overhead, restart, k = np.asarray(JOINT.getSample(n)).T
    return function(tokens=tokens, mfu=mfu, price=price, overhead=overhead, restart=restart, k=k)


main("OpenTURNS", ot.__version__, sample)
