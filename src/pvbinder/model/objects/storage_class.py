"""StorageClasses."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from pvbinder.model import names
from pvbinder.model.objects.keys import ClassName
from pvbinder.model.objects.sharing import NOTHING
from pvbinder.model.objects.view import NO_META, ObjectMeta, View, parsed, view_fields


class _ClassObject(Struct, frozen=True, gc=False, rename="camel"):
    metadata: ObjectMeta | None = None
    provisioner: str | None = None
    parameters: dict[str, str] | None = None
    reclaim_policy: str | None = None
    mount_options: tuple[str, ...] | None = None
    allow_volume_expansion: bool | None = None
    volume_binding_mode: str | None = None


class StorageClass(View, frozen=True, kw_only=True):
    """A StorageClass; `volume_binding_mode` of None is an error when it is used (SC-U1)."""

    provisioner: str
    parameters: dict[str, str]
    reclaim_policy: str | None
    mount_options: tuple[str, ...]
    allow_volume_expansion: bool | None
    volume_binding_mode: str | None

    @property
    def key(self) -> ClassName:
        """Its name."""
        return ClassName(self.name)

    @property
    def is_default(self) -> bool:
        """Tell whether it is marked as a default class (DC-2)."""
        return is_marked_default(self.annotations)


def is_marked_default(annotations: Mapping[str, str]) -> bool:
    """Tell whether one of the default annotations is exactly ``true`` (DC-2)."""
    return "true" in (annotations.get(names.DEFAULT_CLASS), annotations.get(names.BETA_DEFAULT_CLASS))


_classes = msgspec.json.Decoder(_ClassObject)


def parse_storage_class(data: bytes) -> StorageClass:
    """Return the StorageClass in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    found = parsed(_classes, data, "StorageClass")
    return StorageClass(
        *view_fields(data, found.metadata or NO_META),
        provisioner=found.provisioner or "",
        parameters=found.parameters or NOTHING,
        reclaim_policy=found.reclaim_policy,
        mount_options=found.mount_options or (),
        allow_volume_expansion=found.allow_volume_expansion,
        volume_binding_mode=found.volume_binding_mode,
    )
