"""The binder on a real API server: its visible results, its costs, and its triggers."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from tests.controllers.cluster import (
    ADMIN,
    DEADLINE_SECONDS,
    Cluster,
    claim,
    cluster,
    pod,
    storage_class,
    using,
    volume,
)

from pvbinder.controllers.binder.controller import CONCURRENT_SYNCS_MAX
from pvbinder.controllers.binder_controller import BinderController
from pvbinder.controllers.manager import Manager
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import choose_controllers
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.kinds import CLAIMS, EVENTS, NAMESPACES, STORAGE_CLASSES, VOLUMES
from pvbinder.kube.transport import Request
from pvbinder.model import names
from pvbinder.model.names import BINDER_CONTROLLER
from pvbinder.model.objects import Claim, Volume
from pvbinder.rules.events import RECYCLED, UNKNOWN_POLICY

ONLY = ControllerOptions(controllers="persistentvolume-binder", pvclaimbinder_sync_period=3600)


def binder_of(c: Cluster) -> BinderController:
    controller = c.manager.controllers[BINDER_CONTROLLER]
    assert isinstance(controller, BinderController)
    return controller


def claim_in(c: Cluster, name: str) -> Claim:
    return c.of(CLAIMS)[f"default/{name}"]


async def until_claim(c: Cluster, name: str, phase: str) -> Claim:
    await c.until(lambda: f"default/{name}" in c.of(CLAIMS) and claim_in(c, name).phase == phase)
    return claim_in(c, name)


async def until_volume(c: Cluster, name: str, phase: str) -> Volume:
    await c.until(lambda: name in c.of(VOLUMES) and c.of(VOLUMES)[name].phase == phase)
    return c.of(VOLUMES)[name]


async def until_waiting(c: Cluster, count: int) -> None:
    """Wait until so many claims wait for something to come."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while binder_of(c).binder.statistics().waiting_claims != count:
            await asyncio.sleep(0)


async def events_about(c: Cluster, reason: str) -> list[str]:
    await c.settle()
    for recorder in c.manager._recorders:
        await recorder.wait_written()
    found = [view.document() for view in await c.client.list_all(EVENTS)]
    return [f"{event['type']} {event['message']}" for event in found if event["reason"] == reason]


async def lose_volume(c: Cluster) -> None:
    """Bind a claim, and take its volume away."""
    await c.create(volume("disk"), claim("orders"))
    await until_claim(c, "orders", "Bound")
    document = (await c.client.get(VOLUMES, "disk")).document()
    document["metadata"]["finalizers"] = []
    await c.client.replace(VOLUMES, document)
    await c.client.delete(VOLUMES, "disk")


async def test_binder_2_a_bind_costs_its_four_writes_and_nothing_else() -> None:
    async with cluster(ONLY) as c:
        await c.create(volume("disk"))
        await until_volume(c, "disk", "Available")
        await c.settle()
        before = len(c.line.seen)
        await c.create(claim("orders"))
        await until_claim(c, "orders", "Bound")
        await c.settle()

        made = [f"{request.method} {request.path}" for request in c.line.seen[before:]]
        claims = "/api/v1/namespaces/default/persistentvolumeclaims"
        assert made == [
            "PUT /api/v1/persistentvolumes/disk",
            "PUT /api/v1/persistentvolumes/disk/status",
            f"PUT {claims}/orders",
            f"PUT {claims}/orders/status",
        ]


async def test_a_volume_deleted_in_the_middle_of_a_bind_costs_nobody_the_claim() -> None:  # BN-1 to BN-3, PP-2
    async with cluster(ControllerOptions(controllers="persistentvolume-binder,pv-protection")) as c:
        await c.create(volume("disk"), volume("larger", capacity={"storage": "2Gi"}))
        await until_volume(c, "disk", "Available")
        await until_volume(c, "larger", "Available")
        await c.settle()
        deleted = False

        async def delete_after_the_first_write(request: Request) -> None:
            nonlocal deleted
            if request.method == "PUT" and request.path.endswith("/persistentvolumes/disk") and not deleted:
                deleted = True
                await c.client.delete(VOLUMES, "disk")

        c.line.after_waiting = delete_after_the_first_write
        await c.create(claim("orders"))
        assert (await until_claim(c, "orders", "Bound")).volume_name == "larger"
        await c.until(lambda: "disk" not in c.of(VOLUMES))


