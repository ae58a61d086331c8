"""The scheduler in small on a real API server, with the real binder beside it (SCHEDULER-1 to SCHEDULER-6)."""

from __future__ import annotations

from tests.controllers.cluster import Cluster, claim, cluster, fails, pod, storage_class, using, volume

from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.kubelet import create_node
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import ControllerDeclaration
from pvbinder.controllers.scheduler import Scheduler
from pvbinder.kube.kinds import CLAIMS, EVENTS, NODES, PODS, VOLUMES
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json, encode
from pvbinder.model.names import BOUND_BY_CONTROLLER, NO_PROVISIONER, SELECTED_NODE

WITH_BINDER = ControllerOptions(controllers="scheduler,persistentvolume-binder", enable_hostpath_provisioner=True)
ALONE = ControllerOptions(controllers="scheduler")


def scheduled(name: str, *volumes: Json, **spec: object) -> Json:
    """A pod of the default scheduler."""
    manifest = pod(name, *volumes)
    del manifest["spec"]["schedulerName"]
    manifest["spec"] |= spec
    return manifest


def delayed(name: str, provisioner: str = NO_PROVISIONER) -> Json:
    return storage_class(name, provisioner, volumeBindingMode="WaitForFirstConsumer")


def local(name: str, node: str, **spec: object) -> Json:
    """A volume that is a disk of a node."""
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
    return volume(name, storageClassName="local", nodeAffinity=affinity, **spec)


def scheduler(c: Cluster) -> Scheduler:
    found = c.manager.controllers["scheduler"]
    assert isinstance(found, Scheduler)
    return found


def events_of(c: Cluster, name: str) -> list[tuple[str, str]]:
    documents = [event.document() for event in c.of(EVENTS)]
    return [(one["reason"], one["message"]) for one in documents if one["involvedObject"]["name"] == name]


def node_of(c: Cluster, name: str) -> str:
    found = c.of(PODS).get(f"default/{name}")
    return found.node_name if found is not None else ""


def selected_node(c: Cluster) -> str | None:
    found = c.of(CLAIMS).get("default/data")
    return found.selected_node if found is not None else None


def has_failed(c: Cluster, name: str) -> bool:
    return any(reason == "FailedScheduling" for reason, _ in events_of(c, name))


async def test_scheduler_1_only_its_own_pods_get_a_node() -> None:
    async with cluster(ALONE) as c:
        await create_node(c.client, "node-1")
        await c.create(pod("foreign"), scheduled("gated", schedulingGates=[{"name": "wait"}]), scheduled("own"))

        await c.until(lambda: node_of(c, "own") == "node-1")
        await c.until(lambda: bool(events_of(c, "own")))
        await c.settle()

        assert events_of(c, "own") == [("Scheduled", "Successfully assigned default/own to node-1")]
        assert (node_of(c, "foreign"), node_of(c, "gated")) == ("", "")
        [condition] = c.of(PODS)["default/own"].document()["status"]["conditions"]
        assert (condition["type"], condition["status"]) == ("PodScheduled", "True")


async def test_scheduler_2_a_volume_is_reserved_for_one_claim_before_its_pod_is_placed() -> None:
    async with cluster(ALONE) as c:
        await create_node(c.client, "node-1")
        await c.create(delayed("local"), local("disk", "node-1"))
        await make_available(c, "disk")
        await c.create(claim("data", storageClassName="local"), claim("more", storageClassName="local"))
        await c.create(scheduled("one", using("data")), scheduled("two", using("more")))

        await c.until(lambda: bool(c.of(VOLUMES)["disk"].claim_key))
        await c.until(
            lambda: any(reason == "FailedScheduling" for each in ("one", "two") for reason, _ in events_of(c, each))
        )

        disk = c.of(VOLUMES)["disk"]
        assert disk.annotations[BOUND_BY_CONTROLLER] == "yes"
        assert disk.claim_uid == c.of(CLAIMS)[str(disk.claim_key)].uid
        assert (node_of(c, "one"), node_of(c, "two")) == ("", ""), "nobody binds here"
        assert c.line.asked("PUT", "/persistentvolumes/disk") == 1


