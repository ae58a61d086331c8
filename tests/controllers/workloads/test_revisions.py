"""Revisions of stateful sets: recorded, adopted, used below the partition, and let go (REVISIONS-1 to REVISIONS-3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.controllers.cluster import Cluster, fails
from tests.controllers.test_stateful_sets import stateful_set
from tests.controllers.workloads.small import change, pods_of, template, until_gone, workloads
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.stateful_sets import STATEFUL_SETS
from pvbinder.controllers.workloads.revisions import REVISIONS
from pvbinder.kube.kinds import PODS
from pvbinder.model.json import Json, encode
from pvbinder.model.workloads import Workload
from pvbinder.rules.revisions import (
    Recorded,
    beyond_history,
    decide_recording,
    revision_document,
    revision_number,
    template_of,
)

SETS = ControllerOptions(controllers="statefulset,scheduler,kubelet,garbagecollector")


def database(replicas: int, image: str = "db:1", **spec: Any) -> Json:
    return stateful_set("db", replicas, template=template("db", image), volumeClaimTemplates=None, **spec)


def image(name: str) -> Json:
    return {"spec": {"template": template("db", name)}}


async def revisions(c: Cluster) -> list[Workload]:
    return sorted(await c.client.list_all(REVISIONS, "default"), key=revision_number)


async def status(c: Cluster) -> Json:
    found: Json = (await c.client.get(STATEFUL_SETS, "db", "default")).document().get("status") or {}
    return found


async def until_rolled(c: Cluster, replicas: int, question: Callable[[Json], bool] = lambda _: True) -> Json:
    async with asyncio.timeout(200):
        while True:
            found = await c.client.get(STATEFUL_SETS, "db", "default")
            told = found.document().get("status") or {}
            is_seen = told.get("observedGeneration") == found.generation
            if (
                is_seen
                and told.get("availableReplicas", 0) == replicas == told.get("updatedReplicas", 0)
                and question(told)
            ):
                return told
            await asyncio.sleep(0.5)


def versions(c: Cluster) -> dict[str, str]:
    return {pod.name: pod.document()["spec"]["containers"][0]["image"] for pod in pods_of(c, "db")}


@on_virtual_time
async def test_revisions_1_each_template_has_one_revision() -> None:
    async with workloads(SETS) as c:
        manifest = database(1)
        manifest["metadata"]["annotations"] = {"kubernetes.io/change-cause": "first"}
        await c.client.create(STATEFUL_SETS, manifest)
        await until_rolled(c, 1)
        await change(c, STATEFUL_SETS, "db", image("db:2"))
        told = await until_rolled(c, 1, lambda status: status["currentRevision"] == status["updateRevision"])

        first, second = await revisions(c)
        assert [revision_number(one) for one in (first, second)] == [1, 2]
        assert told["updateRevision"] == second.name
        assert c.of(PODS)["default/db-0"].labels["controller-revision-hash"] == second.name
        assert first.labels == {"app": "db", "controller.kubernetes.io/hash": first.name.removeprefix("db-")}
        assert first.annotations == {"kubernetes.io/change-cause": "first"}
        assert first.spec["data"]["spec"]["template"]["$patch"] == "replace"
        assert template_of(first)["spec"]["containers"][0]["image"] == "db:1"


@on_virtual_time
async def test_revisions_1_undo_makes_the_old_revision_the_newest() -> None:
    async with workloads(SETS) as c:
        await c.client.create(STATEFUL_SETS, database(1))
        await until_rolled(c, 1)
        await change(c, STATEFUL_SETS, "db", image("db:2"))
        await until_rolled(c, 1, lambda status: status["currentRevision"] == status["updateRevision"])
        first, _ = await revisions(c)

        undo: Json = first.spec["data"]  # what `kubectl rollout undo` sends
        await c.client.patch(STATEFUL_SETS, "db", "default", undo, patch_type="strategic")
        await c.until(lambda: versions(c) == {"db-0": "db:1"})
        await until_rolled(c, 1)

        assert [(one.name == first.name, revision_number(one)) for one in await revisions(c)] == [
            (False, 2),
            (True, 3),
        ]


@on_virtual_time
async def test_revisions_1_a_lost_answer_makes_no_second() -> None:
    async with workloads(SETS) as c:
        c.line.after = fails(1, "POST", "/controllerrevisions")
        await c.client.create(STATEFUL_SETS, database(1))
        await until_rolled(c, 1)

        assert len(await revisions(c)) == 1


@on_virtual_time
async def test_revisions_1_a_name_that_is_taken_is_avoided() -> None:
    async with workloads(SETS) as c:
        await c.client.create(STATEFUL_SETS, database(0))
        await until_rolled(c, 0)
        [first] = await revisions(c)
        await c.client.delete(STATEFUL_SETS, "db", "default")
        await until_gone(c, REVISIONS, first.name)
        foreign = {"metadata": {"name": first.name, "namespace": "default"}, "revision": 7, "data": {"a": 1}}
        await c.client.create(REVISIONS, foreign)

        await c.client.create(STATEFUL_SETS, database(1))
        await until_rolled(c, 1)

        own = [one for one in await revisions(c) if one.name != first.name]
        assert len(own) == 1
        assert template_of(own[0])["spec"]["containers"][0]["image"] == "db:1"


@on_virtual_time
async def test_sets_7_pods_and_revisions_are_taken_back_after_an_orphaning_deletion() -> None:
    async with workloads(SETS) as c:
        await c.client.create(STATEFUL_SETS, database(2))
        await until_rolled(c, 2)
        before = {pod.name: pod.uid for pod in pods_of(c, "db")}
        [revision] = await revisions(c)
        await c.client.delete(STATEFUL_SETS, "db", "default", propagation="Orphan")
        await until_gone(c, STATEFUL_SETS, "db")
        assert not any(pod.owner_references for pod in await c.client.list_all(PODS))

        again = await c.client.create(STATEFUL_SETS, database(2))
        await until_rolled(c, 2)
        await c.settle()

        assert {pod.name: pod.uid for pod in pods_of(c, "db")} == before, "none was made anew"
        assert {pod.owner_references[0].uid for pod in pods_of(c, "db")} == {again.uid}
        [after] = await revisions(c)
        assert (after.uid, after.owner_references[0].uid) == (revision.uid, again.uid)


@on_virtual_time
async def test_sets_7_an_adopted_pod_is_told_which_one_it_is() -> None:
    async with workloads(SETS) as c:
        lone: Json = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db-0", "labels": {"app": "db"}}}
        await c.create({**lone, "spec": template("db")["spec"]})
        await c.client.create(STATEFUL_SETS, database(1))
        await c.until(lambda: "statefulset.kubernetes.io/pod-name" in c.of(PODS)["default/db-0"].labels)

        labels = c.of(PODS)["default/db-0"].labels
        assert (labels["statefulset.kubernetes.io/pod-name"], labels["apps.kubernetes.io/pod-index"]) == ("db-0", "0")


@on_virtual_time
async def test_sets_8_pods_below_the_partition_keep_the_old_template() -> None:
    async with workloads(SETS) as c:
        await c.client.create(STATEFUL_SETS, database(3))
        await until_rolled(c, 3)
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
        await change(c, STATEFUL_SETS, "db", {"spec": {**image("db:2")["spec"], "updateStrategy": strategy}})
        await c.until(lambda: versions(c) == {"db-0": "db:1", "db-1": "db:1", "db-2": "db:2"})
        first = c.of(PODS)["default/db-0"].uid

        await c.client.delete(PODS, "db-0", "default")
        await c.until(lambda: "default/db-0" in c.of(PODS) and c.of(PODS)["default/db-0"].uid != first)
        await c.until(lambda: all(pod.phase == "Running" for pod in c.of(PODS)))
        await c.settle()

        assert versions(c) == {"db-0": "db:1", "db-1": "db:1", "db-2": "db:2"}
        told = await status(c)
        assert told["currentRevision"] != told["updateRevision"]
        assert (told["currentReplicas"], told["updatedReplicas"]) == (2, 1)


@on_virtual_time
async def test_sets_8_on_delete_only_pods_that_somebody_deletes_are_updated() -> None:
    async with workloads(SETS) as c:
        await c.client.create(STATEFUL_SETS, database(2, updateStrategy={"type": "OnDelete"}))
        await until_rolled(c, 2)
        await change(c, STATEFUL_SETS, "db", image("db:2"))
        await c.settle()
        assert set(versions(c).values()) == {"db:1"}

        await c.client.delete(PODS, "db-1", "default")

        await c.until(lambda: versions(c) == {"db-0": "db:1", "db-1": "db:2"})


@on_virtual_time
async def test_sets_2_a_pod_must_have_been_ready_for_long_enough_before_the_next() -> None:
    async with workloads(SETS) as c:
        await c.client.create(STATEFUL_SETS, database(2, minReadySeconds=10))
        await c.until(lambda: "default/db-0" in c.of(PODS) and c.of(PODS)["default/db-0"].phase == "Running")
        began = asyncio.get_running_loop().time()
        told = await status(c)
        assert told.get("availableReplicas", 0) == 0

        await c.until(lambda: "default/db-1" in c.of(PODS))

        assert asyncio.get_running_loop().time() - began >= 9
        await until_rolled(c, 2)


@on_virtual_time
async def test_revisions_3_old_revisions_beyond_the_limit_go() -> None:
    async with workloads(SETS) as c:
        await c.client.create(STATEFUL_SETS, database(1, revisionHistoryLimit=1))
        await until_rolled(c, 1)
        for number in (2, 3, 4):
            await change(c, STATEFUL_SETS, "db", image(f"db:{number}"))
            await until_rolled(c, 1, lambda status: status["currentRevision"] == status["updateRevision"])
        await c.settle()

        assert [revision_number(one) for one in await revisions(c)] == [3, 4]


@on_virtual_time
async def test_revisions_3_an_old_set_deletes_no_revision_of_the_new_one() -> None:
    async with workloads(SETS) as c:
        await c.client.create(STATEFUL_SETS, database(0))
        await until_rolled(c, 0)
        await change(c, STATEFUL_SETS, "db", image("db:2"))
        await until_rolled(c, 0, lambda status: status["currentRevision"] == status["updateRevision"])
        await c.settle()
        controller = c.manager.controllers["statefulset-controller"]
        document = (await c.client.get(STATEFUL_SETS, "db", "default")).document()
        document["spec"]["revisionHistoryLimit"] = 0
        document["metadata"] |= {"generation": 1, "resourceVersion": "1"}
        document["status"]["observedGeneration"] = 1
        controller._sets._objects["default/db"] = STATEFUL_SETS.parse(encode(document))  # type: ignore[attr-defined]
        controller._queue.add("default/db")  # type: ignore[attr-defined]
        await c.settle()

        assert len(await revisions(c)) == 2


def test_records_1_a_template_that_is_known_is_not_recorded_again() -> None:
    recorded = Recorded(REVISIONS.resource, "db", "shop", "u", {}, template("db"), "hash")
    known = REVISIONS.parse(encode(revision_document(recorded, 1)))
    other = REVISIONS.parse(encode(revision_document(_with_image(recorded, "db:2"), 2)))

    assert type(decide_recording(recorded, [])).__name__ == "CreateRevision"
    assert type(decide_recording(recorded, [known])).__name__ == "UseRevision"
    assert decide_recording(recorded, [known, other]).document["revision"] == 3  # type: ignore[union-attr]


def _with_image(recorded: Recorded, name: str) -> Recorded:
    import msgspec

    return msgspec.structs.replace(recorded, template=template("db", name))


def test_records_2_the_oldest_that_nothing_runs_with_go() -> None:
    recorded = Recorded(REVISIONS.resource, "db", "shop", "u", {}, template("db"), "hash")
    kept = [
        REVISIONS.parse(encode(revision_document(_with_image(recorded, f"db:{number}"), number)))
        for number in (4, 1, 3, 2)
    ]
    first = next(one.name for one in kept if revision_number(one) == 1)

    assert [revision_number(one) for one in beyond_history(kept, {first}, 1)] == [2, 3]
    assert beyond_history(kept, set(), 10) == []


@on_virtual_time
async def test_revisions_2_a_revision_without_a_controller_is_adopted() -> None:
    async with workloads(SETS) as c:
        metadata = {"name": "orphan", "namespace": "default", "labels": {"app": "db"}}
        orphan: Json = {"metadata": metadata, "revision": 1, "data": {"spec": {"template": template("db", "db:0")}}}
        await c.client.create(REVISIONS, orphan)
        await c.client.create(STATEFUL_SETS, database(1))
        await until_rolled(c, 1)
        adopted = await c.client.get(REVISIONS, "orphan", "default")

        assert [owner.kind for owner in adopted.owner_references] == ["StatefulSet"]
