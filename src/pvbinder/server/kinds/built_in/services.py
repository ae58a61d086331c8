"""Service, Endpoints and EndpointSlice: addresses are given out by admission (`server.api.admission.services`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from pvbinder.model.resources import SERVICES, Resource
from pvbinder.server.errors import ApiError, shown
from pvbinder.server.kinds.parts.columns import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    UNSET,
    field_cell,
    joined,
    labels_shown,
)
from pvbinder.server.kinds.parts.status import STATUS, keep_status
from pvbinder.server.kinds.validation.addresses import warn_of_cidr, warn_of_ip
from pvbinder.server.kinds.validation.endpoints import (
    validate_endpoint_slice,
    validate_endpoint_slice_update,
    validate_endpoints,
    validate_endpoints_update,
    warn_of_endpoint_slice,
    warn_of_endpoints,
)
from pvbinder.server.kinds.validation.services import (
    is_reached_from_outside,
    needs_health_check,
    validate_service,
    validate_service_status,
    validate_service_update,
)
from pvbinder.server.objects.kind import METADATA_FIELDS, Column, Json, ServedKind, Subresource, drop_empty

ENDPOINTS = Resource("", "v1", "Endpoints", "endpoints", True)
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", True)

_AFFINITY_SECONDS = 10800
_TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"
_SHOWN = 3  # addresses or ports in a cell


def default_service(obj: Json) -> None:
    """Fill in type, ports and policies."""
    spec = obj.setdefault("spec", {})
    drop_empty(
        spec, "ports", "selector", "clusterIP", "clusterIPs", "externalIPs", "loadBalancerSourceRanges",
        "externalName", "ipFamilies", "externalTrafficPolicy", "type", "sessionAffinity",
    )  # fmt: skip
    kind = spec.setdefault("type", "ClusterIP")
    affinity = spec.setdefault("sessionAffinity", "None")
    if affinity == "None":
        spec.pop("sessionAffinityConfig", None)
    elif affinity == "ClientIP":
        config = spec.get("sessionAffinityConfig")
        if ((config or {}).get("clientIP") or {}).get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": _AFFINITY_SECONDS}}
    if kind in ("ClusterIP", "LoadBalancer", "NodePort") and spec.get("internalTrafficPolicy") is None:
        spec["internalTrafficPolicy"] = "Cluster"
    if is_reached_from_outside(spec):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is None:
        spec["allocateLoadBalancerNodePorts"] = True
    for port in spec.get("ports") or ():
        drop_empty(port, "name", "protocol", "targetPort", "nodePort")
        port.setdefault("protocol", "TCP")
        if "port" in port:
            port.setdefault("targetPort", port["port"])
    status = obj.setdefault("status", {})
    balancer = status.setdefault("loadBalancer", {})
    if kind == "LoadBalancer":
        for entry in balancer.get("ingress") or ():
            if entry.get("ip") and entry.get("ipMode") is None:
                entry["ipMode"] = "VIP"


def default_endpoints(obj: Json) -> None:
    """Fill in the protocols of ports."""
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            if not port.get("protocol"):
                port["protocol"] = "TCP"


def prepare_new_service(obj: Json, _now: str) -> None:
    """Start without a load balancer."""
    obj["status"] = {"loadBalancer": {}}


def prepare_service(new: Json, old: Json, now: str) -> None:
    """Keep the status; drop what doesn't go with another type, if the writer has left it as it was."""
    keep_status(new, old, now)
    spec, before = new["spec"], old["spec"]
    for field, needed in _OF_TYPES.items():
        if needed(before) and not needed(spec) and spec.get(field) == before.get(field):
            spec.pop(field, None)
    for field in ("ipFamilies", "ipFamilyPolicy") if _has_address(before) and not _has_address(spec) else ():
        if spec.get(field) == before.get(field):
            spec.pop(field, None)
    if _has_address(before) and not _has_address(spec):
        known = [(before.get("clusterIP"), before.get("clusterIPs"))]
        if (spec.get("clusterIP"), spec.get("clusterIPs")) in known:
            spec.pop("clusterIP", None)
            spec.pop("clusterIPs", None)
    if _has_node_ports(before) and not _has_node_ports(spec):
        ports, kept = spec.get("ports") or [], before.get("ports") or []
        if [port.get("nodePort") for port in ports] == [port.get("nodePort") for port in kept]:
            for port in ports:
                port.pop("nodePort", None)
    if spec.get("type") != "LoadBalancer":
        new["status"] = {**(new.get("status") or {}), "loadBalancer": {}}


