"""Pods get their nodes here: decide, reserve, have the claims bound, assign.

SCHEDULER-1  Only pods that name this scheduler, have no node, no gate, and are not going are touched.
SCHEDULER-2  A volume goes to one claim: it is reserved in memory before the first write, and reserved on the server
             (claim reference, ``bound-by-controller``) before the pod gets its node.
SCHEDULER-3  The pod gets its node only after all its claims are bound there; until then its claims carry the choice
             (reserved volume or ``selected-node``), so that a restart goes on with the same node.
SCHEDULER-4  A choice that can't become true any more (the provisioner took ``selected-node`` away, the volume went to
             somebody else, the time is over) is given up, told as an event, and made anew, another node first.
SCHEDULER-5  Told once: the same failure is one event and one condition, however often it is found again.
SCHEDULER-6  It reacts to what may help a waiting pod - nodes, claims, volumes, classes, capacity, pods that end - and
             asks the server nothing while nothing happens.

Not promised: fairness between pods, priorities, preemption. Everything belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NoReturn, TypeVar, assert_never

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.scheduler.caches import AssumedPod, SchedulerCaches
from pvbinder.kube.answers import check_is_object
from pvbinder.kube.client import KubernetesObject
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.events import Subject
from pvbinder.kube.informer import Added, Change, Deleted, Updated
from pvbinder.kube.kinds import CLAIMS, PODS, VOLUMES
from pvbinder.kube.queue import QueueStatistics, RateLimits, WorkQueue
from pvbinder.kube.transport import Request
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json, encode
from pvbinder.model.names import SELECTED_NODE
from pvbinder.model.objects import Claim, Node, NodeName, Pod, PodKey, Volume
from pvbinder.model.resources import PODS as POD_RESOURCE
from pvbinder.model.scheduling import DEFAULT_SCHEDULER, state_of
from pvbinder.rules.binding import with_claim
from pvbinder.rules.scheduling import (
    BindPod,
    ChooseAgain,
    LeaveAlone,
    Place,
    PodDecision,
    Unschedulable,
    WaitForClaims,
    decide_pod,
    decide_progress,
    is_ours,
)

EVENT_SOURCE: Final = DEFAULT_SCHEDULER
BIND_TIMEOUT_SECONDS: Final = 600.0  # as the reference's VolumeBinding plugin waits
CONCURRENT_SYNCS_MAX: Final = 16
BINDING_VOLUMES: Final = 'running PreBind plugin "VolumeBinding": binding volumes: '  # how the reference begins
LIMITS: Final = RateLimits(first_seconds=0.1, most_seconds=10.0)

T = TypeVar("T", bound=KubernetesObject)
log = logs.get(__name__)


class PlacementFailed(PvbinderError):  # noqa: N818  (the queue brings the pod back)
    """The node that was chosen for a pod can't be kept."""


