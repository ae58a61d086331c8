"""The amounts that objects use of quotas, and the quotas that an object counts for.

USAGE-1  Every namespaced object counts as one of ``count/RESOURCE.GROUP``; some kinds have a short name beside it.
USAGE-2  Claims count with their request, or with the larger size that is being allocated (RF-3), also by their
         class.
USAGE-3  Pods count with the sums of their containers, as long as they haven't ended; ``count/pods`` has them until they
         are deleted.
USAGE-4  Services count their node ports and load balancers.
USAGE-5  A quota with scopes is about those pods, or claims, that are in all of them, and about nothing else.

Admission and the controller of quotas both count by this.

Not promised: a pod whose deletion takes longer than its grace period counts here until it is gone.
"""

from __future__ import annotations

from typing import Final

from pvbinder.model.json import Json
from pvbinder.model.names import BETA_STORAGE_CLASS
from pvbinder.model.quantity import ZERO, Quantity, quantity_of
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS, PODS, SERVICES, Resource
from pvbinder.rules.pod_amounts import Amounts, amounts_of_container, amounts_of_pod, containers_of, qos_class

COUNTED_BY_NAME: Final = frozenset(
    {"pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims"}
)
OF_A_CLASS: Final = (
    ".storageclass.storage.k8s.io/requests.storage",
    ".storageclass.storage.k8s.io/persistentvolumeclaims",
)
_ONE = Quantity(10**9)
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_OF_PODS = frozenset({*_COMPUTE, *(f"{which}.{name}" for which in ("requests", "limits") for name in _COMPUTE)})
_HAVE_TO_BE_SAID = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
_OF_SERVICES = frozenset({"services.nodeports", "services.loadbalancers"})
_ENDED = ("Succeeded", "Failed")


def is_counted_by(name: str, resource: Resource) -> bool:
    """Whether the amount `name` of a quota is about objects of `resource`."""
    if name == f"count/{resource.qualified}":
        return True
    if resource.group:
        return False
    if name in COUNTED_BY_NAME:
        return name == resource.plural
    if resource == PERSISTENT_VOLUME_CLAIMS:
        return name == "requests.storage" or name.endswith(OF_A_CLASS)
    if resource == PODS:
        return name in _OF_PODS or name.startswith(("hugepages-", "requests.hugepages-")) or _is_extended(name)
    return resource == SERVICES and name in _OF_SERVICES


def usage_of(resource: Resource, obj: Json) -> Amounts:
    """Return what one object counts for, by the keys of quotas (USAGE-1 to 4)."""
    usage = {f"count/{resource.qualified}": _ONE}
    if resource == PODS:
        if (obj.get("status") or {}).get("phase") not in _ENDED:
            usage["pods"] = _ONE
            usage |= _keyed(amounts_of_pod(obj, "requests"), amounts_of_pod(obj, "limits"))
    elif not resource.group and resource.plural in COUNTED_BY_NAME:
        usage[resource.plural] = _ONE
    if resource == PERSISTENT_VOLUME_CLAIMS:
        usage |= _of_claim(obj)
    elif resource == SERVICES:
        usage |= _of_service(obj)
    return usage


def names_of(resource: Resource) -> tuple[str, ...]:
    """Return the amounts that any object of `resource` counts for by being there."""
    has_name = not resource.group and resource.plural in COUNTED_BY_NAME
    return (f"count/{resource.qualified}", *([resource.plural] if has_name else []))


def is_about(spec: Json, resource: Resource, obj: Json) -> bool:
    """Whether `obj` is in all scopes of a quota with this `spec` (USAGE-5)."""
    selectors = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    selectors += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(_is_in_scope(selector, resource, obj) for selector in selectors)


def unsaid(names: list[str], pod: Json) -> str:
    """Return what containers of a pod have to say because a quota counts it, and don't; "" if nothing is missing."""
    missing: dict[str, set[str]] = {}
    for container in containers_of(pod):
        said = _keyed(amounts_of_container(container, "requests"), amounts_of_container(container, "limits"))
        for name in _HAVE_TO_BE_SAID.intersection(names) - said.keys():
            missing.setdefault(name, set()).add(container.get("name", ""))
    return "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