async def test_binder_1_a_backlog_binds_without_a_conflict_each_volume_once() -> None:
    count = 60
    async with cluster(ONLY) as c:
        await c.create(*(volume(f"disk-{number}") for number in range(count)))
        await c.create(*(claim(f"claim-{number}") for number in range(count)))
        await c.until(lambda: sum(found.phase == "Bound" for found in c.of(CLAIMS)) == count)
        await c.settle()

        assert len({found.volume_name for found in c.of(CLAIMS)}) == count
        assert {found.name: found.claim_key for found in c.of(VOLUMES)} == {
            found.volume_name: found.key for found in c.of(CLAIMS)
        }
        statuses = c.manager.statistics().requests["persistent-volume-binder"].statuses
        assert set(statuses) <= {200, 201}, "no conflict, no other failure"


async def test_binder_4_a_settled_system_makes_no_request() -> None:
    async with cluster(ONLY) as c:
        await c.create(volume("a"), volume("kept"), volume("free"))
        await c.create(claim("orders", volumeName="a"), claim("gone", volumeName="kept"))
        await until_claim(c, "orders", "Bound")
        await until_claim(c, "gone", "Bound")
        await c.client.delete(CLAIMS, "gone", "default")
        document = (await c.client.get(CLAIMS, "gone", "default")).document()
        document["metadata"]["finalizers"] = []
        await c.client.replace(CLAIMS, document)
        await until_volume(c, "kept", "Released")
        await until_volume(c, "free", "Available")
        await c.settle()
        before = len(c.line.seen)

        await binder_of(c).binder.resync()
        await c.settle()

        assert c.line.seen[before:] == []


async def test_binder_3_a_claim_that_waits_takes_the_volume_that_comes() -> None:
    async with cluster(ONLY) as c:
        await c.create(claim("large", resources={"requests": {"storage": "5Gi"}}), claim("small"))
        await until_waiting(c, 2)
        await c.create(volume("disk"))

        assert (await until_claim(c, "small", "Bound")).volume_name == "disk"
        assert claim_in(c, "large").phase == "Pending"


async def test_binder_3_a_class_that_comes_unblocks_its_claims() -> None:  # T-10, DC-1, DC-3
    async with cluster(ONLY) as c:
        await c.create({**claim("orders"), "spec": {**claim("orders")["spec"], "storageClassName": None}})
        await c.create(claim("named", storageClassName="fast"))
        await until_waiting(c, 2)
        await c.create(storage_class("fast", is_default=True))

        await c.until(lambda: claim_in(c, "orders").storage_class == "fast")
        key = "volume.kubernetes.io/storage-provisioner"
        await c.until(lambda: all(found.annotations.get(key) == "csi.example.com" for found in c.of(CLAIMS)))


async def test_binder_3_a_volume_that_is_let_go_is_taken_by_the_next() -> None:
    async with cluster(ONLY) as c:
        await c.create(volume("disk"), claim("first"))
        await until_claim(c, "first", "Bound")
        await c.create(claim("second"))
        await until_waiting(c, 1)
        document = (await c.client.get(VOLUMES, "disk")).document()
        del document["spec"]["claimRef"]
        await c.client.delete(CLAIMS, "first", "default")
        stripped = (await c.client.get(CLAIMS, "first", "default")).document()
        stripped["metadata"]["finalizers"] = []
        await c.client.replace(CLAIMS, stripped)
        released = (await until_volume(c, "disk", "Released")).document()
        del released["spec"]["claimRef"]
        await c.client.replace(VOLUMES, released)

        assert (await until_claim(c, "second", "Bound")).volume_name == "disk"