@dataclass(frozen=True, slots=True)
class SchedulerStatistics:
    """The work that the scheduler has, and has done."""

    waiting: int  # pods for which there is no node
    assumed: int  # pods whose claims are on their way
    placed: int  # since the start
    queue: QueueStatistics


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A pod for which there is no node now."""

    message: str
    waits_for: frozenset[str]


def _shown(decision: PodDecision) -> dict[str, str]:
    """Return the fields of a log line about `decision`."""
    match decision:
        case Place(fit=fit):
            volumes = ",".join(pairing.volume for pairing in fit.pairings)
            return {"decision": "Place", "node": fit.node, **({"pv": volumes} if volumes else {})}
        case Unschedulable(message=message):
            return {"decision": "Unschedulable", "reason": message}
        case LeaveAlone():
            return {"decision": "LeaveAlone"}
        case _:
            assert_never(decision)


class Scheduler:
    """Gives pods their nodes; `run()` it as a task that somebody owns, with the informers running beside it."""

    name = "scheduler"

    def __init__(
        self,
        context: ControllerContext,
        *,
        scheduler_name: str = DEFAULT_SCHEDULER,
        bind_timeout_seconds: float = BIND_TIMEOUT_SECONDS,
        crowd: Mapping[str, int] | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """Make it; `crowd` counts pods, by node, that are there and aren't among the objects."""
        self._client = context.client
        self._recorder = context.recorder(EVENT_SOURCE)
        self._scheduler_name = scheduler_name
        self._bind_timeout_seconds = bind_timeout_seconds
        self._now = now or context.now
        self._caches = SchedulerCaches(context.informers, crowd or {})
        self._waiting: dict[PodKey, _Waiting] = {}
        self._reported: dict[PodKey, tuple[str, str]] = {}  # uid and message of the last failure told (SCHEDULER-5)
        self._placed = 0
        self._queue: WorkQueue[PodKey] = WorkQueue(
            self.name,
            self._sync,
            history=context.informers.history,
            concurrency=CONCURRENT_SYNCS_MAX,
            limits=LIMITS,
            failure_message="could not place pod",
            key_field="pod",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Place pods until cancelled."""
        caches = self._caches
        informers = (caches.pods, caches.nodes, caches.claims, caches.volumes, caches.classes)
        for informer in (*informers, caches.drivers, caches.capacities):
            await informer.wait_synced()
        caches.pods.add_handler(self._on_pod)
        caches.nodes.add_handler(self._on_node)
        caches.claims.add_handler(self._on_claim)
        caches.volumes.add_handler(self._on_volume)
        caches.classes.add_handler(self._wake_all)
        caches.drivers.add_handler(self._wake_all)
        caches.capacities.add_handler(self._wake_all)
        await self._queue.run()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done now; pods whose claims are on their way are not waited for."""
        await self._queue.wait_idle(delayed_too=False)

    def statistics(self) -> SchedulerStatistics:
        """The work that the scheduler has, and has done."""
        return SchedulerStatistics(
            len(self._waiting), self._caches.assumed_count, self._placed, self._queue.statistics()
        )

    # -- what wakes a pod (SCHEDULER-6)

    def _on_pod(self, change: Change[Pod]) -> None:
        pod = change.object
        if isinstance(change, Deleted) or not self._is_ours(pod):
            self._forget(pod.key)
        if isinstance(change, Deleted) or pod.phase in ("Succeeded", "Failed"):
            for key in pod.claim_keys:  # it may have been the one that has a claim to itself
                for user in self._caches.users_of(key):
                    self._wake(user.key)
            return
        if self._is_ours(pod) and not (isinstance(change, Updated) and self._is_only_status(change)):
            self._queue.add(pod.key)

    @staticmethod
    def _is_only_status(change: Updated[Pod]) -> bool:
        before, after = change.before.document(), change.object.document()
        return before.get("spec") == after.get("spec") and not after["metadata"].get("deletionTimestamp")

    def _is_ours(self, pod: Pod) -> bool:
        try:
            return is_ours(pod, self._scheduler_name)
        except PvbinderError as error:
            log.warning("pod can't be placed", pod=pod.key, err=error.message)
            return False

    def _on_node(self, change: Change[Node]) -> None:
        if isinstance(change, Updated):
            before, after = change.before, change.object
            if before.labels == after.labels and state_of(before) == state_of(after):
                return  # a heartbeat
        self._wake_all(change)

    def _on_claim(self, change: Change[Claim]) -> None:
        for pod in self._caches.users_of(change.object.key):
            self._wake(pod.key)

    def _on_volume(self, change: Change[Volume]) -> None:
        volume = change.object
        if volume.claim_key is not None:
            for pod in self._caches.users_of(volume.claim_key):
                self._wake(pod.key)
        elif isinstance(change, Added | Updated) and volume.phase == "Available":
            for key, waiting in list(self._waiting.items()):
                if volume.storage_class in waiting.waits_for:
                    self._queue.add(key)
        before = change.before.claim_key if isinstance(change, Updated) else None
        if before is not None and before != volume.claim_key:  # taken away from a claim
            for pod in self._caches.users_of(before):
                self._wake(pod.key)

    def _wake_all(self, _change: Change[T]) -> None:
        for key in list(self._waiting):
            self._queue.add(key)

    def _wake(self, key: PodKey) -> None:
        if key in self._waiting or self._caches.assumed_pod(key) is not None:
            self._queue.add(key)

    def _forget(self, key: PodKey) -> None:
        self._caches.forget(key)
        self._waiting.pop(key, None)
        self._reported.pop(key, None)
        self._queue.give_up(key)

    # -- one pod

    async def _sync(self, key: PodKey) -> None:
        pod = self._caches.pods.get(key)
        if pod is None or not self._is_ours(pod):
            self._forget(key)
            return
        assumed = self._caches.assumed_pod(key)
        if assumed is not None and assumed.pod_uid != pod.uid:
            self._caches.forget(key)
            assumed = None
        if assumed is None:
            assumed = await self._choose(pod)
        if assumed is not None and not assumed.is_bound:
            await self._bind(pod, assumed)

    async def _choose(self, pod: Pod) -> AssumedPod | None:
        decision = decide_pod(pod, list(self._caches.nodes), self._caches, self._scheduler_name)
        if log.shows_debug:
            log.debug("pod decided", pod=pod.key, **_shown(decision))
        match decision:
            case Place(fit=fit):
                self._waiting.pop(pod.key, None)
                deadline = asyncio.get_running_loop().time() + self._bind_timeout_seconds
                return self._caches.assume(pod, fit, deadline)
            case Unschedulable(message=message, waits_for=waits_for):
                self._waiting[pod.key] = _Waiting(message, waits_for)
                await self._report(pod, "Unschedulable", message)
            case LeaveAlone():
                self._waiting.pop(pod.key, None)
            case _:
                assert_never(decision)
        return None

    async def _bind(self, pod: Pod, assumed: AssumedPod) -> None:
        """Bring an assumed pod one step further: write the choice, or see what became of it."""
        if not assumed.is_written:
            try:
                await self._pre_bind(assumed)
            except ApiFailure as failure:
                await self._give_up(pod, BINDING_VOLUMES + failure.message)
            assumed.is_written = True
        if self._caches.assumed_pod(pod.key) is not assumed:
            return  # while we wrote, the pod went or got a node from somebody else
        progress = decide_progress(assumed.fit, self._caches.nodes.get(assumed.fit.node), self._caches)
        match progress:
            case BindPod():
                await self._write_binding(pod, assumed)
            case WaitForClaims(claims=claims):
                left_seconds = assumed.deadline - asyncio.get_running_loop().time()
                if left_seconds <= 0:
                    await self._give_up(pod, f"{BINDING_VOLUMES}context deadline exceeded")
                log.debug("pod waits for its claims", pod=pod.key, pvc=",".join(claims))
                self._queue.add_after(pod.key, left_seconds)
            case ChooseAgain(why=why):
                await self._give_up(pod, BINDING_VOLUMES + why)
            case _:
                assert_never(progress)

    async def _pre_bind(self, assumed: AssumedPod) -> None:
        """Reserve the volumes and set the node of the claims to provision (SCHEDULER-2, SCHEDULER-3)."""
        caches = self._caches
        for pairing in assumed.fit.pairings:
            claim, volume = caches.claim(pairing.claim), caches.volume(pairing.volume)
            if claim is None or volume is None:
                return  # `decide_progress` says what follows from that
            document = with_claim(volume, claim)
            if document is not None:
                caches.volumes.put(await self._client.replace(VOLUMES, document))
                log.info("volume reserved", pvc=claim.key, pv=volume.name, node=assumed.fit.node)
        for key in assumed.fit.provisions:
            claim = caches.claim(key)
            if claim is None:
                return
            if claim.selected_node is None:
                caches.claims.put(await self._client.replace(CLAIMS, with_selected_node(claim, assumed.fit.node)))
                log.info("node selected for claim", pvc=key, node=assumed.fit.node)

    async def _write_binding(self, pod: Pod, assumed: AssumedPod) -> None:
        node = assumed.fit.node
        body: Json = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        path = POD_RESOURCE.path(pod.namespace, pod.name, "binding")
        try:
            request = Request("POST", path, body=encode(body))
            check_is_object(await self._client.request("create", POD_RESOURCE, request, "binding"), "a binding")
        except ApiFailure as failure:
            if failure.names_as_not_found(POD_RESOURCE, pod.name):
                return  # the pod is gone, and with the news of that its reservations
            if failure.is_transient or failure.status in (200, 404):
                raise  # the outcome isn't known: the next try finds out (`_has_node`)
            if failure.is_conflict and await self._has_node(pod):
                return
            await self._give_up(pod, f"Binding rejected: {failure.message}")
        assumed.is_bound = True  # the watch tells when it shows; until then the assumed pod holds the volumes
        self._placed += 1
        self._recorder.event(
            Subject.of(POD_RESOURCE, pod), "Normal", "Scheduled", f"Successfully assigned {pod.key} to {node}"
        )
        log.info("pod placed", pod=pod.key, node=node)

    async def _has_node(self, pod: Pod) -> bool:
        """Look whether the pod has a node by now: from somebody else, or from us before a restart or a lost answer."""
        try:
            live = await self._client.get(PODS, pod.name, pod.namespace)
        except ApiFailure as failure:
            if failure.names_as_not_found(POD_RESOURCE, pod.name):
                return True
            raise
        self._caches.pods.put(live)
        return live.is_scheduled or live.uid != pod.uid

    async def _give_up(self, pod: Pod, message: str) -> NoReturn:
        """Forget the assumed pod, tell why and come back later (SCHEDULER-4)."""
        self._caches.forget_assumed(pod.key, in_vain=True)
        self._waiting[pod.key] = _Waiting("", frozenset())
        await self._report(pod, "SchedulerError", message)
        raise PlacementFailed(message)

    async def _report(self, pod: Pod, reason: str, message: str) -> None:
        """Tell that there is no node, as event and condition (SCHEDULER-5)."""
        if self._reported.get(pod.key) == (pod.uid, message):
            return
        self._reported[pod.key] = (pod.uid, message)
        self._recorder.event(Subject.of(POD_RESOURCE, pod), "Warning", "FailedScheduling", message)
        if has_condition(pod, reason, message):
            return
        condition: Json = {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": self._now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        change: Json = {"status": {"conditions": [condition]}}
        try:
            await self._client.patch(
                PODS, pod.name, pod.namespace, change, patch_type="strategic", subresource="status"
            )
        except ApiFailure as failure:
            if not failure.names_as_not_found(POD_RESOURCE, pod.name):
                self._reported.pop(pod.key, None)
                raise


def with_selected_node(claim: Claim, node: NodeName) -> Json:
    """Return the document of `claim` with `node` as the one to provision it for (DB-4)."""
    document = claim.document()
    annotations = document["metadata"]["annotations"] = document["metadata"].get("annotations") or {}
    annotations[SELECTED_NODE] = node
    return document


def has_condition(pod: Pod, reason: str, message: str) -> bool:
    """Tell whether the pod's status says already that it has no node, and why."""
    conditions = (pod.document().get("status") or {}).get("conditions") or []
    return any(
        condition.get("type") == "PodScheduled"
        and condition.get("status") == "False"
        and condition.get("reason") == reason
        and condition.get("message") == message
        for condition in conditions
    )
