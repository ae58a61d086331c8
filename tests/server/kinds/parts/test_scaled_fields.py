"""Managed fields of a Scale, and of the object that it scales."""

from __future__ import annotations

from typing import Any

from pvbinder.server.kinds.parts.scaled_fields import bring_back, entries_of_scale

SPEC_REPLICAS = ("spec", "replicas")


def entry(manager: str, fields: dict[str, Any], api_version: str = "apps/v1", **more: str) -> dict[str, Any]:
    common = {"manager": manager, "operation": "Apply", "apiVersion": api_version, "time": "2026-03-01T12:00:00Z"}
    return {**common, "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


REPLICAS: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
BOTH: dict[str, Any] = {"f:spec": {"f:paused": {}, "f:replicas": {}}}
OTHER: dict[str, Any] = {"f:spec": {"f:paused": {}}}


def test_scaled_1_a_scale_has_the_entries_of_those_who_own_the_replicas() -> None:
    found = entries_of_scale([entry("a", BOTH), entry("b", OTHER)], SPEC_REPLICAS)
    assert found == [entry("a", REPLICAS, "autoscaling/v1")]
    assert entries_of_scale([entry("b", OTHER)], SPEC_REPLICAS) is None


def test_scaled_1_the_replicas_of_custom_kinds_are_where_their_definition_says() -> None:
    found = entries_of_scale([entry("a", {"f:spec": {"f:size": {"f:count": {}}}})], ("spec", "size", "count"))
    assert found == [entry("a", REPLICAS, "autoscaling/v1")]


def test_scaled_2_who_lost_the_replicas_keeps_the_rest() -> None:
    metadata: dict[str, Any] = {"managedFields": [entry("a", BOTH), entry("b", REPLICAS), entry("c", OTHER)]}
    bring_back(metadata, [entry("new", REPLICAS, "autoscaling/v1", subresource="scale")], SPEC_REPLICAS, "apps/v1")
    assert metadata["managedFields"] == [
        entry("a", OTHER),
        entry("c", OTHER),
        entry("new", REPLICAS, subresource="scale"),
    ]


def test_scaled_2_who_still_owns_them_keeps_everything() -> None:
    stored = [entry("a", BOTH)]
    metadata: dict[str, Any] = {"managedFields": stored}
    bring_back(metadata, entries_of_scale(stored, SPEC_REPLICAS), SPEC_REPLICAS, "apps/v1")
    assert metadata["managedFields"] == stored
