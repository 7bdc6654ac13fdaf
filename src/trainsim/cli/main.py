"""The command line: ``trainsim audit deepseek-v3-6m``.

Each command prints what the library prints; a library error is one line on standard error and exit status 2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import catalog
from ..auditing.audit import audit
from ..core.errors import TrainsimError
from ..core.units import human
from ..core.version import __version__
from ..model.conventions import CONVENTIONS
from ..model.counting import count_active_params, count_params, flops_per_token
from ..model.huggingface.reader import from_hf
from ..model.transformer import Model
from ..run.compare import compare
from ..run.estimate import estimate
from ..run.explain import explain
from ..run.run import Run, load
from ..validation.rl_hindcast import reinforcement_backtest
from ..validation.run_hindcast import hindcasts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    asked = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], str] = asked.command
    try:
        print(command(asked))  # noqa: T201  (this is what a command line is for)
    except TrainsimError as error:
        print(f"trainsim: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trainsim", description="What did training this model really cost, and how sure can we be?")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, command: Callable[[argparse.Namespace], str], words: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=words, description=words)
        made.set_defaults(command=command)
        return made

    told = add("audit", _audit, "hold a claim of the catalogue against what can be computed")
    told.add_argument("claim", help="its id; `trainsim claims` lists them")
    told.add_argument("--plot", type=Path, help="also draw it here (needs the plots extra)")
    add("claims", _claims, "list the claims of the catalogue")
    add("hindcasts", _hindcasts, "foretell every published run from the day before its hours were disclosed")
    counted = add("count", _count, "parameters and FLOPs of a config.json or a model of the catalogue")
    counted.add_argument("model", help="path of a config.json, or an id")
    counted.add_argument("--seq-len", type=float, default=4096.0, help="sequence length [token]")
    ran = add("estimate", _estimate, "what a run takes and costs")
    ran.add_argument("run", help="path of a run.toml, or an id")
    traced = add("explain", _explain, "where a line of an estimate comes from")
    traced.add_argument("run", help="path of a run.toml, or an id")
    traced.add_argument("line", nargs="?", default="cost", help="such as cost.pretrain.moe.experts.up")
    both = add("compare", _compare, "why one run costs more than another")
    both.add_argument("a", help="path of a run.toml, or an id")
    both.add_argument("b", help="path of a run.toml, or an id")
    return parser


def _audit(asked: argparse.Namespace) -> str:
    verdict = audit(catalog.claim(asked.claim))
    if asked.plot is None:
        return str(verdict)
    from ..report.picture import draw

    return f"{verdict}\npicture: {draw(verdict, asked.plot)}"


def _claims(asked: argparse.Namespace) -> str:
    del asked
    return "\n".join(f"{name:<26}{claim.statement}" for name, claim in catalog.claims().items())


def _hindcasts(asked: argparse.Namespace) -> str:
    del asked
    return f"{hindcasts()}\n\nreinforcement learning\n{reinforcement_backtest()}"


def _count(asked: argparse.Namespace) -> str:
    model = _model(asked.model)
    total = count_params(model).total
    beside = {tower.name: count_params(model, towers="all").part(f"towers.{tower.name}").total for tower in model.towers}
    rows = [
        ("parameters", f"{total:,.0f}", "the text model; tied weights once"),
        ("active", f"{count_active_params(model).total:,.0f}", "those that one token passes"),
        ("head", f"{_head(model):,.0f}", "of these, the head's own" if model.head.weights == "own" else f"weights: {model.head.weights}"),
        ("MTP", f"{count_params(model, 'unique').total - total:,.0f}", "not in the totals: prediction modules' own weights"),
        *((f"tower {name}", f"{size:,.0f}", "not in the totals") for name, size in beside.items()),
        *((name, _per_token(model, asked.seq_len, name), f"for {rule.use}") for name, rule in CONVENTIONS.items()),
    ]
    notes = [f"- {note}" for note in model.notes]
    return "\n".join([*(f"{name:<18}{value:>24}   {meaning}" for name, value, meaning in rows), *notes])


def _head(model: Model) -> float:
    return float(count_params(model).part("head").total) if "head" in count_params(model) else 0.0


def _per_token(model: Model, seq_len: float, convention: str) -> str:
    return f"{human(float(flops_per_token(model, seq_len, convention).total), 6)} FLOP/token"


def _estimate(asked: argparse.Namespace) -> str:
    found = estimate(_run(asked.run))
    return f"{found}\n\n{found.cost.table(depth=3)}"


def _explain(asked: argparse.Namespace) -> str:
    return str(explain(estimate(_run(asked.run)), asked.line))


def _compare(asked: argparse.Namespace) -> str:
    return str(compare(_run(asked.a), _run(asked.b)))


def _run(name: str) -> Run:
    return load(name) if name.endswith(".toml") else catalog.run(name)


def _model(name: str) -> Model:
    return from_hf(name) if Path(name).exists() or name.endswith(".json") else catalog.model(name)
