"""Headers of requests: none at all, and the form that is accepted."""

from __future__ import annotations

from pathlib import Path

from tests.server.serving import ADMIN, MAPS, config_map, serving

from pvbinder.server.requests import ApiRequest

PODS = "/api/v1/namespaces/shop/pods"
REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


async def test_a_request_needs_no_headers(tmp_path: Path) -> None:
    """Who sends neither Accept nor Content-Type means JSON, whatever the verb."""
    put = b'{"metadata":{"name":"a"},"data":{"k":"w"}}'
    async with serving(tmp_path) as server:
        for method, path, body, status in (
            ("POST", MAPS, b'{"metadata":{"name":"a"}}', 201),
            ("GET", f"{MAPS}/a", b"", 200),
            ("GET", MAPS, b"", 200),
            ("PUT", f"{MAPS}/a", put, 200),
            ("PATCH", f"{MAPS}/a", b"{}", 415),
            ("POST", REVIEW, b"{}", 201),
            ("DELETE", f"{MAPS}/a", b'{"dryRun":["All"]}', 200),
            ("DELETE", MAPS, b'{"dryRun":["All"]}', 200),
        ):
            answer = await server.dispatcher.handle(ApiRequest(method, path, body=body, user=ADMIN))
            assert (answer.status, answer.headers["Content-Type"]) == (status, "application/json"), (method, path)
        found = (await server.send("GET", f"{MAPS}/a")).body
        assert found["data"] == {"k": "w"}
        watch = await server.dispatcher.handle(ApiRequest("GET", MAPS, {"watch": ["1"]}, user=ADMIN))
        assert (watch.status, watch.headers) == (200, {"Content-Type": "application/json"})
        assert watch.stream is not None
        await watch.stream.aclose()  # type: ignore[attr-defined]


async def test_each_verb_answers_in_the_form_that_is_accepted(tmp_path: Path) -> None:
    yaml, nothing = {"accept": "application/yaml"}, {"accept": "image/png"}
    async with serving(tmp_path) as server:
        for name in "pq":
            spec = {"containers": [{"name": "c", "image": "i"}]}
            await server.send("POST", PODS, {"metadata": {"name": name}, "spec": spec})
        await server.send("POST", MAPS, config_map())
        target = {"target": {"name": "n"}}
        for method, path, body in (
            ("POST", MAPS, config_map("b")),
            ("PUT", f"{MAPS}/a", config_map()),
            ("PATCH", f"{MAPS}/a", {}),
            ("POST", REVIEW, {}),
            ("POST", f"{PODS}/p/binding", {"metadata": {"name": "p"}, **target}),
            ("POST", "/api/v1/namespaces/shop/bindings", {"metadata": {"name": "q"}, **target}),
            ("POST", f"{PODS}/p/eviction", {"metadata": {"name": "p"}}),
            ("DELETE", f"{MAPS}/a", None),
            ("DELETE", MAPS, None),
        ):
            assert (await server.send(method, path, body, headers=nothing)).status == 406, (method, path)
            answer = await server.send(method, path, body, headers=yaml)
            assert (answer.status in (200, 201), answer.headers["Content-Type"]) == (True, "application/yaml")
