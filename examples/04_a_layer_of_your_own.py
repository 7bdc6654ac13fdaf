"""My model mixes tokens in a new way: what would training it take?

An attention is one class with one method that yields its ops. Parameters, FLOPs, hours and dollars follow from them. A saved file
names the class by its import path ("my_layers:PooledAttention" if it is defined in my_layers.py), and it is found again when
the file is loaded, here or in another process.
"""

from collections.abc import Iterator

import trainsim as ts


class PooledAttention(ts.Attention):
    """Queries see one pooled key and value for every `pool` tokens, and a short window of whole ones."""

    heads: int
    head_dim: int
    pool: int
    window: int

    def ops(self, hidden: int) -> Iterator[ts.MatMul | ts.Attend]:
        """Queries, keys and values; the window exactly; the pools as a causal mask over a shorter sequence; output."""
        width = self.heads * self.head_dim
        for i, name in enumerate("qkv"):
            yield ts.MatMul(name=name, inner=hidden, cols=width, axes=("hidden", "head"), saved=0 if i else hidden)
        near = ts.GroupedQueryAttention(heads=self.heads, kv_heads=self.heads, head_dim=self.head_dim, window=self.window)
        yield ts.Attend(name="near", heads=self.heads, d_qk=self.head_dim, d_v=self.head_dim, mask=near.mask, saved=4 * width)
        yield ts.Attend(name="far", heads=self.heads / self.pool, d_qk=self.head_dim, d_v=self.head_dim)
        yield ts.MatMul(name="o", inner=width, cols=hidden, axes=("head", "hidden"), saved=width)


block = ts.Block(attention=PooledAttention(heads=32, head_dim=128, pool=16, window=1024), ffn=ts.GatedMLP(width=14336))
model = ts.Model(hidden=4096, vocab=128256, stack=[ts.Layers(name="pooled", count=32, block=block)])
run = ts.Run(
    model=model,
    cluster=ts.catalog.cluster("hgx-h100", gpus=1024),
    phases=[ts.Phase("pretrain", tokens=2e12, seq_len=131072, batch=32)],
    efficiency=ts.MFU(0.35),
    reliability=ts.Goodput(0.95),
    price=ts.Rental(usd_per_gpu_hour=2.5),
)
run.save("pooled.toml")  # holds kind = "__main__:PooledAttention"
again = ts.load("pooled.toml")
est = ts.estimate(again)

print(ts.flops_per_token(again.model, 131072).part("forward").table(depth=3))
print(f"\nloaded as saved: {again == run}; {ts.count_params(again.model).total / 1e9:.2f}B parameters")
print(f"{est.gpu_hours / 1e3:.0f} thousand GPU-hours, ${est.cost.total / 1e6:.2f}M")
