"""Deletion: at once, marked, graceful, with preconditions and propagation (DE-1 to DE-7)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import MAPS, VOLUMES, Serving, config_map, serving, volume

PODS = "/api/v1/namespaces/shop/pods"


async def make_map(server: Serving, *finalizers: str) -> Any:
    sent = config_map()
    if finalizers:
        sent["metadata"]["finalizers"] = list(finalizers)
    return (await server.send("POST", MAPS, sent)).body


async def make_pod(server: Serving, **spec: object) -> Any:
    sent = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}
    made = await server.send("POST", PODS, sent)
    assert made.status == 201, made.body
    return made.body


PRECONDITIONS = {
    "another uid": (
        {"uid": "11111111-2222-3333-4444-555555555555"},
        (
            'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition '
            "(11111111-2222-3333-4444-555555555555) does not match the UID in record ({uid}). The object might have "
            "been deleted and then recreated"
        ),
    ),
    "another revision": (
        {"resourceVersion": "1"},
        (
            'Operation cannot be fulfilled on ConfigMap "a": the ResourceVersion in the precondition (1) does not '
            "match the ResourceVersion in record ({resourceVersion}). The object might have been modified"
        ),
    ),
}


@pytest.mark.parametrize(("preconditions", "message"), PRECONDITIONS.values(), ids=PRECONDITIONS.keys())
async def test_a_precondition_that_fails_is_a_conflict(
    tmp_path: Path, preconditions: dict[str, str], message: str
) -> None:
    """DE-1."""
    async with serving(tmp_path) as server:
        metadata = (await make_map(server))["metadata"]
        answer = await server.send("DELETE", f"{MAPS}/a", {"preconditions": preconditions})
        assert (answer.status, answer.message) == (409, message.format(**metadata))


IN_OTHER_WORDS = {
    "with the group": (
        "/apis/storage.k8s.io/v1/storageclasses",
        {"metadata": {"name": "a"}, "provisioner": "p"},
        'StorageClass.storage.k8s.io "a": the UID in the precondition (1) does not match',
    ),
    "a namespace": (
        "/api/v1/namespaces",
        {"metadata": {"name": "a"}},
        'namespaces "a": Precondition failed: UID in precondition: 1, UID in object meta: ',
    ),
}


@pytest.mark.parametrize(("path", "sent", "words"), IN_OTHER_WORDS.values(), ids=IN_OTHER_WORDS.keys())
async def test_a_failed_precondition_names_the_kind(
    tmp_path: Path, path: str, sent: dict[str, Any], words: str
) -> None:
    """DE-1."""
    async with serving(tmp_path) as server:
        await server.send("POST", path, sent)
        answer = await server.send("DELETE", f"{path}/a", {"preconditions": {"uid": "1"}})
        assert answer.status == 409
        assert answer.message.startswith(f"Operation cannot be fulfilled on {words}")


async def test_without_finalizers_it_is_gone_at_once(tmp_path: Path) -> None:
    """DE-2: with a Status, or for some kinds with the object at the revision of its deletion."""
    async with serving(tmp_path) as server:
        made = await make_map(server)
        deleted = await server.send("DELETE", f"{MAPS}/a")
        assert deleted.body["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
        assert (await server.send("GET", f"{MAPS}/a")).status == 404

        classes = "/apis/storage.k8s.io/v1/storageclasses"
        await server.send("POST", classes, {"metadata": {"name": "c"}, "provisioner": "p"})
        deleted = await server.send("DELETE", f"{classes}/c")
        assert deleted.body["kind"] == "StorageClass"
        assert deleted.revision == str(server.store.revision)


async def test_finalizers_keep_it_until_the_last_is_taken_away(tmp_path: Path) -> None:
    """DE-3, DE-4."""
    async with serving(tmp_path) as server:
        await make_map(server, "example.com/one")
        watch = await server.events(f"{MAPS}?watch=true&resourceVersion={server.store.revision}")
        marked = await server.send("DELETE", f"{MAPS}/a")
        assert marked.body["metadata"]["deletionTimestamp"] == "2026-03-01T12:00:00Z"
        assert marked.body["metadata"]["deletionGracePeriodSeconds"] == 0
        server.clock.now += timedelta(seconds=30)
        assert (await server.send("DELETE", f"{MAPS}/a")).body == marked.body

        last = await server.send("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": None}, "data": {"k": "w"}})
        assert (last.status, last.revision, last.body["data"]) == (200, marked.revision, {"k": "w"})
        assert (await server.send("GET", f"{MAPS}/a")).status == 404

        assert (await watch.next())[0] == "MODIFIED"
        kind, shown = await watch.next()
        assert (kind, shown["data"]) == ("DELETED", {"k": "v"}), "the last state that was stored"
        assert shown["metadata"]["resourceVersion"] == str(server.store.revision)
        await watch.close()


async def test_a_name_that_is_being_deleted_is_taken(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make_map(server, "example.com/one")
        await server.send("DELETE", f"{MAPS}/a")
        answer = await server.send("POST", MAPS, config_map())
        assert answer.message == 'object is being deleted: configmaps "a" already exists'


PROPAGATION = {
    "foreground": ("Foreground", [], ["foregroundDeletion"]),
    "orphan": ("Orphan", [], ["orphan"]),
    "background, beside another finalizer": ("Background", ["example.com/one"], ["example.com/one"]),
    "orphan instead of foreground": ("Orphan", ["foregroundDeletion"], ["orphan"]),
    "background instead of orphan": ("Background", ["orphan", "example.com/one"], ["example.com/one"]),
}


@pytest.mark.parametrize(("policy", "before", "after"), PROPAGATION.values(), ids=PROPAGATION.keys())
async def test_a_propagation_policy_is_a_finalizer(
    tmp_path: Path, policy: str, before: list[str], after: list[str]
) -> None:
    """DE-5."""
    async with serving(tmp_path) as server:
        await make_map(server, *before)
        answer = await server.send("DELETE", f"{MAPS}/a?propagationPolicy={policy}")
        assert answer.body["metadata"]["finalizers"] == after


async def test_some_kinds_orphan_by_themselves_and_some_never(tmp_path: Path) -> None:
    """DE-5."""
    jobs, events = "/apis/batch/v1/namespaces/shop/jobs", "/api/v1/namespaces/shop/events"
    pods = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    async with serving(tmp_path) as server:
        await server.send("POST", jobs, {"metadata": {"name": "j"}, "spec": {"template": pods}})
        unsaid = await server.send("DELETE", f"{jobs}/j?dryRun=All")
        assert unsaid.body["metadata"]["finalizers"] == ["orphan"]
        assert len(unsaid.warnings) == 1
        assert unsaid.warnings[0].startswith("child pods are preserved by default when jobs are deleted")
        said = await server.send("DELETE", f"{jobs}/j?propagationPolicy=Background")
        assert (said.body["status"], said.warnings) == ("Success", ())

        about = {"kind": "Pod", "name": "p", "namespace": "shop"}
        await server.send("POST", events, {"metadata": {"name": "e"}, "involvedObject": about})
        assert (await server.send("DELETE", f"{events}/e?propagationPolicy=Orphan")).body["status"] == "Success"


GRACE = {
    "as the pod says": ({"nodeName": "n", "terminationGracePeriodSeconds": 7}, "", 7),
    "as the request says": ({"nodeName": "n"}, "?gracePeriodSeconds=3", 3),
    "a negative one counts as 1": ({"nodeName": "n"}, "?gracePeriodSeconds=-5", 1),
    "30 by default": ({"nodeName": "n"}, "", 30),
}


@pytest.mark.parametrize(("spec", "query", "seconds"), GRACE.values(), ids=GRACE.keys())
async def test_a_pod_on_a_node_is_given_time(tmp_path: Path, spec: dict[str, object], query: str, seconds: int) -> None:
    """DE-6."""
    async with serving(tmp_path) as server:
        await make_pod(server, **spec)
        answer = await server.send("DELETE", f"{PODS}/p{query}")
        metadata = answer.body["metadata"]
        assert metadata["deletionGracePeriodSeconds"] == seconds
        assert metadata["deletionTimestamp"] == f"2026-03-01T12:00:{seconds:02}Z"
        assert metadata["generation"] == 2
        assert (await server.send("GET", f"{PODS}/p")).status == 200


async def test_the_time_of_a_pod_may_only_get_shorter(tmp_path: Path) -> None:
    """DE-6."""
    async with serving(tmp_path) as server:
        await make_pod(server, nodeName="n")
        await server.send("DELETE", f"{PODS}/p")
        shorter = (await server.send("DELETE", f"{PODS}/p?gracePeriodSeconds=5")).body
        assert shorter["metadata"]["deletionTimestamp"] == "2026-03-01T12:00:05Z"
        assert (await server.send("DELETE", f"{PODS}/p?gracePeriodSeconds=20")).body == shorter
        assert (await server.send("DELETE", f"{PODS}/p")).body == shorter
        gone = await server.send("DELETE", f"{PODS}/p?gracePeriodSeconds=0")
        assert gone.body["metadata"]["deletionGracePeriodSeconds"] == 0
        assert (await server.send("GET", f"{PODS}/p")).status == 404


async def test_a_pod_that_has_time_left_stays_when_its_last_finalizer_goes(tmp_path: Path) -> None:
    """DE-4, DE-6."""
    async with serving(tmp_path) as server:
        await make_pod(server, nodeName="n")
        await server.send("PATCH", f"{PODS}/p", {"metadata": {"finalizers": ["example.com/one"]}})
        await server.send("DELETE", f"{PODS}/p")
        left = (await server.send("PATCH", f"{PODS}/p", {"metadata": {"finalizers": None}})).body
        assert left["metadata"]["deletionGracePeriodSeconds"] == 30
        assert (await server.send("GET", f"{PODS}/p")).status == 200
        await server.send("DELETE", f"{PODS}/p?gracePeriodSeconds=0")
        assert (await server.send("GET", f"{PODS}/p")).status == 404


async def test_a_pod_without_a_node_goes_at_once_in_two_changes(tmp_path: Path) -> None:
    """DE-6."""
    async with serving(tmp_path) as server:
        await make_pod(server)
        watch = await server.events(f"{PODS}?watch=true&resourceVersion={server.store.revision}")
        assert (await server.send("DELETE", f"{PODS}/p")).body["kind"] == "Pod"
        assert await watch.names(2) == [("MODIFIED", "p"), ("DELETED", "p")]
        await watch.close()


async def test_a_pod_with_a_finalizer_stays_when_its_time_is_over(tmp_path: Path) -> None:
    """DE-3, DE-6."""
    async with serving(tmp_path) as server:
        await make_pod(server)
        await server.send("PATCH", f"{PODS}/p", {"metadata": {"finalizers": ["example.com/x"]}})
        assert (await server.send("DELETE", f"{PODS}/p")).body["metadata"]["deletionGracePeriodSeconds"] == 0
        assert (await server.send("GET", f"{PODS}/p")).status == 200
        await server.send("PATCH", f"{PODS}/p", {"metadata": {"finalizers": None}})
        assert (await server.send("GET", f"{PODS}/p")).status == 404


async def test_a_namespace_ends_when_its_finalizer_is_gone(tmp_path: Path) -> None:
    """DE-7."""
    async with serving(tmp_path) as server:
        ended = await server.send("DELETE", "/api/v1/namespaces/shop")
        assert ended.body["status"]["phase"] == "Terminating"
        assert "deletionGracePeriodSeconds" not in ended.body["metadata"]
        assert (await server.send("DELETE", "/api/v1/namespaces/shop")).body == ended.body
        refused = await server.send("POST", MAPS, config_map())
        assert refused.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
        body = {"metadata": {"name": "shop"}, "spec": {"finalizers": []}}
        assert (await server.send("PUT", "/api/v1/namespaces/shop/finalize", body)).status == 200
        assert (await server.send("GET", "/api/v1/namespaces/shop")).status == 404


async def test_a_collection_is_deleted_as_far_as_it_is_selected(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for name in "abc":
            sent = config_map(name)
            sent["metadata"]["labels"] = {"n": name}
            await server.send("POST", MAPS, sent)
        answer = await server.send("DELETE", f"{MAPS}?labelSelector=n in (a,c)")
        assert [item["metadata"]["name"] for item in answer.body["items"]] == ["a", "c"]
        assert [item["metadata"]["name"] for item in (await server.send("GET", MAPS)).body["items"]] == ["b"]


def field(number: int, content: bytes | int) -> bytes:
    """One field of a protobuf message: a small number, or a short text."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    return bytes([number << 3 | 2, len(content)]) + content


