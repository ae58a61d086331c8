"""The volumeattributesclass-protection-controller: a class stays while one names it.

CLASSES-1  A class loses its finalizer only when nobody names it: neither the caches of claims and volumes, both filled,
           nor lists of them that the server makes now, that count as evidence (EVIDENCE-1) and that the caches don't
           contradict (EVIDENCE-3). The reference believes its caches (VP-4); here they may only say no.

Not promised: a claim made between its list and the write may lose its class, as in the reference.

Rules: docs/rules/protection.md#4-volumeattributesclass-protection
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar, assert_never

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.protection.finalizers import FinalizerWrites
from pvbinder.kube.client import Kind
from pvbinder.kube.evidence import check_against, read_whole_list
from pvbinder.kube.informer import Added, Change, Deleted, Informer, Updated
from pvbinder.kube.kinds import ATTRIBUTES_CLASSES, CLAIMS, VOLUMES
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.names import VAC_PROTECTION_FINALIZER
from pvbinder.model.objects import AttributesClassName, Claim, Volume, VolumeAttributesClass
from pvbinder.rules.protection import RemoveFinalizer, attributes_classes_of, decide_attributes_class, needs_attention

CONCURRENT_SYNCS_MAX: Final = 4

T = TypeVar("T", Claim, Volume)

log = logs.get(__name__)


class AttributesClassProtectionController:
    """Adds and removes ``kubernetes.io/vac-protection``."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._classes = context.informers.of(ATTRIBUTES_CLASSES)
        self._writes = FinalizerWrites(context.client, self._classes, ATTRIBUTES_CLASSES, "VAC")
        self._volumes = context.informers.of(VOLUMES)
        self._claims = context.informers.of(CLAIMS)
        self._volumes_by_class = self._volumes.add_index("attributes class", attributes_classes_of)
        self._claims_by_class = self._claims.add_index("attributes class", attributes_classes_of)
        self._queue: WorkQueue[AttributesClassName] = WorkQueue(
            "vacprotection",
            self._sync,
            history=context.informers.history,
            concurrency=CONCURRENT_SYNCS_MAX,
            key_field="vac",
            failure_message=lambda name, error: f"VAC {name} failed with : {error}",
        )
        self._classes.add_handler(self._class_changed)
        self._volumes.add_handler(self._reference_changed)
        self._claims.add_handler(self._reference_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Work until cancelled."""
        log.debug("Starting VAC protection controller")
        for informer in (self._classes, self._volumes, self._claims):
            await informer.wait_synced()
        await self._queue.run()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done, now or after a delay."""
        await self._queue.wait_idle()

    def _class_changed(self, change: Change[VolumeAttributesClass]) -> None:
        match change:
            case Added(object=attributes_class) | Updated(object=attributes_class):
                if needs_attention(attributes_class, VAC_PROTECTION_FINALIZER):  # VP-1
                    self._queue.add(attributes_class.key)
            case Deleted():
                pass
            case _:
                assert_never(change)

    def _reference_changed(self, change: Change[Claim] | Change[Volume]) -> None:
        """VP-2: a class that is no longer named may go now."""
        match change:
            case Updated(before=before, object=after):
                left = attributes_classes_of(before) - attributes_classes_of(after)
            case Deleted(object=last):
                left = attributes_classes_of(last)
            case Added():
                return
            case _:
                assert_never(change)
        for name in sorted(left):
            self._queue.add(AttributesClassName(name))

    def _user_of(self, name: str) -> str | None:
        users: list[str] = [volume.key for volume in self._volumes_by_class[name]]
        users += [claim.key for claim in self._claims_by_class[name]]
        return users[0] if users else None

    async def _sync(self, name: AttributesClassName) -> None:
        attributes_class = self._classes.get(name)
        if attributes_class is None:
            return
        decision = decide_attributes_class(attributes_class, self._user_of(name))
        if isinstance(decision, RemoveFinalizer):
            user = await self._find_user(name, VOLUMES, self._volumes) or await self._find_user(
                name, CLAIMS, self._claims
            )
            decision = decide_attributes_class(attributes_class, user)
        await self._writes.carry_out(name, decision)

    async def _find_user(self, name: str, kind: Kind[T], cache: Informer[T]) -> str | None:
        """Return an object that names the class, as the server lists them now; raise if the list proves nothing."""
        listed = await read_whole_list(self._client, kind, not_before=(cache.resource_version,))
        await check_against(listed, self._client, kind, lambda: list(cache))
        for one in listed.items:
            if name in attributes_classes_of(one):
                cache.correct(one)  # it should have known
                return one.key
        return None
