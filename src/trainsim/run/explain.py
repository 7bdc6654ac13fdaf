"""explain: trace a line of an estimate to its inputs and their sources, or an input to the lines that depend on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any

import numpy as np

from ..core.answer import Answer, AnswerRow, Summary
from ..core.citations import judged
from ..core.errors import PathError, check_type, did_you_mean
from ..core.ledger import Ledger
from ..core.spec import Spec
from ..core.units import SECONDS_PER_HOUR, human
from ..model.conventions import convention_of
from ..model.ops import Attend, Entry, Lookup, MatMul
from .development import Development, DevelopmentEstimate, estimate_development
from .elasticity import InputEffects, input_effects
from .estimate import QUANTITIES, Estimate, PhaseEstimate, estimate
from .fleet import Fleet, FleetEstimate, estimate_fleet


@dataclass(frozen=True)
class Origin:
    """One step of an explanation: name, value, unit, derivation, and source of its input."""

    name: str
    value: float
    unit: str
    how: str
    source: str = ""

    def __str__(self) -> str:
        source = f"   [{self.source}]" if self.source else ""
        return f"{self.name:<22}{human(self.value, 5):>9} {self.unit.removeprefix('1'):<10} {self.how}{source}"


@dataclass(frozen=True, repr=False)
class Explanation(Answer):
    """Explanation of a line of an estimate, or of an input.

    Args:
        path, value, unit: path, value and unit of the line or input.
        down: for a line of a run, the steps from it to hours, work and ops; for an input, its source.
        up: path and share of each level above a line.
        judgement: dollars that depend on inputs graded judgement or given by the user [USD or USD/year]; NaN for other units.
        inputs: for a line, all inputs that affect it with their sources, the strongest first.
        dependent_lines: for an input, the largest subtrees of lines that depend wholly on it; ``carries`` is its former name.
    """

    path: str
    value: float
    unit: str
    down: tuple[Origin, ...]
    up: tuple[tuple[str, float], ...]
    judgement: float
    inputs: tuple[Origin, ...] = ()
    dependent_lines: tuple[Origin, ...] = ()

    @property
    def carries(self) -> tuple[Origin, ...]:
        """Former name of ``dependent_lines``."""
        return self.dependent_lines

    def summary(self) -> Summary:
        """The line, its shares of the levels above it, and the inputs that affect it."""
        rows = [AnswerRow(self.path or "cost", self.path or "cost", self.value, self.unit)]
        rows += [AnswerRow(f"of.{path}", f"share of {path}", 100 * share, "%") for path, share in self.up]
        steps = [
            ("Down to its inputs", self.down),
            ("Inputs that affect it, the strongest first", self.inputs),
            ("Lines that depend on it", self.dependent_lines),
        ]
        rows += [
            AnswerRow(f"{g.split()[0].lower()}.{s.name}", s.name, s.value, s.unit, grade=s.how, group=g)
            for g, found in steps
            for s in found
        ]
        judged = [] if np.isnan(self.judgement) else [f"${human(self.judgement)} of it comes from your inputs or from judgement"]
        sources = {s.name: s.source for s in (*self.down, *self.inputs) if s.source}
        return Summary(f"where {self.path or 'cost'} comes from", tuple(rows), tuple(judged), sources)

    def _text(self) -> str:
        tables = [
            ("", self.down),
            ("inputs that affect it, and what a change of each does to it", self.inputs[:SHOWN]),
            ("lines that depend on it, and what a change of it does to them", self.dependent_lines),
        ]
        sources = list(dict.fromkeys(step.source for _, steps in tables for step in steps if step.source))
        fewer = len(self.inputs) - SHOWN
        rest = [f" and {fewer} weaker input{'s' if fewer > 1 else ''}: .inputs"] if fewer > 0 else []
        below = [line for head, steps in tables for line in (*([head] if head and steps else []), *_table(steps, sources))]
        judged = [] if np.isnan(self.judgement) else [f"${human(self.judgement, 5)} of it comes from your inputs or from judgement"]
        return "\n".join(
            [
                f"{self.path} = {human(self.value, 5)} {self.unit.removeprefix('1')}".rstrip(),
                *(f" {share:7.2%} of {path}" for path, share in self.up),
                *below, *rest, *judged, *(f"[{i}]  {source}" for i, source in enumerate(sources, 1)),
            ]
        )  # fmt: skip


SHOWN = 8
"""Number of inputs that are printed."""


def _table(steps: Sequence[Origin], sources: Sequence[str]) -> list[str]:
    """Steps in aligned columns; a source is named by its number."""
    cells = [(step.name, human(step.value, 5), step.unit.removeprefix("1")) for step in steps]
    name, value, unit = (max((len(row[i]) for row in cells), default=0) for i in range(3))
    ends = [f"{step.how}{f' [{sources.index(step.source) + 1}]' if step.source else ''}" for step in steps]
    return [f" {row[0]:<{name}}  {row[1]:>{value}} {row[2]:<{unit}}  {end}" for row, end in zip(cells, ends, strict=True)]


Explainable = Estimate | DevelopmentEstimate | FleetEstimate
"""Estimates that can be explained."""


def explain(est: Explainable, path: str = "") -> Explanation:
    """Explain where a line of an estimate comes from, or which lines depend on an input.

    Dependence is found by changing each input slightly and comparing the lines, so it works for any formula.

    Args:
        est: a point estimate of a run, a development or a fleet.
        path: quantity and line, ``"cost.pretrain.moe.experts.up"``, ``"operation.H800"``; or an input,
            ``"price.usd_per_gpu_hour"``. The whole cost if empty.

    Returns:
        the explanation, step by step.

    Raises:
        PathError: no such quantity, line or input.

    >>> import trainsim as ts
    >>> est = ts.estimate(ts.catalog.run("llama3.1-405b"))
    >>> [step.name for step in explain(est, "cost.pretrain.dense.ffn.up").down][:3]
    ['hours', 'price', 'work']
    >>> [(step.name, f"{step.value / float(est.cost.total):.0%}") for step in explain(est, "price.usd_per_gpu_hour").dependent_lines]
    [('cost', '100%')]
    """
    spec, ledgers = _spec_and_ledgers(est)
    path = path or next(iter(ledgers))
    head, _, rest = path.partition(".")
    if head not in ledgers:
        if head not in type(spec).model_fields:
            known = [*ledgers, *spec.numbers()]
            raise PathError(
                path, path, "is neither a quantity of the estimate nor an input", did_you_mean(path, known, "quantities and inputs")
            )
        return _explain_input(spec, path, ledgers)
    ledger = ledgers[head](est).part(rest)
    found = _input_effects(spec, head).part(rest)
    value, sources = float(np.asarray(ledger.total)), spec.sources()
    names = path.split(".")
    above = [".".join(names[:k]) for k in range(len(names) - 1, 0, -1)]
    up = tuple((p, value / float(np.asarray(ledgers[head](est).part(p.partition(".")[2]).total))) for p in above)
    numbers = spec.numbers()
    inputs = tuple(Origin(p, float(numbers[p][0]), numbers[p][1].symbol, found.effect(p), sources[p]) for p in found.elasticities)
    return Explanation(
        path, value, ledger.unit, tuple(_steps_of_line(est, head, rest)), up, _judgement(found, ledger.unit, sources), inputs
    )


def _steps_of_line(est: Explainable, head: str, rest: str) -> list[Origin]:
    """Steps from a line down to the ops of a run; for a development, of the run that the line belongs to."""
    if isinstance(est, Estimate):
        return _steps_of_run(est, head, rest)
    names = rest.split(".")
    inside = next((i for i, name in enumerate(names) if isinstance(est, DevelopmentEstimate) and name in est.runs), None)
    if inside is None or not isinstance(est, DevelopmentEstimate):
        return []
    line = next(line for line in est.development.lines if line.name == names[inside])
    whole = float(np.asarray(line.times)) * float(np.asarray(line.completed))
    times = (
        []
        if whole == 1.0
        else [Origin("times", whole, "", f"factor on the values below: run {line.times:g} times, {line.completed:.0%} of each completed")]
    )
    return [*times, *_steps_of_run(est.runs[line.name], head, ".".join(names[inside + 1 :]))]


def _explain_input(spec: Spec, path: str, ledgers: Mapping[str, Callable[[Any], Ledger]]) -> Explanation:
    """Explanation of an input."""
    unit, value, source = spec.unit_of(path), float(spec.get(path)), spec.sources()[path]
    dependent_lines = []
    for head in ledgers:
        found = _input_effects(spec, head)
        if path not in found.inputs:
            continue
        how = f"{found.effect(path)} of {head}"
        dependent_lines += [
            Origin(f"{head}.{line}".rstrip("."), x, found.moved.unit, how) for line, x in found.dependent_lines(path).items()
        ]
    dollars = sum(step.value for step in dependent_lines if step.unit == "USD") if judged(source) else 0.0
    return Explanation(
        path, value, unit.symbol, (Origin("source", value, unit.symbol, unit.doc, source),), (), dollars, (), tuple(dependent_lines)
    )


def _spec_and_ledgers(est: Explainable) -> tuple[Spec, Mapping[str, Callable[[Any], Ledger]]]:
    """The spec of an estimate, and its quantities, the cost first."""
    if isinstance(est, DevelopmentEstimate):
        return est.development, _DEVELOPMENT_LEDGERS
    if isinstance(est, FleetEstimate):
        return est.fleet, _FLEET_LEDGERS
    check_type(est, Estimate, "est", "an estimate: ts.explain(ts.estimate(run), path)")
    return est.run, _RUN_LEDGERS


def _quantity(head: str, est: Estimate) -> Ledger:
    """A quantity of a run as a ledger; a quantity without parts is a ledger of one line."""
    found = getattr(est, QUANTITIES[head])
    return found if isinstance(found, Ledger) else Ledger({"wall_days": "day", "mfu": "1"}[head], {head: found})


_RUN_LEDGERS: Mapping[str, Callable[[Any], Ledger]] = {head: partial(_quantity, head) for head in QUANTITIES}
_DEVELOPMENT_LEDGERS: Mapping[str, Callable[[Any], Ledger]] = {"cost": attrgetter("cost"), "gpu_hours": attrgetter("hours")}
_FLEET_LEDGERS: Mapping[str, Callable[[Any], Ledger]] = {
    "over_life": attrgetter("over_life"),
    "capital": attrgetter("capital"),
    "operation": attrgetter("operation"),
}


@lru_cache(maxsize=16)
def _input_effects(spec: Spec, head: str) -> InputEffects:
    """A quantity of a spec's estimate with each input changed in turn."""
    if isinstance(spec, Development):
        return input_effects(spec, lambda s: _DEVELOPMENT_LEDGERS[head](estimate_development(s)))
    if isinstance(spec, Fleet):
        return input_effects(spec, lambda s: _FLEET_LEDGERS[head](estimate_fleet(s)))
    return input_effects(spec, lambda s: _RUN_LEDGERS[head](estimate(s)))


