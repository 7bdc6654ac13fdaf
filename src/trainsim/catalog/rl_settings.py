"""Priors on the settings of a reinforcement-learning run, from the settings that other labs published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from ..core.errors import CatalogError
from .rows import Row, lineage, rows

FLOOR = 1.0
"""Lower bound of every setting: a round has at least one step, a step one response, a run one step."""
MIN_LABS = 3
_TAILS = np.array([0.05, 0.5, 0.95])


@dataclass(frozen=True)
class SettingsEvidence:
    """Three quantiles of a setting, with the rows they come from and the excluded rows, each with its reason.

    Args:
        levels: P5, P50, P95.
        used: address → figure.
        excluded: address → reason.
        labs: number of labs, each one observation.
    """

    levels: tuple[float, float, float]
    used: Mapping[str, float]
    excluded: Mapping[str, str]
    labs: int


def settings_evidence(quantity: str, as_of: dt.date, judged: Row | None = None) -> SettingsEvidence:
    """Predictive distribution of a setting for a run of one more lab, from the settings published by a day.

    Each lab is one observation, the mean of the logarithms of its rows. The predictive distribution is Student's t,
    ``ln x ~ m + s √(1 + 1/n) t(n − 1)``, where m and s are the mean and standard deviation over n labs. It is truncated below 1, the
    smallest possible count.

    Args:
        quantity: ``steps_per_rollout``, ``responses_per_step``, ``steps`` or ``samples``.
        as_of: rows that became public later are excluded.
        judged: the run to predict; rows derived from it are excluded.

    Raises:
        CatalogError: fewer than three labs had published the setting by that day.

    Source: Gelman et al., Bayesian Data Analysis, 3rd ed., section 3.2: prediction of one more normal observation.

    >>> evidence = settings_evidence("steps_per_rollout", dt.date(2025, 9, 16))
    >>> evidence.labs, [round(level, 1) for level in evidence.levels]
    (12, [1.2, 3.5, 22.3])
    """
    used: dict[str, float] = {}
    aside: dict[str, str] = {}
    labs: dict[str, list[float]] = {}
    for row in rows("reinforcement").values():
        if why := _exclusion_reason(row, quantity, as_of, judged):
            aside[row.address] = why
            continue
        used[row.address] = float(row[quantity])
        labs.setdefault(row["org"], []).append(float(np.log(row[quantity])))
    if len(labs) < MIN_LABS:
        rule = f"is the number of labs that had published it by {as_of}; a prior needs {MIN_LABS}"
        raise CatalogError(
            f"catalog.reinforcement.{quantity}",
            len(labs),
            rule,
            "ask for a later day",
            "too-few-data",
        )
    means = np.array([np.mean(logs) for logs in labs.values()])
    n = means.size
    centre, scale = float(means.mean()), float(means.std(ddof=1) * np.sqrt(1.0 + 1.0 / n))
    below = float(special.stdtr(n - 1, (np.log(FLOOR) - centre) / scale))
    low, mid, high = np.exp(centre + scale * special.stdtrit(n - 1, below + _TAILS * (1.0 - below)))
    return SettingsEvidence((float(low), float(mid), float(high)), used, aside, n)


def _exclusion_reason(row: Row, quantity: str, as_of: dt.date, judged: Row | None) -> str:
    if row.date > as_of:
        return f"dated {row.date}, after {as_of}"
    if judged is not None and judged.address in {*lineage(row.address), *row.get("saw", ())}:
        return "from the run itself"
    return "" if row.get(quantity) else "not published"
