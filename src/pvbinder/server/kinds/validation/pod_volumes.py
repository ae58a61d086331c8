"""The volumes of a pod: names, one source each, claims and templates of claims.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from pvbinder.model.quantity import quantity_of
from pvbinder.server.errors import FieldError, duplicate, forbidden, invalid, required
from pvbinder.server.kinds.validation.claim_specs import validate_claim_spec
from pvbinder.server.kinds.validation.metadata import validate_annotations, validate_labels
from pvbinder.server.kinds.validation.names import check_dns_label, check_dns_subdomain
from pvbinder.server.kinds.validation.volume_sources import (
    SourceCheck,
    validate_csi_driver_name,
    validate_fc,
    validate_host_path,
    validate_iscsi,
    validate_nfs,
)
from pvbinder.server.objects.kind import Json


def validate_pod_volumes(volumes: list[Json], path: str, pod_name: str) -> tuple[dict[str, Json], list[FieldError]]:
    """Check the volumes of a pod; also return those that are right, by name, for mounts to name."""
    errors: list[FieldError] = []
    right: dict[str, Json] = {}
    for index, volume in enumerate(volumes):
        at = f"{path}[{index}]"
        volume_errors = _validate_source(volume, at)
        name = volume.get("name", "")
        if not name:
            volume_errors.append(required(f"{at}.name"))
        else:
            volume_errors += (invalid(f"{at}.name", name, reason) for reason in check_dns_label(name))
            if name in right:
                volume_errors.append(duplicate(f"{at}.name", name))
        if not volume_errors:
            right[name] = volume
        errors += volume_errors
    return right, errors + _refuse_claims_of_templates(volumes, path, pod_name)


def _validate_source(volume: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    found = False
    for field, source in volume.items():
        if field == "name" or source is None:
            continue
        if found:
            errors.append(forbidden(f"{path}.{field}", "may not specify more than 1 volume type"))
            continue
        found = True
        check = _SOURCES.get(field)
        if check is not None:
            errors += check(source, f"{path}.{field}", volume.get("name", ""))
    if not found:
        errors.append(required(path, "must specify a volume type"))
    return errors


def _refuse_claims_of_templates(volumes: list[Json], path: str, pod_name: str) -> list[FieldError]:
    """Refuse a volume that names the claim which another volume's template will make."""
    if not pod_name:
        return []
    made = {f"{pod_name}-{volume.get('name', '')}" for volume in volumes if volume.get("ephemeral") is not None}
    errors: list[FieldError] = []
    for index, volume in enumerate(volumes):
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim in made:
            why = "must not reference a PVC that gets created for an ephemeral volume"
            errors.append(invalid(f"{path}[{index}].persistentVolumeClaim.claimName", claim, why))
    return errors


def _validate_claim(source: Json, path: str, _name: str) -> list[FieldError]:
    return [] if source.get("claimName") else [required(f"{path}.claimName")]


def _validate_ephemeral(source: Json, path: str, _name: str) -> list[FieldError]:
    template = source.get("volumeClaimTemplate")
    at = f"{path}.volumeClaimTemplate"
    if template is None:
        return [required(at)]
    metadata: Json = template.get("metadata") or {}
    errors = validate_annotations(metadata.get("annotations"), f"{at}.metadata.annotations")
    errors += validate_labels(metadata.get("labels"), f"{at}.metadata.labels")
    for field in metadata:
        if field not in ("annotations", "labels"):
            errors.append(forbidden(f"{at}.metadata.{field}", "cannot be set for an ephemeral volume"))
    return errors + validate_claim_spec(template.get("spec") or {}, f"{at}.spec")


def _validate_secret(source: Json, path: str, _name: str) -> list[FieldError]:
    errors = [] if source.get("secretName") else [required(f"{path}.secretName")]
    return errors + _validate_modes(source, path)


def _validate_config_map(source: Json, path: str, _name: str) -> list[FieldError]:
    errors = [] if source.get("name") else [required(f"{path}.name")]
    return errors + _validate_modes(source, path)


def _validate_modes(source: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    mode = source.get("defaultMode")
    if mode is not None and not 0 <= mode <= 0o777:
        why = "must be a number between 0 and 0777 (octal), both inclusive"
        errors.append(invalid(f"{path}.defaultMode", mode, why))
    for index, item in enumerate(source.get("items") or ()):
        errors += (required(f"{path}.items[{index}].{field}") for field in ("key", "path") if not item.get(field))
        if ".." in item.get("path", "").split("/"):
            errors.append(invalid(f"{path}.items[{index}].path", item["path"], "must not contain '..'"))
    return errors


def _validate_empty_dir(source: Json, path: str, _name: str) -> list[FieldError]:
    limit = source.get("sizeLimit")
    if limit is not None and quantity_of(limit).nano < 0:
        return [forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")]
    return []


def _validate_csi(source: Json, path: str, _name: str) -> list[FieldError]:
    errors = validate_csi_driver_name(source.get("driver", ""), f"{path}.driver")
    secret = source.get("nodePublishSecretRef")
    if secret is not None:
        name = secret.get("name", "")
        if not name:
            errors.append(required(f"{path}.nodePublishSecretRef.name"))
        else:
            at = f"{path}.nodePublishSecretRef.name"
            errors += (invalid(at, name, reason) for reason in check_dns_subdomain(name))
    return errors


_SOURCES: dict[str, SourceCheck] = {
    "persistentVolumeClaim": _validate_claim,
    "ephemeral": _validate_ephemeral,
    "secret": _validate_secret,
    "configMap": _validate_config_map,
    "emptyDir": _validate_empty_dir,
    "hostPath": validate_host_path,
    "nfs": validate_nfs,
    "iscsi": validate_iscsi,
    "fc": validate_fc,
    "csi": _validate_csi,
}
