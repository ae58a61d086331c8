"""The metrics that an autoscaler goes by: one source each, and a target that fits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pvbinder.model.quantity import ZERO, quantity_of
from pvbinder.server.errors import FieldError, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.validation.names import check_dns_label, check_path_segment
from pvbinder.server.kinds.validation.object_references import validate_scaled_object, why_no_api_version
from pvbinder.server.kinds.validation.resource_names import validate_container_resource_name
from pvbinder.server.objects.kind import Json

_FIELDS: Final[Mapping[str, str]] = {  # where each type of metric says more
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
_CHECKED_IN_ORDER: Final = ("object", "external", "pods", "resource", "containerResource")
_TARGET_TYPES: Final = ("Utilization", "Value", "AverageValue")


def is_valid_described_object(metric: Json) -> bool:
    """Say whether the object that a metric is about has an API version; true of metrics about none."""
    source = metric.get("object")
    if metric.get("type") != "Object" or source is None:
        return True
    return not why_no_api_version(source.get("describedObject") or {}, any_group=True)


def validate_metrics(metrics: list[Json], path: str, *, any_version: bool) -> list[FieldError]:
    """Check metrics; with `any_version` the API versions of the objects that they are about don't count."""
    return [
        error
        for index, metric in enumerate(metrics)
        for error in _validate_metric(metric, f"{path}[{index}]", any_version=any_version)
    ]


def _validate_metric(metric: Json, path: str, *, any_version: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    kind = metric.get("type", "")
    if not kind:
        errors.append(required(f"{path}.type", "must specify a metric source type"))
    if kind not in _FIELDS:
        errors.append(unsupported(f"{path}.type", kind, _FIELDS))
    given = [field for field in _CHECKED_IN_ORDER if metric.get(field) is not None]
    for field in given[:1]:
        errors += _SOURCES[field](metric[field], f"{path}.{field}", any_version)
    expected = _FIELDS.get(kind)
    if expected is None:
        errors.append(unsupported(f"{path}.type", kind, _FIELDS))
    elif expected not in given:
        errors.append(required(f"{path}.{expected}", "must populate information for the given metric source"))
    if len(given) != 1:
        why = "must populate the given metric source only"
        errors += (forbidden(f"{path}.{field}", why) for field in given if field != expected)
    return errors


def _validate_object_source(source: Json, path: str, any_version: bool) -> list[FieldError]:
    described = source.get("describedObject") or {}
    errors = validate_scaled_object(described, f"{path}.describedObject", any_version=any_version, any_group=True)
    errors += _validate_identifier_and_target(source, path)
    target = _target_of(source)
    if target.get("value") is None and target.get("averageValue") is None:
        errors.append(required(f"{path}.target.averageValue", "must set either a target value or averageValue"))
    return errors


def _validate_external_source(source: Json, path: str, _any_version: bool) -> list[FieldError]:
    errors = _validate_identifier_and_target(source, path)
    target = _target_of(source)
    given = [field for field in ("value", "averageValue") if target.get(field) is not None]
    if not given:
        why = "must set either a target value for metric or a per-pod target"
        errors.append(required(f"{path}.target.averageValue", why))
    elif len(given) > 1:
        why = "may not set both a target value for metric and a per-pod target"
        errors.append(forbidden(f"{path}.target.value", why))
    return errors


def _validate_pods_source(source: Json, path: str, _any_version: bool) -> list[FieldError]:
    errors = _validate_identifier_and_target(source, path)
    if _target_of(source).get("averageValue") is None:
        errors.append(required(f"{path}.target.averageValue", "must specify a positive target averageValue"))
    return errors


def _validate_resource_source(source: Json, path: str, _any_version: bool) -> list[FieldError]:
    errors = [] if source.get("name") else [required(f"{path}.name", "must specify a resource name")]
    return errors + _validate_resource_target(source, path)


def _validate_container_source(source: Json, path: str, _any_version: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    name, container = source.get("name", ""), source.get("container", "")
    if name:
        errors += validate_container_resource_name(name, f"{path}.name")
    else:
        errors.append(required(f"{path}.name", "must specify a resource name"))
    if container:
        errors += (invalid(f"{path}.container", container, reason) for reason in check_dns_label(container))
    else:
        errors.append(required(f"{path}.container", "must specify a container"))
    return errors + _validate_resource_target(source, path)


def _validate_resource_target(source: Json, path: str) -> list[FieldError]:
    target = _target_of(source)
    errors = _validate_target(target, f"{path}.target")
    given = [field for field in ("averageUtilization", "averageValue") if target.get(field) is not None]
    if not given:
        why = "must set either a target raw value or a target utilization"
        errors.append(required(f"{path}.target.averageUtilization", why))
    elif len(given) > 1:
        why = "may not set both a target raw value and a target utilization"
        errors.append(forbidden(f"{path}.target.averageValue", why))
    return errors


def _validate_identifier_and_target(source: Json, path: str) -> list[FieldError]:
    name = (source.get("metric") or {}).get("name", "")
    errors = [] if name else [required(f"{path}.metric.name", "must specify a metric name")]
    errors += (invalid(f"{path}.metric.name", name, reason) for reason in check_path_segment(name))
    return errors + _validate_target(_target_of(source), f"{path}.target")


def _target_of(source: Json) -> Json:
    return source.get("target") or {}


def _validate_target(target: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    kind = target.get("type", "")
    if not kind:
        errors.append(required(f"{path}.type", "must specify a metric target type"))
    if kind not in _TARGET_TYPES:
        errors.append(invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue"))
    for field in ("value", "averageValue"):
        amount = target.get(field)
        if amount is not None and quantity_of(amount) <= ZERO:
            errors.append(invalid(f"{path}.{field}", amount, "must be positive"))
    share = target.get("averageUtilization")
    if share is not None and share < 1:
        errors.append(invalid(f"{path}.averageUtilization", share, "must be greater than 0"))
    return errors


_SOURCES: Final[Mapping[str, Callable[[Json, str, bool], list[FieldError]]]] = {
    "object": _validate_object_source,
    "external": _validate_external_source,
    "pods": _validate_pods_source,
    "resource": _validate_resource_source,
    "containerResource": _validate_container_source,
}
