"""The binder killed, or failed, at each of its writes in turn: the end state is the same (BN-5 to BN-9, T-11).

A disturbed run is compared with an undisturbed one of the same story, object by object, without values that can't be
equal.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import re
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from tests.controllers.cluster import ADMIN, claim, storage_class, volume
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.binder_controller import BinderController
from pvbinder.controllers.manager import Manager
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.kinds import CLAIMS, PODS, STORAGE_CLASSES, VOLUMES
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json, encode
from pvbinder.model.names import BINDER_CONTROLLER
from pvbinder.server.embedded import EmbeddedServer

DEADLINE_SECONDS = 300.0  # virtual ones
Failure = Literal["killed", "lost answer", "no connection", "conflict", "server error"]
FAILURES: tuple[Failure, ...] = ("killed", "lost answer", "no connection", "conflict", "server error")


class FaultyLine(InProcessTransport):
    """A line that does something to the n-th write of the controllers."""

    def __init__(self, server: EmbeddedServer, at: int | None, failure: Failure) -> None:
        super().__init__(server.dispatcher, ADMIN)
        self._at = at
        self._failure = failure
        self.writes = 0
        self.died = asyncio.Event()

    async def send(self, request: Request) -> Answer:
        if request.method == "GET" or "/events" in request.path:
            return await super().send(request)
        self.writes += 1
        if self.writes != self._at:
            return await super().send(request)
        match self._failure:
            case "killed":  # the write is done, and nothing of this process ever happens again
                await super().send(request)
                self.died.set()
                return await asyncio.Event().wait()  # type: ignore[return-value]
            case "lost answer":
                await super().send(request)
                raise ConnectionFailed("the answer got lost")
            case "no connection":
                raise ConnectionFailed("nobody there", request_sent=False)
            case "conflict":
                status = {"reason": "Conflict", "message": "somebody was faster", "code": 409}
                return Answer(409, encode(status))
            case "server error":
                return Answer(500, encode({"reason": "InternalError", "message": "out of order", "code": 500}))


@dataclass
class Story:
    """The objects at the beginning, the acts of the user, and the sign of the end."""

    objects: list[Json]
    is_over: Callable[[Client], Awaitable[bool]]
    happens: Callable[[Client], Awaitable[None]] | None = None
    options: Json = field(default_factory=dict)


async def phases(client: Client) -> dict[str, str]:
    found = {found.name: found.phase for found in await client.list_all(VOLUMES)}
    return found | {found.name: found.phase for found in await client.list_all(CLAIMS)}


def all_have(**wanted: str) -> Callable[[Client], Awaitable[bool]]:
    async def have(client: Client) -> bool:
        found = await phases(client)
        return all(found.get(name) == phase for name, phase in wanted.items())

    return have


async def delete_claim(client: Client) -> None:
    """Delete the claim and its protection, as if no pod used it."""
    await client.delete(CLAIMS, "orders", "default")
    document = (await client.get(CLAIMS, "orders", "default")).document()
    document["metadata"]["finalizers"] = []
    await client.replace(CLAIMS, document)


async def both_gone(client: Client) -> bool:
    return not await client.list_all(CLAIMS) and not await client.list_all(VOLUMES)


async def claim_has_class(client: Client) -> bool:
    return (await client.get(CLAIMS, "orders", "default")).annotations.get(PROVISIONER) == "csi.example.com"


def another_volume(*, made_by_us: bool) -> Callable[[Client], Awaitable[None]]:
    """Make a second volume that says it is the bound claim's: it must be let go (SV-10)."""

    async def make(client: Client) -> None:
        bound = await client.get(CLAIMS, "orders", "default")
        document = volume("other")
        document["spec"]["claimRef"] = {"namespace": "default", "name": "orders", "uid": bound.uid}
        if made_by_us:
            document["metadata"]["annotations"] = {"pv.kubernetes.io/bound-by-controller": "yes"}
        await client.create(VOLUMES, document)

    return make


async def let_go(client: Client) -> bool:
    found = await client.get(VOLUMES, "other")
    return found.phase == "Available" and not found.claim_uid


async def scrubbed(client: Client) -> bool:
    """Play the kubelet of recycler pods, and tell whether the volume is free again (RY-5)."""
    for pod in await client.list_all(PODS):
        if pod.phase == "Pending" and not pod.is_deleting:
            document = {**pod.document(), "status": {"phase": "Succeeded"}}
            with contextlib.suppress(ApiFailure):  # it is gone by now
                await client.replace(PODS, document, subresource="status")
    found = await client.get(VOLUMES, "disk")
    return found.phase == "Available" and not await client.list_all(PODS)


PROVISIONER = "volume.kubernetes.io/storage-provisioner"
HOST_PATH = "kubernetes.io/host-path"


