"""Which layers Megatron-LM's arguments put on which stage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...core.errors import SpecError


def virtual_stages(value: Any, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Stages to a rank from the layers of each."""
    if "num-layers" not in flags:
        raise SpecError("--num-layers-per-virtual-pipeline-stage", value, "needs --num-layers beside it", "give --num-layers", "missing")
    layers, each = int(flags["num-layers"]), int(flags.get("pipeline-model-parallel-size", 1)) * int(value)
    if layers % each and not any(f"account-for-{end}-in-pipeline-split" in flags for end in ("embedding", "loss")):
        remedy = f"give a divisor, or --pipeline-model-parallel-layout for {layers} layers"
        raise SpecError(
            "--num-layers-per-virtual-pipeline-stage",
            value,
            f"times the ranks is {each}, no divisor of {layers} layers",
            remedy,
            "conflict",
        )
    return {"vpp": layers // each}


def end_stages(value: Any, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Layers of the first and the last stage; the rest is shared out evenly."""
    del value
    if "num-layers" not in flags:
        raise SpecError("--decoder-first-pipeline-num-layers", None, "needs --num-layers beside it", "give --num-layers", "missing")
    pp = int(flags.get("pipeline-model-parallel-size", 1))
    first, last = (flags.get(f"decoder-{end}-pipeline-num-layers") for end in ("first", "last"))
    between = pp - (first is not None) - (last is not None)
    left = int(flags["num-layers"]) - int(first or 0) - int(last or 0)
    if between < 0 or (left % between if between else left):
        raise SpecError(
            "--num-layers", flags["num-layers"], f"leaves {left} layers for {between} stages between", "give a multiple", "conflict"
        )
    middle = [left // between] * between if between else []
    return {"stage_layers": (*([int(first)] if first is not None else []), *middle, *([int(last)] if last is not None else []))}


def layout_stages(value: Any, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Layers of every stage from a layout such as ``Et*3|(tt|)*29m|L``: E embedding, t layer, m prediction module, L loss."""
    flag = "--pipeline-model-parallel-layout"
    stages = str(value).replace(",", "")
    for pattern in (r"\(([^)]+)\)\*(\d+)", r"(.)\*(\d+)"):
        stages = re.sub(pattern, lambda found: found.group(1) * int(found.group(2)), stages)
    each = stages.split("|")
    if set(stages) - set("EtmL|") or not each[0].startswith("E") or not each[-1].endswith("L"):
        raise SpecError(
            flag, value, "is no layout from E to L", "write E for the embedding, t for a layer, m, L and | between stages", "syntax"
        )
    if any("m" in stage for stage in each[:-1]):
        raise SpecError(
            flag, value, "puts a prediction module before the last stage", "a plan keeps it beside the loss: …mL", "unsupported"
        )
    pp = int(flags.get("pipeline-model-parallel-size", 1))
    if len(each) % pp:
        raise SpecError(flag, value, f"has {len(each)} stages for {pp} ranks", "give a multiple", "conflict")
    return {"stage_layers": tuple(stage.count("t") for stage in each), "vpp": len(each) // pp}


def counted_stages(value: Any, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Layers of every stage where embedding or loss count as a layer of their own."""
    del value
    if "num-layers" not in flags:
        raise SpecError("--account-for-embedding-in-pipeline-split", None, "needs --num-layers beside it", "give --num-layers", "missing")
    first, last = ("account-for-embedding-in-pipeline-split" in flags, "account-for-loss-in-pipeline-split" in flags)
    pp = int(flags.get("pipeline-model-parallel-size", 1))
    counted = int(flags["num-layers"]) + first + last
    if "num-layers-per-virtual-pipeline-stage" in flags:
        vpp = counted // (pp * int(flags["num-layers-per-virtual-pipeline-stage"]))
    else:
        vpp = int(flags.get("num-virtual-stages-per-pipeline-rank", 1))
    if counted % (pp * vpp):
        raise SpecError(
            "--num-layers", flags["num-layers"], f"with its ends is {counted} for {pp * vpp} stages", "give a multiple", "conflict"
        )
    layers = [counted // (pp * vpp)] * (pp * vpp)
    layers[0] -= first
    layers[-1] -= last
    return {"stage_layers": tuple(layers), "vpp": vpp}
