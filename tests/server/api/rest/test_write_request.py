"""Creates, updates and patches: defaults, refusals, kept fields, and writes that change nothing (GW-1 to GW-8)."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from unittest.mock import patch

import pytest
from tests.server.serving import MAPS, VOLUMES, config_map, serving, volume

from pvbinder.server.store import Store


async def test_writing_1_concurrent_updates_from_one_revision_let_exactly_one_through(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        made = await server.send("POST", MAPS, config_map())
        bodies = [{**config_map(k=str(number)), "metadata": made.body["metadata"]} for number in range(20)]
        async with asyncio.TaskGroup() as tasks:
            answers = [tasks.create_task(server.send("PUT", f"{MAPS}/a", body)) for body in bodies]
        statuses = sorted(task.result().status for task in answers)
        assert statuses == [200] + [409] * 19


async def test_writing_1_concurrent_patches_are_all_kept(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, config_map())
        async with asyncio.TaskGroup() as tasks:
            for number in range(20):
                tasks.create_task(server.send("PATCH", f"{MAPS}/a", {"data": {f"k{number}": "v"}}))
        assert len((await server.send("GET", f"{MAPS}/a")).body["data"]) == 21


SENT_REVISIONS = {"": 201, "0": 201, "00": 201, "v1": 201, "-5": 201, "1.5": 201, str(2**64): 201, "7": 500, "07": 500}


async def test_a_new_object_may_say_anything_but_a_revision(tmp_path: Path) -> None:
    """As the reference, which looks at what is a number only; clients' own examples send ``v1``."""
    answered: dict[str, int] = {}
    async with serving(tmp_path) as server:
        for number, revision in enumerate(SENT_REVISIONS):
            body = {"metadata": {"name": f"a{number}", "resourceVersion": revision}}
            reply = await server.send("POST", MAPS, body)
            answered[revision] = reply.status
            assert reply.status != 201 or int(reply.revision) == server.store.revision
    assert answered == SENT_REVISIONS


async def test_writing_2_an_answer_is_given_only_when_the_write_is_durable(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        made = await server.send("POST", MAPS, config_map())
        stored = server.store.get("configmaps", "shop/a")
        assert stored is not None, "committed, not only in the head"
        assert str(stored.revision) == made.revision


async def test_writing_2_a_disk_that_refuses_the_write_is_a_500_and_nothing_changes(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        before = await server.send("POST", MAPS, config_map())
        assert server.store._database._connection is not None
        server.store._database._connection.execute("PRAGMA query_only = ON")
        answer = await server.send("PATCH", f"{MAPS}/a", {"data": {"k": "w"}})
        assert (answer.status, answer.body["reason"]) == (500, "InternalError")
        assert "can't write to" in answer.message
        assert (await server.send("GET", f"{MAPS}/a")).body == before.body
        assert server.store._database._connection is not None
        server.store._database._connection.execute("PRAGMA query_only = OFF")
        assert (await server.send("PATCH", f"{MAPS}/a", {"data": {"k": "w"}})).status == 200


async def test_writing_2_nothing_is_answered_with_a_change_of_others_that_is_not_durable_yet(tmp_path: Path) -> None:
    """An update or deletion that changes nothing answers with the stored object, which must be on disk, too."""
    async with serving(tmp_path) as server:
        made = config_map()
        made["metadata"]["finalizers"] = ["example.com/x"]
        await server.send("POST", MAPS, made)
        change = {"data": {"k": "w"}}
        for method, body in (("PATCH", change), ("DELETE", None)):
            assert server.store._database._connection is not None
            server.store._database._connection.execute("PRAGMA query_only = ON")
            async with asyncio.TaskGroup() as tasks:
                answers = [tasks.create_task(server.send(method, f"{MAPS}/a", body)) for _ in range(2)]
            assert [task.result().status for task in answers] == [500, 500]
            assert server.store._database._connection is not None
            server.store._database._connection.execute("PRAGMA query_only = OFF")
            async with asyncio.TaskGroup() as tasks:
                answers = [tasks.create_task(server.send(method, f"{MAPS}/a", body)) for _ in range(2)]
            first, second = (task.result() for task in answers)
            assert (first.status, second.status, first.body) == (200, 200, second.body)


async def test_writing_3_an_update_that_changes_nothing_is_not_written(tmp_path: Path) -> None:
    """GW-6."""
    async with serving(tmp_path) as server:
        made = await server.send("POST", VOLUMES, volume())
        revision = server.store.revision
        for method, body in (("PUT", made.body), ("PATCH", {}), ("PUT", volume())):
            assert (await server.send(method, f"{VOLUMES}/disk", body)).body["spec"] == made.body["spec"]
        assert server.store.revision == revision + 1, "only the PUT that takes the finalizer away is a change"


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", f"{MAPS}?dryRun=All", config_map("new")),
        ("PUT", f"{MAPS}/a?dryRun=All", config_map(k="w")),
        ("PATCH", f"{MAPS}/a?dryRun=All", {"data": {"k": "w"}}),
        ("DELETE", f"{MAPS}/a?dryRun=All", None),
        ("DELETE", f"{MAPS}?dryRun=All", None),
    ],
    ids=["create", "update", "patch", "delete", "delete of the collection"],
)
async def test_writing_3_a_dry_run_writes_nothing(tmp_path: Path, method: str, target: str, body: object) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, config_map())
        revision = server.store.revision
        assert (await server.send(method, target, body)).status in (200, 201)
        assert server.store.revision == revision


