"""The rules of Endpoints and EndpointSlices: addresses that a client can reach, ports and hints.

Endpoints that an update leaves as they are aren't looked at again: older servers took more.
"""

from __future__ import annotations

from typing import Final

from pvbinder.server.errors import FieldError, duplicate, invalid, required, too_many, unsupported
from pvbinder.server.kinds.validation.addresses import (
    check_ip,
    parse_address,
    validate_endpoint_ip,
    validate_legacy_ip,
    warn_of_ip,
)
from pvbinder.server.kinds.validation.metadata import validate_labels
from pvbinder.server.kinds.validation.names import check_dns_label, check_dns_subdomain, check_label_value
from pvbinder.server.kinds.validation.numbers import validate_port
from pvbinder.server.kinds.validation.services import validate_app_protocol, validate_protocol
from pvbinder.server.objects.kind import Json

ADDRESSES_MAX: Final = 100
PORTS_MAX: Final = 20_000
ENDPOINTS_MAX: Final = 1000
HINTS_MAX: Final = 8
TOPOLOGY_LABELS_MAX: Final = 16
_MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
_MANAGERS: Final = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")
_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")


def validate_endpoints(obj: Json) -> list[FieldError]:
    """Check Endpoints."""
    return [
        error
        for index, subset in enumerate(obj.get("subsets") or ())
        for error in _validate_subset(subset, f"subsets[{index}]")
    ]


def validate_endpoints_update(new: Json, old: Json) -> list[FieldError]:
    """Check changed Endpoints."""
    return [] if (new.get("subsets") or []) == (old.get("subsets") or []) else validate_endpoints(new)


def warn_of_endpoints(new: Json, _old: Json | None) -> list[str]:
    """Warn of the kind itself, and of addresses that nobody should write so."""
    found: list[str] = []
    if (new["metadata"].get("labels") or {}).get("endpoints.kubernetes.io/managed-by") == "endpoint-controller":
        return found
    for index, subset in enumerate(new.get("subsets") or ()):
        for field in ("addresses", "notReadyAddresses"):
            for at, address in enumerate(subset.get(field) or ()):
                found += warn_of_ip(f"subsets[{index}].{field}[{at}].ip", address.get("ip", ""))
    return found


