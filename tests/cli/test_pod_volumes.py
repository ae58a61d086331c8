"""From a claim to files in a pod's directory, and back to nothing: `pvbinder up` with its local driver, end to end.

To extend the life of a volume, add a step to `Life` and to the test that plays it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.cli.outside import request
from tests.controllers.cluster import claim, pod, using
from tests.plane.test_control_plane import options
from tools.plane import running

from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS, SNAPSHOT_CLASSES, SNAPSHOTS
from pvbinder.csi.local.options import LocalDriver
from pvbinder.kube.client import Client
from pvbinder.kube.kinds import ATTRIBUTES_CLASSES, CLAIMS, EVENTS, PODS, VOLUMES
from pvbinder.model.json import Json
from pvbinder.plane.control_plane import Plane, control_plane
from pvbinder.server.files.mounts import mounts_below, unmount_below
from pvbinder.volumes.pod_directories import PodDirectories

DEADLINE_SECONDS = 60
BEFORE = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "before"}


@pytest.fixture(autouse=True)
def nothing_stays_mounted(tmp_path: Path) -> Iterator[None]:
    """A test that fails must not leave mounts where others remove directories."""
    yield
    unmount_below(tmp_path)


@dataclass
class Life:
    """A plane on `data`, and what a user does with it."""

    plane: Plane
    data: Path

    @property
    def client(self) -> Client:
        return Client(self.plane.transport)

    async def until(self, question: Callable[[], bool]) -> None:
        """Wait until something is so; news of any object say when to look again."""
        changed = asyncio.Event()
        for informer in self.plane.manager.informers:
            informer.add_handler(lambda _: changed.set())
        while not question():
            changed.clear()
            await changed.wait()

    async def claim(self, name: str, storage_class: str = "local", **spec: Any) -> None:
        await self.client.create(CLAIMS, claim(name, storageClassName=storage_class, **spec))

    async def bound(self, name: str) -> None:
        claims = self.plane.manager.informers.of(CLAIMS)
        await self.until(lambda: f"default/{name}" in claims and claims[f"default/{name}"].phase == "Bound")

    async def run_pod(self, name: str, claim_name: str, **volume: object) -> Path:
        """Have a pod run with a claim; return the directory of the claim's volume in it."""
        await self.client.create(PODS, pod_with(name, claim_name, **volume))
        await self.phase(name, "Running")
        return self.directory(name, claim_name)

    async def phase(self, name: str, phase: str) -> None:
        pods = self.plane.manager.informers.of(PODS)
        await self.until(lambda: f"default/{name}" in pods and pods[f"default/{name}"].phase == phase)

    def directory(self, pod_name: str, claim_name: str) -> Path:
        informers = self.plane.manager.informers
        uid = informers.of(PODS)[f"default/{pod_name}"].uid
        volume = informers.of(CLAIMS)[f"default/{claim_name}"].volume_name
        return self.data / "pods" / uid / "volumes" / "kubernetes.io~csi" / volume / "mount"

    async def snapshot(self, name: str, claim_name: str) -> None:
        """Take a snapshot of a claim, with a class of its own name, and wait until it can be used."""
        made = {"metadata": {"name": name}, "driver": "local.csi.pvbinder.io", "deletionPolicy": "Delete"}
        await self.client.create(SNAPSHOT_CLASSES, made)
        spec = {"volumeSnapshotClassName": name, "source": {"persistentVolumeClaimName": claim_name}}
        await self.client.create(SNAPSHOTS, {"metadata": {"name": name, "namespace": "default"}, "spec": spec})
        while not (await self.client.get(SNAPSHOTS, name, "default")).is_ready:
            await asyncio.sleep(0.01)

    async def grow(self, name: str, size: str) -> None:
        """Ask for a larger volume, and wait until the claim has it."""
        change = {"spec": {"resources": {"requests": {"storage": size}}}}
        await self.client.patch(CLAIMS, name, "default", change, patch_type="merge")
        claims = self.plane.manager.informers.of(CLAIMS)
        await self.until(lambda: str(claims[f"default/{name}"].status_capacity) == size)

    async def modify(self, name: str, **parameters: str) -> None:
        """Give a claim an attributes class of its own name, and wait until its volume has it."""
        made = {"metadata": {"name": name}, "driverName": "local.csi.pvbinder.io", "parameters": parameters}
        await self.client.create(ATTRIBUTES_CLASSES, made)
        change = {"spec": {"volumeAttributesClassName": name}}
        await self.client.patch(CLAIMS, name, "default", change, patch_type="merge")
        claims = self.plane.manager.informers.of(CLAIMS)
        await self.until(lambda: claims[f"default/{name}"].current_attributes_class == name)

    async def delete_pod(self, name: str) -> None:
        await self.client.delete(PODS, name, "default")
        pods = self.plane.manager.informers.of(PODS)
        await self.until(lambda: f"default/{name}" not in pods)

    async def delete_claim(self, name: str) -> None:
        await self.client.delete(CLAIMS, name, "default")

    async def no_volumes(self) -> None:
        await self.until(lambda: not len(self.plane.manager.informers.of(VOLUMES)))

    def kept(self) -> list[str]:
        """What the driver keeps of volumes and snapshots."""
        root = self.data / "csi" / "local"
        return sorted(path.name for folder in ("volumes", "snapshots") for path in (root / folder).iterdir())

    def records(self) -> list[Path]:
        """What the driver says of each volume, to itself."""
        return list((self.data / "csi" / "local" / "volumes").glob("*/volume.json"))

    async def events(self, reason: str) -> list[str]:
        documents = [one.document() for one in await self.client.list_all(EVENTS)]
        return [one["message"] for one in documents if one["reason"] == reason]


