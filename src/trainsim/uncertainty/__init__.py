"""How sure we are: beliefs over the numbers of any spec, and what a function of it comes to under them."""

from .beliefs import Beliefs
from .comparison import Difference, Disagreement, compare_beliefs, difference
from .composed import Empirical, Joint, Mixture, empirical, joint, mixture
from .correlation import Correlation, linear_correlation, rank_correlation
from .distributions import Belief, Distribution
from .engine import simulate
from .evidence import Measured, Posterior, condition, measured
from .families import beta, lognormal, normal, pert, triangular, uniform
from .influence import Disclosure, Region, Swing, disclosure, region, tornado
from .intervals import Interval, ci90
from .oracle import Check
from .progress import progress_bar
from .reverse import MustBeTrue, what_must_be_true
from .sensitivity import Sensitivity, sensitivity
from .simulation import Figure, Simulation

__all__ = [
    "Belief",
    "Beliefs",
    "Check",
    "Correlation",
    "Difference",
    "Disagreement",
    "Disclosure",
    "Distribution",
    "Empirical",
    "Figure",
    "Interval",
    "Joint",
    "Measured",
    "Mixture",
    "MustBeTrue",
    "Posterior",
    "Region",
    "Sensitivity",
    "Simulation",
    "Swing",
    "beta",
    "ci90",
    "compare_beliefs",
    "condition",
    "difference",
    "disclosure",
    "empirical",
    "joint",
    "linear_correlation",
    "lognormal",
    "measured",
    "mixture",
    "normal",
    "pert",
    "progress_bar",
    "rank_correlation",
    "region",
    "sensitivity",
    "simulate",
    "tornado",
    "triangular",
    "uniform",
    "what_must_be_true",
]
