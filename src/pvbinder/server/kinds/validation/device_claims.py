"""The rules of ResourceClaim, ResourceClaimTemplate and DeviceClass: what is asked for, and by which class.

Selectors are looked at as texts only: nobody chooses devices by them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, TypeVar

from pvbinder.server.errors import FieldError, duplicate, invalid, required, too_long, too_many, unsupported
from pvbinder.server.kinds.validation.internal_form import Inner, InternalFields, inner_form
from pvbinder.server.kinds.validation.metadata import IMMUTABLE, validate_annotations, validate_labels
from pvbinder.server.kinds.validation.names import (
    check_dns_label,
    check_dns_subdomain,
    check_label_value,
    check_qualified_name,
)
from pvbinder.server.kinds.validation.numbers import NOT_POSITIVE
from pvbinder.server.kinds.validation.resource_names import is_extended
from pvbinder.server.objects.kind import Json

T = TypeVar("T")

REQUESTS_MAX: Final = 32
_SELECTORS_MAX: Final = 32
_CHOICES_MAX: Final = 8
_EXPRESSION_BYTES_MAX: Final = 10 * 1024
_PARAMETERS_BYTES_MAX: Final = 10 * 1024
_DRIVER_BYTES_MAX: Final = 63
_MODES: Final = ("All", "ExactCount")
_OPERATORS: Final = ("Equal", "Exists")
_EFFECTS: Final = ("NoExecute", "NoSchedule", "None")
_ONE_OF_BOTH: Final = "exactly one of `exactly` or `firstAvailable` is required"
_NO_REQUEST: Final = (
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
)
_ASKED: Final[InternalFields] = {
    "DeviceClassName": ("deviceClassName", ""),
    "Selectors": ("selectors", Inner({"CEL": ("cel", Inner({"Expression": ("expression", "")}))}, many=True)),
    "AllocationMode": ("allocationMode", ""),
    "Count": ("count", 0),
    "AdminAccess": ("adminAccess", None),
    "Tolerations": (
        "tolerations",
        Inner(
            {
                "Key": ("key", ""),
                "Operator": ("operator", ""),
                "Value": ("value", ""),
                "Effect": ("effect", ""),
                "TolerationSeconds": ("tolerationSeconds", None),
            },
            many=True,
        ),
    ),
    "Capacity": ("capacity", Inner({"Requests": ("requests", None)})),
}
_ASKED_OF_SEVERAL: Final[InternalFields] = {
    "Name": ("name", ""),
    **{name: form for name, form in _ASKED.items() if name != "AdminAccess"},
}
_REQUEST: Final[InternalFields] = {
    "Name": ("name", ""),
    "Exactly": ("exactly", Inner(_ASKED)),
    "FirstAvailable": ("firstAvailable", Inner(_ASKED_OF_SEVERAL, many=True)),
}
_CONSTRAINT: Final[InternalFields] = {
    "Requests": ("requests", None),
    "MatchAttribute": ("matchAttribute", None),
    "DistinctAttribute": ("distinctAttribute", None),
}
_CONFIGURATION: Final[InternalFields] = {
    "Requests": ("requests", None),
    "Opaque": ("opaque", Inner({"Driver": ("driver", ""), "Parameters": ("parameters", None)})),
}
_DEVICES: Final[InternalFields] = {
    "Requests": ("requests", Inner(_REQUEST, many=True)),
    "Constraints": ("constraints", Inner(_CONSTRAINT, many=True)),
    "Config": ("config", Inner(_CONFIGURATION, many=True)),
}
_CLAIM: Final[InternalFields] = {"Devices": ("devices", Inner(_DEVICES, pointer=False))}
_TEMPLATE: Final[InternalFields] = {"Spec": ("spec", Inner(_CLAIM, pointer=False))}


def validate_resource_claim(claim: Json) -> list[FieldError]:
    """Check what a new claim asks for."""
    return _validate_devices((claim.get("spec") or {}).get("devices") or {}, "spec.devices")


def validate_resource_claim_update(new: Json, old: Json) -> list[FieldError]:
    """Check that a claim asks for what it asked for."""
    sent, kept = (inner_form(_CLAIM, obj.get("spec") or {}) for obj in (new, old))
    return [] if sent == kept else [invalid("spec", sent, IMMUTABLE)]


def validate_claim_template(template: Json) -> list[FieldError]:
    """Check what the claims of a new template will ask for."""
    spec: Json = template.get("spec") or {}
    metadata = spec.get("metadata") or {}
    errors = validate_annotations(metadata.get("annotations"), "spec.metadata.annotations")
    errors += validate_labels(metadata.get("labels"), "spec.metadata.labels")
    return errors + _validate_devices((spec.get("spec") or {}).get("devices") or {}, "spec.spec.devices")


def validate_claim_template_update(new: Json, old: Json) -> list[FieldError]:
    """Check that a template stays as it is; its metadata is shown as the API shows it."""
    sent, kept = (dict((obj.get("spec") or {}).get("metadata") or {}) for obj in (new, old))
    sent |= inner_form(_TEMPLATE, new.get("spec") or {})
    kept |= inner_form(_TEMPLATE, old.get("spec") or {})
    return [] if sent == kept else [invalid("spec", sent, IMMUTABLE)]


def validate_device_class(obj: Json) -> list[FieldError]:
    """Check which devices are of a class, and with what configuration."""
    spec: Json = obj.get("spec") or {}
    errors = _validate_selectors(spec, "spec")
    errors += _each(spec.get("config") or [], _SELECTORS_MAX, _validate_configuration, "spec.config")
    name = spec.get("extendedResourceName")
    if name is not None and not is_extended(name):
        errors.append(invalid("spec.extendedResourceName", name, "must be a valid extended resource name"))
    return errors


def _each(
    items: list[T], most: int, check: Callable[[T, str], list[FieldError]], path: str, *, set_of: str | None = None
) -> list[FieldError]:
    """Check each of a list's items, of which there are at most so many; `set_of` names the key that differs."""
    if len(items) > most:
        return [too_many(path, len(items), most)]
    errors = [error for index, item in enumerate(items) for error in check(item, f"{path}[{index}]")]
    if set_of is None:
        return errors
    keys = [item.get(set_of, "") if isinstance(item, dict) else item for item in items]
    return errors + [duplicate(f"{path}[{at}]", key) for at, key in enumerate(keys) if key in keys[:at]]


