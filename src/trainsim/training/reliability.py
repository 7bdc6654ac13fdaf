"""Reliability: goodput of a run under failures, checkpoints and restarts."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from scipy import special

from ..core.errors import EstimateError
from ..core.family import Family
from ..core.ledger import Ledger
from ..core.units import HOURS_PER_DAY, SECONDS_PER_HOUR, Num, Unit
from .failure_laws import Exponential, FailureLaw, expected_segments

SECONDS_PER_DAY = HOURS_PER_DAY * SECONDS_PER_HOUR
FIRST_ORDER_DOMAIN = 0.27
"""Largest ratio of period (restart included) to mean time between interruptions for which the first-order rule is used: the probability
of two failures in one period is then below 3 % (Hérault and Robert 2015, "Fault-Tolerance Techniques for High-Performance Computing",
section 1.3.1)."""
_SERIES_BELOW = 1e-6
_SEARCH_DECADES = 1.5
_GOLDEN_STEPS = 48
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


class Reliability(Family):
    """Base class of reliability models: goodput of a run."""

    @abc.abstractmethod
    def expected_goodput(self, gpus: int) -> Num:
        """Expected ratio of useful to wall-clock time on a number of accelerators [1]."""


class Goodput(Reliability):
    """Reported ratio of busy to wall-clock hours.

    Args:
        goodput: busy hours over wall-clock hours, number or array ``(n,)`` [1].

    >>> Goodput(0.95).expected_goodput(2048)
    0.95
    """

    positional: ClassVar[tuple[str, ...]] = ("goodput",)
    goodput: Annotated[Num, Unit("", "busy over wall-clock hours", gt=0, le=1)]

    if TYPE_CHECKING:

        def __init__(self, goodput: Num) -> None: ...

    def expected_goodput(self, gpus: int) -> Num:  # noqa: ARG002  (independent of the size)
        """The reported ratio."""
        return self.goodput


Rate = Annotated[Num, Unit("1/GPU/day", "interruptions per accelerator and day", gt=0)]
Save = Annotated[Num, Unit("s", "pause of the run per checkpoint", gt=0)]
Restart = Annotated[Num, Unit("s", "time from an interruption to the next step", ge=0)]


class Failures(Reliability):
    """Exact long-run goodput with interruptions at a rate, periodic checkpoints, and a restart after each interruption.

    For exponential times between interruptions ``goodput = λτ e^(−λR) / (e^(λ(τ+C)) − 1)`` with ``λ = gpus · rate``, work τ between
    checkpoints, checkpoint C, restart R; for other distributions ``τ · E⌊(X−R)⁺/(τ+C)⌋ / E[X]``. Failures may also occur during
    checkpoints and restarts. Stragglers lengthen every step: the result is divided by ``1 + slowdown``.

    Args:
        failures_per_gpu_day: interruptions of the run per accelerator and day [1/GPU/day].
        checkpoint_seconds: pause of the run per checkpoint; for asynchronous checkpoints only the blocking part [s].
        restart_seconds: time from an interruption to the next step: detection, replacement, loading, warm-up [s].
        interval_seconds: useful work between two checkpoints; None for the best interval [s].
        straggler_slowdown: relative lengthening of a step by its slowest accelerator [1].
        law: distribution of the times between interruptions of the whole run.

    Raises:
        SpecError: a rate or a checkpoint time is not positive.

    Source: Daly 2006, "A higher order estimate of the optimum checkpoint interval", Future Generation Computer Systems 22,
    eq. 13 for the exponential case; the renewal-reward theorem for the rest.

    >>> llama3 = Failures(failures_per_gpu_day=4.74e-4, checkpoint_seconds=20, restart_seconds=15 * 60)
    >>> [round(float(llama3.expected_goodput(n)), 3) for n in (2048, 16384, 50000)]
    [0.969, 0.868, 0.702]
    """

    failures_per_gpu_day: Rate
    checkpoint_seconds: Save
    restart_seconds: Restart
    interval_seconds: Annotated[Num, Unit("s", "useful work between checkpoints", gt=0)] | None = None
    straggler_slowdown: Annotated[Num, Unit("", "relative lengthening of a step by its slowest accelerator", ge=0)] = 0.0
    law: FailureLaw = Exponential()

    def mean_time_between_failures(self, gpus: int) -> Num:
        """Mean time between interruptions of the run, ``1 / (gpus · rate)`` [s]."""
        return SECONDS_PER_DAY / (self.failures_per_gpu_day * gpus)

    def interval(self, gpus: int) -> Num:
        """Useful work between checkpoints: as given, or the interval with the highest goodput [s]."""
        if self.interval_seconds is not None:
            return self.interval_seconds
        mtbf = self.mean_time_between_failures(gpus)
        save, restart = self.checkpoint_seconds / mtbf, self.restart_seconds / mtbf
        return best_interval(self.law, save, restart) * mtbf

    def expected_goodput(self, gpus: int) -> Num:
        """Expected ratio of useful to wall-clock time [1]."""
        mtbf = self.mean_time_between_failures(gpus)
        work = self.interval(gpus) / mtbf
        kept = useful_share(self.law, work, self.checkpoint_seconds / mtbf, self.restart_seconds / mtbf)
        return kept / (1.0 + self.straggler_slowdown)

    def losses(self, gpus: int) -> Ledger:
        """Shares of the wall-clock time: useful steps, stragglers, checkpoints, restarts, repeated work [1].

        >>> llama3 = Failures(failures_per_gpu_day=4.74e-4, checkpoint_seconds=20, restart_seconds=15 * 60)
        >>> print(llama3.losses(16384))
        total               1.00 1   100.0%
          useful           0.868 1    86.8%
          stragglers           0 1     0.0%
          checkpoints     0.0266 1     2.7%
          restarts        0.0777 1     7.8%
          repeated        0.0276 1     2.8%
        """
        mtbf = self.mean_time_between_failures(gpus)
        work, save, restart = self.interval(gpus) / mtbf, self.checkpoint_seconds / mtbf, self.restart_seconds / mtbf
        stepping = useful_share(self.law, work, save, restart)
        useful = stepping / (1.0 + self.straggler_slowdown)
        saves, restarts = stepping * save / work, 1.0 - self.law.beyond(_positive_age(restart))
        return Ledger(
            "1",
            {
                "useful": useful,
                "stragglers": stepping - useful,
                "checkpoints": saves,
                "restarts": restarts,
                "repeated": 1.0 - stepping - saves - restarts,
            },
        )


class YoungDaly(Reliability):
    """First-order approximation of the goodput, for comparison; raises an error outside its domain.

    ``τ = √(2 C M)``, ``goodput = 1 − √(2 C / M) − R / M`` with M the mean time between interruptions.

    Args:
        failures_per_gpu_day: interruptions of the run per accelerator and day [1/GPU/day].
        checkpoint_seconds: pause of the run per checkpoint [s].
        restart_seconds: time from an interruption to the next step [s].

    Raises:
        EstimateError: raised when the run is estimated, if τ plus the checkpoint pause plus the restart exceeds
            ``FIRST_ORDER_DOMAIN`` · M.

    Source: Young 1974, "A first order approximation to the optimum checkpoint interval", CACM 17; domain: see
    ``FIRST_ORDER_DOMAIN``.

    >>> first_order = YoungDaly(failures_per_gpu_day=4.74e-4, checkpoint_seconds=20, restart_seconds=900)
    >>> round(float(first_order.expected_goodput(16384)), 3)
    0.859
    """

    failures_per_gpu_day: Rate
    checkpoint_seconds: Save
    restart_seconds: Restart

    def interval(self, gpus: int) -> Num:
        """Useful work between checkpoints, ``√(2 C M)`` [s]."""
        mtbf = SECONDS_PER_DAY / (self.failures_per_gpu_day * gpus)
        return np.sqrt(2.0 * self.checkpoint_seconds * mtbf)

    def expected_goodput(self, gpus: int) -> Num:
        """One minus the shares of checkpoints, repeated work and restarts, to first order [1]."""
        mtbf = SECONDS_PER_DAY / (self.failures_per_gpu_day * gpus)
        period = (self.interval(gpus) + self.checkpoint_seconds + self.restart_seconds) / mtbf
        if np.any(period > FIRST_ORDER_DOMAIN):
            raise EstimateError(
                "reliability.period_over_mtbf",
                float(np.max(period)),
                f"is above {FIRST_ORDER_DOMAIN}: the first-order rule does not hold on {gpus} accelerators",
                "use ts.Failures, which is exact, with the same numbers",
                "unsupported",
            )
        return 1.0 - np.sqrt(2.0 * self.checkpoint_seconds / mtbf) - self.restart_seconds / mtbf


def useful_share(law: FailureLaw, work: Num, save: Num, restart: Num) -> Num:
    """Ratio of useful to wall-clock time, with all times in units of the mean time between interruptions [1].

    ``x e^(−R) / (e^(x+C) − 1)`` for the exponential law, else ``x · E⌊(X−R)⁺/(x+C)⌋``.

    Args:
        law: distribution of the time between interruptions.
        work, save, restart: x, C, R; numbers or arrays ``(n,)`` [1].

    Source: as for :class:`Failures`.

    >>> round(float(useful_share(Exponential(), 0.0598, 0.0018, 0.0809)), 3)
    0.868
    """
    if not isinstance(law, Exponential):
        return work * expected_segments(law, restart, work + save)
    with np.errstate(over="ignore"):  # the share is 0 for segments hundreds of times longer than the time between failures
        return work * np.exp(-restart) / np.expm1(work + save)


def best_interval(law: FailureLaw, save: Num, restart: Num) -> Num:
    """Interval between checkpoints with the highest goodput, in units of the mean time between interruptions [1].

    ``x = 1 + W(−e^(−1−C))`` with Lambert's function W for the exponential law, independent of the restart. For other laws, a golden-section
    search over log x around the first-order rule ``√(2C)``.

    Args:
        law: distribution of the time between interruptions.
        save, restart: C, R; numbers or arrays ``(n,)`` [1].

    Source: maximum of the exact expectation, of which Daly 2006, eq. 37, is an approximation.

    >>> round(float(best_interval(Exponential(), 0.0018, 0.08)), 4)
    0.0588
    """
    if isinstance(law, Exponential):
        root = np.sqrt(2.0 * save)
        branch: Num = special.lambertw(-np.exp(-1.0 - save)).real  # type: ignore[call-overload]  # stubs know scalars or arrays, not either
        return np.where(save < _SERIES_BELOW, root - root * root / 3.0, 1.0 + branch)  # a series for small x, where 1 + W loses digits
    return _golden_section(law, save, restart)


def _golden_section(law: FailureLaw, save: Num, restart: Num) -> Num:
    middle = np.log10(2.0 * save) / 2.0

    def share(decade: Num) -> Num:
        return useful_share(law, 10.0**decade, save, restart)

    low, high = middle - _SEARCH_DECADES, middle + _SEARCH_DECADES
    for _ in range(_GOLDEN_STEPS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        better_left = share(left) > share(right)
        low, high = np.where(better_left, low, left), np.where(better_left, right, high)
    return np.asarray(10.0 ** ((low + high) / 2.0)) * 1.0


def _positive_age(age: Num) -> Num:
    """An age of at least the smallest positive float, so that its logarithm is finite."""
    return np.maximum(age, np.finfo(np.float64).tiny)
