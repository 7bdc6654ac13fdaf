"""Interpret rows of published runs: model, layout, stack and step time of each, or the reason it can't be modelled."""

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
from ...parallelism.schedules.discovery import default_schedule, find_schedule, schedule_of
from ...parallelism.schedules.schedule import Schedule
from ..records import MeasuredStep, ReportedFigure
from .published_models import missing, published_model

CLUSTERS = {
    "A100-40GB": "hgx-a100-40gb", "A100-80GB": "dgx-a100", "A800-80GB": "hgx-a800", "H20": "hgx-h20", "H100-SXM": "hgx-h100",
    "H200-SXM": "hgx-h200", "H800-SXM": "hgx-h800", "B200": "hgx-b200", "B300": "hgx-b300", "GB200": "nvl72-gb200",
    "GB300": "nvl72-gb300", "GH200": "alps-gh200",
}  # fmt: skip
"""Accelerator, as named in published tables → node of the catalogue."""
FORMATS = (("fp4", "fp4"), ("fp8", "fp8"), ("bf16", "bf16"), ("fp16", "bf16"))
RECOMPUTE = (
    ("full|^yes", {"full"}), ("attention core", {"core"}), ("per-op", {"ops"}), ("RMSNorm", {"norms"}),
    ("MLA up-proj", {"q_up", "kv_up"}),
)  # fmt: skip
"""Recompute setting, as named in published tables → the recomputed parts."""
FRAMEWORKS = (("^DeepSeek", "hai-llm"), ("Megatron|NeMo|MT-NLG|MLPerf", "megatron"), ("torchtitan|MosaicML", "fsdp"))
"""Pattern in a row's name → framework."""
FULLY_SHARDED = "FULL_SHARD|[FH]SDP|ZeRO-3|fully sharded"
USUAL_MICRO_BATCHES = (1, 2, 4)
"""Candidate micro-batches [sequence] where a row does not report it."""
TORCHTITAN_POWER = 500.0
"""Power limit of torchtitan's H100 [W], from a footnote of its authors."""


