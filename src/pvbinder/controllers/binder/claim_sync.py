"""Carrying out what a claim needs next.

Rules: docs/rules/binder.md#4-syncclaim, docs/rules/binder.md#7-bind--unbind
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import assert_never

from pvbinder import logs
from pvbinder.controllers.binder.begun import BegunBinds
from pvbinder.controllers.binder.caches import Caches
from pvbinder.controllers.binder.errors import SyncError
from pvbinder.controllers.binder.pairs import Pairs
from pvbinder.controllers.binder.provisioner import VolumeProvisioner
from pvbinder.controllers.binder.reporter import Reporter
from pvbinder.controllers.binder.retries import RetriedOperations
from pvbinder.controllers.binder.settling import Settling
from pvbinder.controllers.binder.timers import Timers
from pvbinder.controllers.binder.waiting import Waiting
from pvbinder.controllers.binder.writes import Writes
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.kinds import CLAIMS
from pvbinder.kube.proof import Gone, Present, Unproven
from pvbinder.model.errors import PvbinderError
from pvbinder.model.objects import Claim, ClaimKey, StorageClass, Volume, VolumeName
from pvbinder.rules import binding, classes
from pvbinder.rules.claims import (
    AnnealClaim,
    AssignClass,
    Bind,
    BindReason,
    ClaimAction,
    Fail,
    Lose,
    Provision,
    Wait,
    WaitReason,
    decide_bound,
    decide_claim,
)
from pvbinder.rules.provisioning import CannotProvision, Provisioning, ProvisionInTree, ProvisionOutside
from pvbinder.rules.settings import Settings

log = logs.get(__name__)


class ClassAssignments:
    """The numbers of default classes that were filled in, and of failures (MT-6)."""

    def __init__(self) -> None:
        self.total = 0
        self.errors = 0


class ClaimSync:
    """One claim at a time, decided from the caches and carried out."""

    def __init__(
        self,
        caches: Caches,
        writes: Writes,
        reporter: Reporter,
        pairs: Pairs,
        settling: Settling,
        begun: BegunBinds,
        waiting: Waiting,
        provisioner: VolumeProvisioner,
        operations: RetriedOperations,
        timers: Timers,
        settings: Settings,
        wake_claim: Callable[[ClaimKey], None],
        wake_volume: Callable[[VolumeName], None],
    ) -> None:
        self._caches = caches
        self._writes = writes
        self._reporter = reporter
        self._pairs = pairs
        self._settling = settling
        self._begun = begun
        self._waiting = waiting
        self._provisioner = provisioner
        self._operations = operations
        self._timers = timers
        self._settings = settings
        self._wake_claim = wake_claim
        self._wake_volume = wake_volume
        self.class_assignments = ClassAssignments()
        self.binds = 0
        self.decisions: Counter[tuple[str, str]] = Counter()  # by outcome and rule

    async def sync(self, claim: Claim) -> None:
        """Do what `claim` needs next; raise what the queue should retry."""
        action = decide_claim(claim, self._caches, self._settings)
        if isinstance(action, AnnealClaim):
            try:
                claim = await self._writes.claim(action.document)
            except (ApiFailure, ConnectionFailed) as error:
                raise _wrapped("persistent Volume Controller can't anneal migration annotations", error) from error
            action = decide_claim(claim, self._caches, self._settings)
        while isinstance(action, Bind) and self._settling.is_expected(action.volume.key):
            await self._settle(claim, action.volume)
            known = self._caches.claim(claim.key)
            if known is None or known.uid != claim.uid:
                return  # its deletion has been told
            claim = known
            action = decide_claim(claim, self._caches, self._settings)
        await self._carry_out(claim, action)

    async def _settle(self, claim: Claim, volume: Volume) -> None:
        """Have `volume`, reserved for `claim`, settled before the bind (SETTLING-2, SETTLING-3)."""
        is_reserved = self._caches.index.reserve(volume.key, claim.key)
        try:
            await self._settling.settle(volume)
        except PvbinderError:
            self._wake_volume(volume.key)  # its own sync says what is wrong with it
            if self._settling.is_expected(volume.key):
                raise
        finally:
            if is_reserved:
                self._caches.index.release(volume.key)

    async def _carry_out(self, claim: Claim, action: ClaimAction) -> None:
        self.decisions[type(action).__name__, action.rule] += 1
        log.debug("claim decided", pvc=claim.key, decision=type(action).__name__, rule=action.rule)
        match action:
            case Bind(volume=volume, reason=reason):
                await self._bind(claim, volume, reason)
            case Wait(event=event, reason=reason):
                self._waiting.add(claim, takes_free_volume=_takes_free_volume(reason))
                if event is not None:
                    self._reporter.on_claim(claim, event)
                document = binding.with_unbound_status(claim, "Pending")
                if document is not None:
                    await self._writes.claim_status(document)
            case Provision(by=by):
                self._provision(claim, by)
            case AssignClass(storage_class=storage_class):
                await self._assign_class(claim, storage_class)
            case Lose(event=event):
                await self._lose(claim, action)
            case Fail(message=message, event=event):
                if event is not None:
                    self._reporter.on_claim(claim, event)
                raise SyncError(message)
            case AnnealClaim():
                raise SyncError(f'migration annotations of claim "{claim.key}" don\'t stay as they were written')
            case _:
                assert_never(action)

    def has_work(self, claim: Claim) -> bool:
        """Tell whether a sync of `claim` would do or say anything (BINDER-4)."""
        action = decide_claim(claim, self._caches, self._settings)
        match action:
            case Bind(volume=volume):
                return not _is_complete(claim, volume, self._settings)
            case Lose():
                return claim.phase != "Lost"
            case Wait(event=event):
                return event is not None or binding.with_unbound_status(claim, "Pending") is not None
            case AnnealClaim() | AssignClass() | Provision() | Fail():
                return True
            case _:
                assert_never(action)

    async def _bind(self, claim: Claim, volume: Volume, reason: BindReason) -> None:
        """Make the writes BN-1 to BN-4, each from the answer to the one before."""
        if _is_complete(claim, volume, self._settings):
            return
        key = claim.key
        with self._pairs.for_claim(volume.key, key) as held:
            if not held:
                return
            is_new = not claim.bind_completed
            try:
                document = binding.with_claim(volume, claim)
                if document is not None:
                    self._begun.begin(volume, claim)
                    volume = await self._writes.volume(document)
                volume = await self._writes.phase(volume, "Bound", rule="BN-2")
                claim = await self._name_volume(claim, volume)
                document = binding.with_bound_status(claim, volume, self._settings)
                if document is not None:
                    claim = await self._writes.claim_status(document)
            except (ApiFailure, ConnectionFailed, binding.NoCapacityError):
                if _may_be_provisioned(reason):
                    self._timers.fail("provision", key)
                raise
        if _may_be_provisioned(reason):
            self._timers.finish("provision", key)
        if is_new:
            self.binds += 1
            log.info("volume bound", pvc=key, pv=volume.name, rule=reason.rule)

    async def _name_volume(self, claim: Claim, volume: Volume) -> Claim:
        """BN-3; a write that wasn't refused for certain may have been made (BEGUN-2)."""
        document = binding.with_volume(claim, volume)
        try:
            if document is not None:
                claim = await self._writes.claim(document)
        except ApiFailure as failure:
            if not (failure.is_conflict or failure.names_as_not_found(CLAIMS.resource, claim.name)):
                self._begun.forget(volume.key)
            raise
        except BaseException:
            self._begun.forget(volume.key)
            raise
        self._begun.forget(volume.key)
        return claim

    def _provision(self, claim: Claim, by: Provisioning) -> None:
        """SC-U6: start the operation, or say why not; the status stays as it is."""
        self._waiting.add(claim, takes_free_volume=claim.selected_node is None)
        match by:
            case CannotProvision(event=event):
                if event is not None:
                    self._reporter.on_claim(claim, event)
            case ProvisionInTree() | ProvisionOutside():
                plugin = by.plugin.name if isinstance(by, ProvisionInTree) else by.provisioner
                self._operations.start(
                    f"provision-{claim.key}[{claim.uid}]",
                    lambda: self._run_provisioner(claim, by, plugin),
                    again=lambda: self._wake_claim(claim.key),
                )
            case _:
                assert_never(by)

    async def _run_provisioner(self, claim: Claim, by: ProvisionInTree | ProvisionOutside, plugin: str) -> None:
        self._timers.start("provision", claim.key, plugin)
        known = self._caches.claim(claim.key)
        if known is not None and known.uid == claim.uid:
            claim = known  # something may have been written since the operation was asked for
        await self._provisioner.provision(claim, by)

    async def _assign_class(self, claim: Claim, storage_class: StorageClass) -> None:
        """DC-3; the update comes back through the informer and is synced as somebody's change."""
        self.class_assignments.total += 1
        try:
            await self._writes.claim_to_sync(classes.with_class(claim, storage_class))
        except (ApiFailure, ConnectionFailed) as error:
            self.class_assignments.errors += 1
            raise _wrapped(f'can\'t update PersistentVolumeClaim["{claim.key}"]', error) from error
        log.info("default class assigned", pvc=claim.key, sc=storage_class.name, rule="DC-3")

    async def _lose(self, claim: Claim, action: Lose) -> None:
        """Phase `Lost` and its event, both only when that is news (ST-7), and when the server shows that it is so."""
        if claim.phase == "Lost":
            return
        if claim.volume_name:
            seen = await self._look_for_volume(claim)
            if not isinstance(seen, Lose):
                return  # the volume is in the cache again, and the claim was right all the time
            action = seen
        document = binding.with_unbound_status(claim, "Lost")
        if document is not None:
            await self._writes.claim_status(document)
        self._reporter.on_claim(claim, action.event)
        log.warning("claim lost its volume", pvc=claim.key, pv=claim.volume_name, rule=action.rule)

    async def _look_for_volume(self, claim: Claim) -> Bind | Lose:
        """Decide SC-B2 to SC-B5 from the server's own state; raise if it proves nothing."""
        name = claim.volume_name
        proof = await self._writes.prove_volume(name)
        match proof:
            case Gone():
                known = self._caches.volume(name)  # the cache may have it by now: that is proof of the contrary
                if known is not None and not isinstance(decide_bound(claim, known), Lose):
                    raise SyncError(f'volume "{name}" of claim "{claim.key}" was seen a moment ago')
                return decide_bound(claim, None)
            case Present(object=volume):
                return decide_bound(claim, volume)
            case Unproven(why=why):
                text = f'claim "{claim.key}" is left as it is: it is not proven that it lost volume "{name}"'
                raise SyncError(f"{text}: {why}")
            case _:
                assert_never(proof)


