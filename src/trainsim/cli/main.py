"""The command line: ``trainsim estimate config.json --chip h100 --gpus 512 --tokens 10T``.

Each command prints what the library answers. A failure is one line on standard error and an exit status: 0 done, 1 the answer could not
be written, 2 an input can't be used, 3 an ``--assert`` does not hold, 130 interrupted. The library itself is imported when a command runs.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from dataclasses import fields
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from ..core.version import __version__
from .printing import form_of, save_run, show
from .terminal import BAD_INPUT, INTERRUPTED, complain, emit, guarded, stop

if TYPE_CHECKING:
    from ..planning.requests import RunRequest

try:
    import typer
except ImportError:  # the extra is optional
    typer = None  # type: ignore[assignment]

Usage: Any = Exception if typer is None else typer.BadParameter.__mro__[2]
"""The parser's exception, which is click's; releases of typer import click from different places."""
YOUNG_OBJECTS = 100_000
"""Number of new objects after which the garbage collector runs: a process of a second makes few cycles, and imports many files."""
ANY_TOKENS = "1T"
"""Training tokens assumed for a question about layout or step time alone, if none are given."""
EPILOG = "Exit status: 0 done, 1 the answer can't be written, 2 an input can't be used, 3 an --assert does not hold, 130 interrupted."


class By(StrEnum):
    """Objective by which layouts are ranked."""

    time = "time"
    cost = "cost"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words after the program's name; by default those of the process.

    Returns:
        the exit status.
    """
    if typer is None:
        complain("the command line needs the extra 'cli': pip install 'trainsim[cli]'")
        return BAD_INPUT
    return guarded(lambda: _run(list(sys.argv[1:] if arguments is None else arguments)))


def process() -> int:
    """Run the command of this process, with garbage collection nearly off, since the process ends afterwards.

    Returns:
        the exit status.
    """
    gc.set_threshold(YOUNG_OBJECTS)
    status = main()
    gc.freeze()  # no collection of cycles at exit, which would take a quarter of the time of an estimate
    return status


def _run(words: list[str]) -> None:
    command = typer.main.get_command(_app(words))
    try:
        status = command.main(words or ["--help"], prog_name="trainsim", standalone_mode=False)
    except Usage as error:
        complain(f"{error.format_message()} See: trainsim --help")
        stop(BAD_INPUT)
    if status == INTERRUPTED:  # the parser catches Ctrl-C itself
        raise KeyboardInterrupt


def _app(words: Sequence[str] = ()) -> Any:
    """The parser. If a command is named, it is built for that command only, since reading all signatures is slow."""
    parser = typer.Typer(add_completion=True, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
                         help="What did (or will) training this model really cost, and how sure can we be?", epilog=EPILOG)  # fmt: skip
    parser.callback()(_top)
    commands = (estimate, reinforce, simulate, audit, claims, compare, search, solve, count, memory, diagnose, explain, calibrate, backtest,
                hindcasts, catalog, check, schema, init, report, app)  # fmt: skip
    for command in [one for one in commands if one.__name__ in words[:1]] or commands:
        parser.command(short_help=command.__doc__)(command)  # typer shortens a help text only if no short_help is given
    return parser


def _version(*, wanted: bool) -> None:
    if wanted:
        emit(__version__)
        stop(0)


if typer is not None:
    from .options import AsOf, Batch, Believe, Chip, Csv, Goodput, Gpus, Json, Layout, Mfu, Price, Save, SeqLen, Set, Target, Tokens, Trains

    Version = Annotated[
        bool, typer.Option("--version", help="print the version", callback=lambda value: _version(wanted=value), is_eager=True)
    ]


def _top(*, version: Version = False) -> None:
    del version


def _asked(values: dict[str, Any], usual_tokens: str = "") -> RunRequest:
    from ..planning.requests import RunRequest

    named = {field.name: values[field.name] for field in fields(RunRequest) if field.name in values}
    return RunRequest(**named, beliefs=values.get("believe") or (), usual_tokens=usual_tokens)


