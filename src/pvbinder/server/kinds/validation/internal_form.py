"""How the reference holds objects inside, where that can be seen: in what it says about what it refuses (PU-1, VU-1).

The message of a refused change ends in a unified diff of the old and the new object as the reference's own structures
print them: their field names, in their order, every field shown. So are structures that a message quotes. The tables
here say, for each structure, which field of the API it comes from; a value that is itself a structure names that one's
table.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pvbinder.server.objects.kind import Json

Show: TypeAlias = Callable[[Any], Any]
Zero: TypeAlias = str | bool | int | None  # what stands for a field that isn't set
InternalField: TypeAlias = "Inner | Show | Zero"
InternalFields: TypeAlias = Mapping[str, tuple[str, InternalField]]  # inner name: (API field, how it is shown)


@dataclass(frozen=True, slots=True)
class Inner:
    """A field that is itself a structure, or with `many` a list of them.

    A `pointer` (like a list) is null when it is not set, others are shown with zero values.
    """

    structure: InternalFields
    pointer: bool = True
    many: bool = False


_SECRET = Inner({"Name": ("name", ""), "Namespace": ("namespace", "")})
OBJECT_REFERENCE: InternalFields = {
    "Kind": ("kind", ""),
    "Namespace": ("namespace", ""),
    "Name": ("name", ""),
    "UID": ("uid", ""),
    "APIVersion": ("apiVersion", ""),
    "ResourceVersion": ("resourceVersion", ""),
    "FieldPath": ("fieldPath", ""),
}
_READ_ONLY = ("readOnly", False)
_FS_TYPE = ("fsType", "")

_CONTEXT_LINES = 3  # lines shown around what differs
_LINES_MAX = 2000  # of both sides together, up to which the shortest diff is looked for

PERSISTENT_VOLUME_SOURCE: Mapping[str, tuple[str, Inner]] = {
    "GCEPersistentDisk": (
        "gcePersistentDisk",
        Inner({"PDName": ("pdName", ""), "FSType": _FS_TYPE, "Partition": ("partition", 0), "ReadOnly": _READ_ONLY}),
    ),
    "AWSElasticBlockStore": (
        "awsElasticBlockStore",
        Inner(
            {"VolumeID": ("volumeID", ""), "FSType": _FS_TYPE, "Partition": ("partition", 0), "ReadOnly": _READ_ONLY}
        ),
    ),
    "HostPath": ("hostPath", Inner({"Path": ("path", ""), "Type": ("type", None)})),
    "Glusterfs": (
        "glusterfs",
        Inner(
            {
                "EndpointsName": ("endpoints", ""),
                "Path": ("path", ""),
                "ReadOnly": _READ_ONLY,
                "EndpointsNamespace": ("endpointsNamespace", None),
            }
        ),
    ),
    "NFS": ("nfs", Inner({"Server": ("server", ""), "Path": ("path", ""), "ReadOnly": _READ_ONLY})),
    "RBD": (
        "rbd",
        Inner(
            {
                "CephMonitors": ("monitors", None),
                "RBDImage": ("image", ""),
                "FSType": _FS_TYPE,
                "RBDPool": ("pool", ""),
                "RadosUser": ("user", ""),
                "Keyring": ("keyring", ""),
                "SecretRef": ("secretRef", _SECRET),
                "ReadOnly": _READ_ONLY,
            }
        ),
    ),
    "Quobyte": (
        "quobyte",
        Inner(
            {
                "Registry": ("registry", ""),
                "Volume": ("volume", ""),
                "ReadOnly": _READ_ONLY,
                "User": ("user", ""),
                "Group": ("group", ""),
                "Tenant": ("tenant", ""),
            }
        ),
    ),
    "ISCSI": (
        "iscsi",
        Inner(
            {
                "TargetPortal": ("targetPortal", ""),
                "IQN": ("iqn", ""),
                "Lun": ("lun", 0),
                "ISCSIInterface": ("iscsiInterface", ""),
                "FSType": _FS_TYPE,
                "ReadOnly": _READ_ONLY,
                "Portals": ("portals", None),
                "DiscoveryCHAPAuth": ("chapAuthDiscovery", False),
                "SessionCHAPAuth": ("chapAuthSession", False),
                "SecretRef": ("secretRef", _SECRET),
                "InitiatorName": ("initiatorName", None),
            }
        ),
    ),
    "FlexVolume": (
        "flexVolume",
        Inner(
            {
                "Driver": ("driver", ""),
                "FSType": _FS_TYPE,
                "SecretRef": ("secretRef", _SECRET),
                "ReadOnly": _READ_ONLY,
                "Options": ("options", None),
            }
        ),
    ),
    "Cinder": (
        "cinder",
        Inner(
            {
                "VolumeID": ("volumeID", ""),
                "FSType": _FS_TYPE,
                "ReadOnly": _READ_ONLY,
                "SecretRef": ("secretRef", _SECRET),
            }
        ),
    ),
    "CephFS": (
        "cephfs",
        Inner(
            {
                "Monitors": ("monitors", None),
                "Path": ("path", ""),
                "User": ("user", ""),
                "SecretFile": ("secretFile", ""),
                "SecretRef": ("secretRef", _SECRET),
                "ReadOnly": _READ_ONLY,
            }
        ),
    ),
    "FC": (
        "fc",
        Inner(
            {
                "TargetWWNs": ("targetWWNs", None),
                "Lun": ("lun", None),
                "FSType": _FS_TYPE,
                "ReadOnly": _READ_ONLY,
                "WWIDs": ("wwids", None),
            }
        ),
    ),
    "Flocker": ("flocker", Inner({"DatasetName": ("datasetName", ""), "DatasetUUID": ("datasetUUID", "")})),
    "AzureFile": (
        "azureFile",
        Inner(
            {
                "SecretName": ("secretName", ""),
                "ShareName": ("shareName", ""),
                "ReadOnly": _READ_ONLY,
                "SecretNamespace": ("secretNamespace", None),
            }
        ),
    ),
    "VsphereVolume": (
        "vsphereVolume",
        Inner(
            {
                "VolumePath": ("volumePath", ""),
                "FSType": _FS_TYPE,
                "StoragePolicyName": ("storagePolicyName", ""),
                "StoragePolicyID": ("storagePolicyID", ""),
            }
        ),
    ),
    "AzureDisk": (
        "azureDisk",
        Inner(
            {
                "DiskName": ("diskName", ""),
                "DataDiskURI": ("diskURI", ""),
                "CachingMode": ("cachingMode", None),
                "FSType": ("fsType", None),
                "ReadOnly": ("readOnly", None),
                "Kind": ("kind", None),
            }
        ),
    ),
    "PhotonPersistentDisk": ("photonPersistentDisk", Inner({"PdID": ("pdID", ""), "FSType": _FS_TYPE})),
    "PortworxVolume": (
        "portworxVolume",
        Inner({"VolumeID": ("volumeID", ""), "FSType": _FS_TYPE, "ReadOnly": _READ_ONLY}),
    ),
    "ScaleIO": (
        "scaleIO",
        Inner(
            {
                "Gateway": ("gateway", ""),
                "System": ("system", ""),
                "SecretRef": ("secretRef", _SECRET),
                "SSLEnabled": ("sslEnabled", False),
                "ProtectionDomain": ("protectionDomain", ""),
                "StoragePool": ("storagePool", ""),
                "StorageMode": ("storageMode", ""),
                "VolumeName": ("volumeName", ""),
                "FSType": _FS_TYPE,
                "ReadOnly": _READ_ONLY,
            }
        ),
    ),
    "Local": ("local", Inner({"Path": ("path", ""), "FSType": ("fsType", None)})),
    "StorageOS": (
        "storageos",
        Inner(
            {
                "VolumeName": ("volumeName", ""),
                "VolumeNamespace": ("volumeNamespace", ""),
                "FSType": _FS_TYPE,
                "ReadOnly": _READ_ONLY,
                "SecretRef": ("secretRef", Inner(OBJECT_REFERENCE)),
            }
        ),
    ),
    "CSI": (
        "csi",
        Inner(
            {
                "Driver": ("driver", ""),
                "VolumeHandle": ("volumeHandle", ""),
                "ReadOnly": _READ_ONLY,
                "FSType": _FS_TYPE,
                "VolumeAttributes": ("volumeAttributes", None),
                "ControllerPublishSecretRef": ("controllerPublishSecretRef", _SECRET),
                "NodeStageSecretRef": ("nodeStageSecretRef", _SECRET),
                "NodePublishSecretRef": ("nodePublishSecretRef", _SECRET),
                "ControllerExpandSecretRef": ("controllerExpandSecretRef", _SECRET),
                "NodeExpandSecretRef": ("nodeExpandSecretRef", _SECRET),
            }
        ),
    ),
}


def _label_selector(selector: Json | None) -> Json | None:
    """Show a label selector, whose fields keep their names and are left out when empty."""
    if selector is None:
        return None
    shown: Json = {}
    for name in ("matchLabels", "matchExpressions"):
        if selector.get(name):
            shown[name] = _sorted(selector[name])
    return shown


_DATA_SOURCE: InternalFields = {"APIGroup": ("apiGroup", None), "Kind": ("kind", ""), "Name": ("name", "")}

PERSISTENT_VOLUME_CLAIM_SPEC: InternalFields = {
    "AccessModes": ("accessModes", None),
    "Selector": ("selector", _label_selector),
    "Resources": ("resources", Inner({"Limits": ("limits", None), "Requests": ("requests", None)}, pointer=False)),
    "VolumeName": ("volumeName", ""),
    "StorageClassName": ("storageClassName", None),
    "VolumeMode": ("volumeMode", None),
    "DataSource": ("dataSource", Inner(_DATA_SOURCE)),
    "DataSourceRef": ("dataSourceRef", Inner({**_DATA_SOURCE, "Namespace": ("namespace", None)})),
    "VolumeAttributesClassName": ("volumeAttributesClassName", None),
}

_NODE_REQUIREMENT: InternalFields = {"Key": ("key", ""), "Operator": ("operator", ""), "Values": ("values", None)}
_NODE_TERM: InternalFields = {
    "MatchExpressions": ("matchExpressions", Inner(_NODE_REQUIREMENT, many=True)),
    "MatchFields": ("matchFields", Inner(_NODE_REQUIREMENT, many=True)),
}

VOLUME_NODE_AFFINITY: InternalFields = {
    "Required": ("required", Inner({"NodeSelectorTerms": ("nodeSelectorTerms", Inner(_NODE_TERM, many=True))}))
}

VOLUME_ATTACHMENT_SPEC: InternalFields = {
    "Attacher": ("attacher", ""),
    "Source": (
        "source",
        Inner(
            {
                "PersistentVolumeName": ("persistentVolumeName", None),
                "InlineVolumeSpec": ("inlineVolumeSpec", None),
            },
            pointer=False,
        ),
    ),
    "NodeName": ("nodeName", ""),
}

CSI_NODE_DRIVER: InternalFields = {
    "Name": ("name", ""),
    "NodeID": ("nodeID", ""),
    "TopologyKeys": ("topologyKeys", None),
    "Allocatable": ("allocatable", Inner({"Count": ("count", None)})),
}

TAINT: InternalFields = {
    "Key": ("key", ""),
    "Value": ("value", ""),
    "Effect": ("effect", ""),
    "TimeAdded": ("timeAdded", None),
}

TOLERATION: InternalFields = {
    "Key": ("key", ""),
    "Operator": ("operator", ""),
    "Value": ("value", ""),
    "Effect": ("effect", ""),
    "TolerationSeconds": ("tolerationSeconds", None),
}

SECCOMP_PROFILE: InternalFields = {"Type": ("type", ""), "LocalhostProfile": ("localhostProfile", None)}
SECURITY_CONTEXT: InternalFields = {
    "Capabilities": ("capabilities", Inner({"Add": ("add", None), "Drop": ("drop", None)})),
    "Privileged": ("privileged", None),
    "SELinuxOptions": (
        "seLinuxOptions",
        Inner({"User": ("user", ""), "Role": ("role", ""), "Type": ("type", ""), "Level": ("level", "")}),
    ),
    "WindowsOptions": (
        "windowsOptions",
        Inner(
            {
                "GMSACredentialSpecName": ("gmsaCredentialSpecName", None),
                "GMSACredentialSpec": ("gmsaCredentialSpec", None),
                "RunAsUserName": ("runAsUserName", None),
                "HostProcess": ("hostProcess", None),
            }
        ),
    ),
    "RunAsUser": ("runAsUser", None),
    "RunAsGroup": ("runAsGroup", None),
    "RunAsNonRoot": ("runAsNonRoot", None),
    "ReadOnlyRootFilesystem": ("readOnlyRootFilesystem", None),
    "AllowPrivilegeEscalation": ("allowPrivilegeEscalation", None),
    "ProcMount": ("procMount", None),
    "SeccompProfile": ("seccompProfile", Inner(SECCOMP_PROFILE)),
    "AppArmorProfile": ("appArmorProfile", Inner(SECCOMP_PROFILE)),
}
POD_RESOURCE_CLAIM: InternalFields = {
    "Name": ("name", ""),
    "ResourceClaimName": ("resourceClaimName", None),
    "ResourceClaimTemplateName": ("resourceClaimTemplateName", None),
}

VOLUME_SOURCE_FIELDS = tuple(api_name for api_name, _ in PERSISTENT_VOLUME_SOURCE.values())

_ALWAYS_SHOWN = frozenset({"lun"})  # fields that the API shows even when they are zero

# For each source the fields that the API leaves out when they are empty: those whose zero value is not null, and the
# lists and mappings.
LEFT_OUT_OF_SOURCES: Mapping[str, tuple[str, ...]] = {
    source: tuple(
        api_name
        for api_name, zero in form.structure.values()
        if (zero is not None and not isinstance(zero, Inner) and api_name not in _ALWAYS_SHOWN)
        or api_name in ("monitors", "portals", "options", "targetWWNs", "wwids", "volumeAttributes")
    )
    for source, form in PERSISTENT_VOLUME_SOURCE.values()
}
OBJECT_REFERENCE_FIELDS = tuple(api_name for api_name, _ in OBJECT_REFERENCE.values())


def diff_of(structure: InternalFields, old: Json, new: Json) -> str:
    """Show what differs between two objects, as the reference shows it inside a message (PU-1, VU-1)."""
    return diff_of_json(inner_form(structure, old), inner_form(structure, new))


def diff_of_json(old: Json | list[Json], new: Json | list[Json]) -> str:
    """Show what differs between two objects as a unified diff of their text, indented by one space.

    Large objects are compared at their ends only, which takes no more time than reading them.
    """
    before, after = (json.dumps(obj, indent=1, ensure_ascii=False).split("\n") for obj in (old, new))
    if len(before) + len(after) > _LINES_MAX:
        lines = _diff_of_ends(before, after)
    else:
        lines = list(difflib.unified_diff(before, after, lineterm="", n=_CONTEXT_LINES))[2:]
    return "".join(f"{line}\n" for line in lines)


def _diff_of_ends(before: list[str], after: list[str]) -> list[str]:
    """Make one hunk of everything between the first and the last line that differ."""
    shorter = min(len(before), len(after))
    start = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    end = next((at for at in range(shorter - start) if before[-1 - at] != after[-1 - at]), shorter - start)
    removed, added = before[start : len(before) - end], after[start : len(after) - end]
    head = before[max(0, start - _CONTEXT_LINES) : start]
    tail = before[len(before) - end : len(before) - end + _CONTEXT_LINES]
    context = len(head) + len(tail)
    first = start - len(head) + 1
    return [
        f"@@ -{first},{len(removed) + context} +{first},{len(added) + context} @@",
        *(f" {line}" for line in head),
        *(f"-{line}" for line in removed),
        *(f"+{line}" for line in added),
        *(f" {line}" for line in tail),
    ]


def inner_form(structure: InternalFields, obj: Json) -> Json:
    """Return `obj` with the names, the order and the zero values that `structure` has for its fields."""
    shown: Json = {}
    for inner_name, (api_name, form) in structure.items():
        value = obj.get(api_name)
        if isinstance(form, Inner):
            if value is None and form.pointer:
                shown[inner_name] = None
            elif form.many:
                shown[inner_name] = [inner_form(form.structure, entry) for entry in value or ()]
            else:
                shown[inner_name] = inner_form(form.structure, value or {})
        elif callable(form):
            shown[inner_name] = form(value)
        else:
            shown[inner_name] = form if value is None else _sorted(value)
    return shown


def _sorted(value: Any) -> Any:
    """Return `value` with the keys of its mappings in order, as they are printed."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(entry) for entry in value] if isinstance(value, list) else value
