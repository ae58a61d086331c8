"""The requests of Terraform's kubernetes provider: resources of the storage kinds, and ``kubernetes_manifest``."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.clients.wire import APPLY, JSON_PATCH, Answer, Wire
from tools.plane import RunningPlane

CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
EVENTS = "/api/v1/namespaces/default/events"
DEADLINE_SECONDS = 30.0


@pytest.fixture
def api(plane: RunningPlane) -> Wire:
    return Wire(plane.kubeconfig)


def polled(api: Wire, path: str, phase: str) -> Answer:
    """Ask again and again, as the provider does."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        answer = api.send("GET", path)
        if answer.status == 404 or answer.body["status"]["phase"] == phase:
            return answer
        assert time.monotonic() < deadline, answer.body


def claim(name: str, class_name: str) -> dict[str, Any]:
    """A claim as the provider makes it of its schema: with what it has no value for left empty."""
    return {
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": None},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": class_name,
        },
        "status": {},
    }


def volume(name: str, class_name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "creationTimestamp": None},
        "spec": {
            "capacity": {"storage": "2Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": class_name,
            "nodeAffinity": {},
            "local": {"path": f"/srv/{name}"},
        },
        "status": {},
    }


def on_node(body: dict[str, Any]) -> dict[str, Any]:
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["local"]}
    body["spec"]["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
    return body


def test_a_class_a_volume_and_a_claim_are_made_and_polled_until_bound(api: Wire) -> None:
    body = {
        "metadata": {"name": "tf-class", "creationTimestamp": None},
        "provisioner": "kubernetes.io/no-provisioner",
        "reclaimPolicy": "Retain",
        "volumeBindingMode": "Immediate",
        "allowVolumeExpansion": True,
    }
    assert api.send("POST", CLASSES, body).status == 201
    assert api.send("POST", CLAIMS, claim("tf-claim", "tf-class")).status == 201
    refused = api.send("POST", VOLUMES, volume("tf-disk", "tf-class"))
    assert (refused.status, refused.body["reason"]) == (422, "Invalid")
    assert "spec.nodeAffinity.required: Required value: must specify required node constraints" in refused.message
    assert api.send("POST", VOLUMES, on_node(volume("tf-disk", "tf-class"))).status == 201
    bound = polled(api, f"{CLAIMS}/tf-claim", "Bound").body
    assert bound["spec"]["volumeName"] == "tf-disk"
    assert polled(api, f"{VOLUMES}/tf-disk", "Bound").body["spec"]["claimRef"]["uid"] == bound["metadata"]["uid"]


def test_a_claim_that_stays_pending_has_events_that_say_why(api: Wire) -> None:
    uid = api.send("POST", CLAIMS, claim("tf-pending", "tf-nowhere")).body["metadata"]["uid"]
    selector = (
        f"involvedObject.name%3Dtf-pending%2CinvolvedObject.namespace%3Ddefault%2CinvolvedObject.uid%3D{uid}"
        "%2CinvolvedObject.kind%3DPersistentVolumeClaim"
    )
    deadline = time.monotonic() + DEADLINE_SECONDS
    found: list[Any] = []
    while not found:
        assert time.monotonic() < deadline
        found = api.send("GET", f"{EVENTS}?fieldSelector={selector}").body["items"]
    assert (found[0]["reason"], found[0]["type"]) == ("ProvisioningFailed", "Warning")
    assert found[0]["message"] == 'storageclass.storage.k8s.io "tf-nowhere" not found'
    assert api.send("GET", f"{EVENTS}?fieldSelector={selector.replace(uid, 'another')}").body["items"] == []


def test_an_update_is_a_json_patch_of_whole_parts(api: Wire) -> None:
    api.send("POST", CLAIMS, claim("tf-updated", "tf-other"))
    path = f"{CLAIMS}/tf-updated"
    added = [
        {"op": "add", "path": "/metadata/labels", "value": {"a": "1"}},
        {"op": "add", "path": "/metadata/annotations", "value": {"b/c": "2"}},
    ]
    assert api.send("PATCH", path, added, content_type=JSON_PATCH).body["metadata"]["labels"] == {"a": "1"}
    changed = [
        {"op": "replace", "path": "/metadata/labels/a", "value": "3"},
        {"op": "remove", "path": "/metadata/annotations/b~1c"},
    ]
    patched = api.send("PATCH", path, changed, content_type=JSON_PATCH).body["metadata"]
    assert patched["labels"] == {"a": "3"}
    assert "b/c" not in patched.get("annotations", {})
    fixed = [{"op": "replace", "path": "/spec/storageClassName", "value": "x"}]
    refused = api.send("PATCH", path, fixed, content_type=JSON_PATCH)
    assert (refused.status, refused.body["reason"]) == (422, "Invalid")
    assert "spec is immutable after creation" in refused.message
    nowhere = [{"op": "remove", "path": "/metadata/labels/none"}]
    refused = api.send("PATCH", path, nowhere, content_type=JSON_PATCH)
    assert (refused.status, refused.body["reason"]) == (422, "Invalid")


def test_a_volume_is_replaced_in_parts_and_deleted_until_it_is_gone(api: Wire) -> None:
    api.send("POST", VOLUMES, on_node(volume("tf-replaced", "tf-replaced")))
    path = f"{VOLUMES}/tf-replaced"
    polled(api, path, "Available")
    parts = [
        {"op": "replace", "path": "/spec/persistentVolumeReclaimPolicy", "value": "Delete"},
        {"op": "replace", "path": "/spec/capacity", "value": {"storage": "3Gi"}},
    ]
    patched = api.send("PATCH", path, parts, content_type=JSON_PATCH)
    assert patched.body["spec"]["capacity"] == {"storage": "3Gi"}
    source = [{"op": "replace", "path": "/spec/local", "value": {"path": "/elsewhere"}}]
    refused = api.send("PATCH", path, source, content_type=JSON_PATCH)
    assert "spec.persistentvolumesource is immutable after creation" in refused.message
    assert api.send("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1"}).status == 200
    assert polled(api, path, "").status == 404


