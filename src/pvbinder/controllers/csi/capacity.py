"""CSIStorageCapacity objects: how much room a driver has, for each class and place, so that the scheduler knows.

CAPACITY-1  There is one object for each class of the driver and each place of its topology, and no other that is ours:
            what is missing is made, what is not wanted any more, double or unknown is deleted (CA-2, CA-5).
CAPACITY-2  An object is written only when a value or its owner has changed; between two polls nothing is asked, neither
            of the driver nor of the server, but after a change that concerns it (CA-4).
CAPACITY-3  A driver that can't say how much room there is leaves the last objects as they are, and is asked again.

Rules: docs/rules/provisioner.md#10-csistoragecapacity---enable-capacity
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final, assert_never

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.csi.capacity_owner import find_owner
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.measures import CapacityStatistics
from pvbinder.controllers.csi.options import CapacityOptions, ProvisionerOptions
from pvbinder.controllers.csi.places import CSI_NODE_VIEWS, Places
from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import CallFailed
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Added, Change, Deleted, Informer, Updated
from pvbinder.kube.kinds import NODES, STORAGE_CLASSES, VOLUMES, Metadata, metadata_of
from pvbinder.kube.queue import QueueStatistics, TokenBucket, WorkQueue
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.objects import Node, Volume
from pvbinder.model.resources import CSI_STORAGE_CAPACITIES
from pvbinder.rules.csi.capacity import (
    DRIVER_LABEL,
    MANAGER_LABEL,
    FreeSpace,
    Pair,
    changed_object,
    is_reached,
    manager_label,
    new_object,
    pair_of,
    pairs,
    segments,
)

CAPACITIES: Final = metadata_of(CSI_STORAGE_CAPACITIES)

log = logs.get(__name__)


class CapacityLater(PvbinderError):  # noqa: N818  (the queue brings the pair back)
    """The room for a pair is not known; the message is logged."""


class CapacityTracker:
    """Keeps the objects of one driver; `run()` it as a task that somebody owns, with the informers beside it."""

    def __init__(
        self,
        context: ControllerContext,
        driver: Driver,
        info: DriverInfo,
        options: ProvisionerOptions,
        asked: CapacityOptions,
    ) -> None:
        self._client = context.client
        self._driver = driver
        self._info = info
        self._options = options
        self._asked = asked
        self._owner: Json | None = None
        self._manager = manager_label(options.node if options.node_deployment else "")
        selector = f"{DRIVER_LABEL}={info.name},{MANAGER_LABEL}={self._manager}"
        self._objects: Informer[Metadata] = Informer(
            context.client, CAPACITIES, asked.namespace, label_selector=selector, history=context.informers.history
        )
        self._by_pair = self._objects.add_index("pair", lambda one: (pair_of(one.document()).key,))
        self._classes = context.informers.of(STORAGE_CLASSES)
        self._volumes = context.informers.of(VOLUMES)
        own = (options.node, info.place) if options.node_deployment else None
        self._places = Places(context.informers, info.name, uses_topology=info.abilities.topology, own=own)
        self._wanted: dict[str, Pair] = {}
        self._changed = asyncio.Event()
        self._bucket = TokenBucket(asked.kube_api_qps, asked.kube_api_burst)
        self._queue: WorkQueue[str] = WorkQueue(
            "csistoragecapacity",
            self._sync,
            history=context.informers.history,
            concurrency=asked.threads,
            limits=options.rate_limits,
            failure_message="could not publish capacity",
            key_field="pair",
        )
        self.calls = 0
        self._objects.add_handler(self._object_changed)
        self._classes.add_handler(lambda _: self._changed.set())
        self._volumes.add_handler(self._volume_changed)
        if info.abilities.topology and own is None:
            context.informers.of(NODES).add_handler(self._node_changed)
            context.informers.of(CSI_NODE_VIEWS).add_handler(lambda _: self._changed.set())

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queue."""
        yield self._queue.statistics()

    def capacity_statistics(self) -> CapacityStatistics:
        """How far the objects are what they should be (CA-6)."""
        current = sum(bool(self._by_pair[key]) for key in self._wanted)
        return CapacityStatistics(len(self._wanted), current, len(self._objects) - current)

    async def run(self) -> None:
        """Work until cancelled; raises CapacityOwnerError."""
        self._owner = await find_owner(self._client, self._asked)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._objects.run(), name=f"capacities of {self._info.name}")
            for wait in (self._classes.wait_synced, self._objects.wait_synced, self._places.wait_synced):
                await wait()
            group.create_task(self._queue.run(), name=f"capacity of {self._info.name}")
            group.create_task(self._poll(), name=f"polls of {self._info.name}")
            self._changed.set()
            while True:
                await self._changed.wait()
                self._changed.clear()
                self._reconsider()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._asked.poll_interval_seconds)
            for key in list(self._wanted):
                self._queue.add(key)

    # -- what there should be

    def _reconsider(self) -> None:
        """Find which pairs there should be, and have those looked at that are new or not wanted any more."""
        if self._info.abilities.topology:
            places = segments(self._places.nodes())
        else:
            places = {()}
        wanted = pairs(self._classes, places, self._info.name, for_immediate=self._asked.for_immediate_binding)
        before, self._wanted = self._wanted, {pair.key: pair for pair in wanted}
        for key in self._wanted.keys() ^ before.keys():
            self._queue.add(key)
        for one in self._objects:
            key = pair_of(one.document()).key
            if key not in self._wanted:
                self._queue.add(key)

    def _object_changed(self, change: Change[Metadata]) -> None:
        match change:
            case Added(object=one) | Deleted(object=one):
                self._queue.add(pair_of(one.document()).key)
            case Updated(before=before, object=one):
                for view in (before, one):
                    self._queue.add(pair_of(view.document()).key)
            case _:
                assert_never(change)

    def _node_changed(self, change: Change[Node]) -> None:
        match change:
            case Updated(before=before, object=node) if before.labels == node.labels:
                return
            case Added() | Updated() | Deleted():
                self._changed.set()
            case _:
                assert_never(change)

    def _volume_changed(self, change: Change[Volume]) -> None:
        match change:
            case Added(object=volume) | Deleted(object=volume):
                if volume.csi is not None and volume.csi.driver == self._info.name:
                    self._room_changed(volume)
            case Updated():
                pass
            case _:
                assert_never(change)

    def _room_changed(self, volume: Volume) -> None:
        """Ask anew about the places that a volume is at, or else about its class (CA-4)."""
        affinity = volume.document()["spec"].get("nodeAffinity") or {}
        terms = (affinity.get("required") or {}).get("nodeSelectorTerms") or []
        for key, pair in self._wanted.items():
            if is_reached(pair.segment, terms) if terms else pair.storage_class == volume.storage_class:
                self._queue.add(key)

    def provisioning_failed(self, storage_class: str) -> None:
        """Ask anew about a class: a volume of it could not be made (CA-4)."""
        for key, pair in self._wanted.items():
            if pair.storage_class == storage_class:
                self._queue.add(key)

    # -- one pair

    async def _sync(self, key: str) -> None:
        found = sorted(self._by_pair[key], key=lambda one: one.name)
        pair = self._wanted.get(key)
        storage_class = self._classes.get(pair.storage_class) if pair is not None else None
        if pair is None or storage_class is None:
            await self._delete(found)
            return
        await self._delete(found[1:])
        room = await self._ask(pair, storage_class.parameters)
        if not found:
            document = new_object(pair, room, self._info.name, self._manager, self._asked.namespace, self._owner)
            await self._turn()
            self._objects.put(await self._client.create(CAPACITIES, document))
            return
        changed = changed_object(found[0].document(), room, self._owner)
        if changed is None:
            return
        await self._turn()
        try:
            self._objects.put(await self._client.replace(CAPACITIES, changed))
        except ApiFailure as failure:
            if not failure.names_as_not_found(CSI_STORAGE_CAPACITIES, found[0].name):
                raise

    async def _delete(self, objects: list[Metadata]) -> None:
        for one in objects:
            await self._turn()
            try:
                await self._client.delete(CAPACITIES, one.name, one.namespace, uid=one.uid)
            except ApiFailure as failure:
                if not failure.names_as_not_found(CSI_STORAGE_CAPACITIES, one.name):
                    raise
            log.info("capacity is not published any more", csistoragecapacity=one.key, driver=self._info.name)

    async def _ask(self, pair: Pair, parameters: dict[str, str]) -> FreeSpace:
        """CA-3: the parameters as they stand in the class."""
        request = csi.GetCapacityRequest(parameters=parameters)
        if pair.segment:
            request.accessible_topology.segments.update(dict(pair.segment))
        self.calls += 1
        try:
            answer = await self._driver.call(
                methods.GET_CAPACITY, request, timeout_seconds=self._options.timeout_seconds
            )
        except CallFailed as failed:
            raise CapacityLater(str(failed)) from failed
        if answer.available_capacity < 0:
            raise CapacityLater(f"the driver says that there are {answer.available_capacity} bytes")
        largest = answer.maximum_volume_size.value if answer.HasField("maximum_volume_size") else None
        return FreeSpace(answer.available_capacity, largest if largest is not None and largest >= 0 else None)

    async def _turn(self) -> None:
        """Wait until one more write is allowed (--kube-api-capacity-qps)."""
        await asyncio.sleep(self._bucket.reserve(asyncio.get_running_loop().time()))
