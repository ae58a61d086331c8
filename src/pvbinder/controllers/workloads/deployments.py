"""The loop of the Deployment controller in small: look at the deployment and its replica sets, take the steps, tell.

DEPLOYMENTS-1  A deployment has a replica set for its template; the name says which, so a lost answer makes no second.
               A name that something else has gets another (``collisionCount``).
DEPLOYMENTS-2  Old replica sets shrink as new pods become available, or before them (Recreate).
DEPLOYMENTS-3  An old replica set is deleted only after the deployment, read live, is the one that was decided about,
               and the DELETE names uid and revision of the empty replica set.
DEPLOYMENTS-4  Revision and status are written only when they change; nothing is asked while nothing happens. The
               progress deadline has a timer.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, assert_never

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.workloads.dependents import Dependents, WorkloadHasChanged, check_is_current
from pvbinder.controllers.workloads.replica_sets import REPLICA_SETS
from pvbinder.controllers.workloads.statuses import write_status
from pvbinder.kube.client import Kind
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.events import Subject
from pvbinder.kube.informer import Change, Deleted
from pvbinder.kube.kinds import PODS
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.objects import Pod
from pvbinder.model.workloads import DEPLOYMENTS as RESOURCE
from pvbinder.model.workloads import Workload, WorkloadKey, controller_of, number, parse_workload
from pvbinder.rules.deployment_status import deployment_status, seconds_to_deadline
from pvbinder.rules.deployments import (
    REVISION,
    ChangeReplicaSet,
    CreateReplicaSet,
    DeleteReplicaSet,
    ReplicaSetsOf,
    Step,
    decide_deployment,
    is_recreating,
    sorted_out,
    template_without_hash,
)

EVENT_SOURCE: Final = "deployment-controller"
DEPLOYMENTS: Final[Kind[Workload]] = Kind(RESOURCE, parse_workload)
CONCURRENT_SYNCS_MAX: Final = 5  # --concurrent-deployment-syncs

log = logs.get(__name__)


class Deployments:
    """Keeps deployments as wanted; `run()` it as a task that somebody owns, with the informers running beside it."""

    name = "deployment-controller"

    def __init__(self, context: ControllerContext, *, now: Callable[[], datetime] | None = None) -> None:
        self._client = context.client
        self._now = now or context.now
        self._recorder = context.recorder(EVENT_SOURCE)
        self._deployments = context.informers.of(DEPLOYMENTS)
        self._replica_sets = context.informers.of(REPLICA_SETS)
        self._pods = context.informers.of(PODS)
        self._pods_by_controller = self._pods.add_index("controller", _controllers_of)
        self._own = Dependents(self._client, self._deployments, self._replica_sets, self._wake)
        self._queue: WorkQueue[WorkloadKey] = WorkQueue(
            "deployment",
            self._sync,
            history=context.informers.history,
            concurrency=CONCURRENT_SYNCS_MAX,
            failure_message="could not sync deployment",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Keep deployments as wanted until cancelled."""
        for informer in (self._deployments, self._replica_sets, self._pods):
            await informer.wait_synced()
        self._deployments.add_handler(self._on_deployment)
        self._own.follow()
        self._pods.add_handler(self._on_pod)
        await self._queue.run()

    def _wake(self, deployment: Workload) -> None:
        self._queue.add(deployment.key)

    def _on_deployment(self, change: Change[Workload]) -> None:
        if not isinstance(change, Deleted):
            self._queue.add(change.object.key)

    def _on_pod(self, change: Change[Pod]) -> None:
        """A pod that is over or gone may be the last one that a Recreate waits for."""
        pod = change.object
        controller = controller_of(pod.owner_references)
        if controller is None or controller.kind != "ReplicaSet":
            return
        if not isinstance(change, Deleted) and pod.phase not in ("Succeeded", "Failed"):
            return
        replica_set = self._replica_sets.get(f"{pod.namespace}/{controller.name}")
        owner = replica_set.controller if replica_set is not None else None
        deployment = self._deployments.get(f"{pod.namespace}/{owner.name}") if owner is not None else None
        if deployment is not None and is_recreating(deployment):
            self._queue.add(deployment.key)

    # -- one deployment

    async def _sync(self, key: WorkloadKey) -> None:
        deployment = self._deployments.get(key)
        if deployment is None:
            return
        sets = sorted_out(deployment, await self._own.claim(deployment))
        if deployment.is_deleting:
            await self._tell_status(deployment, sets, is_scaled_only=True)
            return
        created, failure = "", ""
        problem: ApiFailure | None = None
        steps = decide_deployment(deployment, sets, has_old_pods=self._has_pods(sets))
        try:
            if any(isinstance(step, DeleteReplicaSet) for step in steps):
                await check_is_current(self._client, self._deployments, deployment)
            for step in steps:
                created = await self._take(deployment, step) or created
        except ApiFailure as failed:
            if failed.is_namespace_terminating:
                log.debug("deployment goes with its namespace", key=key)
            else:
                problem = failed
                if not failed.is_conflict and any(isinstance(step, CreateReplicaSet) for step in steps):
                    failure = f"Failed to create new replica set: {failed.message}"
        sets = sorted_out(deployment, self._own.controlled_by(deployment))
        is_scaled_only = bool(deployment.spec.get("paused"))
        await self._tell_status(deployment, sets, created=created, failure=failure, is_scaled_only=is_scaled_only)
        if problem is not None:
            raise problem

    def _has_pods(self, sets: ReplicaSetsOf) -> bool:
        """Whether a pod of an old replica set is there that isn't over."""
        return any(
            pod.phase not in ("Succeeded", "Failed") for one in sets.old for pod in self._pods_by_controller[one.uid]
        )

    async def _take(self, deployment: Workload, step: Step) -> str:
        """Carry out `step`; return the name of the replica set that it made."""
        match step:
            case CreateReplicaSet():
                return await self._create(deployment, step)
            case ChangeReplicaSet(document=document, scaled=scaled):
                self._replica_sets.put(await self._client.replace(REPLICA_SETS, document))
                if scaled is not None:
                    before, after = scaled
                    direction = "up" if after > before else "down"
                    name = document["metadata"]["name"]
                    self._tell(deployment, f"Scaled {direction} replica set {name} from {before} to {after}")
            case DeleteReplicaSet(replica_set=old):
                await self._delete(old)
            case _:
                assert_never(step)
        return ""

    async def _create(self, deployment: Workload, step: CreateReplicaSet) -> str:
        name = str(step.document["metadata"]["name"])
        try:
            created = await self._client.create(REPLICA_SETS, step.document)
        except ApiFailure as failure:
            if not failure.is_already_exists:
                raise
            created = await self._client.get(REPLICA_SETS, name, deployment.namespace)
            owner = created.controller
            is_ours = owner is not None and owner.uid == deployment.uid
            template = template_without_hash(created.spec.get("template") or {})
            if not is_ours or template != (deployment.spec.get("template") or {}):
                await self._avoid_collision(deployment)
                raise WorkloadHasChanged(f"replica set {name} is somebody else's: another name is taken") from failure
        self._replica_sets.put(created)
        if step.replicas:
            self._tell(deployment, f"Scaled up replica set {name} from 0 to {step.replicas}")
        log.info("replica set created", deployment=deployment.key, replica_set=name)
        return name

    async def _avoid_collision(self, deployment: Workload) -> None:
        status = {**deployment.status, "collisionCount": number(deployment.status, "collisionCount") + 1}
        await write_status(self._client, self._deployments, deployment, status)

    async def _delete(self, old: Workload) -> None:
        try:
            await self._client.delete(
                REPLICA_SETS, old.name, old.namespace, uid=old.uid, resource_version=old.resource_version
            )
        except ApiFailure as failure:
            if not failure.names_as_not_found(REPLICA_SETS.resource, old.name):
                raise
            return
        log.info("old replica set deleted", replica_set=old.key)

    async def _tell_status(
        self,
        deployment: Workload,
        sets: ReplicaSetsOf,
        *,
        created: str = "",
        failure: str = "",
        is_scaled_only: bool = False,
    ) -> None:
        now = self._now()
        status = deployment_status(
            deployment, sets, now, created=created, failure=failure, is_scaled_only=is_scaled_only
        )
        annotations = dict(deployment.annotations)
        if sets.new is not None and REVISION in sets.new.annotations:
            annotations[REVISION] = sets.new.annotations[REVISION]
        await write_status(self._client, self._deployments, deployment, status, annotations=annotations)
        seconds = seconds_to_deadline(deployment, status, now)
        if seconds is not None:
            self._queue.add_after(deployment.key, seconds)

    def _tell(self, deployment: Workload, message: str) -> None:
        self._recorder.event(Subject.of(RESOURCE, deployment), "Normal", "ScalingReplicaSet", message)


def _controllers_of(pod: Pod) -> list[str]:
    controller = controller_of(pod.owner_references)
    return [controller.uid] if controller is not None else []
