"""Where time comes from: told as utilisation, throughput, step time or hours."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator

from ..cluster.hardware import Cluster, Peak
from ..core.errors import EstimateError, SpecError, did_you_mean
from ..core.ledger import Ledger
from ..core.spec import Family
from ..core.units import SECONDS_PER_HOUR, Num, Unit
from ..model.conventions import known_convention
from ..model.documents import Documents
from ..model.transformer import Model
from ..parallelism.plan import Plan

Flow = Literal["busy", "wall"]
"""Whether a told time is useful stepping alone or holds restarts and downtime as well."""


@dataclass(frozen=True)
class Work:
    """One phase as an efficiency sees it.

    Args:
        path: of the phase, for errors.
        model: what is trained.
        tokens, seq_len, batch: of the phase; None where not known. Numbers or arrays ``(n,)``.
        cluster, plan: where and how.
        flops: (convention, mtp) → FLOP per token as a ledger, a teacher's forward pass included.
        document_length: of documents packed into a sequence; None for one to a sequence [token].
        stretches: (tokens, batch) of each stretch of a batch ramp, the last one included; empty for one batch throughout.
        teacher: whose logits are the targets; its forward pass is in ``flops``.
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
        """For an efficiency that works time out from what is trained alone.

        Raises:
            EstimateError: the phase has a teacher.
        """
        if self.teacher is not None:
            rule = f"is not in the time of {who}, which works it out from what is trained alone"
            raise EstimateError(
                f"{self.path}.teacher", self.teacher.name, rule, "tell the utilisation of both: efficiency=ts.MFU(…)", "unsupported"
            )

    def needed(self, name: str, who: str) -> Num:
        """A number of the phase an efficiency can't do without."""
        value: Num | None = getattr(self, name)
        if value is None:
            remedy = f"give {name}, or tell the phase's hours: efficiency=ts.BusyHours(gpu_hours=…)"
            raise EstimateError(f"{self.path}.{name}", None, f"is needed by {who}", remedy)
        return value


def known_format(dtype: str) -> str:
    """A number format that a peak can be stated in.

    Raises:
        SpecError: there is no such format.
    """
    if dtype not in Peak.model_fields:
        raise SpecError("", dtype, "is no number format", did_you_mean(dtype, Peak.model_fields, "formats"), "unknown-name")
    return dtype


class Efficiency(Family):
    """Where a phase's accelerator-seconds come from."""

    time: ClassVar[Flow]

    @abc.abstractmethod
    def gpu_seconds(self, work: Work) -> Num:
        """Accelerators × seconds of a phase [GPU-s]."""

    def time_of(self, work: Work) -> tuple[Num, Ledger | None]:
        """Accelerators × seconds of a phase [GPU-s], and the seconds of a step by part [s] where they are worked out, not told."""
        return self.gpu_seconds(work), None

    @property
    def counting(self) -> tuple[str, str]:
        """(convention, mtp) the efficiency counts FLOPs by; ``causal`` without prediction modules where it names none."""
        return self._said("flops", "causal"), self._said("mtp", "none")

    def notes(self, path: str, cluster: Cluster) -> tuple[str, ...]:
        """What an estimate should say of it on a cluster, its path named."""
        del path, cluster
        return ()

    def peak_flops(self, cluster: Cluster) -> Num:
        """The peak utilisation is stated against [FLOP/s]: the dense 16-bit peak where the efficiency names none."""
        return cluster.chip.peak_of(self._said("peak", "") or cluster.chip.half)

    def _said(self, name: str, otherwise: str) -> str:
        """A field, or an attribute of the class, or what holds where there is neither; the class is asked, which is quicker to say no."""
        told = vars(self)
        said: str = told[name] if name in told else getattr(self, name) if hasattr(type(self), name) else otherwise
        return said


