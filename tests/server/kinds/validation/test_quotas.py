"""What quotas, ranges of limits and priority classes refuse and warn of, in the reference's words."""

from __future__ import annotations

import pytest
from tests.server.kinds.writes import change_refusals, new, refusals, stored

from pvbinder.server.kinds.built_in.quotas import LIMIT_RANGE, PRIORITY_CLASS, RESOURCE_QUOTA
from pvbinder.server.objects.kind import Json

NOT_STANDARD = "must be a standard resource type or fully qualified"
NOT_OF_QUOTAS = "must be a standard resource for quota"
NOT_IN_DEFAULT = "unsupported scope applied to resource"
EXISTS = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)
QUALIFIED = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def selected(**expression: object) -> Json:
    return {"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": [expression]}}


IN_SELECTOR = "spec.scopeSelector.matchExpressions"
QUOTAS: dict[str, tuple[Json, list[str]]] = {
    "all that quotas count": ({"hard": {"cpu": "1", "limits.memory": "1Gi", "requests.storage": "1Gi"}}, []),
    "large pages": ({"hard": {"hugepages-2Mi": "4Mi", "requests.hugepages-1Gi": "1Gi"}}, []),
    "objects of any kind": ({"hard": {"count/deployments.apps": "3"}}, []),
    "somebody's devices": ({"hard": {"requests.example.com/gpu": "3"}}, []),
    "claims of a class": ({"hard": {"fast.storageclass.storage.k8s.io/persistentvolumeclaims": "3"}}, []),
    "what nobody knows": (
        {"hard": {"gpus": "1"}},
        [f'spec.hard[gpus]: Invalid value: "gpus": {why}' for why in (NOT_STANDARD, NOT_OF_QUOTAS)],
    ),
    "what is known, but of no quota": (
        {"hard": {"storage": "1Gi"}},
        [f'spec.hard[storage]: Invalid value: "storage": {NOT_OF_QUOTAS}'],
    ),
    "a name that is none": (
        {"hard": {"-cpu": "1"}},
        [
            f'spec.hard[-cpu]: Invalid value: "-cpu": name part {QUALIFIED}',
            f'spec.hard[-cpu]: Invalid value: "-cpu": {NOT_OF_QUOTAS}',
        ],
    ),
    "less than nothing": (
        {"hard": {"cpu": "-1500m"}},
        ['spec.hard[cpu]: Invalid value: "-1500m": must be greater than or equal to 0'],
    ),
    "half a pod": (
        {"hard": {"pods": "1500m"}},
        ['spec.hard[pods]: Invalid value: "1500m": must be an integer'],
    ),
    "half a device": (
        {"hard": {"example.com/gpu": "500m"}},
        ['spec.hard[example.com/gpu]: Invalid value: "500m": must be an integer'],
    ),
    "half a node port": (
        {"hard": {"services.nodeports": "500m"}},
        ['spec.hard[services.nodeports]: Invalid value: "500m": must be an integer'],
    ),
    "a scope of pods": ({"hard": {"pods": "1", "cpu": "1"}, "scopes": ["NotTerminating"]}, []),
    "a scope of claims": ({"hard": {"requests.storage": "1Gi"}, "scopes": ["VolumeAttributesClass"]}, []),
    "a scope that says nothing of others' resources": (
        {"hard": {"count/jobs.batch": "1"}, "scopes": ["BestEffort"]},
        [],
    ),
    "an unknown scope": (
        {"hard": {"secrets": "1"}, "scopes": ["Sleepy"]},
        ['spec.scopes: Invalid value: ["Sleepy"]: unsupported scope'],
    ),
    "a scope for another resource": (
        {"hard": {"cpu": "1", "hugepages-2Mi": "2Mi"}, "scopes": ["BestEffort"]},
        [f'spec.scopes: Invalid value: ["BestEffort"]: {NOT_IN_DEFAULT}'] * 2,
    ),
    "scopes that exclude each other": (
        {"scopes": ["Terminating", "NotTerminating"]},
        ['spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes'],
    ),
    "a selector by class": (selected(scopeName="PriorityClass", operator="In", values=["high"]), []),
    "a selector that asks whether": (selected(scopeName="Terminating", operator="Exists"), []),
    "a selector that compares what can't be": (
        selected(scopeName="BestEffort", operator="In", values=["a"]),
        [f'{IN_SELECTOR}.operator: Invalid value: "In": {EXISTS}'],
    ),
    "a selector without values": (
        selected(scopeName="PriorityClass", operator="NotIn"),
        [
            (
                f"{IN_SELECTOR}.values: Required value: must be at least one value when `operator` is "
                "'In' or 'NotIn' for scope selector"
            )
        ],
    ),
    "a selector with values for nothing": (
        selected(scopeName="PriorityClass", operator="Exists", values=["a"]),
        [
            (
                f'{IN_SELECTOR}.values: Invalid value: ["a"]: must be no value when `operator` is '
                "'Exist' or 'DoesNotExist' for scope selector"
            )
        ],
    ),
    "a selector of an unknown scope": (
        selected(scopeName="Sleepy", operator="Near"),
        [
            f'{IN_SELECTOR}.scopeName: Invalid value: "Sleepy": unsupported scope',
            f'{IN_SELECTOR}.operator: Invalid value: "Near": not a valid selector operator',
        ],
    ),
    "a selector for another resource": (
        {
            "hard": {"secrets": "1"},
            "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]},
        },
        [
            (
                f'{IN_SELECTOR}: Invalid value: {{"MatchExpressions":[{{"ScopeName":"PriorityClass",'
                f'"Operator":"Exists","Values":null}}]}}: {NOT_IN_DEFAULT}'
            )
        ],
    ),
    "selectors that exclude each other": (
        {
            "scopeSelector": {
                "matchExpressions": [
                    {"scopeName": "BestEffort", "operator": "Exists"},
                    {"scopeName": "NotBestEffort", "operator": "Exists"},
                ]
            }
        },
        [f"{IN_SELECTOR}: Invalid value: null: conflicting scopes"],
    ),
}


