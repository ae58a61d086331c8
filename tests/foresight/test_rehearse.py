"""What happens to a copy: its steps, its controllers, its stand-ins, and what is told of them."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.foresight.worlds import (
    MONDAY,
    after,
    claim,
    csi_node,
    delayed,
    namespaced,
    node,
    pod,
    prepared,
    rehearse,
    sourced,
    stateful_set,
    storage_class,
    volume,
)

from pvbinder.controllers.options import ControllerOptions
from pvbinder.foresight.plugins import harmless_plugins
from pvbinder.foresight.preparing import prepare
from pvbinder.foresight.rehearsal import SETTLE_SECONDS_MAX, rehearsal, run_rehearsal
from pvbinder.foresight.steps import StepError
from pvbinder.model.json import Json, encode
from pvbinder.model.objects import parse_volume
from pvbinder.volumes.catalogue import Catalogue
from pvbinder.volumes.loading import in_tree_plugins

SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
TWO_ZONES = [SHOP, delayed(), node("a1", "a"), csi_node("a1"), node("b1", "b"), csi_node("b1")]


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Neither sockets nor temporary files: only the loop's own pair is made."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was bound or connected")

    for name in ("bind", "connect", "connect_ex", "listen"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def test_rehearsal_1_nothing_is_touched(sealed: Path) -> None:
    directory = sealed / "kept"
    directory.mkdir()
    disk = volume("disk-7", hostPath={"path": f"/tmp{directory}"}, persistentVolumeReclaimPolicy="Delete")

    done = rehearse([SHOP, disk, claim("a")], "delete pvc/a -n shop")

    assert after(done, "disk-7") == "gone"
    assert directory.is_dir()
    directory.rmdir()


def test_rehearsal_2_pods_run_where_their_storage_is() -> None:
    done = rehearse(TWO_ZONES, "apply -f db.yaml", files={"db.yaml": [stateful_set(replicas=2)]})

    assert after(done, "shop/data-db-0").startswith("Bound pvc-")
    assert {after(done, "shop/db-0"), after(done, "shop/db-1")} == {"Running a1", "Running b1"}
    assert done.is_well


def test_rehearsal_3_what_cannot_be_loaded_is_left_out() -> None:
    done = rehearse([SHOP, volume("disk-7"), claim("odd", accessModes=["Odd"]), claim("a")], "wait 1s")

    assert any("odd" in note and "Odd" in note for note in done.notes)
    assert [one.name for one in done.anyway if one.kind == "PersistentVolumeClaim"] == ["shop/a"]


def test_rehearsal_4_settling_ends_when_nothing_changes() -> None:
    async def run() -> tuple[float, bool]:
        async with rehearsal(prepared(SHOP, volume("disk-7"), claim("a", "1Ti"))) as copy:
            await copy.settle()
            return copy.now, copy.has_settled

    seconds, has_settled = run_rehearsal(run)
    assert has_settled
    assert seconds < SETTLE_SECONDS_MAX


def test_rehearsal_4_settling_ends_though_something_always_changes() -> None:
    cron = namespaced(
        "CronJob",
        "tick",
        {
            "schedule": "* * * * *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "metadata": {"annotations": {"pvbinder.io/finish-after": "1s"}},
                        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
                    }
                }
            },
        },
        "batch/v1",
    )
    done = rehearse([SHOP, node("w1"), cron], "wait 5m")

    assert done.seconds < 300 + 2 * SETTLE_SECONDS_MAX


def test_rehearse_1_what_happens_anyway_is_told_apart() -> None:
    done = rehearse([SHOP, volume("disk-7"), claim("a")], "wait 1h")

    assert {one.name for one in done.anyway} == {"disk-7", "shop/a"}
    assert done.differences == ()
    assert done.seconds >= 3600


def test_rehearse_2_a_refused_step_does_not_end_it() -> None:
    done = rehearse(
        [SHOP, volume("disk-7"), claim("a")],
        "apply -f odd.yaml",
        "delete pvc/a -n shop",
        files={"odd.yaml": [claim("odd", accessModes=["Odd"])]},
    )

    assert [len(step.refused) for step in done.steps] == [1, 0]
    assert after(done, "shop/a") == "gone"
    assert after(done, "disk-7") == "Released shop/a"
    assert not done.is_well


def test_rehearse_3_the_same_steps_give_the_same_answer() -> None:
    world = [SHOP, volume("disk-7"), volume("disk-9", "20Gi"), claim("a"), claim("b")]

    first, second = (rehearse(world, "delete pvc/a -n shop", "wait 1h") for _ in range(2))

    assert first == second


def test_acting_1_what_is_not_there_is_said_with_what_may_be_meant() -> None:
    with pytest.raises(StepError, match="no node 'w11'") as error:
        rehearse([node("w1")], "lose node/w11")
    assert error.value.hint == "did you mean w1?"
    for step in ("delete nothing/x", "delete pvc/x -n shop", "scale sts/x=1 -n shop", "lose zone=x", "drain w2"):
        with pytest.raises(StepError):
            rehearse([SHOP, node("w1")], step)


@pytest.mark.parametrize(
    ("step", "hint"),
    [
        ("delete pvc/orders", "there is shop/orders: name its namespace with -n"),
        ("delete pvc/order -n shop", "did you mean shop/orders?"),
        ("delete pv/disk7", "did you mean disk-7?"),
        ("delete pvc/zzz -n shop", None),
    ],
    ids=["another namespace", "nearly its name", "nearly a volume's name", "nothing like it"],
)
def test_acting_1_an_object_that_is_not_there_is_looked_for(step: str, hint: str | None) -> None:
    with pytest.raises(StepError, match="there is no Persistent") as error:
        rehearse([SHOP, volume("disk-7"), claim("orders")], step)
    assert error.value.hint == hint


def test_acting_1_a_deletion_and_a_change_of_scale() -> None:
    world = [*TWO_ZONES, stateful_set(replicas=1)]

    done = rehearse(world, "scale statefulset/db=3 -n shop", "delete storageclass/fast")

    assert sum(one.kind == "Pod" and one.before is None for one in done.differences) == 2
    assert done.is_well


def test_acting_2_a_lost_node_keeps_its_pods_terminating() -> None:
    world = [*TWO_ZONES, stateful_set(replicas=2)]

    done = rehearse(world, "lose zone=b")

    stuck = [one.name for one in done.differences if one.after is not None and one.after.phase == "Terminating"]
    assert len(stuck) == 1
    assert [one.reason for one in done.new_findings] == ["NodeIsSilent"]
    assert "delete node/b1" in done.steps[0].notes[0]


def test_acting_2_when_the_node_is_deleted_the_pod_is_made_again_and_waits_for_its_volume() -> None:
    done = rehearse([*TWO_ZONES, stateful_set(replicas=2)], "lose zone=b", "delete node/b1")

    waiting = [one.name for one in done.differences if one.after is not None and one.after.phase == "Pending"]
    assert len(waiting) == 1
    assert [one.reason for one in done.new_findings] == ["VolumeUnreachable"]
    assert not done.is_well


def test_acting_3_a_drain_evicts_what_may_be_evicted() -> None:
    budget = namespaced(
        "PodDisruptionBudget", "db", {"minAvailable": 1, "selector": {"matchLabels": {"app": "db"}}}, "policy/v1"
    )
    world = [SHOP, node("w1"), storage_class(), claim("a", storage_class="fast"), budget]

    done = rehearse([*world, pod("web", "a", node_name="w1"), pod("db", node_name="w1")], "drain node/w1")

    assert after(done, "shop/web") == "gone"
    assert [(one.object, one.status) for one in done.steps[0].refused] == [("Pod shop/db", 429)]
    assert "has no controller" in done.steps[0].notes[0]


def test_acting_4_a_restore_makes_what_is_missing() -> None:
    kept = volume("disk-7", claimRef={"namespace": "shop", "name": "a", "uid": "00000000-0000-4000-8000-000000000009"})
    bound = claim("a", volumeName="disk-7")
    bound["metadata"]["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
    gone = volume("pvc-1", storage_class="fast", csi={"driver": "d", "volumeHandle": "h"})
    gone["spec"]["persistentVolumeReclaimPolicy"] = "Delete"
    fresh = claim("b", storage_class="fast", volumeName="pvc-1")

    done = rehearse(
        [SHOP, storage_class(), node("w1"), claim("c", "1Ti")],
        "restore backup.yaml",
        files={"backup.yaml": [SHOP, bound, kept, fresh, gone, claim("c", "1Gi")]},
    )

    assert after(done, "shop/a") == "Bound disk-7"
    assert after(done, "shop/b").startswith("Bound pvc-")
    assert "2 objects" in done.steps[0].notes[0]
    assert not done.steps[0].refused


def test_harmless_1_no_directory_is_made(sealed: Path) -> None:
    options = ControllerOptions(enable_hostpath_provisioner=True)

    async def run() -> list[Json]:
        made = prepared(SHOP, storage_class("here", "kubernetes.io/host-path"), claim("a", storage_class="here"))
        async with rehearsal(made, options) as copy:
            await copy.settle()
            return copy.documents(["PersistentVolume"])

    (made,) = run_rehearsal(run)
    assert made["status"]["phase"] == "Bound"
    assert not Path(made["spec"]["hostPath"]["path"]).exists()
    assert sealed.exists()


def test_harmless_2_they_are_who_the_real_ones_are() -> None:
    real, harmless = Catalogue(in_tree_plugins()), harmless_plugins(provisioning=False)

    assert list(real) == list(harmless)
    assert [real.named(one.name) for one in real] == [harmless.named(one.name) for one in harmless]
    outside = parse_volume(encode(volume("v", hostPath={"path": "/etc"})))
    name = real.plugin_name_of(outside)
    assert harmless.deleter(name).delete(outside) == real.deleter(name).delete(outside)


def test_standin_1_a_volume_is_where_its_pod_is() -> None:
    done = rehearse([*TWO_ZONES[:-2], claim("a", storage_class="fast")], "apply -f p", files={"p": [pod("web", "a")]})

    assert after(done, "shop/a").startswith("Bound pvc-")
    made = [one for one in done.timeline if one.stand_in]
    assert [(one.what, one.rule, one.stand_in) for one in made] == [("volume provisioned", "LB-24", "d.example.com")]


def test_standin_1_a_volume_goes_with_its_claim() -> None:
    world = [SHOP, storage_class(), node("w1"), claim("a", storage_class="fast")]

    done = rehearse(world, "delete pvc/a -n shop")

    assert [one.after for one in done.differences] == [None, None]


def test_standin_1_a_claim_grows() -> None:
    world = [SHOP, storage_class(allowVolumeExpansion=True), node("w1"), claim("a", "5Gi", "fast")]
    driver = {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": "d.example.com"}, "spec": {}}

    async def run() -> Json:
        async with rehearsal(prepared(*world, driver)) as copy:
            await copy.settle()
            from pvbinder.foresight.applying import apply

            await apply(copy, sourced(claim("a", "7Gi", "fast")))
            await copy.settle()
            return copy.documents(["PersistentVolumeClaim"])[0]

    assert run_rehearsal(run)["spec"]["resources"]["requests"]["storage"] == "7Gi"


def test_standin_2_a_claim_whose_provisioner_fails_keeps_waiting() -> None:
    failing = claim("a", storage_class="fast")
    failing["metadata"]["uid"] = "00000000-0000-4000-8000-000000000001"
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "a.1", "namespace": "shop"},
        "involvedObject": {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "a"},
        "reason": "ProvisioningFailed",
        "message": "out of disks",
        "type": "Warning",
        "lastTimestamp": "2026-03-02T08:59:00Z",
    }

    done = rehearse([SHOP, storage_class(), node("w1"), failing, event], "wait 1h")

    assert all(one.after is not None and one.after.phase == "Pending" for one in (*done.anyway, *done.differences))


def test_standin_3_it_is_named_in_the_answer() -> None:
    done = rehearse([SHOP, storage_class(), claim("a", storage_class="fast")], "wait 1s")

    assert done.stand_ins == ("d.example.com",)


def test_differences_1_what_changed_is_named_claims_first() -> None:
    done = rehearse([SHOP, volume("disk-7"), claim("a")], "delete pvc/a -n shop")

    assert [(one.kind, one.name) for one in done.differences] == [
        ("PersistentVolumeClaim", "shop/a"),
        ("PersistentVolume", "disk-7"),
    ]


def test_differences_2_findings_come_and_go() -> None:
    world = [SHOP, volume("disk-7"), claim("a"), claim("b")]

    worse = rehearse(world, "delete pv/disk-7", "apply -f c", files={"c": [claim("c")]})
    better = rehearse(world, "apply -f v", files={"v": [volume("disk-9")]})

    assert {(one.object, one.reason) for one in worse.new_findings} == {
        ("PersistentVolumeClaim shop/a", "VolumeIsGoing"),
        ("PersistentVolumeClaim shop/c", "ClassMissing"),
    }
    assert [one.object for one in better.mended_findings] == ["PersistentVolumeClaim shop/b"]
    assert better.is_well


def test_differences_3_the_audits_findings_come_and_go() -> None:
    world = [SHOP, volume("disk-7"), claim("a"), claim("b")]

    worse = rehearse(world, "delete pvc/a -n shop")
    better = rehearse(world, "apply -f v", files={"v": [volume("disk-9")]})

    assert "PersistentVolume disk-7" in {one.object for one in worse.new_audit}
    assert "PersistentVolumeClaim shop/b" in {one.object for one in better.mended_audit}
    assert all(one.code.startswith("PVB") for one in (*worse.new_audit, *better.mended_audit))


def test_preparing_1_what_would_reach_out_is_left_out() -> None:
    hook = {"name": "a.example.com", "clientConfig": {"url": "https://hook.example.com"}}
    found = prepare(
        sourced(
            {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "data": {"a": "Yg=="}},
            {
                "kind": "ValidatingWebhookConfiguration",
                "apiVersion": "v1",
                "metadata": {"name": "w"},
                "webhooks": [hook],
            },
            claim("a"),
        ),
        read_at=MONDAY,
    )

    assert [one["kind"] for _, one in found.documents] == ["PersistentVolumeClaim"]
    assert found.notes[0].startswith("1 webhook of admission")


def test_preparing_2_a_dump_without_owners_and_nodes_ends_nothing() -> None:
    owned = pod("web", "a", node_name="w1")
    owned["metadata"]["ownerReferences"] = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "00000000-0000-4000-8000-000000000003"}
    ]
    owned["status"] = {"phase": "Running"}

    done = rehearse([SHOP, volume("disk-7"), claim("a"), owned], "wait 1h")

    assert not any(one.kind == "Pod" for one in (*done.anyway, *done.differences))
    assert any("no nodes" in note for note in done.notes)


def test_preparing_3_a_node_that_was_not_ready_stays_silent() -> None:
    silent = node("w1")
    silent["status"] = {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]}
    leaving = pod("web", node_name="w1")
    leaving["status"] = {"phase": "Running"}

    done = rehearse([SHOP, silent, leaving], "wait 1h")

    assert [one.after.phase for one in (*done.anyway, *done.differences) if one.after is not None] == ["Terminating"]


def test_preparing_4_only_the_last_event_counts() -> None:
    def event(reason: str, minute: int) -> Json:
        about = {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "a"}
        time = f"2026-03-02T08:{minute}:00Z"
        return {"kind": "Event", "reason": reason, "message": reason, "involvedObject": about, "lastTimestamp": time}

    asked = claim("a")
    asked["metadata"]["uid"] = "u"
    failed, done = event("ProvisioningFailed", 10), event("ProvisioningSucceeded", 20)

    assert prepare(sourced(asked, failed)).failing == {"u": "ProvisioningFailed"}
    assert prepare(sourced(asked, done, failed)).failing == {}
