"""The next steps of a CronJob: a job when it is due, the list of active jobs, and the finished jobs that go.

CRON-1  A job is made once for each time that is due: its name says the minute. Of missed times only the last counts,
        and none that is older than ``startingDeadlineSeconds``.
CRON-2  Forbid makes no job while one runs; Replace ends those that run first.
CRON-3  Of finished jobs as many are kept as the two limits say, the newest.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.workloads import CRON_JOBS, JOBS, Workload
from pvbinder.rules.jobs import finish_of
from pvbinder.rules.pod_status import parse_time, stamp
from pvbinder.rules.pod_templates import controller_reference
from pvbinder.rules.schedule_fields import ScheduleError
from pvbinder.rules.schedules import Schedule, latest_due, parse_schedule, parse_zone

SCHEDULED: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"
NAME_CHARACTERS_MAX: Final = 52

CronNote = tuple[Literal["Normal", "Warning"], str, str]  # type, reason and message of an event


class CronPlan(Struct, frozen=True):
    """The steps to take, in this order."""

    status: Json  # before a job is made
    notes: tuple[CronNote, ...] = ()
    replace: tuple[Workload, ...] = ()  # end these jobs first
    create: Json | None = None
    scheduled: datetime | None = None  # for when the job is
    history: tuple[Workload, ...] = ()  # finished jobs that go
    look_again_at: datetime | None = None


def decide_cron_job(cron: Workload, jobs: Sequence[Workload], now: datetime) -> CronPlan:
    """Say what `cron` needs; `jobs` are those that it controls."""
    status, notes = _followed(cron, jobs)
    history = tuple(_beyond_limits(cron, jobs))
    if cron.is_deleting or cron.spec.get("suspend"):
        return CronPlan(status, notes, history=history)
    text, zone = str(cron.spec.get("schedule") or ""), str(cron.spec.get("timeZone") or "")
    try:
        parse_zone(zone)
    except ScheduleError as error:
        unknown: CronNote = ("Warning", "UnknownTimeZone", f"invalid timeZone: {_quoted(zone)}: {error.message}")
        return CronPlan(status, (*notes, unknown), history=history)
    try:
        schedule = parse_schedule(text, zone)
    except ScheduleError as error:
        why: CronNote = ("Warning", "UnparseableSchedule", f"unparseable schedule: {_quoted(text)} : {error.message}")
        return CronPlan(status, (*notes, why), history=history)
    again = schedule.next_after(now)
    due = _due(cron, schedule, now)
    if due is None:
        return CronPlan(status, notes, history=history, look_again_at=again)
    active = [one for one in jobs if finish_of(one) is None and not one.is_deleting]
    policy = cron.spec.get("concurrencyPolicy") or "Allow"
    if policy == "Forbid" and (status.get("active") or active):
        why = ("Normal", "JobAlreadyActive", _ALREADY_ACTIVE)
        return CronPlan(status, (*notes, why), history=history, look_again_at=again)
    return CronPlan(
        status,
        notes,
        replace=tuple(active) if policy == "Replace" else (),
        create=job_document(cron, schedule, due),
        scheduled=due,
        history=history,
        look_again_at=again,
    )


_ALREADY_ACTIVE: Final = "Not starting job because prior execution is running and concurrency policy is Forbid"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def job_document(cron: Workload, schedule: Schedule, due: datetime) -> Json:
    """Return the job for the time `due` (CRON-1)."""
    template = copy.deepcopy(cron.spec.get("jobTemplate") or {})
    described = template.get("metadata") or {}
    local = due.astimezone(schedule.zone).isoformat(timespec="seconds").replace("+00:00", "Z")
    metadata: Json = {
        "name": f"{cron.name[:NAME_CHARACTERS_MAX]}-{int(due.timestamp()) // 60}",
        "namespace": cron.namespace,
        "annotations": {**(described.get("annotations") or {}), SCHEDULED: local},
        "ownerReferences": [controller_reference(CRON_JOBS, cron.name, cron.uid)],
    }
    if described.get("labels"):
        metadata["labels"] = described["labels"]
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template.get("spec") or {}}


def with_started(cron: Workload, status: Json, job: Workload, due: datetime) -> Json:
    """Return `status` after `job` was made for the time `due`."""
    reference = {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "name": job.name,
        "namespace": cron.namespace,
        "uid": job.uid,
        "resourceVersion": job.resource_version,
    }
    active = [one for one in status.get("active") or [] if one.get("uid") != job.uid]
    return {**status, "active": [*active, reference], "lastScheduleTime": stamp(due)}


def without_active(status: Json, uids: set[str]) -> Json:
    """Return `status` without these jobs among the active ones."""
    active = [one for one in status.get("active") or [] if one.get("uid") not in uids]
    after = {**status, "active": active}
    if not active:
        del after["active"]
    return after


def _due(cron: Workload, schedule: Schedule, now: datetime) -> datetime | None:
    created = parse_time(cron.created) or now
    last = parse_time(cron.status.get("lastScheduleTime"))
    since = last or created
    deadline = cron.spec.get("startingDeadlineSeconds")
    if isinstance(deadline, int):
        since = max(since, now - timedelta(seconds=deadline))
    return latest_due(schedule, since, now)


def _followed(cron: Workload, jobs: Sequence[Workload]) -> tuple[Json, tuple[CronNote, ...]]:
    """The status without active jobs that are over or gone, and what is to be told of that."""
    by_uid = {one.uid: one for one in jobs}
    listed: list[Json] = list(cron.status.get("active") or [])
    notes: list[CronNote] = []
    gone: set[str] = set()
    status = dict(cron.status)
    for reference in listed:
        job = by_uid.get(reference.get("uid", ""))
        if job is None:
            gone.add(reference.get("uid", ""))
            notes.append(("Normal", "MissingJob", f"Active job went missing: {reference.get('name')}"))
            continue
        finish = finish_of(job)
        if finish is not None:
            gone.add(job.uid)
            message = f"Saw completed job: {job.name}, condition: {finish.get('type')}"
            notes.append(("Normal", "SawCompletedJob", message))
    for job in jobs:
        finish = finish_of(job)
        ended = str(job.status.get("completionTime") or "")
        is_success = finish is not None and finish.get("type") == "Complete"
        if is_success and ended > str(status.get("lastSuccessfulTime") or ""):
            status["lastSuccessfulTime"] = ended
    return without_active(status, gone), tuple(notes)


def _beyond_limits(cron: Workload, jobs: Sequence[Workload]) -> list[Workload]:
    """The finished jobs that go (CRON-3)."""
    found = []
    for type_, field in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
        limit = cron.spec.get(field)
        if not isinstance(limit, int):
            continue
        over = [one for one in jobs if (finish_of(one) or {}).get("type") == type_ and not one.is_deleting]
        over.sort(key=lambda one: (str(one.status.get("startTime") or ""), one.name))
        found += over[: max(len(over) - limit, 0)]
    return found