@pytest.mark.parametrize(("spec", "errors"), QUOTAS.values(), ids=QUOTAS.keys())
def test_quotas(spec: Json, errors: list[str]) -> None:
    assert refusals(RESOURCE_QUOTA, new(spec=spec)) == errors


def test_changed_quotas() -> None:
    made = stored(RESOURCE_QUOTA, new(spec={"hard": {"pods": "1"}, "scopes": ["BestEffort", "Terminating"]}))
    assert change_refusals(RESOURCE_QUOTA, made, {"spec": {"scopes": ["Terminating", "BestEffort"]}}) == []
    assert change_refusals(RESOURCE_QUOTA, made, {"spec": {"scopes": None}}) == [
        "spec.scopes: Invalid value: null: field is immutable"
    ]
    status = {"hard": {"gpus": "1"}, "used": {"pods": "-1"}}
    assert change_refusals(RESOURCE_QUOTA, made, {"status": status}, "status") == [
        *(f'status.hard[gpus]: Invalid value: "gpus": {why}' for why in (NOT_STANDARD, NOT_OF_QUOTAS)),
        'status.used[pods]: Invalid value: "-1": must be greater than or equal to 0',
    ]


WARNED: dict[str, tuple[Json, list[str]]] = {
    "requests as large as limits": ({"requests.cpu": "1", "limits.cpu": "1"}, []),
    "more requests than limits": (
        {"requests.cpu": "2", "limits.cpu": "1", "requests.ephemeral-storage": "2Gi", "limits.ephemeral-storage": "1"},
        [
            "ResourceQuota requests.cpu (2) should be less than limits.cpu (1)",
            "ResourceQuota requests.ephemeral-storage (2Gi) should be less than limits.ephemeral-storage (1)",
        ],
    ),
    "the short name of requests": (
        {"memory": "2Gi", "limits.memory": "1Gi"},
        ["ResourceQuota memory (2Gi) should be less than limits.memory (1Gi)"],
    ),
}


