"""Snapshots taken by a driver, none of which is left behind.

SNAPSHOT_TAKING-1  A snapshot is asked for only when that is written down where a restart finds it (`intents`), and when
                   a write to its content, with the content's revision, was accepted: a stale cache takes no snapshot.
SNAPSHOT_TAKING-2  An intent ends in a handle that is saved in a content, in a confirmed delete, or in an answer that
                   says that there is no snapshot. While the driver may have taken one, the same request is repeated,
                   snapshot or no snapshot, class or no class. After an attempt whose end nobody knows only a refusal of
                   the request itself is believed.
SNAPSHOT_TAKING-3  A handle that could not be saved is saved later, without asking the driver again.
SNAPSHOT_TAKING-4  A snapshot whose content is proven to be gone is deleted in the storage, unless another content has
                   it or its policy is `Retain`. Once that is begun it is written down, and ends before anything else.
SNAPSHOT_TAKING-5  No secret's content gets into an event, a log line or an intent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, assert_never

import msgspec
from msgspec import Struct

from pvbinder import logs
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.intents import Intents, IntentTooLargeError
from pvbinder.controllers.csi.options import SnapshotterOptions
from pvbinder.controllers.csi.secrets import SecretMissingError, read_secret
from pvbinder.controllers.csi.snapshotter.kinds import CONTENTS
from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import AnswerUnreadable, CallFailed
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.client import Client
from pvbinder.kube.evidence import check_against, read_whole_list
from pvbinder.kube.informer import Informer
from pvbinder.kube.proof import Gone, Present, Unproven, prove_gone
from pvbinder.model.errors import PvbinderError
from pvbinder.model.go_values import quoted
from pvbinder.model.names import YES
from pvbinder.model.snapshots import SnapshotClass, SnapshotContent
from pvbinder.rules.csi.secrets import SecretReference
from pvbinder.rules.csi.snapshots.contents import is_final, is_refusal
from pvbinder.rules.csi.snapshots.names import BEING_CREATED, stored_name
from pvbinder.rules.csi.snapshots.secrets import deletion_secret, parameters_for_driver, with_snapshot_names
from pvbinder.rules.csi.snapshots.statuses import TakenSnapshot, content_status

NANOSECONDS_MAX: Final = 2**63 - 1  # since 1970, of a time that a content can have

log = logs.get(__name__)


class SnapshotIntent(Struct, frozen=True):
    """A snapshot that is asked for: all that is needed to ask again when content and class are gone."""

    content: str
    name: str
    volume_handle: str
    policy: str
    parameters: dict[str, str]
    secret: SecretReference | None = None
    condemned: str = ""  # the handle that is being deleted: nothing else is done until that is confirmed


class TakingFailed(PvbinderError):  # noqa: N818  (an outcome, not a defect)
    """There is no snapshot yet; the text goes into the content's status and event."""

    def __init__(self, message: str, *, call: CallFailed | None = None) -> None:
        super().__init__(message)
        self.call = call  # how the driver's call ended, if one was made


class NotKnownYet(PvbinderError):  # noqa: N818  (the queue brings the content back)
    """What became of a content is not known; the message is logged."""


