"""The command line: ``trainsim estimate config.json --chip h100 --gpus 512 --tokens 10T``.

Each command prints what the library answers. A failure is one line on standard error and an exit status: 0 done, 1 the answer could not
be written, 2 an input can't be used, 3 an ``--assert`` does not hold, 130 interrupted. The library itself is imported when a command runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from ..core.version import __version__
from .terminal import BAD_INPUT, INTERRUPTED, complain, emit, guarded, stop

if TYPE_CHECKING:
    from .requests import RunRequest

try:
    import typer
except ImportError:  # the extra is optional
    typer = None  # type: ignore[assignment]


Usage: Any = Exception if typer is None else typer.BadParameter.__mro__[2]
"""What the parser raises: click's own exception, wherever this release of typer keeps click."""


class By(StrEnum):
    """What layouts are ranked by."""

    time = "time"
    cost = "cost"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words after the program's name; those of the process if left out.

    Returns:
        the exit status.
    """
    if typer is None:
        complain("the command line needs the extra 'cli': pip install 'trainsim[cli]'")
        return BAD_INPUT
    return guarded(lambda: _run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(words: list[str]) -> None:
    command = typer.main.get_command(_app())
    try:
        status = command.main(words or ["--help"], prog_name="trainsim", standalone_mode=False)
    except Usage as error:
        complain(f"{error.format_message()} See: trainsim --help")
        stop(BAD_INPUT)
    if status == INTERRUPTED:  # the parser catches Ctrl-C itself
        raise KeyboardInterrupt


def _app() -> Any:
    app = typer.Typer(add_completion=True, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
                      help="What did (or will) training this model really cost, and how sure can we be?")  # fmt: skip
    app.callback()(_top)
    for command in (estimate, simulate, audit, compare, search, solve, count, memory, diagnose, explain, calibrate, backtest, hindcasts,
                    catalog, claims, check, schema, init):  # fmt: skip
        app.command()(command)
    return app


def _version(*, wanted: bool) -> None:
    if wanted:
        emit(__version__)
        stop(0)


if typer is not None:
    Target = Annotated[str, typer.Argument(help="a run (run.toml, - or an id), or a model: config.json, an id, or a size such as 7B")]
    Chip = Annotated[str, typer.Option(help="chip or node: h100, hgx-h800")]
    Gpus = Annotated[str, typer.Option(help="accelerators: 512, or 2048xH800")]
    Tokens = Annotated[str, typer.Option(help="training tokens: 10T")]
    SeqLen = Annotated[str, typer.Option(help="sequence length [token]")]
    Batch = Annotated[str, typer.Option(help="sequences of an optimizer step")]
    Price = Annotated[str, typer.Option(help="rent per accelerator-hour: 2.5/h")]
    Mfu = Annotated[str, typer.Option(help="model FLOPs over peak: 0.4 or 40%")]
    Goodput = Annotated[str, typer.Option(help="busy over wall-clock hours: 0.95")]
    Set = Annotated[list[str], typer.Option("--set", help="path=value, as often as needed")]
    Believe = Annotated[list[str], typer.Option("--believe", help="path=low..high, a 90 % interval")]
    AsOf = Annotated[str, typer.Option(help="use data public by this day: 2024-12-25")]
    Json = Annotated[bool, typer.Option("--json", help="print JSON")]
    Csv = Annotated[bool, typer.Option("--csv", help="print CSV")]
    Version = Annotated[
        bool, typer.Option("--version", help="print the version", callback=lambda value: _version(wanted=value), is_eager=True)
    ]


def _top(*, version: Version = False) -> None:
    del version


def _form(*, as_json: bool, as_csv: bool) -> str:
    if as_json and as_csv:
        complain("--json and --csv exclude each other; give one")
        stop(BAD_INPUT)
    return "json" if as_json else "csv" if as_csv else "text"


def _asked(values: dict[str, Any]) -> RunRequest:
    from .requests import RunRequest

    names = ("target", "chip", "gpus", "tokens", "seq_len", "batch", "price", "mfu", "goodput", "as_of")
    kept = {name: values[name] for name in names if name in values}
    return RunRequest(**kept, changes=tuple(values.get("changes") or ()), beliefs=tuple(values.get("believe") or ()))


def estimate(
    target: Target, *, chip: Chip = "", gpus: Gpus = "", tokens: Tokens = "", seq_len: SeqLen = "", batch: Batch = "", price: Price = "",
    mfu: Mfu = "", goodput: Goodput = "", changes: Set = [], believe: Believe = [], as_of: AsOf = "",  # noqa: B006  (typer copies it)
    save: Annotated[str, typer.Option(help="write the run that was built here")] = "", as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """What a run takes and costs; what is not given is assumed, and marked so."""
    from .answers import estimated

    emit(estimated(_asked(locals()), _form(as_json=as_json, as_csv=as_csv), save))


def simulate(
    target: Target, *, chip: Chip = "", gpus: Gpus = "", tokens: Tokens = "", seq_len: SeqLen = "", batch: Batch = "", price: Price = "",
    mfu: Mfu = "", goodput: Goodput = "", changes: Set = [], believe: Believe = [], as_of: AsOf = "",  # noqa: B006
    rtol: Annotated[float, typer.Option(help="relative accuracy of quantiles")] = 1e-3,
    asserted: Annotated[str, typer.Option("--assert", help="'cost<1.2e6@0.8': exit 3 where it is less probable")] = "",
    as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """Quantiles of cost, hours and days under what is assumed or believed."""
    from .answers import simulated

    emit(simulated(_asked(locals()), _form(as_json=as_json, as_csv=as_csv), rtol, asserted))


def audit(
    claim_id: Annotated[str, typer.Argument(help="id of a claim of the catalogue, or a CSV of claims; empty for one that is typed")] = "",
    *, model: Annotated[str, typer.Option(help="run or model the claim is about")] = "",
    claim: Annotated[str, typer.Option(help="the figure: 4.6M")] = "",
    quantity: Annotated[str, typer.Option(help="of what: cost, gpu_hours, wall_days, mfu, flops, tokens")] = "cost",
    told_as: Annotated[str, typer.Option(help="the words it was published with")] = "",
    scope: Annotated[str, typer.Option(help="what it covers, where known")] = "",
    source: Annotated[str, typer.Option(help="where it was published")] = "",
    date: Annotated[str, typer.Option(help="when: 2024-12-26")] = "",
    chip: Chip = "", gpus: Gpus = "", tokens: Tokens = "", seq_len: SeqLen = "", batch: Batch = "", price: Price = "", mfu: Mfu = "",
    goodput: Goodput = "", changes: Set = [], believe: Believe = [], as_of: AsOf = "",  # noqa: B006
    brief: Annotated[bool, typer.Option("--brief", help="print the sentence one may quote")] = False,
    plot: Annotated[str, typer.Option(help="also draw it here (needs the plots extra)")] = "", as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """Check a public claim: a verdict on its number and on its words."""
    from .answers import audited, audited_table

    if claim_id.endswith(".csv"):
        emit(audited_table(claim_id))
        return
    if not claim_id and not claim:
        complain("audit needs a claim: an id (trainsim claims), or --model … --claim 4.6M --told-as 'the cost of training it'")
        stop(BAD_INPUT)
    target = model
    given = {"figure": claim, "quantity": quantity, "told_as": told_as, "scope": scope, "source": source, "date": date, "as_of": as_of,
             "brief": "yes" if brief else ""}  # fmt: skip
    asked = _asked({**locals(), "target": target}) if model else None
    text, verdict = audited(claim_id, asked, given, _form(as_json=as_json, as_csv=as_csv))
    emit(text)
    if plot:
        from ..report.draw import draw

        emit(f"picture: {draw(verdict, plot)}")


def compare(a: Target, b: Target, *, as_json: Json = False, as_csv: Csv = False) -> None:
    """Why one run costs more than another, as factors that multiply to the ratio."""
    from .answers import compared

    emit(compared(_asked({"target": a}), _asked({"target": b}), _form(as_json=as_json, as_csv=as_csv)))


def search(
    target: Target, *, chip: Chip = "", gpus: Gpus = "", tokens: Tokens = "1T", seq_len: SeqLen = "", batch: Batch = "", changes: Set = [],  # noqa: B006
    by: Annotated[By, typer.Option(help="rank by seconds of a step or by dollars")] = By.time,
    top: Annotated[int, typer.Option(help="how many layouts to print")] = 10, as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """The fastest or cheapest layouts that fit in memory."""
    from .answers import searched

    emit(searched(_asked(locals()), _form(as_json=as_json, as_csv=as_csv), "cost" if by is By.cost else "time", top))


def solve(
    target: Target, path: Annotated[str, typer.Argument(help="the number to solve for: phases.pretrain.tokens")], *, chip: Chip = "",
    gpus: Gpus = "", tokens: Tokens = "", seq_len: SeqLen = "", batch: Batch = "", price: Price = "", mfu: Mfu = "", goodput: Goodput = "",
    changes: Set = [], believe: Believe = [], as_of: AsOf = "",  # noqa: B006
    limit: Annotated[list[str], typer.Option(help="'cost<1.2M', 'wall_days<40': as often as needed")] = [],  # noqa: B006
    probability: Annotated[float, typer.Option(help="how sure the limits must hold")] = 0.5, as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """What a budget and a deadline allow: the largest or smallest value of one number."""
    from .answers import solved

    emit(solved(_asked(locals()), path, limit, probability, _form(as_json=as_json, as_csv=as_csv)))


def count(
    model: Annotated[str, typer.Argument(help="config.json, an id of the catalogue, or a size such as 7B")], *,
    seq_len: Annotated[str, typer.Option(help="sequence length [token]")] = "4096", as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """Parameters and FLOPs of a model, and when to use which convention."""
    from .answers import count as counted

    emit(counted(model, seq_len, _form(as_json=as_json, as_csv=as_csv)))


def memory(
    target: Target, *, chip: Chip = "", gpus: Gpus = "", tokens: Tokens = "1T", seq_len: SeqLen = "", batch: Batch = "", changes: Set = [],  # noqa: B006
    as_json: Json = False, as_csv: Csv = False,
) -> None:  # fmt: skip
    """Whether a run fits its accelerators; without a plan, the layout is that of a search."""
    from .answers import memory_of

    emit(memory_of(_asked(locals()), _form(as_json=as_json, as_csv=as_csv)))


def diagnose(
    target: Target, *, step_time: Annotated[str, typer.Option(help="measured seconds of a step: 9.6s")], chip: Chip = "", gpus: Gpus = "",
    tokens: Tokens = "1T", seq_len: SeqLen = "", batch: Batch = "", changes: Set = [], as_json: Json = False, as_csv: Csv = False,  # noqa: B006
) -> None:  # fmt: skip
    """Whether a measured step is normal, and what may explain it."""
    from .answers import diagnosed

    emit(diagnosed(_asked(locals()), step_time, _form(as_json=as_json, as_csv=as_csv)))


def explain(target: Target, line: Annotated[str, typer.Argument(help="such as cost.pretrain.moe.experts.up")] = "cost") -> None:
    """Where a line of an estimate comes from."""
    from .answers import explained

    emit(explained(_asked({"target": target}), line))


def calibrate(
    steps: Annotated[str, typer.Argument(help="a training log, or a table of measured steps")],
    target: Annotated[str, typer.Option("--run", help="the run it is of")],
) -> None:
    """Narrow a run's software stack by its own measured steps."""
    from .answers import calibrated

    emit(calibrated(steps, _asked({"target": target})))


