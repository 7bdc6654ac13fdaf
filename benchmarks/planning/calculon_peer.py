"""Run Calculon's own search (`llm-optimal-execution`) for some seconds in one process; prints layouts tried and CPU seconds as JSON.

    python calculon_peer.py PATH_OF_A_CLONE SECONDS

The model is dense, with DeepSeek-V3's width and active FLOPs, on 2,048 H100. Calculon does not support experts, and its search needs
stages that divide the layers, so the model has 64 layers instead of 61. The jobs of the search run in a random order with a fixed seed, so
that its beginning is a fair sample.
"""

from __future__ import annotations

import json
import random
import sys
import time
from itertools import product
from pathlib import Path

PROCESSORS, BATCH = 2048, 15360
APPLICATION = {"hidden": 7168, "feedforward": 28672, "seq_size": 4096, "attn_heads": 128, "attn_size": 128, "num_blocks": 64}


def main() -> None:
    clone, seconds = Path(sys.argv[1]), float(sys.argv[2])
    sys.path.insert(0, str(clone))
    from calculon.llm.llm import Llm
    from calculon.llm.optimal_execution import OptimalExecution as Search
    from calculon.system import System

    app = Llm.Application(APPLICATION)
    system = System(json.loads((clone / "systems" / "h100_80g_nvl8.json").read_text()))
    jobs = []
    for tp in Llm.get_all_tensor_parallelisms(PROCESSORS, app.hidden, app.attn_heads):
        for pp in Llm.get_all_pipeline_parallelisms(PROCESSORS, tp, app.num_blocks):
            dp = Llm.get_data_parallelism(PROCESSORS, tp, pp)
            batch = Search.get_batch_size(dp, BATCH)
            if batch is None:
                continue
            chunks = Llm.get_valid_pipeline_interleavings(app.num_blocks, pp)
            shards = [True, False] if dp > 1 else [False]
            choices = product(chunks, ("full", "attn_only", "none"), shards, ("ar", "p2p_rs_ag", "rs_ag"))
            jobs += [(tp, pp, dp, chunk, batch, again, shard, kind) for chunk, again, shard, kind in choices]
    random.Random(1).shuffle(jobs)  # noqa: S311
    tried = good = 0
    start, end = time.process_time(), time.process_time() + seconds
    for job in jobs:
        _, count, fine, *_ = Search.search(False, 1, False, PROCESSORS, BATCH, "float16", app, system, *job, [True], False, True, True)
        tried, good = tried + count, good + fine
        if time.process_time() > end:
            break
    print(json.dumps({"layouts": tried, "fit": good, "seconds": time.process_time() - start}))


if __name__ == "__main__":
    main()
