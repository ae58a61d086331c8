"""Role-based access control: what the roles and bindings in the store allow.

RBAC-1  A change of a role or a binding counts from the next request after it is acknowledged.
RBAC-2  What no rule allows is denied; there are no rules that deny.
RBAC-3  Nobody gives away more than they have: creating or changing a role needs all of its rights (or ``escalate``),
        binding one needs all of its rights (or ``bind``). Labels count as a change, since they may be selected by.
RBAC-4  Nobody but who may do everything lets a cluster role gather the rules of others (``aggregationRule``), or stops
        it.

Rules are compiled once and kept until one of the four kinds changes, which a cursor of the store tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pvbinder.model.resources import Resource
from pvbinder.server.authentication import MASTERS, SERVICE_ACCOUNT
from pvbinder.server.authorization import DENIED, Decision
from pvbinder.server.errors import is_forbidden, not_found
from pvbinder.server.kinds.kind import Json, ServedKind
from pvbinder.server.kinds.rbac import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, GROUP, ROLE_BINDINGS, ROLES
from pvbinder.server.requests import UserInfo
from pvbinder.server.rest.api import Api
from pvbinder.server.rest.attributes import Attributes
from pvbinder.server.store import Cursor, HistoryLost

_KINDS = (ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a role."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    paths: tuple[str, ...]

    @classmethod
    def parse(cls, rule: Json) -> Rule:
        """Read a rule as it stands in a role."""
        return cls(
            frozenset(rule.get("verbs") or ()),
            frozenset(rule.get("apiGroups") or ()),
            frozenset(rule.get("resources") or ()),
            frozenset(rule.get("resourceNames") or ()),
            tuple(rule.get("nonResourceURLs") or ()),
        )

    def allows(self, attributes: Attributes) -> bool:
        """Tell whether this rule allows what `attributes` say."""
        if not (attributes.verb in self.verbs or "*" in self.verbs):
            return False
        if not attributes.is_resource:
            return any(_path_matches(pattern, attributes.path) for pattern in self.paths)
        if not (attributes.group in self.groups or "*" in self.groups):
            return False
        if self.names and attributes.about_name not in self.names:
            return False
        if "*" in self.resources:
            return True
        if not attributes.subresource:
            return attributes.resource in self.resources
        return (
            f"{attributes.resource}/{attributes.subresource}" in self.resources
            or f"*/{attributes.subresource}" in self.resources
        )

    def atoms(self) -> Iterator[Attributes]:
        """Give what this rule allows, piece by piece, as what must be allowed to somebody who gives it away."""
        for verb in self.verbs:
            for path in self.paths:
                yield Attributes(verb, path)
            for group in self.groups:
                for whole in self.resources:
                    resource, _, subresource = whole.partition("/")
                    for name in self.names or {""}:
                        yield Attributes(verb, "", True, group, "", resource, name=name, subresource=subresource)

    def shown(self) -> Json:
        """Return the rule as a SelfSubjectRulesReview shows it."""
        shown: Json = {"verbs": sorted(self.verbs)}
        if self.paths:
            return {**shown, "nonResourceURLs": list(self.paths)}
        shown["apiGroups"] = sorted(self.groups)
        shown["resources"] = sorted(self.resources)
        if self.names:
            shown["resourceNames"] = sorted(self.names)
        return shown


_EVERYTHING = (
    Rule.parse({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
    Rule.parse({"verbs": ["*"], "nonResourceURLs": ["*"]}),
)


@dataclass(frozen=True, slots=True)
class Grant:
    """A role bound to somebody, in one namespace or (namespace "") everywhere."""

    namespace: str
    subjects: tuple[tuple[str, str], ...]  # (kind, name), a service account by its user name
    rules: tuple[Rule, ...]
    reason: str

    def is_for(self, user: UserInfo) -> bool:
        """Tell whether `user` is among the subjects."""
        return any(name == user.name if kind == "User" else name in user.groups for kind, name in self.subjects)


class Rbac:
    """Decides by the roles and bindings in the store."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._cursors: dict[str, Cursor] = {}
        self._read_at = -1  # the store's revision when the cursors were last asked
        self._grants: tuple[Grant, ...] = ()
        self._of_user: dict[tuple[str, tuple[str, ...]], tuple[Grant, ...]] = {}

    def authorize(self, user: UserInfo, attributes: Attributes) -> Decision:
        """Decide whether a role bound to `user` allows what `attributes` say (RBAC-1, RBAC-2)."""
        for grant in self._grants_of(user):
            if grant.namespace and grant.namespace != attributes.namespace:
                continue
            for rule in grant.rules:
                if rule.allows(attributes):
                    return Decision(True, grant.reason)
        return DENIED

    def rules(self, user: UserInfo, namespace: str) -> tuple[list[Json], list[Json]]:
        """Return what `user` may do in `namespace`."""
        found = [rule for grant in self._grants_of(user) if grant.namespace in ("", namespace) for rule in grant.rules]
        return [rule.shown() for rule in found if not rule.paths], [rule.shown() for rule in found if rule.paths]

    def guard(self, user: UserInfo, kind: ServedKind, new: Json, old: Json | None) -> None:
        """Raise ApiError 403 if storing `new` would give away more than `user` has (RBAC-3, RBAC-4)."""
        resource = kind.resource
        if resource not in _KINDS or MASTERS in user.groups:
            return
        if old is not None and _differs_for_deletion_only(new, old):
            return
        namespace, name = new["metadata"].get("namespace", ""), new["metadata"]["name"]
        if "roleRef" in new:
            reference = new["roleRef"]
            role = CLUSTER_ROLES if reference["kind"] == "ClusterRole" else ROLES
            if self._may(user, "bind", role, namespace, reference["name"]):
                return
            rules = self._rules_of(role, namespace, reference["name"])
        else:
            # as in the reference, a new role has no name yet when it is asked who may escalate
            if self._may(user, "escalate", resource, namespace, "" if old is None else name):
                return
            rules = [Rule.parse(rule) for rule in new.get("rules") or ()]
        lacking = self._lacking(user, namespace, rules)
        if lacking:
            groups = " ".join(f'"{group}"' for group in user.groups)
            shown = "\n".join(sorted(map(_go_form, _compacted(lacking))))
            why = (
                f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:'
                f"\n{shown}"
            )
            raise is_forbidden(resource, name, why)
        if (_aggregates(new) or (old is not None and _aggregates(old))) and self._lacking(user, "", _EVERYTHING):
            raise is_forbidden(resource, name, "must have cluster-admin privileges to use the aggregationRule")

    def _lacking(self, user: UserInfo, namespace: str, rules: Iterable[Rule]) -> list[Attributes]:
        """Return what of `rules` isn't `user`'s, piece by piece."""
        return [atom for rule in rules for atom in rule.atoms() if not self._has(user, namespace, atom)]

    def _may(self, user: UserInfo, verb: str, resource: Resource, namespace: str, name: str) -> bool:
        attributes = Attributes(verb, "", True, GROUP, resource.version, resource.plural, namespace, name)
        return self.authorize(user, attributes).allowed

    def _rules_of(self, resource: Resource, namespace: str, name: str) -> list[Rule]:
        role = self._api.get(resource, namespace if resource.namespaced else None, name)
        if role is None:
            raise not_found(resource, name)
        return [Rule.parse(rule) for rule in role.get("rules") or ()]

    def _has(self, user: UserInfo, namespace: str, atom: Attributes) -> bool:
        atom.namespace = namespace
        for grant in self._grants_of(user):
            if grant.namespace and grant.namespace != namespace:
                continue
            if any(_covers(rule, atom) for rule in grant.rules):
                return True
        return False

    def _grants_of(self, user: UserInfo) -> tuple[Grant, ...]:
        if self._is_stale():
            self._grants = tuple(self._read_grants())
            self._of_user.clear()
        who = (user.name, tuple(user.groups))
        grants = self._of_user.get(who)
        if grants is None:
            if len(self._of_user) > 1000:
                self._of_user.clear()
            grants = self._of_user[who] = tuple(grant for grant in self._grants if grant.is_for(user))
        return grants

    def _is_stale(self) -> bool:
        """Tell whether roles or bindings have changed since the last time, and step over the changes (RBAC-1)."""
        revision = self._api.store.revision
        if revision == self._read_at:
            return False
        self._read_at = revision
        stale = not self._cursors
        for resource in _KINDS:
            cursor = self._cursors.get(resource.qualified)
            try:
                while cursor is not None and cursor.take(100):
                    stale = True
            except HistoryLost:
                cursor, stale = None, True
            if cursor is None:
                store = self._api.store
                self._cursors[resource.qualified] = store.watch(resource.qualified, store.revision)
        return stale

    def _read_grants(self) -> Iterator[Grant]:
        roles: dict[tuple[str, str], tuple[Rule, ...]] = {}
        for resource in (ROLES, CLUSTER_ROLES):
            for role in self._api.list(resource):
                metadata = role["metadata"]
                where = (metadata.get("namespace", ""), metadata["name"])
                roles[where] = tuple(Rule.parse(rule) for rule in role.get("rules") or ())
        for resource in (CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS):
            for binding in self._api.list(resource):
                yield _grant(binding, roles)


