"""Finished jobs go when their ``ttlSecondsAfterFinished`` is over.

TTL-1  A job goes only if it, read live, is finished and its time is over; the DELETE names its uid and revision. Its
       pods go first.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.workloads.jobs import JOBS
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Change, Deleted
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.workloads import Workload, WorkloadKey
from pvbinder.rules.jobs import seconds_to_removal

CONCURRENT_SYNCS_MAX: Final = 5  # --concurrent-ttl-after-finished-syncs

log = logs.get(__name__)


class FinishedJobs:
    """Removes finished jobs; `run()` it as a task that somebody owns, with the informers running beside it."""

    name = "ttl-after-finished-controller"

    def __init__(self, context: ControllerContext, *, now: Callable[[], datetime] | None = None) -> None:
        self._client = context.client
        self._now = now or context.now
        self._jobs = context.informers.of(JOBS)
        self._queue: WorkQueue[WorkloadKey] = WorkQueue(
            "ttl jobs to delete",
            self._sync,
            history=context.informers.history,
            concurrency=CONCURRENT_SYNCS_MAX,
            failure_message="could not remove finished job",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Remove finished jobs until cancelled."""
        await self._jobs.wait_synced()
        self._jobs.add_handler(self._on_job)
        await self._queue.run()

    def _on_job(self, change: Change[Workload]) -> None:
        job = change.object
        if isinstance(change, Deleted):
            self._queue.give_up(job.key)
        elif seconds_to_removal(job, self._now()) is not None and not job.is_deleting:
            self._queue.add(job.key)

    async def _sync(self, key: WorkloadKey) -> None:
        job = self._jobs.get(key)
        if job is None or job.is_deleting or not self._is_due(job):
            return
        try:
            live = await self._client.get(JOBS, job.name, job.namespace)
            if live.uid != job.uid or live.is_deleting or not self._is_due(live):
                self._jobs.correct(live)
                return
            await self._client.delete(
                JOBS,
                job.name,
                job.namespace,
                uid=live.uid,
                resource_version=live.resource_version,
                propagation="Foreground",
            )
        except ApiFailure as failure:
            if not failure.names_as_not_found(JOBS.resource, job.name):
                raise
            return
        log.info("finished job removed", job=key)

    def _is_due(self, job: Workload) -> bool:
        """Whether its time is over; if it has some left, the job is looked at again then."""
        left = seconds_to_removal(job, self._now())
        if left is not None and left > 0:
            self._queue.add_after(job.key, left)
        return left is not None and left <= 0
