"""VolumeSnapshots that are deleted: their contents go with them, or stay.

SNAPSHOTS_GOING-1  A snapshot keeps its finalizers while a claim is to be made from it, by a live list of the
                   namespace's claims that counts as evidence and agrees with the cache (SN-16).
SNAPSHOTS_GOING-2  It loses the one that ties it to its content only when the content is proven to be gone, or stays on
                   purpose (`Retain`): else nobody would delete the content (SN-18).
"""

from __future__ import annotations

from typing import assert_never

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS, SNAPSHOTS
from pvbinder.controllers.csi.snapshotter.snapshots import SnapshotLater, name_of_content
from pvbinder.controllers.csi.snapshotter.told import Told
from pvbinder.controllers.csi.source_protection import is_source_needed
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import CLAIMS
from pvbinder.kube.proof import Gone, Present, Unproven, prove_gone
from pvbinder.model.names import YES
from pvbinder.model.snapshots import SnapshotContent, VolumeSnapshot
from pvbinder.rules.csi.snapshots.names import BEING_DELETED, BOUND_FINALIZER, CONTENT_FINALIZER, SOURCE_FINALIZER
from pvbinder.rules.csi.snapshots.taking import refers_to

log = logs.get(__name__)


class SnapshotsGoing:
    """Lets one deleted snapshot at a time go."""

    def __init__(self, context: ControllerContext, told: Told) -> None:
        self._client = context.client
        self._told = told
        self._snapshots = context.informers.of(SNAPSHOTS)
        self._contents = context.informers.of(CONTENTS)
        self._claims = context.informers.of(CLAIMS)

    async def sync(self, snapshot: VolumeSnapshot) -> None:
        """Deal with a snapshot that is deleted (SN-16 to SN-18); raise PvbinderError."""
        if not {SOURCE_FINALIZER, BOUND_FINALIZER} & set(snapshot.finalizers):
            return
        content = await self._content(snapshot)
        if SOURCE_FINALIZER in snapshot.finalizers and content is not None:
            key = ("snapshot", snapshot.namespace, snapshot.name)
            if await is_source_needed(self._client, self._claims, key):  # type: ignore[arg-type]
                message = "Snapshot is being used to restore a PVC"
                self._told.about_snapshot(snapshot, "Warning", "SnapshotDeletePending", message)
                raise SnapshotLater(f"snapshot {snapshot.key} is being used to restore a claim")
        goes_too = False
        if content is not None:
            content = await self._marked(content)
            goes_too = content.deletion_policy == "Delete"
            if goes_too and not content.is_deleting:
                await self._delete(snapshot, content)
        await self._let_go(snapshot, keeps_bound=goes_too)

    async def _content(self, snapshot: VolumeSnapshot) -> SnapshotContent | None:
        """Return the snapshot's own content; None if it is proven that there is none (SNAPSHOTS_GOING-2)."""
        name = name_of_content(snapshot)
        content = self._contents.get(name)
        if content is None:
            proof = await prove_gone(self._client, CONTENTS, name, known_revision=self._contents.resource_version)
            match proof:
                case Present(object=found):
                    self._contents.correct(found)
                    content = found
                case Gone():
                    content = self._contents.get(name)  # seen since?
                case Unproven(why=why):
                    what = f"snapshot {snapshot.key} stays, it is not proven that its content is gone"
                    raise SnapshotLater(f"{what}: {why}")
                case _:
                    assert_never(proof)
        return content if content is not None and refers_to(content, snapshot) else None

    async def _marked(self, content: SnapshotContent) -> SnapshotContent:
        """SN-17: say in the content that its snapshot is being deleted, whatever the policy.

        It must have its finalizer by then: without it, it would go before the snapshot in the storage.
        """
        is_safe = content.is_deleting or CONTENT_FINALIZER in content.finalizers
        if BEING_DELETED in content.annotations and is_safe:
            return content
        document = content.document()
        if not is_safe:
            document["metadata"]["finalizers"] = [*content.finalizers, CONTENT_FINALIZER]
        document["metadata"]["annotations"] = {**content.annotations, BEING_DELETED: YES}
        content = await self._client.replace(CONTENTS, document)
        self._contents.put(content)
        return content

    async def _delete(self, snapshot: VolumeSnapshot, content: SnapshotContent) -> None:
        try:
            await self._client.delete(CONTENTS, content.name, uid=content.uid)
        except ApiFailure as failure:
            if failure.names_as_not_found(CONTENTS.resource, content.name):
                return
            message = "Failed to delete snapshot content API object"
            self._told.about_snapshot(snapshot, "Warning", "SnapshotContentObjectDeleteError", message)
            raise

    async def _let_go(self, snapshot: VolumeSnapshot, *, keeps_bound: bool) -> None:
        taken = {SOURCE_FINALIZER} if keeps_bound else {SOURCE_FINALIZER, BOUND_FINALIZER}
        kept = [one for one in snapshot.finalizers if one not in taken]
        if len(kept) == len(snapshot.finalizers) or (keeps_bound and BOUND_FINALIZER not in kept):
            return  # one that wasn't bound yet waits for its content with the other finalizer
        document = snapshot.document()
        document["metadata"]["finalizers"] = kept
        try:
            self._snapshots.put(await self._client.replace(SNAPSHOTS, document))
        except ApiFailure as failure:
            if not failure.names_as_not_found(SNAPSHOTS.resource, snapshot.name):
                raise
