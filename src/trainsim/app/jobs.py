"""Jobs: questions in work, one at a time; each shows its progress and can be stopped."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from ..core.errors import EstimateError

KEPT = 64
"""Finished answers that are kept."""
WAITING = 8
"""Questions that may be unfinished at once."""
Report = Callable[..., None]
"""Takes what is being done, how much of it is done and how much there is to do."""
Work = Callable[[Report], Any]


class Stopped(BaseException):
    """The reader stopped the work. It is no Exception, so that no part of the work takes it for a failure of its own."""


@dataclass(frozen=True)
class Progress:
    """How far a question is.

    Args:
        words: what is being done.
        done, total: how much of it is done, and how much there is to do; a total of 0 is unknown.
    """

    words: str = "waiting for another question"
    done: int = 0
    total: int = 0


class Job:
    """One question in work.

    Args:
        work: computes the answer; it calls the function it is given, which raises :class:`Stopped` once the job is stopped.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._stopped = threading.Event()
        self.progress = Progress()
        self.future: Future[Any] = Future()

    def run(self) -> Any:
        """Compute the answer."""
        self.report("reading the question")
        return self._work(self.report)

    def report(self, words: str, done: int = 0, total: int = 0) -> None:
        """Note the progress.

        Raises:
            Stopped: the job was stopped.
        """
        if self._stopped.is_set():
            raise Stopped
        self.progress = Progress(words, done, total)

    def stop(self) -> None:
        """Stop at the next report."""
        self._stopped.set()
        self.future.cancel()

    def finished(self, seconds: float = 0.0) -> bool:
        """Whether the answer is there, at the latest after some seconds [s]."""
        return bool(wait((self.future,), timeout=seconds).done)


class Jobs:
    """Questions in work and answered ones, by their address. They are worked on one at a time, in the order in which they came.

    >>> jobs = Jobs()
    >>> jobs.job("a question", lambda report: 42).future.result()
    42
    >>> jobs.close()
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trainsim-app")
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()
        self._lock = threading.Lock()

    def job(self, key: Hashable, work: Work) -> Job:
        """The job of a question; it starts where there is none.

        Raises:
            EstimateError: too many questions wait.
        """
        with self._lock:
            if key not in self._jobs:
                unfinished = sum(not job.finished() for job in self._jobs.values())
                if unfinished >= WAITING:
                    raise EstimateError("", "", f"waits behind {unfinished} questions", "stop one of them, or ask again later", "too-large")
                self._jobs[key] = Job(work)
                self._jobs[key].future = self._pool.submit(self._jobs[key].run)
            self._jobs.move_to_end(key)
            for old in [k for k, job in self._jobs.items() if job.finished()][:-KEPT]:
                del self._jobs[old]
            return self._jobs[key]

    def find(self, key: Hashable) -> Job | None:
        """The job of a question; None where there is none."""
        with self._lock:
            return self._jobs.get(key)

    def stop(self, key: Hashable) -> None:
        """Stop a question and forget it."""
        with self._lock:
            job = self._jobs.pop(key, None)
        if job is not None:
            job.stop()

    def close(self) -> None:
        """Stop all questions and end the worker."""
        for key in list(self._jobs):
            self.stop(key)
        self._pool.shutdown(wait=True, cancel_futures=True)
