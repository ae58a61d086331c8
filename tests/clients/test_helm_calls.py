"""Helm's requests: those of Helm 4 (server-side apply) and of Helm 3 (patches of three ways), as they were seen."""

from __future__ import annotations

import pytest
from tests.clients.wire import APPLY, EITHER, MERGE, PROTOBUF, STRATEGIC, Wire
from tests.protobuf_wire import entry, envelope, field
from tools.plane import RunningPlane

SECRETS = "/api/v1/namespaces/default/secrets"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
SETS = "/apis/apps/v1/namespaces/default/statefulsets"
APPLIED = "fieldManager=helm&fieldValidation=Strict&force=false"
TABLE = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


@pytest.fixture
def api(plane: RunningPlane) -> Wire:
    return Wire(plane.kubeconfig)


def release(name: str, revision: int, status: str) -> bytes:
    """The secret in which Helm keeps a release, as its typed client sends it."""
    labels = {"name": name, "owner": "helm", "status": status, "version": str(revision)}
    head = field(1, f"sh.helm.release.v1.{name}.v{revision}") + field(2, "") + field(3, "") + field(8, b"")
    head += b"".join(field(11, entry(*label)) for label in labels.items())
    raw = field(1, head) + field(2, entry("release", b"H4sIAAAA")) + field(3, "helm.sh/release.v1")
    return envelope("v1", "Secret", raw)


def claim(name: str, size: str = "1Gi", **labels: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"app.kubernetes.io/managed-by": "Helm", **labels},
            "annotations": {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "default"},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            "storageClassName": "",
        },
    }


def test_releases_are_secrets_that_are_found_by_their_labels(api: Wire) -> None:
    first = api.send("POST", SECRETS, release("book", 1, "pending-install"), accept=EITHER, content_type=PROTOBUF)
    assert (first.status, first.body["type"]) == (201, "helm.sh/release.v1")
    path = f"{SECRETS}/sh.helm.release.v1.book.v1"
    done = api.send("PUT", path, release("book", 1, "deployed"), accept=EITHER, content_type=PROTOBUF)
    assert (done.status, done.body["metadata"]["labels"]["status"]) == (200, "deployed")
    again = api.send("POST", SECRETS, release("book", 1, "pending-install"), accept=EITHER, content_type=PROTOBUF)
    assert (again.status, again.body["reason"]) == (409, "AlreadyExists")
    api.send("POST", SECRETS, release("book", 2, "deployed"), accept=EITHER, content_type=PROTOBUF)
    history = api.send("GET", f"{SECRETS}?labelSelector=name%3Dbook%2Cowner%3Dhelm", accept=EITHER).body["items"]
    assert [each["metadata"]["labels"]["version"] for each in history] == ["1", "2"]
    everywhere = api.send("GET", "/api/v1/secrets?labelSelector=owner%3Dhelm", accept=EITHER).body["items"]
    assert {each["data"]["release"] for each in everywhere} == {"SDRzSUFBQUE="}
    options = envelope("v1", "DeleteOptions", b"")
    for revision in (1, 2):
        path = f"{SECRETS}/sh.helm.release.v1.book.v{revision}"
        assert api.send("DELETE", path, options, accept=EITHER, content_type=PROTOBUF).status == 200
        assert api.send("GET", path, accept=EITHER).body["reason"] == "NotFound"


def test_what_the_cluster_can_do_is_asked_for_once(api: Wire) -> None:
    assert api.send("GET", "/version", accept="application/json, */*").body["major"] == "1"
    groups = api.send("GET", "/apis", accept=AGGREGATED).body
    assert groups["kind"] == "APIGroupDiscoveryList"
    assert {"apps", "storage.k8s.io", "snapshot.storage.k8s.io"} <= {
        each["metadata"]["name"] for each in groups["items"]
    }
    where = api.send("GET", "/openapi/v3?timeout=32s").body["paths"]["apis/apps/v1"]["serverRelativeURL"]
    document = api.send("GET", f"{where}&timeout=32s")
    patch = document.body["paths"]["/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}"]["patch"]
    assert "fieldValidation" in {each["name"] for each in patch["parameters"]}
    known = api.send("GET", f"{where}&timeout=32s", If_None_Match=document.headers["etag"])
    assert (known.status, known.body) == (304, None)


def test_an_install_and_an_upgrade_are_applies(api: Wire) -> None:
    path = f"{CLAIMS}/applied"
    assert api.send("GET", path).status == 404
    made = api.send("PATCH", f"{path}?{APPLIED}", claim("applied"), content_type=APPLY)
    assert made.status == 201
    same = api.send("PATCH", f"{path}?{APPLIED}", claim("applied"), content_type=APPLY)
    assert (same.status, same.body["metadata"]["resourceVersion"]) == (200, made.body["metadata"]["resourceVersion"])
    upgraded = api.send("PATCH", f"{path}?{APPLIED}", claim("applied", tier="gold"), content_type=APPLY)
    assert upgraded.body["metadata"]["labels"]["tier"] == "gold"
    reverted = api.send("PATCH", f"{path}?{APPLIED}", claim("applied"), content_type=APPLY)
    assert "tier" not in reverted.body["metadata"]["labels"]
    wrong = claim("applied") | {"spek": {}}
    refused = api.send("PATCH", f"{path}?{APPLIED}", wrong, content_type=APPLY)
    assert refused.status == 500  # as the reference answers
    assert ".spek: field not declared in schema" in refused.message


