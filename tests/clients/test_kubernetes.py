"""The official Python client, with its watch, its informer and its dynamic client."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config, dynamic, watch
from kubernetes.informer import SharedInformer
from tests.clients.objects import claim, config_map, volume
from tools.plane import RunningPlane

PATIENCE_SECONDS = 30


@pytest.fixture
def api(plane: RunningPlane) -> Iterator[Any]:
    with config.new_client_from_config(str(plane.kubeconfig)) as api:
        yield api


def test_a_claim_is_created_watched_bound_patched_and_deleted(api: Any) -> None:
    core = client.CoreV1Api(api)
    before = core.list_namespaced_persistent_volume_claim("default").metadata.resource_version
    created = core.create_namespaced_persistent_volume_claim("default", claim("orders", app="shop"))
    assert created.status.phase == "Pending"
    assert created.metadata.uid
    core.create_persistent_volume(volume("disk-1", "orders"))

    seen = []
    stream = watch.Watch().stream(
        core.list_namespaced_persistent_volume_claim,
        "default",
        resource_version=before,
        label_selector="app=shop",
        timeout_seconds=PATIENCE_SECONDS,
    )
    for event in stream:
        seen.append(event["type"])
        found = event["object"]
        if event["type"] == "DELETED":
            break
        if found.status.phase == "Bound" and "size" not in found.metadata.labels:
            assert found.spec.volume_name == "disk-1"
            assert found.status.capacity == {"storage": "2Gi"}
            core.patch_namespaced_persistent_volume_claim("orders", "default", {"metadata": {"labels": {"size": "s"}}})
        elif "size" in found.metadata.labels and found.metadata.deletion_timestamp is None:
            core.delete_namespaced_persistent_volume_claim("orders", "default")
    assert (seen[0], seen[-1]) == ("ADDED", "DELETED")
    assert set(seen[1:-1]) == {"MODIFIED"}
    with pytest.raises(client.ApiException) as gone:
        core.read_namespaced_persistent_volume_claim("orders", "default")
    assert (gone.value.status, gone.value.reason) == (404, "Not Found")


def test_an_invalid_claim_is_refused_with_its_causes(api: Any) -> None:
    wrong = claim("wrong")
    wrong["spec"]["accessModes"] = []
    with pytest.raises(client.ApiException) as refused:
        client.CoreV1Api(api).create_namespaced_persistent_volume_claim("default", wrong)
    assert refused.value.status == 422
    assert '"field":"spec.accessModes"' in refused.value.body


def test_the_informer_is_told_of_every_change_and_its_cache_follows(api: Any) -> None:
    core = client.CoreV1Api(api)
    core.create_namespaced_config_map("default", config_map("there", a="1"))
    told: queue.Queue[tuple[str, str]] = queue.Queue()
    # the period ends its watch, which is the only way for it to see that it shall stop
    informer = SharedInformer(core.list_namespaced_config_map, namespace="default", resync_period=2)
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        informer.add_event_handler(kind, lambda obj, kind=kind: told.put((kind, obj.metadata.name)))

    def wait_for(event: tuple[str, str]) -> None:
        while told.get(timeout=PATIENCE_SECONDS) != event:
            pass

    informer.start()
    try:
        wait_for(("ADDED", "there"))
        core.create_namespaced_config_map("default", config_map("later", a="1"))
        wait_for(("ADDED", "later"))
        core.patch_namespaced_config_map("later", "default", {"data": {"a": "2"}})
        wait_for(("MODIFIED", "later"))
        core.delete_namespaced_config_map("there", "default")
        wait_for(("DELETED", "there"))
        assert informer.cache.get_by_key("default/there") is None
        assert informer.cache.get_by_key("default/later") is not None
    finally:
        informer.stop()


def test_the_dynamic_client_finds_kinds_and_applies_with_conflicts(api: Any) -> None:
    found = dynamic.DynamicClient(api)
    maps = found.resources.get(api_version="v1", kind="ConfigMap")
    applied = maps.server_side_apply(body=config_map("settings", colour="blue"), name="settings", field_manager="one")
    assert applied.data.colour == "blue"
    with pytest.raises(dynamic.exceptions.ConflictError) as conflict:
        maps.server_side_apply(body=config_map("settings", colour="red"), name="settings", field_manager="two")
    assert 'conflict with \\"one\\": .data.colour' in str(conflict.value.body)
    forced = maps.server_side_apply(
        body=config_map("settings", colour="red"), name="settings", field_manager="two", force_conflicts=True
    )
    assert forced.data.colour == "red"
    backups = found.resources.get(api_version="example.com/v1", kind="Backup")
    body = {
        "apiVersion": "example.com/v1",
        "kind": "Backup",
        "metadata": {"name": "b"},
        "spec": {"deep": [1, {"x": 2}]},
    }
    backups.create(body=body, namespace="default")
    assert backups.get(name="b", namespace="default").spec.deep[1].x == 2
    backups.delete(name="b", namespace="default")


def test_an_autoscaler_of_v1_is_one_of_v2(api: Any) -> None:
    older, newer = client.AutoscalingV1Api(api), client.AutoscalingV2Api(api)
    target = client.V1CrossVersionObjectReference(api_version="apps/v1", kind="Deployment", name="w")
    spec = client.V1HorizontalPodAutoscalerSpec(
        scale_target_ref=target, max_replicas=3, target_cpu_utilization_percentage=50
    )
    made = client.V1HorizontalPodAutoscaler(metadata=client.V1ObjectMeta(name="w"), spec=spec)
    assert older.create_namespaced_horizontal_pod_autoscaler("default", made).spec.min_replicas == 1
    found = newer.read_namespaced_horizontal_pod_autoscaler("w", "default")
    assert found.spec.metrics[0].resource.target.average_utilization == 50
    newer.patch_namespaced_horizontal_pod_autoscaler("w", "default", {"spec": {"maxReplicas": 5}})
    assert [item.spec.max_replicas for item in older.list_namespaced_horizontal_pod_autoscaler("default").items] == [5]
    older.delete_namespaced_horizontal_pod_autoscaler("w", "default")
    assert newer.list_namespaced_horizontal_pod_autoscaler("default").items == []


def test_a_scale_is_applied(api: Any) -> None:
    apps = client.AppsV1Api(api)
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"app": "a"}}, "template": template}
    apps.create_namespaced_deployment("default", {"metadata": {"name": "w"}, "spec": spec})
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "w"}, "spec": {"replicas": 4}}
    applied = apps.patch_namespaced_deployment_scale(
        "w", "default", scale, field_manager="scaler", force=True, _content_type="application/apply-patch+yaml"
    )
    assert applied.spec.replicas == 4
    entries = apps.read_namespaced_deployment("w", "default").metadata.managed_fields
    assert [(entry.manager, entry.subresource) for entry in entries if entry.operation == "Apply"] == [
        ("scaler", "scale")
    ]
    apps.delete_namespaced_deployment("w", "default")