def _validate_devices(devices: Json, path: str) -> list[FieldError]:
    requests: list[Json] = devices.get("requests") or []
    names: dict[str, set[str]] = {
        request.get("name", ""): {one.get("name", "") for one in request.get("firstAvailable") or ()}
        for request in requests
    }

    def check_name(name: str, at: str) -> list[FieldError]:
        parts = name.split("/")
        if len(parts) > 2:
            return [invalid(at, name, _NO_REQUEST)]
        errors = [error for part in parts for error in _validate_label(part, at)]
        if parts[0] not in names or not set(parts[1:]) <= names[parts[0]]:
            errors.append(invalid(at, name, _NO_REQUEST))
        return errors

    def check_constraint(constraint: Json, at: str) -> list[FieldError]:
        found = _each(constraint.get("requests") or [], REQUESTS_MAX, check_name, f"{at}.requests", set_of="")
        return found + _validate_constraint(constraint, at)

    def check_configuration(configuration: Json, at: str) -> list[FieldError]:
        found = _each(configuration.get("requests") or [], REQUESTS_MAX, check_name, f"{at}.requests", set_of="")
        return found + _validate_configuration(configuration, at)

    errors = _each(requests, REQUESTS_MAX, _validate_request, f"{path}.requests", set_of="name")
    errors += _each(devices.get("constraints") or [], REQUESTS_MAX, check_constraint, f"{path}.constraints")
    return errors + _each(devices.get("config") or [], REQUESTS_MAX, check_configuration, f"{path}.config")


def _validate_label(name: str, path: str) -> list[FieldError]:
    return [invalid(path, name, reason) for reason in check_dns_label(name)]


def _validate_request(request: Json, path: str) -> list[FieldError]:
    errors = _validate_label(request.get("name", ""), f"{path}.name")
    exactly, several = request.get("exactly"), request.get("firstAvailable") or []
    if exactly is None and not several:
        return [*errors, required(path, _ONE_OF_BOTH)]
    if exactly is not None and several:
        return [*errors, invalid(path, None, f"{_ONE_OF_BOTH}, but multiple fields are set")]
    if exactly is not None:
        return errors + _validate_asked(exactly, f"{path}.exactly")
    return errors + _each(several, _CHOICES_MAX, _validate_one_of_several, f"{path}.firstAvailable", set_of="name")


