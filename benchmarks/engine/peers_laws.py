"""The reference inputs as scipy.stats distributions, for peers that take those."""

import numpy as np
from scipy import stats
from workload import MFU, OVERHEAD, PRICE, RESTART, RESTART_BETA, TOKENS, K

LAWS = {
    "tokens": stats.lognorm(s=TOKENS[1], scale=np.exp(TOKENS[0])),
    "mfu": stats.beta(*MFU),
    "price": stats.lognorm(s=PRICE[1], scale=np.exp(PRICE[0])),
    "overhead": stats.triang(c=0.10 / 0.35, loc=OVERHEAD[0], scale=0.35),
    "restart": stats.beta(*RESTART_BETA, loc=RESTART[0], scale=RESTART[2] - RESTART[0]),
    "k": stats.uniform(K[0], K[1] - K[0]),
}
