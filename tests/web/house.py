"""A small cluster whose page is looked at: a few volumes and claims, and the controllers that bind them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tools.browser import Browser, Tab

from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.client import Client
from pvbinder.kube.kinds import metadata_of
from pvbinder.model.resources import NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES
from pvbinder.plane.control_plane import Plane, control_plane
from pvbinder.plane.options import PlaneOptions
from pvbinder.plane.recorder import Interception
from pvbinder.web.page import LivePage
from pvbinder.web.plane import noting, source_of

KINDS = {
    "class": metadata_of(STORAGE_CLASSES),
    "volume": metadata_of(PERSISTENT_VOLUMES),
    "claim": metadata_of(PERSISTENT_VOLUME_CLAIMS),
    "pod": metadata_of(PODS),
    "node": metadata_of(NODES),
}


@dataclass
class House:
    """A cluster with a page, and a browser to look at it."""

    plane: Plane
    page: LivePage
    client: Client
    browser: Browser

    async def tab(self, page: LivePage | None = None) -> Tab:
        """Come in by a link of one's own, and wait for the rows."""
        tab = await self.browser.tab()
        await tab.go((page or self.page).link())
        await tab.until("document.querySelectorAll('[data-kind=claim] .row').length >= 3")
        return tab

    async def create(self, document: dict[str, Any]) -> None:
        """Create an object."""
        kind = next(each for each in KINDS.values() if each.resource.kind == document["kind"])
        await self.client.create(kind, document)

    async def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object."""
        await self.client.delete(KINDS[kind], name, namespace)

    async def names(self, kind: str) -> set[str]:
        """Return what there is, as a row's identifier names it."""
        return {f"{kind}/{each.key}" for each in await self.client.list_all(KINDS[kind])}


def volume(name: str, size: str, class_name: str = "manual", **more: Any) -> dict[str, Any]:
    """Return a volume of a directory."""
    spec = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": class_name,
        "hostPath": {"path": f"/tmp/{name}"},  # nothing is ever written there
        **more,
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def claim(name: str, size: str, class_name: str = "manual", namespace: str = "default") -> dict[str, Any]:
    """Return a claim."""
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
        "storageClassName": class_name,
    }
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def pod(name: str, claim_name: str, node: str = "") -> dict[str, Any]:
    """Return a pod that uses a claim."""
    spec: dict[str, Any] = {
        "containers": [{"name": "main", "image": "example.com/app"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}],
    }
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


FURNITURE: tuple[dict[str, Any], ...] = (
    {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "manual"},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "Immediate",
    },
    {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}},
    volume("disk-1", "1Gi"),
    volume("disk-5", "5Gi"),
    volume("disk-20", "20Gi"),
    claim("reports", "4Gi"),
    claim("archive", "50Gi"),
    claim("tapes", "1Gi", "tape"),
    pod("printer", "reports", "n1"),
)


@asynccontextmanager
async def living(browser: Browser) -> AsyncIterator[House]:
    """Start a cluster and its page."""
    options = PlaneOptions(data_dir=None, in_memory=True, port=0, bare=True, controllers=ControllerOptions())
    interception = Interception()
    async with (
        control_plane(options, interceptor=interception.intercept) as plane,
        LivePage(source_of(plane)) as page,
    ):
        with noting(page.journal, interception):
            house = House(plane, page, Client(plane.transport), browser)
            for document in FURNITURE:
                await house.create(document)
            yield house
