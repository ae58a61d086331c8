"""The way through the dispatcher: user, rights, the resource, and the answers for errors."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import ADMIN, MAPS, VOLUMES, config_map, serving, volume

from pvbinder.server.api import dispatch
from pvbinder.server.api.rest import read
from pvbinder.server.identity.attributes import read_attributes
from pvbinder.server.identity.authentication import ANONYMOUS
from pvbinder.server.requests import ApiRequest

NOT_THERE = "the server could not find the requested resource"
NOT_ALLOWED = "the server does not allow this method on the requested resource"

PATHS = {
    "an unknown path": ("GET", "/nosuch", 404, "404 page not found\n"),
    "an unknown group": ("GET", "/apis/nosuch.example.com/v1/things", 404, "404 page not found\n"),
    "an unknown version": ("GET", "/apis/storage.k8s.io/v9/storageclasses", 404, NOT_THERE),
    "an unknown resource": ("GET", "/api/v1/nosuch", 404, NOT_THERE),
    "an unknown subresource": ("GET", f"{MAPS}/a/status", 404, NOT_THERE),
    "something below a subresource": ("GET", "/api/v1/namespaces/shop/pods/a/status/x", 404, NOT_THERE),
    "a cluster-scoped kind in a namespace": ("GET", "/api/v1/namespaces/shop/persistentvolumes", 404, NOT_THERE),
    "an object without its namespace": ("GET", "/api/v1/configmaps/a", 404, NOT_THERE),
    "a create in all namespaces": ("POST", "/api/v1/configmaps", 405, NOT_ALLOWED),
    "a deletion of all namespaces": ("DELETE", "/api/v1/namespaces", 405, NOT_ALLOWED),
    "a deletion of a collection in all namespaces": ("DELETE", "/api/v1/configmaps", 405, NOT_ALLOWED),
    "a POST to an object": ("POST", f"{MAPS}/a", 405, NOT_ALLOWED),
    "a PUT to a collection": ("PUT", MAPS, 405, NOT_ALLOWED),
    "a DELETE of a status": ("DELETE", f"{VOLUMES}/x/status", 405, NOT_ALLOWED),
    "a HEAD": ("HEAD", f"{MAPS}/a", 405, NOT_ALLOWED),
    "a method of no verb": ("TRACE", MAPS, 405, NOT_ALLOWED),
    "a POST to health": ("POST", "/healthz", 200, "ok"),
    "health below itself": ("GET", "/healthz/", 404, "404 page not found\n"),
    "a time that is none": (
        "GET",
        f"{MAPS}?timeout=1x",
        400,
        ('invalid timeout specified in the request URL - time: unknown unit "x" in duration "1x"'),
    ),
    "a review by GET": ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", 405, NOT_ALLOWED),
}


@pytest.mark.parametrize(("method", "path", "status", "message"), PATHS.values(), ids=PATHS.keys())
async def test_a_path_or_method_that_is_not_there_is_refused_as_by_the_reference(
    tmp_path: Path, method: str, path: str, status: int, message: str
) -> None:
    async with serving(tmp_path) as server:
        answer = await server.send(method, path, {} if method in ("POST", "PUT") else None)
        assert answer.status == status
        assert (answer.body if isinstance(answer.body, str) else answer.message) == message


async def test_dispatch_1_what_goes_wrong_inside_is_a_500_and_a_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> Any:
        raise ZeroDivisionError("division by zero")

    async with serving(tmp_path) as server:
        monkeypatch.setattr(read, "get", fails)
        with caplog.at_level(logging.ERROR):
            answer = await server.send("GET", f"{MAPS}/a")
        assert (answer.status, answer.body["reason"]) == (500, "InternalError")
        assert "Traceback" not in answer.message
        assert "request failed" in caplog.text
        assert (await server.send("GET", MAPS)).status == 200


async def test_dispatch_2_a_call_in_the_same_process_is_validated_and_authorised_like_any_other(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, rbac=True) as server:
        assert (await server.send("POST", VOLUMES, volume(accessModes=[]))).status == 422
        assert (await server.send("POST", VOLUMES, volume(), user=ANONYMOUS)).status == 403


async def test_dispatch_3_who_may_not_see_a_path_does_not_learn_whether_it_exists(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await server.send("POST", MAPS, config_map())
        answers = [
            await server.send("GET", path, user=ANONYMOUS) for path in (f"{MAPS}/a", f"{MAPS}/b", "/nosuch", "/apis")
        ]
        assert [answer.status for answer in answers] == [403] * 4
        cannot = 'User "system:anonymous" cannot'
        assert [answer.message for answer in answers] == [
            f'configmaps "a" is forbidden: {cannot} get resource "configmaps" in API group "" in the namespace "shop"',
            f'configmaps "b" is forbidden: {cannot} get resource "configmaps" in API group "" in the namespace "shop"',
            f'forbidden: {cannot} get path "/nosuch"',
            f'forbidden: {cannot} get path "/apis"',
        ]


HEALTH = {
    "plain": ("/readyz", 200, "ok"),
    "verbose": ("/livez?verbose", 200, "[+]ping ok\nlivez check passed\n"),
    "one check": ("/healthz/ping", 200, "ok"),
    "one excluded": ("/livez?verbose&exclude=ping", 200, "[+]ping excluded: ok\nlivez check passed\n"),
    "an unknown check": ("/healthz/nosuch", 404, "404 page not found\n"),
}


@pytest.mark.parametrize(("target", "status", "text"), HEALTH.values(), ids=HEALTH.keys())
async def test_health_is_told_in_the_references_form(tmp_path: Path, target: str, status: int, text: str) -> None:
    async with serving(tmp_path) as server:
        answer = await server.send("GET", target)
        assert (answer.status, answer.body) == (status, text)


async def test_a_server_that_is_not_ready_says_which_check_fails_but_not_why(tmp_path: Path) -> None:
    from pvbinder.server.api.health import Health

    async with serving(tmp_path, health=Health({}, {"boot": lambda: "still booting"})) as server:
        assert (await server.send("GET", "/livez")).body == "ok"
        answer = await server.send("GET", "/readyz")
        assert (answer.status, answer.body) == (
            500,
            "[+]ping ok\n[-]boot failed: reason withheld\nreadyz check failed\n",
        )


async def test_reviews_answer_who_i_am_and_what_i_may(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        me = await server.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        assert me.body["status"]["userInfo"]["username"] == "admin"
        path = "/apis/authorization.k8s.io/v1"
        may = {"spec": {"resourceAttributes": {"verb": "get", "resource": "secrets", "namespace": "shop"}}}
        mine = await server.send("POST", f"{path}/selfsubjectaccessreviews", may)
        assert (mine.status, mine.body["status"]) == (201, {"allowed": True})
        may["spec"]["user"] = "somebody"  # type: ignore[assignment]
        theirs = await server.send("POST", f"{path}/subjectaccessreviews", may)
        assert theirs.body["status"] == {"allowed": False}
        here = await server.send("POST", f"{path}/namespaces/default/localsubjectaccessreviews", may)
        assert "must match metadata.namespace" in here.message
        rules = await server.send("POST", f"{path}/selfsubjectrulesreviews", {"spec": {"namespace": "shop"}})
        assert rules.body["status"]["resourceRules"][0]["verbs"] == ["*"]


async def test_dispatch_5_a_head_alone_is_refused_or_admitted(tmp_path: Path) -> None:
    async with serving(tmp_path, rbac=True) as server:
        path = "/api/v1/namespaces/shop/configmaps"
        stranger = server.dispatcher.screen(ApiRequest("POST", path))
        wrong = server.dispatcher.screen(ApiRequest("POST", path, headers={"authorization": "Bearer no"}))
        assert stranger is not None
        assert wrong is not None
        assert (stranger.status, wrong.status) == (403, 401)
        known = ApiRequest("POST", path, user=ADMIN)
        assert server.dispatcher.screen(known) is None
        assert known.is_admitted


async def test_dispatch_5_a_head_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths: list[str] = []

    def counted(method: str, path: str, query: Any) -> Any:
        paths.append(path)
        return read_attributes(method, path, query)

    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, config_map())
        monkeypatch.setattr(dispatch, "read_attributes", counted)
        request = ApiRequest("DELETE", f"{MAPS}/a", user=ADMIN)
        assert server.dispatcher.screen(request) is None
        assert (await server.dispatcher.handle(request)).status == 200
    assert paths == [f"{MAPS}/a"]
