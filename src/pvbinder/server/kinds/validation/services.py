"""The rules of a service: which fields go with which type, ports, addresses, and how its traffic is routed.

Rules: the reference's own, in its order: an update is compared with what was there, then looked at as a whole.
"""

from __future__ import annotations

from typing import Final

from pvbinder.server.errors import FieldError, duplicate, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.validation.addresses import (
    has_two_of_a_family,
    parse_address,
    validate_endpoint_ip,
    validate_legacy_cidr,
    validate_legacy_ip,
)
from pvbinder.server.kinds.validation.metadata import validate_labels
from pvbinder.server.kinds.validation.names import (
    check_dns_label,
    check_dns_subdomain,
    check_port_name,
    check_qualified_name,
)
from pvbinder.server.kinds.validation.numbers import validate_port
from pvbinder.server.objects.kind import Json

PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
AFFINITY_SECONDS_MAX: Final = 86400
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_FAMILIES = ("IPv4", "IPv6")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"
_TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
_SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_OF_LOAD_BALANCERS = "may only be used when `type` is 'LoadBalancer'"
_FIXED = "may not change once set"


def is_headless(spec: Json) -> bool:
    """Say whether a service has no address of its own."""
    return bool(spec.get("clusterIPs") == ["None"])


def is_reached_from_outside(spec: Json) -> bool:
    """Say whether traffic from outside the cluster comes to a service."""
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def needs_health_check(spec: Json) -> bool:
    """Say whether nodes tell a load balancer whether they have endpoints of a service."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def validate_service(obj: Json) -> list[FieldError]:
    """Check a new service."""
    return _validate(obj, {})


def validate_service_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed service."""
    errors: list[FieldError] = []
    spec, before = new["spec"], old["spec"]
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        errors += _compare_addresses(spec, before)
        errors += _compare_families(spec, before)
    if spec.get("type") == before.get("type") == "LoadBalancer":
        kept, asked = before.get("loadBalancerClass"), spec.get("loadBalancerClass")
        if kept != asked:
            errors.append(invalid("spec.loadBalancerClass", asked, _FIXED))
    errors += _validate_load_balancer_class(spec)
    port = "healthCheckNodePort"
    if needs_health_check(spec) and needs_health_check(before) and spec.get(port) != before.get(port):
        errors.append(forbidden(f"spec.{port}", "field is immutable"))
    return errors + _validate(new, before)


