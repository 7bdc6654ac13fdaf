"""What do $1.2 million and 40 days buy?

Not one number: it depends on what the GPUs will reach and what they will cost. So the answer is a number of tokens that both limits hold
for with a probability, and a list of what would move it.
"""

import trainsim as ts

run = ts.Run(
    name="an 8B model on 512 H100",
    model=ts.catalog.model("llama3-8b"),
    cluster=ts.catalog.cluster("hgx-h100", gpus=512),
    phases=[ts.Phase("pretrain", tokens=2e12, seq_len=8192, batch=512)],
    efficiency=ts.MFU(0.40),
    reliability=ts.Goodput(0.95),
    price=ts.Rental(usd_per_gpu_hour=2.5),
)
beliefs = ts.Beliefs(
    {
        "efficiency.mfu": ts.ci90(0.30, 0.45),
        "reliability.goodput": ts.uniform(0.88, 0.99),
        "price.usd_per_gpu_hour": ts.ci90(1.9, 3.2),
    }
)
limits = {"cost": 1.2e6, "wall_days": 40}

print("tokens that fit both limits:")
for certainty in (0.5, 0.8, 0.95):
    found = ts.solve_for(run, "phases.pretrain.tokens", limits, beliefs, probability=certainty)
    print(f"  with {certainty:.0%} certainty {found.nearest / 1e12:5.1f}T")

certain = ts.solve_for(run, "phases.pretrain.tokens", limits, beliefs, probability=0.8)
planned = run.replace({"phases.pretrain.tokens": certain.nearest})
print(f"\n{certain}")
print("\nwhat moves its cost:")
for swing in ts.tornado(planned, beliefs):
    print(f"  {swing.path:<26} ${min(swing.low, swing.high) / 1e6:.2f}M to ${max(swing.low, swing.high) / 1e6:.2f}M")
print(f"\n{ts.draw(ts.simulate(planned, beliefs, n=4096, seed=1), of='cost').title}")
