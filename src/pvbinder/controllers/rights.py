"""What the controllers of persistent volumes do at the API server, each by itself; `pvbinder preflight` asks for it.

RIGHTS-1  A right that is `only` needed for something is no obstacle where it is missing: that doesn't work then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pvbinder.controllers.csi.rights import Right
from pvbinder.model import names

WATCH: Final = ("list", "watch")
READ: Final = ("get", *WATCH)
STORAGE: Final = "storage.k8s.io"
_RECYCLED: Final = "if volumes have the policy Recycle"

RIGHTS: Final[Mapping[str, tuple[Right, ...]]] = {
    names.BINDER_CONTROLLER: (
        Right("", ("persistentvolumes",), (*READ, "create", "update", "delete")),
        Right("", ("persistentvolumes/status",), ("update",)),
        Right("", ("persistentvolumeclaims",), (*READ, "update")),
        Right("", ("persistentvolumeclaims/status",), ("update",)),
        Right("", ("pods",), WATCH),
        Right("", ("nodes",), WATCH),
        Right(STORAGE, ("storageclasses",), WATCH),
        Right("", ("events",), ("create", "patch"), only="to tell people what happens"),
        Right("", ("pods",), ("create", "delete"), only=_RECYCLED),
        Right("", ("events",), ("watch",), only=_RECYCLED),
    ),
    "persistentvolumeclaim-protection-controller": (
        Right("", ("persistentvolumeclaims",), (*READ, "update")),
        Right("", ("pods",), WATCH),
    ),
    "persistentvolume-protection-controller": (Right("", ("persistentvolumes",), (*READ, "update")),),
    "volumeattributesclass-protection-controller": (
        Right(STORAGE, ("volumeattributesclasses",), (*WATCH, "update")),
        Right("", ("persistentvolumes",), WATCH),
        Right("", ("persistentvolumeclaims",), WATCH),
    ),
    "ephemeral-volume-controller": (
        Right("", ("pods",), WATCH),
        Right("", ("persistentvolumeclaims",), (*READ, "create")),
        Right("", ("pods/finalizers",), ("update",), only="where OwnerReferencesPermissionEnforcement is on"),
        Right("", ("events",), ("create", "patch"), only="to tell people what happens"),
    ),
    "persistentvolume-expander-controller": (
        Right("", ("persistentvolumes",), (*READ, "update", "patch")),
        Right("", ("persistentvolumeclaims",), READ),
        Right("", ("persistentvolumeclaims/status",), ("patch",)),
        Right("", ("events",), ("create", "patch"), only="to tell people what happens"),
    ),
}


def rights_of(controllers: Iterable[str]) -> list[Right]:
    """Return the rights of controllers by name; those that are known for none have none here."""
    return [right for name in controllers for right in RIGHTS.get(name, ())]
