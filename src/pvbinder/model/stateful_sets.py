"""A StatefulSet as a view: the fields that its controller reads."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Final, Literal, NewType

import msgspec
from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.objects import OwnerReference, View
from pvbinder.model.objects.view import WorkloadMeta, parsed, view_fields
from pvbinder.model.selectors import LabelSelector

StatefulSetKey = NewType("StatefulSetKey", str)  # namespace/name
Retention = Literal["Retain", "Delete"]

_ORDINAL: Final = re.compile(r"(.+)-([0-9]{1,10})", re.ASCII)
_SAFE: Final = "bcdfghjklmnpqrstvwxz2456789"  # the letters of the reference's hashes: they make no words by accident


class StatefulSet(View, frozen=True, kw_only=True):
    """A StatefulSet; templates are JSON, since what is made of them is."""

    owner_references: tuple[OwnerReference, ...]
    generation: int
    replicas: int
    first_ordinal: int
    is_parallel: bool
    updates_on_delete: bool
    partition: int
    ready_seconds_min: int
    history_limit: int
    selector: LabelSelector
    service_name: str
    template: Json
    claim_templates: tuple[Json, ...]
    retain_when_deleted: bool
    retain_when_scaled: bool

    @property
    def key(self) -> StatefulSetKey:
        """Its namespace and name."""
        return StatefulSetKey(f"{self.namespace}/{self.name}")

    @property
    def ordinals(self) -> range:
        """The ordinals of the pods that it wants."""
        return range(self.first_ordinal, self.first_ordinal + self.replicas)

    def ordinal_of(self, pod_name: str) -> int | None:
        """Return the ordinal of the pod with that name; None if no pod of this set has such a name."""
        found = _ORDINAL.fullmatch(pod_name)
        return int(found[2]) if found is not None and found[1] == self.name else None

    @property
    def revision(self) -> str:
        """The name that a revision of the template gets: the same template, the same name."""
        canonical = json.dumps(self.template, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(canonical).digest()
        return f"{self.name}-{''.join(_SAFE[byte % len(_SAFE)] for byte in digest[:10])}"


class _Rolling(Struct):
    partition: int | None = None


class _UpdateStrategy(Struct, rename="camel"):
    type: str | None = None
    rolling_update: _Rolling | None = None


class _Ordinals(Struct):
    start: int | None = None


class _Retention(Struct, rename="camel"):
    when_deleted: str | None = None
    when_scaled: str | None = None


class _Spec(Struct, rename="camel"):
    replicas: int | None = None
    ordinals: _Ordinals | None = None
    pod_management_policy: str | None = None
    update_strategy: _UpdateStrategy | None = None
    min_ready_seconds: int | None = None
    revision_history_limit: int | None = None
    selector: LabelSelector | None = None
    service_name: str | None = None
    template: dict[str, Any] | None = None
    volume_claim_templates: tuple[dict[str, Any], ...] | None = None
    persistent_volume_claim_retention_policy: _Retention | None = None


class _Object(Struct):
    metadata: WorkloadMeta = msgspec.field(default_factory=WorkloadMeta)
    spec: _Spec = msgspec.field(default_factory=_Spec)


_objects = msgspec.json.Decoder(_Object)


def parse_stateful_set(data: bytes) -> StatefulSet:
    """Return the StatefulSet in `data`, or raise `MalformedObjectError`."""
    found = parsed(_objects, data, "StatefulSet")
    meta, spec = found.metadata, found.spec
    strategy = spec.update_strategy or _UpdateStrategy()
    retention = spec.persistent_volume_claim_retention_policy or _Retention()
    return StatefulSet(
        *view_fields(data, meta),
        owner_references=meta.owner_references or (),
        generation=meta.generation or 0,
        replicas=1 if spec.replicas is None else spec.replicas,
        first_ordinal=(spec.ordinals.start or 0) if spec.ordinals is not None else 0,
        is_parallel=spec.pod_management_policy == "Parallel",
        updates_on_delete=strategy.type == "OnDelete",
        partition=(strategy.rolling_update.partition or 0) if strategy.rolling_update is not None else 0,
        ready_seconds_min=spec.min_ready_seconds or 0,
        history_limit=10 if spec.revision_history_limit is None else spec.revision_history_limit,
        selector=spec.selector or LabelSelector(),
        service_name=spec.service_name or "",
        template=spec.template or {},
        claim_templates=spec.volume_claim_templates or (),
        retain_when_deleted=retention.when_deleted != "Delete",
        retain_when_scaled=retention.when_scaled != "Delete",
    )
