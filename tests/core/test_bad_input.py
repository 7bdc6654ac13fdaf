"""Common user mistakes: each raises one error with path, value, rule and remedy."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

import trainsim as ts
from trainsim.catalog.hardware import check_chips
from trainsim.catalog.rows import make_row, read_rows
from trainsim.cost.amortisation import Annuity, StraightLine
from trainsim.cost.quote import Quote
from trainsim.run.fleet import estimate_fleet
from trainsim.testing import refused

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 8,
    "num_key_value_heads": 2, "vocab_size": 100, "tie_word_embeddings": False,
}  # fmt: skip
MIXTRAL = LLAMA | {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": None}
ROW: dict[str, Any] = {"source": ["v3-report"], "date": "2024-12-26", "grade": "vendor", "evidence": "found"}


def without(config: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k != key}


def chip(**changes: Any) -> ts.Chip:
    given: dict[str, Any] = {"name": "chip", "peak": ts.Peak(bf16=1e15), "memory": 80e9, "memory_bandwidth": 3e12}
    return ts.Chip(**given | changes)


def run(**changes: Any) -> ts.Run:
    given: dict[str, Any] = {
        "model": ts.from_hf(MIXTRAL),
        "cluster": ts.Cluster(chip=chip(), gpus=64),
        "phases": [ts.Phase("pretrain", tokens=1e12, seq_len=4096, batch=1024)],
        "efficiency": ts.MFU(0.4),
        "reliability": ts.Goodput(0.95),
        "price": ts.Rental(usd_per_gpu_hour=2.0),
    }
    return ts.Run(**given | changes)


def owned(**changes: Any) -> ts.Ownership:
    return ts.Ownership(**{"usd_per_gpu": 3e4, "life_years": 4.0, "operating_share": 0.1, "utilization": 0.8} | changes)


def fleet() -> Any:
    return estimate_fleet(ts.Fleet(holdings=[ts.Holding(name="H800", gpus=64, ownership=owned())]))


def estimated(**changes: Any) -> ts.Estimate:
    return ts.estimate(run(**changes))


def simulated(beliefs: dict[Any, Any], **options: Any) -> Any:
    return ts.simulate(run(), ts.Beliefs(beliefs, **options), n=64)


def chips(**changes: Any) -> None:
    """Two rows in the form that the loader reads."""
    pcie = {**ROW, "form": "PCIe", "peak": {"bf16": 756e12}, "memory_bandwidth": 2.0e12, "power": 350.0}
    sxm = {
        **ROW, "form": "SXM", "sibling": "h100-pcie", "peak": {"bf16": 989e12}, "peak_sparse": {"bf16": 1979e12},
        "memory_bandwidth": 3.35e12, "power": 700.0,
    }  # fmt: skip
    check_chips({"h100-pcie": make_row("chips", "h100-pcie", pcie), "h100-sxm": make_row("chips", "h100-sxm", sxm | changes)})


def file(text: str, name: str = "run.toml") -> Path:
    here = Path(FOLDER[0]) / name
    here.write_text(text, encoding="utf-8")
    return here


def saved() -> str:
    here = Path(FOLDER[0]) / "whole.toml"
    run().save(here)
    return here.read_text(encoding="utf-8")


FOLDER: list[Path] = []


class Trip(ts.Spec):
    distance: Annotated[ts.Num, ts.Unit("km", "how far", gt=0)]


Case = tuple[str, Callable[[], Any], str, str]
"""A mistake: its name, a function that makes it, a part of the error's path, and the rule id."""

