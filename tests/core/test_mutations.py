"""Mutated files and launch arguments: every one is read or raises a TrainsimError, never another exception."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import trainsim as ts

WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, 10**30, "x", "", [], {}, [1], {"kind": "Rental"}, "(none)", [[]], "a" * 1000, {"a": {"b": {}}}, "\x1b",
)  # fmt: skip
KEYS = ("kind", "spec", "name", "self", "cls", "x", "sources")
BELIEFS = {
    "beliefs": {
        "price.usd_per_gpu_hour": {"kind": "Interval", "p5": 1, "p95": 3},
        "efficiency.mfu": {
            "kind": "Mixture", "weights": [0.5, 0.5],
            "laws": [
                {"kind": "Normal", "mu": 0.4, "sigma": 0.1},
                {"kind": "Truncated", "base": {"kind": "Normal", "mu": 0, "sigma": 1}, "low": 0},
            ],
        },
        "a = b": {"kind": "Joint", "columns": [[1, 2], [2, 3]]},
    },
    "correlated": {"price.usd_per_gpu_hour ~ efficiency.mfu": {"kind": "Rank", "rho": 0.5}},
}  # fmt: skip
MEGATRON = {
    "--tensor-model-parallel-size": 8, "--pipeline-model-parallel-size": 4, "--num-layers": 32, "--recompute-granularity": "selective",
    "--recompute-modules": ["moe"], "--optimizer": "adam", "--fp8-format": "hybrid", "--hidden-dropout": 0.0,
    "--pipeline-model-parallel-layout": "Ett|tt|tt|ttL", "--attention-backend": "flash", "--cuda-graph-impl": "local",
    "--cuda-graph-scope": ["attn"],
}  # fmt: skip
TORCHTITAN = {
    "parallelism": {
        "tensor_parallel_degree": 8, "pipeline_parallel_degree": 2, "pipeline_parallel_schedule": "1F1B", "data_parallel_shard_degree": -1,
    },
    "model": {"converters": ["float8"]},
    "optimizer": {"name": "AdamW"},
    "activation_checkpoint": {"mode": "selective", "selective_ac_option": "op"},
}  # fmt: skip
CONFIG = {
    "model_type": "qwen3_moe", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 100, "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
    "rope_scaling": {"type": "yarn", "factor": 2.0}, "mlp_only_layers": [0],
}  # fmt: skip


def run() -> dict[str, Any]:
    made = ts.catalog.run("deepseek-v3").replace({"phases.pretrain.efficiency": ts.Modelled(stack="mcore-hopper")})
    return {"spec": "Run", **made.to_dict()}


def mutated(data: dict[str, Any], random: Random) -> dict[str, Any]:
    """A copy with up to three items removed, renamed or replaced."""
    data = copy.deepcopy(data)
    for _ in range(random.randint(1, 3)):
        node: Any = data
        while isinstance(node, (dict, list)) and node:
            key: Any = random.choice(list(node)) if isinstance(node, dict) else random.randrange(len(node))
            if isinstance(node[key], (dict, list)) and node[key] and random.random() < 0.75:
                node = node[key]
                continue
            change = random.random()
            if isinstance(node, dict) and change < 0.2:
                del node[key]
            else:
                where: Any = random.choice(KEYS) if isinstance(node, dict) and change < 0.3 else key
                node[where] = copy.deepcopy(random.choice(WRONG))
            break
    return data


def saved(read: Callable[[Path], Any]) -> Callable[[Any, Path], Any]:
    def through_a_file(data: Any, folder: Path) -> Any:
        path = folder / "file.json"
        path.write_text(json.dumps(data), encoding="utf-8")
        return read(path)

    return through_a_file


DOORS: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[Any, Path], Any]]] = {
    "run": (run, saved(ts.load)),
    "beliefs": (lambda: BELIEFS, saved(ts.Beliefs.load)),
    "config": (lambda: CONFIG, saved(ts.from_hf)),
    "megatron": (lambda: MEGATRON, lambda data, _: ts.Plan.from_megatron(data)),
    "torchtitan": (lambda: TORCHTITAN, lambda data, _: ts.Plan.from_torchtitan(data)),
}


@pytest.mark.parametrize("door", sorted(DOORS))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False))
def test_a_mutated_input_is_read_or_raises_one_error(door: str, random: Random, tmp_path: Path) -> None:
    made, read = DOORS[door]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ts.TrainsimWarning)
        try:
            read(mutated(made(), random), tmp_path)
        except ts.TrainsimError as error:
            said = str(error)
            fields = error.rule, error.remedy
        else:
            return
    assert all(fields)
    assert "\n" not in said


def test_a_valid_input_is_read(tmp_path: Path) -> None:
    for made, read in DOORS.values():
        read(made(), tmp_path)
