"""Mutated objects, patches, selectors and bodies: thousands of requests in a row, many of them accepted, find no bug.

Here they go straight to the dispatcher; `test_wire` sends the same over TLS, `test_memory` counts what they leave.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random

import pytest
from tests.processor import at_most
from tests.server.fuzz.traffic import NAMESPACE, Sent, Traffic
from tests.server.fuzz.verdict import check
from tests.server.serving import Reply, Serving, serving
from tests.server.test_walk import no_bug

REQUESTS = 2_000
LEAST_ACCEPTED = 0.15  # of the writes; 0.23 when this was written
PROCESSOR_SECONDS_MAX = 5.0  # for a request; the slowest takes some 20 ms
BEGINNING = Sent("POST", "/api/v1/namespaces", "application/json", b'{"metadata":{"name":"%b"}}' % NAMESPACE.encode())


async def send(server: Serving, sent: Sent) -> Reply:
    """Send one request, and check the answer."""
    body = None if sent.method == "GET" else sent.body
    with at_most(PROCESSOR_SECONDS_MAX, sent):
        reply = await server.send(
            sent.method, sent.target, body, content_type=sent.content_type, headers={"accept": sent.accept}
        )
    check(sent, reply.status, reply.headers["Content-Type"], reply.body)
    return reply


async def exchange(server: Serving, traffic: Traffic, requests: int) -> None:
    """Send so many requests, each after the answer of the one before."""
    for _ in range(requests):
        sent = traffic.next()
        reply = await send(server, sent)
        traffic.learn(sent, reply.status, reply.body)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
async def test_no_mutation_finds_a_bug_and_many_are_accepted(seed: int, tmp_path: Path) -> None:
    traffic = Traffic(Random(seed))
    async with serving(tmp_path) as server:
        with no_bug():
            await send(server, BEGINNING)
            await exchange(server, traffic, REQUESTS)
    for methods in (("POST",), ("PUT",), ("PATCH",)):
        assert traffic.part_accepted(*methods) > LEAST_ACCEPTED / 3, traffic.counts
    assert traffic.part_accepted("POST", "PUT", "PATCH", "DELETE") > LEAST_ACCEPTED, traffic.counts
    assert traffic.part_accepted("GET") > LEAST_ACCEPTED, traffic.counts


@pytest.mark.soak
async def test_no_mutation_finds_a_bug_for_long(tmp_path: Path) -> None:
    """New requests until the seconds are over; a failure names the seed that brings it back."""
    until = time.monotonic() + min(float(os.environ.get("PVBINDER_SOAK_SECONDS", "60")), 200.0)
    seed = time.time_ns() % 1_000_000_000
    while time.monotonic() < until:
        seed += 1
        traffic = Traffic(Random(seed))
        try:
            async with serving(tmp_path / str(seed)) as server:
                with no_bug():
                    await send(server, BEGINNING)
                    await exchange(server, traffic, 2 * REQUESTS)
        except Exception as error:
            error.add_note(f"with seed {seed}")
            raise