CONFIGS: list[Case] = [
    *((f"config without {k}", lambda k=k: ts.from_hf(without(MIXTRAL, k)), k, "missing") for k in (
        "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "num_local_experts", "intermediate_size")),
    ("a size as text", lambda: ts.from_hf(LLAMA | {"hidden_size": "64"}), "hidden_size", "wrong-type"),
    ("a size that is half", lambda: ts.from_hf(LLAMA | {"hidden_size": 64.5}), "hidden_size", "wrong-type"),
    ("a size of zero", lambda: ts.from_hf(LLAMA | {"vocab_size": 0}), "vocab_size", "wrong-type"),
    ("a size that is true", lambda: ts.from_hf(LLAMA | {"vocab_size": True}), "vocab_size", "wrong-type"),
    ("top-k above experts", lambda: ts.from_hf(MIXTRAL | {"num_experts_per_tok": 9}), "num_experts_per_tok", "out-of-bounds"),
    ("heads that don't divide hidden", lambda: ts.from_hf(LLAMA | {"num_attention_heads": 7, "num_key_value_heads": 7}),
     "heads", "conflict"),
    ("key heads that don't divide heads", lambda: ts.from_hf(LLAMA | {"num_key_value_heads": 3}), "num_key_value_heads", "conflict"),
    ("a key that may change the shape", lambda: ts.from_hf(LLAMA | {"num_bananas": 3}), "num_bananas", "unknown-field"),
    ("an unknown family", lambda: ts.from_hf(LLAMA | {"model_type": "lama"}), "model_type", "unknown-name"),
    ("no family", lambda: ts.from_hf(without(LLAMA, "model_type")), "model_type", "unknown-name"),
    ("a million layers", lambda: ts.from_hf(LLAMA | {"num_hidden_layers": 10**6}), "num_hidden_layers", "out-of-bounds"),
    ("a config cut short", lambda: ts.from_hf(file(json.dumps(LLAMA)[:50], "config.json")), "config.json", "syntax"),
    ("a config that is a list", lambda: ts.from_hf(file("[1, 2]", "config.json")), "config.json", "wrong-type"),
    ("a config that isn't there", lambda: ts.from_hf("no/such/config.json"), "config.json", "not-found"),
    ("a number for a config", lambda: ts.from_hf(7), "config", "wrong-type"),
]  # fmt: skip
MODELS: list[Case] = [
    ("a model without layers", lambda: ts.Model(hidden=8, vocab=8, stack=[]), "stack", "empty"),
    ("a negative width", lambda: ts.GatedMLP(width=-1), "width", "out-of-bounds"),
    ("experts met that aren't there", lambda: ts.MixtureOfExperts(experts=4, top_k=5, width=8), "top_k", "out-of-bounds"),
    ("heads over key heads", lambda: ts.GroupedQueryAttention(heads=8, kv_heads=3, head_dim=8), "kv_heads", "conflict"),
    ("a window and chunks", lambda: ts.GroupedQueryAttention(heads=8, kv_heads=8, head_dim=8, window=2, chunk=2), "chunk", "conflict"),
    ("a convention nobody has", lambda: ts.flops_per_token(ts.from_hf(LLAMA), 8, "causle"), "convention", "unknown-name"),
    ("mtp where there is none", lambda: ts.flops_per_token(ts.from_hf(LLAMA), 8, "6nd", mtp="unique"), "mtp", "unsupported"),
    ("a length as text", lambda: ts.flops_per_token(ts.from_hf(LLAMA), "4096"), "seq_len", "out-of-bounds"),  # type: ignore[arg-type]
    ("a length that is no number", lambda: ts.flops_per_token(ts.from_hf(LLAMA), float("nan")), "seq_len", "out-of-bounds"),
    ("a name for a model", lambda: ts.count_params("deepseek-v3"), "model", "wrong-type"),  # type: ignore[arg-type]
    ("a name for a model to count in", lambda: ts.flops_per_token("deepseek-v3", 8), "model", "wrong-type"),  # type: ignore[arg-type]
    ("a sequence of nothing", lambda: ts.flops_per_token(ts.from_hf(LLAMA), 0), "seq_len", "out-of-bounds"),
    ("the face of a family", lambda: ts.Attention(), "Attention", "unknown-kind"),  # type: ignore[abstract]
]
RUNS: list[Case] = [
    ("negative tokens", lambda: ts.Phase("p", tokens=-1, seq_len=8), "tokens", "out-of-bounds"),
    ("tokens that are no number", lambda: ts.Phase("p", tokens=float("nan"), seq_len=8), "tokens", "not-finite"),
    ("tokens in words", lambda: ts.Phase("p", tokens="many", seq_len=8), "tokens", "wrong-type"),  # type: ignore[arg-type]
    ("tokens in bytes", lambda: ts.Phase("p", tokens="1TB", seq_len=8), "tokens", "unit-mismatch"),  # type: ignore[arg-type]
    ("tokens as an array", lambda: ts.Phase("p", tokens=np.array([1.0, 2.0]), seq_len=8), "tokens", "not-scalar"),
    ("tokens without a sequence", lambda: ts.Phase("p", tokens=1e9), "seq_len", "missing"),
    ("MFU above one", lambda: ts.MFU(1.2), "mfu", "out-of-bounds"),
    ("MFU in percent", lambda: ts.MFU(38.94), "mfu", "out-of-bounds"),
    ("MFU of zero", lambda: ts.MFU(0), "mfu", "out-of-bounds"),
    ("MFU by a convention nobody has", lambda: ts.MFU(0.4, flops="causle"), "flops", "unknown-name"),
    ("HFU of a format nobody has", lambda: ts.HFU(0.4, peak="bf17"), "peak", "unknown-name"),
    ("a name for a run", lambda: ts.estimate("deepseek-v3"), "run", "wrong-type"),  # type: ignore[arg-type]
    ("names for runs", lambda: ts.compare("deepseek-v3", "llama3.1-405b"), "run", "wrong-type"),  # type: ignore[call-overload]
    ("one phase for a list", lambda: run(phases=ts.Phase("p")), "phases", "wrong-type"),
    ("a phase named by a number", lambda: ts.Phase(3), "name", "wrong-type"),  # type: ignore[arg-type]
    ("two phases of one name", lambda: run(phases=[ts.Phase("p"), ts.Phase("p")]), "phases", "duplicate"),
    ("a phase with a dot", lambda: run(phases=[ts.Phase("a.b")]), "phases", "invalid"),
    ("no phases", lambda: run(phases=[]), "phases", "empty"),
    ("no model", lambda: run(model=None), "model", "wrong-type"),
    ("a chip for a cluster", lambda: run(cluster=chip()), "cluster", "wrong-type"),
    ("a dict for a price, of no kind", lambda: run(price={"usd_per_gpu_hour": 2.0}), "price", "unknown-kind"),
    ("an unknown field", lambda: ts.Rental(usd_per_gpu=2.0), "usd_per_gpu", "unknown-field"),  # type: ignore[call-arg]
    ("a cluster of nothing", lambda: ts.Cluster(chip=chip(), gpus=0), "gpus", "out-of-bounds"),
    ("half an accelerator", lambda: ts.Cluster(chip=chip(), gpus=1.5), "gpus", "wrong-type"),  # type: ignore[arg-type]
    ("a degree that doesn't divide", lambda: run(plan=ts.Plan(tp=6)), "plan.tp", "conflict"),
    ("too many stages", lambda: run(plan=ts.Plan(pp=4)), "plan.pp", "out-of-bounds"),
    ("a misspelt field of a phase in a dict", lambda: run(phases=[{"name": "p", "token": 1.0}]), "phases.p.token", "unknown-field"),
    ("no such word", lambda: ts.Plan(recompute="some"), "recompute", "unknown-name"),  # type: ignore[arg-type]
    ("goodput above one", lambda: ts.Goodput(1.1), "goodput", "out-of-bounds"),
    ("a price below nothing", lambda: ts.Rental(usd_per_gpu_hour=-2.0), "usd_per_gpu_hour", "out-of-bounds"),
    *((f"{name} of zero", lambda name=name: owned(**{name: 0.0}), name, "out-of-bounds") for name in (
        "utilization", "life_years", "usd_per_gpu")),
    ("use above the clock", lambda: owned(utilization=1.2), "utilization", "out-of-bounds"),
    *((f"{kind.__name__} over no life", lambda kind=kind: kind(life_years=0.0), "life_years", "out-of-bounds") for kind in (
        StraightLine, Annuity)),
    ("a reservation nobody uses", lambda: Quote(nodes=8, term_days=30, price_per_gpu_hour=2.0, used_share=0.0),
     "used_share", "out-of-bounds"),
    ("an unknown path", lambda: run().replace({"price.usd_per_gpu_hr": 1.0}), "price.usd_per_gpu_hr", "unknown-field"),
    ("an unknown phase", lambda: run().replace({"phases.pretrian.tokens": 1.0}), "phases.pretrian", "unknown-path"),
    ("a path into a number", lambda: run().get("price.usd_per_gpu_hour.x"), "x", "unknown-path"),
    ("a value of the wrong kind at a path", lambda: run().replace({"phases.pretrain.tokens": "x"}), "phases.pretrain.tokens", "wrong-type"),
    ("whole and part at once", lambda: run().replace({"price": None, "price.usd_per_gpu_hour": 1.0}), "price", "duplicate"),
    ("no price", lambda: estimated(price=None).cost, "price", "missing"),
    ("no efficiency", lambda: estimated(efficiency=None), "efficiency", "missing"),
    ("no reliability", lambda: estimated(reliability=None), "reliability", "missing"),
    ("a peak the chip hasn't", lambda: estimated(efficiency=ts.MFU(0.4, peak="fp8")), "peak", "unknown-name"),
    ("step time without a batch", lambda: estimated(phases=[ts.Phase("p", tokens=1e9, seq_len=8)], efficiency=ts.StepTime(seconds=1)),
     "phases.p.batch", "missing"),
    ("HFU without a plan", lambda: estimated(efficiency=ts.HFU(0.5)), "plan", "missing"),
    ("MFU without tokens", lambda: estimated(phases=[ts.Phase("p")]), "phases.p.tokens", "missing"),
    ("no such quantity", lambda: estimated().quantity("costs"), "costs", "unknown-path"),
    ("no such part", lambda: estimated().quantity("cost.pretrain.bananas"), "bananas", "unknown-path"),
]  # fmt: skip
FILES: list[Case] = [
    ("a run cut short", lambda: ts.load(file(saved().partition("[cluster]")[0])), "cluster", "missing"),
    ("a run cut in a line", lambda: ts.load(file(saved()[:-3] + '"')), "", "syntax"),
    ("a run that isn't there", lambda: ts.load("no/such/run.toml"), "", "not-found"),
    ("a folder for a run", lambda: ts.load(FOLDER[0]), "", "unreadable"),
    ("a folder that isn't there", lambda: run().save("no/such/folder/run.toml"), "", "unwritable"),
    ("a file of another kind", lambda: ts.load(file('spec = "Rental"\nusd_per_gpu_hour = 2.0\n')), "run.toml", "unknown-kind"),
    ("a class that can't be imported", lambda: ts.load(file(saved().replace('kind = "GatedMLP"', 'kind = "no.such:Class"').replace(
        'kind = "MixtureOfExperts"', 'kind = "no.such:Class"'))), "kind", "untrusted"),
    ("draws saved", lambda: ts.Batch(run(), {"price.usd_per_gpu_hour": np.ones(3)}).spec.save(Path(FOLDER[0]) / "x"), "", "not-scalar"),
]  # fmt: skip
ROWS: list[Case] = [
    ("a dense peak that is the sparse one", lambda: chips(peak={"bf16": 1979e12}), "chips/h100-sxm.peak.bf16", "conflict"),
    ("an SXM row with its PCIe sibling's bandwidth", lambda: chips(memory_bandwidth=2.0e12), "chips/h100-sxm.memory_bandwidth", "conflict"),
    ("an SXM row with its PCIe sibling's power", lambda: chips(power=350.0), "chips/h100-sxm.power", "conflict"),
    ("a row without source", lambda: make_row("chips", "x", without(ROW, "source")), "chips/x.source", "missing"),
    ("a row without date", lambda: make_row("chips", "x", without(ROW, "date")), "chips/x.date", "missing"),
    (
        "a price without date",
        lambda: make_row("prices", "x", without(ROW, "date") | {"kind": "rent", "usd_per_gpu_hour": 2.0}),
        "prices/x.date",
        "missing",
    ),
    ("a row with a date that is none", lambda: make_row("chips", "x", ROW | {"date": "Christmas"}), "chips/x.date", "wrong-type"),
    ("a row of no grade", lambda: make_row("chips", "x", ROW | {"grade": "rumour"}), "chips/x.grade", "unknown-name"),
    ("rows cut short", lambda: dict(read_rows("chips", '[x]\nsource = ["a')), "chips", "syntax"),
    ("beliefs as of no day", lambda: ts.catalog.beliefs(run(), as_of="Christmas"), "as_of", "wrong-type"),
    ("a chip nobody made", lambda: ts.catalog.chip("h1000"), "chips", "unknown-name"),
    ("a run nobody made", lambda: ts.catalog.run("deepseek-v33"), "runs", "unknown-name"),
]
BELIEFS: list[Case] = [
    ("a belief about no path", lambda: simulated({"price.usd": ts.ci90(1, 2)}), "price.usd", "unknown-path"),
    ("a belief without end", lambda: simulated({"price.usd_per_gpu_hour": ts.lognormal(0, 100)}), "price.usd_per_gpu_hour", "not-finite"),
    ("a belief outside its bounds", lambda: simulated({"efficiency.mfu": ts.ci90(0.5, 1.5)}), "efficiency.mfu", "out-of-bounds"),
    ("a law that leaks", lambda: simulated({"efficiency.mfu": ts.normal(0.4, 0.2)}), "efficiency.mfu", "out-of-bounds"),
    ("p5 above p95", lambda: ts.ci90(3, 2), "interval", "out-of-bounds"),
    ("p5 equal to p95", lambda: ts.ci90(2, 2), "interval", "out-of-bounds"),
    ("a median outside", lambda: ts.ci90(1, 5, 2), "interval", "out-of-bounds"),
    ("one quantile", lambda: ts.ci90(p95=2), "interval", "missing"),
    ("a spread of zero", lambda: ts.normal(1, 0), "sigma", "out-of-bounds"),
    ("a triangle inside out", lambda: ts.triangular(1, 5, 2), "", "out-of-bounds"),
    ("a number for a belief", lambda: simulated({"price.usd_per_gpu_hour": 2.0}), "price.usd_per_gpu_hour", "wrong-type"),
    ("a correlation of two", lambda: simulated({"price.usd_per_gpu_hour": ts.ci90(1, 2), "efficiency.mfu": ts.ci90(0.3, 0.5)},
        correlated={("price.usd_per_gpu_hour", "efficiency.mfu"): 2.0}), "correlated", "out-of-bounds"),
    ("correlations that can't be", lambda: simulated(
        {p: ts.uniform(0.1, 0.2) for p in ("price.usd_per_gpu_hour", "efficiency.mfu", "reliability.goodput")},
        correlated={("price.usd_per_gpu_hour", "efficiency.mfu"): 0.9, ("efficiency.mfu", "reliability.goodput"): 0.9,
                    ("price.usd_per_gpu_hour", "reliability.goodput"): -0.9}), "correlated", "infeasible"),
    ("a correlation with nothing", lambda: simulated({"price.usd_per_gpu_hour": ts.ci90(1, 2)},
        correlated={("price.usd_per_gpu_hour", "efficiency.mfu"): 0.2}), "correlated", "missing"),
    ("a spec without a function", lambda: ts.simulate(Trip(distance=1), ts.Beliefs({"distance": ts.ci90(1, 2)})), "function", "missing"),
    ("draws out of bounds", lambda: ts.Batch(Trip(distance=1), {"distance": np.array([1.0, -2.0])}), "distance", "out-of-bounds"),
    ("draws that are one number", lambda: ts.Batch(run(), {"efficiency.mfu": 0.4}), "efficiency.mfu", "not-scalar"),  # type: ignore[dict-item]
    ("draws in a square", lambda: ts.Batch(run(), {"efficiency.mfu": np.full((2, 2), 0.4)}), "efficiency.mfu", "not-scalar"),
    ("draws that are text", lambda: ts.Batch(run(), {"efficiency.mfu": np.array(["a", "b"])}), "efficiency.mfu", "wrong-type"),
    ("a dict for beliefs", lambda: ts.simulate(run(), {"efficiency.mfu": ts.ci90(0.3, 0.5)}), "beliefs", "wrong-type"),  # type: ignore[arg-type]
    ("a ragged table of samples", lambda: ts.joint([[1, 2], [3]]), "joint", "wrong-type"),
    ("draws of two lengths", lambda: ts.Batch(run(), {"price.usd_per_gpu_hour": np.ones(2), "efficiency.mfu": np.ones(3)}),
     "draws", "conflict"),
]  # fmt: skip
CLAIMS: list[Case] = [
    ("dollars in hours", lambda: ts.Claim("cost", 6e6, unit="GPU-h").in_base(), "unit", "unit-mismatch"),
    ("hours in tokens", lambda: ts.Claim("busy_gpu_hours", 6e6, unit="token").in_base(), "unit", "unit-mismatch"),
    ("no unit", lambda: ts.Claim("cost", 6e6).in_base(), "unit", "unit-mismatch"),
    ("no value", lambda: ts.Claim("cost", unit="USD").in_base(), "value", "missing"),
    ("no such quantity claimed", lambda: ts.Claim("glory", 1, unit="USD").in_base(), "quantity", "unknown-name"),
    ("a name for a claim", lambda: ts.audit("deepseek-v3-6m"), "claim", "wrong-type"),  # type: ignore[arg-type]
    ("a claim of no day", lambda: ts.audit(ts.catalog.claim("deepseek-v3-6m").replace({"date": "Christmas"})), "claim.date", "wrong-type"),
    ("as of no day", lambda: ts.audit(ts.catalog.claim("deepseek-v3-6m"), as_of="24.12.2024"), "as_of", "wrong-type"),
    ("a claim about nobody", lambda: ts.audit(ts.Claim("cost", 6e6, unit="USD")), "subject", "missing"),
    ("a claim nobody made", lambda: ts.catalog.claim("deepseek-v3-60m"), "claims", "unknown-name"),
    (
        "rent inside ownership",
        lambda: ts.Scope(contents=("people",)).inside(ts.Scope(contents=("people",), basis="owner")),  # type: ignore[arg-type]
        "scope",
        "unit-mismatch",
    ),
    ("rent and the machines that were rented", lambda: estimated().cost + fleet().capital, "kind", "unit-mismatch"),
    ("a line of each", lambda: estimated().cost.part("pretrain") + fleet().over_life.part("H800"), "kind", "unit-mismatch"),
    ("both in one bill", lambda: ts.Ledger("USD", {"run": estimated().cost, "fleet": fleet().capital}), "fleet.kind", "unit-mismatch"),
    (
        "the scopes of both",
        lambda: ts.Scope(contents=("final_run",)) + ts.Scope(contents=("fleet",), kind="stock"),  # type: ignore[arg-type]
        "scope",
        "unit-mismatch",
    ),
    ("one content twice", lambda: ts.Scope(contents=("final_run",)) + ts.Scope(contents=("pretraining",)), "scope", "duplicate"),  # type: ignore[arg-type]
    ("a ledger of two units", lambda: ts.Ledger("USD", {"a": 1.0}) + ts.Ledger("h", {"a": 1.0}), "", "unit-mismatch"),
]

RUN: dict[str, Any] = {}


def modelled() -> ts.Run:
    """A run of one phase with a modelled step, to which a log may belong."""
    if not RUN:
        RUN["run"] = ts.Run(
            model=ts.catalog.model("llama3-8b"),
            cluster=ts.catalog.cluster("hgx-h100", 64),
            plan=ts.Plan(zero=3),
            phases=[ts.Phase("p", tokens=1e12, seq_len=8192, batch=128)],
            efficiency=ts.Modelled(stack="mcore-hopper"),
        )
    found: ts.Run = RUN["run"]
    return found


def log(text: str) -> Any:
    return ts.calibrate(file(text, "log.txt"), modelled())


def spread(**options: Any) -> Any:
    rent = ts.Rental(usd_per_gpu_hour=2.0)
    function = options.pop("function", lambda price: price.usd_per_gpu_hour)
    return ts.simulate(rent, ts.Beliefs({"usd_per_gpu_hour": ts.ci90(1, 3)}), function, **options)


def sheet(*rows: str) -> Any:
    return ts.Beliefs.load(file("path,kind,p5,p95,more\n" + "\n".join(rows), "beliefs.csv"))


TIMES = (
    "# GPUs,tensor parallelism,data parallelism,pipeline parallelism,global batch,micro batch,hidden size,attention heads,layers,"
    "sequence length,iteration time (ms)\n"
)
MEGATRON, TORCHTITAN = ts.Plan.from_megatron, ts.Plan.from_torchtitan
LAYOUT = "--pipeline-model-parallel-size 2 --pipeline-model-parallel-layout "
DOORS: list[Case] = [
    *((f"a log that holds {text!r}", lambda text=text: log(f"elapsed time per iteration (ms): {text} |"), "step time", rule)
      for text, rule in (
        (",", "wrong-type"), ("0", "out-of-bounds"), ("1e400", "not-finite"))),
    ("a rate of nothing", lambda: log("tps: 0"), "step time", "out-of-bounds"),
    ("a log without steps", lambda: log("hello"), "log", "too-few-data"),
    ("a log that isn't there", lambda: ts.calibrate("no/such/log.txt", modelled()), "log", "not-found"),
    *((f"step times {value!r}", lambda value=value: ts.calibrate(value, modelled()), "rows", rule) for value, rule in (
        ([float("inf")], "not-finite"), ([0.0], "out-of-bounds"), (["x"], "wrong-type"), ([], "wrong-type"), (None, "wrong-type"))),
    ("a name for the run of a log", lambda: ts.calibrate([2.1], "x"), "run", "wrong-type"),  # type: ignore[arg-type]
    ("a seed below nothing", lambda: ts.calibrate([2.1], modelled(), seed=-1), "seed", "out-of-bounds"),
    ("rows that are a number", lambda: ts.backtest(rows=file("5", "rows.json")), "runs", "wrong-type"),
    ("rows that are null", lambda: ts.backtest(rows=file('{"runs": null}', "rows.json")), "runs", "wrong-type"),
    ("a number for rows", lambda: ts.backtest(rows=5), "rows", "wrong-type"),  # type: ignore[arg-type]
    ("rows of no known ending", lambda: ts.backtest(rows=file("x", "rows.txt")), "rows", "unsupported"),
    *((f"megatron {given!r}", lambda given=given: MEGATRON(given), path, rule) for given, path, rule in (
        ("--tensor-model-parallel-size x", "--tensor-model-parallel-size", "wrong-type"),
        ("--tensor-model-parallel-size 8 8", "--tensor-model-parallel-size", "wrong-type"),
        ("--tensor-model-parallel-size", "--tensor-model-parallel-size", "wrong-type"),
        ("--hidden-dropout x", "--hidden-dropout", "wrong-type"),
        ('"', "arguments", "syntax"),
        (None, "arguments", "wrong-type"),
        ({"--recompute-modules": 3}, "--recompute-modules", "wrong-type"),
        ({"--tensor-model-parallel-size": float("nan")}, "--tensor-model-parallel-size", "not-finite"),
        ("--fp8-format hybrid --fp8-recipe mxpf8", "--fp8-recipe", "unknown-name"),
        ("--pipeline-model-parallel-layout t*99999999999", "--pipeline-model-parallel-layout", "out-of-bounds"),
        (f"{LAYOUT}Et*99999|L", "--pipeline-model-parallel-layout", "too-large"),
        (f"{LAYOUT}E{'(t*9999)*9999'}|L", "--pipeline-model-parallel-layout", "too-large"),
    )),
    *((f"torchtitan {given!r}", lambda given=given: TORCHTITAN(given), path, rule) for given, path, rule in (
        (None, "torchtitan", "wrong-type"),
        ("[parallelism]\ntensor_parallel_degree = 2020-01-01", "parallelism.tensor_parallel_degree", "wrong-type"),
        ({"model": {"converters": 5.0}}, "model.converters", "wrong-type"),
        ({"optimizer": {"name": [1]}}, "optimizer.name", "unknown-name"),
        ({"parallelism": {"pipeline_parallel_schedule": ["GPipe"]}}, "parallelism.pipeline_parallel_schedule", "unknown-name"),
    )),
    ("more points than anybody draws", lambda: spread(n=10**30), "n", "out-of-bounds"),
    ("one level for levels", lambda: spread(quantiles=0.5), "quantiles", "wrong-type"),
    ("an answer that is complex", lambda: spread(function=lambda price: price.usd_per_gpu_hour + 1j, n=64), "value", "callback-failed"),
    ("a limit in words", lambda: ts.solve_for(modelled(), "cluster.gpus", {"cost": "x"}), "limits.cost", "wrong-type"),
    ("a number for limits", lambda: ts.solve_for(modelled(), "cluster.gpus", 5), "limits", "wrong-type"),  # type: ignore[arg-type]
    ("a claim of the year one", lambda: ts.audit(ts.catalog.claim("deepseek-v3-6m").replace({"date": "0001-01-01"})),
     "claim.date", "out-of-bounds"),
    ("fewer accelerators than none", lambda: ts.Claim("gpus", -5, unit="GPU"), "value", "out-of-bounds"),
    ("a claim that steers the terminal", lambda: ts.Claim("gpus", 1, unit="GPU", statement="\x1b[2J"), "statement", "control-character"),
    ("a claim beyond all numbers", lambda: ts.Claim("gpus", 10**400, unit="GPU"), "value", "out-of-bounds"),
    ("a price beyond all prices", lambda: ts.Rental(usd_per_gpu_hour=1e308), "usd_per_gpu_hour", "out-of-bounds"),
    ("a spread beyond all numbers", lambda: ts.uniform(-1e308, 1e308), "low", "out-of-bounds"),
    ("sources that are no table", lambda: ts.load(file("sources = 1\n" + saved().partition("[sources]")[0])), "sources", "wrong-type"),
    ("beliefs that are a list", lambda: ts.Beliefs.load(file('{"beliefs": []}', "b.json")), "beliefs", "wrong-type"),
    ("beliefs that are a number", lambda: ts.Beliefs.load(file("5", "b.json")), "beliefs file", "wrong-type"),
    ("one path in two rows", lambda: sheet("a,Interval,1,2,", "a,Interval,300,400,"), "path", "duplicate"),
    ("a list beside a row", lambda: sheet("a,Interval,1,2,[1]"), "more", "wrong-type"),
    ("a stack nobody has", lambda: ts.Modelled(stack="mcore-hoper"), "stacks", "unknown-name"),
]  # fmt: skip

CASES = [*DOORS, *CONFIGS, *MODELS, *RUNS, *FILES, *ROWS, *BELIEFS, *CLAIMS]


def test_at_least_forty_mistakes_are_covered() -> None:
    assert len(CASES) >= 40
    assert len({name for name, *_ in CASES}) == len(CASES)


@pytest.mark.parametrize(("act", "path", "rule_id"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_each_mistake_raises_one_error(act: Callable[[], Any], path: str, rule_id: str, tmp_path: Path) -> None:
    FOLDER[:] = [tmp_path]
    start = time.process_time()
    with refused(rule_id=rule_id) as found:
        act()
    assert time.process_time() - start < 5
    error = found.error
    assert path in error.path
    assert error.path or error.value is not None
    text = str(error)
    assert len(text) < (900 if error.path.endswith("model_type") else 300), text  # an unknown family lists all that are known
    assert error.rule in text
    assert error.remedy in text


def test_an_optional_key_takes_the_class_default_and_the_notes_list_it() -> None:
    model = ts.from_hf(without(LLAMA, "num_key_value_heads"))
    assert any("num_key_value_heads" in note for note in model.notes)
    assert any("num_key_value_heads" in note for note in ts.estimate(run(model=model)).notes)
    assert not any("num_key_value_heads" in note for note in ts.from_hf(LLAMA).notes)


def test_a_failed_save_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "run.toml"
    run().save(target)
    before = target.read_text(encoding="utf-8")
    with pytest.raises(ts.TrainsimError):
        ts.Batch(run(), {"price.usd_per_gpu_hour": np.ones(3)}).spec.save(target)
    assert target.read_text(encoding="utf-8") == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.toml"]
