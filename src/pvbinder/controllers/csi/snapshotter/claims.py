"""The claims that snapshots are taken of, protected as long as one is in the making.

SNAPSHOT_CLAIMS-1  A claim loses our finalizer only when a live list of the namespace's snapshots, that counts as
                   evidence and agrees with the cache, has none of it that isn't ready (SN-19).
SNAPSHOT_CLAIMS-2  It loses it then, also where the snapshot went while nobody looked.
"""

from __future__ import annotations

from collections.abc import Iterator

from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.csi.options import SnapshotterOptions
from pvbinder.controllers.csi.snapshotter.kinds import SNAPSHOTS
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.evidence import check_against, read_whole_list
from pvbinder.kube.informer import Change, Deleted, Updated
from pvbinder.kube.kinds import CLAIMS
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.objects import Claim, ClaimKey, claim_key
from pvbinder.model.snapshots import VolumeSnapshot
from pvbinder.rules.csi.snapshots.names import CLAIM_FINALIZER
from pvbinder.rules.protection import with_finalizer, without_finalizer


class SourceClaims:
    """Protects claims, and lets them go; `run()` it as a task that somebody owns."""

    def __init__(self, context: ControllerContext, options: SnapshotterOptions) -> None:
        self._client = context.client
        self._claims = context.informers.of(CLAIMS)
        self._snapshots = context.informers.of(SNAPSHOTS)
        self._by_claim = self._snapshots.add_index("claim", claims_of)
        self._queue: WorkQueue[ClaimKey] = WorkQueue(
            "snapshot-sources",
            self._sync,
            history=context.informers.history,
            limits=options.rate_limits,
            failure_message="could not let go a claim that was snapshotted",
            key_field="pvc",
        )
        self._claims.add_handler(self._claim_changed)
        self._snapshots.add_handler(self._snapshot_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Work until cancelled."""
        await self._claims.wait_synced()
        await self._snapshots.wait_synced()
        await self._queue.run()

    def _claim_changed(self, change: Change[Claim]) -> None:
        if not isinstance(change, Deleted) and CLAIM_FINALIZER in change.object.finalizers:
            self._queue.add(change.object.key)

    def _snapshot_changed(self, change: Change[VolumeSnapshot]) -> None:
        is_over = isinstance(change, Deleted) or (isinstance(change, Updated) and change.object.is_ready)
        if is_over:
            for key in claims_of(change.object):
                self._queue.add(ClaimKey(key))

    def look_at(self, key: ClaimKey) -> None:
        """Have a claim looked at, whether it can be let go."""
        self._queue.add(key)

    def is_protected(self, claim: Claim | None) -> bool:
        """Whether `claim` has the finalizer."""
        return claim is not None and CLAIM_FINALIZER in claim.finalizers

    async def protect(self, claim: Claim) -> Claim:
        """Give `claim` the finalizer, unless it has it (SN-10); raise what the request raises."""
        if CLAIM_FINALIZER in claim.finalizers:
            return claim
        protected = await self._client.replace(CLAIMS, with_finalizer(claim, CLAIM_FINALIZER))
        self._claims.put(protected)
        return protected

    async def _sync(self, key: ClaimKey) -> None:
        claim = self._claims.get(key)
        if claim is None or CLAIM_FINALIZER not in claim.finalizers or self._is_needed(key):
            return
        listed = await read_whole_list(
            self._client, SNAPSHOTS, claim.namespace, not_before=(self._snapshots.resource_version or "",)
        )
        namespace = claim.namespace
        await check_against(
            listed, self._client, SNAPSHOTS, lambda: [one for one in self._snapshots if one.namespace == namespace]
        )
        if any(key in claims_of(one) and not one.is_ready for one in listed.items):
            return  # its snapshot brings it back
        try:
            live = await self._client.get(CLAIMS, claim.name, claim.namespace)
            if live.uid != claim.uid or CLAIM_FINALIZER not in live.finalizers or self._is_needed(key):
                return
            self._claims.put(await self._client.replace(CLAIMS, without_finalizer(live, CLAIM_FINALIZER)))
        except ApiFailure as failure:
            if not failure.names_as_not_found(CLAIMS.resource, claim.name):
                raise

    def _is_needed(self, key: str) -> bool:
        return any(not snapshot.is_ready for snapshot in self._by_claim[key])


def claims_of(snapshot: VolumeSnapshot) -> tuple[str, ...]:
    """Return the key of the claim that it is taken of, if it is."""
    return (claim_key(snapshot.namespace, snapshot.source_claim),) if snapshot.source_claim else ()
