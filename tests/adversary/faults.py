"""The faults between a client and its API server, as values.

Either the proxy answers by itself and the server never hears of the request (`Instead`), or the server's answer is
replaced by another one (`Rewritten`), or something happens to the connection.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Instead:
    """An answer of the proxy's own; the request goes nowhere."""

    status: int
    body: bytes
    content_type: str = JSON
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The server answers, and its list is replaced: by none of its items, half, those of another kind, an old one."""

    how: Literal["empty", "fewer", "other kind", "old", "unfinished"]


@dataclass(frozen=True, slots=True)
class DropBefore:
    """The connection ends before the request is passed on."""


@dataclass(frozen=True, slots=True)
class DropAfter:
    """The server carries out the request, and its answer is lost."""


@dataclass(frozen=True, slots=True)
class DoneBut:
    """The server carries out the request, and the proxy gives an answer of its own."""

    answer: Instead


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The server gets the request twice; the first answer is passed on."""


@dataclass(frozen=True, slots=True)
class Truncate:
    """Half of the answer, or of the next piece of a watch, comes; then the connection ends."""


@dataclass(frozen=True, slots=True)
class Delay:
    """The request is passed on late."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer comes for so long; then the connection ends."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Freeze:
    """The connection stays open and nothing comes on it for so long: not the answer, not what is watched."""

    seconds: float


Fault: TypeAlias = Instead | Rewritten | DropBefore | DropAfter | DoneBut | Duplicate | Truncate | Delay | Hang | Freeze


def status(code: int, reason: str, message: str, **details: Any) -> bytes:
    """Return a Status as Kubernetes sends it."""
    said = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    return json.dumps({**said, "reason": reason, "details": details, "code": code}).encode()


def _refusal(code: int, reason: str, **details: Any) -> Instead:
    retry_after = "1" if code in (429, 503) else None
    return Instead(code, status(code, reason, f"the proxy says {reason}", **details), retry_after=retry_after)


_PAGE = b"<html><head><title>Bad gateway</title></head><body>nginx</body></html>"
_NOBODY = "the server could not find the requested resource"

FAULTS: dict[str, Fault] = {
    "404 as text": Instead(404, b"404 page not found\n", TEXT),
    "404 as a page": Instead(404, _PAGE, "text/html"),
    "404 without a body": Instead(404, b"", TEXT),
    "404 of another kind": Instead(404, status(404, "NotFound", 'pods "a" not found', name="a", kind="pods")),
    "404 of another name": Instead(
        404,
        status(
            404,
            "NotFound",
            'persistentvolumeclaims "nobody" not found',
            name="nobody",
            kind="persistentvolumeclaims",
        ),
    ),
    "404 of an aggregated API": Instead(404, status(404, "NotFound", _NOBODY)),
    "404 as JSON of somebody else": Instead(404, b'{"error":"no route"}'),
    "401": _refusal(401, "Unauthorized"),
    "403": _refusal(403, "Forbidden"),
    "409": _refusal(409, "Conflict"),
    "409 exists": _refusal(409, "AlreadyExists"),
    "410": _refusal(410, "Expired"),
    "422": _refusal(422, "Invalid"),
    "429": _refusal(429, "TooManyRequests", retryAfterSeconds=1),
    "500": _refusal(500, "InternalError"),
    "502": Instead(502, _PAGE, "text/html"),
    "503": _refusal(503, "ServiceUnavailable"),
    "504": _refusal(504, "Timeout", causes=[{"reason": "ResourceVersionTooLarge"}], retryAfterSeconds=1),
    "200 with nonsense": Instead(200, b"<html>welcome</html>", "text/html"),
    "200 with nothing": Instead(200, b""),
    "an empty list": Rewritten("empty"),
    "half of the list": Rewritten("fewer"),
    "a list of another kind": Rewritten("other kind"),
    "an old list": Rewritten("old"),
    "a list without its end": Rewritten("unfinished"),
    "dropped before": DropBefore(),
    "dropped after": DropAfter(),
    "done, but 404 as text": DoneBut(Instead(404, b"404 page not found\n", TEXT)),
    "done, but 409": DoneBut(_refusal(409, "Conflict")),
    "done, but 500": DoneBut(_refusal(500, "InternalError")),
    "done, but 502": DoneBut(Instead(502, _PAGE, "text/html")),
    "done, but 503": DoneBut(_refusal(503, "ServiceUnavailable")),
    "done, but 504": DoneBut(_refusal(504, "Timeout")),
    "done, but a page": DoneBut(Instead(200, b"<html>welcome</html>", "text/html")),
    "twice": Duplicate(),
    "truncated": Truncate(),
    "late": Delay(0.4),
    "hanging": Hang(3.0),
    "frozen": Freeze(4.0),
}


def rewritten(how: str, body: bytes, older: bytes | None) -> bytes:
    """Return the list in `body` as a broken proxy falsifies it; other bodies stay as they are."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        return body
    match how:
        case "empty":
            document["items"] = []
        case "fewer":
            document["items"] = document["items"][::2]
        case "other kind":
            kind = "SecretList" if document.get("kind") != "SecretList" else "NodeList"
            document = {**document, "kind": kind, "apiVersion": "v1"}
            document["items"] = [{"metadata": {"name": "x", "uid": "u-x", "resourceVersion": "9"}}]
        case "old":
            return older or body
        case _:
            return body[: len(body) // 2]
    return json.dumps(document).encode()
