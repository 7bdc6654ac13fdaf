"""How sure we are: beliefs over the numbers of any spec, and what a function of it comes to under them."""

from .beliefs import Beliefs
from .composed import Empirical, Joint, Mixture, empirical, joint, mixture
from .correlation import Correlation, linear_correlation, rank_correlation
from .distributions import Belief, Distribution, beta, lognormal, normal, pert, triangular, uniform
from .engine import simulate
from .intervals import Interval, ci90
from .simulation import Figure, Simulation

__all__ = [
    "Belief",
    "Beliefs",
    "Correlation",
    "Distribution",
    "Empirical",
    "Figure",
    "Interval",
    "Joint",
    "Mixture",
    "Simulation",
    "beta",
    "ci90",
    "empirical",
    "joint",
    "linear_correlation",
    "lognormal",
    "mixture",
    "normal",
    "pert",
    "rank_correlation",
    "simulate",
    "triangular",
    "uniform",
]