def _grant(binding: Json, roles: dict[tuple[str, str], tuple[Rule, ...]]) -> Grant:
    metadata, reference = binding["metadata"], binding["roleRef"]
    namespace = metadata.get("namespace", "")
    role = ("" if reference["kind"] == "ClusterRole" else namespace, reference["name"])
    subjects = []
    for subject in binding.get("subjects") or ():
        if subject["kind"] == "ServiceAccount":
            subjects.append(("User", f"{SERVICE_ACCOUNT}{subject.get('namespace') or namespace}:{subject['name']}"))
        else:
            subjects.append((subject["kind"], subject["name"]))
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    shown = f"{metadata['name']}/{namespace}" if namespace else metadata["name"]
    first = (binding.get("subjects") or [{}])[0]
    reason = (
        f'RBAC: allowed by {kind} "{shown}" of {reference["kind"]} "{reference["name"]}" '
        f'to {first.get("kind", "")} "{first.get("name", "")}"'
    )
    return Grant(namespace, tuple(subjects), roles.get(role, ()), reason)


def _differs_for_deletion_only(new: Json, old: Json) -> bool:
    """Tell whether `new` differs from `old` only in what a garbage collector needs to change."""
    ignored = ("finalizers", "ownerReferences", "managedFields", "selfLink", "resourceVersion")
    before, after = (
        {**obj, "metadata": {name: value for name, value in obj["metadata"].items() if name not in ignored}}
        for obj in (old, new)
    )
    return before == after


