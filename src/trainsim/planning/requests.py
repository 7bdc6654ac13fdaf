"""Build runs, beliefs and claims from what people type: options of a command, or fields of a page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from .. import catalog
from ..catalog.model_lookup import model_from, name_of
from ..catalog.rents import warn_if_too_cheap
from ..core import reading
from ..core.citations import ASSUMED, NOT_GIVEN
from ..core.errors import BeliefError, SpecError, same_name
from ..core.quantities import parse_interval, parse_number
from ..core.units import human
from ..model.transformer import Model
from ..run.run import Run, load
from ..training.efficiency import StepTime
from .changed_run import changed, efficiency_changes, utilisation
from .quick_run import cluster_from, quick, with_batch
from .typed_layout import layout_from

if TYPE_CHECKING:
    from ..uncertainty.beliefs.beliefs import Beliefs
    from .ways_to_fit import Way


@dataclass(frozen=True)
class RunRequest:
    """Typed inputs that define a run.

    Args:
        target: a run's file or ``-``, an id of a run, or a model: a Model, its config (path or dict), id or size.
        chip, gpus, tokens, seq_len, batch, price, mfu, goodput: as for :func:`~trainsim.planning.quick_run.quick`; empty if not given.
        step_time: measured time of an optimizer step, in place of ``mfu``; empty if not given.
        plan: the layout, ``"tp=8 pp=2 zero=1"``; empty for the run's own.
        finetune: ``full``, ``lora:16`` or ``qlora:16``; empty for pre-training, or as the run has it.
        changes: ``path=value``, each.
        beliefs: ``path=interval``, each.
        as_of: use rows public by this day.
        usual_tokens: tokens assumed for a run built from a model without tokens, for a question that does not depend on them.
    """

    target: Model | Mapping[str, Any] | str
    chip: str = ""
    gpus: str = ""
    tokens: str = ""
    seq_len: str = ""
    batch: str = ""
    price: str = ""
    mfu: str = ""
    goodput: str = ""
    step_time: str = ""
    plan: str = ""
    finetune: str = ""
    changes: Sequence[str] = ()
    beliefs: Sequence[str] = ()
    as_of: str = ""
    usual_tokens: str = ""


FLAGS = {"price": "price.usd_per_gpu_hour", "goodput": "reliability.goodput"}
"""Option → path that the option sets in a complete run."""


def run_of(asked: RunRequest) -> Run:
    """The run that the options define: read from a file, found by id, or built from model, chip, accelerators and tokens.

    Inputs that the options invalidate are filled in anew and marked as assumed (:func:`~trainsim.planning.changed_run.changed`).

    Raises:
        TrainsimError: nothing of that name, or a flag that is missing or can't be read.
    """
    asked, held = _without_intervals(_from_standard_input(asked))
    run = _whole(asked)
    read = _as_read(asked.seq_len)
    if run is None:
        run = _built(asked)
        run = reduce(Run.replace, _typed_changes(run, asked), run)
    else:
        run = changed(run, [_changes(run, asked), *_typed_changes(run, asked)])
        if asked.price:
            warn_if_too_cheap(run)
    run, filled = catalog.complete(run, asked.as_of or None)
    length = {f"phases.{run.phases[0].name}.seq_len": read} if read else {}
    run = run.replace({path: _median(run, path, text) for path, text in held.items()})
    if asked.batch:
        _check_batch(run, asked.batch)
    return run.with_sources({one.path: f"{ASSUMED}{one.source}" for one in filled} | length)


INTERVALS = {"price": ("price.usd_per_gpu_hour", "USD/GPU-h"), "mfu": ("efficiency.mfu", ""), "goodput": ("reliability.goodput", "")}
"""Option that may be an interval → path of its number, and unit."""


def _without_intervals(asked: RunRequest) -> tuple[RunRequest, dict[str, str]]:
    """The request with a number for each option that is an interval; and path → interval.

    >>> _without_intervals(RunRequest("7B", price="1.4..3.4", mfu="40%"))[1]
    {'price.usd_per_gpu_hour': '1.4..3.4'}
    """
    numbers: dict[str, Any] = {}
    held: dict[str, str] = {}
    for option, (path, unit) in INTERVALS.items():
        text = getattr(asked, option)
        if text and (ends := parse_interval(text, unit, f"--{option}")) is not None:
            # a stand-in number; the interval's median replaces it once the run is built
            numbers[option], held[path] = str(ends[1] if len(ends) > 2 else sum(ends) / 2), text
    return replace(asked, **numbers), held


def _median(run: Run, path: str, interval: str) -> float:
    """Median of an interval at a path of a run."""
    from ..uncertainty.distributions.interval import Typed

    return float(Typed(text=interval).for_field(run.unit_of(path), path).ppf(0.5))


def _check_batch(run: Run, given: str) -> None:
    """Refuse a batch of more tokens than the phase has, which are tokens given as sequences.

    Raises:
        SpecError: one step takes more tokens than the phase has.
    """
    phase = run.phases[0]
    if phase.batch is None or phase.seq_len is None or phase.tokens is None:
        return
    step, tokens = float(np.max(phase.batch * phase.seq_len)), float(np.max(phase.tokens))
    if step > tokens:
        rule = f"makes {human(step)} tokens a step, more than the {human(tokens)} tokens of {phase.name}"
        raise SpecError("--batch", given, rule, "give sequences per step: --batch 1024", "out-of-bounds")


def _as_read(length: str) -> str:
    """Where the number of a typed sequence length comes from, if its suffix might mean another; else empty.

    >>> _as_read("128K"), _as_read("4096")
    ('assumed: K of a sequence length is 1,024', '')
    """
    suffix = re.search(r"\d\s*([kKmM])\b", length)
    return f"{ASSUMED}{suffix[1].upper()} of a sequence length is 1,024{'' if suffix[1] in 'kK' else '²'}" if suffix else ""


def step_of(asked: RunRequest) -> Run:
    """The run of the options for a question about one step: without rent and goodput, with the usual batch where none is given.

    Raises:
        TrainsimError: as for :func:`run_of`.
    """
    return with_batch(run_of(asked)).replace({"price": None, "reliability": None})


def _typed_changes(run: Run, asked: RunRequest) -> list[Mapping[str, Any]]:
    """The changes of ``--plan`` and ``--set``; fields of a layout that a run lacks are set in the default layout."""
    pairs = [_pair(text, "--set") for text in asked.changes]
    inside = [(path, value) for path, value in pairs if path.startswith("plan.")]
    if not asked.plan and (run.plan is not None or not inside):
        return [{path: _literal(value)} for path, value in pairs]
    text = " ".join([asked.plan, *(f"{path.removeprefix('plan.')}={value}" for path, value in inside)])
    layout = layout_from(text, machines(asked)[1] if asked.gpus else run.cluster.gpus, "--plan" if asked.plan else "--set plan")
    own = {f"phases.{phase.name}.plan": None for phase in run.phases if phase.plan is not None}
    return [{"plan": layout} | own, *({path: _literal(value)} for path, value in pairs if (path, value) not in inside)]


def _changes(run: Run, asked: RunRequest) -> dict[str, Any]:
    """The changes that options make to a complete run."""
    changes: dict[str, Any] = {path: getattr(asked, flag) for flag, path in FLAGS.items() if getattr(asked, flag)}
    first = run.phases[0].name
    changes |= {f"phases.{first}.{n}": v for n in ("tokens", "seq_len", "batch") if (v := getattr(asked, n))}
    changes |= {f"phases.{first}.trains": asked.finetune} if asked.finetune else {}
    if asked.chip or asked.gpus:
        chip, gpus = machines(asked) if asked.gpus else (asked.chip, run.cluster.gpus)
        changes |= {"cluster": cluster_from(chip, gpus)[0]} if chip else {"cluster.gpus": gpus}
    if asked.mfu and asked.step_time:
        raise SpecError("--step-time", asked.step_time, "can't be combined with --mfu", "give one of the two", "conflict")
    if asked.step_time:
        changes |= efficiency_changes(run, StepTime(seconds=asked.step_time))  # type: ignore[arg-type]  # the field reads text
    return changes | (utilisation(run, asked.mfu) if asked.mfu else {})


def _whole(asked: RunRequest) -> Run | None:
    """A complete run from a file or id; None if the target is a model."""
    target = asked.target
    if _is_run(target):
        return run_from(target)
    if not isinstance(target, str):
        return None
    if target.endswith((".toml",)) or (target.endswith(".json") and Path(target).is_file() and _is_run(reading.load(target))):
        return load(target)
    target = same_name(target, catalog.rows("runs")) or target
    row = catalog.rows("runs").get(target)
    if row is None or not row.get("cluster"):
        return None
    if not asked.gpus and not row.get("gpus"):
        needed(target, {"--gpus": 0}, "--gpus 512: the published run does not name them")
    return catalog.run(target, gpus=machines(asked)[1] if asked.gpus else None)


def run_from(data: Mapping[str, Any]) -> Run:
    """The run with these fields, as its file holds them.

    Raises:
        TrainsimError: a field is wrong or missing.
    """
    fields = {name: value for name, value in data.items() if name not in ("spec", "sources")}
    return Run(**fields).with_sources(data.get("sources", {}))


def _from_standard_input(asked: RunRequest) -> RunRequest:
    return replace(asked, target=reading.standard_input()) if asked.target == reading.STANDARD_INPUT else asked


def _is_run(data: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether the fields are those of a run, not of a model's config."""
    return isinstance(data, Mapping) and "model_type" not in data and bool({"model", "cluster"} & set(data))


