"""Claims that ask for more (EX-1 to EX-12), on a real API server."""

from __future__ import annotations

import pytest
from tests.controllers.cluster import Cluster, claim, cluster, fails, storage_class, volume
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.expander import ExpandController
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.kinds import CLAIMS, EVENTS, VOLUMES
from pvbinder.model.names import PRE_RESIZE_CAPACITY, STORAGE_RESIZER

OPTIONS = ControllerOptions(controllers="persistentvolume-expander,persistentvolume-binder")
KEY = "default/orders"


async def bind(c: Cluster, **source: object) -> None:
    """Bind the claim to a volume of this kind."""
    await c.create(
        storage_class("growing", "disk.example", allowVolumeExpansion=True),
        volume("disk", storageClassName="growing", **source),
    )
    await c.create(claim("orders", storageClassName="growing", volumeMode=source.get("volumeMode", "Filesystem")))
    await c.until(lambda: KEY in c.of(CLAIMS) and c.of(CLAIMS)[KEY].phase == "Bound")
    await c.settle()


async def ask_for(c: Cluster, size: str) -> None:
    grown = (await c.client.get(CLAIMS, "orders", "default")).document()
    grown["spec"]["resources"]["requests"]["storage"] = size
    await c.client.replace(CLAIMS, grown)


def told(c: Cluster) -> list[tuple[str, str, str]]:
    events = [event.document() for event in c.of(EVENTS)]
    return [(e["type"], e["reason"], e["message"]) for e in events if e["source"]["component"] == "volume_expand"]


@on_virtual_time
async def test_another_resizer_is_waited_for() -> None:  # EX-6
    async with cluster(OPTIONS) as c:
        await bind(c, hostPath=None, csi={"driver": "disk.example", "volumeHandle": "1"})
        await ask_for(c, "2Gi")
        await c.until(lambda: bool(told(c)))
        await c.settle()

        assert told(c) == [("Normal", "ExternalExpanding", "waiting for an external controller to expand this PVC")]
        assert STORAGE_RESIZER not in c.of(CLAIMS)[KEY].annotations


@on_virtual_time
async def test_a_migrated_volume_is_handed_to_its_driver() -> None:  # EX-5
    async with cluster(OPTIONS) as c:
        await bind(c, hostPath=None, gcePersistentDisk={"pdName": "disk-1"})
        await ask_for(c, "2Gi")
        await c.until(lambda: STORAGE_RESIZER in c.of(CLAIMS)[KEY].annotations and bool(told(c)))

        assert c.of(CLAIMS)[KEY].annotations[STORAGE_RESIZER] == "pd.csi.storage.gke.io"
        assert told(c)[0][2] == (
            "CSI migration enabled for kubernetes.io/gce-pd; waiting for external resizer to expand the pvc"
        )


@on_virtual_time
async def test_a_flex_volume_grows_and_waits_for_its_node() -> None:  # EX-7 to EX-11
    async with cluster(OPTIONS) as c:
        await bind(c, hostPath=None, flexVolume={"driver": "example.com/lvm"})
        await ask_for(c, "2Gi")
        await c.until(lambda: PRE_RESIZE_CAPACITY in c.of(VOLUMES)["disk"].annotations)
        await c.settle()

        grown, status = c.of(VOLUMES)["disk"], c.of(CLAIMS)[KEY].document()["status"]
        assert str(grown.capacity) == "2Gi"
        assert grown.annotations[PRE_RESIZE_CAPACITY] == "1Gi"
        assert status["capacity"] == {"storage": "1Gi"}
        assert status["allocatedResources"] == {"storage": "2Gi"}
        assert status["allocatedResourceStatuses"] == {"storage": "NodeResizePending"}
        assert [(x["type"], x["status"]) for x in status["conditions"]] == [
            ("Resizing", "True"),
            ("FileSystemResizePending", "True"),
        ]
        assert c.of(CLAIMS)[KEY].annotations[STORAGE_RESIZER] == "example.com/lvm"


@on_virtual_time
async def test_an_expansion_is_measured() -> None:  # EX-13
    async with cluster(OPTIONS) as c:
        await bind(c, hostPath=None, flexVolume={"driver": "example.com/lvm"})
        c.line.before = fails(1, "PATCH", "/persistentvolumes/disk")
        await ask_for(c, "2Gi")
        await c.until(lambda: PRE_RESIZE_CAPACITY in c.of(VOLUMES)["disk"].annotations)
        await c.settle()

        controller = c.manager.controllers["persistentvolume-expander-controller"]
        assert isinstance(controller, ExpandController)
        counts = {key: durations.count for key, durations in controller.measures.calls.items()}
        assert counts == {
            ("example.com/lvm", "expand_volume", "fail-unknown"): 1,
            ("example.com/lvm", "expand_volume", "success"): 1,
        }


