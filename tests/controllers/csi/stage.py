"""A cluster with the binder, and a provisioner and a deleter for a fake driver."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from tests.controllers.cluster import Cluster, claim, cluster
from tests.controllers.csi.fake_driver import INFO, NAME, FakeDriver

from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.csi.capacity import CapacityTracker
from pvbinder.controllers.csi.deleter import CsiDeleter
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.modifier import CsiModifier
from pvbinder.controllers.csi.options import ProvisionerOptions, ResizerOptions
from pvbinder.controllers.csi.provisioner import CsiProvisioner
from pvbinder.controllers.csi.resizer import CsiResizer
from pvbinder.controllers.csi.source_protection import SourceProtection
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS, ControllerDeclaration
from pvbinder.kube.client import Kind
from pvbinder.kube.kinds import CLAIMS, EVENTS, VOLUMES, metadata_of
from pvbinder.kube.transport import Answer, Request, Transport
from pvbinder.model.json import Json
from pvbinder.model.resources import CONFIG_MAPS, SECRETS

PROTECTION: Final = "persistentvolume-protection-controller"
CHOSEN: Final = f"persistentvolume-binder,csi-provisioner,csi-deleter,{PROTECTION}"
RESIZING: Final = "persistentvolume-binder,csi-provisioner,csi-resizer"
MODIFYING: Final = "persistentvolume-binder,csi-provisioner,csi-modifier"
CONFIG: Final = metadata_of(CONFIG_MAPS)
SECRET: Final = metadata_of(SECRETS)


class Meanwhile:
    """A line on which somebody else is quicker, once: `act` comes before the first status that is written."""

    def __init__(self, line: Transport, act: Callable[[], Awaitable[None]]) -> None:
        self._line = line
        self._acts = [act]

    async def send(self, request: Request) -> Answer:
        if self._acts and request.method == "PATCH" and request.path.endswith("/status"):
            await self._acts.pop()()
        return await self._line.send(request)

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._line.watch(request)


@dataclass
class Stage:
    """What takes part."""

    cluster: Cluster
    driver: FakeDriver

    @property
    def provisioner(self) -> CsiProvisioner:
        found = self.cluster.manager.controllers["csi-provisioner"]
        assert isinstance(found, CsiProvisioner)
        return found

    async def want(self, name: str = "orders", annotations: Json | None = None, **spec: Any) -> str:
        """Create a claim of the driver's class, and return its uid."""
        document = claim(name, **{"storageClassName": "fast", **spec})
        document["metadata"]["annotations"] = annotations or {}
        await self.cluster.create(document)
        return (await self.cluster.client.get(CLAIMS, name, "default")).uid

    async def give_up(self, name: str = "orders") -> None:
        """Delete a claim, whatever protects it."""
        document = (await self.cluster.client.get(CLAIMS, name, "default")).document()
        document["metadata"]["finalizers"] = []
        await self.cluster.client.replace(CLAIMS, document)
        await self.cluster.client.delete(CLAIMS, name, "default")

    async def until_bound(self, name: str = "orders") -> None:
        key = f"default/{name}"
        await self.cluster.until(
            lambda: key in self.cluster.of(CLAIMS) and self.cluster.of(CLAIMS)[key].phase == "Bound"
        )

    async def grow(self, size: str, name: str = "orders") -> None:
        """Ask for another size."""
        await self.edit({"spec": {"resources": {"requests": {"storage": size}}}}, name)

    async def edit(self, change: Json, name: str = "orders") -> None:
        """Change a claim as its user does."""
        await self.cluster.client.patch(CLAIMS, name, "default", change, patch_type="merge")

    async def call_bound(self) -> None:
        """Say that the claim is bound, and has 1Gi, in place of a binder."""
        change: Json = {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
        await self.cluster.client.patch(CLAIMS, "orders", "default", change, patch_type="merge", subresource="status")

    async def status(self, name: str = "orders") -> Json:
        """What the server has as the status of a claim."""
        found: Json = (await self.cluster.client.get(CLAIMS, name, "default")).document()["status"]
        return found

    async def until_status(self, question: Callable[[Json], bool], name: str = "orders") -> None:
        """Wait until the answer to `question` about the status of a claim is yes."""
        key = f"default/{name}"
        await self.cluster.until(lambda: question(self.cluster.of(CLAIMS)[key].document()["status"]))

    async def until_has(self, size: str, name: str = "orders") -> None:
        """Wait until a claim has `size`."""
        await self.until_status(lambda status: status["capacity"]["storage"] == size, name)

    async def until_told(self, text: str, reason: str = "ProvisioningFailed") -> None:
        """Wait for an event whose message has `text` in it."""
        await self.cluster.until(lambda: any(text in message for message in self.told(reason)))

    def told(self, reason: str) -> list[str]:
        events = [event.document() for event in self.cluster.of(EVENTS)]
        return [one["message"] for one in events if one["reason"] == reason]

    async def written_down(self) -> dict[str, str]:
        """The intents as the cluster has them."""
        found: dict[str, str] = {}
        async for page in self.cluster.client.pages(CONFIG, "default"):
            for view in page.items:
                if view.name.startswith("pvbinder-csi-volumes-"):
                    found |= view.document().get("data") or {}
        return found

    async def keep_secret(self, name: str = "keys", **content: str) -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
        document = {"apiVersion": "v1", "kind": "Secret", "data": data}
        document["metadata"] = {"name": name, "namespace": "default"}
        await self.cluster.client.create(SECRET, document)

    async def lose_secret(self, name: str) -> None:
        await self.cluster.client.delete(SECRET, name, "default")

    def volumes(self) -> set[str]:
        """The names of the PersistentVolumes."""
        return {volume.name for volume in self.cluster.of(VOLUMES)}


def storage_class(**fields: object) -> Json:
    head = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}}
    return {**head, "provisioner": NAME, **fields}


