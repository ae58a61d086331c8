"""The refusals of the kinds of networking, budgets and runtime classes, in the reference's words and at its paths."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kinds.writes import change_refusals, changed, create, new, refusals, stored, update

from pvbinder.server.kinds.registry import Registry
from pvbinder.server.objects.kind import Json, ServedKind


def kind_of(plural: str) -> ServedKind:
    return next(kind for kind in Registry() if kind.resource.plural == plural and kind.storage_version_of is None)


def policy(**peer: Any) -> Json:
    return {"ingress": [{"from": [peer]}]}


def ports(**port: Any) -> Json:
    return {"ingress": [{"ports": [port]}]}


def rule(path: Json, host: str = "") -> Json:
    return {"rules": [{"host": host, "http": {"paths": [path]}}]}


BACKEND = {"service": {"name": "s", "port": {"number": 80}}}
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
REFUSED: list[tuple[str, Json, list[str]]] = [
    (
        "networkpolicies",
        policy(ipBlock={"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16", "10.0.0.0/8"]}),
        [
            f'spec.ingress[0].from[0].ipBlock.except[{i}]: Invalid value: "{text}": must be a strict subset of `cidr`'
            for i, text in enumerate(("11.0.0.0/16", "10.0.0.0/8"))
        ],
    ),
    ("networkpolicies", policy(ipBlock={}), ["spec.ingress[0].from[0].ipBlock.cidr: Required value"]),
    ("networkpolicies", policy(), ["spec.ingress[0].from[0]: Required value: must specify a peer"]),
    (
        "networkpolicies",
        policy(ipBlock={"cidr": "::/0"}, podSelector={}),
        ["spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer"],
    ),
    (
        "networkpolicies",
        ports(port=0, endPort=99999),
        [
            "spec.ingress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ingress[0].ports[0].endPort: Invalid value: 99999: must be between 1 and 65535, inclusive",
        ],
    ),
    (
        "networkpolicies",
        ports(port=90, endPort=80),
        ["spec.ingress[0].ports[0].endPort: Invalid value: 90: must be greater than or equal to `port`"],
    ),
    (
        "networkpolicies",
        ports(port="http", endPort=80),
        ["spec.ingress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is non-numeric"],
    ),
    (
        "networkpolicies",
        ports(protocol="tcp"),
        ['spec.ingress[0].ports[0].protocol: Unsupported value: "tcp": supported values: "TCP", "UDP", "SCTP"'],
    ),
    (
        "networkpolicies",
        {"policyTypes": ["ingress"]},
        ['spec.policyTypes[0]: Unsupported value: "ingress": supported values: "Ingress", "Egress"'],
    ),
    ("ingresses", {}, ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]),
    (
        "ingresses",
        rule({"path": "/a", "backend": BACKEND}),
        ["spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"],
    ),
    (
        "ingresses",
        rule({"path": "a//b", "pathType": "Prefix", "backend": BACKEND}),
        [
            'spec.rules[0].http.paths[0].path: Invalid value: "a//b": must be an absolute path',
            "spec.rules[0].http.paths[0].path: Invalid value: \"a//b\": must not contain '//'",
        ],
    ),
    (
        "ingresses",
        rule({"path": "/a", "pathType": "Exactly", "backend": BACKEND}),
        [
            (
                'spec.rules[0].http.paths[0].pathType: Unsupported value: "Exactly": supported values: '
                '"Exact", "ImplementationSpecific", "Prefix"'
            )
        ],
    ),
    (
        "ingresses",
        rule({"path": "/a", "pathType": "Exact", "backend": BACKEND}, "10.1.2.3"),
        ['spec.rules[0].host: Invalid value: "10.1.2.3": must be a DNS name, not an IP address'],
    ),
    (
        "ingresses",
        {"defaultBackend": {}},
        ['spec.defaultBackend: Invalid value: "": resource or service backend is required'],
    ),
    (
        "ingresses",
        {"defaultBackend": {"service": {"name": "s", "port": {}}}},
        ["spec.defaultBackend: Required value: port name or number is required"],
    ),
    ("ingressclasses", {}, ["spec.controller: Required value"]),
    (
        "ingressclasses",
        {"controller": "nginx"},
        ['spec.controller: Invalid value: "nginx": must be a domain-prefixed path (such as "acme.io/foo")'],
    ),
    (
        "ingressclasses",
        {"controller": "a.b/c", "parameters": {"kind": "K", "name": "n", "scope": "Namespace"}},
        ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
    ),
    ("servicecidrs", {}, ["spec.cidrs: Required value: at least one CIDR required"]),
    (
        "servicecidrs",
        {"cidrs": ["10.0.0.0/8", "11.0.0.0/8"]},
        [
            (
                'spec.cidrs: Invalid value: ["10.0.0.0/8","11.0.0.0/8"]: may specify no more than one IP '
                "for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
            )
        ],
    ),
    (
        "poddisruptionbudgets",
        {"minAvailable": -1},
        ["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"],
    ),
    (
        "poddisruptionbudgets",
        {"maxUnavailable": "101%"},
        ['spec.maxUnavailable: Invalid value: "101%": must not be greater than 100%'],
    ),
    (
        "poddisruptionbudgets",
        {"unhealthyPodEvictionPolicy": "Never"},
        [
            (
                'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": '
                'supported values: "AlwaysAllow", "IfHealthyBudget"'
            )
        ],
    ),
]


@pytest.mark.parametrize(("plural", "spec", "errors"), REFUSED)
def test_what_is_refused(plural: str, spec: Json, errors: list[str]) -> None:
    assert refusals(kind_of(plural), new(spec=spec)) == errors


def test_a_budget_is_of_one_kind() -> None:
    (error,) = refusals(kind_of("poddisruptionbudgets"), new(spec={"minAvailable": 1, "maxUnavailable": 1}))
    assert error.endswith("minAvailable and maxUnavailable cannot be both set")


def test_what_ports_and_parameters_default_to() -> None:
    made = stored(kind_of("networkpolicies"), new(spec=ports(port=80)))
    assert made["spec"]["ingress"][0]["ports"][0]["protocol"] == "TCP"
    parameters = {"kind": "K", "name": "n"}
    made = stored(kind_of("ingressclasses"), new(spec={"controller": "a.b/c", "parameters": parameters}))
    assert made["spec"]["parameters"]["scope"] == "Cluster"


def test_what_does_not_change() -> None:
    kind = kind_of("ingressclasses")
    made = stored(kind, new(spec={"controller": "a.b/c"}))
    assert change_refusals(kind, made, {"spec": {"controller": "a.b/d"}}) == [
        'spec.controller: Invalid value: "a.b/d": field is immutable'
    ]
    kind = kind_of("runtimeclasses")
    assert change_refusals(kind, stored(kind, new(handler="a")), {"handler": "b"}) == [
        'handler: Invalid value: "b": field is immutable'
    ]


def test_a_second_family_may_be_added() -> None:
    kind = kind_of("servicecidrs")
    made = stored(kind, new(spec={"cidrs": ["10.0.0.0/8"]}))
    assert changed(kind, made, {"spec": {"cidrs": ["10.0.0.0/8", "2001:db8::/64"]}})
    assert change_refusals(kind, made, {"spec": {"cidrs": ["11.0.0.0/8"]}}) == [
        'spec.cidrs[0]: Invalid value: "11.0.0.0/8": field is immutable'
    ]


def test_networks_that_were_there_are_not_looked_at_again() -> None:
    kind = kind_of("networkpolicies")
    made, _ = create(kind, new(spec=policy(ipBlock={"cidr": "10.0.0.1/8"})))
    assert update(kind, made, {"spec": {"podSelector": {"matchLabels": {"a": "b"}}}})[1] == []


def test_addresses_belong_to_something() -> None:
    kind = kind_of("ipaddresses")
    assert refusals(kind, new("10.0.0.1")) == ["spec.parentRef: Required value"]
    (name, parent) = refusals(kind, new("a", spec={}))
    assert name.endswith("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
    assert parent == "spec.parentRef: Required value"


def test_an_address_stays_where_it_belongs() -> None:
    kind = kind_of("ipaddresses")
    parent = {"resource": "services", "namespace": "default", "name": "kubernetes"}
    made = stored(kind, new("10.0.0.1", spec={"parentRef": parent}))
    assert change_refusals(kind, made, {"metadata": {"labels": {"a": "b"}}}) == []
    assert change_refusals(kind, made, {"spec": {"parentRef": {"name": "a/b"}}}) == [
        (
            'spec.parentRef: Invalid value: {"Group":"","Resource":"services","Namespace":"default","Name":"a/b"}: '
            "field is immutable"
        )
    ]


def test_warnings_of_networking() -> None:
    ingress = kind_of("ingresses")
    made = stored(
        ingress, new(metadata={"annotations": {"kubernetes.io/ingress.class": "x"}}, spec={"defaultBackend": BACKEND})
    )
    assert ingress.warnings(made, None) == [
        "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
    ]
    assert ingress.warnings(made, made) == []
    runtime = kind_of("runtimeclasses")
    made = stored(runtime, new(handler="a", scheduling={"nodeSelector": {"beta.kubernetes.io/os": "x"}}))
    assert runtime.warnings(made, None) == [
        'scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead'
    ]


def test_statuses_are_checked() -> None:
    budget = kind_of("poddisruptionbudgets")
    made = stored(budget, new(spec={"minAvailable": 1}))
    assert change_refusals(budget, made, {"status": {"expectedPods": -1, "conditions": [{"type": "A"}]}}, "status") == [
        'status.conditions[0].status: Unsupported value: "": supported values: "False", "True", "Unknown"',
        "status.conditions[0].lastTransitionTime: Required value",
        "status.conditions[0].reason: Required value",
        "status.expectedPods: Invalid value: -1: must be greater than or equal to 0",
    ]
    ingress = kind_of("ingresses")
    made = stored(ingress, new(spec={"defaultBackend": BACKEND}))
    entries = [{"ip": "x"}, {"hostname": "10.0.0.1"}]
    assert change_refusals(ingress, made, {"status": {"loadBalancer": {"ingress": entries}}}, "status") == [
        (
            'status.loadBalancer.ingress[0].ip: Invalid value: "x": '
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        ),
        'status.loadBalancer.ingress[1].hostname: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
    ]
