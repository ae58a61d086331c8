"""The Deployment controller in small on a real API server (DEPLOYMENTS-1 to DEPLOYMENTS-4)."""

from __future__ import annotations

from tests.controllers.cluster import fails
from tests.controllers.workloads.small import (
    DEPLOYING,
    DEPLOYMENTS,
    REPLICA_SETS,
    change,
    deployment,
    images,
    pods_of,
    read,
    replica_sets,
    running,
    template,
    told,
    until_rolled_out,
    until_status,
    workloads,
)
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.kinds import EVENTS, PODS
from pvbinder.model.json import Json, encode
from pvbinder.rules.deployments import REVISION

ALONE = ControllerOptions(controllers="deployment")
CONDITIONS = {
    "Available": ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
    "Progressing": ("True", "NewReplicaSetAvailable", 'ReplicaSet "{rs}" has successfully progressed.'),
}


def image(name: str) -> Json:
    return {"spec": {"template": template("web", name)}}


def conditions(status: Json) -> dict[str, tuple[str, str, str]]:
    return {one["type"]: (one["status"], one["reason"], one["message"]) for one in status.get("conditions") or []}


def progress(status: Json) -> str:
    """The reason of the condition Progressing."""
    return conditions(status).get("Progressing", ("", "", ""))[1]


@on_virtual_time
async def test_deployments_1_a_deployment_has_a_replica_set_for_its_template() -> None:
    async with workloads() as c:
        manifest = deployment("web", 3)
        manifest["metadata"]["annotations"] = {"team": "shop"}
        await c.client.create(DEPLOYMENTS, manifest)
        status = await until_rolled_out(c, "web", 3)

        [one] = await replica_sets(c)
        found = await read(c, DEPLOYMENTS, "web")
        name = one.labels["pod-template-hash"]
        assert one.name == f"web-{name}"
        assert one.document()["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": name}
        assert (one.annotations[REVISION], found.annotations[REVISION]) == ("1", "1")
        assert one.annotations["team"] == "shop"
        assert one.annotations["deployment.kubernetes.io/max-replicas"] == "4"
        assert {pod.labels["pod-template-hash"] for pod in c.of(PODS)} == {name}
        assert conditions(status) == {
            type_: (value, reason, message.format(rs=one.name))
            for type_, (value, reason, message) in CONDITIONS.items()
        }
        assert {field: status[field] for field in ("readyReplicas", "observedGeneration")} == {
            "readyReplicas": 3,
            "observedGeneration": found.generation,
        }


@on_virtual_time
async def test_deployments_1_a_lost_answer_makes_no_second_replica_set() -> None:
    async with workloads() as c:
        c.line.after = fails(1, "POST", "/replicasets")
        await c.client.create(DEPLOYMENTS, deployment("web", 2))
        await until_rolled_out(c, "web", 2)

        assert len(await replica_sets(c)) == 1


@on_virtual_time
async def test_deployments_1_a_name_that_is_taken_is_avoided() -> None:
    async with workloads(ALONE) as c:
        await c.client.create(DEPLOYMENTS, deployment("web", 1))
        await until_status(c, DEPLOYMENTS, "web", lambda status: bool(status.get("conditions")))
        [first] = await replica_sets(c)
        await c.client.delete(DEPLOYMENTS, "web", "default", propagation="Orphan")
        document = first.document()
        document["metadata"] = {"name": first.name, "namespace": "default", "labels": {"foreign": "yes"}}
        document["spec"]["selector"] = {"matchLabels": {"foreign": "yes"}}
        document["spec"]["template"]["metadata"]["labels"] = {"foreign": "yes"}
        await c.client.patch(DEPLOYMENTS, "web", "default", {"metadata": {"finalizers": None}}, patch_type="merge")
        await c.client.delete(REPLICA_SETS, first.name, "default")
        await c.client.create(REPLICA_SETS, document)

        await c.client.create(DEPLOYMENTS, deployment("web", 1))
        await until_status(c, DEPLOYMENTS, "web", lambda status: bool(status.get("conditions")))

        names = {one.name for one in await replica_sets(c)}
        assert len(names) == 2
        assert first.name in names
        assert (await read(c, DEPLOYMENTS, "web")).status["collisionCount"] == 1


