"""The forms of names."""

from __future__ import annotations

from sys import getrefcount

import pytest

from pvbinder.server.kinds.validation.names import (
    NameCheck,
    check_config_key,
    check_dns_label,
    check_dns_label_1035,
    check_dns_subdomain,
    check_label_value,
    check_object_name,
    check_path_segment,
    check_qualified_name,
)

GOOD: list[tuple[NameCheck, str]] = [
    (check_dns_label, "a-1"),
    (check_dns_label, "9"),
    (check_dns_label, "n" * 63),
    (check_dns_subdomain, "a.b-c.9"),
    (check_dns_subdomain, "n" * 253),
    (check_dns_label_1035, "a-1"),
    (check_label_value, ""),
    (check_label_value, "My_value.1"),
    (check_config_key, ".dockercfg"),
    (check_config_key, "A_b-c.d"),
    (check_qualified_name, "example.com/My.Name"),
    (check_qualified_name, "name"),
    (check_path_segment, "system:node:A b"),
]
BAD: list[tuple[NameCheck, str, str]] = [
    (check_dns_label, "A", "a lowercase RFC 1123 label must consist"),
    (check_dns_label, "a.b", "must not contain dots"),
    (check_dns_label, "a..b", "a lowercase RFC 1123 label must consist"),
    (check_dns_label, "n" * 64, "must be no more than 63 characters"),
    (check_dns_subdomain, "", "a lowercase RFC 1123 subdomain must consist"),
    (check_dns_subdomain, "a..b", "a lowercase RFC 1123 subdomain must consist"),
    (check_dns_subdomain, "a\n", "a lowercase RFC 1123 subdomain must consist"),
    (check_dns_subdomain, "n" * 254, "must be no more than 253 characters"),
    (check_dns_label_1035, "1a", "a DNS-1035 label must consist"),
    (check_label_value, "v" * 64, "must be no more than 63 bytes"),
    (check_label_value, "-", "a valid label must be an empty string or consist"),
    (check_config_key, "..a", "must not start with '..'"),
    (check_qualified_name, "a/b/c", "a valid label key must consist"),
    (check_qualified_name, "/b", "prefix part must be non-empty"),
    (check_qualified_name, "Prefix_/x", "prefix part a lowercase RFC 1123 subdomain must consist"),
    (check_qualified_name, "k" * 64, "name part must be no more than 63 bytes"),
    (check_path_segment, "..", "may not be '..'"),
    (check_path_segment, "a/b", "may not contain '/'"),
    (check_path_segment, "a%b", "may not contain '%'"),
]


@pytest.mark.parametrize(("check", "value"), GOOD)
def test_what_has_the_form(check: NameCheck, value: str) -> None:
    assert check(value) == ()


@pytest.mark.parametrize(("check", "value", "reason"), BAD)
def test_what_has_not(check: NameCheck, value: str, reason: str) -> None:
    (first, *others) = check(value)
    assert first.startswith(reason)
    assert not others


def test_a_generated_name_may_end_in_a_dash() -> None:
    assert check_object_name("subdomain", "data-", prefix=True) == ()
    assert check_object_name("subdomain", "data-")
    assert check_object_name("subdomain", "-", prefix=True)


def test_long_values_are_not_remembered() -> None:
    long = "n" * 1_000_000
    held = getrefcount(long)
    assert check_dns_subdomain(long) == ("must be no more than 253 characters",)
    assert getrefcount(long) == held
