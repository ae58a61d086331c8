"""Job and CronJob of ``batch/v1``."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec

from pvbinder.model.resources import Resource
from pvbinder.model.selectors import LabelSelector
from pvbinder.rules.schedule_fields import ScheduleError
from pvbinder.rules.schedules import parse_schedule
from pvbinder.server.errors import FieldError, invalid, required, unsupported
from pvbinder.server.kinds.built_in.job_specs import validate_job_spec
from pvbinder.server.kinds.built_in.pod_templates import (
    SELECTOR,
    container_columns,
    default_template,
)
from pvbinder.server.kinds.parts.columns import (
    AGE,
    NAME,
    NONE,
    age_of,
    count_cell,
    field_cell,
    human_duration,
    selector_shown,
)
from pvbinder.server.kinds.parts.status import STATUS, keep_all_but_status, keep_status, start_with_empty_status
from pvbinder.server.kinds.validation.job_statuses import validate_job_status
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.names import check_dns_label
from pvbinder.server.kinds.validation.numbers import validate_not_negative
from pvbinder.server.kinds.validation.pod_warnings import warner_of_template
from pvbinder.server.kinds.validation.selectors import shown_selector, validate_label_selector
from pvbinder.server.objects.kind import METADATA_FIELDS, Column, Json, ServedKind, Subresource

JOBS = Resource("batch", "v1", "Job", "jobs", True)
CRON_JOBS = Resource("batch", "v1", "CronJob", "cronjobs", True)

_TRACKED_COMPLETIONS = 100_000
_TRACKED_PODS = 10_000
CRON_JOB_NAME_CHARACTERS_MAX = 52
_IS_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}").fullmatch
_LABELS = ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name")
_ORDER = ("controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name")
_FREE_METADATA = ("labels", "annotations")
_FREE_IN_POD = ("nodeSelector", "tolerations", "schedulingGates")
_CONCURRENCY = ("Allow", "Forbid", "Replace")
_JOB_FIXED = (
    "selector", "template", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"
)  # fmt: skip


def default_job_spec(spec: Json) -> None:
    """Fill in how often and how parallel a job runs."""
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    defaults = {
        "parallelism": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed",
        "manualSelector": False,
    }
    for field, value in defaults.items():
        if spec.get(field) is None:
            spec[field] = value
    default_template(spec.setdefault("template", {}))


def default_job(obj: Json) -> None:
    """Fill in a job."""
    default_job_spec(obj.setdefault("spec", {}))
    obj.setdefault("status", {})


def prepare_new_job(obj: Json, _now: str) -> None:
    """Mark a job's pods as its own, unless it says which are (``manualSelector``)."""
    obj["status"] = {}
    spec, metadata = obj["spec"], obj["metadata"]
    if spec.get("manualSelector"):
        return
    labels = spec["template"]["metadata"].setdefault("labels", {})
    for label in _LABELS:
        labels.setdefault(label, metadata.get(_source_of(label), ""))
    if spec.get("selector") is None:
        spec["selector"] = {}
    if spec["selector"].get("matchLabels") is None:
        spec["selector"]["matchLabels"] = {}
    spec["selector"]["matchLabels"].setdefault(_LABELS[0], metadata.get("uid", ""))


def _labelled_like_its_pods(job: Json) -> Json:
    """Give a job without labels those of its pods."""
    labels = job["spec"]["template"].get("metadata", {}).get("labels")
    if not labels or job["metadata"].get("labels"):
        return job
    return {**job, "metadata": {**job["metadata"], "labels": dict(labels)}}


def _source_of(label: str) -> str:
    return "uid" if label.endswith("uid") else "name"


def validate_job(obj: Json) -> list[FieldError]:
    """Check a new job: also that its pods have possible names, and are its own."""
    errors = _validate_generated(obj, _LABELS) + _validate_job(obj["spec"])
    spec, name = obj["spec"], obj["metadata"].get("name", "")
    completions = spec.get("completions") or 0
    if spec.get("completionMode") == "Indexed" and completions > 0:
        host = f"{name}-{completions - 1}"
        if check_dns_label(host):
            why = f"will not able to create pod with invalid DNS label: {host}"
            errors.append(invalid("metadata.name", name, why))
    return errors


