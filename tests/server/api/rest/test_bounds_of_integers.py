"""Whole numbers at the ends of what 32 and 64 bits hold, wherever a client may send one: never a 500."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from tests.server.serving import MAPS, Serving, config_map, serving

from pvbinder.server.objects.schema import CATALOGUE, Field

PODS = "/api/v1/namespaces/shop/pods"
ENDS = [0, 1, -1, 2**31 - 1, 2**31, -(2**31), 2**32, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**400]
POD = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Serving]:
    async with serving(tmp_path) as server:
        yield server


@pytest.mark.parametrize("grace", ENDS, ids=lambda value: str(value)[:24])
@pytest.mark.parametrize("place", ["query", "body"])
async def test_a_grace_period_of_any_length_is_taken_or_refused(server: Serving, place: str, grace: int) -> None:
    await server.send("POST", PODS, {**POD, "spec": {**POD["spec"], "nodeName": "n"}})  # type: ignore[dict-item]
    if place == "query":
        reply = await server.send("DELETE", f"{PODS}/a?gracePeriodSeconds={grace}")
    else:
        body = b'{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":%d}' % grace
        reply = await server.send("DELETE", f"{PODS}/a", body)
    assert reply.status == (200 if -(2**63) <= grace < 2**63 else 400)
    assert (await server.send("DELETE", f"{PODS}/a?gracePeriodSeconds=5")).status in (200, 404)


async def test_the_longest_grace_period_wraps_as_it_does_in_go(server: Serving) -> None:
    await server.send("POST", PODS, {**POD, "spec": {**POD["spec"], "nodeName": "n"}})  # type: ignore[dict-item]
    reply = await server.send("DELETE", f"{PODS}/a?gracePeriodSeconds={2**63 - 1}")
    assert reply.body["metadata"]["deletionGracePeriodSeconds"] == 2**63 - 1
    assert reply.body["metadata"]["deletionTimestamp"] == "2026-03-01T11:59:59Z"


@pytest.mark.parametrize("value", ENDS, ids=lambda value: str(value)[:24])
@pytest.mark.parametrize("name", ["limit", "timeoutSeconds", "resourceVersion"])
async def test_options_of_lists_take_or_refuse_any_number(server: Serving, name: str, value: int) -> None:
    await server.send("POST", MAPS, config_map())
    reply = await server.send("GET", f"{MAPS}?{name}={value}")
    assert reply.status < 500 or name == "resourceVersion"
    assert "Traceback" not in str(reply.body)
    watch = await server.send("GET", f"{MAPS}?watch=true&{name}={value}")
    if watch.stream is not None:
        await watch.stream.aclose()  # type: ignore[attr-defined]
    else:
        assert "InternalError" not in str(watch.body)


def integers_in(
    schema: str, path: tuple[str, ...] = (), seen: frozenset[str] = frozenset()
) -> Iterator[tuple[str, ...]]:
    """The places of whole numbers in a type, each type visited once on the way."""
    for name, field in CATALOGUE[schema].fields.items():
        yield from _integers_at(field, (*path, name), seen | {schema})


def _integers_at(field: Field, path: tuple[str, ...], seen: frozenset[str]) -> Iterator[tuple[str, ...]]:
    if field.type in ("int32", "int64", "intorstring", "quantity", "double", "time"):
        yield path
    elif field.is_list or field.is_map:
        yield from _integers_at(field.element, (*path, "[]" if field.is_list else "{}"), seen)
    elif field.type.startswith("#") and field.type[1:] not in seen and len(path) < 7:
        yield from integers_in(field.type[1:], path, seen)


def put(obj: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """A copy of an object with a value at a place; lists and maps on the way have one element."""
    copy: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(obj))
    place: Any = copy
    for step, following in zip(path, (*path[1:], ""), strict=True):
        inner: Any = value if following == "" else [] if following == "[]" else {}
        if step == "[]":
            if not place:
                place.append(inner)
            elif following == "":
                place[0] = value
            place = place[0]
        elif following == "":
            place["k" if step == "{}" else step] = value
        else:
            place = place.setdefault("k" if step == "{}" else step, inner)
    return copy


KINDS = {  # an object that is valid without the number
    "pods": ("/api/v1/namespaces/shop/pods", "io.k8s.api.core.v1.Pod", POD),
    "claims": (
        "/api/v1/namespaces/shop/persistentvolumeclaims",
        "io.k8s.api.core.v1.PersistentVolumeClaim",
        {
            "metadata": {"name": "a"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        },
    ),
    "volumes": (
        "/api/v1/persistentvolumes",
        "io.k8s.api.core.v1.PersistentVolume",
        {
            "metadata": {"name": "a"},
            "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}},
        },
    ),
    "services": (
        "/api/v1/namespaces/shop/services",
        "io.k8s.api.core.v1.Service",
        {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 1}]}},
    ),
    "leases": (
        "/apis/coordination.k8s.io/v1/namespaces/shop/leases",
        "io.k8s.api.coordination.v1.Lease",
        {"metadata": {"name": "a"}, "spec": {}},
    ),
    "events": (
        "/api/v1/namespaces/shop/events",
        "io.k8s.api.core.v1.Event",
        {"metadata": {"name": "a"}, "involvedObject": {"namespace": "shop"}, "type": "Normal"},
    ),
    "jobs": (
        "/apis/batch/v1/namespaces/shop/jobs",
        "io.k8s.api.batch.v1.Job",
        {
            "metadata": {"name": "a"},
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}},
        },
    ),
    "autoscalers": (
        "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers",
        "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
        {
            "metadata": {"name": "a"},
            "spec": {"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "a", "apiVersion": "apps/v1"}},
        },
    ),
    "quotas": (
        "/api/v1/namespaces/shop/resourcequotas",
        "io.k8s.api.core.v1.ResourceQuota",
        {"metadata": {"name": "a"}, "spec": {}},
    ),
    "nodes": ("/api/v1/nodes", "io.k8s.api.core.v1.Node", {"metadata": {"name": "a"}}),
    "classes": (
        "/apis/storage.k8s.io/v1/storageclasses",
        "io.k8s.api.storage.v1.StorageClass",
        {"metadata": {"name": "a"}, "provisioner": "p"},
    ),
    "token requests": (
        "/api/v1/namespaces/shop/serviceaccounts/sa/token",
        "io.k8s.api.authentication.v1.TokenRequest",
        {"spec": {"audiences": ["a"]}},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_numbers_at_every_place_of_an_object_are_taken_or_refused(server: Serving, kind: str) -> None:
    target, schema, obj = KINDS[kind]
    await server.send("POST", "/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": "sa"}})
    table = {"accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}
    for path in integers_in(schema):
        for value in (0, -1, 2**31 - 1, 2**63 - 1, -(2**63), 2**63, 1e300):
            sent = put(obj, path, value)  # type: ignore[arg-type]
            reply = await server.send("POST", target, sent)
            assert reply.status < 500, (path, value, reply.body)
            if reply.status == 201 and "token" not in target:
                shown = await server.send("GET", target, headers=table)
                assert shown.status == 200, (path, value, shown.body)
                gone = await server.send("DELETE", f"{target}/a?gracePeriodSeconds=0")
                assert gone.status < 500, (path, value, gone.body)