async def test_a_claim_says_nothing_of_a_volume_that_is_about_to_go() -> None:  # SC-P2, BINDER-3
    async with cluster(ONLY) as c:
        await c.create(volume("disk"))
        await until_volume(c, "disk", "Available")
        await c.create(claim("orders", volumeName="disk", resources={"requests": {"storage": "5Gi"}}))
        await until_waiting(c, 1)
        await c.client.delete(VOLUMES, "disk")
        await c.until(lambda: c.of(VOLUMES)["disk"].is_deleting)

        assert await events_about(c, "VolumeMismatch") == [
            'Warning Cannot bind to requested volume "disk": requested PV is too small'
        ]


async def test_a_claim_whose_volume_is_deleted_is_lost_at_once() -> None:  # B-12, SC-B2
    async with cluster(ONLY) as c:
        await lose_volume(c)

        await until_claim(c, "orders", "Lost")


async def test_a_delayed_claim_waits_for_its_pod_and_says_so() -> None:  # SC-U5, DB-1, DB-2
    later = storage_class("later", volumeBindingMode="WaitForFirstConsumer")
    async with cluster(ONLY) as c:
        await c.create(later, volume("disk", storageClassName="later"), claim("orders", storageClassName="later"))
        await until_waiting(c, 1)
        await until_volume(c, "disk", "Available")
        await c.settle()
        assert claim_in(c, "orders").phase == "Pending"

        await c.create(pod("web", using("orders")))
        await c.until(lambda: any(event.document()["reason"] == "WaitForPodScheduled" for event in c.of(EVENTS)))
        document = (await c.client.get(VOLUMES, "disk")).document()
        document["spec"]["claimRef"] = {"namespace": "default", "name": "orders"}  # as a scheduler does
        await c.client.replace(VOLUMES, document)

        assert (await until_claim(c, "orders", "Bound")).volume_name == "disk"
        assert await events_about(c, "WaitForFirstConsumer") == [
            "Normal waiting for first consumer to be created before binding"
        ]
        assert await events_about(c, "WaitForPodScheduled") == ["Normal waiting for pod web to be scheduled"]


async def test_a_class_without_provisioning_leaves_its_claim_alone() -> None:  # PR-1
    off = ControllerOptions(
        controllers="persistentvolume-binder", enable_dynamic_provisioning=False, pvclaimbinder_sync_period=3600
    )
    async with cluster(off) as c:
        await c.create(storage_class("fast"), claim("orders", storageClassName="fast"))
        await until_waiting(c, 1)
        await c.settle()
        assert claim_in(c, "orders").annotations == {}
        assert "fast" in c.of(STORAGE_CLASSES)


def test_the_controller_is_known_by_the_references_names() -> None:  # B-1, B-2
    (declaration,) = choose_controllers("persistentvolume-binder")
    assert declaration.name == "persistentvolume-binder-controller"
    assert declaration.user == "persistent-volume-binder"
    assert names.BINDER_EVENT_SOURCE == "persistentvolume-controller"


async def test_what_is_there_at_the_start_is_bound_without_a_complaint() -> None:  # B-3, B-7, B-11
    async with cluster(ControllerOptions(controllers="")) as without:
        await without.create(volume("disk"), claim("orders"))
        line = InProcessTransport(without.server.dispatcher, ADMIN)
        manager = Manager(line, ONLY)
        running = asyncio.create_task(manager.run())
        try:
            await until_claim(without, "orders", "Bound")
            events = await without.client.list_all(EVENTS)
            assert events == [], "the volume was made available before the claim was looked at"
        finally:
            running.cancel()
            await asyncio.wait([running])


@pytest.mark.slow
async def test_binder_6_namespaces_take_turns_and_a_claim_that_a_pod_waits_for_comes_first() -> None:
    count = CONCURRENT_SYNCS_MAX + 40
    async with cluster(ONLY) as c:
        await c.stop()
        await c.client.create(NAMESPACES, {"metadata": {"name": "small"}})
        await c.create(*(volume(f"disk-{number}") for number in range(count + 2)))
        await c.create(*(claim(f"claim-{number}") for number in range(count)))
        alone = claim("alone")
        alone["metadata"]["namespace"] = "small"
        await c.create(alone, claim("awaited"), pod("web", using("awaited")))
        await c.start()
        await c.until(lambda: sum(found.phase == "Bound" for found in c.of(CLAIMS)) == count + 2)

        claims = [r.path.split("/")[-2] for r in c.line.seen if r.path.endswith("/status") and "claims/" in r.path]
        assert claims.index("awaited") < CONCURRENT_SYNCS_MAX
        assert claims.index("alone") < CONCURRENT_SYNCS_MAX


