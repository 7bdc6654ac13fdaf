"""How long is my GRPO run? An 8B model, eight H100, 200 steps of 128 prompts and 8 answers each.

Reinforcement learning spends its time generating: a memory-bound decode whose answers grow longer as the model learns. Its
utilisation can't be derived from a pre-training MFU.
"""

import trainsim as ts

recipe = ts.Reinforcement(
    steps=200,
    prompts=128,
    samples=8,
    responses=ts.Responses(prompt=150, start=600, end=1500, spread=0.8, maximum=8192),
    engine=ts.Engine(gpus=1, bandwidth_share=0.55, compute_share=0.3, step_overhead_seconds=0.008, max_batch=256),
    prefill_mfu=0.4,
    learning_mfu=0.25,
    sync_seconds=20,
)
run = ts.Run(
    name="grpo",
    model=ts.catalog.model("llama3-8b"),
    cluster=ts.catalog.cluster("hgx-h100", gpus=8),
    phases=[ts.Phase("rl", efficiency=ts.Rollouts(recipe=recipe))],
    reliability=ts.Goodput(0.97),
    price=ts.Rental(usd_per_gpu_hour=2.5),
)
print(ts.estimate_reinforcement(run.model, run.cluster, recipe).seconds)

# nobody knows how long answers will get, nor how well the engine keeps its memory busy
path = "phases.rl.efficiency.recipe"
beliefs = ts.Beliefs(
    {
        f"{path}.responses.end": ts.ci90(800, 1500, 4000),
        f"{path}.engine.bandwidth_share": ts.ci90(0.35, 0.7),
        f"{path}.learning_mfu": ts.ci90(0.15, 0.35),
    }
)
sim = ts.simulate(run, beliefs, rtol=1e-2, seed=1)
hours = [float(q) * 24 for q in sim.quantile("wall_days", [0.05, 0.5, 0.95])]
dollars = [float(q) for q in sim.quantile("cost", [0.05, 0.5, 0.95])]
print(f"\nwall clock {hours[0]:.0f} to {hours[2]:.0f} hours, half the time under {hours[1]:.0f}")
print(f"cost ${dollars[0]:.0f} to ${dollars[2]:.0f}, half the time under ${dollars[1]:.0f}")