def stories(root: Path) -> dict[str, Story]:
    plugin = {"enable_hostpath_provisioner": True, "hostpath_root": str(root)}
    hosted = {"hostPath": {"path": f"{root}/disk"}, "persistentVolumeReclaimPolicy": "Delete"}
    recycled = {**hosted, "persistentVolumeReclaimPolicy": "Recycle"}
    no_class = claim("orders")
    del no_class["spec"]["storageClassName"]
    return {
        "bind": Story([volume("disk"), claim("orders")], all_have(disk="Bound", orders="Bound")),
        "bind to the named volume": Story(
            [volume("disk"), claim("orders", volumeName="disk")], all_have(disk="Bound", orders="Bound")
        ),
        "assign the default class": Story([storage_class("fast", is_default=True), no_class], claim_has_class),
        "release": Story([volume("disk"), claim("orders")], all_have(disk="Released"), delete_claim),
        "unbind what we bound": Story([volume("disk"), claim("orders")], let_go, another_volume(made_by_us=True)),
        "unbind what a user reserved": Story(
            [volume("disk"), claim("orders")], let_go, another_volume(made_by_us=False)
        ),
        "recycle": Story([volume("disk", **recycled), claim("orders")], scrubbed, delete_claim),
        "delete": Story([volume("disk", **hosted), claim("orders")], both_gone, delete_claim, plugin),
        "provision": Story(
            [storage_class("fast", provisioner=HOST_PATH), claim("orders", storageClassName="fast")],
            all_have(orders="Bound"),
            options=plugin,
        ),
        "provision and delete": Story(
            [storage_class("fast", provisioner=HOST_PATH), claim("orders", storageClassName="fast")],
            both_gone,
            delete_claim,
            plugin,
        ),
    }


async def tell(story: Story, at: int | None = None, failure: Failure = "killed") -> tuple[dict[str, Any], int]:
    """Let the story happen with a failure at write number `at`; return the end state and how many writes it took."""
    options = ControllerOptions(
        controllers="persistentvolume-binder,pv-protection", pvclaimbinder_sync_period=1, **story.options
    )
    async with EmbeddedServer(listen=False) as server, asyncio.timeout(DEADLINE_SECONDS):
        client = Client(InProcessTransport(server.dispatcher, ADMIN))
        for obj in copy.deepcopy(story.objects):
            kind = {"PersistentVolume": VOLUMES, "PersistentVolumeClaim": CLAIMS, "StorageClass": STORAGE_CLASSES}
            await client.create(kind[obj["kind"]], obj)  # type: ignore[arg-type]
        line = FaultyLine(server, at, failure)
        async with running(line, options):
            finished = asyncio.create_task(play(story, client))
            died = asyncio.create_task(line.died.wait())
            await asyncio.wait([finished, died], return_when=asyncio.FIRST_COMPLETED)
            died.cancel()
            if finished.done():
                await finished
                return await end_state(client), line.writes
        async with running(FaultyLine(server, None, failure), options):  # killed, and started again
            await finished
            return await end_state(client), line.writes


async def play(story: Story, client: Client) -> None:
    if story.happens is not None:
        while not any(found.phase == "Bound" for found in await client.list_all(CLAIMS)):
            await asyncio.sleep(0.05)
        await story.happens(client)
    while not await story.is_over(client):
        await asyncio.sleep(0.05)


@asynccontextmanager
async def running(line: FaultyLine, options: ControllerOptions):  # type: ignore[no-untyped-def]
    manager = Manager(line, options)
    task = asyncio.create_task(manager.run())
    try:
        yield manager
        controller = manager.controllers[BINDER_CONTROLLER]
        assert isinstance(controller, BinderController)
        if not line.died.is_set():
            await controller.operations.wait_idle()
            await controller.binder.claims.wait_idle()
            await controller.binder.volumes.wait_idle()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def end_state(client: Client) -> dict[str, Any]:
    """All objects, without values that differ from run to run."""
    state: dict[str, Any] = {}
    for found in [*await client.list_all(VOLUMES), *await client.list_all(CLAIMS)]:
        document = found.document()
        metadata = document["metadata"]
        kept = {name: metadata.get(name) for name in ("name", "annotations", "finalizers")}
        state[f"{type(found).__name__} {found.name}"] = {**document, "metadata": kept}
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID", str(state))
    text = re.sub(r"'resourceVersion': '\d+'", "REVISION", text)
    text = re.sub(r"'\d{4}-\d\d-\d\dT[0-9:.]+Z'", "TIME", text)
    return {"text": text}


NAMES = list(stories(Path("/nowhere")))


def prepare(root: Path) -> None:
    (root / "disk").mkdir()
    (root / "disk" / "data").write_text("x")


@pytest.mark.slow
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("name", NAMES)
@on_virtual_time
async def test_binder_5_stopped_or_failed_at_any_write_it_ends_the_same(
    name: str, failure: Failure, tmp_path: Path
) -> None:
    def story(run: str) -> Story:
        root = tmp_path / "root"
        if root.exists():
            for path in sorted(root.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        root.mkdir(exist_ok=True)
        prepare(root)
        return stories(root)[name]

    undisturbed, writes = await tell(story("undisturbed"))
    assets = sorted(path.is_dir() for path in (tmp_path / "root").iterdir())
    assert writes > 0
    for at in range(1, writes + 1):
        disturbed, _ = await tell(story(str(at)), at, failure)
        assert disturbed == undisturbed, f"{failure} at write {at}"
        assert sorted(path.is_dir() for path in (tmp_path / "root").iterdir()) == assets, f"{failure} at write {at}"


@on_virtual_time
async def test_a_write_that_others_win_is_decided_again() -> None:  # BN-8, T-11
    story = stories(Path("/nowhere"))["bind"]
    state, writes = await tell(story, 2, "conflict")
    assert "'phase': 'Bound'" in state["text"]
    assert writes == 6  # Available, BN-1, BN-2 refused and made again, BN-3, BN-4
