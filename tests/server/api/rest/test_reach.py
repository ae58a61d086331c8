"""Requests through an object to something else: logs, containers, proxies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import Serving, serving

PODS = "/api/v1/namespaces/shop/pods"
SERVICES = "/api/v1/namespaces/shop/services"
NODES = "/api/v1/nodes"


async def made(server: Serving) -> None:
    one = {"containers": [{"name": "c", "image": "i"}], "initContainers": [{"name": "first", "image": "i"}]}
    two = {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]}
    for name, spec in (("p", one), ("two", two)):
        assert (await server.send("POST", PODS, {"metadata": {"name": name}, "spec": spec})).status == 201
    await server.send("POST", SERVICES, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    await server.send("POST", NODES, {"metadata": {"name": "n"}})


NOTHING_THERE = {
    "a container": (f"{PODS}/p", ("attach", "exec", "portforward"), ("GET", "POST")),
    "a pod": (f"{PODS}/p", ("proxy", "proxy/metrics/a"), ("GET", "POST", "PUT", "PATCH", "DELETE")),
    "a port of a pod": (f"{PODS}/https:p:8080", ("proxy",), ("GET",)),
    "a service": (f"{SERVICES}/s", ("proxy", "proxy/"), ("GET", "POST", "PUT", "PATCH", "DELETE")),
    "a port of a service": (f"{SERVICES}/s:80", ("proxy/x",), ("GET",)),
    "a kubelet": (f"{NODES}/n", ("proxy", "proxy/stats/summary"), ("GET", "POST", "PUT", "PATCH", "DELETE")),
}


@pytest.mark.parametrize(("path", "ways", "methods"), NOTHING_THERE.values(), ids=NOTHING_THERE.keys())
async def test_connections_1_who_wants_to_talk_to_something_is_told_that_it_is_not_there(
    tmp_path: Path, path: str, ways: tuple[str, ...], methods: tuple[str, ...]
) -> None:
    async with serving(tmp_path) as server:
        await made(server)
        for way in ways:
            for method in methods:
                refused = await server.send(method, f"{path}/{way}", {} if method != "GET" else None)
                assert (refused.status, refused.body["reason"]) == (503, "ServiceUnavailable"), (method, way)
                if path.startswith(PODS):
                    assert refused.message == "pod p can't be reached: this server runs no containers"


async def test_what_leads_nowhere_is_not_found(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await made(server)
        for path in (
            f"{PODS}/x/proxy",
            f"{PODS}/x/log",
            f"{SERVICES}/x:80/proxy",
            f"{NODES}/x/proxy",
            f"{PODS}/p:1/log",
        ):
            assert (await server.send("GET", path)).status == 404, path
        assert (await server.send("GET", f"{PODS}/p/log/more")).status == 404


@pytest.mark.parametrize("query", ["", "?container=c", "?container=first&follow=true&tailLines=10", "?previous=true"])
async def test_connections_2_the_log_of_a_container_is_empty(tmp_path: Path, query: str) -> None:
    async with serving(tmp_path) as server:
        await made(server)
        answer = await server.send("GET", f"{PODS}/p/log{query}", headers={"accept": "application/json, */*"})
        assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, "", "text/plain")


LOGS: dict[str, tuple[str, int, str]] = {
    "which of two": (
        "two/log",
        400,
        "a container name must be specified for pod two, choose one of: [c d]",
    ),
    "no such container": ("p/log?container=x", 400, "container x is not valid for pod p"),
    "too few lines": (
        "p/log?tailLines=-1",
        422,
        'PodLogOptions "p" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
    ),
    "digits that are no number to Go": (
        "p/log?sinceSeconds=1_0",
        400,
        'strconv.ParseInt: parsing "1_0": invalid syntax',
    ),
    "more bytes than a number holds": (
        f"p/log?limitBytes={'9' * 5000}",
        400,
        f'strconv.ParseInt: parsing "{"9" * 5000}": value out of range',
    ),
    "no bytes": (
        "p/log?limitBytes=0",
        422,
        'PodLogOptions "p" is invalid: limitBytes: Invalid value: 0: must be greater than or equal to 1',
    ),
}


@pytest.mark.parametrize(("path", "status", "message"), LOGS.values(), ids=LOGS.keys())
async def test_connections_3_which_log_is_asked_for_is_checked(
    tmp_path: Path, path: str, status: int, message: str
) -> None:
    async with serving(tmp_path) as server:
        await made(server)
        refused = await server.send("GET", f"{PODS}/{path}")
        assert (refused.status, refused.message) == (status, message)


async def test_the_ways_are_discovered(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        assert not (await server.send("GET", PODS)).body["items"]
        kinds: dict[str, Any] = {
            kind.resource.plural: {sub.name: sub.body.kind for sub in kind.subresources if sub.body is not None}
            for kind in server.api.objects.registry
        }
    assert kinds["pods"]["proxy"] == "PodProxyOptions"
    assert kinds["services"]["proxy"] == "ServiceProxyOptions"
    assert kinds["nodes"]["proxy"] == "NodeProxyOptions"