class MFU(Efficiency):
    """Stated model-FLOPs utilisation: model FLOPs, no recompute, over the dense peak (PaLM, arXiv:2204.02311, appendix B).

    ``GPU-s = tokens · FLOP/token / (peak · mfu)``

    Args:
        mfu: model FLOPs over peak, number or array ``(n,)`` [1].
        peak: number format whose dense peak it is stated against.
        flops: convention its FLOPs are counted by.
        mtp: whether they include multi-token-prediction modules.
        time: "busy", or "wall" if its time includes restarts and downtime.

    Raises:
        SpecError: a utilisation above 1, or a format or convention that nobody knows.

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
        """Work over what the chip does at this utilisation."""
        flop = work.needed("tokens", "MFU") * work.flops(self.flops, self.mtp).total
        return flop / (self.peak_flops(work.cluster) * self.mfu)


class HFU(Efficiency):
    """Stated hardware-FLOPs utilisation: recomputed FLOPs count as work (Korthikanti et al. 2022, arXiv:2205.05198, section 6).

    ``GPU-s = tokens · (FLOP/token + recomputed) / (peak · hfu)``; what is recomputed is the plan's: nothing, the
    attention core's forward pass, or the whole forward pass.

    Args:
        hfu: FLOPs with recompute over peak, number or array ``(n,)`` [1].
        peak, flops, mtp, time: as for :class:`MFU`.

    Raises:
        SpecError: a utilisation above 1, or a format or convention that nobody knows.
        EstimateError: (when asked) no plan, which says what is recomputed.

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
        """Work and recomputed work over what the chip does at this utilisation."""
        if work.plan is None:
            raise EstimateError(
                "plan", None, "is needed by HFU: it says what is recomputed", "give plan=ts.Plan(recompute=…), or tell the MFU"
            )
        model = work.flops(self.flops, self.mtp)
        again = recomputed(model, work.plan)
        return work.needed("tokens", "HFU") * (model.total + again) / (self.peak_flops(work.cluster) * self.hfu)


def recomputed(flops_per_token: Ledger, plan: Plan) -> Num:
    """FLOP per token that backward runs a second time under a plan's recompute.

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
    """Stated tokens per second and accelerator.

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
        """Tokens over rate."""
        return work.needed("tokens", "Throughput") / self.tokens_per_s_per_gpu


class StepTime(Efficiency):
    """Stated seconds per optimizer step.

    ``GPU-s = seconds · accelerators · tokens / (batch · seq_len)``

    Args:
        seconds: mean time of one optimizer step, number or array ``(n,)`` [s].
        time: "busy", or "wall" if that mean includes restarts and downtime.

    >>> StepTime(seconds=19.926).seconds
    19.926
    """

    seconds: Annotated[Num, Unit("s", "of one optimizer step", gt=0)]
    time: Flow = "busy"  # type: ignore[misc]

    def gpu_seconds(self, work: Work) -> Num:
        """Steps times seconds times accelerators."""
        steps = work.needed("tokens", "StepTime") / (work.needed("batch", "StepTime") * work.needed("seq_len", "StepTime"))
        return steps * self.seconds * work.cluster.gpus


class BusyHours(Efficiency):
    """Stated accelerator-hours of a phase; where its tokens are unknown, so are its FLOPs and MFU.

    ``GPU-s = 3600 · gpu_hours``

    Args:
        gpu_hours: hours of all accelerators together, number or array ``(n,)`` [GPU-h].
        time: "busy" for useful steps alone, or "wall" if the hours include restarts and downtime.

    >>> BusyHours(gpu_hours=5000).gpu_hours
    5000.0
    """

    gpu_hours: Annotated[Num, Unit("GPU-h", "useful stepping, all accelerators", gt=0)]
    time: Flow = "busy"  # type: ignore[misc]

    def gpu_seconds(self, work: Work) -> Num:  # noqa: ARG002  (told, whatever the work)
        """Hours as stated."""
        return self.gpu_hours * SECONDS_PER_HOUR


def told(efficiency: Any) -> bool:
    """Whether an efficiency was stated for one cluster, and says nothing of another."""
    return isinstance(efficiency, (MFU, HFU, Throughput, StepTime, BusyHours))
