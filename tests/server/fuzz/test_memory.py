"""Bad input leaves nothing behind: rounds of the same requests don't make the server's memory grow.

A round is always the same requests, with what they made deleted at its end. The first rounds fill what is meant to be
kept and is bounded: caches of patterns, selectors and shapes, the history of changes. After them nothing may grow.
"""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from random import Random

import pytest
from tests.server.fuzz.test_traffic import BEGINNING, exchange, send
from tests.server.fuzz.traffic import Traffic
from tests.server.serving import Serving, serving

REQUESTS = 500
WARM_ROUNDS = 2
ROUNDS = 3
# A leak of one small object a request would be 150 KB or more.
MOST_GROWN = 100_000
HISTORY_CHANGES = 20  # fewer than a round has, so that a round leaves as much history as the one before


async def play_round(server: Serving) -> None:
    """Send the requests of a round, and delete the objects that they made."""
    traffic = Traffic(Random(7))
    await exchange(server, traffic, REQUESTS)
    for sent in traffic.clean_up():
        await server.send(sent.method, sent.target, sent.body, content_type=sent.content_type)


@pytest.mark.slow
async def test_rounds_of_bad_input_leave_nothing_in_memory(tmp_path: Path) -> None:
    async with serving(tmp_path, history_bytes=1 << 20, history_changes=HISTORY_CHANGES) as server:
        await send(server, BEGINNING)
        for _ in range(WARM_ROUNDS):
            await play_round(server)
        tracemalloc.start()
        try:
            await play_round(server)  # so that the rest of one round is counted on both sides
            gc.collect()
            before = tracemalloc.take_snapshot()
            for _ in range(ROUNDS):
                await play_round(server)
            gc.collect()
            after = tracemalloc.take_snapshot()
        finally:
            tracemalloc.stop()
    ignored = [tracemalloc.Filter(False, tracemalloc.__file__)]
    grown = after.filter_traces(ignored).compare_to(before.filter_traces(ignored), "lineno")
    assert sum(each.size_diff for each in grown) < MOST_GROWN, "\n".join(map(str, grown[:15]))
