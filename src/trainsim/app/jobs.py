"""Jobs: questions that are computed one at a time; each shows its progress and can be stopped."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from ..core.errors import EstimateError

KEPT = 64
"""Largest number of stored answers."""
WAITING = 8
"""Largest number of unfinished questions."""
Report = Callable[..., None]
"""Function of the current work in words, the amount done and the total."""
Work = Callable[[Report], Any]


class Stopped(BaseException):
    """The reader stopped the work. This is not an ``Exception``, so that no part of the work catches it as a failure."""


@dataclass(frozen=True)
class Progress:
    """Progress of a question.

    Args:
        words: the current work.
        done, total: amount done, and in total; a total of 0 is unknown.
    """

    words: str = "waiting for another question"
    done: int = 0
    total: int = 0


class Job:
    """One question being computed.

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
        """Record the progress.

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
        """Whether the answer is ready; waits for it at most some seconds [s]."""
        return bool(wait((self.future,), timeout=seconds).done)


class Jobs:
    """Unfinished and answered questions, by the query of their URL. They are computed one at a time, in order of arrival.

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
        """The job of a question; started if there is none.

        Raises:
            EstimateError: too many questions wait.
        """
        with self._lock:
            if key not in self._jobs:
                unfinished = sum(not job.finished() for job in self._jobs.values())
                if unfinished >= WAITING:
                    raise EstimateError(
                        "questions",
                        unfinished,
                        "are unfinished, the most that may wait",
                        "stop one of them, or ask again later",
                        "too-large",
                    )
                self._jobs[key] = Job(work)
                self._jobs[key].future = self._pool.submit(self._jobs[key].run)
            self._jobs.move_to_end(key)
            for old in [k for k, job in self._jobs.items() if job.finished()][:-KEPT]:
                del self._jobs[old]
            return self._jobs[key]

    def find(self, key: Hashable) -> Job | None:
        """The job of a question; None if there is none."""
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
