"""Roles and bindings of ``rbac.authorization.k8s.io/v1``.

`server.identity.authorization.rbac` reads and enforces them.
"""

from __future__ import annotations

from datetime import datetime

from pvbinder.model.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from pvbinder.server.errors import FieldError, invalid, required, unsupported
from pvbinder.server.kinds.parts.columns import AGE, NAME, NAME_AND_TIME
from pvbinder.server.kinds.validation.names import check_dns_subdomain, check_path_segment
from pvbinder.server.kinds.validation.selectors import validate_label_selector
from pvbinder.server.objects.kind import Column, Json, ServedKind, drop_empty

GROUP = "rbac.authorization.k8s.io"

_SUBJECT_KINDS = ("ServiceAccount", "User", "Group")


def default_role(role: Json) -> None:
    """Show the rules also when there are none, as the reference does."""
    role.setdefault("rules", None)
    for rule in role["rules"] or ():
        drop_empty(rule, "apiGroups", "resources", "resourceNames", "nonResourceURLs")


def default_binding(binding: Json) -> None:
    """Fill in the groups that subjects and role leave out."""
    drop_empty(binding, "subjects")
    for subject in binding.get("subjects") or ():
        if not subject.get("apiGroup"):
            if subject.get("kind") in ("User", "Group"):
                subject["apiGroup"] = GROUP
            else:
                subject.pop("apiGroup", None)
    role = binding.setdefault("roleRef", {})
    if not role.get("apiGroup"):
        role["apiGroup"] = GROUP


def validate_role(role: Json) -> list[FieldError]:
    """Check the rules of a role, which can't be about paths."""
    return _validate_rules(role, paths_allowed=False)


