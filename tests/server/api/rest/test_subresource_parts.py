"""Parts of subresources, reviews and routes: what comes first, forms, warnings, paths of custom kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.hostile import with_widgets
from tests.server.serving import MAPS, VOLUMES, Serving, config_map, serving, volume

from pvbinder.server.api.rest import reviews
from pvbinder.server.requests import UserInfo

DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
PODS = "/api/v1/namespaces/shop/pods"
ACCOUNTS = "/api/v1/namespaces/shop/serviceaccounts"
WIDGETS = "/apis/example.com/v1/namespaces/shop/widgets"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
LABELS = {"app": "a"}
CONTAINERS = {"containers": [{"name": "c", "image": "i"}]}
APPLY = "application/apply-patch+yaml"
NOT_SUPPORTED = "415: Unsupported Media Type"


async def make_deployment(server: Serving) -> Any:
    template = {"metadata": {"labels": LABELS}, "spec": CONTAINERS}
    spec = {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template}
    made = await server.send("POST", DEPLOYMENTS, {"metadata": {"name": "w"}, "spec": spec})
    assert made.status == 201, made.body
    return made.body


async def test_what_is_not_there_comes_before_what_is_wrong_with_the_body(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for method, path, kind in (
            ("PATCH", f"{DEPLOYMENTS}/none/scale", "deployments.apps"),
            ("POST", f"{ACCOUNTS}/none/token", "serviceaccounts"),
            ("PATCH", f"{PODS}/none/status", "pods"),
        ):
            answer = await server.send(method, path, b"{")
            assert (answer.status, answer.message) == (404, f'{kind} "none" not found'), path
        put = await server.send("PUT", f"{PODS}/none/status", {"metadata": {"name": "none"}})
        assert (put.status, put.message) == (404, 'pods "none" not found')
        applied = await server.send("PATCH", f"{PODS}/none/status?fieldManager=m", b"{", content_type=APPLY)
        assert (applied.status, applied.message) == (404, 'pods "none" not found')


async def test_a_body_of_another_name_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make_deployment(server)
        scale = (await server.send("GET", f"{DEPLOYMENTS}/w/scale")).body
        other = {**scale, "metadata": {"name": "x"}}
        why = "the name of the object (x) does not match the name on the URL (w)"
        for method, query, content_type in (("PUT", "", None), ("PATCH", "?fieldManager=m", APPLY)):
            sent = {"kind": "Scale", "apiVersion": "autoscaling/v1", **other} if content_type else other
            answer = await server.send(method, f"{DEPLOYMENTS}/w/scale{query}", sent, content_type=content_type)
            assert (answer.status, answer.message) == (400, why)
        answer = await server.send("PATCH", f"{DEPLOYMENTS}/w/scale", {"metadata": {"name": "x"}})
        assert (answer.status, answer.message) == (400, why)
        for metadata, code in (({}, 400), ({"namespace": "other"}, 400), ({"uid": "1"}, 409)):
            sent = {"metadata": {"name": "w", **metadata} if metadata else {}, "spec": {"replicas": 4}}
            assert (await server.send("PUT", f"{DEPLOYMENTS}/w/scale", sent)).status == code


async def test_a_scale_is_written_at_the_revision_that_it_names(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await make_deployment(server)
        for revision, status in (("1", 409), (str(server.store.revision), 200)):
            body = {"metadata": {"resourceVersion": revision}, "spec": {"replicas": 2}}
            answer = await server.send("PATCH", f"{DEPLOYMENTS}/w/scale", body)
            assert answer.status == status, answer.body
        now = str(server.store.revision)
        same = [{"op": "test", "path": "/spec/replicas", "value": 2}]
        kept = await server.send("PATCH", f"{DEPLOYMENTS}/w/scale", same, content_type="application/json-patch+json")
        assert (kept.status, kept.revision) == (200, now)
        warned = await server.send("PATCH", f"{DEPLOYMENTS}/w/scale", {"spec": {"replicas": 3, "more": 1}})
        assert warned.warnings == ('unknown field "spec.more"',)
        yaml = await server.send("GET", f"{DEPLOYMENTS}/w/scale", headers={"accept": "application/yaml"})
        assert yaml.headers["Content-Type"] == "application/yaml"
        yaml = await server.send(
            "PATCH", f"{DEPLOYMENTS}/w/scale", {"spec": {"replicas": 1}}, headers={"accept": "application/yaml"}
        )
        assert yaml.headers["Content-Type"] == "application/yaml"


async def test_a_token_is_asked_for(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", ACCOUNTS, {"metadata": {"name": "robot"}})
        made = await server.send("POST", f"{ACCOUNTS}/robot/token", {"spec": {"audiences": ["x"]}, "more": 1})
        assert (made.status, made.body["kind"], made.warnings) == (201, "TokenRequest", ('unknown field "more"',))
        assert made.body["spec"]["audiences"] == ["x"]
        yaml = await server.send("POST", f"{ACCOUNTS}/robot/token", {}, headers={"accept": "application/yaml"})
        assert yaml.headers["Content-Type"] == "application/yaml"


async def test_patches_of_no_kind_that_is_known(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, config_map())
        for content_type in ("text/plain", "application/json", "application/json-patch+jsonx"):
            answer = await server.send("PATCH", f"{MAPS}/a", {}, content_type=content_type)
            assert (answer.status, answer.body["reason"], answer.message, answer.body["details"]) == (
                415, "UnsupportedMediaType", NOT_SUPPORTED, {},
            )  # fmt: skip
        odd = " application/merge-patch+json ; charset=utf-8"
        assert (await server.send("PATCH", f"{MAPS}/a", {}, content_type=odd)).status == 200


async def test_the_paths_of_a_custom_kind(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await with_widgets({"type": "object", "x-kubernetes-preserve-unknown-fields": True})(server)
        body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
        assert (await server.send("POST", WIDGETS, body)).status == 201
        kind = next(kind for kind in server.api.objects.registry if kind.resource.plural == "widgets")
        missing = await server.send("GET", f"{WIDGETS}/w/log")
        assert (missing.status, missing.message) == (404, 'widgets.example.com "w" not found')
        for sub in kind.subresources:
            answer = await server.send("DELETE", f"{WIDGETS}/w/{sub.name}")
            assert (answer.status, answer.body["reason"], answer.message) == (
                405, "MethodNotAllowed", 'delete is not supported on resources of kind "widgets.example.com"',
            )  # fmt: skip
            assert answer.body["details"] == {"group": "example.com", "kind": "widgets"}


async def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", VOLUMES, volume("v"))
        for path in (
            "/api/v1/watch/persistentvolumes/v/status",
            "/api/v1/namespaces/shop/namespaces/other",
        ):
            answer = await server.send("GET", path)
            assert answer.status == 404, path
        assert (await server.send("GET", "/api/v1/namespaces/shop")).status == 200
        assert (await server.send("GET", f"{VOLUMES}/v/status")).body["kind"] == "PersistentVolume"


async def test_a_kind_that_is_deprecated_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        deprecated = [kind for kind in server.api.objects.registry if kind.deprecation]
        assert deprecated
        for kind in deprecated:
            resource = kind.resource
            path = resource.path("shop" if resource.namespaced else None)
            assert (await server.send("GET", path)).warnings == (kind.deprecation,)
            if kind.resource.plural == "endpoints":
                for method, missing in (("GET", "/a/status"), ("POST", "/a")):  # nothing is there to warn of
                    answer = await server.send(method, path + missing, {} if method == "POST" else None)
                    assert (answer.status, answer.warnings) == (404 if method == "GET" else 405, ())
        assert (await server.send("GET", MAPS)).warnings == ()


async def test_the_rules_of_a_review_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roles = "/apis/rbac.authorization.k8s.io/v1"
    rules = [{"apiGroups": [""], "resources": [f"r{number}"], "verbs": ["get"]} for number in range(2)]
    rules.append({"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectrulesreviews"], "verbs": ["create"]})
    ana = UserInfo("ana", groups=("system:authenticated",))
    async with serving(tmp_path, rbac=True) as server:
        await server.send("POST", f"{roles}/clusterroles", {"metadata": {"name": "r"}, "rules": rules})
        by = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}
        subjects = [{"kind": "User", "name": "ana", "apiGroup": "rbac.authorization.k8s.io"}]
        body = {"metadata": {"name": "b"}, "subjects": subjects, "roleRef": by}
        await server.send("POST", f"{roles}/clusterrolebindings", body)
        for bound, is_over in ((3, False), (2, True)):
            monkeypatch.setattr(reviews, "RULES_SHOWN_MAX", bound)
            answer = await server.send(
                "POST", f"{AUTHORIZATION}/selfsubjectrulesreviews", {"spec": {"namespace": "shop"}}, user=ana
            )
            status = answer.body["status"]
            assert (len(status["resourceRules"]) + len(status["nonResourceRules"]), status["incomplete"]) == (
                3,
                is_over,
            )
            assert status.get("evaluationError") == (
                "there are more than 2 rules, of which these are the first" if is_over else None
            )


async def test_a_review_is_answered_as_it_was_sent(tmp_path: Path) -> None:
    attributes = {"verb": "get", "resource": "pods", "namespace": "shop"}
    here = f"{AUTHORIZATION}/namespaces/shop/localsubjectaccessreviews"
    async with serving(tmp_path) as server:
        answer = await server.send("POST", here, {"spec": {"user": "ana", "resourceAttributes": attributes}})
        assert answer.body == {
            "kind": "LocalSubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": {"namespace": "shop"},
            "spec": {"user": "ana", "resourceAttributes": attributes},
            "status": {"allowed": True},
        }
        assert list(answer.body) == ["kind", "apiVersion", "metadata", "spec", "status"]
        who = await server.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        assert who.body["metadata"] == {"creationTimestamp": "2026-03-01T12:00:00Z"}
        assert "spec" not in who.body
        refused = await server.send("POST", here, {"spec": {"user": "ana", "resourceAttributes": {"verb": "get"}}})
        assert refused.message == (
            '.authorization.k8s.io "" is invalid: spec.resourceAttributes.namespace: Invalid value: "": must match '
            "metadata.namespace"
        )
        assert refused.body["details"] == {
            "group": "authorization.k8s.io",
            "causes": [
                {
                    "reason": "FieldValueInvalid",
                    "message": 'Invalid value: "": must match metadata.namespace',
                    "field": "spec.resourceAttributes.namespace",
                }
            ],
        }
        path_alone = {"spec": {"user": "ana", "nonResourceAttributes": {}, "resourceAttributes": {"namespace": "shop"}}}
        both = await server.send("POST", here, path_alone)
        assert 'spec.nonResourceAttributes: Invalid value: {"Path":"","Verb":""}: cannot be' in both.message
        for path, status in (
            (f"{AUTHORIZATION}/namespaces/shop/selfsubjectaccessreviews", 404),
            (f"{AUTHORIZATION}/localsubjectaccessreviews", 404),
            (f"{AUTHORIZATION}/selfsubjectaccessreviews/x", 404),
        ):
            wrong = await server.send("POST", path, {})
            assert (wrong.status, wrong.message) == (status, "the server could not find the requested resource"), path
        forms = "application/json;as=Table;v=v1;g=meta.k8s.io"
        assert (await server.send("POST", here, {}, headers={"accept": forms})).status == 406
        group = await server.send(
            "POST", f"{AUTHORIZATION}/subjectaccessreviews", {"spec": {"groups": ["g"], "resourceAttributes": {}}}
        )
        assert group.status == 201
