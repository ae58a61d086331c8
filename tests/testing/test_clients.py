"""`k8s.client(LIBRARY)`: each library reads and writes in the namespace of its test; one that is missing is skipped."""

from __future__ import annotations

import asyncio
import gc
from importlib import import_module

import pytest

from pvbinder.model.errors import PvbinderError
from pvbinder.testing import pv, pvc
from pvbinder.testing.k8s import AsyncK8s, K8s

CLAIMS = "/api/v1/namespaces/{}/persistentvolumeclaims"


@pytest.fixture
def orders(k8s: K8s) -> K8s:
    """A namespace with a claim that is bound."""
    k8s.apply(pv("disk", size="5Gi"))
    k8s.apply(pvc("orders", size="4Gi")).wait_bound()
    return k8s


def test_kubernetes(orders: K8s) -> None:
    library = pytest.importorskip("kubernetes.client")
    with orders.client("kubernetes") as client:
        core = library.CoreV1Api(client)
        found = core.read_namespaced_persistent_volume_claim("orders", orders.namespace)
        assert found.status.phase == "Bound"
        assert found.spec.volume_name == "disk"
        core.create_namespaced_persistent_volume_claim(orders.namespace, pvc("more", size="1Gi"))
    assert orders.get("pvc", "more").phase == "Pending"


async def test_kubernetes_asyncio(async_k8s: AsyncK8s) -> None:
    library = pytest.importorskip("kubernetes_asyncio.client")
    claim = await async_k8s.apply(pvc("orders"))
    async with await async_k8s.client("kubernetes_asyncio") as client:
        core = library.CoreV1Api(client)
        found = await core.list_namespaced_persistent_volume_claim(async_k8s.namespace)
        assert [one.metadata.name for one in found.items] == ["orders"]
        await core.delete_namespaced_persistent_volume_claim("orders", async_k8s.namespace)
    await claim.wait_gone()


def test_kr8s(orders: K8s) -> None:
    library = pytest.importorskip("kr8s.objects")
    client = orders.client("kr8s")
    (found,) = client.get("persistentvolumeclaims")
    assert found.name == "orders"
    assert found.namespace == orders.namespace
    assert found.status.phase == "Bound"
    library.PersistentVolumeClaim(pvc("more"), namespace=orders.namespace, api=client).create()
    assert orders.get("pvc", "more").phase == "Pending"


@pytest.mark.parametrize("turn", [1, 2])
def test_k8s_3_clients_are_closed_after_the_test(orders: K8s, turn: int) -> None:
    """One that wasn't would be a warning of a socket, and warnings are errors; the second turn finds it."""
    gc.collect()
    pytest.importorskip("lightkube")
    orders.client("lightkube").get(import_module("lightkube.resources.core_v1").PersistentVolumeClaim, "orders")
    library = pytest.importorskip("kubernetes.client")
    library.CoreV1Api(orders.client("kubernetes")).list_persistent_volume()


def test_lightkube(orders: K8s) -> None:
    library = pytest.importorskip("lightkube.resources.core_v1")
    client = orders.client("lightkube")
    found = client.get(library.PersistentVolumeClaim, "orders")  # of the namespace of the test, which is its default
    assert found.status.phase == "Bound"
    client.patch(library.PersistentVolumeClaim, "orders", {"metadata": {"labels": {"a": "b"}}})
    assert orders.get("pvc", "orders")["metadata"]["labels"] == {"a": "b"}


def test_httpx(orders: K8s) -> None:
    pytest.importorskip("httpx")
    with orders.client("httpx") as client:
        path = CLAIMS.format(orders.namespace)
        assert client.get(f"{path}/orders").json()["status"]["phase"] == "Bound"
        assert client.post(path, json=pvc("more")).status_code == 201
        assert client.get(f"{path}/gone").status_code == 404
    assert orders.get("pvc", "more").phase == "Pending"


def test_a_library_that_is_not_known_or_not_installed(k8s: K8s, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PvbinderError, match="no client of 'requests' is known"):
        k8s.client("requests")
    monkeypatch.setitem(__import__("sys").modules, "kr8s", None)
    with pytest.raises(PvbinderError, match="kr8s isn't installed") as caught:
        k8s.client("kr8s")
    assert caught.value.hint == "pip install kr8s"


def test_the_loop_of_another_client_is_not_that_of_the_cluster(k8s: K8s) -> None:
    """A synchronous test may run a loop of its own beside the cluster's."""

    async def asked() -> list[str]:
        library = pytest.importorskip("kubernetes_asyncio.client")
        async with await k8s.client("kubernetes_asyncio") as client:
            found = await library.CoreV1Api(client).list_persistent_volume()
            return [one.metadata.name for one in found.items]

    k8s.apply(pv("disk"))
    assert asyncio.run(asked()) == ["disk"]
