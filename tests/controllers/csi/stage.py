"""A cluster with the binder and a provisioner for a fake driver."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.controllers.cluster import Cluster, claim, cluster
from tests.controllers.csi.fake_driver import INFO, NAME, FakeDriver

from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.options import ProvisionerOptions
from pvbinder.controllers.csi.provisioner import CsiProvisioner
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS, ControllerDeclaration
from pvbinder.kube.kinds import CLAIMS, EVENTS
from pvbinder.model.json import Json

OPTIONS = ControllerOptions(controllers="persistentvolume-binder,csi-provisioner,garbage-collector-controller")


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

    async def want(self, name: str = "orders", **spec: Any) -> str:
        """Create a claim of the driver's class, and return its uid."""
        await self.cluster.create(claim(name, storageClassName="fast", **spec))
        return (await self.cluster.client.get(CLAIMS, name, "default")).uid

    async def until_bound(self, name: str = "orders") -> None:
        key = f"default/{name}"
        await self.cluster.until(
            lambda: key in self.cluster.of(CLAIMS) and self.cluster.of(CLAIMS)[key].phase == "Bound"
        )

    def told(self, reason: str) -> list[str]:
        events = [event.document() for event in self.cluster.of(EVENTS)]
        return [one["message"] for one in events if one["reason"] == reason]


def storage_class(**fields: object) -> Json:
    head = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}}
    return {**head, "provisioner": NAME, **fields}


@asynccontextmanager
async def stage(
    driver: FakeDriver | None = None, info: DriverInfo = INFO, options: ProvisionerOptions | None = None
) -> AsyncGenerator[Stage]:
    fake = driver or FakeDriver()

    def make(context: ControllerContext) -> Controller:
        return CsiProvisioner(context, fake, info, options or ProvisionerOptions(), identity="1-2-fake", component="us")

    known = (*CONTROLLERS, ControllerDeclaration("csi-provisioner", user="", make=make))
    async with cluster(OPTIONS, known) as c:
        yield Stage(c, fake)
