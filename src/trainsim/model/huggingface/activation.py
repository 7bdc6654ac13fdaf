"""Activations with learned parameters."""

from __future__ import annotations

from typing import Any

from ..layers import Block, Layers
from ..transformer import Model
from .config import Config

_KEYS = ("hidden_act", "hidden_activation", "activation_function", "mlp_hidden_act")
_LEARNED = {"xielu": 2}
"""Activation → number of its learned parameters; xIELU has two slopes (Huang & Schlag 2024, arXiv:2411.13010)."""


def activated(model: Model, c: Config) -> Model:
    """The model with the learned parameters of its activation, one set per feed-forward.

    Raises:
        ConfigError: the model has experts, recurrences or an encoder's head, whose number of sets may differ.
    """
    key = next((key for key in _KEYS if c.value(key)), None)
    given: Any = c.value(key) if key else None
    each = _LEARNED.get(given, 0) if isinstance(given, str) else 0
    if key is None or not each:
        return model
    sections = {section for kind in model.stack for section, _ in kind.block.ops(model.hidden)}
    if sections - {"norms", "attention", "ffn"} or model.head.transform is not None:
        raise c.fail(
            key,
            "has learned parameters, which are mapped for dense decoders only",
            f"pass ignore=({key!r},) to leave them out",
            "unsupported",
        )
    changes: dict[str, Any] = {"stack": tuple(_with(kind, model.hidden, each) for kind in model.stack)}
    if model.mtp is not None:
        changes["mtp"] = model.mtp.model_copy(update={"block": _block(model.mtp.block, model.hidden, each)})
    return model.model_copy(update=changes)


def _with(kind: Layers, hidden: int, each: int) -> Layers:
    return kind.model_copy(update={"block": _block(kind.block, hidden, each)})


def _block(block: Block, hidden: int, each: int) -> Block:
    sets = sum(op.name.rpartition(".")[2] == "activation" for op in block.ffn.ops(hidden))
    return block.model_copy(update={"scales": block.scales + each * sets})
