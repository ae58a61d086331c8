"""VolumeSnapshots of one driver that aren't deleted: what snapshot-controller does for them.

VOLUME_SNAPSHOTS-1  No content is made by a stale cache: the snapshot is read live before, and must be there, not
                    deleted.
VOLUME_SNAPSHOTS-2  A snapshot that was cut once is never cut anew: if its content is gone, it says so.
VOLUME_SNAPSHOTS-3  A snapshot of another driver is left alone; of one that nobody knows the driver, the failure is told
                    once, however many look at it.

Rules: docs/rules/snapshotter.md#2-volumesnapshots-snapshot-controller-events-from-snapshot-controller
"""

from __future__ import annotations

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.csi.options import SnapshotterOptions
from pvbinder.controllers.csi.snapshotter.claims import SourceClaims
from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS, SNAPSHOT_CLASSES, SNAPSHOTS
from pvbinder.controllers.csi.snapshotter.told import Told
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.model.errors import PvbinderError
from pvbinder.model.objects import Claim, Volume, VolumeName, claim_key
from pvbinder.model.snapshots import SnapshotClass, SnapshotContent, VolumeSnapshot
from pvbinder.rules.csi.snapshots.names import BOUND_FINALIZER, SOURCE_FINALIZER, content_name
from pvbinder.rules.csi.snapshots.statuses import snapshot_status
from pvbinder.rules.csi.snapshots.taking import (
    SnapshotRefused,
    bound_to,
    check_bound,
    check_claim,
    check_sources,
    class_missing,
    content_for,
    default_class,
    given_content,
    made_content,
    not_created,
)

log = logs.get(__name__)


class SnapshotLater(PvbinderError):  # noqa: N818  (the queue brings the snapshot back)
    """A snapshot could not be dealt with; the message is logged, and told where it should be."""


