"""llm-analysis' ``training()`` on a model of its own catalogue: prints the best seconds of many calls as JSON."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import time

MODEL = "decapoda-research_llama-7b-hf"


def main() -> None:
    logging.disable(logging.CRITICAL)
    from llm_analysis.analysis import ActivationRecomputation, DSZeRO, LLMAnalysis
    from llm_analysis.config import ParallelismConfig, get_dtype_config_by_name, get_gpu_config_by_name, get_model_config_by_name

    layout = ParallelismConfig(tp_size=8, pp_size=2, dp_size=4)
    gpu, numbers = get_gpu_config_by_name("a100-sxm-80gb"), get_dtype_config_by_name("w16a16e16")
    analysis = LLMAnalysis(get_model_config_by_name(MODEL), gpu, numbers, layout, achieved_tflops=150)
    least, end = float("inf"), time.perf_counter() + 2.0
    with contextlib.redirect_stdout(io.StringIO()):
        while time.perf_counter() < end:
            start = time.perf_counter()
            analysis.training(
                batch_size_per_gpu=1, gradient_accumulation_steps=32, seq_len=2048, total_num_tokens=1e12,
                activation_recomputation=ActivationRecomputation.NONE, ds_zero=DSZeRO.STAGE_1,
            )  # fmt: skip
            least = min(least, time.perf_counter() - start)
    print(json.dumps({"model": MODEL, "seconds": least}))


if __name__ == "__main__":
    main()
