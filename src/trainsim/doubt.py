"""Doubt bound to the journey: what ``ts.simulate`` is for a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import EstimateError
from .journey import estimate
from .ledger import Ledger
from .run import Run
from .spec import Spec
from .uncertainty import Beliefs, Simulation
from .uncertainty import simulate as simulate_function
from .units import Num

DOUBTED = ("cost", "busy_gpu_hours", "gpu_hours", "wall_days", "mfu")
"""What a run is asked for under beliefs, where nothing else is asked."""


def quantities(run: Run) -> dict[str, Ledger | Num]:
    """A run's cost, hours, days and utilisation, each a ledger where it has parts; broadcasts over draws."""
    return estimate(run).quantities(DOUBTED)


def simulate(spec: Spec, beliefs: Beliefs, function: Callable[[Any], Any] | None = None, **options: Any) -> Simulation:
    """A run, or any spec with a function of it, under beliefs.

    Args:
        spec: a run; or any spec, with ``function``.
        beliefs: path → distribution.
        function: takes the spec with arrays of draws at the believed paths and gives {name: array or Ledger}, or one array, then
            named ``"value"``; for a run, its cost, hours, days and utilisation where nothing is given.
        **options: of :func:`trainsim.uncertainty.simulate`: ``n``, ``rtol``, ``seed``, ``quantiles``, ``outputs``.

    Raises:
        EstimateError: no function for a spec that is no run, or the run lacks an input.
        BeliefError, PathError: as the engine does.
    """
    if function is None:
        if not isinstance(spec, Run):
            raise EstimateError(
                "function", None, f"is needed for a {type(spec).__name__}", "give function=, which takes the spec and gives arrays"
            )
        function = quantities
    return simulate_function(spec, beliefs, function, **options)
