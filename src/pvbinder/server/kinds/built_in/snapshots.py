"""The kinds of ``snapshot.storage.k8s.io/v1``: snapshots of volumes, their contents and classes.

A real cluster gets them from definitions that come with its snapshot controller; here they are always served, made from
such definitions in the way in which all custom kinds are made; `pvbinder up` begins with them stored, too, so that they
are listed. Who brings others, or takes them away, changes nothing for long: without a definition, these hold. Nothing
takes snapshots: a CSI driver's sidecars may.
"""

from __future__ import annotations

from typing import Any

from pvbinder.server.kinds.definitions.custom_kinds import custom_kinds, custom_schemas
from pvbinder.server.objects.kind import Json, ServedKind

GROUP = "snapshot.storage.k8s.io"

_TEXT: Json = {"type": "string"}
_TIME: Json = {"type": "string", "format": "date-time"}
_FLAG: Json = {"type": "boolean"}
_SIZE: Json = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "pattern": (
        r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
        r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
    ),
    "x-kubernetes-int-or-string": True,
}
_BYTES: Json = {"type": "integer", "format": "int64", "minimum": 0}
_POLICY: Json = {"type": "string", "enum": ["Delete", "Retain"]}

_TEXTS = {  # what kubectl explain says of each field
    "apiVersion": "The version of what is referred to.",
    "boundVolumeSnapshotContentName": "The content that holds this snapshot, once there is one.",
    "creationTime": "When the snapshot was taken in the storage (for contents: in nanoseconds since 1970).",
    "deletionPolicy": "Whether the snapshot in the storage goes with its object: Delete or Retain.",
    "driver": "The CSI driver that takes snapshots.",
    "error": "What went wrong last.",
    "fieldPath": "Which part of what is referred to is meant.",
    "kind": "The kind of what is referred to.",
    "message": "What went wrong.",
    "name": "The name of what is referred to.",
    "namespace": "The namespace of what is referred to.",
    "parameters": "What the driver is told, in words of its own.",
    "persistentVolumeClaimName": "The claim of which to take a snapshot, in the same namespace.",
    "readyToUse": "Whether a volume can be made from it.",
    "resourceVersion": "The revision of what is referred to.",
    "restoreSize": "The least that a volume made from it must hold.",
    "snapshotHandle": "The name of the snapshot in the storage.",
    "source": "What it is taken from: exactly one of these.",
    "sourceVolumeMode": "The mode of the volume that it was taken from: Block or Filesystem.",
    "spec": "What is asked for.",
    "status": "What there is.",
    "time": "When it went wrong.",
    "uid": "The uid of what is referred to.",
    "volumeGroupSnapshotHandle": "The name of the group in the storage, if it was taken with others.",
    "volumeGroupSnapshotName": "The group snapshot that it belongs to, if it was taken with others.",
    "volumeHandle": "The volume in the storage of which to take a snapshot.",
    "volumeSnapshotClassName": "The class that says who takes it and how; the default class if it is left out.",
    "volumeSnapshotContentName": "A content that is there already, taken by other means.",
    "volumeSnapshotRef": "The snapshot that this content belongs to.",
}


def _object(*required: str, **properties: Any) -> Json:
    described = {name: {**schema, "description": _TEXTS[name]} for name, schema in properties.items()}
    return {"type": "object", "properties": described, **({"required": list(required)} if required else {})}


def _one_of(*names: str) -> Json:
    """An object with exactly one of these texts."""
    return {**_object(**dict.fromkeys(names, _TEXT)), "oneOf": [{"required": [name]} for name in names]}


_ERROR = _object(message=_TEXT, time=_TIME)
_REFERENCE: Json = {
    **_object(
        apiVersion=_TEXT,
        fieldPath=_TEXT,
        kind=_TEXT,
        name=_TEXT,
        namespace=_TEXT,
        resourceVersion=_TEXT,
        uid=_TEXT,
    ),
    "x-kubernetes-map-type": "atomic",
}
_APPROVAL = "api-approved.kubernetes.io"  # which definitions of a group of Kubernetes' own must have
_APPROVED_IN = "https://github.com/kubernetes-csi/external-snapshotter/pull/814"
_AGE = ("Age", "date", ".metadata.creationTimestamp")


