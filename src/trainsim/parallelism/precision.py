"""Precision recipes: which number format each tensor of a training step has, as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import PlainValidator

from ..core.errors import SpecError, did_you_mean
from ..core.spec import Spec
from ..core.units import Num, Unit

Bytes = Annotated[Num, Unit("B", "of one element", ge=0)]


class Precision(Spec):
    """Number formats of a step, each in bytes per element [B].

    Args:
        name: its name in answers and errors.
        products, attention: format of the matrix products and of the attention core, by the names of a chip's peaks.
        weights: working copies of weights that meet ``products`` [B].
        other_weights: working copies of the rest: embedding, norms, router, head [B].
        gradients: accumulated gradients [B].
        master: the optimizer's own copy of a weight; 0 where the working copy is the master [B].
        moments: each moment of the optimizer [B].
        linear_inputs: what a product keeps of its input for the backward pass [B].
        gate_inputs: what an activation function or a gate keeps of its inputs [B].
        activations: everything else kept for the backward pass [B].
        gathered, reduced: a weight and a gradient on their way between data-parallel ranks [B].
        dispatched, combined: a token's element on its way to its experts and back [B].
        scaled: whether a narrow format has one scale a tensor or one a block of elements.

    >>> RECIPES["fp8-deepseek"].moments
    2.0
    """

    name: str
    products: str = "bf16"
    attention: str = "bf16"
    weights: Bytes = 2.0
    other_weights: Bytes = 2.0
    gradients: Bytes = 4.0
    master: Bytes = 4.0
    moments: Bytes = 4.0
    linear_inputs: Bytes = 2.0
    gate_inputs: Bytes = 2.0
    activations: Bytes = 2.0
    gathered: Bytes = 2.0
    reduced: Bytes = 4.0
    dispatched: Bytes = 2.0
    combined: Bytes = 2.0
    scaled: Literal["tensor", "block"] = "tensor"


SCALED_FP8 = 1.0 + 4.0 / 128.0
"""An FP8 element and its share of an FP32 scale to every 128 (DeepSeek-V3, arXiv:2412.19437, section 3.3.2)."""

RECIPES: dict[str, Precision] = {
    recipe.name: recipe
    for recipe in (
        Precision(name="bf16"),  # Micikevicius et al. 2018 (arXiv:1710.03740); Rajbhandari et al. 2020 (arXiv:1910.02054), section 3.1
        Precision(name="fp16", products="fp16", attention="fp16", gradients=2.0, reduced=2.0),  # the 16 bytes a parameter of ZeRO
        Precision(name="tf32", products="tf32", attention="tf32", weights=0.0, other_weights=0.0, linear_inputs=4.0, gate_inputs=4.0,
                  activations=4.0, gathered=4.0, dispatched=4.0, combined=4.0),
        Precision(name="bf16-fsdp", weights=0.0, other_weights=0.0),  # PyTorch FSDP2: FP32 shards are the weights, BF16 once gathered
        Precision(name="fp8-fsdp", products="fp8", weights=0.0, other_weights=0.0),  # torchao: inputs kept in BF16, cast again in backward
        Precision(name="fp8", products="fp8", weights=4.0, linear_inputs=1.0),  # Transformer Engine: BF16, FP8 and its transpose
        Precision(name="mxfp8", products="fp8", weights=4.0 + 2.0 / 32.0, linear_inputs=1.0 + 1.0 / 32.0,
                  scaled="block"),  # a scale byte to every 32
        Precision(name="nvfp4", products="fp4", weights=3.0 + 2.0 / 16.0, linear_inputs=0.5 + 1.0 / 16.0,
                  scaled="block"),  # a scale byte to every 16
        Precision(name="fp8-blockwise", products="fp8", weights=2.0 + 2.0 * SCALED_FP8, linear_inputs=SCALED_FP8,
                  scaled="block"),  # scale to 128
        Precision(name="fp8-deepseek", products="fp8", weights=SCALED_FP8, moments=2.0, linear_inputs=SCALED_FP8, gate_inputs=SCALED_FP8,
                  dispatched=SCALED_FP8, combined=2.0, scaled="block"),  # section 3.3: BF16 moments, FP32 masters and gradients
    )
}  # fmt: skip
"""Recipes by name; another one is a :class:`Precision` of the user's own."""


def recipe_of(precision: Precision | str) -> Precision:
    """A recipe by its name, or the recipe itself.

    >>> recipe_of("fp8-deepseek").products
    'fp8'
    """
    return RECIPES[precision] if isinstance(precision, str) else precision


def _known(value: Any) -> Any:
    if isinstance(value, str) and value not in RECIPES:
        raise SpecError(
            "", value, "is no precision recipe", did_you_mean(value, RECIPES) + "; or give a ts.Precision of your own", "unknown-name"
        )
    return Precision(**value) if isinstance(value, Mapping) else value


PrecisionField = Annotated[Precision | str, PlainValidator(_known)]
"""A recipe's name, or a recipe of the user's own."""