def _validate_subset(subset: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not subset.get("addresses") and not subset.get("notReadyAddresses"):
        errors.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
    for field in ("addresses", "notReadyAddresses"):
        for index, address in enumerate(subset.get(field) or ()):
            errors += _validate_address(address, f"{path}.{field}[{index}]")
    ports = subset.get("ports") or []
    for index, port in enumerate(ports):
        where, name = f"{path}.ports[{index}]", port.get("name") or ""
        if name:
            errors += (invalid(f"{where}.name", name, why) for why in check_dns_label(name))
        elif len(ports) > 1:
            errors.append(required(f"{where}.name"))
        errors += validate_port(port.get("port") or 0, f"{where}.port")
        errors += validate_protocol(port, where) + validate_app_protocol(port, where)
    return errors


def _validate_address(address: Json, path: str) -> list[FieldError]:
    text = address.get("ip") or ""
    errors = validate_legacy_ip(f"{path}.ip", text)
    if name := address.get("hostname"):
        errors += (invalid(f"{path}.hostname", name, why) for why in check_dns_label(name))
    node = address.get("nodeName")
    if node is not None:
        errors += (invalid(f"{path}.nodeName", node, why) for why in check_dns_subdomain(node))
    return errors + validate_endpoint_ip(f"{path}.ip", text)


def validate_endpoint_slice(obj: Json) -> list[FieldError]:
    """Check an EndpointSlice."""
    return _validate_slice(obj) + _validate_slice_endpoints(obj)


def validate_endpoint_slice_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed EndpointSlice; the type of its addresses stays."""
    errors = _validate_slice(new)
    if (new.get("endpoints") or []) != (old.get("endpoints") or []):
        errors += _validate_slice_endpoints(new)
    if new.get("addressType") != old.get("addressType"):
        errors.append(invalid("addressType", new.get("addressType"), "field is immutable"))
    return errors


def warn_of_endpoint_slice(new: Json, old: Json | None) -> list[str]:
    """Warn of addresses that are names, and of those that nobody should write so."""
    found: list[str] = []
    if old is None and new.get("addressType") == "FQDN":
        found.append("spec.addressType: FQDN endpoints are deprecated")
    if (new["metadata"].get("labels") or {}).get(_MANAGED_BY) in _MANAGERS:
        return found
    for index, endpoint in enumerate(new.get("endpoints") or ()):
        for at, text in enumerate(endpoint.get("addresses") or ()):
            found += warn_of_ip(f"endpoints[{index}].addresses[{at}]", text)
    return found


def _validate_slice(obj: Json) -> list[FieldError]:
    kind, errors = obj.get("addressType") or "", []
    if not kind:
        errors.append(required("addressType"))
    elif kind not in _ADDRESS_TYPES:
        errors.append(unsupported("addressType", kind, _ADDRESS_TYPES))
    ports: list[Json] = obj.get("ports") or []
    if len(ports) > PORTS_MAX:
        return [*errors, too_many("ports", len(ports), PORTS_MAX)]
    names: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port.get("name") or ""
        if name:
            errors += (invalid(f"{path}.name", name, why) for why in check_dns_label(name))
        if name in names:
            errors.append(duplicate(f"{path}.name", name))
        names.add(name)
        errors += validate_protocol(port, path, is_pointer=True) + validate_app_protocol(port, path)
    return errors


def _validate_slice_endpoints(obj: Json) -> list[FieldError]:
    endpoints: list[Json] = obj.get("endpoints") or []
    if len(endpoints) > ENDPOINTS_MAX:
        return [too_many("endpoints", len(endpoints), ENDPOINTS_MAX)]
    kind = obj.get("addressType") or ""
    return [
        error
        for index, endpoint in enumerate(endpoints)
        for error in _validate_endpoint(endpoint, kind, f"endpoints[{index}]")
    ]


def _validate_endpoint(endpoint: Json, kind: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    addresses: list[str] = endpoint.get("addresses") or []
    if not addresses:
        errors.append(required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > ADDRESSES_MAX:
        errors.append(too_many(f"{path}.addresses", len(addresses), ADDRESSES_MAX))
    for index, text in enumerate(addresses):
        errors += _validate_slice_address(text, kind, f"{path}.addresses", index)
    node = endpoint.get("nodeName")
    if node is not None:
        errors += (invalid(f"{path}.nodeName", node, why) for why in check_dns_subdomain(node))
    topology = endpoint.get("deprecatedTopology") or {}
    if len(topology) > TOPOLOGY_LABELS_MAX:
        errors.append(too_many(f"{path}.deprecatedTopology", len(topology), TOPOLOGY_LABELS_MAX))
    errors += validate_labels(topology, f"{path}.deprecatedTopology")
    name = endpoint.get("hostname")
    if name is not None:
        errors += (invalid(f"{path}.hostname", name, why) for why in check_dns_label(name))
    return errors + _validate_hints(endpoint.get("hints") or {}, f"{path}.hints")


def _validate_slice_address(text: str, kind: str, path: str, index: int) -> list[FieldError]:
    where = f"{path}[{index}]"
    if kind == "FQDN":
        return _validate_domain(text, where)
    if kind not in ("IPv4", "IPv6"):
        return []
    wrong = validate_legacy_ip(where, text) if kind == "IPv4" else [invalid(where, text, why) for why in check_ip(text)]
    if wrong:
        return wrong
    address = parse_address(text)
    if address is not None and kind != f"IPv{address.version}":
        wrong = [invalid(path, text, f"must be an {kind} address")]
    return wrong + validate_endpoint_ip(where, text)


def _validate_domain(name: str, path: str) -> list[FieldError]:
    """Check the full name of a host: at least two segments, each a label."""
    if not name:
        return [required(path)]
    name = name.removesuffix(".")
    if reasons := check_dns_subdomain(name):
        return [invalid(path, name, ",".join(reasons))]
    if "." not in name:
        return [invalid(path, name, "should be a domain with at least two segments separated by dots")]
    for label in name.split("."):
        if reasons := check_dns_label(label):
            return [invalid(path, label, ",".join(reasons))]
    return []


def _validate_hints(hints: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field, check in (("forZones", check_label_value), ("forNodes", check_dns_subdomain)):
        entries: list[Json] = hints.get(field) or []
        if len(entries) > HINTS_MAX:
            return [*errors, too_many(f"{path}.{field}", len(entries), HINTS_MAX)]
        names: set[str] = set()
        for index, entry in enumerate(entries):
            where, name = f"{path}.{field}[{index}].name", entry.get("name") or ""
            if name in names:
                errors.append(duplicate(where, name))
            names.add(name)
            errors += (invalid(where, name, why) for why in check(name))
    return errors
