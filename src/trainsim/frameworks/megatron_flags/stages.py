"""The layers of each pipeline stage, by Megatron-LM's arguments."""

from __future__ import annotations

import re
from typing import Any

from ...core.errors import SpecError
from ...core.values import NamedValues, to_int

LAYOUT = "--pipeline-model-parallel-layout"
LONGEST = 20_000
"""Largest number of letters of an expanded layout."""


def virtual_stages(value: Any, flags: NamedValues) -> dict[str, Any]:
    """Stages per rank, from the number of layers of each."""
    flag = "num-layers-per-virtual-pipeline-stage"
    layers, each = (
        flags.integer("num-layers", least=1),
        flags.integer("pipeline-model-parallel-size", 1, least=1) * flags.integer(flag, least=1),
    )
    if layers % each and not any(f"account-for-{end}-in-pipeline-split" in flags for end in ("embedding", "loss")):
        remedy = f"give a divisor, or --pipeline-model-parallel-layout for {layers} layers"
        raise SpecError(
            flags.path(flag),
            value,
            f"on {each // flags.integer(flag)} pipeline ranks is {each} layers, which does not divide the model's {layers}",
            remedy,
            "conflict",
        )
    return {"vpp": layers // each}


def end_stages(value: Any, flags: NamedValues) -> dict[str, Any]:
    """Layers of each stage if the first and the last are given; the others share the rest evenly."""
    del value
    pp = flags.integer("pipeline-model-parallel-size", 1, least=1)
    names = [f"decoder-{end}-pipeline-num-layers" for end in ("first", "last")]
    first, last = ([flags.integer(name)] if name in flags else [] for name in names)
    between = pp - len(first) - len(last)
    left = flags.integer("num-layers") - sum(first) - sum(last)
    if between < 0 or (left % between if between else left):
        raise SpecError(
            "--num-layers",
            flags["num-layers"],
            f"leaves {left} layers for the {between} inner stages",
            "give them a multiple of their number",
            "conflict",
        )
    middle = [left // between] * between if between else []
    return {"stage_layers": (*first, *middle, *last)}


def layout_stages(value: Any, flags: NamedValues) -> dict[str, Any]:
    """Layers of every stage from a layout such as ``Et*3|(tt|)*29m|L``: E embedding, t layer, m prediction module, L loss."""
    stages = str(value).replace(",", "")
    for pattern in (r"\(([^)]+)\)\*(\d+)", r"(.)\*(\d+)"):
        stages = _written_out(pattern, stages)
    each = stages.split("|")
    if set(stages) - set("EtmL|") or not each[0].startswith("E") or not each[-1].endswith("L"):
        raise SpecError(
            LAYOUT,
            value,
            "must begin with E, end with L, and contain only E, t, m, L and |",
            "write E for the embedding, t for a layer, m for a prediction module, L for the loss, | between stages",
            "syntax",
        )
    if any("m" in stage for stage in each[:-1]):
        raise SpecError(
            LAYOUT,
            value,
            "puts a prediction module before the last stage",
            "move it to the last stage, before the loss: …mL",
            "unsupported",
        )
    pp = flags.integer("pipeline-model-parallel-size", 1, least=1)
    if len(each) % pp:
        raise SpecError(LAYOUT, value, f"has {len(each)} stages for {pp} ranks", f"give a multiple of {pp} stages", "conflict")
    return {"stage_layers": tuple(stage.count("t") for stage in each), "vpp": len(each) // pp}


def _written_out(pattern: str, layout: str) -> str:
    """A layout with its repetitions expanded; its length is checked before the expansion."""
    length = sum(len(found[1]) * to_int(found[2], LAYOUT) for found in re.finditer(pattern, layout))
    if max(length, len(layout)) > LONGEST:
        raise SpecError(LAYOUT, layout, f"expands to more than {LONGEST:,} letters", "give at most one letter per layer", "too-large")
    return re.sub(pattern, lambda found: found[1] * int(found[2]), layout)


def counted_stages(value: Any, flags: NamedValues) -> dict[str, Any]:
    """Layers of every stage, with the embedding or the loss counted as a layer."""
    del value
    first, last = ("account-for-embedding-in-pipeline-split" in flags, "account-for-loss-in-pipeline-split" in flags)
    pp = flags.integer("pipeline-model-parallel-size", 1, least=1)
    counted = flags.integer("num-layers", least=1) + first + last
    if "num-layers-per-virtual-pipeline-stage" in flags:
        vpp = max(1, counted // (pp * flags.integer("num-layers-per-virtual-pipeline-stage", least=1)))
    else:
        vpp = flags.integer("num-virtual-stages-per-pipeline-rank", 1, least=1)
    if counted % (pp * vpp):
        raise SpecError(
            "--num-layers",
            flags["num-layers"],
            f"gives {counted} layers for {pp * vpp} stages, with the embedding and the loss counted as the flags say",
            "give a multiple",
            "conflict",
        )
    layers = [counted // (pp * vpp)] * (pp * vpp)
    layers[0] -= first
    layers[-1] -= last
    return {"stage_layers": tuple(layers), "vpp": vpp}