def _has_address(spec: Json) -> bool:
    return spec.get("type") != "ExternalName"


def _has_node_ports(spec: Json) -> bool:
    return spec.get("type") in ("LoadBalancer", "NodePort")


def _is_balanced(spec: Json) -> bool:
    return spec.get("type") == "LoadBalancer"


_OF_TYPES: Mapping[str, Callable[[Json], bool]] = {  # which field goes with which services
    "healthCheckNodePort": needs_health_check,
    "allocateLoadBalancerNodePorts": _is_balanced,
    "loadBalancerClass": _is_balanced,
    "externalTrafficPolicy": is_reached_from_outside,
}


def warn_of_service(new: Json, _old: Json | None) -> list[str]:
    """Warn of what is deprecated, and of fields that count for nothing."""
    spec, found = new["spec"], []
    if _TOPOLOGY_HINTS in (new["metadata"].get("annotations") or {}):
        mode = "service.kubernetes.io/topology-mode"
        found.append(f"annotation {_TOPOLOGY_HINTS} is deprecated, please use {mode} instead")
    headless = spec.get("type") == "ClusterIP" and spec.get("clusterIP") == "None"
    if spec.get("clusterIP", "") not in ("", "None"):
        for index, address in enumerate(spec.get("clusterIPs") or ()):
            found += warn_of_ip(f"spec.clusterIPs[{index}]", address)
    outside = spec.get("externalIPs") or []
    if headless:
        if spec.get("loadBalancerIP"):
            found.append("spec.loadBalancerIP is ignored for headless services")
        if outside:
            found.append("spec.externalIPs is ignored for headless services")
        if spec.get("sessionAffinity") != "None":
            found.append("spec.SessionAffinity is ignored for headless services")
    for index, address in enumerate(outside):
        found += warn_of_ip(f"spec.externalIPs[{index}]", address)
    if outside and not headless and spec.get("type") != "ExternalName":
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.get("loadBalancerIP"):
        found += warn_of_ip("spec.loadBalancerIP", spec["loadBalancerIP"])
    for index, network in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        found += warn_of_cidr(f"spec.loadBalancerSourceRanges[{index}]", network)
    if spec.get("type") == "ExternalName" and outside:
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if spec.get("type") != "ExternalName" and spec.get("externalName"):
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def warn_of_service_status(new: Json, _old: Json | None) -> list[str]:
    """Warn of addresses of load balancers that nobody should write so."""
    entries = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [
        warning
        for index, entry in enumerate(entries)
        if entry.get("ip")
        for warning in warn_of_ip(f"status.loadBalancer.ingress[{index}]", entry["ip"])
    ]


def default_endpoint_slice(obj: Json) -> None:
    """Fill in names and protocols of ports."""
    obj.setdefault("endpoints", None)
    obj.setdefault("ports", None)
    for port in obj["ports"] or ():
        if port.get("name") is None:
            port["name"] = ""
        if port.get("protocol") is None:
            port["protocol"] = "TCP"


def drop_topology(obj: Json) -> None:
    """Drop the labels of nodes, which only the first version of endpoint slices could write."""
    for endpoint in obj["endpoints"] or ():
        endpoint.pop("deprecatedTopology", None)


def _external_cell(obj: Json, _now: datetime) -> object:
    spec = obj.get("spec") or {}
    given = spec.get("externalIPs") or []
    match spec.get("type"):
        case "ExternalName":
            return spec.get("externalName", "")
        case "LoadBalancer":
            ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
            addresses = {entry.get("ip") or entry.get("hostname") or "" for entry in ingress} - {""}
            return joined([*sorted(addresses), *given], "<pending>")
        case "ClusterIP" | "NodePort":
            return joined(given)
        case _:
            return UNKNOWN


def _cluster_cell(obj: Json, _now: datetime) -> object:
    return next(iter((obj.get("spec") or {}).get("clusterIPs") or ()), NONE)


def _ports_cell(obj: Json, _now: datetime) -> object:
    ports = (obj.get("spec") or {}).get("ports") or ()
    return joined(
        f"{port.get('port')}:{port['nodePort']}/{port.get('protocol')}"
        if port.get("nodePort")
        else f"{port.get('port')}/{port.get('protocol')}"
        for port in ports
    )


def _selector_cell(obj: Json, _now: datetime) -> object:
    return labels_shown((obj.get("spec") or {}).get("selector"))


def _more(shown: list[str], absent: str) -> str:
    text = joined(shown[:_SHOWN], absent)
    return f"{text} + {len(shown) - _SHOWN} more..." if len(shown) > _SHOWN else text


