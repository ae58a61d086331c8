"""Named operations and their back-off (OPERATIONS-1 to OPERATIONS-6; OP-1 to OP-6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.operations import Operations, aside
from pvbinder.model.errors import PvbinderError

NAME = "delete-disk-1[uid-1]"
START = datetime(2026, 3, 1, tzinfo=UTC)


def clock() -> datetime:
    return START + timedelta(seconds=asyncio.get_running_loop().time())


class Work:
    """Operations that take a second and fail as often as they are told."""

    def __init__(self, failures: int = 0, error: Exception | None = None) -> None:
        self.failures = failures
        self.error = error or PvbinderError("disk is in use")
        self.started: list[float] = []
        self.at_once = self.most_at_once = 0

    async def __call__(self) -> None:
        self.started.append(asyncio.get_running_loop().time())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(1)
            if self.failures:
                self.failures -= 1
                raise self.error
        finally:
            self.at_once -= 1


@on_virtual_time
async def test_operations_1_a_running_name_is_refused() -> None:
    work = Work()
    async with Operations() as operations:
        assert operations.start(NAME, work)
        assert not operations.start(NAME, work)
        await asyncio.sleep(0.5)
        assert not operations.start(NAME, work)
        assert operations.is_running(NAME)
        assert operations.start("another", work)
        await operations.wait_idle()
        assert operations.start(NAME, work)
        await operations.wait_idle()

    assert work.started == [0.0, 0.5, 1.5]
    assert operations.statistics().refused == 2


@on_virtual_time
async def test_operations_1_errors_in_a_row_double_the_wait_up_to_its_limit() -> None:
    work = Work(failures=11)
    waits = []
    async with Operations() as operations:
        for _ in range(11):
            assert operations.start(NAME, work)
            await operations.wait_idle()
            seconds = operations.seconds_until_retry(NAME)
            assert seconds is not None
            waits.append(seconds)
            await asyncio.sleep(seconds)

    assert waits == pytest.approx([0.5, 1, 2, 4, 8, 16, 32, 64, 122, 122, 122], abs=0.002)


@on_virtual_time
async def test_operations_1_at_the_very_moment_it_is_still_refused() -> None:
    async with Operations() as operations:
        operations.start(NAME, Work(failures=1))
        await operations.wait_idle()
        await asyncio.sleep(0.5)
        assert not operations.start(NAME, Work())
        await asyncio.sleep(0.0001)
        assert operations.start(NAME, Work())


@on_virtual_time
async def test_operations_2_success_forgets() -> None:
    work = Work(failures=2)
    async with Operations(now=clock) as operations:
        for pause in (0.6, 1.1, 0.0):
            operations.start(NAME, work)
            await operations.wait_idle()
            await asyncio.sleep(pause)
        assert operations.seconds_until_retry(NAME) is None
        work.failures = 1
        operations.start(NAME, work)
        await operations.wait_idle()
        assert operations.seconds_until_retry(NAME) == pytest.approx(0.501)


@on_virtual_time
async def test_operations_2_another_name_starts_fresh() -> None:
    async with Operations() as operations:
        operations.start(NAME, Work(failures=1))
        await operations.wait_idle()

        assert operations.start("delete-disk-1[uid-2]", Work())


ERRORS: dict[str, tuple[Callable[[], Awaitable[None]], str]] = {
    "an error of ours": (Work(1), "Error: disk is in use"),
    "a defect": (Work(1, KeyError("spec")), "Error: KeyError: 'spec'"),
    "a stray cancellation": (Work(1, asyncio.CancelledError()), "Error: it was cancelled from within"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("work", "shown"), ERRORS.values(), ids=ERRORS.keys())
def test_operations_2_whatever_is_raised_becomes_its_error(
    work: Callable[[], Awaitable[None]], shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    @on_virtual_time
    async def scenario() -> None:
        async with Operations(now=clock) as operations:
            operations.start(NAME, work)
            await operations.wait_idle()
            assert operations.statistics().failed == 1

    scenario()
    line = caplog.records[-1]
    assert line.levelno == logging.ERROR
    assert line.getMessage() == (
        f'Operation for "{NAME}" failed. No retries permitted until 2026-03-01T00:00:01.500Z '
        f"(durationBeforeRetry 500ms). {shown}"
    )


@on_virtual_time
async def test_operations_2_forgotten_objects_leave_nothing_behind() -> None:
    async with Operations() as operations:
        operations.start(NAME, Work(failures=1))
        await operations.wait_idle()
        await asyncio.sleep(3601)
        operations.start("another", Work(failures=1))
        await operations.wait_idle()

        assert operations.statistics().backing_off == 1


@on_virtual_time
async def test_operations_3_they_end_with_their_owner() -> None:
    work = Work()
    async with Operations() as operations:
        operations.start(NAME, work)
        await asyncio.sleep(0.5)
        operations.start("not even begun", work)

    assert work.at_once == 0
    assert asyncio.get_running_loop().time() == 0.5
    assert operations.statistics().running == 0
    with pytest.raises(RuntimeError, match="inside `async with`"):
        operations.start(NAME, work)


@on_virtual_time
async def test_operations_4_so_many_at_once() -> None:
    work = Work()
    async with Operations(most_at_once=3) as operations:
        for number in range(10):
            assert operations.start(str(number), work)
        assert not operations.start("9", work)
        await operations.wait_idle()

    assert work.most_at_once == 3
    assert asyncio.get_running_loop().time() == 4


@on_virtual_time
async def test_operations_5_who_waits_aside_keeps_nobody_from_working() -> None:
    work, answer = Work(), asyncio.Event()
    at_once = most_at_once = 0

    async def hang() -> None:
        nonlocal at_once, most_at_once
        async with aside():
            await answer.wait()
        at_once += 1
        most_at_once = max(most_at_once, at_once)
        await asyncio.sleep(1)
        at_once -= 1

    async with Operations(most_at_once=3) as operations:
        for number in range(10):
            operations.start(f"hangs-{number}", hang)
            operations.start(f"works-{number}", work)
        await asyncio.sleep(5)
        assert len(work.started) == 10
        answer.set()
        await operations.wait_idle()

    assert (work.most_at_once, most_at_once) == (3, 3)


@on_virtual_time
async def test_operations_5_an_error_aside_is_handled_with_a_turn() -> None:
    at_once = most_at_once = 0

    async def fail() -> None:
        nonlocal at_once, most_at_once
        try:
            async with aside():
                raise PvbinderError("no")
        except PvbinderError:
            at_once += 1
            most_at_once = max(most_at_once, at_once)
            await asyncio.sleep(1)
            at_once -= 1

    async with Operations(most_at_once=2) as operations:
        for number in range(6):
            operations.start(str(number), fail)
        await operations.wait_idle()

    assert most_at_once == 2


@on_virtual_time
async def test_operations_5_who_is_cancelled_aside_ends_at_once() -> None:
    async def hang() -> None:
        async with aside():
            await asyncio.Event().wait()

    work = Work()
    async with Operations(most_at_once=1) as operations:
        for number in range(5):
            operations.start(str(number), hang)
        await asyncio.sleep(1)
        operations.start("works", work)
        await asyncio.sleep(0.5)

    assert asyncio.get_running_loop().time() == 1.5
    assert len(work.started) == 1


@on_virtual_time
async def test_outside_of_an_operation_there_is_no_turn_to_give() -> None:
    async with aside():
        await asyncio.sleep(1)


@on_virtual_time
async def test_operations_6_those_that_run_are_finished_and_none_is_started() -> None:
    work = Work()
    async with Operations() as operations:
        operations.start(NAME, work)
        await asyncio.sleep(0.1)
        await operations.finish()
        assert asyncio.get_running_loop().time() == 1
        assert not operations.start("another", work)
        assert work.started == [0]
