"""Changes of a claim's conditions as a strategic merge patch makes them: by type, and those of others untouched.

CONDITIONS-1  Conditions that aren't named keep as they are, whoever has written them.
CONDITIONS-2  Conditions keep their order, and new ones come last: the patch says so, as client-go's patches do. Without
              that a server puts those of the patch first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from pvbinder.model.json import Json
from pvbinder.model.objects import Claim


def condition(type_: str, now: str, message: str = "", *, reason: str = "") -> Json:
    """Return a condition that is true since `now`, unless it was before."""
    entry: Json = {"type": type_, "status": "True", "lastTransitionTime": now}
    if reason:
        entry["reason"] = reason
    if message:
        entry["message"] = message
    return entry


def changed_conditions(claim: Claim, wanted: Iterable[Json], dropped: Collection[str] = ()) -> Json:
    """Return what in a patch brings `wanted` into the conditions of `claim`, and takes those of `dropped` types away.

    One that is true already keeps the time since when, unless its reason is another one. It is empty where nothing
    changes: an empty list would be a change.
    """
    old = {one.type: one for one in claim.conditions}
    entries: list[Any] = []
    kept: set[str] = set()
    for one in wanted:
        kept.add(one["type"])
        known = old.get(one["type"])
        if known is not None and known.status == one["status"] and (known.reason or "") == one.get("reason", ""):
            if (known.message or "") == one.get("message", "") and "lastProbeTime" not in one:
                continue
            one = {key: value for key, value in one.items() if key != "lastTransitionTime"}
        entries.append({"message": None, "reason": None, **one} if known is not None else one)
    entries += [{"$patch": "delete", "type": type_} for type_ in old if type_ in dropped and type_ not in kept]
    return conditions_patch(claim, entries)


def conditions_patch(claim: Claim, entries: list[Any]) -> Json:
    """Return `entries` as the part of a patch of the claim's status, empty without any (CONDITIONS-2)."""
    if not entries:
        return {}
    deleted = {one["type"] for one in entries if "$patch" in one}
    types = [one.type for one in claim.conditions if one.type not in deleted]
    types += [one["type"] for one in entries if one["type"] not in deleted and one["type"] not in types]
    places = {type_: at for at, type_ in enumerate(types)}
    patch: Json = {"conditions": sorted(entries, key=lambda one: places.get(one["type"], -1))}
    if types:
        patch["$setElementOrder/conditions"] = [{"type": type_} for type_ in types]
    return patch
