"""Paths and keys that begin with a domain."""

from __future__ import annotations

import re

from pvbinder.server.errors import FieldError, invalid, required
from pvbinder.server.kinds.validation.names import check_dns_label, check_dns_subdomain

_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_IS_HTTP_PATH = re.compile(_HTTP_PATH).fullmatch


def validate_domain_prefixed_path(value: str, path: str) -> list[FieldError]:
    """Check a path such as ``example.com/path``."""
    if not value:
        return [required(path)]
    host, _, rest = value.partition("/")
    if not host or not rest:
        return [invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    errors = [invalid(path, host, reason) for reason in check_dns_subdomain(host)]
    if not _IS_HTTP_PATH(rest):
        errors.append(invalid(path, rest, f"Invalid path (regex used for validation is '{_HTTP_PATH}')"))
    return errors


def validate_fully_qualified_name(value: str, path: str) -> list[FieldError]:
    """Check a domain of at least two parts."""
    if not value:
        return [required(path)]
    value = value.removesuffix(".")
    if reasons := check_dns_subdomain(value):
        return [invalid(path, value, ",".join(reasons))]
    if "." not in value:
        return [invalid(path, value, "should be a domain with at least two segments separated by dots")]
    for label in value.split("."):
        if reasons := check_dns_label(label):
            return [invalid(path, label, ",".join(reasons))]
    return []


def has_backsteps(path: str) -> bool:
    """Say whether a path leads to what is above it somewhere."""
    return ".." in path.split("/")
