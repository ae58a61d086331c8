"""Volumes deleted through their driver, and the finalizer that keeps them until then.

CSI_DELETER-1  DeleteVolume is called only when a live read shows the volume Released with policy `Delete`, and its
               claim is proven to be gone or to use another volume; with the handle of that very read.
CSI_DELETER-2  A volume loses its object only after the driver has confirmed the delete: a lost answer, or any error,
               means that the same call is made again.
CSI_DELETER-3  A volume that is still attached to a node is left alone, and its user is told (DV-4).
CSI_DELETER-4  A volume that a driver must delete has our finalizer from the time that it is bound (LB-27).

Rules: docs/rules/provisioner.md#25-volumes-finalizer-and-deletion
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final, assert_never

import msgspec
from msgspec import Struct

from pvbinder import logs
from pvbinder.controllers.claim_proof import ask_claim
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.measures import CsiMeasures
from pvbinder.controllers.csi.options import ProvisionerOptions
from pvbinder.controllers.csi.secrets import SecretMissingError, read_secret
from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import CallFailed
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.client import Kind
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.events import Subject
from pvbinder.kube.informer import Added, Change, Deleted, Informer, Updated
from pvbinder.kube.kinds import CLAIMS, STORAGE_CLASSES, VOLUMES, Metadata, parse_metadata
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.names import MIGRATED_TO
from pvbinder.model.objects import Volume, VolumeName
from pvbinder.model.resources import PERSISTENT_VOLUMES, VOLUME_ATTACHMENTS
from pvbinder.rules.csi.capacity import is_reached
from pvbinder.rules.csi.refusals import ProvisioningFailed
from pvbinder.rules.csi.secrets import SecretKind, SecretReference, SecretsError, TemplateNames, reference
from pvbinder.rules.csi.volumes import DELETION_SECRET, FINALIZER, check_abilities
from pvbinder.rules.protection import without_finalizer
from pvbinder.rules.reclaim import lets_go
from pvbinder.rules.volumes import LiveClaim, NotProven

ATTACHMENTS: Final[Kind[Metadata]] = Kind(VOLUME_ATTACHMENTS, parse_metadata)

log = logs.get(__name__)


class DeleteLater(PvbinderError):  # noqa: N818  (the queue brings the volume back)
    """A volume could not be dealt with; the message is logged."""


class _Source(Struct, rename="camel"):
    persistent_volume_name: str | None = None


class _AttachmentSpec(Struct, rename="camel"):
    source: _Source = msgspec.field(default_factory=_Source)
    node_name: str = ""


class _Attachment(Struct):
    spec: _AttachmentSpec = msgspec.field(default_factory=_AttachmentSpec)


_attachments = msgspec.json.Decoder(_Attachment)


class CsiDeleter:
    """Deletes the volumes of one driver; `run()` it as a task that somebody owns, with the informers beside it."""

    def __init__(
        self,
        context: ControllerContext,
        driver: Driver,
        info: DriverInfo,
        options: ProvisionerOptions,
        *,
        component: str = "",
        measures: CsiMeasures | None = None,
    ) -> None:
        self._client = context.client
        self._driver = driver
        self._info = info
        self._options = options
        self._recorder = context.recorder(component or info.name)
        self._volumes = context.informers.of(VOLUMES)
        self._claims = context.informers.of(CLAIMS)
        self._classes = context.informers.of(STORAGE_CLASSES)
        publishes = info.abilities.publish_unpublish
        self._attachments: Informer[Metadata] | None = context.informers.of(ATTACHMENTS) if publishes else None
        self._deleted: dict[VolumeName, str] = {}  # to the uid: the driver has confirmed, the object is being removed
        self._queue: WorkQueue[VolumeName] = WorkQueue(
            "volumes",
            self._sync,
            history=context.informers.history,
            concurrency=options.worker_threads,
            limits=options.rate_limits,
            failure_message="could not delete volume",
            key_field="pv",
        )
        self.measures = measures or CsiMeasures()
        self.calls = 0
        self._volumes.add_handler(self._volume_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queue."""
        yield self._queue.statistics()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done, now or after a delay."""
        await self._queue.wait_idle()

    async def run(self) -> None:
        """Work until cancelled."""
        for wait in (self._volumes.wait_synced, self._claims.wait_synced, self._classes.wait_synced):
            await wait()
        if self._attachments is not None:
            await self._attachments.wait_synced()
        await self._queue.run()

    def _volume_changed(self, change: Change[Volume]) -> None:
        match change:
            case Added(object=volume) | Updated(object=volume):
                if self._is_ours(volume) and (self._has_work(volume) or volume.key in self._queue):
                    self._queue.add(volume.key)  # LB-3
            case Deleted(object=volume):
                self._deleted.pop(volume.key, None)
                self._queue.give_up(volume.key)
            case _:
                assert_never(change)

    def _is_ours(self, volume: Volume) -> bool:
        """Return whether the volume is our driver's (LB-26), and of our node where each node has a sidecar (DV-1)."""
        return self._is_the_drivers(volume) and (not self._options.node_deployment or self._is_here(volume))

    def _is_here(self, volume: Volume) -> bool:
        affinity = volume.document()["spec"].get("nodeAffinity") or {}
        terms = (affinity.get("required") or {}).get("nodeSelectorTerms") or []
        return not terms or is_reached(tuple(self._info.place.items()), terms)

    def _is_the_drivers(self, volume: Volume) -> bool:
        by, name = volume.provisioned_by, self._info.name
        moved_to = volume.annotations.get(MIGRATED_TO)
        if by is not None:
            return name in (by, moved_to)
        return volume.csi.driver == name if volume.csi is not None else moved_to == name

    async def _sync(self, name: VolumeName) -> None:
        volume = self._volumes.get(name)
        if volume is None or not self._is_ours(volume):
            return
        await self._see_to_finalizer(volume)
        if self._is_to_be_deleted(volume):
            await self._measured(volume)

    def _has_work(self, volume: Volume) -> bool:
        return _lacks_finalizer(volume) or _has_needless_finalizer(volume) or self._is_to_be_deleted(volume)

    # -- the finalizer

    async def _see_to_finalizer(self, volume: Volume) -> None:
        """Add our finalizer to a volume that we are to delete, and take it from one that stays (LB-27)."""
        if _lacks_finalizer(volume):
            document = volume.document()
            document["metadata"]["finalizers"] = [*volume.finalizers, FINALIZER]
            await self._write_finalizers(volume, document)
        elif _has_needless_finalizer(volume):
            await self._write_finalizers(volume, without_finalizer(volume, FINALIZER))

    async def _write_finalizers(self, volume: Volume, document: Json) -> None:
        try:
            self._volumes.put(await self._client.replace(VOLUMES, document))
        except ApiFailure as failure:
            if failure.names_as_not_found(PERSISTENT_VOLUMES, volume.name):
                return
            if failure.is_conflict:
                raise
            wanted = " ".join(document["metadata"].get("finalizers") or [])
            raise DeleteLater(
                f"failed to modify finalizers to [{wanted}] on volume {volume.name} err: {failure.message}"
            ) from failure

    # -- the delete

    def _is_to_be_deleted(self, volume: Volume) -> bool:
        """Return whether the storage is to be deleted, as far as the volume itself says (LB-28)."""
        is_let_go = volume.is_deleting and FINALIZER not in volume.finalizers
        return not is_let_go and volume.phase == "Released" and volume.reclaim_policy == "Delete"

    async def _measured(self, volume: Volume) -> None:
        """Delete, and count it (2.6)."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            is_gone = await self._delete(volume)
        except (DeleteLater, ApiFailure, ConnectionFailed):
            self.measures.failed_deletes[volume.storage_class] += 1
            raise
        if is_gone:
            self.measures.deleted(volume.storage_class, loop.time() - started)

    async def _delete(self, volume: Volume) -> bool:
        """Have the volume deleted, and its object; False if it isn't to be deleted after all."""
        if self._deleted.get(volume.key) != volume.uid:
            live = await self._proven_released(volume)
            if live is None:
                return False
            try:
                await self._delete_storage(live)
            except (CallFailed, ProvisioningFailed, DeleteLater) as error:
                subject = Subject.of(PERSISTENT_VOLUMES, volume)
                self._recorder.event(subject, "Warning", "VolumeFailedDelete", str(error))
                raise DeleteLater(str(error)) from error
            log.info("volume deleted", pv=volume.name, driver=self._info.name, rule="LB-29")
            self._deleted[volume.key] = volume.uid
        await self._remove_object(volume)
        return True

    async def _proven_released(self, volume: Volume) -> Volume | None:
        """The volume as the server has it, if it is released (CSI_DELETER-1); in doubt raise DeleteLater."""
        try:
            live = await self._client.get(VOLUMES, volume.name)
        except ApiFailure as failure:
            if failure.names_as_not_found(PERSISTENT_VOLUMES, volume.name):
                return None
            raise
        if live.uid != volume.uid or not self._is_ours(live) or not self._is_to_be_deleted(live):
            return None
        ref = live.claim_ref
        if ref is None or not ref.uid:
            return None
        answer = await ask_claim(self._client, self._claims, ref)
        match answer:
            case LiveClaim(claim=claim):
                if lets_go(claim, live):
                    return live
                raise DeleteLater(f'volume "{live.name}" is kept: its claim "{ref.key}" is there')
            case NotProven(why=why):
                raise DeleteLater(f'volume "{live.name}" is kept, it is not proven that its claim is gone: {why}')
            case _:
                assert_never(answer)

    async def _delete_storage(self, volume: Volume) -> None:
        """Have the driver delete the volume (DV-1 to DV-5)."""
        if volume.csi is None or not volume.csi.volume_handle:
            raise DeleteLater("invalid CSI PV")
        check_abilities(self._info.abilities)
        self._check_detached(volume)
        request = csi.DeleteVolumeRequest(volume_id=volume.csi.volume_handle, secrets=await self._secrets(volume))
        self.calls += 1
        await self._driver.call(methods.DELETE_VOLUME, request, timeout_seconds=self._options.timeout_seconds)

    def _check_detached(self, volume: Volume) -> None:
        """Raise DeleteLater while a node has the volume (DV-4)."""
        for attachment in self._attachments or ():
            spec = _attachments.decode(attachment.raw).spec
            if spec.source.persistent_volume_name == volume.name:
                raise DeleteLater(f"persistentvolume {volume.name} is still attached to node {spec.node_name}")

    async def _secrets(self, volume: Volume) -> dict[str, str]:
        """DV-3: a secret that can't be read is logged, and the delete goes on without."""
        try:
            secret = self._secret(volume)
            return await read_secret(self._client, secret) if secret is not None else {}
        except (SecretMissingError, SecretsError) as error:
            log.warning("secret for delete is missing", pv=volume.name, err=error.message)
            return {}

    def _secret(self, volume: Volume) -> SecretReference | None:
        name = volume.annotations.get(f"{DELETION_SECRET}-name")
        namespace = volume.annotations.get(f"{DELETION_SECRET}-namespace")
        if name is not None and namespace is not None:
            return SecretReference(name, namespace) if name and namespace else None
        storage_class, ref = self._classes.get(volume.storage_class), volume.claim_ref
        if storage_class is None or ref is None:
            return None
        names = TemplateNames(volume.name, ref.name or "", ref.namespace or "")
        return reference(SecretKind.PROVISIONER, storage_class.parameters, names)

    async def _remove_object(self, volume: Volume) -> None:
        """LB-30: delete the object, then let it go."""
        try:
            await self._client.delete(VOLUMES, volume.name, uid=volume.uid)
            live = await self._client.get(VOLUMES, volume.name)
            if live.uid == volume.uid and FINALIZER in live.finalizers:
                await self._client.replace(VOLUMES, without_finalizer(live, FINALIZER))
        except ApiFailure as failure:
            if not failure.names_as_not_found(PERSISTENT_VOLUMES, volume.name):
                raise
        except ConnectionFailed as failed:
            raise DeleteLater(f"volume {volume.name} could not be removed: {failed.message}") from failed


def _lacks_finalizer(volume: Volume) -> bool:
    is_kept = volume.is_deleting or volume.phase != "Bound" or FINALIZER in volume.finalizers
    return volume.reclaim_policy == "Delete" and not is_kept


def _has_needless_finalizer(volume: Volume) -> bool:
    return volume.reclaim_policy in ("Retain", "Recycle") and FINALIZER in volume.finalizers