def _steps_of_run(est: Estimate, head: str, rest: str) -> list[Origin]:
    """Steps from cost to hours, work and ops; for a line over several phases, only to hours."""
    steps: list[Origin] = []
    sources = est.sources()
    if head == "cost":
        hours = float(np.asarray(est.hours.part(rest).total))
        steps.append(Origin("hours", hours, "GPU-h", "wall-clock accelerator-hours of the line"))
        steps += [Origin("price", float(v), "USD/GPU-h", n, sources.get(f"price.{_field(est, n)}", "")) for n, v in est.price.lines()]
    phase = est.phases.get(rest.partition(".")[0])
    if phase is None or head not in ("cost", "gpu_hours", "busy_gpu_hours", "flops", "step_time"):
        return steps
    return steps + _steps_of_phase(est, phase, rest.partition(".")[2])


def _field(est: Estimate, part: str) -> str:
    """The field of the price that a part of the price's ledger comes from, if it is a single field."""
    price = est.run.price
    names = [] if price is None else list(type(price).model_fields)
    return next((n for n in names if n.endswith("per_gpu_hour")), part)


def _steps_of_phase(est: Estimate, phase: PhaseEstimate, line: str) -> list[Origin]:
    name, sources = phase.phase.name, est.sources()
    efficiency = f"phases.{name}.efficiency" if phase.phase.efficiency is not None else "efficiency"
    given = {p: s for p, s in sources.items() if p.startswith(efficiency)}
    busy = float(np.asarray(phase.busy_gpu_seconds)) / SECONDS_PER_HOUR
    how = f"given: {', '.join(given) or efficiency}" if phase.modelled is None else f"modelled: {efficiency}.stack"
    source = next(iter(given.values()), "")
    if phase.flops is None:
        return [Origin("busy hours", busy, "GPU-h", how, source)]
    down = float(np.asarray(phase.gpu_seconds)) / SECONDS_PER_HOUR - busy
    downtime = Origin("downtime of phase", down, "GPU-h", "a separate line", sources.get("reliability.goodput", ""))
    if line == "downtime":
        return [downtime]
    work = phase.flops.part(line) if line and line in phase.flops else phase.flops
    flop = float(np.asarray(work.total))
    tokens = float(np.asarray(phase.phase.tokens))
    convention = (phase.phase.efficiency or est.run.efficiency).counting[0]  # type: ignore[union-attr]
    steps = [
        Origin(
            "work", flop, "FLOP", f"{human(flop / tokens, 5)} FLOP/token × {human(tokens)} tokens", sources.get(f"phases.{name}.tokens", "")
        ),
        Origin("counted as", flop / tokens, "FLOP/token", f"{convention}: {convention_of(convention).source}", sources.get("model", "")),
        Origin(
            "busy hours",
            busy * flop / float(np.asarray(phase.flops.total)),
            "GPU-h",
            f"the line's share of the phase; {how}",
            source,
        ),
    ]
    return [*steps, *([downtime] if not line else []), *(Origin("op", _stored(e), "parameter", _shape(e)) for e in _ops(est, line))]


def _ops(est: Estimate, line: str) -> list[Entry]:
    """The ops under a line: those whose path contains its names in order."""
    names = [n for n in line.split(".") if n not in ("forward", "backward", "")]
    return [e for e in est.run.model.table.entries if names and not e.mtp and _is_subsequence(e.path, names)]


def _is_subsequence(path: tuple[str, ...], names: list[str]) -> bool:
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
            met = f", {op.top_k:g} of {op.experts} per token" if op.experts > 1 else ""
            return f"{where}{op.inner:,} × {op.cols:,}{met}"
        case Attend():
            return f"{where}{op.heads:g} heads, {op.d_qk} wide keys, {op.d_v} wide values, {type(op.mask).__name__}"
        case _:
            return f"{where}{type(op).__name__}"


def _judgement(found: InputEffects, unit: str, sources: Mapping[str, str]) -> float:
    """Dollars of the lines that depend on inputs graded judgement; NaN for other units."""
    judgements = [path for path, source in sources.items() if judged(source)]
    return sum(found.dependent_lines(*judgements).values()) if unit in ("USD", "USD/year") else float("nan")


__all__ = ["Explanation", "Origin", "explain", "judged"]
