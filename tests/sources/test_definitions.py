"""Definitions of custom resources, from the version that is stored to the one that is shown."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.sources.definitions import in_v1

SCHEMA = {"openAPIV3Schema": {"type": "object"}}
SHORT: Any = {
    "apiVersion": "apiextensions.k8s.io/v1beta1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "version": "v1",
        "names": {"plural": "widgets", "kind": "Widget"},
        "scope": "Cluster",
        "validation": SCHEMA,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": "Size", "type": "string", "JSONPath": ".spec.size"}],
        "versions": [{"name": "v1", "served": True, "storage": True}, {"name": "v2", "served": True, "storage": False}],
        "conversion": {
            "strategy": "Webhook",
            "webhookClientConfig": {"url": "https://example.com"},
            "conversionReviewVersions": ["v1"],
        },
        "preserveUnknownFields": False,
    },
    "status": {"storedVersions": ["v1"]},
}
COLUMNS = [{"name": "Size", "type": "string", "jsonPath": ".spec.size"}]


def test_definitions_1_what_is_said_once_is_said_of_each_version() -> None:
    shown = in_v1(SHORT)
    of_each = {"served": True, "schema": SCHEMA, "subresources": {"status": {}}, "additionalPrinterColumns": COLUMNS}
    webhook = {"clientConfig": {"url": "https://example.com"}, "conversionReviewVersions": ["v1"]}
    assert shown["apiVersion"] == "apiextensions.k8s.io/v1"
    assert (shown["metadata"], shown["status"]) == (SHORT["metadata"], SHORT["status"])
    assert shown["spec"] == {
        "group": "example.com",
        "names": {"plural": "widgets", "kind": "Widget"},
        "scope": "Cluster",
        "versions": [{"name": "v1", "storage": True, **of_each}, {"name": "v2", "storage": False, **of_each}],
        "conversion": {"strategy": "Webhook", "webhook": webhook},
    }


def test_definitions_1_what_a_version_says_itself_counts() -> None:
    own = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [{"name": "v1", "schema": own, "additionalPrinterColumns": [{"JSONPath": ".a"}]}]
    spec = in_v1({**SHORT, "spec": {"group": "example.com", "versions": versions, "conversion": {"strategy": "None"}}})[
        "spec"
    ]
    assert spec == {
        "group": "example.com",
        "scope": "Namespaced",
        "versions": [{"name": "v1", "schema": own, "additionalPrinterColumns": [{"jsonPath": ".a"}]}],
        "conversion": {"strategy": "None"},
        "preserveUnknownFields": True,
    }


def test_definitions_1_one_version_may_stand_alone() -> None:
    spec = in_v1({**SHORT, "spec": {"version": "v1", "validation": SCHEMA}})["spec"]
    assert spec["versions"] == [{"name": "v1", "served": True, "storage": True, "schema": SCHEMA}]


@pytest.mark.parametrize("spec", [None, 1, {}, {"versions": 1}, {"versions": [1]}, {"conversion": 1, "versions": {}}])
def test_definitions_2_nonsense_is_left_for_others_to_refuse(spec: Any) -> None:
    assert in_v1({**SHORT, "spec": spec})["kind"] == "CustomResourceDefinition"
    columns = in_v1({**SHORT, "spec": {"versions": [{"name": "v1", "additionalPrinterColumns": [1]}]}})
    assert columns["spec"]["versions"][0]["additionalPrinterColumns"] == [1]
