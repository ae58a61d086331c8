"""Ingress, IngressClass, NetworkPolicy, IPAddress and ServiceCIDR: stored and checked; nobody routes by them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pvbinder.server.errors import FieldError, invalid, required
from pvbinder.server.kinds.parts.columns import AGE, NAME, NONE, field_cell, joined, name_cell, selector_shown
from pvbinder.server.kinds.parts.plain import Plain, fill_in
from pvbinder.server.kinds.validation.addresses import (
    has_two_of_a_family,
    validate_cidr,
    warn_of_cidr,
    warn_of_ip,
)
from pvbinder.server.kinds.validation.ingresses import (
    CLASS_ANNOTATION,
    validate_ingress,
    validate_ingress_class,
    validate_ingress_class_update,
    validate_ingress_status,
    validate_ingress_update,
)
from pvbinder.server.kinds.validation.internal_form import InternalFields, inner_form
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.names import check_dns_subdomain, check_path_segment
from pvbinder.server.kinds.validation.network_policies import (
    validate_network_policy,
    validate_network_policy_update,
)
from pvbinder.server.objects.kind import Column, Json

_PARENT: InternalFields = {
    "Group": ("group", ""),
    "Resource": ("resource", ""),
    "Namespace": ("namespace", ""),
    "Name": ("name", ""),
}
_NETWORK = ("api.networking", "networking.k8s.io")
_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
_HOSTS_MAX = 3


def default_network_policy(obj: Json) -> None:
    """Fill in the protocols of ports, and which of its rules count."""
    spec = obj.setdefault("spec", {})
    fill_in(spec, podSelector={})
    for rule in (*(spec.get("ingress") or ()), *(spec.get("egress") or ())):
        for port in rule.get("ports") or ():
            fill_in(port, protocol="TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def default_ingress(obj: Json) -> None:
    """Show spec and status."""
    obj.setdefault("spec", {})
    obj.setdefault("status", {}).setdefault("loadBalancer", {})


def default_ingress_class(obj: Json) -> None:
    """Fill in that its parameters are cluster-wide."""
    parameters = obj.setdefault("spec", {}).get("parameters")
    if parameters is not None:
        fill_in(parameters, scope="Cluster")


def warn_of_ingress(new: Json, old: Json | None) -> list[str]:
    """Warn of the annotation that was the class once."""
    if old is not None or CLASS_ANNOTATION not in (new["metadata"].get("annotations") or {}):
        return []
    if new["spec"].get("ingressClassName") is not None:
        return []
    return [f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"]


def warn_of_ingress_status(new: Json, _old: Json | None) -> list[str]:
    """Warn of addresses that are not written as they should be."""
    entries = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    texts: list[str] = []
    for index, entry in enumerate(entries):
        if entry.get("ip"):
            texts += warn_of_ip(f"status.loadBalancer.ingress[{index}]", entry["ip"])
    return texts


def warn_of_network_policy(new: Json, _old: Json | None) -> list[str]:
    """Warn of networks that are not written as they should be."""
    texts: list[str] = []
    for path, block in _blocks(new["spec"]):
        texts += warn_of_cidr(f"{path}.cidr", block.get("cidr", ""))
        for index, without in enumerate(block.get("except") or ()):
            texts += warn_of_cidr(f"{path}.except[{index}]", without)
    return texts


def _blocks(spec: Json) -> Iterator[tuple[str, Json]]:
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            for position, peer in enumerate(rule.get(peers) or ()):
                if peer.get("ipBlock") is not None:
                    yield f"spec.{direction}[{index}].{peers}[{position}].ipBlock", peer["ipBlock"]


def validate_ip_address(obj: Json) -> list[FieldError]:
    """Check what an address belongs to."""
    parent = obj["spec"].get("parentRef") if obj.get("spec") else None
    if parent is None:
        return [required("spec.parentRef")]
    path = "spec.parentRef"
    errors: list[FieldError] = []
    if group := parent.get("group"):
        errors += (invalid(f"{path}.group", group, reason) for reason in check_dns_subdomain(group))
    for field in ("resource", "name", "namespace"):
        value = parent.get(field, "")
        if not value and field != "namespace":
            errors.append(required(f"{path}.{field}"))
        errors += (invalid(f"{path}.{field}", value, reason) for reason in check_path_segment(value))
    return errors


def validate_ip_address_update(new: Json, old: Json) -> list[FieldError]:
    """Check that what an address belongs to stays."""
    parent, before = ((obj.get("spec") or {}).get("parentRef") for obj in (new, old))
    if parent == before:
        return []
    return [invalid("spec.parentRef", None if parent is None else inner_form(_PARENT, parent), IMMUTABLE)]


def validate_service_cidr(obj: Json) -> list[FieldError]:
    """Check the networks: one or two, one of each family."""
    cidrs: list[str] = (obj.get("spec") or {}).get("cidrs") or []
    path = "spec.cidrs"
    if not cidrs:
        return [required(path, "at least one CIDR required")]
    if len(cidrs) > 2:
        return [invalid(path, {"CIDRs": cidrs}, "may only hold up to 2 values")]
    errors = [error for index, cidr in enumerate(cidrs) for error in validate_cidr(f"{path}[{index}]", cidr)]
    if len(cidrs) == 2 and has_two_of_a_family(cidrs):
        why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        errors.append(invalid(path, cidrs, why))
    return errors


def validate_service_cidr_update(new: Json, old: Json) -> list[FieldError]:
    """Check changed networks: a second one may be added, and no more."""
    cidrs: list[str] = (new.get("spec") or {}).get("cidrs") or []
    before: list[str] = (old.get("spec") or {}).get("cidrs") or []
    path = "spec.cidrs"
    if len(cidrs) == len(before) or (len(before), len(cidrs)) == (1, 2):
        pairs = enumerate(zip(before, cidrs, strict=False))
        errors = [invalid(f"{path}[{i}]", cidr, IMMUTABLE) for i, (was, cidr) in pairs if was != cidr]
        return errors if len(cidrs) == len(before) else errors + validate_service_cidr(new)
    return [invalid(path, cidrs, IMMUTABLE)]


def default_service_cidr(obj: Json) -> None:
    """Show a status even when it says nothing."""
    obj.setdefault("spec", {})
    obj.setdefault("status", {})


def _hosts_cell(obj: Json, _now: datetime) -> object:
    rules = (obj.get("spec") or {}).get("rules") or ()
    hosts: list[str] = []
    has_more = False
    for rule in rules:
        has_more = has_more or len(hosts) == _HOSTS_MAX
        if not has_more and rule.get("host"):
            hosts.append(rule["host"])
    text = joined(hosts, "*")
    return f"{text} + {len(rules) - _HOSTS_MAX} more..." if has_more else text


def _address_cell(obj: Json, _now: datetime) -> object:
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    addresses = {entry.get("ip") or entry.get("hostname") or "" for entry in ingress}
    return joined(sorted(addresses - {""}), "")


def _ports_cell(obj: Json, _now: datetime) -> object:
    return "80, 443" if (obj.get("spec") or {}).get("tls") else "80"


def _class_name_cell(obj: Json, now: datetime) -> object:
    is_default = (obj["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"
    return f"{name_cell(obj, now)}{' (default)' if is_default else ''}"


def _parameters_cell(obj: Json, _now: datetime) -> object:
    parameters = (obj.get("spec") or {}).get("parameters")
    if parameters is None:
        return NONE
    group = parameters.get("apiGroup")
    kind = parameters.get("kind", "") + (f".{group}" if group is not None else "")
    return f"{kind}/{parameters.get('name', '')}"


def _pod_selector_cell(obj: Json, _now: datetime) -> object:
    return selector_shown((obj.get("spec") or {}).get("podSelector"))


def _parent_cell(obj: Json, _now: datetime) -> object:
    parent = (obj.get("spec") or {}).get("parentRef")
    if parent is None:
        return NONE
    group = parent.get("group")
    resource = f"{parent.get('resource', '')}{f'.{group}' if group else ''}".lower()
    namespace = f"/{parent['namespace']}" if parent.get("namespace") else ""
    return f"{resource}{namespace}/{parent.get('name', '')}"


def _cidrs_cell(obj: Json, _now: datetime) -> object:
    return joined((obj.get("spec") or {}).get("cidrs") or (), "")


NETWORK_KINDS = tuple(
    row.declare()
    for row in (
        Plain(
            *_NETWORK,
            "Ingress",
            "ingresses",
            namespaced=True,
            short_names=("ing",),
            has_status=True,
            counts=("spec",),
            default=default_ingress,
            validate_create=validate_ingress,
            validate_update=validate_ingress_update,
            validate_status=validate_ingress_status,
            metadata_checks=("change", "whole"),
            warnings=warn_of_ingress,
            status_warnings=warn_of_ingress_status,
            columns=(
                NAME,
                Column("Class", field_cell("spec", "ingressClassName", default=NONE)),
                Column("Hosts", _hosts_cell),
                Column("Address", _address_cell),
                Column("Ports", _ports_cell),
                AGE,
            ),
        ),
        Plain(
            *_NETWORK,
            "IngressClass",
            "ingressclasses",
            counts=("spec",),
            default=default_ingress_class,
            validate_create=validate_ingress_class,
            validate_update=validate_ingress_class_update,
            metadata_checks=("change", "whole"),
            columns=(
                Column("Name", _class_name_cell, format="name", description=NAME.description),
                Column("Controller", field_cell("spec", "controller")),
                Column("Parameters", _parameters_cell),
                AGE,
            ),
        ),
        Plain(
            *_NETWORK,
            "NetworkPolicy",
            "networkpolicies",
            namespaced=True,
            short_names=("netpol",),
            counts=("spec",),
            default=default_network_policy,
            validate_create=validate_network_policy,
            validate_update=validate_network_policy_update,
            warnings=warn_of_network_policy,
            columns=(NAME, Column("Pod-Selector", _pod_selector_cell), AGE),
        ),
        Plain(
            *_NETWORK,
            "IPAddress",
            "ipaddresses",
            short_names=("ip",),
            name_rule="ip",
            validate_create=validate_ip_address,
            validate_update=validate_ip_address_update,
            metadata_checks=("whole", "change"),
            columns=(
                NAME,
                Column("ParentRef", _parent_cell),
                Column("Age", AGE.cell, is_defined=False),
            ),
        ),
        Plain(
            *_NETWORK,
            "ServiceCIDR",
            "servicecidrs",
            has_status=True,
            default=default_service_cidr,
            validate_create=validate_service_cidr,
            validate_update=validate_service_cidr_update,
            columns=(NAME, Column("CIDRs", _cidrs_cell), AGE),
        ),
    )
)