class SnapshotTaking:
    """Asks a driver for snapshots. Call it for one content at a time; the keys of intents are uids of snapshots."""

    def __init__(
        self,
        client: Client,
        contents: Informer[SnapshotContent],
        driver: Driver,
        info: DriverInfo,
        options: SnapshotterOptions,
        *,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._client = client
        self._contents = contents
        self._driver = driver
        self._info = info
        self._options = options
        self._now_ns = now_ns
        self.intents: Intents[SnapshotIntent] = Intents(
            client, options.namespace, info.name, "snapshots", SnapshotIntent
        )
        self._unmade: set[str] = set()  # intents whose snapshot the driver has not taken for certain
        self._unsaved: dict[str, TakenSnapshot] = {}  # by the snapshot's uid: taken, and in no content yet
        self._retained: set[str] = set()  # intents whose content was `Retain` when it went
        self.calls = 0

    def may_be_made(self, key: str) -> bool:
        """Whether a driver was asked for the snapshot with this uid, and nobody knows what came of it."""
        return key in self.intents and key not in self._unmade

    def content_went(self, content: SnapshotContent) -> bool:
        """Note that a content is gone; True if its snapshot is still to be seen through."""
        key = content.ref.uid
        if key not in self.intents or content.volume_handle is None:
            return False
        if content.deletion_policy == "Retain":
            self._retained.add(key)
        return True

    def is_saved(self, content: SnapshotContent) -> None:
        """Settle what a content that has its handle was begun with, also before us."""
        if content.handle and content.ref.uid in self.intents:
            self._done(content.ref.uid)

    def keys_of(self, content: str) -> list[str]:
        """Return the intents that were begun for the content of this name."""
        intents = [(key, self.intents.get(key)) for key in sorted(self.intents.keys())]
        return [key for key, intent in intents if intent is not None and intent.content == content]

    # -- with a content

    async def take(self, content: SnapshotContent, snapshot_class: SnapshotClass | None) -> SnapshotContent:
        """Have the snapshot of `content` taken, and save it; raise TakingFailed, or what the requests raise."""
        key = content.ref.uid
        if not key:
            why = quoted(f"cannot create snapshot. Snapshot content {content.name} not bound to a snapshot")
            raise TakingFailed(f"failed to take snapshot of the volume {content.volume_handle}: {why}")
        begun = self.intents.get(key)
        if begun is not None and begun.condemned:
            await self._delete(key, begun)
            if content.is_deleting and BEING_CREATED not in content.annotations:
                return content
        if content.is_deleting and key in self._unmade:
            content = await self.forget_attempt(content)
            self._done(key)
            return content
        stored = self._unsaved.get(key)
        if stored is None:
            intent = self.intents.get(key)
            if intent is None:
                intent = await self._intend(key, content, snapshot_class)
            content = await self._announced(key, content)
            try:
                stored = await self._ask(key, intent)
            except TakingFailed:
                if key in self._unmade:
                    await self.forget_attempt(content)
                    self._done(key)
                raise
            self._unsaved[key] = stored
        return await self._save(key, content, stored)

    async def _intend(self, key: str, content: SnapshotContent, snapshot_class: SnapshotClass | None) -> SnapshotIntent:
        """Prepare the request, and write it down (SNAPSHOT_TAKING-1); raise TakingFailed."""
        intent = self._request(content, snapshot_class)
        try:
            await self.intents.record(key, intent)
        except IntentTooLargeError as error:
            raise TakingFailed(error.message) from error
        if BEING_CREATED not in content.annotations:  # else there was an attempt before us, which isn't written down
            self._unmade.add(key)
        return intent

    async def _announced(self, key: str, content: SnapshotContent) -> SnapshotContent:
        """Return the content as the server has it, with the annotation that it is being made (SNAPSHOT_TAKING-1)."""
        try:
            if BEING_CREATED in content.annotations:
                live = await self._client.get(CONTENTS, content.name)
                if live.uid != content.uid or live.handle:
                    raise NotKnownYet(f"content {content.name} has changed")
            else:
                document = content.document()
                document["metadata"]["annotations"] = {**content.annotations, BEING_CREATED: YES}
                live = await self._client.replace(CONTENTS, document)
        except PvbinderError:
            if key in self._unmade:
                self._done(key)
            raise
        self._contents.put(live)
        return live

    def _request(self, content: SnapshotContent, snapshot_class: SnapshotClass | None) -> SnapshotIntent:
        """Return what the driver is asked for (SK-5, SK-6); raise TakingFailed."""
        what = f"failed to get input parameters to create snapshot for content {content.name}: "
        if content.class_name is None:
            raise TakingFailed(what + quoted(f"failed to take snapshot {content.name} without a snapshot class"))
        if snapshot_class is None:
            missing = f'volumesnapshotclass.snapshot.storage.k8s.io "{content.class_name}" not found'
            raise TakingFailed(what + quoted(missing))
        try:
            secret = deletion_secret(content.name, content.annotations)
        except PvbinderError as error:
            raise TakingFailed(what + quoted(error.message)) from error
        try:
            parameters = parameters_for_driver(snapshot_class.parameters)
        except PvbinderError as error:
            raise TakingFailed(error.message) from error
        ref = content.ref
        if self._options.extra_create_metadata:
            parameters = with_snapshot_names(
                parameters, snapshot=ref.name, namespace=ref.namespace, content=content.name
            )
        return SnapshotIntent(
            content=content.name,
            name=stored_name(self._options.naming, ref.uid),
            volume_handle=content.volume_handle or "",
            policy=content.deletion_policy,
            parameters=parameters,
            secret=secret,
        )

    async def _save(self, key: str, content: SnapshotContent, stored: TakenSnapshot) -> SnapshotContent:
        """Save the handle in the content (SK-8, SNAPSHOT_TAKING-3); raise what the request raises."""
        if content.handle not in ("", stored.handle):
            self._done(key)
            raise TakingFailed(other_handle(content, stored.handle))
        status = content_status(content, stored)
        if status is not None:
            document = content.document()
            document["status"] = status
            content = await self._client.replace(CONTENTS, document, subresource="status")
            self._contents.put(content)
        self._done(key)
        log.info("snapshot taken", content=content.name, snapshot=content.ref.key, handle=stored.handle, rule="SK-8")
        return await self.forget_attempt(content)

    async def forget_attempt(self, content: SnapshotContent) -> SnapshotContent:
        """Take the annotation that says that the snapshot is being made (SK-7)."""
        if BEING_CREATED not in content.annotations:
            return content
        document = content.document()
        del document["metadata"]["annotations"][BEING_CREATED]
        content = await self._client.replace(CONTENTS, document)
        self._contents.put(content)
        return content

    async def ask_again(self, content: SnapshotContent, snapshot_class: SnapshotClass | None) -> TakenSnapshot:
        """Ask for a snapshot whose handle is saved, to learn how it is; raise TakingFailed."""
        request = self._request(content, snapshot_class)
        return await self._call(request, await self._secrets(request))

    def _done(self, key: str) -> None:
        self._unsaved.pop(key, None)
        self._unmade.discard(key)
        self._retained.discard(key)
        self.intents.settle(key)

    # -- without one

    async def finish(self, key: str) -> None:
        """See an intent through whose content isn't there (SNAPSHOT_TAKING-4); raise NotKnownYet, or TakingFailed."""
        intent = self.intents.get(key)
        if intent is None:
            return
        if key in self._unmade:
            self._done(key)
            return
        if intent.condemned:
            await self._delete(key, intent)
            return
        proof = await prove_gone(self._client, CONTENTS, intent.content, known_revision=self._contents.resource_version)
        match proof:
            case Present(object=content):
                self._contents.correct(content)
                raise NotKnownYet(f"content {intent.content} is there")
            case Unproven(why=why):
                raise NotKnownYet(why)
            case Gone():
                pass
            case _:
                assert_never(proof)
        if intent.policy != "Delete" or key in self._retained:
            log.warning("snapshot may be left in the storage, as its policy says", name=intent.name)
            self._done(key)
            return
        stored = self._unsaved.get(key)
        if stored is None:
            try:
                stored = await self._ask(key, intent)
            except TakingFailed as failed:
                if key not in self._unmade:
                    raise
                log.info("snapshot of a content that is gone was never taken", name=intent.name, err=failed.message)
                self._done(key)
                return
            self._unsaved[key] = stored
        if await self._is_used(stored.handle, key):
            self._done(key)
            return
        intent = msgspec.structs.replace(intent, condemned=stored.handle)
        await self.intents.record(key, intent)
        self._unsaved.pop(key, None)
        await self._delete(key, intent)

    async def _is_used(self, handle: str, key: str) -> bool:
        """Whether a content has this snapshot, by a list that counts as evidence (SNAPSHOT_TAKING-4)."""
        known = self._contents.resource_version or ""
        listed = await read_whole_list(self._client, CONTENTS, not_before=(known,))
        await check_against(listed, self._client, CONTENTS, lambda: list(self._contents))
        mine = [one for one in listed.items if one.driver == self._info.name]
        for content in mine:
            if content.volume_handle is not None and content.ref.uid == key and not content.handle:
                raise NotKnownYet(f"content {content.name} is for the same snapshot")
        return any(handle in (one.handle, one.given_handle) for one in mine)

    async def _delete(self, key: str, intent: SnapshotIntent) -> None:
        """Have the driver delete what was condemned, and settle the intent; raise TakingFailed.

        A content that is made for the same snapshot meanwhile waits for that: the delete could come late.
        """
        handle = intent.condemned
        request = csi.DeleteSnapshotRequest(snapshot_id=handle, secrets=await self._secrets(intent))
        self.calls += 1
        try:
            await self._driver.call(methods.DELETE_SNAPSHOT, request, timeout_seconds=self._options.timeout_seconds)
        except CallFailed as failed:
            raise TakingFailed(f"snapshot {handle} of no content could not be deleted: {failed}") from failed
        log.info("snapshot of a content that is gone deleted", name=intent.name, handle=handle)
        self._done(key)

    # -- the driver

    async def _ask(self, key: str, intent: SnapshotIntent) -> TakenSnapshot:
        """Call CreateSnapshot; raise TakingFailed (SK-7, SNAPSHOT_TAKING-2)."""
        secrets = await self._secrets(intent)
        was_unmade = key in self._unmade
        self._unmade.discard(key)  # until an answer says so
        try:
            return await self._call(intent, secrets)
        except TakingFailed as failed:
            call = failed.call
            if call is not None and not isinstance(call, AnswerUnreadable):  # that may have been a yes
                code = call.code.value
                if is_final(code) and (was_unmade or is_refusal(code)):
                    self._unmade.add(key)
            raise

    async def _call(self, intent: SnapshotIntent, secrets: dict[str, str]) -> TakenSnapshot:
        what = f"failed to take snapshot of the volume {intent.volume_handle}: "
        request = csi.CreateSnapshotRequest(
            source_volume_id=intent.volume_handle, name=intent.name, parameters=intent.parameters, secrets=secrets
        )
        self.calls += 1
        try:
            answer = await self._driver.call(
                methods.CREATE_SNAPSHOT, request, timeout_seconds=self._options.timeout_seconds
            )
        except CallFailed as failed:
            raise TakingFailed(what + quoted(str(failed)), call=failed) from failed
        if not answer.snapshot.snapshot_id:
            raise TakingFailed(what + quoted("the driver's answer has a snapshot without an id"))
        return stored_as(answer.snapshot, self._now_ns())

    async def _secrets(self, intent: SnapshotIntent) -> dict[str, str]:
        if intent.secret is None:
            return {}
        try:
            return await read_secret(self._client, intent.secret)
        except SecretMissingError as error:
            log.warning("secret for snapshots is missing", content=intent.content, err=error.message)
            what = f"failed to get input parameters to create snapshot for content {intent.content}: "
            why = f"cannot get credentials for snapshot content {quoted(intent.content)}"
            raise TakingFailed(what + quoted(why)) from error


def other_handle(content: SnapshotContent, handle: str) -> str:
    """Return the text about a driver that calls a snapshot otherwise than before."""
    return f"the driver has answered with snapshot {handle}, and content {content.name} has {content.handle}"


def stored_as(snapshot: csi.Snapshot, now_ns: int) -> TakenSnapshot:
    """Return what a driver says of a snapshot; one whose time isn't said, or can't be, is of now (SK-8)."""
    created = snapshot.creation_time
    created_ns = created.seconds * 10**9 + created.nanos if snapshot.HasField("creation_time") else now_ns
    if not -NANOSECONDS_MAX <= created_ns <= NANOSECONDS_MAX:
        created_ns = now_ns
    return TakenSnapshot(snapshot.snapshot_id, created_ns, max(0, snapshot.size_bytes), snapshot.ready_to_use)
