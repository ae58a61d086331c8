"""The status of a job, which who manages it writes: what is over stays over, and says when.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from pvbinder.server.errors import FieldError, duplicate, invalid, invalid_whole, required
from pvbinder.server.kinds.validation.indexes import count_indexes, overlap
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.numbers import validate_not_negative
from pvbinder.server.objects.kind import Json

_COUNTS = ("active", "succeeded", "failed", "ready", "terminating")
_LASTING = ("Failed", "Complete", "FailureTarget")


def validate_job_status(new: Json, old: Json) -> list[FieldError]:
    """Check a changed status; most is checked only where it changes."""
    spec: Json = new["spec"]
    status: Json = new.get("status") or {}
    before: Json = old.get("status") or {}
    now, then = _conditions(status), _conditions(before)
    errors = validate_not_negative(status, "status", *_COUNTS)
    errors += _validate_uncounted(status.get("uncountedTerminatedPods") or {})
    errors += _validate_ends(status, before, now, then)
    errors += _validate_finished(spec, status, before, _is_over(now), _is_over(then))
    errors += _validate_indexes(spec, status, before)
    is_over, was_over = _is_over(now), _is_over(then)
    ending = status.get("terminating") or 0
    if is_over and ending > 0 and _differs(status, before, "terminating", is_over != was_over):
        errors.append(invalid("status.terminating", ending, "terminating>0 is invalid for finished job"))
    ready = status.get("ready")
    if ready is not None and ready > (status.get("active") or 0) and _differs(status, before, "ready", "active"):
        errors.append(invalid("status.ready", ready, "cannot set more ready pods than active"))
    return errors + _compare(spec, status, before, now, then)


def _conditions(status: Json) -> dict[str, str]:
    return {each.get("type", ""): each.get("status", "") for each in status.get("conditions") or ()}


def _is_over(conditions: dict[str, str]) -> bool:
    return "True" in (conditions.get("Complete"), conditions.get("Failed"))


def _differs(status: Json, before: Json, *what: str | bool) -> bool:
    """Say whether one of the fields differs, or something else does."""
    return any(each if isinstance(each, bool) else status.get(each) != before.get(each) for each in what)


def _validate_uncounted(pods: Json) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for field in ("succeeded", "failed"):
        for index, uid in enumerate(pods.get(field) or ()):
            at = f"status.uncountedTerminatedPods.{field}[{index}]"
            if not uid:
                errors.append(invalid(at, uid, "must not be empty"))
            elif uid in seen:
                errors.append(duplicate(at, uid))
            seen.add(uid)
    return errors


def _validate_ends(status: Json, before: Json, now: dict[str, str], then: dict[str, str]) -> list[FieldError]:
    """Check that a job is either complete or failed, and for how it came to that."""
    errors: list[FieldError] = []
    true = {kind for kind, value in now.items() if value == "True"}
    changed = true ^ {kind for kind, value in then.items() if value == "True"}
    ended, started = status.get("completionTime"), status.get("startTime")
    at = "status.completionTime"
    complete = "Complete" in true
    if {"Complete", "Failed"} <= true and changed & {"Complete", "Failed"}:
        errors.append(invalid_whole("status.conditions", "cannot set Complete=True and Failed=true conditions"))
    if {"Complete", "FailureTarget"} <= true and changed & {"Complete", "FailureTarget"}:
        errors.append(invalid_whole("status.conditions", "cannot set Complete=True and FailureTarget=true conditions"))
    if _differs(status, before, "completionTime", "Complete" in changed):
        if ended is not None and not complete:
            why = "cannot set completionTime when there is no Complete=True condition"
            errors.append(invalid(at, ended, why))
        if ended is None and complete:
            errors.append(required(at, "completionTime is required for Complete jobs"))
    if started and ended and ended < started and _differs(status, before, "startTime", "completionTime"):
        errors.append(invalid(at, ended, "must be equal to or after `startTime`"))
    without_reason = "Failed" in true and "FailureTarget" not in true
    if without_reason and _differs(status, before, "failedIndexes", "Failed" in changed):
        why = "cannot set Failed=True condition without the FailureTarget=true condition"
        errors.append(invalid_whole("status.conditions", why))
    if complete and "SuccessCriteriaMet" not in true and changed & {"Complete", "SuccessCriteriaMet"}:
        why = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        errors.append(invalid_whole("status.conditions", why))
    return errors


def _validate_finished(spec: Json, status: Json, before: Json, is_over: bool, was_over: bool) -> list[FieldError]:
    """Check that nothing is left of what is over."""
    if not is_over:
        return []
    errors: list[FieldError] = []
    ends = is_over != was_over
    if (status.get("active") or 0) > 0 and _differs(status, before, "active", ends):
        errors.append(invalid("status.active", status["active"], "active>0 is invalid for finished job"))
    never_runs = spec.get("suspend") is True and spec.get("completions") == 0
    if status.get("startTime") is None and not never_runs and _differs(status, before, "startTime", ends):
        errors.append(required("status.startTime", "startTime is required for finished job"))
    uncounted: Json = status.get("uncountedTerminatedPods") or {}
    if any(uncounted.values()) and _differs(status, before, "uncountedTerminatedPods", ends):
        shown = {"Succeeded": uncounted.get("succeeded"), "Failed": uncounted.get("failed")}
        errors.append(invalid("status.uncountedTerminatedPods", shown, "must be empty for finished job"))
    return errors


def _validate_indexes(spec: Json, status: Json, before: Json) -> list[FieldError]:
    errors: list[FieldError] = []
    done, failed = status.get("completedIndexes") or "", status.get("failedIndexes")
    completions, limit = spec.get("completions"), spec.get("backoffLimitPerIndex")
    done_changed, failed_changed = (
        (status.get(field) or "") != (before.get(field) or "") for field in ("completedIndexes", "failedIndexes")
    )
    if done_changed and completions is not None and (problem := count_indexes(done, completions)[1]):
        errors.append(invalid("status.completedIndexes", done, f"error parsing completedIndexes: {problem}"))
    if failed_changed and completions is not None and limit is not None and failed is not None:
        problem = count_indexes(failed, completions)[1]
        if problem:
            errors.append(invalid("status.failedIndexes", failed, f"error parsing failedIndexes: {problem}"))
    if done_changed and done and spec.get("completionMode") != "Indexed":
        why = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errors.append(invalid("status.completedIndexes", done, why))
    if failed_changed and limit is None and failed is not None:
        why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        errors.append(invalid("status.failedIndexes", failed, why))
    if (done_changed or failed_changed) and completions is not None and failed:
        index = overlap(done, failed, completions)
        if index is not None:
            why = f"failedIndexes and completedIndexes overlap at index: {index}"
            errors.append(invalid("status.failedIndexes", failed, why))
    return errors


def _compare(spec: Json, status: Json, before: Json, now: dict[str, str], then: dict[str, str]) -> list[FieldError]:
    """Check what never goes back."""
    errors = [
        invalid_whole("status.conditions", f"cannot disable the terminal {kind}=True condition")
        for kind in _LASTING
        if then.get(kind) == "True" != now.get(kind)
    ]
    scales = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    for field in ("failed", "succeeded"):
        count = status.get(field) or 0
        if count < (before.get(field) or 0) and not (field == "succeeded" and scales):
            errors.append(invalid(f"status.{field}", count, f"cannot decrease the {field} counter"))
    ended, started = before.get("completionTime"), before.get("startTime")
    if ended and status.get("completionTime") not in (None, ended):
        errors.append(invalid("status.completionTime", status["completionTime"], IMMUTABLE))
    resumes = then.get("Suspended") == "True" and now.get("Suspended") == "False"
    if started and status.get("startTime") != started and not spec.get("suspend") and not resumes:
        why = "field is immutable for unsuspended job once set"
        errors.append(invalid("status.startTime", status.get("startTime"), why))
    met, was_met = now.get("SuccessCriteriaMet") == "True", then.get("SuccessCriteriaMet") == "True"
    if was_met and not met:
        errors.append(invalid_whole("status.conditions", "cannot disable the SuccessCriteriaMet=True condition"))
    if then.get("Complete") == "True" and not was_met and met:
        why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        errors.append(invalid_whole("status.conditions", why))
    return errors
