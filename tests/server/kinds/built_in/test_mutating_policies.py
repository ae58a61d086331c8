"""What MutatingAdmissionPolicies refuse, and what is said of webhooks' names, in the reference's words."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kinds.writes import change_refusals, merged, new, refusals, stored

from pvbinder.server.kinds.registry import Registry
from pvbinder.server.objects.kind import Json, ServedKind


def kind_of(plural: str) -> ServedKind:
    return next(kind for kind in Registry() if kind.resource.plural == plural)


POLICY = kind_of("mutatingadmissionpolicies")
BINDING = kind_of("mutatingadmissionpolicybindings")
VALIDATING = kind_of("validatingwebhookconfigurations")
RULE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
PATCH = {"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}
SPEC = {"matchConstraints": {"resourceRules": [RULE]}, "mutations": [PATCH], "reinvocationPolicy": "Never"}


def mutation(**fields: Any) -> Json:
    return merged(SPEC, fields)


POLICIES: dict[str, tuple[Json, list[str]]] = {
    "one": (mutation(), []),
    "nothing": (
        {},
        [
            "spec.matchConstraints: Required value",
            "spec.mutations: Required value: mutations must contain at least one item",
            "spec.reinvocationPolicy: Required value",
        ],
    ),
    "a variable that is none": (
        mutation(variables=[{"name": "a-b", "expression": "1"}]),
        ['spec.variables[0].name: Invalid value: "a-b": must be a valid CEL identifier'],
    ),
    "no change": (
        mutation(mutations=[], reinvocationPolicy=None),
        [
            "spec.mutations: Required value: mutations must contain at least one item",
            "spec.reinvocationPolicy: Required value",
        ],
    ),
    "a change of what is deleted": (
        mutation(matchConstraints={"resourceRules": [{**RULE, "operations": ["DELETE"]}]}),
        [
            (
                'spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": '
                'supported values: "*", "CONNECT", "CREATE", "UPDATE"'
            )
        ],
    ),
    "patches of no, another and two types": (
        mutation(mutations=[{}, {"patchType": "Merge"}, {"patchType": "JSONPatch", "applyConfiguration": {}}]),
        [
            "spec.mutations[0].patchType: Required value",
            (
                'spec.mutations[1].patchType: Unsupported value: "Merge": '
                'supported values: "ApplyConfiguration", "JSONPatch"'
            ),
            "spec.mutations[2].jsonPatch: Required value: must be specified when patchType is JSONPatch",
            (
                'spec.mutations[2].applyConfiguration: Invalid value: "{applyConfiguration}": '
                "must not be specified when patchType is JSONPatch"
            ),
        ],
    ),
    "a patch that says nothing": (
        mutation(mutations=[{"patchType": "ApplyConfiguration", "applyConfiguration": {}}]),
        ["spec.mutations[0].applyConfiguration.expression: Required value"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "errors"), POLICIES.values(), ids=POLICIES.keys())
def test_policies(spec: Json, errors: list[str]) -> None:
    assert refusals(POLICY, new(spec=spec)) == errors


def test_conditions_that_stayed_are_not_looked_at_again() -> None:
    made = stored(POLICY, new(spec=SPEC))
    older = merged(made, {"spec": {"matchConditions": [{"name": "a"}]}})
    assert change_refusals(POLICY, older, {"spec": {"reinvocationPolicy": "IfNeeded"}}) == []
    assert change_refusals(POLICY, older, {"spec": {"matchConditions": [{"name": "b"}]}}) == [
        "spec.matchConditions[0].expression: Required value"
    ]


def test_defaults_of_policies_that_change() -> None:
    made = stored(POLICY, new(spec=SPEC))
    assert "status" not in made
    assert made["spec"]["failurePolicy"] == "Fail"
    assert made["spec"]["matchConstraints"]["resourceRules"] == [{**RULE, "scope": "*"}]


def test_bindings() -> None:
    assert refusals(BINDING, new(spec={"policyName": "p"})) == []
    deleted = {"resourceRules": [{**RULE, "operations": ["DELETE"]}]}
    assert refusals(BINDING, new(spec={"matchResources": deleted})) == [
        "spec.policyName: Required value",
        (
            'spec.matchResources.resourceRules.operations: Unsupported value: "DELETE": '
            'supported values: "*", "CONNECT", "CREATE", "UPDATE"'
        ),
    ]


def test_a_webhooks_name_has_three_parts() -> None:
    hook = {
        "name": "a.b",
        "clientConfig": {"url": "https://example.com"},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    assert refusals(VALIDATING, new(webhooks=[hook])) == [
        (
            'webhooks[0].name: Invalid value: "a.b": '
            "should be a domain with at least three segments separated by dots"
        )
    ]  # fmt: skip
    assert refusals(VALIDATING, new(webhooks=[{**hook, "name": "a.b.c"}])) == []


@pytest.mark.parametrize(("name", "is_warned"), [("a.static.k8s.io", True), ("static.k8s.io", False), ("a", False)])
def test_names_of_configurations_in_files_are_warned_of(name: str, *, is_warned: bool) -> None:
    made = stored(VALIDATING, new(name))
    for old in (None, made):
        assert bool(VALIDATING.warnings(made, old)) == is_warned
