"""IP addresses and networks, and what is said of those that nobody should write so.

Older fields take an address that is not in its canonical form, and the writer is warned; newer ones don't. An address
that was there before is never looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from pvbinder.server.errors import FieldError, invalid

IpAddress: TypeAlias = IPv4Address | IPv6Address
IpNetwork: TypeAlias = IPv4Network | IPv6Network

_NO_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_NO_NETWORK = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_DOTTED = re.compile(r"[0-9]+(\.[0-9]+){3}$", re.ASCII)
_LINK_LOCAL_MULTICAST = (IPv4Network("224.0.0.0/24"), IPv6Network("ff02::/16"))
_DIGITS = re.compile(r"[0-9]+", re.ASCII)


def parse_address(text: str) -> IpAddress | None:
    """Return the address in `text`, whose numbers may begin with zeros; None if there is none."""
    if "%" in text:
        return None
    dotted = _DOTTED.search(text)
    if dotted is not None:
        text = text[: dotted.start()] + ".".join(part.lstrip("0") or "0" for part in dotted.group().split("."))
    try:
        return ip_address(text)
    except ValueError:
        return None


def parse_network(text: str) -> tuple[IpAddress, IpNetwork] | None:
    """Return the address and the network in `text`; None if there is none."""
    before, slash, length = text.partition("/")
    address = parse_address(before)
    if not slash or address is None or not _DIGITS.fullmatch(length) or int(length[-9:]) > address.max_prefixlen:
        return None
    return address, ip_network((address, int(length[-9:])), strict=False)


def shown_address(address: IpAddress) -> str:
    """Write an address as the reference does: one that stands for an older one as that."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def has_two_of_a_family(texts: Collection[str]) -> bool:
    """Say whether two of the addresses or networks are of the same family."""
    families = [one.version for one in (parse_address(text.partition("/")[0]) for text in texts) if one is not None]
    return len(set(families)) < len(families)


def check_ip(text: str) -> tuple[str, ...]:
    """Check an address in its canonical form."""
    address = parse_address(text)
    reasons = _check_strictly(address, text)
    if address is None or reasons:
        return reasons
    canonical = shown_address(address)
    return () if canonical == text else (f'must be in canonical form ("{canonical}")',)


def validate_legacy_ip(path: str, text: str, before: Collection[str] = ()) -> list[FieldError]:
    """Check an address of an older field, that may be written in other ways than the canonical one."""
    if text in before:
        return []
    return [invalid(path, text, reason) for reason in _check_strictly(parse_address(text), text)]


def validate_legacy_cidr(path: str, text: str, before: Collection[str] = ()) -> list[FieldError]:
    """Check a network of an older field."""
    if text in before:
        return []
    return [invalid(path, text, reason) for reason in _check_network(text)]


def validate_endpoint_ip(path: str, text: str) -> list[FieldError]:
    """Check that an address can be that of an endpoint: traffic gets there from elsewhere."""
    address = parse_address(text)
    if address is None:
        return [invalid(path, text, "must be a valid IP address")]
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    address = mapped or address
    reasons = []
    if address.is_unspecified:
        reasons.append(f"may not be unspecified ({text})")
    if address.is_loopback:
        reasons.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local and not address.is_multicast:
        reasons.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if any(address in network for network in _LINK_LOCAL_MULTICAST if network.version == address.version):
        reasons.append("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    return [invalid(path, text, reason) for reason in reasons]


def validate_cidr(path: str, text: str) -> list[FieldError]:
    """Check a network in its canonical form."""
    errors = [invalid(path, text, reason) for reason in _check_network(text)]
    parsed = parse_network(text)
    if not errors and parsed is not None and str(parsed[1]) != text:
        errors.append(invalid(path, text, f'must be in canonical form ("{parsed[1]}")'))
    return errors


def warn_of_ip(path: str, text: str) -> list[str]:
    """Warn of an address that is not written as it should be."""
    address = parse_address(text)
    if address is None:
        return []
    if _check_strictly(address, text):
        return [f'{path}: non-standard IP address "{text}" is invalid: use "{shown_address(address)}"']
    if address.version == 6 and str(address) != text:
        return [f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{address}")']
    return []


def warn_of_cidr(path: str, text: str) -> list[str]:
    """Warn of a network that is not written as it should be."""
    parsed = parse_network(text)
    if parsed is None:
        return []
    address, network = parsed
    if address != network.network_address:
        alone = f"{shown_address(address)}/{address.max_prefixlen}"
        return [
            f'{path}: CIDR value "{text}" is ambiguous in this context (should be "{network}" or "{alone}"?)',
        ]
    if _has_leading_zeros(text) or _is_mapped(address):
        return [f'{path}: non-standard CIDR value "{text}" is invalid: use "{network}"']
    if address.version == 6 and str(network) != text:
        return [f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{network}")']
    return []


def _check_strictly(address: IpAddress | None, text: str) -> tuple[str, ...]:
    if address is None:
        return (_NO_ADDRESS,)
    if _has_leading_zeros(text):
        return ("must not have leading 0s",)
    return ("must not be an IPv4-mapped IPv6 address",) if _is_mapped(address) else ()


def _check_network(text: str) -> tuple[str, ...]:
    parsed = parse_network(text)
    if parsed is None:
        return (_NO_NETWORK,)
    address, network = parsed
    length = text.partition("/")[2]
    if _has_leading_zeros(text.partition("/")[0]) or (len(length) > 1 and length.startswith("0")):
        return ("must not have leading 0s in IP or prefix length",)
    if _is_mapped(address):
        return ("must not have an IPv4-mapped IPv6 address",)
    return () if address == network.network_address else ("must not have bits set beyond the prefix length",)


def _is_mapped(address: IpAddress) -> bool:
    return isinstance(address, IPv6Address) and address.ipv4_mapped is not None


def _has_leading_zeros(text: str) -> bool:
    dotted = _DOTTED.search(text.partition("/")[0])
    return dotted is not None and any(len(part) > 1 and part[0] == "0" for part in dotted.group().split("."))
