"""Tracing an answer: from a line of an estimate down to the inputs and their sources, up to the whole, and from an input to its dollars."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any

import numpy as np

from ..core.answer import Answer, AnswerRow, Summary
from ..core.citations import row_grade
from ..core.errors import PathError, did_you_mean
from ..core.ledger import Ledger
from ..core.spec import BY_USER, Spec
from ..core.units import SECONDS_PER_HOUR, human
from ..model.conventions import convention_of
from ..model.ops import Attend, Entry, Lookup, MatMul
from .development import Development, DevelopmentEstimate, estimate_development
from .elasticity import Dependence, dependence
from .estimate import QUANTITIES, Estimate, PhaseEstimate, estimate
from .fleet import Fleet, FleetEstimate, estimate_fleet


@dataclass(frozen=True)
class Origin:
    """One step of a trace: what it is, its value and unit, how it follows, and where its input came from."""

    name: str
    value: float
    unit: str
    how: str
    source: str = ""

    def __str__(self) -> str:
        source = f"   [{self.source}]" if self.source else ""
        return f"{self.name:<22}{human(self.value, 5):>9} {self.unit:<10} {self.how}{source}"


@dataclass(frozen=True, repr=False)
class Explanation(Answer):
    """A line of an estimate traced down to its inputs, or an input traced up to the lines that depend on it.

    Args:
        path, value, unit: the line, or the input.
        down: of a line of a run, the steps from it to hours, work and ops; of an input, where it came from.
        up: (path, share) of each level above a line.
        judgement: dollars that depend on an input graded judgement or given by the user [USD], a year of them [USD/year]; NaN else.
        inputs: of a line, every input that moves it, the strongest first, with its source.
        carries: of an input, the highest lines of which every part depends on it.
    """

    path: str
    value: float
    unit: str
    down: tuple[Origin, ...]
    up: tuple[tuple[str, float], ...]
    judgement: float
    inputs: tuple[Origin, ...] = ()
    carries: tuple[Origin, ...] = ()

    def summary(self) -> Summary:
        """The line, the shares of what holds it, and the inputs that move it."""
        rows = [AnswerRow(self.path or "cost", self.path or "cost", self.value, self.unit)]
        rows += [AnswerRow(f"of.{path}", f"share of {path}", 100 * share, "%") for path, share in self.up]
        steps = [
            ("Down to its inputs", self.down),
            ("Inputs that move it, the strongest first", self.inputs),
            ("Lines that depend on it", self.carries),
        ]
        rows += [
            AnswerRow(f"{g.split()[0].lower()}.{s.name}", s.name, s.value, s.unit, grade=s.how, group=g)
            for g, found in steps
            for s in found
        ]
        judged = [] if np.isnan(self.judgement) else [f"${human(self.judgement)} of it depend on judgement or on what the user gave"]
        sources = {s.name: s.source for s in (*self.down, *self.inputs) if s.source}
        return Summary(f"where {self.path or 'cost'} comes from", tuple(rows), tuple(judged), sources)

    def __str__(self) -> str:
        head = f"{self.path} = {human(self.value, 5)} {self.unit}"
        above = [f"  {share:7.2%} of {path}" for path, share in self.up]
        fewer = len(self.inputs) - SHOWN
        rest = [f"  and {fewer} weaker input{'s' if fewer > 1 else ''}: .inputs"] if fewer > 0 else []
        below = [*_table(self.down), *_table(self.inputs[:SHOWN]), *rest, *_table(self.carries)]
        judged = [] if np.isnan(self.judgement) else [f"  ${human(self.judgement, 5)} of it rest on judgement or on what the user gave"]
        return "\n".join([head, *above, *below, *judged])


SHOWN = 8
"""Inputs that get a line each."""


def _table(steps: Sequence[Origin]) -> list[str]:
    wide = max((len(step.name) for step in steps), default=0)
    return [f"  {step.name:<{wide}}{str(step)[max(22, len(step.name)) :]}" for step in steps]


Traced = Estimate | DevelopmentEstimate | FleetEstimate
"""What can be explained."""


def explain(est: Traced, path: str = "") -> Explanation:
    """Where a line of an estimate comes from, and what it is a part of; or which lines depend on an input.

    What depends on an input is found by moving each input a little and reading off which lines move: it holds for any formula.

    Args:
        est: an estimate of scalars (a point), of a run, a development or a fleet.
        path: quantity and line, ``"cost.pretrain.moe.experts.up"``, ``"operation.H800"``; or an input,
            ``"price.usd_per_gpu_hour"``. All dollars where empty.

    Returns:
        the explanation, step by step.

    Raises:
        PathError: no such quantity, line or input.

    >>> import trainsim as ts
    >>> est = ts.estimate(ts.catalog.run("llama3.1-405b"))
    >>> [step.name for step in explain(est, "cost.pretrain.dense.ffn.up").down][:3]
    ['hours', 'price', 'work']
    >>> [(step.name, f"{step.value / float(est.cost.total):.0%}") for step in explain(est, "price.usd_per_gpu_hour").carries]
    [('cost', '100%')]
    """
    spec, ledgers = _answers(est)
    path = path or next(iter(ledgers))
    head, _, rest = path.partition(".")
    if head not in ledgers:
        if head not in type(spec).model_fields:
            known = [*ledgers, *spec.numbers()]
            raise PathError(path, path, "is no quantity of an estimate and no input", did_you_mean(path, known, "quantities and inputs"))
        return _input(spec, path, ledgers)
    ledger = ledgers[head](est).part(rest)
    found = _dependence(spec, head).part(rest)
    value, sources = float(np.asarray(ledger.total)), spec.sources()
    names = path.split(".")
    above = [".".join(names[:k]) for k in range(len(names) - 1, 0, -1)]
    up = tuple((p, value / float(np.asarray(ledgers[head](est).part(p.partition(".")[2]).total))) for p in above)
    numbers = spec.numbers()
    inputs = tuple(Origin(p, float(numbers[p][0]), numbers[p][1].symbol, found.effect(p), sources[p]) for p in found.elasticities)
    return Explanation(path, value, ledger.unit, tuple(_steps(est, head, rest)), up, _judgement(found, ledger.unit, sources), inputs)


def _steps(est: Traced, head: str, rest: str) -> list[Origin]:
    """Steps from a line down to the ops of a run; a line of a development leads into the run it is of."""
    if isinstance(est, Estimate):
        return _down(est, head, rest)
    names = rest.split(".")
    inside = next((i for i, name in enumerate(names) if isinstance(est, DevelopmentEstimate) and name in est.runs), None)
    if inside is None or not isinstance(est, DevelopmentEstimate):
        return []
    line = next(line for line in est.development.lines if line.name == names[inside])
    whole = float(np.asarray(line.times)) * float(np.asarray(line.completed))
    times = (
        []
        if whole == 1.0
        else [Origin("times", whole, "", f"of what follows: run {line.times:g} times, {line.completed:.0%} of each done")]
    )
    return [*times, *_down(est.runs[line.name], head, ".".join(names[inside + 1 :]))]


def _input(spec: Spec, path: str, ledgers: Mapping[str, Callable[[Any], Ledger]]) -> Explanation:
    """What depends on an input."""
    unit, value, source = spec.unit_of(path), float(spec.get(path)), spec.sources()[path]
    carries = []
    for head in ledgers:
        found = _dependence(spec, head)
        if path not in found.inputs:
            continue
        how = f"{found.effect(path)} of {head}"
        carries += [Origin(f"{head}.{line}".rstrip("."), x, found.moved.unit, how) for line, x in found.carries(path).items()]
    dollars = sum(step.value for step in carries if step.unit == "USD") if judged(source) else 0.0
    return Explanation(path, value, unit.symbol, (Origin("source", value, unit.symbol, unit.doc, source),), (), dollars, (), tuple(carries))


def _answers(est: Traced) -> tuple[Spec, Mapping[str, Callable[[Any], Ledger]]]:
    """The spec behind an estimate, and its quantities, dollars first."""
    if isinstance(est, DevelopmentEstimate):
        return est.development, _OF_DEVELOPMENT
    if isinstance(est, FleetEstimate):
        return est.fleet, _OF_FLEET
    return est.run, _OF_RUN


def _quantity(head: str, est: Estimate) -> Ledger:
    """A quantity of a run as a ledger; one without parts is a ledger of itself."""
    found = getattr(est, QUANTITIES[head])
    return found if isinstance(found, Ledger) else Ledger({"wall_days": "day", "mfu": "1"}[head], {head: found})


_OF_RUN: Mapping[str, Callable[[Any], Ledger]] = {head: partial(_quantity, head) for head in QUANTITIES}
_OF_DEVELOPMENT: Mapping[str, Callable[[Any], Ledger]] = {"cost": attrgetter("cost"), "gpu_hours": attrgetter("hours")}
_OF_FLEET: Mapping[str, Callable[[Any], Ledger]] = {
    "over_life": attrgetter("over_life"),
    "capital": attrgetter("capital"),
    "operation": attrgetter("operation"),
}


@lru_cache(maxsize=16)
def _dependence(spec: Spec, head: str) -> Dependence:
    """Every input of a spec moved, and a quantity of its estimate read."""
    if isinstance(spec, Development):
        return dependence(spec, lambda s: _OF_DEVELOPMENT[head](estimate_development(s)))
    if isinstance(spec, Fleet):
        return dependence(spec, lambda s: _OF_FLEET[head](estimate_fleet(s)))
    return dependence(spec, lambda s: _OF_RUN[head](estimate(s)))


def _down(est: Estimate, head: str, rest: str) -> list[Origin]:
    """From dollars to hours to work to the ops; a line of several phases stops at hours."""
    steps: list[Origin] = []
    sources = est.sources()
    if head == "cost":
        hours = float(np.asarray(est.hours.part(rest).total))
        steps.append(Origin("hours", hours, "GPU-h", "wall-clock accelerator-hours of the line"))
        steps += [Origin("price", float(v), "USD/GPU-h", n, sources.get(f"price.{_field(est, n)}", "")) for n, v in est.price.lines()]
    phase = est.phases.get(rest.partition(".")[0])
    if phase is None or head not in ("cost", "gpu_hours", "busy_gpu_hours", "flops", "step_time"):
        return steps
    return steps + _phase(est, phase, rest.partition(".")[2])


def _field(est: Estimate, part: str) -> str:
    """The field of the price a part of its ledger comes from, where it is one field."""
    price = est.run.price
    names = [] if price is None else list(type(price).model_fields)
    return next((n for n in names if n.endswith("per_gpu_hour")), part)


def _phase(est: Estimate, phase: PhaseEstimate, line: str) -> list[Origin]:
    name, sources = phase.phase.name, est.sources()
    told = f"phases.{name}.efficiency" if phase.phase.efficiency is not None else "efficiency"
    given = {p: s for p, s in sources.items() if p.startswith(told)}
    busy = float(np.asarray(phase.busy_gpu_seconds)) / SECONDS_PER_HOUR
    how = f"told: {', '.join(given) or told}" if phase.modelled is None else f"modelled: {told}.stack"
    source = next(iter(given.values()), "")
    if phase.flops is None:
        return [Origin("busy hours", busy, "GPU-h", how, source)]
    down = float(np.asarray(phase.gpu_seconds)) / SECONDS_PER_HOUR - busy
    waiting = Origin("downtime of phase", down, "GPU-h", "a line of its own", sources.get("reliability.goodput", ""))
    if line == "downtime":
        return [waiting]
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
            "busy hours", busy * flop / float(np.asarray(phase.flops.total)), "GPU-h", f"the line's share of the phase's; {how}", source
        ),
    ]
    return [*steps, *([waiting] if not line else []), *(Origin("op", _stored(e), "parameter", _shape(e)) for e in _ops(est, line))]


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


def _judgement(found: Dependence, unit: str, sources: Mapping[str, str]) -> float:
    """Dollars that move with an input that is judgement: a line the formula splits off, its downtime, may alone depend on it."""
    unsure = [path for path, source in sources.items() if judged(source)]
    return sum(found.carries(*unsure).values()) if unit in ("USD", "USD/year") else float("nan")


def judged(source: str) -> bool:
    """Whether a source is judgement: a row of that grade, or what the user gave.

    >>> judged("given by the user"), judged("An index (2024-12-31, market) [prices/x]")
    (True, False)
    """
    return source == BY_USER or row_grade(source) == "judgement"


__all__ = ["Explanation", "Origin", "explain", "judged"]
