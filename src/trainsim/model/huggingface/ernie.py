"""ERNIE 4.5 mixture of experts."""

from __future__ import annotations

from ..transformer import Model
from .config import Config
from .parts import ALL, LAYERS, Channels, alike, assemble, biases, gated, grouped_query, routed, stack
from .reader import family


@family("ernie4_5_moe")
def ernie4_5_moe(c: Config) -> Model:
    """ERNIE 4.5 (Baidu 2025): experts between two layers, at an interval; the router's balancing score is stored as a parameter."""
    layers = c.layers(*LAYERS)
    projections = biases(c, *ALL, key="use_bias")
    given = "both" if projections else "none"
    shared = c.count("moe_num_shared_experts", default=2) * c.size("moe_intermediate_size")
    keys = ("moe_num_experts", "num_experts")
    moe = routed(c, *keys, width="moe_intermediate_size", shared_width=shared, shared_bias=given, router_bias="bias")
    channels = _between(c, layers, [("dense", gated(c, bias=bool(projections))), ("moe", moe)])
    c.ignore("moe_use_aux_free", "use_rmsnorm", "weight_share_add_bias")
    if c.count("num_nextn_predict_layers"):
        c.note("num_nextn_predict_layers: this family's prediction modules are not mapped")
    attention = grouped_query(c, kv=4, biases=projections)
    head = {"bias": "vocab" if projections else "none"}
    return assemble(c, stack(alike(layers, "", attention), channels), tied=True, head=head)


def _between(c: Config, layers: int, kinds: Channels) -> Channels:
    """Experts in every ``interval``-th layer from ``start`` to ``end``, both included; an end of −1 is the last layer."""
    start = c.count("moe_layer_start_index", default=1)
    last = not c.has("moe_layer_end_index") or c.data["moe_layer_end_index"] == -1
    end = layers - 1 if last else c.count("moe_layer_end_index")
    every = c.optional("moe_layer_interval", default=1)
    return [kinds[(i + 1) % every == 0 and start <= i <= end] for i in range(layers)]