def published_step(row: Mapping[str, Any]) -> MeasuredStep:
    """A row of published runs as a measured step; with the reason where it can't be modelled."""
    for part in ("parallelism", "architecture"):
        if not isinstance(row.get(part) or {}, Mapping):
            return _unreadable(row, SpecError(part, row[part], "is not an object", 'give {"name": value}', "wrong-type"))
    name, layout, number_format = str(row.get("name", "?")), row.get("parallelism") or {}, _format(row)
    key = json.dumps(
        [row.get(k) for k in ("architecture", "gpu", "n_gpus", "seq_len", "global_batch_tokens")] + [layout, number_format, "MTP" in name],
        sort_keys=True,
    )
    base = MeasuredStep(
        id=str(row.get("id", name)), name=name, source=_source(row), group="", seconds=0.0, key=key, exclusion_reason=_exclusion_reason(row)
    )
    try:
        return _measured_step(base, row, layout, number_format)
    except (TrainsimError, KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        return replace(base, group="not modelled", not_modelled=str(error) or type(error).__name__)


def _unreadable(row: Mapping[str, Any], error: TrainsimError) -> MeasuredStep:
    name = str(row.get("name", "?"))
    return MeasuredStep(
        id=str(row.get("id", name)), name=name, source=name, group="not modelled", seconds=0.0, key=name, not_modelled=str(error)
    )


def _measured_step(base: MeasuredStep, row: Mapping[str, Any], parallel: Mapping[str, Any], number_format: str) -> MeasuredStep:
    gpus, seq = _needed(row, "n_gpus"), float(_needed(row, "seq_len"))
    if row.get("gpu") not in CLUSTERS:
        raise missing("gpu", row.get("gpu"), "has no software stack here")
    model = published_model(row)
    routed, framework, month = model.is_moe, _framework(row, parallel), _month(row)
    cluster = usual = cluster_named(CLUSTERS[row["gpu"]], int(gpus))
    if (org := row.get("org")) and (machine := cluster_of(org, model, usual.chip.name, gpus)):
        cluster = cluster_named(machine, int(gpus))
    stack = stack_for(cluster.chip.architecture or "", framework, month, base.name)
    settings, pooled = applies_to(stack), class_of(stack, routed=routed)
    if base.source == "torchtitan" and row["gpu"] == "H100-SXM":
        cluster = cluster.replace({"chip.power": TORCHTITAN_POWER})
    tp, pp, cp, ep = _degrees(parallel, framework, gpus)
    dp = gpus / (tp * pp * cp)
    tokens, again, recipe = _tokens(row, parallel, dp, pp), _recompute(parallel, framework), _recipe(row, number_format, settings)
    candidates = _candidates(parallel, settings, pp, model, tokens / seq / dp)
    degrees = {"tp": tp, "pp": pp, "cp": cp, "vpp": candidates[0][1], "ep": ep, "micro_batch": candidates[0][2]}
    launch = _launch(base, row, model, recipe.name, tokens / seq, degrees)
    again = again if parallel.get("recompute") else launch.recompute
    layouts = [
        Layout(
            gpus=float(gpus), tp=float(tp), dp=float(dp), ep=float(ep), cp=float(cp), micro_batch=micro, pp=pp, vpp=vpp,
            sequence_split=_sequence_split(base.name, settings, tp), seq_len=seq, recomputed=again, recipe=recipe,
            loss=settings.get("loss", "fused"), graphs=launch.graphs, dispatcher=launch.dispatcher, expert_overlap=launch.expert_overlap,
            recompute_layers=launch.recompute_layers,
        )
        for _, vpp, micro in candidates
    ]  # fmt: skip
    (schedule, _, micro), figure = candidates[0], _reported_as(row)
    block = {k: v for k, v in row["architecture"].items() if k != "num_hidden_layers"}
    launched = [launch.dispatcher, launch.expert_overlap, sorted(launch.graphs)]
    work = [block, row["gpu"], number_format, seq, pooled, tp, ep, cp, micro, sorted(again), *launched]
    return replace(
        base,
        layers="" if layouts[1:] else json.dumps(work, sort_keys=True),
        group=_group(base.source, row, usual.chip, number_format, routed=routed),
        seconds=_seconds(row, figure, model, usual, tokens),
        reported_as=figure,
        model=model,
        layout=layouts[0],
        alternatives=tuple(layouts[1:]),
        batch=_whole(tokens / seq, dp * micro),
        schedule=schedule,
        zero=_zero(str(parallel.get("zero"))),
        cluster=cluster,
        stack=stack,
        assumed={"same": "", "nearest": "launch settings from the recipe of another layout"}[launch.layout],
    )


ROUNDED = 0.01
"""Largest relative rounding error of a published batch: two digits of millions of tokens."""


def _whole(batch: float, each: float) -> float:
    """A batch rounded to whole micro-batches of every pipeline, where the published figure is within rounding of that."""
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
"""Launch settings where none are known: the stack's own dispatcher, no overlap of experts, no graphs."""


def _launch(base: MeasuredStep, row: Mapping[str, Any], model: Model, precision: str, batch: float, degrees: Mapping[str, float]) -> Launch:
    """Launch settings of a Megatron-Bridge benchmark from the recipes of the release; ``PLAIN`` for any other run."""
    release = re.search(r"Megatron-Bridge (2\d\.\d\d(?:\.\d+)?)", base.name)
    found = launch_of(model, str(row["gpu"]).split("-")[0], precision, batch, release[1], degrees) if release else None
    return found or PLAIN


# layout ------------------------------------------------------------------------------------------------------------------


def _degrees(parallel: Mapping[str, Any], framework: str, gpus: float) -> tuple[int, int, int, int]:
    """The degrees tp, pp, cp and ep.

    An unreported tp or pp is taken as 1 if the product of the reported degrees is the number of accelerators, or if the framework shards
    fully. Unreported cp and ep are taken as 1.
    """
    reported = [int(value) for name in ("tp", "pp", "cp", "dp") if (value := parallel.get(name)) is not None]
    whole = 1
    for degree in reported:
        whole *= degree
    for name in ("tp", "pp"):
        if parallel.get(name) is None and framework != "fsdp" and whole != gpus:
            raise missing(f"parallelism.{name}", None, "is not published")
    tp, pp, cp, ep = (int(parallel.get(name) or 1) for name in ("tp", "pp", "cp", "ep"))
    return tp, pp, cp, ep


def _tokens(row: Mapping[str, Any], parallel: Mapping[str, Any], dp: float, pp: int) -> float:
    """Tokens of a step. If unreported, those of one micro-batch, since without a pipeline the rate hardly depends on the tokens of a
    step.
    """
    if row.get("global_batch_tokens") is not None:
        return float(row["global_batch_tokens"])
    if pp > 1:
        raise missing("global_batch_tokens", None, "is not published, and a pipeline's bubble depends on it")
    return dp * _needed(parallel, "microbatch") * float(row["seq_len"])


def _recompute(parallel: Mapping[str, Any], framework: str) -> frozenset[str]:
    """Parts that the row's run recomputes."""
    setting = str(parallel.get("recompute") or "none")
    if setting == "selective" and framework == "megatron":
        setting = "attention core"  # what Megatron-LM's option "selective" recomputes
    return frozenset(part for words, parts in RECOMPUTE if re.search(words, setting) for part in parts)


def _candidates(
    parallel: Mapping[str, Any], settings: Mapping[str, Any], pp: int, model: Model, each: float
) -> list[tuple[str, int, float]]:
    """Possible schedules, virtual stages and micro-batches of a row with ``each`` sequences per pipeline; one combination if the row
    reports them.
    """
    named = None if pp == 1 else _named_schedule(parallel.get("vpp"))
    chunks = _virtual_stages(parallel.get("vpp"), named, pp, model, settings)
    found = [((named or default_schedule(v)).name, v, m) for v in chunks for m in _micro_batches(parallel.get("microbatch"), each)]
    if len(found) == 1:
        return found
    return [one for one in found if _is_possible(one[0], pp, one[1], each / one[2])] or found[:1]


def _named_schedule(value: Any) -> Schedule | None:
    """The schedule named in the column of virtual stages, without a trailing remark; None if the column holds a number or nothing."""
    if value in {None, "n/a", "None"} or re.fullmatch(r"\d+", str(value)):
        return None
    try:
        return find_schedule(re.split(r"[(,]", str(value))[0])
    except SpecError:
        raise missing("parallelism.vpp", value, "names neither one number nor a schedule") from None


def _virtual_stages(value: Any, named: Schedule | None, pp: int, model: Model, settings: Mapping[str, Any]) -> tuple[int, ...]:
    """Possible numbers of virtual stages per rank: the reported one, else all divisors of the layers per rank.

    1 is left out where the row says that stages are interleaved. If a stack's rows always name interleaving, an unreported number is 1.
    """
    if pp == 1 or value in {"n/a", "None"} or (value is None and settings.get("interleaving") == "named"):
        return (1,)
    if named is not None and named.stages_per_rank is not None:
        return (1,)
    if value is not None and re.fullmatch(r"\d+", str(value)):
        return (int(value),)
    most = math.ceil(model.layers / pp)
    numbers = tuple(v for v in range(1, most + 1) if most % v == 0)
    if named is not None and most == 1:
        raise missing("parallelism.vpp", value, f"needs several stages per rank, but {model.layers} layers on {pp} ranks give one")
    return numbers if named is None else numbers[1:]


def _micro_batches(value: Any, each: float) -> tuple[float, ...]:
    """Possible micro-batches [sequence]: the reported one, or the usual ones that divide a pipeline's share of the batch."""
    if value is not None:
        return (float(value),)
    return tuple(float(m) for m in USUAL_MICRO_BATCHES if abs(each / m - round(each / m)) < ROUNDED * each / m) or (1.0,)


def _is_possible(schedule: str, pp: int, vpp: int, micro_batches: float) -> bool:
    """Whether a schedule can run with these numbers of stages and micro-batches."""
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


def _sequence_split(name: str, settings: Mapping[str, Any], tp: int) -> float:
    """Ranks that share element-wise work: ``tp``, or 1 if rows of the stack name sequence parallelism and this row does not."""
    named = "sequence parallel +" in name
    return 1.0 if "no SP" in name or (settings.get("sequence_split") == "named" and not named) else float(tp)


# formats and seconds -----------------------------------------------------------------------------------------------------


def _format(row: Mapping[str, Any]) -> str:
    text = str(row.get("precision") or "").lower()
    return next((number_format for word, number_format in FORMATS if word in text), "bf16")


def _recipe(row: Mapping[str, Any], number_format: str, settings: Mapping[str, Any]) -> Precision:
    """Precision recipe of a row: the framework's own; else one scale per tensor, or per block for MX formats, with the buffers of the
    stack.
    """
    own = settings.get("recipes", {}).get(number_format)
    text = str(row.get("precision")).lower()
    wide = "fp16" if "fp16" in text and "bf16" not in text else "bf16"
    recipe = recipe_of(own or {"fp8": "mxfp8" if "mx" in text else "fp8", "fp4": "nvfp4", "bf16": wide}[number_format])
    return recipe.replace(settings["buffers"]) if settings.get("buffers") else recipe


def _reported_as(row: Mapping[str, Any]) -> ReportedFigure:
    """The figure that gives the step time of a row; a utilisation is accepted only if its definition is PaLM's."""
    if row.get("iteration_time_s_reported"):
        return "time"
    if row.get("tokens_per_s_per_gpu_reported"):
        return "rate"
    if row.get("mfu_reported") and "PaLM definition" in str(row.get("mfu_definition")):
        return "utilisation"
    raise missing("tokens_per_s_per_gpu_reported", None, "is not published, nor is a step time")


def _seconds(row: Mapping[str, Any], figure: ReportedFigure, model: Model, cluster: Cluster, tokens: float) -> float:
    """Time of a step [s], from the reported figure."""
    match figure:
        case "time":
            return float(row["iteration_time_s_reported"])
        case "rate":
            return tokens / (float(row["tokens_per_s_per_gpu_reported"]) * cluster.gpus)
        case "utilisation":
            flop = float(np.asarray(flops_per_token(model, float(row["seq_len"]), "full").total))
            peak = float(np.asarray(cluster.chip.peak_of("bf16")))
            return tokens * flop / (float(row["mfu_reported"]) * peak * cluster.gpus)


# source, framework, date, group --------------------------------------------------------------------------------------------------------


def _exclusion_reason(row: Mapping[str, Any]) -> str:
    """Reason to exclude a row, by its name or note: dropped tokens, or a cell with two values."""
    text = f"{row.get('name')} {row.get('notes')} {(row.get('parallelism') or {}).get('vpp')} {(row.get('parallelism') or {}).get('zero')}"
    if re.search(r"token.?drop", str(row.get("name")), re.IGNORECASE):
        return "drops tokens"
    if re.search(r"FP8-\w+ \(FP8|FSDP \d+ \(0\)|^\d+ \(\d+\)", str(row.get("precision")) + " " + text.split(" ", 1)[-1]):
        return "a cell holds two values"
    if "rowwise" in str(row.get("precision")):
        return "row-wise scaled FP8, a product that is not modelled"
    return ""


def _source(row: Mapping[str, Any]) -> str:
    """Source of a row: its column ``source``, else the first words of its name; releases of one framework are one source."""
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
    """Framework of a row by the row's name; else FSDP if the row shards fully without a pipeline; else Megatron."""
    name, zero = str(row.get("name")), str(parallel.get("zero"))
    named = next((framework for words, framework in FRAMEWORKS if re.search(words, name)), None)
    return named or ("fsdp" if re.search(FULLY_SHARDED, zero, re.IGNORECASE) and int(parallel.get("pp") or 1) == 1 else "megatron")


def _month(row: Mapping[str, Any]) -> str:
    """Year and month of publication. A release number stands for its month; an unreported month for the far future."""
    text = str(row.get("date") or "")
    if release := re.match(r"(2\d)\.(\d\d)", text):
        return f"20{release[1]}-{release[2]}"
    return text[:7] if re.match(r"\d{4}-\d\d$", text[:7]) else f"{text[:4]}-01" if re.match(r"\d{4}", text) else "9999-12"


def _group(source: str, row: Mapping[str, Any], chip: Chip, number_format: str, *, routed: bool) -> str:
    """Group in which a row is scored: kind of model and generation of chips. Some sources form their own group."""
    if source == "MosaicML MPT bench":
        return f"FSDP {'A100' if str(row['gpu']).startswith('A100') else 'H100'}"
    if re.match("Megatron seq|Megatron-LM 2021|MT-NLG", source):
        return "A100 Megatron papers"
    if source == "torchtitan":
        return "torchtitan"
    generation = str(chip.architecture).capitalize()
    return f"{'MoE' if routed else 'dense ' + ('BF16' if number_format == 'bf16' else 'FP8/FP4')} {generation}"