def disk(**spec: Any) -> Json:
    """A volume of the driver that nobody has provisioned."""
    wanted = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "fast"}
    source = {"csi": {"driver": NAME, "volumeHandle": "h"}}
    head = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "disk"}}
    return {**head, "spec": {**wanted, **source, **spec}}


def attributes_class(name: str, driver: str = NAME, **parameters: str) -> Json:
    head = {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttributesClass", "metadata": {"name": name}}
    return {**head, "driverName": driver, "parameters": parameters or {"tier": name}}


@asynccontextmanager
async def stage(
    driver: FakeDriver | None = None,
    info: DriverInfo = INFO,
    options: ProvisionerOptions | None = None,
    chosen: str = CHOSEN,
    resizing: ResizerOptions | None = None,
    more: tuple[ControllerDeclaration, ...] = (),
    watched: tuple[Kind[Any], ...] = (),
) -> AsyncGenerator[Stage]:
    """A cluster with them, and `more` controllers; the user watches the kinds in `watched`, too."""
    fake = driver or FakeDriver()
    flags = options or ProvisionerOptions()

    def provisioner(context: ControllerContext) -> Controller:
        return CsiProvisioner(context, fake, info, flags, identity="1-2-fake", component="us")

    def deleter(context: ControllerContext) -> Controller:
        return CsiDeleter(context, fake, info, flags, component="us")

    def sources(context: ControllerContext) -> Controller:
        return SourceProtection(context, flags)

    def resizer(context: ControllerContext) -> Controller:
        return CsiResizer(context, fake, info, resizing or ResizerOptions())

    def modifier(context: ControllerContext) -> Controller:
        return CsiModifier(context, fake, info, resizing or ResizerOptions())

    def capacity(context: ControllerContext) -> Controller:
        assert flags.capacity is not None
        return CapacityTracker(context, fake, info, flags, flags.capacity)

    known = (
        *CONTROLLERS,
        ControllerDeclaration("csi-capacity", user="", make=capacity),
        ControllerDeclaration("csi-modifier", user="", make=modifier),
        ControllerDeclaration("csi-resizer", user="", make=resizer),
        ControllerDeclaration("csi-provisioner", user="", make=provisioner),
        ControllerDeclaration("csi-deleter", user="", make=deleter),
        ControllerDeclaration("csi-sources", user="", make=sources),
        *more,
    )
    async with cluster(ControllerOptions(controllers=chosen), known, watched=watched) as c:
        yield Stage(c, fake)