def _endpoints_cell(obj: Json, _now: datetime) -> object:
    subsets = obj.get("subsets")
    if not subsets:
        return NONE
    return _more(
        [
            _with_port(address.get("ip", ""), port.get("port", 0)) if port is not None else address.get("ip", "")
            for subset in subsets
            for port in subset.get("ports") or (None,)
            for address in subset.get("addresses") or ()
        ],
        "",
    )


def _with_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address or "%" in address else f"{address}:{port}"


def _slice_ports_cell(obj: Json, _now: datetime) -> object:
    ports: list[Json] = obj.get("ports") or []
    return _more(
        [str(port["port"]) if port.get("port") is not None else port.get("name", "*") for port in ports], UNSET
    )


def _slice_endpoints_cell(obj: Json, _now: datetime) -> object:
    endpoints = obj.get("endpoints") or ()
    return _more([address for endpoint in endpoints for address in endpoint.get("addresses") or ()], UNSET)


def refuse_to_proxy(service: Json, _query: Mapping[str, list[str]]) -> str:
    """Answer as the reference does when nothing is behind a service: nothing listens anywhere here."""
    why = f"no endpoints available for service {shown(service['metadata']['name'])}"
    raise ApiError(503, "ServiceUnavailable", why)


SERVICE_PROXY_OPTIONS = Resource("", "v1", "ServiceProxyOptions", "services", True)

SERVICE = ServedKind(
    resource=SERVICES,
    singular="service",
    schema="io.k8s.api.core.v1.Service",
    short_names=("svc",),
    categories=("all",),
    name_rule="label",
    put_creates=True,
    default=default_service,
    prepare_create=prepare_new_service,
    prepare_update=prepare_service,
    warnings=warn_of_service,
    validate_create=validate_service,
    validate_update=validate_service_update,
    subresources=(
        Subresource(
            "proxy",
            verbs=("create", "delete", "get", "patch", "update"),
            body=SERVICE_PROXY_OPTIONS,
            reach=refuse_to_proxy,
            has_path=True,
        ),
        replace(STATUS, validate_update=validate_service_status, warnings=warn_of_service_status),
    ),
    columns=(
        NAME,
        Column("Type", field_cell("spec", "type"), description="How it can be reached."),
        Column("Cluster-IP", _cluster_cell, description="Its address inside."),
        Column("External-IP", _external_cell, description="Its addresses outside."),
        Column("Port(s)", _ports_cell, description="Its ports."),
        AGE,
        Column("Selector", _selector_cell, description="Which pods are behind it.", priority=1),
    ),
    selectable_fields={
        **METADATA_FIELDS,
        "spec.clusterIP": lambda obj: str((obj.get("spec") or {}).get("clusterIP", "")),
        "spec.type": lambda obj: str((obj.get("spec") or {}).get("type", "")),
    },
)

ENDPOINT = ServedKind(
    resource=ENDPOINTS,
    singular="endpoints",
    schema="io.k8s.api.core.v1.Endpoints",
    short_names=("ep",),
    deprecation="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    put_creates=True,
    default=default_endpoints,
    validate_create=validate_endpoints,
    validate_update=validate_endpoints_update,
    warnings=warn_of_endpoints,
    delete_returns_object=False,
    metadata_checks=("change", "whole"),
    columns=(NAME, Column("Endpoints", _endpoints_cell, description="Addresses and ports."), AGE),
)

ENDPOINT_SLICE = ServedKind(
    resource=ENDPOINT_SLICES,
    singular="endpointslice",
    schema="io.k8s.api.discovery.v1.EndpointSlice",
    delete_returns_object=False,
    default=default_endpoint_slice,
    prepare_create=lambda obj, _now: drop_topology(obj),
    prepare_update=lambda new, _old, _now: drop_topology(new),
    warnings=warn_of_endpoint_slice,
    validate_create=validate_endpoint_slice,
    validate_update=validate_endpoint_slice_update,
    metadata_checks=("whole",),
    columns=(
        NAME,
        Column("AddressType", field_cell("addressType"), description="Which addresses these are."),
        Column("Ports", _slice_ports_cell, description="Ports."),
        Column("Endpoints", _slice_endpoints_cell, description="Addresses."),
        AGE,
    ),
    generation_at_create=1,
    generation_follows=("endpoints", "ports", "metadata.labels"),
)

SERVICE_KINDS = (ENDPOINT, ENDPOINT_SLICE, SERVICE)
