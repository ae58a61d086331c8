"""Having volumes made, on a real API server, with the hostPath plugin."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.controllers.binder.test_controller import (
    binder_of,
    claim_in,
    events_about,
    until_claim,
    until_volume,
)
from tests.controllers.cluster import Cluster, claim, cluster, storage_class

from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.transport import Request
from pvbinder.model.json import Json

HOST_PATH = "kubernetes.io/host-path"


def options(root: Path, **flags: object) -> ControllerOptions:
    chosen = {"controllers": "persistentvolume-binder", "pvclaimbinder_sync_period": 3600.0, "hostpath_root": str(root)}
    return ControllerOptions(**chosen | {"enable_hostpath_provisioner": True} | flags)  # type: ignore[arg-type]


def wanting(volume_mode: str = "Filesystem") -> Json:
    return claim("orders", storageClassName="fast", volumeMode=volume_mode)


async def operations_done(c: Cluster) -> None:
    await c.settle()
    await binder_of(c).operations.wait_idle()
    await c.settle()


async def test_a_class_of_the_plugin_gives_its_claim_a_volume(tmp_path: Path) -> None:  # PR-14, PR-16
    async with cluster(options(tmp_path)) as c:
        await c.create(storage_class("fast", provisioner=HOST_PATH), wanting())
        bound = await until_claim(c, "orders", "Bound")
        assert bound.volume_name == f"pvc-{bound.uid}"
        made = await until_volume(c, bound.volume_name, "Bound")
        assert made.finalizers == ("kubernetes.io/pv-controller", "kubernetes.io/pv-protection")
        assert made.reclaim_policy == "Delete"
        assert made.host_path is not None
        assert Path(made.host_path.path or "").is_dir()
        assert await events_about(c, "ProvisioningSucceeded") == [
            f"Normal Successfully provisioned volume {made.name} using {HOST_PATH}"
        ]


async def test_provisioner_2_a_volume_is_made_once_for_a_claim(tmp_path: Path) -> None:  # PR-9
    async with cluster(options(tmp_path)) as c:
        await c.create(storage_class("fast", provisioner=HOST_PATH), wanting())
        bound = await until_claim(c, "orders", "Bound")
        await operations_done(c)
        document = bound.document()
        document["metadata"]["annotations"] = {}
        del document["spec"]["volumeName"]
        assert len(list(tmp_path.iterdir())) == len(c.of(VOLUMES)) == 1


@pytest.mark.slow
async def test_provisioner_1_what_cant_be_saved_is_deleted_again(tmp_path: Path) -> None:  # PR-15, PR-17
    def refuse_volumes(request: Request) -> None:
        if request.method == "POST" and request.path.endswith("persistentvolumes"):
            raise ConnectionFailed("nobody there", request_sent=False)

    async with cluster(options(tmp_path)) as c:
        c.line.before = refuse_volumes
        binder_of(c).binder.claim_sync._provisioner._pause_seconds = 0.001
        await c.create(storage_class("fast", provisioner=HOST_PATH), wanting())
        await c.until(lambda: "default/orders" in c.of(CLAIMS))
        await operations_done(c)

        assert list(tmp_path.iterdir()) == []
        assert c.line.asked("POST", "/persistentvolumes") >= 5
        failed = await events_about(c, "ProvisioningFailed")
        assert failed == [
            "Warning Error creating provisioned PV object for claim default/orders: nobody there. Deleting the volume."
        ]
        assert await events_about(c, "ProvisioningCleanupFailed") == []


async def test_a_plugin_that_is_switched_off_says_so(tmp_path: Path) -> None:  # PR-11
    async with cluster(options(tmp_path, enable_hostpath_provisioner=False)) as c:
        await c.create(storage_class("fast", provisioner=HOST_PATH), wanting())
        await c.until(lambda: "default/orders" in c.of(CLAIMS))
        await operations_done(c)
        assert await events_about(c, "ProvisioningFailed") == [
            f'Warning Failed to create provisioner: provisioning in volume plugin "{HOST_PATH}" is disabled'
        ]


async def test_a_failure_lets_the_scheduler_choose_another_node(tmp_path: Path) -> None:  # PR-12, PR-13, DB-5
    later = storage_class("fast", provisioner=HOST_PATH, volumeBindingMode="WaitForFirstConsumer")
    key = "volume.kubernetes.io/selected-node"
    wants = wanting("Block")
    wants["metadata"]["annotations"] = {key: "n1"}
    async with cluster(options(tmp_path)) as c:
        await c.create(later, wants)
        await c.until(lambda: "default/orders" in c.of(CLAIMS))
        await operations_done(c)
        assert await events_about(c, "ProvisioningFailed") == ['Warning Failed to get target node: node "n1" not found']
        assert claim_in(c, "orders").selected_node == "n1", "it stays until the node is back"

        await c.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
        await c.until(lambda: claim_in(c, "orders").selected_node is None)


async def test_an_external_provisioner_is_asked_and_waited_for(tmp_path: Path) -> None:  # PR-18 to PR-21, SV-7
    async with cluster(options(tmp_path)) as c:
        await c.create(storage_class("fast"), wanting())
        await c.until(lambda: "default/orders" in c.of(CLAIMS) and len(claim_in(c, "orders").annotations) == 2)
        asked = claim_in(c, "orders")
        assert set(asked.annotations.values()) == {"csi.example.com"}
        assert len(await events_about(c, "ExternalProvisioning")) == 1
        reference = {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "orders", "uid": asked.uid}
        await c.create(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"pvc-{asked.uid}"},
                "spec": {
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "fast",
                    "claimRef": reference,
                    "csi": {"driver": "csi.example.com", "volumeHandle": "1"},
                },
            }
        )
        bound = await until_claim(c, "orders", "Bound")
        made = await until_volume(c, bound.volume_name, "Bound")
        assert "pv.kubernetes.io/bound-by-controller" not in made.annotations
