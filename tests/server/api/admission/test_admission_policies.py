"""Policies of admission at work, from writing them to what they do to writes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.server.api.admission.policing import (
    ANA,
    BINDINGS,
    POLICIES,
    Json,
    about,
    answer,
    bind,
    binding,
    config,
    policy,
    why,
)
from tests.server.serving import MAPS, Serving, serving

from pvbinder.server.api.admission.policies import review
from pvbinder.server.requests import UserInfo


async def change_policy(server: Serving, spec: Json) -> None:
    assert (await server.send("PATCH", f"{POLICIES}/p", {"spec": spec})).status == 200


async def test_a_denial_as_a_status(tmp_path: Path) -> None:
    reply = await answer(tmp_path, policy({"expression": "false", "reason": "Forbidden"}), config())
    message = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression: false"
    assert reply.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f'configmaps "m" is forbidden: {message}',
        "reason": "Forbidden",
        "details": {"name": "m", "kind": "configmaps", "causes": [{"message": message}]},
        "code": 403,
    }


REASONS = {None: (422, "Invalid"), "RequestEntityTooLarge": (413, "RequestEntityTooLarge"), "Invalid": (422, "Invalid")}


@pytest.mark.parametrize(("reason", "answered"), REASONS.items())
async def test_the_reason_makes_the_code(reason: str | None, answered: tuple[int, str], tmp_path: Path) -> None:
    rule: Json = {"expression": "false"} if reason is None else {"expression": "false", "reason": reason}
    reply = await answer(tmp_path, policy(rule), config())
    assert (reply.status, reply.body["reason"]) == answered


async def test_warnings_and_audits_let_a_write_through(tmp_path: Path) -> None:
    reply = await answer(
        tmp_path, policy({"expression": "false", "message": "not nice"}), config(), binding("Warn", "Audit")
    )
    assert reply.status == 201
    assert reply.warnings == ("Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': not nice",)


async def test_a_warning_is_given_with_a_denial(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await bind(server, policy("false"), binding("Warn", name="a"), binding("Deny", name="c"))
        reply = await server.send("POST", MAPS, config())
        assert (reply.status, len(reply.warnings)) == (422, 1)
        assert (await server.send("GET", f"{MAPS}/m")).status == 404


async def test_each_verb_is_judged(tmp_path: Path) -> None:
    every = about("configmaps")
    ways = "object == null ? 'gone' : oldObject == null ? 'new' : object.data.size + oldObject.data.size"
    rule = {
        "expression": "request.userInfo.username == 'admin'",
        "messageExpression": f"request.operation + ': ' + ({ways})",
    }
    async with serving(tmp_path) as server:
        await bind(server, policy(rule, rules=every))
        assert (await server.send("POST", MAPS, config())).status == 201
        told: list[str] = []
        for method, path, body in (
            ("POST", MAPS, config("n")),
            ("PUT", f"{MAPS}/m", config(data={"size": "4"})),
            ("PATCH", f"{MAPS}/m", {"data": {"size": "5"}}),
            ("DELETE", f"{MAPS}/m", None),
            ("DELETE", MAPS, None),
            ("PATCH", f"{MAPS}/n?fieldManager=me", {**config("n"), "apiVersion": "v1", "kind": "ConfigMap"}),
        ):
            kind = "application/apply-patch+yaml" if "fieldManager" in path else None
            reply = await server.send(method, path, body, content_type=kind, user=ANA)
            told.append(
                reply.message.replace(" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied", "")
            )
        assert (await server.send("GET", f"{MAPS}/m")).body["data"] == {"size": "3"}
    assert told == [
        'configmaps "n" request: CREATE: new',
        'configmaps "m" request: UPDATE: 43',
        'configmaps "m" request: UPDATE: 53',
        'configmaps "m" request: DELETE: gone',
        'configmaps "Unknown" request: DELETE: gone',
        'configmaps "n" request: CREATE: new',
    ]


async def test_reviewed_1_a_dry_run_is_judged_and_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await bind(server, policy("!request.dryRun", "request.options.dryRun == ['All']"))
        reply = await server.send("POST", f"{MAPS}?dryRun=All", config())
        assert why(reply) == "failed expression: !request.dryRun"


async def test_reviewed_2_subresources_are_judged_by_what_they_show(tmp_path: Path) -> None:
    rules = [
        {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments/scale"]}
    ]
    rule = (
        "object.kind == 'Scale' && object.spec.replicas < 4 && oldObject.spec.replicas == 1 && request.kind.group != ''"
    )
    deployments = "/apis/apps/v1/namespaces/shop/deployments"
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    async with serving(tmp_path) as server:
        await bind(server, policy(rule, rules=rules))
        body = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
        assert (await server.send("POST", deployments, body)).status == 201
        assert (await server.send("PATCH", f"{deployments}/d", {"spec": {"replicas": 1}})).status == 200
        refused = await server.send("PATCH", f"{deployments}/d/scale", {"spec": {"replicas": 9}})
        assert refused.status == 422
        assert refused.message.startswith('deployments.apps "d" is forbidden')
        assert (await server.send("PATCH", f"{deployments}/d/scale", {"spec": {"replicas": 2}})).status == 200


async def test_evictions_and_bindings_are_judged(tmp_path: Path) -> None:
    rules = [
        {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE"],
            "resources": ["pods/eviction", "pods/binding"],
        }
    ]
    pods = "/api/v1/namespaces/shop/pods"
    rule = {"expression": "false", "messageExpression": "string(object.kind) + ' as ' + request.subResource"}
    async with serving(tmp_path) as server:
        pod = {"metadata": {"name": "m"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        assert (await server.send("POST", pods, pod)).status == 201
        await bind(server, policy(rule, rules=rules))
        for sub, body in (
            ("eviction", {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "m"}}),
            ("binding", {"metadata": {"name": "m"}, "target": {"kind": "Node", "name": "n"}}),
        ):
            reply = await server.send("POST", f"{pods}/m/{sub}", body)
            assert reply.message.endswith(f"{sub.title()} as {sub}")
        assert "nodeName" not in (await server.send("GET", f"{pods}/m")).body["spec"]


async def test_namespaces_select_themselves(tmp_path: Path) -> None:
    rules = about("namespaces")
    selector = {"matchLabels": {"team": "blue"}}
    checks = "namespaceObject == null && request.namespace == 'n'"
    async with serving(tmp_path) as server:
        await bind(server, policy("false", rules=rules, match={"namespaceSelector": selector}))
        body = {"metadata": {"name": "n", "labels": {"team": "red"}}}
        assert (await server.send("POST", "/api/v1/namespaces", body)).status == 201
        change = {"metadata": {"labels": {"team": "blue"}}}
        assert (await server.send("PATCH", "/api/v1/namespaces/n", change)).status == 422
        assert (
            await server.send("PATCH", f"{POLICIES}/p", {"spec": {"validations": [{"expression": checks}]}})
        ).status == 200
        assert (await server.send("PATCH", "/api/v1/namespaces/n", change)).status == 200
        assert (await server.send("DELETE", "/api/v1/namespaces/n")).status == 200


async def test_a_namespace_is_in_no_namespace(tmp_path: Path) -> None:
    rule = "request.operation == 'UPDATE' || !has(request.namespace)"
    cluster, inside = (about("namespaces", scope=scope) for scope in ("Cluster", "Namespaced"))
    async with serving(tmp_path) as server:
        await bind(server, policy(rule, rules=cluster), binding())
        assert (await server.send("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})).status == 201
        change = {"metadata": {"labels": {"a": "b"}}}
        await change_policy(server, {"validations": [{"expression": "false"}]})
        assert (await server.send("PATCH", "/api/v1/namespaces/n", change)).status == 422
        await change_policy(server, {"matchConstraints": {"resourceRules": inside}})
        assert (await server.send("PATCH", "/api/v1/namespaces/n", change)).status == 200


USED = {"type": "Utilization", "averageUtilization": 60}


async def test_equal_kinds_match_under_another_name(tmp_path: Path) -> None:
    rules = [
        {
            "apiGroups": ["autoscaling"],
            "apiVersions": ["v1"],
            "operations": ["*"],
            "resources": ["horizontalpodautoscalers"],
        }
    ]
    rule = "object.apiVersion == 'autoscaling/v1' && object.spec.targetCPUUtilizationPercentage < 50"
    body = {
        "metadata": {"name": "h"},
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
                }
            ],
        },
    }
    target = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
    async with serving(tmp_path) as server:
        await bind(server, policy(rule, rules=rules))
        assert (await server.send("POST", target, body)).status == 422
        assert (
            await server.send("PATCH", f"{POLICIES}/p", {"spec": {"matchConstraints": {"matchPolicy": "Exact"}}})
        ).status == 200
        assert (await server.send("POST", target, body)).status == 201


PARAMS: Json = {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}
LIMITED = policy(
    {"expression": "object.data.size < params.data.most", "messageExpression": "'over ' + params.data.most"}, **PARAMS
)
REFERENCES: dict[str, tuple[Json, str]] = {
    "by name": ({"name": "low", "namespace": "default"}, "over 2"),
    "by labels": ({"selector": {"matchLabels": {"is": "param"}}, "namespace": "default"}, "over 2"),
    "all": ({"selector": {}, "namespace": "default"}, "over 2"),
    "one that allows it": ({"name": "high", "namespace": "default"}, ""),
    "in the namespace of the write": (
        {"name": "low"},
        "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
    ),
    "none allowed": ({"name": "low", "parameterNotFoundAction": "Allow"}, ""),
}


@pytest.mark.parametrize(("reference", "said"), REFERENCES.values(), ids=REFERENCES.keys())
async def test_parameters(reference: Json, said: str, tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for name, most in (("high", "9"), ("low", "2")):
            body = config(name, {"most": most}, labels={"is": "param"})
            assert (await server.send("POST", "/api/v1/namespaces/default/configmaps", body)).status == 201
        reference = {"parameterNotFoundAction": "Deny", **reference}
        await bind(server, LIMITED, binding(paramRef=reference))
        assert why(await server.send("POST", MAPS, config())) == said


async def test_parameters_of_a_kind_that_is_not_served(tmp_path: Path) -> None:
    rule = policy("true", paramKind={"apiVersion": "example.com/v1", "kind": "Limit"})
    reply = await answer(tmp_path, rule, config(), binding(paramRef={"name": "a", "parameterNotFoundAction": "Allow"}))
    text = "failed to configure policy: failed to find resource referenced by paramKind: 'example.com/v1, Kind=Limit'"
    assert reply.message == f"configmaps \"m\" is forbidden: ValidatingAdmissionPolicy 'p' denied request: {text}"


async def test_a_binding_without_parameters_asks_with_none(tmp_path: Path) -> None:
    assert why(await answer(tmp_path, policy("params == null", **PARAMS), config())) == ""


async def test_a_binding_narrows_what_matches(tmp_path: Path) -> None:
    narrow = binding(matchResources={"objectSelector": {"matchLabels": {"app": "db"}}})
    async with serving(tmp_path) as server:
        await bind(server, policy("false"), narrow)
        assert (await server.send("POST", MAPS, config())).status == 201
        assert (await server.send("POST", MAPS, config("n", labels={"app": "db"}))).status == 422


async def test_hooks_1_what_was_answered_counts(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await bind(server, policy("false"))
        assert (await server.send("POST", MAPS, config())).status == 422
        assert (
            await server.send("PATCH", f"{POLICIES}/p", {"spec": {"validations": [{"expression": "true"}]}})
        ).status == 200
        assert (await server.send("POST", MAPS, config())).status == 201
        assert (
            await server.send("PATCH", f"{POLICIES}/p", {"spec": {"validations": [{"expression": "false"}]}})
        ).status == 200
        assert (await server.send("POST", MAPS, config("n"))).status == 422
        assert (await server.send("DELETE", f"{BINDINGS}/b")).status == 200
        assert (await server.send("POST", MAPS, config("n"))).status == 201
    async with serving(tmp_path) as server:  # a server that finds a policy in its store
        assert (await server.send("POST", BINDINGS, binding())).status == 201
        assert (await server.send("POST", MAPS, config("o"))).status == 422


async def test_hooks_2_nothing_is_compiled_again(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await bind(server, policy("true"))
        first = server.api.policies.current()
        assert (await server.send("POST", MAPS, config())).status == 201
        assert server.api.policies.current() is first
        assert (await server.send("POST", BINDINGS, binding(name="c"))).status == 201
        again = server.api.policies.current()
        assert again[0].policy is first[0].policy
        assert len(again[0].bindings) == 2


async def test_hooks_survive_a_history_that_is_short(tmp_path: Path) -> None:
    async with serving(tmp_path, history_changes=2) as server:
        await bind(server, policy("true"))
        assert server.api.policies.current()
        for name in "abcd":
            assert (await server.send("POST", BINDINGS, binding(name=name * 2))).status == 201
        assert len(server.api.policies.current()[0].bindings) == 5


COSTLY = "lists.range(2000).all(n, lists.range(100).all(k, n + k >= 0))"


@pytest.mark.slow
async def test_trial_1_what_costs_too_much_is_an_error(tmp_path: Path) -> None:
    denied = why(await answer(tmp_path / "a", policy(COSTLY), config()))
    assert denied == f"expression '{COSTLY}' resulted in error: operation cancelled: actual cost limit exceeded"
    assert why(await answer(tmp_path / "b", policy(COSTLY, failurePolicy="Ignore"), config())) == ""


async def test_trial_1_a_policy_has_one_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pvbinder.server.kinds.policies.trial.POLICY_COST_MAX", 1_000)
    spent = "validation failed due to running out of cost budget, no further validation rules will be run"
    costs = "lists.range(100).all(n, n >= 0)"
    assert why(await answer(tmp_path / "a", policy(costs, costs, costs, costs), config())) == spent
    bound = policy(
        "variables.a && variables.a", variables=[{"name": "a", "expression": costs}]
    )  # TRIAL-3: found out once
    assert why(await answer(tmp_path / "b", bound, config())) == ""
    lost = policy(
        "variables.a && variables.b",
        variables=[{"name": "a", "expression": costs}, {"name": "b", "expression": f"{costs} && {costs}"}],
    )
    assert why(await answer(tmp_path / "c", lost, config())) == spent
    kept = policy("variables.a", "true", "true", "true", variables=[{"name": "a", "expression": costs}])
    assert why(await answer(tmp_path / "d", kept, config())) == ""


async def test_review_2_long_trials_leave_the_loop_alone(tmp_path: Path) -> None:
    """TRIAL-2: what doesn't fit into a turn is done aside, and says the same; light trials never are."""
    long = "lists.range(3000).all(n, n >= 0)"
    async with serving(tmp_path) as server:
        await bind(server, policy("object.data.size != '4'", name="p"))
        assert (await server.send("POST", MAPS, config("light"))).status == 201
        assert server.api.aside.count == 0
        change = {"validations": [{"expression": f"{long} && (object == null || object.data.size != '4')"}]}
        await change_policy(server, change)
        assert (await server.send("POST", MAPS, config())).status == 201
        assert (await server.send("PATCH", f"{MAPS}/m", {"data": {"size": "4"}})).status == 422
        assert (await server.send("PATCH", f"{MAPS}/m", {"data": {"size": "5"}})).status == 200
        assert server.api.aside.count == 3
        await change_policy(server, {"matchConstraints": {"resourceRules": about("configmaps", verbs=("DELETE",))}})
        assert (await server.send("DELETE", f"{MAPS}/m")).status == 200
        assert server.api.aside.count == 4


