"""ResourceQuota: how much of everything a namespace may hold.

What is used is counted from the stored objects (`StoredObjects.total`), so a quota holds from the moment it is there;
its status is for people to read. Objects that count the same whatever is in them aren't gone through.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from pvbinder.model.json import encode
from pvbinder.model.quantity import ZERO, Quantity, quantity_of
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS, PODS, RESOURCE_QUOTAS, SERVICES, Resource
from pvbinder.rules.pod_amounts import Amounts
from pvbinder.rules.quotas import is_about, is_counted_by, names_of, unsaid, usage_of
from pvbinder.server.api.admission.plugin import AdmissionAttributes, Plugin, Reader
from pvbinder.server.errors import is_forbidden
from pvbinder.server.objects.kind import Json

_decode = msgspec.json.decode
_NO_SCOPES = b"{}"
_COUNTED_BY_WHAT_THEY_SAY = (PERSISTENT_VOLUME_CLAIMS, PODS, SERVICES)


@dataclass(frozen=True, slots=True)
class _Usage:
    """Return the amounts of an object that quotas with these scopes count."""

    resource: Resource
    scopes: bytes  # the part of the spec that chooses objects, as JSON

    def __call__(self, obj: Json) -> Amounts:
        if self.scopes != _NO_SCOPES and not is_about(_decode(self.scopes), self.resource, obj):
            return {}
        return usage_of(self.resource, obj)


def _usage_in(resource: Resource, spec: Json) -> _Usage:
    scopes = {name: spec[name] for name in ("scopes", "scopeSelector") if spec.get(name)}
    return _Usage(resource, encode(scopes))


async def prepare_quotas(reader: Reader, on: AdmissionAttributes) -> None:
    """Count what is used in the namespace already, in turns."""
    if on.resource in _COUNTED_BY_WHAT_THEY_SAY:
        for usage in {_usage_in(on.resource, quota["spec"]) for quota in reader.list(RESOURCE_QUOTAS, on.namespace)}:
            await reader.prepare_total(on.resource, on.namespace, usage)


def check_quotas(reader: Reader, on: AdmissionAttributes, new: Json, old: Json | None) -> None:
    """Refuse a write that would use more than a quota of the namespace allows."""
    if not on.resource.namespaced or not _may_use_more(on, old):
        return
    concerned: list[tuple[Json, list[str]]] = []
    for quota in reader.list(RESOURCE_QUOTAS, on.namespace):
        hard: Json = quota["spec"].get("hard") or {}
        names = sorted(name for name in hard if is_counted_by(name, on.resource))
        if not names or not is_about(quota["spec"], on.resource, new):
            continue
        if on.resource == PODS and (missing := unsaid(names, new)):
            why = f"failed quota: {quota['metadata']['name']}: must specify {missing}"
            raise is_forbidden(on.resource, on.name, why)
        concerned.append((quota, names))
    if not concerned:
        return
    usage = usage_of(on.resource, new)
    for quota, names in concerned:
        wanted = _wanted(usage, on, quota["spec"], old)
        if wanted.keys().isdisjoint(names):
            continue
        used = _used_by(reader, on, quota["spec"])
        hard = quota["spec"]["hard"]
        over = [n for n in names if n in wanted and used.get(n, ZERO) + wanted[n] > quantity_of(hard[n])]
        if over:
            why = (
                f"exceeded quota: {quota['metadata']['name']}, requested: {_shown(over, wanted)}, "
                f"used: {_shown(over, used)}, limited: {','.join(f'{name}={hard[name]}' for name in over)}"
            )
            raise is_forbidden(on.resource, on.name, why)


def _may_use_more(on: AdmissionAttributes, old: Json | None) -> bool:
    """Whether a write can change what its object counts for; most objects count the same whatever is in them."""
    if on.subresource:
        return old is not None and on.resource == PODS and on.subresource == "resize"
    return old is None or on.resource in (PERSISTENT_VOLUME_CLAIMS, SERVICES)


def _wanted(usage: Amounts, on: AdmissionAttributes, spec: Json, old: Json | None) -> Amounts:
    """Return what a write uses more than before, of what a quota with this `spec` counts."""
    before = usage_of(on.resource, old) if old is not None and is_about(spec, on.resource, old) else {}
    wanted = {name: amount - before.get(name, ZERO) for name, amount in usage.items()}
    return {name: amount for name, amount in wanted.items() if amount > ZERO}


def _used_by(reader: Reader, on: AdmissionAttributes, spec: Json) -> Mapping[str, Quantity]:
    """Return what those of the stored objects that a quota is about count for together."""
    if on.resource not in _COUNTED_BY_WHAT_THEY_SAY:  # each counts the same, and no scope is about them
        return {name: Quantity(reader.count(on.resource, on.namespace) * 10**9) for name in names_of(on.resource)}
    return reader.total(on.resource, on.namespace, _usage_in(on.resource, spec))


def _shown(names: list[str], amounts: Mapping[str, Quantity]) -> str:
    return ",".join(f"{name}={amounts.get(name, ZERO)}" for name in names)


RESOURCE_QUOTA = Plugin(
    "ResourceQuota", None, validates=check_quotas, prepares=prepare_quotas, on_update=True, on_subresources=True
)