@on_virtual_time
async def test_deployments_2_a_rolling_update_keeps_its_bounds() -> None:
    async with workloads() as c:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
        await c.client.create(DEPLOYMENTS, deployment("web", 4, strategy=strategy))
        await until_rolled_out(c, "web", 4)
        counts: list[tuple[int, int]] = []
        c.of(PODS).add_handler(lambda _: counts.append((len(pods_of(c, "web")), running(c, "web"))))
        counts.clear()

        await change(c, DEPLOYMENTS, "web", image("nginx:2"))
        await until_rolled_out(c, "web", 4)
        await c.until(lambda: images(c, "web") == {"nginx:2"})

        assert max(total for total, _ in counts) <= 5
        assert min(ready for _, ready in counts) >= 3
        old, new = await replica_sets(c)
        assert (old.replicas, new.replicas) == (0, 4)
        assert (await read(c, DEPLOYMENTS, "web")).annotations[REVISION] == "2"


@on_virtual_time
async def test_deployments_2_events_tell_how_replica_sets_are_scaled() -> None:
    async with workloads() as c:
        await c.client.create(DEPLOYMENTS, deployment("web", 1))
        await until_rolled_out(c, "web", 1)
        await change(c, DEPLOYMENTS, "web", image("nginx:2"))
        await until_rolled_out(c, "web", 1)
        old, new = [one.name for one in await replica_sets(c)]
        await c.until(lambda: len(told(c, "Deployment")) == 3)

        assert told(c, "Deployment") == [
            ("ScalingReplicaSet", f"Scaled up replica set {old} from 0 to 1"),
            ("ScalingReplicaSet", f"Scaled up replica set {new} from 0 to 1"),
            ("ScalingReplicaSet", f"Scaled down replica set {old} from 1 to 0"),
        ]


@on_virtual_time
async def test_deployments_2_recreate_ends_the_old_pods_first() -> None:
    async with workloads() as c:
        await c.client.create(DEPLOYMENTS, deployment("web", 2, strategy={"type": "Recreate"}))
        await until_rolled_out(c, "web", 2)
        seen: list[set[str]] = []
        c.of(PODS).add_handler(lambda _: seen.append(images(c, "web")))

        await change(c, DEPLOYMENTS, "web", image("nginx:2"))
        await until_rolled_out(c, "web", 2)
        await c.until(lambda: images(c, "web") == {"nginx:2"})

        assert {"nginx:1", "nginx:2"} not in seen
        assert len(await replica_sets(c)) == 2


@on_virtual_time
async def test_deployments_2_undo_goes_back_to_the_old_replica_set() -> None:
    async with workloads() as c:
        await c.client.create(DEPLOYMENTS, deployment("web", 1))
        await until_rolled_out(c, "web", 1)
        await change(c, DEPLOYMENTS, "web", image("nginx:2"))
        await until_rolled_out(c, "web", 1)
        await c.until(lambda: images(c, "web") == {"nginx:2"})
        before = {one.name for one in await replica_sets(c)}

        await change(c, DEPLOYMENTS, "web", image("nginx:1"))
        await c.until(lambda: images(c, "web") == {"nginx:1"})
        await until_rolled_out(c, "web", 1)

        after = await replica_sets(c)
        assert {one.name for one in after} == before
        assert [one.annotations[REVISION] for one in after] == ["2", "3"]
        assert after[-1].annotations["deployment.kubernetes.io/revision-history"] == "1"
        assert (await read(c, DEPLOYMENTS, "web")).annotations[REVISION] == "3"


