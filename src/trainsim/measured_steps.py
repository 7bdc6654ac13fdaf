"""Measured steps: rows of a file of published steps as runs the library can model."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .catalog.hardware import cluster as cluster_named
from .catalog.models import from_sizes
from .catalog.stacks import stack_rows
from .cluster.hardware import Cluster
from .errors import SpecError, TrainsimError
from .iteration_times import DEGREES, numbers_of
from .model.attention import GroupedQueryAttention
from .model.feedforward import MixtureOfExperts
from .model.huggingface import from_hf
from .model.transformer import Block, Head, Model, stack_of
from .training.layers import Layout
from .training.plan import Loss
from .training.precision import Precision, recipe_of

CLUSTERS = {
    "A100-40GB": "hgx-a100-40gb", "A100-80GB": "dgx-a100", "H100-SXM": "hgx-h100", "H200-SXM": "hgx-h200", "H800-SXM": "hgx-h800",
    "B200": "hgx-b200", "B300": "hgx-b300", "GB200": "nvl72-gb200", "GB300": "nvl72-gb300", "GH200": "alps-gh200",
}  # fmt: skip
"""Accelerators as published tables name them → node of the catalogue."""
FORMATS = (("fp4", "fp4"), ("fp8", "fp8"), ("bf16", "bf16"), ("fp16", "bf16"))
SUPERSEDED = 1.4
"""A row that a later patch of the same configuration beats by this factor is a class of its own: a regression that was mended."""
AGAIN = (("full", frozenset({"full"})), ("attention core", frozenset({"core"})), ("per-op", frozenset({"ops"})))
"""What published tables call recompute → the parts that backward computes again."""
SEVERAL_NODES_LINK = 12.5e9
"""Bytes per second and accelerator between the nodes of the A100 iteration times: four 200 Gb/s cards for eight."""
ONE_NODE_VOCABULARY = 50257
"""Vocabulary of the one-node iteration times: the default of the repository that published them (vTrain, src/config.py), unpadded."""
SEVERAL_NODES_VOCABULARY = 51200
"""Vocabulary of the others, whose models are those of Narayanan et al. 2021 (arXiv:2104.04473), table 1."""
TORCHTITAN_POWER = 500.0
"""Watts its H100 were held to, by the authors' footnote."""


@dataclass(frozen=True)
class MeasuredStep:
    """One published step: what ran, and how long a step took; or why it can't be modelled.

    Args:
        id, name, source: where it stands, and whose it is.
        group: what it is scored with.
        seconds: measured, per optimizer step [s].
        model, layout, batch, schedule, zero, cluster, stack: what ran; None where ``why`` says what is missing.
        why: why it can't be modelled; empty where it can.
        doubt: the row is superseded, ambiguous or drops tokens: scored apart.
        key: the configuration without release and time: repeats share it.
    """

    id: str
    name: str
    source: str
    group: str
    seconds: float
    key: str
    model: Model | None = None
    layout: Layout | None = None
    batch: float = 0.0
    schedule: str = "1f1b"
    zero: int = 0
    cluster: Cluster | None = None
    stack: str = ""
    why: str = ""
    doubt: str = ""

    @property
    def hash(self) -> str:
        """Fingerprint of configuration and measured time: two copies of a row share it."""
        return hashlib.sha256(f"{self.key}|{self.name}|{self.seconds:.6g}".encode()).hexdigest()[:12]


def read_steps(path: str | Path) -> list[MeasuredStep]:
    """The rows of a file of published steps, those that can't be modelled among them with the reason.

    Args:
        path: a JSON file with a list ``runs``, or a CSV file of iteration times with one configuration a row.

    Raises:
        SpecError: no such file, or a file of neither shape.
    """
    file = Path(path)
    if not file.is_file():
        raise SpecError("rows", str(path), "is no file", "give a .json file with a list 'runs', or a .csv file of iteration times")
    if file.suffix == ".csv":
        with file.open(encoding="utf-8", newline="") as lines:
            return [_from_csv(file.stem, i, row) for i, row in enumerate(csv.DictReader(lines))]
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        runs = data["runs"] if isinstance(data, dict) else data
    except (json.JSONDecodeError, KeyError, UnicodeDecodeError) as error:
        raise SpecError("rows", str(path), f"holds no list 'runs' ({error})", "give a file of the shape of runs.json") from None
    return _judged([_from_json(row) for row in runs if isinstance(row, dict)])


