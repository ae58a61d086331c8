"""What an informer believes, and what it doesn't (INFORMER-1, INFORMER-10 to INFORMER-14)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.kube.informers import VOLUME, following, informer_of, running, settle
from tests.kube.small_server import SmallServer, no_connection, ok, refusal
from tests.virtual_time import on_virtual_time

from pvbinder.kube.client import Client, Retries
from pvbinder.kube.informer import Informer
from pvbinder.kube.kinds import metadata_of
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.objects import parse_volume
from pvbinder.model.resources import Resource

MOST_REQUESTS = 500  # of an informer in a minute, while every watch ends at once: four in half a second


@on_virtual_time
async def test_informer_1_a_server_that_is_behind_is_listed_anew_and_believed() -> None:
    async with following("disk-1", "disk-2", revision=100) as (server, informer, heard):
        server.go_back_to(40)
        server.apply(f"{VOLUME}/disk-1", {"metadata": {"uid": "uid-101"}})
        server.break_watches()  # the next one would be open and silent
        await settle()
        assert heard[2:] == ["disk-1@101>41", "-disk-2@102"]
        server.apply(f"{VOLUME}/disk-3")
        await settle()

        assert heard[4:] == ["+disk-3@42"]
        assert informer.statistics().lists == 2


@pytest.mark.parametrize("sign", ["event", "bookmark"])
@on_virtual_time
async def test_informer_1_a_watch_that_goes_back_lists_anew(sign: str) -> None:
    async with following("disk-1", revision=100) as (server, informer, heard):
        server.objects.clear()
        server.history[0].collection = "before the backup"
        server.revision = 40
        server.apply(f"{VOLUME}/disk-2")  # as an event in the watch that is open
        if sign == "bookmark":
            server.history.pop()
            server.send_bookmark(VOLUME)
        await asyncio.sleep(1)

        assert heard[1:] == ["+disk-2@41", "-disk-1@101"]
        assert informer.statistics().resource_version == "41"


@on_virtual_time
async def test_informer_15_a_silent_watch_of_the_future_is_not_waited_in() -> None:
    async with following("disk-1", revision=100) as (server, informer, _):
        server.go_back_to(40)
        server.break_watches()
        await asyncio.sleep(1)
        assert informer.statistics().lists == 2
        assert informer.resource_version == "40"


@on_virtual_time
async def test_informer_15_a_watch_that_ends_in_its_time_costs_no_question() -> None:
    async with following("disk-1") as (server, _, _):
        before = server.count("GET")
        for _ in range(12):
            server.send_bookmark(VOLUME)
            await asyncio.sleep(100)
        assert server.count("GET", watches=True) > 2
        assert server.count("GET") == before


LIES_IN_A_WATCH = {
    "an object that is deleted, at a later revision": {"type": "DELETED", "object": {"kind": "PersistentVolume"}},
    "a bookmark of a revision to come": {"type": "BOOKMARK", "object": {"kind": "PersistentVolume"}},
    "a bookmark of nowhere": {"type": "BOOKMARK", "object": {"kind": "PersistentVolume"}, "at": ""},
    "an object that can't be read": {"type": "MODIFIED", "object": {"kind": "PersistentVolume", "spec": 3}},
}


@pytest.mark.parametrize("lie", LIES_IN_A_WATCH.values(), ids=LIES_IN_A_WATCH.keys())
@on_virtual_time
async def test_informer_8_news_in_each_watch_that_ends_at_once_is_no_hot_loop(lie: dict[str, Any]) -> None:
    class Liar(SmallServer):
        asked = 0

        async def send(self, request: Request) -> Answer:
            self.asked += 1
            assert self.asked < 10 * MOST_REQUESTS, "a hot loop: time doesn't go on"
            return await super().send(request)

        @asynccontextmanager
        async def watch(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
            self.asked += 1
            assert self.asked < 10 * MOST_REQUESTS, "a hot loop: time doesn't go on"
            metadata = {"name": "disk-1", "uid": "uid-1", "resourceVersion": lie.get("at", str(1000 + self.asked))}
            event = {"type": lie["type"], "object": {"apiVersion": "v1", "metadata": metadata, **lie["object"]}}

            async def lines() -> AsyncIterator[bytes]:
                yield json.dumps(event).encode()

            yield lines()

    server = Liar(revision=100)
    server.apply(f"{VOLUME}/disk-1")
    informer, _ = informer_of(server)
    async with running(informer):
        await asyncio.sleep(60)

        assert 30 < server.asked < MOST_REQUESTS
        assert informer.has_synced


@on_virtual_time
async def test_informer_10_a_server_without_bookmarks_is_never_listed_again(caplog: pytest.LogCaptureFixture) -> None:
    server = SmallServer()
    informer, _ = informer_of(server)
    async with running(informer):
        await asyncio.sleep(3600)

    assert informer.statistics().lists == 1
    assert server.count("GET", watches=True) == 24
    assert server.count("GET") == 1 + 23, "each silence may be that of a server which is behind (INFORMER-15)"
    assert caplog.records == [], "nobody has to act"


def text_404(_: Request) -> Answer:
    return Answer(404, b"404 page not found")


@pytest.mark.parametrize("watch_ends", [False, True], ids=["list", "watch"])
@on_virtual_time
async def test_informer_11_a_404_empties_nothing(watch_ends: bool) -> None:
    async with following("disk-1") as (server, _, heard):
        server.before += [text_404, lambda _: refusal(404, "NotFound", "the server could not find the resource")] * 3
        if not watch_ends:
            server.compact()
            server.apply(f"{VOLUME}/disk-2")
            server.compact()
        server.break_watches()
        await asyncio.sleep(20)
        server.apply(f"{VOLUME}/disk-3")
        await settle()

        assert not [line for line in heard if line.startswith("-")]
        assert "+disk-3" in heard[-1]


@on_virtual_time
async def test_informer_11_after_404_for_everything_it_is_back_within_seconds() -> None:
    server = SmallServer()
    informer, heard = informer_of(server)
    async with running(informer):
        server.before += [text_404] * 1000
        server.break_watches()
        await asyncio.sleep(120)
        asked = len(server.requests)
        server.before.clear()
        server.apply(f"{VOLUME}/disk-1")
        await asyncio.sleep(5)

        assert heard == ["+disk-1@1"]
        assert asked < 60, "and nobody is stormed meanwhile"


@on_virtual_time
async def test_informer_11_a_core_kind_is_never_taken_for_unserved() -> None:
    server = SmallServer()
    server.before += [lambda _: refusal(404, "NotFound", "the server could not find the requested resource")] * 3
    informer, _ = informer_of(server)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(informer.run())
        await settle()
        assert not informer.has_synced, "it waits for a list"
        async with asyncio.timeout(5):
            await informer.wait_synced()
        task.cancel()


GROUPS = {"kind": "APIGroupList", "groups": [{"name": "apps", "versions": [{"groupVersion": "apps/v1"}]}]}
SNAPSHOT_GROUP = {"name": "snapshot.storage.k8s.io", "versions": [{"groupVersion": "snapshot.storage.k8s.io/v1"}]}
SNAPSHOTS = metadata_of(Resource("snapshot.storage.k8s.io", "v1", "VolumeSnapshot", "volumesnapshots", True))
SNAPSHOT = "/apis/snapshot.storage.k8s.io/v1/volumesnapshots"
PLURALS = [{"name": "volumesnapshots"}, {"name": "volumesnapshotcontents"}]


@on_virtual_time
async def test_informer_11_a_custom_kind_that_never_was_is_empty_and_looked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = SmallServer()
    server.before += [lambda _: refusal(404, "NotFound", "the server could not find the requested resource")] * 3
    informer = Informer(Client(server, retries=Retries(attempts=1)), SNAPSHOTS, chance=lambda: 0.99)
    async with running(informer):
        assert len(informer) == 0
        await asyncio.sleep(119)
        assert len(server.requests) == 2
        server.apply(f"{SNAPSHOT}/nightly")
        await asyncio.sleep(61)
        assert informer.keys() == ["nightly"]

    assert [record.getMessage() for record in caplog.records] == ["kind is not served"]


DISCOVERIES = {  # the groups, the resources of the version, and whether that shows that the definition is gone
    "the group is gone": (GROUPS, None, True),
    "the kind is gone": (
        {"kind": "APIGroupList", "groups": [SNAPSHOT_GROUP]},
        {"kind": "APIResourceList", "groupVersion": "snapshot.storage.k8s.io/v1", "resources": PLURALS[1:]},
        True,
    ),
    "the kind is there": (
        {"kind": "APIGroupList", "groups": [SNAPSHOT_GROUP]},
        {"kind": "APIResourceList", "groupVersion": "snapshot.storage.k8s.io/v1", "resources": PLURALS},
        False,
    ),
    "resources of another group": (
        {"kind": "APIGroupList", "groups": [SNAPSHOT_GROUP]},
        {"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": []},
        False,
    ),
    "no groups at all": ({"kind": "APIGroupList", "groups": []}, None, False),
    "something else": ({"kind": "Status"}, None, False),
    "nothing": (None, None, False),
}


@pytest.mark.parametrize(("groups", "resources", "is_gone"), DISCOVERIES.values(), ids=DISCOVERIES.keys())
@on_virtual_time
async def test_served_1_informer_11_discovery_shows_that_a_definition_is_gone(
    groups: dict[str, object] | None, resources: dict[str, object] | None, is_gone: bool
) -> None:
    server = SmallServer()
    server.apply(f"{SNAPSHOT}/nightly")
    informer = Informer(Client(server, retries=Retries(attempts=1)), SNAPSHOTS, chance=lambda: 0.0)
    async with running(informer):
        await settle()
        server.before.append(text_404)
        server.before += [lambda _: text_404(_) if groups is None else ok(groups)]
        if resources is not None:
            server.before += [lambda _: ok(resources)]
        server.break_watches()
        await settle()
        assert len(informer) == (0 if is_gone else 1)
        await asyncio.sleep(60)
        assert informer.keys() == ["nightly"]


NO_LISTS = {  # answers to a list with 200 that are none
    "another kind": ok({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": []}),
    "items of another kind": ok(
        {"kind": "List", "metadata": {"resourceVersion": "9"}, "items": [{"kind": "Pod", "metadata": {"name": "x"}}]}
    ),
    "no revision": ok({"kind": "PersistentVolumeList", "apiVersion": "v1", "metadata": {}, "items": []}),
    "no items": ok({"kind": "PersistentVolumeList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}}),
    "an object": ok({"kind": "PersistentVolume", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}}),
    "cut off": Answer(200, b'{"kind":"PersistentVolumeList","apiVersion":"v1","metadata":{"resourceVer'),
    "a page": Answer(200, b"<html>"),
    "nothing": Answer(200, b""),
    "old": ok({"kind": "PersistentVolumeList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}),
    "empty": ok(
        {"kind": "PersistentVolumeList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": []}
    ),
}


@pytest.mark.parametrize("answer", NO_LISTS.values(), ids=NO_LISTS.keys())
@on_virtual_time
async def test_informer_12_what_is_no_list_is_a_failed_one(answer: Answer) -> None:
    async with following("disk-1", "disk-2") as (server, informer, heard):
        server.before += [lambda _: refusal(410, "Expired", "too old"), lambda _: answer]
        server.break_watches()
        await asyncio.sleep(3)

        assert heard == ["+disk-1@1", "+disk-2@2"]
        assert informer.statistics().failures == 2
        assert not server.before


@on_virtual_time
async def test_informer_12_what_is_really_empty_is_so_for_the_second_list_too() -> None:
    async with following("disk-1") as (server, _, heard):
        server.delete(f"{VOLUME}/disk-1")
        server.history.clear()
        server.compact()
        server.break_watches()
        await settle()

        assert heard == ["+disk-1@1", "-disk-1@1"]


@on_virtual_time
async def test_informer_12_an_event_of_another_kind_is_none() -> None:
    async with following("disk-1") as (server, _, heard):
        pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "disk-1", "resourceVersion": "9"}}
        server.lines.append(json.dumps({"type": "DELETED", "object": pod}).encode())
        server.break_watches()
        await asyncio.sleep(1)
        server.apply(f"{VOLUME}/disk-2")
        await settle()

        assert heard == ["+disk-1@1", "+disk-2@2"]


@on_virtual_time
async def test_informer_13_silence_is_death(caplog: pytest.LogCaptureFixture) -> None:
    async with following() as (server, informer, heard):
        server.send_bookmark(VOLUME)
        await settle()
        server.is_silent = True
        server.break_watches()
        await settle()
        server.is_silent = False
        server.apply(f"{VOLUME}/disk-1")
        await asyncio.sleep(140)
        assert heard == []
        await asyncio.sleep(20)

        assert heard == ["+disk-1@1"]
        assert informer.statistics().lists == 1

    assert [record.getMessage() for record in caplog.records] == ["watch interrupted"]


@on_virtual_time
async def test_informer_14_what_was_read_live_counts() -> None:
    async with following() as (server, informer, heard):
        live = parse_volume(json.dumps(server.apply(f"{VOLUME}/disk-1")).encode())
        informer.correct(live)
        assert heard == ["+disk-1@1"]
        await settle()
        assert informer.statistics().lists == 1, "it was only faster than the watch"


@on_virtual_time
async def test_informer_14_a_cache_that_is_wrong_lists_anew() -> None:
    async with following("disk-1", "disk-2") as (server, informer, heard):
        only_one = {"kind": "List", "metadata": {"resourceVersion": "2"}, "items": [server.objects[f"{VOLUME}/disk-1"]]}
        server.before += [lambda _: refusal(410, "Expired", "too old"), lambda _: ok(only_one)]
        server.break_watches()
        await settle()
        assert heard[2:] == ["-disk-2@2"], "nobody can see that this list is cut"
        informer.correct(parse_volume(json.dumps(server.objects[f"{VOLUME}/disk-2"]).encode()))
        await asyncio.sleep(3)

        assert sorted(informer.keys()) == ["disk-1", "disk-2"]


@pytest.mark.slow
@on_virtual_time
async def test_informer_8_a_server_that_fails_for_days_is_survived() -> None:
    server = SmallServer()
    server.before += [no_connection] * 1030
    informer, _ = informer_of(server)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(informer.run())
        await informer.wait_synced()
        assert asyncio.get_running_loop().time() > 4 * 3600
        task.cancel()
