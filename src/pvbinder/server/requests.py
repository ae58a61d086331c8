"""One request to the API server and its answer, free of any transport.

`server.wire.http` makes these from sockets, `kube.in_process` from calls in the same process: everything behind
`server.api.dispatch` sees only these values, so both ways take the same path.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class UserInfo:
    """The user of a request, as authentication found."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(slots=True)
class ApiRequest:
    """A request whose body has been read whole (bounded by the listener).

    `path` is percent-decoded once, `query` keeps repeated keys, the keys of `headers` are lower-case. A `user` of None
    has not been authenticated yet: the dispatcher does it from `headers` and `client_certificate`.

    A field that came several times is joined in `headers`; `repeated` has its values each by itself. It is None where
    nobody knows, because a caller in the same process gave `headers` alone.
    """

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    user: UserInfo | None = None
    client_certificate: Mapping[str, object] | None = None  # as `ssl.SSLSocket.getpeercert()` gives it
    repeated: Mapping[str, Sequence[str]] | None = None
    warnings: list[str] = field(default_factory=list)  # for the client, whatever the answer
    takes_chunks: bool = False  # a long document may be answered with a stream of chunks, too
    is_admitted: bool = False  # `user` may do this: `Dispatcher.screen` found out from the head, before the body came
    head_read: object = (
        None  # what the dispatcher has read off the head, for itself: what is asked for isn't read twice
    )


@dataclass(slots=True)
class ApiResponse:
    """An answer: a `body`, or a `stream` of chunks: a watch, which ends when the server ends it, or a long document.

    The holder of a response with a stream must close it (``aclose``) when it stops reading. `is_document` tells the one
    from the other; a document's `length` is that of all its chunks, None if it isn't known before.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()  # texts; the listener makes one `Warning: 299 - "..."` header of each
    stream: AsyncIterator[bytes] | None = None
    finish: Callable[[], bytes] | None = None  # makes the body, where that takes so long that it is done aside
    is_document: bool = False
    length: int | None = None
