"""The parameters that a binding names, for a write in a namespace."""

from __future__ import annotations

from pvbinder.server.api.admission.plugin import Reader
from pvbinder.server.api.admission.policies.matching import MisconfiguredError, reads_selector
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.objects.kind import Json, ServedKind


def find_param_kind(param_kind: Json, registry: Registry) -> ServedKind:
    """Return the kind that a policy takes parameters of; MisconfiguredError if it isn't served."""
    group, version = group_and_version(param_kind)
    kind = registry.of_kind(group, version, param_kind.get("kind", ""))
    if kind is None:
        where = f"{group}/{version}, Kind={param_kind.get('kind', '')}"
        raise MisconfiguredError(f"failed to find resource referenced by paramKind: '{where}'")
    return kind


def group_and_version(param_kind: Json) -> tuple[str, str]:
    """Return the group and the version of a kind of parameters."""
    group, slash, version = param_kind.get("apiVersion", "").partition("/")
    return (group, version) if slash else ("", group)


def collect_params(
    kind: ServedKind | None, reference: Json | None, namespace: str, reader: Reader
) -> list[Json | None]:
    """Return the parameters of a binding, each of which the policy is asked with; None stands for none at all.

    An empty list means that the policy has nothing to say. Raises MisconfiguredError.
    """
    if kind is None or reference is None:
        return [None]
    where = _namespace(kind, reference, namespace)
    name, selector = reference.get("name"), reference.get("selector")
    if name and selector is not None:
        raise MisconfiguredError("paramRef.name and paramRef.selector are mutually exclusive")
    found: list[Json]
    if name:
        one = reader.get(kind.resource, where, name)
        found = [] if one is None else [one]
    elif selector is not None:
        read = reads_selector(selector)
        found = [one for one in reader.list(kind.resource, where) if read.matches(one["metadata"].get("labels") or {})]
    else:
        raise MisconfiguredError("one of name or selector must be provided")
    if not found and reference.get("parameterNotFoundAction") == "Deny":
        raise MisconfiguredError("no params found for policy binding with `Deny` parameterNotFoundAction")
    return list(found)


def _namespace(kind: ServedKind, reference: Json, namespace: str) -> str | None:
    asked = reference.get("namespace")
    if not kind.resource.namespaced:
        if asked:
            raise MisconfiguredError("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        return None
    if not asked and not namespace:
        why = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
        raise MisconfiguredError(why)
    return str(asked or namespace)
