"""Context parallelism: time of the exchanges between ranks that hold blocks of a sequence, and the load imbalance of these ranks."""

from __future__ import annotations

import numpy as np

from ..cluster.collectives import Fabric, all_gather, all_to_all, members_per_domain
from ..core.units import Num, any_true
from ..model.documents import document_length
from ..model.masks import Mask
from ..parallelism.layout import Layout
from ..parallelism.plan import ContextExchange
from ..parallelism.shapes import Shapes

BF16_BYTES = 2.0
VISITS: dict[ContextExchange, float] = {"ring": 3.0, "all-gather": 3.0, "all-to-all": 2.0}
"""Traffic of a forward plus a backward pass relative to the forward pass. The backward pass moves keys and values and their gradients; with
an all-to-all it moves as much as the forward pass."""


def context_seconds(shapes: Shapes, layout: Layout, fabric: Fabric) -> Num:
    """Time to exchange keys, values and recurrent states between context-parallel ranks in one forward pass, ``(kinds, n)`` [s].

    A ring or an all-gather moves ``(cp − 1)/cp`` of all keys and values. An all-to-all moves a rank's queries, keys, values and results
    to the ranks that process their heads.

    Source: ring attention, arXiv:2310.01889, section 3; keys and values gathered, Llama 3 (arXiv:2407.21783), section 3.3.2; all-to-all,
    DeepSpeed-Ulysses (arXiv:2309.14509), section 3; states gathered, LASP-2 (arXiv:2502.07563), section 3.
    """
    if not any_true(layout.cp != 1):
        return shapes.zeros
    near = members_per_domain(layout.cp, layout.tp, fabric.domain)
    states = layout.micro_batch * shapes.state * layout.cp / layout.tp * BF16_BYTES
    seconds: Num
    if layout.cp_exchange == "all-to-all":
        queries = shapes.cores_of @ (shapes.heads * shapes.width * (shapes.fixed_flop == 0))
        own = layout.tokens * (queries + shapes.kv_width) / layout.tp * BF16_BYTES
        headed = np.where(queries > 0, all_to_all(own, layout.cp, near, fabric), 0.0)
        seconds = headed + np.where(shapes.state > 0, all_gather(states, layout.cp, near, fabric), 0.0)
        return seconds
    whole = layout.tokens * shapes.kv_width * layout.cp / layout.tp * BF16_BYTES + states
    seconds = np.where(shapes.kv_width + shapes.state > 0, all_gather(whole, layout.cp, near, fabric), 0.0)
    return seconds


def block_length(layout: Layout) -> Num:
    """Sequence length of one attention kernel [token]: that of a document; under ring exchange, at most a rank's block."""
    whole = document_length(layout.seq_len, layout.documents)
    around = layout.cp_exchange == "ring" and any_true(layout.cp != 1)
    return np.minimum(whole, layout.seq_len / layout.cp) if around else whole


def busiest_block(mask: Mask, layout: Layout) -> Num:
    """Load imbalance of context-parallel ranks: keys of the busiest rank relative to the mean [1].

    The imbalance is 1 if each rank has blocks from both ends of a sequence, or all tokens of some heads. With contiguous blocks, the
    queries of the last block attend to ``[n·K(n) − m·K(m)]/(n − m)`` keys with ``m = n·(1 − 1/cp)``, where ``K`` is the mean number of keys
    per query; under a causal mask that is ``2 − 1/cp`` times the mean.

    Source: striped attention (arXiv:2311.09431), section 3, for the imbalance; Megatron-LM's context parallelism for the balance.
    """
    if layout.cp_order == "balanced" or layout.cp_exchange == "all-to-all" or not any_true(layout.cp != 1):
        return 1.0
    n = document_length(layout.seq_len, layout.documents)
    m = np.maximum(n - layout.seq_len / layout.cp, 0.0)
    mean = mask.keys(n)
    before = np.where(m > 0, mask.keys(np.maximum(m, 1.0)), 0.0)
    last = np.minimum((n * mean - m * before) / (n - m), n)
    return np.maximum(last / mean, 1.0)
