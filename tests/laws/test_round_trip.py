"""Saved objects are equal after loading: every digit, every class, every source."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainsim as ts
from trainsim.catalog import rows
from trainsim.core import toml_io as toml
from trainsim.testing import small_runs


@given(run=small_runs(work_known=False))
def test_a_run_is_the_same_after_a_file(tmp_path_factory: pytest.TempPathFactory, run: ts.Run) -> None:
    path = tmp_path_factory.mktemp("runs") / "run.toml"
    run.save(path)
    loaded = ts.load(path)
    assert loaded == run
    assert loaded.numbers() == run.numbers()
    assert ts.Run(**run.to_dict()) == run


BUILDABLE = [name for name, row in rows("runs").items() if row.get("cluster") and row.get("gpus") and row.get("model")]


@pytest.mark.parametrize("name", BUILDABLE)
def test_a_catalogue_run_needs_no_catalogue_once_it_is_saved(name: str, tmp_path: Path) -> None:
    run = ts.catalog.run(name)
    path = tmp_path / "run.toml"
    run.save(path)
    loaded = ts.load(path)
    assert loaded == run
    assert loaded.sources() == run.sources()
    if all(phase.tokens or isinstance(phase.efficiency, ts.BusyHours) for phase in run.phases):  # benchmarks have a rate, and no end
        assert ts.estimate(loaded).cost == ts.estimate(run).cost


MODULE = """
from collections.abc import Iterator
from typing import Annotated
import trainsim as ts

class MyAttention(ts.Attention):
    heads: int
    share: Annotated[ts.Num, ts.Unit("", gt=0)] = 0.1

    def ops(self, hidden: int) -> Iterator[ts.MatMul]:
        yield ts.MatMul(name="mix", inner=hidden, cols=hidden)
"""
USE = """
import sys, trainsim as ts
run = ts.load(sys.argv[1], trusted=["my_layers"])
print(type(run.model.stack[0].block.attention).__module__, ts.count_params(run.model).total)
"""


def test_a_class_of_ones_own_is_found_by_its_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_layers.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    from my_layers import MyAttention  # type: ignore[import-not-found]

    run = ts.catalog.run("deepseek-v3")
    block = ts.Block(attention=MyAttention(heads=4, share=0.3), ffn=ts.GatedMLP(width=64))
    model = ts.Model(hidden=64, vocab=100, stack=[ts.Layers(name="mine", count=2, block=block)])
    run = run.replace({"model": model, "plan": None})
    path = tmp_path / "run.toml"
    run.save(path)
    assert ts.load(path) == run
    assert tomllib.loads(path.read_text())["model"]["stack"]["mine"]["block"]["attention"]["kind"] == "my_layers:MyAttention"
    done = subprocess.run([sys.executable, "-c", USE, str(path)], cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.split() == ["my_layers", str(ts.count_params(model).total)]


def test_a_file_mirrors_paths(tmp_path: Path) -> None:
    run = ts.catalog.run("deepseek-v3")
    run.save(tmp_path / "run.toml")
    data = tomllib.loads((tmp_path / "run.toml").read_text())
    for path, (value, _) in run.numbers().items():
        here = data
        for name in path.split("."):
            here = here[name]
        assert here == value


words = st.text(min_size=1, max_size=8)
leaves = st.one_of(
    st.floats(allow_nan=False), st.integers(-(2**62), 2**62), words, st.booleans(), st.lists(st.floats(allow_nan=False), max_size=3)
)


@given(st.dictionaries(words, st.recursive(leaves, lambda inner: st.dictionaries(words, inner, max_size=3), max_leaves=8), max_size=4))
def test_toml_gives_back_what_it_was_given(data: dict[str, object]) -> None:
    assert tomllib.loads(toml.dumps(data)) == data


def members() -> Iterator[ts.Spec]:
    yield from (ts.MFU(0.1 + 0.2), ts.HFU(0.5, flops="full"), ts.Throughput(tokens_per_s_per_gpu=1541.7), ts.StepTime(seconds=1 / 3))
    yield from (ts.BusyHours(gpu_hours=5e3, time="wall"), ts.Goodput(0.95), ts.Rental(usd_per_gpu_hour=2.0, region="us"), ts.Plan(pp=4))
    yield from (ts.normal(0, 1), ts.ci90(1, 2, 4), ts.mixture([ts.uniform(0, 1), ts.beta(2, 3)]), ts.normal(0, 1).truncate(0))


@pytest.mark.parametrize("spec", list(members()), ids=repr)
def test_any_spec_can_be_saved_alone(spec: ts.Spec, tmp_path: Path) -> None:
    spec.save(tmp_path / "spec.toml")
    assert type(spec).load(tmp_path / "spec.toml") == spec