def _validate_generated(obj: Json, labels: tuple[str, ...]) -> list[FieldError]:
    """Check that labels and selector are the ones that each job gets, unless it says that it has its own."""
    spec, metadata = obj["spec"], obj["metadata"]
    if spec.get("manualSelector") or spec.get("selector") is None:
        return []
    there = (spec["template"].get("metadata") or {}).get("labels") or {}
    wanted = {label: metadata.get(_source_of(label), "") for label in labels}
    errors: list[FieldError] = []
    for label in sorted(labels, key=_ORDER.index):
        at = f"spec.template.metadata.labels[{label}]"
        if label not in there:
            errors.append(required(at, f"must be '{wanted[label]}'"))
        elif there[label] != wanted[label]:
            errors.append(invalid(at, dict(sorted(there.items())), f"must be '{wanted[label]}'"))
    selector: Json = spec["selector"]
    if not validate_label_selector(selector, "") and not _selects(selector, wanted):
        errors.append(invalid("spec.selector", shown_selector(selector), "`selector` not auto-generated"))
    return errors


def _selects(selector: Json, labels: Json) -> bool:
    return msgspec.convert(selector, LabelSelector).matches(labels)


def _validate_job(spec: Json) -> list[FieldError]:
    """Check what new and changed jobs have in common."""
    errors = validate_job_spec(spec, "spec")
    selector = spec.get("selector")
    wrong = [required("spec.selector")] if selector is None else validate_label_selector(selector, "spec.selector")
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    if selector is None or (not wrong and not _selects(selector, labels)):
        why = "`selector` does not match template `labels`"
        wrong.append(invalid("spec.template.metadata.labels", dict(sorted(labels.items())) or None, why))
    return errors + wrong


def validate_job_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed job; what it does can't change once it exists."""
    spec, before = new["spec"], old["spec"]
    errors = validate_job(new)
    if spec.get("completions") != before.get("completions"):
        if spec.get("completionMode") != "Indexed":
            errors.append(invalid("spec.completions", spec.get("completions"), IMMUTABLE))
        elif spec.get("completions") not in (None, spec.get("parallelism")):
            why = "can only be modified in tandem with spec.parallelism"
            errors.append(invalid("spec.completions", spec["completions"], why))
    if _template(spec, new=spec, waits=_waits(old)) == _template(before, new=spec, waits=_waits(old)):
        before = {**before, "template": spec["template"]}
    fixed = [field for field in _JOB_FIXED if spec.get(field) != before.get(field)]
    return errors + [invalid(f"spec.{field}", spec.get(field), IMMUTABLE) for field in fixed]


def _waits(job: Json) -> bool:
    """Say whether a job is suspended and has no pods, so that where they run may change, and what they ask for."""
    status: Json = job.get("status") or {}
    suspended = any(
        each.get("type") == "Suspended" and each.get("status") == "True" for each in status.get("conditions") or ()
    )
    has_begun = status.get("startTime") is not None and not suspended
    return bool(job["spec"].get("suspend")) and not has_begun and not status.get("active")


def _template(spec: Json, *, new: Json, waits: bool) -> Json:
    """Return a template, without what may change while the job waits."""
    template: Json = spec.get("template") or {}
    if not waits:
        return template
    metadata = {key: value for key, value in (template.get("metadata") or {}).items() if key not in _FREE_METADATA}
    pod = {key: value for key, value in (template.get("spec") or {}).items() if key not in _FREE_IN_POD}
    affinity = {key: value for key, value in (pod.pop("affinity", None) or {}).items() if key != "nodeAffinity"}
    others: Json = (new.get("template") or {}).get("spec") or {}
    for field in ("containers", "initContainers"):
        now = others.get(field) or []
        if len(now) == len(pod.get(field) or ()):
            pod[field] = [
                {**each, "resources": other.get("resources")} if each.get("name") == other.get("name") else each
                for each, other in zip(pod.get(field) or (), now, strict=True)
            ]
    return {"metadata": metadata, "spec": {**pod, "affinity": affinity}}