def _aggregates(role: Json) -> bool:
    return bool((role.get("aggregationRule") or {}).get("clusterRoleSelectors"))


def _compacted(atoms: Iterable[Attributes]) -> Iterator[Rule]:
    """Give the rules that stand for `atoms`: one for each resource and name, with all its verbs."""
    verbs: dict[tuple[str, str, str], set[str]] = {}
    for atom in atoms:
        if atom.is_resource:
            whole = f"{atom.resource}/{atom.subresource}" if atom.subresource else atom.resource
            verbs.setdefault((atom.group, whole, atom.name), set()).add(atom.verb)
        else:
            yield Rule(frozenset({atom.verb}), frozenset(), frozenset(), frozenset(), (atom.path,))
    for (group, resource, name), of_it in verbs.items():
        names = frozenset({name} if name else ())
        yield Rule(frozenset(of_it), frozenset({group}), frozenset({resource}), names, ())


def _go_form(rule: Rule) -> str:
    """Return a rule as the reference's messages show it."""
    parts = {
        "APIGroups": sorted(rule.groups),
        "Resources": sorted(rule.resources),
        "ResourceNames": sorted(rule.names),
        "NonResourceURLs": sorted(rule.paths),
        "Verbs": sorted(rule.verbs),
    }
    shown = ", ".join(
        f"{name}:[{' '.join(json.dumps(value) for value in values)}]" for name, values in parts.items() if values
    )
    return f"{{{shown}}}"


def _path_matches(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern.rstrip("*"))
    return pattern == path


def _covers(rule: Rule, atom: Attributes) -> bool:
    """Tell whether `rule` allows all that `atom` stands for: a ``*`` in it is covered only by a ``*``."""
    if not atom.is_resource:
        has_verb = atom.verb in rule.verbs or "*" in rule.verbs
        return has_verb and any(
            pattern == atom.path or (pattern.endswith("*") and atom.path.startswith(pattern[:-1]))
            for pattern in rule.paths
        )
    if not atom.name and rule.names:
        return False
    return rule.allows(atom)
