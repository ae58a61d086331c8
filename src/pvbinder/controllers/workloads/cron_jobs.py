"""The loop of the CronJob controller in small: a job when it is due, told apart by its minute, and none too many.

CRONJOBS-1  A time that is due makes one job, whoever stops or loses an answer in between: its name says the minute.
CRONJOBS-2  Jobs are deleted (Replace, history) only after the cron job itself, read live, is the one that was decided
            about; the DELETE names uid and revision of the job.
CRONJOBS-3  The status is written only when it changes; nothing is asked until the next time is due.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.workloads.dependents import check_is_current
from pvbinder.controllers.workloads.jobs import JOBS
from pvbinder.controllers.workloads.statuses import write_status
from pvbinder.kube.client import Kind
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.events import Subject
from pvbinder.kube.informer import Change, Deleted
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.json import Json
from pvbinder.model.workloads import CRON_JOBS as RESOURCE
from pvbinder.model.workloads import Workload, WorkloadKey, parse_workload
from pvbinder.rules.cron_jobs import CronPlan, decide_cron_job, with_started, without_active

EVENT_SOURCE: Final = "cronjob-controller"
CRON_JOBS: Final[Kind[Workload]] = Kind(RESOURCE, parse_workload)
CONCURRENT_SYNCS_MAX: Final = 5  # --concurrent-cron-job-syncs
AFTER_TIME_SECONDS: Final = 0.1  # a timer may come a little early

log = logs.get(__name__)


class CronJobs:
    """Makes jobs when they are due; `run()` it as a task that somebody owns, with the informers running beside it."""

    name = "cronjob-controller"

    def __init__(self, context: ControllerContext, *, now: Callable[[], datetime] | None = None) -> None:
        self._client = context.client
        self._now = now or context.now
        self._recorder = context.recorder(EVENT_SOURCE)
        self._cron_jobs = context.informers.of(CRON_JOBS)
        self._jobs = context.informers.of(JOBS)
        self._by_controller = self._jobs.add_index("controller", _controllers_of)
        self._queue: WorkQueue[WorkloadKey] = WorkQueue(
            "cronjob",
            self._sync,
            history=context.informers.history,
            concurrency=CONCURRENT_SYNCS_MAX,
            failure_message="could not sync cron job",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Make jobs until cancelled."""
        for informer in (self._cron_jobs, self._jobs):
            await informer.wait_synced()
        self._cron_jobs.add_handler(self._on_cron_job)
        self._jobs.add_handler(self._on_job)
        await self._queue.run()

    def _on_cron_job(self, change: Change[Workload]) -> None:
        if isinstance(change, Deleted):
            self._queue.give_up(change.object.key)
        else:
            self._queue.add(change.object.key)

    def _on_job(self, change: Change[Workload]) -> None:
        controller = change.object.controller
        if controller is not None and controller.kind == RESOURCE.kind:
            key = WorkloadKey(f"{change.object.namespace}/{controller.name}")
            if key in self._cron_jobs:
                self._queue.add(key)

    async def _sync(self, key: WorkloadKey) -> None:
        cron = self._cron_jobs.get(key)
        if cron is None:
            return
        now = self._now()
        plan = decide_cron_job(cron, self._by_controller[cron.uid], now)
        subject = Subject.of(RESOURCE, cron)
        if plan.replace or plan.history:
            await check_is_current(self._client, self._cron_jobs, cron)
        for job in plan.history:
            await self._delete(subject, job)
        status = await self._start(cron, plan, subject)
        await write_status(self._client, self._cron_jobs, cron, status)
        for kind, reason, message in plan.notes:
            self._recorder.event(subject, kind, reason, message)
        if plan.look_again_at is not None:
            seconds = (plan.look_again_at - self._now()).total_seconds()
            self._queue.add_after(key, max(seconds, 0) + AFTER_TIME_SECONDS)

    async def _start(self, cron: Workload, plan: CronPlan, subject: Subject) -> Json:
        """Make the job that is due; return the status after that."""
        if plan.create is None or plan.scheduled is None:
            return plan.status
        for job in plan.replace:
            await self._delete(subject, job)
        status = without_active(plan.status, {job.uid for job in plan.replace})
        name = str(plan.create["metadata"]["name"])
        try:
            created = await self._client.create(JOBS, plan.create)
        except ApiFailure as failure:
            if failure.is_namespace_terminating:
                return status
            if not failure.is_already_exists:
                self._recorder.event(subject, "Warning", "FailedCreate", f"Error creating job: {failure.message}")
                raise
            created = await self._client.get(JOBS, name, cron.namespace)
            owner = created.controller
            if owner is None or owner.uid != cron.uid:
                self._recorder.event(subject, "Warning", "FailedCreate", f"Error creating job: {failure.message}")
                return status
        else:
            self._recorder.event(subject, "Normal", "SuccessfulCreate", f"Created job {name}")
            log.info("job created", cron_job=cron.key, job=name)
        self._jobs.put(created)
        return with_started(cron, status, created, plan.scheduled)

    async def _delete(self, subject: Subject, job: Workload) -> None:
        try:
            await self._client.delete(
                JOBS,
                job.name,
                job.namespace,
                uid=job.uid,
                resource_version=job.resource_version,
                propagation="Background",
            )
        except ApiFailure as failure:
            if not failure.names_as_not_found(JOBS.resource, job.name):
                raise
            return
        self._recorder.event(subject, "Normal", "SuccessfulDelete", f"Deleted job {job.name}")
        log.info("job deleted", job=job.key)


def _controllers_of(job: Workload) -> list[str]:
    return [job.controller.uid] if job.controller is not None else []
