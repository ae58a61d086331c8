"""What is said of policies, bindings and webhooks that are wrong, in the words of Kubernetes 1.36."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from pvbinder.server.kinds.built_in.admission_expressions import (
    validate_binding,
    validate_policy,
    validate_policy_status,
    validate_policy_update,
    validate_webhooks,
    validate_webhooks_update,
)
from pvbinder.server.kinds.built_in.admission_policies import (
    default_binding,
    default_mutating_webhooks,
    default_policy,
)

Json = dict[str, Any]
RULE: Json = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
AT = "spec.matchConstraints.resourceRules[0]"
POLICY: Json = {
    "metadata": {"name": "p.example.com"},
    "spec": {"matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": "true"}]},
}
BINDING: Json = {"metadata": {"name": "b"}, "spec": {"policyName": "p", "validationActions": ["Deny"]}}
HOOKS: Json = {
    "metadata": {"name": "h"},
    "webhooks": [
        {
            "name": "a.example.com",
            "clientConfig": {"url": "https://localhost:9443/x"},
            "rules": [RULE],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
    ],
}


def changed(obj: Json, path: str, value: Any) -> Json:
    """An object with another value at a path; None takes it away."""
    made = copy.deepcopy(obj)
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    at: Any = made
    for part in way:
        at = at.setdefault(part, {}) if isinstance(at, dict) else at[part]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return made


def mark(source: str, why: str, at: int = 0) -> str:
    """How a compiler shows what is wrong."""
    return f"compilation failed: ERROR: <input>:1:{at + 1}: {why}\n | {source}\n | {'.' * at}^"


WRONG_POLICIES: dict[str, tuple[str, Any, list[str]]] = {
    "no constraints": ("spec.matchConstraints", None, ["spec.matchConstraints: Required value"]),
    "no rules": (
        "spec.matchConstraints",
        {"matchPolicy": "Some"},
        [
            'spec.matchConstraints.matchPolicy: Unsupported value: "Some": supported values: "Equivalent", "Exact"',
            "spec.matchConstraints.resourceRules: Required value",
        ],
    ),
    "an empty rule": (
        "spec.matchConstraints.resourceRules",
        [{}],
        [f"{AT}.{field}: Required value" for field in ("operations", "apiGroups", "apiVersions", "resources")],
    ),
    "stars and others": (
        "spec.matchConstraints.resourceRules",
        [
            {
                **RULE,
                "operations": ["*", "CREATE"],
                "apiVersions": ["*", ""],
                "resources": ["*", "pods", "pods/*", "pods/x"],
            }
        ],
        [
            AT + '.operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations',
            AT + '.apiVersions: Invalid value: ["*",""]: if \'*\' is present, must not specify other API versions',
            AT + ".apiVersions[1]: Required value",
            AT + ".resources[3]: Invalid value: \"pods/x\": if 'pods/*' is present, must not specify pods/x",
            AT + '.resources: Invalid value: ["*","pods","pods/*","pods/x"]: if \'*\' is '
            "present, must not specify other resources without subresources",
        ],
    ),
    "names twice": (
        "spec.matchConstraints.excludeResourceRules",
        [{**RULE, "resourceNames": ["a", "a"], "scope": "All"}],
        [
            'spec.matchConstraints.excludeResourceRules[0].resourceNames[1]: Duplicate value: "a"',
            (
                'spec.matchConstraints.excludeResourceRules[0].scope: Unsupported value: "All": supported values: "*", '
                '"Cluster", "Namespaced"'
            ),
        ],
    ),
    "a selector": (
        "spec.matchConstraints.objectSelector",
        {"matchExpressions": [{"key": "a", "operator": "In"}]},
        [
            (
                "spec.matchConstraints.objectSelector.matchExpressions[0].values: Required value: must be "
                "specified when `operator` is 'In' or 'NotIn'"
            )
        ],
    ),
    "failure policy": (
        "spec.failurePolicy",
        "Maybe",
        ['spec.failurePolicy: Unsupported value: "Maybe": supported values: "Fail", "Ignore"'],
    ),
    "nothing to do": (
        "spec.validations",
        [],
        [
            "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
            "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
        ],
    ),
    "an unknown name": (
        "spec.validations",
        [{"expression": "x == 1"}],
        [
            'spec.validations[0].expression: Invalid value: "x == 1": '
            + mark("x == 1", "undeclared reference to 'x' (in container '')")
        ],
    ),
    "no condition": (
        "spec.validations",
        [{"expression": "object.x"}, {"expression": "1"}, {"expression": "request.kind"}, {"expression": " "}],
        [
            'spec.validations[0].expression: Invalid value: "object.x": must evaluate to bool but got dyn',
            'spec.validations[1].expression: Invalid value: "1": must evaluate to bool but got int',
            (
                'spec.validations[2].expression: Invalid value: "request.kind": must evaluate to bool but got '
                "kubernetes.GroupVersionKind"
            ),
            "spec.validations[3].expression: Required value: expression is not specified",
        ],
    ),
    "messages": (
        "spec.validations",
        [
            {"expression": "true", "messageExpression": " ", "message": " "},
            {"expression": "true", "messageExpression": "[null]", "message": "a\nb", "reason": "Unknown"},
        ],
        [
            'spec.validations[0].messageExpression: Invalid value: " ": must be non-empty if specified',
            'spec.validations[0].message: Invalid value: " ": must be non-empty if specified',
            (
                'spec.validations[1].messageExpression: Invalid value: "[null]": must evaluate to string but got '
                "list(null_type)"
            ),
            'spec.validations[1].message: Invalid value: "a\\nb": must not contain line breaks',
            (
                'spec.validations[1].reason: Unsupported value: "Unknown": supported values: "Forbidden", "Invalid", '
                '"RequestEntityTooLarge"'
            ),
        ],
    ),
    "a field that requests don't have": (
        "spec.validations",
        [{"expression": "request.user == ''"}],
        [
            "spec.validations[0].expression: Invalid value: \"request.user == ''\": "
            + mark("request.user == ''", "undefined field 'user'", 7)
        ],
    ),
    "names of variables": (
        "spec.variables",
        [{"name": "a-b", "expression": "1"}, {"name": "in", "expression": "1"}, {"name": "", "expression": ""}],
        [
            'spec.variables[0].name: Invalid value: "a-b": must be a valid CEL identifier',
            'spec.variables[1].name: Invalid value: "in": must be a valid CEL identifier',
            "spec.variables[2].name: Required value: name is not specified",
            "spec.variables[2].expression: Required value: expression is not specified",
        ],
    ),
    "conditions": (
        "spec.matchConditions",
        [{"name": "a", "expression": ""}, {"name": "a", "expression": "1"}, {"expression": "true"}],
        [
            "spec.matchConditions[0].expression: Required value",
            'spec.matchConditions[1].expression: Invalid value: "1": must evaluate to bool but got int',
            'spec.matchConditions[1].name: Duplicate value: "a"',
            "spec.matchConditions[2].name: Required value",
        ],
    ),
    "too many conditions": (
        "spec.matchConditions",
        [{"name": f"a{number}", "expression": "true"} for number in range(65)],
        ["spec.matchConditions: Too many: 65: must have at most 64 items"],
    ),
    "annotations": (
        "spec.auditAnnotations",
        [{"key": "a", "valueExpression": "1"}, {"key": "a", "valueExpression": " "}],
        [
            (
                'spec.auditAnnotations[0].valueExpression: Invalid value: "1": must evaluate to one of '
                "[string null_type] but got int"
            ),
            "spec.auditAnnotations[1].valueExpression: Required value: valueExpression is not specified",
            'spec.auditAnnotations[1].key: Duplicate value: "a"',
        ],
    ),
    "kind of parameters": (
        "spec.paramKind",
        {"apiVersion": "a/b/c", "kind": ""},
        [
            'spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
            "spec.paramKind.kind: Required value",
        ],
    ),
    "no version of parameters": (
        "spec.paramKind",
        {"apiVersion": "a/", "kind": "K"},
        ['spec.paramKind.apiVersion: Invalid value: "a/": version must be specified'],
    ),
}


@pytest.mark.parametrize(("path", "value", "said"), WRONG_POLICIES.values(), ids=WRONG_POLICIES.keys())
def test_wrong_policies(path: str, value: Any, said: list[str]) -> None:
    policy = changed(POLICY, path, value)
    default_policy(policy)
    assert [str(error) for error in validate_policy(policy)] == said


def test_a_policy_as_it_is_stored() -> None:
    policy = copy.deepcopy(POLICY)
    default_policy(policy)
    assert validate_policy(policy) == []
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert policy["spec"]["matchConstraints"] == {
        "resourceRules": [{**RULE, "scope": "*"}],
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
    }


SEES: dict[str, tuple[Json, str]] = {
    "parameters only where there is a kind of them": ({"validations": [{"expression": "params == null"}]}, "params"),
    "no variables where none are declared": ({"validations": [{"expression": "variables.a"}]}, "variables"),
    "messages have no authorizer": (
        {
            "validations": [
                {"expression": "true", "messageExpression": "string(authorizer.path('/').check('get').allowed())"}
            ]
        },
        "authorizer",
    ),
    "conditions see no variables": (
        {
            "variables": [{"name": "a", "expression": "1"}],
            "matchConditions": [{"name": "c", "expression": "variables.a == 1"}],
        },
        "variables",
    ),
}


@pytest.mark.parametrize(("spec", "name"), SEES.values(), ids=SEES.keys())
def test_what_isnt_seen(spec: Json, name: str) -> None:
    policy = {"metadata": {"name": "p"}, "spec": {**POLICY["spec"], **spec}}
    default_policy(policy)
    (error,) = validate_policy(policy)
    assert f"undeclared reference to '{name}' (in container '')" in str(error)


def test_policy_1_variables_see_those_before_them() -> None:
    policy = changed(
        POLICY, "spec.variables", [{"name": "a", "expression": "1"}, {"name": "b", "expression": "[variables.a]"}]
    )
    policy["spec"]["validations"] = [{"expression": "variables.b[0] == variables.a"}]
    default_policy(policy)
    assert validate_policy(policy) == []
    policy["spec"]["variables"].reverse()
    (error,) = validate_policy(policy)
    assert "spec.variables[0].expression" in str(error)
    assert "undefined field 'a'" in str(error)


def test_admission_kinds_1_match_conditions_that_stay_are_not_looked_at() -> None:
    old = changed(POLICY, "spec.matchConditions", [{"name": "c", "expression": "nothing"}])
    default_policy(old)
    new = changed(old, "spec.failurePolicy", "Ignore")
    assert validate_policy_update(new, old) == []
    new["spec"]["paramKind"] = {"apiVersion": "v1", "kind": "ConfigMap"}
    assert len(validate_policy_update(new, old)) == 1


def test_a_status() -> None:
    status = {"typeChecking": {"expressionWarnings": [{"fieldRef": "spec.validations[0].expression"}]}}
    errors = validate_policy_status({**POLICY, "status": status}, POLICY)
    assert [str(error) for error in errors] == ["status.typeChecking.expressionWarnings[0].warning: Required value"]


WRONG_BINDINGS: dict[str, tuple[str, Any, list[str]]] = {
    "no policy": ("spec.policyName", "", ["spec.policyName: Required value"]),
    "no actions": (
        "spec.validationActions",
        [],
        ["spec.validationActions: Required value: at least one validation action is required"],
    ),
    "actions": (
        "spec.validationActions",
        ["Deny", "Warn", "Warn", "Shout"],
        [
            'spec.validationActions[2]: Duplicate value: "Warn"',
            'spec.validationActions[3]: Unsupported value: "Shout": supported values: "Audit", "Deny", "Warn"',
            (
                'spec.validationActions: Invalid value: ["Deny","Warn","Warn","Shout"]: must not contain both '
                "Deny and Warn (repeating the same validation failure information in the API "
                "response and headers serves no purpose)"
            ),
        ],
    ),
    "parameters": (
        "spec.paramRef",
        {"name": "a", "selector": {}},
        [
            "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
            "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
            "spec.paramRef.parameterNotFoundAction: Required value",
        ],
    ),
    "no parameters": (
        "spec.paramRef",
        {"parameterNotFoundAction": "Fail"},
        [
            "spec.paramRef: Required value: one of name or selector must be specified",
            'spec.paramRef.parameterNotFoundAction: Unsupported value: "Fail": supported values: "Deny", "Allow"',
        ],
    ),
    "what it matches": (
        "spec.matchResources",
        {"matchPolicy": "Some"},
        ['spec.matchResources.matchPolicy: Unsupported value: "Some": supported values: "Equivalent", "Exact"'],
    ),
}


@pytest.mark.parametrize(("path", "value", "said"), WRONG_BINDINGS.values(), ids=WRONG_BINDINGS.keys())
def test_wrong_bindings(path: str, value: Any, said: list[str]) -> None:
    binding = changed(BINDING, path, value)
    default_binding(binding)
    assert [str(error) for error in validate_binding(binding)] == said


WRONG_WEBHOOKS: dict[str, tuple[str, Any, list[str]]] = {
    "name": (
        "webhooks.0.name",
        "local",
        ['webhooks[0].name: Invalid value: "local": should be a domain with at least three segments separated by dots'],
    ),
    "client": (
        "webhooks.0.clientConfig",
        {},
        ["webhooks[0].clientConfig: Required value: exactly one of url or service is required"],
    ),
    "address": (
        "webhooks.0.clientConfig",
        {"url": "http://a/b?c"},
        [
            (
                "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; "
                "desired format: https://host[/path]"
            ),
            'webhooks[0].clientConfig.url: Invalid value: "c": query parameters are not permitted in the URL',
        ],
    ),
    "side effects": (
        "webhooks.0.sideEffects",
        "Some",
        ['webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"'],
    ),
    "no side effects": (
        "webhooks.0.sideEffects",
        None,
        ["webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"],
    ),
    "time": (
        "webhooks.0.timeoutSeconds",
        31,
        ["webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds"],
    ),
    "reviews": (
        "webhooks.0.admissionReviewVersions",
        ["v2", "v2"],
        [
            'webhooks[0].admissionReviewVersions[1]: Invalid value: "v2": duplicate version',
            'webhooks[0].admissionReviewVersions: Invalid value: ["v2","v2"]: must include at least one of v1, v1beta1',
        ],
    ),
    "no reviews": (
        "webhooks.0.admissionReviewVersions",
        [],
        ["webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1"],
    ),
    "again": (
        "webhooks.0.reinvocationPolicy",
        "Always",
        ['webhooks[0].reinvocationPolicy: Unsupported value: "Always": supported values: "IfNeeded", "Never"'],
    ),
    "condition": (
        "webhooks.0.matchConditions",
        [{"name": "a", "expression": "1"}],
        ['webhooks[0].matchConditions[0].expression: Invalid value: "1": must evaluate to bool but got int'],
    ),
    "names twice": (
        "webhooks",
        HOOKS["webhooks"] * 2,
        ['webhooks[1].name: Duplicate value: "a.example.com"'],
    ),
}


@pytest.mark.parametrize(("path", "value", "said"), WRONG_WEBHOOKS.values(), ids=WRONG_WEBHOOKS.keys())
def test_wrong_webhooks(path: str, value: Any, said: list[str]) -> None:
    hooks = changed(HOOKS, path, value)
    default_mutating_webhooks(hooks)
    assert [str(error) for error in validate_webhooks(hooks)] == said


KEPT: dict[str, Callable[[Json], None]] = {
    "side effects": lambda hook: hook.update(sideEffects="Unknown"),
    "versions": lambda hook: hook.update(admissionReviewVersions=["v2"]),
    "conditions": lambda hook: hook.update(matchConditions=[{"name": "a", "expression": "1"}]),
}


@pytest.mark.parametrize("spoil", KEPT.values(), ids=KEPT.keys())
def test_what_was_allowed_once_may_stay(spoil: Callable[[Json], None]) -> None:
    old = copy.deepcopy(HOOKS)
    default_mutating_webhooks(old)
    spoil(old["webhooks"][0])
    assert validate_webhooks(old) != []
    new = changed(old, "webhooks.0.timeoutSeconds", 5)
    assert validate_webhooks_update(new, old) == []


def test_webhooks_as_they_are_stored() -> None:
    hooks = changed(HOOKS, "webhooks.0.clientConfig", {"service": {"name": "s", "namespace": "n"}})
    default_mutating_webhooks(hooks)
    (hook,) = hooks["webhooks"]
    assert validate_webhooks(hooks) == []
    assert hook["clientConfig"]["service"]["port"] == 443
    assert (hook["failurePolicy"], hook["matchPolicy"], hook["timeoutSeconds"]) == ("Fail", "Equivalent", 10)
    assert (hook["reinvocationPolicy"], hook["rules"][0]["scope"]) == ("Never", "*")
