"""The memory model compared with the published peaks of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from ..catalog.models import model as catalogued
from ..catalog.rows import Row, rows
from ..gpu_memory.fit import Spread, Trained, trained_as
from ..gpu_memory.peak import rank_memory
from ..model.huggingface.reader import from_hf
from ..model.layers import Layers
from ..model.transformer import Model
from ..parallelism.layout import degrees_of
from ..parallelism.plan import Plan
from ..training.fine_tuning import LoRA

CONFIG = "config-"


@dataclass(frozen=True)
class PublishedPeak:
    """One published peak of accelerator memory, and the modelled one [B].

    Args:
        name, row: id and row of the catalogue.
        model: what was trained.
        measured: the published figure [B].
        modelled: modelled bytes, without the parts that the row's statistic excludes [B].
        total: all modelled bytes of that rank [B].
    """

    name: str
    row: Row
    model: Model
    measured: float
    modelled: float
    total: float

    @property
    def used(self) -> float:
        """Measured bytes plus allowances for what the row's statistic excludes: fragmentation, and memory outside the allocator."""
        return self.measured + self.total - self.modelled

    @property
    def error(self) -> float:
        """Relative error: modelled over measured, minus one [1]."""
        return self.modelled / self.measured - 1


def peaks() -> tuple[PublishedPeak, ...]:
    """Every published peak of the catalogue, modelled.

    >>> len(peaks()) >= 10
    True
    """
    return tuple(_peak(name, row) for name, row in rows("memory").items() if not name.startswith(CONFIG))


def table() -> str:
    """The peaks as a Markdown table, and their errors by source."""
    found = peaks()
    lines = ["| row | layout | measured | modelled | error |", "|---|---|---|---|---|"]
    lines += [f"| {p.name} | {_layout(p.row)} | {p.measured / 1e9:.1f} GB | {p.modelled / 1e9:.1f} GB | {_percent(p)} |" for p in found]
    lines += ["", "| source | rows | mean error | within 10 % |", "|---|---|---|---|"]
    for source in dict.fromkeys(p.row.source[0] for p in found):
        errors = [abs(p.error) for p in found if p.row.source[0] == source]
        lines.append(f"| {source} | {len(errors)} | {100 * sum(errors) / len(errors):.1f} % | {sum(e <= 0.10 for e in errors)} |")
    errors = [abs(p.error) for p in found]
    lines.append(f"| all | {len(errors)} | {100 * sum(errors) / len(errors):.1f} % | {sum(e <= 0.10 for e in errors)} |")
    return "\n".join(lines)


def _percent(peak: PublishedPeak) -> str:
    shown = f"{100 * peak.error:+.1f} %"
    return f"**{shown}**" if abs(peak.error) > 0.10 else shown


def _layout(row: Row) -> str:
    plan = row["plan"]
    degrees = " ".join(f"{name} {plan[name]}" for name in ("tp", "pp", "vpp", "cp", "ep") if plan.get(name, 1) > 1)
    return f"{row['world']} accelerators{', ' + degrees if degrees else ''}, {row['seq_len']} tokens × {row['micro_batch']}"


def _peak(name: str, row: Row) -> PublishedPeak:
    plan = Plan(micro_batch=row["micro_batch"], **row["plan"])
    degrees = degrees_of(plan, row["world"], float(row["seq_len"]))
    model = trained_model(row)
    outside = ("context",) if row["statistic"] == "reserved" else ("context", "fragmentation")
    ledgers = rank_memory(model, plan, degrees, float(row["micro_batches"]))
    fullest = ledgers[-1] if row.get("of") == "last stage" else max(ledgers, key=lambda r: float(np.max(r.total)))
    total = float(np.max(fullest.total))
    return PublishedPeak(name, row, model, float(row["measured"]), total - sum(float(fullest.part(part).total) for part in outside), total)


def trained_model(row: Row) -> Model:
    """The model that a row's run trains, from the catalogue or from the row itself, with its adapters."""
    held = catalogued(row["model"]) if "model" in row.fields else _model(row["config"], row.get("layers"), row.get("kv_heads"))
    return LoRA(**row["trains"]).of(held) if "trains" in row.fields else held


@lru_cache(maxsize=256)
def _model(name: str, layers: int | None, kv_heads: int | None) -> Model:
    config = dict(rows("memory")[f"{CONFIG}{name}"].fields)
    if layers:
        config["num_hidden_layers"] = layers
    if kv_heads and "num_key_value_heads" in config:
        config["num_key_value_heads"] = kv_heads
    model = from_hf(config)
    if kv_heads and "num_key_value_heads" not in config:  # a GPT with grouped queries, which a config.json of its family can't describe
        block = model.stack[0].block
        attention = block.attention.replace({"kv_heads": kv_heads})
        kind = Layers(name=model.stack[0].name, count=model.layers, block=block.replace({"attention": attention}))
        model = model.replace({"stack": [kind]})
    return model


# width of the interval ----------------------------------------------------------------------------------------------------

PRIOR_SOURCES = 3.0
"""Weight of the pooled variance in the average with the variance of one kind, as a number of sources."""


def spread_of(trained: Trained, found: Sequence[PublishedPeak]) -> Spread:
    """Used over modelled bytes at P5, P50 and P95 for a new source, from published peaks.

    ``log(used / modelled) = μ + t · √((τ² + σ²)(1 + 1/k))``, a Student distribution with k − 1 degrees of freedom for k sources. τ is the
    standard deviation between sources of this kind of training, σ that within a source. Both are shrunk to those of all kinds: ``τ² = (Σ
    (mₛ − μ)² + n₀ τ₀²) / (n + n₀)``, and σ² likewise. Each source has the same weight. Rows with a partly guessed layout are left out.

    Args:
        trained: what is trained.
        found: published peaks.

    Source: a normal random-effects model, Gelman et al. 2013, Bayesian Data Analysis, section 5.4.
    """
    known = [p for p in found if p.row.get("class") != "unstated"]
    own = [p for p in known if trained_as(p.model) == trained]
    everything, mine = _by_source(known), _by_source(own)
    mean = float(np.mean([np.mean(logs) for logs in everything]))
    between = _shrunk([(np.mean(logs) - mean) ** 2 for logs in mine], [(np.mean(logs) - mean) ** 2 for logs in everything])
    within = _shrunk(*([np.var(logs, ddof=1) for logs in sources if len(logs) > 1] for sources in (mine, everything)))
    scale = np.sqrt((between + within) * (1.0 + 1.0 / len(everything)))
    low, middle, high = np.exp(mean + scale * t.ppf((0.05, 0.5, 0.95), len(everything) - 1)).tolist()
    return low, middle, high


def _by_source(found: Sequence[PublishedPeak]) -> list[NDArray[np.float64]]:
    """log(used / modelled) of each source's rows."""
    return [np.log([p.used / p.total for p in found if p.row.source[0] == s]) for s in dict.fromkeys(p.row.source[0] for p in found)]


def _shrunk(own: Sequence[Any], pooled: Sequence[Any]) -> float:
    """Mean of the variances of a kind and the pooled variance, which counts ``PRIOR_SOURCES`` times."""
    return float((np.sum(own) + PRIOR_SOURCES * np.mean(pooled)) / (len(own) + PRIOR_SOURCES))
