"""The rules of RuntimeClass."""

from __future__ import annotations

from pvbinder.server.errors import FieldError, duplicate, invalid, required
from pvbinder.server.kinds.validation.deprecated import warn_of_node_label
from pvbinder.server.kinds.validation.internal_form import TOLERATION, inner_form
from pvbinder.server.kinds.validation.metadata import IMMUTABLE, validate_labels
from pvbinder.server.kinds.validation.names import check_dns_label
from pvbinder.server.kinds.validation.pod_specs import validate_tolerations
from pvbinder.server.kinds.validation.resource_names import validate_resource_requirements
from pvbinder.server.objects.kind import Json


def validate_runtime_class(obj: Json) -> list[FieldError]:
    """Check a new class: its handler, what it costs, and where it is to be had."""
    handler = obj.get("handler", "")
    if not handler:
        errors = [required("handler")]
    else:
        errors = [invalid("handler", handler, reason) for reason in check_dns_label(handler)]
    overhead, scheduling = obj.get("overhead"), obj.get("scheduling")
    if overhead is not None:
        errors += validate_resource_requirements({"limits": overhead.get("podFixed")}, "overhead")
    if scheduling is None:
        return errors
    errors += validate_labels(scheduling.get("nodeSelector"), "scheduling.nodeSelector")
    tolerations: list[Json] = scheduling.get("tolerations") or []
    errors += validate_tolerations(tolerations, "scheduling.tolerations")
    seen: set[tuple[object, ...]] = set()
    for index, toleration in enumerate(tolerations):
        key = tuple(toleration.get(field, "") for field in ("key", "operator", "value", "effect"))
        if key in seen:
            errors.append(duplicate(f"scheduling.tolerations[{index}]", inner_form(TOLERATION, toleration)))
        seen.add(key)
    return errors


def validate_runtime_class_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed class; its handler can't change."""
    errors = validate_runtime_class(new)
    if new.get("handler") != old.get("handler"):
        errors.append(invalid("handler", new.get("handler"), IMMUTABLE))
    return errors


def warn_of_runtime_class(new: Json, _old: Json | None) -> list[str]:
    """Warn of node labels that have been renamed."""
    selector = (new.get("scheduling") or {}).get("nodeSelector") or {}
    return [text for key in selector for text in warn_of_node_label(key, "scheduling.nodeSelector")]
