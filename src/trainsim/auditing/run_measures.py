"""Measures of a run: cost, hours, utilisation, tokens, FLOPs and accelerators."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from ..catalog.runs import published
from ..claims.scope import FINAL_RUN, Basis, contents_text
from ..core.units import HOURS_PER_DAY, SECONDS_PER_HOUR, Unit, human
from ..model.conventions import CONVENTIONS
from ..model.counting import flops_per_token
from .amounts import Amount, Contents, content_of
from .comparison import LEVELS, NEAR, Check, Prediction, Stated, distance
from .disclosure import Disclosure, point
from .hours import hours_check, phases_of_known_work
from .measure import RUN, Measure, Predicted
from .predictions import NO_HOURS, Priced, in_hours, priced, row_at
from .relatives import disclosed_of, relatives_of
from .run_view import PUBLIC, RunView, grade_of

READINGS: tuple[Contents, ...] = (RUN, *(frozenset({c}) for c in FINAL_RUN))
"""Scopes at which a figure without a stated scope is compared: the final run, and each of its contents."""


@dataclass(frozen=True)
class RunMeasure(Measure):
    """A quantity of a run.

    Args:
        view, quantity, subject: the run, the quantity of the claim, and the name of the subject in the catalogue.
    """

    view: RunView
    quantity: str
    subject: str

    @property
    def scenario(self) -> str:
        """Reason that the figure is a scenario, by the grade of its tokens (for work) or of its hours."""
        return self.view.scenario(
            self.quantity if self.quantity == "gpus" else "tokens" if self.quantity in ("tokens", "flops") else "gpu_hours"
        )

    def related_figures(self, day: dt.date) -> tuple[Disclosure, ...]:
        """Figures of siblings and of the family."""
        return relatives_of(self.subject, self.quantity, day)

    def _named(self, contents: Contents | None, day: dt.date) -> tuple[Disclosure, ...]:
        """Disclosures about the subject for these contents."""
        known = disclosed_of(self.subject, self.quantity, day)
        return tuple(d for d in known if contents is None or (d.contents or RUN) == contents)


class RunAmount(RunMeasure):
    """Cost or hours of a run, at any scope."""

    unit: Amount

    def _priced(self, basis: Basis | None, day: dt.date) -> Priced | None:
        cached = self.view.__dict__.setdefault("_priced", {})
        key = (self.unit, basis, day)
        if key not in cached:
            cached[key] = priced(self.view, basis, day) if self.unit == "USD" else in_hours(self.view, day)
        found: Priced | None = cached[key]
        return found

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Predicted amount at a scope, from rows public by a day."""
        behind = self._priced(basis, day)
        return None if behind is None else behind.predicted(RUN if contents is None else contents, self.unit)

    def plausible(self, fact: Disclosure, day: dt.date) -> Check | None:
        """Compare the reported hours with a prediction from other labs' runs."""
        return hours_check(self.view, fact.contents & RUN or RUN, day) if fact.contents or self.view.reports_hours else None

    @property
    def reason_unknown(self) -> str:
        """Reason that nothing is known."""
        if self.view.hours_belief(self.view.clock.blind) is None:
            return "too few runs were public to predict its hours, and nobody reported them"
        return f"no price of {self.view.run.cluster.chip.name} on this basis was public by that day"


