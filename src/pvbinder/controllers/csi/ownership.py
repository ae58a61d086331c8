"""Which sidecar serves a claim, where each node has one of its own (ND-1 to ND-3).

OWNERSHIP-1  A claim with a selected node is that node's, whatever else is true.
OWNERSHIP-2  One without is taken by the node whose write of the annotation comes first: the server lets only one of
             them write, since each names the revision that it has read. Before that a node waits for a random time,
             longer each time, and looks whether it may have such a volume and has room for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from pvbinder import logs
from pvbinder.chance import CHANCE
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.options import ProvisionerOptions
from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import CallFailed
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Informer
from pvbinder.kube.kinds import CLAIMS
from pvbinder.model.names import SELECTED_NODE
from pvbinder.model.objects import Claim, StorageClass
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS
from pvbinder.rules.csi.topology import allowed_terms

DOUBLINGS_MAX: Final = 30  # of a delay, so that it stays a number

log = logs.get(__name__)


class Ownership:
    """Tells whose a claim is, and takes those that are nobody's."""

    def __init__(
        self,
        client: Client,
        claims: Informer[Claim],
        driver: Driver,
        info: DriverInfo,
        options: ProvisionerOptions,
        come_back: Callable[[str, float], None],
        *,
        chance: Callable[[], float] = CHANCE.random,
    ) -> None:
        """`come_back` has a claim's uid looked at again after some seconds."""
        self._client = client
        self._claims = claims
        self._driver = driver
        self._info = info
        self._options = options
        self._come_back = come_back
        self._chance = chance
        self._due: dict[str, tuple[int, float]] = {}  # by uid: how often it was waited for, and until when

    def forget(self, uid: str) -> None:
        """Forget a claim that is gone, or served."""
        self._due.pop(uid, None)

    async def is_ours(self, claim: Claim, storage_class: StorageClass) -> bool:
        """Return whether this node serves the claim now; if it is nobody's, have it for ourselves."""
        if not self._options.node_deployment:
            return True
        if claim.selected_node:
            self.forget(claim.uid)
            return claim.selected_node == self._options.node
        if not self._options.node_deployment_immediate_binding or not self._may_have(storage_class):
            return False
        if not self._has_waited(claim.uid):
            return False
        if await self._has_room(claim, storage_class):
            await self._take(claim)
        else:
            self._wait_again(claim.uid)
        return False  # the claim comes back as ours when the annotation is seen

    def _may_have(self, storage_class: StorageClass) -> bool:
        allowed = allowed_terms(storage_class.document().get("allowedTopologies") or ())
        here = self._info.place.items()
        return not allowed or any(set(term) <= set(here) for term in allowed)

    def _has_waited(self, uid: str) -> bool:
        if uid not in self._due:
            self._wait_again(uid)
            return False
        left = self._due[uid][1] - asyncio.get_running_loop().time()
        if left > 0:
            self._come_back(uid, left)
        return left <= 0

    def _wait_again(self, uid: str) -> None:
        times = self._due[uid][0] if uid in self._due else 0
        options = self._options
        longest = options.node_deployment_base_delay_seconds * 2 ** min(times, DOUBLINGS_MAX)
        seconds = min(longest, options.node_deployment_max_delay_seconds) * (0.5 + self._chance() / 2)
        self._due[uid] = (times + 1, asyncio.get_running_loop().time() + seconds)
        self._come_back(uid, seconds)

    async def _has_room(self, claim: Claim, storage_class: StorageClass) -> bool:
        if not self._info.abilities.get_capacity:
            return True
        request = csi.GetCapacityRequest(parameters=storage_class.parameters)
        if self._info.place:
            request.accessible_topology.segments.update(self._info.place)
        try:
            answer = await self._driver.call(
                methods.GET_CAPACITY, request, timeout_seconds=self._options.timeout_seconds
            )
        except CallFailed as failed:
            log.warning("room on this node is not known", pvc=claim.key, err=str(failed))
            return False
        wanted = claim.request.whole_units()
        largest = answer.maximum_volume_size.value if answer.HasField("maximum_volume_size") else wanted
        return wanted <= min(answer.available_capacity, largest)

    async def _take(self, claim: Claim) -> None:
        document = claim.document()
        document["metadata"].setdefault("annotations", {})[SELECTED_NODE] = self._options.node
        try:
            self._claims.put(await self._client.replace(CLAIMS, document))
        except ApiFailure as failure:
            if failure.is_conflict or failure.names_as_not_found(PERSISTENT_VOLUME_CLAIMS, claim.name):
                log.debug("another node was first", pvc=claim.key)
                self._wait_again(claim.uid)  # unless it is another's by then (ND-2)
                return
            raise
        log.info("claim taken for this node", pvc=claim.key, node=self._options.node, rule="ND-2")
        self._come_back(claim.uid, 0.0)
