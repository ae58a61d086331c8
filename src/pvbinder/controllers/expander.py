"""The persistentvolume-expander-controller: claims that ask for more than they have.

EXPANDER-1  Only the volume that was read is patched: its uid and revision are in the patch, so that a try after a lost
            answer never changes another volume, nor takes back what somebody else wrote.
EXPANDER-2  A claim that has what it asks for costs no request: its volume is read live only if the caches don't show
            that there is nothing to expand. At the start all claims are looked at that way, when the caches are full.

Rules: docs/rules/expand.md#3-expand-controller
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final, assert_never

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.measures import Measures
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.events import EventType, Subject
from pvbinder.kube.informer import Added, Change, Deleted, Updated
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.errors import PvbinderError
from pvbinder.model.names import PRE_RESIZE_CAPACITY
from pvbinder.model.objects import Claim, ClaimKey, Volume
from pvbinder.model.quantity import Quantity
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS
from pvbinder.rules.expansion import (
    ForgetOldCapacity,
    Grow,
    HandToDriver,
    MarkForNode,
    NotBoundToEachOther,
    NoteOldCapacity,
    NothingToExpand,
    WaitForExternal,
    decide_expansion,
    finished_patch,
    in_progress_patch,
    is_worth_a_look,
    node_pending_patch,
    old_capacity_patch,
    resizer_patch,
    volume_size_patch,
)
from pvbinder.rules.settings import Migrations

EVENT_SOURCE: Final = "volume_expand"
CONCURRENT_SYNCS_MAX: Final = 10
OBJECTS_PER_TURN: Final = 500  # of the look at all claims, before others get theirs

log = logs.get(__name__)


class ExpansionFailed(PvbinderError):  # noqa: N818  (the queue brings the claim back)
    """A claim could not be expanded; the message is that of the event, if there is one."""


class ExpandController:
    """Grows the volumes that it can grow, and leaves the others to their drivers."""

    def __init__(
        self,
        context: ControllerContext,
        *,
        migrations: Migrations | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._client = context.client
        self._recorder = context.recorder(EVENT_SOURCE)
        self._migrations = migrations or Migrations()
        self._now = now or context.now
        self._claims = context.informers.of(CLAIMS)
        self._volumes = context.informers.of(VOLUMES)
        self._has_begun = self._has_looked = False
        self._queue: WorkQueue[ClaimKey] = WorkQueue(
            "volume_expand",
            self.sync,
            history=context.informers.history,
            concurrency=CONCURRENT_SYNCS_MAX,
            failure_message="could not expand claim",
            key_field="pvc",
        )
        self.expansions_started = 0
        self.measures = Measures()
        self._claims.add_handler(self._claim_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queue; the claims that the first look has not come to yet wait, too (EXPANDER-2)."""
        queue = self._queue.statistics()
        yield queue if self._has_looked else replace(queue, depth=queue.depth + len(self._claims))

    async def run(self) -> None:
        """Work until cancelled."""
        log.debug("Starting expand controller")
        await self._claims.wait_synced()
        await self._volumes.wait_synced()
        self._has_begun = True
        async with asyncio.TaskGroup() as group:
            group.create_task(self._queue.run(), name="volume_expand")
            await self._look_at_all()

    async def _look_at_all(self) -> None:
        for number, key in enumerate(self._claims.keys(), 1):
            claim = self._claims.get(key)
            if claim is not None and is_worth_a_look(None, claim) and self._may_have_to_grow(claim):  # EX-1
                self._queue.add(claim.key)
            if number % OBJECTS_PER_TURN == 0:
                await asyncio.sleep(0)
        self._has_looked = True

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done, now or after a delay."""
        await self._queue.wait_idle()

    def _claim_changed(self, change: Change[Claim]) -> None:
        match change:
            case Added(object=claim) | Deleted(object=claim):
                before = None
            case Updated(before=before, object=claim):
                pass
            case _:
                assert_never(change)
        if self._has_begun and is_worth_a_look(before, claim) and self._may_have_to_grow(claim):  # EX-1
            self._queue.add(claim.key)

    def _may_have_to_grow(self, claim: Claim) -> bool:
        """Whether the caches leave open that there is something to do (EXPANDER-2)."""
        volume = self._volumes.get(claim.volume_name)
        if volume is None or not isinstance(decide_expansion(claim, volume, self._migrations), NothingToExpand):
            return True
        log.debug("expansion decided", pvc=claim.key, pv=volume.name, decision=NothingToExpand.__name__)
        return False

    async def sync(self, key: ClaimKey) -> None:
        """Do what the claim with `key` needs next; raise what the queue should retry."""
        claim = self._claims.get(key)
        if claim is None:  # EX-2
            return
        volume = await self._volume_of(claim)
        decision = decide_expansion(claim, volume, self._migrations)
        log.debug("expansion decided", pvc=key, pv=volume.name, decision=type(decision).__name__)
        match decision:
            case NotBoundToEachOther(problem=problem):
                raise ExpansionFailed(problem)
            case NothingToExpand():
                pass
            case HandToDriver():
                await self._hand_over(claim, decision)
            case WaitForExternal():
                self._tell(
                    claim, "Normal", "ExternalExpanding", "waiting for an external controller to expand this PVC"
                )
            case ForgetOldCapacity():
                await self._patch_volume(volume, old_capacity_patch(None))
                log.info("expansion finished", pvc=key, pv=volume.name, rule="EX-8")
            case Grow(size=size, plugin=plugin):
                await self._measured(plugin, self._grow(claim, volume, size, plugin))
            case MarkForNode():
                await self._leave_to_node(claim, volume)
            case NoteOldCapacity():
                await self._note_old_capacity(claim, volume)
            case _:
                assert_never(decision)

    async def _volume_of(self, claim: Claim) -> Volume:
        """Read the volume of `claim`, live (EX-2)."""
        if not claim.volume_name:
            raise ExpansionFailed('failed to get PV "": resource name may not be empty')
        try:
            return await self._client.get(VOLUMES, claim.volume_name)
        except (ApiFailure, ConnectionFailed) as error:
            raise ExpansionFailed(f'failed to get PV "{claim.volume_name}": {error.message}') from error

    async def _hand_over(self, claim: Claim, decision: HandToDriver) -> None:
        waiting = f"CSI migration enabled for {decision.plugin}; waiting for external resizer to expand the pvc"
        self._tell(claim, "Normal", "ExternalExpanding", waiting)
        if decision.is_named:
            return
        try:
            await self._patch_status(claim, resizer_patch(claim, decision.driver))
        except (ApiFailure, ConnectionFailed) as error:
            problem = f"error setting resizer annotation to pvc {claim.key}, with error {error.message}"
            self._tell(claim, "Warning", "ExternalExpanding", problem)
            raise ExpansionFailed(problem) from error
        log.info("claim handed to its resizer", pvc=claim.key, driver=decision.driver, rule="EX-5")

    async def _grow(self, claim: Claim, volume: Volume, size: Quantity, plugin: str) -> None:
        """EX-9: mark, expand, note the size; the plugin has nothing to do itself (EX-7)."""
        self.expansions_started += 1
        marking = f"error updating pvc {claim.key} with resize in progress"
        claim = await self._step(claim, marking, in_progress_patch(claim, size, plugin, self._stamp()))
        if volume.size < size:
            try:
                volume = await self._patch_volume(volume, volume_size_patch(size))
            except (ApiFailure, ConnectionFailed) as error:
                raise self._failed(claim, f"error updating pv for pvc {claim.key}", error) from error
        log.info("volume expanded", pvc=claim.key, pv=volume.name, size=str(size), rule="EX-9")
        if volume.volume_mode == "Block":
            await self._step(claim, f"error marking pvc {claim.key} as resized", finished_patch(claim, size))
            done = f"ExpandVolume succeeded for volume {claim.key}"
            self._tell(claim, "Normal", "VolumeResizeSuccessful", done)
        else:
            await self._leave_to_node(claim, volume)

    async def _measured(self, plugin: str, growing: Coroutine[None, None, None]) -> None:
        """Measure how long `growing` takes, and whether it succeeds (EX-13)."""
        started, done = perf_counter(), False
        try:
            await growing
            done = True
        finally:
            self.measures.plugin_called(plugin, "expand_volume", done, perf_counter() - started)

    async def _leave_to_node(self, claim: Claim, volume: Volume) -> None:
        """Mark the claim: the node grows the file system of its volume (EX-11)."""
        await self._step(claim, _marking_for_node(claim), node_pending_patch(claim, self._stamp()))
        await self._note_old_capacity(claim, volume)

    async def _note_old_capacity(self, claim: Claim, volume: Volume) -> None:
        if PRE_RESIZE_CAPACITY in volume.annotations or claim.status_capacity is None:
            return
        try:
            note = old_capacity_patch(claim.status_capacity)
            await self._patch_volume(volume, note)
        except (ApiFailure, ConnectionFailed) as error:
            raise self._failed(claim, _marking_for_node(claim), error) from error

    async def _step(self, claim: Claim, what: str, change: dict[str, object]) -> Claim:
        try:
            return await self._patch_status(claim, change)
        except (ApiFailure, ConnectionFailed) as error:
            raise self._failed(claim, what, error) from error

    async def _patch_volume(self, volume: Volume, change: dict[str, Any]) -> Volume:
        """Change the very volume that was read: never one that took its name since (EXPANDER-1)."""
        own = {"uid": volume.uid, "resourceVersion": volume.resource_version}
        change = {**change, "metadata": {**change.get("metadata", {}), **own}}
        answer = await self._client.patch(VOLUMES, volume.name, "", change, patch_type="strategic")
        self._volumes.put(answer)
        return answer

    async def _patch_status(self, claim: Claim, change: dict[str, object]) -> Claim:
        answer = await self._client.patch(
            CLAIMS, claim.name, claim.namespace, change, patch_type="strategic", subresource="status"
        )
        self._claims.put(answer)
        return answer

    def _failed(self, claim: Claim, what: str, error: PvbinderError) -> ExpansionFailed:
        """Tell the user that a step failed, and return the error that makes the queue try again (EX-12)."""
        message = f"{what}: {error.message}"
        self._tell(claim, "Warning", "VolumeResizeFailed", message)
        return ExpansionFailed(message)

    def _tell(self, claim: Claim, type_: EventType, reason: str, message: str) -> None:
        self._recorder.event(Subject.of(PERSISTENT_VOLUME_CLAIMS, claim), type_, reason, message)

    def _stamp(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _marking_for_node(claim: Claim) -> str:
    return f"error marking pvc {claim.key} for node expansion"
