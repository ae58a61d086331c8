"""Answers of a driver that can't be right, and clusters that can't take them: nothing is lost, and the user is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from tests.controllers.csi.fake_driver import INFO, NAME, FakeDriver
from tests.controllers.csi.stage import Stage, stage, storage_class
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.volume_intent import VolumeIntent, intent_for
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.kinds import CLAIMS, STORAGE_CLASSES, VOLUMES
from pvbinder.kube.transport import Request
from pvbinder.model.json import Json
from pvbinder.rules.csi.volumes import VolumeRequest


@on_virtual_time
async def test_csi_provisioner_6_an_id_that_another_volume_has_is_not_saved_twice() -> None:
    async with stage() as s:
        await s.cluster.create(storage_class())
        await s.want("first")
        await s.until_bound("first")
        (first,) = s.driver.volumes.values()
        s.driver.change = lambda volume: setattr(volume, "volume_id", first.volume_id)
        uid = await s.want("second")
        await s.until_told(f'the id of another volume: PersistentVolume "{next(iter(s.volumes()))}" has it')
        assert len(s.volumes()) == 1
        assert s.driver.calls(methods.DELETE_VOLUME) == []  # it is the other one's
        assert await s.written_down() != {}

        s.driver.change = lambda _: None
        del s.driver.volumes[f"pvc-{uid}"]  # somebody has mended the driver
        await s.until_bound("second")
        assert await settled(s)


@on_virtual_time
async def test_csi_provisioner_6_of_two_volumes_for_one_name_the_one_that_nobody_names_goes() -> None:
    """The answer to the first save is lost, the process ends, and the driver makes another volume for the same name."""
    async with stage() as s:
        await s.cluster.create(storage_class())
        lost = asyncio.Event()

        def loses(request: Request) -> None:
            if request.method == "POST" and request.path.endswith("/persistentvolumes"):
                lost.set()
                raise ConnectionFailed("the answer got lost")

        s.cluster.line.after = loses
        uid = await s.want()
        await lost.wait()
        await s.cluster.stop()
        name = f"pvc-{uid}"
        s.driver.volumes[name] = csi.Volume(volume_id="another", capacity_bytes=1 << 30)
        s.cluster.line.after = lambda _: None
        # the new process doesn't see the saved volume yet: its first save says that it is there
        await s.cluster.restart()
        s.provisioner._unsaved[uid] = await document_with(s, name, "another")
        s.provisioner._queue.add(uid)
        await s.until_bound()
        await asyncio.sleep(10)
        (saved,) = await s.cluster.client.list_all(VOLUMES)
        assert saved.csi is not None
        assert saved.csi.volume_handle == f"id-of-{name}"
        assert [one.volume_id for one in s.driver.calls(methods.DELETE_VOLUME)] == ["another"]
        assert await settled(s)


async def document_with(s: Stage, name: str, handle: str) -> Json:
    document = (await s.cluster.client.get(VOLUMES, name)).document()
    document["spec"]["csi"]["volumeHandle"] = handle
    document["metadata"] = {"name": name, "annotations": document["metadata"].get("annotations") or {}}
    document.pop("status", None)
    return document


async def settled(s: Stage) -> bool:
    await asyncio.sleep(5)
    return await s.written_down() == {}


def three_megabytes(volume: csi.Volume) -> None:
    """Attributes that pass gRPC, and that no object may have."""
    volume.volume_context.update({"key": "x" * (3 << 20)})


def no_label(volume: csi.Volume) -> None:
    """A place that is no label."""
    volume.accessible_topology.append(csi.Topology(segments={"-no key/../": "../no value"}))


@on_virtual_time
@pytest.mark.parametrize("answer", [three_megabytes, no_label])
async def test_csi_provisioner_3_what_no_server_takes_is_told_and_the_driver_asked_again(
    answer: Callable[[csi.Volume], None],
) -> None:
    driver = FakeDriver()
    driver.change = answer
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        uid = await s.want()
        await s.until_told("Error creating provisioned PV object for claim default/orders: ")
        assert s.volumes() == set()
        assert await s.written_down() != {}  # so that a restart finds it
        assert all(len(message) < 2048 for message in s.told("ProvisioningFailed"))
        assert driver.calls(methods.DELETE_VOLUME) == []

        driver.change = lambda _: None
        del driver.volumes[f"pvc-{uid}"]  # somebody has mended the driver
        await s.until_bound()
        assert await settled(s)


@on_virtual_time
async def test_csi_provisioner_3_what_no_server_takes_and_nobody_wants_any_more_is_deleted() -> None:
    driver = FakeDriver()
    driver.change = three_megabytes
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        await s.want()
        await s.until_told("Error creating provisioned PV object for claim default/orders: ")
        await s.give_up()
        await asyncio.sleep(600)
        assert driver.volumes == {}
        assert await s.written_down() == {}


@on_virtual_time
async def test_csi_provisioner_3_what_has_its_object_is_not_deleted_whatever_is_said_of_it_later() -> None:
    async with stage() as s:
        await s.cluster.create(storage_class())
        uid = await s.want()
        await s.until_bound()
        provisioner = s.provisioner
        provisioner._unsaved[uid] = await document_with(s, f"pvc-{uid}", f"id-of-pvc-{uid}")
        provisioner._unsaved[uid]["spec"]["capacity"] = {"storage": "-1"}  # invalid, and that is seen first
        await provisioner.intents.record(uid, await intent_of(s, uid))
        document = (await s.cluster.client.get(VOLUMES, f"pvc-{uid}")).document()
        document["spec"]["persistentVolumeReclaimPolicy"] = "Retain"
        await s.cluster.client.replace(VOLUMES, document)
        await s.give_up()
        provisioner._queue.add(uid)
        await asyncio.sleep(600)
        assert s.driver.calls(methods.DELETE_VOLUME) == []
        assert len(s.driver.volumes) == 1
        assert await s.written_down() == {}


async def intent_of(s: Stage, uid: str) -> VolumeIntent:
    """The intent that the claim had."""
    claim = await s.cluster.client.get(CLAIMS, "orders", "default")
    found = await s.cluster.client.get(STORAGE_CLASSES, "fast")
    return intent_for(claim, found, VolumeRequest(f"pvc-{uid}", 1 << 30, (), {}))


@on_virtual_time
async def test_a_place_that_no_node_has_is_saved_as_the_driver_says_it() -> None:
    driver = FakeDriver()
    driver.change = lambda volume: volume.accessible_topology.append(csi.Topology(segments={"rack": "nowhere"}))
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        await s.want()
        await s.until_bound()
        (saved,) = await s.cluster.client.list_all(VOLUMES)
        assert saved.document()["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"] == [
            {"matchExpressions": [{"key": "rack", "operator": "In", "values": ["nowhere"]}]}
        ]


@on_virtual_time
@pytest.mark.parametrize("volume_id", ["../../etc/passwd", "/", "a\nb", "\N{SNOWMAN}" * 40, "x" * 1000])
async def test_an_id_is_the_drivers_own_and_goes_back_to_it_as_it_is(volume_id: str) -> None:
    driver = FakeDriver()
    driver.change = lambda volume: setattr(volume, "volume_id", volume_id)
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        await s.want()
        await s.until_bound()
        await s.give_up()
        await s.cluster.until(lambda: not s.volumes())
        assert [one.volume_id for one in driver.calls(methods.DELETE_VOLUME)] == [volume_id]
        assert driver.volumes == {}


@on_virtual_time
async def test_unknown_keys_of_the_reserved_prefix_are_told_and_nothing_is_asked() -> None:  # CP-17
    async with stage() as s:
        await s.cluster.create(storage_class(parameters={"csi.storage.k8s.io/fstipe": "ext4"}))
        await s.want()
        await s.until_told('found unknown parameter key "csi.storage.k8s.io/fstipe" with reserved namespace')
        assert s.driver.seen == []
        assert await settled(s)


@on_virtual_time
async def test_a_driver_that_dies_in_mid_call_is_asked_again_for_the_same_volume() -> None:
    driver = FakeDriver()
    left = 3

    def dies(request: object) -> None:
        nonlocal left
        if isinstance(request, csi.CreateVolumeRequest) and left:
            left -= 1
            raise CallFailed(Code.UNAVAILABLE, "Socket closed")

    driver.after = dies
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        await s.want()
        await s.until_bound()
        assert len(driver.volumes) == 1
        assert len({one.name for one in driver.calls(methods.CREATE_VOLUME)}) == 1
        assert INFO.name == NAME
