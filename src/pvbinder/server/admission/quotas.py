"""ResourceQuota: how much storage and how many objects a namespace may hold (section 6, quota keys for claims).

What is used is counted from the stored objects at each write, so a quota holds from the moment it is there; its status
is for people to read.
"""

from __future__ import annotations

from collections.abc import Mapping

from pvbinder.model.quantity import ZERO, Quantity
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS, Resource
from pvbinder.server.admission.plugin import Attributes, Plugin, Reader
from pvbinder.server.errors import is_forbidden
from pvbinder.server.kinds.kind import Json
from pvbinder.server.kinds.quotas import RESOURCE_QUOTAS
from pvbinder.server.validation.deprecated import BETA_CLASS
from pvbinder.server.validation.quantities import quantity_of

_ONE = Quantity(10**9)
COUNTED_BY_NAME = frozenset(
    {"pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims"}
)


def check_quotas(reader: Reader, on: Attributes, new: Json, old: Json | None) -> None:
    """Refuse a write that would use more than a quota of the namespace allows."""
    if not on.resource.namespaced or (old is not None and on.resource != PERSISTENT_VOLUME_CLAIMS):
        return  # other objects count the same whatever is in them
    wanted = usage_of(on.resource, new)
    if old is not None:
        before = usage_of(on.resource, old)
        wanted = {name: amount - before[name] for name, amount in wanted.items() if name in before}
        wanted = {name: amount for name, amount in wanted.items() if amount > ZERO}
        if not wanted:
            return
    used: dict[str, Quantity] | None = None
    for quota in reader.list(RESOURCE_QUOTAS, on.namespace):
        hard: Json = quota["spec"].get("hard") or {}
        concerned = sorted(hard.keys() & wanted.keys())
        if not concerned or quota["spec"].get("scopes") or quota["spec"].get("scopeSelector"):
            continue
        if used is None:
            used = used_in(reader, on.resource, on.namespace)
        over = [name for name in concerned if used.get(name, ZERO) + wanted[name] > quantity_of(hard[name])]
        if over:
            why = (
                f"exceeded quota: {quota['metadata']['name']}, requested: {_shown(over, wanted)}, "
                f"used: {_shown(over, used)}, limited: {','.join(f'{name}={hard[name]}' for name in over)}"
            )
            raise is_forbidden(on.resource, on.name, why)


def usage_of(resource: Resource, obj: Json) -> dict[str, Quantity]:
    """Return what one object counts for, by the keys of quotas."""
    usage = {f"count/{resource.qualified}": _ONE}
    if not resource.group and resource.plural in COUNTED_BY_NAME:
        usage[resource.plural] = _ONE
    if resource == PERSISTENT_VOLUME_CLAIMS:
        size = _size_of(obj)
        usage["requests.storage"] = size
        annotations = obj["metadata"].get("annotations") or {}
        storage_class = annotations.get(BETA_CLASS) or obj["spec"].get("storageClassName")
        if storage_class:
            prefix = f"{storage_class}.storageclass.storage.k8s.io"
            usage[f"{prefix}/requests.storage"] = size
            usage[f"{prefix}/persistentvolumeclaims"] = _ONE
    return usage


def used_in(reader: Reader, resource: Resource, namespace: str) -> dict[str, Quantity]:
    """Return what the objects of a resource in `namespace` count for together."""
    used: dict[str, Quantity] = {}
    for obj in reader.latest(resource, namespace):
        for name, amount in usage_of(resource, obj).items():
            used[name] = used.get(name, ZERO) + amount
    return used


def _size_of(claim: Json) -> Quantity:
    """Return what a claim asks for, or what is being given to it if that is more."""
    asked = quantity_of(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage"))
    given = quantity_of(((claim.get("status") or {}).get("allocatedResources") or {}).get("storage"))
    return max(asked, given)


def _shown(names: list[str], amounts: Mapping[str, Quantity]) -> str:
    return ",".join(f"{name}={amounts.get(name, ZERO)}" for name in names)


RESOURCE_QUOTA = Plugin("ResourceQuota", None, validates=check_quotas, on_update=True)
