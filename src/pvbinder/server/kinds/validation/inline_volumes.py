"""The volume that a VolumeAttachment describes in place of naming one: a volume of CSI, without what binding needs."""

from __future__ import annotations

from pvbinder.server.errors import FieldError, forbidden, required
from pvbinder.server.kinds.validation.access_modes import validate_access_modes
from pvbinder.server.kinds.validation.volume_sources import validate_source
from pvbinder.server.objects.kind import Json

_INLINE = "in the context of inline volumes"
_NOT_HERE = f"may not be specified {_INLINE}"


def validate_inline_volume(spec: Json, path: str) -> list[FieldError]:
    """Check the spec of a volume that is described inline."""
    errors = [forbidden(f"{path}.claimRef", _NOT_HERE)] if spec.get("claimRef") is not None else []
    if spec.get("capacity"):
        errors.append(forbidden(f"{path}.capacity", _NOT_HERE))
    if spec.get("csi") is None:
        errors.append(required(f"{path}.csi", f"has to be specified {_INLINE}"))
    if modes := spec.get("accessModes"):
        errors += validate_access_modes(modes, f"{path}.accessModes")
    else:
        errors.append(required(f"{path}.accessModes"))
    if spec.get("persistentVolumeReclaimPolicy") not in (None, "", "Retain"):
        errors.append(forbidden(f"{path}.persistentVolumeReclaimPolicy", f"may only be Retain {_INLINE}"))
    if spec.get("nodeAffinity") is not None:
        errors.append(forbidden(f"{path}.nodeAffinity", _NOT_HERE))
    errors += validate_source(spec, path, "")
    if spec.get("local") is not None:
        errors.append(required(f"{path}.nodeAffinity", "Local volume requires node affinity"))
    if spec.get("storageClassName"):
        errors.append(forbidden(f"{path}.storageClassName", _NOT_HERE))
    if spec.get("volumeMode") not in (None, "Filesystem"):
        errors.append(forbidden(f"{path}.volumeMode", f"may not specify volumeMode other than Filesystem {_INLINE}"))
    return errors
