"""What went wrong with a snapshot or a content, in its status and in an event.

TOLD-1  A failure is told once: a status that has the same message stays as it is, and there is no second event (SN-14,
        SK-10). Of several who would tell the same, one does: whose write meets a newer revision is silent.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pvbinder import logs
from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS, SNAPSHOTS
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.events import EventRecorder, EventType, Subject
from pvbinder.kube.informer import Informer
from pvbinder.model.snapshots import SnapshotContent, VolumeSnapshot
from pvbinder.rules.csi.snapshots.statuses import with_error
from pvbinder.rules.csi.snapshots.taking import SnapshotRefused

log = logs.get(__name__)


class Told:
    """Writes failures down, and events of all kinds."""

    def __init__(
        self,
        client: Client,
        snapshots: Informer[VolumeSnapshot],
        contents: Informer[SnapshotContent],
        *,
        controller: EventRecorder,
        sidecar: EventRecorder,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._snapshots = snapshots
        self._contents = contents
        self._controller = controller
        self._sidecar = sidecar
        self._now = now

    def about_snapshot(self, snapshot: VolumeSnapshot, type_: EventType, reason: str, message: str) -> None:
        """Record an event of a snapshot."""
        self._controller.event(Subject.of(SNAPSHOTS.resource, snapshot), type_, reason, message)

    def about_content(self, content: SnapshotContent, type_: EventType, reason: str, message: str) -> None:
        """Record an event of a content."""
        self._sidecar.event(Subject.of(CONTENTS.resource, content), type_, reason, message)

    async def snapshot_failed(self, snapshot: VolumeSnapshot, refused: SnapshotRefused) -> None:
        """Tell the user of a snapshot (TOLD-1)."""
        if snapshot.error == refused.message:
            return
        document = snapshot.document()
        status = with_error(document.get("status"), refused.message, self._now(), keeps_ready=refused.keeps_ready)
        document["status"] = status
        try:
            self._snapshots.put(await self._client.replace(SNAPSHOTS, document, subresource="status"))
        except (ApiFailure, ConnectionFailed) as error:
            if isinstance(error, ApiFailure) and (error.is_conflict or error.is_not_found):
                return
            log.warning("snapshot's error is not in its status", snapshot=snapshot.key, err=error.message)
        self.about_snapshot(snapshot, "Warning", refused.reason, refused.message)
        if refused.finalizer_error:  # SN-20
            message = f"Failed to check and update snapshot: {refused.finalizer_error}"
            self.about_snapshot(snapshot, "Warning", "SnapshotFinalizerError", message)

    async def content_failed(self, content: SnapshotContent, why: str) -> None:
        """Tell of a content that could not be dealt with (SK-10, TOLD-1)."""
        is_first = content.volume_handle is not None and content.status is None
        reason, what = (
            ("SnapshotCreationFailed", "create snapshot")
            if is_first
            else ("SnapshotContentCheckandUpdateFailed", "check and update snapshot content")
        )
        message = f"Failed to {what}: {why}"
        if content.error == message:
            return
        document = content.document()
        document["status"] = with_error(document.get("status"), message, self._now(), keeps_ready=False)
        try:
            self._contents.put(await self._client.replace(CONTENTS, document, subresource="status"))
        except (ApiFailure, ConnectionFailed) as error:
            if isinstance(error, ApiFailure) and (error.is_conflict or error.is_not_found):
                return
            log.warning("content's error is not in its status", content=content.name, err=error.message)
        self.about_content(content, "Warning", reason, message)
