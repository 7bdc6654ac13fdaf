"""Phases of a run: pre-training, extension, fine-tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import model_validator

from ..cluster.hardware import Cluster
from ..errors import SpecError
from ..model.documents import Documents
from ..spec import Spec
from ..units import Num, Unit
from .efficiency import Efficiency
from .plan import Plan


class Phase(Spec):
    """A stretch of training with one sequence length.

    Args:
        name: how paths address it: ``phases.pretrain.tokens``.
        tokens: training tokens; None where never published (then tell its hours).
        seq_len: sequence length [token].
        batch: sequences per optimizer step.
        document_length: length of the documents packed into a sequence, which attend only within themselves [token]; a number,
            or :class:`~trainsim.Documents` for lengths that differ; None for one document per sequence.
        plan, efficiency, cluster: the phase's own, where they differ from the run's.

    >>> Phase("pretrain", tokens=14.8e12, seq_len=4096, batch=15360).steps
    235239.664713...
    """

    positional: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    tokens: Annotated[Num, Unit("token", "training tokens", gt=0)] | None = None
    seq_len: Annotated[Num, Unit("token", "sequence length", ge=1)] | None = None
    batch: Annotated[Num, Unit("sequence", "sequences per optimizer step", gt=0)] | None = None
    document_length: Annotated[Num, Unit("token", "packed documents' length", ge=1)] | Documents | None = None
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
            batch: Num | None = ...,
            document_length: Num | Documents | None = ...,
            plan: Plan | None = ...,
            efficiency: Efficiency | None = ...,
            cluster: Cluster | None = ...,
        ) -> None: ...

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.tokens is not None and self.seq_len is None:
            raise SpecError("seq_len", None, "is required where tokens are given", "give the sequence length: attention FLOPs depend on it")
        return self

    @property
    def steps(self) -> Num | None:
        """Optimizer steps: ``tokens / (batch · seq_len)``; None where one of them is not known."""
        if self.tokens is None or self.batch is None or self.seq_len is None:
            return None
        return self.tokens / (self.batch * self.seq_len)
