"""The protection of what volumes are made from, taken off again (DS-7, DS-11).

SOURCES-1  A claim or snapshot loses our finalizer only when a live list of the namespace's claims, that counts as
           evidence and agrees with the cache, has none that is still to be made from it.
SOURCES-2  It loses it then: a snapshot as soon as the last such claim has its volume or is gone, a claim when it is
           being deleted; also where that happened while nobody looked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias, assert_never

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.csi.options import ProvisionerOptions
from pvbinder.controllers.csi.preparing import SNAPSHOTS
from pvbinder.kube.client import Client, Kind
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.evidence import check_against, read_whole_list
from pvbinder.kube.informer import Added, Change, Deleted, Informer, Updated
from pvbinder.kube.kinds import CLAIMS
from pvbinder.kube.queue import QueueStatistics, RateLimits, WorkQueue
from pvbinder.model.objects import Claim
from pvbinder.rules.csi.sources import CLONING_FINALIZER, SNAPSHOT_FINALIZER, SNAPSHOT_GROUP, DataSource, data_source_of
from pvbinder.rules.protection import without_finalizer

LOOK_SECONDS: Final = 1.0  # until the snapshots are listed again, if they couldn't be; then twice as long each time
LOOK_SECONDS_MAX: Final = 300.0

SourceKey: TypeAlias = tuple[Literal["claim", "snapshot"], str, str]  # and namespace and name

log = logs.get(__name__)


class SourceProtection:
    """Lets go the sources of volumes that are made; `run()` it as a task that somebody owns."""

    def __init__(self, context: ControllerContext, options: ProvisionerOptions) -> None:
        self._client = context.client
        self._claims = context.informers.of(CLAIMS)
        self._queue: WorkQueue[SourceKey] = WorkQueue(
            "sources",
            self._sync,
            history=context.informers.history,
            concurrency=options.cloning_protection_threads,
            limits=RateLimits(options.retry_interval_start_seconds, options.retry_interval_max_seconds),
            failure_message="could not let go a source",
            key_field="source",
        )
        self._claims.add_handler(self._claim_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Work until cancelled."""
        await self._claims.wait_synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_for_snapshots(), name="snapshots that were forgotten")
            group.create_task(self._queue.run(), name="sources")

    async def _look_for_snapshots(self) -> None:
        """Find those whose last claim went while nobody looked (SOURCES-2)."""
        wait_seconds, said = LOOK_SECONDS, ""
        while True:
            try:
                async for page in self._client.pages(SNAPSHOTS):
                    for snapshot in page.items:
                        if SNAPSHOT_FINALIZER in snapshot.finalizers:
                            self._queue.add(("snapshot", snapshot.namespace, snapshot.name))
                return
            except (ApiFailure, ConnectionFailed) as error:  # a cluster may have no snapshots at all, or none yet
                if error.message != said:
                    log.warning("snapshots can't be listed, so none is let go yet", err=error.message)
                    said = error.message
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, LOOK_SECONDS_MAX)

    def _claim_changed(self, change: Change[Claim]) -> None:
        match change:
            case Added(object=claim) | Updated(object=claim):
                if claim.is_deleting and CLONING_FINALIZER in claim.finalizers:
                    self._queue.add(("claim", claim.namespace, claim.name))
                if claim.phase != "Pending":
                    self._is_made(claim)
            case Deleted(object=claim):
                self._is_made(claim)
            case _:
                assert_never(change)

    def _is_made(self, claim: Claim) -> None:
        """Have the source looked at of a claim that doesn't need it any more."""
        key = _key_of(claim)
        if key is not None:
            self._queue.add(key)

    async def _sync(self, key: SourceKey) -> None:
        what, namespace, name = key
        if what == "claim":
            known = self._claims.get(f"{namespace}/{name}")
            if known is None or not known.is_deleting:
                return
            await self._let_go(key, CLAIMS, CLONING_FINALIZER)
        else:
            await self._let_go(key, SNAPSHOTS, SNAPSHOT_FINALIZER)

    async def _let_go(self, key: SourceKey, kind: Kind[Any], finalizer: str) -> None:
        _, namespace, name = key
        try:
            found = await self._client.get(kind, name, namespace)
        except ApiFailure as failure:
            if failure.is_not_found:
                return
            raise
        if finalizer not in found.finalizers or await is_source_needed(self._client, self._claims, key):
            return  # a claim that needs it brings it back when it changes
        try:
            await self._client.replace(kind, without_finalizer(found, finalizer))
        except ApiFailure as failure:
            if not failure.names_as_not_found(kind.resource, name):
                raise


async def is_source_needed(client: Client, claims: Informer[Claim], key: SourceKey) -> bool:
    """Whether a claim is still to be made from a source (SOURCES-1); raise what reading a list as evidence raises."""
    namespace = key[1]
    listed = await read_whole_list(client, CLAIMS, namespace, not_before=(claims.resource_version or "",))
    await check_against(listed, client, CLAIMS, lambda: [claim for claim in claims if claim.namespace == namespace])
    return any(claim.phase in ("", "Pending") and _key_of(claim) == key for claim in listed.items)


def _key_of(claim: Claim) -> SourceKey | None:
    source = data_source_of(claim.document()) if b"dataSource" in claim.raw else None
    return _key(source) if source is not None else None


def _key(source: DataSource) -> SourceKey | None:
    if source.kind == "VolumeSnapshot" and source.group == SNAPSHOT_GROUP:
        return ("snapshot", source.namespace, source.name)
    if source.kind == "PersistentVolumeClaim":  # whatever its group is (CP-7)
        return ("claim", source.namespace, source.name)
    return None
