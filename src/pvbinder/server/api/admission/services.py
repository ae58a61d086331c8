"""The addresses and ports of services, given out as the reference's allocators do it."""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterator

from pvbinder.model.resources import SERVICES
from pvbinder.server.api.admission.plugin import AdmissionAttributes, Plugin, Reader
from pvbinder.server.errors import ApiError, invalid, is_invalid
from pvbinder.server.kinds.validation.services import needs_health_check, validate_cluster_ips
from pvbinder.server.objects.kind import Json

NETWORK = ipaddress.ip_network("10.96.0.0/16")
NODE_PORTS = range(30000, 32768)


def give_addresses(reader: Reader, on: AdmissionAttributes, new: Json, old: Json | None) -> None:
    """Give a service an address inside the cluster and ports on nodes, or keep its present ones."""
    spec: Json = new["spec"]
    if old is not None:
        _keep(spec, old["spec"])
    elif spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    kind = spec.get("type")
    if kind == "ExternalName":
        return
    _choose_families(on, spec, {} if old is None else old["spec"])
    if spec.get("clusterIP") != "None":
        if not spec.get("clusterIP"):
            spec["clusterIP"] = _free_address(reader, on)
            spec["clusterIPs"] = [spec["clusterIP"]]
        elif old is None or not old["spec"].get("clusterIP"):  # one that is there can't change, which isn't said here
            _check_free(reader, on, spec["clusterIP"])
    if kind in ("NodePort", "LoadBalancer"):
        _give_node_ports(reader, on, spec)


