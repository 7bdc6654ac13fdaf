"""Results are equal to the bit for all executors."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainsim.core.errors import BeliefError
from trainsim.core.units import Num
from trainsim.testing import refused
from trainsim.uncertainty.sampling.engine import simulate
from trainsim.uncertainty.sampling.reference import BELIEFS, ReferenceRun, cost
from trainsim.uncertainty.sampling.simulation import Simulation

N = 1 << 20
"""Number of points for which draws are counted in shards."""


def numbers(sim: Simulation) -> tuple[Any, ...]:
    """All figures of a simulation, with all digits."""
    figures = (*sim.quantile("value", [0.001, 0.05, 0.5, 0.95, 0.999]), sim.mean("value"), sim.probability("value", below=6e6))
    return tuple((float(f).hex(), f.standard_error.hex()) for f in figures)


@pytest.fixture(scope="module")
def alone() -> tuple[Any, ...]:
    return numbers(simulate(ReferenceRun(), BELIEFS, cost, n=N, seed=5))


def processes(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("forkserver"))


@pytest.mark.parametrize("make", [*(lambda k=k: ThreadPoolExecutor(k) for k in (1, 2, 3)), *(lambda k=k: processes(k) for k in (1, 2))])
def test_threads_and_processes_give_the_serial_numbers(make: Callable[[], Executor], alone: tuple[Any, ...]) -> None:
    with make() as executor:
        assert numbers(simulate(ReferenceRun(), BELIEFS, cost, n=N, seed=5, executor=executor)) == alone


def test_an_accuracy_run_is_the_same_on_threads() -> None:
    with ThreadPoolExecutor(2) as executor:
        there = simulate(ReferenceRun(), BELIEFS, cost, rtol=1e-4, seed=5, executor=executor)
    assert numbers(there) == numbers(simulate(ReferenceRun(), BELIEFS, cost, rtol=1e-4, seed=5))


def test_loky_gives_the_serial_numbers(alone: tuple[Any, ...]) -> None:
    loky = pytest.importorskip("loky")
    executor = loky.get_reusable_executor(max_workers=2)
    try:
        assert numbers(simulate(ReferenceRun(), BELIEFS, cost, n=N, seed=5, executor=executor)) == alone
    finally:
        executor.shutdown(wait=True)


@contextmanager
def dask(workers: int) -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("workers", [1, 2])
def test_dask_gives_the_serial_numbers(workers: int, alone: tuple[Any, ...]) -> None:
    with dask(workers) as client:
        assert numbers(simulate(ReferenceRun(), BELIEFS, cost, n=N, seed=5, executor=client.get_executor(pure=False))) == alone


def kills_once(flag: Path) -> Callable[[ReferenceRun], Num]:
    """The cost of a run; the first worker to reach a marked price is killed, once.

    A nested function is sent by value, so workers need not import this file.
    """

    def costing(bench: ReferenceRun) -> Num:
        if np.max(bench.price) > 5.5 and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return cost(bench)

    return costing


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_dask_survives_a_killed_worker_with_the_same_numbers(tmp_path: Path, alone: tuple[Any, ...]) -> None:
    with dask(2) as client:
        sim = simulate(ReferenceRun(), BELIEFS, kills_once(tmp_path / "killed"), n=N, seed=5, executor=client.get_executor(pure=False))
        assert (tmp_path / "killed").exists()
        assert numbers(sim) == alone


class Rubbish:
    """An executor that returns other objects than results."""

    def map(self, _: Callable[[Any], Any], shards: Iterable[Any]) -> Iterable[Any]:
        return [None for _ in shards]


class Short:
    """An executor that loses a result."""

    def map(self, function: Callable[[Any], Any], shards: Iterable[Any]) -> Iterable[Any]:
        return [function(shard) for shard in shards][:-1]


class Shuffled:
    """An executor that gives results in another order."""

    def map(self, function: Callable[[Any], Any], shards: Iterable[Any]) -> Iterable[Any]:
        return [function(shard) for shard in shards][::-1]


@pytest.mark.parametrize(
    ("executor", "word"),
    [
        (Rubbish(), ("callback-failed", "executor")),
        (Short(), ("callback-failed", "executor")),
        (Shuffled(), ("callback-failed", "executor")),
        (object(), ("wrong-type", "executor")),
    ],
)
def test_an_executor_that_misbehaves_is_named(executor: Any, word: tuple[str, str]) -> None:
    with refused(BeliefError, *word):
        simulate(ReferenceRun(), BELIEFS, cost, n=N, executor=executor)


def die(_: ReferenceRun) -> Num:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_a_pool_whose_worker_dies_is_named() -> None:
    with processes(1) as executor, refused(BeliefError, "callback-failed", "executor"):
        simulate(ReferenceRun(), BELIEFS, DieAway(), n=N, executor=executor)


class DieAway:
    """The cost in this process; any other process is killed."""

    def __init__(self) -> None:
        self.home = os.getpid()

    def __call__(self, bench: ReferenceRun) -> Num:
        return cost(bench) if os.getpid() == self.home else die(bench)


def test_a_function_that_cannot_be_pickled_is_named() -> None:
    with processes(1) as executor, refused(BeliefError, "callback-failed", "function"):
        simulate(ReferenceRun(), BELIEFS, lambda bench: cost(bench), n=N, executor=executor)


def test_progress_ends_at_the_total() -> None:
    seen: list[tuple[int, int]] = []
    simulate(ReferenceRun(), BELIEFS, cost, n=N, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (N, N)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_an_interrupt_leaves_no_worker_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    executor = ThreadPoolExecutor(2)
    with pytest.raises(KeyboardInterrupt):
        simulate(ReferenceRun(), BELIEFS, cost, n=N, executor=executor, progress=stop)
    executor.shutdown(wait=True)
    assert not list(tmp_path.iterdir())
