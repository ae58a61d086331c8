"""What the provisioner's library does around each call, where a sidecar for CSI has its own settings of it."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from tests.controllers.csi.fake_driver import FakeDriver
from tests.controllers.csi.stage import Stage, stage, storage_class
from tests.controllers.csi.test_preparing import WITH_TOPOLOGY, ZONE, node
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.options import ProvisionerOptions
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.transport import Request

MANY = 500
THREADS = 3


class Counting(FakeDriver):
    """Notes how many calls of each method were under way at once, and their time limits."""

    def __init__(self) -> None:
        super().__init__()
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.limits: dict[str, set[float | None]] = {}

    async def call(self, method: Any, request: Any, *, timeout_seconds: float | None = None) -> Any:
        name = method.name
        self.now[name] = self.now.get(name, 0) + 1
        self.most[name] = max(self.most.get(name, 0), self.now[name])
        self.limits.setdefault(name, set()).add(timeout_seconds)
        try:
            return await super().call(method, request, timeout_seconds=timeout_seconds)
        finally:
            self.now[name] -= 1


@on_virtual_time
async def test_lb_2_as_many_claims_and_as_many_volumes_are_worked_on_at_once_as_threads_say() -> None:  # LB-2
    driver = Counting()
    driver.seconds = 1.0
    async with stage(driver, options=ProvisionerOptions(worker_threads=THREADS)) as s:
        await s.cluster.create(storage_class())
        names = [f"claim-{number}" for number in range(4 * THREADS)]
        for name in names:
            await s.want(name)
        for name in names:
            await s.until_bound(name)
        assert driver.most["CreateVolume"] == THREADS
        for name in names:
            await s.give_up(name)
        await s.cluster.until(lambda: not s.volumes())
        assert driver.most["DeleteVolume"] == THREADS


@on_virtual_time
async def test_csi_provisioner_7_what_comes_after_a_call_takes_no_thread() -> None:
    driver = Counting()
    driver.seconds = 10.0
    async with stage(driver, options=ProvisionerOptions(worker_threads=THREADS)) as s:
        await s.cluster.create(storage_class())

        async def answer_late(request: Request) -> None:
            if request.method == "POST" and request.path == "/api/v1/persistentvolumes":
                await asyncio.sleep(10)

        s.cluster.line.after_waiting = answer_late
        began = asyncio.get_running_loop().time()
        names = [f"claim-{number}" for number in range(3 * THREADS)]
        for name in names:
            await s.want(name)
        for name in names:
            await s.until_bound(name)
        assert 30 <= asyncio.get_running_loop().time() - began < 32  # three calls one after the other
        assert driver.most["CreateVolume"] == THREADS


@on_virtual_time
async def test_lb_4_no_number_of_failures_makes_a_claim_or_volume_be_given_up() -> None:  # LB-4
    failures = 30

    def fail(request: Any) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise CallFailed(Code.INTERNAL, "no")

    driver = FakeDriver()
    driver.before = fail
    quick = ProvisionerOptions(retry_interval_max_seconds=4.0)
    async with stage(driver, options=quick) as s:
        await s.cluster.create(storage_class())
        await s.want()
        await asyncio.sleep(30 * 8)
        await s.until_bound()
        failures = 30
        await s.give_up()
        await asyncio.sleep(30 * 8)
        await s.cluster.until(lambda: not s.volumes())
        assert (failures, driver.volumes) == (0, {})


@on_virtual_time
async def test_lb_5_each_call_has_the_time_limit_of_the_flag_and_an_operation_has_none() -> None:  # LB-5
    driver = Counting()
    async with stage(driver, options=ProvisionerOptions(timeout_seconds=7.0)) as s:
        driver.seconds = 3600.0  # the fake has no limit of its own: an operation that waits is not ended
        await s.cluster.create(storage_class())
        await s.want()
        await asyncio.sleep(3601)
        await s.until_bound()
        await s.give_up()
        await asyncio.sleep(3601)
        await s.cluster.until(lambda: not s.volumes())
        assert driver.limits == {"CreateVolume": {7.0}, "DeleteVolume": {7.0}}


@on_virtual_time
async def test_lb_14_block_volumes_are_asked_for_like_others() -> None:  # LB-14
    async with stage() as s:
        await s.cluster.create(storage_class())
        await s.want(volumeMode="Block")
        await s.until_bound()
        (asked,) = s.driver.calls(methods.CREATE_VOLUME)
        assert [one.WhichOneof("access_type") for one in asked.volume_capabilities] == ["block"]
        assert s.told("ProvisioningFailed") == []


@on_virtual_time
async def test_lb_25_a_volume_that_cant_be_saved_is_never_deleted_for_that() -> None:  # LB-23, LB-25
    async with stage() as s:
        await s.cluster.create(storage_class())
        lost = 0

        def fail(request: Request) -> None:
            nonlocal lost
            if request.method == "POST" and request.path.endswith("/persistentvolumes") and lost < 20:
                lost += 1
                raise ConnectionFailed("broken by the test")

        s.cluster.line.before = fail
        await s.want()
        await asyncio.sleep(20 * 300)
        await s.until_bound()
        assert lost == 20
        assert s.driver.calls(methods.DELETE_VOLUME) == []
        assert s.told("ProvisioningCleanupFailed") == []


@on_virtual_time
async def test_lb_6_a_claim_that_is_gone_is_worked_on_until_its_volume_is_known() -> None:  # LB-6
    left = 5

    def unknown(request: Any) -> None:
        nonlocal left
        if isinstance(request, csi.CreateVolumeRequest) and left:
            left -= 1
            raise CallFailed(Code.UNAVAILABLE, "done, and not said")

    driver = FakeDriver()
    driver.after = unknown
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        await s.want()
        await s.cluster.until(lambda: left == 4)
        await s.give_up()
        await asyncio.sleep(600)
        assert left == 0
        assert len(driver.calls(methods.CREATE_VOLUME)) == 6
        assert (driver.volumes, s.volumes(), await s.written_down()) == ({}, set(), {})


def places(request: csi.CreateVolumeRequest) -> list[str]:
    return [one.segments[ZONE] for one in request.accessibility_requirements.requisite]


@on_virtual_time
async def test_tp_10_what_may_be_under_way_is_asked_for_at_the_same_places_and_what_failed_anew() -> None:  # TP-10
    codes = [Code.UNAVAILABLE, Code.UNAVAILABLE, Code.INVALID_ARGUMENT]

    def fail(request: Any) -> None:
        if isinstance(request, csi.CreateVolumeRequest) and codes:
            raise CallFailed(codes.pop(0), "no")

    driver = FakeDriver()
    driver.before = fail
    async with stage(driver, info=WITH_TOPOLOGY) as s:
        await node(s, "n1", "z1")
        await s.cluster.create(storage_class())
        await s.want()
        await s.cluster.until(lambda: len(codes) == 2)
        await node(s, "n2", "z2")
        await asyncio.sleep(1200)
        await s.until_bound()
        asked = [places(request) for request in driver.calls(methods.CREATE_VOLUME)]
        assert asked == [["z1"], ["z1"], ["z1"], ["z1", "z2"]]


@on_virtual_time
async def test_cr_7_a_claim_has_what_its_volume_has_also_if_that_is_more() -> None:  # CR-7
    driver = FakeDriver()
    driver.change = lambda volume: setattr(volume, "capacity_bytes", 3 << 30)
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        await s.want()
        await s.until_bound()
        claim = (await s.cluster.client.get(CLAIMS, "orders", "default")).document()
        assert claim["spec"]["resources"]["requests"] == {"storage": "1Gi"}
        assert claim["status"]["capacity"] == {"storage": "3Gi"}


async def no_volume_is_without_an_object(s: Stage) -> None:
    found = {volume.csi.volume_handle for volume in s.cluster.of(VOLUMES) if volume.csi is not None}
    assert {one.volume_id for one in s.driver.volumes.values()} == found
    assert await s.written_down() == {}


@pytest.mark.slow
@on_virtual_time
async def test_500_claims_are_bound_though_a_tenth_of_the_calls_fail_and_a_tenth_time_out() -> None:
    chance, driver = random.Random(11), FakeDriver()
    failed = timed_out = 0

    def before(request: Any) -> None:
        nonlocal failed
        if isinstance(request, csi.CreateVolumeRequest) and chance.random() < 0.1:
            failed += 1
            raise CallFailed(Code.INTERNAL, "no")

    def after(request: Any) -> None:
        nonlocal timed_out
        if isinstance(request, csi.CreateVolumeRequest) and chance.random() < 0.1:
            timed_out += 1
            raise CallFailed(Code.DEADLINE_EXCEEDED, "done, and not said")

    driver.before, driver.after = before, after
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        for number in range(MANY):
            await s.want(f"claim-{number}")
        await asyncio.sleep(600)
        await s.cluster.until(lambda: all(claim.phase == "Bound" for claim in s.cluster.of(CLAIMS)))
        assert len(s.cluster.of(CLAIMS)) == len(driver.volumes) == len(s.volumes()) == MANY
        assert (
            len(driver.calls(methods.CREATE_VOLUME)) == MANY + failed + timed_out
        )  # one call, but for what went wrong
        assert failed > MANY / 20 < timed_out
        await no_volume_is_without_an_object(s)
