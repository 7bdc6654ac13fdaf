"""Heads, and the direction of attention, by ``architectures``, ``num_labels`` and ``is_causal``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..transformer import Head, Model
from .config import Config

_CAUSAL = re.compile(
    r".*(ForCausalLM|ForCausalLMNextN|LMHeadModel|ForConditionalGeneration|WithLMHead|MTModel|ChatModel|ForVisionText2Text"
    r"|ForCausalLMWithValueHead|ImageForCausalLM|ForImageTextToText|AForCausalLM|ForGeneration)"
)
_SCORES = {"ForSequenceClassification": False, "ForTokenClassification": True, "ForQuestionAnswering": True}
"""Heads that score labels → whether their product has a bias."""
_OWN = ("CausalLM", "LMHeadModel", "CausalLMNextN")
"""Endings of causal classes of one model type each."""
_PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")
_TWO = 2


def direction(c: Config) -> bool:
    """Whether a query attends only to earlier keys: ``is_causal``, true if it is left out.

    Raises:
        ConfigError: neither true nor false.
    """
    if not c.has("is_causal"):
        return True
    return c.flag("is_causal", default=True)


def topped(model: Model, c: Config) -> Model:
    """The model with the head that its ``architectures`` names; without any, the language-model head.

    A sequence classifier's score has no bias, a token classifier's has one, a question answerer has two scores and a bias; a bare model
    has no head (embedding models).

    Raises:
        ConfigError: an architecture whose head is not mapped.

    Source: transformers 5.24, ``modeling_layers.py`` (GenericForSequenceClassification and its sisters).
    """
    name = _architecture(c)
    if model.head.weights == "none":  # an image encoder, whose reader sets its head
        return model
    if name is None or _CAUSAL.fullmatch(name) or (name.endswith("ForMaskedLM") and not c.causal):
        _compare(name, c, model.hidden)
        return model
    if model.head.transform is not None:
        return _of_an_encoder(model, c, name)
    norm = model.head.norm
    task = next((task for task in _SCORES if name.endswith(task)), None)
    if task is not None:
        labels = _TWO if task == "ForQuestionAnswering" else _labels(c)
        c.note(f"{name}: a head of {labels} scores in place of the vocabulary head")
        head = Head(norm=norm, outputs=labels, bias="vocab" if _SCORES[task] else "none")
        return model.model_copy(update={"head": head, "mtp": None})
    if name.endswith("Model") and "For" not in name:
        c.note(f"{name}: no head")
        return model.model_copy(update={"head": Head(norm=norm, weights="none"), "mtp": None})
    rule = "has a head that trainsim can't convert"
    classes = f"…ForCausalLM, {', '.join('…' + task for task in _SCORES)} or …Model"
    remedy = f"give {classes}; or leave architectures out to get the language-model head"
    raise c.fail("architectures", rule, remedy, "unsupported")


def scores_labels(data: Mapping[str, Any]) -> bool:
    """Whether the class that a file was saved from has a head that scores labels."""
    names = data.get("architectures")
    return isinstance(names, list) and bool(names) and isinstance(names[0], str) and names[0].endswith(tuple(_SCORES))


def _compare(name: str | None, c: Config, hidden: int) -> None:
    """Add a note if the class in ``architectures`` is not that of the ``model_type``: it may have a value head, or parts of its own."""
    if name is None:
        return
    if name.endswith("WithValueHead"):
        c.note(f"{name}: the value head is left out, {hidden + 1:,} parameters if it is one product with a bias")
    elif c.known.causal and name.endswith(_OWN) and name.lower() != c.known.causal.lower():
        c.note(f"architectures names {name}; counted as {c.known.causal}, the class of model_type {c.data.get('model_type')!r}")


def _of_an_encoder(model: Model, c: Config, name: str) -> Model:
    """The model with the head of a masked language model; other heads of encoders use a pooler, which is not mapped.

    Raises:
        ConfigError: another head.
    """
    if name.endswith("ForMaskedLM"):
        return model
    raise c.fail(
        "architectures",
        "has a pooler, which trainsim can't convert",
        "leave architectures out to get the language-model head",
        "unsupported",
    )


def _architecture(c: Config) -> str | None:
    """The class that a file was saved from."""
    given = c.data.get("architectures")
    c.ignore("architectures")
    if given is None or given == []:
        return None
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise c.fail("architectures", "must be a list of class names", 'give ["Qwen3ForCausalLM"]', "wrong-type")
    return str(given[0])


def _labels(c: Config) -> int:
    """Number of labels scored: ``num_labels``, else one per entry of ``id2label``, else two, as in transformers' base class."""
    c.ignore("id2label", "label2id")
    c.fixed("problem_type", *_PROBLEMS)
    named: Any = c.data.get("id2label")
    number = len(named) if isinstance(named, Mapping) else _TWO
    given = c.optional("num_labels", default=number, why="one per entry of id2label" if named else "class default")
    if named and given != number:
        raise c.fail("num_labels", f"contradicts id2label, which has {number} entries", "give one of them")
    return given