class RunCost(RunAmount):
    """Cost of a run."""

    unit = "USD"

    def disclosures(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """The maker's own cost, and reported hours at the reported price."""
        view = self.view
        found = list(self._named(contents, day))
        if basis is not None and basis != view.basis:
            return tuple(found)
        row = view.row
        whole = contents is None or contents in (RUN, view.contents)
        if row is not None and row.get("usd_reported") and whole and row.grade in PUBLIC and self._as_published:
            found.append(point(float(row["usd_reported"]), "", row.cited, day=row.earliest, contents=RUN))
        if view.rate is not None:
            found += self._hours_at_price(contents, view.rate)
        return tuple(found)

    def at_market_rent(self, day: dt.date) -> Priced | None:
        """The run's development at market rent."""
        return self._priced("market rent", day)

    @cached_property
    def _as_published(self) -> bool:
        """Whether the run is the published one with price and hours unchanged."""
        row = self.view.row
        if row is None:
            return False
        public = published(row.id, gpus=self.view.given.cluster.gpus)
        given = self.view.given
        return given.phases == public.phases and (given.price == public.price or self.view.rate is None)

    def _hours_at_price(self, contents: Contents | None, rate: float) -> Iterator[Disclosure]:
        view = self.view
        for reading in READINGS if contents is None else (contents,):
            hours = view.hours(reading)
            if hours is None or not reading <= RUN:
                continue
            chip = view.run.cluster.chip.name.partition("-")[0].upper()
            label = f"{human(hours, 4)} {chip}-hours × ${rate:.2f}{of_contents(reading)}"
            day = view.row.earliest if view.row is not None else None
            yield point(
                hours * rate, label, view.cited("efficiency"), day=day, contents=reading,
                sourced=view.sourced("efficiency") and view.sourced("price"),
            )  # fmt: skip


class RunHours(RunAmount):
    """Accelerator-hours of a run, or its wall-clock days."""

    unit = "GPU-h"

    def relevant(self, contents: Contents) -> Contents:
        """Contents that have hours; the final run if none has."""
        return contents - NO_HOURS or RUN

    @property
    def per(self) -> float:
        """Accelerator-hours per unit of the quantity."""
        return HOURS_PER_DAY * float(self.view.run.cluster.gpus) if self.quantity == "wall_days" else 1.0

    def disclosures(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """Reported hours, and hours with or without downtime computed from them."""
        view, found = self.view, list(self._named(contents, day))
        sourced = view.sourced("efficiency")
        if self.quantity == "wall_days" and view.row is not None and not view.row.get("gpus"):
            return tuple(found)
        for reading in READINGS if contents is None else (contents,):
            run_part = reading & RUN
            hours = view.hours(run_part) if run_part else None
            if hours is None or not reading - RUN <= ({"downtime"} if view.holds_downtime else set()):
                continue
            label = f"hours as reported{of_contents(run_part)}{', downtime included' if view.holds_downtime else ''}"
            day_of = view.row.earliest if view.row is not None else None
            cited = view.cited("efficiency")
            found.append(point(hours / self.per, label, cited, day=day_of, contents=reading, sourced=sourced))
        return tuple(found)

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Predicted hours at a scope, from rows public by a day."""
        found = super().predicted(contents, basis, day)
        if found is None or self.per == 1.0:
            return found
        inner, per = found.prediction, self.per
        levels = tuple(q / per for q in inner.quantiles)
        scaled = Prediction(levels, partial(_scaled_cdf, inner, per))  # type: ignore[arg-type]
        return Predicted(scaled, found.how, found.missing, found.judged, found.newest)

    def impossible(self, stated: Stated, contents: Contents | None) -> str:
        """Reason if the hours imply more FLOPs of these contents than the chips' peak allows, else empty."""
        view, hours = self.view, stated.high * self.per
        if hours <= 0.0:
            return f"no work can be done in {human(hours)} hours"
        phases = phases_of_known_work(view, RUN if contents is None else contents)
        flop = sum(float(p.flops.total) for p in phases if p.flops is not None)
        share = flop / (hours * SECONDS_PER_HOUR * float(view.run.cluster.chip.peak_of(fastest(view))))
        return f"claimed {human(hours, 4)} hours imply {share:,.0%} of the {fastest(view).upper()} peak" if share > 1.0 else ""


class RunMfu(RunMeasure):
    """Utilisation of a run, by each convention and peak."""

    def relevant(self, contents: Contents) -> Contents:
        """The final run."""
        return RUN

    def disclosures(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """Utilisations implied by the reported hours, and those that the row reports."""
        view, row = self.view, self.view.row
        found = list(self._named(None, day))
        if row is not None and row.get("mfu_reported") and row.grade in PUBLIC:
            how = f"as reported, {row.get('mfu_flops')} FLOPs of the {str(row.get('mfu_peak', 'bf16')).upper()} peak"
            found.append(point(float(row["mfu_reported"]), how, row.cited, day=row.earliest))
        if view.hours(RUN) is not None:
            day_of = view.row.earliest if view.row is not None else None
            sourced = view.sourced("efficiency")
            wall = view.holds_downtime
            found += [point(x, name, day=day_of, sourced=sourced, understates=wall) for name, x in implied_mfu(view).items()]
        return tuple(found)

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Prior from other labs' runs."""
        evidence = self.view.utilisation(day)
        if evidence is None:
            return None
        law = evidence.belief.for_field(Unit("", "model FLOPs over peak", gt=0, le=1), "efficiency.mfu")
        levels = tuple(float(law.ppf(q)) for q in LEVELS)
        newest = max((row_at(address).date for address in evidence.used), default=None)
        how = f"{evidence.how}, of the half-precision peak, causal FLOPs"
        return Predicted(Prediction(levels, law.cdf), how, newest=newest)  # type: ignore[arg-type]

    def impossible(self, stated: Stated, contents: Contents | None) -> str:
        """Reason if more than the peak is claimed, else empty."""
        return f"{stated.low:.4g} of the peak is more than the chips can do" if stated.low > 1.0 and stated.bound != "at most" else ""

    @property
    def reason_unknown(self) -> str:
        """Reason that nothing is known."""
        return "its hours were not reported, and too few runs were public to predict its utilisation"


class RunCount(RunMeasure):
    """Tokens, FLOPs or accelerators of a run, in each named variant."""

    def relevant(self, contents: Contents) -> Contents:
        """Contents of the final run; the machines of a lab are another quantity."""
        return contents if self.quantity == "gpus" else contents & RUN or RUN

    def disclosures(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """Figures that the run states, and FLOPs computed from its stated tokens."""
        named = self._named(contents, day)
        counted = {"tokens": self._tokens, "flops": self._flops, "gpus": self._gpus}[self.quantity]
        return (*named, *(d for d in counted() if contents is None or d.contents == contents or not d.contents))

    @cached_property
    def _known(self) -> list[tuple[str, float, float | None, Contents]]:
        phases = [p for p in self.view.given.phases if p.tokens is not None]
        return [
            (p.name, float(p.tokens or 0.0), None if p.seq_len is None else float(p.seq_len), frozenset({content_of(p)})) for p in phases
        ]

    def _fact(self, value: float, label: str, contents: Contents, field: str) -> Disclosure:
        row = self.view.row
        public = row is None or grade_of(row, field) in PUBLIC
        known = row is not None and row.get("gpus") == value if field == "gpus" else self.view.sourced(field)
        return point(
            value, label, "" if row is None else row.cited, day=None if row is None else row.earliest, contents=contents,
            sourced=known and public, count="machines" if field == "gpus" else "",
        )  # fmt: skip

    def _tokens(self) -> Iterator[Disclosure]:
        for name, tokens, _, contents in self._known:
            yield self._fact(tokens, f"tokens of {name}", contents, "tokens")
        if self._known:
            total = sum(tokens for _, tokens, _, _ in self._known)
            yield self._fact(total, "tokens of all phases" if len(self._known) > 1 else "tokens", RUN, "tokens")
            if len(self._known) > 1:  # token counts usually refer to pre-training
                name, tokens, _, _ = max(self._known, key=lambda k: k[1])
                yield self._fact(tokens, f"tokens of {name}", RUN, "tokens")

    def _flops(self) -> Iterator[Disclosure]:
        known = [(tokens, seq, contents) for _, tokens, seq, contents in self._known if seq is not None]
        if not known or len(known) < len(self._known):
            return
        for convention in CONVENTIONS:
            total = sum(t * float(flops_per_token(self.view.given.model, s, convention).total) for t, s, _ in known)
            yield self._fact(total, f"FLOPs, {convention}", RUN, "tokens")

    def _gpus(self) -> Iterator[Disclosure]:
        row, given = self.view.row, self.view.given
        if row is None or row.get("gpus"):
            yield self._fact(float(given.cluster.gpus), "accelerators of the run", RUN, "gpus")
            yield self._fact(float(given.cluster.gpus), "accelerators of the run", frozenset({"pretraining"}), "gpus")

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Always None: counts are either stated or unknown, never predicted."""
        return None

    def impossible(self, stated: Stated, contents: Contents | None) -> str:
        """Reason if fewer tokens are claimed than one of several phases of these contents has, else empty."""
        known = [tokens for _, tokens, _, held in self._known if contents is None or held <= contents]
        largest = max(known, default=0.0)
        few = self.quantity == "tokens" and len(known) > 1 and stated.bound != "at least" and 0 < stated.high < largest
        if few and all(distance(stated.high, tokens) > NEAR for tokens in known):
            return f"claimed {human(stated.high, 4)} tokens are fewer than one phase has, {human(largest, 4)}"
        return ""


def _scaled_cdf(inner: Prediction, per: float, value: float) -> float:
    return inner.cdf(value * per)


def of_contents(contents: Contents) -> str:
    """Contents as the end of a label; empty for the final run."""
    return "" if contents == RUN else f" of {contents_text(contents)}"


def fastest(view: RunView) -> str:
    """Number format of the run's matrix products; the peak in that format bounds the run's rate."""
    peak, plan = view.run.cluster.chip.peak, view.run.plan
    wanted = plan.recipe.products if plan is not None else view.run.cluster.chip.half
    return wanted if getattr(peak, wanted, None) is not None else view.run.cluster.chip.half


def implied_mfu(view: RunView) -> dict[str, float]:
    """Utilisation implied by the main phase's reported hours, by convention and number format."""
    known = [p for p in view.stated.phases.values() if p.phase.tokens is not None and p.phase.seq_len is not None]
    if not known:
        return {}
    phase = max(known, key=lambda p: float(p.phase.tokens or 0.0))
    found = {}
    for convention in CONVENTIONS:
        flop = float(phase.phase.tokens or 0.0) * float(
            flops_per_token(view.run.model, float(phase.phase.seq_len or 1.0), convention).total
        )
        for dtype in dict.fromkeys((view.run.cluster.chip.half, "fp8")):
            peak = getattr(view.run.cluster.chip.peak, dtype)
            if peak is not None:
                name = f"by reported hours, {convention} FLOPs of the {dtype.upper()} peak"
                found[name] = flop / (float(phase.busy_gpu_seconds) * float(peak))
    return found


@dataclass(frozen=True)
class RunLine(RunMeasure):
    """A line of a run's cost or hours, addressed by path: ``cost.pretrain.moe.experts``."""

    def disclosures(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> tuple[Disclosure, ...]:
        """The line's amount, from the run's reported hours and price."""
        view = self.view
        if not view.reports_hours or (self.quantity.startswith("cost") and view.rate is None):
            return ()
        value = float(np.asarray(view.stated.quantity(self.quantity)))
        sourced = view.sourced("efficiency") and (view.sourced("price") or not self.quantity.startswith("cost"))
        return (
            point(value, f"{self.quantity} by reported hours", day=view.row.earliest if view.row is not None else None, sourced=sourced),
        )

    def predicted(self, contents: Contents | None, basis: Basis | None, day: dt.date) -> Predicted | None:
        """Always None: a line is compared only with the run's own figures."""
        return None
