"""The policies that are bound, compiled and kept current.

HOOKS-1  A policy or binding whose write was answered counts from then on; one that is deleted, no longer.
HOOKS-2  As long as neither policies nor bindings change, nothing is read or compiled; a policy that didn't change isn't
         compiled again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pvbinder.model.resources import Resource
from pvbinder.server.kinds.policies.policy import CompiledPolicy
from pvbinder.server.kinds.stored_objects import StoredObjects
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.store import Cursor, HistoryLost, RevisionExpired

_GROUP: Final = "admissionregistration.k8s.io"
POLICIES: Final = Resource(_GROUP, "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", False)
BINDINGS: Final = Resource(_GROUP, "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", False)
_KINDS: Final = (POLICIES, BINDINGS)


@dataclass(frozen=True, slots=True)
class Hook:
    """A policy and its bindings, by name."""

    policy: CompiledPolicy
    bindings: tuple[Json, ...]


class PolicyHooks:
    """The bound policies over one store."""

    def __init__(self, objects: StoredObjects) -> None:
        self.objects = objects
        self._cursors: tuple[Cursor, ...] | None = None
        self._hooks: tuple[Hook, ...] = ()
        self._compiled: dict[str, tuple[str, CompiledPolicy]] = {}
        self._same: dict[Resource, tuple[ServedKind, ...]] = {}
        self._registry_revision = -1

    def current(self) -> tuple[Hook, ...]:
        """Return what is bound now (HOOKS-1, HOOKS-2)."""
        if self._cursors is None or self._has_changed(self._cursors):
            self._read()
        return self._hooks

    def with_same_objects(self, kind: ServedKind) -> Sequence[ServedKind]:
        """Return all served kinds that have the objects of `kind`, itself among them."""
        registry = self.objects.registry
        if self._registry_revision != registry.revision:
            self._same, self._registry_revision = {}, registry.revision
        known = self._same.get(kind.resource)
        if known is None:
            base = registry.stored_as(kind).resource
            known = tuple(other for other in registry if registry.stored_as(other).resource == base)
            self._same[kind.resource] = known
        return known

    @staticmethod
    def _has_changed(cursors: tuple[Cursor, ...]) -> bool:
        try:
            return any(cursor.take(1) for cursor in cursors)
        except (HistoryLost, RevisionExpired):
            return True

    def _read(self) -> None:
        store = self.objects.store
        self._cursors = tuple(store.watch(resource.qualified, store.revision) for resource in _KINDS)
        bindings: dict[str, list[Json]] = {}
        for binding in self.objects.list(BINDINGS):
            spec = binding.setdefault("spec", {})  # it may have been stored before anybody looked at it
            bindings.setdefault(spec.get("policyName", ""), []).append(binding)
        compiled: dict[str, tuple[str, CompiledPolicy]] = {}
        for policy in self.objects.list(POLICIES) if bindings else ():
            name, revision = policy["metadata"]["name"], policy["metadata"]["resourceVersion"]
            if name in bindings:
                known = self._compiled.get(name)
                compiled[name] = known if known and known[0] == revision else (revision, CompiledPolicy(policy))
        self._compiled = compiled
        self._hooks = tuple(Hook(policy, tuple(bindings[name])) for name, (_, policy) in compiled.items())