async def test_writing_4_who_is_told_that_a_name_is_taken_finds_the_object(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        found: list[int] = []

        async def create() -> None:
            if (await server.send("POST", MAPS, config_map())).status == 409:
                found.append((await server.send("GET", f"{MAPS}/a")).status)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(create())
        assert found == [200, 200]


async def test_writing_4_a_name_is_not_taken_by_what_could_not_be_stored(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        assert server.store._database._connection is not None
        server.store._database._connection.execute("PRAGMA query_only = ON")
        async with asyncio.TaskGroup() as tasks:
            answers = [tasks.create_task(server.send("POST", MAPS, config_map())) for _ in range(2)]
        assert [task.result().status for task in answers] == [500, 500]
        assert server.store._database._connection is not None
        server.store._database._connection.execute("PRAGMA query_only = OFF")
        assert (await server.send("POST", MAPS, config_map())).status == 201


async def test_create_fills_in_what_is_the_servers_to_say(tmp_path: Path) -> None:
    """GW-1."""
    async with serving(tmp_path) as server:
        sent = config_map()
        sent["metadata"] |= {"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "selfLink": "/x"}
        metadata = (await server.send("POST", MAPS, sent)).body["metadata"]
        assert metadata["creationTimestamp"] == "2026-03-01T12:00:00Z"
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", metadata["uid"])
        assert metadata["namespace"] == "shop"
        assert int(metadata["resourceVersion"]) == server.store.revision
        assert "selfLink" not in metadata


async def test_a_generated_name_is_tried_again_when_it_is_taken(tmp_path: Path) -> None:
    """GW-1."""
    async with serving(tmp_path) as server:
        for name in ("g-aaaaa", "g-bbbbb"):
            await server.send("POST", MAPS, config_map(name))
        with patch(
            "pvbinder.server.kinds.parts.generated_names.CHANCE.choices", side_effect=["aaaaa", "bbbbb", "ccccc"]
        ):
            made = await server.send("POST", MAPS, {"metadata": {"generateName": "g-"}})
        assert made.body["metadata"]["name"] == "g-ccccc"
        with patch("pvbinder.server.kinds.parts.generated_names.CHANCE.choices", return_value="aaaaa"):
            taken = await server.send("POST", MAPS, {"metadata": {"generateName": "g-"}})
        assert (taken.status, taken.message) == (409, 'configmaps "g-aaaaa" already exists')


async def test_a_long_base_is_cut_so_that_the_name_has_63_characters(tmp_path: Path) -> None:
    """GW-1."""
    async with serving(tmp_path) as server:
        made = await server.send("POST", MAPS, {"metadata": {"generateName": "g" * 60}})
        assert re.fullmatch(r"g{58}[bcdfghjklmnpqrstvwxz2456789]{5}", made.body["metadata"]["name"])


REFUSED = {
    "another namespace (GW-2)": (
        "POST",
        MAPS,
        {"metadata": {"name": "n", "namespace": "other"}},
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    "a stale revision (GW-4)": (
        "PUT",
        f"{MAPS}/a",
        {"metadata": {"name": "a", "resourceVersion": "1"}},
        409,
        (
            'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes '
            "to the latest version and try again"
        ),
    ),
    "a stale revision in a patch (GW-8)": (
        "PATCH",
        f"{MAPS}/a",
        {"metadata": {"resourceVersion": "1"}},
        409,
        (
            'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes '
            "to the latest version and try again"
        ),
    ),
    "a revision of more digits than Python converts (GW-4)": (
        "PATCH",
        f"{MAPS}/a",
        {"metadata": {"resourceVersion": "9" * 5000}},
        500,
        f'strconv.ParseUint: parsing "{"9" * 5000}": value out of range',
    ),
    "an update of a lease without a revision (GW-5)": (
        "PUT",
        "/apis/coordination.k8s.io/v1/namespaces/shop/leases/l",
        {"metadata": {"name": "l"}},
        422,
        (
            'leases.coordination.k8s.io "l" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified '
            "for an update"
        ),
    ),
    "a missing object (GW-9)": (
        "PUT",
        "/apis/storage.k8s.io/v1/storageclasses/x",
        {"metadata": {"name": "x"}, "provisioner": "p"},
        404,
        'storageclasses.storage.k8s.io "x" not found',
    ),
    "a label that is none (GW-10, GW-11)": (
        "PATCH",
        f"{MAPS}/a",
        {"metadata": {"labels": {"k": "a b"}}},
        422,
        (
            'ConfigMap "a" is invalid: metadata.labels: Invalid value: "a b": a valid label must be an empty string or '
            "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
            "character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
            "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        ),
    ),
}


@pytest.mark.parametrize(("method", "target", "body", "status", "message"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_write_is_refused_in_the_words_of_the_reference(
    tmp_path: Path, method: str, target: str, body: object, status: int, message: str
) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, config_map())
        await server.send("POST", "/apis/coordination.k8s.io/v1/namespaces/shop/leases", {"metadata": {"name": "l"}})
        answer = await server.send(method, target, body)
        assert (answer.status, answer.message) == (status, message)


async def test_an_update_of_another_object_of_that_name_is_a_conflict(tmp_path: Path) -> None:
    """GW-7: a uid in the body says which object is meant."""
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, config_map())
        sent = config_map()
        sent["metadata"]["uid"] = "11111111-2222-3333-4444-555555555555"
        answer = await server.send("PUT", f"{MAPS}/a", sent)
        assert answer.status == 409
        assert "Precondition failed: UID in precondition: 11111111-2222-3333-4444-555555555555" in answer.message


async def test_a_lease_is_created_by_a_put(tmp_path: Path) -> None:
    leases = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
    async with serving(tmp_path) as server:
        assert (await server.send("PUT", f"{leases}/l", {"metadata": {"name": "l"}})).status == 201
        assert (await server.send("GET", f"{leases}/l")).status == 200


async def test_generation_counts_what_its_kind_counts(tmp_path: Path) -> None:
    drivers = "/apis/storage.k8s.io/v1/csidrivers"
    async with serving(tmp_path) as server:
        await server.send("POST", drivers, {"metadata": {"name": "d"}, "spec": {}})
        changed = await server.send("PATCH", f"{drivers}/d", {"spec": {"podInfoOnMount": True}})
        labelled = await server.send("PATCH", f"{drivers}/d", {"metadata": {"labels": {"a": "b"}}})
        assert (changed.body["metadata"]["generation"], labelled.body["metadata"]["generation"]) == (1, 1)


async def test_an_event_is_one_object_in_both_groups(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        made = await server.send(
            "POST",
            "/api/v1/namespaces/shop/events",
            {
                "metadata": {"name": "e"},
                "involvedObject": {"namespace": "shop", "name": "c"},
                "reason": "R",
                "message": "m",
            },
        )
        assert made.status == 201
        path = "/apis/events.k8s.io/v1/namespaces/shop/events"
        other = (await server.send("GET", f"{path}/e")).body
        assert (other["apiVersion"], other["note"], other["regarding"]["name"]) == ("events.k8s.io/v1", "m", "c")
        listed = (await server.send("GET", path)).body
        assert (listed["kind"], listed["items"][0]["note"]) == ("EventList", "m")
        assert "apiVersion" not in listed["items"][0]
        await server.send("PATCH", "/api/v1/namespaces/shop/events/e", {"message": "other"})
        assert (await server.send("GET", f"{path}/e")).body["note"] == "other"


async def test_what_is_stored_is_what_a_restart_finds(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        made = await server.send("POST", VOLUMES, volume())
    async with Store(tmp_path) as store:
        stored = store.get("persistentvolumes", "disk")
        assert stored is not None
        assert str(stored.revision) == made.revision
        assert stored.data.startswith(b'{"kind":"PersistentVolume","apiVersion":"v1","metadata":{"name":"disk",')


async def test_a_creation_time_that_is_sent_is_passed_over(tmp_path: Path) -> None:
    """GW-7."""
    async with serving(tmp_path) as server:
        made = await server.send("POST", MAPS, config_map())
        sent = {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z", "labels": {"a": "b"}}}
        answer = await server.send("PATCH", f"{MAPS}/a", sent)
        assert answer.body["metadata"]["labels"] == {"a": "b"}
        assert answer.body["metadata"]["creationTimestamp"] == made.body["metadata"]["creationTimestamp"]


OTHERS = {  # a patch that names another object, and what is said of it
    "another uid": (
        {"uid": "other"}, 422, 'ConfigMap "a" is invalid: metadata.uid: Invalid value: "other": field is immutable'
    ),
    "another name": ({"name": "b"}, 400, "the name of the object (b) does not match the name on the URL (a)"),
    "no name": (
        {"name": None}, 400,
        "the name of the object (a based on URL) was undeterminable: name must be provided",
    ),
    "another namespace": (
        {"namespace": "other"}, 400,
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("metadata", "status", "message"), OTHERS.values(), ids=OTHERS.keys())
async def test_a_patch_changes_no_identity(
    tmp_path: Path, metadata: dict[str, object], status: int, message: str
) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, config_map())
        answer = await server.send("PATCH", f"{MAPS}/a", {"metadata": metadata})
        assert (answer.status, answer.message) == (status, message)


async def test_a_patch_of_no_kind_that_is_known_is_415_whatever_else_is_wrong_with_it(tmp_path: Path) -> None:
    """As in the reference, which looks at the patch's type before all else (GW-8)."""
    async with serving(tmp_path) as server:
        for target in (f"{MAPS}/absent", f"{MAPS}/absent?dryRun=some"):
            answer = await server.send("PATCH", target, {}, content_type="text/plain", headers={"accept": "image/png"})
            assert answer.status == 415
