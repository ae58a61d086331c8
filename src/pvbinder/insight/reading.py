"""The snapshot of a running cluster: what an explanation needs, read once.

READING-1  Volumes, classes, nodes and drivers are read whole, the rest of one namespace, or of all (``""``).
READING-2  What may not be read is left out and named; only without claims there is no explanation.
READING-3  An object that isn't in the namespace is looked for by name in all others, as far as that is allowed.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pvbinder.insight.snapshot import Snapshot
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import metadata_of
from pvbinder.model.json import Json
from pvbinder.model.resources import (
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    EVENTS,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    STATEFUL_SETS,
    STORAGE_CLASSES,
    VOLUME_ATTACHMENTS,
    VOLUME_ATTRIBUTES_CLASSES,
    Resource,
)
from pvbinder.rules.plugins import Plugins
from pvbinder.rules.settings import DEFAULTS, Settings

_READ = (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
    PODS,
    NODES,
    EVENTS,
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    VOLUME_ATTRIBUTES_CLASSES,
    VOLUME_ATTACHMENTS,
    STATEFUL_SETS,
)
_OF_DRIVERS = (CSI_STORAGE_CAPACITIES,)  # in the namespaces of drivers, wherever that is


async def read_cluster(
    client: Client, namespace: str, *, plugins: Plugins, settings: Settings = DEFAULTS
) -> tuple[Snapshot, list[str]]:
    """Return what the server has, as far as `namespace` is concerned, and what it wouldn't show (READING-1, READING-2).

    Raises `ApiFailure` if not even claims may be read, and `ConnectionFailed`.
    """
    documents: list[Json] = []
    refused: dict[Resource, str] = {}
    for resource in _READ:
        where = namespace if resource.namespaced and resource not in _OF_DRIVERS else ""
        try:
            documents += await _documents(client, resource, where)
        except ApiFailure as failure:
            if resource is PERSISTENT_VOLUME_CLAIMS or failure.status not in (403, 404):
                raise
            refused[resource] = failure.message
    known = [resource.kind for resource in _READ if resource not in refused]
    snapshot = Snapshot(documents, plugins=plugins, settings=settings, known=known, moment=datetime.now(UTC))
    return snapshot, _told(refused)


async def elsewhere(client: Client, resource: Resource, name: str, namespace: str) -> tuple[list[str], bool]:
    """Return where objects called `name` are, and whether there is a `namespace` at all (READING-3)."""
    found: list[str] = []
    try:
        listed = await client.list_all(metadata_of(resource), field_selector=f"metadata.name={name}")
        found = [item.key for item in listed]
    except ApiFailure:
        pass  # a user without that right isn't told
    try:
        await client.get(metadata_of(NAMESPACES), namespace)
    except ApiFailure as failure:
        return found, not failure.is_not_found
    return found, True


def _told(refused: dict[Resource, str]) -> list[str]:
    if not refused:
        return []
    names = ", ".join(resource.qualified for resource in refused)
    return [f"the answer does without {names}: {next(iter(refused.values()))}"]


async def _documents(client: Client, resource: Resource, namespace: str) -> list[Json]:
    """All objects of a kind as they are: which of them can be understood is the snapshot's to find out."""
    found = await client.list_all(metadata_of(resource), namespace)
    return [{**item.document(), "kind": resource.kind} for item in found]
