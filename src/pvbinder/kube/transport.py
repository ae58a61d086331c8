"""How a request reaches an API server: two methods that HTTP(S) and the in-process server both have.

Everything in `kube` and `controllers` speaks through this protocol, and so do the tests' faulty servers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct, field


class Request(Struct, frozen=True):
    """A request as a client makes it; `path` is not percent-encoded."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"


class Answer(Struct, frozen=True):
    """The answer to a request, of any status."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)  # keys in lower case
    hint: str = ""  # what the line itself knows of why it was refused


class Transport(Protocol):
    """A line to one API server, authenticated as one user."""

    async def send(self, request: Request) -> Answer:
        """Send `request` and read the whole answer.

        Raises `kube.errors.ConnectionFailed` when no answer came (so the write may or may not have happened).
        """
        ...

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch: inside the context, iterate over the lines of the stream until the server ends it.

        Raises `kube.errors.ApiFailure` on entry when the answer is no stream.
        """
        ...