@asynccontextmanager
async def life(data: Path) -> AsyncGenerator[Life]:
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(options(data)) as plane:
        yield Life(plane, data)


def pod_with(name: str, claim_name: str, **volume: object) -> Json:
    """A pod that the scheduler in small places, and that mounts a claim."""
    made = pod(name, using(claim_name))
    del made["spec"]["schedulerName"]
    made["spec"]["volumes"][0]["persistentVolumeClaim"] |= volume
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": claim_name, "mountPath": "/data"}]
    return made


async def test_the_whole_life_of_a_volume(tmp_path: Path) -> None:
    async with life(tmp_path / "data") as here:
        await here.claim("orders")
        directory = await here.run_pod("web", "orders")
        (directory / "orders.txt").write_text("three apples")

        await here.claim("copy", dataSource={"kind": "PersistentVolumeClaim", "name": "orders"})
        copy = await here.run_pod("reader", "copy")
        assert (copy / "orders.txt").read_text() == "three apples"
        (copy / "orders.txt").write_text("four pears")
        assert (directory / "orders.txt").read_text() == "three apples"

        await here.snapshot("before", "orders")
        (directory / "orders.txt").write_text("nothing left")
        await here.claim("restored", dataSource=BEFORE)
        restored = await here.run_pod("historian", "restored")
        assert (restored / "orders.txt").read_text() == "three apples"
        (directory / "orders.txt").write_text("three apples")

        await here.grow("orders", "3Gi")
        assert (directory / "orders.txt").read_text() == "three apples"

        await here.modify("orders", quotaBytes="1000")
        [record] = [path for path in here.records() if '"quota_bytes":1000' in path.read_text().replace(" ", "")]
        assert record.parent.name in here.kept()

        await here.delete_pod("web")
        assert not directory.exists()
        again = await here.run_pod("later", "orders")
        assert (again / "orders.txt").read_text() == "three apples"

        for name in ("later", "reader", "historian"):
            await here.delete_pod(name)
        await here.client.delete(SNAPSHOTS, "before", "default")
        for name in ("orders", "copy", "restored"):
            await here.delete_claim(name)
        await here.no_volumes()
        while await here.client.list_all(CONTENTS):
            await asyncio.sleep(0.01)
        assert here.kept() == []
        assert not any((tmp_path / "data" / "pods").iterdir())
        assert mounts_below(tmp_path) == []


