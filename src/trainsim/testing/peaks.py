"""The memory model held against published peaks: the rows of the catalogue, each with what the model says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..catalog.rows import Row, rows
from ..gpu_memory.peak import rank_memory
from ..model.huggingface.reader import from_hf
from ..model.layers import Layers
from ..model.transformer import Model
from ..parallelism.layout import degrees_of
from ..parallelism.plan import Plan

CONFIG = "config-"


@dataclass(frozen=True)
class PublishedPeak:
    """One published peak of accelerator memory beside the model's [B]."""

    name: str
    row: Row
    measured: float
    modelled: float

    @property
    def error(self) -> float:
        """Modelled over measured, less one."""
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
    model = _model(row["config"], row.get("layers"), row.get("kv_heads"))
    outside = ("context",) if row["statistic"] == "reserved" else ("context", "fragmentation")
    ledgers = rank_memory(model, plan, degrees, float(row["micro_batches"]))
    ranks = [float(r.total - sum(r.part(part).total for part in outside)) for r in ledgers]
    return PublishedPeak(name, row, float(row["measured"]), ranks[-1] if row.get("of") == "last stage" else max(ranks))


@lru_cache(maxsize=256)
def _model(name: str, layers: int | None, kv_heads: int | None) -> Model:
    config = dict(rows("memory")[f"{CONFIG}{name}"].fields)
    if layers:
        config["num_hidden_layers"] = layers
    if kv_heads and "num_key_value_heads" in config:
        config["num_key_value_heads"] = kv_heads
    model = from_hf(config)
    if kv_heads and "num_key_value_heads" not in config:  # a GPT with grouped queries, which no config.json of its family can say
        block = model.stack[0].block
        attention = block.attention.replace({"kv_heads": kv_heads})
        kind = Layers(name=model.stack[0].name, count=model.layers, block=block.replace({"attention": attention}))
        model = model.replace({"stack": [kind]})
    return model
