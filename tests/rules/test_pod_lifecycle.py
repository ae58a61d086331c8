"""What becomes of a pod on a node that we play: it waits, runs, ends and goes, and its status says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.rules.objects import SmallWorld, claim, claim_ref, volume

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Pod, parse_pod
from pvbinder.rules.node_expansion import with_finished_resize
from pvbinder.rules.pod_lifecycle import (
    EXIT_CODE,
    FINISH_AFTER,
    TERMINATION_MESSAGE,
    AnnotationError,
    PodAction,
    Remove,
    Report,
    Stay,
    decide_lifecycle,
    mount_problem,
    parse_finish_after,
)
from pvbinder.rules.pod_status import DEADLINE_MESSAGE, Address

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ADDRESS = Address("127.0.0.1", "10.244.0.7")


def pod(
    *, status: Json | None = None, annotations: dict[str, str] | None = None, meta: Json | None = None, **spec: Any
) -> Pod:
    metadata: Json = {"name": "web", "namespace": "shop", "uid": "u", "annotations": annotations, **(meta or {})}
    spec.setdefault("containers", [{"name": "main", "image": "busybox"}])
    return parse_pod(encode({"metadata": metadata, "spec": {"nodeName": "node-1", **spec}, "status": status or {}}))


def after(before: Pod, action: PodAction, **meta: Any) -> Pod:
    """The pod as the server has it after `action` was written."""
    assert isinstance(action, Report)
    document = before.document()
    document["status"] = action.status
    document["metadata"] |= meta
    return parse_pod(encode(document))


def started(**fields: Any) -> Pod:
    fresh = pod(**fields)
    return after(fresh, decide_lifecycle(fresh, None, ADDRESS, NOW))


def conditions(status: Json) -> dict[str, str]:
    return {one["type"]: one["status"] for one in status["conditions"]}


def seconds_later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


DELETED = {"deletionTimestamp": "2026-03-01T12:00:30Z", "deletionGracePeriodSeconds": 30}

# ------------------------------------------------------------------------------------------------ running


def test_a_pod_runs_with_one_report() -> None:
    report = decide_lifecycle(pod(), None, ADDRESS, NOW)

    assert isinstance(report, Report)
    status = report.status
    assert (report.phase, status["phase"], status["podIP"], status["hostIP"]) == (
        "Running",
        "Running",
        "10.244.0.7",
        "127.0.0.1",
    )
    assert conditions(status) == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }
    assert status["containerStatuses"] == [
        {
            "name": "main",
            "image": "busybox",
            "imageID": "",
            "state": {"running": {"startedAt": "2026-03-01T12:00:00Z"}},
            "lastState": {},
            "ready": True,
            "started": True,
            "restartCount": 0,
        }
    ]
    assert status["startTime"] == "2026-03-01T12:00:00Z"


def test_a_running_pod_is_left_alone() -> None:
    assert decide_lifecycle(started(), None, ADDRESS, seconds_later(3600)) == Stay()


def test_a_pod_on_the_host_s_network_has_the_host_s_address() -> None:
    assert started(hostNetwork=True).document()["status"]["podIP"] == "127.0.0.1"


def test_the_condition_that_the_scheduler_wrote_stays() -> None:
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}

    status = started(status={"conditions": [scheduled], "qosClass": "BestEffort"}).document()["status"]

    assert scheduled in status["conditions"]
    assert status["qosClass"] == "BestEffort"


def test_init_containers_are_done_and_sidecars_run() -> None:
    first = [{"name": "setup", "image": "i"}, {"name": "proxy", "image": "i", "restartPolicy": "Always"}]

    states = started(initContainers=first).document()["status"]["initContainerStatuses"]

    assert [list(one["state"]) for one in states] == [["terminated"], ["running"]]


def test_readiness_gates_keep_a_pod_from_being_ready_until_they_are_true() -> None:
    gates = {"readinessGates": [{"conditionType": "example.com/ok"}]}
    met = {"conditions": [{"type": "example.com/ok", "status": "True"}]}

    assert conditions(started(**gates).document()["status"])["Ready"] == "False"
    assert conditions(started(**gates, status=met).document()["status"])["Ready"] == "True"


# ------------------------------------------------------------------------------------------------ volumes


def test_a_pod_waits_for_its_volumes_and_says_so_once() -> None:
    waiting = pod()
    report = decide_lifecycle(waiting, "no volume", ADDRESS, NOW)

    assert isinstance(report, Report)
    assert report.phase == "Pending"
    assert report.status["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert decide_lifecycle(after(waiting, report), "no volume", ADDRESS, NOW) == Stay("no volume")
    assert isinstance(decide_lifecycle(after(waiting, report), None, ADDRESS, NOW), Report)


MOUNTS: dict[str, tuple[SmallWorld, str | None]] = {
    "the claim is missing": (
        SmallWorld(),
        'failed to fetch PVC from API server: persistentvolumeclaims "data" not found',
    ),
    "the claim is pending": (SmallWorld(claims=[claim("data")]), "PVC is not bound"),
    "the claim is going": (
        SmallWorld(claims=[claim("data", phase="Bound", volume_name="disk", is_deleting=True)]),
        "PVC is being deleted",
    ),
    "the volume is missing": (
        SmallWorld(claims=[claim("data", phase="Bound", volume_name="disk")]),
        'failed to fetch PV disk from API server: persistentvolumes "disk" not found',
    ),
    "the volume is another's": (
        SmallWorld(
            [volume("disk", claim_ref=claim_ref(claim("other")))],
            [claim("data", phase="Bound", volume_name="disk")],
        ),
        "PV disk is not bound to the PVC: its claimRef has uid 'uid-of-other'",
    ),
    "the volume is on another node": (
        SmallWorld(
            [
                volume(
                    "disk",
                    claim_ref=claim_ref(claim("data")),
                    node_affinity={
                        "required": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}
                            ]
                        }
                    },
                )
            ],
            [claim("data", phase="Bound", volume_name="disk")],
        ),
        'NodeAffinity check failed for volume "disk": no matching NodeSelectorTerms',
    ),
    "all is well": (
        SmallWorld(
            [volume("disk", claim_ref=claim_ref(claim("data")))], [claim("data", phase="Bound", volume_name="disk")]
        ),
        None,
    ),
}


@pytest.mark.parametrize(("world", "why"), MOUNTS.values(), ids=MOUNTS.keys())
def test_what_keeps_a_volume_from_being_mounted(world: SmallWorld, why: str | None) -> None:
    user = pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
    prefix = (
        "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process "
        "volumes=[v]: error processing PVC shop/data: "
    )

    assert mount_problem(user, {"zone": "a"}, world) == (prefix + why if why else None)


def test_a_claim_that_another_pod_owns_is_not_mounted() -> None:
    user = pod(volumes=[{"name": "v", "ephemeral": {"volumeClaimTemplate": {}}}])
    world = SmallWorld(claims=[claim("web-v", phase="Bound", volume_name="disk")])

    assert "was not created for pod shop/web (pod is not owner)" in (mount_problem(user, {}, world) or "")


# ------------------------------------------------------------------------------------------------ ending

SLEEPS = [{"name": "main", "image": "busybox", "command": ["sleep", "1"]}]
ENDS: dict[str, tuple[Json, dict[str, str], str]] = {  # spec, annotations, phase in the end
    "a script ends": ({"restartPolicy": "Never", "containers": SLEEPS}, {}, "Succeeded"),
    "a script ends, OnFailure": ({"restartPolicy": "OnFailure", "containers": SLEEPS}, {}, "Succeeded"),
    "Always runs": ({"containers": SLEEPS}, {FINISH_AFTER: "0s", EXIT_CODE: "1"}, "Running"),
    "Never, told to run": ({"restartPolicy": "Never", "containers": SLEEPS}, {FINISH_AFTER: "never"}, "Running"),
    "Never, told to end": ({"restartPolicy": "Never"}, {FINISH_AFTER: "0s"}, "Succeeded"),
    "Never, nothing is known of it": ({"restartPolicy": "Never"}, {}, "Running"),
    "Never, told to fail": ({"restartPolicy": "Never"}, {EXIT_CODE: "3"}, "Failed"),
    "OnFailure, told to fail": ({"restartPolicy": "OnFailure"}, {EXIT_CODE: "3"}, "Running"),
}


@pytest.mark.parametrize(("spec", "annotations", "phase"), ENDS.values(), ids=ENDS.keys())
def test_how_pods_end(spec: Json, annotations: dict[str, str], phase: str) -> None:
    fresh = pod(annotations=annotations, **spec)
    report = decide_lifecycle(fresh, None, ADDRESS, NOW)
    assert isinstance(report, Report)
    assert (report.phase, report.status["phase"]) == ("Running", "Running"), "each is seen running"

    later = decide_lifecycle(after(fresh, report), None, ADDRESS, seconds_later(10))

    if phase == "Running" and spec.get("restartPolicy") != "OnFailure":
        assert later == Stay()
    else:
        assert isinstance(later, Report)
        assert (later.phase, later.status["phase"]) == (phase, phase)


def ended(**fields: Any) -> Pod:
    running = started(**fields)
    return after(running, decide_lifecycle(running, None, ADDRESS, seconds_later(10)))


def test_a_failed_pod_tells_its_exit_code_and_message() -> None:
    annotations = {EXIT_CODE: "3", TERMINATION_MESSAGE: "disk full"}
    status = ended(restartPolicy="Never", annotations=annotations).document()["status"]

    state = status["containerStatuses"][0]["state"]["terminated"]
    assert (state["exitCode"], state["reason"], state["message"]) == (3, "Error", "disk full")
    assert status["message"] == "disk full"
    assert conditions(status)["Ready"] == "False"


def test_a_pod_that_fails_again_and_again_backs_off() -> None:
    crashing = ended(restartPolicy="OnFailure", annotations={EXIT_CODE: "1"})

    container = crashing.document()["status"]["containerStatuses"][0]
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert (container["restartCount"], container["lastState"]["terminated"]["exitCode"]) == (1, 1)
    assert (container["ready"], container["started"]) == (False, False)
    told = conditions(crashing.document()["status"])
    assert (told["Ready"], told["ContainersReady"]) == ("False", "False")
    assert decide_lifecycle(crashing, None, ADDRESS, seconds_later(60)) == Stay()


def test_a_pod_that_runs_for_a_while_ends_then() -> None:
    running = pod(restartPolicy="Never", annotations={FINISH_AFTER: "1m30s"})
    report = decide_lifecycle(running, None, ADDRESS, NOW)

    assert isinstance(report, Report)
    assert report.look_again_after == 90
    running = after(running, report)
    assert decide_lifecycle(running, None, ADDRESS, seconds_later(60)) == Stay(look_again_after=30)
    last = decide_lifecycle(running, None, ADDRESS, seconds_later(90))
    assert isinstance(last, Report)
    assert last.phase == "Succeeded"


def test_what_we_remember_of_the_start_is_finer_than_the_status() -> None:
    running = started(restartPolicy="Never", annotations={FINISH_AFTER: "2s"})

    assert decide_lifecycle(running, None, ADDRESS, seconds_later(2), seconds_later(0.5)) == Stay(look_again_after=0.5)


def test_a_deadline_ends_a_pod_that_runs_or_waits() -> None:
    running = started(activeDeadlineSeconds=60)
    waiting = pod(activeDeadlineSeconds=60)
    first = decide_lifecycle(waiting, "no volume", ADDRESS, NOW)
    assert isinstance(first, Report)
    assert first.look_again_after == 60

    for late in (running, after(waiting, first)):
        report = decide_lifecycle(late, "no volume", ADDRESS, seconds_later(60))
        assert isinstance(report, Report)
        assert (report.phase, report.status["reason"], report.status["message"]) == (
            "Failed",
            "DeadlineExceeded",
            DEADLINE_MESSAGE,
        )
        told = conditions(report.status)
        assert (told["Ready"], told["ContainersReady"]) == ("False", "False")
        container = report.status["containerStatuses"][0]
        assert (container["ready"], container["started"], container["state"]["terminated"]["exitCode"]) == (
            False,
            False,
            137,
        )


def test_a_pod_that_is_over_is_left_alone() -> None:
    assert decide_lifecycle(pod(status={"phase": "Succeeded"}), "gone", ADDRESS, NOW) == Stay()


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("90s", 90), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("never", None)]
)
def test_times_are_written_as_in_go(text: str, seconds: float | None) -> None:
    assert parse_finish_after(text) == (timedelta(seconds=seconds) if seconds is not None else None)


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1s ", "1d", "1e9s", "9" * 50 + "s"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(AnnotationError):
        parse_finish_after(text)


@pytest.mark.parametrize(
    "annotations", [{EXIT_CODE: "256"}, {EXIT_CODE: "-1"}, {EXIT_CODE: "no"}, {EXIT_CODE: "٣"}, {FINISH_AFTER: "soon"}]
)
def test_annotations_that_mean_nothing_stop_the_pod_with_a_message(annotations: dict[str, str]) -> None:
    action = decide_lifecycle(pod(restartPolicy="Never", annotations=annotations), None, ADDRESS, NOW)

    assert isinstance(action, Stay)
    assert next(iter(annotations)) in (action.problem or "")


# ------------------------------------------------------------------------------------------------ going


def test_a_deleted_pod_is_told_ended_and_goes() -> None:
    running = started()
    deleted = after(running, Report(running.document()["status"], "Running"), **DELETED)

    report = decide_lifecycle(deleted, None, ADDRESS, NOW)

    assert isinstance(report, Report)
    assert (report.phase, conditions(report.status)["Ready"]) == ("Succeeded", "False")
    state = report.status["containerStatuses"][0]["state"]["terminated"]
    assert (state["exitCode"], state["reason"]) == (0, "Completed")
    assert decide_lifecycle(after(deleted, report), None, ADDRESS, NOW) == Remove()
    assert decide_lifecycle(pod(meta=DELETED), None, ADDRESS, NOW) == Remove(), "it never ran"


def test_a_deleted_pod_that_would_fail_is_told_failed() -> None:
    running = started(annotations={EXIT_CODE: "143"})
    deleted = after(running, Report(running.document()["status"], "Running"), **DELETED)

    report = decide_lifecycle(deleted, None, ADDRESS, NOW)

    assert isinstance(report, Report)
    assert report.phase == "Failed"
    assert report.status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 143


def test_a_deleted_pod_that_somebody_holds_is_told_ended_first() -> None:
    running = started()
    held = after(running, Report(running.document()["status"], "Running"), **DELETED, finalizers=["example.com/keep"])

    report = decide_lifecycle(held, None, ADDRESS, NOW)

    assert isinstance(report, Report)
    assert report.phase == "Succeeded"
    over = after(held, report)
    assert not over.has_running_container
    assert decide_lifecycle(over, None, ADDRESS, NOW) == Remove()
    shut_down = after(over, Report(over.document()["status"], "Succeeded"), deletionGracePeriodSeconds=0)
    assert decide_lifecycle(shut_down, None, ADDRESS, NOW) == Stay()


# ------------------------------------------------------------------------------------------------ growing


def test_a_file_system_that_waits_for_its_node_is_grown() -> None:
    """EX-11, RS-12"""
    pending = {"type": "FileSystemResizePending", "status": "True"}
    grown = claim(
        "data",
        phase="Bound",
        volume_name="disk",
        status={
            "capacity": {"storage": "1Gi"},
            "conditions": [{"type": "Unused", "status": "False"}, pending, {"type": "Resizing", "status": "True"}],
            "allocatedResources": {"storage": "10Gi"},
            "allocatedResourceStatuses": {"storage": "NodeResizePending"},
        },
    )

    document = with_finished_resize(grown, volume("disk", claim_ref=claim_ref(grown)))

    assert document is not None
    assert document["status"] == {
        "phase": "Bound",
        "capacity": {"storage": "10Gi"},
        "conditions": [{"type": "Unused", "status": "False"}],
        "allocatedResources": {"storage": "10Gi"},
    }
    assert with_finished_resize(grown, volume("disk", claim_ref=claim_ref(claim("other")))) is None
    assert with_finished_resize(claim("data"), volume("disk", claim_ref=claim_ref(grown))) is None
    before = volume("disk", capacity="1Gi", claim_ref=claim_ref(grown))  # the news that it has grown isn't here yet
    assert with_finished_resize(grown, before) is None
