"""The reference workload: a product of six uncertain factors, two of them correlated, whose distribution is known exactly.

Tests, benchmarks and examples measure the engine with it. Its inputs do not describe any run.
"""

from __future__ import annotations

from typing import Annotated

from trainsim.core.spec import Spec
from trainsim.core.units import Num, Unit

from ..beliefs.beliefs import Beliefs
from ..distributions.interval import ci90
from ..distributions.parametric import beta, pert, triangular, uniform


class ReferenceRun(Spec):
    """A rented training run, in six numbers."""

    tokens: Annotated[Num, Unit("token", gt=0)] = 14.8e12
    mfu: Annotated[Num, Unit("", gt=0, lt=1)] = 0.38
    price: Annotated[Num, Unit("USD/GPU-h", gt=0)] = 2.0
    overhead: Annotated[Num, Unit("", ge=0)] = 0.2
    restart: Annotated[Num, Unit("", ge=0)] = 0.04
    k: Annotated[Num, Unit("", ge=1)] = 1.0


BELIEFS = Beliefs(
    {
        "tokens": ci90(14.0e12, 15.6e12),
        "mfu": beta(24.5, 40),
        "price": ci90(1.5, 3),
        "overhead": triangular(0.05, 0.15, 0.40),
        "restart": pert(0.01, 0.03, 0.12),
        "k": uniform(1, 1.15),
    },
    correlated={("price", "mfu"): 0.3},
)

EXACT = {0.05: 4.73085e6, 0.50: 6.96824e6, 0.95: 10.36299e6}
"""By log-density convolution with quadrature over the copula; 1e9 draws agree to 5e-5. [USD]"""
EXACT_MEAN = 7.18263e6
EXACT_BELOW_6M = 0.26401


def cost(s: ReferenceRun) -> Num:
    """Dollars of the run: ``6 N D k (1 + restart) / (peak · mfu) / 3600 · price · (1 + overhead)``."""
    return 6 * 37e9 * s.k * s.tokens * (1 + s.restart) / (989.5e12 * s.mfu) / 3600 * s.price * (1 + s.overhead)
