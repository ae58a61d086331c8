"""The rules of NetworkPolicy."""

from __future__ import annotations

from pvbinder.server.errors import FieldError, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.validation.addresses import parse_network, validate_legacy_cidr
from pvbinder.server.kinds.validation.names import check_port_name
from pvbinder.server.kinds.validation.numbers import validate_port
from pvbinder.server.kinds.validation.selectors import validate_label_selector
from pvbinder.server.objects.kind import Json

_PROTOCOLS = ("TCP", "UDP", "SCTP")
_TYPES = ("Ingress", "Egress")


def validate_network_policy(obj: Json) -> list[FieldError]:
    """Check a new policy."""
    return _validate_spec(obj["spec"], frozenset())


def validate_network_policy_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed policy; networks that were there are not looked at again."""
    known: set[str] = set()
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in old["spec"].get(direction) or ():
            for peer in rule.get(peers) or ():
                block = peer.get("ipBlock") or {}
                known |= {block.get("cidr", ""), *(block.get("except") or ())}
    return _validate_spec(new["spec"], frozenset(known))


def _validate_spec(spec: Json, known: frozenset[str]) -> list[FieldError]:
    errors = validate_label_selector(spec.get("podSelector"), "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            path = f"spec.{direction}[{index}]"
            for position, port in enumerate(rule.get("ports") or ()):
                errors += _validate_port(port, f"{path}.ports[{position}]")
            for position, peer in enumerate(rule.get(peers) or ()):
                errors += _validate_peer(peer, f"{path}.{peers}[{position}]", known)
    types: list[str] = spec.get("policyTypes") or []
    if len(types) > len(_TYPES):
        errors.append(invalid("spec.policyTypes", types, "may not specify more than two policyTypes"))
        return errors
    return errors + [
        unsupported(f"spec.policyTypes[{index}]", one, _TYPES) for index, one in enumerate(types) if one not in _TYPES
    ]


def _validate_port(port: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    protocol, number, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol is not None and protocol not in _PROTOCOLS:
        errors.append(unsupported(f"{path}.protocol", protocol, _PROTOCOLS))
    if number is None:
        if end is not None:
            errors.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified"))
    elif isinstance(number, int):
        errors += validate_port(number, f"{path}.port")
        if end is not None:
            if end < number:
                errors.append(invalid(f"{path}.endPort", number, "must be greater than or equal to `port`"))
            errors += validate_port(end, f"{path}.endPort")
    else:
        if end is not None:
            errors.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
        errors += (invalid(f"{path}.port", number, reason) for reason in check_port_name(number))
    return errors


def _validate_peer(peer: Json, path: str, known: frozenset[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    named = [field for field in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(field) is not None]
    for field in named:
        if field == "ipBlock":
            errors += _validate_block(peer["ipBlock"], f"{path}.ipBlock", known)
        else:
            errors += validate_label_selector(peer[field], f"{path}.{field}")
    if not named:
        errors.append(required(path, "must specify a peer"))
    elif len(named) > 1 and "ipBlock" in named:
        errors.append(forbidden(path, "may not specify both ipBlock and another peer"))
    return errors


def _validate_block(block: Json, path: str, known: frozenset[str]) -> list[FieldError]:
    cidr = block.get("cidr", "")
    if not cidr:
        return [required(f"{path}.cidr")]
    errors = validate_legacy_cidr(f"{path}.cidr", cidr, known)
    whole = parse_network(cidr)
    if whole is None:
        return errors
    for index, text in enumerate(block.get("except") or ()):
        at = f"{path}.except[{index}]"
        errors += validate_legacy_cidr(at, text, known)
        part = parse_network(text)
        if part is None:
            continue
        network, inner = whole[1], part[1]
        is_inside = network.version == inner.version and inner.network_address in network
        if not is_inside or network.prefixlen >= inner.prefixlen:
            errors.append(invalid(at, text, "must be a strict subset of `cidr`"))
    return errors
