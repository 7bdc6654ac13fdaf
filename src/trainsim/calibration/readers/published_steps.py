"""Rows of published runs: what each says that ran, on which stack, and how long its steps took; or why it can't be modelled."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...catalog.benchmark_recipes import Launch, launch_of
from ...catalog.hardware import cluster as cluster_named
from ...catalog.runs import cluster_of
from ...catalog.shipped_calibration import class_of
from ...catalog.software_stacks import applies_to, stack_for
from ...cluster.hardware import Chip, Cluster
from ...core.errors import SpecError, TrainsimError
from ...model.counting import flops_per_token
from ...model.transformer import Model
from ...parallelism.layout import Layout
from ...parallelism.precision import Precision, recipe_of
from ...parallelism.schedules.known import schedule_named, schedule_of, usual_schedule
from ...parallelism.schedules.schedule import Schedule
from ..records import MeasuredStep, Told
from .published_models import missing, published_model

CLUSTERS = {
    "A100-40GB": "hgx-a100-40gb", "A100-80GB": "dgx-a100", "A800-80GB": "hgx-a800", "H20": "hgx-h20", "H100-SXM": "hgx-h100",
    "H200-SXM": "hgx-h200", "H800-SXM": "hgx-h800", "B200": "hgx-b200", "B300": "hgx-b300", "GB200": "nvl72-gb200",
    "GB300": "nvl72-gb300", "GH200": "alps-gh200",
}  # fmt: skip
"""Accelerators as published tables name them → node of the catalogue."""
FORMATS = (("fp4", "fp4"), ("fp8", "fp8"), ("bf16", "bf16"), ("fp16", "bf16"))
AGAIN = (
    ("full|^yes", {"full"}), ("attention core", {"core"}), ("per-op", {"ops"}), ("RMSNorm", {"norms"}),
    ("MLA up-proj", {"q_up", "kv_up"}),
)  # fmt: skip
"""What published tables call recompute → the parts that backward computes again."""
FRAMEWORKS = (("^DeepSeek", "hai-llm"), ("Megatron|NeMo|MT-NLG|MLPerf", "megatron"), ("torchtitan|MosaicML", "fsdp"))
"""Words of a row's name → the framework it ran under."""
FULLY_SHARDED = "FULL_SHARD|[FH]SDP|ZeRO-3|fully sharded"
USUAL_MICRO_BATCHES = (1, 2, 4)
"""Sequences of a micro-batch, where a row doesn't say."""
TORCHTITAN_POWER = 500.0
"""Watts its H100 were held to, by the authors' footnote."""


