"""What the tests of others are given, used as they would."""

from __future__ import annotations

import asyncio
import http.client
import os
import random
import ssl
import stat
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import VOLUMES
from pvbinder.model.errors import PvbinderError
from pvbinder.testing import namespace, node, pod, pv, pvc, server, storage_class
from pvbinder.testing.cluster import ClusterUnderTest
from pvbinder.testing.k8s import AsyncK8s, K8s, seconds_of
from pvbinder.testing.loop_thread import LoopThread
from pvbinder.testing.work import NotInTime

bare = server(scope="module", bare=True, load=[pv("loaded", size="7Gi")], pvclaimbinder_sync_period="2s")
k8s_bare = namespace("bare")


def test_pending_then_bound(k8s: K8s) -> None:
    claim = k8s.apply(pvc("orders", size="4Gi"))
    assert k8s.why(claim).reason == "NoVolumeFits"
    k8s.apply(pv("disk", size="5Gi"))
    claim.wait_bound(timeout=5)
    assert claim.spec["volumeName"] == "disk"
    assert "Bound" in str(k8s.why(k8s.get("pv", "disk")))


async def test_asynchronous_tests_have_the_same_words(async_k8s: AsyncK8s) -> None:
    claim = await async_k8s.apply(pvc("orders"))
    assert (await async_k8s.why(claim)).reason == "NoVolumeFits"
    await async_k8s.apply(pv("disk"))
    await claim.wait_bound(timeout=5)
    assert [one.name for one in await async_k8s.list_all("PersistentVolume")] == ["disk"]
    await (await claim.delete()).wait_gone(timeout=5)


@pytest.mark.parametrize("turn", [1, 2])
def test_k8s_2_each_test_begins_with_the_same_cluster(k8s: K8s, turn: int) -> None:
    assert not k8s.list_all("pv")
    k8s.apply(pv("disk"))
    k8s.apply(pvc("orders")).wait_bound(timeout=5)
    k8s.apply(node(f"worker-{turn}"))
    k8s.apply(storage_class("fast", default=True))


def test_put_back_1_what_was_there_is_there_again_with_its_uid(bare: ClusterUnderTest, tmp_path: Path) -> None:
    def on(name: str) -> K8s:
        bare.thread.do(bare.begin(name))
        return K8s(bare, name, tmp_path, tmp_path)

    first = on("first")
    before = first.get("pv", "loaded")
    before.delete().wait_gone(timeout=5)
    first.apply(pv("loaded", size="1Gi"))
    first.get("ns", "kube-public").patch({"metadata": {"labels": {"changed": "yes"}}})
    bare.thread.do(bare.end("first", []))

    second = on("second")
    after = second.get("pv", "loaded")
    assert (after.uid, after.spec) == (before.uid, before.spec)
    assert "changed" not in second.get("ns", "kube-public")["metadata"]["labels"]
    with pytest.raises(ApiFailure, match='namespaces "first" not found'):
        second.get("ns", "first")
    bare.thread.do(bare.end("second", []))


def test_put_back_2_a_watch_sees_it_as_changes(bare: ClusterUnderTest, tmp_path: Path) -> None:
    bare.thread.do(bare.begin("watched"))
    place = K8s(bare, "watched", tmp_path, tmp_path)
    place.get("pv", "loaded").delete().wait_gone(timeout=5)
    revision = place.list_all("pv") or place.apply(pv("other"))
    assert revision
    seen: list[tuple[str, str]] = []

    async def watch() -> None:
        page = await bare.client.peek(VOLUMES)
        async with bare.client.watch(VOLUMES, page.resource_version) as events:
            ended = asyncio.create_task(bare.end("watched", []))
            async for event in events:
                if event.object is not None:
                    seen.append((event.type, event.object.name))
                if len(seen) == 2:
                    break
            await ended

    bare.thread.do(watch())
    assert sorted(seen) == [("ADDED", "loaded"), ("DELETED", "other")]


def test_files_texts_and_lists_are_applied(k8s: K8s, tmp_path: Path) -> None:
    one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"
    two = one % "a" + "---\n" + one % "b"
    (tmp_path / "two.yaml").write_text(two)
    assert [one.name for one in k8s.apply_all(tmp_path / "two.yaml")] == ["a", "b"]
    listed = {"apiVersion": "v1", "kind": "List", "items": [pvc("x"), pvc("y")]}
    assert [one.namespace for one in k8s.apply_all(listed, two)] == [k8s.namespace] * 4
    with pytest.raises(PvbinderError, match="2 objects, and not one"):
        k8s.apply(two)
    with pytest.raises(PvbinderError, match="apiVersion"):
        k8s.apply({"kind": "Pod", "metadata": {"name": "a"}})
    with pytest.raises(PvbinderError, match="no kind"):
        k8s.get("persistentvolumeclam", "a")


