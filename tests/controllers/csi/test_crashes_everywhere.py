"""A crash after each single request and each single call in turn: a volume or snapshot is never made without an object.

`test_nothing_leaks` and its like crash at random awaits of random stories. Here one story is told again and again, and
each time it ends one step later: what was asked for is carried out, and the answer never comes. In between are only
awaits at which neither server nor driver have changed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import pytest
from tests.controllers.csi.snapshotter.snapshot_driver import SnapshotDriver
from tests.controllers.csi.snapshotter.snapshot_stage import SnapshotStage, snapshot_stage
from tests.controllers.csi.stage import Stage, stage, storage_class
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.transport import Request

CRASHED_SECONDS = 60.0  # for what was begun to be seen through
STEPS_MAX = 60
Mishap = Literal["none", "driver says nothing", "volume can't be saved", "content is torn away"]


def chosen(*mishaps: Mishap) -> list[tuple[Mishap, bool]]:
    """Each mishap with a claim or snapshot that stays, and with one that is deleted; by default one of both in turn."""
    every = [(mishap, is_deleted) for mishap in mishaps for is_deleted in (False, True)]
    return every if os.environ.get("PVBINDER_SEEDS") == "new" else [every[0], *every[3::2]]


class Crash:
    """Counts the steps, and has the one at `at` never end; `happened` when that is reached."""

    def __init__(self) -> None:
        self.at = 0
        self.steps = 0
        self.happened = asyncio.Event()

    def aim(self, at: int) -> None:
        self.at, self.steps = at, 0
        self.happened.clear()

    async def step(self, _request: object = None) -> None:
        self.steps += 1
        if self.steps == self.at:
            self.happened.set()
            await asyncio.Event().wait()


class CrashingDriver(SnapshotDriver):
    """One whose calls are steps; the first call for each volume may be carried out and not answered."""

    def __init__(self, mishap: Mishap) -> None:
        super().__init__()
        self.crash = Crash()
        self._unsaid: set[str] = set()
        if mishap == "driver says nothing":
            self.after = self._say_nothing

    def _say_nothing(self, request: Any) -> None:
        makes = isinstance(request, csi.CreateVolumeRequest | csi.CreateSnapshotRequest)
        if makes and request.name not in self._unsaid:
            self._unsaid.add(request.name)
            raise CallFailed(Code.DEADLINE_EXCEEDED, "done, and not said")

    async def call(self, method: Any, request: Any, *, timeout_seconds: float | None = None) -> Any:
        answer = await super().call(method, request, timeout_seconds=timeout_seconds)
        await self.crash.step()
        return answer


def breaks_once(ending: str) -> Callable[[Request], None]:
    """Break the connection of the first POST to `ending`."""
    is_broken = False

    def before(request: Request) -> None:
        nonlocal is_broken
        if request.method == "POST" and request.path.endswith(ending) and not is_broken:
            is_broken = True
            raise ConnectionFailed("broken by the test")

    return before


async def crashes(s: Stage, crash: Crash, at: int, mishap: Mishap, begin: Callable[[], Awaitable[object]]) -> bool:
    """Have the controllers crash at step `at` of what `begin` begins; False if it was over before."""
    crash.aim(at)
    s.cluster.line.after_waiting = crash.step
    if mishap == "volume can't be saved":
        s.cluster.line.before = breaks_once("/persistentvolumes")
    await begin()
    try:
        async with asyncio.timeout(CRASHED_SECONDS):
            await crash.happened.wait()
    except TimeoutError:
        return False
    finally:
        crash.aim(0)
        await s.cluster.stop()
    return True


async def check_volumes(s: Stage, wanted: set[str]) -> None:
    """The driver's volumes are those that objects name, and `wanted` ones, by their names."""
    found = {volume.csi.volume_handle for volume in await s.cluster.client.list_all(VOLUMES) if volume.csi is not None}
    assert {one.volume_id for one in s.driver.volumes.values()} == found
    assert set(s.driver.volumes) == wanted
    assert await s.written_down() == {}


@pytest.mark.slow
@pytest.mark.parametrize(("mishap", "is_deleted"), chosen("none", "driver says nothing", "volume can't be saved"))
def test_csi_provisioner_2_a_crash_at_any_step_leaves_no_volume_without_an_object(
    mishap: Mishap, is_deleted: bool
) -> None:
    @on_virtual_time
    async def story() -> None:
        driver = CrashingDriver(mishap)
        async with stage(driver) as s:
            await s.cluster.create(storage_class())
            at, has_crashed = 0, True
            while has_crashed and at < STEPS_MAX:
                at += 1
                name = f"claim-{at}"
                has_crashed = await crashes(s, driver.crash, at, mishap, lambda name=name: s.want(name))  # type: ignore[misc]
                uid = (await s.cluster.client.get(CLAIMS, name, "default")).uid
                if is_deleted:
                    await s.give_up(name)
                await s.cluster.start()
                await asyncio.sleep(CRASHED_SECONDS)
                await check_volumes(s, set() if is_deleted else {f"pvc-{uid}"})
                if not is_deleted:
                    await s.give_up(name)
                    await asyncio.sleep(CRASHED_SECONDS)
                    await check_volumes(s, set())
            assert 5 < at < STEPS_MAX

    story()


@pytest.mark.slow
@pytest.mark.parametrize(("mishap", "is_deleted"), chosen("none", "driver says nothing", "content is torn away"))
def test_snapshot_taking_2_a_crash_at_any_step_leaves_no_snapshot_without_a_content(
    mishap: Mishap, is_deleted: bool
) -> None:
    @on_virtual_time
    async def story() -> None:
        driver = CrashingDriver(mishap)
        async with snapshot_stage(driver) as s:
            at, has_crashed = 0, True
            while has_crashed and at < STEPS_MAX:
                at += 1
                name = f"snap-{at}"
                has_crashed = await crashes(s.stage, driver.crash, at, mishap, lambda name=name: s.take(name))  # type: ignore[misc]
                is_torn = mishap == "content is torn away" and await tear_away(s)
                if is_deleted:
                    await s.delete(name)
                await s.cluster.start()
                await asyncio.sleep(CRASHED_SECONDS)
                await check_snapshots(s, None if is_torn else int(not is_deleted))
                if not is_deleted:
                    await s.delete(name)
                    await asyncio.sleep(CRASHED_SECONDS)
                    await check_snapshots(s, 0)
            assert 5 < at < STEPS_MAX

    story()


async def tear_away(s: SnapshotStage) -> bool:
    """Remove the content, whatever protects it, unless it has the snapshot already; whether there was one."""
    found = [content for content in await s.cluster.client.list_all(CONTENTS) if not content.handle]
    for content in found:
        await s.change(CONTENTS, content.name, lambda document: document["metadata"].update(finalizers=[]))
        await s.cluster.client.delete(CONTENTS, content.name)
    return bool(found)


async def check_snapshots(s: SnapshotStage, number: int | None) -> None:
    """The driver's snapshots are those that contents name, and there are so many."""
    assert s.driver.handles() == {content.handle for content in s.contents() if content.handle}
    assert number is None or len(s.driver.handles()) == number
    assert await s.written_down() == {}
