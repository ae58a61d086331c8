"""The volumes of a pod: names, one source each, claims and templates of claims.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from pvbinder.model.quantity import quantity_of
from pvbinder.server.errors import FieldError, duplicate, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.validation.claim_specs import validate_claim_spec
from pvbinder.server.kinds.validation.metadata import validate_annotations, validate_labels
from pvbinder.server.kinds.validation.names import check_dns_label, check_dns_subdomain
from pvbinder.server.kinds.validation.paths import has_backsteps
from pvbinder.server.kinds.validation.volume_files import (
    validate_config_map,
    validate_downward,
    validate_projected,
    validate_secret,
)
from pvbinder.server.kinds.validation.volume_sources import (
    SOURCES,
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
        volume_errors = _validate_source(volume, at, pod_name, is_pod=bool(pod_name))
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


def _validate_source(volume: Json, path: str, pod_name: str, *, is_pod: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    found = False
    name = volume.get("name", "")
    for field, check in _SOURCES.items():
        source = volume.get(field)
        if source is None:
            continue
        if found:
            errors.append(forbidden(f"{path}.{_SHOWN_AS.get(field, field)}", "may not specify more than 1 volume type"))
            continue
        found = True
        errors += check(source, f"{path}.{field}", name)
        if field == "ephemeral" and pod_name and name:
            claim = f"{pod_name}-{name}"
            reasons = check_dns_subdomain(claim)
            errors += (invalid(f"{path}.name", name, f'PVC name "{claim}": {reason}') for reason in reasons)
        if field == "image" and is_pod and not source.get("reference"):
            errors.append(required(f"{path}.image.reference"))
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
            errors.append(forbidden(f"{at}.metadata.{field}", "cannot be set"))
    return errors + validate_claim_spec(template.get("spec") or {}, f"{at}.spec")


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
            at = f"{path}.name"  # sic
            errors += (invalid(at, name, reason) for reason in check_dns_subdomain(name))
    return errors


def _validate_git(source: Json, path: str, _name: str) -> list[FieldError]:
    errors = [] if source.get("repository") else [required(f"{path}.repository")]
    directory = source.get("directory", "")
    if directory.startswith("/"):
        errors.append(invalid(f"{path}.directory", directory, "must be a relative path"))
    if has_backsteps(directory):
        errors.append(invalid(f"{path}.directory", directory, "must not contain '..'"))
    return errors


def _validate_image(source: Json, path: str, _name: str) -> list[FieldError]:
    policy = source.get("pullPolicy")
    return [] if policy in _PULL_POLICIES else [unsupported(f"{path}.pullPolicy", policy, _PULL_POLICIES)]


def _validate_azure_file(source: Json, path: str, _name: str) -> list[FieldError]:
    return [required(f"{path}.{field}") for field in ("secretName", "shareName") if not source.get(field)]


def _validate_storage_os(source: Json, path: str, _name: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("volumeName", "volumeNamespace"):
        value = source.get(field)
        if value:
            errors += (invalid(f"{path}.{field}", value, reason) for reason in check_dns_label(value))
        elif field == "volumeName":
            errors.append(required(f"{path}.volumeName"))
    return errors + _validate_secret_name(source, path)


def _validate_cinder(source: Json, path: str, name: str) -> list[FieldError]:
    errors = [] if source.get("volumeID") else [required(f"{path}.volumeID")]
    return errors + _validate_secret_name(source, path)


def _validate_secret_name(source: Json, path: str) -> list[FieldError]:
    secret = source.get("secretRef")
    return [] if secret is None or secret.get("name") else [required(f"{path}.secretRef.name")]


_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_SHOWN_AS = {"downwardAPI": "downwarAPI", "cephfs": "cephFS"}  # sic, where there is another
_SOURCES: dict[str, SourceCheck] = {  # in the order in which the reference looks at them
    "emptyDir": _validate_empty_dir,
    "hostPath": validate_host_path,
    "gitRepo": _validate_git,
    "gcePersistentDisk": SOURCES["gcePersistentDisk"],
    "awsElasticBlockStore": SOURCES["awsElasticBlockStore"],
    "secret": validate_secret,
    "nfs": validate_nfs,
    "iscsi": validate_iscsi,
    "glusterfs": SOURCES["glusterfs"],
    "flocker": SOURCES["flocker"],
    "persistentVolumeClaim": _validate_claim,
    "rbd": SOURCES["rbd"],
    "cinder": _validate_cinder,
    "cephfs": SOURCES["cephfs"],
    "quobyte": SOURCES["quobyte"],
    "downwardAPI": validate_downward,
    "fc": validate_fc,
    "flexVolume": SOURCES["flexVolume"],
    "configMap": validate_config_map,
    "azureFile": _validate_azure_file,
    "vsphereVolume": SOURCES["vsphereVolume"],
    "photonPersistentDisk": SOURCES["photonPersistentDisk"],
    "portworxVolume": SOURCES["portworxVolume"],
    "azureDisk": SOURCES["azureDisk"],
    "storageos": _validate_storage_os,
    "projected": validate_projected,
    "scaleIO": SOURCES["scaleIO"],
    "csi": _validate_csi,
    "ephemeral": _validate_ephemeral,
    "image": _validate_image,
}
