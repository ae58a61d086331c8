"""The line to a server in the same process (IN_PROCESS-1, IN_PROCESS-2)."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.transport import Request
from pvbinder.server.requests import ApiRequest, ApiResponse, UserInfo

ANA = UserInfo("ana", groups=("devs",))


class Recording:
    """A dispatcher that answers what it was given."""

    def __init__(self, answer: ApiResponse) -> None:
        self.answer = answer
        self.seen: list[ApiRequest] = []

    async def handle(self, request: ApiRequest) -> ApiResponse:
        self.seen.append(request)
        return self.answer


async def test_in_process_1_the_dispatcher_sees_a_request_like_any_other() -> None:
    dispatcher = Recording(ApiResponse(201, b"{}", {"Retry-After": "3"}))
    transport = InProcessTransport(dispatcher, ANA)

    answer = await transport.send(
        Request("PATCH", "/api/v1/nodes/a", {"fieldManager": "me"}, b'{"a":1}', "application/merge-patch+json")
    )

    assert (answer.status, answer.body, answer.headers) == (201, b"{}", {"retry-after": "3"})
    assert dispatcher.seen == [
        ApiRequest(
            "PATCH",
            "/api/v1/nodes/a",
            {"fieldManager": ["me"]},
            {
                "accept": "application/json",
                "user-agent": "pvbinder",
                "content-type": "application/merge-patch+json",
            },
            b'{"a":1}',
            ANA,
        )
    ]


async def test_in_process_2_a_watch_is_closed_with_its_context() -> None:
    closed = []

    async def stream() -> AsyncGenerator[bytes]:
        try:
            yield b'{"n":1}\n{"n"'
            yield b":2}\n"
            yield b'{"n":3}\n'
        finally:
            closed.append(True)

    transport = InProcessTransport(Recording(ApiResponse(200, stream=stream())), ANA)

    async with transport.watch(Request("GET", "/api/v1/nodes", {"watch": "true"})) as lines:
        assert [await anext(lines), await anext(lines)] == [b'{"n":1}', b'{"n":2}']
        assert not closed

    assert closed == [True]


async def test_a_watch_that_is_refused() -> None:
    transport = InProcessTransport(Recording(ApiResponse(410, b'{"reason":"Expired","message":"old"}')), ANA)

    with pytest.raises(ApiFailure, match="old") as caught:
        async with transport.watch(Request("GET", "/api/v1/nodes", {"watch": "true"})):
            pass
    assert caught.value.is_expired


async def test_an_answer_in_pieces_is_one_answer() -> None:
    async def stream() -> AsyncGenerator[bytes]:
        yield b'{"a":'
        yield b"1}"

    transport = InProcessTransport(Recording(ApiResponse(200, stream=stream())), ANA)

    assert (await transport.send(Request("GET", "/openapi/v2"))).body == b'{"a":1}'
