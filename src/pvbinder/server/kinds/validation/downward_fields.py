"""Fields of the pod that its containers are told: in variables of the environment, and in files of volumes.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from pvbinder.server.errors import FieldError, invalid, required, unsupported
from pvbinder.server.kinds.validation.names import check_qualified_name
from pvbinder.server.kinds.validation.quantities import canonical_quantity
from pvbinder.server.objects.kind import Json

IN_VARIABLES = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
IN_FILES = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_FIELDS = {*IN_VARIABLES, *IN_FILES, "spec.restartPolicy", "spec.schedulerName", "status.phase"}
_WITH_KEYS = ("metadata.annotations", "metadata.labels")
_RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_UNITS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_KINDS_IN_BYTES = {"memory": "memory", "ephemeral-storage": "local ephemeral storage", "hugepages": "hugepages"}


def validate_field_reference(reference: Json, path: str, allowed: tuple[str, ...]) -> list[FieldError]:
    """Check a reference to one of the `allowed` fields, or to one label or annotation."""
    version, label = reference.get("apiVersion", ""), reference.get("fieldPath", "")
    for field, value in (("apiVersion", version), ("fieldPath", label)):
        if not value:
            return [required(f"{path}.{field}")]
    before, bracket, key = label.removesuffix("']").partition("['")
    has_key = bool(label.endswith("']") and bracket and before)
    problem = ""
    if version != "v1":
        problem = f"unsupported pod version: {version}"
    elif has_key and before not in _WITH_KEYS:
        problem = f"field label does not support subscript: {label}"
    elif not has_key and label not in _FIELDS and label != "spec.host":
        problem = f"field label not supported: {label}"
    if problem:
        return [invalid(f"{path}.fieldPath", label, f"error converting fieldPath: {problem}")]
    if has_key:
        key = key.lower() if before == "metadata.annotations" else key
        return [invalid(path, key, reason) for reason in check_qualified_name(key)]
    label = "spec.nodeName" if label == "spec.host" else label
    return [] if label in allowed else [unsupported(f"{path}.fieldPath", label, allowed)]


def validate_resource_reference(reference: Json, path: str, *, in_file: bool = False) -> list[FieldError]:
    """Check a reference to an amount of a container; outside of one, it says which."""
    name = reference.get("resource", "")
    errors: list[FieldError] = []
    if in_file and not reference.get("containerName"):
        errors.append(required(f"{path}.containerName"))
    elif not name:
        errors.append(required(f"{path}.resource"))
    elif name not in _RESOURCES and not name.startswith(_HUGE_PAGES):
        errors.append(unsupported(f"{path}.resource", name, _RESOURCES))
    divisor = canonical_quantity(reference.get("divisor") or "0")
    if divisor == "0":
        return errors
    kind = "hugepages" if name.startswith(_HUGE_PAGES) else name.partition(".")[2]
    if kind == "cpu" and divisor not in ("1m", "1"):
        why = "only divisor's values 1m and 1 are supported with the cpu resource"
        errors.append(invalid(f"{path}.divisor", name, why))
    elif kind in _KINDS_IN_BYTES and divisor not in _UNITS:
        why = f"only divisor's values {', '.join(_UNITS)} are supported with the {_KINDS_IN_BYTES[kind]} resource"
        errors.append(invalid(f"{path}.divisor", name, why))
    return errors
