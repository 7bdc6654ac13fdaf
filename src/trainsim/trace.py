"""Tracing an answer: from a line of an estimate down to the inputs and their sources, and up to the whole."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from .journey import QUANTITIES, Estimate, PhaseEstimate
from .ledger import Ledger
from .model.counting import CONVENTIONS
from .model.ops import Attend, Entry, Lookup, MatMul
from .units import SECONDS_PER_HOUR, human

_GRADE = re.compile(r"\(\d{4}-\d{2}-\d{2}, ([a-z]+)")


@dataclass(frozen=True)
class Step:
    """One step of a trace: what it is, its value and unit, how it follows, and where its input came from."""

    name: str
    value: float
    unit: str
    how: str
    source: str = ""

    def __str__(self) -> str:
        source = f"   [{self.source}]" if self.source else ""
        return f"{self.name:<22}{human(self.value, 5):>9} {self.unit:<10} {self.how}{source}"


@dataclass(frozen=True)
class Explanation:
    """A line of an estimate, traced both ways.

    Args:
        path, value, unit: the line.
        down: steps from the line to its inputs.
        up: (path, share) of each level above it.
        judgement: dollars of the line that rest on an input graded judgement or given by the user [USD]; NaN for another unit.
    """

    path: str
    value: float
    unit: str
    down: tuple[Step, ...]
    up: tuple[tuple[str, float], ...]
    judgement: float

    def __str__(self) -> str:
        head = f"{self.path} = {human(self.value, 5)} {self.unit}"
        above = [f"  {share:7.2%} of {path}" for path, share in self.up]
        below = [f"  {step}" for step in self.down]
        judged = [] if np.isnan(self.judgement) else [f"  ${human(self.judgement, 5)} of it rest on judgement or on what the user gave"]
        return "\n".join([head, *above, *below, *judged])


def explain(est: Estimate, path: str = "cost") -> Explanation:
    """Where a line of an estimate comes from, and what it is a part of.

    Args:
        est: an estimate of scalars (a point).
        path: quantity and line: ``"cost.pretrain.moe.experts.up"``.

    Raises:
        PathError: no such quantity or line.

    >>> import trainsim as ts
    >>> est = ts.estimate(ts.catalog.run("llama3.1-405b"))
    >>> [step.name for step in explain(est, "cost.pretrain.dense.ffn.up").down][:3]
    ['hours', 'price', 'work']
    """
    value = float(np.asarray(est.quantity(path)))
    head, _, rest = path.partition(".")
    ledger = getattr(est, QUANTITIES[head])
    unit = ledger.unit if isinstance(ledger, Ledger) else {"wall_days": "day", "mfu": "1"}[head]
    return Explanation(path, value, unit, tuple(_down(est, head, rest)), tuple(_up(est, path, value)), _judgement(est, head, rest, value))


def _up(est: Estimate, path: str, value: float) -> list[tuple[str, float]]:
    names = path.split(".")
    above = [".".join(names[:k]) for k in range(len(names) - 1, 0, -1)]
    return [(p, value / float(np.asarray(est.quantity(p)))) for p in above]


def _down(est: Estimate, head: str, rest: str) -> list[Step]:
    """From dollars to hours to work to the ops; a line of several phases stops at hours."""
    steps: list[Step] = []
    sources = est.sources()
    if head == "cost":
        hours = float(np.asarray(est.hours.part(rest).total))
        steps.append(Step("hours", hours, "GPU-h", "wall-clock accelerator-hours of the line"))
        steps += [Step("price", float(v), "USD/GPU-h", n, sources.get(f"price.{_field(est, n)}", "")) for n, v in est.price.lines()]
    phase = est.phases.get(rest.partition(".")[0])
    if phase is None or head not in ("cost", "gpu_hours", "busy_gpu_hours", "flops", "step_time"):
        return steps
    return steps + _phase(est, phase, rest.partition(".")[2])


def _field(est: Estimate, part: str) -> str:
    """The field of the price a part of its ledger comes from, where it is one field."""
    price = est.run.price
    names = [] if price is None else list(type(price).model_fields)
    return next((n for n in names if n.endswith("per_gpu_hour")), part)


def _phase(est: Estimate, phase: PhaseEstimate, line: str) -> list[Step]:
    name, sources = phase.phase.name, est.sources()
    told = f"phases.{name}.efficiency" if phase.phase.efficiency is not None else "efficiency"
    given = {p: s for p, s in sources.items() if p.startswith(told)}
    busy = float(np.asarray(phase.busy_gpu_seconds)) / SECONDS_PER_HOUR
    how = f"told: {', '.join(given) or told}"
    source = next(iter(given.values()), "")
    if phase.flops is None:
        return [Step("busy hours", busy, "GPU-h", how, source)]
    down = float(np.asarray(phase.gpu_seconds)) / SECONDS_PER_HOUR - busy
    waiting = Step("downtime of phase", down, "GPU-h", "a line of its own", sources.get("reliability.goodput", ""))
    if line == "downtime":
        return [waiting]
    work = phase.flops.part(line) if line and line in phase.flops else phase.flops
    flop = float(np.asarray(work.total))
    tokens = float(np.asarray(phase.phase.tokens))
    convention = (phase.phase.efficiency or est.run.efficiency).counting[0]  # type: ignore[union-attr]
    steps = [
        Step(
            "work", flop, "FLOP", f"{human(flop / tokens, 5)} FLOP/token × {human(tokens)} tokens", sources.get(f"phases.{name}.tokens", "")
        ),
        Step("counted as", flop / tokens, "FLOP/token", f"{convention}: {CONVENTIONS[convention].source}", sources.get("model", "")),
        Step("busy hours", busy * flop / float(np.asarray(phase.flops.total)), "GPU-h", f"the line's share of the phase's; {how}", source),
    ]
    return [*steps, *([waiting] if not line else []), *(Step("op", _stored(e), "parameter", _shape(e)) for e in _ops(est, line))]


def _ops(est: Estimate, line: str) -> list[Entry]:
    """The ops under a line: those whose path holds its names in order."""
    names = [n for n in line.split(".") if n not in ("forward", "backward", "")]
    return [e for e in est.run.model.table.entries if names and not e.mtp and _holds(e.path, names)]


def _holds(path: tuple[str, ...], names: list[str]) -> bool:
    here = iter(path)
    return all(name in here for name in names)


def _stored(entry: Entry) -> float:
    table = entry.op
    if isinstance(table, MatMul):
        return float(entry.count * table.experts * (table.inner * table.cols + table.bias) * table.weight * (not table.tied))
    return float(entry.count * table.rows * table.width) if isinstance(table, Lookup) else 0.0


def _shape(entry: Entry) -> str:
    where, op = f"{entry.count} × {'.'.join(entry.path)}: ", entry.op
    match op:
        case MatMul():
            met = f", {op.top_k:g} of {op.experts} met by a token" if op.experts > 1 else ""
            return f"{where}{op.inner:,} × {op.cols:,}{met}"
        case Attend():
            return f"{where}{op.heads:g} heads, {op.d_qk} wide keys, {op.d_v} wide values, {type(op.mask).__name__}"
        case _:
            return f"{where}{type(op).__name__}"


def _judgement(est: Estimate, head: str, rest: str, value: float) -> float:
    """Dollars of a line that rest on judgement: all of it if the price does, its downtime if the goodput does."""
    if head != "cost":
        return float("nan")
    unsure = {path for path, source in est.sources().items() if judged(source)}
    if any(path.startswith(("price", "efficiency")) for path in unsure):
        return value
    line = est.cost.part(rest) if rest else est.cost
    down = float(np.asarray(line.part("downtime").total)) if "downtime" in line else 0.0
    return down if any(path.startswith("reliability") for path in unsure) else 0.0


def judged(source: str) -> bool:
    """Whether a source is judgement: a row of that grade, or what the user gave.

    >>> judged("given by the user"), judged("An index (2024-12-31, market) [prices/x]")
    (True, False)
    """
    grade = _GRADE.search(source)
    return source == "given by the user" or (grade is not None and grade.group(1) == "judgement")


__all__ = ["Explanation", "Step", "explain", "judged"]
