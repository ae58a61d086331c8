"""The formats of texts that a schema may name, as the reference's validation knows them.

FORMATS-1  A check takes time in proportion to the text: it is bounded before a pattern sees it.

A format that isn't here is none: it is published, and checks nothing (`unknown_formats` names it).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from string import ascii_letters, digits
from typing import Any, Final
from unicodedata import category
from urllib.parse import urlsplit

from pvbinder.server.objects.kind import Json

_DATE_TIME: Final = re.compile(r"(\d\d):(\d\d):(\d\d)(?:.\d+)?(?:z|[+-]\d\d:\d\d)", re.ASCII)
_HEX: Final = "[0-9a-fA-F]"
_UUID: Final = re.compile(rf"{_HEX}{{8}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{12}}")
_UUID_3: Final = re.compile(rf"{_HEX}{{8}}-?{_HEX}{{4}}-?3{_HEX}{{3}}-?{_HEX}{{4}}-?{_HEX}{{12}}")
_UUID_4: Final = re.compile(rf"{_HEX}{{8}}-?{_HEX}{{4}}-?4{_HEX}{{3}}-?[89abAB]{_HEX}{{3}}-?{_HEX}{{12}}")
_UUID_5: Final = re.compile(rf"{_HEX}{{8}}-?{_HEX}{{4}}-?5{_HEX}{{3}}-?[89abAB]{_HEX}{{3}}-?{_HEX}{{12}}")
_EMAIL: Final = re.compile(r"(?:[^<>@]*<)?[^\s<>@,;:()\[\]\\\"]+@[^\s<>@,;:()\[\]\\\"]+>?")
_MACS: Final = (
    re.compile(rf"{_HEX}{{2}}(?::{_HEX}{{2}}){{5}}(?:(?::{_HEX}{{2}}){{2}}|(?::{_HEX}{{2}}){{14}})?"),
    re.compile(rf"{_HEX}{{2}}(?:-{_HEX}{{2}}){{5}}(?:(?:-{_HEX}{{2}}){{2}}|(?:-{_HEX}{{2}}){{14}})?"),
    re.compile(rf"{_HEX}{{4}}(?:\.{_HEX}{{4}}){{2}}(?:\.{_HEX}{{4}}|(?:\.{_HEX}{{4}}){{7}})?"),
)
_SSN: Final = re.compile(r"\d{3}[- ]?\d{2}[- ]?\d{4}", re.ASCII)
_HEX_COLOUR: Final = re.compile(rf"#?(?:{_HEX}{{3}}|{_HEX}{{6}})")
_RGB_COLOUR: Final = re.compile(r"rgb\(\s*(\d{1,3}%?)\s*,\s*(\d{1,3}%?)\s*,\s*(\d{1,3}%?)\s*\)", re.ASCII)
_CARD: Final = re.compile(
    r"(?:4\d{12}(?:\d{3})?|5[1-5]\d{14}|(?:222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|6(?:011|5\d\d)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|(?:2131|1800|35\d{3})\d{11}|6[27]\d{14})"
)
_GO_DURATION: Final = re.compile(r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
_WORD_DURATION: Final = re.compile(
    r"\d+\s*(?:ns|nano\w*|us|µs|micro\w*|ms|milli\w*|s|sec\w*|m|min\w*|h|hr\w*|hour\w*|d|day\w*|w|wk\w*|week\w*)(?![A-Za-z])",
    re.IGNORECASE,
)
_SHORT_NAME: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_LONG_NAME: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_TEXT_LETTERS_MAX: Final = 65_536  # of a text that a pattern is tried on


def known_format(name: object) -> bool:
    """Whether texts are checked against this format."""
    return isinstance(name, str) and name.replace("-", "") in _CHECKS


def follows(name: str, value: str) -> bool:
    """Whether a text has the form of a known format."""
    try:
        return bool(_CHECKS[name.replace("-", "")](value))
    except (ValueError, binascii.Error, OverflowError):
        return False


def unknown_formats(schema: Any) -> list[str]:
    """Return the formats in a schema that nobody checks, in the order of the schema."""
    found: list[str] = []
    places = [schema]
    while places:
        place = places.pop()
        if not isinstance(place, dict):
            continue
        name = place.get("format")
        if isinstance(name, str) and name and not _is_format_of(name, str(place.get("type") or "")):
            found.append(name)
        places += reversed(list(_inner(place)))
    return found


def _is_format_of(name: str, type_: str) -> bool:
    match type_:
        case "" | "string":
            return known_format(name)
        case "integer":
            return name in ("int32", "int64")
        case "number":
            return name in ("float", "double")
        case _:
            return False


def _inner(schema: Json) -> list[Any]:
    """The schemas right inside a schema."""
    items, properties = schema.get("items"), schema.get("properties")
    found: list[Any] = [*items] if isinstance(items, list) else [items]
    for word in ("allOf", "anyOf", "oneOf"):
        found += schema.get(word) or ()
    found.append(schema.get("not"))
    if isinstance(properties, dict):
        found += properties.values()
    found.append(schema.get("additionalProperties"))
    return found


def _is_date(value: str) -> bool:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII)) and bool(date.fromisoformat(value))


def _is_moment(value: str) -> bool:
    day, *rest = value.lower().split("t")
    if not rest or not _is_date(day):
        return False
    found = _DATE_TIME.fullmatch(rest[0])
    return found is not None and found[1] <= "23" and found[2] <= "59" and found[3] <= "59"


def _is_duration(value: str) -> bool:
    return len(value) <= _TEXT_LETTERS_MAX and bool(_GO_DURATION.fullmatch(value) or _WORD_DURATION.search(value))


def _is_hostname(value: str) -> bool:
    """One label, which has a hyphen after its first letter only, or several, the last of which has letters only."""
    first, *labels = value.split(".")
    if len(value) > 255 or not all(0 < len(label) <= 63 for label in (first, *labels)):
        return False
    if not labels:
        return _all_signs(first[:1] + first[1:].removeprefix("-"))
    last = labels.pop()
    inner = all(_all_signs(label.replace("-", "")) and "-" not in (label[0], label[-1]) for label in (first, *labels))
    return inner and len(last) >= 2 and all(category(letter)[0] == "L" for letter in last)


def _all_signs(text: str) -> bool:
    return bool(text) and all(letter in ascii_letters + digits or category(letter)[0] in "LS" for letter in text)


def _is_uri(value: str) -> bool:
    """Tell whether Go's ``url.ParseRequestURI`` takes it: an absolute path, or a scheme and something behind it."""
    if not value or any(ord(letter) < 0x20 or letter == "\x7f" for letter in value):
        return False
    if value.startswith("/"):
        return True
    scheme, colon, rest = value.partition(":")
    if not colon or not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*", scheme):
        return False
    if rest.startswith("//"):
        port = urlsplit(value).netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2]
        return (not port or port.isdecimal()) and " " not in urlsplit(value).netloc
    return bool(rest)