def published_step(row: Mapping[str, Any]) -> MeasuredStep:
    """A row of published runs; the reason where it can't be modelled."""
    for part in ("parallelism", "architecture"):
        if not isinstance(row.get(part) or {}, Mapping):
            return _unreadable(row, SpecError(part, row[part], "is not an object", 'give {"name": value}', "wrong-type"))
    name, layout, low = str(row.get("name", "?")), row.get("parallelism") or {}, _format(row)
    key = json.dumps(
        [row.get(k) for k in ("architecture", "gpu", "n_gpus", "seq_len", "global_batch_tokens")] + [layout, low, "MTP" in name],
        sort_keys=True,
    )
    base = MeasuredStep(id=str(row.get("id", name)), name=name, source=_source(row), group="", seconds=0.0, key=key, doubt=_doubt(row))
    try:
        return _known(base, row, layout, low)
    except (TrainsimError, KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        return replace(base, group="not modelled", why=str(error) or type(error).__name__)


def _unreadable(row: Mapping[str, Any], error: TrainsimError) -> MeasuredStep:
    name = str(row.get("name", "?"))
    return MeasuredStep(id=str(row.get("id", name)), name=name, source=name, group="not modelled", seconds=0.0, key=name, why=str(error))


def _known(base: MeasuredStep, row: Mapping[str, Any], parallel: Mapping[str, Any], low: str) -> MeasuredStep:
    gpus, seq = _needed(row, "n_gpus"), float(_needed(row, "seq_len"))
    if row.get("gpu") not in CLUSTERS:
        raise missing("gpu", row.get("gpu"), "has no software stack here")
    model = published_model(row)
    routed, framework, month = model.is_moe, _framework(row, parallel), _month(row)
    cluster = usual = cluster_named(CLUSTERS[row["gpu"]], int(gpus))
    if (org := row.get("org")) and (machine := cluster_of(org, model, usual.chip.name, gpus)):
        cluster = cluster_named(machine, int(gpus))
    stack = stack_for(cluster.chip.architecture or "", framework, month, base.name)
    ran, pooled = applies_to(stack), class_of(stack, routed=routed)
    if base.source == "torchtitan" and row["gpu"] == "H100-SXM":
        cluster = cluster.replace({"chip.power": TORCHTITAN_POWER})
    tp, pp, cp, ep = _degrees(parallel, framework, gpus)
    dp = gpus / (tp * pp * cp)
    tokens, again, recipe = _tokens(row, parallel, dp, pp), _again(parallel, framework), _recipe(row, low, ran)
    likely = _likely(parallel, ran, pp, model, tokens / seq / dp)
    degrees = {"tp": tp, "pp": pp, "cp": cp, "vpp": likely[0][1], "ep": ep, "micro_batch": likely[0][2]}
    launch = _launch(base, row, model, recipe.name, tokens / seq, degrees)
    again = again if parallel.get("recompute") else launch.recompute
    layouts = [
        Layout(
            gpus=float(gpus), tp=float(tp), dp=float(dp), ep=float(ep), cp=float(cp), micro_batch=micro, pp=pp, vpp=vpp,
            sequence_split=_sequence_split(base.name, ran, tp), seq_len=seq, again=again, recipe=recipe, loss=ran.get("loss", "fused"),
            graphs=launch.graphs, dispatcher=launch.dispatcher, expert_overlap=launch.expert_overlap,
            recompute_layers=launch.recompute_layers,
        )
        for _, vpp, micro in likely
    ]  # fmt: skip
    (schedule, _, micro), told = likely[0], _told(row)
    block = {k: v for k, v in row["architecture"].items() if k != "num_hidden_layers"}
    launched = [launch.dispatcher, launch.expert_overlap, sorted(launch.graphs)]
    asked = [block, row["gpu"], low, seq, pooled, tp, ep, cp, micro, sorted(again), *launched]
    return replace(
        base,
        layers="" if layouts[1:] else json.dumps(asked, sort_keys=True),
        group=_group(base.source, row, usual.chip, low, routed=routed),
        seconds=_seconds(row, told, model, usual, tokens),
        told=told,
        model=model,
        layout=layouts[0],
        others=tuple(layouts[1:]),
        batch=_whole(tokens / seq, dp * micro),
        schedule=schedule,
        zero=_zero(str(parallel.get("zero"))),
        cluster=cluster,
        stack=stack,
        assumed={"same": "", "nearest": "launched as the recipe of another layout says"}[launch.layout],
    )


ROUNDED = 0.01
"""How far from whole micro-batches a published batch may be and still be a rounded one: two digits of millions of tokens."""


def _whole(batch: float, each: float) -> float:
    """A batch as whole micro-batches of every pipeline, where what was published is that but for rounding."""
    near = round(batch / each) * each
    if not near:
        raise missing("global_batch_tokens", batch, f"is less than a micro-batch of every pipeline, {each:g} sequences")
    return near if abs(batch / near - 1.0) < ROUNDED else batch


def _needed(row: Mapping[str, Any], field: str) -> float:
    if row.get(field) is None:
        raise missing(field, None, "is not published")
    return float(row[field])


# launch ------------------------------------------------------------------------------------------------------------------


PLAIN = Launch(dispatcher=None, expert_overlap="off", graphs=frozenset(), recompute=frozenset(), recompute_layers=None, layout="same")
"""Nothing given: the stack's own dispatcher, nothing beside it, no graphs."""


def _launch(base: MeasuredStep, row: Mapping[str, Any], model: Model, precision: str, batch: float, degrees: Mapping[str, float]) -> Launch:
    """How a benchmark of Megatron-Bridge was launched, by the recipes of its release; nothing is given for any other run."""
    release = re.search(r"Megatron-Bridge (2\d\.\d\d(?:\.\d+)?)", base.name)
    found = launch_of(model, str(row["gpu"]).split("-")[0], precision, batch, release[1], degrees) if release else None
    return found or PLAIN


# layout ------------------------------------------------------------------------------------------------------------------


def _degrees(parallel: Mapping[str, Any], framework: str, gpus: float) -> tuple[int, int, int, int]:
    """tp, pp, cp, ep: one that isn't given is 1 where the given ones make up all accelerators, or the framework shards fully.

    Context and expert parallelism are 1 wherever nobody names them.
    """
    told = [int(value) for name in ("tp", "pp", "cp", "dp") if (value := parallel.get(name)) is not None]
    whole = 1
    for degree in told:
        whole *= degree
    for name in ("tp", "pp"):
        if parallel.get(name) is None and framework != "fsdp" and whole != gpus:
            raise missing(f"parallelism.{name}", None, "is not published")
    tp, pp, cp, ep = (int(parallel.get(name) or 1) for name in ("tp", "pp", "cp", "ep"))
    return tp, pp, cp, ep


def _tokens(row: Mapping[str, Any], parallel: Mapping[str, Any], dp: float, pp: int) -> float:
    """Tokens of a step; of one micro-batch where nobody says: without a pipeline a rate hardly depends on them."""
    if row.get("global_batch_tokens") is not None:
        return float(row["global_batch_tokens"])
    if pp > 1:
        raise missing("global_batch_tokens", None, "is not published, and a pipeline's bubble depends on it")
    return dp * _needed(parallel, "microbatch") * float(row["seq_len"])


def _again(parallel: Mapping[str, Any], framework: str) -> frozenset[str]:
    """Parts that backward computes again."""
    told = str(parallel.get("recompute") or "none")
    if told == "selective" and framework == "megatron":
        told = "attention core"  # what Megatron-LM's option of that name computes again
    return frozenset(part for words, parts in AGAIN if re.search(words, told) for part in parts)


def _likely(parallel: Mapping[str, Any], ran: Mapping[str, Any], pp: int, model: Model, each: float) -> list[tuple[str, int, float]]:
    """Schedule, virtual stages and micro-batch that a row may have had with ``each`` sequences a pipeline: one where it gives them."""
    named = None if pp == 1 else _named(parallel.get("vpp"))
    chunks = _virtual(parallel.get("vpp"), named, pp, model, ran)
    told = [((named or usual_schedule(v)).name, v, m) for v in chunks for m in _micro_batches(parallel.get("microbatch"), each)]
    if len(told) == 1:
        return told
    return [one for one in told if _can_be_ordered(one[0], pp, one[1], each / one[2])] or told[:1]


def _named(value: Any) -> Schedule | None:
    """The schedule that stands in place of virtual stages, a remark behind it left out; None where a number stands there, or nothing."""
    if value in {None, "n/a", "None"} or re.fullmatch(r"\d+", str(value)):
        return None
    try:
        return schedule_named(re.split(r"[(,]", str(value))[0])
    except SpecError:
        raise missing("parallelism.vpp", value, "names neither one number nor a schedule") from None


def _virtual(value: Any, named: Schedule | None, pp: int, model: Model, ran: Mapping[str, Any]) -> tuple[int, ...]:
    """Virtual stages of a rank: as given; else every number that its layers make, without 1 where they are said to be interleaved.

    Under a stack whose rows name what they interleave, what isn't given is not interleaved.
    """
    if pp == 1 or value in {"n/a", "None"} or (value is None and ran.get("interleaving") == "named"):
        return (1,)
    if named is not None and named.stages_per_rank is not None:
        return (1,)
    if value is not None and re.fullmatch(r"\d+", str(value)):
        return (int(value),)
    most = math.ceil(model.layers / pp)
    numbers = tuple(v for v in range(1, most + 1) if most % v == 0)
    if named is not None and most == 1:
        raise missing("parallelism.vpp", value, f"needs several stages to a rank, and {model.layers} layers on {pp} ranks make one")
    return numbers if named is None else numbers[1:]


def _micro_batches(value: Any, each: float) -> tuple[float, ...]:
    """Sequences of a micro-batch: as given, or the usual numbers that a pipeline's share of the batch holds whole."""
    if value is not None:
        return (float(value),)
    return tuple(float(m) for m in USUAL_MICRO_BATCHES if abs(each / m - round(each / m)) < ROUNDED * each / m) or (1.0,)


def _can_be_ordered(schedule: str, pp: int, vpp: int, micro_batches: float) -> bool:
    """Whether a schedule orders that many micro-batches: a reading of what isn't given must be a run that could be."""
    try:
        schedule_of(schedule).check(pp, vpp, round(micro_batches))
    except SpecError:
        return False
    return True


def _zero(text: str) -> int:
    for words, stage in (("FULL_SHARD|FSDP2|HSDP|ZeRO-3", 3), ("SHARD_GRAD_OP|ZeRO-2", 2), ("distributed optimizer|ZeRO-1|FSDP", 1)):
        if re.search(words, text):
            return stage
    return 0


def _sequence_split(name: str, ran: Mapping[str, Any], tp: int) -> float:
    """Ranks that share the work on whole streams: all of tensor parallelism, but under stacks that split them only where a row says so."""
    named = "sequence parallel +" in name
    return 1.0 if "no SP" in name or (ran.get("sequence_split") == "named" and not named) else float(tp)


# formats and seconds -----------------------------------------------------------------------------------------------------


def _format(row: Mapping[str, Any]) -> str:
    text = str(row.get("precision") or "").lower()
    return next((low for word, low in FORMATS if word in text), "bf16")


def _recipe(row: Mapping[str, Any], low: str, ran: Mapping[str, Any]) -> Precision:
    """Recipe of a row's format: the framework's own, else one scale a tensor; MX formats scale blocks. Buffers as its stack has them."""
    own = ran.get("recipes", {}).get(low)
    told = str(row.get("precision")).lower()
    wide = "fp16" if "fp16" in told and "bf16" not in told else "bf16"
    recipe = recipe_of(own or {"fp8": "mxfp8" if "mx" in told else "fp8", "fp4": "nvfp4", "bf16": wide}[low])
    return recipe.replace(ran["buffers"]) if ran.get("buffers") else recipe


def _told(row: Mapping[str, Any]) -> Told:
    """The figure that gives how long a row's steps took; a utilisation counts where its definition is given."""
    if row.get("iteration_time_s_reported"):
        return "time"
    if row.get("tokens_per_s_per_gpu_reported"):
        return "rate"
    if row.get("mfu_reported") and "PaLM definition" in str(row.get("mfu_definition")):
        return "utilisation"
    raise missing("tokens_per_s_per_gpu_reported", None, "is not published, nor a step's time")


def _seconds(row: Mapping[str, Any], told: Told, model: Model, cluster: Cluster, tokens: float) -> float:
    """Seconds of a step, by the figure that is given."""
    match told:
        case "time":
            return float(row["iteration_time_s_reported"])
        case "rate":
            return tokens / (float(row["tokens_per_s_per_gpu_reported"]) * cluster.gpus)
        case "utilisation":
            flop = float(np.asarray(flops_per_token(model, float(row["seq_len"]), "full").total))
            peak = float(np.asarray(cluster.chip.peak_of("bf16")))
            return tokens * flop / (float(row["mfu_reported"]) * peak * cluster.gpus)


# who, where, what --------------------------------------------------------------------------------------------------------


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


def _source(row: Mapping[str, Any]) -> str:
    """Whose row it is: its column ``source``, else the first words of its name, releases of one framework together."""
    if isinstance(row.get("source"), str):
        return str(row["source"])
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


def _framework(row: Mapping[str, Any], parallel: Mapping[str, Any]) -> str:
    """What a row ran under: by its name, else by what it shards: whole layers without pipeline, as FSDP, or else as Megatron."""
    name, zero = str(row.get("name")), str(parallel.get("zero"))
    named = next((framework for words, framework in FRAMEWORKS if re.search(words, name)), None)
    return named or ("fsdp" if re.search(FULLY_SHARDED, zero, re.IGNORECASE) and int(parallel.get("pp") or 1) == 1 else "megatron")


def _month(row: Mapping[str, Any]) -> str:
    """When a row was published: year and month, a release's number read as such; far ahead where nobody says."""
    text = str(row.get("date") or "")
    if release := re.match(r"(2\d)\.(\d\d)", text):
        return f"20{release[1]}-{release[2]}"
    return text[:7] if re.match(r"\d{4}-\d\d$", text[:7]) else f"{text[:4]}-01" if re.match(r"\d{4}", text) else "9999-12"


def _group(source: str, row: Mapping[str, Any], chip: Chip, low: str, *, routed: bool) -> str:
    """What a row is scored with: kind of model, generation of chips, framework's age."""
    if source == "MosaicML MPT bench":
        return f"FSDP {'A100' if str(row['gpu']).startswith('A100') else 'H100'}"
    if re.match("Megatron seq|Megatron-LM 2021|MT-NLG", source):
        return "A100 Megatron papers"
    if source == "torchtitan":
        return "torchtitan"
    generation = str(chip.architecture).capitalize()
    return f"{'MoE' if routed else 'dense ' + ('BF16' if low == 'bf16' else 'FP8/FP4')} {generation}"