def in_protobuf(api_version: bytes) -> bytes:
    options = field(1, 5) + field(4, b"Background") + field(5, b"All")
    return b"k8s\0" + field(1, field(1, api_version) + field(2, b"DeleteOptions")) + field(2, options)


OPTIONS = {
    "JSON": (b'{"dryRun":["All"]}', "application/json"),
    "YAML": (b"kind: DeleteOptions\ndryRun: [All]\n", "application/yaml"),
    "protobuf": (in_protobuf(b"v1"), "application/vnd.kubernetes.protobuf"),
    "protobuf of a typed client": (in_protobuf(b"storage.k8s.io/v1"), "application/vnd.kubernetes.protobuf"),
}


@pytest.mark.parametrize(("body", "content_type"), OPTIONS.values(), ids=OPTIONS.keys())
async def test_options_come_in_every_form_of_body(tmp_path: Path, body: bytes, content_type: str) -> None:
    async with serving(tmp_path) as server:
        await make_map(server)
        assert (await server.send("DELETE", f"{MAPS}/a", body, content_type=content_type)).status == 200
        assert (await server.send("GET", f"{MAPS}/a")).status == 200, "a dry run"


@pytest.mark.parametrize("content_type", ["application/yaml", "application/vnd.kubernetes.protobuf"])
async def test_options_that_are_none_in_their_form_are_a_bad_request(tmp_path: Path, content_type: str) -> None:
    async with serving(tmp_path) as server:
        await make_map(server)
        assert (await server.send("DELETE", f"{MAPS}/a", b"a: [b", content_type=content_type)).status == 400


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"gracePeriodSeconds":"x"}', b'{"kind":"ConfigMap"}'])
async def test_options_that_are_none_are_a_bad_request(tmp_path: Path, body: bytes) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", VOLUMES, volume())
        assert (await server.send("DELETE", f"{VOLUMES}/disk", body)).status == 400
        assert (await server.send("GET", f"{VOLUMES}/disk")).status == 200
