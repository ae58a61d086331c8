"""The media types of bodies: which are read, and the 415 of the others."""

from __future__ import annotations

import re
from typing import Final

from pvbinder.server.errors import ApiError

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
READ_TYPES: Final = (JSON, YAML, PROTOBUF)

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(rf'\s*;\s*({_WORD})\s*=\s*(?:{_WORD}|"(?:[^"\\]|\\.)*")')


def media_type_of(content_type: str) -> str:
    """Return the media type of a body, JSON if nothing is said; ApiError 415 if it isn't read, or not well written."""
    if content_type in READ_TYPES:
        return content_type
    if not content_type:
        return JSON
    media_type, semicolon, rest = content_type.partition(";")
    media_type = media_type.strip().lower()
    if media_type not in READ_TYPES or not _are_parameters(semicolon + rest):
        why = "the body of the request was in an unknown format - accepted media types include: "
        raise ApiError(415, "UnsupportedMediaType", why + ", ".join(READ_TYPES))
    return media_type


def _are_parameters(text: str) -> bool:
    names: set[str] = set()
    at = 0
    while (found := _PARAMETER.match(text, at)) is not None:
        name = found.group(1).lower()
        if name in names:
            return False
        names.add(name)
        at = found.end()
    return text[at:].strip() in ("", ";")