def _judged(steps: Sequence[MeasuredStep]) -> list[MeasuredStep]:
    """Rows that a later patch of the same configuration supersedes, marked."""
    fastest: dict[str, float] = {}
    for step in steps:
        if step.seconds > 0:
            fastest[step.key] = min(fastest.get(step.key, step.seconds), step.seconds)
    marked = []
    for step in steps:
        beaten = step.seconds > SUPERSEDED * fastest.get(step.key, step.seconds)
        marked.append(replace(step, doubt=step.doubt or "superseded by another release of the same configuration") if beaten else step)
    return marked


# iteration times in CSV --------------------------------------------------------------------------------------------------


def _from_csv(stem: str, i: int, row: Mapping[str, str]) -> MeasuredStep:
    """A row of the A100 iteration times: GPT models under Megatron-LM."""
    numbers, why = numbers_of(row)
    if why:
        return MeasuredStep(f"{stem}:{i}", f"{stem}:{i}", stem, stem, 0.0, stem, why=why)
    gpus, tp, dp, pp, hidden = (int(numbers[name]) for name in ("gpus", *DEGREES, "hidden size"))
    seconds, seq = numbers["iteration time (ms)"] / 1e3, numbers["sequence length"]
    several = gpus > cluster_named("dgx-a100", 8).domain
    vocabulary = SEVERAL_NODES_VOCABULARY if several else ONE_NODE_VOCABULARY
    layers = int(numbers["layers"])
    sizes = {
        "hidden": hidden, "heads": int(numbers["attention heads"]), "ffn": 4 * hidden, "layers": layers,
        "vocab": vocabulary, "gated": False, "tied": True,
    }  # fmt: skip
    layout = Layout(
        gpus=float(gpus), tp=float(tp), dp=float(dp), ep=1.0, cp=1.0, micro_batch=numbers["micro batch"], pp=pp, vpp=1,
        sequence_split=1.0, seq_len=seq, again=frozenset({"full"}), loss="vocab-parallel",
        recipe=recipe_of("fp16"),
    )  # fmt: skip
    group = "A100 several nodes" if several else "A100 one node"
    cluster = cluster_named("dgx-a100", gpus)
    cluster = cluster.replace({"scale_out.bandwidth": SEVERAL_NODES_LINK}) if several else cluster
    return MeasuredStep(
        id=f"{stem}:{i}", name=f"{stem} {hidden}x{layers} tp{tp} dp{dp} pp{pp}", source=stem, group=group, seconds=seconds,
        key=json.dumps({k: v for k, v in sorted(numbers.items()) if "time" not in k}),
        model=from_sizes("gpt", sizes), layout=layout, batch=numbers["global batch"], cluster=cluster,
        stack="megatron-2021",
    )  # fmt: skip


# published runs in JSON --------------------------------------------------------------------------------------------------


