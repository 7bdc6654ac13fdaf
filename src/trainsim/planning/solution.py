"""Solution: the answer of ``solve_for``."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.answer import PLURALS, Answer, AnswerRow, Summary
from ..core.units import human
from ..run.estimate import unit_of
from ..run.run import Run
from ..uncertainty.sampling.simulation import Figure


@dataclass(frozen=True)
class Limit:
    """One limit, evaluated at the value found.

    Args:
        name: name of the quantity.
        limit: its upper limit.
        at: its value, at the requested probability.
        moves: 1 if the quantity increases with the number solved for, -1 if it decreases, 0 if it is constant.
        needed: the smallest limit that would be met; None if the limit is met.
    """

    name: str
    limit: float
    at: float
    moves: int
    needed: float | None = None

    @property
    def slack(self) -> float:
        """Limit minus value, in the quantity's unit."""
        return self.limit - self.at


@dataclass(frozen=True, repr=False)
class Solution(Answer):
    """The value of a number that meets all limits.

    Args:
        run, path, unit: the run, the path of the number solved for, and its unit.
        value: the largest value that meets all limits, if every limited quantity increases with the number; else the smallest; None if no
            value meets them.
        nearest: ``value``, or the value that comes nearest to meeting all limits.
        interval: smallest and largest value that meet all limits; infinite if an end is unlimited; None if no value meets them.
        probability: probability that all limits are met at ``nearest``, with its standard error; None without beliefs.
        standard_error: standard error of the value, over independent randomisations; None without beliefs or for integers.
        limits: each limit, evaluated at ``nearest``.
        binds: the binding limit, or the bounds of the number itself.
        notes: further remarks.

    >>> import trainsim as ts
    >>> run = ts.catalog.run("deepseek-v3").replace({"phases.pretrain.efficiency": ts.MFU(0.3894, flops="half")})
    >>> found = ts.solve_for(run, "phases.pretrain.tokens", {"cost": 5e6})
    >>> found.reached, found.binds, round(found.value / 1e12, 1)
    (True, 'cost', 12.5)
    """

    run: Run
    path: str
    unit: str
    value: float | None
    nearest: float
    interval: tuple[float, float] | None
    probability: Figure | None
    standard_error: float | None
    limits: tuple[Limit, ...]
    binds: str
    notes: tuple[str, ...] = field(default=())

    @property
    def reached(self) -> bool:
        """Whether any value meets all limits."""
        return self.value is not None

    @property
    def solved_run(self) -> Run:
        """The run with the number set to ``nearest``."""
        whole = isinstance(self.run.get(self.path), int)
        return self.run.replace({self.path: int(self.nearest) if whole else self.nearest})

    def summary(self) -> Summary:
        """The value, the probability that all limits are met, and each limit."""
        found = "value" if self.reached else "nearest"
        low, high = self.interval or (None, None)
        chance = (
            []
            if self.probability is None
            else [AnswerRow("probability", "all limits are met with probability", 100 * float(self.probability), "%")]
        )
        rows = [AnswerRow(found, self.path if self.reached else f"{self.path}, the nearest", self.nearest, self.unit), *chance]
        rows += [AnswerRow(one.name, one.name, one.at, unit_of(one.name), grade=f"of {human(one.limit, 4)}") for one in self.limits]
        rows += [
            AnswerRow(f"interval.{end}", f"{end} value that meets all limits", value, self.unit, group="Values that meet all limits")
            for end, value in (("smallest", low), ("largest", high))
        ]
        word = f"{self.binds} binds" if self.reached else "no value meets all limits"
        return Summary(f"what {self.path} may be: {word}", tuple(rows), self.notes, self.run.sources())

    def _text(self) -> str:
        number = f"{self.nearest:,.0f}" if self.unit == "GPU" else human(self.nearest, 4)
        named, phases = self.path.split("."), len(self.run.phases)
        alone = f" in 1 of {phases} phases" if named[0] == "phases" and phases > 1 else ""
        shown = f"{self.path} = {number} {PLURALS.get(self.unit, self.unit)}".strip() + alone
        sure = "" if self.standard_error is None else f" ± {human(self.standard_error, 2)}"
        chance = "" if self.probability is None else f", all limits met with probability {float(self.probability):.3f}"
        head = f"{shown}{sure}{chance}" if self.reached else f"no value meets all limits; the nearest: {shown}{chance}"
        lines = [head]
        for one in self.limits:
            left = "binds" if one.name == self.binds else f"{human(one.slack)} to spare"
            left = left if one.needed is None else f"would have to be {human(one.needed, 4)}"
            lines.append(f"  {one.name:<20}{human(one.at, 4):>10} of {human(one.limit, 4):<10}{left}")
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)])