async def test_scheduler_3_a_pod_gets_its_node_after_its_claims_are_bound() -> None:
    async with cluster(WITH_BINDER) as c:
        await create_node(c.client, "node-1")
        await create_node(c.client, "node-2")
        await c.create(delayed("local"), local("disk", "node-2"), claim("data", storageClassName="local"))
        await c.create(scheduled("web", using("data")))

        await c.until(lambda: node_of(c, "web") == "node-2")

        assert c.of(CLAIMS)["default/data"].phase == "Bound"
        assert c.of(CLAIMS)["default/data"].volume_name == "disk"
        assert c.of(CLAIMS)["default/data"].selected_node is None


async def test_a_claim_is_provisioned_on_the_chosen_node() -> None:
    async with cluster(WITH_BINDER) as c:
        await create_node(c.client, "node-1")
        await c.create(delayed("made", "kubernetes.io/host-path"), claim("data", storageClassName="made"))
        await c.create(scheduled("web", using("data")))

        await c.until(lambda: node_of(c, "web") == "node-1")

        bound = c.of(CLAIMS)["default/data"]
        assert (bound.phase, bound.selected_node) == ("Bound", "node-1")


async def test_scheduler_4_when_the_provisioner_gives_up_the_choice_is_made_anew() -> None:
    async with cluster(ALONE) as c:
        await create_node(c.client, "node-1")
        await create_node(c.client, "node-2")
        await c.create(delayed("made", "csi.example.com"), claim("data", storageClassName="made"))
        await c.create(scheduled("web", using("data")))
        await c.until(lambda: selected_node(c) == "node-1")

        document = c.of(CLAIMS)["default/data"].document()
        del document["metadata"]["annotations"][SELECTED_NODE]
        await c.client.replace(CLAIMS, document)

        await c.until(lambda: selected_node(c) == "node-2")
        message = 'running PreBind plugin "VolumeBinding": binding volumes: provisioning failed for PVC "data"'
        await c.until(lambda: ("FailedScheduling", message) in events_of(c, "web"))


async def test_scheduler_4_time_runs_out() -> None:
    def impatient(context: ControllerContext) -> Scheduler:
        return Scheduler(context, bind_timeout_seconds=0.05)

    known = (ControllerDeclaration("scheduler", "kube-scheduler", impatient),)
    async with cluster(ALONE, known) as c:
        await create_node(c.client, "node-1")
        await c.create(delayed("made", "csi.example.com"), claim("data", storageClassName="made"))
        await c.create(scheduled("web", using("data")))

        message = 'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded'
        await c.until(lambda: ("FailedScheduling", message) in events_of(c, "web"))


