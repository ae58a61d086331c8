"""Templates of pods inside workloads: defaults, validation, and what columns show of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pvbinder.server.errors import FieldError, unsupported
from pvbinder.server.kinds.built_in.pod_defaults import default_pod_spec
from pvbinder.server.kinds.parts.columns import field_cell, joined, selector_shown
from pvbinder.server.kinds.validation.metadata import validate_annotations, validate_labels
from pvbinder.server.kinds.validation.pod_specs import validate_pod_spec
from pvbinder.server.objects.kind import Column, Json, drop_empty


def default_template(template: Json) -> None:
    """Fill in a template's pod spec."""
    metadata = template.setdefault("metadata", {})
    drop_empty(metadata, "labels", "annotations", "name", "namespace", "finalizers", "ownerReferences")
    default_pod_spec(template.setdefault("spec", {}))


def validate_template(template: Json, path: str, restart_policies: tuple[str, ...] = ("Always",)) -> list[FieldError]:
    """Check a template; workloads restrict how their pods restart."""
    metadata: Json = template.get("metadata") or {}
    errors = validate_labels(metadata.get("labels"), f"{path}.labels")
    errors += validate_annotations(metadata.get("annotations"), f"{path}.annotations")
    spec: Json = template.get("spec") or {}
    errors += validate_pod_spec(spec, f"{path}.spec")
    policy = spec.get("restartPolicy")
    if policy in ("Always", "OnFailure", "Never") and policy not in restart_policies:
        errors.append(unsupported(f"{path}.spec.restartPolicy", policy, restart_policies))
    return errors


def _containers(obj: Json, path: tuple[str, ...]) -> list[Json]:
    value: object = obj
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, list) else []


def _cell_of_containers(field: str, path: tuple[str, ...]) -> Callable[[Json, datetime], object]:
    def cell(obj: Json, _now: datetime) -> object:
        return joined((container.get(field, "") for container in _containers(obj, path)), "")

    return cell


def _selector_cell(obj: Json, _now: datetime) -> object:
    return selector_shown((obj.get("spec") or {}).get("selector"))


def container_columns(*path: str) -> tuple[Column, Column]:
    """Make the columns that name containers and images of the template at `path`."""
    return (
        Column("Containers", _cell_of_containers("name", path), description="Names of containers.", priority=1),
        Column("Images", _cell_of_containers("image", path), description="Images of containers.", priority=1),
    )


SELECTOR = Column("Selector", _selector_cell, description="Which pods belong to it.", priority=1)
DESIRED = Column("Desired", field_cell("spec", "replicas", default=0), "integer", description="Pods that should be.")
CURRENT = Column("Current", field_cell("status", "replicas", default=0), "integer", description="Pods there are.")
READY = Column("Ready", field_cell("status", "readyReplicas", default=0), "integer", description="Pods that are ready.")
