"""What a request to the page may be, before anybody looks at who sends it.

SCREEN-1  It must be for this page by name: a Host that isn't loopback with our port is misdirected (421), so that a
          name that somebody else's DNS leads here is of no use (DNS rebinding).
SCREEN-2  An Origin, where one is sent, must be this page's, and a browser that says the request comes from another site
          is refused (403).
SCREEN-3  Only GET and HEAD, and POST with a body of text that says it is meant for us: no form of another page can send
          that (`MARK`). A body has at most `BODY_BYTES_MAX` bytes, known from its head; there is no other kind (411).
SCREEN-4  A page that is fetched ahead of time uses up no link.
"""

from __future__ import annotations

from typing import Final

from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.web.answers import problem, text

BODY_BYTES_MAX: Final = 1 << 20
MARK: Final = "x-pvbinder"
TARGET_CHARACTERS_MAX: Final = 2_000
BODY_TYPES: Final = frozenset({"text/plain", "text/yaml", "application/yaml", "application/x-yaml"})
_READS: Final = frozenset({"GET", "HEAD"})
_NEAR: Final = frozenset({"", "same-origin", "none"})


def refusal(request: ApiRequest, port: int) -> ApiResponse | None:
    """Return why `request` isn't answered; None if it may be one of ours."""
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
    if request.headers.get("host", "").lower() not in hosts:
        return text(421, f"this page is for 127.0.0.1:{port} and localhost:{port} only")
    origin = request.headers.get("origin")
    if origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
        return text(403, "requests of other pages aren't answered")
    is_visit = request.path in ("/", "/enter") and request.method in _READS
    if not is_visit and request.headers.get("sec-fetch-site", "") not in _NEAR:
        return text(403, "requests of other pages aren't answered")
    if len(request.path) > TARGET_CHARACTERS_MAX:
        return text(414, "the path is too long")
    if request.method in _READS:
        return _ahead(request)
    if request.method != "POST":
        return text(405, "the page reads only", Allow="GET, HEAD, POST")
    return _of_a_post(request)


def _ahead(request: ApiRequest) -> ApiResponse | None:
    purpose = request.headers.get("sec-purpose", "") + request.headers.get("purpose", "")
    if request.path == "/enter" and "prefetch" in purpose.lower():
        return text(503, "this link is for a person who opens it")
    return None


def _of_a_post(request: ApiRequest) -> ApiResponse | None:
    if request.headers.get(MARK) != "1":
        return problem(403, "the header X-Pvbinder: 1 is missing")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in BODY_TYPES:
        return problem(415, "the body has to be text/plain or application/yaml")
    length = request.headers.get("content-length", "")
    if not length.isascii() or not length.isdecimal():
        return problem(411, "the length of the body isn't known")
    if len(length) > 9 or int(length) > BODY_BYTES_MAX:
        return problem(413, f"the manifests are larger than {BODY_BYTES_MAX >> 20} MiB")
    return None
