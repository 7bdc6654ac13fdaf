# ruff: noqa: ANN001, ANN201  (scripts: read beside the peers they time)
"""The workloads, in numbers only, so that no peer depends on trainsim."""

import numpy as np

LEVELS = (0.05, 0.5, 0.95)
RHO = 0.3
Z95 = 1.6448536269514722

TOKENS = (np.log(14.0e12 * 15.6e12) / 2, np.log(15.6e12 / 14.0e12) / (2 * Z95))  # mu, sigma of the log
PRICE = (np.log(1.5 * 3.0) / 2, np.log(3.0 / 1.5) / (2 * Z95))
MFU = (24.5, 40.0)
OVERHEAD = (0.05, 0.15, 0.40)
RESTART = (0.01, 0.03, 0.12)
RESTART_BETA = (1 + 4 * 0.02 / 0.11, 1 + 4 * 0.09 / 0.11)
K = (1.0, 1.15)


def product(tokens, mfu, price, overhead, restart, k):
    return 6 * 37e9 * k * tokens * (1 + restart) / (989.5e12 * mfu) / 3600 * price * (1 + overhead)


def branches(tokens, mfu, price, overhead, restart, k):
    cost = product(tokens, mfu, price, overhead, restart, k)
    # increasing, so that quantiles follow from those of the product; the kinks stand for a user's max() and if
    return np.where(cost > 9e6, 3 * cost - 16e6, np.maximum(cost, 2 * cost - 7e6))


WORKLOADS = {"product": product, "branches": branches}
