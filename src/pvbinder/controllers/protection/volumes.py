"""The persistentvolume-protection-controller: a volume stays while it is bound.

VOLUMES-1  A volume loses its finalizer only in the revision in which its phase was seen: had it been bound since, the
           server would refuse the write (PP-2).

Rules: docs/rules/protection.md#3-pv-protection
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, assert_never

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.protection.finalizers import FinalizerWrites
from pvbinder.kube.informer import Added, Change, Deleted, Updated
from pvbinder.kube.kinds import VOLUMES
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.names import PV_PROTECTION_FINALIZER
from pvbinder.model.objects import Volume, VolumeName
from pvbinder.rules.protection import decide_volume_finalizer, needs_attention

CONCURRENT_SYNCS_MAX: Final = 16

log = logs.get(__name__)


class VolumeProtectionController:
    """Adds and removes ``kubernetes.io/pv-protection``."""

    def __init__(self, context: ControllerContext) -> None:
        self._volumes = context.informers.of(VOLUMES)
        self._writes = FinalizerWrites(context.client, self._volumes, VOLUMES, "PV")
        self._queue: WorkQueue[VolumeName] = WorkQueue(
            "pvprotection",
            self._sync,
            history=context.informers.history,
            concurrency=CONCURRENT_SYNCS_MAX,
            key_field="pv",
            failure_message=lambda name, error: f"PV {name} failed with : {error}",
        )
        self._volumes.add_handler(self._volume_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Work until cancelled."""
        log.debug("Starting PV protection controller")
        await self._volumes.wait_synced()
        await self._queue.run()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done, now or after a delay."""
        await self._queue.wait_idle()

    def _volume_changed(self, change: Change[Volume]) -> None:
        match change:
            case Added(object=volume) | Updated(object=volume):
                if needs_attention(volume, PV_PROTECTION_FINALIZER):  # PP-1
                    self._queue.add(volume.key)
            case Deleted():
                pass
            case _:
                assert_never(change)

    async def _sync(self, name: VolumeName) -> None:
        volume = self._volumes.get(name)
        if volume is None:
            return
        await self._writes.carry_out(name, decide_volume_finalizer(volume))
