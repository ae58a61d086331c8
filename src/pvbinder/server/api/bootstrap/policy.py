"""The default roles and bindings of Kubernetes, brought about at each start.

POLICY-1  A fresh server has exactly the roles and bindings that a fresh Kubernetes has.
POLICY-2  What somebody took away from one of them comes back with the next start; what was added stays.
POLICY-3  One with the annotation ``rbac.authorization.kubernetes.io/autoupdate: "false"`` stays as it is.

The controllers' roles are those of RB-1 to RB-6, each bound to the account of the controller's name in
``kube-system``. The rules of roles with an ``aggregationRule`` (`admin`, `edit`, `view`) are gathered by a controller,
clusterrole-aggregation, not here.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec

from pvbinder.model.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, Resource
from pvbinder.server.api.bootstrap.fresh_objects import FreshObjects
from pvbinder.server.identity.authorization.rules import TooManyRightsError, lacking, parse_rules
from pvbinder.server.kinds.stored_objects import StoredObjects
from pvbinder.server.objects.kind import Json

AUTOUPDATE: Final = "rbac.authorization.kubernetes.io/autoupdate"
_LABELS: Final = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_RESOURCES: Final = {each.kind: each for each in (CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, ROLES, ROLE_BINDINGS)}


def default_policy() -> Iterator[tuple[Resource, Json]]:
    """Give every default role and binding, with its resource."""
    for short in _read():
        metadata: Json = {
            "name": short["name"],
            "labels": {**_LABELS, **short.get("labels", {})},
            "annotations": {AUTOUPDATE: "true"},
        }
        if "namespace" in short:
            metadata["namespace"] = short["namespace"]
        rest = {
            field: deepcopy(short[field]) for field in short if field not in ("kind", "name", "namespace", "labels")
        }
        yield _RESOURCES[short["kind"]], {"metadata": metadata, **rest}


def bring_about_policy(objects: StoredObjects, fresh: FreshObjects) -> None:
    """Create the roles and bindings that are missing, and give back to the others what they have lost."""
    for resource, wanted in default_policy():
        metadata = wanted["metadata"]
        there = objects.get(resource, metadata.get("namespace"), metadata["name"])
        if there is None:
            fresh.add(resource, wanted)
            continue
        if (there["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false":
            continue  # POLICY-3
        mended = mend(there, wanted)
        if mended != there:
            fresh.replace(resource, mended)


def mend(there: Json, wanted: Json) -> Json:
    """Return the stored role or binding with all that `wanted` has (POLICY-2)."""
    mended = deepcopy(there)
    for field in ("labels", "annotations"):
        values = mended["metadata"].get(field) or {}
        missing = {key: value for key, value in wanted["metadata"][field].items() if key not in values}
        if missing:
            mended["metadata"][field] = {**values, **missing}
    if "roleRef" in wanted:
        _add_missing(mended, "subjects", wanted)
        return mended
    if "aggregationRule" in wanted:
        rule = mended.get("aggregationRule")
        mended["aggregationRule"] = rule if isinstance(rule, dict) else {}
        _add_missing(mended["aggregationRule"], "clusterRoleSelectors", wanted["aggregationRule"])
        return mended
    held = parse_rules(mended.get("rules"))
    lost = [rule for rule in wanted.get("rules") or () if _lacks(held, rule)]
    if lost:
        mended["rules"] = [*(mended.get("rules") or ()), *lost]
    return mended


def _add_missing(target: Json, field: str, wanted: Json) -> None:
    values: list[Any] = target.get(field) or []
    missing = [value for value in wanted.get(field) or () if value not in values]
    if missing:
        target[field] = [*values, *missing]


def _lacks(held: Any, rule: Json) -> bool:
    try:
        return bool(lacking(held, parse_rules([rule])))
    except TooManyRightsError:  # there are more added rules than can be looked through
        return True


@cache
def _read() -> list[Json]:
    text = resources.files(__package__).joinpath("data", "policy.json").read_bytes()
    found: list[Json] = msgspec.json.decode(text)
    return found