def _keep(spec: Json, before: Json) -> None:
    """Take what was given out from the stored service where the new one leaves it out."""
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        if not spec.get("clusterIP") and before.get("clusterIP"):
            spec["clusterIP"] = before["clusterIP"]
        if not spec.get("clusterIPs") and before.get("clusterIPs") and spec.get("clusterIP") == before["clusterIP"]:
            spec["clusterIPs"] = before["clusterIPs"]
    if spec.get("clusterIP") != before.get("clusterIP") and spec.get("clusterIPs") == before.get("clusterIPs"):
        if spec.get("clusterIP"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        else:
            spec.pop("clusterIPs", None)
    if all(one.get("type") in ("NodePort", "LoadBalancer") for one in (spec, before)):
        _keep_node_ports(spec.get("ports") or [], before.get("ports") or [])
    port = "healthCheckNodePort"
    if needs_health_check(spec) and needs_health_check(before) and not spec.get(port) and before.get(port):
        spec[port] = before[port]


def _keep_node_ports(ports: list[Json], before: list[Json]) -> None:
    """Keep ports on nodes by the names of ports, besides those that another port has got."""
    used = {port.get("nodePort") for port in ports} & {port.get("nodePort") for port in before}
    known = {port.get("name"): port.get("nodePort") for port in before}
    for port in ports:
        number = known.get(port.get("name"))
        if not port.get("nodePort") and number and number not in used:
            port["nodePort"] = number


def _choose_families(on: AdmissionAttributes, spec: Json, before: Json) -> None:
    """Say which families of addresses a service has: IPv4, or what a headless one without pods asks for."""
    is_open = spec.get("clusterIP") == "None" and not spec.get("selector")
    policy = spec.get("ipFamilyPolicy") or before.get("ipFamilyPolicy")
    spec["ipFamilyPolicy"] = policy or ("RequireDualStack" if is_open else "SingleStack")
    if wrong := validate_cluster_ips(spec, before):
        raise is_invalid(on.resource, on.name, wrong)
    policy, families, addresses = spec["ipFamilyPolicy"], spec.get("ipFamilies") or [], spec.get("clusterIPs") or []
    if before and policy == "SingleStack":
        for field in ("clusterIPs", "ipFamilies"):
            if spec.get(field) == before.get(field) and len(spec.get(field) or ()) > 1:
                spec[field] = spec[field][:1]
        families, addresses = spec.get("ipFamilies") or [], spec.get("clusterIPs") or []
    elif before and len(addresses) < len(before.get("clusterIPs") or ()):
        wrong.append(
            invalid("spec.ipFamilyPolicy", policy, "must be 'SingleStack' to release the secondary cluster IP")
        )
    if not families and before.get("ipFamilies"):
        families = before["ipFamilies"]
    if policy == "SingleStack":
        for found, what in ((addresses, "cluster IPs"), (families, "IP families")):
            if len(found) == 2:
                why = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
                wrong.append(invalid("spec.ipFamilyPolicy", policy, why))
    if addresses != ["None"] and len(addresses) > len(families):
        for index, address in enumerate(addresses[len(families) :], len(families)):
            if ":" in address:
                why = "IPv6 is not configured on this cluster"
                wrong.append(invalid(f"spec.clusterIPs[{index}]", addresses, why))
    if not wrong and not is_open:
        if policy == "RequireDualStack":
            why = "this cluster is not configured for dual-stack services"
            wrong.append(invalid("spec.ipFamilyPolicy", policy, why))
        wrong += (
            invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
            for index, family in enumerate(families)
            if family != "IPv4"
        )
    if wrong:
        raise is_invalid(on.resource, on.name, wrong)
    spec["ipFamilies"] = list(families) or ["IPv4"]
    if is_open and len(spec["ipFamilies"]) == 1 and policy != "SingleStack":
        spec["ipFamilies"].append("IPv6" if spec["ipFamilies"] == ["IPv4"] else "IPv4")


def _free_address(reader: Reader, on: AdmissionAttributes) -> str:
    taken = _addresses(reader)
    size = NETWORK.num_addresses
    start = zlib.crc32(f"{on.namespace}/{on.name}".encode()) % size
    for step in range(size):
        candidate = NETWORK[(start + step) % size]
        if candidate not in (NETWORK[0], NETWORK[1], NETWORK[-1]) and str(candidate) not in taken:
            return str(candidate)
    error = invalid("spec.clusterIPs", ["<none>"], "failed to allocate IP: range is full")
    raise is_invalid(on.resource, on.name, [error])


def _check_free(reader: Reader, on: AdmissionAttributes, address: str) -> None:
    if ipaddress.ip_address(address) not in NETWORK:
        why = f"failed to allocate IP {address}: the provided IP ({address}) is not in the valid range. "
        why += f"The range of valid IPs is {NETWORK}"
    elif address in _addresses(reader):
        why = f"failed to allocate IP {address}: provided IP is already allocated"
    else:
        return
    raise is_invalid(on.resource, on.name, [invalid("spec.clusterIPs", [address], why)])


def _give_node_ports(reader: Reader, on: AdmissionAttributes, spec: Json) -> None:
    """Give ports on nodes; one number serves a port of several protocols."""
    ports: list[Json] = spec.get("ports") or []
    has_check = needs_health_check(spec) and not spec.get("healthCheckNodePort")
    allocates = spec.get("type") == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True)
    asked = [(index, port["nodePort"]) for index, port in enumerate(ports) if port.get("nodePort")]
    if not asked and not has_check and not allocates:
        return
    others = {number for name, numbers in _node_ports(reader) if name != (on.namespace, on.name) for number in numbers}
    for index, number in asked:
        if number not in NODE_PORTS:
            why = "provided port is not in the valid range. "
            why += f"The range of valid ports is {NODE_PORTS[0]}-{NODE_PORTS[-1]}"
        elif number in others:
            why = "provided port is already allocated"
        else:
            continue
        raise is_invalid(on.resource, on.name, [invalid(f"spec.ports[{index}].nodePort", number, why)])
    taken = others | {number for _, number in asked}
    by_port = {port.get("port"): port["nodePort"] for port in reversed(ports) if port.get("nodePort")}
    start = zlib.crc32(f"{on.namespace}/{on.name}".encode())

    def free() -> int:
        candidates = (NODE_PORTS[(start + step) % len(NODE_PORTS)] for step in range(len(NODE_PORTS)))
        number = next((number for number in candidates if number not in taken), None)
        if number is None:
            raise ApiError(
                500, "InternalError", "Internal error occurred: failed to allocate a nodePort: range is full"
            )
        taken.add(number)
        return number

    for port in ports if allocates else ():
        if not port.get("nodePort"):
            port["nodePort"] = by_port[port.get("port")] = by_port.get(port.get("port")) or free()
    if has_check:
        spec["healthCheckNodePort"] = free()


def _node_ports(reader: Reader) -> Iterator[tuple[tuple[str, str], list[int]]]:
    for service in reader.latest(SERVICES):
        spec, metadata = service.get("spec") or {}, service["metadata"]
        numbers = [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]
        if spec.get("healthCheckNodePort"):
            numbers.append(spec["healthCheckNodePort"])
        yield (metadata.get("namespace", ""), metadata["name"]), numbers


def _addresses(reader: Reader) -> set[str]:
    return {str((service.get("spec") or {}).get("clusterIP", "")) for service in reader.latest(SERVICES)}


SERVICE_ADDRESSES = Plugin("ServiceAddresses", (SERVICES,), admits=give_addresses, on_update=True)
