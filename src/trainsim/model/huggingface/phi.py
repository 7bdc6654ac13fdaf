"""Phi-3, Phi-4 and Phi-3.5-MoE."""

from __future__ import annotations

from ..feedforward import MixtureOfExperts
from ..transformer import Model
from .config import Config
from .parts import ALL, LAYERS, alike, assemble, biases, experts, grouped_query, stack
from .reader import family

_DRAWN = 2


def _sparse_mixer(c: Config) -> MixtureOfExperts:
    """Experts with SparseMixer, which draws two experts, one after the other, whatever top-k the file gives (arXiv:2409.12136)."""
    number, top_k = experts(c, "num_local_experts", "num_experts")
    if number < _DRAWN:
        raise c.fail(
            "num_local_experts", f"are fewer than the {_DRAWN} experts that SparseMixer chooses per token", f"give at least {_DRAWN}"
        )
    if top_k != _DRAWN:
        c.note(f"num_experts_per_tok={top_k}: ignored, since SparseMixer always chooses {_DRAWN}")
    return MixtureOfExperts(experts=number, top_k=_DRAWN, width=c.size("intermediate_size"))


@family("phimoe")
def phimoe(c: Config) -> Model:
    """Phi-3.5-MoE (arXiv:2404.14219): LayerNorm, sixteen experts, an optional bias in the head."""
    layers = c.layers(*LAYERS)
    attention = grouped_query(c, kv=8, biases=biases(c, *ALL), window=c.size_or_none("sliding_window"))
    moe = _sparse_mixer(c)
    head = {"norm": "layer", "bias": "vocab" if c.flag("lm_head_bias", default=False) else "none"}
    return assemble(c, stack(alike(layers, "", attention), alike(layers, "moe", moe), norm="layer"), tied=False, head=head)
