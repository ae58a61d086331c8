"""Nodes have the taints that their conditions and cordons ask for.

LIFECYCLE-1  A node that isn't ready, under pressure or cordoned is tainted; when the reason goes, so does the taint.
             Taints that somebody else put there stay.
LIFECYCLE-2  A node that becomes not ready is told as an event.

Heartbeats aren't watched: who plays a node's kubelet says itself whether it is ready. Everything belongs to the loop's
thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.events import Subject
from pvbinder.kube.informer import Change, Deleted, Updated
from pvbinder.kube.kinds import NODES
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.objects import Node, NodeName
from pvbinder.rules.node_troubles import condition_status, with_wanted_taints

EVENT_SOURCE: Final = "node-controller"

log = logs.get(__name__)


class NodeLifecycle:
    """Taints nodes by condition; `run()` it as a task that somebody owns, with the informers running beside it."""

    name = "node-lifecycle-controller"

    def __init__(self, context: ControllerContext, *, now: Callable[[], datetime] | None = None) -> None:
        self._client = context.client
        self._now = now or context.now
        self._recorder = context.recorder(EVENT_SOURCE)
        self._nodes = context.informers.of(NODES)
        self._queue: WorkQueue[NodeName] = WorkQueue(
            "node lifecycle",
            self._sync,
            history=context.informers.history,
            failure_message="could not taint node",
            key_field="node",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Taint until cancelled."""
        await self._nodes.wait_synced()
        self._nodes.add_handler(self._on_node)
        await self._queue.run()

    def _on_node(self, change: Change[Node]) -> None:
        node = change.object
        if isinstance(change, Deleted):
            self._queue.give_up(node.key)
            return
        self._queue.add(node.key)
        if isinstance(change, Updated) and _is_ready(change.before) and not _is_ready(node):
            subject = Subject.of(NODES.resource, node)
            message = f"Node {node.name} status is now: NodeNotReady"
            self._recorder.event(subject, "Normal", "NodeNotReady", message)

    async def _sync(self, name: NodeName) -> None:
        node = self._nodes.get(name)
        document = with_wanted_taints(node.document(), self._now()) if node is not None else None
        if document is None:
            return
        try:
            self._nodes.put(await self._client.replace(NODES, document))
        except ApiFailure as failure:
            if not failure.names_as_not_found(NODES.resource, name):
                raise
            return
        log.info("taints of node changed", node=name)


def _is_ready(node: Node) -> bool:
    return condition_status(node.document(), "Ready") == "True"
