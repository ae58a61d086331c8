"""The API against a model of its guarantees: random concurrent requests, watches and restarts.

Each object counts how often it was changed. A client reads it, adds one and writes it back with the revision that it
read; what is acknowledged is counted, too. Then, whatever the order was:

- no update is lost: the count in the object is the count of acknowledged changes since its creation;
- a watch from any revision, applied to the list at that revision, gives the state now, by strictly growing revisions;
- a list at a revision is the state that replaying the changes up to it gives.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.server.serving import MAPS, Reply, Serving, config_map, serving

Verb = Literal["create", "put", "blind put", "patch", "delete", "status read"]
NAMES = ("a", "b", "c")

REQUESTS = st.tuples(
    st.sampled_from(("create", "put", "blind put", "patch", "delete")), st.sampled_from(NAMES), st.integers(0, 3)
)
ROUNDS = st.lists(st.lists(REQUESTS, min_size=1, max_size=6), min_size=1, max_size=8)  # those of a round run at once
LIVES = st.lists(ROUNDS, min_size=1, max_size=3)  # between two of them the server is restarted

State = dict[str, str]  # name → count


@dataclass
class Ledger:
    """What the server has said yes to."""

    counts: dict[str, int | None] = field(default_factory=dict)  # acknowledged changes since the creation; None: gone
    revisions: set[int] = field(default_factory=set)

    def note(self, answer: Reply) -> None:
        if answer.status in (200, 201) and "resourceVersion" in answer.body["metadata"]:
            self.revisions.add(int(answer.revision))


async def act(server: Serving, ledger: Ledger, verb: str, name: str, stale: int) -> None:
    """Make one change, as a client that reads first and may be slow (`stale` turns of the loop)."""
    path = f"{MAPS}/{name}"
    if verb == "create":
        answer = await server.send("POST", MAPS, config_map(name, count="0"))
        assert answer.status in (201, 409)
        if answer.status == 201:
            ledger.counts[name] = 0
    elif verb == "delete":
        answer = await server.send("DELETE", path)
        assert answer.status in (200, 404)
        if answer.status == 200:
            ledger.counts[name] = None
    else:
        read = await server.send("GET", path)
        for _ in range(stale):
            await asyncio.sleep(0)
        if read.status == 404:
            return
        answer = await change(server, verb, path, read.body)
        assert answer.status in (200, 404, 409), answer.body
        if answer.status == 200 and int(answer.revision) in ledger.revisions:
            return  # no change (GW-6): another client had written the same, and it may be gone by now
        if answer.status == 200 and verb != "blind put":
            known = ledger.counts[name]
            assert known is not None
            ledger.counts[name] = known + 1
        elif answer.status == 200:
            ledger.counts[name] = int(answer.body["data"]["count"])
    ledger.note(answer)


async def change(server: Serving, verb: str, path: str, body: dict[str, Any]) -> Reply:
    added = str(int(body["data"]["count"]) + 1)
    if verb == "patch":  # a JSON patch that tests the count is a compare-and-set without a revision
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": body["metadata"]["uid"]},
            {"op": "test", "path": "/data/count", "value": body["data"]["count"]},
            {"op": "replace", "path": "/data/count", "value": added},
        ]
        answer = await server.send("PATCH", path, operations, content_type="application/json-patch+json")
        if answer.status == 422:  # the test failed: somebody was faster
            answer.status = 409
        return answer
    body["data"]["count"] = added
    if verb == "blind put":
        del body["metadata"]["resourceVersion"], body["metadata"]["uid"]
        body["data"]["count"] = "100"
    return await server.send("PUT", path, body)


async def listed(server: Serving, query: str = "") -> tuple[State, int]:
    answer = await server.send("GET", MAPS + query)
    assert answer.status == 200, answer.body
    return {item["metadata"]["name"]: item["data"]["count"] for item in answer.body["items"]}, int(answer.revision)


async def replay(server: Serving, since: int, until: int) -> list[tuple[int, str, str, str]]:
    """Read a watch from `since` up to a change at `until`: (revision, type, name, count)."""
    seen: list[tuple[int, str, str, str]] = []
    watch = await server.events(f"{MAPS}?watch=true&resourceVersion={since}")
    while not seen or seen[-1][0] < until:
        kind, obj = await watch.next()
        metadata = obj["metadata"]
        seen.append((int(metadata["resourceVersion"]), kind, metadata["name"], obj["data"]["count"]))
    await watch.close()
    return seen


def applied(state: State, changes: list[tuple[int, str, str, str]]) -> State:
    state = dict(state)
    for _, kind, name, count in changes:
        if kind == "DELETED":
            assert name in state
            del state[name]
        else:
            assert (name in state) == (kind == "MODIFIED")
            state[name] = count
    return state


async def live(server: Serving, ledger: Ledger, rounds: list[list[tuple[str, str, int]]]) -> None:
    marks = [await listed(server)]
    for requests in rounds:
        async with asyncio.TaskGroup() as tasks:
            for verb, name, stale in requests:
                tasks.create_task(act(server, ledger, verb, name, stale))
        marks.append(await listed(server))
    now, revision = marks[-1]
    assert now == {name: str(count) for name, count in ledger.counts.items() if count is not None}
    start, since = marks[0]
    if since == revision:
        return
    changes = await replay(server, since, revision)
    revisions = [change[0] for change in changes]
    assert revisions == sorted(set(revisions))
    assert ledger.revisions <= {*revisions, *range(since + 1)}, "an acknowledged write that no watch shows"
    for state, at in marks:
        assert applied(start, [change for change in changes if change[0] <= at]) == state
        assert applied(state, [change for change in changes if change[0] > at]) == now
        assert (await listed(server, f"?resourceVersion={at}&resourceVersionMatch=Exact"))[0] == state


async def run(directory: Path, lives: list[list[list[tuple[str, str, int]]]]) -> None:
    ledger = Ledger()
    last = 0
    for rounds in lives:
        async with serving(directory) as server:
            state, revision = await listed(server)
            assert state == {name: str(count) for name, count in ledger.counts.items() if count is not None}
            assert revision >= last
            await live(server, ledger, rounds)
            last = server.store.revision


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(LIVES)
def test_no_update_is_lost_and_every_watch_and_list_tells_the_same_story(
    lives: list[list[list[tuple[str, str, int]]]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory), lives))