class SnapshotSync:
    """Brings one snapshot at a time on its way."""

    def __init__(
        self, context: ControllerContext, driver: str, options: SnapshotterOptions, told: Told, claims: SourceClaims
    ) -> None:
        self._client = context.client
        self._driver = driver
        self._options = options
        self._told = told
        self._source_claims = claims
        self._snapshots = context.informers.of(SNAPSHOTS)
        self._contents = context.informers.of(CONTENTS)
        self._classes = context.informers.of(SNAPSHOT_CLASSES)
        self._claims = context.informers.of(CLAIMS)
        self._volumes = context.informers.of(VOLUMES)

    # -- whose it is

    def is_ours(self, snapshot: VolumeSnapshot) -> bool:
        """Whether we are to see to it: it is of our driver, or of none that is known (SN-1)."""
        return not snapshot.is_of_a_group and self._driver_of(snapshot) in ("", self._driver)

    def is_certainly_ours(self, snapshot: VolumeSnapshot) -> bool:
        """Whether it is known to be of our driver."""
        return not snapshot.is_of_a_group and self._driver_of(snapshot) == self._driver

    def content_of(self, snapshot: VolumeSnapshot) -> SnapshotContent | None:
        """The content that belongs to it by its name, as far as the cache knows."""
        return self._contents.get(name_of_content(snapshot))

    def _driver_of(self, snapshot: VolumeSnapshot) -> str:
        content = self.content_of(snapshot)
        if content is not None:
            return content.driver
        found = self._classes.get(snapshot.class_name) if snapshot.class_name else None
        if found is not None:
            return found.driver
        _, volume = self._source(snapshot)
        return volume.csi.driver or "" if volume is not None and volume.csi is not None else ""

    def _source(self, snapshot: VolumeSnapshot) -> tuple[Claim | None, Volume | None]:
        if snapshot.source_claim is None:
            return None, None
        claim = self._claims.get(claim_key(snapshot.namespace, snapshot.source_claim))
        volume = self._volumes.get(VolumeName(claim.volume_name)) if claim is not None and claim.volume_name else None
        return claim, volume

    # -- what is to be done

    async def sync(self, snapshot: VolumeSnapshot) -> None:
        """Deal with a snapshot that is ours and isn't deleted; raise PvbinderError."""
        try:
            await self._sync(snapshot)
        except SnapshotRefused as refused:
            await self._told.snapshot_failed(self._snapshots.get(snapshot.key) or snapshot, refused)
            raise SnapshotLater(refused.message) from refused

    async def _sync(self, snapshot: VolumeSnapshot) -> None:
        snapshot, snapshot_class = await self._with_class(snapshot)
        check_sources(snapshot)
        if snapshot.is_ready and snapshot.bound_content:
            content = check_bound(snapshot, self._contents.get(snapshot.bound_content))
            await self._with_finalizers(snapshot, content)
        elif snapshot.source_content is not None:
            found = self._contents.get(snapshot.source_content)
            if found is None:
                snapshot = await self._with_finalizers(snapshot, None)  # before it is told that nothing is there
            given = given_content(snapshot, found)
            snapshot = await self._with_finalizers(snapshot, given)
            given = await self._bind(snapshot, given)
            await self._follow(snapshot, given)
        else:
            made = made_content(snapshot, self._contents.get(content_name(snapshot.uid)))
            snapshot = await self._with_finalizers(snapshot, made)
            if made is None:
                made = await self._make(snapshot, snapshot_class)
            await self._follow(snapshot, made)

    async def _with_class(self, snapshot: VolumeSnapshot) -> tuple[VolumeSnapshot, SnapshotClass | None]:
        """Return the snapshot and its class, the default one if it names none (SN-2, SN-3); raise SnapshotRefused."""
        if snapshot.class_name is not None:
            found = self._classes.get(snapshot.class_name)
            if found is None:
                raise class_missing(snapshot.class_name)
            return snapshot, found
        if snapshot.source_content is not None:
            return snapshot, None
        chosen = default_class(snapshot, *self._source(snapshot), self._classes)
        document = snapshot.document()
        document["spec"]["volumeSnapshotClassName"] = chosen.name
        snapshot = await self._client.replace(SNAPSHOTS, document)
        self._snapshots.put(snapshot)
        return snapshot, chosen

    async def _with_finalizers(self, snapshot: VolumeSnapshot, content: SnapshotContent | None) -> VolumeSnapshot:
        """SN-5: a write that also shows that the snapshot is there as it was decided about."""
        wanted = [SOURCE_FINALIZER]
        if content is not None and content.deletion_policy == "Delete" and snapshot.bound_content:
            wanted.append(BOUND_FINALIZER)
        missing = [one for one in wanted if one not in snapshot.finalizers]
        if not missing:
            return snapshot
        document = snapshot.document()
        document["metadata"]["finalizers"] = [*snapshot.finalizers, *missing]
        snapshot = await self._client.replace(SNAPSHOTS, document)
        self._snapshots.put(snapshot)
        return snapshot

    async def _bind(self, snapshot: VolumeSnapshot, content: SnapshotContent) -> SnapshotContent:
        """SN-9: make the content, that was given by hand, this snapshot's."""
        document = bound_to(content, snapshot)
        if document is None:
            return content
        try:
            content = await self._client.replace(CONTENTS, document)
        except ApiFailure as failure:
            if failure.is_conflict:
                raise
            message = f"Snapshot failed to bind VolumeSnapshotContent, {failure.message}"
            raise SnapshotRefused("SnapshotBindFailed", message) from failure
        self._contents.put(content)
        log.info("snapshot bound to a content", snapshot=snapshot.key, content=content.name, rule="SN-9")
        return content

    async def _make(self, snapshot: VolumeSnapshot, snapshot_class: SnapshotClass | None) -> SnapshotContent:
        """Make the content, which has the driver asked for the snapshot (SN-10 to SN-12); raise SnapshotRefused."""
        if snapshot_class is None:
            why = f"failed to take snapshot {snapshot.name} without a snapshot class"
            raise not_created(why)
        if snapshot.is_cut:
            raise SnapshotRefused("SnapshotContentMissing", "VolumeSnapshotContent is missing")  # VOLUME_SNAPSHOTS-2
        claim, volume = self._source(snapshot)
        claim = check_claim(snapshot, claim, is_protected=self._source_claims.is_protected(claim))
        claim = await self._source_claims.protect(claim)
        document = content_for(
            snapshot,
            snapshot_class,
            claim,
            volume,
            prevents_mode_conversion=self._options.prevent_volume_mode_conversion,
        )
        live = await self._client.get(SNAPSHOTS, snapshot.name, snapshot.namespace)
        if live.uid != snapshot.uid or live.is_deleting:
            self._snapshots.correct(live)
            raise SnapshotLater(f"snapshot {snapshot.key} has changed")
        try:
            content = await self._client.create(CONTENTS, document)
        except ApiFailure as failure:
            if failure.is_already_exists:
                content = await self._client.get(CONTENTS, document["metadata"]["name"])
                made_content(snapshot, content)
            else:
                self._not_saved(snapshot, failure)
                raise
        except ConnectionFailed as failed:
            self._not_saved(snapshot, failed)
            raise
        self._contents.put(content)
        log.info("content made", snapshot=snapshot.key, content=content.name, rule="SN-12")
        message = f"Waiting for a snapshot {snapshot.key} to be created by the CSI driver."
        self._told.about_snapshot(snapshot, "Normal", "CreatingSnapshot", message)
        return content

    def _not_saved(self, snapshot: VolumeSnapshot, error: PvbinderError) -> None:
        message = f"Error creating volume snapshot content object for snapshot {snapshot.key}: {error.message}."
        self._told.about_snapshot(snapshot, "Warning", "CreateSnapshotContentFailed", message)

    async def _follow(self, snapshot: VolumeSnapshot, content: SnapshotContent) -> None:
        """Have the snapshot's status say what its content's says (SN-13, SN-15)."""
        status = snapshot_status(snapshot, content)
        if status is None:
            return
        document = snapshot.document()
        document["status"] = status
        try:
            followed = await self._client.replace(SNAPSHOTS, document, subresource="status")
        except (ApiFailure, ConnectionFailed) as error:
            if not (isinstance(error, ApiFailure) and error.is_conflict):
                message = f"Snapshot status update failed, {error.message}"
                self._told.about_snapshot(snapshot, "Warning", "SnapshotStatusUpdateFailed", message)
            raise
        self._snapshots.put(followed)
        if followed.is_cut and not snapshot.is_cut:
            message = f"Snapshot {snapshot.key} was successfully created by the CSI driver."
            self._told.about_snapshot(snapshot, "Normal", "SnapshotCreated", message)
        if followed.is_ready and not snapshot.is_ready:
            message = f"Snapshot {snapshot.key} is ready to use."
            self._told.about_snapshot(snapshot, "Normal", "SnapshotReady", message)
        await self._with_finalizers(followed, content)


def name_of_content(snapshot: VolumeSnapshot) -> str:
    """Return what the content of a snapshot is called: as its status says, as its user says, or as it is made."""
    return snapshot.bound_content or snapshot.source_content or content_name(snapshot.uid)
