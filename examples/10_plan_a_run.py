"""I have 64 H100 and $100,000: which layout trains an 8B model fastest, and how many tokens does the budget allow with 80 % certainty?

The step time is modelled from the op table, the layout, the data sheet and a software stack. The search tries every layout that the
model, the cluster and Megatron-LM allow and that fits in memory; then the tokens for a budget and a deadline are computed for the best.
"""

import trainsim as ts

run = ts.Run(
    name="an 8B model",
    model=ts.catalog.model("llama3-8b"),
    cluster=ts.catalog.cluster("hgx-h100", gpus=64),
    phases=[ts.Phase("pretrain", tokens=200e9, seq_len=8192, batch=256)],
    efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
    plan=ts.Plan(tp=8, zero=1, sequence_parallel="on"),
    reliability=ts.Goodput(0.95),
    price=ts.Rental(usd_per_gpu_hour=2.5),
)

found = ts.search_plans(run, framework="megatron", top=5)
print(found)
print("\nwhat nothing beats in seconds and memory at once:")
for plan in found.front[:6]:
    print(plan)
print("\nfor the command line:", " ".join(found.best.plan.to_megatron()))

# beliefs about the stack, which was not measured on this cluster, and about the rent
beliefs = ts.catalog.stack_beliefs("mcore-hopper") | ts.Beliefs({"price.usd_per_gpu_hour": ts.ci90(1.9, 3.2)})
limits = {"cost": 100e3, "wall_days": 45}
allowed = ts.solve_for(found.best_run, "phases.pretrain.tokens", limits, beliefs, probability=0.8)
print(f"\n{allowed}")
fewer = ts.solve_for(found.best_run, "cluster.gpus", limits | {"memory": 80e9})
print(f"\nand for 200B tokens by the point, the fewest accelerators:\n{fewer}")
print(f"\n{found.best.seconds:.2f} s a step; with 80 % certainty {allowed.nearest / 1e9:.0f}B tokens for $100,000 within 45 days")
