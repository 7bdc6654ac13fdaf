"""Jobs: questions are computed one at a time, report their progress, and can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from trainsim.app.jobs import WAITING, Job, Jobs, Report, Stopped
from trainsim.core.errors import EstimateError


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs()
    yield made
    made.close()


def endless(report: Report) -> None:
    for i in range(10**9):
        report("counting", i, 10**9)
        threading.Event().wait(0.001)


def test_one_question_is_worked_on_once(jobs: Jobs) -> None:
    calls: list[int] = []
    first = jobs.job("a", lambda _: calls.append(1))
    assert first.finished(10)
    assert jobs.job("a", lambda _: calls.append(2)) is first
    assert calls == [1]


def test_a_stopped_question_ends_at_its_next_report_and_the_next_one_starts(jobs: Jobs) -> None:
    long, after = jobs.job("long", endless), jobs.job("after", lambda _: "done")
    while not long.progress.total:
        assert not long.finished(0.01)
    assert not after.finished()
    jobs.stop("long")
    assert after.future.result(timeout=10) == "done"
    assert isinstance(long.future.exception(), Stopped)
    assert jobs.find("long") is None


def test_a_question_stopped_before_its_turn_never_starts(jobs: Jobs) -> None:
    calls: list[str] = []
    jobs.job("long", endless)
    jobs.job("waiting", lambda _: calls.append("started"))
    jobs.stop("waiting")
    jobs.stop("long")
    assert jobs.job("last", lambda _: None).finished(10)
    assert calls == []


def test_an_error_is_kept_for_its_question(jobs: Jobs) -> None:
    def wrong(_: Report) -> None:
        raise EstimateError("x", 1, "is wrong", "mend it")

    assert isinstance(jobs.job("wrong", wrong).future.exception(timeout=10), EstimateError)


def test_only_so_many_questions_wait(jobs: Jobs) -> None:
    for i in range(WAITING):
        jobs.job(i, endless)
    with pytest.raises(EstimateError) as caught:
        jobs.job("one more", endless)
    assert caught.value.rule_id == "too-large"
    assert jobs.job(0, endless) is jobs.find(0)


def test_closing_stops_everything() -> None:
    jobs = Jobs()
    job = jobs.job("long", endless)
    jobs.close()
    assert job.finished()


def test_a_report_after_the_stop_raises() -> None:
    job = Job(lambda _: None)
    job.report("x", 1, 2)
    assert (job.progress.words, job.progress.done, job.progress.total) == ("x", 1, 2)
    job.stop()
    with pytest.raises(Stopped):
        job.report("y")
