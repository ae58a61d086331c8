"""Volumes deleted through a driver, on a real API server with the real binder."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from tests.controllers.cluster import volume as volume_of
from tests.controllers.csi.fake_driver import ABILITIES, NAME
from tests.controllers.csi.stage import PROTECTION, SECRET, Stage, stage, storage_class
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.deleter import ATTACHMENTS
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.transport import Answer, Request
from pvbinder.rules.csi.volumes import FINALIZER, Abilities

PUBLISHES = DriverInfo(NAME, msgspec.structs.replace(ABILITIES, publish_unpublish=True))


def own_volume(name: str, policy: str = "Delete", **spec: Any) -> dict[str, Any]:
    csi_source = {"driver": NAME, "volumeHandle": f"h-{name}"}
    made = volume_of(name, csi=csi_source, storageClassName="fast", persistentVolumeReclaimPolicy=policy, **spec)
    del made["spec"]["hostPath"]
    return made


async def bound(s: Stage, parameters: dict[str, str] | None = None) -> str:
    await s.cluster.create(storage_class(parameters=parameters or {}))
    uid = await s.want()
    await s.until_bound()
    await s.cluster.settle()
    return f"pvc-{uid}"


@on_virtual_time
async def test_a_volume_goes_with_its_claim() -> None:  # LB-3, LB-28, LB-30, DV-5
    async with stage() as s:
        await bound(s)
        await s.give_up()
        await s.cluster.until(lambda: not s.volumes())
        assert s.driver.volumes == {}
        assert len(s.driver.calls(methods.DELETE_VOLUME)) == 1


@on_virtual_time
async def test_csi_deleter_1_a_claim_that_is_there_keeps_its_volume() -> None:
    """Somebody sets the phase by hand; the claim is there, and uses the volume."""
    async with stage(chosen="csi-deleter") as s:
        await s.cluster.create(storage_class())
        uid = await s.want(volumeName="old")
        made = own_volume("old", claimRef={"namespace": "default", "name": "orders", "uid": uid})
        await s.cluster.create(made)
        document = (await s.cluster.client.get(VOLUMES, "old")).document()
        document["status"] = {"phase": "Released"}
        await s.cluster.client.replace(VOLUMES, document, subresource="status")
        await asyncio.sleep(100)
        assert s.driver.calls(methods.DELETE_VOLUME) == []
        assert s.volumes() == {"old"}


@on_virtual_time
async def test_csi_deleter_1_a_false_answer_about_a_claim_deletes_nothing() -> None:
    async with stage() as s:
        name = await bound(s)

        def a_proxys_page(request: Request) -> Answer | None:
            if request.method == "GET" and "/persistentvolumeclaims" in request.path:
                return Answer(404, b"<html>not found</html>")
            return None

        s.cluster.line.before = a_proxys_page
        await s.give_up()
        await asyncio.sleep(120)
        assert s.driver.calls(methods.DELETE_VOLUME) == []
        assert list(s.driver.volumes) == [name]
        s.cluster.line.before = lambda _: None
        await s.cluster.until(lambda: not s.volumes())
        assert s.driver.volumes == {}


@on_virtual_time
async def test_csi_deleter_1_only_what_is_released_is_deleted() -> None:  # LB-26, LB-28
    async with stage(chosen="csi-deleter") as s:
        others = own_volume("others")
        others["spec"]["csi"]["driver"] = "other.example.com"
        moved = own_volume("moved")
        moved["metadata"]["annotations"] = {"pv.kubernetes.io/provisioned-by": "other.example.com"}
        for one in (own_volume("kept", "Retain"), own_volume("free"), own_volume("failed"), others, moved):
            await s.cluster.create(one)
        for name, phase in {
            "kept": "Released",
            "failed": "Failed",
            "others": "Released",
            "moved": "Released",
        }.items():
            document = (await s.cluster.client.get(VOLUMES, name)).document()
            document["spec"]["claimRef"] = {"namespace": "default", "name": "gone", "uid": "u"}
            document = (await s.cluster.client.replace(VOLUMES, document)).document()
            document["status"] = {"phase": phase}
            await s.cluster.client.replace(VOLUMES, document, subresource="status")
        await asyncio.sleep(100)
        assert s.driver.seen == []


@on_virtual_time
async def test_csi_deleter_2_only_what_the_driver_confirms_is_gone() -> None:  # LB-29, DV-5
    async with stage() as s:
        name = await bound(s)
        fails = 2

        def fail(request: object) -> None:
            nonlocal fails
            if isinstance(request, csi.DeleteVolumeRequest) and fails:
                fails -= 1
                raise CallFailed(Code.DEADLINE_EXCEEDED, "too slow")

        s.driver.after = fail
        await s.give_up()
        await s.until_told("rpc error: code = DeadlineExceeded desc = too slow", "VolumeFailedDelete")
        assert s.volumes() == {name}
        await s.cluster.until(lambda: not s.volumes())
        assert {call.volume_id for call in s.driver.calls(methods.DELETE_VOLUME)} == {f"id-of-{name}"}
        assert len(s.driver.calls(methods.DELETE_VOLUME)) == 3


@on_virtual_time
async def test_csi_deleter_2_an_object_that_could_not_be_removed_is_removed_later() -> None:  # LB-30
    async with stage() as s:
        await bound(s)
        refused = 0

        def refuse(request: Request) -> Answer | None:
            nonlocal refused
            if request.method == "DELETE" and "/persistentvolumes/" in request.path and refused < 2:
                refused += 1
                return Answer(500, b"{}")
            return None

        s.cluster.line.before = refuse
        await s.give_up()
        await s.cluster.until(lambda: not s.volumes())
        assert refused == 2
        assert len(s.driver.calls(methods.DELETE_VOLUME)) == 1


@on_virtual_time
async def test_csi_deleter_3_a_volume_that_a_node_has_stays() -> None:  # DV-4
    async with stage(info=PUBLISHES) as s:
        name = await bound(s)
        attachment = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "VolumeAttachment",
            "metadata": {"name": "a"},
            "spec": {"attacher": NAME, "nodeName": "n1", "source": {"persistentVolumeName": name}},
        }
        await s.cluster.client.create(ATTACHMENTS, attachment)
        await s.give_up()
        await s.until_told(f"persistentvolume {name} is still attached to node n1", "VolumeFailedDelete")
        assert s.driver.calls(methods.DELETE_VOLUME) == []
        await s.cluster.client.delete(ATTACHMENTS, "a")
        await s.cluster.until(lambda: not s.volumes())


@on_virtual_time
async def test_csi_deleter_4_a_bound_volume_of_ours_gets_the_finalizer() -> None:  # LB-27
    async with stage() as s:
        await s.cluster.create(storage_class())
        await s.cluster.create(own_volume("ours"), own_volume("kept", "Retain"))
        await s.want("a", volumeName="ours")
        await s.want("b", volumeName="kept")
        await s.until_bound("a")
        await s.until_bound("b")
        await s.cluster.until(lambda: FINALIZER in s.cluster.of(VOLUMES)["ours"].finalizers)
        assert FINALIZER not in s.cluster.of(VOLUMES)["kept"].finalizers
        document = (await s.cluster.client.get(VOLUMES, "ours")).document()
        document["spec"]["persistentVolumeReclaimPolicy"] = "Retain"
        await s.cluster.client.replace(VOLUMES, document)
        await s.cluster.until(lambda: FINALIZER not in s.cluster.of(VOLUMES)["ours"].finalizers)
        assert s.driver.seen == []


@on_virtual_time
async def test_a_driver_that_cant_delete_says_so() -> None:  # DV-2
    async with stage(info=DriverInfo(NAME, Abilities(controller_service=True)), chosen=RECLAIM) as s:
        await released(s, own_volume("old"))
        await s.until_told("controller CREATE_DELETE_VOLUME capability is not reported", "VolumeFailedDelete")


@on_virtual_time
async def test_a_volume_of_another_kind_cant_be_deleted_by_a_driver() -> None:  # DV-1
    async with stage(chosen=RECLAIM) as s:
        made = volume_of("old", persistentVolumeReclaimPolicy="Delete", storageClassName="fast")
        made["metadata"]["annotations"] = {"pv.kubernetes.io/provisioned-by": NAME}
        await released(s, made)
        await s.until_told("invalid CSI PV", "VolumeFailedDelete")


@on_virtual_time
async def test_the_secret_that_a_volume_names_goes_with_the_delete() -> None:  # DV-3
    prefix = "csi.storage.k8s.io/provisioner-secret"
    async with stage() as s:
        await s.keep_secret(password="open-sesame")
        await bound(s, {f"{prefix}-name": "keys", f"{prefix}-namespace": "default"})
        await s.give_up()
        await s.cluster.until(lambda: not s.volumes())
        assert [dict(call.secrets) for call in s.driver.calls(methods.DELETE_VOLUME)] == [{"password": "open-sesame"}]


@on_virtual_time
async def test_a_secret_that_is_missing_stops_no_delete() -> None:  # DV-3
    prefix = "csi.storage.k8s.io/provisioner-secret"
    async with stage() as s:
        await s.keep_secret(password="open-sesame")
        await bound(s, {f"{prefix}-name": "keys", f"{prefix}-namespace": "default"})
        await s.cluster.client.delete(SECRET, "keys", "default")
        await s.give_up()
        await s.cluster.until(lambda: not s.volumes())
        assert [dict(call.secrets) for call in s.driver.calls(methods.DELETE_VOLUME)] == [{}]


@on_virtual_time
async def test_the_secret_of_a_volume_made_by_hand_is_its_classes() -> None:  # DV-3
    prefix = "csi.storage.k8s.io/provisioner-secret"
    async with stage() as s:
        await s.keep_secret(password="open-sesame")
        parameters = {f"{prefix}-name": "keys", f"{prefix}-namespace": "${pvc.namespace}"}
        await s.cluster.create(storage_class(parameters=parameters))
        await released(s, own_volume("old"))
        await s.cluster.until(lambda: not s.volumes())
        assert [dict(call.secrets) for call in s.driver.calls(methods.DELETE_VOLUME)] == [{"password": "open-sesame"}]


RECLAIM = f"persistentvolume-binder,csi-deleter,{PROTECTION}"


async def released(s: Stage, volume: dict[str, Any]) -> None:
    """Have a volume bound to a claim that is then deleted."""
    await s.cluster.create(volume)
    await s.want(volumeName=volume["metadata"]["name"])
    await s.until_bound()
    await s.give_up()
    assert "default/orders" not in [claim.key async for claim in claims(s)]


async def claims(s: Stage) -> Any:
    async for page in s.cluster.client.pages(CLAIMS, "default"):
        for claim in page.items:
            yield claim