def _validate_one_of_several(one: Json, path: str) -> list[FieldError]:
    return _validate_label(one.get("name", ""), f"{path}.name") + _validate_asked(one, path)


def _validate_asked(asked: Json, path: str) -> list[FieldError]:
    name, mode, count = asked.get("deviceClassName", ""), asked.get("allocationMode", ""), asked.get("count") or 0
    errors = [] if name else [required(f"{path}.deviceClassName")]
    if name:
        errors += (invalid(f"{path}.deviceClassName", name, reason) for reason in check_dns_subdomain(name))
    errors += _validate_selectors(asked, path)
    if mode not in _MODES:
        errors.append(unsupported(f"{path}.allocationMode", mode, _MODES))
    elif mode == "All" and count:
        errors.append(invalid(f"{path}.count", count, "must not be specified when allocationMode is 'All'"))
    elif mode == "ExactCount" and count <= 0:
        errors.append(invalid(f"{path}.count", count, NOT_POSITIVE))
    for index, toleration in enumerate(asked.get("tolerations") or ()):
        errors += _validate_toleration(toleration, f"{path}.tolerations[{index}]")
    return errors


def _validate_selectors(holder: Json, path: str) -> list[FieldError]:
    return _each(holder.get("selectors") or [], _SELECTORS_MAX, _validate_selector, f"{path}.selectors")


def _validate_selector(selector: Json, path: str) -> list[FieldError]:
    expression = selector.get("cel")
    if expression is None:
        return [required(f"{path}.cel")]
    if len((expression.get("expression") or "").encode()) > _EXPRESSION_BYTES_MAX:
        return [too_long(f"{path}.cel.expression", _EXPRESSION_BYTES_MAX)]
    return []


def _validate_toleration(toleration: Json, path: str) -> list[FieldError]:
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    value, effect = toleration.get("value", ""), toleration.get("effect", "")
    errors = [invalid(f"{path}.key", key, reason) for reason in (check_qualified_name(key) if key else ())]
    match operator:
        case "Exists":
            if value:
                errors.append(invalid(f"{path}.value", value, "must be empty for operator `Exists`"))
        case "Equal":
            errors += (invalid(f"{path}.value", value, reason) for reason in check_label_value(value))
        case "":
            errors.append(required(f"{path}.operator"))
        case _:
            errors.append(unsupported(f"{path}.operator", operator, _OPERATORS))
    if effect and effect not in _EFFECTS:
        errors.append(unsupported(f"{path}.effect", effect, _EFFECTS))
    return errors


def _validate_constraint(constraint: Json, path: str) -> list[FieldError]:
    for field in ("matchAttribute", "distinctAttribute"):
        name = constraint.get(field)
        if name is not None:
            why = "a fully qualified name must be a domain and a name separated by a slash"
            return [] if "/" in name else [invalid(f"{path}.{field}", name, why)]
    why = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
    return [required(path, why)]


def _validate_configuration(configuration: Json, path: str) -> list[FieldError]:
    opaque = configuration.get("opaque")
    if opaque is None:
        return [required(f"{path}.opaque")]
    driver, parameters = opaque.get("driver", ""), opaque.get("parameters")
    errors = [] if driver else [required(f"{path}.opaque.driver")]
    if len(driver.encode()) > _DRIVER_BYTES_MAX:
        errors.append(too_long(f"{path}.opaque.driver", _DRIVER_BYTES_MAX))
    if driver:
        errors += (invalid(f"{path}.opaque.driver", driver, reason) for reason in check_dns_subdomain(driver.lower()))
    at = f"{path}.opaque.parameters"
    if parameters is None:
        errors.append(required(at))
    elif len(json.dumps(parameters, separators=(",", ":")).encode()) > _PARAMETERS_BYTES_MAX:
        errors.append(too_long(at, _PARAMETERS_BYTES_MAX))
    elif not isinstance(parameters, dict):
        errors.append(invalid(at, "<value omitted>", "must be a valid JSON object"))
    return errors
