"""A copy of a running server: what is read of it."""

from __future__ import annotations

import asyncio

from tests.foresight.worlds import claim, pod, volume

from pvbinder.foresight.reading import read_copy
from pvbinder.kube.client import Client
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.transport import Answer, Request
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import UserInfo

ADMIN = UserInfo("admin", groups=("system:masters",))


class Recording(InProcessTransport):
    """A line that notes what is asked, and refuses pods."""

    asked: list[tuple[str, str]]

    async def send(self, request: Request) -> Answer:
        self.asked.append((request.method, request.path))
        if request.path.endswith("/pods"):
            return Answer(
                403, b'{"kind":"Status","status":"Failure","reason":"Forbidden","message":"no pods for you"}', {}
            )
        return await super().send(request)


async def read() -> tuple[set[str], list[str], list[tuple[str, str]]]:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop"}}
    load = [("t", one) for one in (volume("v"), claim("a"), pod("p", "a"), secret)]
    async with EmbeddedServer(listen=False, in_memory=True, load=load) as server:
        line = Recording(server.dispatcher, ADMIN)
        line.asked = []
        found, notes = await read_copy(Client(line))
        return {str(one["kind"]) for _, one in found}, notes, line.asked


def test_copying_1_only_what_decides_is_read_and_no_secret() -> None:
    kinds, _, asked = asyncio.run(read())

    assert {"PersistentVolume", "PersistentVolumeClaim", "Namespace"} <= kinds
    assert {method for method, _ in asked} == {"GET"}
    assert not any("secrets" in path for _, path in asked)


def test_copying_2_a_kind_that_may_not_be_read_is_named() -> None:
    kinds, notes, _ = asyncio.run(read())

    assert "Pod" not in kinds
    assert notes == ["the answer does without pods: no pods for you"]
