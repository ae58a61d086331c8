"""The local driver of `pvbinder up` (PLANE-7, STARTER-3, BUILTIN-1 to BUILTIN-3)."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.controllers.cluster import claim, pod, using
from tests.controllers.csi.fake_driver import FakeDriver, handlers
from tests.controllers.csi.fake_node import FakeNode
from tests.plane.test_control_plane import options

from pvbinder import logs
from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS
from pvbinder.csi.serving import serving
from pvbinder.kube.client import Client
from pvbinder.kube.kinds import CLAIMS, NODES, PODS, STORAGE_CLASSES, VOLUMES, metadata_of
from pvbinder.model.json import Json
from pvbinder.model.resources import CSI_DRIVERS, CSI_NODES
from pvbinder.plane.control_plane import Plane, control_plane
from pvbinder.plane.driver_place import local_place, node_drivers

DEADLINE_SECONDS = 60
NAME = "local.csi.pvbinder.io"
KEY = f"topology.{NAME}/node"


def web(name: str, claim_name: str) -> Json:
    """A pod that the scheduler in small places, and that mounts a claim."""
    made = pod(name, using(claim_name))
    del made["spec"]["schedulerName"]
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": claim_name, "mountPath": "/data"}]
    return made


async def until(question: Callable[[], bool], plane: Plane) -> None:
    """Wait until something is so; the plane's caches say when to look again."""
    changed = asyncio.Event()
    for informer in plane.manager.informers:
        informer.add_handler(lambda _: changed.set())
    while not question():
        changed.clear()
        await changed.wait()


def phase(plane: Plane, name: str) -> str:
    found = plane.manager.informers.of(CLAIMS).get(f"default/{name}")
    return found.phase if found is not None else "gone"


def volumes(data_dir: Path) -> list[Path]:
    return list((data_dir / "csi" / "local" / "volumes").iterdir())


async def test_plane_7_a_claim_gets_a_directory_and_leaves_none_behind(tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(options(tmp_path / "data")) as plane:
        assert "grpc" not in sys.modules or not (tmp_path / "data" / "csi").exists()
        client = Client(plane.transport)
        await client.create(CLAIMS, claim("orders", storageClassName="local-immediate"))
        await until(lambda: phase(plane, "orders") == "Bound", plane)

        [volume] = plane.manager.informers.of(VOLUMES)
        assert volume.csi is not None
        assert [path.name for path in volumes(tmp_path / "data")] == [volume.csi.volume_handle]
        assert (tmp_path / "data" / "csi" / "local.sock").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "data" / "csi").stat().st_mode & 0o777 == 0o700
        await client.delete(CLAIMS, "orders", "default")
        await until(lambda: not len(plane.manager.informers.of(VOLUMES)), plane)

        assert volumes(tmp_path / "data") == []
    assert not (tmp_path / "data" / "csi" / "local.sock").exists()


