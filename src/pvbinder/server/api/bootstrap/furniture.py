"""What else a fresh Kubernetes has: its own service, API services, flow schemas, priority levels and config maps.

FURNITURE-1  A server that isn't bare has what a fresh Kubernetes has, as recorded from one; addresses are those of this
             server's network.
FURNITURE-2  The service ``kubernetes`` leads to the port at which the server listens now. Endpoints of it are there
             unless the server listens on a loopback address, which they may not have.
"""

from __future__ import annotations

import ipaddress
from copy import deepcopy
from dataclasses import dataclass
from importlib import resources
from typing import Final

import msgspec

from pvbinder.model.resources import CONFIG_MAPS, SERVICES, Resource
from pvbinder.server.api.admission.services import NETWORK
from pvbinder.server.api.bootstrap.fresh_objects import FreshObjects
from pvbinder.server.kinds.built_in.services import ENDPOINT_SLICES, ENDPOINTS
from pvbinder.server.kinds.stored_objects import StoredObjects
from pvbinder.server.objects.kind import Json

NAME: Final = "kubernetes"
NAMESPACE: Final = "default"
SYSTEM: Final = "kube-system"
_PORT: Final = 443
_NETWORKING: Final = ("networking.k8s.io", "v1")
SERVICE_CIDRS: Final = Resource(*_NETWORKING, "ServiceCIDR", "servicecidrs", False)
IP_ADDRESSES: Final = Resource(*_NETWORKING, "IPAddress", "ipaddresses", False)


@dataclass(frozen=True, slots=True)
class Reachable:
    """Where the server listens, and the certificate by which it knows its clients."""

    host: str
    port: int
    client_authority: str

    @property
    def can_be_an_endpoint(self) -> bool:
        """Whether something else than this machine could reach it there."""
        try:
            found = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return not (found.is_loopback or found.is_unspecified or found.is_link_local or found.is_multicast)


def bring_about_furniture(objects: StoredObjects, fresh: FreshObjects, address: Reachable) -> None:
    """Create what is missing, and let the service lead to where the server listens now."""
    now = objects.now()
    for obj in _read():
        for condition in (obj.get("status") or {}).get("conditions") or ():
            condition["lastTransitionTime"] = now
        group, _, version = obj.pop("apiVersion").rpartition("/")
        kind = objects.registry.of_kind(group, version, obj.pop("kind"))
        assert kind is not None, "it is served"
        fresh.add(kind.resource, obj)
    _bring_about_service(objects, fresh, address)
    fresh.add(SERVICE_CIDRS, _service_cidr(now))
    fresh.add(IP_ADDRESSES, _ip_address())
    for name, data in (
        ("kube-apiserver-legacy-service-account-token-tracking", {"since": now[:10]}),
        ("extension-apiserver-authentication", {"client-ca-file": address.client_authority}),
    ):
        fresh.add(CONFIG_MAPS, {"metadata": {"name": name, "namespace": SYSTEM}, "data": data})


def _bring_about_service(objects: StoredObjects, fresh: FreshObjects, address: Reachable) -> None:
    for resource, wanted in (
        (SERVICES, _service(address)),
        (ENDPOINTS, _endpoints(address) if address.can_be_an_endpoint else None),
        (ENDPOINT_SLICES, _endpoint_slice(address) if address.can_be_an_endpoint else None),
    ):
        there = objects.get(resource, NAMESPACE, NAME)
        if wanted is None:
            continue
        if there is None:
            fresh.add(resource, wanted)
            continue
        mended = deepcopy(there)
        for field in ("subsets", "ports", "endpoints"):
            if field in wanted:
                mended[field] = wanted[field]
        if "spec" in wanted:
            mended["spec"]["ports"] = wanted["spec"]["ports"]
        if mended != there:
            fresh.replace(resource, mended)


def _service(address: Reachable) -> Json:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    port = {"name": "https", "protocol": "TCP", "port": _PORT, "targetPort": address.port}
    return {
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "ports": [port],
            "clusterIP": str(NETWORK[1]),
            "clusterIPs": [str(NETWORK[1])],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        },
        "status": {"loadBalancer": {}},
    }


def _endpoints(address: Reachable) -> Json:
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    port = {"name": "https", "port": address.port, "protocol": "TCP"}
    return {
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "subsets": [{"addresses": [{"ip": address.host}], "ports": [port]}],
    }


def _endpoint_slice(address: Reachable) -> Json:
    family = "IPv6" if ":" in address.host else "IPv4"
    return {
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": family,
        "endpoints": [{"addresses": [address.host], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "protocol": "TCP", "port": address.port}],
    }


def _service_cidr(now: str) -> Json:
    ready = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "",
        "message": "Kubernetes Service CIDR is ready",
    }
    metadata = {"name": NAME, "finalizers": ["networking.k8s.io/service-cidr-finalizer"]}
    return {"metadata": metadata, "spec": {"cidrs": [str(NETWORK)]}, "status": {"conditions": [ready]}}


def _ip_address() -> Json:
    labels = {"ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}
    parent = {"resource": "services", "namespace": NAMESPACE, "name": NAME}
    return {"metadata": {"name": str(NETWORK[1]), "labels": labels}, "spec": {"parentRef": parent}}


def _read() -> list[Json]:
    found: list[Json] = msgspec.json.decode(
        resources.files(__package__).joinpath("data", "furniture.json").read_bytes()
    )
    return found
