"""The snapshot of a running cluster: the objects that an explanation needs, each read once.

READING-1  All volumes, classes, nodes and drivers are read; other kinds in one namespace, or in all (``""``).
READING-2  A kind that the user may not read is left out and named; an explanation needs claims only.
READING-3  An object that isn't in the namespace is looked for by name in the others, where the user may list them.
READING-4  Snapshots of volumes are read only if a claim waits for one: many clusters don't serve them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pvbinder.insight.restores import snapshot_source
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
    RESOURCE_QUOTAS,
    STATEFUL_SETS,
    STORAGE_CLASSES,
    VOLUME_ATTACHMENTS,
    VOLUME_ATTRIBUTES_CLASSES,
    VOLUME_SNAPSHOT_CONTENTS,
    VOLUME_SNAPSHOTS,
    Resource,
)
from pvbinder.model.workloads import CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, JOBS, REPLICA_SETS
from pvbinder.rules.plugins import Plugins
from pvbinder.rules.settings import DEFAULTS, Settings

REPLICATION_CONTROLLERS = Resource("", "v1", "ReplicationController", "replicationcontrollers", True)
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
FOR_AUDITS = (  # what an audit reads besides
    NAMESPACES,
    VOLUME_SNAPSHOTS,
    VOLUME_SNAPSHOT_CONTENTS,
    RESOURCE_QUOTAS,
    DEPLOYMENTS,
    REPLICA_SETS,
    DAEMON_SETS,
    JOBS,
    CRON_JOBS,
    REPLICATION_CONTROLLERS,
)
_OF_DRIVERS = (CSI_STORAGE_CAPACITIES,)  # kept in the namespaces of drivers, whatever those are


async def read_cluster(
    client: Client, namespace: str, *, plugins: Plugins, settings: Settings = DEFAULTS, more: Sequence[Resource] = ()
) -> tuple[Snapshot, list[str]]:
    """Return the server's objects for `namespace`, and a line about those that it didn't show (READING-1, READING-2).

    The kinds in `more` are read, too; a server that doesn't have one of them has none of its objects.
    Raises `ApiFailure` if not even claims may be read, and `ConnectionFailed`.
    """
    documents: list[Json] = []
    refused: dict[Resource, str] = {}
    absent: list[str] = []
    for resource in (*_READ, *more):
        where = namespace if resource.namespaced and resource not in _OF_DRIVERS else ""
        try:
            documents += await _documents(client, resource, where)
        except ApiFailure as failure:
            if resource is PERSISTENT_VOLUME_CLAIMS or failure.status not in (403, 404):
                raise
            if resource in more and failure.is_not_found:
                absent.append(resource.kind)
                continue
            refused[resource] = failure.message
    known = [*absent, *(resource.kind for resource in (*_READ, *more) if resource not in refused)]
    if VOLUME_SNAPSHOTS not in more and any(map(_is_restored, documents)):
        try:
            documents += await _documents(client, VOLUME_SNAPSHOTS, namespace)
            known.append(VOLUME_SNAPSHOTS.kind)
        except ApiFailure as failure:
            if failure.is_not_found:
                known.append(VOLUME_SNAPSHOTS.kind)  # a cluster without the kind has none of them
            elif failure.status in (403, 404):
                refused[VOLUME_SNAPSHOTS] = failure.message
            else:
                raise
    snapshot = Snapshot(documents, plugins=plugins, settings=settings, known=known, moment=datetime.now(UTC))
    return snapshot, _told(refused)


async def elsewhere(client: Client, resource: Resource, name: str, namespace: str) -> tuple[list[str], bool]:
    """Return the places of objects called `name`, and whether `namespace` exists (READING-3)."""
    found: list[str] = []
    try:
        listed = await client.list_all(metadata_of(resource), field_selector=f"metadata.name={name}")
        found = [item.key for item in listed]
    except ApiFailure:
        pass  # the user may not list other namespaces
    try:
        await client.get(metadata_of(NAMESPACES), namespace)
    except ApiFailure as failure:
        return found, not failure.is_not_found
    return found, True


def _is_restored(document: Json) -> bool:
    """Tell whether it is a claim that waits to be made from a snapshot (READING-4)."""
    spec: Json = document.get("spec") or {}
    is_waiting = document.get("kind") == PERSISTENT_VOLUME_CLAIMS.kind and not spec.get("volumeName")
    return is_waiting and snapshot_source(document) is not None


def _told(refused: dict[Resource, str]) -> list[str]:
    if not refused:
        return []
    names = ", ".join(resource.qualified for resource in refused)
    return [f"the answer does without {names}: {next(iter(refused.values()))}"]


async def _documents(client: Client, resource: Resource, namespace: str) -> list[Json]:
    """All objects of a kind, unparsed: the snapshot finds out which can be read (SNAPSHOT-2)."""
    found = await client.list_all(metadata_of(resource), namespace)
    return [{**item.document(), "kind": resource.kind} for item in found]
