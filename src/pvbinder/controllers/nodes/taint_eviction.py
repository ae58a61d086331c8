"""Ends pods on nodes with NoExecute taints that they don't tolerate, or don't tolerate any longer.

EVICTION-1  A pod that doesn't tolerate a taint is deleted at once, one that tolerates it for a time after that time,
            counted from when the taint was put there or first seen; when the taint goes in time, it stays.
EVICTION-2  Directly before, the node is read live: only a taint that is there, and a pod that is on it, count. The
            DELETE names the pod's uid.
EVICTION-3  Events tell it: ``Marking for deletion Pod …``, ``Cancelling deletion of Pod …``.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.events import Subject
from pvbinder.kube.informer import Change, Deleted
from pvbinder.kube.kinds import NODES, PODS
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.objects import Node, Pod, PodKey
from pvbinder.rules.node_troubles import executing_taints, failed_by, seconds_until_eviction
from pvbinder.rules.pod_status import parse_time

EVENT_SOURCE: Final = "taint-eviction-controller"
REASON: Final = "TaintManagerEviction"
CONCURRENT_EVICTIONS_MAX: Final = 8

log = logs.get(__name__)


class TaintEviction:
    """Evicts by taint; `run()` it as a task that somebody owns, with the informers running beside it."""

    name = "taint-eviction-controller"

    def __init__(self, context: ControllerContext, *, now: Callable[[], datetime] | None = None) -> None:
        self._client = context.client
        self._now = now or context.now
        self._recorder = context.recorder(EVENT_SOURCE)
        self._pods = context.informers.of(PODS)
        self._nodes = context.informers.of(NODES)
        self._pods_by_node = self._pods.add_index("node", _node_of)
        self._marked: dict[PodKey, str] = {}  # uid of those that will go
        self._seen: dict[str, dict[tuple[str, str], datetime]] = {}  # by uid: taints without a time of theirs
        self._queue: WorkQueue[PodKey] = WorkQueue(
            "taint eviction",
            self._sync,
            history=context.informers.history,
            concurrency=CONCURRENT_EVICTIONS_MAX,
            failure_message="could not evict pod",
            key_field="pod",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Evict until cancelled."""
        for informer in (self._pods, self._nodes):
            await informer.wait_synced()
        self._nodes.add_handler(self._on_node)
        self._pods.add_handler(self._on_pod)
        await self._queue.run()

    def _on_node(self, change: Change[Node]) -> None:
        for pod in sorted(self._pods_by_node[change.object.key], key=lambda each: each.key):
            if isinstance(change, Deleted) or executing_taints(change.object) or pod.key in self._marked:
                self._queue.add(pod.key)

    def _on_pod(self, change: Change[Pod]) -> None:
        pod = change.object
        if isinstance(change, Deleted):
            self._marked.pop(pod.key, None)
            self._seen.pop(pod.uid, None)
            self._queue.give_up(pod.key)
            return
        node = self._nodes.get(pod.node_name) if pod.is_scheduled else None
        if node is not None and executing_taints(node):
            self._queue.add(pod.key)

    async def _sync(self, key: PodKey) -> None:
        pod = self._pods.get(key)
        if pod is None or pod.is_deleting or not pod.is_scheduled:
            self._marked.pop(key, None)
            return
        node = self._nodes.get(pod.node_name)
        seconds = self._seconds_left(pod, node) if node is not None else None
        if seconds is None:
            self._seen.pop(pod.uid, None)
            if self._marked.pop(key, None) == pod.uid:
                self._tell(pod, f"Cancelling deletion of Pod {pod.key}")
            return
        if seconds > 0:
            self._marked[key] = pod.uid
            self._queue.add_after(key, seconds)
            return
        live = await self._client.get(NODES, pod.node_name)
        left = self._seconds_left(pod, live)
        if left is None or left > 0:
            self._nodes.correct(live)
            self._queue.add(key)
            return
        await self._evict(pod)

    def _seconds_left(self, pod: Pod, node: Node) -> float | None:
        """How long `pod` may still stay; None for ever. Each taint counts from when it was put there."""
        now = self._now()
        added = _times(node)
        left = []
        for taint in executing_taints(node):
            seconds = seconds_until_eviction(pod, (taint,))
            if seconds is not None:
                taint_id = (taint.key, taint.effect)
                since = added.get(taint_id) or self._seen.setdefault(pod.uid, {}).setdefault(taint_id, now)
                left.append(seconds - max((now - since).total_seconds(), 0.0))
        return min(left, default=None)

    async def _evict(self, pod: Pod) -> None:
        self._tell(pod, f"Marking for deletion Pod {pod.key}")
        message = "Taint manager: deleting due to NoExecute taint"
        change = failed_by(pod, "DeletionByTaintManager", message, self._now())
        try:
            await self._client.patch(
                PODS, pod.name, pod.namespace, change, patch_type="strategic", subresource="status"
            )
            await self._client.delete(PODS, pod.name, pod.namespace, uid=pod.uid)
        except ApiFailure as failure:
            if not failure.names_as_not_found(PODS.resource, pod.name):
                raise
            return
        self._marked.pop(pod.key, None)
        log.info("pod evicted by taint", pod=pod.key, node=pod.node_name)

    def _tell(self, pod: Pod, message: str) -> None:
        self._recorder.event(Subject.of(PODS.resource, pod), "Normal", REASON, message)


def _times(node: Node) -> dict[tuple[str, str], datetime]:
    """When the taints of `node` were put there, as far as they tell."""
    taints = (node.document().get("spec") or {}).get("taints") or []
    times = {(one.get("key", ""), one.get("effect", "")): parse_time(one.get("timeAdded")) for one in taints}
    return {taint: time for taint, time in times.items() if time is not None}


def _node_of(pod: Pod) -> tuple[str, ...]:
    return (pod.node_name,) if pod.node_name else ()