def _from_json(row: Mapping[str, Any]) -> MeasuredStep:
    """A row of published runs; the reason where it can't be modelled."""
    name, layout = str(row.get("name", "?")), row.get("parallelism") or {}
    key = json.dumps(
        [row.get(k) for k in ("architecture", "gpu", "n_gpus", "seq_len", "global_batch_tokens")] + [layout, _format(row), "MTP" in name],
        sort_keys=True,
    )
    base = MeasuredStep(id=str(row.get("id", name)), name=name, source=_source(row), group="", seconds=0.0, key=key, doubt=_doubt(row))
    try:
        return _known(base, row, layout)
    except (TrainsimError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        return replace(base, group="not modelled", why=str(error) or type(error).__name__)


def _known(base: MeasuredStep, row: Mapping[str, Any], parallel: Mapping[str, Any]) -> MeasuredStep:
    gpus, seq = _needed(row, "n_gpus"), float(_needed(row, "seq_len"))
    if row.get("gpu") not in CLUSTERS:
        raise _missing("gpu", row.get("gpu"), "has no software stack here")
    cluster = cluster_named(CLUSTERS[row["gpu"]], int(gpus))
    model = _model(row)
    stack = _stack(row)
    if stack.startswith("torchtitan") and row["gpu"] == "H100-SXM":
        cluster = cluster.replace({"chip.power": TORCHTITAN_POWER})
    tp, pp, cp, ep = (_degree(parallel, k, base.source) for k in ("tp", "pp", "cp", "ep"))
    dp = gpus / (tp * pp * cp)
    dualpipe = bool(re.search("dualpipe", str(parallel.get("vpp")), re.IGNORECASE))
    vpp = 1 if dualpipe else _virtual(parallel.get("vpp"), pp, base)
    micro = parallel.get("microbatch")
    if micro is None:
        raise _missing("parallelism.microbatch", None, "is not published")
    tokens = row.get("global_batch_tokens")
    if tokens is None:
        if pp > 1:
            raise _missing("global_batch_tokens", None, "is not published, and a pipeline's bubble depends on it")
        tokens = dp * float(micro) * seq  # without a pipeline tokens per second hardly depend on it: one micro-batch a step
    low = _format(row)
    recompute = str(parallel.get("recompute") or "none")
    again = next((parts for word, parts in AGAIN if word in recompute), frozenset())
    layout = Layout(
        gpus=float(gpus), tp=float(tp), dp=float(dp), ep=float(ep), cp=float(cp), micro_batch=float(micro), pp=pp, vpp=vpp,
        sequence_split=_sequence_split(row, tp), seq_len=seq, again=again, recipe=_recipe(row, low), loss=_loss(stack),
    )  # fmt: skip
    return replace(
        base, group=_group(row, model, low), seconds=_seconds(row, float(gpus), float(tokens)), model=model, layout=layout,
        batch=_whole(float(tokens) / seq, dp * float(micro)), schedule="dualpipe" if dualpipe else "interleaved" if vpp > 1 else "1f1b",
        zero=_zero(str(parallel.get("zero"))),
        cluster=cluster, stack=stack,
    )  # fmt: skip


ROUNDED = 0.01
"""How far from whole micro-batches a published batch may be and still be a rounded one: two digits of millions of tokens."""


def _whole(batch: float, each: float) -> float:
    """A batch as whole micro-batches of every pipeline, where what was published is that but for rounding."""
    near = round(batch / each) * each
    return near if abs(batch / near - 1.0) < ROUNDED else batch


def _needed(row: Mapping[str, Any], field: str) -> float:
    if row.get(field) is None:
        raise _missing(field, None, "is not published")
    return float(row[field])


def _missing(field: str, value: Any, rule: str) -> SpecError:
    return SpecError(field, value, rule, "leave the row out")


def _degree(parallel: Mapping[str, Any], name: str, source: str) -> int:
    """A degree of parallelism; one that a fully sharded run or a paper of another kind doesn't name is 1."""
    value = parallel.get(name)
    if value is None and name in {"tp", "pp"} and not re.match("MosaicML|torchtitan", source):
        raise _missing(f"parallelism.{name}", None, "is not published")
    return int(value or 1)


def _virtual(value: Any, pp: int, base: MeasuredStep) -> int:
    if pp == 1 or value in {None, "n/a", "None", ""}:
        if pp > 1 and base.source.startswith("MLPerf"):
            raise _missing("parallelism.vpp", value, "is not published for an interleaved schedule")
        return 1
    if not re.fullmatch(r"\d+", str(value)):
        raise _missing("parallelism.vpp", value, "names two values")
    return int(value)


def _seconds(row: Mapping[str, Any], gpus: float, tokens: float) -> float:
    if row.get("iteration_time_s_reported"):
        return float(row["iteration_time_s_reported"])
    rate = row.get("tokens_per_s_per_gpu_reported")
    if not rate:
        raise _missing("tokens_per_s_per_gpu_reported", rate, "is not published")
    return tokens / (float(rate) * gpus)


def _format(row: Mapping[str, Any]) -> str:
    text = str(row.get("precision") or "").lower()
    return next((low for word, low in FORMATS if word in text), "bf16")


def _recipe(row: Mapping[str, Any], low: str) -> Precision:
    """Recipe of a row's format; the MX formats scale blocks."""
    if _source(row).startswith("DeepSeek") and low == "fp8":
        return recipe_of("fp8-deepseek")
    told = str(row.get("precision")).lower()
    wide = "fp16" if "fp16" in told and "bf16" not in told else "bf16"
    return recipe_of({"fp8": "mxfp8" if "mx" in told else "fp8", "fp4": "nvfp4", "bf16": wide}[low])


def _loss(stack: str) -> Loss:
    """How the frameworks of a stack compute the loss: Megatron-LM of 2021 and torchtitan as written, the rest with fused kernels."""
    return "vocab-parallel" if stack == "megatron-2021" else "plain" if stack.startswith("torchtitan") else "fused"


def _zero(text: str) -> int:
    for words, stage in (("FULL_SHARD|FSDP2|ZeRO-3", 3), ("SHARD_GRAD_OP|ZeRO-2", 2), ("distributed optimizer|ZeRO-1|FSDP", 1)):
        if re.search(words, text):
            return stage
    return 0


def _sequence_split(row: Mapping[str, Any], tp: int) -> float:
    """Sequence parallelism came with the paper of 2022: rows before it, and those that say so, go without."""
    without = "no SP" in str(row.get("name")) or (_stack(row) == "megatron-2021" and "sequence parallel +" not in str(row.get("name")))
    return 1.0 if without else float(tp)


def _doubt(row: Mapping[str, Any]) -> str:
    """Why a row stands apart: tokens dropped, or a cell that names two values."""
    text = f"{row.get('name')} {row.get('notes')} {(row.get('parallelism') or {}).get('vpp')} {(row.get('parallelism') or {}).get('zero')}"
    if re.search(r"token.?drop", str(row.get("name")), re.IGNORECASE):
        return "drops tokens"
    if re.search(r"FP8-\w+ \(FP8|FSDP \d+ \(0\)|^\d+ \(\d+\)", str(row.get("precision")) + " " + text.split(" ", 1)[-1]):
        return "a cell names two values"
    if "rowwise" in str(row.get("precision")):
        return "scaled by rows: its own kind of product"
    return ""


# who, where, what --------------------------------------------------------------------------------------------------------


def _source(row: Mapping[str, Any]) -> str:
    """Whose row it is: the first words of its name, releases of one framework together."""
    name = str(row.get("name", "?"))
    for words in (
        "MosaicML MPT bench",
        "NVIDIA Megatron-Bridge",
        "torchtitan",
        "Megatron seq-parallel paper",
        "Megatron-LM 2021",
        "MT-NLG",
        "MaxText",
    ):
        if name.startswith(words):
            return words
    return name.split(":", maxsplit=1)[0]


def _group(row: Mapping[str, Any], model: Model, low: str) -> str:
    """What a row is scored with: kind of model, generation of chips, framework's age."""
    source = _source(row)
    if source == "MosaicML MPT bench":
        return f"FSDP {'A100' if str(row['gpu']).startswith('A100') else 'H100'}"
    if re.match("Megatron seq|Megatron-LM 2021|MT-NLG", source):
        return "A100 Megatron papers"
    if source == "torchtitan":
        return "torchtitan"
    chips = _generation(row)
    routed = any(isinstance(kind.block.ffn, MixtureOfExperts) for kind in model.stack)
    return f"{'MoE' if routed else 'dense ' + ('BF16' if low == 'bf16' else 'FP8/FP4')} {chips}"


def _generation(row: Mapping[str, Any]) -> str:
    chips = str(row.get("gpu"))
    return "Ampere" if chips.startswith("A") else "Hopper" if chips.startswith("H") or chips == "GH200" else "Blackwell"


def _stack(row: Mapping[str, Any]) -> str:
    source, chips = _source(row), str(row.get("gpu"))
    if re.match("Megatron seq|Megatron-LM 2021|MT-NLG", source) or (chips.startswith("A") and "Mosaic" not in source):
        return "megatron-2021"
    if source == "MosaicML MPT bench":
        return "fsdp-2023" if chips.startswith("A100") else "fsdp-2023-hopper"
    if source == "torchtitan":
        return "torchtitan-2024-async" if re.search(r"async", str(row.get("name")), re.IGNORECASE) else "torchtitan-2024"
    if source.startswith("DeepSeek"):
        return "deepseek-2024"
    generation = _generation(row).lower()
    release = re.search(r"\b(2[5-9]\.\d\d)", str(row.get("name")))
    named = f"mcore-{release.group(1)}-{generation}" if release else ""
    return named if named in stack_rows() else f"mcore-{generation}"


def _model(row: Mapping[str, Any]) -> Model:
    """The model a row's architecture describes."""
    sizes = row.get("architecture")
    if not sizes:
        raise _missing("architecture", sizes, "is not published")
    if sizes.get("attention") == "MLA":
        own = dict(sizes) | {"model_type": "deepseek_v3"}
        if "w/o MTP" in str(row.get("name")):
            own["num_nextn_predict_layers"] = 0
        known = {k: v for k, v in own.items() if k not in {"attention", "gated_mlp", "seq_pretrain"} and v is not None}
        return from_hf({**_MLA, **known})
    named = {
        "hidden": sizes["hidden_size"], "heads": sizes["num_attention_heads"], "kv_heads": sizes["num_key_value_heads"],
        "head_dim": sizes.get("head_dim") or sizes["hidden_size"] // sizes["num_attention_heads"], "ffn": sizes["intermediate_size"],
        "layers": sizes["num_hidden_layers"], "vocab": sizes["vocab_size"], "tied": sizes.get("tie_word_embeddings"),
        "gated": sizes.get("gated_mlp", True), "experts": sizes.get("n_routed_experts"), "top_k": sizes.get("num_experts_per_tok"),
        "moe_ffn": sizes.get("moe_intermediate_size"), "shared_experts": sizes.get("n_shared_experts") or 0,
        "dense_layers": sizes.get("first_k_dense_replace") or 0,
    }  # fmt: skip
    whole = from_sizes("published", named)
    return _alternating(whole, sizes["sliding_window"]) if sizes.get("sliding_window_pattern") == "alternating" else whole


_MLA = {
    "first_k_dense_replace": 0, "n_shared_experts": 0, "num_nextn_predict_layers": 0, "moe_layer_freq": 1, "max_position_embeddings": 4096,
}  # fmt: skip


def _alternating(model: Model, window: int) -> Model:
    """Every second layer with a sliding window, as gpt-oss has it."""
    kinds: list[tuple[str, Block]] = []
    for i, kind in enumerate(_unrolled(model)):
        attention = kind.attention
        if i % 2 == 0 and isinstance(attention, GroupedQueryAttention):
            kinds.append(("sliding", kind.replace({"attention": attention.replace({"window": window})})))
        else:
            kinds.append(("moe", kind))
    return Model(name=model.name, hidden=model.hidden, vocab=model.vocab, stack=stack_of(kinds), head=Head(weights=model.head.weights))


def _unrolled(model: Model) -> Iterator[Block]:
    for kind in model.stack:
        for _ in range(kind.count):
            yield kind.block
