"""The forms of names: DNS labels and subdomains, qualified names, label values, keys of config maps.

Each function returns why a value does not have the form, in the reference's words, and nothing if it has it. The same
few names are checked over and over, so the answers are remembered (those for names of a sensible length).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeAlias

from pvbinder.model.dns_names import LABEL as _LABEL
from pvbinder.model.dns_names import SUBDOMAIN as _SUBDOMAIN
from pvbinder.server.kinds.validation.addresses import check_ip
from pvbinder.server.objects.kind import NameRule

NameCheck: TypeAlias = Callable[[str], tuple[str, ...]]

_NAMES_KEPT_MAX = 16384
_NAME_CHARACTERS_KEPT_MAX = 512  # characters

_LABEL_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = rf"({_QUALIFIED})?"
_CONFIG_KEY = r"[-._a-zA-Z0-9]+"
_C_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_LABEL_WITH_UNDERSCORE = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_WITH_UNDERSCORE = rf"{_LABEL_WITH_UNDERSCORE}(\.{_LABEL_WITH_UNDERSCORE})*"
_HTTP_HEADER = "[-A-Za-z0-9]+"

_IS_LABEL = re.compile(_LABEL).fullmatch
_IS_SUBDOMAIN = re.compile(_SUBDOMAIN).fullmatch
_IS_LABEL_1035 = re.compile(_LABEL_1035).fullmatch
_IS_QUALIFIED = re.compile(_QUALIFIED).fullmatch
_IS_LABEL_VALUE = re.compile(_LABEL_VALUE).fullmatch
_IS_CONFIG_KEY = re.compile(_CONFIG_KEY).fullmatch
_IS_WILDCARD = re.compile(_WILDCARD).fullmatch
_IS_SUBDOMAIN_WITH_UNDERSCORE = re.compile(_SUBDOMAIN_WITH_UNDERSCORE).fullmatch
_IS_HTTP_HEADER = re.compile(_HTTP_HEADER).fullmatch
_IS_PORT_NAME = re.compile(r"[-a-z0-9]+").fullmatch
_HAS_LETTER = re.compile(r"[a-z]").search

_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    f"regex used for validation is '{_LABEL_1035}')"
)
_QUALIFIED_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
_QUALIFIED_FORM = (
    f"a valid label key {_QUALIFIED_TEXT} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_LABEL_VALUE}')"
)
_WILDCARD_TEXT = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', "
    f"regex used for validation is '{_WILDCARD}')"
)
_CONFIG_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
    f"(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '{_CONFIG_KEY}')"
)

_SUBDOMAIN_WITH_UNDERSCORE_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must "
    "start and end with an alphanumeric character "
    f"(e.g. 'example.com', regex used for validation is '{_SUBDOMAIN_WITH_UNDERSCORE}')"
)
_HTTP_HEADER_TEXT = (
    "a valid HTTP header must consist of alphanumeric characters or '-' "
    f"(e.g. 'X-Header-Name', regex used for validation is '{_HTTP_HEADER}')"
)


def _remembered(check: NameCheck) -> NameCheck:
    """Remember the answers for values of a sensible length, so that what is remembered stays small."""
    cached = lru_cache(_NAMES_KEPT_MAX)(check)

    @wraps(check)
    def answer(value: str) -> tuple[str, ...]:
        return cached(value) if len(value) <= _NAME_CHARACTERS_KEPT_MAX else check(value)

    return answer


@_remembered
def check_dns_label(value: str) -> tuple[str, ...]:
    """Check an RFC 1123 label of at most 63 characters; of what is a subdomain only the dots are wrong."""
    text = "must not contain dots" if _IS_SUBDOMAIN(value) else _LABEL_TEXT
    return _check(value, 63, "must be no more than 63 characters", _IS_LABEL, text)


@_remembered
def check_dns_subdomain(value: str) -> tuple[str, ...]:
    """Check an RFC 1123 subdomain of at most 253 characters (OM-2)."""
    return _check(value, 253, "must be no more than 253 characters", _IS_SUBDOMAIN, _SUBDOMAIN_TEXT)


@_remembered
def check_subdomain_with_underscores(value: str) -> tuple[str, ...]:
    """Check a domain in which DNS looks for names."""
    text = _SUBDOMAIN_WITH_UNDERSCORE_TEXT
    return _check(value, 253, "must be no more than 253 characters", _IS_SUBDOMAIN_WITH_UNDERSCORE, text)


def check_http_header(value: str) -> tuple[str, ...]:
    """Check the name of a header."""
    return () if _IS_HTTP_HEADER(value) else (_HTTP_HEADER_TEXT,)


def check_environment_name(value: str) -> tuple[str, ...]:
    """Check the name of a variable of the environment, or its beginning."""
    if not value:
        return ("environment variable name must be non-empty",)
    if "=" in value or not (value.isascii() and value.isprintable()):
        return ("a valid environment variable name must consist only of printable ASCII characters other than '='",)
    return ()


@_remembered
def check_wildcard_subdomain(value: str) -> tuple[str, ...]:
    """Check a subdomain whose first part is a star."""
    return _check(value, 253, "must be no more than 253 characters", _IS_WILDCARD, _WILDCARD_TEXT)


@_remembered
def check_dns_label_1035(value: str) -> tuple[str, ...]:
    """Check an RFC 1035 label, as services had it once."""
    return _check(value, 63, "must be no more than 63 characters", _IS_LABEL_1035, _LABEL_1035_TEXT)


@_remembered
def check_label_value(value: str) -> tuple[str, ...]:
    """Check the value of a label (OM-7)."""
    return _check(value, 63, "must be no more than 63 bytes", _IS_LABEL_VALUE, _LABEL_VALUE_TEXT)


@_remembered
def check_config_key(value: str) -> tuple[str, ...]:
    """Check a key of the data of a config map or secret."""
    reasons = list(_check(value, 253, "must be no more than 253 characters", _IS_CONFIG_KEY, _CONFIG_KEY_TEXT))
    if value == ".":
        reasons.append("must not be '.'")
    elif value == "..":
        reasons.append("must not be '..'")
    elif value.startswith(".."):
        reasons.append("must not start with '..'")
    return tuple(reasons)


@_remembered
def check_port_name(value: str) -> tuple[str, ...]:
    """Check the name of a port."""
    reasons = ["must be no more than 15 characters"] if len(value.encode()) > 15 else []
    if not _IS_PORT_NAME(value):
        reasons.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _HAS_LETTER(value):
        reasons.append("must contain at least one letter (a-z)")
    if "--" in value:
        reasons.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        reasons.append("must not begin or end with a hyphen")
    return tuple(reasons)


@_remembered
def check_qualified_name(value: str) -> tuple[str, ...]:
    """Check a name with an optional subdomain before a slash: keys of labels and annotations, finalizers (OM-7)."""
    parts = value.split("/")
    if len(parts) > 2:
        return (_QUALIFIED_FORM,)
    reasons: list[str] = []
    if len(parts) == 2:
        if not parts[0]:
            reasons.append("prefix part must be non-empty")
        else:
            said = check_dns_subdomain(parts[0])
            reasons += (f"prefix part {reason.replace('253 characters', '253 bytes')}" for reason in said)
    name = parts[-1]
    if not name:
        reasons.append("name part must be non-empty")
    elif len(name.encode()) > 63:
        reasons.append("name part must be no more than 63 bytes")
    if not _IS_QUALIFIED(name):
        reasons.append(f"name part {_QUALIFIED_TEXT}")
    return tuple(reasons)


@_remembered
def check_path_segment(value: str) -> tuple[str, ...]:
    """Check a name that may hold anything that fits into one segment of a path (RBAC kinds)."""
    if value in (".", ".."):
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{character}'" for character in ("/", "%") if character in value)


_CHECKS: dict[NameRule, NameCheck] = {
    "subdomain": check_dns_subdomain,
    "label": check_dns_label,
    "path-segment": check_path_segment,
    "ip": check_ip,  # in its canonical form
}


def check_object_name(rule: NameRule, name: str, *, prefix: bool = False) -> tuple[str, ...]:
    """Check an object's name by its kind's rule (OM-2); with `prefix`, a ``generateName``, which may end in a dash."""
    if prefix and rule in ("subdomain", "label") and len(name) > 1 and name.endswith("-"):
        name = name[:-2] + "a"
    return _CHECKS[rule](name)


def _check(value: str, maximum: int, too_long: str, has_form: Callable[[str], object], form: str) -> tuple[str, ...]:
    reasons = (too_long,) if len(value.encode()) > maximum else ()
    return reasons if has_form(value) else (*reasons, form)
