"""Volumes that grow with their claims, through a CSI driver: external-resizer's half of expansion.

CSI_RESIZER-1  The size that the driver is asked for is written down in the claim first, with the claim's revision:
               after a crash or a lost answer the same size is asked for again, and a stale cache asks for nothing.
CSI_RESIZER-2  While a call may still be running its size stays the goal. After a final error the claim's request is, so
               that a smaller one ends a failed expansion (RF-2).
CSI_RESIZER-3  A volume that is smaller than what was asked for is no success, whatever the driver says: neither volume
               nor claim gets a capacity that isn't there.
CSI_RESIZER-4  An expansion that the driver calls impossible is tried again only after the longest pause, unless the
               claim asks for another size (RS-6). So is one that the node calls impossible again.
CSI_RESIZER-5  No secret's content gets into an event, a condition or a log line.

It touches volumes of its driver that belong to their claim, no others: the reference takes the old note (RS-3) away
from any volume. A claim whose volume isn't known yet waits for that volume, without retries.

Rules: docs/rules/expand.md#4-csi-external-resizer-protocol
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final, assert_never

from msgspec import Struct

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.csi import messages
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.options import ResizerOptions
from pvbinder.controllers.csi.patching import Patching
from pvbinder.controllers.csi.secrets import SecretMissingError, read_secret
from pvbinder.controllers.csi.slow_set import SlowSet
from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import AnswerUnreadable, CallFailed
from pvbinder.csi.wire import methods
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.events import EventType, Subject
from pvbinder.kube.informer import Added, Change, Deleted, Updated
from pvbinder.kube.kinds import CLAIMS, PODS, VOLUMES
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.errors import PvbinderError
from pvbinder.model.objects import Claim, ClaimKey, Volume, VolumeName
from pvbinder.model.quantity import Quantity
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS
from pvbinder.rules.csi import resize_writes as writes
from pvbinder.rules.csi.claim_progress import progress_of
from pvbinder.rules.csi.error_classes import IN_USE, is_expansion_infeasible, is_final
from pvbinder.rules.csi.existing_volumes import ExistingVolumeError, expand_request, untranslated
from pvbinder.rules.csi.resizing import (
    NODE_INFEASIBLE,
    NothingToResize,
    Resize,
    Resizing,
    decide_resize,
    has_stale_note,
    is_ours,
    is_worth_a_look,
)

NANO: Final = 10**9
ENDED: Final = frozenset({"Succeeded", "Failed"})  # phases of pods that use nothing any more

log = logs.get(__name__)


class ResizeLater(PvbinderError):  # noqa: N818  (the queue brings the claim back)
    """A claim could not be expanded; the message is logged, and has been told where it should be."""


class _Grown(Struct, frozen=True):
    """What the driver says after an expansion."""

    size: Quantity
    needs_node: bool


class _NotGrown(PvbinderError):  # noqa: N818  (an outcome, not a defect)
    """An expansion that failed.

    `is_final` is None where the driver wasn't asked: what was known of the call before stays true.
    """

    def __init__(
        self, message: str, *, is_final: bool | None, is_infeasible: bool = False, is_in_use: bool = False
    ) -> None:
        super().__init__(message)
        self.is_final = is_final
        self.is_infeasible = is_infeasible
        self.is_in_use = is_in_use


class CsiResizer:
    """Expands the claims of one driver; `run()` it as a task that somebody owns, with the informers beside it."""

    def __init__(
        self,
        context: ControllerContext,
        driver: Driver,
        info: DriverInfo,
        options: ResizerOptions,
        *,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._client = context.client
        self._driver = driver
        self._info = info
        self._options = options
        self._now = now or context.now
        self._recorder = context.recorder(f"external-resizer {info.name}")
        self._claims = context.informers.of(CLAIMS)
        self._volumes = context.informers.of(VOLUMES)
        self._patching = Patching(context.client, self._claims, self._volumes)
        self._failed: set[str] = set()  # uids of claims whose last call ended with a final error (CSI_RESIZER-2)
        self._in_use: set[str] = set()  # uids of claims whose driver grows only what nobody uses (RS-8)
        self._slow = SlowSet(options.retry_interval_max_seconds)
        self._queue: WorkQueue[ClaimKey] = WorkQueue(
            f"{info.name}-pvc",
            self._sync,
            history=context.informers.history,
            concurrency=options.workers,
            limits=options.rate_limits,
            failure_message="could not expand claim",
            key_field="pvc",
        )
        self.calls = 0
        self._claims.add_handler(self._claim_changed)
        self._volumes.add_handler(self._volume_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queue."""
        yield self._queue.statistics()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done, now or after a delay."""
        await self._queue.wait_idle()

    async def run(self) -> None:
        """Work until cancelled."""
        await self._claims.wait_synced()
        await self._volumes.wait_synced()
        await self._queue.run()

    # -- what wakes whom

    def _claim_changed(self, change: Change[Claim]) -> None:
        match change:
            case Added(object=claim):
                before = None
            case Updated(before=before, object=claim):
                pass
            case Deleted(object=claim):
                self._failed.discard(claim.uid)
                self._in_use.discard(claim.uid)
                self._slow.remove(claim.uid)
                self._queue.give_up(claim.key)
                return
            case _:
                assert_never(change)
        if is_worth_a_look(before, claim):  # RS-1
            self._look_at(claim)

    def _volume_changed(self, change: Change[Volume]) -> None:
        """Look at the claim of a volume that came later than the claim, or was given to it."""
        match change:
            case Added(object=volume):
                pass
            case Updated(before=before, object=volume):
                if before.claim_uid == volume.claim_uid:
                    return
            case Deleted():
                return
            case _:
                assert_never(change)
        claim = self._claims.get(volume.claim_key) if volume.claim_key is not None else None
        if claim is not None:
            self._look_at(claim)

    def _look_at(self, claim: Claim) -> None:
        """Have a claim looked at, unless nothing is to be done, as for each claim that was just bound."""
        volume = self._volumes.get(VolumeName(claim.volume_name))
        if volume is None or claim.key in self._queue or not self._has_nothing_to_do(claim, volume):
            self._queue.add(claim.key)

    def _has_nothing_to_do(self, claim: Claim, volume: Volume) -> bool:
        if not is_ours(claim, volume, self._info.name):
            return True
        return not has_stale_note(claim, volume) and isinstance(self._decide(claim, volume), NothingToResize)

    def _decide(self, claim: Claim, volume: Volume) -> Resizing:
        return decide_resize(
            claim,
            volume,
            self._info.name,
            has_failed=claim.uid in self._failed,
            has_controller=self._info.abilities.expand_volume,
        )

    # -- one claim

    async def _sync(self, key: ClaimKey) -> None:
        claim = self._claims.get(key)
        volume = self._volumes.get(VolumeName(claim.volume_name)) if claim is not None else None
        if claim is None or volume is None:  # RS-2: the volume brings the claim back when it comes
            return
        if is_ours(claim, volume, self._info.name) and has_stale_note(claim, volume):
            volume = await self._forget_old_capacity(claim, volume)
        decision = self._decide(claim, volume)
        match decision:
            case NothingToResize(why=why):
                log.debug("nothing to resize", pvc=key, why=why.value)
            case Resize():
                await self._resize(claim, volume, decision)
            case _:
                assert_never(decision)

    async def _forget_old_capacity(self, claim: Claim, volume: Volume) -> Volume:
        try:
            volume = await self._patching.volume(volume, writes.without_note(volume))
        except (ApiFailure, ConnectionFailed) as error:
            what = f'the note of the old capacity can\'t be taken from pv "{volume.name}"'
            raise ResizeLater(f"{what}: {error.message}") from error
        log.info("expansion finished", pvc=claim.key, pv=volume.name, rule="RS-3")
        return volume

    async def _resize(self, claim: Claim, volume: Volume, decision: Resize) -> None:
        """Have the driver grow the volume, and say in volume and claim how that went (RS-6 to RS-14)."""
        waits_seconds = self._slow.seconds_left(claim.uid) if decision.is_recorded else 0.0
        if waits_seconds > 0:
            self._queue.add_after(claim.key, waits_seconds)  # RS-6
            log.debug("expansion was infeasible", pvc=claim.key, again_in_seconds=waits_seconds)
            return
        if volume.csi is None and self._info.abilities.expand_volume:  # nothing is begun that can't be done
            raise self._refused(claim, volume, _NotGrown(untranslated(volume), is_final=None))
        failed_on_node = progress_of(claim).resize_state == NODE_INFEASIBLE
        claim = await self._begin(claim, decision)
        await self._check_unused(claim)
        self._in_use.discard(claim.uid)
        self._tell(claim, "Normal", "Resizing", f"External resizer is resizing volume {volume.name}")
        try:
            grown = await self._expand(volume, decision.size)
        except _NotGrown as failure:
            await self._note_failure(claim, failure)
            raise self._refused(claim, volume, failure) from failure
        self._failed.discard(claim.uid)
        if failed_on_node:
            self._slow.add(claim.uid)  # the node may try once more; if it fails again, we wait (CSI_RESIZER-4)
        else:
            self._slow.remove(claim.uid)
        await self._save(claim, volume, grown)

    def _refused(self, claim: Claim, volume: Volume, failure: _NotGrown) -> ResizeLater:
        what = f'resize volume "{volume.name}" by resizer "{self._info.name}" failed: {failure.message}'
        self._tell(claim, "Warning", "VolumeResizeFailed", what)
        return ResizeLater(what)

    async def _begin(self, claim: Claim, decision: Resize) -> Claim:
        """Write down what is asked for (RS-7, CSI_RESIZER-1)."""
        try:
            change = writes.begun(claim, decision.size, self._stamp(), is_recorded=decision.is_recorded)
            return await self._patching.claim_status(claim, change)
        except (ApiFailure, ConnectionFailed) as error:
            raise _later(error, f'marking pvc "{claim.key}" as resizing failed: {error.message}') from error

    async def _check_unused(self, claim: Claim) -> None:
        """RS-8: after a driver has said so, wait until no pod uses the claim."""
        if claim.uid not in self._in_use or not self._options.handle_volume_inuse_error:
            return
        try:
            async for page in self._client.pages(PODS, claim.namespace):
                if any(claim.key in pod.claim_keys for pod in page.items if pod.phase not in ENDED):
                    break
            else:
                return
        except (ApiFailure, ConnectionFailed) as error:
            raise ResizeLater(f"the pods of {claim.namespace} can't be read: {error.message}") from error
        why = f"CSI driver {self._info.name} only supports offline expansion and volume is currently in-use"
        self._tell(claim, "Warning", "VolumeResizeFailed", f"Unable to expand {claim.key} because {why}")
        raise ResizeLater(f"Unable to expand {claim.key} because {why}")

    # -- the driver

    async def _expand(self, volume: Volume, size: Quantity) -> _Grown:
        """Have the driver grow the volume (RS-10); raise _NotGrown."""
        if not self._info.abilities.expand_volume:
            return _Grown(size, needs_node=True)  # the node does it alone
        try:
            request = expand_request(volume, size, several_writers=self._info.abilities.several_writers)
            secrets = await read_secret(self._client, request.secret) if request.secret is not None else {}
        except (ExistingVolumeError, SecretMissingError) as error:
            raise _NotGrown(error.message, is_final=None) from error
        self.calls += 1
        try:
            answer = await self._driver.call(
                methods.CONTROLLER_EXPAND_VOLUME,
                messages.expand_volume(request, secrets),
                timeout_seconds=self._options.timeout_seconds,
            )
        except CallFailed as failure:
            raise _not_grown(failure) from failure
        if answer.capacity_bytes < request.required_bytes:  # CSI_RESIZER-3
            less = f"{answer.capacity_bytes} bytes, less than the {request.required_bytes} that it was asked for"
            raise _NotGrown(f"the driver answers that the volume has {less}", is_final=True)
        return _Grown(Quantity(answer.capacity_bytes * NANO, "BinarySI"), needs_node=answer.node_expansion_required)

    async def _note_failure(self, claim: Claim, failure: _NotGrown) -> None:
        """Remember what the failure means for the next try, and say it in the claim (RS-14)."""
        if failure.is_final is None:
            return
        if not failure.is_final:
            self._failed.discard(claim.uid)
            self._slow.remove(claim.uid)
            return
        self._failed.add(claim.uid)
        if failure.is_in_use:
            self._in_use.add(claim.uid)
        if failure.is_infeasible:
            self._slow.add(claim.uid)
        else:
            self._slow.remove(claim.uid)
        try:
            change = writes.failed(claim, failure.message, self._stamp(), is_infeasible=failure.is_infeasible)
            await self._patching.claim_status(claim, change)
        except (ApiFailure, ConnectionFailed) as error:
            what = f"resizing failed in controller with {failure.message} but failed to update PVC {claim.key}"
            raise ResizeLater(f"{what} with: {error.message}") from error

    # -- the objects

    async def _save(self, claim: Claim, volume: Volume, grown: _Grown) -> None:
        """Say in volume and claim how large they are now (RS-11 to RS-13)."""
        old = claim.status_capacity if grown.needs_node else None
        size = f"{volume.name} to {grown.size}"
        try:
            await self._patching.volume(volume, writes.grown(volume, grown.size, old))
        except (ApiFailure, ConnectionFailed) as error:
            what = f'error updating pv "{volume.name}" by resizer: updating capacity of PV'
            raise self._unsaved(claim, error, f"{what} {size} failed: {error.message}") from error
        log.info("volume expanded", pvc=claim.key, pv=volume.name, size=str(grown.size), rule="RS-11")
        what, change = "resize finished", writes.finished(claim, grown.size)
        if grown.needs_node:
            what, change = "node expansion required", writes.left_to_node(claim, self._stamp())
        try:
            await self._patching.claim_status(claim, change)
        except (ApiFailure, ConnectionFailed) as error:
            raise self._unsaved(claim, error, f'mark PVC "{claim.key}" as {what} failed: {error.message}') from error
        if grown.needs_node:
            self._tell(claim, "Normal", "FileSystemResizeRequired", "Require file system resize of volume on node")
        else:
            self._tell(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")

    def _unsaved(self, claim: Claim, error: ApiFailure | ConnectionFailed, message: str) -> PvbinderError:
        """Tell the user that the driver did its part and a write failed; conflicts are everyday life."""
        if not (isinstance(error, ApiFailure) and error.is_conflict):
            self._tell(claim, "Warning", "VolumeResizeFailed", message)
        return _later(error, message)

    def _tell(self, claim: Claim, type_: EventType, reason: str, message: str) -> None:
        self._recorder.event(Subject.of(PERSISTENT_VOLUME_CLAIMS, claim), type_, reason, message)

    def _stamp(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _not_grown(failure: CallFailed) -> _NotGrown:
    """Return what a failed call means; an answer that can't be read may have been a yes."""
    if isinstance(failure, AnswerUnreadable):
        return _NotGrown(str(failure), is_final=False)
    code = failure.code.value
    return _NotGrown(
        str(failure),
        is_final=is_final(code),
        is_infeasible=is_expansion_infeasible(code),
        is_in_use=code == IN_USE,
    )


def _later(error: ApiFailure | ConnectionFailed, message: str) -> PvbinderError:
    """Return what the queue is told: a conflict as it is, since that is no error."""
    return error if isinstance(error, ApiFailure) and error.is_conflict else ResizeLater(message)
