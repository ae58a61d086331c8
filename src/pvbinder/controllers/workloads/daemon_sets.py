"""The loop of the DaemonSet controller in small: a pod on each node that should have one.

DAEMONS-1  Each node that fits has a pod; one that comes gets it, one that doesn't fit any more loses it.
DAEMONS-2  A new template is kept as a revision and replaces the pods within ``maxUnavailable`` or ``maxSurge``; with
           OnDelete when somebody deletes them.
DAEMONS-3  Pods are ended only after the set itself, read live, is the one that was decided about.
DAEMONS-4  The status is written only when it changes; nothing is asked while nothing happens.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.workloads.dependents import Dependents, check_is_current
from pvbinder.controllers.workloads.pod_control import PodControl
from pvbinder.controllers.workloads.revisions import REVISIONS, RevisionHistory
from pvbinder.controllers.workloads.statuses import write_status
from pvbinder.kube.client import Kind
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.events import Subject
from pvbinder.kube.informer import Change, Deleted, Updated
from pvbinder.kube.kinds import NODES, PODS
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.objects import Node, Pod
from pvbinder.model.scheduling import state_of
from pvbinder.model.workloads import DAEMON_SETS as RESOURCE
from pvbinder.model.workloads import Workload, WorkloadKey, number, parse_workload
from pvbinder.rules.daemon_sets import HASH_LABEL, daemon_pod, daemon_status, decide_daemon_set, node_of
from pvbinder.rules.replica_sets import seconds_to_look_again
from pvbinder.rules.revisions import LIMIT_DEFAULT, Recorded

EVENT_SOURCE: Final = "daemonset-controller"
DAEMON_SETS: Final[Kind[Workload]] = Kind(RESOURCE, parse_workload)
CONCURRENT_SYNCS_MAX: Final = 2  # --concurrent-daemonset-syncs


class DaemonSets:
    """Keeps daemon sets as wanted; `run()` it as a task that somebody owns, with the informers running beside it."""

    name = "daemonset-controller"

    def __init__(self, context: ControllerContext, *, now: Callable[[], datetime] | None = None) -> None:
        self._client = context.client
        self._now = now or context.now
        self._recorder = context.recorder(EVENT_SOURCE)
        self._sets = context.informers.of(DAEMON_SETS)
        self._pods = context.informers.of(PODS)
        self._nodes = context.informers.of(NODES)
        self._control = PodControl(self._client, self._pods, self._recorder)
        self._own = Dependents(self._client, self._sets, self._pods, self._wake)
        self._revisions = context.informers.of(REVISIONS)
        self._history = RevisionHistory(self._client, self._sets, self._revisions, self._wake)
        self._queue: WorkQueue[WorkloadKey] = WorkQueue(
            "daemonset",
            self._sync,
            history=context.informers.history,
            concurrency=CONCURRENT_SYNCS_MAX,
            failure_message="could not sync daemon set",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Keep daemon sets as wanted until cancelled."""
        for informer in (self._sets, self._pods, self._nodes, self._revisions):
            await informer.wait_synced()
        self._control.follow()
        self._sets.add_handler(self._on_set)
        self._own.follow()
        self._history.follow()
        self._nodes.add_handler(self._on_node)
        await self._queue.run()

    def _wake(self, daemon_set: Workload) -> None:
        self._queue.add(daemon_set.key)

    def _on_set(self, change: Change[Workload]) -> None:
        if isinstance(change, Deleted):
            self._queue.give_up(change.object.key)
        else:
            self._queue.add(change.object.key)

    def _on_node(self, change: Change[Node]) -> None:
        if isinstance(change, Updated) and _matters(change.before) == _matters(change.object):
            return
        for daemon_set in self._sets:
            self._queue.add(daemon_set.key)

    async def _sync(self, key: WorkloadKey) -> None:
        daemon_set = self._sets.get(key)
        if daemon_set is None:
            return
        await self._own.claim(daemon_set)
        revisions = await self._history.claim(daemon_set)
        if daemon_set.is_deleting:
            return
        try:
            update = await self._history.record(self._recorded(daemon_set), revisions)
        except ApiFailure as failure:
            if failure.is_namespace_terminating:
                return
            raise
        revision_hash = update.labels.get(HASH_LABEL, "")
        problem: ApiFailure | None = None
        try:
            await self._manage(daemon_set, revision_hash)
        except ApiFailure as failed:
            problem = failed
        now, nodes, pods = self._now(), list(self._nodes), self._by_node(daemon_set)
        status = daemon_status(daemon_set, nodes, pods, revision_hash, now)
        await write_status(self._client, self._sets, daemon_set, status)
        everywhere = [pod for here in pods.values() for pod in here]
        seconds = seconds_to_look_again(everywhere, number(daemon_set.spec, "minReadySeconds"), now)
        if seconds is not None:
            self._queue.add_after(key, seconds)
        if problem is not None:
            raise problem
        hashes = {pod.labels.get(HASH_LABEL, "") for pod in self._own.controlled_by(daemon_set)}
        in_use = {one.name for one in revisions if one.labels.get(HASH_LABEL, "") in hashes} | {update.name}
        limit = number(daemon_set.spec, "revisionHistoryLimit", LIMIT_DEFAULT)
        await self._history.truncate(daemon_set, revisions, in_use, limit)

    def _recorded(self, daemon_set: Workload) -> Recorded:
        return Recorded(
            RESOURCE,
            daemon_set.name,
            daemon_set.namespace,
            daemon_set.uid,
            daemon_set.annotations,
            daemon_set.spec.get("template") or {},
            HASH_LABEL,
            number(daemon_set.status, "collisionCount"),
        )

    def _by_node(self, daemon_set: Workload) -> dict[str, list[Pod]]:
        """Its pods by the node that each is on or meant for; one that is leaving still takes up its node."""
        found: dict[str, list[Pod]] = {}
        for pod in self._own.controlled_by(daemon_set):
            found.setdefault(node_of(pod), []).append(pod)
        return found

    async def _manage(self, daemon_set: Workload, revision_hash: str) -> None:
        pods = self._by_node(daemon_set)
        plan = decide_daemon_set(daemon_set, list(self._nodes), pods, revision_hash, self._now())
        subject = Subject.of(RESOURCE, daemon_set)
        doomed = [pod for pod in plan.delete if not self._control.is_leaving(pod)]
        if doomed:
            await check_is_current(self._client, self._sets, daemon_set)
        for pod in plan.over:
            if pod in doomed:
                what = "failed" if pod.phase == "Failed" else "succeeded"
                message = f"Found {what} daemon pod {pod.key} on node {pod.node_name}, will try to kill it"
                reason = "FailedDaemonPod" if pod.phase == "Failed" else "SucceededDaemonPod"
                self._recorder.event(subject, "Warning" if pod.phase == "Failed" else "Normal", reason, message)
        for pod in doomed:
            await self._control.delete(subject, pod)
        for node in plan.create:
            if await self._control.create(subject, daemon_pod(daemon_set, node, revision_hash)) is None:
                return


def _matters(node: Node) -> tuple[object, ...]:
    """The fields of a node that may change whether it gets a pod."""
    return (node.labels, state_of(node))
