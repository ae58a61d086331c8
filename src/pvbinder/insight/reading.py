"""The snapshot of a running cluster: the objects that an explanation needs, each read once.

READING-1  All volumes, classes, nodes and drivers are read; other kinds in one namespace, or in all (``""``).
READING-2  A kind that the user may not read is left out and named; an explanation needs claims only.
READING-3  An object that isn't in the namespace is looked for by name in the others, where the user may list them.
READING-4  Snapshots of volumes are read only if a claim waits for one: many clusters don't serve them.
READING-5  Of secrets only the metadata is asked for, by name, of those that a class names, if the caller wants it.
           If one may not be read, or there are more than `SECRETS_MAX`, none is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pvbinder.insight.class_secrets import NamedSecret, secrets_of
from pvbinder.insight.restores import snapshot_source
from pvbinder.insight.snapshot import Snapshot
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import metadata_of, only_metadata_of
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
    SECRETS,
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
SECRETS_MAX = 200  # that are asked for, one by one
_OF_DRIVERS = (CSI_STORAGE_CAPACITIES,)  # kept in the namespaces of drivers, whatever those are


async def read_cluster(
    client: Client,
    namespace: str,
    *,
    plugins: Plugins,
    settings: Settings = DEFAULTS,
    more: Sequence[Resource] = (),
    with_secrets: bool = False,
) -> tuple[Snapshot, list[str]]:
    """Return the server's objects for `namespace`, and a line about those that it didn't show (READING-1, READING-2).

    The kinds in `more` are read, too; a server that doesn't have one of them has none of its objects. `with_secrets`
    it is asked for those that classes name (READING-5).
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
    notes: list[str] = []
    if with_secrets and not {STORAGE_CLASSES, PERSISTENT_VOLUME_CLAIMS} & refused.keys():
        try:
            secrets = await _secrets(client, Snapshot(documents))
        except ApiFailure as failure:
            if not failure.is_forbidden:
                raise
            refused[SECRETS] = failure.message
        else:
            if secrets is None:
                notes.append(f"classes name more than {SECRETS_MAX} secrets: whether they exist wasn't asked")
            else:
                documents += secrets
                known.append(SECRETS.kind)
    snapshot = Snapshot(documents, plugins=plugins, settings=settings, known=known, moment=datetime.now(UTC))
    return snapshot, [*_told(refused), *notes]


async def _secrets(client: Client, snapshot: Snapshot) -> list[Json] | None:
    """The metadata of the secrets that classes name and that there are; None if too many are named (READING-5)."""
    wanted: set[tuple[str, str]] = set()
    for storage_class in snapshot.storage_classes():
        waiting = (each for each in snapshot.claims() if each.storage_class == storage_class.name)
        for one in secrets_of(storage_class, (each for each in waiting if not each.volume_name)):
            if isinstance(one, NamedSecret):
                wanted.add((one.secret.namespace, one.secret.name))
    if len(wanted) > SECRETS_MAX:
        return None
    found: list[Json] = []
    for namespace, name in sorted(wanted):
        try:
            secret = await client.get(only_metadata_of(SECRETS), name, namespace)
        except ApiFailure as failure:
            if not failure.is_not_found:
                raise
        else:
            found.append({"kind": SECRETS.kind, "metadata": secret.document()["metadata"]})
    return found


_IN_CACHES = (PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES, PODS, NODES)
_SMALL = tuple(resource for resource in _READ if resource not in (*_IN_CACHES, EVENTS))


async def read_beside(
    client: Client, namespace: str, *, events: Sequence[tuple[str, str]], events_max: int, with_snapshots: bool
) -> tuple[list[Json], list[str]]:
    """Return what an explanation needs besides the objects of caches, and the kinds that were read (READING-2).

    Of `events` those are read that a pair of a namespace and a field selector names, at most about `events_max` of
    each; with `with_snapshots`, snapshots of volumes are read, too (READING-4).
    """
    documents: list[Json] = []
    known: list[str] = []
    for resource in (*_SMALL, *((VOLUME_SNAPSHOTS,) if with_snapshots else ())):
        where = namespace if resource.namespaced and resource not in _OF_DRIVERS else ""
        try:
            documents += await _documents(client, resource, where)
        except ApiFailure as failure:
            if failure.status not in (403, 404):
                raise
            if not (resource is VOLUME_SNAPSHOTS and failure.is_not_found):
                continue
        known.append(resource.kind)
    try:
        for where, selector in events:
            found = 0
            async for page in client.pages(metadata_of(EVENTS), where, field_selector=selector):
                documents += ({**item.document(), "kind": EVENTS.kind} for item in page.items)
                found += len(page.items)
                if found >= events_max:
                    break
        known.append(EVENTS.kind)
    except ApiFailure as failure:
        if failure.status not in (403, 404):
            raise
    return documents, known


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
