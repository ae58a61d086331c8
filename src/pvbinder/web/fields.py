"""The few fields of an object whose changes tell what was decided about it.

FIELDS-1  They are phases, the two sides of a binding, finalizers, the beginning of a deletion, size and class, and the
          annotations of Kubernetes' own volume controllers; nothing that a person wrote for themselves.
"""

from __future__ import annotations

from typing import Final, assert_never

from pvbinder.model.objects import Claim, Node, Pod, StorageClass, Volume
from pvbinder.web.rows import RowView

_ANNOTATIONS: Final = ("pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/")


def changed_fields(before: RowView | None, after: RowView | None) -> dict[str, tuple[str | None, str | None]]:
    """Return what is different, each with the value before and after; None is no value."""
    was = _fields(before) if before is not None else {}
    is_now = _fields(after) if after is not None else {}
    names = dict.fromkeys((*was, *is_now))
    return {name: (was.get(name), is_now.get(name)) for name in names if was.get(name) != is_now.get(name)}


def _fields(view: RowView) -> dict[str, str]:
    match view:
        case Claim():
            found = {
                "phase": view.phase,
                "volumeName": view.volume_name,
                "class": view.storage_class,
                "capacity": str(view.status_capacity) if view.status_capacity is not None else "",
            }
        case Volume():
            reference = view.claim_ref
            named = str(reference.key) if reference is not None else ""
            found = {
                "phase": view.phase,
                "claimRef": f"{named} (uid {reference.uid})" if reference is not None and reference.uid else named,
                "capacity": str(view.size),
            }
        case Pod():
            found = {"phase": view.phase, "nodeName": view.node_name}
        case StorageClass() | Node():
            found = {}
        case _:
            assert_never(view)
    found["finalizers"] = ", ".join(view.finalizers)
    found["deletionTimestamp"] = view.deletion_timestamp or ""
    for name, value in view.annotations.items():
        if name.startswith(_ANNOTATIONS):
            found[name] = value
    return {name: value for name, value in found.items() if value}