def estimate(
    target: Target, *, chip: Chip = "", gpus: Gpus = "", tokens: Tokens = "", seq_len: SeqLen = "", batch: Batch = "", price: Price = "",
    mfu: Mfu = "", goodput: Goodput = "", finetune: Trains = "",
    step_time: Annotated[str, typer.Option(help="measured seconds of a step, in place of --mfu: 9.6s")] = "",
    changes: Set = [], believe: Believe = [],  # noqa: B006  (typer copies it)
    as_of: AsOf = "", save: Save = "", as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """Hours and cost of a run; inputs left out are assumed."""
    from .answers import estimated

    form = form_of(as_json=as_json, as_csv=as_csv)
    text, run = estimated(_asked(locals()), form)
    show(text, form)
    save_run(run, save, form)


def reinforce(
    target: Annotated[str, typer.Argument(help="the model: config.json, an id, or a size such as 7B")], *, chip: Chip = "", gpus: Gpus = "",
    steps: Annotated[str, typer.Option(help="optimizer steps: 200")] = "",
    end: Annotated[str, typer.Option(help="mean length of a response at the end [token]: 2000")] = "",
    start: Annotated[str, typer.Option(help="that length at the beginning [token]")] = "",
    maximum: Annotated[str, typer.Option(help="length at which a response is stopped [token]")] = "",
    prompt: Annotated[str, typer.Option(help="mean length of a prompt [token]")] = "",
    prompts: Annotated[str, typer.Option(help="prompts of a step")] = "",
    samples: Annotated[str, typer.Option(help="responses of a prompt: the group of GRPO")] = "",
    engine_gpus: Annotated[int, typer.Option(help="accelerators of one copy that generates; the fastest number if left out")] = 0,
    price: Price = "", goodput: Goodput = "", changes: Set = [], believe: Believe = [], as_of: AsOf = "",  # noqa: B006
    save: Save = "", as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """Hours and cost of a reinforcement-learning run (GRPO)."""
    from ..planning.requests import ReinforcementRequest
    from .answers import reinforced

    form = form_of(as_json=as_json, as_csv=as_csv)
    asked = ReinforcementRequest(_asked(locals()), steps, end, start, maximum, prompt, prompts, samples, engine_gpus)
    text, run = reinforced(asked, form)
    show(text, form)
    save_run(run, save, form)


def simulate(
    target: Target, *, chip: Chip = "", gpus: Gpus = "", tokens: Tokens = "", seq_len: SeqLen = "", batch: Batch = "", price: Price = "",
    mfu: Mfu = "", goodput: Goodput = "", finetune: Trains = "", changes: Set = [], believe: Believe = [], as_of: AsOf = "",  # noqa: B006
    rtol: Annotated[float, typer.Option(help="relative accuracy of quantiles")] = 1e-3,
    asserted: Annotated[str, typer.Option("--assert", help="'cost<1.2e6@0.8': exit 3 if it is less probable")] = "",
    as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """Quantiles of cost, hours and days under beliefs."""
    from .answers import simulated

    form = form_of(as_json=as_json, as_csv=as_csv)
    show(*simulated(_asked(locals()), form, rtol, asserted))


def audit(
    claim_id: Annotated[str, typer.Argument(help="id of a claim of the catalogue, or a CSV of claims")] = "",
    *, model: Annotated[str, typer.Option(help="run or model the claim is about")] = "",
    claim: Annotated[str, typer.Option(help="the figure: 4.6M, 35M RMB, 'at least 2.8M GPU-hours', 40%, '1,287 MWh'")] = "",
    quantity: Annotated[str, typer.Option(help="of what, if the unit does not say it: cost, gpu_hours, wall_days, mfu, tokens …")] = "",
    told_as: Annotated[str, typer.Option(help="the words it was published with")] = "",
    scope: Annotated[str, typer.Option(help="what it covers, in words, where known")] = "",
    includes: Annotated[list[str], typer.Option(help="what it covers, in parts: final_run, downtime, experiments, data, people …")] = [],  # noqa: B006
    basis: Annotated[str, typer.Option(help="how its hours are priced: rent, list, contract, cash, owner")] = "",
    source: Annotated[str, typer.Option(help="where it was published")] = "",
    date: Annotated[str, typer.Option(help="when: 2024-12-26")] = "",
    chip: Chip = "", gpus: Gpus = "", tokens: Tokens = "", seq_len: SeqLen = "", batch: Batch = "", price: Price = "", mfu: Mfu = "",
    goodput: Goodput = "", changes: Set = [], as_of: AsOf = "",  # noqa: B006
    brief: Annotated[bool, typer.Option("--brief", help="print the sentence one may quote")] = False,
    plot: Annotated[str, typer.Option(help="also draw it here (needs the plots extra)")] = "", as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """Check a public claim: a verdict on its number and its words."""
    from .verdicts import audited, audited_table, check_one_claim, typed, verdict_text

    if claim_id.endswith(".csv"):
        emit(audited_table(claim_id, as_of), folded=False)
        return
    check_one_claim(claim_id, claim)
    asked = _asked({**locals(), "target": model}) if model else None
    form = form_of(as_json=as_json, as_csv=as_csv)
    made = None if claim_id else typed(claim, quantity, told_as, scope, includes, basis, source, date)
    verdict = audited(claim_id, made, asked, as_of)
    show(verdict_text(verdict, form, brief=brief), form)
    if plot:
        from ..report.draw import draw

        emit(f"picture: {draw(verdict, plot)}")


def compare(
    a: Target, b: Target, *, chip: Chip = "", gpus: Gpus = "", tokens: Tokens = "", price: Price = "", mfu: Mfu = "",
    goodput: Goodput = "", changes: Set = [], as_json: Json = False, as_csv: Csv = False,  # noqa: B006
) -> None:  # fmt: skip
    """Why one run costs more than another; options change both."""
    from .answers import compared

    form, options = form_of(as_json=as_json, as_csv=as_csv), locals()
    show(compared(_asked({**options, "target": a}), _asked({**options, "target": b}), form), form)


def search(
    target: Target, *, chip: Chip = "", gpus: Gpus = "", tokens: Tokens = "", seq_len: SeqLen = "", batch: Batch = "",
    finetune: Trains = "", changes: Set = [],  # noqa: B006
    by: Annotated[By, typer.Option(help="rank by seconds of a step or by dollars")] = By.time,
    top: Annotated[int, typer.Option(help="how many layouts to print")] = 10, as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """The fastest or cheapest layouts that fit in memory."""
    from .layouts import searched

    asked = _asked(locals(), usual_tokens="" if by is By.cost else ANY_TOKENS)
    form = form_of(as_json=as_json, as_csv=as_csv)
    show(searched(asked, form, "cost" if by is By.cost else "time", top), form)


def solve(
    target: Target, path: Annotated[str, typer.Argument(help="the number to solve for: phases.pretrain.tokens")], *, chip: Chip = "",
    gpus: Gpus = "", tokens: Tokens = "", seq_len: SeqLen = "", batch: Batch = "", price: Price = "", mfu: Mfu = "", goodput: Goodput = "",
    finetune: Trains = "", changes: Set = [], believe: Believe = [], as_of: AsOf = "",  # noqa: B006
    limit: Annotated[list[str], typer.Option(help="'cost<1.2M', 'wall_days<40': as often as needed")] = [],  # noqa: B006
    probability: Annotated[str, typer.Option(help="required probability: 0.8 or 80%")] = "0.5", as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """Solve for one number of a run under limits."""
    from .answers import solved

    form = form_of(as_json=as_json, as_csv=as_csv)
    show(solved(_asked(locals()), path, limit, probability, form), form)


def count(
    model: Annotated[str, typer.Argument(help="config.json, an id of the catalogue, or a size such as 7B")], *,
    seq_len: Annotated[str, typer.Option(help="sequence length [token]")] = "4096", finetune: Trains = "",
    as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """Parameters and FLOPs of a model, by every convention."""
    from .answers import count as counted

    form = form_of(as_json=as_json, as_csv=as_csv)
    show(counted(model, seq_len, finetune, form), form)


def memory(
    target: Target, *, chip: Chip = "", gpus: Gpus = "", tokens: Tokens = "", seq_len: SeqLen = "", batch: Batch = "",
    plan: Layout = "", finetune: Trains = "", changes: Set = [],  # noqa: B006
    as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """Whether a run fits its accelerators, in its layout or the best."""
    from .layouts import memory_of

    form = form_of(as_json=as_json, as_csv=as_csv)
    show(memory_of(_asked(locals(), usual_tokens=ANY_TOKENS), form), form)


def diagnose(
    target: Target, *, measured: Annotated[str, typer.Option("--step-time", help="measured seconds of a step: 9.6s")], chip: Chip = "",
    gpus: Gpus = "", tokens: Tokens = "", seq_len: SeqLen = "", batch: Batch = "", plan: Layout = "", finetune: Trains = "",
    changes: Set = [], as_json: Json = False, as_csv: Csv = False,  # noqa: B006
) -> None:  # fmt: skip
    """Whether a measured step is normal, and what may explain it."""
    from .layouts import diagnosed

    form = form_of(as_json=as_json, as_csv=as_csv)
    show(diagnosed(_asked(locals(), usual_tokens=ANY_TOKENS), measured, form), form)


def explain(
    target: Target, line: Annotated[str, typer.Argument(help="such as cost.pretrain.moe.experts.up")] = "cost", *, chip: Chip = "",
    gpus: Gpus = "", tokens: Tokens = "", seq_len: SeqLen = "", batch: Batch = "", price: Price = "", mfu: Mfu = "", goodput: Goodput = "",
    finetune: Trains = "", changes: Set = [], as_of: AsOf = "", as_json: Json = False, as_csv: Csv = False,  # noqa: B006
) -> None:  # fmt: skip
    """Where a line of an estimate comes from."""
    from .answers import explained

    form = form_of(as_json=as_json, as_csv=as_csv)
    show(explained(_asked(locals()), line, form), form)


def calibrate(
    steps: Annotated[str, typer.Argument(help="a training log, a profiler's trace, or a table of measured steps")],
    target: Annotated[str, typer.Option("--run", help="the measured run; not needed for a table of steps")] = "", *,
    as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """Update a run's software stack with its measured steps."""
    from .answers import calibrated

    form = form_of(as_json=as_json, as_csv=as_csv)
    show(calibrated(steps, _asked({"target": target}) if target else None, form), form)


def backtest(
    rows: Annotated[str, typer.Argument(help="a table of measured steps: .csv or .json")], *, as_json: Json = False, as_csv: Csv = False
) -> None:
    """Compare measured steps with predictions."""
    from .answers import backtested

    form = form_of(as_json=as_json, as_csv=as_csv)
    show(backtested(rows, form), form)


def hindcasts(*, as_json: Json = False, as_csv: Csv = False) -> None:
    """Published runs predicted from data public the day before."""
    from .answers import hindcast

    form = form_of(as_json=as_json, as_csv=as_csv)
    show(hindcast(form), form)


def catalog(
    kind: Annotated[str, typer.Argument(help="models, runs, clusters, chips, stacks or claims")] = "models",
    word: Annotated[str, typer.Argument(help="only ids that contain this word")] = "",
) -> None:
    """List ids of the catalogue."""
    from .answers import listed

    emit(listed(kind, word))


def claims(*, as_json: Json = False, as_csv: Csv = False) -> None:
    """List the claims of the catalogue."""
    from .verdicts import listed_claims

    form = form_of(as_json=as_json, as_csv=as_csv)
    show(listed_claims(form), form)


def check(path: Annotated[str, typer.Argument(help="run.toml or run.json")]) -> None:
    """Check a run's file, and list what an estimate would assume."""
    from .answers import checked

    emit(checked(path))


def schema(kind: Annotated[str, typer.Argument(help="run, beliefs or claim")] = "run") -> None:
    """The JSON Schema with which editors complete a run's file."""
    from .answers import schema_of

    emit(schema_of(kind), folded=False)


def init(
    path: Annotated[str, typer.Argument(help="where to write it")] = "run.toml", *,
    model: Annotated[str, typer.Option(help="a model's id, config or size")] = "7B",
    chip: Chip = "h100", gpus: Gpus = "512", tokens: Tokens = "2T",
) -> None:  # fmt: skip
    """Write a first run.toml to edit."""
    from pathlib import Path

    from ..planning.requests import run_of

    if Path(path).exists():
        complain(f"{path}: exists already; give another path")
        stop(BAD_INPUT)
    run_of(_asked({"target": model, "chip": chip, "gpus": gpus, "tokens": tokens})).save(path)
    emit(f"wrote {path}; next: trainsim estimate {path}")


def report(
    target: Annotated[str, typer.Argument(help="a run: its file or id, or a model with flags; or the id of a claim")], *,
    output: Annotated[str, typer.Option("--output", "-o", help="the page: report.html")] = "report.html",
    versus: Annotated[str, typer.Option(help="a second run: the page compares both")] = "",
    layouts: Annotated[bool, typer.Option("--layouts", help="search layouts of the run: the page shows the best")] = False,
    chip: Chip = "", gpus: Gpus = "", tokens: Tokens = "", seq_len: SeqLen = "", batch: Batch = "", price: Price = "", mfu: Mfu = "",
    goodput: Goodput = "", finetune: Trains = "", changes: Set = [], believe: Believe = [], as_of: AsOf = "",  # noqa: B006
) -> None:  # fmt: skip
    """Write a run, a claim, a comparison or a search as one HTML page."""
    from .reports import reported

    asked = _asked(locals(), usual_tokens=ANY_TOKENS if layouts else "")
    command = " ".join(["trainsim", *sys.argv[1:]]) if sys.argv[1:2] == ["report"] else f"trainsim report {target}"
    emit(f"report: {reported(asked, output, versus, layouts=layouts, command=command)}", folded=False)  # do not wrap a path


def app(
    *, folder: Annotated[str, typer.Option(help="the only folder whose files a question may name; none if left out")] = "",
    host: Annotated[str, typer.Option(help="address to listen on; the default is reached from this machine alone")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on; 0 for a free one", min=0, max=65535)] = 8765,
) -> None:  # fmt: skip
    """A page on this machine: type a run, see its cost, memory, layout."""
    from pathlib import Path

    from ..app.server import serve

    serve(Path(folder) if folder else None, host=host, port=port, started=lambda address: emit(f"{address} (Ctrl-C ends it)", folded=False))