async def test_starter_3_a_claim_that_waits_for_its_pod_gets_one_too(tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(options(tmp_path / "data")) as plane:
        client = Client(plane.transport)
        [node] = await client.list_all(NODES)
        assert node.labels[KEY] == "local"
        [csi_node] = await client.list_all(metadata_of(CSI_NODES))
        [entry] = csi_node.document()["spec"]["drivers"]
        assert (entry["name"], entry["nodeID"], entry["topologyKeys"]) == (NAME, "local", [KEY])
        [driver] = await client.list_all(metadata_of(CSI_DRIVERS))
        assert driver.document()["spec"]["attachRequired"] is False
        modes = {one.name: one.volume_binding_mode for one in await client.list_all(STORAGE_CLASSES)}
        assert modes["local"] == "WaitForFirstConsumer"
        assert modes["local-immediate"] == "Immediate"

        await client.create(CLAIMS, claim("orders", storageClassName="local"))
        await client.create(PODS, web("web", "orders"))
        pods = plane.manager.informers.of(PODS)
        await until(lambda: "default/web" in pods and pods["default/web"].phase == "Running", plane)
        assert phase(plane, "orders") == "Bound"


async def test_builtin_1_a_second_run_finds_its_volumes(tmp_path: Path) -> None:
    asked = options(tmp_path / "data")
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(asked) as plane:
        await Client(plane.transport).create(CLAIMS, claim("orders", storageClassName="local-immediate"))
        await until(lambda: phase(plane, "orders") == "Bound", plane)
    kept = volumes(tmp_path / "data")
    assert len(kept) == 1

    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(asked) as plane:
        assert volumes(tmp_path / "data") == kept
        await Client(plane.transport).delete(CLAIMS, "orders", "default")
        await until(lambda: not len(plane.manager.informers.of(VOLUMES)), plane)
        assert volumes(tmp_path / "data") == []


async def test_plane_7_bare_there_is_no_driver(tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(options(tmp_path / "data", bare=True)) as plane:
        assert "local-csi-driver" not in plane.manager.controllers
        assert await Client(plane.transport).list_all(metadata_of(CSI_DRIVERS)) == []


async def test_builtin_1_a_snapshot_that_was_given_by_hand_needs_it_too(tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(options(tmp_path / "data")) as plane:
        spec = {
            "deletionPolicy": "Retain",
            "driver": NAME,
            "source": {"snapshotHandle": "snap-0"},
            "volumeSnapshotRef": {"name": "old", "namespace": "default"},
        }
        await Client(plane.transport).create(CONTENTS, {"metadata": {"name": "old"}, "spec": spec})
        while not (tmp_path / "data" / "csi" / "local.sock").exists():
            await asyncio.sleep(0.01)


async def test_builtin_2_a_start_that_fails_is_said_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pvbinder.controllers.csi.built_in.FIRST_WAIT_SECONDS", 0.01)
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(options(tmp_path / "data")) as plane:
        (tmp_path / "data" / "csi").mkdir(mode=0o700)
        (tmp_path / "data" / "csi" / "local").write_text("in the way")
        client = Client(plane.transport)
        await client.create(CLAIMS, claim("orders", storageClassName="local-immediate"))
        while "local driver can't start" not in caplog.text:
            await asyncio.sleep(0.01)
        assert plane.manager.is_ready
        (tmp_path / "data" / "csi" / "local").unlink()
        await until(lambda: phase(plane, "orders") == "Bound", plane)


async def test_builtin_2_a_process_that_ends_is_started_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pvbinder.controllers.csi.built_in.FIRST_WAIT_SECONDS", 0.01)
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(options(tmp_path / "data")) as plane:
        client = Client(plane.transport)
        await client.create(CLAIMS, claim("orders", storageClassName="local-immediate"))
        await until(lambda: phase(plane, "orders") == "Bound", plane)

        process = server_of(tmp_path / "data" / "csi" / "local.sock")
        assert process != os.getpid()
        os.kill(process, signal.SIGKILL)
        await client.create(CLAIMS, claim("archive", storageClassName="local-immediate"))
        await until(lambda: phase(plane, "archive") == "Bound", plane)

        assert "local driver has ended" in caplog.text
        assert len(volumes(tmp_path / "data")) == 2


def server_of(path: Path) -> int:
    """Which process serves a socket."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(path))
        process, _, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(process)


async def test_builtin_3_volumes_of_another_driver_of_its_name_are_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address, driver = f"unix://{tmp_path}/named.sock", FakeDriver()
    asked = options(tmp_path / "data")
    local = claim("orders", storageClassName="local-immediate")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(DEADLINE_SECONDS))
        await stack.enter_async_context(serving(address, handlers(driver, NAME)))
        plane = await stack.enter_async_context(control_plane(replace(asked, csi_drivers=(address,))))
        await Client(plane.transport).create(CLAIMS, local)
        await until(lambda: phase(plane, "orders") == "Bound", plane)
        assert len(driver.volumes) == 1
        assert not (tmp_path / "data" / "csi" / "local").exists()

    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(asked) as plane:
        while "local driver is not started" not in caplog.text:
            await asyncio.sleep(0.01)
    [why] = [logs.fields_of(each)["why"] for each in caplog.records if each.message == "local driver is not started"]
    assert why == (
        f"there are volumes of the driver at {address}, which has its name: start with --csi-driver {address}"
    )
    assert len(driver.volumes) == 1
    assert not (tmp_path / "data" / "csi" / "local").exists()


async def test_two_drivers_count_as_two(tmp_path: Path) -> None:  # SERVED-4
    addresses = [f"unix://{tmp_path}/{name}.sock" for name in "ab"]
    asked = replace(options(tmp_path / "data"), csi_drivers=tuple(addresses))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(DEADLINE_SECONDS))
        for address, name in zip(addresses, ("a.example.com", "b.example.com"), strict=True):
            await stack.enter_async_context(serving(address, handlers(FakeDriver(), name)))
        plane = await stack.enter_async_context(control_plane(asked))
        wanted = {"a.example.com claims", "b.example.com claims", "a.example.com volumes", "b.example.com volumes"}
        while not wanted <= set(plane.manager.statistics().queues):
            await asyncio.sleep(0.01)


async def test_starter_3_a_node_that_was_added_later_has_the_driver_when_it_is_needed(tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(options(tmp_path / "data")) as plane:
        client = Client(plane.transport)
        await client.create(NODES, {"metadata": {"name": "other", "labels": {"disk": "fast"}}})
        await client.create(CLAIMS, claim("orders", storageClassName="local"))
        made = web("web", "orders")
        made["spec"]["nodeSelector"] = {"disk": "fast"}
        await client.create(PODS, made)
        pods = plane.manager.informers.of(PODS)
        await until(lambda: "default/web" in pods and pods["default/web"].phase == "Running", plane)
        assert pods["default/web"].node_name == "other"
        assert plane.manager.informers.of(NODES)["other"].labels[KEY] == "local"
        assert len(await client.list_all(metadata_of(CSI_NODES))) == 2


async def test_registration_1_a_driver_that_nobody_names_any_more_is_taken_away(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/named.sock"
    asked = options(tmp_path / "data")

    async def drivers(plane: Plane) -> set[str]:
        [node] = await Client(plane.transport).list_all(metadata_of(CSI_NODES))
        return {entry["name"] for entry in node.document()["spec"]["drivers"]}

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(DEADLINE_SECONDS))
        await stack.enter_async_context(serving(address, FakeNode().handlers(name="a.example.com")))
        plane = await stack.enter_async_context(control_plane(replace(asked, csi_drivers=(address,))))
        while await drivers(plane) != {NAME, "a.example.com"}:
            await asyncio.sleep(0.01)
    async with asyncio.timeout(DEADLINE_SECONDS), control_plane(asked) as plane:
        while await drivers(plane) != {NAME}:
            await asyncio.sleep(0.01)
        [node] = await Client(plane.transport).list_all(NODES)
        assert "a.example.com" not in node.annotations["csi.volume.kubernetes.io/nodeid"]


def test_place_1_the_socket_is_short_wherever_the_data_is(tmp_path: Path) -> None:
    with local_place(tmp_path) as place:
        assert place.socket == tmp_path / "csi" / "local.sock"
    with local_place(tmp_path / ("x" * 100)) as place:
        assert len(str(place.socket)) < 108
        assert place.root == tmp_path / ("x" * 100) / "csi" / "local"
        directory = place.socket.parent
        assert directory.stat().st_mode & 0o777 == 0o700
    assert not directory.exists()


def test_names_of_earlier_drivers_that_cant_be_read_are_forgotten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "csi").mkdir()
    (tmp_path / "csi" / "drivers.json").write_text("[")
    (tmp_path / "csi" / "drivers.json").chmod(0o600)
    assert node_drivers(tmp_path, (), has_local=True).addresses == {}
    assert "names of earlier drivers can't be read" in caplog.text
