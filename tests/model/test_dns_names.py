"""Labels and subdomains."""

from __future__ import annotations

import pytest

from pvbinder.model.dns_names import is_label, is_subdomain


@pytest.mark.parametrize("text", ["a", "a-b", "0", "a" * 63])
def test_a_label_is_a_subdomain_too(text: str) -> None:
    assert is_label(text)
    assert is_subdomain(text)


@pytest.mark.parametrize("text", ["a.b", "a" * 64, f"{'a' * 200}.{'b' * 52}"])
def test_a_subdomain_that_is_no_label(text: str) -> None:
    assert is_subdomain(text)
    assert not is_label(text)


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a_b", "a..b", ".a", "a.", "a\n", "\u00e4", "a" * 254])
def test_what_is_neither(text: str) -> None:
    assert not is_label(text)
    assert not is_subdomain(text)