def _is_ipv4(value: str) -> bool:
    parts = value.split(".")
    return len(parts) == 4 and all(part.isascii() and part.isdecimal() and int(part) < 256 for part in parts)


def _is_cidr(value: str) -> bool:
    address, slash, bits = value.partition("/")
    if not slash or not (bits.isascii() and bits.isdecimal()) or "%" in address:
        return False
    width = 32 if _is_ipv4(address) else 128 if ipaddress.IPv6Address(address) else 0
    return int(bits) <= width


def _is_base64(value: str) -> bool:
    return not len(value) % 4 and bool(value) and base64.b64decode(value, validate=True) is not None


def _is_isbn10(value: str) -> bool:
    signs = re.sub(r"[\s-]+", "", value)
    if not re.fullmatch(r"\d{9}[\dX]", signs, re.ASCII):
        return False
    return not sum((10 - at) * (10 if sign == "X" else int(sign)) for at, sign in enumerate(signs)) % 11


def _is_isbn13(value: str) -> bool:
    signs = re.sub(r"[\s-]+", "", value)
    if not re.fullmatch(r"\d{13}", signs, re.ASCII):
        return False
    return not sum(int(sign) * (3 if at % 2 else 1) for at, sign in enumerate(signs)) % 10


def _is_card(value: str) -> bool:
    signs = re.sub(r"\D+", "", value, flags=re.ASCII)
    if not _CARD.fullmatch(signs):
        return False
    doubled = [int(sign) * (1 + at % 2) for at, sign in enumerate(reversed(signs))]
    return not sum(each - 9 if each > 9 else each for each in doubled) % 10


def _is_rgb(value: str) -> bool:
    found = _RGB_COLOUR.fullmatch(value)
    if found is None:
        return False
    shares = [part.endswith("%") for part in found.groups()]
    most = 100 if all(shares) else 255
    return len(set(shares)) == 1 and all(int(part.rstrip("%")) <= most for part in found.groups())


_CHECKS: Final[dict[str, Callable[[str], object]]] = {
    "bsonobjectid": re.compile(rf"{_HEX}{{24}}").fullmatch,
    "byte": _is_base64,
    "cidr": _is_cidr,
    "creditcard": _is_card,
    "date": _is_date,
    "datetime": _is_moment,
    "duration": _is_duration,
    "email": lambda value: len(value) <= _TEXT_LETTERS_MAX and _EMAIL.fullmatch(value.strip()),
    "hexcolor": _HEX_COLOUR.fullmatch,
    "hostname": _is_hostname,
    "ipv4": _is_ipv4,
    "ipv6": lambda value: "%" not in value and ipaddress.IPv6Address(value),
    "isbn": lambda value: _is_isbn10(value) or _is_isbn13(value),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "k8slongname": lambda value: len(value) <= 253 and _LONG_NAME.fullmatch(value),
    "k8sshortname": lambda value: len(value) <= 63 and _SHORT_NAME.fullmatch(value),
    "mac": lambda value: any(form.fullmatch(value) for form in _MACS),
    "password": lambda _value: True,
    "rgbcolor": _is_rgb,
    "ssn": _SSN.fullmatch,
    "uri": _is_uri,
    "uuid": _UUID.fullmatch,
    "uuid3": _UUID_3.fullmatch,
    "uuid4": _UUID_4.fullmatch,
    "uuid5": _UUID_5.fullmatch,
}
