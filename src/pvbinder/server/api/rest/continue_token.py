r"""Continue tokens, in the reference's format: where a list goes on, and at which revision.

URL-safe base64 without padding of ``{"v":"meta.k8s.io/v1","rv":N,"start":"name\u0000"}``: the list goes on at the
first key after `start`, which lacks the namespace when the list is of one. A revision of -1 means whatever is there
now: the "inconsistent continuation" that an expired token is answered with.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from pvbinder.server.errors import ApiError, bad_request

VERSION = "meta.k8s.io/v1"
NOW = -1


class _Token(msgspec.Struct):
    v: str = ""
    rv: int = 0
    start: str = ""


_decode = msgspec.json.Decoder(_Token).decode


def make_token(revision: int, last_key: str) -> str:
    """Return the token of a list that goes on after `last_key`."""
    return _encode(_Token(VERSION, revision, last_key + "\0"))


def read_token(token: str) -> tuple[int, str]:
    """Return the revision and the key from which to go on; ApiError 400 if it is no token."""
    try:
        # the reference ignores no characters, and takes no padding
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        read = _decode(raw)
    except (binascii.Error, ValueError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise _invalid(str(error)) from error
    if read.v != VERSION:
        raise _invalid(f"server does not recognize this encoded version {read.v}")
    if read.rv == 0:
        raise _invalid("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not read.start:
        raise _invalid("encoded start key empty (version meta.k8s.io/v1)")
    return read.rv, read.start


def expired_token(token: str) -> ApiError:
    """410 of a token whose revision is forgotten; the Status carries one with which to go on all the same."""
    _, start = read_token(token)
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    return ApiError(410, "Expired", message, metadata={"continue": _encode(_Token(VERSION, NOW, start))})


def _encode(token: _Token) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).rstrip(b"=").decode()


def _invalid(why: str) -> ApiError:
    return bad_request(f"invalid continue token: continue key is not valid: {why}")
