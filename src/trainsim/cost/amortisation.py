"""Amortisation: rules that spread the price of a machine over the years of its use."""

from __future__ import annotations

import abc
from typing import Annotated

import numpy as np

from ..core.family import Family
from ..core.units import Num, Unit

NO_INTEREST = 1e-15
"""Largest interest rate that counts as zero, since the annuity would divide by zero [1/year]."""

Life = Annotated[Num, Unit("year", "useful life", gt=0)]
Interest = Annotated[Num, Unit("1/year", "cost of capital", ge=0)]
Residual = Annotated[Num, Unit("", "resale value at the end of life over the price", ge=0, le=1)]


class Amortisation(Family):
    """Share of a machine's price that is charged per calendar year."""

    @abc.abstractmethod
    def yearly(self) -> Num:
        """Share of the price per year [1/year]."""


class StraightLine(Amortisation):
    """Equal depreciation each year, plus interest on the average book value.

    ``(1 − s)/L + i (1 + s)/2``

    Args:
        life_years: L, useful life [year].
        cost_of_capital: i; 0 leaves interest out, as company accounts do [1/year].
        residual_share: s, resale value at the end of life over the price [1].

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
    """Equal yearly payments that repay the price with interest.

    ``a − s (a − i)`` with ``a = i / (1 − (1 + i)^(−L))``, or ``a = 1/L`` if i is 0

    Args:
        life_years: L, useful life [year].
        cost_of_capital: i, interest rate [1/year].
        residual_share: s, resale value at the end of life over the price [1].

    Source: capital recovery factor; the form of analysts' cost of ownership (SemiAnalysis, AI cloud TCO model).

    >>> round(Annuity(life_years=4, cost_of_capital=0.13).yearly(), 4)
    0.3362
    """

    life_years: Life
    cost_of_capital: Interest
    residual_share: Residual = 0.0

    def yearly(self) -> Num:
        """The yearly payment over the price [1/year]."""
        return annuity(self.life_years, self.cost_of_capital, self.residual_share)


class ValueDecline(Amortisation):
    """Loss of market value as better hardware appears.

    ``V r ln 10`` per year, where ``V = 10^(−r · age)`` is the value at the start of the run over the purchase price.

    Args:
        ooms_per_year: r, yearly improvement of price-performance in orders of magnitude [1/year].
        age_years: time from the purchase to the start of the run [year].

    Source: Cottier et al. 2024, "The rising costs of training frontier AI models" (arXiv:2405.21015), amortised
    hardware cost; as in the paper's code, epoch-research/training-cost-trends, ``estimate_hardware_capex_energy_cost``, r = 0.14.

    >>> round(float(ValueDecline(ooms_per_year=0.14).yearly()), 4)
    0.3224
    """

    ooms_per_year: Annotated[Num, Unit("1/year", "yearly improvement of price-performance in orders of magnitude", ge=0)]
    age_years: Annotated[Num, Unit("year", "time from the purchase to the start of the run", ge=0)] = 0.0

    def yearly(self) -> Num:
        """Loss of value per year at the start of the run, over the purchase price [1/year]."""
        decay_rate: Num = np.log(10.0) * self.ooms_per_year
        return decay_rate * np.exp(-decay_rate * self.age_years)


def annuity(life_years: Num, cost_of_capital: Num, residual_share: Num = 0.0) -> Num:
    """Equal yearly payment per unit of price, interest included and resale value deducted.

    Args:
        life_years: L, number or array ``(n,)`` [year].
        cost_of_capital: i, number or array ``(n,)`` [1/year]; 0 gives ``(1 − s)/L``.
        residual_share: s, number or array ``(n,)`` [1].

    Returns:
        the payment [1/year].

    Source: capital recovery factor less the sinking-fund payment of the resale value.

    >>> annuity(5.0, 0.0)
    0.2
    """
    has_interest = np.asarray(cost_of_capital) > NO_INTEREST
    interest = np.where(has_interest, cost_of_capital, 1.0)
    with_interest = interest / -np.expm1(-np.asarray(life_years) * np.log1p(interest))
    payment = np.where(has_interest, with_interest, 1.0 / np.asarray(life_years))
    charged: Num = payment - residual_share * (payment - cost_of_capital)
    return charged if np.ndim(charged) else float(charged)
