"""What share of a step are the ranks of a pipeline idle, and how do the published schedules reduce it?

Eight ranks, sixteen micro-batches; a forward pass of a rank's layers takes 1, the backward passes for inputs and for weights 1 each.
Where forward and backward passes overlap (DualPipe), expert exchanges are hidden, and a pair takes 2.7 instead of 3.
"""

import numpy as np

import trainsim as ts

RANKS, MICRO_BATCHES = 8, 16
one = np.ones(RANKS)
layers = ts.Times(forward=one, inputs=one, weights=one)
paired = ts.Times(forward=one, inputs=one, weights=one, pair=2.7 * one)

drawn = {
    "1F1B": ts.pipeline_timeline("1f1b", layers, MICRO_BATCHES, RANKS),
    "Interleaved 1F1B, two stages a rank": ts.pipeline_timeline("interleaved", layers, MICRO_BATCHES, RANKS, vpp=2),
    "Zero bubble (ZB-H1)": ts.pipeline_timeline("zero-bubble", layers, MICRO_BATCHES, RANKS),
    "DualPipe with overlapped passes": ts.pipeline_timeline("dualpipe", paired, MICRO_BATCHES, RANKS),
}
for name, made in drawn.items():
    idle = np.mean([float(made.bubble(rank)) for rank in range(RANKS)]) / float(made.seconds)
    print(f"{name:36s} step {float(made.seconds):5.1f}   idle {100 * idle:4.1f} %")

print("drawn:", ts.draw_timelines(drawn, "pipeline.png"))
