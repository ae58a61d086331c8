"""CSI volumes of pods, published through a driver on a socket by the kubelet in small."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.controllers.cluster import Cluster, claim, cluster, pod, using, volume
from tests.controllers.csi.fake_driver import NAME
from tests.controllers.csi.fake_node import ALL, FakeNode

from pvbinder.controllers.csi.node_driver import ask_node_driver
from pvbinder.controllers.csi.node_drivers import NodeDrivers
from pvbinder.controllers.kubelet import Kubelet, create_node
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS, ControllerDeclaration
from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.serving import serving
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.kinds import CLAIMS, EVENTS, PODS, VOLUMES, metadata_of
from pvbinder.model.json import Json
from pvbinder.model.objects import ClaimKey
from pvbinder.model.resources import CSI_DRIVERS, SECRETS
from pvbinder.volumes.pod_directories import PodDirectories, PodVolumeNote

OPTIONS = ControllerOptions(controllers="kubelet,persistentvolume-binder")
PUBLISHED = ["NodeStageVolume", "NodePublishVolume"]
GONE = ["NodeUnpublishVolume", "NodeUnstageVolume"]


@dataclass
class Stage:
    """A cluster whose kubelet knows one driver."""

    cluster: Cluster
    node: FakeNode
    drivers: NodeDrivers
    root: Path
    driver: Driver

    async def come(self) -> None:
        await self.drivers.put(await ask_node_driver(self.driver, NAME))
        self.node.seen.clear()

    def told(self, reason: str = "FailedMount") -> list[str]:
        documents = [one.document() for one in self.cluster.of(EVENTS)]
        return [one["message"] for one in documents if one["reason"] == reason]

    def phase(self, name: str = "web") -> str:
        found = self.cluster.of(PODS).get(f"default/{name}")
        return found.phase if found is not None else "gone"

    async def until(self, question: Callable[[], bool]) -> None:
        """Wait for what isn't only seen in the cluster."""
        async with asyncio.timeout(20):
            while not question():
                await asyncio.sleep(0.01)

    def path(self, name: str = "web", pv: str = "disk") -> str:
        uid = self.cluster.of(PODS)[f"default/{name}"].uid
        return f"{self.root}/pods/{uid}/volumes/kubernetes.io~csi/{pv}/mount"


def known(drivers: NodeDrivers, root: Path) -> tuple[ControllerDeclaration, ...]:
    def make(context: Any) -> Kubelet:
        return Kubelet(context, drivers=drivers, directories=PodDirectories(root))

    others = [one for one in CONTROLLERS if one.name != "kubelet"]
    return (*others, ControllerDeclaration("kubelet", user="", make=make))


@asynccontextmanager
async def stage(tmp_path: Path, can: Sequence[str] = ALL, *, comes: bool = True) -> AsyncGenerator[Stage]:
    """A bound claim `data` of volume `disk`, a node, and a driver, unless it comes later."""
    node, drivers, address = FakeNode(can=can), NodeDrivers(), f"unix://{tmp_path}/csi.sock"
    drivers.expect(NAME)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(address, node.handlers()))
        driver = await stack.enter_async_context(Driver(address))
        c = await stack.enter_async_context(cluster(OPTIONS, known(drivers, tmp_path / "kubelet")))
        await stack.enter_async_context(drivers.serving(NAME))
        await create_node(c.client, "node-1")
        here = Stage(c, node, drivers, tmp_path / "kubelet", driver)
        if comes:
            await here.come()
        yield here


async def give(
    here: Stage, name: str = "disk", claim_name: str = "data", source: Json | None = None, **spec: Any
) -> None:
    csi_source = {"driver": NAME, "volumeHandle": f"handle-of-{name}", **(source or {})}
    made = volume(name, csi=csi_source, **spec)
    del made["spec"]["hostPath"]
    modes = {key: spec[key] for key in ("volumeMode", "accessModes") if key in spec}
    await here.cluster.create(made, claim(claim_name, volumeName=name, **modes))
    claims = here.cluster.of(CLAIMS)
    key = ClaimKey(f"default/{claim_name}")
    await here.cluster.until(lambda: key in claims and claims[key].phase == "Bound")


