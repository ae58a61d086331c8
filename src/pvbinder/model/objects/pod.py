"""Pods, as far as claims depend on them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from pvbinder.model.objects.keys import ClaimKey, PodKey
from pvbinder.model.objects.view import NO_META, ObjectMeta, OwnerReference, View, parsed, view_fields


class _PodClaim(Struct, frozen=True, gc=False, rename="camel"):
    claim_name: str | None = None


class _Volume(Struct, frozen=True, gc=False, rename="camel"):
    name: str | None = None
    persistent_volume_claim: _PodClaim | None = None
    ephemeral: dict[str, Any] | None = None


class _PodSpec(Struct, frozen=True, gc=False, rename="camel"):
    node_name: str | None = None
    volumes: tuple[_Volume, ...] | None = None


class _ContainerState(Struct, frozen=True, gc=False):
    terminated: dict[str, Any] | None = None
    waiting: dict[str, Any] | None = None


class _ContainerStatus(Struct, frozen=True, gc=False):
    state: _ContainerState | None = None

    @property
    def is_running(self) -> bool:
        return self.state is None or (self.state.terminated is None and self.state.waiting is None)


class _PodStatus(Struct, frozen=True, gc=False, rename="camel"):
    phase: str | None = None
    message: str | None = None
    init_container_statuses: tuple[_ContainerStatus, ...] | None = None
    container_statuses: tuple[_ContainerStatus, ...] | None = None
    ephemeral_container_statuses: tuple[_ContainerStatus, ...] | None = None

    @property
    def has_running_container(self) -> bool:
        statuses = (self.init_container_statuses, self.container_statuses, self.ephemeral_container_statuses)
        return any(container.is_running for group in statuses for container in group or ())


class _PodObject(Struct, frozen=True, gc=False):
    metadata: ObjectMeta | None = None
    spec: _PodSpec | None = None
    status: _PodStatus | None = None


class PodVolume(Struct, frozen=True, gc=False):
    """One volume of a pod that needs a claim: by name, or made for the pod (`is_ephemeral`)."""

    name: str
    claim_name: str
    is_ephemeral: bool


class Pod(View, frozen=True, kw_only=True):
    """A Pod; `volumes` holds only those that need a claim, an ephemeral one with the claim name that P-5 gives it."""

    owner_references: tuple[OwnerReference, ...]
    deletion_grace_period_seconds: int | None
    node_name: str
    volumes: tuple[PodVolume, ...]
    phase: str
    message: str
    has_running_container: bool

    @property
    def key(self) -> PodKey:
        """Its namespace and name."""
        return PodKey(f"{self.namespace}/{self.name}")

    @property
    def claim_keys(self) -> tuple[ClaimKey, ...]:
        """The claims it needs, by name or made for it (PC-6)."""
        return tuple(ClaimKey(f"{self.namespace}/{volume.claim_name}") for volume in self.volumes)

    @property
    def is_scheduled(self) -> bool:
        """Tell whether it has a node."""
        return self.node_name != ""

    @property
    def is_terminated(self) -> bool:
        """Tell whether it is over (DB-3, P-3)."""
        return self.phase in ("Failed", "Succeeded") or (self.is_deleting and not self.has_running_container)

    @property
    def is_shut_down(self) -> bool:
        """Tell whether it is being deleted and its grace period is over (P-4)."""
        return self.is_deleting and self.deletion_grace_period_seconds == 0


_NO_SPEC = _PodSpec()
_NO_STATUS = _PodStatus()
_pods = msgspec.json.Decoder(_PodObject)


def parse_pod(data: bytes) -> Pod:
    """Return the Pod in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    found = parsed(_pods, data, "Pod")
    meta, spec, status = found.metadata or NO_META, found.spec or _NO_SPEC, found.status or _NO_STATUS
    volumes = []
    for volume in spec.volumes or ():
        name = volume.name or ""
        if volume.persistent_volume_claim is not None:
            volumes.append(PodVolume(name, volume.persistent_volume_claim.claim_name or "", is_ephemeral=False))
        elif volume.ephemeral is not None:
            volumes.append(PodVolume(name, f"{meta.name or ''}-{name}", is_ephemeral=True))
    return Pod(
        *view_fields(data, meta),
        owner_references=meta.owner_references or (),
        deletion_grace_period_seconds=meta.deletion_grace_period_seconds,
        node_name=spec.node_name or "",
        volumes=tuple(volumes),
        phase=status.phase or "",
        message=status.message or "",
        has_running_container=status.has_running_container,
    )