def manifest(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


MAPS = "/api/v1/namespaces/default/configmaps"


def test_a_manifest_is_planned_by_a_dry_run_and_then_applied(api: Wire) -> None:
    types = api.send("GET", "/openapi/v2?timeout=32s").body["definitions"]
    assert types["io.k8s.api.core.v1.ConfigMap"]["properties"]["data"]["type"] == "object"
    path = f"{MAPS}/tf-manifest"
    assert api.send("GET", path).status == 404
    query = "fieldManager=Terraform&force=false"
    planned = api.send("PATCH", f"{path}?dryRun=All&{query}", manifest("tf-manifest", a="1"), content_type=APPLY)
    assert (planned.status, planned.body["data"]) == (201, {"a": "1"})
    assert api.send("GET", path).status == 404
    applied = api.send("PATCH", f"{path}?{query}", manifest("tf-manifest", a="1", b="2"), content_type=APPLY)
    assert applied.status == 201
    (entry,) = applied.body["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("Terraform", "Apply")
    planned = api.send("PATCH", f"{path}?dryRun=All&{query}", manifest("tf-manifest", b="3"), content_type=APPLY)
    assert (planned.status, planned.body["data"]) == (200, {"b": "3"})
    assert api.send("GET", path).body["data"] == {"a": "1", "b": "2"}


def test_a_plan_shows_conflicts_that_an_apply_can_force(api: Wire) -> None:
    path = f"{MAPS}/tf-disputed"
    api.send("PATCH", f"{path}?fieldManager=other", manifest("tf-disputed", a="theirs"), content_type=APPLY)
    query = "fieldManager=Terraform"
    ours = manifest("tf-disputed", a="ours")
    for prefix in ("dryRun=All&", ""):
        refused = api.send("PATCH", f"{path}?{prefix}{query}&force=false", ours, content_type=APPLY)
        assert (refused.status, refused.body["reason"]) == (409, "Conflict")
        assert 'conflict with "other": .data.a' in refused.message
    forced = api.send("PATCH", f"{path}?{query}&force=true", ours, content_type=APPLY)
    assert (forced.status, forced.body["data"]) == (200, {"a": "ours"})


def test_a_plan_is_validated_with_the_defaults_that_an_apply_would_store(api: Wire) -> None:
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim("tf-planned", "")}
    del body["status"], body["metadata"]["creationTimestamp"]
    path = f"{CLAIMS}/tf-planned?dryRun=All&fieldManager=Terraform"
    planned = api.send("PATCH", path, body, content_type=APPLY)
    assert (planned.status, planned.body["spec"]["volumeMode"]) == (201, "Filesystem")
    body["spec"]["accessModes"] = ["Sometimes"]
    refused = api.send("PATCH", path, body, content_type=APPLY)
    assert refused.status == 422
    assert [cause["field"] for cause in refused.body["details"]["causes"]] == ["spec.accessModes"]
