"""The persistentvolume-binder controller: queues, what fills them, and the resync.

BINDER-1  A claim and a volume have one writer each: a task per key, and a volume that is being bound is left alone by
          everybody else (`pairs`).
BINDER-2  A bind costs its four writes and no other request, and never conflicts with us.
BINDER-3  Whatever unblocks a claim is reacted to at once; the resync (B-6) finds what nobody was told of.
BINDER-4  A settled system costs no request: the resync looks at what isn't settled, and by turns at the rest
          (`unsettled`), but syncs only what a decision asks for.
BINDER-5  Nothing is remembered that can't be rebuilt: it may be killed at any `await`, the next sync goes on (BN-5..9).
BINDER-6  Namespaces take turns, and a claim that a pod waits for comes before others (QUEUE-3, WRITE_GATE-2).
BINDER-7  At the start everything is looked at once, when all caches are full; complete pairs, which are nearly all of a
          large cluster, are never queued.
BINDER-8  At the start a claim gets the volume that it would get if all volumes had been settled before, and isn't told
          that there is none only because its volume isn't `Available` yet; it waits for that one alone (`settling`).

`run()` it as a task that somebody owns, beside the informers and
inside the context of the operations (`controllers.binder_controller` does).

Rules: docs/rules/binder.md#1-identity-configuration-wiring
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pvbinder import logs
from pvbinder.controllers.binder.begun import BegunBinds
from pvbinder.controllers.binder.caches import Caches
from pvbinder.controllers.binder.claim_sync import ClaimSync
from pvbinder.controllers.binder.pairs import Pairs
from pvbinder.controllers.binder.provisioner import PAUSE_SECONDS, VolumeProvisioner
from pvbinder.controllers.binder.reclaimer import VolumeReclaimer
from pvbinder.controllers.binder.recycler_pods import RecyclerPods
from pvbinder.controllers.binder.reporter import Recorder, Reporter
from pvbinder.controllers.binder.retries import RetriedOperations
from pvbinder.controllers.binder.settling import Settling
from pvbinder.controllers.binder.timers import Duration, OperationName, Timers
from pvbinder.controllers.binder.unsettled import Unsettled
from pvbinder.controllers.binder.volume_sync import VolumeSync
from pvbinder.controllers.binder.waiting import Waiting
from pvbinder.controllers.binder.writes import Writes
from pvbinder.controllers.operations import Operations, OperationStatistics
from pvbinder.kube.client import Client
from pvbinder.kube.informer import Added, Change, Deleted, Updated, revision_of
from pvbinder.kube.informers import Informers
from pvbinder.kube.queue import QueueStatistics, RateLimits, WorkQueue
from pvbinder.kube.write_gate import on_behalf_of
from pvbinder.model.objects import Claim, ClaimKey, Node, Pod, StorageClass, Volume, VolumeName
from pvbinder.rules.settings import DEFAULTS, Settings
from pvbinder.volumes.calls import PluginCalls

SYNC_PERIOD_SECONDS: Final = 15.0  # --pvclaimbinder-sync-period
CONCURRENT_SYNCS_MAX: Final = 64  # keys of each queue in work at once
FIRST_VOLUMES_SECONDS: Final = 10.0  # how long claims wait at the start for volumes that are about to be let go
OBJECTS_PER_TURN: Final = 500  # of a resync, before others get theirs
SCHEDULER_SECONDS: Final = 1.0  # a scheduler gets that long for a new pod before the claim says that it waits for one

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class BinderStatistics:
    """The state of the controller."""

    claims: QueueStatistics
    volumes: QueueStatistics
    operations: OperationStatistics
    waiting_claims: int
    held_volumes: int
    binds: int
    resyncs: int
    class_assignments: int  # of a default class, failed ones too (MT-6)
    class_assignment_errors: int
    operation_errors: Mapping[tuple[str, OperationName], int]  # by plugin and operation (MT-5)
    claim_decisions: Mapping[tuple[str, str], int]  # by outcome and rule
    volume_decisions: Mapping[tuple[str, str], int]


class Binder:
    """One controller over one API server; construct it, then `run()` it."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        recorder: Recorder,
        operations: Operations,
        calls: PluginCalls,
        *,
        settings: Settings = DEFAULTS,
        sync_period_seconds: float = SYNC_PERIOD_SECONDS,
        concurrency: int = CONCURRENT_SYNCS_MAX,
        provision_pause_seconds: float = PAUSE_SECONDS,
        limits: RateLimits | None = None,
        now: Callable[[], float] | None = None,
        observe: Callable[[Duration], None] = lambda _: None,
    ) -> None:
        self._sync_period_seconds = sync_period_seconds
        self._operations = operations
        self._retries = retries = RetriedOperations(operations)
        self.caches = caches = Caches(informers, calls.catalogue, settings)
        self.claims: WorkQueue[ClaimKey] = WorkQueue(
            "claims",
            self._sync_claim,
            history=informers.history,
            concurrency=concurrency,
            limits=limits,
            failure_message="Could not sync claim",
            key_field="pvc",
            group_of=namespace_of,
            is_urgent=self._is_awaited,
        )
        self.volumes: WorkQueue[VolumeName] = WorkQueue(
            "volumes",
            self._sync_volume,
            history=informers.history,
            concurrency=concurrency,
            limits=limits,
            failure_message="Could not sync volume",
            key_field="pv",
        )
        self.timers = Timers(now or _loop_time, observe)
        self._pairs = Pairs(caches.index, self.claims.add, self.volumes.add)
        self.begun = BegunBinds()
        self._waiting = Waiting(settings)
        self._offers: dict[ClaimKey, VolumeName] = {}
        self._resyncs = 0
        self._has_begun = False  # with the first look at everything
        self._to_look_at = True  # that look isn't over
        writes = Writes(client, caches)
        reporter = Reporter(recorder)
        provisioner = VolumeProvisioner(
            caches, writes, reporter, calls, settings, pause_seconds=provision_pause_seconds
        )
        self._reclaimer = reclaimer = VolumeReclaimer(caches, writes, reporter, calls, RecyclerPods(client, reporter))
        self.volume_sync = VolumeSync(
            caches,
            writes,
            reporter,
            self._pairs,
            self.begun,
            reclaimer,
            retries,
            self.timers,
            settings,
            self.claims.add,
            self.volumes.add,
        )
        self._settling = Settling(caches, self.volume_sync.sync)
        self.claim_sync = ClaimSync(
            caches,
            writes,
            reporter,
            self._pairs,
            self._settling,
            self.begun,
            self._waiting,
            provisioner,
            retries,
            self.timers,
            settings,
            self.claims.add,
            self.volumes.add,
        )
        self._unsettled_claims: Unsettled[ClaimKey] = Unsettled(caches.claims.keys)
        self._unsettled_volumes: Unsettled[VolumeName] = Unsettled(caches.volumes.keys)
        caches.volumes.add_handler(self._volume_changed)
        caches.claims.add_handler(self._claim_changed)
        caches.classes.add_handler(self._class_changed)
        caches.pods.add_handler(self._pod_changed)
        caches.nodes.add_handler(self._node_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of both queues (MT-8); what the first look has not come to yet waits, too (BINDER-7)."""
        claims, volumes = self.claims.statistics(), self.volumes.statistics()
        if self._to_look_at:
            claims = replace(claims, depth=claims.depth + len(self._unsettled_claims))
            volumes = replace(volumes, depth=volumes.depth + len(self._unsettled_volumes))
        yield claims
        yield volumes

    def statistics(self) -> BinderStatistics:
        """The state of the controller."""
        return BinderStatistics(
            claims=self.claims.statistics(),
            volumes=self.volumes.statistics(),
            operations=self._operations.statistics(),
            waiting_claims=len(self._waiting),
            held_volumes=len(self._pairs),
            binds=self.claim_sync.binds,
            resyncs=self._resyncs,
            class_assignments=self.claim_sync.class_assignments.total,
            class_assignment_errors=self.claim_sync.class_assignments.errors,
            operation_errors=dict(self.timers.errors),
            claim_decisions=dict(self.claim_sync.decisions),
            volume_decisions=dict(self.volume_sync.decisions),
        )

    async def run(self) -> None:
        """Work until cancelled; informers and operations must be running (B-7)."""
        log.info("Starting persistent volume controller")
        caches = self.caches
        for informer in (caches.volumes, caches.claims, caches.classes, caches.pods, caches.nodes):
            await informer.wait_synced()
        self._has_begun = True
        try:
            async with asyncio.TaskGroup() as group:
                waited_for = await self._settling.begin()
                for name in waited_for:
                    self.volumes.add(name)
                # Claims first: their volumes are settled before all others.
                group.create_task(self._run_claims(waited_for), name="binder claims")
                group.create_task(self.volumes.run(), name="binder volumes")
                await self._queue_unbound_claims()
                await self._look_at_claims(also_unbound=False)
                await self._look_at_volumes()
                self._to_look_at = False
                group.create_task(self._resync_forever(), name="binder resync")
        finally:
            self._retries.close()
            log.info("Shutting down persistent volume controller")

    async def _run_claims(self, waited_for: list[VolumeName]) -> None:
        """Work on claims, once volumes that are about to be let go are settled, or take too long (`settling`)."""
        try:
            async with asyncio.timeout(FIRST_VOLUMES_SECONDS):
                await self.volumes.wait_worked(waited_for)
        except TimeoutError:
            log.warning("volumes take long to settle; going on with claims")
        await self.claims.run()

    async def _resync_forever(self) -> None:
        """B-6: the period is counted from the end of the run before."""
        while True:
            await asyncio.sleep(self._sync_period_seconds)
            await self.resync()

    async def resync(self) -> None:
        """Look at claims, then at volumes, and queue those that need something (BINDER-4, UNSETTLED-2)."""
        self._resyncs += 1
        await self._look_at_claims()
        await self._look_at_volumes()

    async def _queue_unbound_claims(self) -> None:
        """Queue each claim that isn't bound, before the others get their first look; it then waits (WAITING-1)."""
        for number, key in enumerate(self.caches.claims.keys(), 1):
            claim = self.caches.claims.get(key)
            if claim is not None and claim.phase != "Bound":
                self.claims.add(claim.key)
            if number % OBJECTS_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _look_at_claims(self, *, also_unbound: bool = True) -> None:
        for number, key in enumerate(self._unsettled_claims.to_look_at(), 1):
            claim = self.caches.claim(key)
            is_bound = claim is None or claim.phase == "Bound"
            if claim is not None and (is_bound or also_unbound) and self.claim_sync.has_work(claim):
                self.claims.add(claim.key)
            elif is_bound:
                self._unsettled_claims.settle(key)
            if number % OBJECTS_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _look_at_volumes(self) -> None:
        for number, name in enumerate(self._unsettled_volumes.to_look_at(), 1):
            volume = self.caches.volume(name)
            if volume is not None and self.volume_sync.has_work(volume):
                self.volumes.add(volume.key)
            elif volume is None or volume.phase == "Bound":
                self._unsettled_volumes.settle(name)
            if number % OBJECTS_PER_TURN == 0:
                await asyncio.sleep(0)

    # -- work on a key (B-11)

    async def _sync_claim(self, key: ClaimKey) -> None:
        claim = self.caches.claim(key)
        self._waiting.remove(key)
        try:
            if claim is not None:
                with on_behalf_of(claim.namespace, is_urgent=self._is_awaited(key)):
                    await self.claim_sync.sync(claim)
        finally:
            offered = self._offers.pop(key, None)
            if offered is not None:
                self._offer(offered, besides=key)

    def _is_awaited(self, key: ClaimKey) -> bool:
        """Whether a pod waits for the claim (BINDER-6)."""
        return any(not pod.is_terminated for pod in self.caches.pods_of(key))

    async def _sync_volume(self, name: VolumeName) -> None:
        volume = self.caches.volume(name)
        if volume is None:
            return
        if not self._settling.is_expected(name):
            await self.volume_sync.sync(volume)
        elif not self._settling.is_under_way(name):  # else the claim that wants it does it
            await self._settling.settle(volume)

    # -- what changes bring (B-3, BINDER-3)

    def _wake_claim(self, key: ClaimKey) -> None:
        """Have the claim synced; before the first look at everything, that look decides (BINDER-7)."""
        if self._has_begun:
            self.claims.add(key)

    def _wake_volume(self, name: VolumeName) -> None:
        """Have the volume synced; before the first look at everything, that look decides (BINDER-7)."""
        if self._has_begun:
            self.volumes.add(name)

    def _volume_changed(self, change: Change[Volume]) -> None:
        self._unsettle_volume(change.object)
        if isinstance(change, Updated) and change.before.claim_ref is not None:
            self._unsettled_claims.add(change.before.claim_ref.key)
        match change:
            case Deleted(object=volume):
                self.timers.finish("delete", volume.name)
                self._reclaimer.forget(volume.name)
                self.begun.forget(volume.key)
                if volume.claim_ref is not None:
                    self._wake_claim(volume.claim_ref.key)  # B-12
                self._wake_claims_naming(volume)
            case Added(object=volume) | Updated(object=volume):
                if isinstance(change, Updated) and revision_of(volume) <= revision_of(change.before):
                    self._reclaimer.forget(volume.name)  # revisions began anew: deleted objects may be here again
                if not self.caches.is_own_write:
                    self._wake_volume(volume.key)
                    if volume.claim_ref is not None and volume.claim_ref.key in self._waiting:
                        self._wake_claim(volume.claim_ref.key)
                    if not volume.is_deleting:  # else nothing is unblocked: the claim waits for the next of that name
                        self._wake_claims_naming(volume)
                elif volume.claim_ref is None:
                    self._wake_claims_naming(volume)  # it has just been let go
                self._offer(volume.key)

    def _wake_claims_naming(self, volume: Volume) -> None:
        for claim in self.caches.claims_naming(volume.name):
            self._wake_claim(claim.key)

    def _offer(self, name: VolumeName, besides: ClaimKey | None = None) -> None:
        """Wake one waiting claim that could have the volume, if it is free (WAITING-1)."""
        volume = self.caches.volume(name)
        if volume is None or volume.claim_ref is not None or volume.phase != "Available":
            return
        if self.caches.index.reserved_for(name) is not None:
            return
        taker = self._waiting.taker_of(volume, besides=besides)
        if taker is not None:
            self._waiting.remove(taker)
            self._offers[taker] = name
            self._wake_claim(taker)

    def _unsettle_volume(self, volume: Volume) -> None:
        """A resync looks at the volume again, and at the claims of its pair (UNSETTLED-1)."""
        self._unsettled_volumes.add(volume.key)
        if volume.claim_ref is not None:
            self._unsettled_claims.add(volume.claim_ref.key)
        for claim in self.caches.claims_naming(volume.name):
            self._unsettled_claims.add(claim.key)

    def _unsettle_claim(self, claim: Claim) -> None:
        """A resync looks at the claim again, and at the volumes of its pair (UNSETTLED-1)."""
        self._unsettled_claims.add(claim.key)
        if claim.volume_name:
            self._unsettled_volumes.add(VolumeName(claim.volume_name))
        for volume in self.caches.index.claimed_by(claim.key):
            self._unsettled_volumes.add(volume.key)

    def _claim_changed(self, change: Change[Claim]) -> None:
        self._unsettle_claim(change.object)
        match change:
            case Deleted(object=claim):
                self._waiting.remove(claim.key)
                self.timers.drop("provision", claim.key)
                if claim.volume_name:
                    self._wake_volume(VolumeName(claim.volume_name))  # B-13
                for volume in self.caches.index.claimed_by(claim.key):
                    self._wake_volume(volume.key)
            case Added(object=claim) | Updated(object=claim):
                if not self.caches.is_own_write:
                    self._wake_claim(claim.key)
                if claim.volume_name:
                    self.begun.forget(VolumeName(claim.volume_name))
                    for volume in self.caches.index.claimed_by(claim.key):
                        if volume.name != claim.volume_name:  # the claim is bound elsewhere (SV-9, SV-10)
                            self._wake_volume(volume.key)

    def _class_changed(self, change: Change[StorageClass]) -> None:
        if not isinstance(change, Deleted):
            storage_class = change.object
            for key in self._waiting.for_class(storage_class.name, is_default=storage_class.is_default):
                self._wake_claim(key)

    def _pod_changed(self, change: Change[Pod]) -> None:
        pod = change.object
        is_news = not isinstance(change, Updated) or _state(change.before) != _state(pod)
        if not is_news or not pod.volumes:
            return
        is_over = isinstance(change, Deleted) or pod.is_terminated
        for key in pod.claim_keys:
            if not is_over:
                self.claims.expedite(key)
            if not is_over and not pod.is_scheduled and key in self._waiting:
                self.claims.add_after(key, SCHEDULER_SECONDS)  # DB-2
            if is_over:
                for volume in self.caches.index.claimed_by(key):
                    if volume.is_released and volume.reclaim_policy == "Recycle":
                        self._wake_volume(volume.key)  # RY-2

    def _node_changed(self, change: Change[Node]) -> None:
        if isinstance(change, Added):
            for key in self._waiting.for_node(change.object.name):
                self._wake_claim(key)  # DB-5


def namespace_of(key: ClaimKey) -> str:
    """Return the namespace of the claim."""
    return key.partition("/")[0]


def _state(pod: Pod) -> tuple[bool, bool]:
    return pod.is_scheduled, pod.is_terminated


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
