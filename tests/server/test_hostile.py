"""No request stops the loop: the table of `hostile`, under a watchdog that counts the loop's own processor time."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest
from tests.server.hostile import HOSTILE, WIDGETS, ask, with_widgets
from tests.server.serving import serving
from tests.server.watchdog import Watchdog, watchdog  # noqa: F401  (a fixture)

pytestmark = pytest.mark.slow

ANSWER_BYTES_MAX = 4 << 20  # no refusal is a multiple of its request


@pytest.mark.parametrize("name", HOSTILE)
async def test_aside_2_no_request_stops_the_loop(tmp_path: Path, name: str, watchdog: Watchdog) -> None:  # noqa: F811
    hostile = HOSTILE[name]
    async with serving(tmp_path, rbac=True) as server:
        if hostile.prepare is not None:
            await hostile.prepare(server)
        elif WIDGETS in hostile.target:
            await with_widgets()(server)
            body = {
                "apiVersion": "example.com/v1",
                "kind": "Widget",
                "metadata": {"name": "a"},
                "spec": {"a": "x" * 1000},
            }
            assert (await server.send("POST", WIDGETS, body)).status == 201
        made = hostile.body()
        hostile = dataclasses.replace(hostile, body=lambda: made)
        await asyncio.sleep(0)  # the preparation doesn't count
        watchdog.reset()

        response = await asyncio.create_task(ask(server, hostile))

        watchdog.check()
        assert response.status < 500
        assert response.status < 300 or len(response.body) < ANSWER_BYTES_MAX
