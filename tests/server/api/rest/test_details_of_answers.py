"""Details of answers that were compared with Kubernetes 1.36: one request each, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import MAPS, serving

from pvbinder.model.go_values import quoted
from pvbinder.server.errors import unsupported

TABLE_TYPES = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
PODS = "/api/v1/namespaces/shop/pods"
POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
ASKED: dict[str, tuple[str, str, dict[str, Any] | None, str, int, str]] = {
    "an empty number of seconds": (
        "DELETE", f"{MAPS}/a?gracePeriodSeconds=", None, "", 400, 'strconv.ParseInt: parsing "": invalid syntax',
    ),
    "a uid in the query": (
        "DELETE", f"{MAPS}/a?uid=x", None, "", 409, 'Operation cannot be fulfilled on ConfigMap "a": the UID in',
    ),
    "a revision in the query": (
        "DELETE", f"{MAPS}?resourceVersion=0", None, "", 409,
        'Operation cannot be fulfilled on ConfigMap "a": the ResourceVersion in',
    ),
    "another namespace before another name": (
        "PUT", f"{MAPS}/a", {"metadata": {"name": "b", "namespace": "other"}}, "", 400,
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    "what a list can be": (
        "GET", MAPS, None, "text/html", 406,
        (f"406: Not Acceptable\n\nAvailable representations: {TABLE_TYPES}, application/json;stream=watch, "
        "application/vnd.kubernetes.protobuf;stream=watch"),
    ),
    "what an object can be": (
        "GET", f"{MAPS}/a", None, "text/html", 406,
        f"406: Not Acceptable\n\nAvailable representations: {TABLE_TYPES}",
    ),
    "a finalizer of a namespace by its place": (
        "PUT", "/api/v1/namespaces/shop/finalize",
        {"metadata": {"name": "shop"}, "spec": {"finalizers": ["kubernetes", "x"]}}, "", 422,
        'Namespace "shop" is invalid: spec.finalizers[1]: Invalid value: "x"',
    ),
    "another group's name of the kind": (
        "POST", "/api/v1/namespaces/shop/events", {"kind": "Event", "apiVersion": "events.k8s.io/v1"}, "", 400,
        "the API version in the data (events.k8s.io/v1) does not match the expected API version (v1)",
    ),
    "a group of before": (
        "POST", "/apis/apps/v1/namespaces/shop/deployments", {"kind": "Deployment", "apiVersion": "extensions/v1beta1"},
        "", 400, "the API version in the data (extensions/v1beta1) does not match the expected API version (apps/v1)",
    ),
    "a List": (
        "POST", MAPS, {"kind": "List", "apiVersion": "v1"}, "", 400,
        'List in version "v1" cannot be handled as a ConfigMap: converting (v1.List) to (core.ConfigMap): unknown',
    ),
    "options of a retired version": (
        "POST", MAPS, {"kind": "DeleteOptions", "apiVersion": "apps/v1beta1"}, "", 400,
        'DeleteOptions in version "v1beta1" cannot be handled as a ConfigMap: converting (v1beta1.DeleteOptions) to',
    ),
    "a definition of before": (
        "POST", CRDS, {"kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1beta1"}, "", 400,
        "the API version in the data (apiextensions.k8s.io/v1beta1) does not match the expected API version",
    ),
    "no definition": (
        "POST", CRDS, {"kind": "Pod", "apiVersion": "v1"}, "", 400,
        ('Pod in version "v1" cannot be handled as a CustomResourceDefinition: no kind "Pod" is registered for version '
        '"v1" in scheme "k8s.io/apiextensions-apiserver/pkg/apiserver/apiserver.go:55"'),
    ),
    "a review by name": (
        "GET", f"{REVIEWS}/x", None, "", 404, "the server could not find the requested resource",
    ),
    "an address of a service that has one": (
        "PATCH", "/api/v1/namespaces/shop/services/s", {"spec": {"clusterIP": "10.0.0.200"}}, "", 422,
        'Service "s" is invalid: spec.clusterIPs[0]: Invalid value: ["10.0.0.200"]: may not change once set',
    ),
    "a review with two selectors in one": (
        "POST", REVIEWS,
        {
            "spec": {
                "user": "u",
                "resourceAttributes": {"labelSelector": {"rawSelector": "a", "requirements": [{"key": "a"}]}},
            }
        }, "", 422,
        ('.authorization.k8s.io "" is invalid: spec.resourceAttributes.labelSelector.rawSelector: Invalid value: "a": '
        "may not specified at the same time as requirements"),
    ),
    "a review with an empty selector": (
        "POST", REVIEWS, {"spec": {"user": "u", "resourceAttributes": {"fieldSelector": {}}}}, "", 422,
        '.authorization.k8s.io "" is invalid: spec.resourceAttributes.fieldSelector.requirements: Required value: when',
    ),
    "a review with impossible requirements": (
        "POST", REVIEWS,
        {
            "spec": {
                "user": "u",
                "resourceAttributes": {
                    "fieldSelector": {"requirements": [{"operator": "In"}, {"key": "a", "operator": "X"}]},
                    "labelSelector": {"requirements": [{"key": "a", "operator": "Exists", "values": ["b"]}]},
                },
            }
        }, "", 422,
        ('.authorization.k8s.io "" is invalid: [spec.resourceAttributes.fieldSelector.requirements[0].values: Required '
        "value: must be specified when `operator` is 'In' or 'NotIn', spec.resourceAttributes.fieldSelector."
        "requirements[0].key: Required value: must be specified, spec.resourceAttributes.labelSelector."
        "requirements[0].values: Forbidden"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "accept", "status", "message"), ASKED.values(), ids=ASKED.keys())
async def test_what_is_said(
    tmp_path: Path, method: str, path: str, body: object, accept: str, status: int, message: str
) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, {"metadata": {"name": "a"}})
        if "services" in path:
            service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
            await server.send("POST", "/api/v1/namespaces/shop/services", service)
        answer = await server.send(method, path, body, headers={"accept": accept} if accept else {})
        assert (answer.status, answer.message[: len(message)]) == (status, message)


async def test_an_empty_namespace_in_the_path_means_all(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, {"metadata": {"name": "a"}})
        listed = await server.send("GET", "/api/v1/namespaces//configmaps")
        assert [item["metadata"]["name"] for item in listed.body["items"]] == ["a"]
        assert (await server.send("GET", "/api/v1/namespaces//")).status == 200


async def test_a_selector_that_means_nothing_is_left_out_of_a_review(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        asked = {"user": "u", "resourceAttributes": {"verb": "list", "labelSelector": {"rawSelector": "(("}}}
        answer = await server.send("POST", REVIEWS, {"spec": asked})
        why = "spec.resourceAttributes.labelSelector ignored due to parse error"
        assert answer.body["status"]["evaluationError"] == why


async def test_a_watch_is_not_written_as_yaml(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        answer = await server.send("GET", f"{MAPS}?watch=true", headers={"accept": "application/yaml"})
        assert answer.status == 406


async def test_a_binding_is_nobodys_and_counts_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        made = (await server.send("POST", PODS, POD)).body["metadata"]
        target = {"metadata": {"name": "p", "labels": {"l": "v"}}, "target": {"kind": "Node", "name": "n"}}
        assert (await server.send("POST", f"{PODS}/p/binding", target)).status == 201
        bound = (await server.send("GET", f"{PODS}/p")).body
        assert bound["spec"]["nodeName"] == "n"
        assert bound["metadata"]["managedFields"] == made["managedFields"]
        assert bound["metadata"]["generation"] == made["generation"]


async def test_a_status_counts_no_generation_though_annotations_of_a_deployment_do(tmp_path: Path) -> None:
    path, labels = "/apis/apps/v1/namespaces/shop/deployments", {"a": "b"}
    template = {"metadata": {"labels": labels}, "spec": POD["spec"]}
    sent = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
    async with serving(tmp_path) as server:
        await server.send("POST", path, sent)
        change = {"metadata": {"annotations": {"a": "b"}}}
        by_status = await server.send("PATCH", f"{path}/d/status", change)
        assert (by_status.body["metadata"]["annotations"], by_status.body["metadata"]["generation"]) == ({"a": "b"}, 1)
        change = {"metadata": {"annotations": {"a": "c"}}}
        assert (await server.send("PATCH", f"{path}/d", change)).body["metadata"]["generation"] == 2


async def test_an_eviction_may_be_of_the_version_before(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", PODS, POD)
        sent = {"kind": "Eviction", "apiVersion": "policy/v1beta1", "metadata": {"name": "p"}}
        assert (await server.send("POST", f"{PODS}/p/eviction", sent)).status == 201


def test_texts_are_quoted_as_by_go() -> None:
    assert quoted('a"\\b') == r'"a\"\\b"'
    assert quoted("\a\x00\x7f\u2028\U000e0001ä\n") == r'"\a\x00\x7f\u2028\U000e0001ä\n"'
    assert unsupported("f", "\x00", ["\t"]).body == r'Unsupported value: "\x00": supported values: "\t"'
