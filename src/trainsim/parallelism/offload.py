"""Offload: share of a step's tensors that is stored in host memory."""

from __future__ import annotations

from typing import Annotated, Literal

from ..core.spec import Spec
from ..core.units import Num, Unit

Share = Annotated[Num, Unit("", "share in host memory", ge=0, le=1)]


class Offload(Spec):
    """Shares of the optimizer states and of the saved activations that are stored in host memory between their uses.

    Args:
        optimizer: share of master copies and moments [1].
        activations: share of the activations saved for the backward pass [1].
        to: where they are stored.

    Source: Ren et al. 2021 (arXiv:2101.06840), section 3, for the optimizer; Rajbhandari et al. 2021 (arXiv:2104.07857), section 5.1.2, for
    activations.

    >>> Offload(optimizer=1.0).activations
    0.0
    """

    optimizer: Share = 0.0
    activations: Share = 0.0
    to: Literal["host"] = "host"
