"""Who may bind parameters to a policy: only somebody who may read them, as messages can tell what they say.

RIGHTS-1  A policy with a kind of parameters is taken from who may read all objects of that kind; a binding with
          parameters from who may read those. What an update leaves as it was isn't asked about again.
"""

from __future__ import annotations

from typing import Final

from pvbinder.server.api.admission.policies.hooks import BINDINGS, POLICIES
from pvbinder.server.api.admission.policies.params import group_and_version
from pvbinder.server.errors import forbidden, is_invalid
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.identity.authorization import Authorizer, decide
from pvbinder.server.kinds.stored_objects import StoredObjects
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.requests import UserInfo

_ALL: Final = "*"


def guard_params(
    objects: StoredObjects, authorizer: Authorizer, user: UserInfo, kind: ServedKind, new: Json, old: Json | None
) -> None:
    """Raise ApiError 422 if `user` may not read the parameters that `new` brings (RIGHTS-1)."""
    if kind.resource == POLICIES:
        field, where = "paramKind", (_ALL, _ALL)
        param_kind = _spec(new).get("paramKind")
        if param_kind is None or param_kind == _spec(old).get("paramKind"):
            return
        described = f"(kind={param_kind.get('kind', '')}, apiVersion={param_kind.get('apiVersion', '')})"
        why = f'must have "get" permission on all objects of the referenced paramKind {described}'
    elif kind.resource == BINDINGS:
        field = "paramRef"
        reference = _spec(new).get("paramRef")
        if reference is None or _same_params(_spec(new), _spec(old)):
            return
        policy = objects.get(POLICIES, None, _spec(new).get("policyName", ""))
        param_kind = _spec(policy).get("paramKind")
        where = (reference.get("namespace", ""), reference.get("name", ""))
        why = 'does not have "get" permission on the object referenced by paramRef'
    else:
        return
    group, version, resource = _resource(objects, param_kind)
    if not decide(authorizer, user, Attributes("get", "", True, group, version, resource, *where)).allowed:
        extra = " ".join(f"{key}:[{' '.join(values)}]" for key, values in sorted(user.extra.items()))
        shown = f"&{{{user.name} {user.uid} [{' '.join(user.groups)}] map[{extra}]}}"
        name = new["metadata"].get("name", "")
        raise is_invalid(kind.resource, name, [forbidden(f"spec.{field}", f"user {shown} {why}")])


def _spec(obj: Json | None) -> Json:
    return (obj or {}).get("spec") or {}


def _same_params(new: Json, old: Json) -> bool:
    return all(new.get(field) == old.get(field) for field in ("paramRef", "policyName"))


def _resource(objects: StoredObjects, param_kind: Json | None) -> tuple[str, str, str]:
    if param_kind is None:
        return _ALL, _ALL, _ALL
    group, version = group_and_version(param_kind)
    kind = objects.registry.of_kind(group, version, param_kind.get("kind", ""))
    return group, version, _ALL if kind is None else kind.resource.plural
