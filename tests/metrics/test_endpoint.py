"""The small listener for metrics and health, over a real socket."""

from __future__ import annotations

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pvbinder.metrics.endpoint import Endpoint
from pvbinder.metrics.metrics import Metrics
from pvbinder.server.requests import ApiRequest, ApiResponse


async def test_endpoint_1_it_answers_metrics_and_health() -> None:
    wrong: list[str] = ["caches are being filled"]
    ready = {"controllers": lambda: wrong[0] if wrong else None}
    async with Endpoint(Metrics(), ready=ready) as endpoint, aiohttp.ClientSession() as session:
        async with session.get(f"{endpoint.url}/metrics") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            names = {family.name for family in text_string_to_metric_families(await answer.text())}
            assert {"pvbinder_build_info", "process_start_time_seconds"} <= names
        async with session.get(f"{endpoint.url}/livez") as answer:
            assert (answer.status, await answer.text()) == (200, "ok")
        async with session.get(f"{endpoint.url}/readyz") as answer:
            assert answer.status == 500
        async with session.get(f"{endpoint.url}/readyz/controllers") as answer:
            assert "caches are being filled" in await answer.text()
        wrong.clear()
        async with session.get(f"{endpoint.url}/healthz?verbose") as answer:
            assert answer.status == 200
            assert "[+]controllers ok" in await answer.text()
        async with session.head(f"{endpoint.url}/metrics") as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/metrics", 405), ("DELETE", "/healthz", 405), ("GET", "/api/v1/secrets", 404), ("GET", "/", 404)],
)
async def test_endpoint_1_it_answers_nothing_else(method: str, path: str, status: int) -> None:
    async with (
        Endpoint(Metrics()) as endpoint,
        aiohttp.ClientSession() as session,
        session.request(method, f"{endpoint.url}{path}") as answer,
    ):
        assert answer.status == status


async def test_endpoint_3_nobody_who_is_refused_gets_an_answer() -> None:
    class Access:
        async def refusal(self, request: ApiRequest) -> ApiResponse | None:
            return ApiResponse(403, b"no") if request.headers.get("x-who") != "friend" else None

    async with (
        Endpoint(Metrics(), access=Access()) as endpoint,  # type: ignore[arg-type]
        aiohttp.ClientSession() as session,
    ):
        for path in ("/metrics", "/livez", "/nothing"):
            async with session.get(endpoint.url + path) as answer:
                assert (answer.status, await answer.text()) == (403, "no")
        async with session.get(f"{endpoint.url}/livez", headers={"X-Who": "friend"}) as answer:
            assert answer.status == 200


async def test_endpoint_2_it_listens_on_this_machine_only() -> None:
    async with Endpoint(Metrics()) as endpoint:
        assert endpoint.url.startswith("http://127.0.0.1:")