def test_a_claim_is_provisioned_and_a_pod_runs(k8s: K8s) -> None:
    k8s.apply(pvc("data", storage_class="local-immediate")).wait_bound(timeout=20)
    k8s.apply(pod("web", claims=["data"])).wait_phase("Running", timeout=20)
    assert k8s.events(k8s.get("pvc", "data"))


def test_work_3_a_wait_that_fails_says_why(k8s: K8s) -> None:
    k8s.apply(pv("small", size="1Gi"))
    claim = k8s.apply(pvc("orders", size="4Gi"))
    with pytest.raises(NotInTime) as failed:
        claim.wait_bound(timeout=0.05)
    told = str(failed.value)
    assert "orders is not Bound after 0.05 s" in told
    assert "no volume fits it" in told
    assert "small" in told
    with pytest.raises(NotInTime, match="it isn't there"):
        k8s.apply(pvc("gone", size="9Gi")).delete().wait_phase("Bound", timeout=0.05)


def test_faults_1_requests_fail_as_asked(k8s: K8s) -> None:
    refused = k8s.faults.add("PUT", "*/persistentvolumes/*", status=500)
    lost = k8s.faults.add("PUT", "*/persistentvolumeclaims/*", lost=True)
    k8s.apply(pv("disk"))
    k8s.apply(pvc("orders")).wait_bound(timeout=20)
    assert (refused.happened, lost.happened) == (1, 1)
    assert [one.status for one in k8s.requests if one.path.endswith("/persistentvolumes/disk") and one.is_write][:1]
    with pytest.raises(ValueError, match="status or a delay"):
        k8s.faults.add("PUT")


def test_faults_3_who_asks_by_tls_meets_a_broken_connection(k8s: K8s) -> None:
    k8s.faults.add("GET", "/version", dropped=True)
    config = yaml.safe_load(k8s.kubeconfig.read_text())
    request = urllib.request.Request(f"{k8s.url}/version")
    token = config["users"][0]["user"]["token"]
    request.add_header("Authorization", f"Bearer {token}")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises((OSError, http.client.HTTPException)):
        urllib.request.urlopen(request, context=context, timeout=10).read()
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:
        assert b"gitVersion" in answer.read()


def test_decisions_and_requests_are_seen(k8s: K8s) -> None:
    k8s.apply(pv("disk"))
    k8s.apply(pvc("orders")).wait_bound(timeout=5)
    k8s.assert_decided("SC-U3", about="orders")
    k8s.assert_no_conflicts()
    with pytest.raises(AssertionError, match="volume bound"):
        k8s.assert_decided("SC-U3", about="another")
    k8s.faults.add("PUT", "*/persistentvolumeclaims/*", status=409)
    k8s.apply(pv("disk-2"))
    k8s.apply(pvc("more")).wait_bound(timeout=20)
    with pytest.raises(AssertionError, match="409 PUT"):
        k8s.assert_no_conflicts()


def test_loop_1_time_passes_for_server_and_controllers(k8s: K8s) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {
            "ttlSecondsAfterFinished": 3600,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "a", "image": "b", "command": ["true"]}],
                }
            },
        },
    }
    running = k8s.apply(job)
    running.wait(lambda found: (found.get("status") or {}).get("succeeded") == 1, timeout=20)
    k8s.advance("59m")
    assert running.refresh().name == "j"
    k8s.advance("2m")
    running.wait_gone(timeout=5)


@pytest.mark.parametrize(
    ("text", "seconds"), [("15s", 15), ("1h30m", 5400), ("250ms", 0.25), (7, 7), ("7", 7)], ids=str
)
def test_durations(text: str | float, seconds: float) -> None:
    assert seconds_of(text) == seconds


def test_no_durations() -> None:
    for text in ("", "soon", "5 s", "5d", "s"):
        with pytest.raises(ValueError, match="no duration"):
            seconds_of(text)


def test_play_1_an_external_provisioner(k8s: K8s) -> None:
    k8s.apply(storage_class("fast", provisioner="x.example.com"))
    provisioner = k8s.play.provisioner("x.example.com", fails=1)
    claim = k8s.apply(pvc("orders", storage_class="fast")).wait_bound(timeout=20)
    assert provisioner.attempts == 2
    assert provisioner.made == [claim.spec["volumeName"]]
    assert "ProvisioningFailed" in [one["reason"] for one in claim.events()]


def test_play_2_a_provisioner_without_work_asks_nothing(k8s: K8s) -> None:
    k8s.apply(storage_class("fast", provisioner="x.example.com"))
    k8s.play.provisioner("x.example.com")
    k8s.apply(pvc("orders", storage_class="fast")).wait_bound(timeout=20)
    before = len(k8s.requests)
    k8s.advance("5s")
    assert not [one for one in k8s.requests[before:] if one.path.endswith("/persistentvolumeclaims")]


