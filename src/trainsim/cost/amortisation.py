"""How the price of a machine is spread over the years it is used."""

from __future__ import annotations

import abc
from typing import Annotated

import numpy as np

from ..core.spec import Family
from ..core.units import Num, Unit

NO_INTEREST = 1e-15
"""Below double precision: as good as none, and the annuity would divide by what it can't tell from 0."""

Life = Annotated[Num, Unit("year", "useful life", gt=0)]
Interest = Annotated[Num, Unit("1/year", "cost of capital", ge=0)]
Residual = Annotated[Num, Unit("", "resale value at the end over the price", ge=0, le=1)]


class Amortisation(Family):
    """The share of its price a machine is charged for one year on the clock."""

    @abc.abstractmethod
    def yearly(self) -> Num:
        """Share of the price per year [1/year]."""


class StraightLine(Amortisation):
    """Equal depreciation each year, and interest on what is tied up on average.

    ``(1 − s)/L + i (1 + s)/2``

    Args:
        life_years: L.
        cost_of_capital: i; 0 leaves interest out, as company accounts do.
        residual_share: s.

    Source: average-investment method of engineering economics; with ``i = 0`` the depreciation of company accounts.

    >>> StraightLine(life_years=4).yearly()
    0.25
    """

    life_years: Life
    cost_of_capital: Interest = 0.0
    residual_share: Residual = 0.0

    def yearly(self) -> Num:
        """Depreciation and interest."""
        s = self.residual_share
        return (1.0 - s) / self.life_years + self.cost_of_capital * (1.0 + s) / 2.0


class Annuity(Amortisation):
    """Equal payments that return the price with interest over its life.

    ``a − s (a − i)`` with ``a = i / (1 − (1 + i)^(−L))``, and ``1/L`` where i is 0

    Args:
        life_years: L.
        cost_of_capital: i.
        residual_share: s, resale value at the end over the price.

    Source: capital recovery factor; the form of analysts' cost of ownership (SemiAnalysis, AI cloud TCO model).

    >>> round(Annuity(life_years=4, cost_of_capital=0.13).yearly(), 4)
    0.3362
    """

    life_years: Life
    cost_of_capital: Interest
    residual_share: Residual = 0.0

    def yearly(self) -> Num:
        """The equal payment."""
        return annuity(self.life_years, self.cost_of_capital, self.residual_share)


class ValueDecline(Amortisation):
    """A machine loses value as better ones appear; a run pays what its value falls while it runs.

    ``V r ln 10`` per year, with ``V = 10^(−r · age)`` the value when the run starts, over the price paid.

    Args:
        ooms_per_year: r, orders of magnitude per year by which price-performance improves.
        age_years: from the purchase to the start of the run.

    Source: Cottier et al. 2024, "The rising costs of training frontier AI models" (arXiv:2405.21015), amortised
    hardware cost; as written in its code, epoch-research/training-cost-trends, ``estimate_hardware_capex_energy_cost``, r = 0.14.

    >>> round(float(ValueDecline(ooms_per_year=0.14).yearly()), 4)
    0.3224
    """

    ooms_per_year: Annotated[Num, Unit("1/year", "orders of magnitude of price-performance per year", ge=0)]
    age_years: Annotated[Num, Unit("year", "from purchase to the start of the run", ge=0)] = 0.0

    def yearly(self) -> Num:
        """Fall in value per year at the start of the run."""
        lost_per_year: Num = np.log(10.0) * self.ooms_per_year
        return lost_per_year * np.exp(-lost_per_year * self.age_years)


def annuity(life_years: Num, cost_of_capital: Num, residual_share: Num = 0.0) -> Num:
    """Equal yearly payment per unit of price, interest included, resale taken off.

    Args:
        life_years: L, number or array ``(n,)`` [year].
        cost_of_capital: i, number or array ``(n,)`` [1/year]; 0 gives ``(1 − s)/L``.
        residual_share: s, number or array ``(n,)``.

    Returns:
        the payment [1/year].

    Source: capital recovery factor less the sinking-fund payment of the resale value.

    >>> annuity(5.0, 0.0)
    0.2
    """
    bears = np.asarray(cost_of_capital) > NO_INTEREST
    interest = np.where(bears, cost_of_capital, 1.0)
    with_interest = interest / -np.expm1(-np.asarray(life_years) * np.log1p(interest))
    payment = np.where(bears, with_interest, 1.0 / np.asarray(life_years))
    charged: Num = payment - residual_share * (payment - cost_of_capital)
    return charged if np.ndim(charged) else float(charged)
