"""Find the layouts that fit with the fewest changes of a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..core.errors import SpecError
from ..gpu_memory.fit import fit_word, spread_for
from ..gpu_memory.peak import peak_memory
from ..parallelism.layout import degrees_of
from ..parallelism.plan import Plan, check_plan, micro_batches
from .inputs import Inputs

Changes = dict[str, Any]
MOVES: tuple[Callable[[Plan], Changes], ...] = (
    lambda plan: {"zero": plan.zero + 1} if plan.zero < 3 else {},
    lambda plan: {"micro_batch": plan.micro_batch // 2} if plan.micro_batch % 2 == 0 else {},
    lambda plan: {"recompute": "full"} if plan.recompute != "full" else {},
    lambda plan: {"sequence_parallel": "on"} if plan.tp > 1 and plan.sequence_parallel == "off" else {},
    lambda plan: {"ep": 2 * plan.ep},
    lambda plan: {"tp": 2 * plan.tp},
    lambda plan: {"pp": 2 * plan.pp},
    lambda plan: {"cp": 2 * plan.cp},
)
"""Changes of a plan that save memory, roughly by increasing cost in time; none if the plan already has the setting."""
MAX_CHANGES = 4
"""Largest number of changes that are combined."""


def nearest_layouts(found: Inputs, count: int = 3) -> tuple[Plan, ...]:
    """Layouts that fit after the fewest changes of the plan, up to ``count`` of them.

    Args:
        found: the inputs of the phase, with the plan to change.
        count: largest number of layouts to return.

    Returns:
        plans that fit; empty if ``MAX_CHANGES`` changes do not suffice.
    """
    fitting: list[Plan] = []
    seen, edge = {found.plan}, [found.plan]
    for _ in range(MAX_CHANGES):
        edge = [plan for plan in dict.fromkeys(made for each in edge for made in _changed(each, found)) if plan not in seen]
        seen.update(edge)
        fitting += [plan for plan in edge if _fits(plan, found)]
        if len(fitting) >= count:
            break
    return tuple(fitting[:count])


def _changed(plan: Plan, found: Inputs) -> Iterator[Plan]:
    """Plans one change away that the model, the cluster and the batch allow."""
    for move in MOVES:
        changes = move(plan)
        try:
            made = plan.replace(changes)
            check_plan(made, found.model, found.cluster.gpus)
            micro_batches(made, float(found.batch), found.cluster.gpus)
        except SpecError:
            continue
        if changes:
            yield made


def _fits(plan: Plan, found: Inputs) -> bool:
    degrees = degrees_of(plan, found.cluster.gpus, found.seq_len)
    used = float(peak_memory(found.model, plan, degrees, degrees.micro_batches(found.batch)))
    return fit_word(used, float(found.cluster.chip.memory), spread_for(found.model)) == "fits"
