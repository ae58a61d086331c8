"""The kubelet in small on a real API server (KUBELET-1 to KUBELET-7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.controllers.cluster import Cluster, claim, cluster, fails, pod, using, volume

from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.kubelet import KUBELET_ANNOTATION, Kubelet, create_node
from pvbinder.controllers.kubelet.addresses import PodAddresses
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import ControllerDeclaration
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import CLAIMS, EVENTS, NODES, PODS, VOLUMES
from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Claim, Pod, PodKey, parse_pod
from pvbinder.rules.pod_lifecycle import EXIT_CODE, FINISH_AFTER

ALONE = ControllerOptions(controllers="kubelet")
SCRIPT: Json = {"name": "c", "image": "i", "command": ["sh", "-c", "echo done"]}
WITH_BINDER = ControllerOptions(controllers="kubelet,persistentvolume-binder")


def on_node(name: str, *volumes: Json, annotations: dict[str, str] | None = None, **spec: object) -> Json:
    manifest = pod(name, *volumes, node="node-1")
    manifest["spec"] |= spec
    if annotations:
        manifest["metadata"]["annotations"] = annotations
    return manifest


def phase(c: Cluster, name: str) -> str:
    found = c.of(PODS).get(f"default/{name}")
    return found.phase if found is not None else "gone"


def problems(c: Cluster) -> list[str]:
    documents = [event.document() for event in c.of(EVENTS)]
    return [one["message"] for one in documents if one["reason"] == "FailedMount"]


def conditions(document: Json) -> dict[str, str]:
    return {one["type"]: one["status"] for one in document["status"]["conditions"]}


async def test_kubelet_1_a_pod_runs_when_its_claims_are_bound() -> None:
    async with cluster(WITH_BINDER) as c:
        await create_node(c.client, "node-1")
        await c.create(on_node("web", using("data")))
        await c.until(lambda: len(problems(c)) == 1)
        assert phase(c, "web") == "Pending"
        await c.create(claim("data"))
        await c.until(lambda: len(problems(c)) == 2)
        await c.create(volume("disk"))

        await c.until(lambda: phase(c, "web") == "Running")

        start = "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], "
        start += "failed to process volumes=[data]: error processing PVC default/data: "
        assert problems(c) == [
            f'{start}failed to fetch PVC from API server: persistentvolumeclaims "data" not found',
            f"{start}PVC is not bound",
        ]
        assert conditions(c.of(PODS)["default/web"].document())["Ready"] == "True"


async def test_kubelet_2_a_pod_that_starts_or_ends_costs_one_write() -> None:
    async with cluster(ALONE) as c:
        seen: list[str] = []
        c.of(PODS).add_handler(lambda change: seen.append(f"{change.object.name} {change.object.phase}"))
        await create_node(c.client, "node-1")
        await c.create(on_node("web"), on_node("job", restartPolicy="Never", containers=[SCRIPT]))
        await c.until(lambda: (phase(c, "web"), phase(c, "job")) == ("Running", "Succeeded"))
        await c.settle()

        assert c.line.asked("PUT", "/pods/web/status") == 1
        assert c.line.asked("PUT", "/pods/job/status") == 2
        assert [one for one in seen if one.startswith("job")] == ["job Pending", "job Running", "job Succeeded"]


@pytest.mark.parametrize(("annotations", "ends"), [({EXIT_CODE: "1"}, "Failed"), ({FINISH_AFTER: "never"}, "Running")])
async def test_annotations_say_how_a_pod_ends(annotations: dict[str, str], ends: str) -> None:
    async with cluster(ALONE) as c:
        await create_node(c.client, "node-1")
        await c.create(on_node("job", annotations=annotations, restartPolicy="Never"))

        await c.until(lambda: phase(c, "job") == ends)
        await c.settle()

        assert phase(c, "job") == ends


async def test_a_pod_that_runs_for_a_while_ends_by_itself() -> None:
    async with cluster(ALONE) as c:
        await create_node(c.client, "node-1")
        await c.create(on_node("job", annotations={FINISH_AFTER: "50ms"}, restartPolicy="Never"))

        await c.until(lambda: phase(c, "job") == "Succeeded")


async def test_an_annotation_that_means_nothing_is_told() -> None:
    async with cluster(ALONE) as c:
        await create_node(c.client, "node-1")
        await c.create(on_node("job", annotations={EXIT_CODE: "many"}, restartPolicy="Never"))

        await c.until(lambda: problems(c) == ["pvbinder.io/exit-code: 'many' is no number from 0 to 255"])


async def test_kubelet_3_a_deleted_pod_goes_at_once() -> None:
    async with cluster(ALONE) as c:
        await create_node(c.client, "node-1")
        await c.create(on_node("web"))
        await c.until(lambda: phase(c, "web") == "Running")

        await c.client.delete(PODS, "web", "default")

        await c.until(lambda: phase(c, "web") == "gone")


async def test_kubelet_3_what_was_last_seen_of_a_pod_is_its_end() -> None:
    async with cluster(ALONE) as c:
        last: list[Pod] = []
        c.of(PODS).add_handler(lambda change: last.append(change.object))
        await create_node(c.client, "node-1")
        await c.create(on_node("web"))
        await c.until(lambda: phase(c, "web") == "Running")

        await c.client.delete(PODS, "web", "default")
        await c.until(lambda: phase(c, "web") == "gone")

        status = last[-1].document()["status"]
        assert (status["phase"], conditions({"status": status})["Ready"]) == ("Succeeded", "False")
        assert [set(one["state"]) for one in status["containerStatuses"]] == [{"terminated"}]


async def test_kubelet_7_events_tell_what_happened_to_each_container() -> None:
    async with cluster(ALONE) as c:
        await create_node(c.client, "node-1")
        containers = [{"name": "web", "image": "nginx:1"}, {"name": "logs", "image": "fluent:2"}]
        await c.create(on_node("web", containers=containers))
        await c.until(lambda: phase(c, "web") == "Running")
        await c.client.delete(PODS, "web", "default")
        await c.until(lambda: len(c.of(EVENTS)) == 8)

        found = [event.document() for event in c.of(EVENTS)]
        told = sorted((one["involvedObject"]["fieldPath"], one["reason"], one["message"]) for one in found)
        pulled = "already present on machine and can be accessed by the pod"
        assert told == sorted(
            (f"spec.containers{{{name}}}", reason, message)
            for name, image in (("web", "nginx:1"), ("logs", "fluent:2"))
            for reason, message in (
                ("Pulled", f'Container image "{image}" {pulled}'),
                ("Created", "Container created"),
                ("Started", "Container started"),
                ("Killing", f"Stopping container {name}"),
            )
        )
        assert {(one["source"]["component"], one["source"]["host"]) for one in found} == {("kubelet", "node-1")}
        assert {one["type"] for one in found} == {"Normal"}


async def test_kubelet_3_a_pod_that_somebody_holds_is_told_ended() -> None:
    async with cluster(ALONE) as c:
        await create_node(c.client, "node-1")
        manifest = on_node("web")
        manifest["metadata"]["finalizers"] = ["example.com/keep"]
        await c.create(manifest)
        await c.until(lambda: phase(c, "web") == "Running")

        await c.client.delete(PODS, "web", "default")

        await c.until(lambda: c.of(PODS)["default/web"].is_shut_down)
        held = c.of(PODS)["default/web"]
        assert held.is_terminated
        assert not held.has_running_container
        document = held.document()
        document["metadata"]["finalizers"] = []
        await c.client.replace(PODS, document)
        await c.until(lambda: phase(c, "web") == "gone")


async def test_kubelet_4_a_node_without_a_status_becomes_ready() -> None:
    async with cluster(ALONE) as c:
        await c.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "bare"}})

        await c.until(lambda: "bare" in c.of(NODES) and conditions_of(c, "bare").get("Ready") == "True")
        await c.until(lambda: not c.of(NODES)["bare"].document()["spec"].get("taints"))

        status = c.of(NODES)["bare"].document()["status"]
        assert status["allocatable"]["pods"] == "110"
        assert status["nodeInfo"]["kubeletVersion"].startswith("v1.36")


async def test_kubelet_4_named_nodes_are_created() -> None:
    known = (
        ControllerDeclaration("kubelet", "kubelet", lambda context: Kubelet(context, create_nodes=["one", "two"])),
    )
    async with cluster(ALONE, known) as c:
        await c.until(lambda: sorted(c.of(NODES).keys()) == ["one", "two"])

        assert c.of(NODES)["one"].labels["kubernetes.io/hostname"] == "one"


async def test_a_node_that_says_itself_whether_it_is_ready_is_left_alone() -> None:
    async with cluster(ALONE) as c:
        sick: Json = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "sick"}}
        sick["metadata"]["annotations"] = {KUBELET_ANNOTATION: "none"}
        await c.create(sick)
        await c.create(pod("web", node="sick"))
        await c.until(lambda: "default/web" in c.of(PODS))
        await c.settle()

        assert conditions_of(c, "sick") == {}
        assert phase(c, "web") == "Pending"


async def test_create_node_leaves_a_node_that_is_there() -> None:
    async with cluster(ControllerOptions(controllers="")) as c:
        first = await create_node(c.client, "node-1", labels={"zone": "a"})
        second = await create_node(c.client, "node-1", labels={"zone": "b"})

        assert (second.uid, second.resource_version, second.labels["zone"]) == (first.uid, first.resource_version, "a")


async def test_kubelet_5_a_volume_that_has_grown_is_grown_on_the_node() -> None:
    async with cluster(WITH_BINDER) as c:
        await create_node(c.client, "node-1")
        await c.create(volume("disk"), claim("data"))
        await c.until(lambda: any(one.phase == "Bound" for one in c.of(CLAIMS)))
        grown = c.of(VOLUMES)["disk"].document()
        grown["spec"]["capacity"]["storage"] = "2Gi"
        await c.client.replace(VOLUMES, grown)
        document = bound(c).document()
        document["status"]["conditions"] = [{"type": "FileSystemResizePending", "status": "True"}]
        document["status"]["allocatedResourceStatuses"] = {"storage": "NodeResizePending"}
        await c.client.replace(CLAIMS, document, subresource="status")
        await c.settle()
        assert str(bound(c).status_capacity) == "1Gi", "no pod has it mounted"

        await c.create(on_node("web", using("data")))

        await c.until(lambda: str(bound(c).status_capacity) == "2Gi")
        status = bound(c).document()["status"]
        assert "conditions" not in status
        assert "allocatedResourceStatuses" not in status


async def test_kubelet_5_a_claim_that_is_ahead_of_its_volume_waits_for_it() -> None:
    async with cluster(WITH_BINDER) as c:
        await create_node(c.client, "node-1")
        await c.create(volume("disk"), claim("data"), on_node("web", using("data")))
        await c.until(lambda: phase(c, "web") == "Running")
        document = bound(c).document()
        document["status"]["conditions"] = [{"type": "FileSystemResizePending", "status": "True"}]
        document["status"]["allocatedResources"] = {"storage": "2Gi"}
        await c.client.replace(CLAIMS, document, subresource="status")
        await c.settle()
        assert str(bound(c).status_capacity) == "1Gi"

        grown = c.of(VOLUMES)["disk"].document()
        grown["spec"]["capacity"]["storage"] = "2Gi"
        await c.client.replace(VOLUMES, grown)

        await c.until(lambda: str(bound(c).status_capacity) == "2Gi")


async def test_kubelet_6_nothing_is_asked_while_nothing_happens() -> None:
    async with cluster(WITH_BINDER) as c:
        await create_node(c.client, "node-1")
        await c.create(on_node("web"), on_node("stuck", using("data")))
        await c.until(lambda: phase(c, "web") == "Running" and bool(problems(c)))
        await c.settle()
        await c.until(lambda: len(c.of(EVENTS)) == 4)  # a mount that failed, a container that started
        before = len(c.line.seen)

        await c.create(volume("unrelated"))
        await c.until(lambda: any(one.name == "unrelated" and one.phase == "Available" for one in c.of(VOLUMES)))
        await c.settle()

        assert len(c.line.seen) == before + 1, "the binder's write of the phase"


async def test_a_deadline_that_passes_while_the_pod_waits_ends_it() -> None:
    clock = [datetime.now(UTC)]

    def kubelet_with_clock(context: ControllerContext) -> Kubelet:
        return Kubelet(context, now=lambda: clock[0])

    known = (ControllerDeclaration("kubelet", "kubelet", kubelet_with_clock),)
    async with cluster(ALONE, known) as c:
        await create_node(c.client, "node-1")
        await c.create(on_node("recycler", using("data"), restartPolicy="Never", activeDeadlineSeconds=60))
        await c.until(lambda: bool(problems(c)))
        clock[0] += timedelta(hours=1)
        await c.create(claim("data"))  # anything that wakes it

        await c.until(lambda: phase(c, "recycler") == "Failed")
        assert c.of(PODS)["default/recycler"].message == "Pod was active on the node longer than the specified deadline"


async def test_a_broken_line_delays_a_pod_only() -> None:
    async with cluster(ALONE) as c:
        await create_node(c.client, "node-1")
        c.line.before = fails(3, "PUT", "/status")
        await c.create(on_node("web"))

        await c.until(lambda: phase(c, "web") == "Running")


async def test_pods_on_nodes_that_are_not_there_are_left_alone() -> None:
    async with cluster(ALONE) as c:
        await c.create(pod("web", node="nowhere"))
        await c.until(lambda: "default/web" in c.of(PODS))
        await c.settle()
        assert phase(c, "web") == "Pending"

        await create_node(c.client, "nowhere")

        await c.until(lambda: phase(c, "web") == "Running")
        with pytest.raises(ApiFailure):
            await c.client.get(PODS, "other", "default")


def test_addresses_are_given_once_and_given_back() -> None:
    addresses = PodAddresses()
    running = {"metadata": {"name": "old", "namespace": "a"}, "spec": {}}
    addresses.keep(view(running | {"status": {"phase": "Running", "podIP": "10.244.0.1"}}))

    first, second = addresses.of(PodKey("a/one")), addresses.of(PodKey("a/two"))

    assert (first, second) == ("10.244.0.2", "10.244.0.3")
    assert addresses.of(PodKey("a/one")) == first
    addresses.release(PodKey("a/one"))
    assert addresses.of(PodKey("a/three")) == "10.244.0.4"


def view(document: Json) -> Pod:
    return parse_pod(encode(document))


def bound(c: Cluster) -> Claim:
    return c.of(CLAIMS)["default/data"]


def conditions_of(c: Cluster, node: str) -> dict[str, str]:
    document = c.of(NODES)[node].document()
    return {one["type"]: one["status"] for one in (document.get("status") or {}).get("conditions") or []}
