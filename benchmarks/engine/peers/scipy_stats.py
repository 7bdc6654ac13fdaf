# ruff: noqa: ANN001, ANN201  (scripts: read beside the peers they time)
"""scipy.stats frozen distributions, inputs independent."""

import numpy as np
import scipy
from harness import main
from peers_laws import LAWS


def sample(function, n, seed):
    rng = np.random.default_rng(seed)
    return function(**{name: law.rvs(size=n, random_state=rng) for name, law in LAWS.items()})


main("scipy.stats, independent", scipy.__version__, sample, correlated=False)
