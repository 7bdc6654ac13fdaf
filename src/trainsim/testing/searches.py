"""Small runs and a small space of layouts, so that a test can time every layout one by one."""

from __future__ import annotations

from typing import Any

import trainsim as ts

NARROW: dict[str, Any] = {
    "schedule": ("1f1b", "interleaved", "dualpipe"),
    "zero": (1, 3),
    "recompute": ("none", "full"),
    "micro_batch": (1, 2),
    "vpp": (1, 2),
    "cp": (1, 2),
}
"""A few values of each axis."""


def dense() -> ts.Model:
    """Six dense layers."""
    block = ts.Block(attention=ts.GroupedQueryAttention(heads=8, kv_heads=4, head_dim=64), ffn=ts.GatedMLP(width=1536))
    return ts.Model(hidden=512, vocab=32000, stack=[ts.Layers(name="dense", count=6, block=block)])


def sparse() -> ts.Model:
    """One dense layer and four of experts."""
    attention = ts.GroupedQueryAttention(heads=8, kv_heads=4, head_dim=64)
    first = ts.Block(attention=attention, ffn=ts.GatedMLP(width=1536))
    rest = ts.Block(attention=attention, ffn=ts.MixtureOfExperts(experts=12, top_k=2, width=256))
    stack = [ts.Layers(name="dense", count=1, block=first), ts.Layers(name="moe", count=4, block=rest)]
    return ts.Model(hidden=512, vocab=32000, stack=stack)


def run(model: ts.Model, memory_bytes: float = 2.1e9, gpus: int = 8, plan: ts.Plan | None = None) -> ts.Run:
    """A run of two phases; ``memory_bytes`` of an accelerator [B] are so few that not every layout fits."""
    cluster = ts.catalog.cluster("hgx-h100", gpus)
    return ts.Run(
        model=model,
        cluster=cluster.replace({"chip.memory": memory_bytes}),
        phases=[ts.Phase("pretrain", tokens=1e10, seq_len=2048, batch=24), ts.Phase("extend", tokens=1e9, seq_len=4096, batch=12)],
        efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
        plan=plan,
        reliability=ts.Goodput(0.9),
        price=ts.Rental(usd_per_gpu_hour=2.0),
    )
