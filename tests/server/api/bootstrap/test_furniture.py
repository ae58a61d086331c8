"""The other objects of a fresh Kubernetes, compared with a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.server.serving import ADMIN

from pvbinder.server.api.bootstrap.fresh_objects import FreshObjects
from pvbinder.server.api.bootstrap.furniture import Reachable, bring_about_furniture
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import ApiRequest
from tools import bootstrap

OURS = ("uid", "resourceVersion", "creationTimestamp", "managedFields")
BY_CONTROLLERS = {"ServiceAccount", "kube-root-ca.crt"}
PLURALS = {
    "v1": ("namespaces", "services", "configmaps", "endpoints"),
    "flowcontrol.apiserver.k8s.io/v1": ("flowschemas", "prioritylevelconfigurations"),
    "scheduling.k8s.io/v1": ("priorityclasses",),
    "apiregistration.k8s.io/v1": ("apiservices",),
    "networking.k8s.io/v1": ("servicecidrs", "ipaddresses"),
}

Json = dict[str, Any]


async def listed(server: EmbeddedServer, api_version: str, plural: str) -> list[Json]:
    root = "/api" if "/" not in api_version else "/apis"
    answer = await server.dispatcher.handle(ApiRequest("GET", f"{root}/{api_version}/{plural}", user=ADMIN))
    assert answer.status == 200, answer.body
    items: list[Json] = msgspec.json.decode(answer.body)["items"]
    return items


def comparable(obj: Json) -> Json:
    """The object without values that differ from server to server: times, addresses, certificates."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in OURS}
    obj = {**obj, "metadata": metadata}
    for condition in (obj.get("status") or {}).get("conditions") or ():
        condition.pop("lastTransitionTime", None)
    spec = obj.get("spec") or {}
    for field in ("clusterIP", "clusterIPs", "cidrs"):
        if field in spec:
            spec[field] = "ours"
    for port in spec.get("ports") or ():
        port["targetPort"] = "ours"
    if "since" in (obj.get("data") or {}):
        obj["data"] = "a date"
    if metadata["name"][0].isdecimal():
        metadata["name"] = "an address"
    return obj


def plural_of(kind: str) -> str:
    return kind.lower() + ("es" if kind.endswith("ss") else "s")


def recorded() -> dict[tuple[str, str, str], Json]:
    found = {}
    for obj in filter(None, yaml.safe_load_all((bootstrap.RECORDED / "bootstrap-objects.yaml").read_text())):
        kind, version = obj.pop("kind"), obj.pop("apiVersion")
        if BY_CONTROLLERS.isdisjoint({kind, obj["metadata"]["name"]}):
            made = comparable(obj)
            found[version, plural_of(kind), made["metadata"]["name"]] = made
    return found


async def test_furniture_1_a_fresh_server_has_what_a_fresh_kubernetes_has(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, bare=False) as server:
        found = {}
        for api_version, plurals in PLURALS.items():
            for plural in plurals:
                for item in await listed(server, api_version, plural):
                    made = comparable(item)
                    found[api_version, plural, made["metadata"]["name"]] = made
    authority = found.pop(
        ("v1", "configmaps", "extension-apiserver-authentication")
    )  # that server knew no client certificates
    assert authority["data"]["client-ca-file"].startswith("-----BEGIN CERTIFICATE-----")
    assert found == recorded()


async def test_a_bare_server_has_none_of_it(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as server:
        for plural in ("services", "configmaps", "endpoints"):
            assert await listed(server, "v1", plural) == []


async def test_furniture_2_the_service_leads_to_the_port_of_now(tmp_path: Path) -> None:
    uids = set()
    for _ in range(2):
        async with EmbeddedServer(tmp_path, bare=False) as server:
            (service,) = await listed(server, "v1", "services")
            assert service["spec"]["ports"][0]["targetPort"] == server.port
            uids.add(service["metadata"]["uid"])
    assert len(uids) == 1


HOSTS = {"127.0.0.1": False, "::1": False, "0.0.0.0": False, "localhost": False, "192.0.2.7": True, "2001:db8::7": True}


@pytest.mark.parametrize(("host", "wanted"), HOSTS.items(), ids=HOSTS.keys())
async def test_furniture_2_endpoints_are_there_where_they_can_be(tmp_path: Path, host: str, wanted: bool) -> None:
    async with EmbeddedServer(tmp_path, listen=False) as server:
        for port in (6443, 7443):
            fresh = FreshObjects(server.api.objects)
            bring_about_furniture(server.api.objects, fresh, Reachable(host, port, "PEM"))
            await fresh.settle()
            endpoints = await listed(server, "v1", "endpoints")
            slices = await listed(server, "discovery.k8s.io/v1", "endpointslices")
            assert (len(endpoints), len(slices)) == (wanted, wanted)
            if wanted:
                assert endpoints[0]["subsets"][0]["addresses"] == [{"ip": host}]
                assert endpoints[0]["subsets"][0]["ports"][0]["port"] == port
                assert slices[0]["ports"][0]["port"] == port
