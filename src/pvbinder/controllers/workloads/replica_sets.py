"""The loop of the ReplicaSet controller in small: as many pods as wanted, adopted, made or ended.

REPLICAS-1  A set has as many pods that aren't over as it wants; pods with its labels that nobody controls are its own.
REPLICAS-2  Pods are ended in the reference's order: those that do the least work go first.
REPLICAS-3  Pods are ended only after the set itself, read live, is the one that was decided about.
REPLICAS-4  The status follows the pods and is written only when it changes; nothing is asked while nothing happens.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.workloads.dependents import Dependents, check_is_current
from pvbinder.controllers.workloads.pod_control import PodControl
from pvbinder.controllers.workloads.statuses import write_status
from pvbinder.kube.client import Kind
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.events import Subject
from pvbinder.kube.informer import Change, Deleted
from pvbinder.kube.kinds import PODS
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.objects import Pod
from pvbinder.model.pod_details import is_active
from pvbinder.model.workloads import REPLICA_SETS as RESOURCE
from pvbinder.model.workloads import Workload, WorkloadKey, number, parse_workload
from pvbinder.rules.adoption import selects
from pvbinder.rules.pod_templates import controller_reference, pod_of_template
from pvbinder.rules.replica_sets import decide_replicas, replica_set_status, seconds_to_look_again

EVENT_SOURCE: Final = "replicaset-controller"
REPLICA_SETS: Final[Kind[Workload]] = Kind(RESOURCE, parse_workload)
CONCURRENT_SYNCS_MAX: Final = 5  # --concurrent-replicaset-syncs


class ReplicaSets:
    """Keeps replica sets as wanted; `run()` it as a task that somebody owns, with the informers running beside it."""

    name = "replicaset-controller"

    def __init__(self, context: ControllerContext, *, now: Callable[[], datetime] | None = None) -> None:
        self._client = context.client
        self._now = now or context.now
        self._sets = context.informers.of(REPLICA_SETS)
        self._pods = context.informers.of(PODS)
        self._control = PodControl(self._client, self._pods, context.recorder(EVENT_SOURCE))
        self._own = Dependents(self._client, self._sets, self._pods, self._wake)
        self._queue: WorkQueue[WorkloadKey] = WorkQueue(
            "replicaset",
            self._sync,
            history=context.informers.history,
            concurrency=CONCURRENT_SYNCS_MAX,
            failure_message="could not sync replica set",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Keep replica sets as wanted until cancelled."""
        for informer in (self._sets, self._pods):
            await informer.wait_synced()
        self._control.follow()
        self._sets.add_handler(self._on_set)
        self._own.follow()
        await self._queue.run()

    def _wake(self, replica_set: Workload) -> None:
        self._queue.add(replica_set.key)

    def _on_set(self, change: Change[Workload]) -> None:
        if not isinstance(change, Deleted):
            self._queue.add(change.object.key)

    async def _sync(self, key: WorkloadKey) -> None:
        replica_set = self._sets.get(key)
        if replica_set is None:
            return
        failure: tuple[str, str] | None = None
        problem: ApiFailure | None = None
        await self._own.claim(replica_set)
        try:
            await self._manage(replica_set)
        except ApiFailure as failed:
            problem, failure = failed, ("FailedCreate", failed.message)
        now = self._now()
        own = self._selected(replica_set)
        active = [pod for pod in own if self._is_active(pod)]
        leaving = sum(self._control.is_leaving(pod) and pod.phase not in ("Succeeded", "Failed") for pod in own)
        status = replica_set_status(replica_set, active, leaving, now, failure)
        await write_status(self._client, self._sets, replica_set, status)
        seconds = seconds_to_look_again(active, number(replica_set.spec, "minReadySeconds"), now)
        if seconds is not None:
            self._queue.add_after(key, seconds)
        if problem is not None:
            raise problem

    async def _manage(self, replica_set: Workload) -> None:
        active = [pod for pod in self._selected(replica_set) if self._is_active(pod)]
        wanted = decide_replicas(replica_set, active)
        subject = Subject.of(RESOURCE, replica_set)
        template = replica_set.spec.get("template") or {}
        owner = controller_reference(RESOURCE, replica_set.name, replica_set.uid)
        for _ in range(wanted.create):
            document = pod_of_template(template, replica_set.namespace, owner, prefix=f"{replica_set.name}-")
            if await self._control.create(subject, document) is None:
                return
        if wanted.delete:
            await check_is_current(self._client, self._sets, replica_set)
        for pod in wanted.delete:
            await self._control.delete(subject, pod)

    def _selected(self, replica_set: Workload) -> list[Pod]:
        own = self._own.controlled_by(replica_set)
        return [pod for pod in own if selects(replica_set.selector, pod.labels)]

    def _is_active(self, pod: Pod) -> bool:
        return is_active(pod) and not self._control.is_leaving(pod)
