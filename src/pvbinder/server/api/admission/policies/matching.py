"""Whether a policy, or a binding, concerns a write: by its rules about resources and its selectors."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import NAMESPACES
from pvbinder.model.selectors import LabelSelector, SelectorError
from pvbinder.server.api.admission.plugin import Reader
from pvbinder.server.api.admission.policies.written import Written
from pvbinder.server.errors import not_found
from pvbinder.server.objects.kind import Json, ServedKind


class MisconfiguredError(PvbinderError):
    """A policy or a binding that can't be used; the message says why."""


def find_match(
    constraints: Json | None,
    written: Written,
    kinds: Sequence[ServedKind],
    new: Json | None,
    old: Json | None,
    reader: Reader,
) -> ServedKind | None:
    """Return the kind by which a write is matched, None if it isn't; `kinds` are all with the same objects.

    Raises MisconfiguredError for what applies and can't be decided.
    """
    if constraints is None:  # of a policy that was stored before anybody looked at it
        raise MisconfiguredError("policy contained no match constraints, a required field")
    wrong: list[str] = []
    for selects in (_selects_namespace, _selects_object):
        try:
            if not selects(constraints, written, new, old, reader):
                return None
        except MisconfiguredError as error:
            wrong.append(error.message)
    policy = constraints.get("matchPolicy")
    if _by_rules(constraints.get("excludeResourceRules") or (), policy, written, kinds) is not None:
        return None
    rules = constraints.get("resourceRules") or ()
    found = _by_rules(rules, policy, written, kinds) if rules else written.kind
    if found is not None and wrong:
        raise MisconfiguredError(wrong[0])
    return found


def reads_selector(selector: Json) -> LabelSelector:
    """Return a selector that can be asked; MisconfiguredError for one that means nothing."""
    try:
        read = msgspec.convert(selector, LabelSelector)
        read.check()
    except (SelectorError, msgspec.ValidationError) as error:
        raise MisconfiguredError(str(error)) from error
    return read


def _selects_namespace(
    constraints: Json, written: Written, new: Json | None, _old: Json | None, reader: Reader
) -> bool:
    selector = constraints.get("namespaceSelector")
    if not selector or (not written.asked_namespace and not written.is_about_namespace):
        return True
    read = reads_selector(selector)
    if written.is_about_namespace and not written.subresource and written.operation != "DELETE":
        labels = _labels(new)
    else:
        namespace = reader.get(NAMESPACES, None, written.asked_namespace)
        if namespace is None:
            raise MisconfiguredError(not_found(NAMESPACES, written.asked_namespace).message)
        labels = _labels(namespace)
    return read.matches(labels)


def _selects_object(constraints: Json, _written: Written, new: Json | None, old: Json | None, _reader: Reader) -> bool:
    selector = constraints.get("objectSelector")
    if not selector:
        return True
    read = reads_selector(selector)
    return any(read.matches(_labels(obj)) for obj in (new, old) if obj is not None)


def _labels(obj: Json | None) -> dict[str, str]:
    return ((obj or {}).get("metadata") or {}).get("labels") or {}


def _by_rules(
    rules: Sequence[Json], policy: str | None, written: Written, kinds: Sequence[ServedKind]
) -> ServedKind | None:
    for rule in rules:
        if _fits(rule, written, written.kind) and _names(rule, written):
            return written.kind
    if policy != "Equivalent":
        return None
    for rule in rules:
        for kind in kinds:
            if kind.resource != written.kind.resource and _fits(rule, written, kind) and _names(rule, written):
                return kind
    return None


def _names(rule: Json, written: Written) -> bool:
    names = rule.get("resourceNames") or ()
    return not names or written.name in names


def _fits(rule: Json, written: Written, kind: ServedKind) -> bool:
    resource = kind.resource
    return (
        _in_scope(rule.get("scope") or "*", written, kind)
        and _one_of(rule.get("operations"), written.operation)
        and _one_of(rule.get("apiGroups"), resource.group)
        and _one_of(rule.get("apiVersions"), resource.version)
        and any(_is_resource(text, resource.plural, written.subresource) for text in rule.get("resources") or ())
    )


def _in_scope(scope: str, written: Written, kind: ServedKind) -> bool:
    is_inside = kind.resource != NAMESPACES and bool(written.asked_namespace)
    match scope:
        case "*":
            return True
        case "Namespaced":
            return is_inside
        case "Cluster":
            return not is_inside
        case _:
            return False


def _one_of(items: Sequence[str] | None, wanted: str) -> bool:
    return any(item in ("*", wanted) for item in items or ())


def _is_resource(text: str, plural: str, subresource: str) -> bool:
    resource, _, sub = text.partition("/")
    return resource in ("*", plural) and sub in ("*", subresource)
