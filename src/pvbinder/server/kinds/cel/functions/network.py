"""Addresses and networks of IP, as Go's ``net/netip`` reads them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Final

from pvbinder.server.kinds.cel.declarations import Library
from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.types import BOOL, INT, STRING, Type

IP: Final = Type("opaque", "net.IP")
CIDR: Final = Type("opaque", "net.CIDR")


@dataclass(frozen=True, slots=True)
class InternetAddress:
    """An address."""

    value: ipaddress.IPv4Address | ipaddress.IPv6Address
    type_name = "net.IP"

    @property
    def size(self) -> int:
        """The size that costs are counted by."""
        return self.value.max_prefixlen // 8


@dataclass(frozen=True, slots=True)
class Network:
    """A network: an address, and how many of its bits all addresses of the network share."""

    value: ipaddress.IPv4Address | ipaddress.IPv6Address
    bits: int
    type_name = "net.CIDR"

    @property
    def size(self) -> int:
        """The size that costs are counted by."""
        return (self.bits + 7) // 8

    def masked(self) -> int:
        """The shared bits as a number."""
        shift = self.value.max_prefixlen - self.bits
        return int(self.value) >> shift << shift


_FIELDS: Final = 8
_FIELD_DIGITS: Final = 4
_HEXADECIMAL: Final = re.compile(r"[0-9a-fA-F]*")


def declare(library: Library) -> None:
    """Declare what reads and asks addresses and networks."""
    library.add("ip", "string_to_ip", (STRING,), IP, _address)
    library.add("isIP", "is_ip", (STRING,), BOOL, lambda text: _reads(_address, text))
    library.add("ip.isCanonical", "ip_is_canonical", (STRING,), BOOL, lambda text: str(_address(text).value) == text)
    library.add("string", "ip_to_string", (IP,), STRING, lambda address: str(address.value))
    add = library.add_member
    add("family", "ip_family", (IP,), INT, lambda address: address.value.version)
    add("isUnspecified", "ip_is_unspecified", (IP,), BOOL, lambda address: address.value.is_unspecified)
    add("isLoopback", "ip_is_loopback", (IP,), BOOL, lambda address: address.value.is_loopback)
    add("isLinkLocalMulticast", "ip_is_link_local_multicast", (IP,), BOOL, _is_local_multicast)
    add("isLinkLocalUnicast", "ip_is_link_local_unicast", (IP,), BOOL, lambda address: address.value.is_link_local)
    add("isGlobalUnicast", "ip_is_global_unicast", (IP,), BOOL, _is_global)
    library.add("cidr", "string_to_cidr", (STRING,), CIDR, _network)
    library.add("isCIDR", "is_cidr", (STRING,), BOOL, lambda text: _reads(_network, text))
    library.add("string", "cidr_to_string", (CIDR,), STRING, lambda network: f"{network.value}/{network.bits}")
    add("containsIP", "cidr_contains_ip_string", (CIDR, STRING), BOOL, lambda one, text: _contains(one, _address(text)))
    add("containsIP", "cidr_contains_ip_ip", (CIDR, IP), BOOL, _contains)
    add(
        "containsCIDR", "cidr_contains_cidr_string", (CIDR, STRING), BOOL, lambda one, text: _holds(one, _network(text))
    )
    add("containsCIDR", "cidr_contains_cidr", (CIDR, CIDR), BOOL, _holds)
    add("ip", "cidr_ip", (CIDR,), IP, lambda network: InternetAddress(network.value))
    add("prefixLength", "cidr_prefix_length", (CIDR,), INT, lambda network: network.bits)
    add("masked", "cidr_masked", (CIDR,), CIDR, _masked)


def _reads(read: Any, text: str) -> bool:
    try:
        read(text)
    except CelError:
        return False
    return True


def _address(text: str) -> InternetAddress:
    bare = text.partition("%")[0]
    try:
        value = ipaddress.ip_address(bare)
    except ValueError:
        raise CelError(
            f'IP Address "{text}" parse error during conversion from string: ParseAddr("{text}"): {_why(text)}'
        ) from None
    if "%" in text:
        raise CelError(f'IP address "{text}" with zone value is not allowed')
    if isinstance(value, ipaddress.IPv6Address) and value.ipv4_mapped is not None:
        raise CelError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return InternetAddress(value)


def _why(text: str) -> str:
    """Why a text is no address, in Go's words where they are few."""
    if ":" in text:
        return _why_six(text)
    if "." not in text:
        return "unable to parse IP"
    parts = text.split(".")
    if len(parts) < 4 or "" in parts:
        return "IPv4 address too short" if "" not in parts else "IPv4 field must have at least one digit"
    if any(part.isdecimal() and len(part) > 1 and part[0] == "0" for part in parts):
        return "IPv4 field has octet with leading zero"
    if any(part.isdecimal() and int(part) > 255 for part in parts):
        return "IPv4 field has value >255"
    return "IPv4 address too long" if all(part.isdecimal() for part in parts) else "unexpected character"


