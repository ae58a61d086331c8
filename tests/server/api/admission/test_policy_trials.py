"""What policies say of a write. The texts are those of Kubernetes 1.36."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.server.api.admission.policing import (
    ANA,
    BINDINGS,
    POLICIES,
    Json,
    about,
    bind,
    config,
    policy,
    why,
)
from tests.server.serving import MAPS, serving


def variables(**named: str) -> Json:
    return {"variables": [{"name": name, "expression": text} for name, text in named.items()]}


def conditions(*sources: str) -> Json:
    return {"matchConditions": [{"name": f"c{at}", "expression": source} for at, source in enumerate(sources)]}


THREE = "[1, 2, 3].all(n, authorizer.path('/x').check('get').allowed())"
ACCOUNT = "authorizer.serviceAccount('shop', 'default').group('').resource('pods').check('get').allowed()"
SAID: dict[str, tuple[Json, str]] = {
    "holds": (policy("object.data.size == '3'"), ""),
    "fails": (policy("object.data.size == '4'"), "failed expression: object.data.size == '4'"),
    "message": (policy({"expression": "false", "message": " no maps "}), "no maps"),
    "said message": (policy({"expression": "false", "messageExpression": "string(object.metadata.name) + '!'"}), "m!"),
    "a message that isn't said": (
        policy({"expression": "false", "messageExpression": "string(object.x)", "message": "so"}),
        "so",
    ),
    "two lines aren't said": (
        policy({"expression": "false", "messageExpression": "'a\\nb'", "message": "so"}),
        "so",
    ),
    "first one counts": (
        policy({"expression": "false", "message": "one"}, {"expression": "1 > 2", "message": "two"}),
        "one",
    ),
    "error": (
        policy("object.spec.x == 1"),
        "expression 'object.spec.x == 1' resulted in error: no such key: spec",
    ),
    "error ignored": (policy("object.spec.x == 1", failurePolicy="Ignore"), ""),
    "deny though errors are ignored": (policy("false", failurePolicy="Ignore"), "failed expression: false"),
    "no old object": (policy("oldObject == null && !has(oldObject.x)"), ""),
    "field of nothing": (policy("oldObject.a == 1"), "expression 'oldObject.a == 1' resulted in error: no such key: a"),
    "request": (
        policy(
            "request.kind.kind == 'ConfigMap' && request.resource.resource == 'configmaps' && request.name == 'm' &&"
            " request.namespace == 'shop' && request.operation == 'CREATE' && !request.dryRun &&"
            " request.requestKind == request.kind && !has(request.subResource) && request.userInfo.username == 'ana' &&"
            " request.userInfo.groups == ['system:authenticated'] && request.userInfo.extra['team'][0] == 'blue' &&"
            " request.options.kind == 'CreateOptions' && request.options.fieldManager == 'me'"
        ),
        "",
    ),
    "object": (
        policy(
            "object.kind == 'ConfigMap' && object.apiVersion == 'v1' && has(object.metadata.uid) &&"
            " timestamp(object.metadata.creationTimestamp) > timestamp('2020-01-01T00:00:00Z')"
        ),
        "",
    ),
    "namespace": (policy("namespaceObject.metadata.name == 'shop' && namespaceObject.status.phase == 'Active'"), ""),
    "variables": (
        policy(
            "variables.twice == 6 && has(variables.n)", **variables(n="int(object.data.size)", twice="variables.n * 2")
        ),
        "",
    ),
    "a variable that nobody needs": (policy("true || variables.n == 1", **variables(n="int(object.data.x)")), ""),
    "a variable without a value": (
        policy("variables.n == 1", **variables(n="int(object.data.x)")),
        "expression 'variables.n == 1' resulted in error: composited variable \"n\" fails to evaluate: no such key: x",
    ),
    "condition": (policy("false", **conditions("object.data.size == '4'")), ""),
    "condition holds": (
        policy("1 > 2", **conditions("true")),
        "failed expression: 1 > 2",
    ),
    "condition without a value": (
        policy("true", **conditions("object.x == 1", "true")),
        "expression 'object.x == 1' resulted in error: no such key: x",
    ),
    "a condition that fails beats errors": (
        policy(
            "false",
            **conditions("object.x == 1", "false"),
        ),
        "",
    ),
    "conditions see no namespace": (
        policy("false", **conditions("namespaceObject != null")),
        "",
    ),
    "annotation": (policy("true", auditAnnotations=[{"key": "k", "valueExpression": "'v' + object.data.size"}]), ""),
    "annotation without a value": (
        policy("true", auditAnnotations=[{"key": "k", "valueExpression": "string(object.data.x)"}]),
        "expression 'string(object.data.x)' resulted in error: no such key: x",
    ),
    "the like for others": (policy("false", rules=about("secrets")), ""),
    "all resources": (policy("1 > 2", rules=about("*")), "failed expression: 1 > 2"),
    "updates only": (policy("false", rules=about("configmaps", verbs=("UPDATE",))), ""),
    "excluded": (policy("false", match={"excludeResourceRules": about("configmaps")}), ""),
    "other names": (policy("false", rules=about("configmaps", resourceNames=["n"])), ""),
    "cluster scope": (policy("false", rules=about("configmaps", scope="Cluster")), ""),
    "namespaced": (policy("1 > 2", rules=about("configmaps", scope="Namespaced")), "failed expression: 1 > 2"),
    "other labels": (policy("false", match={"objectSelector": {"matchLabels": {"app": "db"}}}), ""),
    "labels": (policy("1 > 2", match={"objectSelector": {"matchLabels": {"app": "web"}}}), "failed expression: 1 > 2"),
    "other namespaces": (
        policy(
            "false",
            match={"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}},
        ),
        "",
    ),
    "this namespace": (
        policy("1 > 2", match={"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}),
        "failed expression: 1 > 2",
    ),
    "rights": (policy("authorizer.group('').resource('pods').namespace('shop').check('create').allowed()"), ""),
    "rights of the request": (policy("authorizer.requestResource.check('delete').allowed()"), ""),
    "a path": (policy("authorizer.path('/healthz').check('get').allowed()"), ""),
    "an account": (
        policy(ACCOUNT),
        "",
    ),
    "no path": (
        policy("authorizer.path(' ').check('get').allowed()"),
        "expression 'authorizer.path(' ').check('get').allowed()' resulted in error: path must not be empty",
    ),
    "three questions": (
        policy(THREE),
        f"expression '{THREE}' resulted in error: operation cancelled: actual cost limit exceeded",
    ),
}


@pytest.mark.timeout(60)
async def test_what_policies_say(tmp_path: Path) -> None:
    """TRIAL-1, TRIAL-3 and POLICY-1 have their tests in `test_admission_policies`."""
    told: dict[str, str] = {}
    async with serving(tmp_path) as server:
        for name, (rule, _) in SAID.items():
            await bind(server, rule)
            reply = await server.send("POST", f"{MAPS}?fieldManager=me", config(labels={"app": "web"}), user=ANA)
            told[name] = why(reply)
            for path in (f"{BINDINGS}/b", f"{POLICIES}/p", f"{MAPS}/m"):
                await server.send("DELETE", path)
    assert told == {name: said for name, (_, said) in SAID.items()}