def machines(asked: RunRequest) -> tuple[str, int]:
    """Chip and accelerators from ``--chip h100 --gpus 512`` or ``--gpus 512xH100``.

    Raises:
        SpecError: no number, or two chips.

    >>> machines(RunRequest("7B", gpus="2048xH800"))
    ('H800', 2048)
    """
    found = re.fullmatch(r"\s*([\d_,.]+(?:[eE]\d+)?\s*[kK]?)\s*(?:[x×*]\s*(\w.*)|([A-Za-z].*))?", asked.gpus or "")
    if found is None:
        raise SpecError("--gpus", asked.gpus, "is not a number of accelerators", "write --gpus 512, or --gpus 512xH100", "missing")
    chip = asked.chip or (found[2] or found[3] or "").strip()
    count = parse_number(found[1].strip(), "GPU", "--gpus")
    if not count.is_integer():
        raise SpecError("--gpus", asked.gpus, "is not a whole number of accelerators", "write --gpus 512, or --gpus 512xH100", "wrong-type")
    return chip, int(count)


def option_of(way: Way, asked: RunRequest) -> str:
    """The command-line option of a change that makes a run fit; ``--gpus`` names the chip where the request did.

    Args:
        way: the change.
        asked: the request.
    """
    chip = machines(asked)[0] if asked.gpus and not asked.chip and way.option.startswith("--gpus") else ""
    return f"{way.option}x{chip}" if chip else way.option


