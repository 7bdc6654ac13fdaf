"""Compare reported hours with hours predicted from work and other labs' utilisation, and with measured runs of the same model."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from ..catalog.evidence import Evidence
from ..catalog.models import same_architecture
from ..catalog.rows import rows
from ..core.units import SECONDS_PER_HOUR, Unit, human
from ..run.estimate import PhaseEstimate, estimate
from ..uncertainty.distributions.distribution import Belief, Distribution
from .amounts import Contents, content_of
from .comparison import LEVELS, Check, Prediction, Stated, Word, compare_with_prediction
from .run_view import RunView

_SHARE = Unit("", "model FLOPs over peak", gt=0, le=1)


@dataclass(frozen=True)
class BlindHours:
    """Hours of phases with known tokens, predicted from other labs' utilisation: ``FLOP / (3600 s · peak · mfu)``.

    Args:
        flop: model FLOPs of the phases, causal convention [FLOP].
        peak: dense half-precision peak of one accelerator [FLOP/s].
        evidence: prior on utilisation.
        reported: the run's own hours of these phases [GPU-h].
    """

    flop: float
    peak: float
    evidence: Evidence
    reported: float

    def quantile(self, level: float, belief: Belief | None = None) -> float:
        """Quantile of the hours [GPU-h], from the complementary quantile of utilisation."""
        return self.flop / (SECONDS_PER_HOUR * self.peak * float(self._law(belief).ppf(1.0 - level)))

    def percentile(self, hours: float, belief: Belief | None = None) -> float:
        """Percentile of a number of hours, 0 to 100."""
        share = self.flop / (SECONDS_PER_HOUR * self.peak * hours)
        return 100.0 if share <= 0 else 0.0 if share >= 1 else 100.0 * (1.0 - float(self._law(belief).cdf(share)))

    def prediction(self) -> Prediction:
        """The hours as a prediction."""
        return Prediction(tuple(self.quantile(q) for q in LEVELS), self.cdf)  # type: ignore[arg-type]

    def cdf(self, hours: float) -> float:
        """Probability of at most a number of hours."""
        return self.percentile(hours) / 100.0

    def _law(self, belief: Belief | None) -> Distribution:
        return (belief or self.evidence.belief).for_field(_SHARE, "efficiency.mfu")


def phases_of_known_work(view: RunView, contents: Contents) -> list[PhaseEstimate]:
    """The phases of some contents with known work."""
    return [p for p in view.stated.phases.values() if p.flops is not None and content_of(p.phase) in contents]


def blind(view: RunView, contents: Contents, day: dt.date) -> BlindHours | None:
    """Hours of some contents, predicted from other labs' runs public by a day; None if work or utilisation is unknown."""
    phases = phases_of_known_work(view, contents)
    evidence = view.utilisation(day) if phases else None
    if evidence is None:
        return None
    counted = [p for p in _blind_estimate(view) if p.phase.name in {q.phase.name for q in phases}]
    flop = sum(float(p.flops.total) for p in counted if p.flops is not None)
    reported = sum(float(p.busy_gpu_seconds) for p in phases) / SECONDS_PER_HOUR
    return BlindHours(flop, float(view.run.cluster.chip.peak_of(view.run.cluster.chip.half)), evidence, reported)


def _blind_estimate(view: RunView) -> list[PhaseEstimate]:
    return list(estimate(view.blind_run).phases.values())


def hours_check(view: RunView, contents: Contents, day: dt.date) -> Check | None:
    """Compare the run's reported hours with a prediction from other labs' runs or from its RL settings; None if there is no prediction."""
    if not phases_of_known_work(view, contents):
        return _by_recipe(view)
    found = blind(view, contents, day)
    if found is None:
        return Check("hours", "CANNOT BE JUDGED", f"too few runs were public on {day} to predict its hours")
    at = found.percentile(found.reported)
    stated = Stated(found.reported, found.reported)
    word: Word = compare_with_prediction(stated, found.prediction())
    evidence = found.evidence
    narrow, wide = (found.percentile(found.reported, b) for b in (evidence.narrow, evidence.wide))
    others = "other labs' runs" if evidence.used else evidence.how
    newest = max((row_date(a) for a in evidence.used), default="")
    return Check("hours", word, f"{human(found.reported, 4)} hours vs {others}", at, narrow, wide, newest)


def row_date(address: str) -> str:
    """Day of the row at an address."""
    file, _, name = address.partition("/")
    return rows(file)[name].date.isoformat()


def _by_recipe(view: RunView) -> Check | None:
    """Compare hours of reinforcement learning with a prediction from settings public the day before the claim; None if there is no such
    recipe.
    """
    address = None if view.row is None else view.row.address
    recipe = next((n for n, r in rows("programmes").items() if r["kind"] == "recipe" and r["judges"] == address), None)
    if recipe is None or view.row is None or rows("programmes")[recipe].date > view.clock.blind:
        return None
    from ..catalog.rl_recipes import predicted_hours  # imported here because the import is slow and few runs need it

    said, reported = predicted_hours(recipe), float(view.stated.given_gpu_hours)
    at = said.percentile_of(reported)
    span = f"{human(said.p50)} (90 %: {human(said.p5)}–{human(said.p95)})"
    word: Word = "NOT REFUTED" if 5 <= at <= 95 else "STRAINED" if 0.5 <= at <= 99.5 else "REFUTED"
    return Check(
        "hours",
        word,
        f"{human(reported, 4)} hours vs {span}, predicted from its published settings",
        at,
        newest=rows("programmes")[recipe].date.isoformat(),
    )


def measured_others(view: RunView, day: dt.date) -> dict[str, float]:
    """Accelerator-hours for the tokens of this run's main phase at the measured rates of runs of the same model, its own included."""
    phases = [p for p in view.run.phases if p.tokens is not None]
    if not phases:
        return {}
    tokens = max(float(p.tokens or 0.0) for p in phases)
    return {
        row.id: tokens / float(row["tokens_per_s_per_gpu"]) / SECONDS_PER_HOUR
        for row in rows("runs").values()
        if row.get("tokens_per_s_per_gpu") and row.date <= day and same_architecture(row, view.run.model)
    }