def test_a_bare_server_lets_the_test_play_scheduler_and_kubelet(k8s_bare: K8s) -> None:
    k8s_bare.apply(storage_class("disks", waits=True))
    k8s_bare.apply(node("worker"))
    k8s_bare.apply(pv("disk", storage_class="disks"))
    claim = k8s_bare.apply(pvc("orders", storage_class="disks"))
    web = k8s_bare.apply(pod("web", claims=["orders"]))
    assert k8s_bare.why(claim).reason in ("WaitsForFirstConsumer", "WaitsForPodToBeScheduled")
    k8s_bare.play.choose_volume(claim, "disk")
    claim.wait_bound(timeout=20)
    k8s_bare.play.schedule(web, "worker")
    k8s_bare.play.run(web)
    assert web.refresh().phase == "Running"
    k8s_bare.play.finish(web)
    assert web.refresh().phase == "Succeeded"


def test_k8s_1_the_kubeconfig_is_of_the_tests_namespace(k8s: K8s) -> None:
    config = yaml.safe_load(k8s.kubeconfig.read_text())
    assert config["contexts"][0]["context"]["namespace"] == k8s.namespace
    assert stat.S_IMODE(k8s.kubeconfig.stat().st_mode) == 0o600
    assert k8s.env == {"KUBECONFIG": str(k8s.kubeconfig)}


@pytest.mark.kubectl
def test_kubectl_is_at_home_in_the_namespace(k8s: K8s) -> None:
    k8s.apply(pvc("orders"))
    told = subprocess.run(
        ["kubectl", "get", "pvc", "-o", "name"],
        env={**os.environ, **k8s.env},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "persistentvolumeclaim/orders\n"


def test_clients_of_other_libraries_are_asked_for_by_name(k8s: K8s) -> None:
    with pytest.raises(PvbinderError, match=r"no client of 'curl' is known"):
        k8s.client("curl")


def test_faults_2_faults_are_gone_after_their_test(bare: ClusterUnderTest, tmp_path: Path) -> None:
    bare.thread.do(bare.begin("failing"))
    fault = K8s(bare, "failing", tmp_path, tmp_path).faults.add("GET", "*", status=500, times=1000)
    bare.thread.do(bare.end("failing", []))
    bare.thread.do(bare.begin("well"))
    assert K8s(bare, "well", tmp_path, tmp_path).get("pv", "loaded").name == "loaded"
    assert fault.happened == 0
    bare.thread.do(bare.end("well", []))


def test_handles_1_a_handle_shows_what_was_read_last(k8s: K8s) -> None:
    disk = k8s.apply(pv("disk"))
    k8s.get("pv", "disk").patch({"metadata": {"labels": {"tier": "gold"}}})
    assert "labels" not in disk["metadata"]
    assert disk.refresh()["metadata"]["labels"] == {"tier": "gold"}
    assert repr(disk).startswith("<PersistentVolume disk")


@pytest.mark.parametrize("word", ["pv", "PersistentVolume", "persistentvolumes", "PersistentVolumes"], ids=str)
def test_kinds_1_a_word_is_taken_as_kubectl_takes_it(k8s: K8s, word: str) -> None:
    k8s.apply(pv("disk"))
    assert k8s.get(word, "disk").kind == "PersistentVolume"
    assert k8s.list_all("deployments.apps") == []


def test_kinds_2_a_kind_that_a_test_defines_is_found(k8s: K8s) -> None:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "lamps", "singular": "lamp", "kind": "Lamp", "listKind": "LampList"}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "lamps.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }

    def is_established(found: dict[str, Any]) -> bool:
        conditions = found.get("status", {}).get("conditions") or []
        return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)

    k8s.apply(definition).wait(is_established, timeout=20)
    lamp = k8s.apply(
        {"apiVersion": "example.com/v1", "kind": "Lamp", "metadata": {"name": "hall"}, "spec": {"on": True}}
    )
    assert (lamp.namespace, lamp.spec) == (k8s.namespace, {"on": True})
    assert [one.name for one in k8s.list_all("lamp")] == ["hall"]


def test_loop_2_who_asks_waits_for_a_bounded_time() -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def fails() -> None:
        raise KeyError("lost")

    thread = LoopThread()
    try:
        with pytest.raises(TimeoutError):
            thread.do(for_ever(), 0.01)
        with pytest.raises(KeyError, match="lost"):
            thread.do(fails())
    finally:
        thread.close()


def test_the_control_plane_leaves_the_chance_of_the_tests_alone(k8s: K8s) -> None:
    random.seed(7)
    before = random.getstate()
    k8s.apply(pv("disk"))
    k8s.apply({**pvc("orders"), "metadata": {"generateName": "orders-"}}).wait_bound(timeout=20)
    k8s.advance("1m")
    assert random.getstate() == before