def backtest(rows: Annotated[str, typer.Argument(help="a table of measured steps: .csv or .json")]) -> None:
    """Measured steps beside what is predicted for them."""
    from .answers import backtested

    emit(backtested(rows))


def hindcasts() -> None:
    """Published runs predicted from data public the day before their disclosure."""
    from .answers import hindcast

    emit(hindcast())


def catalog(
    kind: Annotated[str, typer.Argument(help="models, runs, clusters, chips, stacks or claims")] = "models",
    word: Annotated[str, typer.Argument(help="only ids that hold this word")] = "",
) -> None:
    """List ids of the catalogue."""
    from .answers import listed

    emit(listed(kind, word))


def claims() -> None:
    """List the claims of the catalogue with what was said."""
    from ..catalog.claims import claims as every

    emit("\n".join(f"{name:<26}{claim.statement}" for name, claim in every().items()))


def check(path: Annotated[str, typer.Argument(help="run.toml or run.json")]) -> None:
    """Whether a run's file can be read, and what an estimate would assume."""
    from .answers import checked

    emit(checked(path))


def schema(kind: Annotated[str, typer.Argument(help="run, beliefs or claim")] = "run") -> None:
    """Print a JSON Schema, with which editors complete a run's file."""
    from .answers import schema_of

    emit(schema_of(kind))


def init(
    path: Annotated[str, typer.Argument(help="where to write it")] = "run.toml", *,
    model: Annotated[str, typer.Option(help="a model's id, config or size")] = "7B",
    chip: Chip = "h100", gpus: Gpus = "512", tokens: Tokens = "2T",
) -> None:  # fmt: skip
    """Write a first run.toml to edit."""
    from pathlib import Path

    from .requests import run_of

    if Path(path).exists():
        complain(f"{path}: exists already; give another path")
        stop(BAD_INPUT)
    run_of(_asked({"target": model, "chip": chip, "gpus": gpus, "tokens": tokens})).save(path)
    emit(f"wrote {path}; next: trainsim estimate {path}")
