"""The stand-in for storage that isn't here: it provisions, grows and deletes what each class's provisioner would.

STANDIN-1  A volume is made where external-provisioner would have it made: after a node is selected if the class waits
           for that, at the place of the node, and with the name, policy, modes and secrets that the claim gets there.
STANDIN-2  It succeeds, but for claims whose provisioner is known to fail (`failing`, by uid): those keep waiting.
STANDIN-3  Each thing that it does is a line of the log with ``stand_in=PROVISIONER``: nobody takes it for the real one.

The size that a driver rounds up to, its limits and its quota can't be known here.

Rules: docs/rules/provisioner.md#2-library-controller
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Final

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.csi.places import CSI_NODE_VIEWS, Places
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Change, Deleted
from pvbinder.kube.kinds import CLAIMS, NODES, STORAGE_CLASSES, VOLUMES
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.errors import PvbinderError
from pvbinder.model.names import BETA_STORAGE_PROVISIONER, PROVISIONED_BY, STORAGE_PROVISIONER, STORAGE_RESIZER
from pvbinder.model.objects import Claim, StorageClass, Volume, VolumeName
from pvbinder.rules.csi.refusals import ProvisioningFailed
from pvbinder.rules.csi.resize_writes import finished, grown
from pvbinder.rules.csi.topology import TopologyError
from pvbinder.rules.csi.volumes import (
    FINALIZER,
    Abilities,
    CreatedVolume,
    VolumeNaming,
    created_volume,
    request_for,
    volume_name,
)

ABILITIES: Final = Abilities(controller_service=True, create_delete_volume=True, expand_volume=True)
IDENTITY: Final = "rehearsal"

log = logs.get(__name__)


class StandInWaits(PvbinderError):  # noqa: N818  (the queue brings the claim back)
    """The provisioner would try again later."""


class StandIn:
    """Plays every external provisioner and resizer; `run()` it as a task that somebody owns."""

    name = "stand-in"

    def __init__(self, context: ControllerContext, failing: Mapping[str, str]) -> None:
        """Make it; `failing` has the words of the real provisioner, by the uid of the claim (STANDIN-2)."""
        self._client = context.client
        self._failing = failing
        self._informers = context.informers
        self._claims = context.informers.of(CLAIMS)
        self._classes = context.informers.of(STORAGE_CLASSES)
        self._volumes = context.informers.of(VOLUMES)
        self._nodes = context.informers.of(NODES)
        self._csi_nodes = context.informers.of(CSI_NODE_VIEWS)
        self._waiting: dict[str, set[str]] = {}  # claims by the class that isn't there
        history = context.informers.history
        self._claim_queue: WorkQueue[str] = WorkQueue(
            "stand-in claims",
            self._sync_claim,
            history=history,
            failure_message="stand-in provisions later",
            key_field="pvc",
        )
        self._volume_queue: WorkQueue[VolumeName] = WorkQueue(
            "stand-in volumes",
            self._sync_volume,
            history=history,
            failure_message="stand-in deletes later",
            key_field="pv",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queues."""
        yield self._claim_queue.statistics()
        yield self._volume_queue.statistics()

    async def run(self) -> None:
        """Stand in until cancelled."""
        for cache in (self._claims, self._classes, self._volumes, self._nodes, self._csi_nodes):
            await cache.wait_synced()
        self._claims.add_handler(self._on_claim)
        self._volumes.add_handler(self._on_volume)
        self._classes.add_handler(self._on_class)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._claim_queue.run(), name="stand-in for claims")
            group.create_task(self._volume_queue.run(), name="stand-in for volumes")

    def _on_claim(self, change: Change[Claim]) -> None:
        if isinstance(change, Deleted):
            self._claim_queue.give_up(change.object.key)
        elif _provisioner_of(change.object) or STORAGE_RESIZER in change.object.annotations:
            self._claim_queue.add(change.object.key)

    def _on_volume(self, change: Change[Volume]) -> None:
        volume = change.object
        if isinstance(change, Deleted):
            self._volume_queue.give_up(volume.key)
        elif _is_to_be_deleted(volume):
            self._volume_queue.add(volume.key)

    def _on_class(self, change: Change[StorageClass]) -> None:
        if not isinstance(change, Deleted):
            for key in self._waiting.pop(change.object.name, ()):
                self._claim_queue.add(key)

    # -- claims

    async def _sync_claim(self, key: str) -> None:
        claim = self._claims.get(key)
        if claim is None or claim.is_deleting:
            return
        if claim.volume_name:
            await self._grow(claim)
            return
        provisioner = _provisioner_of(claim)
        if provisioner:
            await self._provision(claim, provisioner)

    async def _provision(self, claim: Claim, provisioner: str) -> None:
        storage_class = self._classes.get(claim.storage_class)
        if storage_class is None:
            self._waiting.setdefault(claim.storage_class, set()).add(claim.key)  # LB-11
            return
        if storage_class.volume_binding_mode == "WaitForFirstConsumer" and not claim.selected_node:
            return  # LB-12
        known = self._failing.get(claim.uid)
        if known is not None:
            log.warning("provisioner keeps failing", pvc=claim.key, stand_in=provisioner, err=known)
            return
        name = volume_name(VolumeNaming(), claim.uid)
        if VolumeName(name) in self._volumes:
            return  # LB-13
        uses_topology = any(self._keys_of(provisioner))
        places = Places(self._informers, provisioner, uses_topology=uses_topology)
        try:
            where = places.require(claim, storage_class, strict=False, immediate=False) if uses_topology else None
            request = request_for(claim, storage_class, name, ABILITIES, accessibility=where)
            accessible = (dict(where.preferred[0]),) if where is not None and where.preferred else ()
            made = CreatedVolume(f"rehearsed-{name}", request.required_bytes, {}, accessible)
            document = created_volume(claim, storage_class, request, made, driver=provisioner, identity=IDENTITY)
        except (TopologyError, ProvisioningFailed) as error:
            log.warning("provisioner would fail", pvc=claim.key, stand_in=provisioner, err=error.message)
            raise StandInWaits(error.message) from error
        self._volumes.put(await self._client.create(VOLUMES, document))
        log.info("volume provisioned", pvc=claim.key, pv=name, stand_in=provisioner, rule="LB-24")

    def _keys_of(self, provisioner: str) -> Iterator[str]:
        places = Places(self._informers, provisioner, uses_topology=True)
        for node in self._csi_nodes:
            yield from places.keys_of(node.name) or ()

    async def _grow(self, claim: Claim) -> None:
        """Do the part of the resizer that a claim names: the volume first, then the claim (RS-11, RS-13)."""
        resizer = claim.annotations.get(STORAGE_RESIZER)
        volume = self._volumes.get(claim.volume_name)
        has = claim.status_capacity
        if not resizer or volume is None or has is None or claim.request <= has:
            return
        if volume.size < claim.request:
            change = grown(volume, claim.request, has)
            self._volumes.put(await self._client.patch(VOLUMES, volume.name, "", change, patch_type="strategic"))
        change = finished(claim, claim.request)
        done = await self._client.patch(
            CLAIMS, claim.name, claim.namespace, change, patch_type="strategic", subresource="status"
        )
        self._claims.put(done)
        log.info("volume expanded", pvc=claim.key, pv=volume.name, stand_in=resizer, rule="RS-11")

    # -- volumes

    async def _sync_volume(self, name: VolumeName) -> None:
        volume = self._volumes.get(name)
        if volume is None or not _is_to_be_deleted(volume):
            return
        provisioner = volume.annotations.get(PROVISIONED_BY, "")
        try:
            if not volume.is_deleting:
                await self._client.delete(VOLUMES, volume.name, uid=volume.uid)
                log.info("volume deleted", pv=volume.name, stand_in=provisioner, rule="LB-29")
            live = await self._client.get(VOLUMES, volume.name)
            if FINALIZER in live.finalizers:
                document = live.document()
                document["metadata"]["finalizers"] = [one for one in live.finalizers if one != FINALIZER]
                await self._client.replace(VOLUMES, document)
        except ApiFailure as failure:
            if not failure.is_not_found:
                raise


def _provisioner_of(claim: Claim) -> str:
    """Return the external provisioner that the binder has asked for `claim`; ``""`` if none, or none any more."""
    if claim.volume_name:
        return ""
    return claim.annotations.get(STORAGE_PROVISIONER) or claim.annotations.get(BETA_STORAGE_PROVISIONER) or ""


def _is_to_be_deleted(volume: Volume) -> bool:
    """Tell whether an external provisioner deletes `volume` (LB-26, LB-27)."""
    is_external = volume.csi is not None and volume.annotations.get(PROVISIONED_BY) == volume.csi.driver
    return is_external and volume.phase == "Released" and volume.reclaim_policy == "Delete"
