"""FLOPs of a real forward and backward of the transformers classes of recurrent mixers, with corrections of the counter.

The counter is exact for products. It has no formula for triangular solves, counts outputs of a causal convolution beyond the sequence, and
counts the gradient of a depthwise kernel as that of a dense one. The reference scan of Mamba-2 passes states between chunks by a product
over all pairs of chunks, but a kernel passes them one by one. Mamba's scan computes its state, and Kimi's delta rule its scores, element
by element. These are counted here from the shapes of the call or of the config.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
import transformers_truth as truth
from torch.utils.flop_counter import FlopCounterMode

LENGTH = 128
"""Tokens of a sequence: whole chunks of every class here, so that nothing is padded."""
CHUNK = 64
"""Tokens of a chunk of the delta rule, in every class that has it."""
STATES = "bzch,bzhpn->bchpn"
"""Mamba-2's product over pairs of chunks, in place of passing states from chunk to chunk."""


@dataclass
class Calls:
    """FLOPs of one forward pass, by how the counter treats them."""

    config: Any
    length: int
    solves: int = 0
    convolutions: int = 0
    states: int = 0

    @property
    def forward(self) -> int:
        """FLOPs of a forward pass that the counter misses."""
        return self._more + self.solves

    @property
    def backward(self) -> int:
        """FLOPs of a backward pass that the counter misses; of the two products of a solve's backward pass it counts the one that is not a
        solve.
        """
        return 2 * self._more + self.solves + unread(self.config, self.length)

    @property
    def _more(self) -> int:
        return self.convolutions + element_wise(self.config, self.length) - self.states


@dataclass(frozen=True)
class Recurrent:
    """Parameters, and FLOPs of forward and backward over one sequence of ``LENGTH`` tokens."""

    parameters: int
    forward: int
    backward: int


def measure(config: Mapping[str, Any]) -> Recurrent:
    """Counts of a real forward and backward over one random sequence."""
    model, ids = truth.random_inputs(config, LENGTH)
    with corrected(model.config, LENGTH) as calls, FlopCounterMode(display=False) as counter:
        logits = model(input_ids=ids, use_cache=False).logits
        forward = products(counter)
        logits.sum().backward()
        backward = products(counter) - forward
    return Recurrent(sum(p.numel() for p in model.parameters()), forward + calls.forward, backward + calls.backward)


def _linear(config: Any) -> int:
    return sum(word != "full_attention" for word in config.layer_types)


def element_wise(config: Any, length: int) -> int:
    """FLOPs of one forward pass that the class runs element by element and a kernel as products."""
    match config.model_type:
        case "mamba" | "falcon_mamba":
            return int(_linear(config) * 2 * length * config.expand * config.hidden_size * config.state_size)
        case "jamba" | "zamba":
            return int(_linear(config) * 2 * length * config.mamba_expand * config.hidden_size * config.mamba_d_state)
        case "kimi_linear" | "bailing_hybrid":
            return int(_linear(config) * config.linear_num_heads * 2 * 2 * length * CHUNK * config.linear_head_dim)
        case _:
            return 0


def unread(config: Any, length: int) -> int:
    """Gradients that the backward pass of a delta rule omits: of the first state, a constant, and of the last state, which nothing reads.

    Two products with the first state lack the gradient of one operand each; the product that writes the last state lacks both.
    """
    match config.model_type:
        case "qwen3_next" | "qwen3_5_text" | "qwen3_5_moe_text" | "olmo_hybrid":
            each = config.linear_num_value_heads * config.linear_key_head_dim * config.linear_value_head_dim
        case "kimi_linear" | "bailing_hybrid":
            each = config.linear_num_heads * config.linear_head_dim**2
        case "minimax":
            return int(truth.unread_lightning(config, length))
        case _:
            return 0
    return int(_linear(config) * 4 * 2 * CHUNK * each)


def products(counter: FlopCounterMode) -> int:
    """All but convolutions."""
    by_op = counter.get_flop_counts().get("Global", {})
    return int(sum(flop for op, flop in by_op.items() if "convolution" not in str(op)))


@contextmanager
def corrected(config: Any, length: int) -> Iterator[Calls]:
    """Count the calls that the counter gets wrong, from the shapes of their arguments."""
    calls = Calls(config, length)
    solve, einsum, convolve = torch.linalg.solve_triangular, torch.einsum, torch.nn.functional.conv1d

    def solved(system: Any, right: Any, **kwargs: Any) -> Any:
        calls.solves += 2 * system.numel() * right.shape[-1]
        return solve(system, right, **kwargs)

    def summed(equation: str, *operands: Any) -> Any:
        if equation == STATES:
            decay, states = operands
            calls.states += 2 * decay.shape[2] * states.numel()
        return einsum(equation, *operands)

    def convolved(x: Any, weight: Any, *args: Any, **kwargs: Any) -> Any:
        calls.convolutions += 2 * length * weight.numel()
        return convolve(x, weight, *args, **kwargs)

    patched: list[tuple[Any, str, Callable[..., Any]]] = [
        (torch.linalg, "solve_triangular", solved),
        (torch, "einsum", summed),
        (torch.nn.functional, "conv1d", convolved),
    ]
    with mock.patch.object(*patched[0]), mock.patch.object(*patched[1]), mock.patch.object(*patched[2]):
        yield calls
