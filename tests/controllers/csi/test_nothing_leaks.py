"""Whatever happens, and whenever the process dies: the driver has the volumes that the cluster has objects of.

A driver is slow, fails, is not there, or does what it was asked for and doesn't say so; writes of the provisioner fail
or succeed without an answer; claims come and go; and the controllers are killed at any await. Then all is well again,
and what the driver has is compared with what the cluster has.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest
from tests.controllers.csi.fake_driver import FakeDriver
from tests.controllers.csi.stage import Stage, stage, storage_class
from tests.virtual_time import on_virtual_time

from pvbinder.csi.errors import AnswerUnreadable, CallFailed, Code
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.transport import Answer, Request

STEPS = 30
WELL_SECONDS = 3000.0  # more than twice the longest back-off of driver and writes
MAYBE = (Code.DEADLINE_EXCEEDED, Code.UNAVAILABLE, Code.ABORTED, Code.CANCELLED)
SEEDS = [random.randrange(10**9) for _ in range(100)] if os.environ.get("PVBINDER_SEEDS") == "new" else range(8)


class Weather:
    """What goes wrong, decided by one source of chance."""

    def __init__(self, chance: random.Random, driver: FakeDriver) -> None:
        self._chance = chance
        self._driver = driver
        self.is_bad = True
        self.is_there = True

    def before_call(self, request: Any) -> None:
        """A call that the driver doesn't carry out."""
        if not self.is_bad:
            return
        if not self.is_there:
            raise CallFailed(Code.UNAVAILABLE, "connection refused")
        draw = self._chance.random()
        if draw < 0.15:
            raise CallFailed(self._chance.choice(MAYBE), "not done")
        if draw < 0.2:
            raise CallFailed(Code.INTERNAL, "no")
        if draw < 0.25 and not self._driver.has(getattr(request, "name", "")):  # what is there isn't refused
            raise CallFailed(self._chance.choice((Code.RESOURCE_EXHAUSTED, Code.INVALID_ARGUMENT)), "no")

    def after_call(self, _request: Any) -> None:
        """A call that it carries out, and that ends badly all the same."""
        if not self.is_bad:
            return
        draw = self._chance.random()
        if draw < 0.25:
            raise CallFailed(self._chance.choice(MAYBE), "done, and not said")
        if draw < 0.3:
            raise AnswerUnreadable(Code.INTERNAL, "the answer is nonsense")

    def before_write(self, request: Request) -> Answer | None:
        if self.is_bad and request.method != "GET" and self._chance.random() < 0.15:
            if self._chance.random() < 0.5:
                raise ConnectionFailed("broken by the test")
            return Answer(503, b"the server is busy")
        return None

    def after_write(self, request: Request) -> None:
        if self.is_bad and request.method != "GET" and self._chance.random() < 0.15:
            raise ConnectionFailed("the answer is lost")


async def tell(s: Stage, chance: random.Random, weather: Weather) -> None:
    """Let things happen to a few claims."""
    number = 0
    alive: list[str] = []
    for _ in range(STEPS):
        s.driver.seconds = chance.choice((0.0, 0.0, 0.01, 0.5, 8.0))
        weather.is_there = chance.random() < 0.85
        what = chance.random()
        if what < 0.45 or not alive:
            number += 1
            alive.append(f"claim-{number}")
            await s.want(alive[-1])
        elif what < 0.75:
            await give_up(s, alive.pop(chance.randrange(len(alive))))
        else:
            await s.cluster.stop()
            await start(s, weather)
        for _ in range(chance.choice((0, 1, 5, 30, 200))):  # to die at any await
            await asyncio.sleep(0)
        await asyncio.sleep(chance.choice((0.0, 0.0, 0.001, 0.02, 1.0, 20.0)))


async def start(s: Stage, weather: Weather) -> None:
    await s.cluster.start()
    s.cluster.line.before, s.cluster.line.after = weather.before_write, weather.after_write


async def give_up(s: Stage, name: str) -> None:
    while True:
        try:
            await s.give_up(name)
            return
        except ApiFailure as failure:
            if not failure.is_conflict:
                raise


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_csi_provisioner_2_nothing_leaks_whatever_happens_and_whenever_the_process_dies(seed: int) -> None:
    @on_virtual_time
    async def story() -> None:
        chance = random.Random(seed)
        driver = FakeDriver()
        weather = Weather(chance, driver)
        driver.before, driver.after = weather.before_call, weather.after_call
        async with stage(driver) as s:
            await s.cluster.create(storage_class())
            await s.cluster.stop()
            await start(s, weather)
            await tell(s, chance, weather)

            weather.is_bad, driver.seconds = False, 0.0
            await asyncio.sleep(WELL_SECONDS)
            handles = {one.volume_id for one in driver.volumes.values()}
            found = {volume.csi.volume_handle async for volume in volumes(s) if volume.csi is not None}
            assert handles == found
            claims = [claim.document() async for claim in all_of(s, CLAIMS)]
            assert {claim["spec"].get("volumeName") for claim in claims} == set(driver.volumes)
            assert await s.written_down() == {}

    story()


async def all_of(s: Stage, kind: Any) -> Any:
    async for page in s.cluster.client.pages(kind, "default" if kind.resource.namespaced else ""):
        for one in page.items:
            yield one


def volumes(s: Stage) -> Any:
    return all_of(s, VOLUMES)
