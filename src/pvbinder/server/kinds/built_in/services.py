"""Service, Endpoints and EndpointSlice: addresses are given out by admission (`server.api.admission.services`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pvbinder.model.resources import SERVICES, Resource
from pvbinder.server.errors import ApiError, FieldError, invalid, required, shown, unsupported
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
from pvbinder.server.kinds.validation.names import check_dns_subdomain
from pvbinder.server.objects.kind import METADATA_FIELDS, Column, Json, ServedKind, Subresource, drop_empty

ENDPOINTS = Resource("", "v1", "Endpoints", "endpoints", True)
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", True)

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_SHOWN = 3  # addresses or ports in a cell
_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")


def default_service(obj: Json) -> None:
    """Fill in type, ports and policies."""
    spec = obj.setdefault("spec", {})
    drop_empty(spec, "ports", "selector", "clusterIP", "externalIPs", "loadBalancerSourceRanges", "externalName")
    defaults: Json = {"type": "ClusterIP", "sessionAffinity": "None"}
    if spec.get("type", "ClusterIP") != "ExternalName":
        defaults["internalTrafficPolicy"] = "Cluster"
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        defaults["externalTrafficPolicy"] = "Cluster"
    if spec.get("type") == "LoadBalancer":
        defaults["allocateLoadBalancerNodePorts"] = True
    for field, value in defaults.items():
        if not spec.get(field) and not (field in spec and value is True):
            spec[field] = value
    for port in spec.get("ports") or ():
        drop_empty(port, "name", "protocol", "targetPort", "nodePort")
        port.setdefault("protocol", "TCP")
        if "port" in port:
            port.setdefault("targetPort", port["port"])
    obj.setdefault("status", {}).setdefault("loadBalancer", {})


def prepare_new_service(obj: Json, _now: str) -> None:
    """Start without a load balancer."""
    obj["status"] = {"loadBalancer": {}}


def validate_service(obj: Json) -> list[FieldError]:
    """Check type and ports."""
    spec = obj["spec"]
    errors: list[FieldError] = []
    kind = spec.get("type")
    if kind not in _TYPES:
        errors.append(unsupported("spec.type", kind, _TYPES))
    ports = spec.get("ports") or []
    if not ports and kind != "ExternalName" and spec.get("clusterIP") != "None":
        errors.append(required("spec.ports"))
    if kind == "ExternalName":
        name = spec.get("externalName", "").rstrip(".")
        errors += (invalid("spec.externalName", name, reason) for reason in check_dns_subdomain(name))
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        if len(ports) > 1 and not port.get("name"):
            errors.append(required(f"{path}.name"))
        if not 1 <= port.get("port", 0) <= 65535:
            errors.append(invalid(f"{path}.port", port.get("port", 0), "must be between 1 and 65535, inclusive"))
        if port.get("protocol") not in _PROTOCOLS:
            errors.append(unsupported(f"{path}.protocol", port.get("protocol"), _PROTOCOLS))
    return errors


def validate_service_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed service; its address stays as long as it has one."""
    errors = validate_service(new)
    before = old["spec"].get("clusterIP")
    if before and new["spec"].get("type") != "ExternalName" and new["spec"].get("clusterIP") != before:
        why = "may not change once set"
        errors.append(invalid("spec.clusterIPs[0]", [new["spec"].get("clusterIP", "")], why))
    return errors


def default_endpoint_slice(obj: Json) -> None:
    """Fill in names and protocols of ports."""
    obj.setdefault("endpoints", None)
    obj.setdefault("ports", None)
    for port in obj["ports"] or ():
        if port.get("name") is None:
            port["name"] = ""
        if port.get("protocol") is None:
            port["protocol"] = "TCP"


def validate_endpoint_slice(obj: Json) -> list[FieldError]:
    """Check the type of addresses."""
    kind = obj.get("addressType", "")
    if not kind:
        return [required("addressType")]
    return [] if kind in _ADDRESS_TYPES else [unsupported("addressType", kind, _ADDRESS_TYPES)]


def validate_endpoint_slice_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed slice; the type of its addresses stays."""
    errors = validate_endpoint_slice(new)
    if new.get("addressType") != old.get("addressType"):
        errors.append(invalid("addressType", new.get("addressType"), "field is immutable"))
    return errors


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
    prepare_update=keep_status,
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
        STATUS,
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
    put_creates=True,
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
    generation_follows=("endpoints", "ports"),
)

SERVICE_KINDS = (ENDPOINT, ENDPOINT_SLICE, SERVICE)
