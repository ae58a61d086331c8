"""The objects in every namespace: the account `default` and the certificate of the server's authority."""

from __future__ import annotations

from tests.controllers.cluster import Cluster, cluster, namespace
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.accounts.default_accounts import ACCOUNTS
from pvbinder.controllers.accounts.root_certificates import MAPS, NAME
from pvbinder.controllers.context import Credentials
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.client import Kind
from pvbinder.kube.kinds import NAMESPACES, Metadata
from pvbinder.model.json import Json

ONLY = ControllerOptions(controllers="serviceaccount,root-ca-cert-publisher")
TRUSTED = Credentials("-----BEGIN CERTIFICATE-----\n", lambda account, secret: "a token")
GIVEN = {"the account": (ACCOUNTS, "default"), "the certificate": (MAPS, NAME)}
ALL = {"default", "kube-node-lease", "kube-public", "kube-system"}


async def names_in(c: Cluster, kind: Kind[Metadata], name: str) -> set[str]:
    """The namespaces that have the object, once there is nothing left to do."""
    await c.settle_with_the_store()
    return {one.namespace for one in await c.client.list_all(kind) if one.name == name}


async def every_namespace_gets(kind: Kind[Metadata], name: str) -> None:
    async with cluster(ONLY, credentials=TRUSTED) as c:
        assert await names_in(c, kind, name) == ALL
        await c.create(namespace("shop"))
        assert await names_in(c, kind, name) == {*ALL, "shop"}
        before = await c.client.get(kind, name, "shop")
        await c.client.delete(kind, name, "shop")
        assert await names_in(c, kind, name) == {*ALL, "shop"}
        assert (await c.client.get(kind, name, "shop")).uid != before.uid


@on_virtual_time
async def test_accounts_1_every_namespace_has_the_account_and_gets_it_back() -> None:
    await every_namespace_gets(*GIVEN["the account"])


CHANGES: dict[str, Json] = {
    "other data": {"data": {"ca.crt": "other"}},
    "more data": {"data": {"more": "x"}},
    "no data": {"data": None},
    "no description": {"metadata": {"annotations": None}},
}


@on_virtual_time
async def test_root_ca_1_every_namespace_has_the_certificate_and_gets_it_back_as_it_was() -> None:
    await every_namespace_gets(*GIVEN["the certificate"])
    async with cluster(ONLY, credentials=TRUSTED) as c:
        for change in CHANGES.values():
            await c.settle_with_the_store()
            await c.client.patch(MAPS, NAME, "default", change, patch_type="merge")
            await c.settle_with_the_store()
            document = (await c.client.get(MAPS, NAME, "default")).document()
            assert document["data"] == {"ca.crt": TRUSTED.root_certificate}, change
            assert "kubernetes.io/description" in document["metadata"]["annotations"], change


async def an_ending_namespace_gets_nothing(kind: Kind[Metadata], name: str) -> None:
    async with cluster(ONLY, credentials=TRUSTED) as c:
        await c.create(namespace("shop"))
        assert "shop" in await names_in(c, kind, name)
        await c.client.delete(NAMESPACES, "shop")  # nobody empties it: it stays, and is ending
        await c.settle_with_the_store()
        writes = c.server.store.statistics().writes
        await c.client.delete(kind, name, "shop")
        assert "shop" not in await names_in(c, kind, name)
        assert c.server.store.statistics().writes == writes + 1


@on_virtual_time
async def test_accounts_2_a_namespace_that_is_ending_gets_nothing() -> None:
    await an_ending_namespace_gets_nothing(*GIVEN["the account"])


@on_virtual_time
async def test_root_ca_2_a_namespace_that_is_ending_gets_nothing() -> None:
    await an_ending_namespace_gets_nothing(*GIVEN["the certificate"])


@on_virtual_time
async def test_without_credentials_no_certificate_is_published() -> None:
    async with cluster(ONLY) as c:
        assert await names_in(c, *GIVEN["the certificate"]) == set()
        assert await names_in(c, *GIVEN["the account"]) == ALL
