"""estimate: work, hours and cost of a run, from its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.answer import Answer, AnswerRow, Summary, text_of
from ..core.citations import grade_of
from ..core.errors import EstimateError, PathError, check_type, did_you_mean
from ..core.ledger import Ledger, lazy_ledger
from ..core.units import HOURS_PER_DAY, SECONDS_PER_HOUR, Num
from ..model.counting import count_params, flops_per_token
from ..model.transformer import Model
from ..training.efficiency import Efficiency, Flow, Work
from ..training.phases import Phase
from .assumed import assumed_lines
from .run import Run

if TYPE_CHECKING:
    from ..cost.energy import Embodied, Grid
    from ..cost.ownership import Site


@dataclass(frozen=True)
class PhaseEstimate:
    """Work and time of one phase.

    ``flops`` and ``mfu`` are None if the tokens are unknown. ``modelled`` is the step time by part [s], if the efficiency is modelled.
    """

    phase: Phase
    gpus: int
    flops: Ledger | None
    busy_gpu_seconds: Num
    gpu_seconds: Num
    peak: Num
    time: Flow = "busy"
    modelled: Ledger | None = None

    @property
    def given_gpu_seconds(self) -> Num:
        """Accelerator-seconds as the efficiency defines them, with or without downtime [GPU-s]."""
        return self.busy_gpu_seconds if self.time == "busy" else self.gpu_seconds

    @property
    def mfu(self) -> Num | None:
        """Model FLOPs over peak during useful stepping."""
        return None if self.flops is None else self.flops.total / (self.busy_gpu_seconds * self.peak)

    @cached_property
    def busy_hours(self) -> Ledger:
        """Useful accelerator-hours, attributed to parts by their FLOPs [GPU-h]."""
        hours = self.busy_gpu_seconds / SECONDS_PER_HOUR
        return Ledger("GPU-h", {"whole": hours}) if self.flops is None else self.flops.scaled(hours / self.flops.total, "GPU-h")

    @cached_property
    def hours(self) -> Ledger:
        """Wall-clock accelerator-hours: useful hours and downtime [GPU-h]."""
        return lazy_ledger("GPU-h", self.gpu_seconds / SECONDS_PER_HOUR, partial(_hours, self))

    @cached_property
    def step_time(self) -> Ledger | None:
        """Time of one optimizer step [s]; None if unknown.

        A modelled step is split by part, at the last batch of a ramp. A given step time is the mean of all steps, attributed to parts by
        FLOPs.
        """
        if self.modelled is not None:
            return self.modelled
        if self.flops is None or self.phase.steps is None:
            return None
        return self.flops.scaled(self.busy_gpu_seconds / (self.flops.total * self.phase.steps * self.gpus), "s")


def _hours(phase: PhaseEstimate) -> Mapping[str, Ledger | Num]:
    down = (phase.gpu_seconds - phase.busy_gpu_seconds) / SECONDS_PER_HOUR
    return {**phase.busy_hours.expanded_parts(), "downtime": down}


def _by_phase(phases: Mapping[str, PhaseEstimate]) -> Mapping[str, Ledger | Num]:
    return {name: p.hours for name, p in phases.items()}


@dataclass(frozen=True, repr=False)
class Estimate(Answer):
    """Point estimate of a run's work, hours and cost; every quantity can be traced part by part.

    ``busy_gpu_hours`` are hours of useful stepping, ``gpu_hours`` wall-clock hours; ``mfu`` follows the convention of the efficiency. The
    first level of the ledgers ``flops``, ``step_time``, ``hours`` and ``cost`` is the phase. The ``flops`` of a phase with unknown tokens
    are NaN.

    Args:
        run: the estimated run.
        phases: name → estimate of each phase.
        notes: remarks on the figures, in words.

    >>> import trainsim as ts
    >>> est = ts.estimate(ts.catalog.run("deepseek-v3"))
    >>> round(est.busy_gpu_hours / 1e6, 3), round(est.cost.total / 1e6, 1)
    (2.788, 5.9)
    """

    run: Run
    phases: Mapping[str, PhaseEstimate]
    notes: tuple[str, ...]

    @cached_property
    def params(self) -> Ledger:
        """Parameters [parameter]."""
        return count_params(self.run.model)

    @cached_property
    def flops(self) -> Ledger:
        """Model FLOPs of the run [FLOP]."""
        unknown = Ledger("FLOP", {"unknown": float("nan")})
        return Ledger._trusted("FLOP", {name: unknown if p.flops is None else p.flops for name, p in self.phases.items()})

    @cached_property
    def busy_hours(self) -> Ledger:
        """Useful accelerator-hours [GPU-h]."""
        return Ledger._trusted("GPU-h", {name: p.busy_hours for name, p in self.phases.items()})

    @cached_property
    def hours(self) -> Ledger:
        """Wall-clock accelerator-hours [GPU-h]."""
        return lazy_ledger("GPU-h", self.gpu_hours, partial(_by_phase, self.phases))

    @cached_property
    def step_time(self) -> Ledger:
        """Time of one optimizer step of each phase with a known batch [s]."""
        return Ledger._trusted("s", {name: p.step_time for name, p in self.phases.items() if p.step_time is not None})

    @cached_property
    def memory(self) -> Ledger:
        """Peak memory of one accelerator of each pipeline rank, in the first phase [B]; needs a plan."""
        from .memory import memory  # imported here because hours and cost do not need it

        return memory(self.run)

    @cached_property
    def cost(self) -> Ledger:
        """Cost of the run [USD]."""
        return self.hours.scaled(self.price.total, "USD").of_kind("run")

    @cached_property
    def price(self) -> Ledger:
        """Price of an accelerator-hour, by part [USD/GPU-h]."""
        (price,) = _given(self.run, "price")
        rate: Ledger = price.rate()
        return rate

    @cached_property
    def busy_gpu_hours(self) -> Num:
        """Accelerators × hours of useful stepping [GPU-h]."""
        return sum(p.busy_gpu_seconds for p in self.phases.values()) / SECONDS_PER_HOUR

    @cached_property
    def given_gpu_hours(self) -> Num:
        """Accelerator-hours as the efficiencies define them, with or without downtime [GPU-h]."""
        return sum(p.given_gpu_seconds for p in self.phases.values()) / SECONDS_PER_HOUR

    @property
    def told_gpu_hours(self) -> Num:
        """Former name of ``given_gpu_hours``."""
        return self.given_gpu_hours

    @cached_property
    def gpu_hours(self) -> Num:
        """Accelerators × wall-clock hours [GPU-h]."""
        return sum(p.gpu_seconds for p in self.phases.values()) / SECONDS_PER_HOUR

    @cached_property
    def wall_days(self) -> Num:
        """Wall-clock time, with phases one after another [day]."""
        return sum(p.gpu_seconds / p.gpus for p in self.phases.values()) / (SECONDS_PER_HOUR * HOURS_PER_DAY)

    @cached_property
    def mfu(self) -> Num:
        """Model FLOPs over peak during useful stepping, over phases with known work [1]; NaN if there are none."""
        known = [p for p in self.phases.values() if p.flops is not None]
        if not known:
            return float("nan")
        return sum(p.flops.total for p in known if p.flops is not None) / sum(p.busy_gpu_seconds * p.peak for p in known)

    def quantities(self, names: Iterable[str] = ()) -> dict[str, Ledger | Num]:
        """Quantities of the estimate by name; all of them if no names are given."""
        return {name: getattr(self, QUANTITIES[name]) for name in names or QUANTITIES}

    def quantity(self, path: str) -> Num:
        """A quantity or a part of one, ``"cost.pretrain.moe.experts.up"``.

        Raises:
            PathError: no such quantity or part.
        """
        head, _, rest = path.partition(".")
        if head not in QUANTITIES:
            raise PathError(path, path, "is not a quantity of an estimate", did_you_mean(head, QUANTITIES, "quantities"))
        found = getattr(self, QUANTITIES[head])
        if isinstance(found, Ledger):
            return found.part(rest).total
        if rest:
            raise PathError(path, path, f"{head} has no parts", f"ask for {head}", "unknown-field")
        return found  # type: ignore[no-any-return]

    def model_card(self, site: Site, grid: Grid, embodied: Embodied | None = None, **words: str) -> str:
        """The emissions block of a Hugging Face model card for the run's wall-clock hours.

        Args:
            site: power per accelerator, cooling and electricity.
            grid: carbon intensity of electricity where and when the run took place.
            embodied: the run's share of manufacturing emissions; None omits them, and the card says so.
            **words: ``training_type``, ``provider``.

        Source: Hugging Face hub documentation, "Displaying carbon emissions for your model".
        """
        from ..cost.energy import emissions, energy, model_card_emissions

        idle = self.gpu_hours - self.busy_gpu_hours
        used = energy(self.busy_gpu_hours, site, idle)
        emitted = emissions(used, grid, embodied, self.gpu_hours)
        hardware = f"{self.run.cluster.gpus} x {self.run.cluster.chip.name}"
        return model_card_emissions(emitted, grid, hardware=hardware, gpu_hours=float(self.gpu_hours), **words)

    def sources(self) -> dict[str, str]:
        """Source of every number that the estimate depends on, by path."""
        return self.run.sources()

    def summary(self) -> Summary:
        """Cost, hours, days and utilisation, hours by phase, and all inputs with their sources."""
        from .memory_notes import memory_notes  # imported here because hours and cost do not need it

        run, sources = self.run, self.sources()
        dollars = [] if run.price is None else [AnswerRow("cost", "cost", self.cost.total, "USD")]
        main = [
            *dollars,
            AnswerRow("gpu_hours", "GPU-hours", self.gpu_hours, "GPU-h"),
            AnswerRow("busy_gpu_hours", "busy GPU-hours", self.busy_gpu_hours, "GPU-h"),
            AnswerRow("wall_days", "time on the clock", self.wall_days, "day"),
            AnswerRow("mfu", "MFU", self.mfu, ""),
            AnswerRow("flops", "model FLOPs", _known_flops(self), "FLOP"),
            AnswerRow("params", "parameters", self.params.total, "parameter"),
        ]
        phases = [
            AnswerRow(f"phases.{name}.gpu_hours", name, p.gpu_seconds / SECONDS_PER_HOUR, "GPU-h", group="GPU-hours by phase")
            for name, p in self.phases.items()
        ]
        inputs = [
            AnswerRow(path, path, run.get(path), run.unit_of(path).symbol, grade=grade_of(source), group="Inputs")
            for path, source in sources.items()
            if not path.startswith("model.")
        ]
        notes = ("A point estimate; ts.simulate gives an interval.", *self.notes, *memory_notes(run))
        return Summary(f"{run.label} on {run.cluster.gpus:,} {run.cluster.chip.name}", (*main, *phases, *inputs), notes, sources)

    def _text(self) -> str:
        """The main figures, the notes, and the inputs that nobody gave."""
        return "\n".join([text_of(self.summary()), *assumed_lines(self.run)])


def _known_flops(est: Estimate) -> float:
    """FLOPs of the phases with known work; NaN if there are none."""
    known = [float(np.mean(p.flops.total)) for p in est.phases.values() if p.flops is not None]
    return sum(known) if known else float("nan")


UNITS = {
    "cost": "USD", "busy_gpu_hours": "GPU-h", "gpu_hours": "GPU-h", "wall_days": "day", "mfu": "", "flops": "FLOP", "step_time": "s",
    "params": "parameter",
}  # fmt: skip
"""Name of a quantity → its unit."""


def unit_of(path: str) -> str:
    """Unit of a quantity or of a part of one; empty for an unknown name.

    >>> unit_of("cost.pretrain")
    'USD'
    """
    return UNITS.get(path.partition(".")[0], "")


QUANTITIES = {
    "cost": "cost", "busy_gpu_hours": "busy_hours", "gpu_hours": "hours", "wall_days": "wall_days", "mfu": "mfu",
    "flops": "flops", "step_time": "step_time", "params": "params",
}  # fmt: skip
"""Name of a quantity → attribute of an Estimate; a ledger if the quantity has parts."""


def estimate(run: Run) -> Estimate:
    """Estimate the work, hours and cost of a run from its inputs; nothing is looked up.

    Args:
        run: the run; its numbers may be arrays inside a batch. A price is needed only for the cost.

    Returns:
        the estimate; each number broadcasts over draws.

    Raises:
        EstimateError: an input is missing; the remedy names ``ts.catalog.complete(run)``.
        SpecError: ``run`` is not a run.

    >>> import trainsim as ts
    >>> est = estimate(ts.catalog.run("deepseek-v3"))
    >>> round(est.hours.part("pretrain").total / 1e6, 1), round(est.gpu_hours / 1e6, 1)
    (2.8, 2.9)
    """
    check_type(run, Run, "run", "a ts.Run: ts.load('run.toml'), ts.catalog.run('deepseek-v3')")
    own = None not in map(attrgetter("efficiency"), run.phases)
    reliability, *usual = _given(run, "reliability", *(() if own else ("efficiency",)))
    phases: dict[str, PhaseEstimate] = {}
    for phase in run.phases:
        efficiency = phase.efficiency or usual[0]
        phases[phase.name] = _phase(run, phase, efficiency, reliability.expected_goodput((phase.cluster or run.cluster).gpus))
    return Estimate(run, phases, tuple(_notes(run)))


def _phase(run: Run, phase: Phase, efficiency: Efficiency, goodput: Num) -> PhaseEstimate:
    cluster, model = phase.cluster or run.cluster, phase.model_of(run.model)

    counted: dict[tuple[str, str], Ledger] = {}

    def per_token(convention: str, mtp: str) -> Ledger:
        if phase.seq_len is None:
            raise EstimateError(f"phases.{phase.name}.seq_len", None, "is needed to count FLOPs", "give the sequence length")
        if (convention, mtp) not in counted:
            student = flops_per_token(model, phase.seq_len, convention, mtp, phase.document_length)  # type: ignore[arg-type]
            counted[convention, mtp] = student if phase.teacher is None else _with_teacher(student, phase.teacher, phase, convention)
        return counted[convention, mtp]

    work = Work(
        f"phases.{phase.name}", model, phase.tokens, phase.seq_len, phase.batch, cluster, phase.plan or run.plan, per_token,
        phase.document_length, phase.stretches, phase.teacher,
    )  # fmt: skip
    seconds, modelled = efficiency.time_of(work)
    busy, wall = (seconds, seconds / goodput) if efficiency.time == "busy" else (seconds * goodput, seconds)
    flops = None if phase.tokens is None else per_token(*efficiency.counting).scaled(phase.tokens, "FLOP")
    return PhaseEstimate(phase, cluster.gpus, flops, busy, wall, efficiency.peak_flops(cluster), efficiency.time, modelled)


def _with_teacher(student: Ledger, teacher: Model, phase: Phase, convention: str) -> Ledger:
    """FLOPs of the trained model plus the teacher's forward pass over the same tokens [FLOP/token].

    ``student + forward(teacher)``, because the teacher receives no gradient.

    Source: Hinton et al. 2015 (arXiv:1503.02531), section 2: the teacher only provides targets.
    """
    read = flops_per_token(teacher, phase.seq_len, convention, document_length=phase.document_length)  # type: ignore[arg-type]
    return Ledger._trusted("FLOP/token", {**student.parts, "teacher": read.part("forward")})


def _notes(run: Run) -> list[str]:
    """Assumptions of the estimate, in words."""
    notes = list(run.model.notes)
    for phase in run.phases:
        efficiency = phase.efficiency or run.efficiency
        if phase.teacher is not None:
            notes.append(f"phases.{phase.name}: {phase.teacher.name} provides the targets; its weights are not included in the memory")
        if efficiency is not None:
            where = "efficiency" if phase.efficiency is None else f"phases.{phase.name}.efficiency"
            notes += [note for note in efficiency.notes(where, phase.cluster or run.cluster) if note not in notes]
        if phase.tokens is None:
            notes.append(f"phases.{phase.name}: its tokens are unknown, and so are its FLOPs and MFU")
        elif efficiency is not None and "flops" not in type(efficiency).model_fields:
            notes.append(f"phases.{phase.name}: FLOPs use the default 'causal' convention, without multi-token prediction")
    return notes


_REMEDIES = {
    "efficiency": "ts.MFU(0.4, flops='causal')",
    "reliability": "ts.Goodput(0.95)",
    "price": "ts.Rental(usd_per_gpu_hour=2.0)",
}


def _given(run: Run, *fields: str) -> tuple[Any, ...]:
    """The given inputs of a run.

    Raises:
        EstimateError: some are not given; the error names all of them, and the call that fills them in.
    """
    values = tuple(map(getattr, repeat(run), fields))
    if None in values:
        missing = [field for field, value in zip(fields, values, strict=True) if value is None]
        give = ", ".join(f"{field}={_REMEDIES[field]}" for field in missing)
        remedy = f"give {give}; or run, filled = ts.catalog.complete(run) fills them from published runs and quotes, and lists what it took"
        raise EstimateError(missing[0], None, "is not given, and an estimate fills nothing in", remedy)
    return values
