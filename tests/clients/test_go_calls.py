"""What controllers in Go ask for: the typed clients of client-go, which send protobuf, as they were seen at work."""

from __future__ import annotations

import pytest
from tests.clients.wire import EITHER, PROTOBUF, Wire
from tests.protobuf_wire import entry, envelope, field
from tools.plane import RunningPlane

CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
EVENTS = "/api/v1/namespaces/default/events"


@pytest.fixture
def api(plane: RunningPlane) -> Wire:
    return Wire(plane.kubeconfig)


def metadata(name: str, version: str = "", **labels: str) -> bytes:
    """ObjectMeta as Go writes it: fields that aren't pointers are there even if they are empty."""
    head = field(1, name) + field(2, "") + field(3, "default") + field(4, "") + field(5, "") + field(6, version)
    return head + field(7, 0) + field(8, b"") + b"".join(field(11, entry(*label)) for label in labels.items())


def quantity(text: str) -> bytes:
    return field(1, text)


def claim(name: str) -> bytes:
    spec = field(1, "ReadWriteOnce") + field(2, field(2, entry("storage", quantity("1Gi")))) + field(3, "")
    raw = field(1, metadata(name, app="go")) + field(2, spec + field(5, "")) + field(3, field(1, ""))
    return envelope("v1", "PersistentVolumeClaim", raw)


def volume(name: str, claim_name: str) -> bytes:
    csi = field(1, "disks.example.com") + field(2, f"handle-{name}") + field(3, 0) + field(4, "ext4")
    reference = field(1, "") + field(2, "default") + field(3, claim_name) + field(4, "") + field(5, "")
    spec = field(1, entry("storage", quantity("2Gi"))) + field(2, field(22, csi)) + field(3, "ReadWriteOnce")
    spec += field(4, reference) + field(5, "Retain") + field(6, "")
    raw = field(1, field(1, name)) + field(2, spec) + field(3, field(1, "") + field(2, "") + field(3, ""))
    return envelope("v1", "PersistentVolume", raw)


def test_a_provisioner_makes_the_volume_and_sees_the_claim_bound(api: Wire) -> None:
    made = api.send("POST", CLAIMS, claim("go-claim"), accept=EITHER, content_type=PROTOBUF)
    assert (made.status, made.headers["content-type"]) == (201, "application/json")
    assert made.body["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "",
        "volumeMode": "Filesystem",
    }
    path = (
        f"{CLAIMS}?allowWatchBookmarks=true&fieldSelector=metadata.name%3Dgo-claim&resourceVersionMatch=NotOlderThan"
        "&sendInitialEvents=true&timeoutSeconds=60&watch=true"
    )
    with api.watch(path, EITHER) as events:
        first, bookmark = next(events), next(events)
        assert (first["type"], first["object"]["kind"]) == ("ADDED", "PersistentVolumeClaim")
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        made = api.send("POST", VOLUMES, volume("go-disk", "go-claim"), accept=EITHER, content_type=PROTOBUF)
        assert made.status == 201
        assert made.body["spec"]["csi"] == {
            "driver": "disks.example.com",
            "volumeHandle": "handle-go-disk",
            "fsType": "ext4",
        }
        bound = next(event for event in events if event["object"].get("status", {}).get("phase") == "Bound")
        assert bound["object"]["spec"]["volumeName"] == "go-disk"
    again = api.send("POST", CLAIMS, claim("go-claim"), accept=EITHER, content_type=PROTOBUF)
    assert (again.status, again.body["reason"]) == (409, "AlreadyExists")
    options = envelope("v1", "DeleteOptions", field(4, "Background"))
    assert api.send("DELETE", f"{CLAIMS}/go-claim", options, accept=EITHER, content_type=PROTOBUF).status == 200


def lease(holder: str, version: str = "") -> bytes:
    stamp = field(1, 1_800_000_000) + field(2, 123_456_000)
    spec = field(1, holder) + field(2, 15) + field(3, stamp) + field(4, stamp) + field(5, 0)
    return envelope("coordination.k8s.io/v1", "Lease", field(1, metadata("leader", version)) + field(2, spec))


def test_one_of_two_candidates_leads(api: Wire) -> None:
    assert api.send("GET", f"{LEASES}/leader", accept=EITHER).status == 404
    first = api.send("POST", LEASES, lease("one"), accept=EITHER, content_type=PROTOBUF)
    assert (first.status, first.body["spec"]["renewTime"]) == (201, "2027-01-15T08:00:00.123456Z")
    second = api.send("POST", LEASES, lease("two"), accept=EITHER, content_type=PROTOBUF)
    assert (second.status, second.body["reason"]) == (409, "AlreadyExists")
    version = first.body["metadata"]["resourceVersion"]
    path = f"{LEASES}/leader"
    taken = api.send("PUT", path, lease("two", version), accept=EITHER, content_type=PROTOBUF)
    assert (taken.status, taken.body["spec"]["holderIdentity"]) == (200, "two")
    late = api.send("PUT", path, lease("one", version), accept=EITHER, content_type=PROTOBUF)
    assert (late.status, late.body["reason"]) == (409, "Conflict")


def test_an_event_is_written_and_found_by_what_it_is_about(api: Wire) -> None:
    about = (
        field(1, "PersistentVolumeClaim") + field(2, "default") + field(3, "told") + field(4, "u-1") + field(5, "v1")
    )
    stamp = field(1, 1_800_000_000) + field(2, 0)
    raw = field(1, metadata("told.17a")) + field(2, about) + field(3, "Provisioning") + field(4, "is being made")
    raw += field(5, field(1, "disks.example.com") + field(2, "")) + field(6, stamp) + field(7, stamp) + field(8, 1)
    raw += field(9, "Normal") + field(10, b"") + field(12, "") + field(14, "disks.example.com") + field(15, "pod-1")
    made = api.send("POST", EVENTS, envelope("v1", "Event", raw), accept=EITHER, content_type=PROTOBUF)
    assert (made.status, made.body["firstTimestamp"]) == (201, "2027-01-15T08:00:00Z")
    assert made.body["eventTime"] is None
    selector = "involvedObject.uid%3Du-1%2CinvolvedObject.name%3Dtold%2Creason%3DProvisioning"
    found = api.send("GET", f"{EVENTS}?fieldSelector={selector}", accept=EITHER).body["items"]
    assert [(event["message"], event["count"]) for event in found] == [("is being made", 1)]


def test_a_metadata_client_prefers_protobuf_and_takes_json(api: Wire) -> None:
    api.send("POST", CLAIMS, claim("about"), accept=EITHER, content_type=PROTOBUF)
    form = "as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    shown = api.send("GET", f"{CLAIMS}/about", accept=f"{PROTOBUF};{form},application/json;{form},application/json")
    assert (shown.body["kind"], shown.body["metadata"]["labels"]) == ("PartialObjectMetadata", {"app": "go"})


def test_who_takes_nothing_but_protobuf_is_told_so(api: Wire) -> None:
    refused = api.send("GET", CLAIMS, accept=PROTOBUF)
    assert (refused.status, refused.body["reason"]) == (406, "NotAcceptable")
    assert "application/json" in refused.message
