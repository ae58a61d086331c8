"""What a container gets: variables of its environment, mounts and devices.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from collections.abc import Callable

from pvbinder.server.errors import FieldError, forbidden, invalid, required, shown, unsupported
from pvbinder.server.kinds.validation.downward_fields import (
    IN_VARIABLES,
    validate_field_reference,
    validate_resource_reference,
)
from pvbinder.server.kinds.validation.names import (
    check_config_key,
    check_dns_label,
    check_dns_subdomain,
    check_environment_name,
)
from pvbinder.server.kinds.validation.paths import has_backsteps
from pvbinder.server.objects.kind import Json

_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE_READ_ONLY = ("Disabled", "Enabled", "IfPossible")


def validate_environment(container: Json, path: str) -> list[FieldError]:
    """Check the variables of a container, and what all variables are taken from."""
    errors: list[FieldError] = []
    for index, variable in enumerate(container.get("env") or ()):
        at = f"{path}.env[{index}]"
        name = variable.get("name", "")
        if not name:
            errors.append(required(f"{at}.name"))
        else:
            errors += (invalid(f"{at}.name", name, reason) for reason in check_environment_name(name))
        if variable.get("valueFrom") is not None:
            errors += _validate_source(variable, f"{at}.valueFrom")
    for index, source in enumerate(container.get("envFrom") or ()):
        errors += _validate_all_from(source, f"{path}.envFrom", index)
    return errors


def _validate_source(variable: Json, path: str) -> list[FieldError]:
    source: Json = variable["valueFrom"]
    there = [field for field in _SOURCES if source.get(field) is not None]
    errors: list[FieldError] = []
    for field in there:
        errors += _SOURCES[field](source[field], f"{path}.{field}")
    if not there:
        why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        errors.append(invalid(path, "", why))
    elif variable.get("value"):
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(there) > 1:
        errors.append(invalid(path, "", "may not have more than one field specified at a time"))
    return errors


def _validate_field(reference: Json, path: str) -> list[FieldError]:
    return validate_field_reference(reference, path, IN_VARIABLES)


def _validate_key(reference: Json, path: str) -> list[FieldError]:
    """Check a key of a config map or secret."""
    name, key = reference.get("name", ""), reference.get("key", "")
    errors = [invalid(f"{path}.name", name, reason) for reason in check_dns_subdomain(name)]
    if not key:
        return [*errors, required(f"{path}.key")]
    return errors + [invalid(f"{path}.key", key, reason) for reason in check_config_key(key)]


def _validate_file(reference: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field, check in (("key", check_environment_name), ("volumeName", check_dns_label)):
        value = reference.get(field, "")
        if not value:
            errors.append(required(f"{path}.{field}"))
        else:
            errors += (invalid(f"{path}.{field}", value, reason) for reason in check(value))
    file = reference.get("path", "")
    if not file:
        errors.append(required(f"{path}.path"))
    elif has_backsteps(file):
        errors.append(invalid(f"{path}.path", file, "must not contain '..'"))
    return errors


def _validate_all_from(source: Json, path: str, index: int) -> list[FieldError]:
    errors: list[FieldError] = []
    prefix = source.get("prefix")
    if prefix:
        at = f"{path}[{index}].prefix"
        errors += (invalid(at, prefix, reason) for reason in check_environment_name(prefix))
    there = [field for field in ("configMapRef", "secretRef") if source.get(field) is not None]
    for field in there:
        name, at = source[field].get("name", ""), f"{path}[{index}].{field}.name"
        if not name:
            errors.append(required(at))
        else:
            errors += (invalid(at, name, reason) for reason in check_dns_subdomain(name))
    if not there:
        errors.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))  # sic: of the list
    elif len(there) > 1:
        errors.append(invalid(path, "", "may not have more than one field specified at a time"))
    return errors


def validate_mounts(container: Json, path: str, volumes: dict[str, Json]) -> list[FieldError]:
    """Check that mounts and devices name volumes of the pod, and places once each."""
    mounts: list[Json] = container.get("volumeMounts") or []
    devices: list[Json] = container.get("volumeDevices") or []
    mounted = {mount.get("name", ""): mount.get("mountPath", "") for mount in mounts}
    attached = {device.get("name", ""): device.get("devicePath", "") for device in devices}
    errors: list[FieldError] = []
    places: set[str] = set()
    context: Json = container.get("securityContext") or {}
    for index, mount in enumerate(mounts):
        at = f"{path}.volumeMounts[{index}]"
        name, place = mount.get("name", ""), mount.get("mountPath", "")
        errors += _validate_name(name, at, name in volumes)
        if not place:
            errors.append(required(f"{at}.mountPath"))
        if place in places:
            errors.append(invalid(f"{at}.mountPath", place, "must be unique"))
        places.add(place)
        if name in attached:
            errors.append(invalid(f"{at}.name", name, "must not already exist in volumeDevices"))
        if place in attached.values():
            errors.append(invalid(f"{at}.mountPath", place, "must not already exist as a path in volumeDevices"))
        errors += _validate_sub_paths(mount, f"{path}.volumeMounts", at)
        errors += _validate_mode(mount, f"{path}.volumeMounts", privileged=bool(context.get("privileged")))
    return errors + _validate_devices(devices, f"{path}.volumeDevices", volumes, mounted)


def _validate_name(name: str, path: str, found: bool) -> list[FieldError]:
    errors = [] if name else [required(f"{path}.name")]
    if not found:
        errors.append(FieldError("FieldValueNotFound", f"{path}.name", f"Not found: {shown(name)}"))
    return errors


def _validate_sub_paths(mount: Json, path: str, at: str) -> list[FieldError]:
    """Check paths inside a volume; their errors are those of the list (sic), but for one."""
    errors: list[FieldError] = []
    both = mount.get("subPath") and mount.get("subPathExpr")
    for field in ("subPath", "subPathExpr"):
        inner = mount.get(field)
        if not inner:
            continue
        if field == "subPathExpr" and both:
            errors.append(invalid(f"{at}.{field}", inner, "subPathExpr and subPath are mutually exclusive"))
        if inner.startswith("/"):
            errors.append(invalid(f"{path}.{field}", inner, "must be a relative path"))
        if has_backsteps(inner):
            errors.append(invalid(f"{path}.{field}", inner, "must not contain '..'"))
    return errors


def _validate_mode(mount: Json, path: str, *, privileged: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    propagation, recursive = mount.get("mountPropagation"), mount.get("recursiveReadOnly")
    at = f"{path}.mountPropagation"
    if propagation is not None and propagation not in _PROPAGATIONS:
        errors.append(unsupported(at, propagation, _PROPAGATIONS))
    if propagation == "Bidirectional" and not privileged:
        errors.append(forbidden(at, "Bidirectional mount propagation is available only to privileged containers"))
    at = f"{path}.recursiveReadOnly"
    if recursive in ("Enabled", "IfPossible"):
        if not mount.get("readOnly"):
            errors.append(forbidden(at, "may only be specified when readOnly is true"))
        if propagation not in (None, "None"):
            errors.append(forbidden(at, "may only be specified when mountPropagation is None or not specified"))
    elif recursive not in (None, "Disabled"):
        errors.append(unsupported(at, recursive, _RECURSIVE_READ_ONLY))
    return errors


def _validate_devices(
    devices: list[Json], path: str, volumes: dict[str, Json], mounted: dict[str, str]
) -> list[FieldError]:
    errors: list[FieldError] = []
    names: set[str] = set()
    places: set[str] = set()
    for index, device in enumerate(devices):
        at = f"{path}[{index}]"
        name, place = device.get("name", ""), device.get("devicePath", "")
        volume = volumes.get(name)
        if not name:
            errors.append(required(f"{at}.name"))
        if name in names:
            errors.append(invalid(f"{at}.name", name, "must be unique"))
        if volume is None:
            errors.append(FieldError("FieldValueNotFound", f"{at}.name", f"Not found: {shown(name)}"))
        elif volume.get("persistentVolumeClaim") is None and volume.get("ephemeral") is None:
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid(f"{at}.name", name, why))
        if not place:
            errors.append(required(f"{at}.devicePath"))
        if place in places:
            errors.append(invalid(f"{at}.devicePath", place, "must be unique"))
        if has_backsteps(place):
            errors.append(invalid(f"{at}.devicePath", place, "can not contain backsteps ('..')"))
        else:
            places.add(place)
        if name in mounted:
            errors.append(invalid(f"{at}.name", name, "must not already exist in volumeMounts"))
        if place in mounted.values():
            errors.append(invalid(f"{at}.devicePath", place, "must not already exist as a path in volumeMounts"))
        if name:
            names.add(name)
    return errors


_SOURCES: dict[str, Callable[[Json, str], list[FieldError]]] = {
    "fieldRef": _validate_field,
    "resourceFieldRef": validate_resource_reference,
    "configMapKeyRef": _validate_key,
    "secretKeyRef": _validate_key,
    "fileKeyRef": _validate_file,
}
