"""Every causal type of transformers against this library: at its class defaults, and at random configs that set every key.

Parameters and FLOPs of forward and of backward must be equal. If the class runs on the CPU, the pairs that its masks allow are compared
too.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import causal_truth as truth
from drawing import draw
from ours import as_run
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

import trainsim as ts
from trainsim.core.errors import ConfigError
from trainsim.model.attention.compressed import Compressed
from trainsim.model.huggingface.classes import config_class
from trainsim.model.huggingface.reader import families
from trainsim.model.masks import Selected, SelectedBlocks
from trainsim.model.ops import Attend
from trainsim.testing.hybrid_families import HYBRIDS

CONFIGS, TRIES = 4, 200
"""Number of random configs of each type, and largest number of draws to build that many."""
SHORT, CHUNKED, META = 24, 128, 64
"""Tokens of a sequence: on the CPU, there for classes with chunks, and on the meta device."""
CHUNKS = ("mamba_chunk_size", "chunk_size", "block_size", "compress_rates")
"""Keys of chunk sizes; a sequence at the class defaults has whole chunks."""
LONG = 256
WRAPPERS = ("emu3", "gemma3", "gemma4", "gemma4_unified", "llama4", "qwen3_5", "qwen3_5_moe")
"""Types whose causal class contains a text model of another type, and possibly a tower, which gets no image here."""
TYPES = sorted(set(families()) & set(CAUSAL)) + list(WRAPPERS)


@dataclass(frozen=True)
class Compared:
    """One config, and which counts are equal."""

    keys: Mapping[str, Any]
    parameters: bool
    flops: bool
    pairs: bool = True

    @property
    def exact(self) -> bool:
        """Whether all counts are equal."""
        return self.parameters and self.flops and self.pairs


def at_defaults(kind: str) -> Compared:
    """The class at its own defaults, completed where it can't be built from them, on the meta device."""
    chunked = any(getattr(truth.default_config(kind), key, None) for key in CHUNKS)
    length = LONG if chunked else META
    return compared({}, written(truth.default_config(kind)), truth.on_meta(truth.default_config(kind), length), length)


def at_random(kind: str) -> Iterator[Compared]:
    """Some random configs that the class runs at; those with masks run on the CPU, wrappers on the meta device."""
    rng, found = random.Random(f"{kind} counted"), 0  # noqa: S311
    for _ in range(TRIES):
        if found == CONFIGS:
            return
        keys = _drawn(kind, rng)
        length = META if kind in WRAPPERS else CHUNKED if kind in HYBRIDS else SHORT
        try:
            counted = (truth.on_meta if kind in WRAPPERS else truth.on_cpu)(CONFIG_MAPPING[kind](**keys), length)
        except Exception:  # noqa: BLE001, S112  (whatever a class raises at sizes it does not take)
            continue
        found += 1
        yield compared(keys, written(CONFIG_MAPPING[kind](**keys)), counted, length)


def _drawn(kind: str, rng: random.Random) -> dict[str, Any]:
    if kind not in WRAPPERS:
        return dict(draw(kind, rng))
    known = config_class(kind)
    text = draw(str(known.text_type), rng)
    return {str(known.text_key): text, "tie_word_embeddings": text.get("tie_word_embeddings", False)}


def written(config: Any) -> dict[str, Any]:
    """A config as the class writes it into a file."""
    return dict(json.loads(json.dumps(config.to_dict(), default=str)))


def compared(keys: Mapping[str, Any], file: Mapping[str, Any], counted: truth.Counted, length: int) -> Compared:
    """Which counts of the class equal those of its config file as this library reads it."""
    try:
        model = as_run(ts.from_hf(file))
    except ConfigError:
        return Compared(keys, parameters=False, flops=False)
    ledger = ts.flops_per_token(model, length, "full")
    ours = [round(float(ledger.part(half).total) * length) for half in ("forward", "backward")]
    held = {int(ts.count_params(model).total), int(ts.count_params(model, towers="all").total)}  # some wrappers' causal class has no tower
    flops = ours == [round(counted.forward), round(counted.backward)]
    return Compared(keys, parameters=counted.parameters in held, flops=flops, pairs=_same_pairs(model, counted.pairs, length))


def _same_pairs(model: ts.Model, pairs: tuple[int, ...], length: int) -> bool:
    """Whether each softmax layer's mask allows as many pairs; layers that select keys do so after their mask."""
    cores = [(entry.count, entry.op) for entry in model.table.entries if entry.path[-1] == "core" and not entry.mtp]
    met = sum(count * float(op.mask.keys(float(length))) * length for count, op in cores if isinstance(op, Attend))
    chosen = any(isinstance(mask, (Selected, SelectedBlocks, Compressed)) for mask in model.table.masks)
    return chosen or len(pairs) != sum(count for count, op in cores if isinstance(op, Attend)) or round(met) == sum(pairs)
