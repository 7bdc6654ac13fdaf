"""The ladder of scopes: cost of a development as contents are added step by step, with grades."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..claims.scope import CONTENTS
from ..core.units import human
from ..run.development import estimate_development
from ..uncertainty.sampling.simulation import Figure, Simulation
from .amounts import Contents, label_of
from .predictions import STEPS, Priced

LABELS: Mapping[Contents, str] = dict(
    zip(
        STEPS,
        (
            "the final run", "+ downtime, failed runs", "+ runs that feed it", "+ experiments", "+ data", "+ evaluation, storage",
            "+ people = the model",
        ),
        strict=True,
    )
)  # fmt: skip
"""Added contents → label of the rung."""


@dataclass(frozen=True)
class Rung:
    """One rung of the ladder.

    Args:
        label, contents: label of the contents that the rung adds, and all contents up to this rung.
        rent: P5, P50 and P95 at rented hours [USD].
        owned: the same as ``rent`` at the owner's cost; empty if that is unknown.
        odds: probability that the cost is less than the claimed value.
        grade, grade_owned: worst grade of the parts with a tenth or more, rented and owned: B from market data or other labs'
            figures, C from judgement or the user's input.
        detail: inputs of the added contents, in words.
        inputs: path of each input → its source with day and grade.
        simulation: simulation of the amounts at rented hours.
    """

    label: str
    contents: Contents
    rent: tuple[Figure, ...]
    owned: tuple[Figure, ...]
    odds: Figure
    grade: str
    grade_owned: str
    detail: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    simulation: Simulation | None = field(default=None, repr=False, compare=False)

    @property
    def middle(self) -> tuple[Figure, ...]:
        """P25 and P75 at rented hours [USD]; empty without a simulation."""
        return () if self.simulation is None else self.simulation.quantile(label_of(self.contents), (0.25, 0.75))

    @property
    def owner(self) -> Figure | None:
        """Median at the owner's cost [USD]; None if that is unknown."""
        return self.owned[1] if self.owned else None


def ladder(rented: Priced, owned: Priced | None, value: float) -> tuple[Rung, ...]:
    """Cost of a development by rung, at rented hours and at the owner's cost.

    Args:
        rented: the development at market rent.
        owned: the development at the owner's cost; None if that is unknown.
        value: the claimed value, for the odds [USD].
    """
    scopes = rented.rungs("USD")
    sim = rented.simulation("USD", [held for _, held in scopes])
    own = None if owned is None else owned.simulation("USD", [held for _, held in scopes])
    parts = rented.parts("USD")
    owned_parts = {} if owned is None else owned.parts("USD")
    rungs = []
    for step, held in scopes:
        name = label_of(held)
        inputs: dict[str, str] = {}
        for content in CONTENTS:
            inputs |= rented.inputs(content) if content in step and content in parts else {}
        rungs.append(
            Rung(
                label=LABELS[step],
                contents=held,
                rent=sim.quantile(name, (0.05, 0.5, 0.95)),
                simulation=sim,
                owned=() if own is None else own.quantile(name, (0.05, 0.5, 0.95)),
                odds=sim.probability(name, below=value),
                grade=max(rented.grades(held, parts), default="B"),
                grade_owned="" if owned is None else max(owned.grades(held, owned_parts), default="B"),
                detail=_detail(rented, step),
                inputs=dict(sorted(inputs.items())),
            )
        )
    return tuple(rungs)


def _detail(priced: Priced, step: Contents) -> str:
    """Inputs of the contents that a rung adds, in words: 90 % intervals, or the numbers themselves."""
    development, final = priced.programme.development, priced.programme.final
    laws = priced.laws

    def span(path: str, scale: float = 1.0) -> str:
        if path in laws:
            return "–".join(f"{float(laws[path].ppf(q)) / scale:.3g}" for q in (0.05, 0.95))
        return f"{float(np.asarray(development.get(path))) / scale:.3g}"

    match next(iter(c for c in CONTENTS if c in step)):
        case "pretraining":
            hours = float(np.asarray(estimate_development(development).runs[final].given_gpu_hours))
            law = laws.get("price.usd_per_gpu_hour")
            rate = "their price" if law is None else f"${float(law.ppf(0.05)):.2f}–{float(law.ppf(0.95)):.2f}"
            return f"{'about ' if any('efficiency' in path for path in laws) else ''}{human(hours, 4)} hours at {rate}"
        case "downtime":
            law = next((laws[p] for p in laws if p.endswith("goodput")), None)
            return "goodput as given" if law is None else f"goodput {float(law.ppf(0.05)):.0%}–{float(law.ppf(0.95)):.0%}"
        case "feeder_runs":
            est = estimate_development(development)
            hours = sum(float(est.runs[n.name].gpu_hours) for n in development.lines if n.name != final and n.contents == "final")
            return f"{human(hours)} hours, disclosed"
        case "experiments":
            return f"×{span('experiments')} of the runs above" if development.experiments is not None else "listed runs"
        case "data":
            source = ", undisclosed" if "data.acquisition_usd" in priced.programme.rows else ""
            return f"${span('data.acquisition_usd', 1e6)}M{source}"
        case "people":
            return f"{span('people.headcount')} people, ${span('people.usd_per_year', 1e3)}K each"
        case _:
            return "as given"
