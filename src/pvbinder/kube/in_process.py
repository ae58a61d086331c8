"""The line to a server in the same process: no socket, no TLS, the same path behind it.

IN_PROCESS-1  A request goes through the very dispatcher that the listener uses: authorisation, admission and validation
              included, as the `user` that the transport was made for.
IN_PROCESS-2  The stream of a watch is closed when its context is left.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Protocol

from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.lines import split_lines
from pvbinder.kube.transport import Answer, Request
from pvbinder.server.requests import ApiRequest, ApiResponse, UserInfo

USER_AGENT = "pvbinder"


class HandlesRequests(Protocol):
    """The part of the dispatcher that the transport calls."""

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Answer `request`."""
        ...


class InProcessTransport:
    """A `Transport` to a dispatcher, as one user."""

    def __init__(self, dispatcher: HandlesRequests, user: UserInfo) -> None:
        self._dispatcher = dispatcher
        self._user = user

    async def send(self, request: Request) -> Answer:
        """Have the dispatcher answer `request` (IN_PROCESS-1)."""
        response = await self._handle(request)
        if response.stream is None:
            return Answer(response.status, response.body, _lower(response.headers))
        async with aclosing(_closable(response.stream)) as stream:
            return Answer(response.status, b"".join([chunk async for chunk in stream]), _lower(response.headers))

    @asynccontextmanager
    async def watch(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Open a watch (IN_PROCESS-2)."""
        response = await self._handle(request)
        if response.stream is None or response.status != 200:
            raise ApiFailure.from_answer(Answer(response.status, response.body, _lower(response.headers)))
        async with aclosing(_closable(response.stream)) as stream, aclosing(split_lines(stream)) as lines:
            yield lines

    async def _handle(self, request: Request) -> ApiResponse:
        headers = {"accept": request.accept, "user-agent": USER_AGENT}
        if request.body is not None:
            headers["content-type"] = request.content_type
        asked = ApiRequest(
            method=request.method,
            path=request.path,
            query={key: [value] for key, value in request.query.items()},
            headers=headers,
            body=request.body or b"",
            user=self._user,
        )
        return await self._dispatcher.handle(asked)


async def _closable(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    try:
        async for chunk in stream:
            yield chunk
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


def _lower(headers: dict[str, str]) -> dict[str, str]:
    return {key.lower(): value for key, value in headers.items()}
