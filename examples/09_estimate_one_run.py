"""What would training an 8-billion-parameter model on 256 H100 take: how many days, and how many dollars?

A model from a `config.json` (here as a dict; a path does as well), a cluster from the catalogue, and four inputs given by hand.
An estimate is a point; the last lines add beliefs about the two unknown inputs, which give an interval.
"""

import trainsim as ts

config = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": False,
}  # fmt: skip

run = ts.Run(
    name="an 8B model",
    model=ts.from_hf(config),
    cluster=ts.catalog.cluster("hgx-h100", gpus=256),
    phases=[
        ts.Phase("pretrain", tokens=2e12, seq_len=8192, batch=512),
        ts.Phase("extend", tokens=50e9, seq_len=65536, batch=64),
    ],
    efficiency=ts.MFU(0.40, peak="bf16", flops="causal"),
    reliability=ts.Goodput(0.95),
    price=ts.Rental(usd_per_gpu_hour=2.5),
)
est = ts.estimate(run)

print(est)
print("\nwhere the FLOPs of a token go:")
print(ts.flops_per_token(run.model, seq_len=8192).part("forward").share().table(depth=2))
print("\nwhere the dollars go:")
print(est.cost.table(depth=1))

# a point is no answer: beliefs about utilisation and rent, and the resulting distribution of the cost
beliefs = ts.Beliefs({"efficiency.mfu": ts.ci90(0.33, 0.47), "price.usd_per_gpu_hour": ts.ci90(1.9, 3.2)})
sim = ts.simulate(run, beliefs, seed=1)
low, mid, high = (float(q) / 1e3 for q in sim.quantile("cost", (0.05, 0.5, 0.95)))
days = sim.quantile("wall_days", 0.5)
print(f"\nabout {days:.0f} days and ${mid:.0f}K (90 % between ${low:.0f}K and ${high:.0f}K)")
