"""Role-based access control: the rights that the roles and bindings in the store give.

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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, TypeVar

from pvbinder.model.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, Resource
from pvbinder.server.errors import is_forbidden, not_found
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.identity.authentication import MASTERS, SERVICE_ACCOUNT
from pvbinder.server.identity.authorization import DENIED, RULES_SHOWN_MAX, Decision
from pvbinder.server.identity.authorization.rules import PolicyRule, TooManyRightsError, lacking, parse_rules
from pvbinder.server.kinds.built_in.rbac import GROUP
from pvbinder.server.kinds.stored_objects import StoredObjects
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.requests import UserInfo
from pvbinder.server.store import Cursor, HistoryLost

USERS_KEPT_MAX: Final = 1_000
GROUPS_KEPT_MAX: Final = 100  # of a user whose grants are kept

T = TypeVar("T")

_KINDS = (ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS)


_EVERYTHING = (
    PolicyRule.parse({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
    PolicyRule.parse({"verbs": ["*"], "nonResourceURLs": ["*"]}),
)


@dataclass(frozen=True, slots=True)
class Grant:
    """A role bound to somebody, in one namespace or (namespace "") everywhere."""

    namespace: str
    users: frozenset[str]  # a service account by its user name
    groups: frozenset[str]
    role: tuple[str, str]  # namespace, name
    reason: str
    rules: tuple[PolicyRule, ...] = ()

    def is_for(self, name: str, groups: frozenset[str]) -> bool:
        """Tell whether a user of this name, in these groups, is among the subjects."""
        return name in self.users or not self.groups.isdisjoint(groups)


class Rbac:
    """Decides by the roles and bindings in the store."""

    def __init__(self, objects: StoredObjects) -> None:
        self._objects = objects
        self._cursors: dict[str, Cursor] = {}
        self._read_at = -1  # the store's revision when the cursors were last asked
        self._grants: tuple[Grant, ...] = ()
        self._of_user: dict[tuple[str, tuple[str, ...]], tuple[Grant, ...]] = {}
        self._kept: dict[str, dict[str, tuple[int, Any]]] = {}  # by resource and key: at which revision, what it says

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
        """Return what `user` may do in `namespace`, of very many rules the first ones."""
        found = list(islice(self._held(user, namespace), RULES_SHOWN_MAX + 1))
        return [rule.shown() for rule in found if not rule.paths], [rule.shown() for rule in found if rule.paths]

    def guard(self, user: UserInfo, kind: ServedKind, new: Json, old: Json | None) -> None:
        """Raise ApiError 403 if storing `new` would give away more than `user` has (RBAC-3, RBAC-4)."""
        resource = kind.resource
        if resource.group != ROLES.group or resource not in _KINDS:  # the first is what most writes cost
            return
        self._refresh()  # also for masters, who need no grants: what many writes brought isn't to be read in one piece
        if MASTERS in user.groups:
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
            rules = map(PolicyRule.parse, new.get("rules") or ())
        try:
            missing = lacking(self._held(user, namespace), rules)
        except TooManyRightsError:
            why = (
                "its rules stand for too many rights (each verb with each group, resource and name) to look whether"
                " you have them all: make several roles of it"
            )
            raise is_forbidden(resource, name, why) from None
        if missing:
            groups = " ".join(f'"{group}"' for group in user.groups)
            shown = "\n".join(sorted(map(_go_form, _compacted(missing))))
            why = (
                f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:'
                f"\n{shown}"
            )
            raise is_forbidden(resource, name, why)
        if (_aggregates(new) or (old is not None and _aggregates(old))) and self._lacks_anything(user):
            raise is_forbidden(resource, name, "must have cluster-admin privileges to use the aggregationRule")

    def _lacks_anything(self, user: UserInfo) -> bool:
        try:
            return bool(lacking(self._held(user, ""), _EVERYTHING))
        except TooManyRightsError:
            return True

    def _held(self, user: UserInfo, namespace: str) -> Iterator[PolicyRule]:
        """Give the rules that `user` has in `namespace`."""
        for grant in self._grants_of(user):
            if not grant.namespace or grant.namespace == namespace:
                yield from grant.rules

    def _may(self, user: UserInfo, verb: str, resource: Resource, namespace: str, name: str) -> bool:
        attributes = Attributes(verb, "", True, GROUP, resource.version, resource.plural, namespace, name)
        return self.authorize(user, attributes).allowed

    def _rules_of(self, resource: Resource, namespace: str, name: str) -> Iterable[PolicyRule]:
        storage = self._objects.storage(resource.group, resource.version, resource.plural)
        assert storage is not None, f"{resource.qualified} is served"
        key = storage.key(namespace, name)
        stored = self._objects.store.head(storage.store_name, key)
        if stored is None:
            raise not_found(resource, name)
        kept = self._kept.get(resource.plural, {}).get(key)
        if kept is None or kept[0] != stored.revision:
            return map(PolicyRule.parse, storage.served(stored.data).get("rules") or ())
        rules: tuple[PolicyRule, ...] = kept[1]
        return rules

    def _grants_of(self, user: UserInfo) -> tuple[Grant, ...]:
        self._refresh()
        who = (user.name, tuple(user.groups))
        grants = self._of_user.get(who)
        if grants is None:
            groups = frozenset(user.groups)
            grants = tuple(grant for grant in self._grants if grant.is_for(user.name, groups))
            if len(groups) <= GROUPS_KEPT_MAX:  # a review may ask about somebody in 100 000 groups
                if len(self._of_user) >= USERS_KEPT_MAX:
                    self._of_user.clear()
                self._of_user[who] = grants
        return grants

    def _refresh(self) -> None:
        if self._is_stale():
            self._grants = tuple(self._read_grants())
            self._of_user.clear()

    def _is_stale(self) -> bool:
        """Tell whether roles or bindings have changed since the last time, and step over the changes (RBAC-1)."""
        revision = self._objects.store.revision
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
                store = self._objects.store
                self._cursors[resource.qualified] = store.watch(resource.qualified, store.revision)
        return stale

    def _read_grants(self) -> Iterator[Grant]:
        """Give the grants of all bindings; objects that haven't changed aren't read anew, nor unbound roles at all."""
        bindings = (
            *self._parsed(CLUSTER_ROLE_BINDINGS, _grant).values(),
            *self._parsed(ROLE_BINDINGS, _grant).values(),
        )
        bound = {grant.role for grant in bindings}
        roles: dict[tuple[str, str], tuple[PolicyRule, ...]] = {}
        for resource in (ROLES, CLUSTER_ROLES):
            for key, rules in self._parsed(resource, _rules, lambda key: _role_of(key) in bound).items():
                roles[_role_of(key)] = rules
        for grant in bindings:
            yield replace(grant, rules=roles.get(grant.role, ()))

    def _parsed(
        self, resource: Resource, parse: Callable[[Json], T], is_needed: Callable[[str], bool] = lambda _: True
    ) -> dict[str, T]:
        """Return the result of `parse` for each object of a kind that is needed, by its key."""
        storage = self._objects.storage(resource.group, resource.version, resource.plural)
        assert storage is not None, f"{resource.qualified} is served"
        before, now = self._kept.get(resource.plural, {}), {}
        for key, stored in self._objects.store.objects(storage.store_name):
            if not is_needed(key):
                continue
            kept = before.get(key)
            if kept is None or kept[0] != stored.revision:
                kept = (stored.revision, parse(storage.served(stored.data)))
            now[key] = kept
        self._kept[resource.plural] = now
        return {key: parsed for key, (_, parsed) in now.items()}


def _role_of(key: str) -> tuple[str, str]:
    namespace, _, name = key.rpartition("/")
    return namespace, name


def _rules(role: Json) -> tuple[PolicyRule, ...]:
    return parse_rules(role.get("rules"))


def _grant(binding: Json) -> Grant:
    metadata, reference = binding["metadata"], binding["roleRef"]
    namespace = metadata.get("namespace", "")
    users, groups = [], []
    for subject in binding.get("subjects") or ():
        match subject["kind"]:
            case "ServiceAccount":
                users.append(f"{SERVICE_ACCOUNT}{subject.get('namespace') or namespace}:{subject['name']}")
            case "User":
                users.append(subject["name"])
            case _:
                groups.append(subject["name"])
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    shown = f"{metadata['name']}/{namespace}" if namespace else metadata["name"]
    first = (binding.get("subjects") or [{}])[0]
    reason = (
        f'RBAC: allowed by {kind} "{shown}" of {reference["kind"]} "{reference["name"]}" '
        f'to {first.get("kind", "")} "{first.get("name", "")}"'
    )
    role = ("" if reference["kind"] == "ClusterRole" else namespace, reference["name"])
    return Grant(namespace, frozenset(users), frozenset(groups), role, reason)


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


def _compacted(atoms: Iterable[Attributes]) -> Iterator[PolicyRule]:
    """Give the rules that stand for `atoms`: one for each resource and name, with all its verbs."""
    verbs: dict[tuple[str, str, str], set[str]] = {}
    for atom in atoms:
        if atom.is_resource:
            whole = f"{atom.resource}/{atom.subresource}" if atom.subresource else atom.resource
            verbs.setdefault((atom.group, whole, atom.name), set()).add(atom.verb)
        else:
            yield PolicyRule(frozenset({atom.verb}), frozenset(), frozenset(), frozenset(), (atom.path,))
    for (group, resource, name), of_it in verbs.items():
        names = frozenset({name} if name else ())
        yield PolicyRule(frozenset(of_it), frozenset({group}), frozenset({resource}), names, ())


def _go_form(rule: PolicyRule) -> str:
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
