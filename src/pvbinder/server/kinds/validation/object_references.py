"""References to objects of other kinds, by API version, kind and name."""

from __future__ import annotations

from pvbinder.server.errors import FieldError, invalid, required
from pvbinder.server.kinds.validation.names import check_path_segment
from pvbinder.server.objects.kind import Json


def validate_scaled_object(
    reference: Json, path: str, *, any_version: bool = False, any_group: bool = False
) -> list[FieldError]:
    """Check what is scaled or measured; with `any_group` it may be of the core group, or of none that is known."""
    errors: list[FieldError] = []
    for field in ("kind", "name"):
        value = reference.get(field, "")
        if not value:
            errors.append(required(f"{path}.{field}"))
        errors += (invalid(f"{path}.{field}", value, reason) for reason in check_path_segment(value))
    why = "" if any_version else why_no_api_version(reference, any_group=any_group)
    if why:
        errors.append(invalid(f"{path}.apiVersion", reference.get("apiVersion", ""), why))
    return errors


def why_no_api_version(reference: Json, *, any_group: bool) -> str:
    """Say why the API version of a reference is none; "" if it is one."""
    version = reference.get("apiVersion", "")
    if version != "/" and version.count("/") > 1:
        return f"unexpected GroupVersion string: {version}"
    return "" if any_group or (version.partition("/")[0] and "/" in version) else "apiVersion must specify API group"
