"""Families: a new process finds every member by its kind, former kinds are still read, and no file triggers an import."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import trainsim
import trainsim as ts
from trainsim.core.family import Family
from trainsim.core.registry import find_member, kind_of, members
from trainsim.core.spec import Spec, _units
from trainsim.testing import refused
from trainsim.testing.laws import modules

OLD: dict[str, dict[str, dict[str, Any]]] = tomllib.loads((Path(__file__).parent / "old_kinds.toml").read_text(encoding="utf-8"))


def faces() -> dict[str, type[Family]]:
    """Every family of the library, by the name of its base class."""
    list(modules(trainsim, leave_out=("cli", "__main__")))
    return {face.__name__: face for face in Family.__subclasses__() if face.__module__.startswith("trainsim.")}


MEMBERS = [(name, kind) for name, face in faces().items() for kind, cls in members(face).items() if cls.__module__.startswith("trainsim.")]
LOAD = """
import importlib, sys
module, face, path = sys.argv[1:]
print(repr(getattr(importlib.import_module(module), face).load(path)))
"""


def example(cls: type[Spec]) -> Spec:
    """A member as saved by an earlier version, or with a simple value in every required field."""
    face = next(name for name, one in faces().items() if issubclass(cls, one)) if issubclass(cls, Family) else ""
    kept = OLD.get(face, {}).get(kind_of(cls))
    return cls(**kept) if kept is not None else cls(**{n: plainest(cls, n) for n, f in cls.model_fields.items() if f.is_required()})


def plainest(cls: type[Spec], name: str) -> Any:
    unit = _units(cls).get(name)
    if unit is not None:
        low, high = max(unit.low, 0.0), min(unit.high, 4.0)
        return (low + high) / 2
    annotation = cls.model_fields[name].annotation
    if isinstance(annotation, type) and issubclass(annotation, Family):
        return example(next(one for one in members(annotation).values() if issubclass(one, Spec)))
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return example(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in {tuple, Sequence}:
        return ()
    return {int: 8, str: "a", bool: True, float: 0.5}[annotation]  # type: ignore[index]


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kinds in OLD.items() for kind in kinds])
def test_an_old_kind_is_still_read(name: str, kind: str) -> None:
    face = faces()[name]
    spec = find_member(face, kind, "kind")(**OLD[name][kind])
    assert isinstance(spec, face)
    assert type(spec)(**spec.to_dict()) == spec


@pytest.mark.parametrize(("name", "kind"), MEMBERS)
def test_a_member_saved_is_loaded_by_a_new_process(name: str, kind: str, tmp_path: Path) -> None:
    face = faces()[name]
    spec = example(find_member(face, kind, "kind"))
    spec.save(tmp_path / "spec.toml")
    command = [sys.executable, "-c", LOAD, face.__module__, name, str(tmp_path / "spec.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (our own line)
    assert done.stdout.strip() == repr(spec), done.stderr


# hostile files ------------------------------------------------------------------------------------------------------------

EVIL = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\nclass Class: pass\n"
KINDS = (
    "evil:Class", "evil:", "evil:Class.mro", "evil.inner:Class", ":Class", ".evil:Class", "..:x", "evil", "os:system", "builtins:eval",
    "scipy:stats.norm", "trainsim.core.errors:did_you_mean", "trainsim.run.run:Run", "__class__", "mro", "Attention", "evil:Class\n", " ",
)  # fmt: skip


def bodies(kind: str) -> Iterator[tuple[str, Callable[[Path], Any], str]]:
    """Files that name a kind, for each reader of kinds: name, reader, text."""
    word = json.dumps(kind)
    run = ts.catalog.run("deepseek-v3").to_dict()
    price = run | {"price": {"kind": kind}}
    block = {"attention": {"kind": kind}, "ffn": {"kind": kind}}
    deep = run | {"model": run["model"] | {"stack": [{"name": "a", "count": 1, "block": block}]}}
    phase = run | {"phases": [{"name": "p", "efficiency": {"kind": kind}}]}
    yield "top.toml", ts.load, f"spec = {word}\n"
    for name, data in {"nested": price, "deep": deep, "listed": phase}.items():
        yield f"{name}.json", ts.load, json.dumps({"spec": "Run", **data})
    beliefs = {"a": {"kind": kind}}, {"a": {"kind": "Mixture", "laws": [{"kind": kind}], "weights": [1.0]}}
    for i, belief in enumerate(beliefs):
        yield f"beliefs{i}.json", ts.Beliefs.load, json.dumps({"beliefs": belief})
    pair = {"a ~ b": {"kind": kind, "rho": 0.5}}
    yield "correlated.json", ts.Beliefs.load, json.dumps({"correlated": pair})
    yield "beliefs.toml", ts.Beliefs.load, f"[beliefs.a]\nkind = {word}\n"
    if kind.strip():
        yield "beliefs.csv", ts.Beliefs.load, f"path,kind,p5,p95\na,{kind.strip()},1,2\n"


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_kind_imports_nothing(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil.py").write_text(EVIL, encoding="utf-8")
    (tmp_path / "files").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    for face in faces().values():
        members(face)
    for name, read, text in bodies(kind):
        path = tmp_path / "files" / name
        path.write_text(text, encoding="utf-8")
        before = set(sys.modules)
        with refused() as found:
            read(path)
        assert found.error.rule_id in {"untrusted", "unknown-kind", "control-character", "missing", "wrong-type"}, name
        tops = {module.partition(".")[0] for module in set(sys.modules) - before}
        assert tops <= {"trainsim", "encodings"}, name
    assert "evil" not in sys.modules
    assert not (tmp_path / "ran").exists()


def test_a_user_class_is_loaded_if_its_module_is_trusted(tmp_path: Path) -> None:
    """Runs in a new process: the module that the file names is imported once it is trusted."""
    (tmp_path / "my_prices.py").write_text(PRICE, encoding="utf-8")
    (tmp_path / "use.py").write_text(USE, encoding="utf-8")
    for step in ("save", "load"):
        done = subprocess.run([sys.executable, "use.py", step], cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
        assert done.returncode == 0, done.stderr


PRICE = '''
"""A price of one's own, in one file."""
from typing import Annotated

