"""Tokens of service accounts: what they are good for, and until when."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import Reply, Serving, serving

from pvbinder.server.authentication import TokenFileError, read_token_file
from pvbinder.server.requests import UserInfo
from pvbinder.server.service_account_tokens import ServiceAccountTokens, load_or_make_secret

ACCOUNTS = "/api/v1/namespaces/shop/serviceaccounts"
PODS = "/api/v1/namespaces/shop/pods"


@asynccontextmanager
async def making_tokens(directory: Path) -> AsyncGenerator[tuple[Serving, ServiceAccountTokens]]:
    async with serving(directory) as server:
        tokens = ServiceAccountTokens(server.api, load_or_make_secret(directory))
        server.api.posts["serviceaccounts", "token"] = tokens.request
        await server.send("POST", ACCOUNTS, {"metadata": {"name": "robot"}})
        yield server, tokens


async def ask(server: Serving, **spec: Any) -> Reply:
    return await server.send("POST", f"{ACCOUNTS}/robot/token", {"spec": spec})


async def test_tokens_1_a_token_is_its_accounts_until_its_time_is_over(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, tokens):
        answer = await ask(server, expirationSeconds=600)
        assert (answer.status, answer.body["status"]["expirationTimestamp"]) == (201, "2026-03-01T12:10:00Z")
        user = tokens.read(answer.body["status"]["token"])
        assert user is not None
        assert user.name == "system:serviceaccount:shop:robot"
        assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:shop")
        server.clock.now += timedelta(seconds=600)
        assert tokens.read(answer.body["status"]["token"]) is None


async def test_tokens_1_a_token_goes_with_its_account_and_with_what_it_is_bound_to(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, tokens):
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        await server.send("POST", PODS, pod)
        reference = {"apiVersion": "v1", "kind": "Pod", "name": "p"}
        plain = (await ask(server)).body["status"]["token"]
        bound = (await ask(server, boundObjectRef=reference)).body["status"]["token"]
        user = tokens.read(bound)
        assert user is not None
        assert user.extra["authentication.kubernetes.io/pod-name"] == ["p"]
        await server.send("DELETE", f"{PODS}/p")
        assert (tokens.read(bound), tokens.read(plain) is None) == (None, False)
        await server.send("DELETE", f"{ACCOUNTS}/robot")
        await server.send("POST", ACCOUNTS, {"metadata": {"name": "robot"}})
        assert tokens.read(plain) is None, "another account of the same name"


async def test_tokens_2_a_token_that_was_changed_or_made_elsewhere_is_nobodys(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, tokens):
        token = (await ask(server)).body["status"]["token"]
        header, claims, signature = token.split(".")
        for other in (
            f"{header}.{claims[:-2]}xx.{signature}",
            f"{header}.{claims}.",
            f"{header}.{claims}",
            "..",
            "x" * 100_000,
            "\udcff.a.b",
        ):
            assert tokens.read(other) is None
        assert ServiceAccountTokens(server.api, b"another secret").read(token) is None


async def test_a_token_of_another_audience_is_not_ours(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, tokens):
        token = (await ask(server, audiences=["vault"])).body["status"]["token"]
        assert tokens.read(token) is None


async def test_the_secret_outlives_a_restart(tmp_path: Path) -> None:
    assert load_or_make_secret(tmp_path) == load_or_make_secret(tmp_path)


REFUSED = {
    "too short a time": ({"expirationSeconds": 5}, 422, "may not specify a duration less than 10 minutes"),
    "something that can't be bound": (
        {"boundObjectRef": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}},
        400,
        "cannot bind token to object of type",
    ),
    "something that isn't there": (
        {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "x"}},
        404,
        'pods "x" not found',
    ),
}


@pytest.mark.parametrize(("spec", "status", "message"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_request_for_a_token_is_refused(
    tmp_path: Path, spec: dict[str, Any], status: int, message: str
) -> None:
    async with making_tokens(tmp_path) as (server, _):
        answer = await ask(server, **spec)
        assert (answer.status, message in answer.message) == (status, True), answer.message


async def test_an_account_that_is_not_there_gets_no_token(tmp_path: Path) -> None:
    async with making_tokens(tmp_path) as (server, _):
        answer = await server.send("POST", f"{ACCOUNTS}/nobody/token", {"spec": {}})
        assert (answer.status, answer.message) == (404, 'serviceaccounts "nobody" not found')


def test_a_token_file_is_read_as_the_reference_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text('s3cret,ana,1,"devs,ops"\n\nother, bob, 2\n')
    assert read_token_file(path) == {"s3cret": UserInfo("ana", "1", ("devs", "ops")), "other": UserInfo("bob", "2")}


@pytest.mark.parametrize("text", ["s3cret\n", ",ana,1\n", "s3cret,,1\n"])
def test_a_token_file_with_a_wrong_line_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text(text)
    with pytest.raises(TokenFileError, match="entry 1 is not token,user,uid"):
        read_token_file(path)
    with pytest.raises(TokenFileError, match="can't read"):
        read_token_file(tmp_path / "none.csv")
