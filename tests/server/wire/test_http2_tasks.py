"""Who owns the tasks of a connection of HTTP/2."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from tests.virtual_time import on_virtual_time

from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.wire.http2 import GRACE_SECONDS, Http2Protocol
from pvbinder.server.wire.ledgers import Bodies, Unsent
from pvbinder.server.wire.messages import Timeouts

FIELDS = [(":method", "PUT"), (":path", "/x"), (":scheme", "https"), (":authority", "here:1")]
LEAVE_SECONDS = 1.0


class Transport:
    """Takes everything, and says nothing."""

    def get_write_buffer_size(self) -> int:
        return 0

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


@on_virtual_time
async def test_http2_5_whoever_closes_waits_for_tasks_that_began_meanwhile() -> None:
    begun: list[str] = []
    ended: list[str] = []

    async def handle(request: ApiRequest) -> ApiResponse:
        body = request.body.decode()
        begun.append(body)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(LEAVE_SECONDS if body == "late" else 0)
            ended.append(body)
        raise AssertionError("it is cancelled")

    open_connections: set[Http2Protocol] = set()
    connection = Http2Protocol(
        handle,
        Timeouts(),
        open_connections,
        screen=lambda _: None,
        bodies=Bodies(),
        unsent=Unsent(),
        recognised=lambda: None,
    )
    connection.connection_made(cast(asyncio.Transport, Transport()))
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    for number in (1, 3):
        client.send_headers(number, FIELDS)
    client.send_data(1, b"soon", end_stream=True)
    connection.data_received(client.data_to_send())

    async with asyncio.TaskGroup() as tasks:
        closing = tasks.create_task(connection.close())
        await asyncio.sleep(GRACE_SECONDS / 2)
        client.send_data(3, b"late", end_stream=True)
        connection.data_received(client.data_to_send())
        await closing
        assert (begun, ended) == (["soon", "late"], ["soon", "late"])
    assert not open_connections
