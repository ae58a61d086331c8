"""Heavy work in threads: users have turns, and a write that another one overtook begins anew."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.server.serving import MAPS, Serving, config_map, serving

from pvbinder.server.api.aside import LIGHT_BYTES_MAX, WAITING_BYTES_MAX, WAITING_MAX, Aside, is_heavy
from pvbinder.server.errors import ApiError

LARGE = "x" * (LIGHT_BYTES_MAX + 1)


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Serving]:
    async with serving(tmp_path) as server:
        yield server
        server.api.aside.close()


@pytest_asyncio.fixture
async def aside() -> AsyncGenerator[Aside]:
    aside = Aside()
    yield aside
    aside.close()


async def test_aside_1_light_work_is_done_at_once(aside: Aside) -> None:
    assert await aside.run("u", threading.get_ident, heavy=False) == threading.get_ident()
    assert aside.count == 0


async def test_aside_2_heavy_work_is_done_in_another_thread(aside: Aside) -> None:
    assert await aside.run("u", threading.get_ident, heavy=True) != threading.get_ident()


async def test_what_goes_wrong_aside_is_raised_to_who_asked(aside: Aside) -> None:
    def fail() -> None:
        raise ApiError(400, "BadRequest", "so it is")

    with pytest.raises(ApiError, match="so it is"):
        await aside.run("u", fail, heavy=True)
    assert await aside.run("u", lambda: 1, heavy=True) == 1


async def test_aside_3_one_user_with_much_work_does_not_keep_another_waiting(
    aside: Aside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pvbinder.server.api.aside.WORKERS", 1)
    gate = threading.Event()
    order: list[str] = []

    def work(name: str) -> None:
        gate.wait(10)
        order.append(name)

    async with asyncio.TaskGroup() as tasks:
        for number in range(5):
            tasks.create_task(aside.run("greedy", lambda number=number: work(f"greedy {number}"), heavy=True))  # type: ignore[misc]
        await asyncio.sleep(0)
        tasks.create_task(aside.run("modest", lambda: work("modest"), heavy=True))
        await asyncio.sleep(0)
        gate.set()
    assert order == ["greedy 0", "greedy 1", "modest", "greedy 2", "greedy 3", "greedy 4"]


async def test_aside_3_who_asks_for_too_much_is_told_to_come_again(aside: Aside) -> None:
    gate = threading.Event()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(WAITING_MAX + 1):  # one of them is under way
            tasks.create_task(aside.run("greedy", lambda: gate.wait(10), heavy=True))
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as refused:
            await aside.run("greedy", lambda: None, heavy=True)
        gate.set()
    assert (refused.value.code, refused.value.headers) == (429, {"Retry-After": "1"})


async def test_aside_3_what_waits_is_bounded_in_bytes(aside: Aside) -> None:
    gate = threading.Event()
    third = WAITING_BYTES_MAX // 3
    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):  # one of them is under way
            tasks.create_task(aside.run("greedy", lambda: gate.wait(10), heavy=True, size=third))
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as refused:
            await aside.run("greedy", lambda: None, heavy=True, size=third)
        other = tasks.create_task(aside.run("modest", lambda: 1, heavy=True, size=third))
        await asyncio.sleep(0)
        gate.set()
    assert refused.value.code == 429
    assert other.result() == 1


async def test_who_goes_away_gives_up_the_place(aside: Aside) -> None:
    gate = threading.Event()
    done: list[str] = []
    first = asyncio.create_task(aside.run("u", lambda: gate.wait(10), heavy=True))
    second = asyncio.create_task(aside.run("u", lambda: done.append("second"), heavy=True))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([second])
    gate.set()
    await first
    assert await aside.run("u", lambda: 3, heavy=True) == 3
    assert done == []


def test_a_few_bytes_that_stand_for_many_are_heavy() -> None:
    assert not is_heavy(100, "application/yaml", b"a: b")
    assert is_heavy(100, "application/yaml; charset=utf-8", b"a: &a [b]\nc: [*a]")
    assert is_heavy(100, "application/apply-patch+yaml", b"a: &a [b]\nc: [*a]")
    assert is_heavy(100, "application/json-patch+json", b'[{"op":"copy"}]')
    assert not is_heavy(LIGHT_BYTES_MAX, "application/json", b"{}")
    assert is_heavy(LIGHT_BYTES_MAX + 1)


async def test_writing_1_a_patch_that_was_overtaken_begins_anew(server: Serving) -> None:
    """Twenty at once, each of a large object: none of the changes is lost."""
    await server.send("POST", MAPS, config_map(k=LARGE))
    async with asyncio.TaskGroup() as tasks:
        patches = [
            tasks.create_task(server.send("PATCH", f"{MAPS}/a", {"data": {f"k{number}": "v"}})) for number in range(4)
        ]
    assert [patch.result().status for patch in patches] == [200] * 4
    read = await server.send("GET", f"{MAPS}/a")
    assert {f"k{number}" for number in range(4)} <= read.body["data"].keys()


async def test_writing_1_a_light_write_meanwhile_is_not_lost(server: Serving) -> None:
    await server.send("POST", MAPS, config_map(k=LARGE))
    heavy = asyncio.create_task(server.send("PATCH", f"{MAPS}/a", {"data": {"heavy": LARGE}}))
    while not server.api.aside.count:
        await asyncio.sleep(0)
    other = await server.send("PATCH", f"{MAPS}/a", {"metadata": {"labels": {"other": "yes"}}})
    assert ((await heavy).status, other.status) == (200, 200)
    read = (await server.send("GET", f"{MAPS}/a")).body
    assert read["metadata"]["labels"] == {"other": "yes"}
    assert read["data"]["heavy"] == LARGE


async def test_a_put_with_a_revision_that_was_overtaken_is_a_conflict(server: Serving) -> None:
    first = await server.send("POST", MAPS, config_map(k=LARGE))
    changed = [{**first.body, "data": {"k": LARGE + str(number)}} for number in range(2)]
    async with asyncio.TaskGroup() as tasks:
        puts = [tasks.create_task(server.send("PUT", f"{MAPS}/a", body)) for body in changed]
    assert sorted(put.result().status for put in puts) == [200, 409]


async def test_two_large_creates_of_one_name_make_one_object(server: Serving) -> None:
    async with asyncio.TaskGroup() as tasks:
        posts = [tasks.create_task(server.send("POST", MAPS, config_map(k=LARGE))) for _ in range(3)]
    assert sorted(post.result().status for post in posts) == [201, 409, 409]