def _built(asked: RunRequest) -> Run:
    model = model_from(asked.target)
    chip, gpus = machines(asked) if asked.gpus else (asked.chip, 0)
    tokens = asked.tokens or asked.usual_tokens
    timed = {"--batch": asked.batch} if asked.step_time else {}
    needed(
        asked.target,
        {"--chip": chip, "--gpus": gpus, "--tokens": tokens} | timed,
        "--chip h100 --gpus 512 --tokens 10T" + " --batch 1024" * bool(timed),
    )
    run = quick(
        model, chip=chip, gpus=gpus, tokens=tokens, seq_len=asked.seq_len or None, batch=_real(asked.batch, "sequence"),
        price=asked.price or None, mfu=asked.mfu or None, goodput=asked.goodput or None, finetune=asked.finetune or None,
        name=name_of(model, asked.target),
    )  # fmt: skip
    if asked.step_time:
        run = run.replace(_changes(run, RunRequest(asked.target, mfu=asked.mfu, step_time=asked.step_time)))
    path = f"phases.{run.phases[0].name}.tokens"
    return run if asked.tokens else run.with_sources({path: f"{ASSUMED}this question does not depend on it"})


NEEDED = {
    "--chip": "a chip",
    "--gpus": "the number of accelerators",
    "--tokens": "the training tokens",
    "--batch": "the sequences of a step",
    "--steps": "the number of optimizer steps",
    "--end": "the mean length of a response at the end",
}
"""Option → the input that the option gives, in words."""


def needed(target: object, given: Mapping[str, object], example: str) -> None:
    """Raise one error for all missing options.

    Args:
        target: the model that a run is built from.
        given: option of :data:`NEEDED` → value.
        example: the options with values.

    Raises:
        SpecError: an option has no value.
    """
    if missing := [f"{NEEDED[flag]} ({flag})" for flag, value in given.items() if not value]:
        raise SpecError("model", target, f"needs {' and '.join(missing)} to make a run", f"for example {example}", "missing")