def default_cron_job(obj: Json) -> None:
    """Fill in when and how often."""
    spec = obj.setdefault("spec", {})
    defaults = {
        "schedule": "",
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    }
    for field, value in defaults.items():
        if spec.get(field) is None:
            spec[field] = value
    template = spec.setdefault("jobTemplate", {})
    template.setdefault("metadata", {})
    job = template.setdefault("spec", {})
    default_template(job.setdefault("template", {}))
    obj.setdefault("status", {})


def validate_cron_job(obj: Json) -> list[FieldError]:
    """Check a new cron job, whose jobs get longer names."""
    errors = _validate_cron_job(obj["spec"], {})
    name: str = obj["metadata"].get("name", "")
    if len(name) > CRON_JOB_NAME_CHARACTERS_MAX:
        why = f"must be no more than {CRON_JOB_NAME_CHARACTERS_MAX} characters"
        errors.append(invalid("metadata.name", name, why))
    return errors


def validate_cron_job_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed cron job."""
    return _validate_cron_job(new["spec"], old["spec"])


def _validate_cron_job(spec: Json, before: Json) -> list[FieldError]:
    errors: list[FieldError] = []
    schedule, zone = spec.get("schedule", ""), spec.get("timeZone")
    if not schedule:
        errors.append(required("spec.schedule"))
    else:
        try:
            parse_schedule(schedule)
        except ScheduleError as error:
            errors.append(invalid("spec.schedule", schedule, error.message))
        if "TZ" in schedule:
            if "TZ" not in before.get("schedule", ""):
                why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
                errors.append(invalid("spec.schedule", schedule, why))
            elif zone is not None:
                why = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
                errors.append(invalid("spec.schedule", schedule, why))
    errors += validate_not_negative(spec, "spec", "startingDeadlineSeconds")
    if zone is not None and zone != before.get("timeZone"):
        errors += _validate_zone(zone)
    if (policy := spec.get("concurrencyPolicy")) not in _CONCURRENCY:
        errors.append(unsupported("spec.concurrencyPolicy", policy, _CONCURRENCY))
    errors += validate_job_spec(spec["jobTemplate"].get("spec") or {}, "spec.jobTemplate.spec")
    template = spec["jobTemplate"].get("spec") or {}
    if (selector := template.get("selector")) is not None:
        path = "spec.jobTemplate.spec.selector"
        errors.append(invalid(path, selector, "`selector` will be auto-generated"))
    if template.get("manualSelector"):
        errors.append(unsupported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false")))
    return errors + validate_not_negative(spec, "spec", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")


def _validate_zone(zone: str) -> list[FieldError]:
    path = "spec.timeZone"
    if not zone:
        return [invalid(path, zone, "timeZone must be nil or non-empty string")]
    parts = zone.split("/")
    if any(part in (".", "..") or part.startswith("-") or not _IS_ZONE_PART(part) for part in parts):
        return [invalid(path, zone, f"unknown time zone {zone}")]
    if zone.lower() == "local":
        why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        errors = [invalid(path, zone, why)]
        return errors if zone == "Local" else [*errors, invalid(path, zone, f"unknown time zone {zone}")]
    return [] if _is_zone(zone) else [invalid(path, zone, f"unknown time zone {zone}")]


def _is_zone(zone: str) -> bool:
    """Tell whether there is such a time zone; without the names of any here, each is believed."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return not available_timezones()
    return True


