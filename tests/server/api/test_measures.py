"""What the server counts of its requests."""

from __future__ import annotations

from pathlib import Path

from pvbinder.server.api.measures import RequestMeasures
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import ApiRequest, ApiResponse, UserInfo

ADMIN = UserInfo("admin", groups=("system:masters", "system:authenticated"))


def asked(method: str, path: str, **query: str) -> ApiRequest:
    return ApiRequest(method, path, {key: [value] for key, value in query.items()}, user=ADMIN)


async def test_requests_are_counted_by_verb_resource_and_answer(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, listen=False) as server:
        before = server.dispatcher.measures.statistics().requests
        for path in ("/api/v1/persistentvolumes", "/api/v1/persistentvolumes/gone", "/version"):
            await server.dispatcher.handle(asked("GET", path))
        after = server.dispatcher.measures.statistics()

    assert {key: count for key, count in after.requests.items() if key not in before} == {
        ("list", "persistentvolumes", 200): 1,
        ("get", "persistentvolumes", 404): 1,
        ("get", "", 200): 1,
    }
    assert after.durations["list"].count == 1


async def test_an_open_watch_is_counted_while_it_is_read(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, listen=False) as server:
        answer = await server.dispatcher.handle(asked("GET", "/api/v1/namespaces", watch="1", resourceVersion="0"))
        assert answer.stream is not None
        await anext(answer.stream)
        assert server.api.watches["namespaces"] == 1
        await answer.stream.aclose()  # type: ignore[attr-defined]

        assert server.api.watches["namespaces"] == 0
        assert ("watch", "namespaces", 200) in server.dispatcher.measures.statistics().requests


async def test_a_page_is_made_when_it_is_asked_for(tmp_path: Path) -> None:
    async def page() -> ApiResponse:
        return ApiResponse(200, b"made")

    async with EmbeddedServer(tmp_path, listen=False, pages={"/metrics": page}) as server:
        assert (await server.dispatcher.handle(asked("GET", "/metrics"))).body == b"made"
        assert (await server.dispatcher.handle(asked("POST", "/metrics"))).status == 405


def test_measures_1_what_clients_make_up_is_not_kept() -> None:
    measures = RequestMeasures()
    for number in range(1000):
        measures.count(f"verb-{number}", "", 404, 0.001)

    assert measures.statistics().requests == {("other", "", 404): 1000}
    assert list(measures.statistics().durations) == ["other"]


async def test_measures_1_what_is_not_served_counts_together(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, listen=False) as server:
        before = server.dispatcher.measures.statistics().requests
        for number in range(20):
            await server.dispatcher.handle(asked("GET", f"/api/v1/things{number}/x"))
            await server.dispatcher.handle(asked("GET", f"/api/v1/persistentvolumes/x/sub{number}"))
        after = server.dispatcher.measures.statistics().requests

    assert {resource for _, resource, _ in after.keys() - before.keys()} == {"", "persistentvolumes"}


async def test_commits_are_timed(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, listen=False) as server:
        statistics = server.store.statistics()

    assert statistics.commit_durations.count == statistics.commits > 0
