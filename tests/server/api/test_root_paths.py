"""The list at ``/``: the right to it, and that each of its paths is served."""

from __future__ import annotations

import json
from pathlib import Path

from tests.server.serving import ADMIN

from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import ApiRequest, UserInfo

LISTED = (
    "/.well-known/openid-configuration",
    "/api/v1",
    "/apis/storage.k8s.io",
    "/apis/storage.k8s.io/v1",
    "/healthz/ping",
    "/livez",
    "/openapi/v2",
    "/openid/v1/jwks",
    "/readyz/poststarthook/bootstrap",
    "/version",
)


async def test_every_path_that_is_listed_is_served(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, listen=False) as server:
        answer = await server.dispatcher.handle(ApiRequest("GET", "/", user=ADMIN))
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        paths = json.loads(answer.body)["paths"]
        assert paths == sorted(paths)
        assert set(LISTED) <= set(paths)
        for path in paths:
            assert (await server.dispatcher.handle(ApiRequest("GET", path, user=ADMIN))).status == 200, path


async def test_who_may_not_get_the_root_learns_no_path(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, listen=False) as server:
        ana = UserInfo("ana", groups=("system:authenticated",))
        assert (await server.dispatcher.handle(ApiRequest("GET", "/", user=ana))).status == 403
