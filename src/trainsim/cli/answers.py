"""Each command's answer as text or data."""

from __future__ import annotations

import csv
import io
import json
import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import catalog
from ..core.errors import SpecError, did_you_mean
from ..core.quantities import parse_number
from ..core.units import human
from .terminal import NOT_MET, complain, stop, working

if TYPE_CHECKING:
    from .requests import RunRequest

Data = Mapping[str, Any]
LEVELS = (0.05, 0.5, 0.95)
SHOWN = ("cost", "gpu_hours", "wall_days")


def printed(text: str, data: Callable[[], Data], form: str) -> str:
    """An answer in the form that was asked for: a screen, JSON, or CSV with a line a figure.

    Args:
        text: the screen.
        data: gives the figures, nested by name.
        form: ``"text"``, ``"json"`` or ``"csv"``.
    """
    if form == "json":
        return json.dumps(data(), indent=2, ensure_ascii=False, default=str)
    if form == "csv":
        rows = io.StringIO()
        writer = csv.writer(rows, lineterminator="\n")
        writer.writerow(("name", "value"))
        writer.writerows(_flat(data()))
        return rows.getvalue().rstrip("\n")
    return text


def _flat(data: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(data, Mapping):
        return [row for key, value in data.items() for row in _flat(value, f"{name}.{key}" if name else str(key))]
    if isinstance(data, (list, tuple)):
        return [row for i, value in enumerate(data) for row in _flat(value, f"{name}.{i}")]
    return [(name, data)]


def count(target: str, seq_len: str, form: str) -> str:
    """Parameters and FLOPs of a model, by every convention, each with when to use it."""
    from ..catalog.model_lookup import model_from
    from ..model.conventions import CONVENTIONS
    from ..model.counting import count_active_params, count_params, flops_per_token

    model = model_from(target)
    length = parse_number(seq_len, "token", "--seq-len")
    sizes = {
        "total": float(count_params(model).total),
        "active": float(count_active_params(model).total),
        "mtp_modules": float(count_params(model, mtp="unique").total) - float(count_params(model).total),
        "head": float(count_params(model).part("head").total) if "head" in count_params(model) else 0.0,
    }
    flops = {name: float(flops_per_token(model, length, name).total) for name in CONVENTIONS}
    lines = [
        f"{model.name}: parameters and training FLOPs per token at {length:,.0f} tokens",
        *(f"  {name.replace('_', ' '):<14}{value:>22,.0f}" for name, value in sizes.items()),
        *(f"  {name:<14}{human(value, 6):>22} FLOP  {CONVENTIONS[name].use}" for name, value in flops.items()),
        *(f"- {note}" for note in model.notes),
    ]
    return printed("\n".join(lines), lambda: {"parameters": sizes, "flops_per_token": flops, "notes": list(model.notes)}, form)


def estimated(asked: RunRequest, form: str, save: str) -> str:
    """What a run takes and costs, with an interval where something is assumed or believed."""
    from ..inference import simulate
    from ..run.estimate import estimate
    from .requests import assumed_lines, beliefs_of, run_of

    run = run_of(asked)
    found = estimate(run)
    lines = [str(found), *assumed_lines(run)]
    saved = _saved(run, save)
    held, intervals = beliefs_of(run, asked), {}
    if held:
        with working("drawing"):
            sim = simulate(run, held, rtol=1e-2, outputs=SHOWN)
        intervals = _quantiles(sim, SHOWN)
        lines += ["", "90 % interval over what is assumed", *_quantile_lines(intervals)]
    text = "\n".join(textwrap.fill(line, 80, subsequent_indent="         ") for block in [*lines, *saved] for line in block.split("\n"))
    return printed(text, lambda: _point(found) | {"interval": intervals, "assumed": assumed_lines(run)}, form)


def _point(found: Any) -> dict[str, Any]:
    from ..run.estimate import QUANTITIES

    values = {name: found.quantity(name) for name in QUANTITIES}
    return {name: float(value) for name, value in values.items()} | {"notes": list(found.notes)}


def _saved(run: Any, save: str) -> list[str]:
    if not save:
        return []
    run.save(save)
    return [f"saved {save}"]


def _quantiles(sim: Any, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    return {name: {f"P{100 * p:g}": float(q) for p, q in zip(LEVELS, sim.quantile(name, list(LEVELS)), strict=True)} for name in names}


def _quantile_lines(quantiles: Mapping[str, Mapping[str, float]]) -> list[str]:
    sign = {"cost": "$"}
    return [
        f"  {name:<12}" + "".join(f"{level:>6}{sign.get(name, '') + human(value):>10}" for level, value in found.items())
        for name, found in quantiles.items()
    ]


def simulated(asked: RunRequest, form: str, rtol: float, asserted: str) -> str:
    """Quantiles of cost, hours and days under beliefs."""
    from ..inference import simulate
    from .requests import assumed_lines, beliefs_of, run_of

    run = run_of(asked)
    names = ("cost", "gpu_hours", "wall_days", "mfu")
    held = beliefs_of(run, asked)
    if not held:
        remedy = "give --believe price.usd_per_gpu_hour=1.4..3.4, or leave something for the catalogue to assume"
        raise SpecError("--believe", "", "is needed: every number of this run is given", remedy, "missing")
    with working("drawing"):
        sim = simulate(run, held, rtol=rtol, outputs=names)
    quantiles = _quantiles(sim, names)
    text = "\n".join([run.name, *_quantile_lines(quantiles), *assumed_lines(run), sim.footnote])
    if asserted:
        text += "\n" + _asserted(sim, asserted)
    return printed(text, lambda: quantiles, form)


_ASSERTION = re.compile(r"\s*([\w.]+)\s*([<>])\s*([^@]+?)\s*(?:@\s*([\d.]+%?)\s*)?")


def _asserted(sim: Any, text: str) -> str:
    """Check ``cost<1.2e6@0.8``: at least so probable; ends with a status of its own where it is not."""
    from .requests import UNITS

    found = _ASSERTION.fullmatch(text)
    if found is None or found[1].split(".")[0] not in UNITS:
        raise SpecError("--assert", text, "is not a condition", "write --assert 'cost<1.2e6@0.8'", "syntax")
    limit = parse_number(found[3], UNITS[found[1].split(".")[0]], "--assert")
    needed = parse_number(found[4] or "0.5", "", "--assert")
    probability = float(sim.probability(found[1], **{"below" if found[2] == "<" else "above": limit}))
    line = f"{found[1]} {found[2]} {human(limit)}: probability {probability:.1%}, asked for {needed:.0%}"
    if probability < needed:
        complain(f"assertion fails: {line}")
        stop(NOT_MET)
    return f"assertion holds: {line}"


def audited(claim: str, asked: RunRequest | None, given: Mapping[str, str], form: str) -> tuple[str, Any]:
    """The verdict on a claim of the catalogue, or on one that is typed; the text and the verdict."""
    from ..auditing.audit import audit
    from .requests import claim_of, run_of

    made = catalog.claim(claim) if claim else claim_of(given["figure"], given["quantity"], given["told_as"], given["scope"],
                                                      given["source"], given["date"])  # fmt: skip
    with working("auditing"):
        verdict = audit(made, subject=None if asked is None else run_of(asked), as_of=given["as_of"] or None)
    text = str(verdict) if not given["brief"] else str(verdict.quote)
    return printed(text, lambda: _verdict_row(made.name or given["told_as"], verdict), form), verdict


def _verdict_row(name: str, verdict: Any) -> dict[str, Any]:
    return {"claim": name, "number": verdict.number, "words": verdict.words, "quote": verdict.quote}


def audited_table(path: str) -> str:
    """Verdicts on the claims of a CSV, one line a claim; a claim that can't be read says why in its line."""
    from ..auditing.audit import audit
    from ..core import reading
    from ..core.errors import TrainsimError
    from .requests import RunRequest, claim_of, run_of

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("line", "claim", "number", "words", "quote"))
    for line, row in reading.parse_table(reading.read_text(path, what="table of claims"), Path(path).name):
        label = row.get("told_as", row.get("claim", ""))
        try:
            wanted = {n: row.get(n, "") for n in ("chip", "gpus", "tokens", "seq_len", "batch", "price", "mfu", "goodput")}
            asked = RunRequest(row.get("model", row.get("run", "")), **wanted)
            made = claim_of(row.get("claim", ""), row.get("quantity", "cost"), row.get("told_as", ""), row.get("scope", ""),
                            row.get("source", ""), row.get("date", ""))  # fmt: skip
            verdict = audit(made, subject=run_of(asked))
            writer.writerow((line, label, verdict.number, verdict.words, verdict.quote))
        except TrainsimError as error:
            writer.writerow((line, label, "", "", f"error: {error}"))
    return out.getvalue().rstrip("\n")


def memory_of(asked: RunRequest, form: str) -> str:
    """Bytes of the fullest accelerator, and whether they fit."""
    from ..planning.laid_out import laid_out
    from ..run.memory import fits, memory
    from .requests import assumed_lines, run_of

    with working("laying out"):
        run = laid_out(run_of(asked))
    fit, ledger = fits(run), memory(run)
    text = "\n".join([str(fit), ledger.part(fit.rank).table(depth=1), *assumed_lines(run), f"layout  {_plan_words(run)}"])
    return printed(text, lambda: {"word": fit.word, "used": list(fit.used), "capacity": fit.capacity, "ranks": ledger.to_dict()}, form)


def _plan_words(run: Any) -> str:
    from ..planning.search import layout_words

    return layout_words(run.plan, run.cluster.gpus)


def searched(asked: RunRequest, form: str, by: Literal["time", "cost"], top: int) -> str:
    """The fastest or cheapest layouts that fit."""
    from ..planning.laid_out import with_stack
    from ..planning.search import search_plans
    from .requests import run_of

    run = run_of(asked)
    with working("searching layouts"):
        found = search_plans(with_stack(run), by=by, top=top)
    return printed(str(found), lambda: {"ranked": [str(one) for one in found.ranked], "fitting": found.fitting}, form)


def solved(asked: RunRequest, path: str, limits: list[str], probability: float, form: str) -> str:
    """The largest or smallest value of one number of a run that meets all limits."""
    from ..planning.solve import solve_for
    from .requests import UNITS, beliefs_of, run_of

    run = run_of(asked)
    bounds: dict[str, float] = {}
    for text in limits:
        name, sign, value = text.partition("<")
        name = name.strip()
        if not sign or name not in UNITS:
            raise SpecError("--limit", text, "is not a limit", "write --limit 'cost<1.2M' --limit 'wall_days<40'; " +
                            did_you_mean(name, UNITS, "quantities"), "syntax")  # fmt: skip
        bounds[name] = parse_number(value, UNITS[name], "--limit")
    with working("solving"):
        found = solve_for(run, path, bounds, beliefs_of(run, asked) or None, probability=probability)
    return printed(str(found), lambda: {"path": path, "value": found.value}, form)


def compared(a: RunRequest, b: RunRequest, form: str) -> str:
    """Why one run costs more than another."""
    from ..run.compare import compare
    from .requests import run_of

    found = compare(run_of(a), run_of(b))
    return printed(str(found), lambda: {name: float(factor.value) for name, factor in found.factors.items()}, form)


def explained(asked: RunRequest, line: str) -> str:
    """Where a line of an estimate comes from."""
    from ..run.estimate import estimate
    from ..run.explain import explain
    from .requests import run_of

    return str(explain(estimate(run_of(asked)), line))


def diagnosed(asked: RunRequest, step_time: str, form: str) -> str:
    """Whether a measured step is normal, and what may explain it."""
    from ..calibration.diagnose import diagnose
    from ..planning.laid_out import laid_out
    from .requests import run_of

    with working("comparing"):
        found = diagnose(laid_out(run_of(asked)), step_time=parse_number(step_time, "s", "--step-time"))
    return printed(str(found), lambda: {"percentile": float(found.percentile)}, form)


def backtested(path: str) -> str:
    """Measured steps beside what is predicted for them."""
    from ..validation.run_hindcast import backtest

    return str(backtest(rows=path))


def calibrated(path: str, asked: RunRequest) -> str:
    """A run's stack, narrowed by its own measured steps."""
    from ..calibration.update import calibrate
    from ..planning.laid_out import laid_out
    from .requests import run_of

    return str(calibrate(path, laid_out(run_of(asked))))


def hindcast() -> str:
    """Every published run predicted from data public the day before its disclosure."""
    from ..validation.rl_hindcast import reinforcement_backtest
    from ..validation.run_hindcast import hindcasts

    with working("predicting published runs"):
        return f"{hindcasts()}\n\nreinforcement learning\n{reinforcement_backtest()}"


CATALOGUES = ("models", "runs", "clusters", "chips", "stacks", "claims")


def listed(kind: str, word: str) -> str:
    """Ids of the catalogue, those that hold a word."""
    if kind not in CATALOGUES:
        raise SpecError("kind", kind, "is not a part of the catalogue", did_you_mean(kind, CATALOGUES, "parts"), "unknown-name")
    return "\n".join(name for name in catalog.rows(kind) if word.casefold() in name.casefold())


def checked(path: str) -> str:
    """Whether a file of a run can be read, and what an estimate would still have to assume."""
    from ..run.run import load

    run, filled = catalog.complete(load(path))
    lines = [f"{path}: a run of {run.model.name} on {run.cluster.gpus:,} {run.cluster.chip.name}"]
    return "\n".join([*lines, *(f"assumed: {one}" for one in filled)])


def schema_of(kind: str) -> str:
    """The JSON Schema of a run, beliefs or a claim."""
    from ..claims.claim import Claim
    from ..run.run import Run
    from ..uncertainty.beliefs.files import schema

    made = {"run": lambda: Run.model_json_schema(), "claim": lambda: Claim.model_json_schema(), "beliefs": schema}
    if kind not in made:
        raise SpecError("kind", kind, "has no schema", did_you_mean(kind, made, "kinds"), "unknown-name")
    return json.dumps(made[kind](), indent=2)