async def test_kubelet_8_volumes_are_there_again_after_a_restart(tmp_path: Path) -> None:
    async with life(tmp_path / "data") as here:
        await here.claim("orders")
        directory = await here.run_pod("web", "orders")
        (directory / "orders.txt").write_text("three apples")
    assert mounts_below(tmp_path) == []

    async with life(tmp_path / "data") as here:
        while not (directory / "orders.txt").exists():
            await asyncio.sleep(0.01)
        await here.delete_pod("web")
        assert not directory.exists()


async def test_kubelet_8_a_volume_that_cant_be_mounted_keeps_its_pod_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pvbinder.controllers.kubelet.kubelet.MOUNT_SECONDS_MIN", 0.01)
    async with life(tmp_path / "data") as here:
        await here.claim("orders", "local-immediate")
        await here.bound("orders")
        made = pod_with("web", "orders")
        made["metadata"]["uid"] = "pod-1"
        place = tmp_path / "data" / "pods"
        place.write_text("in the way")
        await here.client.create(PODS, made)
        while not await here.events("FailedMount"):
            await asyncio.sleep(0.01)
        [message] = await here.events("FailedMount")
        [volume] = here.plane.manager.informers.of(VOLUMES)
        assert message.startswith(f'MountVolume.SetUp failed for volume "{volume.name}" : ')
        found = here.plane.manager.informers.of(PODS)["default/web"].document()["status"]
        [status] = found["containerStatuses"]
        assert (found["phase"], status["state"]["waiting"]["reason"]) == ("Pending", "ContainerCreating")
        place.unlink()
        await here.phase("web", "Running")


async def test_kubelet_8_without_the_right_to_mount_files_are_behind_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linking = partial(LocalDriver, how="link")  # as the driver chooses then
    monkeypatch.setattr("pvbinder.controllers.csi.built_in.LocalDriver", linking)
    async with life(tmp_path / "data") as here:
        await here.claim("orders")
        directory = await here.run_pod("web", "orders")
        assert directory.is_symlink()
        (directory / "orders.txt").write_text("three apples")

        await here.client.create(PODS, pod_with("reader", "orders", readOnly=True))
        while not (told := await here.events("FailedMount")):
            await asyncio.sleep(0.01)
        assert "by a symbolic link a volume is neither read-only nor has mount flags" in told[0]

        for name in ("web", "reader"):
            await here.delete_pod(name)
        await here.delete_claim("orders")
        await here.no_volumes()
        assert here.kept() == []
        assert not any((tmp_path / "data" / "pods").iterdir())


@pytest.mark.slow
def test_kubelet_8_a_process_that_is_killed_leaves_nothing_for_ever(tmp_path: Path) -> None:
    """The next start mounts again what is used, and takes away what isn't."""
    data = tmp_path / "data"
    with running(data) as plane:
        for path, body in (
            ("/api/v1/namespaces/default/persistentvolumeclaims", claim("orders", storageClassName="local")),
            ("/api/v1/namespaces/default/pods", pod_with("web", "orders")),
        ):
            request(plane.kubeconfig, path, "POST", body)
        directory = published(data, lambda: phase_of(plane.kubeconfig, "web") == "Running")
        (directory / "orders.txt").write_text("three apples")
        plane.process.kill()
        plane.process.wait()
    left = PodDirectories(data)
    [note] = left.load()
    gone = structs.replace(note, pod_uid="of-a-pod-that-is-gone")
    left.note(gone)  # as if its pod had been deleted meanwhile

    with running(data) as plane:
        assert (published(data, lambda: left.load() == [note]) / "orders.txt").read_text() == "three apples"
        request(plane.kubeconfig, "/api/v1/namespaces/default/pods/web", "DELETE")
        waits_for(lambda: not left.load())
    assert mounts_below(tmp_path) == []


def published(data: Path, question: Callable[[], bool]) -> Path:
    waits_for(question)
    [directory] = data.glob("pods/*/volumes/kubernetes.io~csi/*/mount")
    waits_for(directory.exists)
    return directory


def phase_of(kubeconfig: Path, name: str) -> object:
    status = request(kubeconfig, f"/api/v1/namespaces/default/pods/{name}")["status"]
    return status.get("phase")


def waits_for(question: Callable[[], bool]) -> None:
    """Look until something is so; another process says nothing."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not question():
        assert time.monotonic() < end
        time.sleep(0.02)
