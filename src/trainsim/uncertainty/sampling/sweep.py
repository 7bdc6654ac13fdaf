"""The sweep: a function evaluated at fixed shards of the points, here or wherever an executor runs them."""

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
"""Points evaluated at once: enough that the function's own overhead is spread thin, few enough for the cache and for memory."""
SHARDS = 64
"""A large sweep is cut into this many shards, whatever runs them."""

Function = Callable[[Any], Any]
Progress = Callable[[int, int], None]
Range = tuple[int, int, int, int]
"""Replicates from, to; points of each from, to."""


class Executor(Protocol):
    """Anything that maps a function over shards: threads, processes, loky, MPI futures, Dask's get_executor()."""

    def map(self, function: Callable[[Any], Any], shards: Iterable[Any], /) -> Iterable[Any]:
        """The results, in the order of the shards."""


@dataclass(frozen=True)
class Study:
    """What is asked, small enough to send anywhere.

    Args:
        spec, beliefs, function: what is laid over what, and put through what.
        seed: the one seed.
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
        """What was asked, without what was found from it: a worker finds that again, and keeps it."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @cached_property
    def resolved(self) -> Resolved:
        """The beliefs laid over the spec."""
        return _resolved(self.spec, self.beliefs)

    @cached_property
    def points(self) -> Points:
        """The points to draw at."""
        return _points(self.spec, self.beliefs, self.seed, self.replicates)


@lru_cache(maxsize=8)
def _resolved(spec: Spec, beliefs: Beliefs) -> Resolved:
    return beliefs.resolve(spec)


@lru_cache(maxsize=4)
def _points(spec: Spec, beliefs: Beliefs, seed: int, replicates: int) -> Points:
    return _resolved(spec, beliefs).points(seed, replicates)


class ShardReducer(Protocol):
    """What is made of a shard."""

    def __call__(self, study: Study, shard: Range) -> Any:
        """What is sent back; must depend on nothing but its arguments."""


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
    """Every shard's reducer, in the order of the shards, as they come in.

    Args:
        study: what is asked.
        reducer: what to make of a shard.
        start, stop: points of each replicate; powers of two, or start = 0.
        executor: where to run; here if None.
        progress: called with points done and points in all.

    Raises:
        BeliefError: the executor failed, or gave back something else than was asked.
    """
    shards = list(cut(study.replicates, start, stop))
    replies = map(_Task(study, reducer), shards) if executor is None else _mapped(executor, _Task(study, reducer), shards)
    done, total = 0, (stop - start) * study.replicates
    for shard, reply in zip(shards, replies, strict=False):  # a count that is off is the executor's fault, and told so
        if not isinstance(reply, _Reply) or reply.shard != shard:
            raise BeliefError(
                "executor",
                reply,
                "gave back something else than the shard it was sent",
                "its map() must return results in order",
                "callback-failed",
            )
        yield shard, reply.result
        done += (shard[1] - shard[0]) * (shard[3] - shard[2])
        if progress is not None:
            progress(done, total)
    if next(iter(replies), None) is not None:
        raise BeliefError(
            "executor", type(executor).__name__, "gave back more results than shards", "its map() must give one for each", "callback-failed"
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
        raise BeliefError("executor", type(executor).__name__, f"broke down ({error})", remedy, "callback-failed") from error
    except (PicklingError, AttributeError, TypeError) as error:
        if "pickle" not in str(error).lower():
            raise
        raise BeliefError(
            "function", task.study.function, f"can't be sent to a worker ({error})", "define it at the top of a module", "callback-failed"
        ) from error
    if count != len(shards):
        raise BeliefError(
            "executor", type(executor).__name__, f"gave back {count} results for {len(shards)} shards", remedy, "callback-failed"
        )


def cut(replicates: int, start: int, stop: int) -> Iterator[Range]:
    """The shards of a sweep: they depend on its size alone, never on who runs them."""
    length = stop - start
    together = max(1, BLOCK // length)
    pieces = max(1, min(SHARDS // replicates, length // BLOCK))
    pieces = 1 << (pieces.bit_length() - 1)
    for first in range(0, replicates, together):
        for piece in range(pieces):
            yield first, min(first + together, replicates), start + length * piece // pieces, start + length * (piece + 1) // pieces


def blocks(study: Study, shard: Range) -> Iterator[tuple[int, Array]]:
    """The points of a shard a block at a time: (replicates in it, points (d, n))."""
    first, last, start, stop = shard
    for u in study.points.blocks(slice(first, last), start, stop, BLOCK):
        yield last - first, u


def evaluate(study: Study, drawn: Mapping[str, Array], count: int, outputs: Sequence[str]) -> dict[str, Array]:
    """The function's outputs at draws.

    Args:
        study: what is asked.
        drawn: path → draws of laws that have met their fields, shape (count,).
        count: how many draws.
        outputs: the outputs and ledger lines to keep; all outputs if empty.

    Returns:
        name → values, shape (count,).

    Raises:
        BeliefError: no finite answer to a draw; says which.
    """
    answers = study.function(Batch(study.spec, drawn, arrays=ArrayPolicy.TRUSTED).spec)
    named: Mapping[str, Any] = answers if isinstance(answers, Mapping) else {"value": answers}
    if not named:
        raise BeliefError("function", answers, "gave no output", "return an array, or {name: array or Ledger}", "callback-failed")
    kept = {name: _numbers(pick(named, name), name, count) for name in outputs or named}
    for name, values in kept.items():
        if not np.isfinite(values.sum()) and not np.all(finite := np.isfinite(values)):
            bad = int(np.argmin(finite))
            inputs = ", ".join(f"{path}={float(draws[bad])!r}" for path, draws in drawn.items())
            rule = f"is what the function gave to the draw {inputs}"
            raise BeliefError(
                name, float(values[bad]), rule, "narrow or truncate that belief, or let the function answer there", "not-finite"
            )
    return kept


def pick(answers: Mapping[str, Any], name: str) -> Any:
    """An output by name, or a line of its ledger by dotted path.

    Raises:
        PathError: no such output or line.
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
    raise PathError(name, name, "is no output of the function", did_you_mean(name, answers, "its outputs"))


def _numbers(values: Any, name: str, count: int) -> Array:
    try:
        if np.iscomplexobj(values):
            raise TypeError
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BeliefError(
            name, type(values).__name__, "is no number or array of numbers", "return arrays of draws, or Ledgers", "callback-failed"
        ) from None
    if array.shape not in {(), (count,)}:
        rule = f"is not one number for each of the {count} draws"
        raise BeliefError(name, array.shape, rule, "write the function so that it broadcasts over arrays (n,)", "callback-failed")
    return np.broadcast_to(array, (count,))