@on_virtual_time
async def test_what_the_node_has_finished_is_noted() -> None:  # EX-8
    async with cluster(OPTIONS) as c:
        await bind(c, hostPath=None, flexVolume={"driver": "example.com/lvm"})
        await ask_for(c, "2Gi")
        await c.until(lambda: PRE_RESIZE_CAPACITY in c.of(VOLUMES)["disk"].annotations)
        await c.settle()
        document = (await c.client.get(CLAIMS, "orders", "default")).document()
        document["status"]["capacity"] = {"storage": "2Gi"}
        await c.client.replace(CLAIMS, document, subresource="status")

        await c.until(lambda: PRE_RESIZE_CAPACITY not in c.of(VOLUMES)["disk"].annotations)


@on_virtual_time
async def test_a_block_volume_has_grown_at_once() -> None:  # EX-11
    async with cluster(OPTIONS) as c:
        await bind(c, hostPath=None, flexVolume={"driver": "example.com/lvm"}, volumeMode="Block")
        await ask_for(c, "2Gi")
        await c.until(lambda: bool(told(c)))
        await c.settle()

        status = c.of(CLAIMS)[KEY].document()["status"]
        assert told(c) == [("Normal", "VolumeResizeSuccessful", f"ExpandVolume succeeded for volume {KEY}")]
        assert status["capacity"] == {"storage": "2Gi"}
        assert not status.get("conditions")
        assert not status.get("allocatedResourceStatuses")


STEPS = {  # the write that fails: what is said
    "marking": ("/orders/status", f"error updating pvc {KEY} with resize in progress: broken by the test"),
    "the volume": ("/persistentvolumes/disk", f"error updating pv for pvc {KEY}: broken by the test"),
}


@pytest.mark.parametrize(("ending", "message"), STEPS.values(), ids=STEPS.keys())
@on_virtual_time
async def test_a_failed_write_is_told_and_repeated(ending: str, message: str) -> None:  # EX-12
    async with cluster(OPTIONS) as c:
        await bind(c, hostPath=None, flexVolume={"driver": "example.com/lvm"})
        c.line.before = fails(1, "PATCH", ending)
        await ask_for(c, "2Gi")
        await c.until(lambda: PRE_RESIZE_CAPACITY in c.of(VOLUMES)["disk"].annotations and bool(told(c)))

        assert told(c)[0] == ("Warning", "VolumeResizeFailed", message)


@on_virtual_time
async def test_a_volume_that_cannot_be_read_is_tried_again() -> None:  # EX-2
    async with cluster(OPTIONS) as c:
        await bind(c, hostPath=None, csi={"driver": "disk.example", "volumeHandle": "1"})
        c.line.before = fails(6, "GET", "/persistentvolumes/disk")
        await ask_for(c, "2Gi")

        await c.until(lambda: bool(told(c)))


@on_virtual_time
async def test_a_claim_that_did_not_grow_costs_nothing() -> None:  # EX-1, EX-4
    async with cluster(OPTIONS) as c:
        await bind(c)
        before = c.line.asked("GET", "/persistentvolumes/disk")
        document = (await c.client.get(CLAIMS, "orders", "default")).document()
        document["metadata"]["labels"] = {"tier": "gold"}
        changed = await c.client.replace(CLAIMS, document)
        await c.until(lambda: int(c.of(CLAIMS)[KEY].resource_version) >= int(changed.resource_version))
        await c.settle()

        assert c.line.asked("GET", "/persistentvolumes/disk") == before
        assert told(c) == []


@on_virtual_time
async def test_expander_2_a_claim_that_has_what_it_asks_for_costs_no_request() -> None:  # EX-2, EX-4
    async with cluster(OPTIONS) as c:
        await bind(c)
        assert c.line.asked("GET", "/persistentvolumes/disk") == 0  # its capacity grew from none, which is worth a look

        await ask_for(c, "2Gi")
        await c.until(lambda: bool(told(c)))
        assert c.line.asked("GET", "/persistentvolumes/disk") == 1


@on_virtual_time
async def test_expander_2_what_grew_before_the_start_is_found() -> None:  # EX-1
    async with cluster(OPTIONS) as c:
        await bind(c)
        await c.stop()
        await ask_for(c, "2Gi")
        await c.start()
        await c.until(lambda: bool(told(c)))