def _keyed(requests: Amounts, limits: Amounts) -> Amounts:
    """Return the amounts of a pod or container by the keys of quotas."""
    usage: Amounts = {}
    for name, amount in requests.items():
        if name in _COMPUTE or name.startswith("hugepages-"):
            usage[name] = usage[f"requests.{name}"] = amount
        elif _is_extended(f"requests.{name}"):
            usage[f"requests.{name}"] = amount
    usage |= {f"limits.{name}": amount for name, amount in limits.items() if name in _COMPUTE}
    return usage


def _is_extended(name: str) -> bool:
    """Whether a key is one of a resource of somebody else's, such as ``requests.example.com/gpu``."""
    domain, slash, _ = name.removeprefix("requests.").partition("/")
    is_ours = domain == "kubernetes.io" or domain.endswith((".kubernetes.io", ".storage.k8s.io"))
    return name.startswith("requests.") and bool(slash) and not is_ours


def _of_claim(claim: Json) -> Amounts:
    spec: Json = claim.get("spec") or {}
    asked = quantity_of(((spec.get("resources") or {}).get("requests") or {}).get("storage"))
    given = quantity_of(((claim.get("status") or {}).get("allocatedResources") or {}).get("storage"))
    size = max(asked, given)
    usage = {"requests.storage": size}
    annotations = (claim.get("metadata") or {}).get("annotations") or {}
    if storage_class := annotations.get(BETA_STORAGE_CLASS) or spec.get("storageClassName"):
        usage[f"{storage_class}.storageclass.storage.k8s.io/requests.storage"] = size
        usage[f"{storage_class}.storageclass.storage.k8s.io/persistentvolumeclaims"] = _ONE
    return usage


def _of_service(service: Json) -> Amounts:
    spec: Json = service.get("spec") or {}
    ports: list[Json] = spec.get("ports") or []
    kind = spec.get("type")
    node_ports = 0
    if kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False):
        node_ports = len(ports)
    elif kind == "LoadBalancer":
        node_ports = sum(1 for port in ports if port.get("nodePort"))
    balancers = _ONE if kind == "LoadBalancer" else ZERO
    return {"services.nodeports": Quantity(node_ports * 10**9), "services.loadbalancers": balancers}


def _is_in_scope(selector: Json, resource: Resource, obj: Json) -> bool:
    spec: Json = obj.get("spec") or {}
    scope = selector.get("scopeName")
    if resource == PERSISTENT_VOLUME_CLAIMS:
        return scope == "VolumeAttributesClass" and _selects(selector, _attributes_classes(obj))
    if resource != PODS:
        return False
    match scope:
        case "Terminating" | "NotTerminating":
            deadline = spec.get("activeDeadlineSeconds")
            return (deadline is not None and deadline >= 0) is (scope == "Terminating")
        case "BestEffort" | "NotBestEffort":
            quality = (obj.get("status") or {}).get("qosClass") or qos_class(spec)
            return (quality == "BestEffort") is (scope == "BestEffort")
        case "PriorityClass":
            name = spec.get("priorityClassName")
            return _selects(selector, {name} if name else set())
        case "CrossNamespacePodAffinity":
            return _looks_elsewhere(spec)
        case _:
            return False


def _selects(selector: Json, names: set[str]) -> bool:
    """Whether a scope's selector takes the name that an object gives; the name may be empty."""
    values = selector.get("values") or ()
    match selector.get("operator"):
        case "Exists":
            return bool(names)
        case "DoesNotExist":
            return not names
        case "In":
            return not names.isdisjoint(values)
        case "NotIn":
            return not names or bool(names.difference(values))
        case _:
            return False


def _attributes_classes(claim: Json) -> set[str]:
    """Return the classes that a claim has, wants, or is on its way to."""
    status: Json = claim.get("status") or {}
    named = (
        (claim.get("spec") or {}).get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    )
    return {name for name in named if name}


def _looks_elsewhere(spec: Json) -> bool:
    """Whether a pod wants to be near to, or far from, pods of other namespaces."""
    affinity: Json = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        rules: Json = affinity.get(kind) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        terms += (
            weighted.get("podAffinityTerm") or {}
            for weighted in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        )
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False
