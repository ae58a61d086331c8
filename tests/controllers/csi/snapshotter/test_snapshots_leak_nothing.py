"""Whatever happens, and whenever the process dies: the driver has the snapshots that the cluster has contents of.

A driver is slow, fails, is not there, or does what it was asked for and doesn't say so; writes fail or succeed without
an answer; snapshots and their claims come and go, and contents are torn away; and the controllers are killed at any
await. Then all is well again, and what the driver has is compared with what the cluster has.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable

import pytest
from tests.controllers.csi.fake_driver import INFO
from tests.controllers.csi.snapshotter.snapshot_driver import LISTS, SnapshotDriver
from tests.controllers.csi.snapshotter.snapshot_stage import SnapshotStage, snapshot_stage
from tests.controllers.csi.stage import storage_class
from tests.controllers.csi.test_nothing_leaks import SEEDS, STEPS, WELL_SECONDS, Weather, all_of, start, volumes
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS, SNAPSHOTS
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import CLAIMS
from pvbinder.rules.csi.snapshots.names import CLAIM_FINALIZER

MOST = 100 if len(SEEDS) > 8 else 4  # of the seeds: each takes some seconds


async def tell(s: SnapshotStage, chance: random.Random, weather: Weather) -> None:
    """Let things happen to a few snapshots."""
    number = 0
    alive: list[str] = []
    for _ in range(STEPS):
        s.driver.seconds = chance.choice((0.0, 0.0, 0.01, 0.5, 8.0))
        weather.is_there = chance.random() < 0.85
        what = chance.random()
        if what < 0.4 or not alive:
            number += 1
            alive.append(f"snap-{number}")
            await s.take(alive[-1], claim=chance.choice(("orders", "other")))
        elif what < 0.6:
            await s.delete(alive.pop(chance.randrange(len(alive))))
        elif what < 0.7:
            await tear_away(s, chance)
        elif what < 0.8:
            await claim_comes_or_goes(s)
        else:
            await s.cluster.stop()
            await start(s.stage, weather)
        for _ in range(chance.choice((0, 1, 5, 30, 200))):  # to die at any await
            await asyncio.sleep(0)
        await asyncio.sleep(chance.choice((0.0, 0.0, 0.001, 0.02, 1.0, 20.0)))


async def tear_away(s: SnapshotStage, chance: random.Random) -> None:
    """Remove a content, whatever protects it, whose snapshot nobody has yet."""
    found = [content async for content in all_of(s.stage, CONTENTS) if not content.handle]
    if not found:
        return
    document = chance.choice(found).document()
    document["metadata"]["finalizers"] = []

    async def tear() -> None:
        bare = await s.cluster.client.replace(CONTENTS, document)
        await s.cluster.client.delete(CONTENTS, bare.name, resource_version=bare.resource_version)

    await refused_or_not(tear())


async def claim_comes_or_goes(s: SnapshotStage) -> None:
    if any([claim.name == "other" async for claim in all_of(s.stage, CLAIMS)]):
        await refused_or_not(s.cluster.client.delete(CLAIMS, "other", "default"))
    else:
        await s.stage.want("other")


async def refused_or_not(request: Awaitable[None]) -> None:
    """Make a request that may come too late; its refusal waits for a write that may die with the controllers."""
    try:
        await request
    except ApiFailure as failure:
        if not (failure.is_not_found or failure.is_conflict):
            raise
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise


@pytest.mark.slow
@pytest.mark.parametrize("seed", list(SEEDS)[:MOST])
def test_snapshot_taking_2_no_snapshot_leaks_whatever_happens_and_whenever_the_process_dies(seed: int) -> None:
    @on_virtual_time
    async def story() -> None:
        chance = random.Random(seed)
        driver = SnapshotDriver()
        driver.needs_volume = True
        info = LISTS if seed % 2 else INFO
        weather = Weather(chance, driver)
        driver.before, driver.after = weather.before_call, weather.after_call
        async with snapshot_stage(driver, info=info, is_bound=False) as s:
            await s.cluster.create(storage_class())
            await s.add_class()
            await s.stage.want()
            await s.stage.want("other")
            await s.cluster.stop()
            await start(s.stage, weather)
            await tell(s, chance, weather)

            weather.is_bad, driver.seconds = False, 0.0
            await asyncio.sleep(WELL_SECONDS)
            found = {one.handle async for one in all_of(s.stage, CONTENTS)}
            assert driver.handles() == found - {""}
            ready = {one.uid async for one in all_of(s.stage, SNAPSHOTS) if one.is_ready}
            assert {one.ref.uid async for one in all_of(s.stage, CONTENTS) if one.handle} == ready
            assert {one.volume_id for one in driver.volumes.values()} == {
                one.csi.volume_handle async for one in volumes(s.stage)
            }
            claims = [one async for one in all_of(s.stage, CLAIMS)]
            waiting = {one.source_claim async for one in all_of(s.stage, SNAPSHOTS) if not one.is_ready}
            assert all((CLAIM_FINALIZER in one.finalizers) <= (one.name in waiting) for one in claims)
            assert await s.written_down() == {}

    story()
