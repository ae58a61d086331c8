"""The loop of the disruption controller in small: the status of each PodDisruptionBudget, which evictions ask.

BUDGETS-1  The status follows the pods and what their controllers want; it is written only when it changes.
BUDGETS-2  Nothing is asked while nothing happens.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.stateful_sets import STATEFUL_SETS
from pvbinder.controllers.workloads.deployments import DEPLOYMENTS
from pvbinder.controllers.workloads.replica_sets import REPLICA_SETS
from pvbinder.controllers.workloads.statuses import write_status
from pvbinder.kube.client import Kind
from pvbinder.kube.events import Subject
from pvbinder.kube.informer import Change, Deleted, Updated
from pvbinder.kube.kinds import PODS
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.objects import OwnerReference, Pod
from pvbinder.model.selectors import SelectorError
from pvbinder.model.stateful_sets import StatefulSet
from pvbinder.model.workloads import DISRUPTION_BUDGETS as RESOURCE
from pvbinder.model.workloads import Workload, WorkloadKey, parse_workload
from pvbinder.rules.disruption_budgets import Unreckonable, budget_status, expected_of, seconds_to_next_look

EVENT_SOURCE: Final = "controllermanager"  # the reference's disruption controller calls itself so
BUDGETS: Final[Kind[Workload]] = Kind(RESOURCE, parse_workload)


class DisruptionBudgets:
    """Reckons budgets; `run()` it as a task that somebody owns, with the informers running beside it."""

    name = "disruption-controller"

    def __init__(self, context: ControllerContext, *, now: Callable[[], datetime] | None = None) -> None:
        self._client = context.client
        self._now = now or context.now
        self._recorder = context.recorder(EVENT_SOURCE)
        informers = context.informers
        self._budgets = informers.of(BUDGETS)
        self._pods = informers.of(PODS)
        self._replica_sets = informers.of(REPLICA_SETS)
        self._deployments = informers.of(DEPLOYMENTS)
        self._stateful_sets = informers.of(STATEFUL_SETS)
        self._by_namespace = self._budgets.add_index("namespace", lambda budget: (budget.namespace,))
        self._pods_by_namespace = self._pods.add_index("namespace", lambda pod: (pod.namespace,))
        self._queue: WorkQueue[WorkloadKey] = WorkQueue(
            "disruption",
            self._sync,
            history=informers.history,
            failure_message="could not reckon disruption budget",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Reckon budgets until cancelled."""
        for informer in (self._budgets, self._pods, self._replica_sets, self._deployments, self._stateful_sets):
            await informer.wait_synced()
        self._budgets.add_handler(self._on_budget)
        self._pods.add_handler(self._on_pod)
        self._replica_sets.add_handler(self._on_workload)
        self._deployments.add_handler(self._on_workload)
        self._stateful_sets.add_handler(self._on_workload)
        await self._queue.run()

    def _on_budget(self, change: Change[Workload]) -> None:
        if isinstance(change, Deleted):
            self._queue.give_up(change.object.key)
        else:
            self._queue.add(change.object.key)

    def _on_pod(self, change: Change[Pod]) -> None:
        for budget in self._by_namespace[change.object.namespace]:
            was_selected = isinstance(change, Updated) and _selects(budget, change.before)
            if was_selected or _selects(budget, change.object):
                self._queue.add(budget.key)

    def _on_workload(self, change: Change[Workload] | Change[StatefulSet]) -> None:
        if isinstance(change, Updated) and change.before.replicas == change.object.replicas:
            return
        for budget in self._by_namespace[change.object.namespace]:
            self._queue.add(budget.key)

    async def _sync(self, key: WorkloadKey) -> None:
        budget = self._budgets.get(key)
        if budget is None:
            return
        now = self._now()
        pods = [pod for pod in self._pods_by_namespace[budget.namespace] if _selects(budget, pod)]
        expected = expected_of(budget, pods, self._find_scale)
        subject = Subject.of(RESOURCE, budget)
        if not pods:
            self._recorder.event(subject, "Normal", "NoPods", "No matching pods found")
        if isinstance(expected, Unreckonable):
            message = f"Failed to calculate the number of expected pods: {expected.why}"
            self._recorder.event(subject, "Warning", "CalculateExpectedPodCountFailed", message)
        await write_status(self._client, self._budgets, budget, budget_status(budget, pods, expected, now))
        seconds = seconds_to_next_look(budget, now)
        if seconds is not None:
            self._queue.add_after(key, seconds)

    def _find_scale(self, namespace: str, controller: OwnerReference) -> tuple[str, int] | None:
        """The pods that a pod's controller wants: a deployment's number counts for its replica sets."""
        key = f"{namespace}/{controller.name}"
        found: Workload | StatefulSet | None = None
        match controller.kind:
            case "ReplicaSet":
                found = self._replica_sets.get(key)
                above = found.controller if found is not None else None
                if above is not None and above.kind == "Deployment":
                    return self._find_scale(namespace, above)
            case "Deployment":
                found = self._deployments.get(key)
            case "StatefulSet":
                found = self._stateful_sets.get(key)
        if found is None or found.uid != controller.uid:
            return None
        return found.uid, found.replicas


def _selects(budget: Workload, pod: Pod) -> bool:
    """Whether the budget is about the pod; an empty selector is about all of the namespace."""
    try:
        return budget.selector is not None and budget.selector.matches(pod.labels)
    except SelectorError:
        return False
