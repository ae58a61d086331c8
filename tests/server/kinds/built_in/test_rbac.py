"""What roles and bindings refuse, in the reference's words."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kinds.writes import change_refusals, merged, new, refusals, stored

from pvbinder.server.kinds.built_in.rbac import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from pvbinder.server.objects.kind import Json, ServedKind

GROUP = "rbac.authorization.k8s.io"
READ = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
PATHS = {"nonResourceURLs": ["/healthz"], "verbs": ["get"]}
LABEL = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
SELECTORS = "aggregationRule.clusterRoleSelectors"
ROLES: dict[str, tuple[ServedKind, Json, list[str]]] = {
    "resources": (ROLE, {"rules": [READ]}, []),
    "nothing at all": (ROLE, {}, []),
    "paths of a cluster": (CLUSTER_ROLE, {"rules": [PATHS]}, []),
    "paths of a namespace": (
        ROLE,
        {"rules": [PATHS]},
        ['rules[0].nonResourceURLs: Invalid value: ["/healthz"]: namespaced rules cannot apply to non-resource URLs'],
    ),
    "paths and resources": (
        CLUSTER_ROLE,
        {"rules": [{**PATHS, "resourceNames": ["a"]}]},
        [
            (
                'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: '
                "rules cannot apply to both regular resources and non-resource URLs"
            )
        ],
    ),
    "an empty rule": (
        ROLE,
        {"rules": [READ, {}]},
        [
            "rules[1].verbs: Required value: verbs must contain at least one value",
            "rules[1].apiGroups: Required value: resource rules must supply at least one api group",
            "rules[1].resources: Required value: resource rules must supply at least one resource",
        ],
    ),
    "others by label": (
        CLUSTER_ROLE,
        {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}, {}]}},
        [],
    ),
    "others, but not which": (
        CLUSTER_ROLE,
        {"aggregationRule": {}},
        [f"{SELECTORS}: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"],
    ),
    "others by what is no label": (
        CLUSTER_ROLE,
        {
            "aggregationRule": {
                "clusterRoleSelectors": [
                    {"matchLabels": {"-": "b"}},
                    {"matchExpressions": [{"key": "a", "operator": "In"}]},
                ]
            }
        },
        [
            f'{SELECTORS}[0].matchLabels: Invalid value: "-": {LABEL}',
            f"{SELECTORS}[0]: Invalid value: null: invalid label selector.",
            (
                f"{SELECTORS}[1].matchExpressions[0].values: Required value: must be specified when `operator` is "
                "'In' or 'NotIn'"
            ),
            f"{SELECTORS}[1]: Invalid value: null: invalid label selector.",
        ],
    ),
}


@pytest.mark.parametrize(("kind", "fields", "errors"), ROLES.values(), ids=ROLES.keys())
def test_roles(kind: ServedKind, fields: Json, errors: list[str]) -> None:
    assert refusals(kind, new(**fields)) == errors
    made = stored(kind, new())
    assert change_refusals(kind, made, fields) == errors


REFERENCE = {"apiGroup": GROUP, "kind": "ClusterRole", "name": "reader"}


def of(**fields: Any) -> Json:
    return {"roleRef": merged(REFERENCE, fields)}


def to(**subject: Any) -> Json:
    return {**of(), "subjects": [subject]}


SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
BINDINGS: dict[str, tuple[ServedKind, Json, list[str]]] = {
    "somebody": (ROLE_BINDING, to(kind="User", name="Ana Müller"), []),
    "an account of the same namespace": (ROLE_BINDING, to(kind="ServiceAccount", name="a"), []),
    "nobody": (CLUSTER_ROLE_BINDING, of(), []),
    "a role with a colon": (CLUSTER_ROLE_BINDING, of(name="system:node"), []),
    "no role": (
        ROLE_BINDING,
        {},
        [
            'roleRef.kind: Unsupported value: "": supported values: "Role", "ClusterRole"',
            "roleRef.name: Required value",
        ],
    ),
    "another kind in a namespace": (
        ROLE_BINDING,
        of(kind="Pod"),
        ['roleRef.kind: Unsupported value: "Pod": supported values: "Role", "ClusterRole"'],
    ),
    "a role for the cluster": (
        CLUSTER_ROLE_BINDING,
        of(kind="Role"),
        ['roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"'],
    ),
    "a role of another group": (
        ROLE_BINDING,
        of(apiGroup="apps"),
        [f'roleRef.apiGroup: Unsupported value: "apps": supported values: "{GROUP}"'],
    ),
    "a role with a path": (
        ROLE_BINDING,
        of(name="a/b%c"),
        [f"roleRef.name: Invalid value: \"a/b%c\": may not contain '{sign}'" for sign in "/%"],
    ),
    "a role that is a dot": (ROLE_BINDING, of(name="."), ["roleRef.name: Invalid value: \".\": may not be '.'"]),
    "an account without a namespace": (
        CLUSTER_ROLE_BINDING,
        to(kind="ServiceAccount", name="a"),
        ["subjects[0].namespace: Required value"],
    ),
    "an account with a name that is none": (
        ROLE_BINDING,
        to(kind="ServiceAccount", name="A", apiGroup=GROUP),
        [
            f'subjects[0].name: Invalid value: "A": {SUBDOMAIN}',
            f'subjects[0].apiGroup: Unsupported value: "{GROUP}": supported values: ""',
        ],
    ),
    "a user of another group": (
        ROLE_BINDING,
        to(kind="User", name="a", apiGroup="x"),
        [f'subjects[0].apiGroup: Unsupported value: "x": supported values: "{GROUP}"'],
    ),
    "a subject that says nothing": (
        ROLE_BINDING,
        to(),
        [
            "subjects[0].name: Required value",
            'subjects[0].kind: Unsupported value: "": supported values: "ServiceAccount", "User", "Group"',
        ],
    ),
}


@pytest.mark.parametrize(("kind", "fields", "errors"), BINDINGS.values(), ids=BINDINGS.keys())
def test_bindings(kind: ServedKind, fields: Json, errors: list[str]) -> None:
    assert refusals(kind, new(**fields)) == errors


def test_a_binding_keeps_its_role() -> None:
    made = stored(ROLE_BINDING, new(**of()))
    assert change_refusals(ROLE_BINDING, made, to(kind="User", name="a")) == []
    assert change_refusals(ROLE_BINDING, made, of(name="writer")) == [
        (
            'roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"ClusterRole","Name":"writer"}: '
            "cannot change roleRef"
        )
    ]
