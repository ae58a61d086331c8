"""What flows, priority levels and API services are by default, and what they refuse, in the reference's words."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kinds.writes import NOW, change_refusals, merged, new, refusals, stored

from pvbinder.server.kinds.registry import Registry
from pvbinder.server.objects.kind import Json, ServedKind


def kind_of(plural: str) -> ServedKind:
    return next(kind for kind in Registry() if kind.resource.plural == plural)


FLOW = kind_of("flowschemas")
LEVEL = kind_of("prioritylevelconfigurations")
SERVICE = kind_of("apiservices")
READS = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["*"]}
ANA = {"kind": "User", "user": {"name": "ana"}}
OF_ANA = {"subjects": [ANA], "resourceRules": [READS]}
QUEUE = {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}


def flow(*rules: Json, **fields: Any) -> Json:
    return {"priorityLevelConfiguration": {"name": "l"}, "rules": list(rules), **fields}


def of(*subjects: Json) -> Json:
    return flow({**OF_ANA, "subjects": list(subjects)})


def resources(**fields: Any) -> Json:
    return flow({"subjects": [ANA], "resourceRules": [merged(READS, fields)]})


def paths(*urls: str) -> Json:
    return flow({"subjects": [ANA], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": list(urls)}]})


RULE = "spec.rules[0]"
FLOWS: dict[str, tuple[Json, list[str]]] = {
    "one of a user": (flow(OF_ANA), []),
    "one of accounts": (of({"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "n"}}), []),
    "one of paths": (paths("/", "/healthz", "/a/*"), []),
    "before all others": (
        flow(matchingPrecedence=1),
        ["spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"],
    ),
    "below nothing, and of no level": (
        {"matchingPrecedence": -1},
        [
            "spec.matchingPrecedence: Invalid value: -1: must be a positive value",
            "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
        ],
    ),
    "behind all others": (
        flow(matchingPrecedence=10_001, distinguisherMethod={"type": "ByLuck"}),
        [
            "spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000",
            (
                'spec.distinguisherMethod.type: Unsupported value: {"Type":"ByLuck"}: '
                'supported values: "ByNamespace", "ByUser"'
            ),
        ],
    ),
    "of nobody and nothing": (
        flow({}),
        [
            f"{RULE}.subjects: Required value: subjects must contain at least one value",
            f"{RULE}: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
        ],
    ),
    "subjects that are two or none": (
        of({"kind": "User", "group": {"name": "g"}}, {"kind": "Robot"}, {"kind": "Group", "group": {}}),
        [
            f"{RULE}.subjects[0].user: Required value: user is required when subject kind is 'User'",
            f"{RULE}.subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
            (
                f'{RULE}.subjects[1].kind: Unsupported value: "Robot": '
                'supported values: "Group", "ServiceAccount", "User"'
            ),
            f"{RULE}.subjects[2].group.name: Required value",
        ],
    ),
    "an account without a namespace": (
        of({"kind": "ServiceAccount", "serviceAccount": {"name": "a"}}),
        [(f"{RULE}.subjects[0].serviceAccount.namespace: Required value: must specify namespace for service account")],
    ),
    "a rule about nothing": (
        flow({"subjects": [ANA], "resourceRules": [{}], "nonResourceRules": [{}]}),
        [
            f"{RULE}.resourceRules[0].verbs: Required value: verbs must contain at least one value",
            f"{RULE}.resourceRules[0].apiGroups: Required value: resource rules must supply at least one api group",
            f"{RULE}.resourceRules[0].resources: Required value: resource rules must supply at least one resource",
            (
                f"{RULE}.resourceRules[0].namespaces: Required value: "
                "resource rules that are not cluster scoped must supply at least one namespace"
            ),
            f"{RULE}.nonResourceRules[0].verbs: Required value: verbs must contain at least one value",
            (
                f"{RULE}.nonResourceRules[0].nonResourceURLs: Required value: "
                "nonResourceURLs must contain at least one value"
            ),
        ],
    ),
    "all and one": (
        resources(verbs=["*", "get"], apiGroups=["*", ""], resources=["*", "a"], namespaces=["*", "n"]),
        [
            f"{RULE}.resourceRules[0].{field}: Invalid value: {shown}: if '*' is present, must not specify other {noun}"
            for field, shown, noun in (
                ("verbs", '["*","get"]', "verbs"),
                ("apiGroups", '["*",""]', "api groups"),
                ("resources", '["*","a"]', "resources"),
                ("namespaces", '["*","n"]', "namespaces"),
            )
        ],
    ),
    "an unknown verb": (
        resources(verbs=["read"], clusterScope=True, namespaces=[]),
        [
            (
                f'{RULE}.resourceRules[0].verbs: Unsupported value: ["read"]: supported values: "create", "delete", '
                '"deletecollection", "get", "list", "patch", "proxy", "update", "watch"'
            )
        ],
    ),
    "a namespace with dots": (
        resources(namespaces=["a.b"]),
        [
            (
                f'{RULE}.resourceRules[0].namespaces[0]: Invalid value: "a.b": '
                "each member of this list must be '*' or a DNS-1123 label; must not contain dots"
            )
        ],
    ),
    "paths that are none": (
        paths("", "a", "/a b", "/a//b", "/*/b"),
        [
            f'{RULE}.nonResourceRules[0].nonResourceURLs[{index}]: Invalid value: "{url}": {why}'
            for index, url, why in (
                (0, "", "must not be empty"),
                (1, "a", "must start with slash"),
                (2, "/a b", "must not contain white-space"),
                (3, "/a//b", "must not contain double slash"),
                (4, "/*/b", "wildcard can only do suffix matching"),
            )
        ],
    ),
}


@pytest.mark.parametrize(("spec", "errors"), FLOWS.values(), ids=FLOWS.keys())
def test_flows(spec: Json, errors: list[str]) -> None:
    assert refusals(FLOW, new(spec=spec)) == errors


def limited(**fields: Any) -> Json:
    return merged(QUEUE, {"limited": fields})


def queues(**fields: Any) -> Json:
    return limited(limitResponse={"queuing": fields})


QUEUING = "spec.limited.limitResponse.queuing"
LEVELS: dict[str, tuple[Json, list[str]]] = {
    "one with queues": (QUEUE, []),
    "one that refuses": ({"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}, []),
    "no type": ({}, ["spec.type: Required value"]),
    "another type": (
        {"type": "Free"},
        ['spec.type: Unsupported value: "Free": supported values: "Exempt", "Limited"'],
    ),
    "exempt by another name": (
        {"type": "Exempt", "limited": {}, "exempt": {"nominalConcurrencyShares": -1, "lendablePercent": 101}},
        [
            "spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'",
            "spec.limited: Forbidden: must be nil if the type is not Limited",
            "spec.exempt.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
            "spec.exempt.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
        ],
    ),
    "limited by nothing": (
        {"type": "Limited", "exempt": {}},
        [
            "spec.exempt: Forbidden: must be nil if the type is Limited",
            "spec.limited: Required value: must not be empty when type is Limited",
        ],
    ),
    "amounts that can't be": (
        limited(nominalConcurrencyShares=-1, lendablePercent=-1, borrowingLimitPercent=-1),
        [
            "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
            "spec.limited.lendablePercent: Invalid value: -1: must be between 0 and 100, inclusive",
            "spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer",
        ],
    ),
    "no response": (
        {"type": "Limited", "limited": {}},
        ["spec.limited.limitResponse.type: Required value"],
    ),
    "another response": (
        limited(limitResponse={"type": "Cry"}),
        ['spec.limited.limitResponse.type: Unsupported value: "Cry": supported values: "Queue", "Reject"'],
    ),
    "queues of those that are refused": (
        limited(limitResponse={"type": "Reject"}),
        [f"{QUEUING}: Forbidden: must be nil if limited.limitResponse.type is not Limited"],
    ),
    "no queues": (
        {"type": "Limited", "limited": {"limitResponse": {"type": "Queue"}}},
        [f"{QUEUING}: Required value: must not be empty if limited.limitResponse.type is Limited"],
    ),
    "fewer than no queues": (
        queues(queueLengthLimit=-1, queues=-1, handSize=-1),
        [
            f"{QUEUING}.{field}: Invalid value: -1: must be positive"
            for field in ("queueLengthLimit", "queues", "handSize")
        ],
    ),
    "more in the hand than there are": (
        queues(queues=4, handSize=5),
        [f"{QUEUING}.handSize: Invalid value: 5: should not be greater than queues (4)"],
    ),
    "more in the hand than can be dealt": (
        queues(queues=1024, handSize=7),
        [
            (
                f"{QUEUING}.handSize: Invalid value: 7: "
                "required entropy bits of deckSize 1024 and handSize 7 should not be greater than 60"
            )
        ],
    ),
    "too many queues": (
        queues(queues=10_000_001, handSize=1),
        [f"{QUEUING}.queues: Invalid value: 10000001: must not be greater than 10000000"],
    ),
}


@pytest.mark.parametrize(("spec", "errors"), LEVELS.values(), ids=LEVELS.keys())
def test_levels(spec: Json, errors: list[str]) -> None:
    assert refusals(LEVEL, new(spec=spec)) == errors


def test_defaults_of_flow_control() -> None:
    assert stored(FLOW, new(spec=flow()))["spec"]["matchingPrecedence"] == 1000
    made = stored(LEVEL, new(spec=QUEUE))["spec"]["limited"]
    assert (made["nominalConcurrencyShares"], made["lendablePercent"]) == (30, 0)
    assert made["limitResponse"]["queuing"] == {"handSize": 8, "queues": 64, "queueLengthLimit": 50}
    exempt = stored(LEVEL, new("exempt", spec={"type": "Exempt", "exempt": {}}))
    assert exempt["spec"]["exempt"] == {"nominalConcurrencyShares": 0, "lendablePercent": 0}


@pytest.mark.parametrize("kind", [FLOW, LEVEL], ids=["flow", "level"])
def test_conditions_of_flow_control(kind: ServedKind) -> None:
    made = stored(kind, new(spec=flow() if kind is FLOW else QUEUE))
    assert change_refusals(kind, made, {"status": {"conditions": [{"type": "A"}, {"type": "A"}, {}]}}, "status") == [
        'status.conditions[1].type: Duplicate value: "A"',
        "status.conditions[2].type: Required value",
    ]


SERVED = {"group": "example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10}
ELSEWHERE = {**SERVED, "service": {"namespace": "n", "name": "s"}}
SERVICES: dict[str, tuple[str, Json, list[str]]] = {
    "one here": ("v1.example.com", SERVED, []),
    "one elsewhere": ("v1.example.com", ELSEWHERE, []),
    "one of the core group": ("v1.", {**SERVED, "group": ""}, []),
    "another name": (
        "v2.example.com",
        SERVED,
        ['metadata.name: Invalid value: "v2.example.com": must be `spec.version+"."+spec.group`: "v1.example.com"'],
    ),
    "no group, and another version": (
        "v2.",
        {**SERVED, "group": "", "version": "v2"},
        ["spec.group: Required value: only v1 may have an empty group and it better be legacy kube"],
    ),
    "priorities that can't be": (
        "v1.example.com",
        {**SERVED, "groupPriorityMinimum": 20_001, "versionPriority": 0},
        [
            "spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000",
            "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
        ],
    ),
    "certificates of one here": (
        "v1.example.com",
        {**SERVED, "caBundle": "YWI=", "insecureSkipTLSVerify": True},
        [
            'spec.caBundle: Invalid value: "2 bytes": local APIServices may not have a caBundle',
            "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
        ],
    ),
    "a service that is none, trusted twice": (
        "v1.example.com",
        {**SERVED, "service": {"port": 0}, "caBundle": "YWI=", "insecureSkipTLSVerify": True},
        [
            "spec.service.namespace: Required value",
            "spec.service.name: Required value",
            "spec.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
            "spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present",
        ],
    ),
}


@pytest.mark.parametrize(("name", "spec", "errors"), SERVICES.values(), ids=SERVICES.keys())
def test_api_services(name: str, spec: Json, errors: list[str]) -> None:
    assert refusals(SERVICE, new(name, spec=spec)) == errors


def test_what_is_served_here_is_available_at_once() -> None:
    made = stored(SERVICE, new("v1.example.com", spec=SERVED, status={"conditions": [{"type": "X"}]}))
    assert made["status"]["conditions"] == [
        {
            "type": "Available",
            "status": "True",
            "lastTransitionTime": NOW,
            "reason": "Local",
            "message": "Local APIServices are always available",
        }
    ]
    made = stored(SERVICE, new("v1.example.com", spec=ELSEWHERE))
    assert (made["status"], made["spec"]["service"]["port"]) == ({}, 443)
    assert change_refusals(SERVICE, made, {"status": {"conditions": [{"status": "Maybe"}]}}, "status") == [
        'status.conditions[0].status: Unsupported value: "Maybe": supported values: "True", "False", "Unknown"'
    ]
