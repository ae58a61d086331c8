"""The storage behind a volume: exactly one source, each with its own rules (PV-6 to PV-13)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from pvbinder.server.errors import FieldError, forbidden, invalid, required, too_long, unsupported
from pvbinder.server.kinds.validation.names import check_dns_label, check_dns_subdomain
from pvbinder.server.objects.kind import Json

SourceCheck: TypeAlias = Callable[[Json, str, str], list[FieldError]]  # the source, its path, the volume's name

_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_AZURE_CACHING = ("None", "ReadOnly", "ReadWrite")
_AZURE_KINDS = ("Dedicated", "Managed", "Shared")
_IQN = re.compile(r"iqn\.\d{4}-\d{2}\.([a-z0-9-.]+)(:([^,;*&$|\s]+)?)?$", re.IGNORECASE)
_EUI = re.compile(r"^eui.[0-9a-fA-F]{16}$")
_NAA = re.compile(r"^naa.[0-9a-fA-F]{32}$")


def validate_source(spec: Json, path: str, volume_name: str) -> list[FieldError]:
    """Check that `spec` has one source and that it is right (PV-6 to PV-13)."""
    errors: list[FieldError] = []
    found = False
    for name, check in SOURCES.items():
        source = spec.get(name)
        if source is None:
            continue
        if found and name != "flexVolume":
            errors.append(forbidden(f"{path}.{name}", "may not specify more than 1 volume type"))
        else:
            found = True
            errors += check(source, f"{path}.{name}", volume_name)
    if not found:
        errors.append(required(path, "must specify a volume type"))
    return errors


def validate_path_without_back_steps(value: str, path: str) -> list[FieldError]:
    """Refuse a path with a ``..`` element (PV-7)."""
    return [invalid(path, value, "must not contain '..'")] if ".." in value.split("/") else []


def validate_host_path(source: Json, path: str, _volume_name: str = "") -> list[FieldError]:
    """PV-7, also for the volumes of pods."""
    value = source.get("path", "")
    if not value:
        return [required(f"{path}.path")]
    errors = validate_path_without_back_steps(value, f"{path}.path")
    kind = source.get("type")
    if kind is not None and kind not in _HOST_PATH_TYPES:
        errors.append(unsupported(f"{path}.type", kind, _HOST_PATH_TYPES))
    return errors


def is_root(host_path: Json) -> bool:
    """Say whether a hostPath means the whole file system (PV-7)."""
    return posixpath.normpath(host_path.get("path", "")) in ("/", "//")


def validate_nfs(source: Json, path: str, _volume_name: str = "") -> list[FieldError]:
    """Check an NFS export: a server and an absolute path (PV-8)."""
    errors = _require(source, path, "server", "path")
    value = source.get("path", "")
    if not posixpath.isabs(value):
        errors.append(invalid(f"{path}.path", value, "must be an absolute path"))
    return errors


def _validate_local(source: Json, path: str, _volume_name: str) -> list[FieldError]:
    """Check a local volume: a path without ``..`` (PV-9)."""
    value = source.get("path", "")
    if not value:
        return [required(f"{path}.path")]
    return validate_path_without_back_steps(value, f"{path}.path")


def validate_csi_driver_name(name: str, path: str) -> list[FieldError]:
    """Check the name of a CSI driver (PV-10)."""
    if not name:
        return [required(path)]
    errors = [too_long(path, 63)] if len(name) > 63 else []
    return errors + [invalid(path, name, reason) for reason in check_dns_subdomain(name.lower())]


def _validate_csi(source: Json, path: str, _volume_name: str) -> list[FieldError]:
    """PV-10; nodeStageSecretRef is not looked at, as in the reference."""
    errors = validate_csi_driver_name(source.get("driver", ""), f"{path}.driver")
    errors += _require(source, path, "volumeHandle")
    for name in (
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ):
        if (secret := source.get(name)) is not None:
            errors += _validate_secret_reference(secret, f"{path}.{name}")
    return errors


def _validate_secret_reference(secret: Json, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field, check in (("name", check_dns_subdomain), ("namespace", check_dns_label)):
        value = secret.get(field, "")
        if not value:
            errors.append(required(f"{path}.{field}"))
        else:
            errors += (invalid(f"{path}.{field}", value, reason) for reason in check(value))
    return errors


def _validate_cinder(source: Json, path: str, _volume_name: str = "") -> list[FieldError]:
    errors = _require(source, path, "volumeID")
    secret = source.get("secretRef")
    return errors if secret is None else errors + _require(secret, f"{path}.secretRef", "name", "namespace")


def validate_iscsi(source: Json, path: str, volume_name: str = "") -> list[FieldError]:
    """Check an iSCSI target: portal, names, LUN and the secret of its sessions (PV-11)."""
    errors = _require(source, path, "targetPortal")
    iqn = source.get("iqn", "")
    if not iqn:
        errors.append(required(f"{path}.iqn"))
    elif not _is_iscsi_name(iqn):
        errors.append(invalid(f"{path}.iqn", iqn, "must be valid format"))
    lun = source.get("lun", 0)
    if not 0 <= lun <= 255:
        errors.append(invalid(f"{path}.lun", lun, "must be between 0 and 255, inclusive"))
    if source.get("chapAuthDiscovery") or source.get("chapAuthSession"):
        secret = source.get("secretRef")
        if secret is None:
            errors.append(required(f"{path}.secretRef"))
        elif not secret.get("name"):
            errors.append(required(f"{path}.secretRef.name"))
    initiator = source.get("initiatorName")
    if initiator is not None:
        together = f"{volume_name}:{source.get('targetPortal', '')}"
        if len(together) > 64:
            why = (
                "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters "
                "if iscsi.initiatorName is specified."
            )
            errors.append(invalid(f"{path}.targetportal", source.get("targetPortal", ""), why))
        if not _is_iscsi_name(initiator):
            errors.append(invalid(f"{path}.initiatorname", initiator, "must be valid format"))
    return errors


def _is_iscsi_name(name: str) -> bool:
    pattern = {"iqn": _IQN, "eui": _EUI, "naa": _NAA}.get(name[:3])
    return pattern is not None and pattern.search(name) is not None


def validate_fc(source: Json, path: str, _volume_name: str = "") -> list[FieldError]:
    """Check a Fibre Channel volume: either WWNs with a LUN, or WWIDs (PV-12)."""
    names, ids = source.get("targetWWNs"), source.get("wwids")
    if not names and not ids:
        return [required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both")]
    if names and ids:
        return [invalid(f"{path}.targetWWNs", names, "targetWWNs and wwids can not be specified simultaneously")]
    if not names:
        return []
    lun = source.get("lun")
    if lun is None:
        return [required(f"{path}.lun", "lun is required if targetWWNs is specified")]
    return [] if 0 <= lun <= 255 else [invalid(f"{path}.lun", lun, "must be between 0 and 255, inclusive")]


def _validate_gce(source: Json, path: str, _volume_name: str = "") -> list[FieldError]:
    return _require(source, path, "pdName") + _check_partition(source, path)


def _validate_ebs(source: Json, path: str, _volume_name: str = "") -> list[FieldError]:
    return _require(source, path, "volumeID") + _check_partition(source, path)


def _check_partition(source: Json, path: str) -> list[FieldError]:
    """Allow 0, which means the whole disk, though the message says otherwise, as in the reference (PV-13)."""
    partition = source.get("partition", 0)
    if 0 <= partition <= 255:
        return []
    return [invalid(f"{path}.partition", partition, "must be between 1 and 255, inclusive")]


def _validate_glusterfs(source: Json, path: str, _volume_name: str) -> list[FieldError]:
    errors = _require(source, path, "endpoints", "path")
    namespace = source.get("endpointsNamespace")
    if namespace == "":
        why = "if the endpointnamespace is set, it must be a valid namespace name"
        errors.append(invalid(f"{path}.endpointsNamespace", namespace, why))
    elif namespace is not None:
        reasons = check_dns_label(namespace)
        errors += (invalid(f"{path}.endpointsNamespace", namespace, reason) for reason in reasons)
    return errors


def _validate_flocker(source: Json, path: str, _volume_name: str) -> list[FieldError]:
    name, uuid = source.get("datasetName", ""), source.get("datasetUUID", "")
    if not name and not uuid:
        return [required(path, "one of datasetName and datasetUUID is required")]
    errors: list[FieldError] = []
    if name and uuid:
        errors.append(invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
    if "/" in name:
        errors.append(invalid(f"{path}.datasetName", name, "must not contain '/'"))
    return errors


def _validate_quobyte(source: Json, path: str, _volume_name: str) -> list[FieldError]:
    errors: list[FieldError] = []
    registry = source.get("registry", "")
    if not registry:
        errors.append(required(f"{path}.registry", "must be a host:port pair or multiple pairs separated by commas"))
    elif len(source.get("tenant", "")) >= 65:
        errors.append(required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters"))
    else:
        for pair in registry.split(","):
            if ":" not in pair:
                why = "must be a host:port pair or multiple pairs separated by commas"
                errors.append(invalid(f"{path}.registry", registry, why))
    return errors + _require(source, path, "volume")


def _validate_azure_file(source: Json, path: str, _volume_name: str) -> list[FieldError]:
    errors = _require(source, path, "secretName", "shareName")
    if source.get("secretNamespace") == "":
        errors.append(required(f"{path}.secretNamespace"))
    return errors


def _validate_azure_disk(source: Json, path: str, _volume_name: str) -> list[FieldError]:
    errors = _require(source, path, "diskName", "diskURI")
    caching, kind, uri = source.get("cachingMode"), source.get("kind"), source.get("diskURI", "")
    if caching is not None and caching not in _AZURE_CACHING:
        errors.append(unsupported(f"{path}.cachingMode", caching, _AZURE_CACHING))
    if kind is not None and kind not in _AZURE_KINDS:
        errors.append(unsupported(f"{path}.kind", kind, _AZURE_KINDS))
    if kind == "Managed" and not uri.startswith("/subscriptions"):
        known = ("/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",)
        errors.append(unsupported(f"{path}.diskURI", uri, known))
    elif kind is not None and kind != "Managed" and not uri.startswith("https://"):
        known = ("https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",)
        errors.append(unsupported(f"{path}.diskURI", uri, known))
    return errors


def _validate_scale_io(source: Json, path: str, _volume_name: str) -> list[FieldError]:
    return _require(source, path, "gateway", "system", "volumeName")


def _validate_storage_os(source: Json, path: str, _volume_name: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("volumeName", "volumeNamespace"):
        value = source.get(field, "")
        if value:
            errors += (invalid(f"{path}.{field}", value, reason) for reason in check_dns_label(value))
        elif field == "volumeName":
            errors.append(required(f"{path}.{field}"))
    secret = source.get("secretRef")
    if secret is not None:
        for field in ("name", "namespace"):
            if not secret.get(field):
                errors.append(required(f"{path}.secretRef.{field}"))
    return errors


def _validate_flex(source: Json, path: str, _volume_name: str) -> list[FieldError]:
    errors = _require(source, path, "driver")
    for key in source.get("options") or {}:
        namespace = key.lower().split("/")[0] if "/" in key else ""
        if f".{namespace}".endswith((".kubernetes.io", ".k8s.io")):
            why = "kubernetes.io and k8s.io namespaces are reserved"
            errors.append(invalid(f"{path}.options[{key}]", key, why))
    return errors


def _requiring(*fields: str) -> SourceCheck:
    def check(source: Json, path: str, _volume_name: str) -> list[FieldError]:
        return _require(source, path, *fields)

    return check


def _require(source: Json, path: str, *fields: str) -> list[FieldError]:
    return [required(f"{path}.{field}") for field in fields if not source.get(field)]


SOURCES: Mapping[str, SourceCheck] = {  # in the order in which the reference looks at them
    "hostPath": validate_host_path,
    "gcePersistentDisk": lambda source, path, name: _validate_gce(source, _persistent_disk(path), name),
    "awsElasticBlockStore": _validate_ebs,
    "glusterfs": _validate_glusterfs,
    "flocker": _validate_flocker,
    "nfs": validate_nfs,
    "rbd": _requiring("monitors", "image"),
    "quobyte": _validate_quobyte,
    "cephfs": _requiring("monitors"),
    "iscsi": validate_iscsi,
    "cinder": _validate_cinder,
    "fc": validate_fc,
    "flexVolume": _validate_flex,
    "azureFile": _validate_azure_file,
    "vsphereVolume": _requiring("volumePath"),
    "photonPersistentDisk": _requiring("pdID"),
    "portworxVolume": _requiring("volumeID"),
    "azureDisk": _validate_azure_disk,
    "scaleIO": _validate_scale_io,
    "local": _validate_local,
    "storageos": _validate_storage_os,
    "csi": _validate_csi,
}


def _persistent_disk(path: str) -> str:
    """Return the path the reference gives for a disk of Google, which is not the field's name (PV-13)."""
    return path.removesuffix("gcePersistentDisk") + "persistentDisk"
