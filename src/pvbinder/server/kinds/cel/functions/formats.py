"""Kubernetes' named formats of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from pvbinder.server.kinds.cel.declarations import Library
from pvbinder.server.kinds.cel.functions.urls import read_url
from pvbinder.server.kinds.cel.types import STRING, Type, list_of, optional_of
from pvbinder.server.kinds.cel.values import NONE, Optional
from pvbinder.server.kinds.validation.names import (
    check_dns_label,
    check_dns_label_1035,
    check_dns_subdomain,
    check_label_value,
    check_object_name,
    check_qualified_name,
)
from pvbinder.server.kinds.validation.text_formats import follows

FORMAT: Final = Type("object", "kubernetes.NamedFormat")


@dataclass(frozen=True, slots=True)
class Format:
    """A format; equal by name. `pattern_letters` is how long its pattern counts as, for what it costs."""

    name: str
    check: Callable[[str], Iterable[str]]
    pattern_letters: int
    type_name = "kubernetes.NamedFormat"

    def __eq__(self, other: object) -> bool:
        """Compare by name."""
        return isinstance(other, Format) and self.name == other.name

    def __hash__(self) -> int:
        """Hash by name."""
        return hash(self.name)


def _simple(name: str, why: str) -> Callable[[str], Iterable[str]]:
    return lambda text: () if follows(name, text) else (why,)


def _check_uri(text: str) -> Iterable[str]:
    found, why = read_url(text)
    return () if found is not None else (why,)


def _check_prefix_1035(text: str) -> tuple[str, ...]:
    """A prefix may end in a dash, which what follows makes a part of the name."""
    return check_dns_label_1035(f"{text[:-2]}a" if len(text) > 1 and text.endswith("-") else text)


_FORMATS: Final[dict[str, Format]] = {
    "dns1123Label": Format("DNS1123Label", check_dns_label, 30),
    "dns1123Subdomain": Format("DNS1123Subdomain", check_dns_subdomain, 60),
    "dns1035Label": Format("DNS1035Label", check_dns_label_1035, 30),
    "qualifiedName": Format("QualifiedName", check_qualified_name, 60),
    "dns1123LabelPrefix": Format("DNS1123LabelPrefix", lambda text: check_object_name("label", text, prefix=True), 30),
    "dns1123SubdomainPrefix": Format(
        "DNS1123SubdomainPrefix", lambda text: check_object_name("subdomain", text, prefix=True), 60
    ),
    "dns1035LabelPrefix": Format("DNS1035LabelPrefix", _check_prefix_1035, 30),
    "labelValue": Format("LabelValue", check_label_value, 40),
    "uri": Format("URI", _check_uri, 1103),
    "uuid": Format("uuid", _simple("uuid", "does not match the UUID format"), 88),
    "byte": Format("byte", _simple("byte", "invalid base64"), 84),
    "date": Format("date", _simple("date", "invalid date"), 84),
    "datetime": Format("datetime", _simple("datetime", "invalid datetime"), 84),
}


def declare(library: Library) -> None:
    """Declare the formats, and what checks a text against one."""
    for name, format_ in _FORMATS.items():
        library.add(f"format.{name}", f"format.{name}", (), FORMAT, _constant(format_))
    library.add("format.named", "format-named", (STRING,), optional_of(FORMAT), _named)
    library.add_member("validate", "format-validate", (FORMAT, STRING), optional_of(list_of(STRING)), _validate)


def _constant(format_: Format) -> Callable[[], Format]:
    return lambda: format_


def _named(name: str) -> Optional:
    found = _FORMATS.get(name)
    return NONE if found is None else Optional(True, found)


def _validate(format_: Format, text: str) -> Optional:
    found = list(format_.check(text))
    return Optional(True, found) if found else NONE
