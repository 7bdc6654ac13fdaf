"""Compute the answer of each command, as text, JSON or CSV."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import catalog
from ..core import reading
from ..core.answer import unfolded
from ..core.errors import SpecError, did_you_mean
from ..core.quantities import BINARY_THOUSAND, parse_number
from ..core.units import human
from .printing import answered, printed
from .terminal import working

if TYPE_CHECKING:
    from ..planning.requests import ReinforcementRequest, RunRequest
    from ..run.run import Run
    from ..uncertainty.beliefs.beliefs import Beliefs
    from ..uncertainty.sampling.simulation import Simulation

LEVELS = (0.05, 0.5, 0.95)
SHOWN = ("cost", "gpu_hours", "wall_days")
INTERVAL = "In brackets: 90 % intervals over assumed and believed inputs."


def count(target: str, seq_len: str, finetune: str, form: str) -> str:
    """Parameters and FLOPs of a model, by every convention, each with when to use it."""
    from ..catalog.model_lookup import model_from, name_of
    from ..model.conventions import CONVENTIONS
    from ..model.counting import count_active_params, count_params, flops_per_token
    from ..training.fine_tuning import trains_from

    whole = model_from(reading.standard_input() if target == reading.STANDARD_INPUT else target)
    trains = trains_from(finetune) if finetune else None
    model = whole if trains is None else trains.of(whole)
    length = parse_number(seq_len, "token", "--seq-len", BINARY_THOUSAND)
    total = count_params(model)
    sizes = {
        "total": float(total.total),
        "active": float(count_active_params(model).total),
        "mtp_modules": float(count_params(model, mtp="unique").total) - float(total.total),
        "towers": float(count_params(model, towers="all").total) - float(total.total),
        "head": float(total.part("head").total) if "head" in total else 0.0,
    } | ({} if trains is None else {"trained": float(total.total) - float(count_params(whole).total)})
    flops = {name: float(flops_per_token(model, length, name).total) for name in CONVENTIONS}
    wide = max(map(len, CONVENTIONS))
    lines = [
        f"{name_of(model, target)}: parameters",
        *(f" {name.replace('_', ' '):<{wide}} {value:>17,.0f}" for name, value in sizes.items()),
        f"training FLOPs per token at {length:,.0f} tokens, and when to use which",
        *(f" {name:<{wide}} {human(value, 6):>9}  {CONVENTIONS[name].use}" for name, value in flops.items()),
        *(f"- {note}" for note in model.notes),
    ]
    return printed("\n".join(lines), lambda: {"parameters": sizes, "flops_per_token": flops, "notes": list(model.notes)}, form)


def estimated(asked: RunRequest, form: str) -> tuple[str, Run]:
    """Hours and cost of a run, with intervals where inputs are assumed or uncertain."""
    from ..planning.requests import beliefs_of, run_of

    run = run_of(asked)
    return _estimate_text(run, beliefs_of(run, asked), form), run


def reinforced(asked: ReinforcementRequest, form: str) -> tuple[str, Run]:
    """Hours and cost of a reinforcement-learning run, and its time by part."""
    from ..planning.requests import beliefs_of, reinforcement_of

    run = reinforcement_of(asked)
    return _estimate_text(run, beliefs_of(run, asked.run), form, _by_part(run)), run


def _by_part(run: Run) -> list[str]:
    """Time of a reinforcement-learning run by part."""
    from ..training.reinforcement import estimate_reinforcement
    from ..training.rollouts import Rollouts

    efficiency = run.phases[0].efficiency
    assert isinstance(efficiency, Rollouts)
    seconds = estimate_reinforcement(run.model, run.cluster, efficiency.recipe).seconds
    return ["seconds of useful steps, by part", *(f"  {line}" for line in unfolded(seconds).splitlines())]


def _estimate_text(run: Run, held: Beliefs, form: str, parts: list[str] | None = None) -> str:
    """Text of an estimate: figures with intervals, notes, and assumptions."""
    from ..core.answer import text_of
    from ..run.assumed import assumed_lines, assumed_of
    from ..run.estimate import estimate

    found = estimate(run)
    intervals: dict[str, dict[str, float]] = {}
    if held:
        with working("drawing points") as progress:
            intervals = _quantiles(_draws(run, held, progress), SHOWN)
    summary = found.summary()
    uncertain = {name: (levels["P5"], levels["P95"]) for name, levels in intervals.items() if not math.isclose(levels["P5"], levels["P95"])}
    ends: dict[str, Any] = {name: {"low": low, "high": high} for name, (low, high) in uncertain.items()}
    rows = tuple(replace(row, **ends.get(row.name, {})) for row in summary.rows)
    notes = ((INTERVAL,) if intervals else ("A point estimate, since every number was given.",)) + summary.notes[1:]
    lines = [text_of(replace(summary, rows=rows, notes=notes)), *(parts or []), *assumed_lines(run)]
    point = {row.name: row.value for row in summary.rows if not row.group}
    return printed(
        "\n".join(lines), lambda: {**point, "interval": intervals, "assumed": assumed_of(run), "notes": list(summary.notes[1:])}, form
    )


def _draws(run: Run, held: Beliefs, progress: Any) -> Simulation:
    """The draws of a run's main figures; imports the engine alone, not all analyses."""
    from ..run.estimate import estimate
    from ..uncertainty.sampling.engine import simulate

    return simulate(run, held, lambda drawn: estimate(drawn).quantities(SHOWN), rtol=1e-2, outputs=SHOWN, progress=progress)


