"""Usual answers beside those that aiohttp builds header by header, over real sockets."""

from __future__ import annotations

import asyncio
import json
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from tests.server.serving import MAPS, config_map
from tests.server.wire.test_http import PATIENCE_SECONDS, Answer, listening, request

from pvbinder.server.wire.messages import Timeouts

EXCHANGES = {
    "found": request("GET", MAPS),
    "created": request("POST", MAPS, json.dumps(config_map()).encode()),
    "not found": request("GET", f"{MAPS}/none"),
    "bad": request("POST", MAPS, b"{bad"),
    "warned": request("POST", MAPS, json.dumps(config_map() | {"odd": 1}).encode()),
    "in YAML": request("GET", MAPS, Accept="application/yaml"),
    "closed": request("GET", f"{MAPS}/none", Connection="close"),
    "of an old client": request("GET", f"{MAPS}/none").replace(b"HTTP/1.1", b"HTTP/1.0", 1),
}


async def exchanged(directory: Path, raw: bytes) -> Answer:
    async with listening(directory) as server:
        return await server.once(raw)


def fields_of(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in ("date", "server")}


@pytest.mark.parametrize("raw", EXCHANGES.values(), ids=EXCHANGES.keys())
async def test_usual_1_an_answer_is_what_aiohttp_would_have_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bytes
) -> None:
    usual = await exchanged(tmp_path / "usual", raw)
    monkeypatch.setattr("pvbinder.server.wire.http.is_usual", lambda *_: False)
    built = await exchanged(tmp_path / "built", raw)
    assert usual.status == built.status
    assert parsedate_to_datetime(usual.headers["date"]).tzinfo is not None
    if usual.status != 201:  # what was created has a UID and a length of its own
        assert fields_of(usual) == fields_of(built)
        assert usual.body == built.body
    assert fields_of(usual).keys() == fields_of(built).keys()


async def test_usual_1_a_connection_is_closed_for_a_client_that_wants_it(tmp_path: Path) -> None:
    for name in ("closed", "of an old client"):
        async with listening(tmp_path / name) as server, await server.connect() as connection:
            assert (await connection.send(EXCHANGES[name])).json["code"] == 404
            assert await connection.rest() == b""


async def test_usual_2_a_client_that_asks_on_without_taking_the_answers_is_held_back(tmp_path: Path) -> None:
    times = 1000
    async with listening(tmp_path, Timeouts(write_seconds=0.5)) as server:
        await server.serving.send("POST", MAPS, config_map("large", k="x" * 100_000))
        async with await server.connect() as connection:
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            connection.writer.write(request("GET", f"{MAPS}/large") * times)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await server.lost.wait()
            assert 0 < len(server.gate.seen) < times
