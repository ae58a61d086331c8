"""The loop of the StatefulSet controller in small: look at the set, its pods and claims, take the steps, tell.

SETS-1  Each pod has its claims first; the same ordinal always gets the same names, so a pod that comes back finds its
        data again.
SETS-2  OrderedReady: one pod at a time, up in order when the one before is ready, down in reverse when the one above is
        gone. Parallel: all at once.
SETS-3  Claims have the owner that the retention policy wants before a pod goes, so that they go or stay with it.
SETS-4  What we wrote counts before the watch tells it: no pod or claim is made twice.
SETS-5  The status follows the pods and is written only when it changes; nothing is asked while nothing happens.
SETS-6  Pods go, and claims are given to pods that go, only after the set itself, read live, is the one that was decided
        about: an old one would take its newest pods, and their data, for unwanted.
SETS-7  Pods and revisions that nobody controls and that the set selects are its own again (`delete --cascade=orphan`).
SETS-8  The template is kept as a ControllerRevision; pods below the partition keep the one that the update comes from.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.workloads.dependents import Dependents
from pvbinder.controllers.workloads.revisions import REVISIONS, RevisionHistory
from pvbinder.kube.client import Kind
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.events import Subject
from pvbinder.kube.informer import Change, Deleted, Updated
from pvbinder.kube.kinds import CLAIMS, PODS
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.errors import PvbinderError
from pvbinder.model.objects import Claim, Pod
from pvbinder.model.resources import Resource
from pvbinder.model.stateful_sets import StatefulSet, StatefulSetKey, parse_stateful_set
from pvbinder.model.workloads import Workload, number
from pvbinder.rules.adoption import selects
from pvbinder.rules.replica_sets import seconds_to_look_again
from pvbinder.rules.revisions import Recorded, template_of
from pvbinder.rules.stateful_sets import (
    REVISION_LABEL,
    CreateClaim,
    CreatePod,
    DeletePod,
    IdentifyPod,
    OwnClaim,
    Step,
    Versions,
    decide_set,
    members,
    set_status,
    versions_of,
    with_set_status,
)

EVENT_SOURCE: Final = "statefulset-controller"
HASH_LABEL: Final = "controller.kubernetes.io/hash"
RESOURCE: Final = Resource("apps", "v1", "StatefulSet", "statefulsets", True)
STATEFUL_SETS: Final[Kind[StatefulSet]] = Kind(RESOURCE, parse_stateful_set)
CONCURRENT_SYNCS_MAX: Final = 5  # --concurrent-statefulset-syncs

log = logs.get(__name__)


class SetHasChanged(PvbinderError):  # noqa: N818  (the queue brings the set back)
    """The decision was about another set than the one that is there."""


@dataclass(frozen=True, slots=True)
class StatefulSetStatistics:
    """The work that the controller has, and has done."""

    sets: int
    pods_created: int
    pods_deleted: int
    claims_created: int
    queue: QueueStatistics


class StatefulSets:
    """Keeps stateful sets as wanted; `run()` it as a task that somebody owns, with the informers running beside it."""

    name = "statefulset-controller"

    def __init__(self, context: ControllerContext, *, now: Callable[[], datetime] | None = None) -> None:
        informers = context.informers
        self._client = context.client
        self._now = now or context.now
        self._recorder = context.recorder(EVENT_SOURCE)
        self._sets = informers.of(STATEFUL_SETS)
        self._pods = informers.of(PODS)
        self._claims = informers.of(CLAIMS)
        self._own = Dependents(self._client, self._sets, self._pods, self._wake)
        self._revisions = informers.of(REVISIONS)
        self._history = RevisionHistory(self._client, self._sets, self._revisions, self._wake)
        self._pods_created = self._pods_deleted = self._claims_created = 0
        self._queue: WorkQueue[StatefulSetKey] = WorkQueue(
            "statefulset",
            self._sync,
            history=informers.history,
            concurrency=CONCURRENT_SYNCS_MAX,
            failure_message="could not sync stateful set",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Keep stateful sets as wanted until cancelled."""
        for informer in (self._sets, self._pods, self._claims, self._revisions):
            await informer.wait_synced()
        self._sets.add_handler(self._on_set)
        self._own.follow()
        self._history.follow()
        self._pods.add_handler(self._on_pod)
        self._claims.add_handler(self._on_claim)
        await self._queue.run()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done."""
        await self._queue.wait_idle()

    def statistics(self) -> StatefulSetStatistics:
        """The work that the controller has, and has done."""
        return StatefulSetStatistics(
            len(self._sets), self._pods_created, self._pods_deleted, self._claims_created, self._queue.statistics()
        )

    # -- what wakes a set

    def _wake(self, stateful_set: StatefulSet) -> None:
        self._queue.add(stateful_set.key)

    def _on_set(self, change: Change[StatefulSet]) -> None:
        if not isinstance(change, Deleted):
            self._queue.add(change.object.key)

    def _on_pod(self, change: Change[Pod]) -> None:
        for owner in change.object.owner_references:
            if owner.controller is True and owner.kind == "StatefulSet":
                self._queue.add(StatefulSetKey(f"{change.object.namespace}/{owner.name}"))
        if isinstance(change, Updated) and change.before.owner_references != change.object.owner_references:
            for owner in change.before.owner_references:
                if owner.kind == "StatefulSet":
                    self._queue.add(StatefulSetKey(f"{change.object.namespace}/{owner.name}"))

    def _on_claim(self, change: Change[Claim]) -> None:
        """A claim that is gone frees its name; one whose owners were changed may need them back."""
        claim = change.object
        if isinstance(change, Updated) and change.before.owner_references == claim.owner_references:
            return
        stem, dash, ordinal = claim.name.rpartition("-")
        if not (dash and ordinal.isdecimal()):
            return
        for stateful_set in self._sets:
            if stateful_set.namespace == claim.namespace and stem.endswith(f"-{stateful_set.name}"):
                self._queue.add(stateful_set.key)

    # -- one set

    async def _sync(self, key: StatefulSetKey) -> None:
        stateful_set = self._sets.get(key)
        if stateful_set is None:
            return
        problem: PvbinderError | None = None
        await self._own.claim(stateful_set, is_selected=lambda pod: _is_member(stateful_set, pod))
        revisions = await self._history.claim(stateful_set)
        versions = await self._versions(stateful_set, revisions)
        now = self._now()
        try:
            steps = decide_set(stateful_set, self._members(stateful_set), self._claims, versions, now)
            if any(isinstance(step, DeletePod | OwnClaim) for step in steps):
                await self._check_is_current(stateful_set)
            for step in steps:
                await self._take(stateful_set, step)
        except ApiFailure as failure:
            if failure.is_namespace_terminating:
                log.debug("stateful set goes with its namespace", key=key)
            else:
                problem = failure
        except (ConnectionFailed, SetHasChanged) as failed:
            problem = failed
        await self._tell_status(stateful_set, versions, now)  # the progress so far is told, also after a failure
        self._look_again(stateful_set, now)
        if problem is None and not stateful_set.is_deleting:
            in_use = {pod.labels.get(REVISION_LABEL, "") for pod in self._members(stateful_set).values()}
            in_use |= {versions.current, versions.update}
            await self._history.truncate(stateful_set, revisions, in_use, stateful_set.history_limit)
        if problem is not None:
            raise problem

    async def _check_is_current(self, stateful_set: StatefulSet) -> None:
        """SETS-6; raises what brings the set back, when the cache knows better."""
        live = await self._client.get(STATEFUL_SETS, stateful_set.name, stateful_set.namespace)
        if (live.uid, live.generation, live.is_deleting) != (stateful_set.uid, stateful_set.generation, False):
            self._sets.correct(live)
            raise SetHasChanged(
                f"stateful set {stateful_set.key} is another than was decided about: it is looked at anew"
            )

    async def _versions(self, stateful_set: StatefulSet, revisions: list[Workload]) -> Versions:
        """The revision of the template, recorded, and the one that an update comes from (SETS-8)."""
        if stateful_set.is_deleting:
            return versions_of(stateful_set)
        status = stateful_set.document().get("status") or {}
        recorded = Recorded(
            RESOURCE,
            stateful_set.name,
            stateful_set.namespace,
            stateful_set.uid,
            stateful_set.annotations,
            stateful_set.template,
            HASH_LABEL,
            number(status, "collisionCount"),
        )
        try:
            update = (await self._history.record(recorded, revisions)).name
        except ApiFailure as failure:
            if not failure.is_namespace_terminating:
                raise
            return versions_of(stateful_set)
        name = status.get("currentRevision") or update
        current = next((one for one in revisions if one.name == name), None)
        return Versions(name, update, template_of(current) if current is not None else stateful_set.template)

    def _members(self, stateful_set: StatefulSet) -> dict[int, Pod]:
        return members(stateful_set, self._own.controlled_by(stateful_set))

    def _look_again(self, stateful_set: StatefulSet, now: datetime) -> None:
        pods = list(self._members(stateful_set).values())
        seconds = seconds_to_look_again(pods, stateful_set.ready_seconds_min, now)
        if seconds is not None:
            self._queue.add_after(stateful_set.key, seconds)

    async def _take(self, stateful_set: StatefulSet, step: Step) -> None:
        match step:
            case CreateClaim(document=document, pod_name=pod_name):
                what = f"Claim {document['metadata']['name']} Pod {pod_name} in StatefulSet {stateful_set.name}"
                try:
                    self._claims.put(await self._client.create(CLAIMS, document))
                except ApiFailure as failure:
                    self._tell_failure(stateful_set, "FailedCreate", f"create {what}", failure)
                    raise
                self._claims_created += 1
                self._tell(stateful_set, "SuccessfulCreate", f"create {what} success")
            case CreatePod(document=document):
                what = f"Pod {document['metadata']['name']} in StatefulSet {stateful_set.name}"
                try:
                    self._pods.put(await self._client.create(PODS, document))
                except ApiFailure as failure:
                    self._tell_failure(stateful_set, "FailedCreate", f"create {what}", failure)
                    raise
                self._pods_created += 1
                self._tell(stateful_set, "SuccessfulCreate", f"create {what} successful")
            case DeletePod(pod=pod, why=why):
                await self._delete(stateful_set, pod, why)
            case OwnClaim(document=document):
                self._claims.put(await self._client.replace(CLAIMS, document))
            case IdentifyPod(document=document):
                self._pods.put(await self._client.replace(PODS, document))
            case _:
                assert_never(step)

    async def _delete(self, stateful_set: StatefulSet, pod: Pod, why: str) -> None:
        what = f"Pod {pod.name} in StatefulSet {stateful_set.name}"
        try:
            await self._client.delete(PODS, pod.name, pod.namespace, uid=pod.uid)
        except ApiFailure as failure:
            if failure.names_as_not_found(PODS.resource, pod.name):
                return  # somebody was quicker; the watch tells
            self._tell_failure(stateful_set, "FailedDelete", f"delete {what}", failure)
            raise
        self._pods_deleted += 1
        self._tell(stateful_set, "SuccessfulDelete", f"delete {what} successful")
        log.info("pod deleted", pod=pod.key, why=why)

    async def _tell_status(self, stateful_set: StatefulSet, versions: Versions, now: datetime) -> None:
        wanted = set_status(stateful_set, self._members(stateful_set), versions, now)
        document = with_set_status(stateful_set, wanted)
        if document is None:
            return
        try:
            self._sets.put(await self._client.replace(STATEFUL_SETS, document, subresource="status"))
        except ApiFailure as failure:
            if not failure.names_as_not_found(RESOURCE, stateful_set.name):
                raise

    def _tell(self, stateful_set: StatefulSet, reason: str, message: str) -> None:
        self._recorder.event(Subject.of(RESOURCE, stateful_set), "Normal", reason, message)

    def _tell_failure(self, stateful_set: StatefulSet, reason: str, what: str, failure: ApiFailure) -> None:
        if failure.is_namespace_terminating:
            return
        message = f"{what} failed error: {failure.message}"
        self._recorder.event(Subject.of(RESOURCE, stateful_set), "Warning", reason, message)


def _is_member(stateful_set: StatefulSet, pod: Pod) -> bool:
    return stateful_set.ordinal_of(pod.name) is not None and selects(stateful_set.selector, pod.labels)
