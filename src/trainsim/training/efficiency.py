"""Efficiency: the time of a phase, from a reported utilisation, throughput, step time or number of hours."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator

from ..cluster.hardware import Cluster, Peak
from ..core.errors import EstimateError, SpecError, did_you_mean
from ..core.family import Family
from ..core.ledger import Ledger
from ..core.units import SECONDS_PER_HOUR, Num, Unit
from ..model.conventions import known_convention
from ..model.documents import Documents
from ..model.transformer import Model
from ..parallelism.plan import Plan

Flow = Literal["busy", "wall"]
"""Whether a reported time is busy time only, or wall-clock time with restarts and downtime."""


@dataclass(frozen=True)
class Work:
    """Inputs of an efficiency: one phase of a run.

    Args:
        path: path of the phase, for errors.
        model: the model.
        tokens, seq_len, batch: of the phase, numbers or arrays ``(n,)``; None if unknown [token], [token], [sequence].
        cluster, plan: cluster and layout.
        flops: (convention, mtp) → ledger of FLOPs per token, including a teacher's forward pass [FLOP/token].
        document_length: length of documents packed into a sequence; None for one document per sequence [token].
        stretches: (tokens, batch) of each stretch with one batch; empty for a constant batch.
        teacher: model whose logits are the targets; its forward pass is included in ``flops``.
    """

    path: str
    model: Model
    tokens: Num | None
    seq_len: Num | None
    batch: Num | None
    cluster: Cluster
    plan: Plan | None
    flops: Callable[[str, str], Ledger]
    document_length: Num | Documents | None = None
    stretches: tuple[tuple[Num, Num], ...] = ()
    teacher: Model | None = None

    def refuse_teacher(self, who: str) -> None:
        """Reject a phase with a teacher; for efficiencies that model only the trained model.

        Raises:
            EstimateError: the phase has a teacher.
        """
        if self.teacher is not None:
            rule = f"is not supported by {who}, which models the trained model only"
            raise EstimateError(
                f"{self.path}.teacher", self.teacher.name, rule, "state the utilisation of both: efficiency=ts.MFU(…)", "unsupported"
            )

    def needed(self, name: str, who: str) -> Num:
        """A required number of the phase; an error if it is unknown."""
        value: Num | None = getattr(self, name)
        if value is None:
            remedy = f"give {name}, or state the hours: efficiency=ts.BusyHours(gpu_hours=…)"
            raise EstimateError(f"{self.path}.{name}", None, f"is needed by {who}", remedy)
        return value


def known_format(dtype: str) -> str:
    """Validate the name of a number format.

    Raises:
        SpecError: there is no such format.
    """
    if dtype not in Peak.model_fields:
        raise SpecError("", dtype, "is not a number format", did_you_mean(dtype, Peak.model_fields, "formats"), "unknown-name")
    return dtype


class Efficiency(Family):
    """Base class of efficiencies: how the accelerator-seconds of a phase are obtained."""

    time: ClassVar[Flow]

    @abc.abstractmethod
    def gpu_seconds(self, work: Work) -> Num:
        """Accelerators × seconds of a phase [GPU-s]."""

    def time_of(self, work: Work) -> tuple[Num, Ledger | None]:
        """Accelerators × seconds of a phase [GPU-s], and a ledger of its step [s] if the time is modelled."""
        return self.gpu_seconds(work), None

    @property
    def counting(self) -> tuple[str, str]:
        """(convention, mtp) by which FLOPs are counted; the default is ``causal`` without prediction modules."""
        return self._setting("flops", "causal"), self._setting("mtp", "none")

    def notes(self, path: str, cluster: Cluster) -> tuple[str, ...]:
        """Notes for an estimate on a cluster, each with its path."""
        del path, cluster
        return ()

    def peak_flops(self, cluster: Cluster) -> Num:
        """The peak to which the utilisation refers; the default is the dense 16-bit peak [FLOP/s]."""
        return cluster.chip.peak_of(self._setting("peak", "") or cluster.chip.half)

    def _setting(self, name: str, default: str) -> str:
        """A field, a class attribute, or a default. The lookup is on the class, since a failed lookup on a pydantic instance is slow."""
        fields = vars(self)
        value: str = fields[name] if name in fields else getattr(self, name) if hasattr(type(self), name) else default
        return value


class MFU(Efficiency):
    """Reported model-FLOPs utilisation: model FLOPs, no recompute, over the dense peak (PaLM, arXiv:2204.02311, appendix B).

    ``GPU-s = tokens · FLOP/token / (peak · mfu)``

    Args:
        mfu: model FLOPs over peak, number or array ``(n,)`` [1].
        peak: number format of the dense peak to which this utilisation refers.
        flops: convention by which the FLOPs of this utilisation are counted.
        mtp: whether the FLOPs include multi-token-prediction modules.
        time: "busy", or "wall" if the utilisation includes restarts and downtime.

    Raises:
        SpecError: a utilisation above 1, or an unknown format or convention.

    >>> MFU(0.3894, peak="bf16", flops="half").mfu
    0.3894
    """

    positional: ClassVar[tuple[str, ...]] = ("mfu",)
    mfu: Annotated[Num, Unit("", "model FLOPs over peak", gt=0, le=1)]
    peak: Annotated[str, AfterValidator(known_format)] = "bf16"
    flops: Annotated[str, AfterValidator(known_convention)] = "causal"
    mtp: Literal["none", "unique"] = "none"
    time: Flow = "busy"  # type: ignore[misc]

    if TYPE_CHECKING:

        def __init__(self, mfu: Num, *, peak: str = ..., flops: str = ..., mtp: str = ..., time: str = ...) -> None: ...

    def gpu_seconds(self, work: Work) -> Num:
        """FLOPs divided by peak and utilisation [GPU-s]."""
        flop = work.needed("tokens", "MFU") * work.flops(self.flops, self.mtp).total
        return flop / (self.peak_flops(work.cluster) * self.mfu)


class HFU(Efficiency):
    """Reported hardware-FLOPs utilisation: recomputed FLOPs count as work (Korthikanti et al. 2022, arXiv:2205.05198, section 6).

    ``GPU-s = tokens · (FLOP/token + recomputed) / (peak · hfu)``; the plan determines what is recomputed: nothing, the forward pass of
    attention, or the whole forward pass.

    Args:
        hfu: FLOPs with recompute over peak, number or array ``(n,)`` [1].
        peak, flops, mtp, time: as for :class:`MFU`.

    Raises:
        SpecError: a utilisation above 1, or an unknown format or convention.
        EstimateError: (from an estimate) there is no plan, which determines what is recomputed.

    >>> HFU(0.52, flops="full").counting
    ('full', 'none')
    """

    positional: ClassVar[tuple[str, ...]] = ("hfu",)
    hfu: Annotated[Num, Unit("", "FLOPs with recompute over peak", gt=0, le=1)]
    peak: Annotated[str, AfterValidator(known_format)] = "bf16"
    flops: Annotated[str, AfterValidator(known_convention)] = "causal"
    mtp: Literal["none", "unique"] = "none"
    time: Flow = "busy"  # type: ignore[misc]

    if TYPE_CHECKING:

        def __init__(self, hfu: Num, *, peak: str = ..., flops: str = ..., mtp: str = ..., time: str = ...) -> None: ...

    def gpu_seconds(self, work: Work) -> Num:
        """FLOPs with recompute divided by peak and utilisation [GPU-s]."""
        if work.plan is None:
            raise EstimateError(
                "plan", None, "is needed by HFU: it determines what is recomputed", "give plan=ts.Plan(recompute=…), or state the MFU"
            )
        model = work.flops(self.flops, self.mtp)
        extra = recomputed_flops(model, work.plan)
        return work.needed("tokens", "HFU") * (model.total + extra) / (self.peak_flops(work.cluster) * self.hfu)


def recomputed_flops(flops_per_token: Ledger, plan: Plan) -> Num:
    """FLOPs per token that the backward pass recomputes under a plan [FLOP/token].

    Source: Korthikanti et al. 2022 (arXiv:2205.05198), section 5 and appendix A.
    """
    match plan.recompute:
        case "none":
            return 0.0
        case "selective":
            forward = flops_per_token.part("forward")
            return sum((forward.part(part).total for part in plan.recompute_parts if part in forward), 0.0)
        case "full":
            return flops_per_token.part("forward").total


class Throughput(Efficiency):
    """Reported tokens per second and accelerator.

    ``GPU-s = tokens / rate``

    Args:
        tokens_per_s_per_gpu: the rate, number or array ``(n,)`` [token/s/GPU].
        time: "busy", or "wall" if the rate includes restarts and downtime.

    >>> Throughput(tokens_per_s_per_gpu=1541.7).tokens_per_s_per_gpu
    1541.7
    """

    tokens_per_s_per_gpu: Annotated[Num, Unit("token/s/GPU", "tokens per second and accelerator", gt=0)]
    time: Flow = "busy"  # type: ignore[misc]

    def gpu_seconds(self, work: Work) -> Num:
        """Tokens divided by the rate [GPU-s]."""
        return work.needed("tokens", "Throughput") / self.tokens_per_s_per_gpu


class StepTime(Efficiency):
    """Reported time per optimizer step.

    ``GPU-s = seconds · accelerators · tokens / (batch · seq_len)``

    Args:
        seconds: mean time of one optimizer step, number or array ``(n,)`` [s].
        time: "busy", or "wall" if that mean includes restarts and downtime.

    >>> StepTime(seconds=19.926).seconds
    19.926
    """

    seconds: Annotated[Num, Unit("s", "time of one optimizer step", gt=0)]
    time: Flow = "busy"  # type: ignore[misc]

    def gpu_seconds(self, work: Work) -> Num:
        """Steps × seconds × accelerators [GPU-s]."""
        steps = work.needed("tokens", "StepTime") / (work.needed("batch", "StepTime") * work.needed("seq_len", "StepTime"))
        return steps * self.seconds * work.cluster.gpus


class BusyHours(Efficiency):
    """Reported accelerator-hours of a phase; if its tokens are unknown, so are its FLOPs and MFU.

    ``GPU-s = 3600 · gpu_hours``

    Args:
        gpu_hours: total accelerator-hours, number or array ``(n,)`` [GPU-h].
        time: "busy" for useful steps only, or "wall" if the hours include restarts and downtime.

    >>> BusyHours(gpu_hours=5000).gpu_hours
    5000.0
    """

    gpu_hours: Annotated[Num, Unit("GPU-h", "accelerator-hours of the phase", gt=0)]
    time: Flow = "busy"  # type: ignore[misc]

    def gpu_seconds(self, work: Work) -> Num:  # noqa: ARG002  (reported hours do not depend on the work)
        """The reported hours in seconds [GPU-s]."""
        return self.gpu_hours * SECONDS_PER_HOUR


def is_reported(efficiency: Any) -> bool:
    """Whether an efficiency is reported for one cluster, and therefore not valid for another."""
    return isinstance(efficiency, (MFU, HFU, Throughput, StepTime, BusyHours))
