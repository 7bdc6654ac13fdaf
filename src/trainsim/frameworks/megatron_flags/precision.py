"""The precision recipe that Megatron-LM's arguments describe."""

from __future__ import annotations

from ...core.values import NamedValues, to_choice
from ...parallelism.precision import RECIPES, Precision

NUMBER_BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "uint8": 1.0}
"""Values of ``--exp-avg-dtype`` and similar flags → number format."""


FP8_RECIPES = {"delayed": "fp8", "tensorwise": "fp8", "mxfp8": "mxfp8", "blockwise": "fp8-blockwise"}
"""``--fp8-recipe`` → recipe; delayed and current scaling need the same bytes."""

DTYPES = {
    "main-grads-dtype": "gradients", "main-params-dtype": "master", "megatron-fsdp-main-grads-dtype": "gradients",
    "megatron-fsdp-main-params-dtype": "master", "megatron-fsdp-grad-comm-dtype": "reduced",
}  # fmt: skip
"""Flag → field of the recipe that holds its number format."""


def precision_of(flags: NamedValues) -> Precision | str:
    """A recipe's name, or the recipe as the flags change it."""
    if "fp4-format" in flags:
        recipe = RECIPES["nvfp4"]
    elif "fp8-format" in flags:
        recipe = RECIPES[FP8_RECIPES[to_choice(flags.get("fp8-recipe", "delayed"), FP8_RECIPES, "--fp8-recipe")]]
    else:
        recipe = RECIPES["fp16" if "fp16" in flags else "bf16"]
    changed: dict[str, float] = {}
    if "fp8-param-gather" in flags and recipe.products == "fp8":
        narrow = float(recipe.weights) - 2.0  # only the low-precision copy and its transpose are stored, not the BF16 copy
        changed |= {"weights": narrow, "gathered": narrow / 2.0}
    if "grad-reduce-in-bf16" in flags:
        changed |= {"gradients": 2.0, "reduced": 2.0}
    for flag, field in DTYPES.items():
        if flag in flags:
            changed[field] = _bytes(flag, flags)
    moments = [_bytes(flag, flags) for flag in ("exp-avg-dtype", "exp-avg-sq-dtype")]
    if moments != [4.0, 4.0]:
        changed["moments"] = sum(moments) / 2
    changed = {field: number for field, number in changed.items() if number != getattr(recipe, field)}
    return recipe.replace({**changed, "name": f"{recipe.name}-megatron"}) if changed else recipe.name


def _bytes(flag: str, flags: NamedValues) -> float:
    name = str(flags.get(flag, "fp32")).removeprefix("torch.").replace("float32", "fp32").replace("bfloat16", "bf16")
    return NUMBER_BYTES[to_choice(name, NUMBER_BYTES, f"--{flag}")]
