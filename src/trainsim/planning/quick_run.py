"""Build a complete run from model, chip, accelerators and tokens; all other inputs are assumed and marked as such."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..catalog.hardware import cluster as cluster_of
from ..catalog.model_lookup import model_from
from ..catalog.rents import warn_if_too_cheap
from ..catalog.rows import rows
from ..catalog.runs import complete
from ..cluster.hardware import Cluster
from ..core.citations import ASSUMED
from ..core.errors import CatalogError, SpecError, check_type, did_you_mean, same_name
from ..cost.rental import Rental
from ..model.transformer import Model
from ..run.run import Run
from ..training.efficiency import MFU
from ..training.fine_tuning import Trains
from ..training.phases import Phase
from ..training.reliability import Goodput

TOKENS_PER_STEP = 4e6
"""Tokens per optimizer step where no batch is given (judgement: as in Llama 2; DeepSeek-V3 uses 63M)."""
TUNED_BATCH = 64
"""Sequences per optimizer step of fine-tuning where none are given, at least one a GPU (Llama 2, arXiv:2307.09288, section 3.1)."""
SEQ_LEN = 4096.0
"""Sequence length where none is given [token] (judgement: as in most pre-training runs of the catalogue)."""


def quick(
    model: Model | Mapping[str, Any] | str | Path,
    *,
    chip: str,
    gpus: int,
    tokens: float | str,
    seq_len: float | str | None = None,
    batch: float | None = None,
    price: float | str | None = None,
    mfu: float | str | None = None,
    goodput: float | str | None = None,
    finetune: str | Trains | None = None,
    name: str = "",
) -> Run:
    """Build a complete run from model, chip, accelerators and tokens; inputs left out are assumed and marked as such.

    Args:
        model: a :class:`Model`, a ``config.json`` (path or dict), an id of the catalogue, or a size: ``"7B"``, ``"235B-A22B"``.
        chip: a chip or a cluster of the catalogue, or the beginning of its name: ``"h100"``, ``"hgx-h800"``.
        gpus: accelerators [GPU].
        tokens: training tokens [token], a number or ``"2T"``.
        seq_len: sequence length [token]; 4,096 if left out.
        batch: sequences per optimizer step [sequence]; about 4M tokens if left out, by :func:`usual_batch`; 64 sequences for fine-tuning.
        price: rent [USD/GPU-h]; the catalogue's median if left out.
        mfu: model FLOPs over peak [1]; the median of the catalogue's prior for such runs if left out.
        goodput: busy over wall-clock hours [1]; the catalogue's median if left out.
        finetune: ``"full"``, ``"lora:16"``, ``"qlora:16"`` or a :class:`~trainsim.LoRA`, for a phase ``finetune``; else pre-training.
        name: name of the run; the model's name if left out.

    Returns:
        a complete run for ``ts.estimate``; ``run.sources()`` names what was assumed.

    Raises:
        CatalogError: no such model or chip.
        ConfigError: a config that can't be read.

    Warns:
        TrainsimWarning: the price is below the cheapest known quote, or in another currency than dollars.

    >>> run = quick("7B", chip="h100", gpus=512, tokens="2T", price="2.5/h")
    >>> run.price.usd_per_gpu_hour, run.phases[0].batch
    (2.5, 1024.0)
    >>> run.sources()["phases.pretrain.batch"]
    'assumed: about 4M tokens a step'
    """
    made = model_from(model)
    assumed: dict[str, str] = {}
    label = "pretrain" if finetune is None else "finetune"
    if seq_len is None:
        seq_len, assumed[f"phases.{label}.seq_len"] = SEQ_LEN, f"{ASSUMED}that of most pre-training runs"
    phase = Phase(label, tokens=tokens, seq_len=seq_len, batch=batch, trains=finetune)  # type: ignore[arg-type]  # a field reads text
    machines, usual = cluster_from(chip, gpus)
    if batch is None:
        size, why = _usual_batch(phase, gpus, tuned=finetune is not None)
        phase, assumed[f"phases.{label}.batch"] = phase.replace({"batch": size}), why
    if usual:
        assumed["cluster"] = usual
    run = Run(
        name=name or made.name,
        model=made,
        cluster=machines,
        phases=[phase],
        efficiency=None if mfu is None else MFU(mfu),  # type: ignore[arg-type]
        reliability=None if goodput is None else Goodput(goodput),  # type: ignore[arg-type]
        price=None if price is None else Rental(usd_per_gpu_hour=price),  # type: ignore[arg-type]
    )
    if price is not None:
        warn_if_too_cheap(run)
    whole, filled = complete(run)
    sources = {f.path: f"{ASSUMED}{f.source}" for f in filled} | {p: w for p, w in assumed.items() if p != "cluster"}
    return whole.with_sources(sources | ({"cluster.scale_out": assumed["cluster"]} if usual else {}))


def usual_batch(seq_len: float, gpus: int) -> float:
    """Sequences per optimizer step: about 4M tokens, in a number that usual data-parallel degrees divide [sequence].

    ``odd part of gpus · 2^k``, with the k ≥ 0 whose logarithm is nearest. A prime number of sequences would allow only a data-parallel
    degree of one.

    >>> usual_batch(4096, 512), usual_batch(4096, 24), usual_batch(8192, 1000)
    (1024.0, 768.0, 500.0)
    """
    odd = gpus // (gpus & -gpus)
    return float(odd * 2 ** max(0, round(math.log2(TOKENS_PER_STEP / seq_len / odd))))


def with_batch(run: Run) -> Run:
    """The run with the usual batch in its first phase, marked as assumed, where that has none.

    Args:
        run: a run; one whose first phase has a batch or no sequence length is returned as it is.

    >>> import trainsim as ts
    >>> with_batch(ts.catalog.run("llama3-8b", gpus=64)).phases[0].batch
    512.0
    """
    phase = run.phases[0]
    if phase.batch is not None or phase.seq_len is None:
        return run
    path = f"phases.{phase.name}.batch"
    size, why = _usual_batch(phase, (phase.cluster or run.cluster).gpus, tuned=phase.trains is not None)
    return run.replace({path: size}).with_sources({path: why})


def _usual_batch(phase: Phase, gpus: int, *, tuned: bool) -> tuple[float, str]:
    """Usual sequences per optimizer step of pre-training or fine-tuning, and where they come from."""
    if tuned:
        return float(max(TUNED_BATCH, gpus)), f"{ASSUMED}that of Llama 2's fine-tuning"
    return usual_batch(float(np.max(phase.seq_len or SEQ_LEN)), gpus), f"{ASSUMED}about 4M tokens a step"


def cluster_from(name: str, gpus: int) -> tuple[Cluster, str]:
    """Find a cluster by its id, its chip, or the beginning of either. Also returns, in words, what was assumed about the cluster.

    Raises:
        CatalogError: no such cluster or chip.
        SpecError: fewer than one accelerator, or a name or a number of another type.

    >>> cluster_from("h100", 8)[0].name, cluster_from("hgx-h800", 8)[1]
    ('hgx-h100', '')
    """
    check_type(name, str, "chip", "the name of a chip or a cluster: 'h100', 'hgx-h800'")
    if isinstance(gpus, bool) or not isinstance(gpus, (int, float)):
        raise SpecError("gpus", gpus, "is not a number of accelerators", "give a whole number: 512", "wrong-type")
    if not name.strip():
        raise SpecError("chip", name, "is empty", "give the name of a chip or a cluster: 'h100', 'hgx-h800'", "missing")
    if gpus < 1:
        raise SpecError("gpus", gpus, "must be >= 1", "give the number of accelerators", "out-of-bounds")
    known = rows("clusters")
    if name in known:
        return cluster_of(name, gpus), ""
    word = name.casefold().removeprefix("nvidia ").removeprefix("nvidia-").replace(" ", "-").replace("_", "-")
    word = same_name(word, {str(row["chip"]) for row in known.values()}) or word
    found = next((key for key, row in known.items() if str(row["chip"]).startswith(word) or word in key.split("-")), None)
    found = found or _cluster_of_marketing_name(word)
    if found is None and name in rows("chips"):
        return cluster_of(name, gpus), f"{ASSUMED}one scale-up domain of {name}, no network between domains"
    if found is None:
        chips = sorted({str(row["chip"]) for row in known.values()} | set(known))
        raise CatalogError("chip", name, "is not a chip or a cluster of the catalogue", did_you_mean(word, chips), "unknown-name")
    return cluster_of(found, gpus), f"{ASSUMED}{found}, the usual node of {known[found]['chip']}"


CARDS = ("pcie", "nvl")
"""Card forms of a chip, which are slower than its module: a name that contains one matches only chips of that form."""


def _cluster_of_marketing_name(word: str) -> str | None:
    """The cluster whose chip shares most parts with a longer name, the first part included: ``h100-80gb-hbm3``; None for no such chip."""
    parts = word.split("-")
    shared = {
        key: sum(any(part.startswith(own) for part in parts) for own in chip.split("-"))
        for key, row in rows("clusters").items()
        if (chip := str(row["chip"])).split("-")[0] == parts[0] and all(form in chip for form in CARDS if form in parts)
    }
    return max(shared, key=shared.__getitem__, default=None)