def _takes_free_volume(reason: WaitReason) -> bool:
    """Whether a claim that waits for `reason` is helped by any volume that becomes free (WAITING-1)."""
    match reason:
        case WaitReason.NOTHING_FITS:
            return True
        case WaitReason.NO_CONSUMER:
            return False  # FM-11
        case WaitReason.NAMED_VOLUME_MISSING | WaitReason.NAMED_VOLUME_UNSUITABLE | WaitReason.NAMED_VOLUME_TAKEN:
            return False  # no other volume will do
        case _:
            assert_never(reason)


def _may_be_provisioned(reason: BindReason) -> bool:
    """Whether the volume of a new pair may be the one that was provisioned for the claim: its timer ends (MT-4)."""
    match reason:
        case BindReason.CHOSEN:
            return True
        case BindReason.NAMED_AND_FREE | BindReason.NAMED_AND_RESERVED:
            return False
        case BindReason.CLAIM_REF_MISSING | BindReason.BOUND_TO_EACH_OTHER:
            return False
        case _:
            assert_never(reason)


def _is_complete(claim: Claim, volume: Volume, settings: Settings) -> bool:
    """Whether all four writes of a bind would change nothing."""
    return (
        claim.phase == "Bound"
        and volume.phase == "Bound"
        and binding.with_claim(volume, claim) is None
        and binding.with_volume(claim, volume) is None
        and binding.with_bound_status(claim, volume, settings) is None
    )


def _wrapped(what: str, error: ApiFailure | ConnectionFailed) -> SyncError | ApiFailure:
    """`error` under the text of the reference; a Conflict stays one, because it is everyday life (B-14)."""
    if isinstance(error, ApiFailure) and error.is_conflict:
        return error
    return SyncError(f"{what}: {error.message}")