def mounting(name: str = "web", claim_name: str = "data", how: str = "volumeMounts", **spec: Any) -> Json:
    made = pod(name, using(claim_name), node="node-1")
    made["spec"] |= spec
    use = {"mountPath": "/data"} if how == "volumeMounts" else {"devicePath": "/dev/xda"}
    made["spec"]["containers"][0][how] = [{"name": claim_name, **use}]
    return made


async def secret(here: Stage, name: str, **content: str) -> None:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    document = {"metadata": {"name": name, "namespace": "default"}, "data": data}
    await here.cluster.client.create(metadata_of(SECRETS), document)


async def test_mounting_1_volumes_are_published_before_a_pod_runs(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        await secret(here, "stage", key="s1")
        await secret(here, "publish", key="s2")
        refs = {
            "nodeStageSecretRef": {"name": "stage", "namespace": "default"},
            "nodePublishSecretRef": {"name": "publish", "namespace": "default"},
        }
        await here.cluster.client.create(
            metadata_of(CSI_DRIVERS), {"metadata": {"name": NAME}, "spec": {"podInfoOnMount": True}}
        )
        source = {"fsType": "xfs", "volumeAttributes": {"a": "b"}, **refs}
        await give(here, source=source, mountOptions=["noatime"])
        here.node.before = lambda _: None if here.phase() == "Pending" else pytest.fail("it runs already")
        await here.cluster.create(mounting())
        await here.cluster.until(lambda: here.phase() == "Running")
        here.node.before = lambda _: None

        assert here.node.calls() == PUBLISHED
        staged = here.node.last(methods.NODE_STAGE_VOLUME)
        published = here.node.last(methods.NODE_PUBLISH_VOLUME)
        assert (staged.volume_id, dict(staged.secrets), dict(staged.volume_context)) == (
            "handle-of-disk",
            {"key": "s1"},
            {"a": "b"},
        )
        assert (published.target_path, dict(published.secrets)) == (here.path(), {"key": "s2"})
        assert published.staging_target_path == staged.staging_target_path != ""
        assert Path(staged.staging_target_path).is_dir()
        assert published.volume_context["csi.storage.k8s.io/pod.name"] == "web"
        assert published.volume_context["a"] == "b"
        assert (published.readonly, published.volume_capability.mount.fs_type) == (False, "xfs")
        assert list(published.volume_capability.mount.mount_flags) == ["noatime"]
        modes = csi.VolumeCapability.AccessMode
        assert published.volume_capability.access_mode.mode == modes.SINGLE_NODE_MULTI_WRITER


async def test_mounting_1_a_device_has_a_place_of_its_own(tmp_path: Path) -> None:
    async with stage(tmp_path, can=["VOLUME_MOUNT_GROUP"]) as here:
        await give(here, volumeMode="Block")
        here.node.before = lambda request: refuse(request, csi.NodePublishVolumeRequest, Code.INTERNAL)
        await here.cluster.create(mounting(how="volumeDevices", securityContext={"fsGroup": 5}))
        await here.cluster.until(lambda: here.told("FailedMapVolume") != [])
        assert here.told("FailedMapVolume") == [
            'MapVolume.MapPodDevice failed for volume "disk" : rpc error: code = Internal desc = broken by the test'
        ]
        here.node.before = lambda _: None
        await here.cluster.until(lambda: here.phase() == "Running")
        published = here.node.last(methods.NODE_PUBLISH_VOLUME)
        uid = here.cluster.of(PODS)["default/web"].uid
        assert published.target_path == f"{here.root}/pods/{uid}/volumeDevices/kubernetes.io~csi/disk"
        assert published.volume_capability.HasField("block")
        assert here.node.calls("NodeStageVolume") == []


async def test_mounting_1_the_group_of_a_pod_is_told_to_who_sets_it(tmp_path: Path) -> None:
    async with stage(tmp_path, can=["VOLUME_MOUNT_GROUP"]) as here:
        await give(here)
        await here.cluster.create(mounting(securityContext={"fsGroup": 5}))
        await here.cluster.until(lambda: here.phase() == "Running")
        assert here.node.last(methods.NODE_PUBLISH_VOLUME).volume_capability.mount.volume_mount_group == "5"


async def test_mounting_1_an_inline_volume_needs_a_driver_that_takes_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        made = mounting()
        made["spec"]["volumes"] = [{"name": "data", "csi": {"driver": NAME, "volumeAttributes": {"a": "b"}}}]
        await here.cluster.create(made)
        await here.cluster.until(lambda: here.told() != [])
        assert here.told() == [
            (
                'MountVolume.SetUp failed for volume "data" : kubernetes.io/csi: mounter.SetupAt failed to check '
                f'volume lifecycle mode: volume mode "Ephemeral" not supported by driver {NAME} (no CSIDriver object)'
            )
        ]
        spec = {"volumeLifecycleModes": ["Ephemeral"], "podInfoOnMount": True}
        await here.cluster.client.create(metadata_of(CSI_DRIVERS), {"metadata": {"name": NAME}, "spec": spec})
        await here.cluster.until(lambda: here.phase() == "Running")
        assert here.node.calls() == ["NodePublishVolume"]  # never staged
        published = here.node.last(methods.NODE_PUBLISH_VOLUME)
        assert published.volume_context["csi.storage.k8s.io/ephemeral"] == "true"
        assert published.volume_id.startswith("csi-")
        await here.cluster.client.delete(PODS, "web", "default")
        await here.cluster.until(lambda: here.phase() == "gone")
        assert here.node.calls() == ["NodePublishVolume", "NodeUnpublishVolume"]


async def test_mounting_1_a_failure_is_told_and_tried_again(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        await give(here)
        here.node.before = lambda request: refuse(request, csi.NodeStageVolumeRequest, Code.INTERNAL)
        await here.cluster.create(mounting())
        await here.cluster.until(lambda: here.told() != [])
        assert here.told() == [
            'MountVolume.MountDevice failed for volume "disk" : rpc error: code = Internal desc = broken by the test'
        ]
        status = here.cluster.of(PODS)["default/web"].document()["status"]
        assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"
        assert here.told("BackOff") == []  # nothing ran that could have failed
        here.node.before = lambda _: None
        await here.cluster.until(lambda: here.phase() == "Running")


async def test_mounting_1_what_changes_meanwhile_makes_no_pause_longer(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        await give(here)
        here.node.before = lambda request: refuse(request, csi.NodeStageVolumeRequest, Code.INTERNAL)
        await here.cluster.create(mounting())
        await here.cluster.until(lambda: here.told() != [])
        for number in range(9):  # were they counted, the next pause would be over a minute
            seen = len(here.node.seen)
            document = here.cluster.of(CLAIMS)[ClaimKey("default/data")].document()
            document["metadata"]["annotations"]["touched"] = str(number)
            await here.cluster.client.replace(CLAIMS, document)
            await here.until(lambda before=seen: len(here.node.seen) > before)  # type: ignore[misc]
        here.node.before = lambda _: None
        await here.cluster.until(lambda: here.phase() == "Running")


async def test_mounting_1_a_driver_that_isnt_there_is_waited_for(tmp_path: Path) -> None:
    async with stage(tmp_path, comes=False) as here:
        await give(here)
        await here.cluster.create(mounting())
        await here.cluster.until(lambda: here.told() != [])
        assert here.told() == [
            (
                'MountVolume.MountDevice failed for volume "disk" : kubernetes.io/csi: attacher.MountDevice failed to '
                f"create newCsiDriverClient: driver name {NAME} not found in the list of registered CSI drivers"
            )
        ]
        await here.come()
        await here.cluster.until(lambda: here.phase() == "Running")


async def test_mounting_1_a_volume_that_is_used_in_another_way_than_it_can_be(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        await give(here, volumeMode="Block")
        await here.cluster.create(mounting())
        await here.cluster.until(lambda: here.told() != [])
        assert here.told() == [
            (
                "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process "
                "volumes=[data]: volume data has volumeMode Block, but is specified in volumeMounts"
            )
        ]


async def test_mounting_2_volumes_are_unpublished_before_a_pod_goes(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        await give(here, accessModes=["ReadWriteMany"])
        await here.cluster.create(mounting("web"), mounting("other"))
        await here.cluster.until(lambda: {here.phase("web"), here.phase("other")} == {"Running"})
        path = here.path("web")
        here.node.seen.clear()
        here.node.before = lambda _: None if here.phase() != "gone" else pytest.fail("it is gone already")
        await here.cluster.client.delete(PODS, "web", "default")
        await here.cluster.until(lambda: here.phase() == "gone")
        assert here.node.calls() == GONE[:1]  # the other pod has it still
        assert here.node.last(methods.NODE_UNPUBLISH_VOLUME).target_path == path
        here.node.before = lambda _: None

        await here.cluster.client.delete(PODS, "other", "default")
        await here.cluster.until(lambda: here.phase("other") == "gone")
        assert here.node.calls() == [*GONE[:1], *GONE]
        assert list((here.root / "pods").iterdir()) == []


async def test_mounting_2_a_pod_that_has_ended_keeps_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        await give(here)
        made = mounting(restartPolicy="Never")
        made["spec"]["containers"][0]["command"] = ["sh", "-c", "echo done"]
        await here.cluster.create(made)
        await here.cluster.until(lambda: here.phase() == "Succeeded")
        await here.until(lambda: here.node.calls() == [*PUBLISHED, *GONE])


async def test_mounting_2_a_pod_stays_until_its_volumes_are_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage(tmp_path) as here:
        await give(here)
        await here.cluster.create(mounting())
        await here.cluster.until(lambda: here.phase() == "Running")
        here.node.before = lambda request: refuse(request, csi.NodeUnpublishVolumeRequest, Code.INTERNAL)
        await here.cluster.client.delete(PODS, "web", "default")
        await here.until(lambda: "volumes are not unmounted yet" in caplog.text)
        assert here.phase() != "gone"
        here.node.before = lambda request: refuse(request, csi.NodeUnpublishVolumeRequest, Code.NOT_FOUND)
        await here.cluster.until(lambda: here.phase() == "gone")  # there is no such volume any more


async def test_mounting_3_what_pods_left_that_are_gone_is_unpublished(tmp_path: Path) -> None:
    left = PodVolumeNote("gone", "disk-0", "handle-0", NAME, "node-1", is_staged=True)
    foreign = PodVolumeNote("gone", "disk-1", "handle-1", "other.example.com", "node-1")
    directories = PodDirectories(tmp_path / "kubelet")
    directories.note(left)
    directories.note(foreign)
    async with stage(tmp_path, comes=False) as here:
        await here.cluster.settle()
        assert here.node.calls() == []
        await here.come()
        await here.until(lambda: here.node.calls() == GONE)
        assert here.node.last(methods.NODE_UNPUBLISH_VOLUME).target_path == str(directories.target(left))
        await here.until(lambda: directories.load() == [foreign])  # nobody here can say what becomes of that


async def test_mounting_3_a_pod_that_is_deleted_by_force_leaves_nothing(tmp_path: Path) -> None:
    """It has two volumes, of which one is being published when it goes."""
    async with stage(tmp_path) as here:
        await give(here)
        await give(here, "second", "more")
        started, goes_on = asyncio.Event(), asyncio.Event()
        answer = here.drivers.get(NAME)
        assert answer is not None
        publish = answer.publish

        async def slowly(*args: Any, **others: Any) -> None:
            started.set()
            await goes_on.wait()
            await publish(*args, **others)

        answer.publish = slowly  # type: ignore[method-assign]
        made = mounting()
        made["spec"]["volumes"].append(using("more"))
        made["spec"]["containers"][0]["volumeMounts"].append({"name": "more", "mountPath": "/more"})
        await here.cluster.create(made)
        await started.wait()
        await here.cluster.client.delete(PODS, "web", "default", grace_seconds=0)
        await here.cluster.until(lambda: here.phase() == "gone")
        goes_on.set()
        await here.until(lambda: sorted(here.node.calls()) == sorted([*PUBLISHED, *GONE] * 2))
        await here.until(lambda: not list(here.root.rglob("*.json")))


async def test_mounting_4_one_call_at_a_time_is_about_a_volume(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        await give(here, accessModes=["ReadWriteMany"])
        driver = here.drivers.get(NAME)
        assert driver is not None
        publish, running, most = driver.publish, 0, 0

        async def counted(*args: Any, **others: Any) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await publish(*args, **others)
            running -= 1

        driver.publish = counted  # type: ignore[method-assign]
        await here.cluster.create(*(mounting(f"web-{number}") for number in range(5)))
        await here.cluster.until(lambda: all(here.phase(f"web-{number}") == "Running" for number in range(5)))
        assert most == 1


async def test_mounting_5_secrets_stay_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with stage(tmp_path) as here:
        await give(here, source={"nodePublishSecretRef": {"name": "keys", "namespace": "default"}})
        await here.cluster.create(mounting())
        await here.cluster.until(lambda: here.told() != [])
        assert here.told() == [
            (
                'MountVolume.SetUp failed for volume "disk" : fetching NodePublishSecretRef default/keys failed: '
                "kubernetes.io/csi: failed to find the secret keys in the namespace default with error: "
                'secrets "keys" not found'
            )
        ]
        await secret(here, "keys", password="sesame")
        await here.cluster.until(lambda: here.phase() == "Running")
        assert dict(here.node.last(methods.NODE_PUBLISH_VOLUME).secrets) == {"password": "sesame"}
        everything = [*here.told(), caplog.text, *(path.read_text() for path in here.root.rglob("*.json"))]
        assert not any("sesame" in text for text in everything)


# ------------------------------------------------------------------------------------------------ growing


async def grown(here: Stage) -> None:
    """The volume has grown, and waits for its node."""
    patch: Json = {"spec": {"capacity": {"storage": "2Gi"}}}
    await here.cluster.client.patch(VOLUMES, "disk", "", patch, patch_type="merge")
    document = (await here.cluster.client.get(CLAIMS, "data", "default")).document()
    document["status"]["conditions"] = [{"type": "FileSystemResizePending", "status": "True"}]
    document["status"]["allocatedResourceStatuses"] = {"storage": "NodeResizePending"}
    await here.cluster.client.replace(CLAIMS, document, subresource="status")


def claim_status(here: Stage) -> Json:
    status: Json = here.cluster.of(CLAIMS)["default/data"].document()["status"]
    return status


async def test_kubelet_8_the_driver_grows_a_file_system_that_waits(tmp_path: Path) -> None:
    async with stage(tmp_path) as here:
        await give(here)
        await here.cluster.create(mounting())
        await here.cluster.until(lambda: here.phase() == "Running")
        seen: list[str] = []
        here.node.before = lambda _: seen.append(claim_status(here)["allocatedResourceStatuses"]["storage"])
        await grown(here)
        await here.cluster.until(lambda: claim_status(here)["capacity"]["storage"] == "2Gi")
        asked = here.node.last(methods.NODE_EXPAND_VOLUME)
        assert (asked.volume_path, asked.capacity_range.required_bytes) == (here.path(), 2 << 30)
        assert asked.staging_target_path
        assert seen == ["NodeResizeInProgress"]
        assert "allocatedResourceStatuses" not in claim_status(here)
        await here.cluster.until(lambda: len(here.told("FileSystemResizeSuccessful")) == 2)


@pytest.mark.parametrize(
    ("code", "status", "is_told"),
    [
        (Code.OUT_OF_RANGE, "NodeResizeInfeasible", True),
        (Code.FAILED_PRECONDITION, "NodeResizeInProgress", False),
        (Code.INTERNAL, "NodeResizeInProgress", True),
    ],
)
async def test_kubelet_8_how_growing_failed_is_said(tmp_path: Path, code: Code, status: str, is_told: bool) -> None:
    async with stage(tmp_path) as here:
        await give(here)
        await here.cluster.create(mounting())
        await here.cluster.until(lambda: here.phase() == "Running")
        here.node.before = lambda request: refuse(request, csi.NodeExpandVolumeRequest, code)
        await grown(here)
        error = f"rpc error: code = {code.value} desc = broken by the test"
        why = f"Expander.NodeExpand failed to expand the volume : {error}"
        told = {"type": "NodeResizeError", "status": "True", "message": f"failed to expand pvc with {why}"}
        await here.cluster.until(
            lambda: any(told.items() <= one.items() for one in claim_status(here).get("conditions") or [])
        )
        assert claim_status(here)["allocatedResourceStatuses"]["storage"] == status
        if is_told:
            message = f'NodeExpandVolume.NodeExpandVolume failed for volume "disk" : {why}'
            await here.cluster.until(lambda: here.told("VolumeResizeFailed")[:1] == [message])
        if code is not Code.INTERNAL:
            await here.cluster.settle()
            assert len(here.node.calls("NodeExpandVolume")) == 1


def refuse(request: Any, kind: type, code: Code) -> None:
    """Fail the calls of this kind."""
    if isinstance(request, kind):
        raise CallFailed(code, "broken by the test")
