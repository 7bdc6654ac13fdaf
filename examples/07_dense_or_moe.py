"""Dense or mixture of experts, at equal training FLOPs?

A mixture stores many experts and sends each token through a few. Here a dense twin gets the same depth, attention and vocabulary, and
an MLP as wide as makes its training FLOPs per token equal. What differs then is what must be stored.
"""

import trainsim as ts

SEQ_LEN = 4096
# bytes per parameter of mixed-precision Adam: weights 2, gradient 4, master 4, moments 8 (Megatron-LM, docs of the distributed optimizer)
STATE = 18

attention = ts.GroupedQueryAttention(heads=32, kv_heads=4, head_dim=128, qk_norm="head")


def model(ffn: ts.FeedForward, kind: str) -> ts.Model:
    block = ts.Block(attention=attention, ffn=ffn)
    return ts.Model(hidden=2048, vocab=151936, stack=[ts.Layers(name=kind, count=48, block=block)])


def cost(m: ts.Model) -> float:
    return float(ts.flops_per_token(m, SEQ_LEN).total)


print(f"{'':<28}{'stored':>10}{'active':>10}{'GFLOP/token':>13}{'state':>10}{'stored, dense = 1':>19}")
for experts, top_k, width in ((8, 2, 3072), (64, 8, 768), (128, 8, 768), (512, 8, 768)):
    moe = model(ts.MixtureOfExperts(experts=experts, top_k=top_k, width=width), "moe")

    # FLOPs are linear in the width of the dense twin: two points give the line
    one, two = cost(model(ts.GatedMLP(width=1), "dense")), cost(model(ts.GatedMLP(width=2), "dense"))
    equal = round(1 + (cost(moe) - one) / (two - one))
    dense = model(ts.GatedMLP(width=equal), "dense")

    for name, m in ((f"{top_k} of {experts} experts of {width}", moe), (f"  dense, width {equal}", dense)):
        stored, active = ts.count_params(m).total, ts.count_active_params(m).total
        times = stored / ts.count_params(dense).total
        print(f"{name:<28}{stored / 1e9:>9.2f}B{active / 1e9:>9.2f}B{cost(m) / 1e9:>13.2f}{stored * STATE / 1e9:>8.0f}GB{times:>19.2f}")

print("\nEqual work per token; the mixture pays in memory and in exchanges between GPUs, not in FLOPs.")
