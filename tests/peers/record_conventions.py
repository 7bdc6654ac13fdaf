"""Record FLOPs as counted by training frameworks, so that the tests can compare without them.

    python tests/peers/record_conventions.py megatron=PATH maxtext=PATH verl=PATH

Each PATH is a git clone. The counting functions are taken from its HEAD and called with random sizes; no other code of it runs.
One row for each: the convention with its date, the commit, our config, the sequence length and FLOP per token.
"""

from __future__ import annotations

import ast
import json
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

WHERE = Path(__file__).parents[1] / "model" / "conventions.json"
FILES = {
    "megatron": ("megatron/training/training.py", "2026-08"),
    "maxtext": ("src/maxtext/utils/maxtext_utils.py", "2026-08"),
    "verl": ("verl/utils/flops_counter.py", "2026-08"),
}
DRAWN = 12


def git(clone: str, *words: str) -> str:
    return subprocess.run(["git", "-C", clone, *words], check=True, capture_output=True, text=True).stdout  # noqa: S603, S607


def functions(clone: str, file: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """The functions of a file at HEAD, defined without its imports, which ``names`` replace."""
    tree = ast.parse(git(clone, "show", f"HEAD:{file}"))
    kept = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    for node in kept:
        node.decorator_list, node.returns = [], None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        node.args.defaults = [_plain(d) for d in node.args.defaults]
        node.args.kw_defaults = [d and _plain(d) for d in node.args.kw_defaults]
    found: dict[str, Any] = dict(names)
    whole = ast.fix_missing_locations(ast.Module(list(kept), []))
    exec(compile(whole, file, "exec"), found)  # noqa: S102  (functions of a clone that the caller named)
    return found


def _plain(default: ast.expr) -> ast.expr:
    return default if isinstance(default, ast.Constant) else ast.Constant(None)


def sizes(rng: random.Random) -> dict[str, Any]:
    heads = rng.choice((4, 8))
    return {
        "hidden_size": 64 * rng.randint(1, 4), "num_hidden_layers": 6 * rng.randint(1, 3), "num_attention_heads": heads,
        "num_key_value_heads": rng.choice((1, 2, 4)), "head_dim": rng.choice((16, 32)), "vocab_size": rng.randint(90, 900),
        "intermediate_size": 16 * rng.randint(3, 12), "tie_word_embeddings": False,
    }  # fmt: skip


def experts(rng: random.Random) -> dict[str, Any]:
    return {"num_experts": rng.choice((8, 16)), "num_experts_per_tok": rng.randint(1, 4), "moe_intermediate_size": 8 * rng.randint(3, 9)}


def latent(rng: random.Random) -> dict[str, Any]:
    return {
        "q_lora_rank": rng.choice((24, 40)), "kv_lora_rank": 16 * rng.randint(1, 3), "qk_nope_head_dim": rng.choice((8, 16)),
        "qk_rope_head_dim": 8, "v_head_dim": rng.choice((8, 16)), "first_k_dense_replace": rng.randint(0, 2), "n_shared_experts": 1,
    }  # fmt: skip


def deepseek(rng: random.Random, *, sparse: bool) -> dict[str, Any]:
    made = {**sizes(rng), **experts(rng), **latent(rng), "model_type": "deepseek_v32" if sparse else "deepseek_v3", "attention_bias": False}
    del made["head_dim"]
    made["n_routed_experts"] = made.pop("num_experts")
    made["num_key_value_heads"] = made["num_attention_heads"]
    return made | ({"index_n_heads": 4, "index_head_dim": 16, "index_topk": rng.choice((32, 64))} if sparse else {})


def gpt_oss(rng: random.Random) -> dict[str, Any]:
    made = {**sizes(rng), "model_type": "gpt_oss", "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": rng.choice((16, 48))}
    return made | {"layer_types": ["sliding_attention", "full_attention"] * (made["num_hidden_layers"] // 2)}


def verl(clone: str, file: str, rng: random.Random) -> list[tuple[dict[str, Any], int, float]]:
    """Through its own estimators: TFLOP/s of one sequence in one second."""
    found = functions(clone, file, {})
    drawn: list[tuple[str, dict[str, Any]]] = []
    for _ in range(DRAWN):
        drawn += [
            ("_estimate_qwen2_flops", sizes(rng) | {"model_type": "qwen3"}),
            ("_estimate_qwen2_moe_flops", {**sizes(rng), **experts(rng), "model_type": "qwen3_moe"}),
            ("_estimate_deepseek_v3_flops", deepseek(rng, sparse=False)),
            ("_estimate_gpt_oss_flops", gpt_oss(rng)),
        ]
    rows = []
    for name, config in drawn:
        length = rng.choice((96, 256))
        rate = found[name](SimpleNamespace(**config), length, [length], 1.0)
        rows.append((config, length, rate * 1e12 / length))
    return rows


def maxtext(clone: str, file: str, rng: random.Random) -> list[tuple[dict[str, Any], int, float]]:
    """Through ``calculate_tflops_training_per_device``."""
    names = [
        "DEFAULT",
        "DEEPSEEK",
        "LLAMA4",
        "QWEN3_NEXT",
        "QWEN3_5",
        "GEMMA4",
        "GEMMA4_SMALL",
        "DEEPSEEK4",
        "QWEN3_CUSTOM_MOE",
        "GEMMA2",
        "GEMMA3",
        "GPT_OSS",
        "LLAMA2",
    ]
    blocks = Enum("DecoderBlockType", names)  # type: ignore[misc]
    found = functions(clone, file, {"DecoderBlockType": blocks, "max_logging": SimpleNamespace(log=lambda *_: None)})
    rows = []
    for kind in ("dense", "gpt_oss", "v3", "v32") * DRAWN:
        config = {"dense": lambda: sizes(rng) | {"model_type": "qwen3"}, "gpt_oss": lambda: gpt_oss(rng)}.get(
            kind, lambda kind=kind: deepseek(rng, sparse=kind == "v32")
        )()
        length = rng.choice((96, 256))
        block = {"dense": blocks.LLAMA2, "gpt_oss": blocks.GPT_OSS}.get(kind, blocks.DEEPSEEK)  # type: ignore[attr-defined]
        total = found["calculate_tflops_training_per_device"](_as_maxtext(config, block, length), log=False)[0]
        rows.append((config, length, total * 1e12 / length))
    return rows


def _as_maxtext(config: Mapping[str, Any], block: Any, length: int) -> SimpleNamespace:
    number = config.get("n_routed_experts") or config.get("num_local_experts") or 1
    return SimpleNamespace(
        decoder_block=block, num_experts=number, per_device_batch_size=1, max_target_length=length, emb_dim=config["hidden_size"],
        num_experts_per_tok=config.get("num_experts_per_tok", 1), mlp_dim=config["intermediate_size"], mlp_activations=["silu", "linear"],
        moe_mlp_dim=config.get("moe_intermediate_size", config["intermediate_size"]), num_decoder_layers=config["num_hidden_layers"],
        attention_type="mla" if "kv_lora_rank" in config else "global", share_kv_projections=False,
        num_query_heads=config["num_attention_heads"], num_kv_heads=config["num_key_value_heads"], head_dim=config.get("head_dim", 0),
        vocab_size=config["vocab_size"], q_lora_rank=config.get("q_lora_rank", 0), kv_lora_rank=config.get("kv_lora_rank", 0),
        qk_nope_head_dim=config.get("qk_nope_head_dim", 0), qk_rope_head_dim=config.get("qk_rope_head_dim", 0),
        v_head_dim=config.get("v_head_dim", 0), first_num_dense_layers=config.get("first_k_dense_replace", 0),
        shared_experts=config.get("n_shared_experts", 0), use_indexer="index_topk" in config, indexer_topk=config.get("index_topk", 0),
        indexer_n_heads=config.get("index_n_heads", 0), indexer_head_dim=config.get("index_head_dim", 0),
        sliding_window_size=config.get("sliding_window", 0), mtp_num_layers=0, engram_layers=None, use_multimodal=False, use_dpo=False,
        gradient_accumulation_steps=1, model_name="", shared_expert_mlp_dim=None,
    )  # fmt: skip


def megatron(clone: str, file: str, rng: random.Random) -> list[tuple[dict[str, Any], int, float]]:
    """Through ``num_floating_point_operations`` of a batch of one."""
    no = lambda *_: False  # noqa: E731
    stand_ins = {"is_hybrid_model": no, "is_linear_attention_variant": no, "is_gated_delta_net_variant": no}
    count: Callable[..., float] = functions(clone, file, stand_ins)["num_floating_point_operations"]
    rows = []
    for kind in ("dense", "moe", "v3") * DRAWN:
        if kind == "v3":
            config = deepseek(rng, sparse=False)
        else:
            config = sizes(rng) | ({"model_type": "qwen3"} if kind == "dense" else {**experts(rng), "model_type": "qwen3_moe"})
        length = rng.choice((96, 256))
        rows.append((config, length, count(_as_megatron(config, length), 1) / length))
    return rows


def _as_megatron(config: Mapping[str, Any], length: int) -> SimpleNamespace:
    number, layers = config.get("n_routed_experts") or config.get("num_experts"), config["num_hidden_layers"]
    latent_heads, dense = "kv_lora_rank" in config, config.get("first_k_dense_replace", 0)
    shared = config.get("n_shared_experts", 0) * config.get("moe_intermediate_size", 0)
    return SimpleNamespace(
        seq_length=length, hidden_size=config["hidden_size"], num_layers=layers, num_attention_heads=config["num_attention_heads"],
        group_query_attention=not latent_heads, num_query_groups=config["num_key_value_heads"], kv_channels=config.get("head_dim"),
        num_experts=number, moe_layer_freq=[int(i >= dense) for i in range(layers)], moe_router_topk=config.get("num_experts_per_tok"),
        mtp_num_layers=None, moe_ffn_hidden_size=config.get("moe_intermediate_size"), ffn_hidden_size=config["intermediate_size"],
        moe_latent_size=None, moe_shared_expert_intermediate_size=shared or None, swiglu=True, multi_latent_attention=latent_heads,
        q_lora_rank=config.get("q_lora_rank"), kv_lora_rank=config.get("kv_lora_rank"), qk_head_dim=config.get("qk_nope_head_dim"),
        qk_pos_emb_head_dim=config.get("qk_rope_head_dim"), v_head_dim=config.get("v_head_dim"), attention_output_gate=False,
        experimental_attention_variant=None, padded_vocab_size=config["vocab_size"],
    )  # fmt: skip


if __name__ == "__main__":
    lines = []
    for given in sys.argv[1:]:
        tool, _, clone = given.partition("=")
        file, month = FILES[tool]
        commit = git(clone, "rev-parse", "HEAD").strip()
        for config, length, flop in globals()[tool](clone, file, random.Random(tool)):  # noqa: S311
            lines.append(json.dumps([f"{tool}@{month}", commit, config, length, flop]))
    WHERE.write_text("[\n" + ",\n".join(lines) + "\n]\n")
