"""Workloads as views: Deployment, ReplicaSet, DaemonSet, Job, CronJob, ControllerRevision, PodDisruptionBudget.

Their controllers read few fields of a spec and write whole statuses, so both are kept as JSON; never change them, take
`document()`. Metadata, owners and the selector are parsed as everywhere.
"""

from __future__ import annotations

from typing import Any, Final, NewType

import msgspec
from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.objects import OwnerReference, View
from pvbinder.model.objects.view import MalformedObjectError, WorkloadMeta, parsed, view_fields
from pvbinder.model.resources import Resource
from pvbinder.model.selectors import LabelSelector

WorkloadKey = NewType("WorkloadKey", str)  # namespace/name

DEPLOYMENTS: Final = Resource("apps", "v1", "Deployment", "deployments", True)
REPLICA_SETS: Final = Resource("apps", "v1", "ReplicaSet", "replicasets", True)
DAEMON_SETS: Final = Resource("apps", "v1", "DaemonSet", "daemonsets", True)
CONTROLLER_REVISIONS: Final = Resource("apps", "v1", "ControllerRevision", "controllerrevisions", True)
JOBS: Final = Resource("batch", "v1", "Job", "jobs", True)
CRON_JOBS: Final = Resource("batch", "v1", "CronJob", "cronjobs", True)
DISRUPTION_BUDGETS: Final = Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", True)


class Workload(View, frozen=True, kw_only=True):
    """A workload; `selector` of None selects nothing, an empty one everything."""

    owner_references: tuple[OwnerReference, ...]
    generation: int
    selector: LabelSelector | None
    spec: Json
    status: Json

    @property
    def key(self) -> WorkloadKey:
        """Its namespace and name."""
        return WorkloadKey(f"{self.namespace}/{self.name}")

    @property
    def controller(self) -> OwnerReference | None:
        """Its controlling owner."""
        return controller_of(self.owner_references)

    @property
    def replicas(self) -> int:
        """How many pods it wants."""
        return number(self.spec, "replicas", 1)

    def counted(self, field: str) -> int:
        """Return the number `field` of its status, 0 if there is none."""
        return number(self.status, field)


def number(values: Json, field: str, default: int = 0) -> int:
    """Return the whole number in `field`, or `default`."""
    value = values.get(field)
    return value if isinstance(value, int) else default


def controller_of(references: tuple[OwnerReference, ...]) -> OwnerReference | None:
    """Return the one owner that controls the object with these owners."""
    return next((owner for owner in references if owner.controller is True), None)


class _Selected(Struct):
    selector: LabelSelector | None = None


class _Object(Struct):
    metadata: WorkloadMeta = msgspec.field(default_factory=WorkloadMeta)
    spec: dict[str, Any] | None = None
    status: dict[str, Any] | None = None
    data: Any = None
    revision: int | None = None


_objects = msgspec.json.Decoder(_Object)


def parse_workload(data: bytes) -> Workload:
    """Return the workload in `data`, or raise `MalformedObjectError`; a revision's data and number are its spec."""
    found = parsed(_objects, data, "workload")
    spec = found.spec or {}
    try:
        selector = msgspec.convert({"selector": spec.get("selector")}, _Selected).selector
    except msgspec.ValidationError as error:
        raise MalformedObjectError(f"workload can't be read: {error}") from error
    meta = found.metadata
    if found.revision is not None or found.data is not None:
        spec = {"revision": found.revision or 0, "data": found.data}
    return Workload(
        *view_fields(data, meta),
        owner_references=meta.owner_references or (),
        generation=meta.generation or 0,
        selector=selector,
        spec=spec,
        status=found.status or {},
    )
