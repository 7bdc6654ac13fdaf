# ruff: noqa: ANN001, ANN201, ANN202  (scripts: read beside the peers they time)
"""First-order and total Sobol' indices by scipy.stats.sobol_indices and SALib: the smallest n with RMSE 1e-3 on S."""

import importlib.metadata
import json
import sys

import numpy as np
import scipy
from harness import seconds
from peers_laws import LAWS
from SALib.analyze import sobol as analyze
from SALib.sample import sobol as design
from scipy import stats
from workload import product

NAMES = list(LAWS)


def by_scipy(n, seed):
    def function(x):
        return product(**dict(zip(NAMES, x, strict=True)))

    return stats.sobol_indices(func=function, n=n, dists=list(LAWS.values()), rng=np.random.default_rng(seed)).first_order


def by_salib(n, seed):
    problem = {"num_vars": 6, "names": NAMES, "bounds": [[0, 1]] * 6}
    u = design.sample(problem, n, calc_second_order=False, seed=seed)
    x = {name: LAWS[name].ppf(u[:, i]) for i, name in enumerate(NAMES)}
    return analyze.analyze(problem, product(**x), calc_second_order=False, num_resamples=2, seed=seed)["S1"]


def main():
    truth = np.array([json.loads(sys.argv[1])["sobol"][name] for name in NAMES])
    rows = []
    for name, version, indices in (
        ("scipy.stats.sobol_indices", scipy.__version__, by_scipy),
        ("SALib, 2 resamples", importlib.metadata.version("SALib"), by_salib),
    ):
        for n in (1 << k for k in range(9, 17)):
            errors = np.array([np.ravel(indices(n, seed)) - truth for seed in range(10)])
            if np.sqrt(np.mean(errors**2, axis=0)).max() <= 1e-3:
                rows.append({"peer": name, "version": version, "workload": "sobol", "n": n, "seconds": seconds(lambda: indices(n, 7), 7)})  # noqa: B023
                break
    print(json.dumps(rows))


main()
