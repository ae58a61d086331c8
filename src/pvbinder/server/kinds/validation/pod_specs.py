"""The spec of a pod, in pods and in the templates of workloads.

Fields about volumes and scheduling are checked completely; of the others, only errors that make a pod unusable.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from pvbinder.server.errors import FieldError, duplicate, invalid, required, unsupported
from pvbinder.server.errors import shown as shown_value
from pvbinder.server.kinds.validation.internal_form import TOLERATION, inner_form
from pvbinder.server.kinds.validation.metadata import validate_labels
from pvbinder.server.kinds.validation.names import (
    check_dns_label,
    check_dns_subdomain,
    check_label_value,
    check_qualified_name,
)
from pvbinder.server.kinds.validation.pod_volumes import validate_pod_volumes
from pvbinder.server.kinds.validation.resource_names import validate_resource_requirements
from pvbinder.server.kinds.validation.selectors import validate_node_selector
from pvbinder.server.objects.kind import Json

_INT32_MAX = 2**31 - 1
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def validate_pod_spec(spec: Json, path: str, pod_name: str = "") -> list[FieldError]:
    """Check the spec of a pod called `pod_name` (empty in templates)."""
    volumes, errors = validate_pod_volumes(spec.get("volumes") or [], f"{path}.volumes", pod_name)
    containers = spec.get("containers") or []
    if not containers:
        errors.append(required(f"{path}.containers"))
    names: set[str] = set()
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            errors += _validate_container(container, f"{path}.{field}[{index}]", volumes, names)
    errors += _one_of(spec, path, "restartPolicy", _RESTART_POLICIES)
    errors += _one_of(spec, path, "dnsPolicy", _DNS_POLICIES)
    errors += validate_labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    errors += _validate_node_affinity(spec.get("affinity") or {}, f"{path}.affinity")
    errors += _validate_names(spec, path)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _INT32_MAX:
        errors.append(
            invalid(f"{path}.activeDeadlineSeconds", deadline, f"must be between 1 and {_INT32_MAX}, inclusive")
        )
    return errors + validate_tolerations(spec.get("tolerations") or [], f"{path}.tolerations")


def _validate_container(container: Json, path: str, volumes: dict[str, Json], names: set[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    name = container.get("name", "")
    if not name:
        errors.append(required(f"{path}.name"))
    else:
        errors += (invalid(f"{path}.name", name, reason) for reason in check_dns_label(name))
        if name in names:
            errors.append(duplicate(f"{path}.name", name))
        names.add(name)
    image = container.get("image", "")
    if not image:
        errors.append(required(f"{path}.image"))
    elif image != image.strip():
        errors.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    errors += _one_of(container, path, "terminationMessagePolicy", _MESSAGE_POLICIES)
    errors += _validate_ports(container.get("ports") or [], f"{path}.ports")
    errors += _validate_environment(container.get("env") or [], f"{path}.env")
    errors += _validate_mounts(container, path, volumes)
    errors += _one_of(container, path, "imagePullPolicy", _PULL_POLICIES)
    return errors + validate_resource_requirements(container.get("resources") or {}, f"{path}.resources")


def _validate_ports(ports: list[Json], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, port in enumerate(ports):
        number = port.get("containerPort", 0)
        if not number:
            errors.append(required(f"{path}[{index}].containerPort"))
        elif not 1 <= number <= 65535:
            errors.append(invalid(f"{path}[{index}].containerPort", number, "must be between 1 and 65535, inclusive"))
        host = port.get("hostPort", 0)
        if not 0 <= host <= 65535:
            errors.append(invalid(f"{path}[{index}].hostPort", host, "must be between 1 and 65535, inclusive"))
        errors += _one_of(port, f"{path}[{index}]", "protocol", _PROTOCOLS)
    return errors


def _validate_environment(variables: list[Json], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, variable in enumerate(variables):
        name = variable.get("name", "")
        if not name:
            errors.append(required(f"{path}[{index}].name"))
        elif "=" in name or not name.isprintable() or not name.isascii():
            why = "a valid environment variable name must consist only of printable ASCII characters other than '='"
            errors.append(invalid(f"{path}[{index}].name", name, why))
        if variable.get("value") and variable.get("valueFrom"):
            errors.append(invalid(f"{path}[{index}].valueFrom", "", "may not be specified when `value` is not empty"))
    return errors


def _validate_mounts(container: Json, path: str, volumes: dict[str, Json]) -> list[FieldError]:
    """Check that mounts and devices name volumes of the pod, and places once each."""
    errors: list[FieldError] = []
    places: set[str] = set()
    for field, place_field in (("volumeMounts", "mountPath"), ("volumeDevices", "devicePath")):
        for index, mount in enumerate(container.get(field) or ()):
            at = f"{path}.{field}[{index}]"
            name, place = mount.get("name", ""), mount.get(place_field, "")
            if not name:
                errors.append(required(f"{at}.name"))
            elif name not in volumes:
                errors.append(FieldError("FieldValueNotFound", f"{at}.name", f"Not found: {shown_value(name)}"))
            if not place:
                errors.append(required(f"{at}.{place_field}"))
            elif place in places:
                errors.append(invalid(f"{at}.{place_field}", place, "must be unique"))
            places.add(place)
            if field == "volumeMounts" and mount.get("subPath") and ".." in mount["subPath"].split("/"):
                errors.append(invalid(f"{at}.subPath", mount["subPath"], "must not contain '..'"))
    return errors


def _validate_node_affinity(affinity: Json, path: str) -> list[FieldError]:
    node: Json = affinity.get("nodeAffinity") or {}
    asked = "requiredDuringSchedulingIgnoredDuringExecution"
    if node.get(asked) is None:
        return []
    return validate_node_selector(node[asked], f"{path}.nodeAffinity.{asked}")


def _validate_names(spec: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field, check in (
        ("serviceAccountName", check_dns_subdomain),
        ("nodeName", check_dns_subdomain),
        ("priorityClassName", check_dns_subdomain),
        ("schedulerName", check_qualified_name),
        ("hostname", check_dns_label),
        ("subdomain", check_dns_label),
    ):
        value = spec.get(field)
        if value:
            errors += (invalid(f"{path}.{field}", value, reason) for reason in check(value))
    return errors


def validate_tolerations(tolerations: list[Json], path: str) -> list[FieldError]:
    """Check tolerations of taints."""
    errors: list[FieldError] = []
    for index, toleration in enumerate(tolerations):
        at = f"{path}[{index}]"
        key, operator = toleration.get("key", ""), toleration.get("operator", "")
        value, effect = toleration.get("value", ""), toleration.get("effect", "")
        if key:
            errors += (invalid(f"{at}.key", key, reason) for reason in check_qualified_name(key))
        elif operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            errors.append(invalid(f"{at}.operator", operator, why))
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            errors.append(invalid(f"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
        if operator in ("", "Equal"):
            errors += (invalid(f"{at}.operator", value, reason) for reason in check_label_value(value))
        elif operator == "Exists":
            if value:
                shown = inner_form(TOLERATION, toleration)
                errors.append(invalid(f"{at}.operator", shown, "value must be empty when `operator` is 'Exists'"))
        else:
            errors.append(unsupported(f"{at}.operator", operator, ("Equal", "Exists")))
        if effect and effect not in _EFFECTS:
            errors.append(unsupported(f"{at}.effect", effect, _EFFECTS))
    return errors


def _one_of(obj: Json, path: str, field: str, allowed: tuple[str, ...]) -> list[FieldError]:
    value = obj.get(field)
    return [] if value is None or value in allowed else [unsupported(f"{path}.{field}", value, allowed)]
