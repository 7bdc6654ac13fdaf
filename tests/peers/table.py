"""Write docs/models.md: every causal model type of transformers, and whether it is supported.

    python tests/peers/table.py

Parameters at the class defaults, counted by the class on the meta device and by this library; what is not mapped is refused by name, and
the table says why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

import trainsim as ts
from trainsim.core.errors import ConfigError
from trainsim.model.huggingface.classes import config_class
from trainsim.model.huggingface.reader import families
from trainsim.model.huggingface.shape import family_rows
from trainsim.model.huggingface.unfit import UNFIT

WHERE = Path(__file__).parents[2] / "docs" / "models.md"
HEAD = """\
# Models

Causal model types of transformers {version}. *Exact* means that the number of parameters equals that of transformers' class on the meta
device to the last digit, at the class defaults and at random configs that set every key (`pytest -m peers tests/peers`). Types without
usable defaults are compared at random configs only. FLOPs are compared with torch's counter: forward at the class defaults, forward and
backward in runs of small random configs of every type. Unsupported types raise an error with the reason. `python tests/peers/table.py`
writes this page.

{exact} of {all} are exact. Of a wrapper, the text model is read; `model.towers` holds other towers where they are supported.

| model_type | parameters at the class defaults | here |
|---|---:|---|
"""


STATED = {"longcat_flash": "the class stores matrices for experts that do nothing, which no release has"}
"""Why a type differs from its class."""


def measured(kind: str) -> tuple[Any, int | None]:
    """The class's default config, and its parameters; None where the class can't be built from it."""
    try:
        config = CONFIG_MAPPING[kind]()
        with torch.device("meta"):
            return config, sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
    except Exception:  # noqa: BLE001  (whatever a class raises without sizes)
        return None, None


def row(kind: str) -> tuple[str, bool]:
    """One line of the table, and whether the type is exact."""
    config, total = measured(kind)
    shown = "" if total is None else f"{total:,}"
    known = families()
    how = "a row" if kind in family_rows() else "a mapping"
    if total is None or config is None:
        text = config_class(kind).text_type
        other = f"its text model, {text}" if text in known and kind not in UNFIT else UNFIT.get(kind, "unsupported")
        return f"| {kind} | no usable defaults | {f'exact at random configs: {how}' if kind in known else other} |", kind in known
    try:
        model = ts.from_hf(config)
        ours, whole = int(ts.count_params(model).total), int(ts.count_params(model, towers="all").total)
    except ConfigError as error:
        if kind in known and error.rule_id == "missing":
            return f"| {kind} | {shown} | exact at random configs: {how}; the class leaves {error.path.rsplit('.', 1)[-1]} open |", True
        return f"| {kind} | {shown} | unsupported: {UNFIT.get(kind, error.rule)} |", False
    if ours == total:
        return f"| {kind} | {shown} | exact: {how if kind in known else 'its text model'} |", True
    if whole == total:
        return f"| {kind} | {shown} | exact: its text model and its tower |", True
    if kind in STATED:
        return f"| {kind} | {shown} | {ours:,}: {STATED[kind]} |", False
    return f"| {kind} | {shown} | its text model alone, {ours:,} |", False


if __name__ == "__main__":
    rows = [row(kind) for kind in sorted(CAUSAL)]
    head = HEAD.format(version=transformers.__version__, exact=sum(exact for _, exact in rows), all=len(rows))
    WHERE.write_text(head + "\n".join(line for line, _ in rows) + "\n")
