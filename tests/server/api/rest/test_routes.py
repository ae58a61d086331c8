"""Paths and methods that a served kind has, the ones it hasn't, and the answers that are no object."""

from __future__ import annotations

from pathlib import Path

from tests.server.serving import MAPS, VOLUMES, config_map, serving, volume

NOWHERE = (404, "NotFound", "the server could not find the requested resource")
NOT_ALLOWED = (405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
ROUTES: dict[tuple[str, str], tuple[int, str, str]] = {
    ("GET", "/api/v1/configmaps/a"): NOWHERE,
    ("GET", "/api/v1/namespaces/shop/persistentvolumes/v"): NOWHERE,
    ("GET", "/api/v1/namespaces/shop/persistentvolumes"): NOWHERE,
    ("GET", f"{MAPS}/a/status"): NOWHERE,
    ("GET", f"{MAPS}/a/log"): NOWHERE,
    ("GET", f"{VOLUMES}/v/status/more"): NOWHERE,
    ("POST", "/api/v1/configmaps"): NOT_ALLOWED,
    ("DELETE", "/api/v1/configmaps"): NOT_ALLOWED,
    ("POST", f"{MAPS}/a"): NOT_ALLOWED,
    ("PUT", MAPS): NOT_ALLOWED,
    ("PATCH", VOLUMES): NOT_ALLOWED,
    ("DELETE", f"{VOLUMES}/v/status"): NOT_ALLOWED,
    ("POST", f"{VOLUMES}/v/status"): NOT_ALLOWED,
    ("HEAD", f"{MAPS}/a"): NOT_ALLOWED,
    ("GET", "/api/v1/namespaces/shop/bindings"): NOT_ALLOWED,
    ("POST", "/api/v1/bindings"): NOT_ALLOWED,
}


async def test_where_nothing_is_and_what_is_not_allowed(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", MAPS, config_map())
        await server.send("POST", VOLUMES, volume("v"))
        for (method, path), expected in ROUTES.items():
            answer = await server.send(method, path, {} if method in ("POST", "PUT", "PATCH") else None)
            found = (answer.status, answer.body["reason"], answer.body["message"])
            assert found == expected, (method, path)
            assert answer.body["details"] == {}


async def test_answers_that_are_no_object(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        made = await server.send("POST", MAPS, config_map())
        deleted = await server.send("DELETE", f"{MAPS}/a")
        uid = made.body["metadata"]["uid"]
        success = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        assert deleted.body == {**success, "details": {"name": "a", "kind": "configmaps", "uid": uid}}

        roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
        made = await server.send("POST", roles, {"metadata": {"name": "r"}, "rules": []})
        gone = await server.send("DELETE", f"{roles}/r")
        assert gone.body == {
            **success,
            "details": {
                "name": "r",
                "group": "rbac.authorization.k8s.io",
                "kind": "clusterroles",
                "uid": made.body["metadata"]["uid"],
            },
        }

        pods = "/api/v1/namespaces/shop/pods"
        for name in ("p", "q"):
            spec = {"containers": [{"name": "c", "image": "i"}]}
            await server.send("POST", pods, {"metadata": {"name": name}, "spec": spec})
        created = {**success, "code": 201}
        target = {"target": {"kind": "Node", "name": "n"}}
        bound = await server.send("POST", f"{pods}/p/binding", {"metadata": {"name": "p"}, **target})
        assert (bound.status, bound.body) == (201, created)
        bound = await server.send("POST", "/api/v1/namespaces/shop/bindings", {"metadata": {"name": "q"}, **target})
        assert (bound.status, bound.body) == (201, created)
        evicted = await server.send("POST", f"{pods}/p/eviction", {"metadata": {"name": "p"}})
        assert (evicted.status, evicted.body) == (201, created)


async def test_a_binding_is_checked(tmp_path: Path) -> None:  # BIND-1
    async with serving(tmp_path) as server:
        pods = "/api/v1/namespaces/shop/pods"
        spec = {"containers": [{"name": "c", "image": "i"}]}
        await server.send("POST", pods, {"metadata": {"name": "p"}, "spec": spec})
        other = await server.send("POST", f"{pods}/p/binding", {"metadata": {"name": "q"}, "target": {"name": "n"}})
        assert (other.status, other.message) == (400, "name in URL does not match name in Binding object")
        none = await server.send("POST", f"{pods}/p/binding", {"metadata": {"name": "p"}, "target": {}})
        assert (none.status, none.message) == (500, "target.name: Required value")
        both = await server.send("POST", f"{pods}/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Pod"}})
        assert both.message == (
            '[target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>", target.name: Required value]'
        )
        gone = await server.send("POST", f"{pods}/x/binding", {"metadata": {"name": "x"}, "target": {"name": "n"}})
        assert (gone.status, gone.message) == (404, 'pods "x" not found')