def validate_service_status(new: Json, old: Json) -> list[FieldError]:
    """Check where a load balancer is reached."""
    path = "status.loadBalancer.ingress"
    entries: list[Json] = _ingress(new)
    if new["spec"].get("type") != "LoadBalancer" and entries:
        return [forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    errors: list[FieldError] = []
    before = [entry["ip"] for entry in _ingress(old) if entry.get("ip")]
    for index, entry in enumerate(entries):
        where, address, mode = f"{path}[{index}]", entry.get("ip"), entry.get("ipMode")
        if address:
            errors += validate_legacy_ip(f"{where}.ip", address, before)
        if mode is None:
            if address:
                errors.append(required(f"{where}.ipMode", "must be specified when `ip` is set"))
        elif not address:
            errors.append(forbidden(f"{where}.ipMode", "may not be specified when `ip` is not set"))
        elif mode not in ("Proxy", "VIP"):
            errors.append(unsupported(f"{where}.ipMode", mode, ("Proxy", "VIP")))
        if host := entry.get("hostname"):
            errors += (invalid(f"{where}.hostname", host, why) for why in check_dns_subdomain(host))
            if parse_address(host) is not None:
                errors.append(invalid(f"{where}.hostname", host, "must be a DNS name, not an IP address"))
    return errors


def _ingress(obj: Json) -> list[Json]:
    return ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []


def _validate(obj: Json, before: Json) -> list[FieldError]:
    spec, annotations = obj["spec"], obj["metadata"].get("annotations") or {}
    errors: list[FieldError] = []
    hints, mode = annotations.get(_TOPOLOGY_HINTS), annotations.get(_TOPOLOGY_MODE)
    if hints is not None and mode is not None and hints != mode:
        why = f"must match annotations[{_TOPOLOGY_HINTS}] when both are specified"
        errors.append(invalid(f"metadata.annotations[{_TOPOLOGY_MODE}]", mode, why))
    ports: list[Json] = spec.get("ports") or []
    kind = spec.get("type", "")
    if not ports and not is_headless(spec) and kind != "ExternalName":
        errors.append(required("spec.ports"))
    errors += _validate_by_type(spec)
    errors += _validate_ports(ports)
    errors += validate_labels(spec.get("selector"), "spec.selector")
    errors += _validate_affinity(spec)
    errors += validate_cluster_ips(spec, before)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        path = f"spec.externalIPs[{index}]"
        wrong = validate_legacy_ip(path, address, before.get("externalIPs") or ())
        errors += wrong or validate_endpoint_ip(path, address)
    if not kind:
        errors.append(required("spec.type"))
    elif kind not in _TYPES:
        errors.append(unsupported("spec.type", kind, _TYPES))
    errors += _validate_numbers(ports, kind)
    errors += _validate_source_ranges(obj, before)
    allocates = spec.get("allocateLoadBalancerNodePorts")
    if allocates is not None and kind != "LoadBalancer":
        errors.append(forbidden("spec.allocateLoadBalancerNodePorts", _OF_LOAD_BALANCERS))
    if allocates is None and kind == "LoadBalancer":
        errors.append(required("allocateLoadBalancerNodePorts"))
    return errors + _validate_load_balancer_class(spec) + _validate_traffic(spec)


def _validate_by_type(spec: Json) -> list[FieldError]:
    kind = spec.get("type")
    if kind in ("LoadBalancer", "NodePort") and is_headless(spec):
        return [invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")]
    if kind != "ExternalName":
        return []
    errors = [
        forbidden(f"spec.{field}", "may not be set for ExternalName services")
        for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
        if spec.get(field)
    ]
    name: str = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        return [*errors, required("spec.externalName")]
    return [*errors, *(invalid("spec.externalName", name, why) for why in check_dns_subdomain(name))]


def _validate_ports(ports: list[Json]) -> list[FieldError]:
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"spec.ports[{index}]", port.get("name") or ""
        if name:
            errors += (invalid(f"{path}.name", name, why) for why in check_dns_label(name))
            if name in names:
                errors.append(duplicate(f"{path}.name", name))
            names.add(name)
        elif len(ports) > 1:
            errors.append(required(f"{path}.name"))
        errors += validate_port(port.get("port") or 0, f"{path}.port")
        errors += validate_protocol(port, path)
        target = port.get("targetPort", 0)
        if isinstance(target, str):
            errors += (invalid(f"{path}.targetPort", target, why) for why in check_port_name(target))
        else:
            errors += validate_port(target, f"{path}.targetPort")
        errors += validate_app_protocol(port, path)
    return errors


def validate_protocol(port: Json, path: str, *, is_pointer: bool = False) -> list[FieldError]:
    """Check the protocol of a port; where it is a pointer, an empty one is wrong, not missing."""
    protocol = port.get("protocol")
    if not protocol and not is_pointer:
        return [required(f"{path}.protocol")]
    return [] if protocol in PROTOCOLS else [unsupported(f"{path}.protocol", protocol, PROTOCOLS)]


def validate_app_protocol(port: Json, path: str) -> list[FieldError]:
    """Check the name of the protocol that is spoken over a port."""
    protocol = port.get("appProtocol")
    if protocol is None:
        return []
    return [invalid(f"{path}.appProtocol", protocol, why) for why in check_qualified_name(protocol)]


def _validate_affinity(spec: Json) -> list[FieldError]:
    affinity, config = spec.get("sessionAffinity", ""), spec.get("sessionAffinityConfig")
    path = "spec.sessionAffinityConfig"
    if not affinity:
        return [required("spec.sessionAffinity")]
    if affinity == "None":
        return [] if config is None else [forbidden(path, "must not be set when session affinity is None")]
    if affinity != "ClientIP":
        return [unsupported("spec.sessionAffinity", affinity, ("ClientIP", "None"))]
    seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
    where = f"{path}.clientIP.timeoutSeconds"
    if seconds is None:
        return [required(where, "when session affinity type is ClientIP")]
    if 0 < seconds <= AFFINITY_SECONDS_MAX:
        return []
    return [invalid(where, seconds, f"must be greater than 0 and less than {AFFINITY_SECONDS_MAX}")]


def validate_cluster_ips(spec: Json, before: Json) -> list[FieldError]:
    """Check a service's own addresses and the families of addresses that it asks for."""
    if spec.get("type") == "ExternalName":
        return []
    path, address = "spec.clusterIPs", spec.get("clusterIP") or ""
    addresses: list[str] = spec.get("clusterIPs") or []
    errors: list[FieldError] = []
    if address and not addresses:
        errors.append(required(path))
    elif address and addresses[0] != address:
        errors.append(invalid(path, addresses, "first value must match `clusterIP`"))
    elif not address and addresses:
        errors.append(invalid(path, addresses, "must be empty when `clusterIP` is not specified"))
    families: list[str] = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        if family not in _FAMILIES:
            errors.append(unsupported(f"spec.ipFamilies[{index}]", family, _FAMILIES))
        if family in families[:index]:
            errors.append(duplicate(f"spec.ipFamilies[{index}]", family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in _POLICIES:
        errors.append(unsupported("spec.ipFamilyPolicy", policy, _POLICIES))
    wrong: list[FieldError] = []
    for index, one in enumerate(addresses):
        if index == 0 and one == "None":
            if len(addresses) > 1:
                wrong.append(invalid(path, addresses, "'None' must be the first and only value"))
        else:
            wrong += validate_legacy_ip(f"{path}[{index}]", one, before.get("clusterIPs") or ())
    errors += wrong
    if len(addresses) > 2:
        errors.append(invalid(path, addresses, "may only hold up to 2 values"))
    if wrong:
        return errors
    if len(addresses) > 1 and has_two_of_a_family(addresses):
        errors.append(invalid(path, addresses, "may specify no more than one IP for each IP family"))
    if not is_headless(spec):
        for index, (one, family) in enumerate(zip(addresses, families, strict=False)):
            if family in _FAMILIES and (family == "IPv6") != (":" in one):
                why = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
                errors.append(invalid(f"{path}[{index}]", one, why))
    return errors


def _validate_numbers(ports: list[Json], kind: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if kind == "ClusterIP":
        errors += (
            forbidden(f"spec.ports[{index}].nodePort", "may not be used when `type` is 'ClusterIP'")
            for index, port in enumerate(ports)
            if port.get("nodePort")
        )
    seen: set[tuple[object, object]] = set()
    for index, port in enumerate(ports):
        number, key = port.get("nodePort"), (port.get("protocol"), port.get("nodePort"))
        if number and key in seen:
            errors.append(duplicate(f"spec.ports[{index}].nodePort", number))
        seen.add(key)
    seen = set()
    for index, port in enumerate(ports):
        key = (port.get("protocol"), port.get("port"))
        if key in seen:
            shown: Json = {"Name": "", "Protocol": key[0], "AppProtocol": None, "Port": key[1] or 0}
            errors.append(duplicate(f"spec.ports[{index}]", {**shown, "TargetPort": 0, "NodePort": 0}))
        seen.add(key)
    return errors


def _validate_source_ranges(obj: Json, before: Json) -> list[FieldError]:
    spec = obj["spec"]
    ranges: list[str] = spec.get("loadBalancerSourceRanges") or []
    annotation: str | None = (obj["metadata"].get("annotations") or {}).get(_SOURCE_RANGES)
    if not ranges and annotation is None:
        return []
    path = "spec.LoadBalancerSourceRanges" if ranges else f"metadata.annotations[{_SOURCE_RANGES}]"
    errors = [] if spec.get("type") == "LoadBalancer" else [forbidden(path, _OF_LOAD_BALANCERS)]
    if ranges:
        known = [text.strip() for text in before.get("loadBalancerSourceRanges") or ()]
        for index, text in enumerate(ranges):
            errors += validate_legacy_cidr(f"{path}[{index}]", text.strip(), known)
    elif annotation and annotation.strip():
        for text in annotation.strip().split(","):
            errors += validate_legacy_cidr(path, text.strip())
    return errors


def _validate_load_balancer_class(spec: Json) -> list[FieldError]:
    name, path = spec.get("loadBalancerClass"), "spec.loadBalancerClass"
    if name is None:
        return []
    if spec.get("type") != "LoadBalancer":
        return [forbidden(path, _OF_LOAD_BALANCERS)]
    return [invalid(path, name, why) for why in check_qualified_name(name)]


def _validate_traffic(spec: Json) -> list[FieldError]:
    errors: list[FieldError] = []
    path, policy = "spec.externalTrafficPolicy", spec.get("externalTrafficPolicy") or ""
    if not is_reached_from_outside(spec):
        if policy:
            errors.append(invalid(path, policy, "may only be set for externally-accessible services"))
    elif not policy:
        errors.append(required(path))
    elif policy not in ("Cluster", "Local"):
        errors.append(unsupported(path, policy, ("Cluster", "Local")))
    path, port = "spec.healthCheckNodePort", spec.get("healthCheckNodePort") or 0
    if needs_health_check(spec):
        errors += validate_port(port, path) if port else [required(path)]
    elif port:
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.append(invalid(path, port, why))
    inside, path = spec.get("internalTrafficPolicy"), "spec.internalTrafficPolicy"
    if inside is None:
        if spec.get("type") in ("ClusterIP", "LoadBalancer", "NodePort"):
            errors.append(required(path))
    elif inside not in ("Cluster", "Local"):
        errors.append(unsupported(path, inside, ("Cluster", "Local")))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        errors.append(unsupported("spec.trafficDistribution", distribution, _DISTRIBUTIONS))
    return errors


def _compare_addresses(spec: Json, before: Json) -> list[FieldError]:
    """An address stays, besides those of services that are headless before and after."""
    if is_headless(spec) and is_headless(before):
        return []
    path, now, once = "spec.clusterIPs", spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    if len(now) == len(once):
        return [invalid(f"{path}[{index}]", now, _FIXED) for index, one in enumerate(once) if now[index] != one]
    errors: list[FieldError] = []
    if len(now) < len(once) and not now:
        errors.append(invalid(f"{path}[0]", now, "primary clusterIP can not be unset"))
    if now and once and now[0] != once[0]:
        errors.append(invalid(f"{path}[0]", now, _FIXED))
    policy = spec.get("ipFamilyPolicy")
    if len(now) == 1 < len(once) and policy != "SingleStack":
        why = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        errors.append(invalid("spec.ipFamilyPolicy", policy, why))
    return errors


def _compare_families(spec: Json, before: Json) -> list[FieldError]:
    """A family of addresses stays, besides those of services that are headless before or after."""
    if is_headless(spec) or is_headless(before):
        return []
    path, now, once = "spec.ipFamilies[0]", spec.get("ipFamilies") or [], before.get("ipFamilies") or []
    if len(now) == len(once):
        return [invalid(path, now, _FIXED) for one, other in zip(now, once, strict=True) if one != other]
    errors: list[FieldError] = []
    if len(now) < len(once) and not spec.get("clusterIPs"):
        errors.append(invalid(path, now, "primary ipFamily can not be unset"))
    if now and once and now[0] != once[0]:
        errors.append(invalid(path, spec.get("clusterIPs") or [], _FIXED))
    policy = spec.get("ipFamilyPolicy")
    if len(now) == 1 < len(once) and policy != "SingleStack":
        why = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        errors.append(invalid("spec.ipFamilyPolicy", policy, why))
    return errors
