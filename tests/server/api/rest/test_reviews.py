"""Reviews: the owner of a token, and the agreement of reviews with requests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import Reply, Serving, serving

from pvbinder.server.identity.service_account_tokens import ISSUER
from pvbinder.server.requests import ApiRequest, UserInfo

ACCOUNTS = "/api/v1/namespaces/shop/serviceaccounts"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


@asynccontextmanager
async def reviewing(directory: Path) -> AsyncGenerator[Serving]:
    async with serving(directory, static_tokens={"s3cret": UserInfo("ana", "7", ("devs",))}) as server:
        await server.send("POST", ACCOUNTS, {"metadata": {"name": "robot"}})
        yield server


async def token_for(server: Serving, *audiences: str) -> str:
    answer = await server.send("POST", f"{ACCOUNTS}/robot/token", {"spec": {"audiences": list(audiences)}})
    return str(answer.body["status"]["token"])


async def review(server: Serving, token: str, *audiences: str) -> dict[str, Any]:
    answer: Reply = await server.send("POST", REVIEWS, {"spec": {"token": token, "audiences": list(audiences)}})
    assert answer.status == 201, answer.body
    status: dict[str, Any] = answer.body["status"]
    return status


AUDIENCES: dict[str, tuple[tuple[str, ...], tuple[str, ...], list[str] | None]] = {
    "the server's, unasked": ((), (), [ISSUER]),
    "the server's, asked for": ((), (ISSUER, "vault"), [ISSUER]),
    "another than the server's, unasked": (("vault",), (), None),
    "the one asked for": (("vault",), ("vault",), ["vault"]),
    "one of those asked for": (("vault", "door"), ("car", "door"), ["door"]),
    "none of those asked for": (("vault",), ("car", ISSUER), None),
    "the server's, another asked for": ((), ("vault",), None),
}


@pytest.mark.parametrize(("made_for", "asked", "found"), AUDIENCES.values(), ids=AUDIENCES.keys())
async def test_a_token_is_authenticated_for_the_audiences_that_it_shares(
    tmp_path: Path, made_for: tuple[str, ...], asked: tuple[str, ...], found: list[str] | None
) -> None:
    async with reviewing(tmp_path) as server:
        status = await review(server, await token_for(server, *made_for), *asked)
        assert status.get("audiences") == found
        assert status.get("authenticated", False) is (found is not None)
        if found is None:
            quoted = [" ".join(f'"{one}"' for one in some or (ISSUER,)) for some in (made_for, asked)]
            assert status == {
                "user": {},
                "error": f"[invalid bearer token, token audiences [{quoted[0]}] is invalid for the target audiences "
                f"[{quoted[1]}]]",
            }


async def test_a_static_token_is_this_servers_alone(tmp_path: Path) -> None:
    async with reviewing(tmp_path) as server:
        user = {"username": "ana", "uid": "7", "groups": ["devs", "system:authenticated"]}
        assert await review(server, "s3cret") == {"authenticated": True, "user": user, "audiences": [ISSUER]}
        assert await review(server, "s3cret", "vault") == {"user": {}, "error": "invalid bearer token"}


async def test_a_token_is_read_in_a_review_as_in_a_header(tmp_path: Path) -> None:
    async with reviewing(tmp_path) as server:
        assert (await review(server, "s3cret and more"))["user"]["username"] == "ana"
        assert await review(server, " s3cret") == {"user": {}}
        assert await review(server, "guess") == {"user": {}, "error": "invalid bearer token"}
        empty = await server.send("POST", REVIEWS, {"spec": {"audiences": ["vault"]}})
        assert (empty.status, empty.message) == (400, "token is required for TokenReview in authentication")


async def test_what_a_review_refuses_a_request_is_refused_too(tmp_path: Path) -> None:
    async with reviewing(tmp_path) as server:
        tokens = [await token_for(server), await token_for(server, "vault"), "s3cret", "guess", "a.b.c"]
        await server.send("DELETE", f"{ACCOUNTS}/robot")
        tokens += [await token_for_another(server)]
        for token in tokens:
            says = (await review(server, token)).get("authenticated", False)
            headers = {"authorization": f"Bearer {token}"}
            answer = await as_itself(server, headers)
            assert (answer != 401) is says, token


async def token_for_another(server: Serving) -> str:
    await server.send("POST", ACCOUNTS, {"metadata": {"name": "robot"}})
    return await token_for(server)


async def as_itself(server: Serving, headers: dict[str, str]) -> int:
    """Send a request whose user follows from its headers."""
    return (await server.dispatcher.handle(ApiRequest("GET", "/api/v1/namespaces", headers=headers))).status
