r"""Continue tokens, in the reference's format: where a list goes on, and at which revision.

URL-safe base64 without padding of ``{"v":"meta.k8s.io/v1","rv":N,"start":"name\u0000"}``: the list goes on at the
first key after `start`, which lacks the namespace when the list is of one. A revision of -1 means whatever is there
now: the "inconsistent continuation" that an expired token is answered with.
"""

from __future__ import annotations

import base64
import posixpath
from typing import Any

import msgspec

from pvbinder.model.errors import PvbinderError
from pvbinder.server.errors import ApiError, bad_request
from pvbinder.server.objects.go_text import decode_base64
from pvbinder.server.objects.schema.json_text import JsonTextError, Members, kind_of, parse

VERSION = "meta.k8s.io/v1"
NOW = -1


_FIELDS: dict[str, type] = {"v": str, "rv": int, "start": str}


def make_token(revision: int, last_key: str) -> str:
    """Return the token of a list that goes on after `last_key`."""
    return _encode(revision, last_key + "\0")


def read_token(token: str) -> tuple[int, str]:
    """Return the revision and the key from which to go on; ApiError 400 if it is no token."""
    try:
        read = _decode(decode_base64(token, is_url=True, is_padded=False))
    except PvbinderError as error:
        raise _invalid(error.message) from error
    version, revision, start = read.get("v", ""), read.get("rv", 0), read.get("start", "")
    if version != VERSION:
        raise _invalid(f"server does not recognize this encoded version {version}")
    if revision == 0:
        raise _invalid("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not start:
        raise _invalid("encoded start key empty (version meta.k8s.io/v1)")
    key = start if start.startswith("/") else f"/{start}"
    if _cleaned(key) != key:
        raise _invalid(start)
    return revision, key[1:]


def expired_token(token: str) -> ApiError:
    """410 of a token whose revision is forgotten; the Status carries one with which to go on all the same."""
    _, start = read_token(token)
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    return ApiError(410, "Expired", message, metadata={"continue": _encode(NOW, start)})


def _decode(raw: bytes) -> dict[str, Any]:
    """Read the fields of a token; PvbinderError in the words of Go's decoder."""
    value = parse(raw.decode(errors="replace").encode())
    if value is None:
        return {}
    if not isinstance(value, Members):
        raise JsonTextError(f"json: cannot unmarshal {kind_of(value)} into Go value of type storage.continueToken")
    read: dict[str, Any] = {}
    for name, field in value:
        wanted = _FIELDS.get(name.lower())
        if wanted is None or field is None:
            continue
        if not isinstance(field, wanted) or isinstance(field, bool):
            kind, go_type = kind_of(field), "int64" if wanted is int else "string"
            shown = f"{kind} {getattr(field, 'text', field)}" if kind == "number" else kind
            why = f"json: cannot unmarshal {shown} into Go struct field continueToken.{name.lower()} of type {go_type}"
            raise JsonTextError(why)
        read[name.lower()] = field
    return read


def _cleaned(key: str) -> str:
    """Return the path that `key` leads to, as a token that leads out of its list would show."""
    cleaned = posixpath.normpath(key)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _encode(revision: int, start: str) -> str:
    raw = msgspec.json.encode({"v": VERSION, "rv": revision, "start": start})
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _invalid(why: str) -> ApiError:
    return bad_request(f"invalid continue token: continue key is not valid: {why}")
