"""Evaluate a function at fixed shards of the points, locally or on an executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pickle import PicklingError
from typing import Any, Protocol

import numpy as np

from trainsim.core.batch import Batch
from trainsim.core.errors import BeliefError, PathError, did_you_mean
from trainsim.core.ledger import Ledger
from trainsim.core.spec import Spec
from trainsim.core.units import ArrayPolicy

from ..beliefs.beliefs import Beliefs, Resolved
from ..distributions.distribution import Array
from .sobol import Points

BLOCK = 1 << 15
"""Points evaluated at once: enough to amortise the overhead of a call, few enough for the cache."""
SHARDS = 64
"""Number of shards of a large sweep, independent of the executor."""

Function = Callable[[Any], Any]
Progress = Callable[[int, int], None]
Range = tuple[int, int, int, int]
"""(first replicate, end replicate, first point, end point)."""


class Executor(Protocol):
    """Protocol of executors: threads, processes, loky, MPI futures, Dask's get_executor()."""

    def map(self, function: Callable[[Any], Any], shards: Iterable[Any], /) -> Iterable[Any]:
        """Results in the order of the shards."""


@dataclass(frozen=True)
class Study:
    """Inputs of a simulation, small enough to send to workers.

    Args:
        spec, beliefs, function: spec, beliefs about it, and function to evaluate.
        seed: seed of the draws.
        replicates: independent randomisations.
        outputs: outputs and ledger lines to keep; all outputs if empty.
    """

    spec: Spec
    beliefs: Beliefs
    function: Function
    seed: int
    replicates: int
    outputs: tuple[str, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without cached properties, which workers recompute."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @cached_property
    def resolved(self) -> Resolved:
        """The beliefs resolved against the spec."""
        return _resolved(self.spec, self.beliefs)

    @cached_property
    def points(self) -> Points:
        """The points of the draws."""
        return _points(self.spec, self.beliefs, self.seed, self.replicates)


@lru_cache(maxsize=8)
def _resolved(spec: Spec, beliefs: Beliefs) -> Resolved:
    return beliefs.resolve(spec)


@lru_cache(maxsize=4)
def _points(spec: Spec, beliefs: Beliefs, seed: int, replicates: int) -> Points:
    return _resolved(spec, beliefs).points(seed, replicates)


class ShardReducer(Protocol):
    """Protocol of reducers: reduce a shard to a result that is sent back."""

    def __call__(self, study: Study, shard: Range) -> Any:
        """Result of a shard; must depend only on the arguments."""


@dataclass(frozen=True)
class _Task:
    study: Study
    reducer: ShardReducer

    def __call__(self, shard: Range) -> Any:
        return _Reply(shard, self.reducer(self.study, shard))


@dataclass(frozen=True)
class _Reply:
    shard: Range
    result: Any


def sweep(
    study: Study, reducer: ShardReducer, start: int, stop: int, *, executor: Executor | None, progress: Progress | None
) -> Iterator[tuple[Range, Any]]:
    """Results of a reducer for every shard, in order, as they arrive.

    Args:
        study: the study.
        reducer: reduces a shard to a result.
        start, stop: range of points per replicate; powers of two, or start = 0.
        executor: executor; None to run locally.
        progress: called with points done and total points.

    Raises:
        BeliefError: the executor failed, or returned wrong results.
    """
    shards = list(shards_of(study.replicates, start, stop))
    replies = map(_Task(study, reducer), shards) if executor is None else _mapped(executor, _Task(study, reducer), shards)
    done, total = 0, (stop - start) * study.replicates
    for shard, reply in zip(shards, replies, strict=False):  # a wrong count is reported as an error of the executor
        if not isinstance(reply, _Reply) or reply.shard != shard:
            raise BeliefError(
                "executor",
                reply,
                "returned a result for another shard than it was sent",
                "its map() must return results in order",
                "callback-failed",
            )
        yield shard, reply.result
        done += (shard[1] - shard[0]) * (shard[3] - shard[2])
        if progress is not None:
            progress(done, total)
    if next(iter(replies), None) is not None:
        raise BeliefError(
            "executor",
            type(executor).__name__,
            "returned more results than shards",
            "its map() must return one per shard",
            "callback-failed",
        )


def _mapped(executor: Executor, task: _Task, shards: Sequence[Range]) -> Iterator[Any]:
    remedy = "run again, with another executor or none; the result will be the same"
    if not callable(getattr(executor, "map", None)):
        raise BeliefError(
            "executor", executor, "has no map()", "give a concurrent.futures executor, or Dask's Client(...).get_executor()", "wrong-type"
        )
    count = 0
    try:
        for reply in executor.map(task, shards):
            count += 1
            yield reply
    except BrokenExecutor as error:
        raise BeliefError("executor", type(executor).__name__, f"failed ({error})", remedy, "callback-failed") from error
    except (PicklingError, AttributeError, TypeError) as error:
        if not any(words in str(error).lower() for words in ("pickle", "local object")):  # "local object" since Python 3.13
            raise
        raise BeliefError(
            "function", task.study.function, f"can't be sent to a worker ({error})", "define it at the top of a module", "callback-failed"
        ) from error
    if count != len(shards):
        raise BeliefError(
            "executor", type(executor).__name__, f"returned {count} results for {len(shards)} shards", remedy, "callback-failed"
        )


def shards_of(replicates: int, start: int, stop: int) -> Iterator[Range]:
    """Shards of a sweep; they depend only on its size."""
    length = stop - start
    together = max(1, BLOCK // length)
    pieces = max(1, min(SHARDS // replicates, length // BLOCK))
    pieces = 1 << (pieces.bit_length() - 1)
    for first in range(0, replicates, together):
        for piece in range(pieces):
            yield first, min(first + together, replicates), start + length * piece // pieces, start + length * (piece + 1) // pieces


def blocks(study: Study, shard: Range) -> Iterator[tuple[int, Array]]:
    """Points of a shard in blocks: (number of replicates, points (d, n))."""
    first, last, start, stop = shard
    for u in study.points.blocks(slice(first, last), start, stop, BLOCK):
        yield last - first, u


def drawn_spec(spec: Spec, drawn: Mapping[str, Array]) -> Spec:
    """The spec with draws at some paths, whose distributions lie within the bounds of the fields."""
    return Batch(spec, drawn, arrays=ArrayPolicy.TRUSTED).spec


def evaluate(study: Study, drawn: Mapping[str, Array], count: int, outputs: Sequence[str], spec: Spec | None = None) -> dict[str, Array]:
    """Outputs of the function at draws.

    Args:
        study: the study.
        drawn: path → draws, shape (count,).
        count: number of draws.
        outputs: the outputs and ledger lines to keep; all outputs if empty.
        spec: the study's spec with the draws; None to make it.

    Returns:
        name → values, shape (count,).

    Raises:
        BeliefError: the result of a draw is not finite; the error names the draw.
    """
    answers = study.function(drawn_spec(study.spec, drawn) if spec is None else spec)
    named: Mapping[str, Any] = answers if isinstance(answers, Mapping) else {"value": answers}
    if not named:
        raise BeliefError("function", answers, "returned no output", "return an array, or {name: array or Ledger}", "callback-failed")
    kept = {name: _numbers(pick_output(named, name), name, count) for name in outputs or named}
    for name, values in kept.items():
        if not np.isfinite(values.sum()) and not np.all(finite := np.isfinite(values)):
            bad = int(np.argmin(finite))
            inputs = ", ".join(f"{path}={float(draws[bad])!r}" for path, draws in drawn.items())
            rule = f"is the function's result for the draw {inputs}"
            raise BeliefError(
                name, float(values[bad]), rule, "narrow or truncate that belief, or make the function finite there", "not-finite"
            )
    return kept


def pick_output(answers: Mapping[str, Any], name: str) -> Any:
    """Find an output by name, or a line of its ledger by dotted path.

    Raises:
        PathError: there is no such output or line.
    """
    head, rest = name, ""
    while head:
        if head in answers:
            found = answers[head]
            if not rest:
                return found.total if isinstance(found, Ledger) else found
            if isinstance(found, Ledger):
                return found.part(rest).total
        head, _, tail = head.rpartition(".")
        rest = f"{tail}.{rest}" if rest else tail
    raise PathError(name, name, "is not an output of the function", did_you_mean(name, answers, "its outputs"))


def _numbers(values: Any, name: str, count: int) -> Array:
    try:
        if np.iscomplexobj(values):
            raise TypeError
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BeliefError(
            name, type(values).__name__, "is not a number or array of numbers", "return arrays of draws, or Ledgers", "callback-failed"
        ) from None
    if array.shape not in {(), (count,)}:
        rule = f"is not one number for each of the {count} draws"
        raise BeliefError(name, array.shape, rule, "write the function so that it broadcasts over arrays (n,)", "callback-failed")
    return np.broadcast_to(array, (count,))