def _real(text: str, unit: str) -> float | None:
    return parse_number(text, unit, "--batch") if text else None


def _pair(text: str, flag: str) -> tuple[str, str]:
    path, sign, value = text.partition("=")
    if not sign or not path.strip() or not value.strip():
        raise SpecError(flag, text, "is not path=value", f"write {flag} price.usd_per_gpu_hour=1.9", "syntax")
    return path.strip(), value.strip()


def _literal(text: str) -> Any:
    """A value of ``--set``: a whole number, a truth value, or text that the field parses."""
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    return {"true": True, "false": False, "none": None}.get(text.casefold(), text)


def beliefs_of(run: Run, asked: RunRequest) -> Beliefs:
    """The catalogue's beliefs about assumed inputs of a run, overridden by those of ``--believe``.

    A number that the user gave stays certain, unless ``--believe`` names it.
    """
    from ..uncertainty.beliefs.beliefs import Beliefs

    typed = Beliefs({_known_path(run, path): interval for path, interval in (_pair(text, "--believe") for text in asked.beliefs)})
    typed |= Beliefs(_without_intervals(asked)[1])
    given = {path for path, source in run.sources().items() if not source.startswith(NOT_GIVEN)}
    held = catalog.beliefs(run, asked.as_of or None)
    return held.without(*(path for path in held.paths if path in given and not path.startswith("efficiency.stack"))) | typed


def _known_path(run: Run, path: str) -> str:
    """A path of a number of a run; a path that lacks its beginning or more gets the nearest ones in the error.

    Raises:
        BeliefError: the run has no number at the path, but some whose paths end alike.
    """
    known = run.numbers()
    near = [one for one in known if one.endswith(f".{path}")] if path not in known else []
    if near:
        raise BeliefError("--believe", path, "is only the end of a path", f"did you mean {' or '.join(near[:4])}?", "unknown-path")
    return path


UNITS = {"cost": "USD", "gpu_hours": "GPU-h", "busy_gpu_hours": "GPU-h", "wall_days": "day", "mfu": "", "tokens": "token", "flops": "FLOP"}
"""Quantity of an estimate → unit in which a typed limit of it is read."""


@dataclass(frozen=True)
class ReinforcementRequest:
    """The flags of a run of reinforcement learning.

    Args:
        run: model, chip, accelerators, price, goodput and beliefs.
        steps, start, end, maximum, prompt, prompts, samples, engine_gpus: as for
            :func:`~trainsim.planning.quick_reinforcement.quick_reinforcement`; empty if not given.
    """

    run: RunRequest
    steps: str
    end: str
    start: str = ""
    maximum: str = ""
    prompt: str = ""
    prompts: str = ""
    samples: str = ""
    engine_gpus: int = 0


def reinforcement_of(asked: ReinforcementRequest) -> Run:
    """A run of reinforcement learning from flags.

    Raises:
        TrainsimError: a flag that is missing or can't be read, or no such model or chip.
    """
    from .quick_reinforcement import quick_reinforcement

    request, held = _without_intervals(_from_standard_input(asked.run))
    asked = replace(asked, run=request)
    chip, gpus = machines(asked.run) if asked.run.gpus else (asked.run.chip, 0)
    given = {"--chip": chip, "--gpus": gpus, "--steps": asked.steps, "--end": asked.end}
    needed(asked.run.target, given, "--chip h100 --gpus 64 --steps 200 --end 2000")
    model = model_from(asked.run.target)
    run = quick_reinforcement(
        model, chip=chip, gpus=gpus, steps=asked.steps, end=asked.end, start=asked.start or None, maximum=asked.maximum or None,
        prompt=asked.prompt or None, prompts=asked.prompts or None, samples=asked.samples or None, engine_gpus=asked.engine_gpus or None,
        price=asked.run.price or None, goodput=asked.run.goodput or None, name=name_of(model, asked.run.target),
    )  # fmt: skip
    for text in asked.run.changes:
        path, value = _pair(text, "--set")
        run = run.replace({path: _literal(value)})
    return run.replace({path: _median(run, path, text) for path, text in held.items()})