async def test_binder_7_complete_pairs_are_looked_at_but_never_queued() -> None:
    async with cluster(ONLY) as c:
        await c.create(*(volume(f"disk-{n}") for n in range(3)), *(claim(f"c-{n}") for n in range(3)))
        await c.until(lambda: sum(one.phase == "Bound" for one in c.of(CLAIMS)) == 3)
        await c.settle()
        await c.restart()
        await c.settle()

        assert [queue.adds for queue in binder_of(c).queues()] == [0, 0]
        assert len(binder_of(c).binder._unsettled_claims) == len(binder_of(c).binder._unsettled_volumes) == 0


async def test_binder_7_nothing_is_called_idle_before_the_first_look() -> None:
    async with cluster(ONLY, load=[volume("disk"), claim("orders")]) as c:
        unstarted = Manager(InProcessTransport(c.server.dispatcher, ADMIN), ONLY)
        async with asyncio.TaskGroup() as group:
            filling = group.create_task(unstarted.informers.run())
            await unstarted.informers.wait_synced()
            assert not unstarted.is_idle
            filling.cancel()


async def test_a_resync_finds_what_nobody_was_told_of() -> None:  # B-6
    async with cluster(ONLY) as c:
        await c.create(volume("disk"), claim("orders"))
        bound = await until_claim(c, "orders", "Bound")
        await c.settle()
        binder = binder_of(c).binder
        binder.caches.claims._objects[bound.key] = msgspec.structs.replace(bound, phase="Pending")  # a missed event
        await binder.resync()
        await c.settle()
        assert claim_in(c, "orders").phase == "Bound"
        assert binder.statistics().resyncs == 1
        assert c.line.asked("PUT", "/orders/status") == 2


async def test_a_claim_bound_elsewhere_lets_its_first_volume_go() -> None:  # SV-10, UB-1, UB-3, T-6
    async with cluster(ONLY) as c:
        await c.create(volume("a"), volume("b"), claim("orders", volumeName="a"))
        await until_claim(c, "orders", "Bound")
        document = (await c.client.get(VOLUMES, "b")).document()
        document["spec"]["claimRef"] = (await c.client.get(VOLUMES, "a")).document()["spec"]["claimRef"]
        document["metadata"]["annotations"] = {names.BOUND_BY_CONTROLLER: "yes"}
        await c.client.replace(VOLUMES, document)

        await c.until(lambda: c.of(VOLUMES)["b"].claim_ref is None)
        free = await until_volume(c, "b", "Available")
        assert free.annotations == {}
        assert c.of(VOLUMES)["a"].phase == "Bound"


async def test_a_lost_claim_is_told_once_and_comes_back() -> None:  # ST-7, SC-B3, SC-U8
    async with cluster(ONLY) as c:
        await lose_volume(c)
        lost = await until_claim(c, "orders", "Lost")
        assert lost.status_capacity is None
        for _ in range(2):
            await binder_of(c).binder.resync()
            await c.settle()
        assert await events_about(c, "ClaimLost") == [
            "Warning Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        ]

        await c.create(volume("disk"))
        await until_claim(c, "orders", "Bound")


async def test_a_failed_volume_is_told_once() -> None:  # ST-2, RC-5
    async with cluster(ONLY) as c:
        await c.create(volume("disk"))
        found = await until_volume(c, "disk", "Available")
        await c.settle()
        reclaimer = binder_of(c).binder.volume_sync._reclaimer
        await reclaimer.fail(found, UNKNOWN_POLICY)
        failed = await until_volume(c, "disk", "Failed")
        await reclaimer.fail(failed, RECYCLED)
        assert failed.message == UNKNOWN_POLICY.message
        assert len(await events_about(c, UNKNOWN_POLICY.reason)) == 1
        assert await events_about(c, RECYCLED.reason) == []
