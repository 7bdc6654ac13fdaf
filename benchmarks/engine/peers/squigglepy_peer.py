# ruff: noqa: ANN001, ANN201  (scripts: read beside the peers they time)
"""squigglepy with its own correlation (Iman-Conover on ranks)."""

import importlib.metadata

import squigglepy as sq
from harness import main
from workload import MFU, OVERHEAD, RESTART, RESTART_BETA, RHO, K


def sample(function, n, seed):
    sq.set_seed(seed)
    price, mfu = sq.to(1.5, 3.0), sq.beta(*MFU)
    price, mfu = sq.correlate((price, mfu), RHO)
    low, _, high = RESTART
    return function(
        tokens=sq.sample(sq.to(14.0e12, 15.6e12), n=n),
        mfu=sq.sample(mfu, n=n),
        price=sq.sample(price, n=n),
        overhead=sq.sample(sq.triangular(*OVERHEAD), n=n),
        restart=low + (high - low) * sq.sample(sq.beta(*RESTART_BETA), n=n),
        k=sq.sample(sq.uniform(*K), n=n),
    )


main("squigglepy", importlib.metadata.version("squigglepy"), sample)
