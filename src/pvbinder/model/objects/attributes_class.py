"""VolumeAttributesClasses."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from pvbinder.model.objects.keys import AttributesClassName
from pvbinder.model.objects.sharing import NOTHING
from pvbinder.model.objects.view import NO_META, ObjectMeta, View, parsed, view_fields


class _AttributesClassObject(Struct, frozen=True, gc=False, rename="camel"):
    metadata: ObjectMeta | None = None
    driver_name: str | None = None
    parameters: dict[str, str] | None = None


class VolumeAttributesClass(View, frozen=True, kw_only=True):
    """A VolumeAttributesClass."""

    driver_name: str
    parameters: dict[str, str]

    @property
    def key(self) -> AttributesClassName:
        """Its name."""
        return AttributesClassName(self.name)


_attributes_classes = msgspec.json.Decoder(_AttributesClassObject)


def parse_volume_attributes_class(data: bytes) -> VolumeAttributesClass:
    """Return the VolumeAttributesClass in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    found = parsed(_attributes_classes, data, "VolumeAttributesClass")
    common = view_fields(data, found.metadata or NO_META)
    return VolumeAttributesClass(*common, driver_name=found.driver_name or "", parameters=found.parameters or NOTHING)
