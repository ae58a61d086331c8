"""The status of kinds that keep it apart from the rest: the parts that each path may write (generic form of CD-2)."""

from __future__ import annotations

from pvbinder.server.objects.kind import Json, Subresource


def drop_status(obj: Json, _now: str) -> None:
    """Start without a status: a sent one is dropped."""
    obj.pop("status", None)


def start_with_empty_status(obj: Json, _now: str) -> None:
    """Start with a status that says nothing, for kinds that always show one."""
    obj["status"] = {}


def keep_status(new: Json, old: Json, _now: str) -> None:
    """Take the status from the stored object: a write to the object itself doesn't change it."""
    if "status" in old:
        new["status"] = old["status"]
    else:
        new.pop("status", None)


def keep_all_but_status(new: Json, old: Json, _now: str) -> None:
    """Take everything but metadata and status from the stored object: a write to ``status`` changes nothing else."""
    for field in [field for field in new if field not in ("metadata", "status", "kind", "apiVersion")]:
        if field not in old:
            del new[field]
    for field, value in old.items():
        if field not in ("metadata", "status"):
            new[field] = value


_CHOSEN = ("labels", "annotations", "finalizers", "ownerReferences", "deletionTimestamp", "deletionGracePeriodSeconds")


def keep_metadata(new: Json, old: Json, *fields: str) -> None:
    """Take those fields of its metadata from the stored object, or all that somebody could choose."""
    for field in fields or _CHOSEN:
        if field in old["metadata"]:
            new["metadata"][field] = old["metadata"][field]
        else:
            new["metadata"].pop(field, None)


def keep_all_but_status_alone(new: Json, old: Json, now: str) -> None:
    """Take everything but the status from the stored object, metadata too."""
    keep_all_but_status(new, old, now)
    keep_metadata(new, old)


STATUS_ALONE = Subresource("status", prepare_update=keep_all_but_status_alone)
STATUS = Subresource("status", prepare_update=keep_all_but_status)