import trainsim as ts
from trainsim.cost.price import Price


class Spot(Price):
    """Spot machines: a rent, and the share of hours that is lost to preemption."""

    usd_per_gpu_hour: Annotated[ts.Num, ts.Unit("USD/GPU-h", "rent", gt=0)]
    lost: Annotated[ts.Num, ts.Unit("", "share of hours lost", ge=0, lt=1)] = 0.1

    def rate(self):
        return ts.Ledger("USD/GPU-h", {"spot": self.usd_per_gpu_hour / (1 - self.lost)})
'''
USE = """
import sys
import trainsim as ts

if sys.argv[1] == "save":
    import my_prices
    run = ts.catalog.run("deepseek-v3").replace({"price": my_prices.Spot(usd_per_gpu_hour=1.8)})
    assert abs(ts.estimate(run).cost.total / ts.estimate(run).gpu_hours - 2.0) < 1e-9
    sim = ts.simulate(run, ts.Beliefs({"price.lost": ts.uniform(0.05, 0.15)}), n=64)
    assert sim.quantile("cost", 0.95) > sim.quantile("cost", 0.05)
    run.save("run.toml")
    assert ts.load("run.toml") == run
else:
    try:
        ts.load("run.toml")
    except ts.TrainsimError as error:
        assert (error.path, error.value, error.rule_id) == ("price.kind", "my_prices:Spot", "untrusted"), error
        assert 'trusted=("my_prices",)' in error.remedy
    else:
        raise AssertionError("a module was imported that nobody named")
    assert "my_prices" not in sys.modules
    run = ts.load("run.toml", trusted=("my_prices",))
    assert type(run.price).__module__ == "my_prices"
    assert ts.estimate(run).cost.total > 0
"""


def test_kinds_are_bare_here_and_import_paths_elsewhere() -> None:
    assert kind_of(ts.Rental) == "Rental"
    assert kind_of(type("Own", (ts.Rental,), {"__module__": "mine"})) == "mine:Own"
