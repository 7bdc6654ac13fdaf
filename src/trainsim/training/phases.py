"""Phases of a run: pre-training, extension, fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import model_validator

from ..cluster.hardware import Cluster
from ..core.errors import SpecError
from ..core.spec import AsTuple, Count, Spec, invariant
from ..core.units import Num, Unit
from ..model.documents import Documents
from ..model.transformer import Model
from ..parallelism.plan import Plan
from .efficiency import Efficiency
from .fine_tuning import Trains


class Phase(Spec):
    """A stretch of training with one sequence length.

    Args:
        name: how paths address it: ``phases.pretrain.tokens``.
        tokens: training tokens; None where they were never published, and the phase's hours are given instead [token].
        seq_len: sequence length [token].
        batch: sequences per optimizer step [sequence], or a schedule: ``[(tokens, batch), …]``, a batch a stretch, the last to the end.
        ramp: stretches before the last one, ``((tokens, batch), …)``; filled from such a schedule.
        document_length: length of the documents packed into a sequence, which attend only within themselves [token]; a number,
            or :class:`~trainsim.Documents` for lengths that differ; None for one document per sequence.
        images: images in each sequence, whose tokens are among those of the sequence; the model's vision tower runs over them.
        resolution: their height and width [pixel].
        source_len: tokens that an encoder reads for each sequence of its decoder [token].
        trains: what of the model is trained, :class:`~trainsim.LoRA` or :class:`~trainsim.Frozen`; None for everything.
        teacher: a larger model whose logits are the targets: it reads every token once, forward only, on the same accelerators at the
            same utilisation, and is no part of what is trained. None without distillation, or where its pass is paid elsewhere.
        plan, efficiency, cluster: the phase's own, where they differ from the run's.

    Raises:
        SpecError: tokens without a sequence length, a schedule that is none or takes as many tokens as the phase has, or images without a
            resolution.

    >>> Phase("pretrain", tokens=14.8e12, seq_len=4096, batch=15360).steps
    235239.664713...
    >>> Phase("pretrain", tokens=14.8e12, seq_len=4096, batch=[(469e9, 9216), (14.331e12, 15360)]).steps
    240209.367540...
    """

    positional: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    tokens: Annotated[Num, Unit("token", "training tokens", gt=0)] | None = None
    seq_len: Annotated[Num, Unit("token", "sequence length", ge=1)] | None = None
    batch: Annotated[Num, Unit("sequence", "sequences per optimizer step", gt=0)] | None = None
    ramp: Annotated[tuple[Annotated[tuple[float | int, float | int], AsTuple], ...], AsTuple] = ()
    document_length: Annotated[Num, Unit("token", "packed documents' length", ge=1)] | Documents | None = None
    images: Annotated[float, Unit("", "images per sequence", ge=0)] | None = None
    resolution: Annotated[tuple[int, int], AsTuple] | None = None
    source_len: Count | None = None
    trains: Trains | None = None
    teacher: Model | None = None
    plan: Plan | None = None
    efficiency: Efficiency | None = None
    cluster: Cluster | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            name: str,
            *,
            tokens: Num | None = ...,
            seq_len: Num | None = ...,
            batch: Num | Sequence[tuple[float, float]] | None = ...,
            ramp: Sequence[tuple[float, float]] = ...,
            document_length: Num | Documents | None = ...,
            images: float | None = ...,
            resolution: tuple[int, int] | None = ...,
            source_len: int | None = ...,
            trains: Trains | None = ...,
            teacher: Model | None = ...,
            plan: Plan | None = ...,
            efficiency: Efficiency | None = ...,
            cluster: Cluster | None = ...,
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _schedule(cls, fields: Any) -> Any:
        """A schedule of batches: all but its last stretch are the ramp."""
        given = fields.get("batch") if isinstance(fields, dict) else None
        if not isinstance(given, (list, tuple)) or not given:
            return fields
        if fields.get("ramp"):
            raise SpecError("ramp", fields["ramp"], "stands beside a schedule of batches, which holds it", "give one", "conflict")
        *ramp, (_, last) = _stretches("batch", given)
        if fields.get("tokens") is not None and not np.isclose(sum(t for t, _ in _stretches("batch", given)), fields["tokens"], rtol=1e-3):
            rule = f"adds up to other tokens than the phase's {fields['tokens']:g}"
            raise SpecError("batch", given, rule, "let the stretches add up to tokens", "conflict")
        return {**fields, "batch": last, "ramp": tuple(ramp)}

    @invariant
    def _consistent(self) -> Self:
        ramped = sum(tokens for tokens, _ in _stretches("ramp", self.ramp))
        if self.ramp and self.batch is None:
            raise SpecError("batch", None, "is required after a ramp", "give what it ends at", "missing")
        if self.ramp and self.tokens is not None and np.any(ramped >= self.tokens):
            rule = f"takes {ramped:g} tokens, all that the phase has"
            raise SpecError("ramp", self.ramp, rule, "give the stretches before the last one only", "conflict")
        if self.tokens is not None and self.seq_len is None:
            raise SpecError(
                "seq_len", None, "is required where tokens are given", "give the sequence length: attention FLOPs depend on it", "missing"
            )
        if (self.images is None) != (self.resolution is None):
            lacking, given = ("resolution", "images") if self.resolution is None else ("images", "resolution")
            raise SpecError(lacking, None, f"is required where {given} is given", "give images=… and resolution=(height, width)", "missing")
        return self

    def model_of(self, model: Model) -> Model:
        """The model as this phase runs it: its images in view, and what is not trained marked.

        Raises:
            SpecError: images and no tower to see them, more of them than a sequence holds, or a part to freeze that the model lacks.
        """
        if self.images is not None and self.resolution is not None and self.seq_len is not None:
            model = model.seeing(self.images, self.resolution, seq_len=float(np.max(self.seq_len)))
        if self.source_len is not None and self.seq_len is not None:
            model = model.reading(self.source_len, seq_len=float(np.max(self.seq_len)))
        return model if self.trains is None else self.trains.of(model)

    @property
    def stretches(self) -> tuple[tuple[Num, Num], ...]:
        """Tokens and batch of each stretch, in order [token], [sequence]; empty where one of them is not known."""
        if self.tokens is None or self.batch is None:
            return ()
        if not self.ramp:
            return ((self.tokens, self.batch),)
        return (*self.ramp, (self.tokens - sum(tokens for tokens, _ in self.ramp), self.batch))

    @property
    def steps(self) -> Num | None:
        """Optimizer steps: ``Σ tokens / (batch · seq_len)`` over the stretches; None where one of them is not known."""
        if not self.stretches or self.seq_len is None:
            return None
        return sum(tokens / (batch * self.seq_len) for tokens, batch in self.stretches)


def _stretches(name: str, given: Any) -> tuple[tuple[float, float], ...]:
    """A schedule as pairs of numbers above zero."""
    made = tuple(tuple(pair) if isinstance(pair, (list, tuple)) else (pair,) for pair in given)
    for pair in made:
        if len(pair) != 2 or not all(isinstance(x, (int, float)) and np.isfinite(x) and x > 0 for x in pair):
            raise SpecError(name, given, "is no schedule of batches", "give [(tokens, batch), …], every number above 0", "unknown-name")
    return made
