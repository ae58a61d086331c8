"""Rules of roles as values, and whether the rules that somebody has cover others, within a bound of work.

RULES-1  What covering costs is bounded: a rule stands for each verb with each group, resource and name, which from some
         kilobytes can be billions. Rules are compared whole first; where that doesn't do, at most `STEPS_MAX` steps
         are made, and at most `RULES_MISSING_MAX` missing rights are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.objects.kind import Json

STEPS_MAX: Final = 60_000
RULES_MISSING_MAX: Final = 1_000
_SHARED_MAX: Final = 8  # of the names in a set that is kept once for all rules that have it


class TooManyRightsError(Exception):
    """It would take more than `STEPS_MAX` steps to find out (RULES-1)."""


class PolicyRule(Struct, frozen=True, gc=False):
    """One rule of a role; a role may have tens of thousands, so they are cheap to make and to keep."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    paths: tuple[str, ...]

    @classmethod
    def parse(cls, rule: Json) -> PolicyRule:
        """Read a rule as it stands in a role."""
        return cls(
            _set_of(rule.get("verbs")),
            _set_of(rule.get("apiGroups")),
            _set_of(rule.get("resources")),
            _set_of(rule.get("resourceNames")),
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
        shown: Json = {"verbs": _in_order(self.verbs)}
        if self.paths:
            shown["nonResourceURLs"] = list(self.paths)
            return shown
        shown["apiGroups"] = _in_order(self.groups)
        shown["resources"] = _in_order(self.resources)
        if self.names:
            shown["resourceNames"] = _in_order(self.names)
        return shown


def parse_rules(rules: Iterable[Json] | None) -> tuple[PolicyRule, ...]:
    """Read the rules of a role; one that is there twice counts once."""
    return tuple(dict.fromkeys(map(PolicyRule.parse, rules or ())))


def lacking(held: Iterable[PolicyRule], rules: Iterable[PolicyRule]) -> list[Attributes]:
    """Return the rights of `rules` that aren't in `held`, piece by piece; raises TooManyRightsError (RULES-1).

    It reads no more of `rules` than it needs for the answer.
    """
    mine, missing, steps = tuple(held), [], 0
    seen: set[PolicyRule] = set()
    for rule in rules:
        if rule in seen:
            continue
        seen.add(rule)
        steps += len(mine) + 1
        if steps > STEPS_MAX:
            raise TooManyRightsError
        if any(_holds_whole(own, rule) for own in mine):
            continue
        near = [own for own in mine if _meets(own.verbs, rule.verbs)]
        for atom in rule.atoms():
            steps += len(near) + 1
            if steps > STEPS_MAX:
                raise TooManyRightsError
            if any(_covers(own, atom) for own in near):
                continue
            missing.append(atom)
            if len(missing) == RULES_MISSING_MAX:
                return missing
    return missing


def _holds_whole(own: PolicyRule, rule: PolicyRule) -> bool:
    """Tell whether `own` covers all of `rule` as it stands; where it says no, the pieces may still be covered."""
    if rule.paths:
        return False
    return (
        ("*" in own.verbs or own.verbs >= rule.verbs)
        and ("*" in own.groups or own.groups >= rule.groups)
        and ("*" in own.resources or own.resources >= rule.resources)
        and (not own.names or (bool(rule.names) and own.names >= rule.names and "" not in rule.names))
    )


def _meets(own: frozenset[str], others: frozenset[str]) -> bool:
    return "*" in own or not own.isdisjoint(others)


def _covers(rule: PolicyRule, atom: Attributes) -> bool:
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


def _path_matches(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern.rstrip("*"))
    return pattern == path


def _in_order(names: frozenset[str]) -> list[str]:
    return sorted(names) if len(names) > 1 else [*names]


def _set_of(names: Any) -> frozenset[str]:
    return _shared(tuple(names)) if names and len(names) <= _SHARED_MAX else frozenset(names or ())


@lru_cache(4096)
def _shared(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names)
