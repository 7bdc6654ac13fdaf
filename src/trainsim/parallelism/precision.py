"""Precision recipes: the number format of each tensor in a training step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import PlainValidator

from ..core.errors import SpecError, did_you_mean
from ..core.spec import Spec
from ..core.units import Num, Unit

Bytes = Annotated[Num, Unit("B", "size of an element", ge=0)]


class Precision(Spec):
    """Number formats of a step, each in bytes per element [B].

    Args:
        name: the recipe's name in answers and errors.
        products, attention: format of the matrix products and of attention: a field of :class:`~trainsim.cluster.hardware.Peak`.
        weights: working copies of weights of products in that format [B].
        other_weights: working copies of other weights: embedding, norms, router, head [B].
        gradients: accumulated gradients [B].
        master: the optimizer's master copy of a weight; 0 if the working copy is the master [B].
        moments: each moment of the optimizer [B].
        linear_inputs: inputs that products save for the backward pass [B].
        gate_inputs: inputs that activation functions and gates save [B].
        activations: all other saved activations [B].
        gathered, reduced: weights and gradients exchanged between data-parallel ranks [B].
        dispatched, combined: tokens sent to their experts and back [B].
        scaled: whether a narrow format has one scale per tensor or per block of elements.

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
"""Bytes of an FP8 element with its share of one FP32 scale per 128 elements (DeepSeek-V3, arXiv:2412.19437, section 3.3.2)."""

RECIPES: dict[str, Precision] = {
    recipe.name: recipe
    for recipe in (
        Precision(name="bf16"),  # Micikevicius et al. 2018 (arXiv:1710.03740); Rajbhandari et al. 2020 (arXiv:1910.02054), section 3.1
        Precision(name="fp16", products="fp16", attention="fp16", gradients=2.0, reduced=2.0),  # the 16 bytes a parameter of ZeRO
        Precision(name="tf32", products="tf32", attention="tf32", weights=0.0, other_weights=0.0, linear_inputs=4.0, gate_inputs=4.0,
                  activations=4.0, gathered=4.0, dispatched=4.0, combined=4.0),
        Precision(name="bf16-fsdp", weights=0.0, other_weights=0.0),  # PyTorch FSDP2: shards are FP32 weights and are gathered in BF16
        Precision(name="fp8-fsdp", products="fp8", weights=0.0, other_weights=0.0),  # torchao: inputs saved in BF16, recast in backward
        Precision(name="fp8", products="fp8", weights=4.0, linear_inputs=1.0),  # Transformer Engine: BF16, FP8 and transposed FP8
        Precision(name="mxfp8", products="fp8", weights=4.0 + 2.0 / 32.0, linear_inputs=1.0 + 1.0 / 32.0,
                  scaled="block"),  # one scale byte per 32 elements
        Precision(name="nvfp4", products="fp4", weights=3.0 + 2.0 / 16.0, linear_inputs=0.5 + 1.0 / 16.0,
                  scaled="block"),  # one scale byte per 16 elements
        Precision(name="fp8-blockwise", products="fp8", weights=2.0 + 2.0 * SCALED_FP8, linear_inputs=SCALED_FP8,
                  scaled="block"),  # one scale per 128 elements
        Precision(name="fp8-deepseek", products="fp8", weights=SCALED_FP8, moments=2.0, linear_inputs=SCALED_FP8, gate_inputs=SCALED_FP8,
                  dispatched=SCALED_FP8, combined=2.0, scaled="block"),  # section 3.3: BF16 moments, FP32 masters and gradients
    )
}  # fmt: skip
"""Recipes by name; users may define further ones."""


def recipe_of(precision: Precision | str) -> Precision:
    """Find a recipe by name; a recipe is returned as it is.

    >>> recipe_of("fp8-deepseek").products
    'fp8'
    """
    return RECIPES[precision] if isinstance(precision, str) else precision


def _known(value: Any) -> Any:
    if isinstance(value, str) and value not in RECIPES:
        raise SpecError("", value, "is not a precision recipe", did_you_mean(value, RECIPES) + "; or pass a ts.Precision", "unknown-name")
    return Precision(**value) if isinstance(value, Mapping) else value


PrecisionField = Annotated[Precision | str, PlainValidator(_known)]
"""Field type: a precision recipe or its name."""
