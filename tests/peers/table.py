"""Write docs/models.md and its count in README.md: every causal model type of transformers, and whether it is supported.

    python tests/peers/table.py

Parameters and FLOPs of forward and backward, at the class defaults on the meta device and at random configs in real runs, counted by the
class and by this library; unsupported types are listed with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import causal_truth as truth
import transformers
from comparison import CONFIGS, TYPES, Compared, at_defaults, at_random
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

import trainsim as ts
from trainsim.core.errors import ConfigError
from trainsim.model.huggingface.classes import config_class
from trainsim.model.huggingface.unfit import UNFIT

WHERE = Path(__file__).parents[2] / "docs" / "models.md"
HEAD = """\
# Models

Causal model types of transformers {version}. *Exact* means equal to transformers' class to the last digit: the number of parameters, and
the FLOPs of forward and of backward by torch's counter. At the class defaults, the class is built and run on the meta device. At {configs}
random configs, each of which sets every key, it runs on the CPU with its own routing; the query-key pairs that attention masks allow
are then compared too. Kernels that the counter misses (triangular solves, causal convolutions, scans) are counted from the shapes of
their calls (`tests/peers/recurrent_truth.py`). Unsupported types raise an error with the reason.
`python tests/peers/table.py` writes this page; `pytest -m peers tests/peers` makes the same comparisons.

{exact} of {all} types are exact in both at their class defaults and at {configs} random configs; {completed} more are exact once their
class is given the keys that it can't be built without. For a wrapper, the text model is read;
`model.towers` holds other towers where they are supported.

| model_type | parameters at the class defaults | parameters and FLOPs there | {configs} random configs | remark |
|---|---:|---|---|---|
"""
WORDS = {(True, True): "exact", (True, False): "parameters alone", (False, True): "FLOPs alone", (False, False): "neither"}
STATED = {"longcat_flash": "without the matrices that the class stores for experts that do nothing, which no release has"}
"""Why a type differs from its class."""


def total(kind: str) -> int | None:
    """Parameters at the class defaults; None where the class can't be built."""
    try:
        return int(truth.parameters(truth.default_config(kind)))
    except Exception:  # noqa: BLE001  (whatever a class raises without sizes)
        return None


def in_words(found: Sequence[Compared]) -> str:
    """Which counts are exact in all of these configs, in words."""
    return WORDS[all(one.parameters for one in found), all(one.flops and one.pairs for one in found)]


def supported(kind: str) -> tuple[str, bool]:
    """One line of the table, and whether the type is exact."""
    default, drawn = at_defaults(kind), list(at_random(kind))
    random = in_words(drawn) if len(drawn) == CONFIGS else f"{len(drawn)} could be built: {in_words(drawn)}"
    needed = f"with {', '.join(truth.COMPLETED[kind])} given" if kind in truth.COMPLETED else ""
    remark = STATED.get(kind, needed)
    line = f"| {kind} | {total(kind):,} | {in_words([default])} | {random} | {remark} |"
    return line, default.exact and len(drawn) == CONFIGS and all(one.exact for one in drawn)


def refused(kind: str) -> str:
    """The line of a type that is not mapped."""
    held = total(kind)
    shown = "no usable defaults" if held is None else f"{held:,}"
    try:
        model = ts.from_hf(CONFIG_MAPPING[kind]())
    except ConfigError as error:
        return f"| {kind} | {shown} | | | unsupported: {UNFIT.get(kind, error.rule)} |"
    except Exception:  # noqa: BLE001  (no usable defaults)
        text = config_class(kind).text_type
        return f"| {kind} | {shown} | | | unsupported: {UNFIT.get(kind, f'its text model {text} is read alone')} |"
    return f"| {kind} | {shown} | | | its text model alone is read, {int(ts.count_params(model).total):,} |"


if __name__ == "__main__":
    lines, exact = [], {}
    for kind in sorted(CAUSAL):
        if kind in TYPES:
            line, exact[kind] = supported(kind)
        else:
            line = refused(kind)
        lines.append(line)
    good = {kind for kind, is_exact in exact.items() if is_exact}
    given = {
        "version": transformers.__version__,
        "configs": {3: "three", 4: "four"}.get(CONFIGS, str(CONFIGS)),
        "exact": len(good - set(truth.COMPLETED)),
        "completed": len(good & set(truth.COMPLETED)),
        "all": len(CAUSAL),
    }
    WHERE.write_text(HEAD.format(**given) + "\n".join(lines) + "\n")
    readme = WHERE.parents[1] / "README.md"
    readme.write_text(re.sub(r"\d+ of the \d+ causal", "{exact} of the {all} causal".format(**given), readme.read_text()))