@on_virtual_time
async def test_deployments_2_a_paused_deployment_is_scaled_but_not_rolled() -> None:
    async with workloads() as c:
        await c.client.create(DEPLOYMENTS, deployment("web", 1))
        await until_rolled_out(c, "web", 1)
        await change(c, DEPLOYMENTS, "web", {"spec": {"paused": True}})
        status = await until_status(
            c,
            DEPLOYMENTS,
            "web",
            lambda status: progress(status) == "DeploymentPaused",
        )
        assert conditions(status)["Progressing"][0] == "Unknown"

        await change(c, DEPLOYMENTS, "web", {"spec": {**image("nginx:2")["spec"], "replicas": 2}})
        await c.until(lambda: running(c, "web") == 2)
        await c.settle()
        assert images(c, "web") == {"nginx:1"}

        await change(c, DEPLOYMENTS, "web", {"spec": {"paused": False}})
        await c.until(lambda: images(c, "web") == {"nginx:2"})
        status = await until_status(
            c,
            DEPLOYMENTS,
            "web",
            lambda status: progress(status) == "NewReplicaSetAvailable",
        )


@on_virtual_time
async def test_deployments_2_replica_sets_go_with_their_deployment() -> None:
    async with workloads() as c:
        await c.client.create(DEPLOYMENTS, deployment("web", 2))
        await until_rolled_out(c, "web", 2)
        await c.client.delete(DEPLOYMENTS, "web", "default")

        await c.until(lambda: len(c.of(PODS)) == 0)
        assert await replica_sets(c) == []


@on_virtual_time
async def test_deployments_3_old_replica_sets_beyond_the_limit_go() -> None:
    async with workloads() as c:
        await c.client.create(DEPLOYMENTS, deployment("web", 1, revisionHistoryLimit=1))
        for number in (1, 2, 3, 4):
            await change(c, DEPLOYMENTS, "web", image(f"nginx:{number}"))
            await c.until(lambda tag=number: images(c, "web") == {f"nginx:{tag}"})  # type: ignore[misc]
            await until_rolled_out(c, "web", 1)
        await c.settle()

        assert [one.annotations[REVISION] for one in await replica_sets(c)] == ["3", "4"]


@on_virtual_time
async def test_deployments_3_an_old_deployment_deletes_no_replica_set_of_the_new_one() -> None:
    async with workloads(DEPLOYING) as c:
        await c.client.create(DEPLOYMENTS, deployment("web", 1))
        await until_rolled_out(c, "web", 1)
        await change(c, DEPLOYMENTS, "web", image("nginx:2"))
        await c.until(lambda: images(c, "web") == {"nginx:2"})
        await until_rolled_out(c, "web", 1)
        await c.settle()
        controller = c.manager.controllers["deployment-controller"]
        document = (await read(c, DEPLOYMENTS, "web")).document()
        document["spec"]["revisionHistoryLimit"] = 0
        document["metadata"] |= {"generation": 1, "resourceVersion": "1"}
        stale = DEPLOYMENTS.parse(encode(document))
        controller._deployments._objects["default/web"] = stale  # type: ignore[attr-defined]
        controller._queue.add("default/web")  # type: ignore[attr-defined]
        await c.settle()

        assert len(await replica_sets(c)) == 2


@on_virtual_time
async def test_deployments_4_a_rollout_that_stands_still_is_called_late() -> None:
    async with workloads(ControllerOptions(controllers="deployment,replicaset")) as c:
        await c.client.create(DEPLOYMENTS, deployment("web", 1, progressDeadlineSeconds=30))

        status = await until_status(
            c, DEPLOYMENTS, "web", lambda status: conditions(status).get("Progressing", ("",))[0] == "False"
        )

        [one] = await replica_sets(c)
        late = f'ReplicaSet "{one.name}" has timed out progressing.'
        assert conditions(status)["Progressing"] == ("False", "ProgressDeadlineExceeded", late)
        assert conditions(status)["Available"][:2] == ("False", "MinimumReplicasUnavailable")
        assert status["unavailableReplicas"] == 1


@on_virtual_time
async def test_deployments_4_nothing_is_asked_while_nothing_happens() -> None:
    async with workloads() as c:
        await c.client.create(DEPLOYMENTS, deployment("web", 2))
        await until_rolled_out(c, "web", 2)
        await c.until(lambda: len(c.of(EVENTS)) == 11)
        await c.settle()
        before = len(c.line.seen)

        await c.client.create(DEPLOYMENTS, deployment("other", 0))
        await until_status(c, DEPLOYMENTS, "other", lambda status: bool(status.get("conditions")))
        await c.settle()

        assert not [one.path for one in c.line.seen[before:] if "/web" in one.path]
