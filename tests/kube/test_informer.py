"""What an informer promises (INFORMER-1 to INFORMER-10)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kube.informers import VOLUME, following, informer_of, running, settle, short, volume
from tests.kube.small_server import SmallServer, lost_connection, refusal
from tests.virtual_time import VirtualTimeLoop, on_virtual_time

from pvbinder.kube.client import Client
from pvbinder.kube.informer import Added, Change, Deleted, Informer, Updated
from pvbinder.kube.informer import number as number_of
from pvbinder.kube.informers import Informers
from pvbinder.kube.kinds import CLAIMS, STORAGE_CLASSES, VOLUMES, metadata_of
from pvbinder.model.objects import Volume, parse_volume


@on_virtual_time
async def test_it_holds_what_the_server_holds() -> None:
    async with following("disk-1") as (server, informer, heard):
        server.apply(f"{VOLUME}/disk-2")
        server.apply(f"{VOLUME}/disk-1", {"metadata": {"labels": {"tier": "gold"}}})
        server.delete(f"{VOLUME}/disk-2")
        await settle()

        assert heard == ["+disk-1@1", "+disk-2@2", "disk-1@1>3", "-disk-2@2"]
        assert informer.keys() == ["disk-1"]
        assert informer["disk-1"].labels == {"tier": "gold"}
        assert "disk-2" not in informer
        assert [v.name for v in informer] == ["disk-1"]


@on_virtual_time
async def test_a_late_handler_hears_of_what_is_there() -> None:
    server = SmallServer()
    server.apply(f"{VOLUME}/disk-1")
    informer, _ = informer_of(server)

    async with running(informer):
        late: list[str] = []
        informer.add_handler(lambda change: late.append(short(change)))

        assert late == ["+disk-1@1"]


def test_informer_1_never_backwards() -> None:
    informer, heard = informer_of(SmallServer())
    informer.put(volume("disk-1", revision=7))

    assert not informer.put(volume("disk-1", revision=6))
    assert informer["disk-1"].resource_version == "7"
    assert heard == ["+disk-1@7"]


@on_virtual_time
async def test_informer_1_an_old_event_is_no_news() -> None:
    async with following() as (server, informer, heard):
        informer.put(volume("disk-1", revision=7))
        server.revision = 4
        server.apply(f"{VOLUME}/disk-1", {"metadata": {"uid": "u1"}})
        await settle()

        assert informer["disk-1"].resource_version == "7"
        assert heard == ["+disk-1@7"]
        assert informer.statistics().stale == 1


@on_virtual_time
async def test_informer_1_a_restored_backup_is_believed() -> None:
    async with following("disk-1", "disk-2", revision=100) as (server, informer, heard):
        server.go_back_to(40)
        server.apply(f"{VOLUME}/disk-1", {"metadata": {"uid": "uid-101"}})
        server.before.append(lambda _: refusal(410, "Expired", "too old"))
        server.break_watches()
        await settle()

        assert informer.keys() == ["disk-1"]
        assert informer["disk-1"].resource_version == "41"
        assert heard[2:] == ["disk-1@101>41", "-disk-2@102"]


@on_virtual_time
async def test_informer_2_own_writes_count() -> None:
    async with following() as (server, informer, _):
        answer = parse_volume(json.dumps(server.apply(f"{VOLUME}/disk-1")).encode())

        assert informer.put(answer)  # the watch has had no chance yet
        assert informer["disk-1"].resource_version == "1"


@on_virtual_time
async def test_informer_2_a_list_that_began_before_our_write_does_not_undo_it() -> None:
    server = SmallServer()
    for number in range(3):
        server.apply(f"{VOLUME}/disk-{number}")
    informer, heard = informer_of(server, page_limit=1)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(informer.run())
        while "disk-0" not in informer:
            await asyncio.sleep(0)
        answer = parse_volume(json.dumps(server.apply(f"{VOLUME}/new")).encode())
        informer.put(answer)
        await informer.wait_synced()

        assert "new" in informer
        await settle()
        assert [line for line in heard if "new" in line] == ["+new@4"]
        task.cancel()


@on_virtual_time
async def test_informer_3_no_ghosts_after_a_gap() -> None:
    async with following("disk-1", "disk-2") as (server, informer, heard):
        server.delete(f"{VOLUME}/disk-1")
        server.history.clear()
        server.compact()
        server.break_watches()
        await settle()

        assert heard == ["+disk-1@1", "+disk-2@2", "-disk-1@1"]
        assert informer.keys() == ["disk-2"]


@on_virtual_time
async def test_informer_3_a_late_answer_brings_nothing_back() -> None:
    async with following() as (server, informer, heard):
        answer = parse_volume(json.dumps(server.apply(f"{VOLUME}/disk-1")).encode())
        server.delete(f"{VOLUME}/disk-1")
        await settle()

        assert not informer.put(answer)
        assert "disk-1" not in informer
        assert heard == ["+disk-1@1", "-disk-1@1"]


@on_virtual_time
async def test_informer_3_a_late_deletion_does_not_take_the_new_object() -> None:
    async with following("disk-1") as (server, informer, heard):
        server.delete(f"{VOLUME}/disk-1")
        answer = parse_volume(json.dumps(server.apply(f"{VOLUME}/disk-1")).encode())
        informer.put(answer)
        await settle()

        assert informer["disk-1"].uid == "uid-3"
        assert heard == ["+disk-1@1", "-disk-1@1", "+disk-1@3"]


@on_virtual_time
async def test_informer_4_each_state_is_told_once() -> None:
    async with following() as (server, informer, heard):
        informer.put(parse_volume(json.dumps(server.apply(f"{VOLUME}/disk-1")).encode()))
        await settle()
        server.break_watches()
        await settle()

        assert heard == ["+disk-1@1"]
        assert informer.statistics().echoes == 1


@on_virtual_time
async def test_informer_5_the_cache_comes_first() -> None:
    server = SmallServer()
    client = Client(server)
    informer = Informer(client, VOLUMES)
    by_tier = informer.add_index("tier", lambda v: [v.labels["tier"]] if "tier" in v.labels else [])
    found: list[tuple[bool, list[str]]] = []
    informer.add_handler(lambda c: found.append(("disk-1" in informer, [v.name for v in by_tier["gold"]])))

    informer.put(volume("disk-1", 1, tier="gold"))
    informer.put(volume("disk-1", 2, tier="silver"))
    informer._cache.remove("disk-1")

    assert found == [(True, ["disk-1"]), (True, []), (False, [])]


@on_virtual_time
async def test_informer_6_another_object_of_the_same_name() -> None:
    informer, heard = informer_of(SmallServer())

    informer.put(volume("disk-1", 1, uid="first"))
    informer.put(volume("disk-1", 5, uid="second"))

    assert heard == ["+disk-1@1", "-disk-1@1", "+disk-1@5"]


@on_virtual_time
async def test_informer_7_one_broken_object_hides_no_other() -> None:
    server = SmallServer()
    server.apply(f"{VOLUME}/broken", {"spec": {"capacity": "big"}})
    server.apply(f"{VOLUME}/disk-1")
    informer, heard = informer_of(server)
    async with running(informer):
        await settle()
        server.apply(f"{VOLUME}/disk-1", {"spec": {"capacity": {"storage": "1e400e"}}})
        server.apply(f"{VOLUME}/disk-2")
        server.break_watches()
        await settle()

        assert heard == ["+disk-1@2", "+disk-2@4"]
        assert informer.statistics().unreadable == 2
        assert informer["disk-1"].resource_version == "2"


@on_virtual_time
async def test_informer_8_a_broken_watch_goes_on_from_its_revision() -> None:
    async with following() as (server, informer, heard):
        server.apply(f"{VOLUME}/disk-1")
        await settle()
        server.break_watches()
        server.apply(f"{VOLUME}/disk-2")
        await settle()

        assert heard == ["+disk-1@1", "+disk-2@2"]
        assert informer.statistics().lists == 1
        assert [r.query["resourceVersion"] for r in server.requests if "watch" in r.query] == ["0", "1"]


@on_virtual_time
async def test_informer_8_an_expired_watch_lists_anew() -> None:
    async with following() as (server, informer, heard):
        server.lines.append(
            b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"old"}}'
        )
        server.break_watches()
        server.apply(f"{VOLUME}/disk-1")
        await asyncio.sleep(1)

        assert heard == ["+disk-1@1"]
        assert informer.statistics().lists == 2
        assert informer.statistics().expired == 1


@on_virtual_time
async def test_informer_8_failures_double_the_wait() -> None:
    server = SmallServer()
    server.before += [lost_connection] * 9
    informer, _ = informer_of(server)
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(informer.run())
        await informer.wait_synced()

        assert loop.time() == pytest.approx((0.5 + 1 + 2 + 4 + 8 + 16 + 30 + 30 + 30) / 2)
        task.cancel()


@on_virtual_time
async def test_informer_8_a_server_that_ends_each_watch_at_once_is_not_stormed() -> None:
    server = SmallServer()
    informer, _ = informer_of(server)

    async def end_watches() -> None:
        while True:
            await asyncio.sleep(0)
            if server.watching:
                server.break_watches()
            else:
                await asyncio.sleep(0.01)

    async with running(informer), asyncio.TaskGroup() as group:
        task = group.create_task(end_watches())
        await asyncio.sleep(60)
        task.cancel()

    assert server.count("GET", watches=True) < 15


@on_virtual_time
async def test_informer_8_a_dead_connection_is_given_up() -> None:
    async with following() as (server, _, heard):
        server._follow = _silence  # type: ignore[method-assign, assignment]
        server.break_watches()
        await settle()
        del server._follow
        server.apply(f"{VOLUME}/disk-1")
        await asyncio.sleep(600)

        assert heard == ["+disk-1@1"]


async def _silence(*_: object) -> AsyncGenerator[bytes]:
    await asyncio.Event().wait()
    yield b""


def test_informer_9_a_burst_leaves_the_loop_its_turn() -> None:
    server = SmallServer()
    informer, heard = informer_of(server)

    async def scenario() -> int:
        turns = 0
        async with running(informer):
            for number in range(1000):
                server.apply(f"{VOLUME}/disk-{number}")
            while len(heard) < 1000:
                await asyncio.sleep(0)
                turns += 1
        return turns

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(scenario()) >= 10


@on_virtual_time
async def test_informer_10_idle_is_silent() -> None:
    server = SmallServer()
    informer, _ = informer_of(server)

    async def remind() -> None:
        while True:
            await asyncio.sleep(60)
            server.send_bookmark(VOLUME)

    async with running(informer), asyncio.TaskGroup() as group:
        reminding = group.create_task(remind())
        await asyncio.sleep(299)
        assert len(server.requests) == 2  # a list and a watch
        await asyncio.sleep(3300)
        reminding.cancel()

    assert server.count("GET") == 1
    assert server.count("GET", watches=True) == 12


@on_virtual_time
async def test_bookmarks_move_the_revision() -> None:
    async with following() as (server, informer, _):
        server.revision = 500
        server.send_bookmark(VOLUME)
        await settle()
        server.compact()
        server.break_watches()
        await settle()

        assert informer.statistics().resource_version == "500"
        assert informer.statistics().lists == 1


def test_an_index_follows() -> None:
    informer, _ = informer_of(SmallServer())
    informer.put(volume("disk-1", 1, tier="gold", zone="a"))
    index = informer.add_index("labels", lambda v: v.labels.values())
    informer.put(volume("disk-2", 2, tier="gold"))
    informer.put(volume("disk-1", 3, tier="silver", zone="a"))

    assert [v.name for v in index["gold"]] == ["disk-2"]
    assert [v.resource_version for v in index["a"]] == ["3"]
    assert "bronze" not in index
    assert index["bronze"] == []
    assert informer.add_index("labels", lambda v: []) is index


@on_virtual_time
async def test_one_informer_a_kind() -> None:
    server = SmallServer()
    informers = Informers(Client(server))
    volumes, claims = informers.of(VOLUMES), informers.of(CLAIMS)

    assert informers.of(VOLUMES) is volumes
    assert informers.any_of(metadata_of(VOLUMES.resource)) is volumes
    with pytest.raises(RuntimeError, match="persistentvolumes is read in two ways"):
        informers.of(metadata_of(VOLUMES.resource))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(informers.run())
        await informers.wait_synced()
        assert claims.has_synced
        assert set(informers.statistics()) == {"persistentvolumes", "persistentvolumeclaims"}
        late = informers.of(STORAGE_CLASSES)
        assert not informers.statistics()["storageclasses.storage.k8s.io"].has_synced
        await informers.wait_synced()
        assert late.has_synced
        task.cancel()


ACTIONS = st.one_of(
    st.tuples(st.just("apply"), st.integers(0, 4)),
    st.tuples(st.just("delete"), st.integers(0, 4)),
    st.tuples(st.just("own"), st.integers(0, 4)),
    st.tuples(st.sampled_from(["break", "compact", "wait", "bookmark", "fail"]), st.just(0)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ACTIONS, max_size=40))
def test_whatever_happens_it_ends_where_the_server_is(actions: list[tuple[str, int]]) -> None:
    server = SmallServer()
    informer, _ = informer_of(server, page_limit=2)
    replay: dict[str, Volume] = {}

    def follow(change: Change[Volume]) -> None:
        match change:
            case Added(object=new):
                assert new.key not in replay
                replay[new.key] = new
            case Updated(before=old, object=new):
                assert replay[new.key] is old
                assert int(new.resource_version) > int(old.resource_version)
                replay[new.key] = new
            case Deleted(object=old):
                assert replay.pop(old.key) is old

    informer.add_handler(follow)

    async def act(action: str, number: int) -> None:
        path = f"{VOLUME}/disk-{number}"
        match action:
            case "apply":
                server.apply(path)
            case "own":
                answer = parse_volume(json.dumps(server.apply(path)).encode())
                await asyncio.sleep(0)
                informer.put(answer)
            case "delete" if path in server.objects:
                server.delete(path)
            case "break":
                server.break_watches()
            case "compact":
                server.compact()
            case "bookmark":
                server.send_bookmark(VOLUME)
            case "fail":
                server.before.append(lost_connection)
            case "wait":
                await asyncio.sleep(1)

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(informer.run())
            for action, number in actions:
                await act(action, number)
            await informer.wait_synced()
            await asyncio.sleep(3600)
            task.cancel()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(scenario())
    on_server = {path.rsplit("/", 1)[1]: doc["metadata"]["resourceVersion"] for path, doc in server.objects.items()}
    assert {v.name: v.resource_version for v in informer} == on_server
    assert {v.name: v.resource_version for v in replay.values()} == on_server


@pytest.mark.parametrize("text", ["", "x", "9" * 5000, "1_0"], ids=lambda text: text[:8])
def test_a_revision_that_is_no_number_counts_as_the_oldest(text: str) -> None:
    assert number_of(text) == -1


@on_virtual_time
async def test_informer_16_a_held_informer_fills_and_tells_later() -> None:
    server = SmallServer()
    server.apply(f"{VOLUME}/a")
    informer = Informer(Client(server), VOLUMES)
    informer.hold()
    names = informer.add_index("name", lambda one: (one.name,))
    heard: list[str] = []
    informer.add_handler(lambda change: heard.append(short(change)))
    async with running(informer):
        await informer.wait_synced()
        server.apply(f"{VOLUME}/b")
        server.delete(f"{VOLUME}/a")
        await settle()
        assert (heard, informer.keys(), len(names["b"])) == ([], ["b"], 1)
        informer.let_go()
        assert heard == ["+b@2"]
        server.apply(f"{VOLUME}/b")
        await settle()
        assert heard == ["+b@2", "b@2>4"]
