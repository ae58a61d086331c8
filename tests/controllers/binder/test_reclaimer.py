"""Deleting the storage behind released volumes, on a real API server, with the hostPath plugin."""

from __future__ import annotations

from pathlib import Path

from tests.controllers.binder.test_controller import binder_of, events_about, until_claim, until_volume
from tests.controllers.binder.test_provisioner import operations_done, options
from tests.controllers.binder.test_recycler_pods import delete_claim
from tests.controllers.cluster import Cluster, claim, cluster, volume

from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.informer import Updated
from pvbinder.kube.kinds import VOLUMES
from pvbinder.kube.transport import Request
from pvbinder.model.json import Json, encode
from pvbinder.model.objects import parse_volume


def hosted(root: Path, **spec: object) -> Json:
    (root / "disk").mkdir(exist_ok=True)
    return volume("disk", hostPath={"path": f"{root}/disk"}, persistentVolumeReclaimPolicy="Delete", **spec)


async def bind_and_delete_claim(c: Cluster, disk: Json) -> None:
    await c.create(disk, claim("orders"))
    await until_claim(c, "orders", "Bound")
    await delete_claim(c)


async def test_storage_goes_and_then_the_volume(tmp_path: Path) -> None:  # DL-6, DL-7
    async with cluster(options(tmp_path)) as c:
        await bind_and_delete_claim(c, hosted(tmp_path))
        await c.until(lambda: c.of(VOLUMES)["disk"].is_deleting)  # pv-protection doesn't run here
        assert not (tmp_path / "disk").exists()


async def test_reclaimer_1_a_volume_that_is_used_again_is_left_alone(tmp_path: Path) -> None:  # DL-4, RC-6
    async with cluster(options(tmp_path)) as c:
        await c.create(hosted(tmp_path), claim("orders"))
        await until_claim(c, "orders", "Bound")
        await c.settle()
        bound = c.of(VOLUMES)["disk"]

        await binder_of(c).binder.volume_sync._reclaimer.delete(bound)

        assert (tmp_path / "disk").is_dir()
        assert not c.of(VOLUMES)["disk"].is_deleting


async def test_reclaimer_2_storage_that_cant_be_deleted_keeps_its_volume(tmp_path: Path) -> None:  # DL-5, E-18
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    async with cluster(options(root)) as c:
        await bind_and_delete_claim(
            c, volume("disk", hostPath={"path": str(outside)}, persistentVolumeReclaimPolicy="Delete")
        )
        failed = await until_volume(c, "disk", "Failed")
        assert failed.message == f"host_path deleter only supports {root}/.+ but received provided {outside}"
        assert outside.is_dir()
        await operations_done(c)
        assert await events_about(c, "VolumeFailedDelete") == [f"Warning {failed.message}"]


async def test_no_plugin_for_the_source_fails_the_volume_once(tmp_path: Path) -> None:  # DL-3
    local = volume("disk", persistentVolumeReclaimPolicy="Delete", nfs={"server": "s", "path": "/"})
    del local["spec"]["hostPath"]
    async with cluster(options(tmp_path)) as c:
        await bind_and_delete_claim(c, local)
        failed = await until_volume(c, "disk", "Failed")
        assert failed.message == (
            'error getting deleter volume plugin for volume "disk": no deletable volume plugin matched'
        )
        await operations_done(c)
        for _ in range(3):
            await binder_of(c).binder.resync()
            await operations_done(c)
        assert len(await events_about(c, "VolumeFailedDelete")) == 1


async def test_a_csi_volume_is_only_released(tmp_path: Path) -> None:  # DL-2
    csi = volume("disk", persistentVolumeReclaimPolicy="Delete", csi={"driver": "d", "volumeHandle": "1"})
    del csi["spec"]["hostPath"]
    async with cluster(options(tmp_path)) as c:
        await bind_and_delete_claim(c, csi)
        await until_volume(c, "disk", "Released")
        await operations_done(c)
        before = len(c.line.seen)
        await binder_of(c).binder.resync()
        await operations_done(c)
        assert c.line.seen[before:] == []


async def test_a_volume_whose_delete_fails_is_deleted_by_the_next_sync(tmp_path: Path) -> None:  # DL-6
    left = 1

    def fail_once(request: Request) -> None:
        nonlocal left
        if left and request.method == "DELETE":
            left -= 1
            raise ConnectionFailed("nobody there")

    async with cluster(options(tmp_path)) as c:
        c.line.before = fail_once
        await bind_and_delete_claim(c, hosted(tmp_path))
        await until_volume(c, "disk", "Released")
        await operations_done(c)
        await binder_of(c).binder.resync()
        await c.until(lambda: c.of(VOLUMES)["disk"].is_deleting)


async def test_reclaimer_3_what_is_deleted_is_not_asked_for_again(tmp_path: Path) -> None:
    async with cluster(options(tmp_path)) as c:
        await bind_and_delete_claim(c, hosted(tmp_path))
        await c.until(lambda: c.of(VOLUMES)["disk"].is_deleting)  # pv-protection doesn't run here
        await operations_done(c)
        before = len(c.line.seen)
        for _ in range(3):
            await binder_of(c).binder.resync()
            await operations_done(c)

        assert c.line.seen[before:] == []
        assert c.line.asked("DELETE", "/persistentvolumes/disk") == 1
        calls = binder_of(c).measures.calls
        assert calls["kubernetes.io/host-path", "volume_delete", "success"].count == 1


async def test_reclaimer_3_a_volume_that_a_backup_brought_back_is_deleted_again(tmp_path: Path) -> None:
    async with cluster(options(tmp_path)) as c:
        await bind_and_delete_claim(c, hosted(tmp_path))
        await c.until(lambda: c.of(VOLUMES)["disk"].is_deleting)
        await operations_done(c)
        before = binder_of(c).binder.caches.volumes["disk"]
        older = before.document()
        older["metadata"]["resourceVersion"] = "1"
        (tmp_path / "disk").mkdir()  # the backup brought it back, too

        binder_of(c).binder._volume_changed(Updated(before, parse_volume(encode(older))))
        await operations_done(c)

        assert c.line.asked("DELETE", "/persistentvolumes/disk") == 2
        assert not (tmp_path / "disk").exists()
