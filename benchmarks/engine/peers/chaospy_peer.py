# ruff: noqa: ANN001, ANN201  (scripts: read beside the peers they time)
"""chaospy with a Nataf copula; PERT as a beta, since its own PERT has a wrong mean."""

import chaospy as cp
import numpy as np
from harness import main
from workload import MFU, OVERHEAD, PRICE, RESTART, RESTART_BETA, RHO, TOKENS, K

LAWS = [
    cp.LogNormal(*TOKENS),
    cp.Beta(*MFU),
    cp.LogNormal(*PRICE),
    cp.Triangle(*OVERHEAD),
    cp.Beta(*RESTART_BETA, RESTART[0], RESTART[2]),
    cp.Uniform(*K),
]
MATRIX = np.eye(6)
MATRIX[1, 2] = MATRIX[2, 1] = RHO
JOINT = cp.Nataf(cp.J(*LAWS), MATRIX)


def sample(function, n, seed):
    tokens, mfu, price, overhead, restart, k = JOINT.sample(n, rule="random", seed=seed)
    return function(tokens=tokens, mfu=mfu, price=price, overhead=overhead, restart=restart, k=k)


main("chaospy", cp.__version__, sample)
