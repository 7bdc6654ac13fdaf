# ruff: noqa: ANN001, ANN201  (scripts: read beside the peers they time)
"""Hand-written numpy with independent inputs, the usual first attempt."""

import numpy as np
from harness import main
from workload import MFU, OVERHEAD, PRICE, RESTART, RESTART_BETA, TOKENS, K


def sample(function, n, seed):
    rng = np.random.default_rng(seed)
    low, _, high = RESTART
    return function(
        tokens=rng.lognormal(*TOKENS, n),
        mfu=rng.beta(*MFU, n),
        price=rng.lognormal(*PRICE, n),
        overhead=rng.triangular(*OVERHEAD, n),
        restart=low + (high - low) * rng.beta(*RESTART_BETA, n),
        k=rng.uniform(*K, n),
    )


main("numpy, independent", np.__version__, sample, correlated=False)
