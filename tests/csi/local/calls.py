"""A local driver on a unix socket, and the calls to it that tests make."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.message import Message

from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local.driver import local_driver
from pvbinder.csi.local.options import How, LocalDriver
from pvbinder.csi.local.publishing import Publisher
from pvbinder.csi.local.root import opened_root
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.csi.wire.methods import Method

MIB: Final = 1 << 20
MODE = csi.VolumeCapability.AccessMode
NODE: Final = "node-1"
TOPOLOGY_KEY: Final = "topology.local.csi.pvbinder.io/node"
NO_VOLUME: Final = f"vol-{0:032x}"
STRANGE_IDS: Final = ("..", "../../etc", "a/b", "a\0b", ".", "volumes", NO_VOLUME, "x" * 5000, "\N{SNOWMAN}")


@cache
def may_mount(parent: Path) -> bool:
    with opened_root(parent / "may-mount", node=NODE) as root:
        return Publisher(root, "auto").by == "mount"


@pytest.fixture(params=["mount", "link"])
def how(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> How:
    if request.param == "mount" and not may_mount(tmp_path_factory.getbasetemp()):
        pytest.skip("this user may not mount")
    chosen: How = request.param
    return chosen


@asynccontextmanager
async def driver_in(
    tmp_path: Path, *, how: How = "link", capacity_bytes: int | None = 1 << 40, root: str = "root"
) -> AsyncGenerator[Calls]:
    endpoint = f"unix://{tmp_path}/csi.sock"
    options = LocalDriver(endpoint, tmp_path / root, NODE, capacity_bytes, how)
    async with local_driver(options), Driver(endpoint) as driver:
        yield Calls(driver, tmp_path)


def capability(
    mode: int = MODE.SINGLE_NODE_WRITER, *, block: bool = False, flags: tuple[str, ...] = ()
) -> csi.VolumeCapability:
    made = csi.VolumeCapability(access_mode=MODE(mode=mode))  # type: ignore[arg-type]
    if block:
        made.block.SetInParent()
    else:
        made.mount.SetInParent()
        made.mount.mount_flags.extend(flags)
    return made


def volume_request(name: str = "pvc-1", **fields: Any) -> csi.CreateVolumeRequest:
    fields.setdefault("volume_capabilities", [capability()])
    if "required" in fields or "limit" in fields:
        fields["capacity_range"] = csi.CapacityRange(
            required_bytes=fields.pop("required", 0), limit_bytes=fields.pop("limit", 0)
        )
    return csi.CreateVolumeRequest(name=name, **fields)


def of_volume(identity: str) -> csi.VolumeContentSource:
    return csi.VolumeContentSource(volume=csi.VolumeContentSource.VolumeSource(volume_id=identity))


def of_snapshot(identity: str) -> csi.VolumeContentSource:
    return csi.VolumeContentSource(snapshot=csi.VolumeContentSource.SnapshotSource(snapshot_id=identity))


class Calls:
    """Calls to one driver, and where its volumes are."""

    def __init__(self, driver: Driver, directory: Path) -> None:
        self.driver = driver
        self.root = directory / "root"
        self.pods = directory / "pods"
        self.pods.mkdir(exist_ok=True)

    async def call(self, method: Method[Any, Any], request: Message | None = None, **fields: Any) -> Any:
        return await self.driver.call(method, request if request is not None else method.request(**fields))

    async def refused(self, code: Code, method: Method[Any, Any], request: Message | None = None, **fields: Any) -> str:
        with pytest.raises(CallFailed) as caught:
            await self.call(method, request, **fields)
        assert caught.value.code is code, str(caught.value)
        assert caught.value.description
        return caught.value.description

    async def volume(self, name: str = "pvc-1", **fields: Any) -> csi.Volume:
        answer: csi.CreateVolumeResponse = await self.call(methods.CREATE_VOLUME, volume_request(name, **fields))
        return answer.volume

    async def snapshot(self, name: str, volume: str) -> csi.Snapshot:
        answer: csi.CreateSnapshotResponse = await self.call(
            methods.CREATE_SNAPSHOT, name=name, source_volume_id=volume
        )
        return answer.snapshot

    async def publish(self, volume: str, target: Path | str, **fields: Any) -> None:
        fields.setdefault("volume_capability", capability())
        await self.call(methods.NODE_PUBLISH_VOLUME, volume_id=volume, target_path=str(target), **fields)

    async def unpublish(self, volume: str, target: Path | str) -> None:
        await self.call(methods.NODE_UNPUBLISH_VOLUME, volume_id=volume, target_path=str(target))

    async def ids(self) -> list[str]:
        return [entry.volume.volume_id for entry in (await self.call(methods.LIST_VOLUMES)).entries]

    async def snapshot_ids(self) -> list[str]:
        return [entry.snapshot.snapshot_id for entry in (await self.call(methods.LIST_SNAPSHOTS)).entries]

    def data(self, volume: str) -> Path:
        return self.root / "volumes" / volume / "data"

    def is_clean(self) -> bool:
        """Tell whether nothing is left in the root but what it has at the start."""
        return all(not list((self.root / folder).iterdir()) for folder in ("volumes", "snapshots", "temporary"))