@pytest.mark.parametrize(("hard", "texts"), WARNED.values(), ids=WARNED.keys())
def test_warnings_of_quotas(hard: Json, texts: list[str]) -> None:
    made = stored(RESOURCE_QUOTA, new(spec={"hard": hard}))
    assert RESOURCE_QUOTA.warnings(made, None) == texts
    assert RESOURCE_QUOTA.warnings(made, made) == []


OF_CONTAINERS = "must be a standard resource for containers"
RANGES: dict[str, tuple[Json, list[str]]] = {
    "all of a container": (
        {
            "type": "Container",
            "max": {"cpu": "2"},
            "min": {"cpu": "100m"},
            "default": {"cpu": "1"},
            "defaultRequest": {"cpu": "500m"},
            "maxLimitRequestRatio": {"cpu": "10"},
        },
        [],
    ),
    "somebody's own type": ({"type": "example.com/Thing", "max": {"storage": "1Gi"}}, []),
    "no type": (
        {},
        [
            'spec.limits[0].type: Invalid value: "": name part must be non-empty',
            f'spec.limits[0].type: Invalid value: "": name part {QUALIFIED}',
        ],
    ),
    "an unknown type": (
        {"type": "Job"},
        ['spec.limits[0].type: Invalid value: "Job": must be a standard limit type or fully qualified'],
    ),
    "storage of a container": (
        {"type": "Container", "min": {"storage": "1Gi"}},
        [
            f'spec.limits[0].{field}[storage]: Invalid value: "storage": {OF_CONTAINERS}'
            for field in ("min", "defaultRequest")
        ],
    ),
    "an unknown resource of a pod": (
        {"type": "Pod", "max": {"gpus": "1"}},
        [f'spec.limits[0].max[gpus]: Invalid value: "gpus": {why}' for why in (NOT_STANDARD, OF_CONTAINERS)],
    ),
    "defaults of a pod": (
        {"type": "Pod", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}},
        [
            f"spec.limits[0].{field}: Forbidden: may not be specified when `type` is 'Pod'"
            for field in ("default", "defaultRequest")
        ],
    ),
    "a claim without bounds": (
        {"type": "PersistentVolumeClaim", "default": {"storage": "1Gi"}},
        [
            (
                "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, "
                "but neither was provided"
            )
        ],
    ),
    "a minimum above the maximum": (
        {"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "2"}},
        ['spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1'],
    ),
    "a request below the minimum": (
        {"type": "Container", "min": {"cpu": "1"}, "defaultRequest": {"cpu": "500m"}},
        [
            (
                'spec.limits[0].defaultRequest[cpu]: Invalid value: "500m": '
                "min value 1 is greater than default request value 500m"
            )
        ],
    ),
    "a request above all": (
        {"type": "Container", "max": {"cpu": "1"}, "defaultRequest": {"cpu": "2"}},
        [
            (
                'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": '
                "default request value 2 is greater than max value 1"
            ),
            (
                'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": '
                "default request value 2 is greater than default limit value 1"
            ),
        ],
    ),
    "a default below the minimum": (
        {"type": "Container", "min": {"cpu": "1"}, "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "500m"}},
        [
            (
                'spec.limits[0].defaultRequest[cpu]: Invalid value: "500m": '
                "min value 1 is greater than default request value 500m"
            ),
            'spec.limits[0].default[cpu]: Invalid value: "1": min value 1 is greater than default value 500m',
        ],
    ),
    "a default above the maximum": (
        {"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "2"}, "defaultRequest": {"cpu": "1"}},
        ['spec.limits[0].default[cpu]: Invalid value: "1": default value 2 is greater than max value 1'],
    ),
    "a ratio below one": (
        {"type": "Pod", "maxLimitRequestRatio": {"cpu": "500m"}},
        ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1'],
    ),
    "a ratio that can't be reached": (
        {"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "300m"}, "maxLimitRequestRatio": {"cpu": "4"}},
        [('spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "4": ratio 4 is greater than max/min = 3.333333')],
    ),
    "a ratio of huge amounts": (
        {"type": "Pod", "max": {"memory": "8Ei"}, "min": {"memory": "1Ei"}, "maxLimitRequestRatio": {"memory": "7"}},
        [],
    ),
    "a ratio to nothing": (
        {"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "0"}, "maxLimitRequestRatio": {"cpu": "4"}},
        [],
    ),
    "devices, whose defaults are the same": (
        {"type": "Container", "default": {"example.com/gpu": "2"}, "defaultRequest": {"example.com/gpu": "1"}},
        [
            (
                'spec.limits[0].defaultRequest[example.com/gpu]: Invalid value: "1": '
                "default value 2 must equal to defaultRequest value 1 in example.com/gpu"
            )
        ],
    ),
}


@pytest.mark.parametrize(("item", "errors"), RANGES.values(), ids=RANGES.keys())
def test_ranges_of_limits(item: Json, errors: list[str]) -> None:
    assert refusals(LIMIT_RANGE, new(spec={"limits": [item]})) == errors


def test_defaults_of_a_range_come_from_its_bounds() -> None:
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1", "memory": "1Gi"}}
    (made,) = stored(LIMIT_RANGE, new(spec={"limits": [item]}))["spec"]["limits"]
    assert made["default"] == {"cpu": "2"}
    assert made["defaultRequest"] == {"cpu": "2", "memory": "1Gi"}, "the default goes before the minimum"


RESERVED = (
    "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: "
)
CLASSES: dict[str, tuple[str, Json, list[str]]] = {
    "as high as users may": ("high", {"value": 1_000_000_000}, []),
    "as low as there is": ("low", {"value": -(2**31), "preemptionPolicy": "Never", "globalDefault": True}, []),
    "too high": (
        "high",
        {"value": 1_000_000_001},
        ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
    ),
    "one of the system's": ("system-node-critical", {"value": 2_000_001_000}, []),
    "of another value": (
        "system-node-critical",
        {"value": 5},
        [f"{RESERVED}value of system-node-critical PriorityClass must be 2000001000"],
    ),
    "the default of all": (
        "system-cluster-critical",
        {"value": 2_000_000_000, "globalDefault": True},
        [f"{RESERVED}globalDefault of system-cluster-critical PriorityClass must be false"],
    ),
    "called like the system's": (
        "system-mine",
        {"value": 5},
        [f"{RESERVED}system-mine is not a known system priority class"],
    ),
    "no policy": ("a", {"preemptionPolicy": ""}, ["preemptionPolicy: Required value"]),
    "an unknown policy": (
        "a",
        {"preemptionPolicy": "Always"},
        [
            (
                'preemptionPolicy: Unsupported value: "Always": '
                'supported values: "PreemptLowerPriority", "Never"'
            )
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "errors"), CLASSES.values(), ids=CLASSES.keys())
def test_priority_classes(name: str, fields: Json, errors: list[str]) -> None:
    assert refusals(PRIORITY_CLASS, new(name, **fields)) == errors


def test_what_a_priority_class_keeps() -> None:
    made = stored(PRIORITY_CLASS, new(value=1))
    assert change_refusals(PRIORITY_CLASS, made, {"description": "d", "globalDefault": True}) == []
    assert change_refusals(PRIORITY_CLASS, made, {"value": 2, "preemptionPolicy": "Never"}) == [
        "value: Forbidden: may not be changed in an update.",
        'preemptionPolicy: Invalid value: "Never": field is immutable',
    ]
