"""Snapshots deleted through their driver, and the finalizer that keeps their contents until then.

SNAPSHOT_REMOVAL-1  DeleteSnapshot is called only when a live read shows a content of this uid, of our driver, that is
                    being deleted, whose snapshot is too, and whose policy is `Delete`; with the handle of that read.
SNAPSHOT_REMOVAL-2  A content loses its finalizer only after the driver has confirmed the delete, or when a live read
                    says that nothing is to be deleted: a lost answer means that the same call is made again.
"""

from __future__ import annotations

from pvbinder import logs
from pvbinder.controllers.csi.options import SnapshotterOptions
from pvbinder.controllers.csi.secrets import SecretMissingError, read_secret
from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS
from pvbinder.controllers.csi.snapshotter.told import Told
from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import CallFailed
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.informer import Informer
from pvbinder.model.errors import PvbinderError
from pvbinder.model.go_values import quoted
from pvbinder.model.snapshots import SnapshotContent
from pvbinder.rules.csi.secrets import SecretsError
from pvbinder.rules.csi.snapshots.contents import DeleteStored, LetContentGo, decide_content
from pvbinder.rules.csi.snapshots.names import CONTENT_FINALIZER
from pvbinder.rules.csi.snapshots.secrets import deletion_secret
from pvbinder.rules.csi.snapshots.statuses import cleared_status
from pvbinder.rules.protection import without_finalizer

log = logs.get(__name__)


class RemoveLater(PvbinderError):  # noqa: N818  (the queue brings the content back)
    """A content could not be let go; the message is logged."""


class SnapshotRemoval:
    """Deletes the snapshots of one driver."""

    def __init__(
        self,
        client: Client,
        contents: Informer[SnapshotContent],
        driver: Driver,
        name: str,
        options: SnapshotterOptions,
        told: Told,
    ) -> None:
        self._client = client
        self._contents = contents
        self._driver = driver
        self._name = name
        self._options = options
        self._told = told
        self.calls = 0

    async def remove(self, content: SnapshotContent, *, may_be_made: bool) -> None:
        """Delete what a content stands for, and let the content go (SK-4); raise RemoveLater, or as requests do."""
        try:
            live = await self._client.get(CONTENTS, content.name)
        except ApiFailure as failure:
            if failure.names_as_not_found(CONTENTS.resource, content.name):
                return
            raise
        if live.uid != content.uid or live.driver != self._name:
            return
        action = decide_content(live, may_be_made=may_be_made)
        if isinstance(action, DeleteStored):
            await self._delete(live, action.handle)
            live = await self._cleared(live)
        elif not isinstance(action, LetContentGo):
            self._contents.put(live)
            return
        if CONTENT_FINALIZER in live.finalizers:
            self._contents.put(await self._client.replace(CONTENTS, without_finalizer(live, CONTENT_FINALIZER)))

    async def _delete(self, content: SnapshotContent, handle: str) -> None:
        """Have the driver delete the snapshot (SNAPSHOT_REMOVAL-1)."""
        try:
            secret = deletion_secret(content.name, content.annotations)
            secrets = await read_secret(self._client, secret) if secret is not None else {}
        except (SecretsError, SecretMissingError) as error:
            self._told.about_content(content, "Warning", "SnapshotDeleteError", "Failed to get snapshot credentials")
            what = f"failed to get input parameters to delete snapshot for content {content.name}: "
            raise RemoveLater(what + quoted(error.message)) from error
        self.calls += 1
        request = csi.DeleteSnapshotRequest(snapshot_id=handle, secrets=secrets)
        try:
            await self._driver.call(methods.DELETE_SNAPSHOT, request, timeout_seconds=self._options.timeout_seconds)
        except CallFailed as failed:
            self._told.about_content(content, "Warning", "SnapshotDeleteError", "Failed to delete snapshot")
            why = f"failed to delete snapshot content {content.name}: {quoted(str(failed))}"
            raise RemoveLater(f"failed to delete snapshot {quoted(content.name)}, err: {why}") from failed
        log.info("snapshot deleted", content=content.name, handle=handle, rule="SK-4")

    async def _cleared(self, content: SnapshotContent) -> SnapshotContent:
        document = content.document()
        document["status"] = cleared_status(content)
        try:
            cleared = await self._client.replace(CONTENTS, document, subresource="status")
        except (ApiFailure, ConnectionFailed):
            self._told.about_content(content, "Warning", "SnapshotDeleteError", "Failed to clear content status")
            raise
        self._contents.put(cleared)
        return cleared
