"""Services, Endpoints and EndpointSlices: refusals, defaults, dropped fields and warnings."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.server.serving import Serving, serving

from pvbinder.server.kinds.built_in.services import ENDPOINT_SLICE
from pvbinder.server.objects.kind import Json

SERVICES = "/api/v1/namespaces/shop/services"
ENDPOINTS = "/api/v1/namespaces/shop/endpoints"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
PORT: Json = {"port": 80}
MERGE = "application/merge-patch+json"


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Serving]:
    async with serving(tmp_path) as server:
        yield server


async def wrong(server: Serving, path: str, body: Json) -> list[str]:
    reply = await server.send("POST", path, {"metadata": {"name": "a"}, **body})
    assert reply.status == 422, reply
    return [f"{cause['field']}: {cause['message']}" for cause in reply.body["details"]["causes"]]


REFUSED: list[tuple[Json, list[str]]] = [
    ({}, ["spec.ports: Required value"]),
    ({"type": "Open"}, [
        "spec.ports: Required value",
        ('spec.type: Unsupported value: "Open": '
        'supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'),
    ]),
    ({"ports": [{"port": 80, "nodePort": 30000}]}, [
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ]),
    ({"ports": [PORT, {"port": 81, "name": "b"}]}, ["spec.ports[0].name: Required value"]),
    ({"ports": [{"port": 80, "name": "b"}, {"port": 81, "name": "b"}]}, ['spec.ports[1].name: Duplicate value: "b"']),
    ({"ports": [{"port": 80, "name": "b"}, {"port": 80, "name": "c"}]}, [
        ('spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,'
        '"NodePort":0}'),
    ]),
    ({"ports": [{"port": 0, "targetPort": 8}]}, [
        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
    ]),
    ({"ports": [{"port": 80, "protocol": "X"}]}, [
        'spec.ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
    ]),
    ({"ports": [{"port": 80, "targetPort": 70000}]}, [
        "spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
    ]),
    ({"ports": [PORT], "sessionAffinity": "X"}, [
        'spec.sessionAffinity: Unsupported value: "X": supported values: "ClientIP", "None"',
    ]),
    ({"ports": [PORT], "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}}, [
        ("spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: "
        "must be greater than 0 and less than 86400"),
    ]),
    ({"ports": [PORT], "externalIPs": ["127.0.0.1", "x"]}, [
        'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        'spec.externalIPs[1]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ]),
    ({"ports": [PORT], "externalTrafficPolicy": "Local"}, [
        'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
    ]),
    ({"ports": [PORT], "internalTrafficPolicy": "Near"}, [
        'spec.internalTrafficPolicy: Unsupported value: "Near": supported values: "Cluster", "Local"',
    ]),
    ({"ports": [PORT], "trafficDistribution": "Near"}, [
        ('spec.trafficDistribution: Unsupported value: "Near": '
        'supported values: "PreferClose", "PreferSameZone", "PreferSameNode"'),
    ]),
    ({"ports": [PORT], "allocateLoadBalancerNodePorts": False, "loadBalancerClass": "a/b"}, [
        "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
        "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
    ]),
    ({"ports": [PORT], "loadBalancerSourceRanges": ["10.0.0.0/8"]}, [
        "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
    ]),
    ({"ports": [PORT], "type": "LoadBalancer", "clusterIP": "None"}, [
        "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services",
    ]),
    ({"type": "ExternalName"}, ["spec.externalName: Required value"]),
    ({"type": "ExternalName", "externalName": "a.b.", "clusterIP": "None", "ipFamilyPolicy": "SingleStack"}, [
        "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
        "spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services",
    ]),
    ({"ports": [PORT], "clusterIP": "x"}, [
        'spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ]),
    ({"ports": [PORT], "clusterIP": "8.8.8.8"}, [
        ('spec.clusterIPs: Invalid value: ["8.8.8.8"]: failed to allocate IP 8.8.8.8: the provided IP (8.8.8.8) is '
        "not in the valid range. The range of valid IPs is 10.96.0.0/16"),
    ]),
    ({"ports": [PORT], "clusterIPs": ["10.96.0.9"]}, [
        'spec.clusterIPs: Invalid value: ["10.96.0.9"]: must be empty when `clusterIP` is not specified',
    ]),
    ({"ports": [PORT], "ipFamilies": ["IPv6"]}, [
        'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
    ]),
    ({"ports": [PORT], "ipFamilies": ["IPv4", "IPv4"]}, ['spec.ipFamilies[1]: Duplicate value: "IPv4"']),
    ({"ports": [PORT], "ipFamilyPolicy": "RequireDualStack"}, [
        ('spec.ipFamilyPolicy: Invalid value: "RequireDualStack": '
        "this cluster is not configured for dual-stack services"),
    ]),
    ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}, [
        ("spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. "
        "The range of valid ports is 30000-32767"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "errors"), REFUSED)
async def test_services_are_refused_in_the_words_of_the_reference(
    server: Serving, spec: Json, errors: list[str]
) -> None:
    assert await wrong(server, SERVICES, {"spec": spec}) == errors


async def create(server: Serving, spec: Json) -> Any:
    reply = await server.send("POST", SERVICES, {"metadata": {"name": "a"}, "spec": spec})
    assert reply.status == 201, reply
    return reply


async def test_what_a_service_gets_goes_with_its_type(server: Serving) -> None:
    balanced = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [PORT]}
    spec = (await create(server, balanced)).body["spec"]
    assert spec["healthCheckNodePort"] in range(30000, 32768)
    assert spec["ports"][0]["nodePort"] in range(30000, 32768)
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    reply = await server.send("PATCH", f"{SERVICES}/a", {"spec": {"type": "ClusterIP"}}, content_type=MERGE)
    kept = reply.body["spec"]
    gone = {"healthCheckNodePort", "externalTrafficPolicy", "allocateLoadBalancerNodePorts"}
    assert not gone & set(kept)
    assert "nodePort" not in kept["ports"][0]
    assert kept["clusterIP"] == spec["clusterIP"]


async def test_a_headless_service_without_pods_asks_for_both_families(server: Serving) -> None:
    spec = (await create(server, {"clusterIP": "None"})).body["spec"]
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4", "IPv6"], "RequireDualStack")


async def test_an_address_stays(server: Serving) -> None:
    address = (await create(server, {"ports": [PORT]})).body["spec"]["clusterIP"]
    other = "10.96.9.9" if address != "10.96.9.9" else "10.96.9.10"
    reply = await server.send("PATCH", f"{SERVICES}/a", {"spec": {"clusterIP": other}}, content_type=MERGE)
    why = f'spec.clusterIPs[0]: Invalid value: ["{other}"]: may not change once set'
    assert reply.body["message"] == f'Service "a" is invalid: {why}'


async def test_a_port_on_nodes_is_given_once(server: Serving) -> None:
    await create(server, {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30007}]})
    body = {"metadata": {"name": "b"}, "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30007}]}}
    reply = await server.send("POST", SERVICES, body)
    why = "spec.ports[0].nodePort: Invalid value: 30007: provided port is already allocated"
    assert reply.body["message"] == f'Service "b" is invalid: {why}'


@pytest.mark.parametrize(
    ("spec", "warnings"),
    [
        ({"clusterIP": "None", "externalIPs": ["1.2.3.4"]}, ["spec.externalIPs is ignored for headless services"]),
        ({"clusterIP": "None", "sessionAffinity": "ClientIP"}, [
            "spec.SessionAffinity is ignored for headless services",
        ]),
        ({"ports": [PORT], "externalIPs": ["1.2.3.4"]}, [
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
        ]),
        ({"ports": [PORT], "externalName": "a.b"}, [
            'spec.externalName is ignored when spec.type is not "ExternalName"',
        ]),
        ({"ports": [PORT], "trafficDistribution": "PreferClose"}, [
            'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
        ]),
    ],
)  # fmt: skip
async def test_fields_of_services_that_count_for_nothing_are_warned_of(
    server: Serving, spec: Json, warnings: list[str]
) -> None:
    assert list((await create(server, spec)).warnings) == warnings


async def test_where_a_load_balancer_is_reached_is_looked_at(server: Serving) -> None:
    await create(server, {"ports": [PORT]})

    async def write(ingress: Json) -> list[str]:
        body = {"status": {"loadBalancer": {"ingress": [ingress]}}}
        reply = await server.send("PATCH", f"{SERVICES}/a/status", body, content_type=MERGE)
        causes = reply.body["details"]["causes"] if reply.status == 422 else []
        return [f"{cause['field']}: {cause['message']}" for cause in causes]

    path = "status.loadBalancer.ingress"
    assert await write({"ip": "1.2.3.4"}) == [f"{path}: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"]
    await server.send("PATCH", f"{SERVICES}/a", {"spec": {"type": "LoadBalancer"}}, content_type=MERGE)
    assert await write({"ip": "1.2.3.4"}) == []
    assert await write({"hostname": "1.2.3.4"}) == [
        f'{path}[0].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address'
    ]
    assert await write({"hostname": "a.b", "ipMode": "VIP"}) == [
        f"{path}[0].ipMode: Forbidden: may not be specified when `ip` is not set"
    ]


async def test_endpoints_are_refused_and_warned_of_in_the_words_of_the_reference(server: Serving) -> None:
    body: Json = {"subsets": [{"ports": [{"port": 0}, {"name": "b", "port": 1}]}]}
    assert await wrong(server, ENDPOINTS, body) == [
        "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
        "subsets[0].ports[0].name: Required value",
        "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
    ]
    body = {"subsets": [{"addresses": [{"ip": "169.254.1.1"}, {"ip": "010.1.1.1"}]}]}
    assert await wrong(server, ENDPOINTS, body) == [
        (
            'subsets[0].addresses[0].ip: Invalid value: "169.254.1.1": '
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        ),
        'subsets[0].addresses[1].ip: Invalid value: "010.1.1.1": must not have leading 0s',
    ]
    deprecated = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    for method, path in (("GET", ENDPOINTS), ("GET", f"{ENDPOINTS}/x"), ("DELETE", f"{ENDPOINTS}/x")):
        assert list((await server.send(method, path)).warnings) == [deprecated]


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, ["addressType: Required value"]),
        ({"addressType": "X"}, [
            'addressType: Unsupported value: "X": supported values: "FQDN", "IPv4", "IPv6"',
        ]),
        ({"addressType": "IPv4", "endpoints": [{"addresses": []}]}, [
            "endpoints[0].addresses: Required value: must contain at least 1 address",
        ]),
        ({"addressType": "IPv4", "endpoints": [{"addresses": ["::2"]}]}, [
            'endpoints[0].addresses: Invalid value: "::2": must be an IPv4 address',
        ]),
        ({"addressType": "FQDN", "endpoints": [{"addresses": ["a"]}]}, [
            ('endpoints[0].addresses[0]: Invalid value: "a": '
            "should be a domain with at least two segments separated by dots"),
        ]),
        ({"addressType": "IPv4", "ports": [{"port": 1}, {"port": 2}]}, ['ports[1].name: Duplicate value: ""']),
        ({"addressType": "IPv4", "endpoints": [
            {"addresses": ["1.2.3.4"], "hints": {"forZones": [{"name": "a"}, {"name": "a"}]}},
        ]}, ['endpoints[0].hints.forZones[1].name: Duplicate value: "a"']),
        ({"addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4"] * 101}]}, [
            "endpoints[0].addresses: Too many: 101: must have at most 100 items",
        ]),
    ],
)  # fmt: skip
async def test_slices_are_refused_in_the_words_of_the_reference(server: Serving, body: Json, errors: list[str]) -> None:
    assert await wrong(server, SLICES, body) == errors


async def test_a_slice_counts_its_labels_and_knows_no_topology(server: Serving) -> None:
    endpoint = {"addresses": ["1.2.3.4"], "deprecatedTopology": {"kubernetes.io/hostname": "n"}}
    body = {"metadata": {"name": "a"}, "addressType": "IPv4", "endpoints": [endpoint]}
    made = (await server.send("POST", SLICES, body)).body
    assert made["endpoints"][0] == {"addresses": ["1.2.3.4"], "conditions": {}}
    path = f"{SLICES}/a"
    for field, generation in (("annotations", 1), ("labels", 2)):
        changed = await server.send("PATCH", path, {"metadata": {field: {"x": "y"}}}, content_type=MERGE)
        assert changed.body["metadata"]["generation"] == generation, field


@pytest.mark.parametrize(
    ("manager", "is_warned"),
    [("endpointslice-controller.k8s.io", False), ("endpointslicemirroring-controller.k8s.io", False), ("me", True)],
)
def test_who_writes_slices_for_others_is_not_warned(manager: str, *, is_warned: bool) -> None:
    labels = {"endpointslice.kubernetes.io/managed-by": manager}
    written = {"metadata": {"labels": labels}, "endpoints": [{"addresses": ["2001:DB8::1"]}]}
    assert bool(ENDPOINT_SLICE.warnings(written, None)) == is_warned
