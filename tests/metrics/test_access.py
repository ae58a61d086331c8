"""Who may ask an endpoint, as a real API server says (ACCESS-1 to ACCESS-4, REVIEWS-1, REVIEWS-2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from tests.controllers.cluster import ADMIN, Breakable
from tests.virtual_time import on_virtual_time

from pvbinder.kube.client import Client, Retries
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.reviews import may_we, user_of_token, who_are_we
from pvbinder.kube.transport import Answer, Request
from pvbinder.metrics.access import QUIET_SECONDS, REMEMBERED_MAX, AccessOptions, DelegatedAccess
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import ApiRequest, UserInfo

TOKENS = {
    "prometheus-token": UserInfo("prometheus", groups=("system:monitoring",)),
    "somebody-token": UserInfo("somebody"),
    "master-token": UserInfo("master", groups=("system:masters",)),
}


@asynccontextmanager
async def delegated(
    options: AccessOptions | None = None, user: UserInfo = ADMIN
) -> AsyncGenerator[tuple[DelegatedAccess, Breakable]]:
    """Access as a server with `TOKENS` knows it, and the line on which that is asked."""
    async with EmbeddedServer(listen=False, tokens=TOKENS) as server:
        line = Breakable(InProcessTransport(server.dispatcher, user))
        yield DelegatedAccess(Client(line, retries=Retries(attempts=1)), options=options), line


async def status_of(access: DelegatedAccess, token: str = "", path: str = "/metrics", method: str = "GET") -> int:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = await access.refusal(ApiRequest(method, path, headers=headers))
    return answer.status if answer is not None else 200


def broken(_request: Request) -> Answer | None:
    raise ConnectionFailed("broken by the test")


@on_virtual_time
async def test_access_1_and_2_who_is_known_and_allowed_gets_it() -> None:
    async with delegated() as (access, line):
        assert await status_of(access, "prometheus-token") == 200
        assert await status_of(access, "master-token") == 200
        assert await status_of(access, "somebody-token") == 403
        assert await status_of(access, "nobody's-token") == 401
        assert await status_of(access) == 403
        assert await status_of(access, "prometheus-token", "/metrics", "POST") == 403
        assert "SubjectAccessReview" not in "".join(str(r.body) for r in line.seen if b"master" in (r.body or b""))


@on_virtual_time
async def test_access_1_a_refusal_says_who_may_not_do_what() -> None:
    async with delegated() as (access, _):
        answer = await access.refusal(ApiRequest("GET", "/metrics"))
        assert answer is not None
        assert b'forbidden: User \\"system:anonymous\\" cannot get path \\"/metrics\\"' in answer.body


@on_virtual_time
async def test_access_2_probes_are_answered_without_a_question_and_nothing_else_when_the_server_is_away() -> None:
    async with delegated() as (access, line):
        line.before = broken
        for path in ("/healthz", "/readyz", "/livez"):
            assert await status_of(access, path=path) == 200
        assert line.seen == []
        assert await status_of(access, path="/livez/ping") == 500
        assert await status_of(access) == 500
        assert await status_of(access, "prometheus-token") == 401
        line.before = lambda _: None
        assert await status_of(access, "prometheus-token") == 200


@on_virtual_time
async def test_access_2_a_star_opens_what_begins_so() -> None:
    async with delegated(AccessOptions(always_allowed=("/healthz*",))) as (access, _):
        assert await status_of(access, path="/healthz/ping") == 200
        assert await status_of(access, path="/other") == 403


@on_virtual_time
async def test_access_3_answers_count_for_a_while() -> None:
    async with delegated() as (access, line):
        for _ in range(5):
            assert await status_of(access, "prometheus-token") == 200
            assert await status_of(access, "nobody's-token") == 401
            assert await status_of(access, "somebody-token") == 403
        assert len(line.seen) == 2 + 1 + 2
        await asyncio.sleep(10)
        assert await status_of(access, "prometheus-token") == 200
        assert len(line.seen) == 5 + 2


@on_virtual_time
async def test_access_3_a_flood_of_tokens_takes_little_room() -> None:
    async with delegated() as (access, _):
        for number in range(REMEMBERED_MAX + 10):
            await status_of(access, f"t-{number}")
        assert len(access._tokens._answers) == REMEMBERED_MAX


@on_virtual_time
async def test_access_4_trouble_is_told_once_a_minute_with_a_way_out_and_without_the_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger="pvbinder.metrics")
    async with delegated(user=UserInfo("nobody-much")) as (access, _):
        for _ in range(3):
            assert await status_of(access, "secret-1") == 401
        await asyncio.sleep(QUIET_SECONDS)
        assert await status_of(access, "secret-2") == 401
    assert [record.getMessage() for record in caplog.records] == ["a token can't be reviewed"] * 2
    assert "system:auth-delegator" in str(vars(caplog.records[0]))
    assert not any("secret" in str(vars(record)) for record in caplog.records)


@on_virtual_time
async def test_reviews_of_what_we_may() -> None:
    async with EmbeddedServer(listen=False) as server:
        ours = Client(InProcessTransport(server.dispatcher, UserInfo("us", groups=("system:authenticated",))))
        theirs = Client(InProcessTransport(server.dispatcher, ADMIN))
        assert await who_are_we(ours) == "us"
        assert not (await may_we(ours, "update", "", "persistentvolumes/status")).allowed
        assert (await may_we(theirs, "update", "", "persistentvolumes/status")).allowed
        assert (await may_we(ours, "create", "authorization.k8s.io", "selfsubjectaccessreviews")).allowed


@on_virtual_time
async def test_reviews_1_what_is_no_review_is_no_yes() -> None:
    async with delegated() as (access, line):
        client = Client(line, retries=Retries(attempts=1))
        for body in (
            b"<html>",
            b"[]",
            b"{}",
            b'{"kind":"Pod","status":{"authenticated":true}}',
            b'{"kind":"TokenReview"}',
        ):
            line.before = lambda _, body=body: Answer(200, body)  # type: ignore[misc]
            with pytest.raises(ApiFailure, match="is none"):
                await user_of_token(client, "secret")
            assert await status_of(access, "secret") == 401
        line.before = lambda _: Answer(200, b'{"kind":"TokenReview","status":{"authenticated":true,"user":{}}}')
        assert await user_of_token(client, "secret") is None


@on_virtual_time
async def test_reviews_2_no_message_holds_the_token() -> None:
    async with delegated(user=UserInfo("nobody-much")) as (_, line):
        with pytest.raises(ApiFailure) as refused:
            await user_of_token(Client(line), "secret-1")
        assert "secret-1" not in str(refused.value)
