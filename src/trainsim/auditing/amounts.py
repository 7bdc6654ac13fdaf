"""Hours and dollars of a development by content: a scope's amount is the sum of its contents, each counted once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np

from ..claims.scope import CONTENTS, Content
from ..core.units import SECONDS_PER_HOUR, Num
from ..run.development import Development, DevelopmentEstimate, estimate_development
from ..training.phases import Phase
from ..training.rollouts import Rollouts

Contents = frozenset[str]
Amount = Literal["USD", "GPU-h"]
_EXTENSION = ("extend", "extension", "context", "long")
_POST = ("post", "sft", "rl", "dpo", "ppo", "grpo", "fine", "finetune", "align", "instruct", "r1")


def content_of(phase: Phase) -> Content:
    """Which content of a final run a phase is, by its name; a phase that learns from rollouts is post-training.

    >>> content_of(Phase("extend-32k")), content_of(Phase("pretrain")), content_of(Phase("sft"))
    ('context_extension', 'pretraining', 'post_training')
    """
    words = phase.name.lower().replace("_", "-").split("-")
    if isinstance(phase.efficiency, Rollouts) or words[0] in _POST:
        return "post_training"
    return "context_extension" if words[0] in _EXTENSION else "pretraining"


def amounts_of(final: str, unit: Amount, development: Development) -> dict[Content, Num]:
    """Hours or dollars of each content that a development prices [USD or GPU-h].

    A phase of the final run is given by its reported hours; downtime is what its wall-clock hours add. Failed runs are a share of every
    final run's wall-clock hours, other final runs feed this one.

    Args:
        final: the line of the final run.
        unit: dollars, or accelerator-hours, of which data and people have none.
        development: its numbers may be arrays ``(n,)`` inside a batch.

    Returns:
        content → amount, number or array ``(n,)``; contents that nothing prices are absent.
    """
    est = estimate_development(development)
    last = est.runs[final]
    rate = last.price.total if unit == "USD" else 1.0
    found: dict[Content, Num] = {}
    for phase in last.phases.values():
        content = content_of(phase.phase)
        found[content] = found.get(content, 0.0) + phase.given_gpu_seconds / SECONDS_PER_HOUR * rate
    found["downtime"] = (last.gpu_hours - last.given_gpu_hours) * rate
    found["failed_runs"] = _given_up(est, final, unit)
    found["feeder_runs"] = _of_lines(est, "final", unit, without=final) * (1.0 + development.failed)
    experiments = _experiments(est, unit)
    if experiments is not None:
        found["experiments"] = experiments
    if unit == "USD":
        found |= _beside_compute(development)
    return found


def _of_lines(est: DevelopmentEstimate, kind: str, unit: Amount, without: str = "") -> Num:
    lines = [line for line in est.development.lines if line.contents == kind and line.name != without]
    totals = [(est.runs[n.name].cost.total if unit == "USD" else est.runs[n.name].gpu_hours) * n.times * n.completed for n in lines]
    return sum(totals, 0.0)


def _given_up(est: DevelopmentEstimate, final: str, unit: Amount) -> Num:
    """Failed runs: those listed, and the share of the final run's wall-clock hours."""
    last = est.runs[final].cost.total if unit == "USD" else est.runs[final].gpu_hours
    return _of_lines(est, "failed", unit) + last * est.development.failed


def _experiments(est: DevelopmentEstimate, unit: Amount) -> Num | None:
    """Experiments: those listed, or a multiple of the final runs; None where the development gives neither."""
    if est.development.experiments is not None:
        return _of_lines(est, "final", unit) * (est.development.experiments - 1.0)
    listed = any(line.contents == "experiment" for line in est.development.lines)
    return _of_lines(est, "experiment", unit) if listed else None


def _beside_compute(development: Development) -> dict[Content, Num]:
    """Dollars that no accelerator-hour carries [USD]."""
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
    """The function of a development that gives its amount at several scopes, on common draws.

    Args:
        final: the line of the final run; unit: dollars or hours; scopes: contents to add up, those that nothing prices left out.
    """
    return partial(_sums, final, unit, tuple(scopes))  # no closure: a verdict travels between processes


def _sums(final: str, unit: Amount, scopes: Sequence[Contents], development: Development) -> Mapping[str, Num]:
    parts = amounts_of(final, unit, development)
    return {label_of(scope): sum((parts[c] for c in CONTENTS if c in scope and c in parts), 0.0) for scope in scopes}
