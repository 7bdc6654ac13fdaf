"""Hours and dollars of a development by content; the amount of a scope is the sum over its contents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np

from ..claims.scope import CONTENTS, Content
from ..core.registry import kind_of
from ..core.units import SECONDS_PER_HOUR, Num
from ..run.development import Development, DevelopmentEstimate, estimate_development
from ..training.phases import Phase

Contents = frozenset[str]
Amount = Literal["USD", "GPU-h"]
_EXTENSION = ("extend", "extension", "context", "long")
_POST = ("post", "sft", "rl", "dpo", "ppo", "grpo", "fine", "finetune", "align", "instruct", "r1")


def learns_from_rollouts(phase: Phase) -> bool:
    """Whether a phase is reinforcement learning, by its kind: its module is slow to import, and needed for few runs."""
    return kind_of(type(phase.efficiency)) == "Rollouts"


def content_of(phase: Phase) -> Content:
    """Content of a final run that a phase belongs to, by its name; a phase that learns from rollouts is post-training.

    >>> content_of(Phase("extend-32k")), content_of(Phase("pretrain")), content_of(Phase("sft"))
    ('context_extension', 'pretraining', 'post_training')
    """
    words = phase.name.lower().replace("_", "-").split("-")
    if learns_from_rollouts(phase) or words[0] in _POST:
        return "post_training"
    return "context_extension" if words[0] in _EXTENSION else "pretraining"


def amounts_of(final: str, unit: Amount, development: Development) -> dict[Content, Num]:
    """Hours or dollars of a development by content [USD or GPU-h].

    A phase of the final run counts with its reported hours; downtime is wall-clock hours minus reported hours. Failed runs are a share of
    the wall-clock hours of each final run. Other final runs of the development count as feeder runs.

    Args:
        final: the line of the final run.
        unit: dollars, or accelerator-hours; data and people have no hours.
        development: the development; its numbers may be arrays ``(n,)`` inside a batch.

    Returns:
        content → amount, a number or an array ``(n,)``; contents without a price are absent.
    """
    est = estimate_development(development)
    last = est.runs[final]
    rate = last.price.total if unit == "USD" else 1.0
    found: dict[Content, Num] = {}
    for phase in last.phases.values():
        content = content_of(phase.phase)
        found[content] = found.get(content, 0.0) + phase.given_gpu_seconds / SECONDS_PER_HOUR * rate
    found["downtime"] = (last.gpu_hours - last.given_gpu_hours) * rate
    found["failed_runs"] = _failed_runs(est, final, unit)
    found["feeder_runs"] = _of_lines(est, "final", unit, without=final) * (1.0 + development.failed)
    experiments = _experiments(est, unit)
    if experiments is not None:
        found["experiments"] = experiments
    if unit == "USD":
        found |= _other_costs(development)
    return found


def _of_lines(est: DevelopmentEstimate, kind: str, unit: Amount, without: str = "") -> Num:
    lines = [line for line in est.development.lines if line.contents == kind and line.name != without]
    totals = [(est.runs[n.name].cost.total if unit == "USD" else est.runs[n.name].gpu_hours) * n.times * n.completed for n in lines]
    return sum(totals, 0.0)


def _failed_runs(est: DevelopmentEstimate, final: str, unit: Amount) -> Num:
    """Failed runs: the listed ones, plus the given share of the final run's wall-clock hours."""
    last = est.runs[final].cost.total if unit == "USD" else est.runs[final].gpu_hours
    return _of_lines(est, "failed", unit) + last * est.development.failed


def _experiments(est: DevelopmentEstimate, unit: Amount) -> Num | None:
    """Experiments: the listed ones, or the given multiple of the final runs; None if neither is given."""
    if est.development.experiments is not None:
        return _of_lines(est, "final", unit) * (est.development.experiments - 1.0)
    listed = any(line.contents == "experiment" for line in est.development.lines)
    return _of_lines(est, "experiment", unit) if listed else None


def _other_costs(development: Development) -> dict[Content, Num]:
    """Costs other than accelerator-hours [USD]."""
    found: dict[Content, Num] = {}
    if development.data is not None:
        found["data"] = development.data.cost().total
    if development.people is not None:
        found["people"] = development.people.cost().total
    if np.any(development.evaluation_usd):
        found["evaluation"] = development.evaluation_usd
    if np.any(development.storage_usd):
        found["infrastructure"] = development.storage_usd
    return found


def label_of(contents: Contents) -> str:
    """Contents as the name of a simulation's output."""
    return "+".join(c for c in CONTENTS if c in contents)


def sums_of(final: str, unit: Amount, scopes: Sequence[Contents]) -> Callable[[Development], Mapping[str, Num]]:
    """Function of a development that returns its amounts at several scopes, on common draws.

    Args:
        final: the line of the final run.
        unit: dollars or hours.
        scopes: sets of contents to add up; contents without a price are left out.
    """
    return partial(_sums, final, unit, tuple(scopes))  # a partial instead of a closure, so that a verdict can be pickled


def _sums(final: str, unit: Amount, scopes: Sequence[Contents], development: Development) -> Mapping[str, Num]:
    parts = amounts_of(final, unit, development)
    return {label_of(scope): sum((parts[c] for c in CONTENTS if c in scope and c in parts), 0.0) for scope in scopes}
