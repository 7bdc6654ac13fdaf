"""Phase: a stretch of a run with one sequence length, such as pre-training or fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from ..cluster.hardware import Cluster
from ..core.errors import SpecError
from ..core.quantities import BINARY_THOUSAND
from ..core.spec import AsTuple, Count, Spec, invariant
from ..core.units import Num, Unit
from ..model.documents import Documents
from ..model.transformer import Model
from ..parallelism.plan import Plan
from .efficiency import Efficiency
from .fine_tuning import FROM_WORDS, Trains


class Phase(Spec):
    """A stretch of training with one sequence length.

    Args:
        name: name of the phase in paths: ``phases.pretrain.tokens``.
        tokens: training tokens; None if unknown, with the phase's hours given instead [token].
        seq_len: sequence length [token]; in text K is 1,024: ``"128K"`` is 131,072.
        batch: sequences per optimizer step [sequence]; or a schedule ``[(tokens, batch), …]``, one entry per stretch with a constant batch.
        ramp: stretches before the last one, ``((tokens, batch), …)``; set from such a schedule.
        document_length: length of the documents packed into a sequence, which attend only within themselves [token]; a number,
            or :class:`~trainsim.Documents` for varying lengths; None for one document per sequence.
        images: images per sequence; their tokens are part of the sequence, and the model's vision tower encodes them.
        resolution: height and width of the images [pixel].
        source_len: tokens that the encoder reads per sequence of its decoder [token].
        trains: which parameters are trained, :class:`~trainsim.LoRA` or :class:`~trainsim.Frozen`, or the words ``"lora:16"``,
            ``"qlora:16"``; None for all.
        teacher: model whose logits are the targets; it runs forward over every token on the same accelerators at the same utilisation,
            and is not trained. None without distillation, or if its cost is counted elsewhere.
        plan, efficiency, cluster: those of the phase, if they differ from the run's.

    Raises:
        SpecError: tokens without a sequence length, an invalid batch schedule, or images without a resolution.

    >>> Phase("pretrain", tokens=14.8e12, seq_len=4096, batch=15360).steps
    235239.664713...
    >>> Phase("pretrain", tokens=14.8e12, seq_len=4096, batch=[(469e9, 9216), (14.331e12, 15360)]).steps
    240209.367540...
    """

    positional: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    tokens: Annotated[Num, Unit("token", "training tokens", gt=0)] | None = None
    seq_len: Annotated[Num, Unit("token", "sequence length", ge=1, thousand=BINARY_THOUSAND)] | None = None
    batch: Annotated[Num, Unit("sequence", "sequences per optimizer step", gt=0)] | None = None
    ramp: Annotated[tuple[Annotated[tuple[float | int, float | int], AsTuple], ...], AsTuple] = ()
    document_length: Annotated[Num, Unit("token", "length of packed documents", ge=1, thousand=BINARY_THOUSAND)] | Documents | None = None
    images: Annotated[float, Field(ge=0)] | None = None  # not a ``Num``: each value needs a model of its own, so beliefs can't vary it
    resolution: Annotated[tuple[int, int], AsTuple] | None = None
    source_len: Count | None = None
    trains: Annotated[Trains | None, FROM_WORDS] = None
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
            trains: Trains | str | None = ...,
            teacher: Model | None = ...,
            plan: Plan | None = ...,
            efficiency: Efficiency | None = ...,
            cluster: Cluster | None = ...,
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _schedule(cls, fields: Any) -> Any:
        """Split a batch schedule into ``ramp`` and the final ``batch``."""
        given = fields.get("batch") if isinstance(fields, dict) else None
        if not isinstance(given, (list, tuple)) or not given:
            return fields
        if fields.get("ramp"):
            raise SpecError(
                "ramp",
                fields["ramp"],
                "is given together with a batch schedule, which includes it",
                "give ramp or the batch schedule",
                "conflict",
            )
        *ramp, (_, last) = _check_schedule("batch", given)
        if fields.get("tokens") is not None and not np.isclose(
            sum(t for t, _ in _check_schedule("batch", given)), fields["tokens"], rtol=1e-3
        ):
            rule = f"does not add up to the phase's {fields['tokens']:g} tokens"
            raise SpecError("batch", given, rule, "make the tokens of the schedule add up to the phase's tokens", "conflict")
        return {**fields, "batch": last, "ramp": tuple(ramp)}

    @invariant
    def _consistent(self) -> Self:
        ramped = sum(tokens for tokens, _ in _check_schedule("ramp", self.ramp))
        if self.ramp and self.batch is None:
            raise SpecError("batch", None, "is required after a ramp", "give the final batch", "missing")
        if self.ramp and self.tokens is not None and np.any(ramped >= self.tokens):
            rule = f"takes {ramped:g} tokens, at least as many as the phase has"
            raise SpecError("ramp", self.ramp, rule, "give the stretches before the last one only", "conflict")
        if self.tokens is not None and self.seq_len is None:
            raise SpecError(
                "seq_len", None, "is required if tokens are given", "give the sequence length: attention FLOPs depend on it", "missing"
            )
        if (self.images is None) != (self.resolution is None):
            lacking, given = ("resolution", "images") if self.resolution is None else ("images", "resolution")
            raise SpecError(lacking, None, f"is required if {given} is given", "give images=… and resolution=(height, width)", "missing")
        return self

    def model_of(self, model: Model) -> Model:
        """The model of this phase, with its images, encoder inputs, frozen parts and adapters.

        Raises:
            SpecError: the model has no tower for images, the images exceed the sequence, or a part to freeze does not exist.
        """
        if self.images is not None and self.resolution is not None and self.seq_len is not None:
            model = model.seeing(self.images, self.resolution, seq_len=float(np.max(self.seq_len)))
        if self.source_len is not None and self.seq_len is not None:
            model = model.reading(self.source_len, seq_len=float(np.max(self.seq_len)))
        return model if self.trains is None else self.trains.of(model)

    @property
    def stretches(self) -> tuple[tuple[Num, Num], ...]:
        """Tokens and batch of each stretch, in order [token], [sequence]; empty if one of them is unknown."""
        if self.tokens is None or self.batch is None:
            return ()
        if not self.ramp:
            return ((self.tokens, self.batch),)
        return (*self.ramp, (self.tokens - sum(tokens for tokens, _ in self.ramp), self.batch))

    @property
    def steps(self) -> Num | None:
        """Optimizer steps: ``Σ tokens / (batch · seq_len)`` over the stretches; None if one of them is unknown."""
        if not self.stretches or self.seq_len is None:
            return None
        return sum(tokens / (batch * self.seq_len) for tokens, batch in self.stretches)


def _check_schedule(name: str, given: Any) -> tuple[tuple[float, float], ...]:
    """Validate a batch schedule: pairs of positive numbers."""
    made = tuple(tuple(pair) if isinstance(pair, (list, tuple)) else (pair,) for pair in given)
    for pair in made:
        if len(pair) != 2 or not all(isinstance(x, (int, float)) and np.isfinite(x) and x > 0 for x in pair):
            raise SpecError(name, given, "is not a batch schedule", "give [(tokens, batch), …] with positive numbers", "unknown-name")
    return made
