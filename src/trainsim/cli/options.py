"""Flags that several commands share; needs typer."""

from __future__ import annotations

from typing import Annotated

import typer

Target = Annotated[str, typer.Argument(help="a run (run.toml, - or an id), or a model: config.json, an id, or a size such as 7B")]
Chip = Annotated[str, typer.Option(help="chip or node: h100, hgx-h800")]
Gpus = Annotated[str, typer.Option(help="accelerators: 512, or 2048xH800")]
Tokens = Annotated[str, typer.Option(help="training tokens: 10T")]
SeqLen = Annotated[str, typer.Option(help="sequence length [token]")]
Batch = Annotated[str, typer.Option(help="sequences per optimizer step")]
Price = Annotated[str, typer.Option(help="rent per accelerator-hour: 2.5/h")]
Mfu = Annotated[str, typer.Option(help="model FLOPs over peak: 0.4 or 40%")]
Goodput = Annotated[str, typer.Option(help="busy over wall-clock hours: 0.95")]
Trains = Annotated[str, typer.Option(help="fine-tune it: full, lora:16 or qlora:16")]
Layout = Annotated[str, typer.Option("--plan", help="layout: 'tp=8 pp=2 zero=1'; the fastest that fits if left out")]
Set = Annotated[list[str], typer.Option("--set", help="path=value, as often as needed")]
Believe = Annotated[list[str], typer.Option("--believe", help="path=low..high, a 90 % interval")]
AsOf = Annotated[str, typer.Option(help="use data public by this day: 2024-12-25")]
Save = Annotated[str, typer.Option(help="write the run that was built here")]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Csv = Annotated[bool, typer.Option("--csv", help="print CSV")]
