"""Pods that nobody will end any more: their node is gone, they never had one, or too many are over.

PODGC-1  A pod goes with its node only after the node is proven to be gone (PROOF-1), a while after it went: a node that
         registers anew keeps its pods. First the pod is told Failed, with the condition ``DisruptionTarget``.
PODGC-2  A pod that is being deleted and has no node goes at once: no kubelet will end it. The DELETE names its uid and
         revision, so that one which is placed meanwhile stays.
PODGC-3  Of pods that are over, 12 500 are kept, as by the reference's default; the oldest of the others go. The DELETE
         names the uid.
PODGC-4  Nothing is asked while nothing happens.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Change, Deleted
from pvbinder.kube.kinds import NODES, PODS
from pvbinder.kube.proof import Gone, Present, Unproven, prove_gone
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.errors import PvbinderError
from pvbinder.model.objects import Node, NodeName, Pod, PodKey
from pvbinder.rules.node_troubles import failed_by, is_out_of_service, over_threshold

UNKNOWN_NODE_SECONDS: Final = 40.0  # the reference's quarantine: a node may be about to register
GONE_NODE_SECONDS: Final = 5.0  # for a node that we saw going
NODE_IS_GONE: Final = "PodGC: node no longer exists"
OVER_KEPT_MAX: Final = 12_500  # --terminated-pod-gc-threshold
OVER: Final = "pods that are over"

log = logs.get(__name__)


class NodeUnproven(PvbinderError):  # noqa: N818  (the queue brings the node back)
    """Nobody can say for sure whether a node is gone: its pods stay."""


class PodGarbageCollector:
    """Deletes pods that nobody else will; `run()` it as a task that somebody owns, with the informers beside it."""

    name = "pod-garbage-collector-controller"

    def __init__(
        self,
        context: ControllerContext,
        *,
        now: Callable[[], datetime] | None = None,
        over_kept_max: int = OVER_KEPT_MAX,
    ) -> None:
        self._client = context.client
        self._now = now or context.now
        self._threshold = over_kept_max
        self._pods = context.informers.of(PODS)
        self._nodes = context.informers.of(NODES)
        self._pods_by_node = self._pods.add_index("node", _node_of)
        self._over: set[PodKey] = set()
        self._gone: set[NodeName] = set()  # seen going
        history = context.informers.history
        self._node_queue: WorkQueue[NodeName] = WorkQueue(
            "podgc nodes",
            self._sync_node,
            history=history,
            failure_message="could not end the pods of a node that is gone",
            key_field="node",
        )
        self._pod_queue: WorkQueue[PodKey] = WorkQueue(
            "podgc pods",
            self._sync_pod,
            history=history,
            failure_message="could not delete a pod without a node",
            key_field="pod",
        )
        self._over_queue: WorkQueue[str] = WorkQueue(
            "podgc over", self._sync_over, history=history, failure_message="could not delete pods that are over"
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queues."""
        for queue in (self._node_queue, self._pod_queue, self._over_queue):
            yield queue.statistics()

    async def run(self) -> None:
        """Collect until cancelled."""
        for informer in (self._pods, self._nodes):
            await informer.wait_synced()
        self._nodes.add_handler(self._on_node)
        self._pods.add_handler(self._on_pod)
        async with asyncio.TaskGroup() as group:
            for queue in (self._node_queue, self._pod_queue, self._over_queue):
                group.create_task(queue.run(), name=queue.name)

    # -- what wakes whom

    def _on_node(self, change: Change[Node]) -> None:
        node = change.object
        if isinstance(change, Deleted):
            if node.key in self._pods_by_node:
                self._gone.add(node.key)
                self._node_queue.add_after(node.key, GONE_NODE_SECONDS)
            return
        self._gone.discard(node.key)
        self._node_queue.give_up(node.key)
        if node.key in self._pods_by_node and is_out_of_service(node):
            self._node_queue.add(node.key)

    def _on_pod(self, change: Change[Pod]) -> None:
        pod = change.object
        if isinstance(change, Deleted):
            self._over.discard(pod.key)
            self._pod_queue.give_up(pod.key)
            return
        if pod.phase in ("Succeeded", "Failed"):
            self._over.add(pod.key)
            if 0 < self._threshold < len(self._over):
                self._over_queue.add(OVER)
        if not pod.is_scheduled:
            if pod.is_deleting:
                self._pod_queue.add(pod.key)
            return
        node = self._nodes.get(pod.node_name)
        name = NodeName(pod.node_name)
        if node is None:
            self._node_queue.add_after(name, GONE_NODE_SECONDS if name in self._gone else UNKNOWN_NODE_SECONDS)
        elif pod.is_deleting and is_out_of_service(node):
            self._node_queue.add(name)

    # -- the work

    async def _sync_node(self, name: NodeName) -> None:
        node = self._nodes.get(name)
        if node is not None:
            if is_out_of_service(node):
                for pod in self._pods_by_node[name]:
                    if pod.is_deleting:
                        await self._end(pod, "DeletionByPodGC", "PodGC: node is out-of-service")
            return
        pods = sorted(self._pods_by_node[name], key=lambda pod: pod.key)  # so that a rehearsal does the same
        if not pods:
            self._gone.discard(name)
            return
        match await prove_gone(self._client, NODES, name, known_revision=self._nodes.resource_version):
            case Present(object=found):
                self._nodes.correct(found)
                return
            case Unproven(why=why):
                raise NodeUnproven(f"nobody knows whether node {name!r} is gone: {why}")
            case Gone():
                pass
        for pod in pods:
            if name in self._nodes:
                return  # it has come back meanwhile
            await self._end(pod, "DeletionByPodGC", NODE_IS_GONE)

    async def _end(self, pod: Pod, reason: str, message: str) -> None:
        if pod.phase not in ("Succeeded", "Failed"):
            change = failed_by(pod, reason, message, self._now())
            change["status"]["phase"] = "Failed"
            try:
                await self._client.patch(
                    PODS, pod.name, pod.namespace, change, patch_type="strategic", subresource="status"
                )
            except ApiFailure as failure:
                if failure.names_as_not_found(PODS.resource, pod.name):
                    return
                raise
        await self._delete(pod)

    async def _sync_pod(self, key: PodKey) -> None:
        pod = self._pods.get(key)
        if pod is not None and pod.is_deleting and not pod.is_scheduled and not pod.is_shut_down:
            await self._delete(pod, resource_version=pod.resource_version)

    async def _sync_over(self, _key: str) -> None:
        pods = [pod for key in self._over if (pod := self._pods.get(key)) is not None]
        for pod in over_threshold(pods, self._threshold):
            if not pod.is_deleting:
                await self._delete(pod)

    async def _delete(self, pod: Pod, resource_version: str = "") -> None:
        try:
            await self._client.delete(
                PODS, pod.name, pod.namespace, uid=pod.uid, resource_version=resource_version, grace_seconds=0
            )
        except ApiFailure as failure:
            if not failure.names_as_not_found(PODS.resource, pod.name):
                raise
            return
        log.info("pod without a keeper deleted", pod=pod.key, node=pod.node_name)


def _node_of(pod: Pod) -> tuple[str, ...]:
    return (pod.node_name,) if pod.node_name else ()
