"""Volumes that take on the attributes of another class, through a CSI driver: external-resizer's other half.

CSI_MODIFIER-1  The class is written down in the claim, with the claim's revision, before the driver is asked for its
                attributes: after a crash or a lost answer the same class is asked for again (VM-4).
CSI_MODIFIER-2  While a call may still be running its class stays the goal. After a final error it is the one that the
                claim names, so that naming the earlier class goes back to it.
CSI_MODIFIER-3  A modification that the driver calls impossible is tried again only after the longest pause, unless the
                claim names another class (VM-10).
CSI_MODIFIER-4  No secret's content gets into an event, a condition or a log line.
CSI_MODIFIER-5  A driver gets the parameters of its own classes, and never those of another driver's: such a class is
                waited for like one that isn't there, and so is said.

A class that isn't there is noticed when it comes: the reference would look again after a restart only. Whatever keeps
the driver from being asked is told in an event, where the reference has a log line.

Rules: docs/rules/expand.md#45-volume-modification-volumeattributesclass
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import assert_never

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
from pvbinder.kube.kinds import ATTRIBUTES_CLASSES, CLAIMS, VOLUMES
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.objects import AttributesClassName, Claim, ClaimKey, Volume, VolumeAttributesClass, VolumeName
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS
from pvbinder.rules.csi import modifying as writes
from pvbinder.rules.csi.claim_progress import progress_of
from pvbinder.rules.csi.error_classes import is_final, is_modification_infeasible
from pvbinder.rules.csi.existing_volumes import ExistingVolumeError, modify_request
from pvbinder.rules.csi.modifying import (
    IN_PROGRESS,
    Cancel,
    Modify,
    Modifying,
    NothingToModify,
    SeeThrough,
    decide_modification,
    is_worth_a_look,
)

log = logs.get(__name__)


class ModifyLater(PvbinderError):  # noqa: N818  (the queue brings the claim back)
    """A volume could not be modified; the message is logged, and has been told where it should be."""


class CsiModifier:
    """Modifies the volumes of one driver; `run()` it as a task that somebody owns, with the informers beside it."""

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
        self._classes = context.informers.of(ATTRIBUTES_CLASSES)
        self._claims_by_class = self._claims.add_index("wanted attributes class", _classes_of)
        self._patching = Patching(context.client, self._claims, self._volumes)
        self._certain: set[str] = set()  # uids of claims whose last call is known to be over (CSI_MODIFIER-2)
        self._slow = SlowSet(options.retry_interval_max_seconds)
        self._queue: WorkQueue[ClaimKey] = WorkQueue(
            f"{info.name}-pvc-modify",
            self._sync,
            history=context.informers.history,
            concurrency=options.workers,
            limits=options.rate_limits,
            failure_message="could not modify volume of claim",
            key_field="pvc",
        )
        self.calls = 0
        self._claims.add_handler(self._claim_changed)
        self._volumes.add_handler(self._volume_changed)
        self._classes.add_handler(self._class_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queue."""
        yield self._queue.statistics()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done, now or after a delay."""
        await self._queue.wait_idle()

    async def run(self) -> None:
        """Work until cancelled."""
        for wait in (self._claims.wait_synced, self._volumes.wait_synced, self._classes.wait_synced):
            await wait()
        await self._queue.run()

    # -- what wakes whom

    def _claim_changed(self, change: Change[Claim]) -> None:
        match change:
            case Added(object=claim):
                before = None
            case Updated(before=before, object=claim):
                pass
            case Deleted(object=claim):
                self._certain.discard(claim.uid)
                self._slow.remove(claim.uid)
                self._queue.give_up(claim.key)
                return
            case _:
                assert_never(change)
        if is_worth_a_look(before, claim):
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

    def _class_changed(self, change: Change[VolumeAttributesClass]) -> None:
        if isinstance(change, Added):  # classes don't change
            for claim in self._claims_by_class[change.object.name]:
                self._queue.add(claim.key)

    def _look_at(self, claim: Claim) -> None:
        """Have a claim looked at, unless nothing is to be done, as for each claim that was just bound."""
        volume = self._volumes.get(VolumeName(claim.volume_name))
        if volume is None or claim.key in self._queue or not isinstance(self._decide(claim, volume), NothingToModify):
            self._queue.add(claim.key)

    def _decide(self, claim: Claim, volume: Volume) -> Modifying:
        return decide_modification(claim, volume, self._info.name, is_uncertain=claim.uid not in self._certain)

    # -- one claim

    async def _sync(self, key: ClaimKey) -> None:
        claim = self._claims.get(key)
        volume = self._volumes.get(VolumeName(claim.volume_name)) if claim is not None else None
        if claim is None or volume is None:
            return
        decision = self._decide(claim, volume)
        match decision:
            case NothingToModify(why=why):
                log.debug("nothing to modify", pvc=key, why=why.value)
            case Cancel():
                await self._cancel(claim)
            case SeeThrough(target=target):
                await self._see_through(claim, volume, target)
            case Modify():
                await self._modify(claim, volume, decision)
            case _:
                assert_never(decision)

    async def _cancel(self, claim: Claim) -> None:
        """VM-3: the claim names no class any more."""
        self._tell(claim, "Normal", "VolumeModifyCanceled", "Cancelled modify.")
        try:
            await self._patching.claim_status(claim, writes.cancelled(claim))
        except (ApiFailure, ConnectionFailed) as error:
            raise ModifyLater(f'mark PVC "{claim.name}" as rolled back failed: {error.message}') from error

    async def _see_through(self, claim: Claim, volume: Volume, target: str) -> None:
        """See through what may be running (VM-4)."""
        found = self._class_of(claim, target)
        if found is None:
            raise ModifyLater(f"get VAC with vac name {target} in VACInformer cache failed")
        await self._call(claim, volume, found)

    async def _modify(self, claim: Claim, volume: Volume, decision: Modify) -> None:
        waits_seconds = self._slow.seconds_left(claim.uid) if decision.failed_before else 0.0
        if waits_seconds > 0:
            self._queue.add_after(claim.key, waits_seconds)  # VM-10
            log.debug("modification was infeasible", pvc=claim.key, again_in_seconds=waits_seconds)
            return
        found = self._class_of(claim, decision.target)
        if found is None:
            await self._mark(claim, writes.pending(claim))  # VM-5: the class brings the claim back when it comes
            return
        claim = await self._mark(claim, writes.begun(claim, found.name, self._stamp()))
        self._certain.add(claim.uid)  # until the driver is asked
        doing = f"external resizer is modifying volume {claim.name} with vac {found.name}"
        self._tell(claim, "Normal", "VolumeModify", doing)
        await self._call(claim, volume, found)

    def _class_of(self, claim: Claim, name: str) -> VolumeAttributesClass | None:
        """Return the class, or say that it is none of ours (VM-5, CSI_MODIFIER-5)."""
        found = self._classes.get(AttributesClassName(name))
        if found is None:
            self._tell(claim, "Warning", "VolumeModifyFailed", f'VAC "{name}" does not exist.')
            return None
        if found.driver_name != self._info.name:
            which = f"VAC {name} referenced in PVC is for driver {found.driver_name}"
            what = f"{which} which does not match driver name {self._info.name}"
            self._tell(claim, "Warning", "VolumeModifyFailed", what)
            return None
        return found

    async def _mark(self, claim: Claim, change: Json) -> Claim:
        try:
            return await self._patching.claim_status(claim, change)
        except ApiFailure as failure:
            if failure.is_conflict:
                raise
            raise ModifyLater(_unmarked(claim, failure)) from failure
        except ConnectionFailed as failed:
            raise ModifyLater(_unmarked(claim, failed)) from failed

    # -- the driver

    async def _call(self, claim: Claim, volume: Volume, target: VolumeAttributesClass) -> None:
        """Have the driver give the volume the attributes of `target` (VM-7), and say how it went."""
        try:
            request = modify_request(
                claim, volume, target.parameters, extra_metadata=self._options.extra_modify_metadata
            )
            secrets = await read_secret(self._client, request.secret) if request.secret is not None else {}
        except (ExistingVolumeError, SecretMissingError) as error:
            self._tell(claim, "Warning", "VolumeModifyFailed", error.message)
            raise ModifyLater(error.message) from error
        self.calls += 1
        self._certain.discard(claim.uid)
        try:
            await self._driver.call(
                methods.CONTROLLER_MODIFY_VOLUME,
                messages.modify_volume(request, secrets),
                timeout_seconds=self._options.timeout_seconds,
            )
        except CallFailed as failure:
            raise await self._noted(claim, target.name, failure) from failure
        self._certain.add(claim.uid)
        self._slow.remove(claim.uid)
        await self._save(claim, volume, target.name)

    async def _noted(self, claim: Claim, target: str, failure: CallFailed) -> ModifyLater:
        """Remember what the failure means for the next try, and say it in the claim (VM-9)."""
        code = failure.code.value
        is_over = is_final(code) and not isinstance(failure, AnswerUnreadable)  # there was an answer, perhaps a yes
        is_infeasible = is_over and is_modification_infeasible(code)
        told = str(failure) if is_over else f"{failure}. Still modifying to VAC {target}"
        if is_over:
            self._certain.add(claim.uid)
        if is_infeasible:
            self._slow.add(claim.uid)
        change = writes.failed(
            claim, target, code, failure.description, self._stamp(), is_final=is_over, is_infeasible=is_infeasible
        )
        await self._mark(claim, change)
        self._tell(claim, "Warning", "VolumeModifyFailed", told)
        return ModifyLater(told)

    # -- the objects

    async def _save(self, claim: Claim, volume: Volume, target: str) -> None:
        """Say in volume and claim which class the volume has (VM-8)."""
        try:
            await self._patching.volume(volume, writes.with_class(volume, target))
            await self._patching.claim_status(claim, writes.succeeded(claim, target))
        except ApiFailure as failure:
            if failure.is_conflict:
                raise
            raise self._unsaved(claim, failure) from failure
        except ConnectionFailed as failed:
            raise self._unsaved(claim, failed) from failed
        log.info("volume modified", pvc=claim.key, pv=volume.name, vac=target, rule="VM-8")
        done = f"external resizer modified volume {claim.name} with vac {target} successfully"
        self._tell(claim, "Normal", "VolumeModifySuccessful", done)

    def _unsaved(self, claim: Claim, error: ApiFailure | ConnectionFailed) -> ModifyLater:
        what = f"modify volume failed to mark pvc {claim.name} modify volume completed: {error.message}"
        self._tell(claim, "Warning", "VolumeModifyFailed", what)
        return ModifyLater(what)

    def _tell(self, claim: Claim, type_: EventType, reason: str, message: str) -> None:
        self._recorder.event(Subject.of(PERSISTENT_VOLUME_CLAIMS, claim), type_, reason, message)

    def _stamp(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _unmarked(claim: Claim, error: ApiFailure | ConnectionFailed) -> str:
    return f'mark PVC "{claim.name}" as modify volume failed, errored with: {error.message}'


def _classes_of(claim: Claim) -> tuple[str, ...]:
    """Return the names of the classes that a claim waits for, or may."""
    if not claim.attributes_class:
        return ()
    modification = progress_of(claim).modification
    if modification is None and claim.attributes_class == claim.current_attributes_class:
        return ()
    target = modification.target_volume_attributes_class_name if modification is not None else ""
    is_running = modification is not None and modification.status == IN_PROGRESS
    return (claim.attributes_class, target) if is_running and target else (claim.attributes_class,)
