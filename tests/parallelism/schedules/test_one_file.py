"""A new schedule is one file: steps, memory, searches, files and pictures support it, and no other code names it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import trainsim
from trainsim.catalog.runs import run
from trainsim.core.errors import SpecError
from trainsim.parallelism.schedules.discovery import schedules

SRC = Path(trainsim.__file__).parent

CHIMERA = '''
"""Two pipelines on the same ranks, one from each end as in Chimera (arXiv:2107.06925), each with GPipe's order."""

from trainsim.parallelism.schedules.passes import Pass
from trainsim.parallelism.schedules.schedule import Schedule


class BothEnds(Schedule):
    """All forward passes of both pipelines, then all backward passes."""

    name = "both-ends"
    stages_per_rank = 2
    copies = 2
    rank_multiple = 2

    def slots(self, rank, pp, micro_batches, vpp):
        half = micro_batches // 2
        sides = ((rank, 0), (pp - 1 - rank, half))
        if rank >= pp // 2:
            sides = sides[::-1]
        for letter in "FB":
            for n in range(half):
                yield from ((Pass(letter, stage, first + n),) for stage, first in (sides if letter == "F" else sides[::-1]))

    def period(self, pp):
        return 2

    def one_rank_sets_the_pace(self, times, pp, delay):
        return False
'''

USES = """
import numpy as np
import trainsim as ts
from both_ends import BothEnds
from trainsim.testing import check_schedule

check_schedule(BothEnds())
block = ts.Block(attention=ts.GroupedQueryAttention(heads=16, kv_heads=8, head_dim=64), ffn=ts.GatedMLP(width=4096))
model = ts.Model(hidden=1024, vocab=32000, stack=[ts.Layers(name="dense", count=8, block=block)])
made = ts.Run(
    model=model, cluster=ts.catalog.cluster("hgx-h100", 8), plan=ts.Plan(pp=4, schedule=BothEnds(), zero=1),
    phases=[ts.Phase("pretrain", tokens=1e10, seq_len=2048, batch=32)], efficiency=ts.Modelled(stack=ts.catalog.stack("mcore-hopper")),
)
seconds = [float(ts.step_time(one).total) for one in (made, made.replace({"plan.schedule": "1f1b"}))]
assert all(0 < one < 100 for one in seconds) and seconds[0] != seconds[1], seconds
from trainsim.gpu_memory.in_flight import in_flight_by_rank
assert [states.tolist() for _, states in in_flight_by_rank(made.plan)] == [[[[0.0, 0.5], [0.0, 0.5]]]] * 4  # half on each
found = ts.search_plans(made, space={"schedule": (BothEnds(), "1f1b"), "pp": 4, "tp": 1, "cp": 1, "vpp": 1}, top=1000)
assert {getattr(one.plan.schedule, "name", one.plan.schedule) for one in found.ranked} == {"both-ends", "1f1b"}
assert ts.Run(**made.to_dict()) == made
one = np.ones(1)
bars = ts.pipeline_timeline(BothEnds(), ts.Times(one, one, one), 8, 4).bars
assert sum(len(bar.slot) for bar in bars) == 2 * 8 * 4
print("done")
"""


def test_a_schedule_of_ones_own_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "both_ends.py").write_text(CHIMERA)
    (tmp_path / "uses.py").write_text(USES)
    done = subprocess.run([sys.executable, "uses.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "done", done.stderr


def _strings(tree: ast.AST) -> list[ast.Constant]:
    """Strings of a module, without docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    words = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in words]


def test_no_string_names_a_schedule_but_in_its_own_file() -> None:
    """Except for the default of a plan."""
    words = {word for one in schedules().values() for word in (one.name, *one.aliases, *one.words.values())}
    quoted = re.compile("|".join(f"['\"=]{re.escape(word)}\\b" for word in sorted(words)))
    named = {
        (str(path.relative_to(SRC)), node.value)
        for path in SRC.rglob("*.py")
        if path.parent.name != "schedules"
        for node in _strings(ast.parse(path.read_text(encoding="utf-8")))
        if node.value in words or quoted.search(node.value)  # type: ignore[arg-type]
    }
    assert named == {
        ("parallelism/plan.py", "1f1b"),
        ("testing/searches.py", "1f1b"),
        ("testing/searches.py", "interleaved"),
        ("testing/searches.py", "dualpipe"),
    }


@pytest.mark.parametrize("word", ["dualpip", "1f2b", "zero bubbles"])
def test_a_row_that_names_no_known_schedule_is_an_error(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = import_module("trainsim.catalog.runs")

    row = runs.find("runs", "deepseek-v3")
    changed = type(row)(**{**row.__dict__, "fields": {**row.fields, "plan": {**row["plan"], "schedule": word}}})
    monkeypatch.setattr(runs, "find", lambda _file, _name: changed)
    with pytest.raises(SpecError) as raised:
        run("deepseek-v3")
    assert raised.value.value == word


def test_a_row_may_name_any_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = import_module("trainsim.catalog.runs")

    row = runs.find("runs", "deepseek-v3")
    changed = type(row)(**{**row.__dict__, "fields": {**row.fields, "plan": {**row["plan"], "schedule": "DualPipe-V"}}})
    monkeypatch.setattr(runs, "find", lambda _file, _name: changed)
    plan = run("deepseek-v3").plan
    assert plan is not None
    assert plan.schedule == "dualpipe-v"


def test_the_page_runs(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "schedules.md").read_text(encoding="utf-8")
    script = tmp_path / "page.py"
    script.write_text("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), encoding="utf-8")
    done = subprocess.run([sys.executable, "-W", "error", str(script)], capture_output=True, text=True, check=False)  # noqa: S603  (our own page)
    assert done.returncode == 0, done.stderr
