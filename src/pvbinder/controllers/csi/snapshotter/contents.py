"""VolumeSnapshotContents of one driver: what csi-snapshotter does.

CONTENTS-1  A content that isn't ready is asked for again and again, each pause longer (SK-9, SK-11); a snapshot that
            has a handle is looked at, where the driver can list, and not asked for anew.

Rules: docs/rules/snapshotter.md#3-volumesnapshotcontents-csi-snapshotter-events-from-csi-snapshotter-driver
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import assert_never

from pvbinder import logs
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.options import SnapshotterOptions
from pvbinder.controllers.csi.secrets import read_secret
from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS
from pvbinder.controllers.csi.snapshotter.removal import SnapshotRemoval
from pvbinder.controllers.csi.snapshotter.taking import SnapshotTaking, TakingFailed, other_handle, stored_as
from pvbinder.controllers.csi.snapshotter.told import Told
from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import CallFailed
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.client import Client
from pvbinder.kube.informer import Informer
from pvbinder.model.errors import PvbinderError
from pvbinder.model.go_values import quoted
from pvbinder.model.snapshots import SnapshotClass, SnapshotContent
from pvbinder.rules.csi.snapshots.contents import (
    ContentMalformed,
    DeleteStored,
    ForgetAttempt,
    LeaveContent,
    LetContentGo,
    LookAtStored,
    ProtectContent,
    TakeSnapshot,
    decide_content,
    is_of_driver,
)
from pvbinder.rules.csi.snapshots.names import CONTENT_FINALIZER
from pvbinder.rules.csi.snapshots.secrets import SnapshotSecret, snapshot_secret
from pvbinder.rules.csi.snapshots.statuses import TakenSnapshot, content_status
from pvbinder.rules.protection import with_finalizer

log = logs.get(__name__)


class ContentLater(PvbinderError):  # noqa: N818  (the queue brings the content back)
    """A content could not be dealt with; the message is logged, and told where it should be."""


class ContentSync:
    """Brings one content at a time on its way."""

    def __init__(
        self,
        client: Client,
        contents: Informer[SnapshotContent],
        classes: Informer[SnapshotClass],
        driver: Driver,
        info: DriverInfo,
        options: SnapshotterOptions,
        told: Told,
        taking: SnapshotTaking,
        removal: SnapshotRemoval,
        *,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._client = client
        self._contents = contents
        self._classes = classes
        self._driver = driver
        self._info = info
        self._options = options
        self._told = told
        self._taking = taking
        self._removal = removal
        self._now_ns = now_ns

    async def sync(self, name: str) -> bool:
        """Deal with the content called `name`; False if it is to be looked at again; raise PvbinderError."""
        content = self._contents.get(name)
        if content is None:
            for key in self._taking.keys_of(name):
                await self._taking.finish(key)
            return True
        if not is_of_driver(content, self._class_of(content), self._info.name):
            return True
        self._taking.is_saved(content)
        may_be_made = self._taking.may_be_made(content.ref.uid)
        try:
            action = decide_content(content, may_be_made=may_be_made)
        except ContentMalformed as error:
            self._told.about_content(content, "Warning", "ContentValidationError", error.message)
            raise
        match action:
            case ProtectContent():
                protected = await self._client.replace(CONTENTS, with_finalizer(content, CONTENT_FINALIZER))
                self._contents.put(protected)
                return await self.sync(name)
            case DeleteStored() | LetContentGo():
                await self._removal.remove(content, may_be_made=may_be_made)
                return True
            case TakeSnapshot():
                return await self._take(content)
            case LookAtStored(handle=handle):
                return await self._look(content, handle)
            case ForgetAttempt():
                await self._taking.forget_attempt(content)
                return await self.sync(name)
            case LeaveContent():
                return True
            case _:
                assert_never(action)

    def _class_of(self, content: SnapshotContent) -> SnapshotClass | None:
        return self._classes.get(content.class_name) if content.class_name else None

    async def _take(self, content: SnapshotContent) -> bool:
        try:
            taken = await self._taking.take(content, self._class_of(content))
        except TakingFailed as failed:
            await self._told.content_failed(self._contents.get(content.key) or content, failed.message)
            raise ContentLater(failed.message) from failed
        return taken.is_ready

    async def _look(self, content: SnapshotContent, handle: str) -> bool:
        """Ask the driver whether a snapshot is ready (SK-9)."""
        try:
            stored = await self._seen(content, handle)
        except ContentLater as error:
            await self._told.content_failed(content, error.message)
            raise
        status = content_status(content, stored)
        if status is not None:
            document = content.document()
            document["status"] = status
            content = await self._client.replace(CONTENTS, document, subresource="status")
            self._contents.put(content)
        return stored.is_ready

    async def _seen(self, content: SnapshotContent, handle: str) -> TakenSnapshot:
        """Return what the driver says of a snapshot; raise ContentLater."""
        if not self._info.abilities.list_snapshots:
            if content.volume_handle is not None:
                return await self._asked_again(content, handle)
            return TakenSnapshot(handle, self._now_ns(), 0, is_ready=True)
        what = f"failed to list snapshot for content {content.name}: "
        request = csi.ListSnapshotsRequest(snapshot_id=handle, secrets=await self._list_secrets(content))
        try:
            answer = await self._driver.call(
                methods.LIST_SNAPSHOTS, request, timeout_seconds=self._options.timeout_seconds
            )
        except CallFailed as failed:
            raise ContentLater(what + quoted(str(failed))) from failed
        found = [entry.snapshot for entry in answer.entries if entry.snapshot.snapshot_id == handle]
        if not found:
            raise ContentLater(what + quoted(f"can not find snapshot for snapshotID {handle}"))
        return stored_as(found[0], self._now_ns())

    async def _asked_again(self, content: SnapshotContent, handle: str) -> TakenSnapshot:
        """Return what a driver that can't list says of a snapshot that it has taken."""
        try:
            stored = await self._taking.ask_again(content, self._class_of(content))
        except TakingFailed as failed:
            raise ContentLater(failed.message) from failed
        if stored.handle != handle:
            raise ContentLater(other_handle(content, stored.handle))
        return stored

    async def _list_secrets(self, content: SnapshotContent) -> dict[str, str]:
        if not content.class_name:
            return {}
        found = self._class_of(content)
        if found is None:
            why = f'volumesnapshotclass.snapshot.storage.k8s.io "{content.class_name}" not found'
            what = f"failed to get snapshot class {content.class_name} for snapshot content {content.name}"
            raise ContentLater(f"{what}: {why}")
        try:
            secret = snapshot_secret(SnapshotSecret.LIST, found.parameters, content.name)
        except PvbinderError as error:
            what = f"failed to get secret reference for snapshot content {content.name}"
            raise ContentLater(f"{what}: {error.message}") from error
        try:
            return await read_secret(self._client, secret) if secret is not None else {}
        except PvbinderError as error:
            what = f"failed to get credentials for snapshot content {content.name}"
            raise ContentLater(f"{what}: {error.message}") from error
