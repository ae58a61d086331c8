"""Namespace, Node, Event, Secret, ConfigMap, ServiceAccount and Lease.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kinds.writes import NOW, change_refusals, changed, create, new, refusals, stored

from pvbinder.server.kinds.built_in.events import EVENT, EVENT_OF_EVENTS, from_v1, to_v1
from pvbinder.server.kinds.built_in.leases import LEASE
from pvbinder.server.kinds.built_in.namespaces import NAMESPACE
from pvbinder.server.kinds.built_in.nodes import NODE
from pvbinder.server.kinds.built_in.secrets import CONFIG_MAP, SECRET
from pvbinder.server.kinds.built_in.service_accounts import SERVICE_ACCOUNT
from pvbinder.server.objects.kind import Json

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def test_a_namespace_is_labelled_and_held() -> None:
    obj = stored(NAMESPACE, new("shop"))
    assert obj["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}
    assert obj["spec"] == {"finalizers": ["kubernetes"]}
    assert obj["status"] == {"phase": "Active"}


def test_a_namespace_ends_through_its_spec() -> None:  # DE-7
    obj = stored(NAMESPACE, new("shop"))
    assert changed(NAMESPACE, obj, {"spec": {"finalizers": []}})["spec"] == obj["spec"]
    assert NAMESPACE.terminate is not None
    NAMESPACE.terminate(obj)
    assert obj["status"]["phase"] == "Terminating"
    assert NAMESPACE.is_held(obj)
    ended = changed(NAMESPACE, obj, {"spec": {"finalizers": []}}, subresource="finalize")
    assert ended["spec"] == {}
    assert not NAMESPACE.is_held(ended)


def test_a_new_node_is_tainted_and_gives_what_it_has() -> None:
    obj = stored(NODE, new("n1", spec={"podCIDR": "10.1.0.0/24"}, status={"capacity": {"pods": 110, "memory": "1Gi"}}))
    assert obj["spec"] == {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"], "taints": [NOT_READY]}
    assert obj["status"]["allocatable"] == {"pods": "110", "memory": "1Gi"}
    assert obj["status"]["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 0}}
    assert obj["status"]["nodeInfo"]["kubeletVersion"] == ""


def test_a_nodes_provider_and_network_are_set_once() -> None:
    old = stored(NODE, new("n1", spec={"providerID": "p://1", "podCIDRs": ["10.1.0.0/24"]}))
    assert change_refusals(
        NODE, old, {"spec": {"providerID": "p://2", "podCIDRs": None, "podCIDR": "10.2.0.0/24"}}
    ) == [
        'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
        'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid',
    ]
    status = changed(
        NODE, old, {"spec": {"unschedulable": True}, "status": {"volumesInUse": ["a"]}}, subresource="status"
    )
    assert status["spec"] == old["spec"]
    assert status["status"]["volumesInUse"] == ["a"]
    assert changed(NODE, old, {"status": {"volumesInUse": ["a"]}})["status"] == old["status"]


def test_a_nodes_taints_are_different() -> None:
    taint = {"key": "k", "value": "v", "effect": "NoSchedule"}
    assert refusals(NODE, new("n1", spec={"taints": [taint, taint, {"key": "k", "effect": "Odd"}]})) == [
        (
            'metadata.taints[1]: Duplicate value: {"Key":"k","Value":"v","Effect":"NoSchedule","TimeAdded":null}: '
            "taints must be unique by key and effect pair"
        ),
        (
            'metadata.taints[2].effect: Unsupported value: "Odd": supported values: '
            '"NoSchedule", "PreferNoSchedule", "NoExecute"'
        ),
    ]


def event(**fields: Any) -> Json:
    return new("e", **fields)


MISMATCH = 'involvedObject.namespace: Invalid value: "{}": does not match event.namespace'
EVENTS = {
    "elsewhere": ({"involvedObject": {"namespace": "elsewhere"}}, [MISMATCH.format("elsewhere")]),
    "nowhere": ({"involvedObject": {}}, [MISMATCH.format("")]),
    "here": ({"involvedObject": {"namespace": "ns"}}, []),
    "with a time, but without the rest": (
        {"involvedObject": {"namespace": "ns"}, "eventTime": "2020-01-01T00:00:00.000000Z", "message": "x" * 1025},
        [
            "reportingComponent: Required value",
            'reportingComponent: Invalid value: "": name part must be non-empty',
            (
                "reportingComponent: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' "
                "or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or "
                "'123-abc', "
                "regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            ),
            "reportingInstance: Required value",
            "action: Required value",
            "reason: Required value",
            'message: Invalid value: "": can have at most 1024 characters',
        ],
    ),
}


@pytest.mark.parametrize(("fields", "errors"), EVENTS.values(), ids=EVENTS.keys())
def test_what_an_event_can_not_be(fields: Json, errors: list[str]) -> None:
    assert refusals(EVENT, event(**fields)) == errors


def test_events_of_the_newer_group_are_checked_more_strictly() -> None:
    obj, errors = create(EVENT_OF_EVENTS, event())
    assert errors == [
        MISMATCH.format(""),
        "eventTime: Required value",
        'type: Invalid value: "": has invalid value: ',
    ]
    assert obj["lastTimestamp"] is None


def test_an_event_of_the_newer_group_hardly_changes() -> None:
    fields = {
        "eventTime": "2020-01-01T00:00:00.000000Z",
        "reportingComponent": "example.com/c",
        "reportingInstance": "i",
        "action": "A",
        "reason": "R",
        "type": "Normal",
        "involvedObject": {"namespace": "ns"},
    }
    old = stored(EVENT_OF_EVENTS, event(**fields))
    assert change_refusals(EVENT_OF_EVENTS, old, {"reason": "S"}) == [
        *['reason: Invalid value: "S": field is immutable'] * 2  # as the reference says it
    ]
    series = {"count": 2, "lastObservedTime": "2020-01-01T00:00:01.000000Z"}
    assert change_refusals(EVENT_OF_EVENTS, old, {"series": series}) == []
    assert change_refusals(EVENT_OF_EVENTS, old, {"series": {"count": 1}, "involvedObject": {"name": "n"}}) == [
        'series.count: Invalid value: "": should be at least 2',
        "series.lastObservedTime: Required value",
        (
            'involvedObject: Invalid value: {"Kind":"","Namespace":"ns","Name":"n","UID":"","APIVersion":"",'
            '"ResourceVersion":"","FieldPath":""}: field is immutable'
        ),
    ]
    counted = {**old, "count": 5, "related": {"kind": "Pod"}}
    assert change_refusals(EVENT_OF_EVENTS, counted, {"count": None, "related": None}) == [
        "count: Invalid value: 0: field is immutable",
        "related: Invalid value: null: field is immutable",
    ]


def test_the_longest_texts_of_events_are_counted_in_bytes() -> None:
    fields = {
        "eventTime": "2020-01-01T00:00:00.000000Z",
        "reportingComponent": "example.com/c",
        "reportingInstance": "i",
        "action": "A",
        "involvedObject": {"namespace": "ns"},
    }
    assert refusals(EVENT, event(**fields, reason="ü" * 64, message="ü" * 512)) == []
    assert refusals(EVENT, event(**fields, reason="ü" * 65, message="ü" * 513)) == [
        'reason: Invalid value: "": can have at most 128 characters',
        'message: Invalid value: "": can have at most 1024 characters',
    ]


def test_both_groups_show_the_same_event() -> None:
    newer = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "regarding": {"kind": "Pod"},
        "note": "n",
        "reportingController": "c",
        "deprecatedCount": 2,
    }
    older = to_v1(newer)
    assert older == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod"},
        "message": "n",
        "reportingComponent": "c",
        "count": 2,
    }
    assert from_v1(older) == newer


def test_a_secrets_texts_become_data() -> None:
    obj = stored(SECRET, new(stringData={"user": "admin"}, data={"k": "dmFsdWU="}))
    assert obj["data"] == {"user": "YWRtaW4=", "k": "dmFsdWU="}
    assert obj["type"] == "Opaque"
    assert "stringData" not in obj


IMMUTABLE = "Forbidden: field is immutable when `immutable` is set"


def test_an_immutable_secret_stays() -> None:
    old = stored(SECRET, new(data={"k": "dg=="}, immutable=True))
    assert change_refusals(SECRET, old, {"data": {"k": "dw=="}, "immutable": None, "type": "other"}) == [
        'type: Invalid value: "other": field is immutable',
        f"immutable: {IMMUTABLE}",
        f"data: {IMMUTABLE}",
    ]
    assert change_refusals(SECRET, old, {"metadata": {"labels": {"a": "b"}}}) == []


def test_secrets_of_a_type_hold_what_it_asks_for() -> None:
    assert refusals(SECRET, new(type="kubernetes.io/tls")) == [
        "data[tls.crt]: Required value",
        "data[tls.key]: Required value",
    ]
    assert refusals(SECRET, new(data={"k": "A" * 2_000_000})) == ["data: Too long: may not be more than 1048576 bytes"]


CONFIG_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
CONFIG_MAPS = {
    "a key in both": (
        {"data": {"k": "v"}, "binaryData": {"k": "AAE="}},
        ['data[k]: Invalid value: "k": duplicate of key present in binaryData'],
    ),
    "dots": ({"data": {"..": "v"}}, ["data[..]: Invalid value: \"..\": must not be '..'"]),
    "a slash": ({"data": {"a/b": "v"}}, [f'data[a/b]: Invalid value: "a/b": {CONFIG_KEY}']),
}


@pytest.mark.parametrize(("fields", "errors"), CONFIG_MAPS.values(), ids=CONFIG_MAPS.keys())
def test_what_a_config_map_can_not_be(fields: Json, errors: list[str]) -> None:
    assert refusals(CONFIG_MAP, new(**fields)) == errors


def test_a_service_account_keeps_only_the_names_of_secrets() -> None:
    obj = stored(SERVICE_ACCOUNT, new(secrets=[{"name": "s", "kind": "Secret", "namespace": "x"}]))
    assert obj["secrets"] == [{"name": "s"}]


def test_what_a_lease_can_not_be() -> None:
    assert refusals(LEASE, new(spec={"leaseDurationSeconds": 0, "leaseTransitions": -1})) == [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
    ]
    assert stored(LEASE, new())["metadata"]["creationTimestamp"] == NOW


def test_leases_know_no_coordinated_election() -> None:
    coordinated = {"strategy": "OldestEmulationVersion", "preferredHolder": "b"}
    made = stored(LEASE, new(spec={"holderIdentity": "a", **coordinated}))
    assert made["spec"] == {"holderIdentity": "a"}
    assert changed(LEASE, made, {"spec": coordinated})["spec"] == {"holderIdentity": "a"}
