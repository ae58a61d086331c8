"""The snapshot of a running cluster: what an explanation needs, read once."""

from __future__ import annotations

from pvbinder.insight.snapshot import Snapshot
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import metadata_of
from pvbinder.model.json import Json
from pvbinder.model.resources import (
    CSI_DRIVERS,
    EVENTS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    STORAGE_CLASSES,
    Resource,
)
from pvbinder.rules.plugins import Plugins
from pvbinder.rules.settings import DEFAULTS, Settings

_READ = (PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES, PODS, NODES, EVENTS, CSI_DRIVERS)


async def read_cluster(
    client: Client, namespace: str, *, plugins: Plugins, settings: Settings = DEFAULTS
) -> tuple[Snapshot, list[str]]:
    """Return what the server has, as far as claims and pods of `namespace` are concerned, and what it wouldn't show.

    Volumes, nodes and classes are read whole, claims, pods and events of the one namespace. Without the right to read
    a kind the explanation goes without it. Raises `ApiFailure` if not even claims may be read, and `ConnectionFailed`.
    """
    documents: list[Json] = []
    refused: dict[Resource, str] = {}
    for resource in _READ:
        try:
            documents += await _documents(client, resource, namespace if resource.namespaced else "")
        except ApiFailure as failure:
            if resource is PERSISTENT_VOLUME_CLAIMS or failure.status not in (403, 404):
                raise
            refused[resource] = f"{resource.qualified} can't be read: {failure.message}"
    knows_drivers = CSI_DRIVERS not in refused
    snapshot = Snapshot(documents, plugins=plugins, settings=settings, knows_drivers=knows_drivers)
    return snapshot, list(refused.values())


async def _documents(client: Client, resource: Resource, namespace: str) -> list[Json]:
    """All objects of a kind as they are: which of them can be understood is the snapshot's to find out."""
    found = await client.list_all(metadata_of(resource), namespace)
    return [{**item.document(), "kind": resource.kind} for item in found]
