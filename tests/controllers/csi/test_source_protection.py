"""Sources of volumes that are let go when nobody needs them any more, on a real API server."""

from __future__ import annotations

import asyncio

from tests.controllers.csi.stage import CHOSEN, Stage, stage, storage_class
from tests.controllers.csi.test_preparing import CLONE, RESTORE, snapshot
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.options import ProvisionerOptions
from pvbinder.controllers.csi.preparing import SNAPSHOTS
from pvbinder.controllers.csi.source_protection import SourceProtection
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.kube.kinds import CLAIMS
from pvbinder.kube.transport import Answer, Request
from pvbinder.rules.csi.sources import CLONING_FINALIZER, SNAPSHOT_FINALIZER

ALL = f"{CHOSEN},csi-sources,persistentvolumeclaim-protection-controller"


async def cloning(s: Stage) -> None:
    """A claim that is deleted while another one is made from it, by a driver that fails."""
    await s.cluster.create(storage_class())
    await s.want()
    await s.until_bound()

    def fail(request: object) -> None:
        if isinstance(request, csi.CreateVolumeRequest):
            raise CallFailed(Code.DEADLINE_EXCEEDED, "slow")

    s.driver.before = fail
    await s.want("copy", dataSource=CLONE)
    await s.until_told("code = DeadlineExceeded")
    await s.cluster.client.delete(CLAIMS, "orders", "default")
    await asyncio.sleep(60)
    assert CLONING_FINALIZER in s.cluster.of(CLAIMS)["default/orders"].finalizers


@on_virtual_time
async def test_sources_1_what_a_claim_is_made_from_stays() -> None:  # DS-7
    async with stage(chosen=ALL) as s:
        await cloning(s)
        assert "default/orders" in s.cluster.of(CLAIMS)


@on_virtual_time
async def test_sources_1_a_false_list_lets_nothing_go() -> None:  # DS-7
    async with stage(chosen=ALL) as s:
        await s.cluster.create(storage_class())
        await s.want()
        await s.until_bound()

        def false_list(request: Request) -> Answer | None:
            if request.method == "GET" and request.path.endswith("/persistentvolumeclaims"):
                return Answer(200, b'{"kind":"PersistentVolumeClaimList","apiVersion":"v1","metadata":{},"items":[]}')
            return None

        def fail(request: object) -> None:
            if isinstance(request, csi.CreateVolumeRequest):
                raise CallFailed(Code.INTERNAL, "no")

        s.driver.before = fail
        await s.want("copy", dataSource=CLONE)
        await s.until_told("code = Internal")
        s.cluster.line.before = false_list
        await s.cluster.client.delete(CLAIMS, "orders", "default")
        await asyncio.sleep(60)
        assert CLONING_FINALIZER in s.cluster.of(CLAIMS)["default/orders"].finalizers


@on_virtual_time
async def test_sources_2_a_claim_that_is_cloned_goes_when_the_clone_is_made() -> None:  # DS-7
    async with stage(chosen=ALL) as s:
        await cloning(s)
        s.driver.before = lambda _: None
        await asyncio.sleep(300)
        await s.until_bound("copy")
        await s.cluster.until(lambda: "default/orders" not in s.cluster.of(CLAIMS))


@on_virtual_time
async def test_sources_2_a_claim_goes_when_the_one_that_wanted_it_is_gone() -> None:  # DS-7
    async with stage(chosen=ALL) as s:
        await cloning(s)
        s.driver.before = lambda _: None
        await s.give_up("copy")
        await s.cluster.until(lambda: "default/orders" not in s.cluster.of(CLAIMS))


@on_virtual_time
async def test_sources_2_a_snapshot_is_let_go_when_its_volume_is_made() -> None:  # DS-11
    async with stage(chosen=ALL) as s:
        await s.cluster.create(storage_class())
        await snapshot(s)
        await s.want("copy", dataSource=RESTORE)
        await s.until_bound("copy")
        await asyncio.sleep(10)
        assert SNAPSHOT_FINALIZER not in (await s.cluster.client.get(SNAPSHOTS, "s", "default")).finalizers


@on_virtual_time
async def test_sources_2_snapshots_are_looked_for_again_when_they_can_not_be_listed() -> None:  # DS-11
    async with stage(chosen=ALL) as s:
        await s.cluster.stop()
        await snapshot(s)
        document = (await s.cluster.client.get(SNAPSHOTS, "s", "default")).document()
        document["metadata"]["finalizers"] = [SNAPSHOT_FINALIZER]
        await s.cluster.client.replace(SNAPSHOTS, document)

        def broken(request: Request) -> Answer | None:
            return Answer(404, b"not yet") if request.path.endswith("/volumesnapshots") else None

        s.cluster.begins_with = broken
        await s.cluster.start()
        await asyncio.sleep(1000)
        assert s.cluster.line.asked("GET", "/volumesnapshots") < 20
        assert SNAPSHOT_FINALIZER in (await s.cluster.client.get(SNAPSHOTS, "s", "default")).finalizers
        s.cluster.line.before = lambda _: None
        await asyncio.sleep(400)
        assert SNAPSHOT_FINALIZER not in (await s.cluster.client.get(SNAPSHOTS, "s", "default")).finalizers


@on_virtual_time
async def test_sources_2_a_snapshot_is_let_go_whose_claim_went_while_nobody_looked() -> None:  # DS-11
    async with stage(chosen=ALL) as s:
        await s.cluster.stop()
        await snapshot(s)
        document = (await s.cluster.client.get(SNAPSHOTS, "s", "default")).document()
        document["metadata"]["finalizers"] = [SNAPSHOT_FINALIZER]
        await s.cluster.client.replace(SNAPSHOTS, document)
        await s.cluster.start()
        await asyncio.sleep(10)
        assert SNAPSHOT_FINALIZER not in (await s.cluster.client.get(SNAPSHOTS, "s", "default")).finalizers


@on_virtual_time
async def test_as_many_sources_are_let_go_at_once_as_threads_say() -> None:  # DS-7
    names, most = [f"orders-{number}" for number in range(5)], 0
    async with stage(chosen=ALL, options=ProvisionerOptions(cloning_protection_threads=3)) as s:
        await s.cluster.create(storage_class())
        for name in names:
            await s.want(name)
            await s.until_bound(name)
            await s.want(f"copy-of-{name}", dataSource={"kind": "PersistentVolumeClaim", "name": name})
            await s.until_bound(f"copy-of-{name}")
        sources = s.cluster.manager.controllers["csi-sources"]
        assert isinstance(sources, SourceProtection)

        async def slow(_: Request) -> None:
            nonlocal most
            await asyncio.sleep(1)
            most = max(most, next(sources.queues()).in_work)

        s.cluster.line.after_waiting = slow
        for name in names:
            await s.cluster.client.delete(CLAIMS, name, "default")
        await asyncio.sleep(60)
        assert most == 3
        assert not any(f"default/{name}" in s.cluster.of(CLAIMS) for name in names)