def _quantiles(sim: Simulation, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    return {name: {f"P{100 * p:g}": float(q) for p, q in zip(LEVELS, sim.quantile(name, list(LEVELS)), strict=True)} for name in names}


def _quantile_lines(quantiles: Mapping[str, Mapping[str, float]]) -> list[str]:
    sign = {"cost": "$"}
    return [
        f"  {name:<12}" + "".join(f"{level:>6}{sign.get(name, '') + human(value):>10}" for level, value in found.items())
        for name, found in quantiles.items()
    ]


def simulated(asked: RunRequest, form: str, rtol: float, asserted: str) -> tuple[str, str, str]:
    """Quantiles of cost, hours and days under beliefs; their form; and the assertion if it fails, else empty."""
    from ..inference import simulate
    from ..planning.requests import beliefs_of, run_of
    from ..run.assumed import assumed_lines
    from ..run.estimate import estimate

    run = run_of(asked)
    names = (*SHOWN, "mfu") if math.isfinite(float(estimate(run).mfu)) else SHOWN  # unknown if no phase has tokens
    held = beliefs_of(run, asked)
    if not held:
        remedy = "give --believe price.usd_per_gpu_hour=1.4..3.4, or leave something for the catalogue to assume"
        raise SpecError("--believe", "", "is missing, and every number of this run is given, so nothing is uncertain", remedy, "missing")
    with working("drawing points") as progress:
        sim = simulate(run, held, rtol=rtol, outputs=names, progress=progress)
    quantiles = _quantiles(sim, names)
    lines = [f"{run.name or run.model.name}: 5 %, 50 % and 95 % quantiles", *_quantile_lines(quantiles), "believed", unfolded(held)]
    text = "\n".join([*lines, *assumed_lines(run, held.paths), sim.footnote])
    line, holds = _asserted(sim, asserted) if asserted else ("", True)
    text += f"\nassertion holds: {line}" if line and holds else ""
    return printed(text, lambda: quantiles, form), form, "" if holds else f"assertion fails: {line}"


_ASSERTION = re.compile(r"\s*([\w.]+)\s*([<>])\s*([^@]+?)\s*(?:@\s*([\d.]+%?)\s*)?")


def _asserted(sim: Simulation, text: str) -> tuple[str, bool]:
    """The probability of a condition such as ``cost<1.2e6@0.8`` in words, and whether it is as probable as required."""
    from ..planning.requests import UNITS

    found = _ASSERTION.fullmatch(text)
    if found is None or found[1].split(".")[0] not in UNITS:
        raise SpecError("--assert", text, "is not a condition", "write --assert 'cost<1.2e6@0.8'", "syntax")
    limit = parse_number(found[3], UNITS[found[1].split(".")[0]], "--assert")
    needed = parse_number(found[4] or "0.5", "", "--assert")
    if not 0 < needed <= 1:
        raise SpecError("--assert", text, "needs a probability above 0 and up to 1", "write --assert 'cost<1.2e6@0.8'", "out-of-bounds")
    probability = float(sim.probability(found[1], **{"below" if found[2] == "<" else "above": limit}))
    return f"{found[1]} {found[2]} {human(limit)}: probability {probability:.1%}, required {needed:.0%}", probability >= needed


_LIMIT = re.compile(r"\s*([\w.]+)\s*<=?\s*(.+)")


def solved(asked: RunRequest, path: str, limits: list[str], probability: str, form: str) -> str:
    """The largest or smallest value of one number of a run that meets all limits."""
    from ..planning.requests import UNITS, beliefs_of, run_of
    from ..planning.solve import solve_for

    run = run_of(asked)
    bounds: dict[str, float] = {}
    for text in limits:
        parts = _LIMIT.fullmatch(text)
        if parts is None or parts[1] not in UNITS:
            meant = did_you_mean(parts[1] if parts else text, UNITS, "quantities")
            raise SpecError("--limit", text, "is not a limit", f"write --limit 'cost<1.2M' --limit 'wall_days<40'; {meant}", "syntax")
        bounds[parts[1]] = parse_number(parts[2], UNITS[parts[1]], "--limit")
    needed = parse_number(probability, "", "--probability")
    with working(f"solving for {path}"):
        held = beliefs_of(run, asked)  # a belief about the number solved for is dropped below
        found = solve_for(run, path, bounds, held.without(*({path} & set(held.paths))) or None, probability=needed)
    return answered(found, form)


def compared(a: RunRequest, b: RunRequest, form: str) -> str:
    """Compare the cost of two runs factor by factor."""
    from ..planning.requests import run_of
    from ..run.compare import compare

    return answered(compare(run_of(a), run_of(b)), form)


def explained(asked: RunRequest, line: str, form: str) -> str:
    """Where a line of an estimate comes from."""
    from ..planning.requests import run_of
    from ..run.estimate import estimate
    from ..run.explain import explain

    return answered(explain(estimate(run_of(asked)), line), form)


def backtested(path: str, form: str) -> str:
    """Compare measured steps with predictions."""
    from ..validation.run_hindcast import backtest

    with working("modelling steps") as progress:
        found = backtest(path, progress)
    return answered(found, form)


def calibrated(path: str, asked: RunRequest | None, form: str) -> str:
    """Update a run's stack with its measured steps."""
    from ..calibration.update import calibrate
    from ..planning.default_layout import with_layout
    from ..planning.requests import run_of

    run = None
    if asked is not None:
        with working("searching layouts") as progress:
            run = with_layout(run_of(asked), progress=progress)
    with working("updating the stack"):
        found = calibrate(path, run)
    return answered(found, form)


def hindcast(form: str) -> str:
    """Predictions of every published run from data public the day before its disclosure."""
    from ..validation.rl_hindcast import reinforcement_backtest
    from ..validation.run_hindcast import hindcasts

    with working("predicting training runs") as progress:
        found = hindcasts(progress=progress)
    with working("predicting reinforcement learning") as progress:
        reinforcement = reinforcement_backtest(progress)
    return answered(
        found, form, {"reinforcement": reinforcement.to_dict()}, f"{unfolded(found)}\n\nreinforcement learning\n{unfolded(reinforcement)}"
    )


CATALOGUES = ("models", "runs", "clusters", "chips", "stacks", "claims")


def listed(kind: str, word: str) -> str:
    """Ids of the catalogue that contain a word."""
    if kind not in CATALOGUES:
        raise SpecError("kind", kind, "is not a part of the catalogue", did_you_mean(kind, CATALOGUES, "parts"), "unknown-name")
    found = [name for name in catalog.rows(kind) if word.casefold() in name.casefold()]
    if not found:
        raise SpecError("word", word, f"matches no id of {kind}", did_you_mean(word, catalog.rows(kind), kind), "unknown-name")
    return "\n".join(found)


def checked(path: str) -> str:
    """Check the file of a run, and list its assumed inputs and those that an estimate would assume."""
    from ..run.assumed import assumed_lines

    run = _loaded(path)
    filled = catalog.complete(run)[1]
    head = f"{path}: a run of {run.name or run.model.name} on {run.cluster.gpus:,} {run.cluster.chip.name}"
    missing = [f"an estimate assumes {one}" for one in filled] or ["an estimate finds all it needs"]
    return "\n".join([head, *missing, *assumed_lines(run)])


def _loaded(path: str) -> Run:
    """The run of a file; a model's config is refused by name.

    Raises:
        SpecError: the file is a model's config.
        TrainsimError: it can't be read as a run.
    """
    from ..planning.requests import run_from
    from ..run.run import load

    piped = path == reading.STANDARD_INPUT
    data = reading.standard_input() if piped else reading.load(path) if Path(path).is_file() else {}
    if isinstance(data, dict) and "model_type" in data and "cluster" not in data:
        remedy = f"trainsim count {path}, or trainsim estimate {path} --chip h100 --gpus 512 --tokens 10T"
        raise SpecError("file", path, "is the config of a model, not a run", remedy, "wrong-type")
    return run_from(data) if piped else load(path)


def schema_of(kind: str) -> str:
    """The JSON Schema of a run, beliefs or a claim."""
    from ..claims.claim import Claim
    from ..core.json_schema import file_schema
    from ..run.run import Run
    from ..uncertainty.beliefs.files import schema

    made = {"run": lambda: file_schema(Run), "claim": lambda: file_schema(Claim), "beliefs": schema}
    if kind not in made:
        raise SpecError("kind", kind, "has no schema", did_you_mean(kind, made, "kinds"), "unknown-name")
    return json.dumps(made[kind](), indent=2)
