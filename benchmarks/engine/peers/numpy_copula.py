# ruff: noqa: ANN001, ANN201  (scripts: read beside the peers they time)
"""Hand-written numpy with a Gaussian copula for the two correlated inputs."""

import numpy as np
from harness import main
from scipy import special
from workload import MFU, OVERHEAD, PRICE, RESTART, RESTART_BETA, RHO, TOKENS, K


def sample(function, n, seed):
    rng = np.random.default_rng(seed)
    z = rng.multivariate_normal([0, 0], [[1, RHO], [RHO, 1]], n, method="cholesky")
    low, _, high = RESTART
    return function(
        tokens=rng.lognormal(*TOKENS, n),
        mfu=special.betaincinv(*MFU, special.ndtr(z[:, 0])),
        price=np.exp(PRICE[0] + PRICE[1] * z[:, 1]),
        overhead=rng.triangular(*OVERHEAD, n),
        restart=low + (high - low) * rng.beta(*RESTART_BETA, n),
        k=rng.uniform(*K, n),
    )


main("numpy with copula", np.__version__, sample)
