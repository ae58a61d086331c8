"""Any object, seen as an owner or as a dependent: only the fields that the garbage collector needs.

These views don't keep the object's JSON: there is one for every object of a cluster.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from pvbinder.model.objects import IdentityMeta

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"


class Owner(Struct, frozen=True, rename="camel"):
    """One owner of an object, as the object names it."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None

    @property
    def group(self) -> str:
        """The group of the owner's kind."""
        group, slash, _ = self.api_version.rpartition("/")
        return group if slash else ""


class Owned(Struct, frozen=True):
    """An object's place among owners and dependents."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    owners: tuple[Owner, ...]
    finalizers: tuple[str, ...]
    is_deleting: bool
    raw: bytes = b""

    @property
    def key(self) -> str:
        """Its namespace and name, or its name."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def orphans_dependents(self) -> bool:
        """Tell whether it is being deleted and its dependents are to be kept (DE-5)."""
        return self.is_deleting and ORPHAN in self.finalizers

    @property
    def waits_for_dependents(self) -> bool:
        """Tell whether it is being deleted and its blocking dependents go first (DE-5)."""
        return self.is_deleting and FOREGROUND in self.finalizers


class _Meta(IdentityMeta, frozen=True):
    owner_references: tuple[Owner, ...] | None = None
    finalizers: tuple[str, ...] | None = None
    deletion_timestamp: str | None = None


class _Object(Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


_objects = msgspec.json.Decoder(_Object)


def parse_owned(data: bytes) -> Owned:
    """Return the object in `data` as owner and owned; raises `msgspec.DecodeError` if it is none."""
    meta = _objects.decode(data).metadata
    return Owned(
        meta.name or "",
        meta.namespace or "",
        meta.uid or "",
        meta.resource_version or "",
        meta.owner_references or (),
        meta.finalizers or (),
        meta.deletion_timestamp is not None,
    )