def _definition(
    kind: str,
    *short_names: str,
    scope: str,
    schema: Json,
    columns: tuple[tuple[str, str, str], ...],
    has_status: bool = True,
) -> Json:
    plural = f"{kind.lower()}es" if kind.endswith("s") else f"{kind.lower()}s"
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "shortNames": list(short_names)}
    version: Json = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": [
            {"name": name, "type": of_type, "jsonPath": path} for name, of_type, path in columns
        ],
        "subresources": {"status": {}} if has_status else {},
    }
    spec = {"group": GROUP, "names": names, "scope": scope, "versions": [version]}
    return {"metadata": {"name": f"{plural}.{GROUP}", "annotations": {_APPROVAL: _APPROVED_IN}}, "spec": spec}


DEFINITIONS: tuple[Json, ...] = (
    _definition(
        "VolumeSnapshot",
        "vs",
        scope="Namespaced",
        schema=_object(
            "spec",
            spec=_object(
                "source",
                source=_one_of("persistentVolumeClaimName", "volumeSnapshotContentName"),
                volumeSnapshotClassName=_TEXT,
            ),
            status=_object(
                boundVolumeSnapshotContentName=_TEXT,
                creationTime=_TIME,
                error=_ERROR,
                readyToUse=_FLAG,
                restoreSize=_SIZE,
                volumeGroupSnapshotName=_TEXT,
            ),
        ),
        columns=(
            ("ReadyToUse", "boolean", ".status.readyToUse"),
            ("SourcePVC", "string", ".spec.source.persistentVolumeClaimName"),
            ("SourceSnapshotContent", "string", ".spec.source.volumeSnapshotContentName"),
            ("RestoreSize", "string", ".status.restoreSize"),
            ("SnapshotClass", "string", ".spec.volumeSnapshotClassName"),
            ("SnapshotContent", "string", ".status.boundVolumeSnapshotContentName"),
            ("CreationTime", "date", ".status.creationTime"),
            _AGE,
        ),
    ),
    _definition(
        "VolumeSnapshotClass",
        "vsclass",
        "vsclasses",
        scope="Cluster",
        schema=_object(
            "deletionPolicy",
            "driver",
            deletionPolicy=_POLICY,
            driver=_TEXT,
            parameters={"type": "object", "additionalProperties": _TEXT},
        ),
        columns=(("Driver", "string", ".driver"), ("DeletionPolicy", "string", ".deletionPolicy"), _AGE),
        has_status=False,
    ),
    _definition(
        "VolumeSnapshotContent",
        "vsc",
        "vscs",
        scope="Cluster",
        schema=_object(
            "spec",
            spec=_object(
                "deletionPolicy",
                "driver",
                "source",
                "volumeSnapshotRef",
                deletionPolicy=_POLICY,
                driver=_TEXT,
                source=_one_of("volumeHandle", "snapshotHandle"),
                sourceVolumeMode=_TEXT,
                volumeSnapshotClassName=_TEXT,
                volumeSnapshotRef=_REFERENCE,
            ),
            status=_object(
                creationTime={"type": "integer", "format": "int64"},
                error=_ERROR,
                readyToUse=_FLAG,
                restoreSize=_BYTES,
                snapshotHandle=_TEXT,
                volumeGroupSnapshotHandle=_TEXT,
            ),
        ),
        columns=(
            ("ReadyToUse", "boolean", ".status.readyToUse"),
            ("RestoreSize", "integer", ".status.restoreSize"),
            ("DeletionPolicy", "string", ".spec.deletionPolicy"),
            ("Driver", "string", ".spec.driver"),
            ("VolumeSnapshotClass", "string", ".spec.volumeSnapshotClassName"),
            ("VolumeSnapshot", "string", ".spec.volumeSnapshotRef.name"),
            ("VolumeSnapshotNamespace", "string", ".spec.volumeSnapshotRef.namespace"),
            _AGE,
        ),
    ),
)


def _declare(definition: Json) -> list[ServedKind]:
    schemas = custom_schemas(definition)
    for schema in schemas:
        schema.register()
    return custom_kinds(definition, schemas)


SNAPSHOT_KINDS: tuple[ServedKind, ...] = tuple(kind for each in DEFINITIONS for kind in _declare(each))
