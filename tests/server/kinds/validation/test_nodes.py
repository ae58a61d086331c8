"""What nodes refuse and warn of, in the reference's words."""

from __future__ import annotations

import pytest
from tests.server.kinds.writes import change_refusals, changed, create, new, refusals, stored

from pvbinder.server.kinds.built_in.nodes import NODE
from pvbinder.server.objects.kind import Json

LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
NO_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
NO_FEATURE = (
    "must start with an UpperCamelCase segment, with subsequent segments separated by '/' "
    "(e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
)
NODES: dict[str, tuple[Json, Json, list[str]]] = {
    "networks of both families": ({"podCIDRs": ["10.1.0.0/24", "2001:db8::/64"]}, {}, []),
    "a network that is none": (
        {"podCIDR": "10.1.0.0"},
        {},
        [f'spec.podCIDRs[0]: Invalid value: "10.1.0.0": {NO_CIDR}'],
    ),
    "two networks of a family": (
        {"podCIDRs": ["10.1.0.0/24", "10.2.0.0/24"]},
        {},
        [
            (
                'spec.podCIDRs: Invalid value: ["10.1.0.0/24","10.2.0.0/24"]: '
                "may specify no more than one CIDR for each IP family"
            )
        ],
    ),
    "a taint with two faults in its value": (
        {"taints": [{"key": "a", "value": "-" * 64, "effect": "NoSchedule"}]},
        {},
        [
            (
                f'metadata.taints[0].value: Invalid value: "{"-" * 64}": '
                f"must be no more than 63 bytes;{LABEL_VALUE}"
            )
        ],
    ),
    "a taint without an effect": (
        {"taints": [{"key": "a"}]},
        {},
        ["metadata.taints[0].effect: Required value"],
    ),
    "half a pod, and less than nothing": (
        {},
        {"capacity": {"pods": "500m"}, "allocatable": {"cpu": "-1"}},
        [
            'status.capacity.pods: Invalid value: "500m": must be an integer',
            'status.allocatable.cpu: Invalid value: "-1": must be greater than or equal to 0',
        ],
    ),
    "a resource of nobody": ({}, {"capacity": {"whatever": "1"}}, []),
    "swap of nothing": (
        {},
        {"nodeInfo": {"swap": {"capacity": 0}}},
        ["metadata.nodeSwapStatus.capacity: Invalid value: 0: must be greater than zero"],
    ),
    "features in order": ({}, {"declaredFeatures": ["A", "A/b", "B"]}, []),
    "features that can't be": (
        {},
        {"declaredFeatures": ["B", "A", "A", "b"]},
        [
            'status.declaredFeatures[1]: Invalid value: "A": list must be sorted alphabetically',
            'status.declaredFeatures[2]: Duplicate value: "A"',
            f'status.declaredFeatures[3]: Invalid value: "b": invalid feature name "b": {NO_FEATURE}',
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "status", "errors"), NODES.values(), ids=NODES.keys())
def test_nodes(spec: Json, status: Json, errors: list[str]) -> None:
    assert refusals(NODE, new(spec=spec, status=status)) == errors


def test_what_a_node_keeps() -> None:
    made = stored(NODE, new(spec={"podCIDR": "10.1.0.0/24", "providerID": "p"}))
    assert change_refusals(NODE, made, {"spec": {"unschedulable": True, "taints": []}}) == []
    assert change_refusals(NODE, made, {"spec": {"providerID": "q", "externalID": "e", "podCIDR": "10.2.0.0/24"}}) == [
        'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
        'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid',
        "spec.externalID: Forbidden: may not be updated",
    ]
    wrong = {"taints": [{"key": "a", "effect": "Odd"}]}
    assert len(change_refusals(NODE, made, {"spec": wrong})) == 2, "as a new one, and as a change"


def test_statuses_of_nodes() -> None:
    made = stored(NODE, new())
    addresses = [{"type": "InternalIP", "address": "10.0.0.1"}] * 2
    status = {"addresses": addresses, "capacity": {"memory": "-1"}, "allocatable": {"memory": "0"}}
    assert change_refusals(NODE, made, {"status": status}, "status") == [
        'status.capacity.memory: Invalid value: "-1": must be greater than or equal to 0',
        'status.addresses[1]: Duplicate value: {"Type":"InternalIP","Address":"10.0.0.1"}',
    ]
    addresses = [{"type": kind, "address": "10.0.0.1"} for kind in ("InternalIP", "ExternalIP")]
    assert change_refusals(NODE, made, {"status": {"addresses": addresses}}, "status") == []


def test_the_kubelets_configuration_is_gone() -> None:
    source = {"configMap": {"name": "a"}}
    made = stored(NODE, new(spec={"configSource": source}, status={"config": {"active": source}}))
    assert "configSource" not in made["spec"]
    assert "config" not in made["status"]
    assert "configSource" not in changed(NODE, made, {"spec": {"configSource": source}})["spec"]
    assert "config" not in changed(NODE, made, {"status": {"config": {}}}, subresource="status")["status"]


def test_warnings_of_nodes() -> None:
    made, _ = create(NODE, new(spec={"externalID": "e", "podCIDRs": ["10.1.0.1/24"]}))
    assert NODE.warnings(made, None) == [
        "spec.externalID: this field is deprecated, and is unused by Kubernetes",
        (
            'spec.podCIDRs[0]: CIDR value "10.1.0.1/24" is ambiguous in this context '
            '(should be "10.1.0.0/24" or "10.1.0.1/32"?)'
        ),
    ]
