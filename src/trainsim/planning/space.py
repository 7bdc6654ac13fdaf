"""The search space of layouts: values of each field, and the rules that reject combinations of them.

Structure (stages, schedule, sharding, recompute …) is looped over. ``tp``, ``cp``, ``ep`` and ``micro_batch`` are axes of arrays of shape
``(tp, cp, ep, micro_batch)``, so that a quantity that depends on one of them is computed once for each value.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cluster.hardware import Cluster
from ..core.errors import SpecError, did_you_mean
from ..model.transformer import Model
from ..parallelism.plan import Plan, check_plan
from ..parallelism.schedules.discovery import schedule_of, schedules

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Structure = Mapping[str, Any]
"""Fields of a plan that are looped over."""

AXES = ("tp", "cp", "ep", "micro_batch")
"""Fields of a plan that are axes of arrays."""
MICRO_BATCHES = (1, 2, 4, 8, 16)
"""Micro-batches that are tried by default [sequence]."""


def divisors(n: int) -> tuple[int, ...]:
    """Divisors of an integer, increasing.

    >>> divisors(12)
    (1, 2, 3, 4, 6, 12)
    """
    low = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    return (*low, *(n // d for d in reversed(low) if d * d != n))


# values ------------------------------------------------------------------------------------------------------------------


def values_of(model: Model, base: Plan, gpus: Sequence[int], given: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Values of each field of a plan that a search tries.

    Degrees are the divisors of the number of accelerators. Numbers of virtual stages are powers of two and divisors of the number of
    layers. All schedules are tried but GPipe, which takes as long as 1F1B and needs more memory. Sequence parallelism is on with tensor
    parallelism. Overlap of expert exchanges is tried on and off if the model has experts. All other fields are as in ``base``. The values
    of ``base`` are always among those tried.

    Args:
        model: the trained model.
        base: the run's own plan.
        gpus: numbers of accelerators.
        given: field → value or values to try instead.

    Raises:
        SpecError: not a field of a plan, or ``dp``, which follows from the others.
    """
    degrees = tuple(sorted({d for n in gpus for d in divisors(n)}))
    usual: dict[str, tuple[Any, ...]] = {name: (getattr(base, name),) for name in Plan.model_fields}
    usual |= {
        "tp": degrees, "cp": degrees, "ep": degrees, "micro_batch": MICRO_BATCHES,
        "pp": tuple(d for d in degrees if d <= model.layers),
        "vpp": tuple(v for v in range(1, model.layers + 1) if model.layers % v == 0 or v & (v - 1) == 0),
        "schedule": tuple(name for name, one in schedules().items() if one.searched),
        "zero": (0, 1, 2, 3),
        "sequence_parallel": ("on",) if base.tp == 1 else ("on", base.sequence_parallel),
        "recompute": ("none", "selective", "full"),
        "expert_overlap": ("off", "on") if model.is_moe else (base.expert_overlap,),
        "stage_layers": ((), base.stage_layers),
        "dp": (None,),
    }  # fmt: skip
    for name in ("vpp", "micro_batch", "schedule"):
        usual[name] = (*usual[name], getattr(base, name))
    for name, values in given.items():
        if name not in Plan.model_fields:
            raise SpecError(f"space.{name}", values, "is not a field of a Plan", did_you_mean(name, Plan.model_fields), "unknown-field")
        if name == "dp":
            raise SpecError("space.dp", values, "follows from gpus, tp, pp and cp", "give those", "conflict")
        usual[name] = tuple(values) if isinstance(values, (list, tuple, range, set, frozenset)) else (values,)
    return {name: tuple(dict.fromkeys(values)) for name, values in usual.items()}


def structures(values: Mapping[str, tuple[Any, ...]]) -> Iterator[Structure]:
    """All combinations of the fields that are not axes, with ``zero`` varying fastest.

    Inconsistent combinations are skipped: several stages per rank need an interleaved schedule; a pipeline of one rank has one schedule;
        expert exchanges overlap only if the schedule pairs them with another pass.
    """
    loops = [*(name for name in values if name not in (*AXES, "zero")), "zero"]
    usual = Plan.model_fields["schedule"].default
    alone = usual if usual in values["schedule"] else values["schedule"][0]
    for combination in product(*(values[name] for name in loops)):
        made = dict(zip(loops, combination, strict=True))
        rule = schedule_of(made["schedule"])
        virtual = (made["vpp"] > 1) == (rule.stages_per_rank is None)
        beside = made["expert_overlap"] == "off" or rule.pass_beside(made["pp"])
        if beside and (virtual if made["pp"] > 1 else made["schedule"] == alone and made["vpp"] == 1):
            yield made


