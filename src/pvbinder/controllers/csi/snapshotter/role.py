"""The snapshots of one driver, from their VolumeSnapshots to the storage and back.

SNAPSHOTTER-1  A cluster that doesn't serve the kinds of snapshots is one without snapshots: the caches say so once,
               look again within a minute, and nothing else is asked.
SNAPSHOTTER-2  No snapshot is taken before it is known what was begun by replicas before us.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, assert_never

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.options import SnapshotterOptions
from pvbinder.controllers.csi.snapshot_operations import SnapshotOperations
from pvbinder.controllers.csi.snapshotter.claims import SourceClaims, claims_of
from pvbinder.controllers.csi.snapshotter.contents import ContentSync
from pvbinder.controllers.csi.snapshotter.going import SnapshotsGoing
from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS, SNAPSHOT_CLASSES, SNAPSHOTS
from pvbinder.controllers.csi.snapshotter.removal import SnapshotRemoval
from pvbinder.controllers.csi.snapshotter.snapshots import SnapshotSync
from pvbinder.controllers.csi.snapshotter.taking import SnapshotTaking
from pvbinder.controllers.csi.snapshotter.told import Told
from pvbinder.csi.driver import Driver
from pvbinder.kube.informer import Added, Change, Deleted, Updated
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.objects import Claim
from pvbinder.model.snapshots import SnapshotClass, SnapshotContent, VolumeSnapshot
from pvbinder.rules.csi.snapshots.contents import is_news

CONTROLLER: Final = "snapshot-controller"  # the source of events of snapshots

log = logs.get(__name__)


class CsiSnapshotter:
    """Takes and deletes the snapshots of one driver; `run()` it as a task that somebody owns."""

    def __init__(
        self,
        context: ControllerContext,
        driver: Driver,
        info: DriverInfo,
        options: SnapshotterOptions,
        *,
        measures: SnapshotOperations | None = None,
        now: Callable[[], datetime] | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._name = info.name
        self.measures = measures or SnapshotOperations()
        self._snapshots = context.informers.of(SNAPSHOTS)
        self._contents = context.informers.of(CONTENTS)
        self._classes = context.informers.of(SNAPSHOT_CLASSES)
        self._claims = context.informers.of(CLAIMS)
        self._volumes = context.informers.of(VOLUMES)
        told = Told(
            context.client,
            self._snapshots,
            self._contents,
            controller=context.recorder(CONTROLLER),
            sidecar=context.recorder(f"csi-snapshotter {info.name}"),
            now=now or context.now,
        )
        self.source_claims = SourceClaims(context, options)
        self._sync = SnapshotSync(context, info.name, options, told, self.source_claims)
        self._going = SnapshotsGoing(context, told)
        self.taking = SnapshotTaking(context.client, self._contents, driver, info, options, now_ns=now_ns)
        self.removal = SnapshotRemoval(context.client, self._contents, driver, info.name, options, told)
        self._content_sync = ContentSync(
            context.client,
            self._contents,
            self._classes,
            driver,
            info,
            options,
            told,
            self.taking,
            self.removal,
            now_ns=now_ns,
        )
        self._by_claim = self._snapshots.add_index("claim", claims_of)
        self._by_class = self._snapshots.add_index("class", lambda one: (one.class_name or "",))
        history, limits = context.informers.history, options.rate_limits
        self._snapshot_queue: WorkQueue[str] = WorkQueue(
            "snapshots",
            self._sync_snapshot,
            history=history,
            concurrency=options.worker_threads,
            limits=limits,
            failure_message="could not sync snapshot",
            key_field="snapshot",
        )
        self._content_queue: WorkQueue[str] = WorkQueue(
            "snapshot-contents",
            self._sync_content,
            history=history,
            concurrency=options.worker_threads,
            limits=limits,
            failure_message="could not sync snapshot content",
            key_field="content",
            forgets_after_success=False,
        )
        self._snapshots.add_handler(self._snapshot_changed)
        self._contents.add_handler(self._content_changed)
        self._classes.add_handler(self._class_changed)
        self._claims.add_handler(self._claim_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queues."""
        yield self._snapshot_queue.statistics()
        yield self._content_queue.statistics()
        yield from self.source_claims.queues()

    async def run(self) -> None:
        """Work until cancelled."""
        for cache in (self._snapshots, self._contents, self._classes, self._claims, self._volumes):
            await cache.wait_synced()
        intents = self.taking.intents
        await intents.load_at_last()  # SNAPSHOTTER-2
        for key in sorted(intents.keys()):
            intent = intents.get(key)
            if intent is not None:
                self._content_queue.add(intent.content)
        async with asyncio.TaskGroup() as group:
            group.create_task(intents.run(), name=f"intents of snapshots of {self._name}")
            group.create_task(self._snapshot_queue.run(), name=f"snapshots of {self._name}")
            group.create_task(self._content_queue.run(), name=f"snapshot contents of {self._name}")
            group.create_task(self.source_claims.run(), name=f"sources of snapshots of {self._name}")

    # -- what has changed

    def _snapshot_changed(self, change: Change[VolumeSnapshot]) -> None:
        match change:
            case Added(object=snapshot) | Updated(object=snapshot):
                self.measures.changed(snapshot)
                self._snapshot_queue.add(snapshot.key)
            case Deleted(object=snapshot):
                self.measures.gone(snapshot)
                self._snapshot_queue.give_up(snapshot.key)
            case _:
                assert_never(change)

    def _content_changed(self, change: Change[SnapshotContent]) -> None:
        content = change.object
        if content.ref.name:
            self._snapshot_queue.add(content.ref.key)
        match change:
            case Added():
                self._content_queue.add(content.name)
            case Updated(before=before):
                if is_news(before, content):
                    self._content_queue.add(content.name)
            case Deleted():
                self._content_queue.give_up(content.name)
                if self.taking.content_went(content):
                    self._content_queue.add(content.name)
            case _:
                assert_never(change)

    def _class_changed(self, change: Change[SnapshotClass]) -> None:
        """A class that comes, or becomes the default, is what snapshots may be waiting for."""
        if isinstance(change, Deleted):
            return
        for snapshot in (*self._by_class[change.object.name], *self._by_class[""]):
            if not snapshot.is_ready:
                self._snapshot_queue.add(snapshot.key)
        if isinstance(change, Added):
            for content in self._contents:
                if content.class_name == change.object.name and not content.is_ready:
                    self._content_queue.add(content.name)

    def _claim_changed(self, change: Change[Claim]) -> None:
        """A claim that is bound now, or that is done, is what snapshots may be waiting for."""
        claim = change.object
        for snapshot in self._by_claim[claim.key]:
            if not snapshot.bound_content and claim.phase == "Bound":
                self._snapshot_queue.add(snapshot.key)

    # -- one of them

    async def _sync_snapshot(self, key: str) -> None:
        snapshot = self._snapshots.get(key)
        if snapshot is None or not self._sync.is_ours(snapshot):
            return
        if self._sync.is_certainly_ours(snapshot):
            self.measures.look(snapshot)
        if snapshot.is_deleting:
            await self._going.sync(snapshot)
        else:
            await self._sync.sync(snapshot)

    async def _sync_content(self, name: str) -> None:
        if await self._content_sync.sync(name):
            self._content_queue.forget(name)
        else:
            self._content_queue.add_rate_limited(name)