def _why_six(text: str) -> str:
    """Why a text is no IPv6 address: what Go finds first, and where."""
    rest, filled, gap = text, 0, text.startswith("::")
    rest = rest[2:] if gap else rest
    while filled < _FIELDS:
        digits = _HEXADECIMAL.match(rest)
        count = digits.end() if digits is not None else 0
        why = "each group must have 4 or less digits" if count > _FIELD_DIGITS else ""
        if not count:
            why = "each colon-separated field must have at least one digit"
        filled, following = filled + 1, rest[count:]
        if not why and following and following[0] != ":":
            return f'unexpected character, want colon (at "{following}")'
        if following == ":":
            return 'colon must be followed by more characters (at ":")'
        if why:
            return f'{why} (at "{rest}")'
        rest = following[1:]
        if rest.startswith(":"):
            if gap:
                return f'multiple :: in address (at "{rest}")'
            gap, rest = True, rest[1:]
        if not rest:
            break
    if rest:
        return f'trailing garbage after address (at "{rest}")'
    return "the :: must expand to at least one field of zeros" if gap else "address string too short"


def _network(text: str) -> Network:
    address, slash, bits = text.rpartition("/")
    why = ""
    value = None
    if not slash:
        why = "no '/'"
    else:
        try:
            value = ipaddress.ip_address(address)
        except ValueError:
            why = f'ParseAddr("{address}"): {_why(address)}'
    if value is not None:
        if not bits.isascii() or not bits.isdecimal() or (len(bits) > 1 and bits[0] == "0"):
            why = f'bad bits after slash: "{bits}"'
        elif int(bits) > value.max_prefixlen:
            why = "prefix length out of range"
    if why or value is None:
        where = "network address parse error during conversion from string: "
        raise CelError(f'{where}{where}netip.ParsePrefix("{text}"): {why}')
    if isinstance(value, ipaddress.IPv6Address) and value.ipv4_mapped is not None:
        raise CelError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return Network(value, int(bits))


def _contains(network: Network, address: InternetAddress) -> bool:
    if network.value.version != address.value.version:
        return False
    shift = network.value.max_prefixlen - network.bits
    return int(network.value) >> shift == int(address.value) >> shift


def _holds(network: Network, other: Network) -> bool:
    return network.bits <= other.bits and _contains(network, InternetAddress(other.value))


def _masked(network: Network) -> Network:
    return Network(type(network.value)(network.masked()), network.bits)


def _is_local_multicast(address: InternetAddress) -> bool:
    value = int(address.value)
    return (
        value >> 8 == 0xE00000
        if address.value.version == 4
        else value >> 112 in {0xFF02 | flags << 4 for flags in range(16)}
    )


def _is_global(address: InternetAddress) -> bool:
    value = address.value
    if value.version == 4 and str(value) in ("0.0.0.0", "255.255.255.255"):  # noqa: S104  (asked about, not bound)
        return False
    return not (value.is_unspecified or value.is_loopback or value.is_multicast or value.is_link_local)