def _status_cell(job: Json, _now: datetime) -> object:
    conditions: dict[str, str] = {}
    for condition in (job.get("status") or {}).get("conditions") or ():
        conditions.setdefault(condition.get("type", ""), condition.get("status", ""))
    is_deleted = bool(job["metadata"].get("deletionTimestamp"))
    for kind in ("Complete", "Failed", "Terminating", "Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if is_deleted if kind == "Terminating" else conditions.get(kind) == "True":
            return kind
    return "Running"


def _completions_cell(job: Json, _now: datetime) -> object:
    spec, status = job.get("spec") or {}, job.get("status") or {}
    done = status.get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{done}/{spec['completions']}"
    parallelism = spec.get("parallelism", 0)
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _duration_cell(job: Json, now: datetime) -> object:
    status = job.get("status") or {}
    start, end = status.get("startTime"), status.get("completionTime")
    if not start:
        return ""
    if not end:
        return age_of(start, now)
    return human_duration((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())


def _last_schedule_cell(obj: Json, now: datetime) -> object:
    time = (obj.get("status") or {}).get("lastScheduleTime")
    return age_of(time, now) if time else NONE


def _suspend_cell(obj: Json, _now: datetime) -> object:
    return "True" if (obj.get("spec") or {}).get("suspend") else "False"


def _selector_cell(obj: Json, _now: datetime) -> object:
    return selector_shown((((obj.get("spec") or {}).get("jobTemplate") or {}).get("spec") or {}).get("selector"))


def _warn_of_indexes(spec: Json, path: str) -> list[str]:
    if spec.get("completionMode") != "Indexed":
        return []
    if (spec.get("completions") or 0) <= _TRACKED_COMPLETIONS or (spec.get("parallelism") or 0) <= _TRACKED_PODS:
        return []
    return [
        (
            f"{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than "
            "10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        )
    ]


def _warn_of_schedule(new: Json, old: Json | None) -> list[str]:
    if old is None or "TZ" not in new["spec"].get("schedule", ""):
        return []
    where = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/"
    return [f"cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see {where} for more details"]


_DELETION_WARNING = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)

JOB = ServedKind(
    warnings=warner_of_template("spec", "template", before=lambda job: _warn_of_indexes(job["spec"], "spec")),
    resource=JOBS,
    singular="job",
    schema="io.k8s.api.batch.v1.Job",
    categories=("all",),
    delete_returns_object=False,
    dependents="orphaned",
    deletion_warning=_DELETION_WARNING,
    default=default_job,
    prepare_create=prepare_new_job,
    stored_form=_labelled_like_its_pods,
    prepare_update=keep_status,
    validate_create=validate_job,
    validate_update=validate_job_update,
    metadata_checks=("whole", "change"),
    subresources=(Subresource("status", prepare_update=keep_all_but_status, validate_update=validate_job_status),),
    columns=(
        NAME,
        Column("Status", _status_cell, description="How it is going."),
        Column("Completions", _completions_cell, description="How many pods have succeeded, of how many."),
        Column("Duration", _duration_cell, description="How long it took."),
        AGE,
        *container_columns("spec", "template", "spec", "containers"),
        SELECTOR,
    ),
    not_selectable='field label "{label}" not supported for Job',
    selectable_fields={
        **METADATA_FIELDS,
        "status.successful": lambda obj: str((obj.get("status") or {}).get("succeeded", 0)),
    },
    generation_at_create=1,
    generation_follows=("spec",),
)

CRON_JOB = ServedKind(
    warnings=warner_of_template(
        "spec",
        "jobTemplate",
        "spec",
        "template",
        before=lambda job: _warn_of_indexes(job["spec"]["jobTemplate"].get("spec") or {}, "spec.jobTemplate.spec"),
        also=_warn_of_schedule,
    ),
    resource=CRON_JOBS,
    singular="cronjob",
    schema="io.k8s.api.batch.v1.CronJob",
    short_names=("cj",),
    categories=("all",),
    delete_returns_object=False,
    default=default_cron_job,
    prepare_create=start_with_empty_status,
    prepare_update=keep_status,
    validate_create=validate_cron_job,
    validate_update=validate_cron_job_update,
    subresources=(STATUS,),
    columns=(
        NAME,
        Column("Schedule", field_cell("spec", "schedule"), description="When it runs."),
        Column("Timezone", field_cell("spec", "timeZone", default=NONE), description="In which time zone."),
        Column("Suspend", _suspend_cell, "boolean", description="Whether it pauses."),
        Column("Active", count_cell("status", "active"), "integer", description="Jobs that run."),
        Column("Last Schedule", _last_schedule_cell, description="When it last ran."),
        AGE,
        *container_columns("spec", "jobTemplate", "spec", "template", "spec", "containers"),
        Column("Selector", _selector_cell, description="Which pods belong to it.", priority=1),
    ),
    generation_at_create=1,
    generation_follows=("spec",),
)

BATCH = (CRON_JOB, JOB)
