"""Priors on how a run of reinforcement learning was set up: what other labs' published settings predict."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from ..core.errors import CatalogError
from .rows import Row, lineage, rows

FLOOR = 1.0
"""No round holds less than one step, no step less than one response, no run less than one step."""
LEAST_LABS = 3
_TAILS = np.array([0.05, 0.5, 0.95])


@dataclass(frozen=True)
class SettingsEvidence:
    """Three quantiles of a setting with the rows they were built from, and those set aside, each with the reason.

    Args:
        levels: p5, p50, p95.
        used: address → figure.
        set_aside: address → why.
        labs: witnesses.
    """

    levels: tuple[float, float, float]
    used: Mapping[str, float]
    set_aside: Mapping[str, str]
    labs: int


def settings_evidence(quantity: str, as_of: dt.date, judged: Row | None = None) -> SettingsEvidence:
    """What a setting of one more lab's run would be, from the settings published by a day.

    A lab's rows are one witness: the mean of their logs. The prediction is Student's, ``ln x ~ m + s √(1 + 1/n) t(n − 1)``, with m
    and s the mean and the deviation of n labs, and renormalised above 1, which none of these counts can fall below.

    Args:
        quantity: ``steps_per_rollout``, ``responses_per_step``, ``steps`` or ``samples``.
        as_of: rows that became public later are set aside.
        judged: the run it is about; what derives from it is set aside.

    Raises:
        CatalogError: fewer than three labs had published it by that day.

    Source: prediction of one more normal observation (Gelman et al., Bayesian Data Analysis, 3rd ed., section 3.2), as for rents.

    >>> evidence = settings_evidence("steps_per_rollout", dt.date(2025, 9, 16))
    >>> evidence.labs, [round(level, 1) for level in evidence.levels]
    (12, [1.2, 3.5, 22.3])
    """
    used: dict[str, float] = {}
    aside: dict[str, str] = {}
    labs: dict[str, list[float]] = {}
    for row in rows("reinforcement").values():
        if why := _set_aside(row, quantity, as_of, judged):
            aside[row.address] = why
            continue
        used[row.address] = float(row[quantity])
        labs.setdefault(row["org"], []).append(float(np.log(row[quantity])))
    if len(labs) < LEAST_LABS:
        rule = f"labs had told it by {as_of}: too few to build a belief on"
        raise CatalogError(
            f"catalog.reinforcement.{quantity}", len(labs), rule, f"ask for a later day: {LEAST_LABS} labs are the least", "too-few-data"
        )
    means = np.array([np.mean(logs) for logs in labs.values()])
    n = means.size
    centre, scale = float(means.mean()), float(means.std(ddof=1) * np.sqrt(1.0 + 1.0 / n))
    below = float(special.stdtr(n - 1, (np.log(FLOOR) - centre) / scale))
    low, mid, high = np.exp(centre + scale * special.stdtrit(n - 1, below + _TAILS * (1.0 - below)))
    return SettingsEvidence((float(low), float(mid), float(high)), used, aside, n)


def _set_aside(row: Row, quantity: str, as_of: dt.date, judged: Row | None) -> str:
    if row.date > as_of:
        return f"dated {row.date}, after {as_of}"
    if judged is not None and judged.address in {*lineage(row.address), *row.get("saw", ())}:
        return "from the run itself"
    return "" if row.get(quantity) else "did not tell it"
