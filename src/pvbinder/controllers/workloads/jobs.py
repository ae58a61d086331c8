"""The loop of the Job controller in small: pods until enough have succeeded, each counted once.

JOB-1  A pod that is over is counted once, whoever stops or loses an answer in between: it has a finalizer until the
       status has taken note of it.
JOB-2  Parallelism, completions, indexes, suspension, the limit of failures and the deadline hold; what was ended for
       one of them is told by conditions and events.
JOB-3  Pods are ended only after the job itself, read live, is the one that was decided about.
JOB-4  A pod whose job is proven to be gone (PROOF-1) loses the finalizer.
JOB-5  The status is written only when it changes; nothing is asked while nothing happens. Deadlines and back-offs have
       timers.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.workloads.dependents import Dependents, WorkloadHasChanged, check_is_current
from pvbinder.controllers.workloads.pod_control import PodControl
from pvbinder.controllers.workloads.statuses import write_status
from pvbinder.kube.client import Kind
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.events import Subject
from pvbinder.kube.informer import Change, Deleted
from pvbinder.kube.kinds import PODS
from pvbinder.kube.proof import Gone, Present, Unproven, prove_gone
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.objects import Pod, PodKey
from pvbinder.model.workloads import JOBS as RESOURCE
from pvbinder.model.workloads import Workload, WorkloadKey, controller_of, parse_workload
from pvbinder.rules.job_indexes import TRACKING_FINALIZER, job_pod
from pvbinder.rules.jobs import JobPlan, decide_job, is_tracked

EVENT_SOURCE: Final = "job-controller"
JOBS: Final[Kind[Workload]] = Kind(RESOURCE, parse_workload)
CONCURRENT_SYNCS_MAX: Final = 5  # --concurrent-job-syncs

log = logs.get(__name__)


class Jobs:
    """Runs jobs; `run()` it as a task that somebody owns, with the informers running beside it."""

    name = "job-controller"

    def __init__(self, context: ControllerContext, *, now: Callable[[], datetime] | None = None) -> None:
        self._client = context.client
        self._now = now or context.now
        self._recorder = context.recorder(EVENT_SOURCE)
        self._jobs = context.informers.of(JOBS)
        self._pods = context.informers.of(PODS)
        self._control = PodControl(self._client, self._pods, self._recorder)
        self._own = Dependents(self._client, self._jobs, self._pods, self._wake)
        self._queue: WorkQueue[WorkloadKey] = WorkQueue(
            "job",
            self._sync,
            history=context.informers.history,
            concurrency=CONCURRENT_SYNCS_MAX,
            failure_message="could not sync job",
        )
        self._orphan_queue: WorkQueue[PodKey] = WorkQueue(
            "job orphans",
            self._sync_orphan,
            history=context.informers.history,
            failure_message="could not let go a pod whose job is gone",
            key_field="pod",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queues."""
        yield self._queue.statistics()
        yield self._orphan_queue.statistics()

    async def run(self) -> None:
        """Run jobs until cancelled."""
        for informer in (self._jobs, self._pods):
            await informer.wait_synced()
        self._control.follow()
        self._jobs.add_handler(self._on_job)
        self._own.follow()
        self._pods.add_handler(self._on_pod)
        async with asyncio.TaskGroup() as group:
            for queue in (self._queue, self._orphan_queue):
                group.create_task(queue.run(), name=queue.name)

    # -- what wakes whom

    def _wake(self, job: Workload) -> None:
        self._queue.add(job.key)

    def _on_job(self, change: Change[Workload]) -> None:
        job = change.object
        if isinstance(change, Deleted):
            self._queue.give_up(job.key)
            for pod in self._own.controlled_by(job):
                if is_tracked(pod):
                    self._orphan_queue.add(pod.key)
            return
        self._queue.add(job.key)

    def _on_pod(self, change: Change[Pod]) -> None:
        pod = change.object
        if not isinstance(change, Deleted) and is_tracked(pod) and self._job_of(pod) is None:
            self._orphan_queue.add(pod.key)

    def _job_of(self, pod: Pod) -> Workload | None:
        controller = controller_of(pod.owner_references)
        job = self._jobs.get(f"{pod.namespace}/{controller.name}") if controller is not None else None
        return job if job is not None and controller is not None and job.uid == controller.uid else None

    # -- one job

    async def _sync(self, key: WorkloadKey) -> None:
        job = self._jobs.get(key)
        if job is None:
            return
        pods = await self._own.claim(job, finalizer=TRACKING_FINALIZER)
        now = self._now()
        leaving = frozenset(pod.uid for pod in pods if self._control.is_leaving(pod))
        plan = decide_job(job, pods, now, leaving)
        written = await write_status(self._client, self._jobs, job, plan.status)
        subject = Subject.of(RESOURCE, job)
        if written is not None:
            for kind, reason, message in plan.notes:
                self._recorder.event(subject, kind, reason, message)
        for pod in plan.untrack:
            await self._untrack(pod)
        await self._end(job, plan, subject)
        for index in plan.create:
            if await self._control.create(subject, job_pod(job, index)) is None:
                return
        if plan.look_again_after is not None:
            self._queue.add_after(key, max(plan.look_again_after, 0.01))

    async def _end(self, job: Workload, plan: JobPlan, subject: Subject) -> None:
        if plan.delete or plan.withdraw:
            await check_is_current(self._client, self._jobs, job)
        for pod in plan.withdraw:
            await self._untrack(pod)
        for pod in (*plan.withdraw, *plan.delete):
            await self._control.delete(subject, pod)

    async def _untrack(self, pod: Pod) -> None:
        """Take the finalizer from `pod`: it is counted, or doesn't count."""
        change = {"metadata": {"uid": pod.uid, "$deleteFromPrimitiveList/finalizers": [TRACKING_FINALIZER]}}
        try:
            after = await self._client.patch(PODS, pod.name, pod.namespace, change, patch_type="strategic")
        except ApiFailure as failure:
            if not failure.names_as_not_found(PODS.resource, pod.name):
                raise
            return
        self._pods.put(after)

    async def _sync_orphan(self, key: PodKey) -> None:
        """Let a pod go whose job is gone (JOB-4)."""
        pod = self._pods.get(key)
        if pod is None or not is_tracked(pod) or self._job_of(pod) is not None:
            return
        controller = controller_of(pod.owner_references)
        if controller is not None:
            if controller.kind != RESOURCE.kind:
                return
            match await prove_gone(self._client, JOBS, controller.name, pod.namespace, uid=controller.uid):
                case Present(object=job):
                    self._jobs.correct(job)
                    return
                case Unproven(why=why):
                    raise WorkloadHasChanged(f"nobody knows whether job {controller.name!r} is gone: {why}")
                case Gone():
                    pass
        await self._untrack(pod)
        log.info("pod of a job that is gone let go", pod=key)
