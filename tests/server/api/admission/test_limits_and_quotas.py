"""LimitRanger and ResourceQuota.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kinds.writes import Objects, change_refusals, create, merged, new, refusals, stored, update

from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS, PODS, RESOURCE_QUOTAS, SERVICES, STORAGE_CLASSES
from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.built_in.persistent_volume_claims import PERSISTENT_VOLUME_CLAIM
from pvbinder.server.kinds.built_in.pods import POD
from pvbinder.server.kinds.built_in.quotas import (
    LIMIT_RANGE,
    LIMIT_RANGES,
    PRIORITY_CLASS,
    RESOURCE_QUOTA,
)
from pvbinder.server.kinds.built_in.secrets import CONFIG_MAP
from pvbinder.server.kinds.built_in.services import SERVICE
from pvbinder.server.objects.kind import Json


def claim(size: str, name: str = "c", **spec: Any) -> Json:
    return new(name, spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec})


def quota(**hard: str) -> Any:
    return RESOURCE_QUOTAS, stored(RESOURCE_QUOTA, new("q", spec={"hard": hard}))


def limits(**item: Any) -> Any:
    return LIMIT_RANGES, stored(LIMIT_RANGE, new("lr", spec={"limits": [item]}))


def existing(size: str, **spec: Any) -> Any:
    return PERSISTENT_VOLUME_CLAIMS, stored(PERSISTENT_VOLUME_CLAIM, claim(size, "old", **spec))


GOLD = "gold.storageclass.storage.k8s.io"
QUOTAS: dict[str, tuple[Json, str | None]] = {  # the amounts allowed with 8Gi used, and why 5Gi more are refused
    "enough": ({"requests.storage": "13Gi", "persistentvolumeclaims": "2"}, None),
    "too large": (
        {"requests.storage": "10Gi"},
        (
            "exceeded quota: q, requested: requests.storage=5Gi, used: requests.storage=8Gi, "
            "limited: requests.storage=10Gi"
        ),
    ),
    "too many": (
        {"persistentvolumeclaims": "1", "requests.storage": "99Gi"},
        (
            "exceeded quota: q, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=1, "
            "limited: persistentvolumeclaims=1"
        ),
    ),
    "too many objects": (
        {"count/persistentvolumeclaims": "1"},
        (
            "exceeded quota: q, requested: count/persistentvolumeclaims=1, used: count/persistentvolumeclaims=1, "
            "limited: count/persistentvolumeclaims=1"
        ),
    ),
    "too large for its class": (
        {f"{GOLD}/requests.storage": "10Gi"},
        (
            f"exceeded quota: q, requested: {GOLD}/requests.storage=5Gi, used: {GOLD}/requests.storage=8Gi, "
            f"limited: {GOLD}/requests.storage=10Gi"
        ),
    ),
    "another class": ({"silver.storageclass.storage.k8s.io/persistentvolumeclaims": "0"}, None),
    "something else": ({"pods": "0"}, None),
}


@pytest.mark.parametrize(("hard", "why"), QUOTAS.values(), ids=QUOTAS.keys())
def test_quotas_of_claims(hard: dict[str, str], why: str | None) -> None:
    objects = Objects(quota(**hard), existing("8Gi", storageClassName="gold"))
    if why is None:
        stored(PERSISTENT_VOLUME_CLAIM, claim("5Gi", storageClassName="gold"), objects)
        return
    with pytest.raises(ApiError) as refused:
        create(PERSISTENT_VOLUME_CLAIM, claim("5Gi", storageClassName="gold"), objects)
    assert refused.value.code == 403
    assert refused.value.message == f'persistentvolumeclaims "c" is forbidden: {why}'


def test_a_claim_grows_within_its_quota() -> None:
    storage_class = (STORAGE_CLASSES, {"metadata": {"name": "fast"}, "allowVolumeExpansion": True})
    old = stored(PERSISTENT_VOLUME_CLAIM, claim("2Gi", storageClassName="fast", volumeName="v"))
    old = merged(old, {"status": {"phase": "Bound", "capacity": {"storage": "2Gi"}}})
    objects = Objects(quota(**{"requests.storage": "4Gi"}), (PERSISTENT_VOLUME_CLAIMS, old), storage_class)
    patch = {"spec": {"resources": {"requests": {"storage": "4Gi"}}}}
    assert update(PERSISTENT_VOLUME_CLAIM, old, patch, objects)[1] == []
    with pytest.raises(
        ApiError, match=r"exceeded quota: q, requested: requests\.storage=3Gi, used: requests\.storage=2Gi"
    ):
        update(PERSISTENT_VOLUME_CLAIM, old, {"spec": {"resources": {"requests": {"storage": "5Gi"}}}}, objects)


def test_other_kinds_are_counted_when_they_are_made() -> None:
    objects = Objects(quota(configmaps="0"))
    with pytest.raises(ApiError, match='configmaps "a" is forbidden: exceeded quota: q, requested: configmaps=1'):
        create(CONFIG_MAP, new(), objects)
    assert update(CONFIG_MAP, stored(CONFIG_MAP, new()), {"data": {"k": "v"}}, objects)[1] == []


def test_what_a_quota_can_not_be() -> None:
    assert refusals(
        RESOURCE_QUOTA, new(spec={"hard": {"requests.storage": "-1", "persistentvolumeclaims": "500m"}})
    ) == [
        'spec.hard[requests.storage]: Invalid value: "-1": must be greater than or equal to 0',
        'spec.hard[persistentvolumeclaims]: Invalid value: "500m": must be an integer',
    ]
    old = stored(RESOURCE_QUOTA, new(spec={"hard": {"pods": "1"}}))
    assert change_refusals(RESOURCE_QUOTA, old, {"spec": {"scopes": ["BestEffort"]}}) == [
        'spec.scopes: Invalid value: ["BestEffort"]: field is immutable'
    ]


LIMITS: dict[str, tuple[str, str | None]] = {
    "512Mi": ("512Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 512Mi"),
    "1Gi": ("1Gi", None),
    "5Gi": ("5Gi", "maximum storage usage per PersistentVolumeClaim is 4Gi, but request is 5Gi"),
}


@pytest.mark.parametrize(("size", "why"), LIMITS.values(), ids=LIMITS.keys())
def test_limits_of_claims(size: str, why: str | None) -> None:
    objects = Objects(limits(type="PersistentVolumeClaim", min={"storage": "1Gi"}, max={"storage": "4Gi"}))
    if why is None:
        stored(PERSISTENT_VOLUME_CLAIM, claim(size), objects)
        return
    with pytest.raises(ApiError) as refused:
        create(PERSISTENT_VOLUME_CLAIM, claim(size), objects)
    assert refused.value.message == f'persistentvolumeclaims "c" is forbidden: {why}'


def test_limits_fill_in_what_containers_leave_out() -> None:
    objects = Objects(limits(type="Container", default={"cpu": "1"}, defaultRequest={"cpu": "500m"}))
    obj = stored(POD, new("p", spec={"containers": [{"name": "c", "image": "i"}]}), objects)
    assert obj["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}
    assert obj["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
    }


def test_limits_of_containers() -> None:
    objects = Objects(limits(type="Container", min={"cpu": "100m"}, max={"cpu": "1"}))
    resources = {"requests": {"cpu": "50m"}, "limits": {"cpu": "2"}}
    with pytest.raises(ApiError) as refused:
        create(POD, new("p", spec={"containers": [{"name": "c", "image": "i", "resources": resources}]}), objects)
    assert refused.value.message == (
        'pods "p" is forbidden: [minimum cpu usage per Container is 100m, but request is 50m, '
        "maximum cpu usage per Container is 1, but limit is 2]"
    )


def test_what_limits_can_not_be() -> None:
    item = {"type": "PersistentVolumeClaim", "min": {"storage": "2Gi"}, "max": {"storage": "1Gi"}}
    assert refusals(LIMIT_RANGE, new(spec={"limits": [item, item]})) == [
        'spec.limits[0].min[storage]: Invalid value: "2Gi": min value 2Gi is greater than max value 1Gi',
        'spec.limits[1].type: Duplicate value: "PersistentVolumeClaim"',
        'spec.limits[1].min[storage]: Invalid value: "2Gi": min value 2Gi is greater than max value 1Gi',
    ]


def test_priority_classes_stay_below_the_systems() -> None:
    assert refusals(PRIORITY_CLASS, new("high", value=2_000_000_000)) == [
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"
    ]
    old = stored(PRIORITY_CLASS, new("high", value=10))
    assert old["preemptionPolicy"] == "PreemptLowerPriority"
    assert change_refusals(PRIORITY_CLASS, old, {"value": 11}) == ["value: Forbidden: may not be changed in an update."]


def sized(name: str = "p", **amounts: Any) -> Json:
    """A pod with one container that asks for so much."""
    return new(name, spec={"containers": [{"name": "c", "image": "i", "resources": amounts}]})


def scoped(*scopes: str, **hard: str) -> Any:
    return RESOURCE_QUOTAS, stored(RESOURCE_QUOTA, new("q", spec={"hard": hard, "scopes": list(scopes)}))


def test_pods_stay_within_what_a_quota_counts() -> None:
    objects = Objects(
        quota(**{"requests.cpu": "1", "limits.memory": "1Gi", "pods": "9"}),
        (PODS, stored(POD, sized("old", requests={"cpu": "750m"}, limits={"memory": "512Mi"}))),
    )
    stored(POD, sized(requests={"cpu": "250m"}, limits={"memory": "512Mi"}), objects)
    with pytest.raises(ApiError) as refused:
        create(POD, sized(requests={"cpu": "500m"}, limits={"memory": "1Gi"}), objects)
    assert refused.value.code == 403
    assert refused.value.message == (
        'pods "p" is forbidden: exceeded quota: q, requested: limits.memory=1Gi,requests.cpu=500m, '
        "used: limits.memory=512Mi,requests.cpu=750m, limited: limits.memory=1Gi,requests.cpu=1"
    )


def test_a_pod_has_to_say_what_a_quota_counts() -> None:
    with pytest.raises(ApiError) as refused:
        create(POD, sized(requests={"cpu": "1"}), Objects(quota(**{"limits.cpu": "4", "memory": "1Gi"})))
    assert refused.value.message == (
        'pods "p" is forbidden: failed quota: q: must specify limits.cpu for: c; memory for: c'
    )


def test_a_quota_with_scopes_is_about_pods_in_them() -> None:
    objects = Objects(scoped("BestEffort", pods="0"))
    stored(POD, sized(requests={"cpu": "1"}), objects)
    with pytest.raises(ApiError, match="exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0"):
        create(POD, sized(), objects)


def test_a_claim_that_comes_into_a_scope_counts_from_then_on() -> None:
    selector = {"scopeName": "VolumeAttributesClass", "operator": "In", "values": ["fast"]}
    spec = {"hard": {"persistentvolumeclaims": "0"}, "scopeSelector": {"matchExpressions": [selector]}}
    objects = Objects((RESOURCE_QUOTAS, stored(RESOURCE_QUOTA, new("q", spec=spec))))
    old = stored(PERSISTENT_VOLUME_CLAIM, claim("1Gi", volumeAttributesClassName="slow", volumeName="v"), objects)
    old = merged(old, {"status": {"phase": "Bound"}})
    with pytest.raises(ApiError, match="exceeded quota: q, requested: persistentvolumeclaims=1"):
        update(PERSISTENT_VOLUME_CLAIM, old, {"spec": {"volumeAttributesClassName": "fast"}}, objects)


def test_a_service_counts_its_ports_whenever_they_become_more() -> None:
    objects = Objects(quota(**{"services.nodeports": "1", "services": "5"}))
    old = stored(SERVICE, new("s", spec={"type": "NodePort", "ports": [{"port": 80}]}), objects)
    ports = [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]
    objects = Objects(quota(**{"services.nodeports": "1", "services": "5"}), (SERVICES, old))
    with pytest.raises(ApiError, match=r"requested: services\.nodeports=1, used: services\.nodeports=1"):
        update(SERVICE, old, {"spec": {"ports": ports}}, objects)


EXPRESSIONS, END = "spec.scopeSelector.matchExpressions", "for scope selector"
SCOPE_MISTAKES: dict[str, tuple[Json, list[str]]] = {
    "unknown": ({"scopes": ["Nice"]}, ['spec.scopes: Invalid value: ["Nice"]: unsupported scope']),
    "not for it": (
        {"scopes": ["BestEffort"], "hard": {"cpu": "1"}},
        ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource'],
    ),
    "against each other": (
        {"scopes": ["BestEffort", "NotBestEffort"]},
        ['spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes'],
    ),
    "without values": (
        {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]}},
        [f"{EXPRESSIONS}.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' {END}"],
    ),
}


@pytest.mark.parametrize(("spec", "wrong"), SCOPE_MISTAKES.values(), ids=SCOPE_MISTAKES.keys())
def test_scopes_have_to_make_sense(spec: Json, wrong: list[str]) -> None:
    assert refusals(RESOURCE_QUOTA, new(spec=spec)) == wrong


def test_limits_of_pods_are_about_all_containers_together() -> None:
    objects = Objects(limits(type="Pod", max={"cpu": "1"}, min={"memory": "1Gi"}))
    obj = new(
        "p",
        spec={
            "containers": [
                {"name": name, "image": "i", "resources": {"limits": {"cpu": "750m", "memory": "256Mi"}}}
                for name in ("a", "b")
            ]
        },
    )
    with pytest.raises(ApiError) as refused:
        create(POD, obj, objects)
    assert refused.value.message == (
        'pods "p" is forbidden: [minimum memory usage per Pod is 1Gi, but request is 512Mi, '
        "maximum cpu usage per Pod is 1, but limit is 1500m]"
    )


RATIOS: dict[str, tuple[Json, str | None]] = {
    "near": ({"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}, None),
    "too far": ({"requests": {"cpu": "300m"}, "limits": {"cpu": "1"}}, "but provided ratio is 3.333333"),
    "no request": ({}, "but no request is specified or request is 0"),
    "no limit": ({"requests": {"cpu": "1"}}, "but no limit is specified or limit is 0"),
}


@pytest.mark.parametrize(("amounts", "why"), RATIOS.values(), ids=RATIOS.keys())
def test_a_limit_may_be_so_many_times_the_request(amounts: Json, why: str | None) -> None:
    objects = Objects(limits(type="Container", maxLimitRequestRatio={"cpu": "2"}))
    if why is None:
        stored(POD, sized(**amounts), objects)
        return
    with pytest.raises(ApiError) as refused:
        create(POD, sized(**amounts), objects)
    text = f"cpu max limit to request ratio per Container is 2, {why}"
    assert refused.value.message == f'pods "p" is forbidden: {text}'
