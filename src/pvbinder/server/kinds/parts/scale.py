"""The ``scale`` subresource: how many, as a body of its own."""

from __future__ import annotations

from collections.abc import Callable

from pvbinder.model.resources import Resource
from pvbinder.server.errors import invalid, is_invalid
from pvbinder.server.kinds.parts.columns import AGE, NAME, field_cell, selector_text
from pvbinder.server.kinds.parts.status import keep_status
from pvbinder.server.objects.kind import Column, Json, Subresource

SCALE = Resource("autoscaling", "v1", "Scale", "scales", True)
COLUMNS = (
    NAME,
    Column(
        "Desired",
        field_cell("spec", "replicas", default=0),
        "integer",
        description="replicas is the desired number of instances for the scaled object.",
    ),
    Column(
        "Available",
        field_cell("status", "replicas", default=0),
        "integer",
        description="replicas is the actual number of observed instances of the scaled object.",
    ),
    AGE,
)


def read_scale(obj: Json) -> Json:
    """Return the Scale of a workload."""
    metadata = obj["metadata"]
    shown = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    spec: Json = obj.get("spec") or {}
    status: Json = {"replicas": (obj.get("status") or {}).get("replicas", 0)}
    selector = spec.get("selector")
    if isinstance(selector, dict) and "matchLabels" not in selector and "matchExpressions" not in selector:
        selector = {"matchLabels": selector}  # replication controllers
    if text := selector_text(selector):
        status["selector"] = text
    replicas = spec.get("replicas", 0)
    return {
        "kind": SCALE.kind,
        "apiVersion": SCALE.api_version,
        "metadata": {field: metadata[field] for field in shown if field in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def take_in_scale(obj: Json, scale: Json, _now: str) -> None:
    """Put the number of a Scale into the workload; raises ApiError 422 for a negative one."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        error = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise is_invalid(SCALE, obj["metadata"]["name"], [error])
    obj["spec"]["replicas"] = replicas
    revision = (scale.get("metadata") or {}).get("resourceVersion")
    if revision:
        obj["metadata"]["resourceVersion"] = revision


def scale_of(prepare: Callable[[Json, Json, str], None] = keep_status) -> Subresource:
    """Make the ``scale`` subresource of a workload."""
    return Subresource(
        "scale",
        prepare_update=prepare,
        body=SCALE,
        body_schema="io.k8s.api.autoscaling.v1.Scale",
        read=read_scale,
        take_in=take_in_scale,
        columns=COLUMNS,
        replicas_path=("spec", "replicas"),
    )
