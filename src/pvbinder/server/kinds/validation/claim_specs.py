"""The spec of a claim, in claims and in the templates of pods and stateful sets (VC-1 to VC-6)."""

from __future__ import annotations

from pvbinder.server.errors import FieldError, invalid, required, unsupported
from pvbinder.server.kinds.validation.access_modes import validate_access_modes
from pvbinder.server.kinds.validation.names import check_dns_label, check_dns_subdomain
from pvbinder.server.kinds.validation.quantities import canonical_quantities, check_positive
from pvbinder.server.kinds.validation.selectors import validate_label_selector
from pvbinder.server.objects.kind import Json, drop_empty

_VOLUME_MODES = ("Block", "Filesystem")


def complete_claim_spec(spec: Json) -> None:
    """Fill in the volume mode and bring quantities into their canonical form (CD-1)."""
    if spec.get("volumeMode") is None:
        spec["volumeMode"] = "Filesystem"
    drop_empty(spec, "volumeName")
    resources = spec.get("resources")
    if resources is None:
        spec["resources"] = {}
    else:
        if resources.get("requests"):  # empty ones are refused, in their own words
            canonical_quantities(resources, "requests")
        if "limits" in resources:
            canonical_quantities(resources, "limits")


def validate_claim_spec(spec: Json, path: str) -> list[FieldError]:
    """Check the spec of a claim (VC-1 to VC-6)."""
    errors: list[FieldError] = []
    modes = spec.get("accessModes")
    if not modes:
        errors.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    if spec.get("selector") is not None:
        errors += validate_label_selector(spec["selector"], f"{path}.selector")
    if modes:
        errors += validate_access_modes(modes, f"{path}.accessModes")
    requests = (spec.get("resources") or {}).get("requests") or {}
    if "storage" not in requests:
        errors.append(required(f"{path}.resources[storage]"))
    else:
        errors += check_positive(requests["storage"], f"{path}.resources[storage]")
    errors += _validate_class(spec, path, "storageClassName")
    mode = spec.get("volumeMode")
    if mode is not None and mode not in _VOLUME_MODES:
        errors.append(unsupported(f"{path}.volumeMode", mode, _VOLUME_MODES))
    return errors + _validate_data_sources(spec, path) + _validate_class(spec, path, "volumeAttributesClassName")


def _validate_class(spec: Json, path: str, field: str) -> list[FieldError]:
    """VC-4: a class that is set and not empty."""
    name = spec.get(field)
    return [invalid(f"{path}.{field}", name, reason) for reason in check_dns_subdomain(name)] if name else []


def _validate_data_sources(spec: Json, path: str) -> list[FieldError]:
    """Check both data sources, and that they name the same object if both are set (VC-5, VC-6)."""
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    errors: list[FieldError] = []
    if source is not None:
        errors += _validate_data_source(source, f"{path}.dataSource")
    if reference is not None:
        errors += _validate_data_source(reference, f"{path}.dataSourceRef")
        namespace = reference.get("namespace")
        if namespace:
            reasons = check_dns_label(namespace)
            errors += (invalid(f"{path}.dataSourceRef.namespace", namespace, reason) for reason in reasons)
            if source is not None:
                errors.append(invalid(path, {}, "may not be specified when dataSourceRef.namespace is specified"))
            return errors
    if source is not None and reference is not None and not _same_source(source, reference):
        errors.append(invalid(path, {}, "must match dataSourceRef"))
    return errors


def _validate_data_source(source: Json, path: str) -> list[FieldError]:
    errors = [required(f"{path}.{field}") for field in ("name", "kind") if not source.get(field)]
    group, kind = source.get("apiGroup") or "", source.get("kind", "")
    if not group and kind != "PersistentVolumeClaim":
        errors.append(invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
    if group:
        errors += (invalid(f"{path}.apiGroup", group, reason) for reason in check_dns_subdomain(group))
    return errors


def _same_source(source: Json, reference: Json) -> bool:
    return all(source.get(field) == reference.get(field) for field in ("apiGroup", "kind", "name"))