async def test_scheduler_5_the_same_failure_is_told_once() -> None:
    async with cluster(ALONE) as c:
        await c.create(scheduled("web", nodeSelector={"disk": "ssd"}))
        await c.until(lambda: bool(events_of(c, "web")))
        await create_node(c.client, "node-1")
        await c.until(lambda: len(events_of(c, "web")) == 2)
        for number in range(3):
            await c.create(delayed(f"unrelated-{number}"))
        await c.settle()

        message = (
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to "
            "deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        )
        assert events_of(c, "web")[-1] == ("FailedScheduling", message)
        assert c.line.asked("PATCH", "/pods/web/status") == len({message for _, message in events_of(c, "web")}) <= 3
        [condition] = [
            one for one in c.of(PODS)["default/web"].document()["status"]["conditions"] if one["type"] == "PodScheduled"
        ]
        assert (condition["status"], condition["reason"], condition["message"]) == ("False", "Unschedulable", message)


async def test_scheduler_6_what_helps_a_waiting_pod_wakes_it() -> None:
    async with cluster(WITH_BINDER) as c:
        await c.create(scheduled("web", using("data"), nodeSelector={"disk": "ssd"}))
        await c.until(lambda: bool(events_of(c, "web")))
        await create_node(c.client, "node-1")
        await c.create(claim("data", storageClassName="local"))
        await c.create(delayed("local"))
        await c.settle()
        assert node_of(c, "web") == ""

        node = c.of(NODES)["node-1"].document()
        node["metadata"]["labels"]["disk"] = "ssd"
        await c.client.replace(NODES, node)
        await c.create(local("disk", "node-1"))

        await c.until(lambda: node_of(c, "web") == "node-1")


async def test_scheduler_6_nothing_is_asked_while_nothing_happens() -> None:
    async with cluster(WITH_BINDER) as c:
        await create_node(c.client, "node-1")
        await c.create(scheduled("web", using("data")), scheduled("own"))
        await c.until(lambda: node_of(c, "own") != "" and bool(events_of(c, "web")) and bool(events_of(c, "own")))
        await c.settle()
        before = len(c.line.seen)

        node = c.of(NODES)["node-1"].document()
        node["status"]["conditions"][0]["message"] = "a heartbeat"
        await c.client.replace(NODES, node, subresource="status")
        await c.settle()

        assert len(c.line.seen) == before


async def test_a_claim_for_one_pod_goes_to_the_next_when_the_first_is_gone() -> None:
    modes = ["ReadWriteOncePod"]
    async with cluster(WITH_BINDER) as c:
        await create_node(c.client, "node-1")
        await c.create(volume("disk", accessModes=modes), claim("data", accessModes=modes))
        await c.create(scheduled("one", using("data")))
        await c.until(lambda: node_of(c, "one") == "node-1")
        await c.create(scheduled("two", using("data")))
        await c.until(lambda: bool(events_of(c, "two")))
        assert node_of(c, "two") == ""

        await c.client.delete(PODS, "one", "default", grace_seconds=0)

        await c.until(lambda: node_of(c, "two") == "node-1")


async def test_a_broken_line_delays_a_pod_only() -> None:
    async with cluster(WITH_BINDER) as c:
        await create_node(c.client, "node-1")
        c.line.before = fails(2, "POST", "/binding")
        await c.create(scheduled("web"))

        await c.until(lambda: node_of(c, "web") == "node-1")

        assert c.line.asked("POST", "/binding") == 3


async def test_an_assignment_whose_answer_got_lost_is_not_told_as_a_failure() -> None:
    async with cluster(WITH_BINDER) as c:
        await create_node(c.client, "node-1")
        c.line.after = fails(1, "POST", "/binding")
        await c.create(scheduled("web"))

        await c.until(lambda: node_of(c, "web") == "node-1")
        await c.settle()

        assert not [message for reason, message in events_of(c, "web") if reason == "FailedScheduling"]


async def test_a_pod_that_somebody_else_placed_meanwhile_is_left_to_them() -> None:
    async with cluster(ALONE) as c:
        await create_node(c.client, "node-1")

        def refuse_as_placed(request: Request) -> Answer | None:
            if not request.path.endswith("/binding"):
                return None
            status = {"kind": "Status", "code": 409, "reason": "Conflict", "message": "already assigned"}
            return Answer(409, encode(status)) if node_of(c, "web") == "node-1" else None

        c.line.after = fails(1, "POST", "/binding")
        c.line.before = refuse_as_placed
        await c.create(scheduled("web"))
        await c.until(lambda: node_of(c, "web") == "node-1")
        await c.settle()

        assert not has_failed(c, "web")


async def test_the_rows_of_its_statistics() -> None:
    async with cluster(ALONE) as c:
        await create_node(c.client, "node-1")
        await c.create(scheduled("own"), scheduled("web", nodeSelector={"disk": "ssd"}))
        await c.until(lambda: node_of(c, "own") != "" and bool(events_of(c, "web")))
        await c.settle()

        statistics = scheduler(c).statistics()
        assert (statistics.waiting, statistics.assumed, statistics.placed) == (1, 0, 1)
        assert [queue.name for queue in scheduler(c).queues()] == ["scheduler"]


async def make_available(c: Cluster, name: str) -> None:
    """Do the binder's part for a free volume."""
    await c.until(lambda: name in c.of(VOLUMES))
    document = c.of(VOLUMES)[name].document()
    document["status"] = {"phase": "Available"}
    await c.client.replace(VOLUMES, document, subresource="status")
