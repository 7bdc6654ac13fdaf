"""What users get wrong, and what they are told: one clear error with path, value, rule and remedy, at once."""

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
from trainsim.claims.scope import SCOPES
from trainsim.cost.pricing import Annuity, Quote, StraightLine
from trainsim.run.fleet import estimate_fleet

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
    """Two rows as the loader sees them."""
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
"""What is wrong, how it is done, what the path holds, what the rule or remedy says."""

CONFIGS: list[Case] = [
    *((f"config without {k}", lambda k=k: ts.from_hf(without(MIXTRAL, k)), k, "missing") for k in (
        "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "num_local_experts", "intermediate_size")),
    ("a size as text", lambda: ts.from_hf(LLAMA | {"hidden_size": "64"}), "hidden_size", "integer"),
    ("a size that is half", lambda: ts.from_hf(LLAMA | {"hidden_size": 64.5}), "hidden_size", "integer"),
    ("a size of zero", lambda: ts.from_hf(LLAMA | {"vocab_size": 0}), "vocab_size", "positive"),
    ("a size that is true", lambda: ts.from_hf(LLAMA | {"vocab_size": True}), "vocab_size", "integer"),
    ("top-k above experts", lambda: ts.from_hf(MIXTRAL | {"num_experts_per_tok": 9}), "num_experts_per_tok", "8"),
    ("heads that don't divide hidden", lambda: ts.from_hf(LLAMA | {"num_attention_heads": 7, "num_key_value_heads": 7}), "heads", "divi"),
    ("key heads that don't divide heads", lambda: ts.from_hf(LLAMA | {"num_key_value_heads": 3}), "num_key_value_heads", "divi"),
    ("a key that may change the shape", lambda: ts.from_hf(LLAMA | {"num_bananas": 3}), "num_bananas", "ignore"),
    ("an unknown family", lambda: ts.from_hf(LLAMA | {"model_type": "lama"}), "model_type", "llama"),
    ("no family", lambda: ts.from_hf(without(LLAMA, "model_type")), "model_type", "famil"),
    ("a million layers", lambda: ts.from_hf(LLAMA | {"num_hidden_layers": 10**6}), "num_hidden_layers", "10000"),
    ("a config cut short", lambda: ts.from_hf(file(json.dumps(LLAMA)[:50], "config.json")), "config.json", "whole JSON"),
    ("a config that is a list", lambda: ts.from_hf(file("[1, 2]", "config.json")), "config.json", "object"),
    ("a config that isn't there", lambda: ts.from_hf("no/such/config.json"), "config.json", "no such file"),
    ("a number for a config", lambda: ts.from_hf(7), "config", "path"),
]  # fmt: skip
MODELS: list[Case] = [
    ("a model without layers", lambda: ts.Model(hidden=8, vocab=8, stack=[]), "stack", "no layers"),
    ("a negative width", lambda: ts.GatedMLP(width=-1), "width", "greater than 0"),
    ("experts met that aren't there", lambda: ts.MixtureOfExperts(experts=4, top_k=5, width=8), "top_k", "above experts=4"),
    ("heads over key heads", lambda: ts.GroupedQueryAttention(heads=8, kv_heads=3, head_dim=8), "kv_heads", "1, 2, 4, 8"),
    ("a window and chunks", lambda: ts.GroupedQueryAttention(heads=8, kv_heads=8, head_dim=8, window=2, chunk=2), "chunk", "not both"),
    ("a convention nobody has", lambda: ts.flops_per_token(ts.from_hf(LLAMA), 8, "causle"), "convention", "causal"),
    ("mtp where there is none", lambda: ts.flops_per_token(ts.from_hf(LLAMA), 8, "6nd", mtp="unique"), "mtp", "no multi-token"),
    ("a length as text", lambda: ts.flops_per_token(ts.from_hf(LLAMA), "4096"), "seq_len", "must be >= 1"),  # type: ignore[arg-type]
    ("a length that is no number", lambda: ts.flops_per_token(ts.from_hf(LLAMA), float("nan")), "seq_len", "must be >= 1"),
    ("a name for a model", lambda: ts.count_params("deepseek-v3"), "model", "ts.catalog.model"),  # type: ignore[arg-type]
    ("a name for a model to count in", lambda: ts.flops_per_token("deepseek-v3", 8), "model", "ts.from_hf"),  # type: ignore[arg-type]
    ("a sequence of nothing", lambda: ts.flops_per_token(ts.from_hf(LLAMA), 0), "seq_len", ">= 1"),
    ("the face of a family", lambda: ts.Attention(), "Attention", "GroupedQueryAttention"),  # type: ignore[abstract]
]
RUNS: list[Case] = [
    ("negative tokens", lambda: ts.Phase("p", tokens=-1, seq_len=8), "tokens", "> 0"),
    ("tokens that are no number", lambda: ts.Phase("p", tokens=float("nan"), seq_len=8), "tokens", "finite"),
    ("tokens as text", lambda: ts.Phase("p", tokens="1T", seq_len=8), "tokens", "number"),  # type: ignore[arg-type]
    ("tokens as an array", lambda: ts.Phase("p", tokens=np.array([1.0, 2.0]), seq_len=8), "tokens", "Beliefs"),
    ("tokens without a sequence", lambda: ts.Phase("p", tokens=1e9), "seq_len", "required"),
    ("MFU above one", lambda: ts.MFU(1.2), "mfu", "<= 1"),
    ("MFU in percent", lambda: ts.MFU(38.94), "mfu", "<= 1"),
    ("MFU of zero", lambda: ts.MFU(0), "mfu", "> 0"),
    ("MFU by a convention nobody has", lambda: ts.MFU(0.4, flops="causle"), "flops", "did you mean 'causal'"),
    ("HFU of a format nobody has", lambda: ts.HFU(0.4, peak="bf17"), "peak", "did you mean 'bf16'"),
    ("a name for a run", lambda: ts.estimate("deepseek-v3"), "run", "ts.catalog.run"),  # type: ignore[arg-type]
    ("names for runs", lambda: ts.compare("deepseek-v3", "llama3.1-405b"), "run", "ts.load"),  # type: ignore[arg-type]
    ("one phase for a list", lambda: run(phases=ts.Phase("p")), "phases", "a list"),
    ("a phase named by a number", lambda: ts.Phase(3), "name", "text"),  # type: ignore[arg-type]
    ("two phases of one name", lambda: run(phases=[ts.Phase("p"), ts.Phase("p")]), "phases", "named 'p'"),
    ("a phase with a dot", lambda: run(phases=[ts.Phase("a.b")]), "phases", "dot"),
    ("no phases", lambda: run(phases=[]), "phases", "empty"),
    ("no model", lambda: run(model=None), "model", "must be a Model"),
    ("a chip for a cluster", lambda: run(cluster=chip()), "cluster", "Cluster"),
    ("a dict for a price, of no kind", lambda: run(price={"usd_per_gpu_hour": 2.0}), "price", "Rental"),
    ("an unknown field", lambda: ts.Rental(usd_per_gpu=2.0), "usd_per_gpu", "no field of Rental; did you mean 'usd_per_gpu_hour'"),  # type: ignore[call-arg]
    ("a cluster of nothing", lambda: ts.Cluster(chip=chip(), gpus=0), "gpus", "greater than 0"),
    ("half an accelerator", lambda: ts.Cluster(chip=chip(), gpus=1.5), "gpus", "integer"),  # type: ignore[arg-type]
    ("a degree that doesn't divide", lambda: run(plan=ts.Plan(tp=6)), "plan.tp", "1, 2, 4, 8"),
    ("too many stages", lambda: run(plan=ts.Plan(pp=4)), "plan.pp", "layers"),
    ("a misspelt field of a phase in a dict", lambda: run(phases=[{"name": "p", "token": 1.0}]), "phases.p.token", "tokens"),
    ("no such word", lambda: ts.Plan(recompute="some"), "recompute", "none"),  # type: ignore[arg-type]
    ("goodput above one", lambda: ts.Goodput(1.1), "goodput", "<= 1"),
    ("a price below nothing", lambda: ts.Rental(usd_per_gpu_hour=-2.0), "usd_per_gpu_hour", "> 0"),
    *((f"{name} of zero", lambda name=name: owned(**{name: 0.0}), name, "> 0") for name in ("utilization", "life_years", "usd_per_gpu")),
    ("use above the clock", lambda: owned(utilization=1.2), "utilization", "<= 1"),
    *((f"{kind.__name__} over no life", lambda kind=kind: kind(life_years=0.0), "life_years", "> 0") for kind in (
        StraightLine, Annuity)),
    ("a reservation nobody uses", lambda: Quote(nodes=8, term_days=30, price_per_gpu_hour=2.0, used_share=0.0), "used_share", "> 0"),
    ("an unknown path", lambda: run().replace({"price.usd_per_gpu_hr": 1.0}), "price.usd_per_gpu_hr", "usd_per_gpu_hour"),
    ("an unknown phase", lambda: run().replace({"phases.pretrian.tokens": 1.0}), "phases.pretrian", "pretrain"),
    ("a path into a number", lambda: run().get("price.usd_per_gpu_hour.x"), "x", "nothing"),
    ("a value of the wrong kind at a path", lambda: run().replace({"phases.pretrain.tokens": "x"}), "phases.pretrain.tokens", "number"),
    ("whole and part at once", lambda: run().replace({"price": None, "price.usd_per_gpu_hour": 1.0}), "price", "at once"),
    ("no price", lambda: estimated(price=None), "price", "catalog.complete"),
    ("no efficiency", lambda: estimated(efficiency=None), "efficiency", "catalog.complete"),
    ("no reliability", lambda: estimated(reliability=None), "reliability", "catalog.complete"),
    ("a peak the chip hasn't", lambda: estimated(efficiency=ts.MFU(0.4, peak="fp8")), "peak", "bf16"),
    ("step time without a batch", lambda: estimated(phases=[ts.Phase("p", tokens=1e9, seq_len=8)], efficiency=ts.StepTime(seconds=1)),
     "phases.p.batch", "StepTime"),
    ("HFU without a plan", lambda: estimated(efficiency=ts.HFU(0.5)), "plan", "recompute"),
    ("MFU without tokens", lambda: estimated(phases=[ts.Phase("p")]), "phases.p.tokens", "BusyHours"),
    ("no such quantity", lambda: estimated().quantity("costs"), "costs", "cost"),
    ("no such part", lambda: estimated().quantity("cost.pretrain.bananas"), "bananas", ""),
]  # fmt: skip
FILES: list[Case] = [
    ("a run cut short", lambda: ts.load(file(saved()[: len(saved()) // 2])), "", ""),
    ("a run cut in a line", lambda: ts.load(file(saved()[:-3] + '"')), "", "TOML"),
    ("a run that isn't there", lambda: ts.load("no/such/run.toml"), "", "no such file"),
    ("a folder for a run", lambda: ts.load(FOLDER[0]), "", "can't be read"),
    ("a folder that isn't there", lambda: run().save("no/such/folder/run.toml"), "", "can't be written"),
    ("a file of another kind", lambda: ts.load(file('spec = "Rental"\nusd_per_gpu_hour = 2.0\n')), "run.toml", "no Run"),
    ("a class that can't be imported", lambda: ts.load(file(saved().replace('kind = "GatedMLP"', 'kind = "no.such:Class"').replace(
        'kind = "MixtureOfExperts"', 'kind = "no.such:Class"'))), "kind", "import"),
    ("draws saved", lambda: ts.Batch(run(), {"price.usd_per_gpu_hour": np.ones(3)}).spec.save(Path(FOLDER[0]) / "x"), "", "drawn"),
]  # fmt: skip
ROWS: list[Case] = [
    ("a dense peak that is the sparse one", lambda: chips(peak={"bf16": 1979e12}), "chips/h100-sxm.peak.bf16", "sparse"),
    ("an SXM row with its PCIe sibling's bandwidth", lambda: chips(memory_bandwidth=2.0e12), "chips/h100-sxm.memory_bandwidth", "sibling"),
    ("an SXM row with its PCIe sibling's power", lambda: chips(power=350.0), "chips/h100-sxm.power", "sibling"),
    ("a row without source", lambda: make_row("chips", "x", without(ROW, "source")), "chips/x.source", "reference"),
    ("a row without date", lambda: make_row("chips", "x", without(ROW, "date")), "chips/x.date", "reference"),
    (
        "a price without date",
        lambda: make_row("prices", "x", without(ROW, "date") | {"kind": "rent", "usd_per_gpu_hour": 2.0}),
        "prices/x.date",
        "reference",
    ),
    ("a row with a date that is none", lambda: make_row("chips", "x", ROW | {"date": "Christmas"}), "chips/x.date", "ISO"),
    ("a row of no grade", lambda: make_row("chips", "x", ROW | {"grade": "rumour"}), "chips/x.grade", "grade"),
    ("rows cut short", lambda: read_rows("chips", '[x]\nsource = ["a'), "chips", "TOML"),
    ("beliefs as of no day", lambda: ts.catalog.beliefs(run(), as_of="Christmas"), "as_of", "ISO"),
    ("a chip nobody made", lambda: ts.catalog.chip("h1000"), "chips", "h100"),
    ("a run nobody made", lambda: ts.catalog.run("deepseek-v33"), "runs", "deepseek-v3"),
]
BELIEFS: list[Case] = [
    ("a belief about no path", lambda: simulated({"price.usd": ts.ci90(1, 2)}), "price.usd", "usd_per_gpu_hour"),
    ("a belief without end", lambda: simulated({"price.usd_per_gpu_hour": ts.lognormal(0, 100)}), "price.usd_per_gpu_hour", "infinite"),
    ("a belief outside its bounds", lambda: simulated({"efficiency.mfu": ts.ci90(0.5, 1.5)}), "efficiency.mfu", "bounds"),
    ("a law that leaks", lambda: simulated({"efficiency.mfu": ts.normal(0.4, 0.2)}), "efficiency.mfu", "truncate(0, 1)"),
    ("p5 above p95", lambda: ts.ci90(3, 2), "interval", "rise"),
    ("p5 equal to p95", lambda: ts.ci90(2, 2), "interval", "rise"),
    ("a median outside", lambda: ts.ci90(1, 5, 2), "interval", "rise"),
    ("one quantile", lambda: ts.ci90(p95=2), "interval", "fix no law"),
    ("a spread of zero", lambda: ts.normal(1, 0), "sigma", "> 0"),
    ("a triangle inside out", lambda: ts.triangular(1, 5, 2), "", "between"),
    ("a number for a belief", lambda: simulated({"price.usd_per_gpu_hour": 2.0}), "price.usd_per_gpu_hour", "ci90"),
    ("a correlation of two", lambda: simulated({"price.usd_per_gpu_hour": ts.ci90(1, 2), "efficiency.mfu": ts.ci90(0.3, 0.5)},
        correlated={("price.usd_per_gpu_hour", "efficiency.mfu"): 2.0}), "correlated", "between -1 and 1"),
    ("correlations that can't be", lambda: simulated(
        {p: ts.uniform(0.1, 0.2) for p in ("price.usd_per_gpu_hour", "efficiency.mfu", "reliability.goodput")},
        correlated={("price.usd_per_gpu_hour", "efficiency.mfu"): 0.9, ("efficiency.mfu", "reliability.goodput"): 0.9,
                    ("price.usd_per_gpu_hour", "reliability.goodput"): -0.9}), "correlated", "nearest possible"),
    ("a correlation with nothing", lambda: simulated({"price.usd_per_gpu_hour": ts.ci90(1, 2)},
        correlated={("price.usd_per_gpu_hour", "efficiency.mfu"): 0.2}), "correlated", "no belief"),
    ("a spec without a function", lambda: ts.simulate(Trip(distance=1), ts.Beliefs({"distance": ts.ci90(1, 2)})), "function", "Trip"),
    ("draws out of bounds", lambda: ts.Batch(Trip(distance=1), {"distance": np.array([1.0, -2.0])}), "distance", "draw 1"),
    ("draws that are one number", lambda: ts.Batch(run(), {"efficiency.mfu": 0.4}), "efficiency.mfu", "(n,)"),  # type: ignore[dict-item]
    ("draws in a square", lambda: ts.Batch(run(), {"efficiency.mfu": np.full((2, 2), 0.4)}), "efficiency.mfu", "(2, 2)"),
    ("draws that are text", lambda: ts.Batch(run(), {"efficiency.mfu": np.array(["a", "b"])}), "efficiency.mfu", "numbers"),
    ("a dict for beliefs", lambda: ts.simulate(run(), {"efficiency.mfu": ts.ci90(0.3, 0.5)}), "beliefs", "ts.Beliefs"),  # type: ignore[arg-type]
    ("a ragged table of samples", lambda: ts.joint([[1, 2], [3]]), "joint", "array (n, k)"),
    ("draws of two lengths", lambda: ts.Batch(run(), {"price.usd_per_gpu_hour": np.ones(2), "efficiency.mfu": np.ones(3)}),
     "draws", "length"),
]  # fmt: skip
CLAIMS: list[Case] = [
    ("dollars in hours", lambda: ts.Claim("cost", 6e6, unit="GPU-h").in_base(), "unit", "USD"),
    ("hours in tokens", lambda: ts.Claim("busy_gpu_hours", 6e6, unit="token").in_base(), "unit", "GPU-h"),
    ("no unit", lambda: ts.Claim("cost", 6e6).in_base(), "unit", "USD"),
    ("no value", lambda: ts.Claim("cost", unit="USD").in_base(), "value", "nothing"),
    ("no such quantity claimed", lambda: ts.Claim("glory", 1, unit="USD").in_base(), "quantity", "cost"),
    ("a name for a claim", lambda: ts.audit("deepseek-v3-6m"), "claim", "ts.catalog.claim"),  # type: ignore[arg-type]
    ("a claim of no day", lambda: ts.audit(ts.catalog.claim("deepseek-v3-6m").replace({"date": "Christmas"})), "claim.date", "ISO"),
    ("as of no day", lambda: ts.audit(ts.catalog.claim("deepseek-v3-6m"), as_of="24.12.2024"), "as_of", "2024-12-26"),
    ("a claim about nobody", lambda: ts.audit(ts.Claim("cost", 6e6, unit="USD")), "subject", "subject="),
    ("a claim nobody made", lambda: ts.catalog.claim("deepseek-v3-60m"), "claims", "deepseek-v3-6m"),
    ("rent inside ownership", lambda: ts.Scope(contents=("run",)).inside(ts.Scope(contents=("run",), basis="owner")), "scope", "translate"),
    ("rent and the machines that were rented", lambda: estimated().cost + fleet().capital, "kind", "rent already pays"),
    ("a line of each", lambda: estimated().cost.part("pretrain") + fleet().over_life.part("H800"), "kind", "rent already pays"),
    ("both in one bill", lambda: ts.Ledger("USD", {"run": estimated().cost, "fleet": fleet().capital}), "fleet.kind", "ts.Ownership"),
    ("the scopes of both", lambda: SCOPES["final-run rent"] + SCOPES["fleet purchase"], "scope", "translate"),
    ("one content twice", lambda: ts.Scope(contents=("run",)) + ts.Scope(contents=("run",)), "scope", "once"),
    ("a ledger of two units", lambda: ts.Ledger("USD", {"a": 1.0}) + ts.Ledger("h", {"a": 1.0}), "", "can't be added"),
]

CASES = [*CONFIGS, *MODELS, *RUNS, *FILES, *ROWS, *BELIEFS, *CLAIMS]


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 40
    assert len({name for name, *_ in CASES}) == len(CASES)


@pytest.mark.parametrize(("act", "path", "word"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_one_clear_error(act: Callable[[], Any], path: str, word: str, tmp_path: Path) -> None:
    FOLDER[:] = [tmp_path]
    start = time.process_time()
    with pytest.raises(ts.TrainsimError) as caught:
        act()
    assert time.process_time() - start < 5
    error = caught.value
    assert path in error.path
    assert error.path or error.value is not None
    assert error.rule.strip()
    assert error.remedy.strip()
    assert word in f"{error.rule}; {error.remedy}"
    text = str(error)
    assert len(text) < (700 if "known: bloom, cohere2" in text else 300), text  # an unknown family is told all that are known
    assert "\n" not in text
    assert error.rule in text
    assert error.remedy in text


def test_an_optional_key_takes_the_class_default_and_the_notes_list_it() -> None:
    model = ts.from_hf(without(LLAMA, "num_key_value_heads"))
    assert any("num_key_value_heads" in note for note in model.notes)
    assert any("num_key_value_heads" in note for note in ts.estimate(run(model=model)).notes)
    assert not any("num_key_value_heads" in note for note in ts.from_hf(LLAMA).notes)


def test_nothing_is_left_behind_by_a_save_that_fails(tmp_path: Path) -> None:
    target = tmp_path / "run.toml"
    run().save(target)
    before = target.read_text(encoding="utf-8")
    with pytest.raises(ts.TrainsimError):
        ts.Batch(run(), {"price.usd_per_gpu_hour": np.ones(3)}).spec.save(target)
    assert target.read_text(encoding="utf-8") == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.toml"]
