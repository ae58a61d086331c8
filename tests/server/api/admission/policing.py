"""Policies and bindings for tests, and a server that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.server.serving import MAPS, Reply, Serving, serving

from pvbinder.server.requests import UserInfo

GROUP = "/apis/admissionregistration.k8s.io/v1"
POLICIES, BINDINGS = f"{GROUP}/validatingadmissionpolicies", f"{GROUP}/validatingadmissionpolicybindings"
Json = dict[str, Any]


def about(*resources: str, group: str = "", verbs: tuple[str, ...] = ("*",), **more: Any) -> list[Json]:
    """Rules about resources."""
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": list(verbs), "resources": list(resources)}
    return [{**rule, **more}]


WRITES = ("CREATE", "UPDATE")
MAP_RULES = about("configmaps", verbs=WRITES)
ANA = UserInfo("ana", "7", ("system:authenticated",), {"team": ["blue"]})


def policy(
    *validations: str | Json, name: str = "p", rules: list[Json] = MAP_RULES, match: Json | None = None, **spec: Any
) -> Json:
    """A policy about config maps, or what `rules` say."""
    made = [{"expression": one} if isinstance(one, str) else one for one in validations]
    constraints = {"resourceRules": rules, **(match or {})}
    spec = {"matchConstraints": constraints, "validations": made, **spec}
    return {"metadata": {"name": name}, "spec": {field: value for field, value in spec.items() if value}}


def binding(*actions: str, name: str = "b", **spec: Any) -> Json:
    return {"metadata": {"name": name}, "spec": {"policyName": "p", "validationActions": actions or ["Deny"], **spec}}


def config(name: str = "m", data: Json | None = None, **metadata: Any) -> Json:
    return {"metadata": {"name": name, **metadata}, "data": {"size": "3"} if data is None else data}


async def bind(server: Serving, policy: Json, *bindings: Json) -> None:
    assert (await server.send("POST", POLICIES, policy)).status == 201
    for one in bindings or (binding(),):
        assert (await server.send("POST", BINDINGS, one)).status == 201


async def answer(directory: Path, policy: Json, body: Json, *bindings: Json, **options: Any) -> Reply:
    """The answer to a POST of a config map under a policy."""
    async with serving(directory) as server:
        await bind(server, policy, *bindings)
        return await server.send("POST", MAPS, body, **options)


def why(reply: Reply) -> str:
    """What a policy has against a write; "" if nothing."""
    if reply.status == 201:
        return ""
    head = "configmaps \"m\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "
    assert reply.message.startswith(head), reply.message
    return reply.message.removeprefix(head)
