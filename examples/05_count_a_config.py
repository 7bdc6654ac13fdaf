"""Where do a model's parameters and FLOPs sit?

    python examples/05_count_a_config.py path/to/config.json

A config.json from disk is enough; nothing is fetched. Without a path, the sizes of Qwen3-30B-A3B (arXiv:2505.09388, table 2) are
written to a file first.
"""

import json
import sys
import tempfile
from pathlib import Path

import trainsim as ts

QWEN3_30B_A3B = {
    "model_type": "qwen3_moe",
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "vocab_size": 151936,
}

if len(sys.argv) > 1:
    path = Path(sys.argv[1])
else:
    path = Path(tempfile.mkdtemp()) / "config.json"
    path.write_text(json.dumps(QWEN3_30B_A3B))

model = ts.from_hf(path)
params, active = ts.count_params(model), ts.count_active_params(model)
print(f"{path.name}: {model.layers} layers, {params.total:,.0f} parameters, {active.total:,.0f} of them active\n")

print("stored\n" + params.table(depth=2), "\n")
print("passed by a token\n" + active.table(depth=2), "\n")

short, long = (ts.flops_per_token(model, seq_len=n) for n in (4096, 131072))
print("training FLOP per token, sequences of 4,096\n" + short.part("forward").table(depth=2), "\n")

scores = sum(value for line, value in long.lines() if line.endswith(".core"))
print(f"at 131,072 a token costs {long.total / short.total:.2f} times that; attention scores are {scores / long.total:.0%} of it")

packed = ts.flops_per_token(model, seq_len=131072, document_length=ts.Documents(lengths=(500, 8000), weights=(9, 1)))
print(f"packed with documents of 500 and, one in ten, 8,000 tokens: {packed.total / short.total:.2f} times")

for note in model.notes:
    print(f"assumed: {note}")
