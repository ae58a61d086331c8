"""What is looked up and checked before a driver is asked, on a real API server."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from tests.controllers.cluster import claim as claim_of
from tests.controllers.csi.fake_driver import ABILITIES, NAME, FakeDriver
from tests.controllers.csi.stage import Stage, stage, storage_class
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.options import ProvisionerOptions
from pvbinder.controllers.csi.places import CSI_NODE_VIEWS
from pvbinder.controllers.csi.preparing import CONTENTS, SNAPSHOTS, Preparation
from pvbinder.csi.wire import methods
from pvbinder.kube.kinds import ATTRIBUTES_CLASSES, CLAIMS
from pvbinder.model.objects import parse_claim, parse_storage_class
from pvbinder.rules.csi.refusals import ProvisioningFailed, State
from pvbinder.rules.csi.sources import CLONING_FINALIZER, SNAPSHOT_FINALIZER
from pvbinder.rules.csi.volumes import Abilities

ZONE = "topology.example.com/zone"
WITH_TOPOLOGY = DriverInfo(NAME, msgspec.structs.replace(ABILITIES, topology=True))
CLONE = {"kind": "PersistentVolumeClaim", "name": "orders"}
RESTORE = {"kind": "VolumeSnapshot", "name": "s", "apiGroup": "snapshot.storage.k8s.io"}


def other_source(**fields: Any) -> dict[str, Any]:
    return {"dataSource": {"kind": "PersistentVolumeClaim", "name": "x", **fields}}


# each row fails in one check more than the row after it: the first is what the user hears
CHECKS: dict[str, tuple[dict[str, Any], dict[str, str], Abilities, str]] = {
    "abilities (CP-8)": (
        {"selector": {"matchLabels": {"a": "b"}}, "dataSource": CLONE},
        {"fstype": "a", "csi.storage.k8s.io/fstype": "b"},
        Abilities(controller_service=True),
        "controller CREATE_DELETE_VOLUME capability is not reported",
    ),
    "selector (CP-9)": (
        {"selector": {"matchLabels": {"a": "b"}}, "dataSource": CLONE},
        {"fstype": "a", "csi.storage.k8s.io/fstype": "b"},
        ABILITIES,
        "claim Selector is not supported",
    ),
    "file system (CP-11)": (
        {"dataSource": CLONE},
        {"fstype": "a", "csi.storage.k8s.io/fstype": "b"},
        ABILITIES,
        "fstype specified in parameters with both",
    ),
    "source (CP-14)": (
        {"dataSource": CLONE},
        {"csi.storage.k8s.io/secret-name": "a", "csi.storage.k8s.io/x": "y"},
        ABILITIES,
        (
            "error getting handle for DataSource Type PersistentVolumeClaim by Name orders: error getting PVC orders "
            '(namespace "default") from api server: '
        ),
    ),
    "secrets (CP-16)": (
        {},
        {"csi.storage.k8s.io/secret-name": "a", "csi.storage.k8s.io/x": "y"},
        ABILITIES,
        "failed to get default name and namespace template from params",
    ),
    "the secret itself (SE-6)": (
        {"volumeAttributesClassName": "gold"},
        {"csi.storage.k8s.io/provisioner-secret-name": "s", "csi.storage.k8s.io/provisioner-secret-namespace": "ns"}
        | {"csi.storage.k8s.io/node-stage-secret-name": "half", "csi.storage.k8s.io/x": "y"},
        ABILITIES,
        'error getting secret s in namespace ns: secrets "s" not found',
    ),
    "parameters (CP-17)": (
        {"volumeAttributesClassName": "gold"},
        {"csi.storage.k8s.io/x": "y"},
        ABILITIES,
        'found unknown parameter key "csi.storage.k8s.io/x"',
    ),
    "attributes class (CP-19)": (
        {"volumeAttributesClassName": "gold"},
        {},
        ABILITIES,
        'volumeattributesclasses.storage.k8s.io "gold" not found',
    ),
}


@pytest.mark.parametrize(("spec", "parameters", "abilities", "message"), CHECKS.values(), ids=CHECKS.keys())
def test_preparing_1_the_first_check_that_fails_is_told(
    spec: dict[str, Any], parameters: dict[str, str], abilities: Abilities, message: str
) -> None:
    @on_virtual_time
    async def tell() -> None:
        async with stage(info=DriverInfo(NAME, abilities)) as s:
            await s.cluster.create(storage_class(parameters=parameters))
            await s.want("copy", **spec)
            await s.until_told(message)
            assert s.driver.seen == []
            assert await s.written_down() == {}

    tell()


@on_virtual_time
async def test_preparing_1_an_attributes_class_of_another_driver_is_refused() -> None:  # CP-19
    async with stage() as s:
        await s.cluster.create(storage_class())
        await s.cluster.client.create(ATTRIBUTES_CLASSES, attributes_class("gold", "x"))
        await s.want(volumeAttributesClassName="gold")
        await s.until_told(f"VAC gold referenced in PVC is for driver x which does not match driver name {NAME}")


@on_virtual_time
async def test_preparing_1_the_parameters_of_an_attributes_class_go_along() -> None:  # CP-19
    async with stage() as s:
        await s.cluster.create(storage_class())
        await s.cluster.client.create(ATTRIBUTES_CLASSES, attributes_class("gold", NAME))
        await s.want(volumeAttributesClassName="gold")
        await s.until_bound()
        assert dict(s.driver.calls(methods.CREATE_VOLUME)[0].mutable_parameters) == {"iops": "100"}


def attributes_class(name: str, driver: str) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttributesClass",
        "metadata": {"name": name},
        "driverName": driver,
        "parameters": {"iops": "100"},
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            {**RESTORE, "namespace": "other"},  # CP-3
            "dataSourceRef namespace specified but the CrossNamespaceVolumeDataSource feature is disabled",
        ),
        ({"kind": "PersistentVolumeClaim", "name": ""}, "the PVC source not found for PVC copy"),  # CP-5
        (
            {"kind": "VolumeSnapshot", "name": "s", "apiGroup": "x.example.com"},  # CP-6
            "the PVC source does not belong to the right APIGroup. Expected snapshot.storage.k8s.io, Got x.example.com",
        ),
    ],
)
def test_preparing_1_a_source_that_names_nothing(source: dict[str, str], message: str) -> None:
    """An API server refuses most of these; a claim that has one all the same is refused by us."""
    document = claim_of("copy", dataSourceRef=source)
    preparation = Preparation(None, None, NAME, ABILITIES, ProvisionerOptions())  # type: ignore[arg-type]
    of_class = parse_storage_class(msgspec.json.encode(storage_class()))
    with pytest.raises(ProvisioningFailed) as caught:
        asyncio.run(preparation.request(parse_claim(msgspec.json.encode(document)), of_class, "pvc-1"))
    assert (caught.value.message, caught.value.state) == (message, State.FINISHED)


@on_virtual_time
@pytest.mark.parametrize("group", [{}, {"apiGroup": "example.com"}])
async def test_preparing_1_a_claim_to_clone_that_is_missing(group: dict[str, str]) -> None:  # CP-7, DS-1
    """A claim of any group is a claim, and the words are those of a cache, not of a server."""
    async with stage() as s:
        await s.cluster.create(storage_class())
        await s.want(dataSourceRef={"kind": "PersistentVolumeClaim", "name": "none", **group})
        await s.until_told(
            "error getting handle for DataSource Type PersistentVolumeClaim by Name none: error getting PVC none "
            '(namespace "default") from api server: persistentvolumeclaim "none" not found'
        )


@on_virtual_time
async def test_preparing_1_a_node_that_has_no_driver_is_given_back() -> None:  # CP-15, TP-2, LB-22
    async with stage(info=WITH_TOPOLOGY) as s:
        await s.cluster.create(storage_class(volumeBindingMode="WaitForFirstConsumer"))
        await s.want(annotations={"volume.kubernetes.io/selected-node": "n1"})
        await s.until_told('failed to get selected CSINode n1: csinode.storage.k8s.io "n1" not found')
        await s.cluster.settle()
        found = await s.cluster.client.get(CLAIMS, "orders", "default")
        assert not found.selected_node
        assert s.driver.seen == []


@on_virtual_time
async def test_preparing_1_a_node_that_is_gone_has_no_labels() -> None:  # CP-15, TP-2
    async with stage(info=WITH_TOPOLOGY) as s:
        drivers = [{"name": NAME, "nodeID": "n1", "topologyKeys": [ZONE]}]
        await s.cluster.client.create(CSI_NODE_VIEWS, {"metadata": {"name": "n1"}, "spec": {"drivers": drivers}})
        await s.cluster.create(storage_class(volumeBindingMode="WaitForFirstConsumer"))
        await s.want(annotations={"volume.kubernetes.io/selected-node": "n1"})
        await s.until_told(
            "error generating accessibility requirements: topology labels from selected node map[] does not match "
            f"topology keys from CSINode [{ZONE}]"
        )
        await asyncio.sleep(5)
        assert (await s.cluster.client.get(CLAIMS, "orders", "default")).selected_node == "n1"


@on_virtual_time
async def test_preparing_1_the_driver_hears_where_the_volume_may_be() -> None:  # TP-1, CP-15
    async with stage(info=WITH_TOPOLOGY) as s:
        await node(s, "n1", "z1")
        await node(s, "n2", "z2")
        await s.cluster.create(storage_class(volumeBindingMode="WaitForFirstConsumer"))
        await s.want(annotations={"volume.kubernetes.io/selected-node": "n2"})
        await s.until_bound()
        (asked,) = s.driver.calls(methods.CREATE_VOLUME)
        places = [dict(one.segments) for one in asked.accessibility_requirements.preferred]
        assert places == [{ZONE: "z2"}, {ZONE: "z1"}]


@on_virtual_time
async def test_preparing_1_without_nodes_there_is_no_place() -> None:  # CP-15, TP-6
    async with stage(info=WITH_TOPOLOGY) as s:
        await s.cluster.create(storage_class())
        await s.want()
        await s.until_told("error generating accessibility requirements: no available topology found")


async def node(s: Stage, name: str, zone: str) -> None:
    await s.cluster.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {ZONE: zone}}})
    drivers = [{"name": NAME, "nodeID": name, "topologyKeys": [ZONE]}]
    await s.cluster.client.create(CSI_NODE_VIEWS, {"metadata": {"name": name}, "spec": {"drivers": drivers}})


@on_virtual_time
async def test_preparing_2_a_claim_is_protected_before_it_is_cloned() -> None:  # DS-6
    driver = FakeDriver()
    writes: list[int] = []  # to the source, when the driver is asked
    async with stage(driver) as s:
        await s.cluster.create(storage_class())
        uid = await s.want()
        await s.until_bound()
        driver.before = lambda _: writes.append(s.cluster.line.asked("PUT", "/persistentvolumeclaims/orders"))
        before = s.cluster.line.asked("PUT", "/persistentvolumeclaims/orders")
        await s.want("copy", dataSource=CLONE)
        await s.until_bound("copy")
        assert writes == [before + 1]
        found = await s.cluster.client.get(CLAIMS, "orders", "default")
        assert CLONING_FINALIZER in found.finalizers
        asked = driver.calls(methods.CREATE_VOLUME)[1]
        assert asked.volume_content_source.volume.volume_id == f"id-of-pvc-{uid}"


@on_virtual_time
async def test_preparing_2_a_snapshot_is_protected_before_it_is_restored() -> None:  # DS-8, DS-11
    async with stage() as s:
        await s.cluster.create(storage_class())
        await s.want("copy", dataSource=RESTORE)
        await s.until_told("error getting handle for DataSource Type VolumeSnapshot by Name s: ")
        await snapshot(s)
        await s.until_bound("copy")
        found = await s.cluster.client.get(SNAPSHOTS, "s", "default")
        assert SNAPSHOT_FINALIZER in found.finalizers
        (asked,) = s.driver.calls(methods.CREATE_VOLUME)
        assert asked.volume_content_source.snapshot.snapshot_id == "snap-1"


async def snapshot(s: Stage) -> None:
    """A snapshot that is bound and ready."""
    client = s.cluster.client
    spec: dict[str, Any] = {"source": {"volumeSnapshotContentName": "c"}}
    made = await client.create(SNAPSHOTS, {"metadata": {"name": "s", "namespace": "default"}, "spec": spec})
    content = {
        "deletionPolicy": "Retain",
        "driver": NAME,
        "source": {"snapshotHandle": "snap-1"},
        "volumeSnapshotRef": {"name": "s", "namespace": "default", "uid": made.uid},
    }
    kept = (await client.create(CONTENTS, {"metadata": {"name": "c"}, "spec": content})).document()
    kept["status"] = {"snapshotHandle": "snap-1", "readyToUse": True}
    await client.replace(CONTENTS, kept, subresource="status")
    document = made.document()
    document["status"] = {"boundVolumeSnapshotContentName": "c", "readyToUse": True, "restoreSize": "1Gi"}
    await client.replace(SNAPSHOTS, document, subresource="status")
