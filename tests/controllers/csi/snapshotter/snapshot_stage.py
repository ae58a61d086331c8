"""The stage with a snapshotter: a bound claim, a class for its snapshots, and what a user does with them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from tests.controllers.cluster import Cluster
from tests.controllers.csi.fake_driver import NAME
from tests.controllers.csi.snapshotter.snapshot_driver import LISTS, SnapshotDriver
from tests.controllers.csi.stage import CHOSEN, CONFIG, Stage, stage, storage_class

from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.options import ProvisionerOptions, SnapshotterOptions
from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS, SNAPSHOT_CLASSES, SNAPSHOTS
from pvbinder.controllers.csi.snapshotter.role import CsiSnapshotter
from pvbinder.controllers.registry import ControllerDeclaration
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import CLAIMS
from pvbinder.model.json import Json
from pvbinder.model.snapshots import SnapshotContent, VolumeSnapshot

ALL: Final = f"{CHOSEN},csi-sources,csi-snapshotter,persistentvolumeclaim-protection-controller"


@dataclass
class SnapshotStage:
    """What takes part."""

    stage: Stage
    driver: SnapshotDriver

    @property
    def cluster(self) -> Cluster:
        return self.stage.cluster

    @property
    def snapshotter(self) -> CsiSnapshotter:
        found = self.cluster.manager.controllers["csi-snapshotter"]
        assert isinstance(found, CsiSnapshotter)
        return found

    async def take(
        self, name: str = "s", claim: str = "orders", class_name: str | None = "snapshots"
    ) -> VolumeSnapshot:
        spec: Json = {"source": {"persistentVolumeClaimName": claim}}
        if class_name is not None:
            spec["volumeSnapshotClassName"] = class_name
        document = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
        made: VolumeSnapshot = await self.create(SNAPSHOTS, document)
        return made

    async def create(self, kind: Any, document: Json) -> Any:
        return await self.cluster.client.create(kind, document)

    async def add_class(self, name: str = "snapshots", **fields: Any) -> None:
        await self.create(SNAPSHOT_CLASSES, snapshot_class(name, **fields))

    async def give(self, handle: str = "given", name: str = "c", snapshot: str = "s", **spec: Any) -> SnapshotContent:
        """Create a content by hand."""
        wanted: Json = {
            "deletionPolicy": "Delete",
            "driver": NAME,
            "source": {"snapshotHandle": handle},
            "volumeSnapshotRef": {"name": snapshot, "namespace": "default"},
        }
        made: SnapshotContent = await self.create(CONTENTS, {"metadata": {"name": name}, "spec": wanted | spec})
        return made

    async def take_given(self, name: str = "s", content: str = "c") -> VolumeSnapshot:
        spec = {"source": {"volumeSnapshotContentName": content}}
        made: VolumeSnapshot = await self.create(
            SNAPSHOTS, {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
        )
        return made

    def snapshot(self, name: str = "s") -> VolumeSnapshot | None:
        return self.cluster.of(SNAPSHOTS).get(f"default/{name}")

    def contents(self) -> list[SnapshotContent]:
        return list(self.cluster.of(CONTENTS))

    async def until_ready(self, name: str = "s") -> VolumeSnapshot:
        await self.cluster.until(lambda: bool((found := self.snapshot(name)) and found.is_ready))
        found = self.snapshot(name)
        assert found is not None
        return found

    async def until_failed(self, text: str, name: str = "s") -> VolumeSnapshot:
        await self.cluster.until(lambda: bool((found := self.snapshot(name)) and text in found.error))
        found = self.snapshot(name)
        assert found is not None
        return found

    async def until_gone(self, name: str = "s") -> None:
        await self.cluster.until(lambda: self.snapshot(name) is None)

    async def delete(self, name: str = "s") -> None:
        await self.cluster.client.delete(SNAPSHOTS, name, "default")

    async def change(
        self, kind: Any, name: str, change: Any, namespace: str = "", subresource: str | None = None
    ) -> None:
        """Read, change and write, until nobody was faster."""
        while True:
            document = (await self.cluster.client.get(kind, name, namespace)).document()
            change(document)
            try:
                await self.cluster.client.replace(kind, document, subresource=subresource)
                return
            except ApiFailure as failure:
                if not failure.is_conflict:
                    raise

    def claim_finalizers(self, name: str = "orders") -> tuple[str, ...]:
        found = self.cluster.of(CLAIMS).get(f"default/{name}")
        return found.finalizers if found is not None else ()

    async def written_down(self) -> dict[str, str]:
        """The intents as the cluster has them."""
        found: dict[str, str] = {}
        async for page in self.cluster.client.pages(CONFIG, "default"):
            for view in page.items:
                if view.name.startswith("pvbinder-csi-snapshots-"):
                    found |= view.document().get("data") or {}
        return found


def snapshot_class(
    name: str = "snapshots", *, driver: str = NAME, policy: str = "Delete", is_default: bool = False, **parameters: str
) -> Json:
    annotations = {"snapshot.storage.kubernetes.io/is-default-class": "true"} if is_default else {}
    return {
        "metadata": {"name": name, "annotations": annotations},
        "driver": driver,
        "deletionPolicy": policy,
        "parameters": parameters,
    }


@asynccontextmanager
async def snapshot_stage(
    driver: SnapshotDriver | None = None,
    *,
    info: DriverInfo = LISTS,
    options: SnapshotterOptions | None = None,
    provisioning: ProvisionerOptions | None = None,
    is_bound: bool = True,
) -> AsyncGenerator[SnapshotStage]:
    """The stage; with `is_bound` there is a claim that has its volume, and a class for snapshots."""
    fake = driver or SnapshotDriver()

    def snapshotter(context: ControllerContext) -> Controller:
        return CsiSnapshotter(context, fake, info, options or SnapshotterOptions())

    more = (ControllerDeclaration("csi-snapshotter", user="", make=snapshotter),)
    async with stage(fake, info, provisioning, chosen=ALL, more=more, watched=(SNAPSHOTS, CONTENTS)) as s:
        here = SnapshotStage(s, fake)
        if is_bound:
            await s.cluster.create(storage_class())
            await here.add_class()
            await s.want()
            await s.until_bound()
        yield here