# rules -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayoutGrid:
    """All layouts of one structure on a number of accelerators, and which of them the rules of a plan allow.

    Args:
        model, cluster: the model, and the cluster without regard to its size.
        gpus: accelerators.
        seq_len: sequence length [token].
        batch: sequences per optimizer step [sequence].
        axes: values of tp, cp, ep and micro_batch.
    """

    model: Model
    cluster: Cluster
    gpus: int
    seq_len: float
    batch: float
    axes: Mapping[str, tuple[int, ...]]

    @cached_property
    def degrees(self) -> dict[str, Array]:
        """Degrees along their axes: tp ``(t, 1, 1, 1)``, cp ``(1, c, 1, 1)``, ep ``(1, 1, e, 1)``, micro_batch ``(1, 1, 1, m)``."""
        return {name: np.array(self.axes[name], dtype=np.float64).reshape(np.roll((-1, 1, 1, 1), i)) for i, name in enumerate(AXES)}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the grid."""
        return tuple(len(self.axes[name]) for name in AXES)

    def data_parallel(self, pp: int) -> Array:
        """Data-parallel degree from tp, pp and cp; not an integer if their product doesn't divide the accelerators."""
        dp: Array = self.gpus / (self.degrees["tp"] * self.degrees["cp"] * pp)
        return dp

    @cached_property
    def _found(self) -> dict[tuple[Any, ...], tuple[Mask, Counter[str]]]:
        return {}

    @cached_property
    def _asked(self) -> dict[int | None, dict[str, Mask]]:
        return {}

    def possible(self, structure: Structure) -> tuple[Mask, Counter[str]]:
        """Mask of the layouts that the rules of a plan and its schedule allow, and the number of layouts that each rule rejects.

        A layout that breaks several rules is counted at the first. The rules are those of :func:`~trainsim.parallelism.plan.check_plan`.
        """
        key = tuple(structure[name] for name in ("pp", "vpp", "schedule", "expert_tp", "shard", "stage_layers"))
        if key not in self._found:
            self._found[key] = self._possible(structure)
        return self._found[key]

    def _possible(self, structure: Structure) -> tuple[Mask, Counter[str]]:
        refused = self._structure_error(structure)
        if refused is not None:
            return np.zeros(self.shape, dtype=bool), Counter({refused: math.prod(self.shape)})
        if structure["expert_tp"] not in self._asked:
            self._asked[structure["expert_tp"]] = self._layer_rules(structure["expert_tp"])
        rules = [*self._asked[structure["expert_tp"]].items(), *self._divisibility_rules(structure)]
        allowed, counts = apply_rules(rules, self.shape)
        if structure["pp"] > 1:
            micro_batches = self.batch / (self.data_parallel(structure["pp"]) * self.degrees["micro_batch"])
            ordered = list(_schedule_rules(structure, np.broadcast_to(micro_batches, self.shape), allowed))
            allowed, more = apply_rules(ordered, self.shape, allowed)
            counts += more
        return allowed, counts

    def _structure_error(self, structure: Structure) -> str | None:
        """The rule that the structure breaks whatever the degrees; None if it breaks none."""
        try:
            plan = Plan(**structure)
            least = plan.pp * math.lcm(plan.shard or 1, plan.expert_tp or 1)
            check_plan(plan, self.model, least)
        except SpecError as error:
            return rule_text(error)
        return None

    def _layer_rules(self, expert_tp: int | None) -> dict[str, Mask]:
        """Rules of the model's layers for each pair of tp and ep, checked on the smallest number of accelerators for that pair."""
        found: dict[str, Mask] = {}
        for t, tp in enumerate(self.axes["tp"]):
            for e, ep in enumerate(self.axes["ep"]):
                plan = Plan(tp=tp, ep=ep, expert_tp=expert_tp)
                try:
                    check_plan(plan, self.model, tp * ep * plan.expert_tp_degree)
                except SpecError as error:
                    found.setdefault(rule_text(error), np.ones((self.shape[0], 1, self.shape[2], 1), dtype=bool))[t, 0, e, 0] = False
        return found

    def _divisibility_rules(self, structure: Structure) -> Iterator[tuple[str, Mask]]:
        """Rules of divisibility."""
        d, pp, shard = self.degrees, structure["pp"], structure["shard"]
        expert_tp = expert_tp_of(structure["expert_tp"], d)
        dp = self.data_parallel(pp)
        yield f"plan.tp·pp·cp does not divide cluster.gpus={self.gpus}", dp % 1 == 0
        yield "plan.ep does not divide the ranks of one pipeline stage", self.gpus / pp % (d["ep"] * expert_tp) == 0
        if shard is not None:
            yield f"plan.shard={shard} does not divide the data-parallel ranks", dp * d["cp"] % shard == 0
        yield f"plan.cp does not divide seq_len={self.seq_len:g}", self.seq_len % d["cp"] == 0
        yield f"batch={self.batch:g} is not a multiple of plan.dp·micro_batch", self.batch % (dp * d["micro_batch"]) == 0


def expert_tp_of(expert_tp: int | None, degrees: Mapping[str, Array]) -> Array:
    """Tensor-parallel degree of the experts, as in :attr:`Plan.expert_tp_degree`."""
    return np.where(degrees["ep"] == 1, degrees["tp"], 1.0) if expert_tp is None else np.full_like(degrees["ep"], expert_tp)


def _schedule_rules(structure: Structure, micro_batches: Array, allowed: Mask) -> Iterator[tuple[str, Mask]]:
    """Rules of the schedule for each number of micro-batches."""
    for count in np.unique(micro_batches[allowed]):
        try:
            schedule_of(structure["schedule"]).check(structure["pp"], structure["vpp"], int(count))
        except SpecError as error:
            yield rule_text(error), micro_batches != count


def apply_rules(rules: Sequence[tuple[str, Mask]], shape: tuple[int, ...], allowed: Mask | None = None) -> tuple[Mask, Counter[str]]:
    """Mask of the layouts that all rules allow, and the number that each rule rejects among layouts that passed the rules before it."""
    counts: Counter[str] = Counter()
    allowed = np.ones(shape, dtype=bool) if allowed is None else allowed
    for rule, holds in rules:
        after = allowed & holds
        counts[rule] += int(np.count_nonzero(allowed)) - int(np.count_nonzero(after))
        allowed = after
    return allowed, counts


def rule_text(error: SpecError) -> str:
    """The broken rule in words, without the value that broke it."""
    return f"{error.path} {error.rule}".removeprefix("plan.").strip()
