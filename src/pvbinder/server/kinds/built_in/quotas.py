"""ResourceQuota, LimitRange and PriorityClass; admission enforces them.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from pvbinder.model.resources import RESOURCE_QUOTAS, Resource
from pvbinder.server.errors import FieldError, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.parts.columns import AGE, NAME, NAME_AND_TIME, field_cell
from pvbinder.server.kinds.parts.status import STATUS, keep_status, start_with_empty_status
from pvbinder.server.kinds.validation.limit_ranges import validate_limit_range, validate_limit_range_update
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.quantities import canonical_quantities
from pvbinder.server.kinds.validation.quotas import (
    validate_quota,
    validate_quota_status,
    validate_quota_update,
    warn_of_quota,
)
from pvbinder.server.objects.kind import Column, Json, ServedKind, drop_empty

LIMIT_RANGES = Resource("", "v1", "LimitRange", "limitranges", True)
PRIORITY_CLASSES = Resource("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", False)

SYSTEM_PRIORITIES = {  # the classes that every cluster has: value, description
    "system-node-critical": (
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    "system-cluster-critical": (
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
}

_USER_PRIORITY_MAX = 1_000_000_000
_SYSTEM_PREFIX = "system-"
_POLICIES = ("PreemptLowerPriority", "Never")


def default_quota(obj: Json) -> None:
    """Bring the amounts into their canonical form."""
    spec = obj.setdefault("spec", {})
    drop_empty(spec, "scopes")
    canonical_quantities(spec, "hard")
    status = obj.setdefault("status", {})
    canonical_quantities(status, "hard")
    canonical_quantities(status, "used")


def _name_limit_range(obj: Json, _now: str) -> None:
    """Give a range without a name one that nobody has (sic: only this kind does)."""
    if not obj["metadata"].get("name"):
        obj["metadata"]["name"] = str(uuid.uuid4())


def default_limit_range(obj: Json) -> None:
    """Let what is allowed at most be the default, and the default be asked for (containers only)."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("limits", None)
    for item in spec["limits"] or ():
        for field in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            if field in item:
                canonical_quantities(item, field)
        if item.get("type") == "Container":
            default = {**(item.get("max") or {}), **(item.get("default") or {})}
            request = {**(item.get("min") or {}), **default, **(item.get("defaultRequest") or {})}
            for field, amounts in (("default", default), ("defaultRequest", request)):
                if amounts:
                    item[field] = amounts


def system_priority_classes() -> list[Json]:
    """Return the priority classes that every cluster has, as they are created."""
    return [
        {
            "apiVersion": PRIORITY_CLASSES.api_version,
            "kind": PRIORITY_CLASSES.kind,
            "metadata": {"name": name},
            "value": value,
            "description": description,
        }
        for name, (value, description) in SYSTEM_PRIORITIES.items()
    ]


def default_priority_class(obj: Json) -> None:
    """Fill in that its pods may push out others."""
    obj.setdefault("value", 0)
    drop_empty(obj, "globalDefault", "description")
    if obj.get("preemptionPolicy") is None:
        obj["preemptionPolicy"] = "PreemptLowerPriority"


def validate_priority_class(obj: Json) -> list[FieldError]:
    """Check that a class of the user's own stays below the system's."""
    errors: list[FieldError] = []
    name, value = obj["metadata"].get("name", ""), obj.get("value", 0)
    policy = obj.get("preemptionPolicy", "")
    if name.startswith(_SYSTEM_PREFIX):
        if error := _unlike_system(obj):
            why = f"priority class names with '{_SYSTEM_PREFIX}' prefix are reserved for system use only."
            errors.append(forbidden("metadata.name", f"{why} error: {error}"))
    elif value > _USER_PRIORITY_MAX:
        why = f"maximum allowed value of a user defined priority is {_USER_PRIORITY_MAX}"
        errors.append(forbidden("value", why))
    if not policy:
        errors.append(required("preemptionPolicy"))
    elif policy not in _POLICIES:
        errors.append(unsupported("preemptionPolicy", policy, _POLICIES))
    return errors


def _unlike_system(obj: Json) -> str:
    """Say how a class differs from the one of the system that has its name; "" if it doesn't."""
    name = obj["metadata"].get("name", "")
    if name not in SYSTEM_PRIORITIES:
        return f"{name} is not a known system priority class"
    value = SYSTEM_PRIORITIES[name][0]
    if obj.get("value", 0) != value:
        return f"value of {name} PriorityClass must be {value}"
    return f"globalDefault of {name} PriorityClass must be false" if obj.get("globalDefault") else ""


def validate_priority_class_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed class; its value can't change."""
    errors: list[FieldError] = []
    if new.get("value") != old.get("value"):
        errors.append(forbidden("value", "may not be changed in an update."))
    if new.get("preemptionPolicy") != old.get("preemptionPolicy"):
        errors.append(invalid("preemptionPolicy", new.get("preemptionPolicy"), IMMUTABLE))
    return errors


def _quota_cell(*, limits: bool) -> Callable[[Json, datetime], object]:
    def cell(obj: Json, _now: datetime) -> object:
        status = obj.get("status") or {}
        hard: Json = status.get("hard") or {}
        used: Json = status.get("used") or {}
        shown = sorted(name for name in hard if name.startswith("limits.") is limits)
        return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in shown)

    return cell


def _global_default_cell(obj: Json, _now: datetime) -> object:
    return bool(obj.get("globalDefault"))


RESOURCE_QUOTA = ServedKind(
    resource=RESOURCE_QUOTAS,
    singular="resourcequota",
    schema="io.k8s.api.core.v1.ResourceQuota",
    short_names=("quota",),
    default=default_quota,
    prepare_create=start_with_empty_status,
    prepare_update=keep_status,
    validate_create=validate_quota,
    validate_update=validate_quota_update,
    warnings=warn_of_quota,
    subresources=(replace(STATUS, validate_update=validate_quota_status),),
    columns=(
        NAME,
        Column("Request", _quota_cell(limits=False), description="What is used of what can be asked for."),
        Column("Limit", _quota_cell(limits=True), description="What is used of what can be allowed."),
        AGE,
    ),
)

LIMIT_RANGE = ServedKind(
    resource=LIMIT_RANGES,
    singular="limitrange",
    schema="io.k8s.api.core.v1.LimitRange",
    short_names=("limits",),
    delete_returns_object=False,
    default=default_limit_range,
    prepare_create=_name_limit_range,
    validate_create=validate_limit_range,
    validate_update=validate_limit_range_update,
    put_creates=True,
    metadata_checks=("whole",),
    columns=NAME_AND_TIME,
)

PRIORITY_CLASS = ServedKind(
    resource=PRIORITY_CLASSES,
    singular="priorityclass",
    schema="io.k8s.api.scheduling.v1.PriorityClass",
    short_names=("pc",),
    delete_returns_object=False,
    default=default_priority_class,
    validate_create=validate_priority_class,
    validate_update=validate_priority_class_update,
    columns=(
        NAME,
        Column("Value", field_cell("value", default=0), "integer", description="The priority of its pods."),
        Column("Global-Default", _global_default_cell, "boolean", description="Whether it is the default."),
        AGE,
        Column("PreemptionPolicy", field_cell("preemptionPolicy"), description="Whom it may push out."),
    ),
    generation_at_create=1,
)

QUOTA_KINDS = (LIMIT_RANGE, RESOURCE_QUOTA, PRIORITY_CLASS)
