"""Addresses and networks: what is one, and what is said of those that nobody should write so."""

from __future__ import annotations

import pytest

from pvbinder.server.kinds.validation.addresses import (
    check_ip,
    has_two_of_a_family,
    validate_cidr,
    validate_legacy_cidr,
    validate_legacy_ip,
    warn_of_cidr,
    warn_of_ip,
)

NO_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
ADDRESSES = {  # text: (why it is refused, what is warned of)
    "10.9.8.7": ((), ()),
    "2001:db8::1": ((), ()),
    "2001:DB8::1": ((), ('a: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")',)),
    "010.9.8.7": (
        ("must not have leading 0s",),
        ('a: non-standard IP address "010.9.8.7" is invalid: use "10.9.8.7"',),
    ),
    "::ffff:1.2.3.4": (
        ("must not be an IPv4-mapped IPv6 address",),
        ('a: non-standard IP address "::ffff:1.2.3.4" is invalid: use "1.2.3.4"',),
    ),
    "300.1.1.1": ((NO_ADDRESS,), ()),
    "1.2.3": ((NO_ADDRESS,), ()),
    "fe80::1%eth0": ((NO_ADDRESS,), ()),
    "": ((NO_ADDRESS,), ()),
}


@pytest.mark.parametrize(("text", "said"), ADDRESSES.items(), ids=ADDRESSES.keys())
def test_addresses(text: str, said: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    refused, warned = said
    assert [error.body for error in validate_legacy_ip("a", text)] == [
        f'Invalid value: "{text}": {why}' for why in refused
    ]
    assert tuple(warn_of_ip("a", text)) == warned
    assert validate_legacy_ip("a", text, [text]) == [], "what was there before may stay"


def test_newer_fields_want_the_canonical_form() -> None:
    assert check_ip("2001:db8::1") == ()
    assert check_ip("2001:db8:0::1") == ('must be in canonical form ("2001:db8::1")',)
    (error,) = validate_cidr("c", "2001:DB8::/32")
    assert error.body == 'Invalid value: "2001:DB8::/32": must be in canonical form ("2001:db8::/32")'


NETWORKS = {
    "10.0.0.0/8": ((), ()),
    "::/0": ((), ()),
    "10.0.0.1/8": (
        ("must not have bits set beyond the prefix length",),
        ('a: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)',),
    ),
    "10.0.0.0/08": (("must not have leading 0s in IP or prefix length",), ()),
    "10.0.0.0/33": (("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",), ()),
    "10.0.0.0": (("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",), ()),
}


@pytest.mark.parametrize(("text", "said"), NETWORKS.items(), ids=NETWORKS.keys())
def test_networks(text: str, said: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    refused, warned = said
    assert [error.body for error in validate_legacy_cidr("a", text)] == [
        f'Invalid value: "{text}": {why}' for why in refused
    ]
    assert tuple(warn_of_cidr("a", text)) == warned


def test_two_of_a_family() -> None:
    assert has_two_of_a_family(["10.0.0.0/8", "10.1.0.0/16"])
    assert not has_two_of_a_family(["10.0.0.0/8", "::/64"])