def test_what_a_person_has_changed_is_a_conflict_until_it_is_forced(api: Wire) -> None:
    path = f"{CLAIMS}/disputed"
    api.send("PATCH", f"{path}?{APPLIED}", claim("disputed", tier="gold"), content_type=APPLY)
    api.send(
        "PATCH", f"{path}?fieldManager=kubectl-edit", {"metadata": {"labels": {"tier": "tin"}}}, content_type=MERGE
    )
    refused = api.send("PATCH", f"{path}?{APPLIED}", claim("disputed", tier="gold"), content_type=APPLY)
    assert (refused.status, refused.body["reason"]) == (409, "Conflict")
    assert [cause["field"] for cause in refused.body["details"]["causes"]] == [".metadata.labels.tier"]
    forced = api.send(
        "PATCH", f"{path}?{APPLIED.replace('false', 'true')}", claim("disputed", tier="gold"), content_type=APPLY
    )
    assert (forced.status, forced.body["metadata"]["labels"]["tier"]) == (200, "gold")


def test_helm_3_creates_and_patches_strategically(api: Wire) -> None:
    labels = {"app": "db"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "pg:1"}]}}
    spec = {"serviceName": "db", "selector": {"matchLabels": labels}, "template": template, "replicas": 0}
    spec["volumeClaimTemplates"] = [{"metadata": {"name": "d"}, "spec": claim("d")["spec"]}]
    made = api.send("POST", f"{SETS}?fieldManager=helm", {"metadata": {"name": "db"}, "spec": spec})
    assert made.status == 201
    containers = [{"image": "pg:2", "name": "c"}]
    patch = {"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "c"}], "containers": containers}}}}
    patched = api.send("PATCH", f"{SETS}/db?fieldManager=helm", patch, content_type=STRATEGIC)
    assert patched.status == 200
    (container,) = patched.body["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("pg:2", "IfNotPresent")
    forbidden = {"spec": {"serviceName": "other", "volumeClaimTemplates": []}}
    refused = api.send("PATCH", f"{SETS}/db?fieldManager=helm", forbidden, content_type=STRATEGIC)
    assert (refused.status, refused.body["reason"]) == (422, "Invalid")
    assert "updates to statefulset spec for fields other than" in refused.message


def test_helm_3_patches_custom_kinds_by_merge(api: Wire) -> None:
    backups = "/apis/example.com/v1/namespaces/default/backups"
    body = {"apiVersion": "example.com/v1", "kind": "Backup", "metadata": {"name": "nightly"}, "spec": {"keep": 1}}
    assert api.send("POST", f"{backups}?fieldManager=helm", body).status == 201
    path = f"{backups}/nightly?fieldManager=helm"
    assert api.send("PATCH", path, {"spec": {"keep": 2}}, content_type=STRATEGIC).status == 415
    assert api.send("PATCH", path, {"spec": {"keep": 2}}, content_type=MERGE).body["spec"] == {"keep": 2}


def test_a_claim_cannot_shrink_by_an_upgrade(api: Wire) -> None:
    path = f"{CLAIMS}/shrunk"
    api.send("PATCH", f"{path}?{APPLIED}", claim("shrunk", "2Gi"), content_type=APPLY)
    refused = api.send("PATCH", f"{path}?{APPLIED}", claim("shrunk", "1Gi"), content_type=APPLY)
    assert (refused.status, refused.body["reason"]) == (422, "Invalid")
    assert {cause["field"] for cause in refused.body["details"]["causes"]} == {"spec"}
    assert api.send("GET", path).body["spec"]["resources"]["requests"] == {"storage": "2Gi"}


def test_waiting_sees_the_claim_bound_and_uninstalling_sees_it_gone(api: Wire) -> None:
    api.send("PATCH", f"{CLAIMS}/waited?{APPLIED}", claim("waited"), content_type=APPLY)
    volume = {
        "metadata": {"name": "helm-disk"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/srv/helm"},
            "claimRef": {"namespace": "default", "name": "waited"},
        },
    }
    watched = (
        f"{CLAIMS}?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true"
        "&timeoutSeconds=511&watch=true"
    )
    with api.watch(watched) as events:
        assert api.send("POST", "/api/v1/persistentvolumes", volume).status == 201
        of_it = (event for event in events if event["object"]["metadata"].get("name") == "waited")
        bound = next(event for event in of_it if event["object"]["status"]["phase"] == "Bound")
        assert bound["object"]["spec"]["volumeName"] == "helm-disk"
        row = api.send("GET", f"{CLAIMS}/waited?includeObject=Object", accept=TABLE).body["rows"][0]
        assert (row["cells"][:3], row["object"]["kind"]) == (["waited", "Bound", "helm-disk"], "PersistentVolumeClaim")
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        assert api.send("DELETE", f"{CLAIMS}/waited", options).status == 200
        assert next(event["type"] for event in of_it if event["type"] == "DELETED")
    assert api.send("GET", f"{CLAIMS}/waited").status == 404
