"""Context parallelism: blocks of a sequence on several ranks, and the exchanges that let every query meet its keys."""

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
"""Exchanges of a forward and a backward pass over those of the forward pass: backward moves keys and values again, and their gradients;
after an all-to-all it moves as much as forward did."""


def context_seconds(shapes: Shapes, layout: Layout, fabric: Fabric) -> Num:
    """Seconds of one forward pass's exchanges between context-parallel ranks, and of the states of recurrent mixers, ``(kinds, n)``.

    Around a ring, or gathered at once: ``(cp − 1)/cp`` of all keys and values. All-to-all: a rank's own queries, keys, values and
    results, each token's heads to the rank that attends for them.

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
    """Tokens that one attention kernel goes over: a document or sequence, around a ring no more than a rank's block [token]."""
    whole = document_length(layout.seq_len, layout.documents)
    return np.minimum(whole, layout.seq_len / layout.cp) if layout.cp_exchange == "ring" else whole


def busiest_block(mask: Mask, layout: Layout) -> Num:
    """Keys met by the rank that meets most, over those of the mean rank [1].

    1 where ranks hold blocks from both ends of a sequence, or all tokens of some heads. Contiguous blocks: the last one's queries meet
    ``[n·K(n) − m·K(m)]/(n − m)`` keys, ``m = n·(1 − 1/cp)``, with ``K`` the mean keys of a query; under a causal mask ``2 − 1/cp`` of
    the mean.

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