async def test_review_1_an_object_that_changes_meanwhile_is_judged_again(tmp_path: Path) -> None:
    long = "lists.range(3000).all(n, n >= 0) && object.data.size == oldObject.data.size"
    async with serving(tmp_path) as server:
        assert (await server.send("POST", MAPS, config())).status == 201
        await bind(
            server,
            policy(
                long,
                rules=about("configmaps", verbs=("UPDATE",)),
                match={"objectSelector": {"matchLabels": {"late": "yes"}}},
            ),
        )
        run = server.api.aside.run

        async def late(*args: Any, **options: Any) -> Any:
            server.api.aside.run = run  # type: ignore[method-assign]
            assert (await server.send("PATCH", f"{MAPS}/m", {"data": {"size": "7"}})).status == 200
            return await run(*args, **options)

        server.api.aside.run = late  # type: ignore[method-assign]
        assert (await server.send("PATCH", f"{MAPS}/m", {"metadata": {"labels": {"late": "yes"}}})).status == 200
        stored = (await server.send("GET", f"{MAPS}/m")).body
        assert stored["data"] == {"size": "7"}
        assert stored["metadata"]["labels"] == {"late": "yes"}


async def test_review_3_denials_go_by_name(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for name in ("z", "p", "k"):
            assert (await server.send("POST", POLICIES, policy("false", name=name))).status == 201
            assert (await server.send("POST", BINDINGS, binding(name=name, policyName=name))).status == 201
        assert "ValidatingAdmissionPolicy 'k'" in (await server.send("POST", MAPS, config())).message


async def test_review_4_what_the_server_writes_itself_is_not_judged(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await bind(server, policy("false"))
        itself = UserInfo("system:apiserver", groups=("system:masters",))
        assert (await server.send("POST", MAPS, config(), user=itself)).status == 201
        assert (await server.send("DELETE", f"{MAPS}/m", user=itself)).status == 200


async def test_policies_are_not_judged_by_policies(tmp_path: Path) -> None:
    every = [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]
    async with serving(tmp_path) as server:
        await bind(server, policy("false", rules=every))
        assert (await server.send("POST", POLICIES, policy("true", name="q"))).status == 201
        assert (await server.send("DELETE", f"{BINDINGS}/b")).status == 200


async def test_no_policy_costs_no_look_at_the_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "PolicyReview", None)  # nothing makes one
    async with serving(tmp_path) as server:
        assert (await server.send("POST", POLICIES, policy("false"))).status == 201  # nobody has bound it
        assert (await server.send("POST", MAPS, config())).status == 201
        assert (await server.send("DELETE", f"{MAPS}/m")).status == 200


async def test_rights_1_who_binds_parameters_may_read_them(tmp_path: Path) -> None:
    roles = "/apis/rbac.authorization.k8s.io/v1"
    user = UserInfo("bob", groups=("system:authenticated",))
    role = {
        "metadata": {"name": "author"},
        "rules": [{"apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"], "verbs": ["*"]}],
    }
    to_bob = {
        "metadata": {"name": "bob"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "author"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}],
    }
    async with serving(tmp_path, rbac=True) as server:
        assert (await server.send("POST", f"{roles}/clusterroles", role)).status == 201
        assert (await server.send("POST", f"{roles}/clusterrolebindings", to_bob)).status == 201
        refused = await server.send("POST", POLICIES, LIMITED, user=user)
        assert refused.status == 422
        assert refused.message.endswith(
            'spec.paramKind: Forbidden: user &{bob  [system:authenticated] map[]} must have "get" permission on all '
            "objects of the referenced paramKind (kind=ConfigMap, apiVersion=v1)"
        )
        assert (await server.send("POST", POLICIES, LIMITED)).status == 201
        bound = binding(paramRef={"name": "low", "namespace": "default", "parameterNotFoundAction": "Deny"})
        refused = await server.send("POST", BINDINGS, bound, user=user)
        assert refused.status == 422
        assert refused.message.endswith(
            'user &{bob  [system:authenticated] map[]} does not have "get" permission on the object referenced by '
            "paramRef"
        )
        change = {"metadata": {"labels": {"a": "b"}}}
        assert (await server.send("PATCH", f"{POLICIES}/p", change, user=user)).status == 200


def _encoded(data: bytes, _revision: int) -> bytes:
    return data


async def test_what_was_stored_before_policies_were_looked_at_stops_no_other_write(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for kind, name, spec in (
            ("validatingadmissionpolicies", "p", None),
            ("validatingadmissionpolicies", "q", {"variables": [{}], "validations": [{}], "matchConstraints": {}}),
            ("validatingadmissionpolicybindings", "a", None),
            ("validatingadmissionpolicybindings", "b", {"policyName": "p"}),
            ("validatingadmissionpolicybindings", "c", {"policyName": "q"}),
        ):
            obj: Json = {"metadata": {"name": name, "uid": name, "resourceVersion": "1"}}
            data = msgspec.json.encode(obj if spec is None else {**obj, "spec": spec})
            store = f"{kind}.admissionregistration.k8s.io"
            await server.store.put(store, name, partial(_encoded, data))[1]
        reply = await server.send("POST", MAPS, config())
        assert "failed to configure policy: policy contained no match constraints, a required field" in reply.message
        assert (await server.send("DELETE", f"{BINDINGS}/b")).status == 200
        assert (await server.send("POST", MAPS, config())).status == 201
