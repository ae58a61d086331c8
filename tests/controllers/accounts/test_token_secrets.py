"""Secrets of type service-account-token: filled, filled again, and gone with their account."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.controllers.cluster import Cluster, cluster
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.accounts.default_accounts import ACCOUNTS
from pvbinder.controllers.accounts.token_secrets import NAME_KEY, SECRETS, TYPE, UID_KEY
from pvbinder.controllers.context import Credentials
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json
from pvbinder.server.identity.authentication import TokenOwner, TokenRefused
from pvbinder.server.identity.secret_tokens import SecretTokens

ONLY = ControllerOptions(controllers="serviceaccount-token")


@asynccontextmanager
async def with_tokens() -> AsyncGenerator[Cluster]:
    made: list[SecretTokens] = []
    credentials = Credentials("PEM", lambda account, secret: made[0].make(account, secret))
    async with cluster(ONLY, credentials=credentials) as c:
        made.append(c.server.secret_tokens)
        yield c


async def account(c: Cluster, name: str = "robot") -> str:
    return (await c.client.create(ACCOUNTS, {"metadata": {"name": name, "namespace": "default"}})).uid


async def secret(c: Cluster, name: str = "s", of: str = "robot", **annotations: str) -> None:
    metadata = {"name": name, "namespace": "default", "annotations": {NAME_KEY: of, **annotations}}
    await c.client.create(SECRETS, {"metadata": metadata, "type": TYPE})


async def look(c: Cluster, name: str = "s") -> Json | None:
    await c.settle_with_the_store()
    found = {one.name: one.document() for one in await c.client.list_all(SECRETS, "default")}
    return found.get(name)


def decoded(found: Json | None) -> dict[str, str]:
    assert found is not None
    return {key: base64.b64decode(text).decode() for key, text in found.get("data", {}).items()}


@on_virtual_time
async def test_token_secrets_1_a_secret_gets_what_it_is_for_and_gets_it_back() -> None:
    async with with_tokens() as c:
        uid = await account(c)
        await secret(c)
        found = await look(c)
        data = decoded(found)
        assert found is not None
        assert found["metadata"]["annotations"] == {NAME_KEY: "robot", UID_KEY: uid}
        assert (data["ca.crt"], data["namespace"]) == ("PEM", "default")
        assert isinstance(c.server.secret_tokens.judge(data["token"]), TokenOwner)
        for field, change in {"namespace": None, "ca.crt": "b3RoZXI=", "token": None}.items():
            await c.client.patch(SECRETS, "s", "default", {"data": {field: change}}, patch_type="merge")
            again = decoded(await look(c))
            assert again.keys() == data.keys()
            assert (again["ca.crt"], again["namespace"]) == ("PEM", "default")


@on_virtual_time
async def test_token_secrets_2_a_secret_goes_with_its_account() -> None:
    async with with_tokens() as c:
        await account(c)
        await secret(c)
        await secret(c, "lost", of="nobody")
        assert await look(c, "lost") is None
        assert await look(c) is not None
        await c.client.delete(ACCOUNTS, "robot", "default")
        assert await look(c) is None


@on_virtual_time
async def test_token_secrets_2_a_secret_of_an_account_that_is_another_one_now_goes() -> None:
    async with with_tokens() as c:
        await account(c)
        await secret(c, **{UID_KEY: "the one before"})
        assert await look(c) is None


@pytest.mark.parametrize("status", [404, 403, 503])
@on_virtual_time
async def test_token_secrets_2_a_secret_stays_while_nobody_knows_of_its_account(status: int) -> None:
    async with with_tokens() as c:

        def no_answer(request: Request) -> Answer | None:
            is_about = "serviceaccounts" in request.path and request.method == "GET"
            return Answer(status, b"404 page not found") if is_about else None

        c.line.before = no_answer
        await secret(c, "lost", of="nobody")
        await asyncio.sleep(30)
        assert (await c.client.get(SECRETS, "lost", "default")).name == "lost"
        c.line.before = lambda _: None
        await asyncio.sleep(60)
        assert await look(c, "lost") is None


@on_virtual_time
async def test_token_secrets_3_other_secrets_are_never_touched() -> None:
    async with with_tokens() as c:
        metadata: Any = {"name": "s", "namespace": "default", "annotations": {NAME_KEY: "nobody"}}
        await c.client.create(SECRETS, {"metadata": metadata, "type": "Opaque"})
        found = await look(c)
        assert found is not None
        assert "data" not in found


@on_virtual_time
async def test_secret_tokens_1_a_token_is_good_as_long_as_its_secret_holds_it() -> None:
    async with with_tokens() as c:
        uid = await account(c)
        await secret(c)
        tokens = c.server.secret_tokens
        token = decoded(await look(c))["token"]
        owner = tokens.judge(token)
        assert isinstance(owner, TokenOwner)
        assert (owner.user.name, owner.user.uid) == ("system:serviceaccount:default:robot", uid)
        assert tokens.judge(token[:-4] + "AAAA") is None
        await c.client.patch(SECRETS, "s", "default", {"data": {"token": "b3RoZXI="}}, patch_type="merge")
        await c.settle_with_the_store()
        assert isinstance(tokens.judge(token), TokenRefused)


@on_virtual_time
async def test_secret_tokens_1_a_token_ends_with_its_secret_and_its_account() -> None:
    async with with_tokens() as c:
        await account(c)
        await secret(c)
        tokens = c.server.secret_tokens
        token = decoded(await look(c))["token"]
        await c.client.delete(SECRETS, "s", "default")
        assert isinstance(tokens.judge(token), TokenRefused)
        await secret(c)
        token = decoded(await look(c))["token"]
        await c.client.delete(ACCOUNTS, "robot", "default")
        assert isinstance(tokens.judge(token), TokenRefused)


@on_virtual_time
async def test_secret_tokens_2_it_is_good_for_this_server_only() -> None:
    async with with_tokens() as c:
        await account(c)
        await secret(c)
        token = decoded(await look(c))["token"]
        assert isinstance(c.server.secret_tokens.judge(token, ["vault"]), TokenRefused)