def validate_cluster_role(role: Json) -> list[FieldError]:
    """Check the rules of a cluster role, and which others it gathers."""
    errors = _validate_rules(role, paths_allowed=True)
    aggregation = role.get("aggregationRule")
    if aggregation is None:
        return errors
    path = "aggregationRule.clusterRoleSelectors"
    selectors = aggregation.get("clusterRoleSelectors") or []
    if not selectors:
        errors.append(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
    for index, selector in enumerate(selectors):
        found = validate_label_selector(selector, f"{path}[{index}]")
        errors += found
        if found:
            errors.append(invalid(f"{path}[{index}]", None, "invalid label selector."))
    return errors


def validate_changed_role(new: Json, _old: Json) -> list[FieldError]:
    """Check a changed role like a new one."""
    return validate_role(new)


def validate_changed_cluster_role(new: Json, _old: Json) -> list[FieldError]:
    """Check a changed cluster role like a new one."""
    return validate_cluster_role(new)


def validate_binding(binding: Json) -> list[FieldError]:
    """Check what a binding binds to whom."""
    errors: list[FieldError] = []
    reference = binding["roleRef"]
    namespaced = bool(binding["metadata"].get("namespace"))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if reference.get("apiGroup") != GROUP:
        errors.append(unsupported("roleRef.apiGroup", reference.get("apiGroup", ""), (GROUP,)))
    if reference.get("kind") not in kinds:
        errors.append(unsupported("roleRef.kind", reference.get("kind", ""), kinds))
    name = reference.get("name", "")
    if not name:
        errors.append(required("roleRef.name"))
    errors += (invalid("roleRef.name", name, reason) for reason in check_path_segment(name))
    for index, subject in enumerate(binding.get("subjects") or ()):
        errors += _validate_subject(subject, f"subjects[{index}]", namespaced=namespaced)
    return errors


def validate_changed_binding(new: Json, old: Json) -> list[FieldError]:
    """Check a changed binding like a new one; it can't come to bind another role."""
    errors = validate_binding(new)
    if new["roleRef"] != old["roleRef"]:
        shown = {
            "APIGroup": new["roleRef"].get("apiGroup", ""),
            "Kind": new["roleRef"].get("kind", ""),
            "Name": new["roleRef"].get("name", ""),
        }
        errors.append(invalid("roleRef", shown, "cannot change roleRef"))
    return errors


def _validate_rules(role: Json, *, paths_allowed: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, rule in enumerate(role.get("rules") or ()):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            errors.append(required(f"{path}.verbs", "verbs must contain at least one value"))
        urls = rule.get("nonResourceURLs")
        if urls:
            if not paths_allowed:
                why = "namespaced rules cannot apply to non-resource URLs"
                errors.append(invalid(f"{path}.nonResourceURLs", urls, why))
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                why = "rules cannot apply to both regular resources and non-resource URLs"
                errors.append(invalid(f"{path}.nonResourceURLs", urls, why))
            continue
        if not rule.get("apiGroups"):
            errors.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            errors.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return errors


def _validate_subject(subject: Json, path: str, *, namespaced: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    kind, group = subject.get("kind", ""), subject.get("apiGroup", "")
    name = subject.get("name", "")
    if not name:
        errors.append(required(f"{path}.name"))
    if kind not in _SUBJECT_KINDS:
        return [*errors, unsupported(f"{path}.kind", kind, _SUBJECT_KINDS)]
    if kind == "ServiceAccount" and name:
        errors += (invalid(f"{path}.name", name, reason) for reason in check_dns_subdomain(name))
    wanted = "" if kind == "ServiceAccount" else GROUP
    if group != wanted:
        errors.append(unsupported(f"{path}.apiGroup", group, (wanted,)))
    if kind == "ServiceAccount" and not namespaced and not subject.get("namespace"):
        errors.append(required(f"{path}.namespace"))
    return errors


def _role_cell(obj: Json, _now: datetime) -> object:
    return f"{obj['roleRef'].get('kind', '')}/{obj['roleRef'].get('name', '')}"


def _subjects(obj: Json, kind: str) -> str:
    names = []
    for subject in obj.get("subjects") or ():
        if subject.get("kind") == kind:
            prefix = f"{subject['namespace']}/" if subject.get("namespace") else ""
            names.append(f"{prefix}{subject.get('name', '')}")
    return ", ".join(names)


_BINDING_COLUMNS = (
    NAME,
    Column("Role", _role_cell, description="The role that is bound."),
    AGE,
    Column("Users", lambda obj, _: _subjects(obj, "User"), description="Bound users.", priority=1),
    Column("Groups", lambda obj, _: _subjects(obj, "Group"), description="Bound groups.", priority=1),
    Column(
        "ServiceAccounts", lambda obj, _: _subjects(obj, "ServiceAccount"), description="Bound accounts.", priority=1
    ),
)

ROLE = ServedKind(
    resource=ROLES,
    singular="role",
    schema="io.k8s.api.rbac.v1.Role",
    name_rule="path-segment",
    default=default_role,
    validate_create=validate_role,
    validate_update=validate_changed_role,
    put_creates=True,
    delete_returns_object=False,
    metadata_checks=("whole", "change"),
    columns=NAME_AND_TIME,
)
CLUSTER_ROLE = ServedKind(
    resource=CLUSTER_ROLES,
    singular="clusterrole",
    schema="io.k8s.api.rbac.v1.ClusterRole",
    name_rule="path-segment",
    default=default_role,
    validate_create=validate_cluster_role,
    validate_update=validate_changed_cluster_role,
    put_creates=True,
    delete_returns_object=False,
    metadata_checks=("whole", "change"),
    columns=NAME_AND_TIME,
)
ROLE_BINDING = ServedKind(
    resource=ROLE_BINDINGS,
    singular="rolebinding",
    schema="io.k8s.api.rbac.v1.RoleBinding",
    name_rule="path-segment",
    default=default_binding,
    validate_create=validate_binding,
    validate_update=validate_changed_binding,
    put_creates=True,
    delete_returns_object=False,
    metadata_checks=("whole", "change"),
    columns=_BINDING_COLUMNS,
)
CLUSTER_ROLE_BINDING = ServedKind(
    resource=CLUSTER_ROLE_BINDINGS,
    singular="clusterrolebinding",
    schema="io.k8s.api.rbac.v1.ClusterRoleBinding",
    name_rule="path-segment",
    default=default_binding,
    validate_create=validate_binding,
    validate_update=validate_changed_binding,
    put_creates=True,
    delete_returns_object=False,
    metadata_checks=("whole", "change"),
    columns=_BINDING_COLUMNS,
)
