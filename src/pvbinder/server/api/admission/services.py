"""The addresses and ports of services, given out as the reference's allocators do it."""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterator

from pvbinder.model.resources import SERVICES
from pvbinder.server.api.admission.plugin import AdmissionAttributes, Plugin, Reader
from pvbinder.server.errors import invalid, is_invalid
from pvbinder.server.objects.kind import Json

NETWORK = ipaddress.ip_network("10.96.0.0/16")
NODE_PORTS = range(30000, 32768)

_ALLOCATED = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort")


def give_addresses(reader: Reader, on: AdmissionAttributes, new: Json, old: Json | None) -> None:
    """Give a service an address inside the cluster and ports on nodes, or keep its present ones."""
    spec: Json = new["spec"]
    if old is not None:
        _keep(spec, old["spec"])
    kind = spec.get("type", "ClusterIP")
    if kind == "ExternalName":
        return
    address = spec.get("clusterIP") or (spec.get("clusterIPs") or [""])[0]
    if not address:
        address = _free_address(reader, on)
    elif address != "None" and old is None:
        _check_free(reader, on, address)
    spec["clusterIP"] = address
    spec.setdefault("clusterIPs", [address])
    spec.setdefault("ipFamilies", ["IPv6" if ":" in address else "IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if kind in ("NodePort", "LoadBalancer") and spec.get("allocateLoadBalancerNodePorts", True):
        _give_node_ports(reader, on, spec)


def _keep(spec: Json, before: Json) -> None:
    """Take what was given out from the stored service where the new one leaves it out."""
    if spec.get("type") == "ExternalName" or before.get("type") == "ExternalName":
        return
    for field in _ALLOCATED:
        if spec.get(field) is None and before.get(field) is not None:
            spec[field] = before[field]
    ports = {(port.get("protocol"), port.get("port")): port.get("nodePort") for port in before.get("ports") or ()}
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        for port in spec.get("ports") or ():
            known = ports.get((port.get("protocol"), port.get("port")))
            if not port.get("nodePort") and known:
                port["nodePort"] = known


def _free_address(reader: Reader, on: AdmissionAttributes) -> str:
    taken = {address for address, _ in _taken(reader)}
    size = NETWORK.num_addresses
    start = zlib.crc32(f"{on.namespace}/{on.name}".encode()) % size
    for step in range(size):
        candidate = NETWORK[(start + step) % size]
        if candidate not in (NETWORK[0], NETWORK[1], NETWORK[-1]) and str(candidate) not in taken:
            return str(candidate)
    error = invalid("spec.clusterIPs", ["<none>"], "failed to allocate IP: range is full")
    raise is_invalid(on.resource, on.name, [error])


def _check_free(reader: Reader, on: AdmissionAttributes, address: str) -> None:
    try:
        inside = ipaddress.ip_address(address) in NETWORK
    except ValueError:
        error = invalid("spec.clusterIPs[0]", address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
        raise is_invalid(on.resource, on.name, [error]) from None
    if not inside:
        why = f"failed to allocate IP {address}: the provided IP ({address}) is not in the valid range. "
        why += f"The range of valid IPs is {NETWORK}"
        raise is_invalid(on.resource, on.name, [invalid("spec.clusterIPs", [address], why)])
    if any(address == taken for taken, _ in _taken(reader)):
        why = f"failed to allocate IP {address}: provided IP is already allocated"
        raise is_invalid(on.resource, on.name, [invalid("spec.clusterIPs", [address], why)])


def _give_node_ports(reader: Reader, on: AdmissionAttributes, spec: Json) -> None:
    ports = spec.get("ports") or []
    if all(port.get("nodePort") for port in ports):
        return
    own = {port["nodePort"] for port in ports if port.get("nodePort")}
    taken = own | {number for _, numbers in _taken(reader) for number in numbers}
    start = zlib.crc32(f"{on.namespace}/{on.name}".encode())
    for port in ports:
        if not port.get("nodePort"):
            free = (NODE_PORTS[(start + step) % len(NODE_PORTS)] for step in range(len(NODE_PORTS)))
            number = next((number for number in free if number not in taken), None)
            if number is None:
                error = invalid("spec.ports[0].nodePort", 0, "failed to allocate a nodePort: range is full")
                raise is_invalid(on.resource, on.name, [error])
            port["nodePort"] = number
            taken.add(number)


def _taken(reader: Reader) -> Iterator[tuple[str, list[int]]]:
    for service in reader.latest(SERVICES):
        spec: Json = service.get("spec") or {}
        numbers = [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]
        yield spec.get("clusterIP", ""), numbers


SERVICE_ADDRESSES = Plugin("ServiceAddresses", (SERVICES,), admits=give_addresses, on_update=True)
