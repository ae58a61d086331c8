"""The request for a volume, and the PersistentVolume of what came back.

Rules: docs/rules/provisioner.md#4-preparing-createvolume-checks-in-this-order-state-in-brackets,
docs/rules/provisioner.md#8-createvolume-result
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.names import PROVISIONED_BY
from pvbinder.model.objects import Claim, StorageClass
from pvbinder.model.quantity import Quantity
from pvbinder.rules.binding import reference_to
from pvbinder.rules.csi.capabilities import AccessMode, Capability, capabilities
from pvbinder.rules.csi.parameters import for_driver, fstype_of, with_names
from pvbinder.rules.csi.refusals import finished, no_change
from pvbinder.rules.csi.secrets import SecretKind, SecretReference, SecretsError, TemplateNames, reference
from pvbinder.rules.csi.topology import Requirement, node_affinity
from pvbinder.rules.provisioning import reclaim_policy_of

FINALIZER: Final = "external-provisioner.volume.kubernetes.io/finalizer"
IDENTITY: Final = "storage.kubernetes.io/csiProvisionerIdentity"
DELETION_SECRET: Final = "volume.kubernetes.io/provisioner-deletion-secret"  # noqa: S105  (what keys begin with)
MODIFY_SECRET: Final = "volume.kubernetes.io/controller-modify-secret"  # noqa: S105  (what keys begin with)

_SECRET_FIELDS: Final = {
    SecretKind.CONTROLLER_PUBLISH: "controllerPublishSecretRef",
    SecretKind.NODE_STAGE: "nodeStageSecretRef",
    SecretKind.NODE_PUBLISH: "nodePublishSecretRef",
    SecretKind.CONTROLLER_EXPAND: "controllerExpandSecretRef",
    SecretKind.NODE_EXPAND: "nodeExpandSecretRef",
}


class VolumeNaming(Struct, frozen=True):
    """How volumes are named (CP-10): `uuid_length` of -1 takes the uid as it is."""

    prefix: str = "pvc"
    uuid_length: int = -1


class Abilities(Struct, frozen=True):
    """What a driver can do, as far as volumes are concerned (CP-8)."""

    controller_service: bool = False
    topology: bool = False
    create_delete_volume: bool = False
    publish_unpublish: bool = False
    create_delete_snapshot: bool = False
    clone_volume: bool = False
    several_writers: bool = False  # SINGLE_NODE_MULTI_WRITER
    modify_volume: bool = False
    get_capacity: bool = False
    list_snapshots: bool = False
    expand_volume: bool = False
    node_expand_volume: bool = False  # asked for only where the controller can't


def can_expand(abilities: Abilities) -> bool:
    """Tell whether a driver's volumes can grow, by its controller or by its nodes alone."""
    return abilities.expand_volume or abilities.node_expand_volume


class FromSnapshot(Struct, frozen=True, tag="snapshot"):
    """The content of a snapshot."""

    snapshot_id: str


class FromVolume(Struct, frozen=True, tag="volume"):
    """The content of another volume."""

    volume_id: str


VolumeContent: TypeAlias = FromSnapshot | FromVolume


class VolumeRequest(Struct, frozen=True):
    """What is asked for with CreateVolume, but for the secrets, which are read when the call is made."""

    name: str
    required_bytes: int
    capabilities: tuple[Capability, ...]
    parameters: dict[str, str]
    mutable_parameters: dict[str, str] = {}
    content: VolumeContent | None = None
    accessibility: Requirement | None = None
    secret: SecretReference | None = None


class CreatedVolume(Struct, frozen=True):
    """What came back."""

    volume_id: str
    capacity_bytes: int
    context: Mapping[str, str]
    accessible: tuple[Mapping[str, str], ...] = ()
    has_content_source: bool = False


def volume_name(naming: VolumeNaming, claim_uid: str) -> str:
    """Return the name of the volume of a claim (CP-10); raise ProvisioningFailed."""
    if not naming.prefix:
        raise finished("volume name prefix cannot be of length 0")
    if not claim_uid:
        raise finished("corrupted PVC object, it is missing UID")
    if naming.uuid_length == -1:
        return f"{naming.prefix}-{claim_uid}"
    return f"{naming.prefix}-{claim_uid.replace('-', '')[: naming.uuid_length]}"


def check_abilities(
    abilities: Abilities, *, restores: bool = False, clones: bool = False, has_class: bool = False
) -> None:
    """Raise ProvisioningFailed unless the driver can do what is wanted of it (CP-8)."""
    what = "CSI driver does not support"
    if not abilities.controller_service:
        raise finished(f"{what} dynamic provisioning: plugin CONTROLLER_SERVICE capability is not reported")
    if not abilities.create_delete_volume:
        raise finished(f"{what} dynamic provisioning: controller CREATE_DELETE_VOLUME capability is not reported")
    if restores and not abilities.create_delete_snapshot:
        raise finished(f"{what} snapshot restore: controller CREATE_DELETE_SNAPSHOT capability is not reported")
    if clones and not abilities.clone_volume:
        raise finished(f"{what} clone operations: controller CLONE_VOLUME capability is not reported")
    if has_class and not abilities.modify_volume:
        raise finished(f"{what} VolumeAttributesClass: controller MODIFY_VOLUME capability is not reported")


def request_for(
    claim: Claim,
    storage_class: StorageClass,
    name: str,
    abilities: Abilities,
    *,
    default_fstype: str = "",
    extra_metadata: bool = False,
    content: VolumeContent | None = None,
    accessibility: Requirement | None = None,
) -> VolumeRequest:
    """Return what the driver is asked for (CP-11 to CP-18); raise ProvisioningFailed."""
    parameters = storage_class.parameters
    fs_type = fstype_of(parameters, default_fstype)
    for kind in SecretKind:
        secret_of(kind, claim, storage_class, name)  # a volume whose secrets can't be named is not made first
    wanted = for_driver(parameters)
    if extra_metadata:
        wanted = with_names(wanted, claim=claim.name, namespace=claim.namespace, volume=name)
    return VolumeRequest(
        name=name,
        required_bytes=claim.request.whole_units(),
        capabilities=capabilities(
            claim.access_modes,
            volume_mode=claim.volume_mode,
            fs_type=fs_type,
            mount_flags=storage_class.mount_options,
            several_writers=abilities.several_writers,
        ),
        parameters=wanted,
        mutable_parameters={},
        content=content,
        accessibility=accessibility,
        secret=secret_of(SecretKind.PROVISIONER, claim, storage_class, name),
    )


def secret_of(kind: SecretKind, claim: Claim, storage_class: StorageClass, name: str) -> SecretReference | None:
    """Return the secret of this kind that goes with the volume `name` (SE-1 to SE-5); raise ProvisioningFailed."""
    subject = TemplateNames(name, claim.name, claim.namespace, claim.annotations)
    try:
        return reference(kind, storage_class.parameters, subject)
    except SecretsError as error:
        raise no_change(error.message) from error


def created_volume(
    claim: Claim,
    storage_class: StorageClass,
    request: VolumeRequest,
    made: CreatedVolume,
    *,
    driver: str,
    identity: str,
    publishes_readonly: bool = False,
) -> Json:
    """Return the PersistentVolume of what the driver has made (CR-4, CR-5, LB-17); raise ProvisioningFailed."""
    secrets = {kind: secret_of(kind, claim, storage_class, request.name) for kind in SecretKind}
    first = request.capabilities[0] if request.capabilities else None
    source: Json = {
        "driver": driver,
        "volumeHandle": made.volume_id,
        "volumeAttributes": {IDENTITY: identity, **made.context},
    }
    if first is not None and not first.block and first.fs_type:
        source["fsType"] = first.fs_type
    if publishes_readonly and [one.access_mode for one in request.capabilities] == [AccessMode.MULTI_NODE_READER_ONLY]:
        source["readOnly"] = True
    source |= {field: _shown(secrets[kind]) for kind, field in _SECRET_FIELDS.items() if secrets[kind] is not None}
    spec: Json = {
        "capacity": {"storage": str(Quantity(made.capacity_bytes * 10**9, "BinarySI"))},
        "accessModes": list(claim.access_modes),
        "persistentVolumeReclaimPolicy": reclaim_policy_of(storage_class),
        "storageClassName": claim.storage_class,
        "volumeMode": claim.volume_mode,
        "claimRef": reference_to(claim),
        "csi": source,
    }
    if storage_class.mount_options:
        spec["mountOptions"] = list(storage_class.mount_options)
    affinity = node_affinity(made.accessible)
    if affinity is not None:
        spec["nodeAffinity"] = affinity
    if claim.attributes_class:
        spec["volumeAttributesClassName"] = claim.attributes_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": request.name,
            "annotations": _annotations(storage_class, request.secret, secrets[SecretKind.CONTROLLER_MODIFY]),
            "finalizers": [FINALIZER],
        },
        "spec": spec,
    }


def _annotations(
    storage_class: StorageClass, deletion: SecretReference | None, modify: SecretReference | None
) -> dict[str, str]:
    annotations = {
        PROVISIONED_BY: storage_class.provisioner,
        f"{DELETION_SECRET}-name": deletion.name if deletion is not None else "",
        f"{DELETION_SECRET}-namespace": deletion.namespace if deletion is not None else "",
    }
    if modify is not None:
        annotations |= {f"{MODIFY_SECRET}-name": modify.name, f"{MODIFY_SECRET}-namespace": modify.namespace}
    return annotations


def _shown(secret: SecretReference | None) -> Json:
    return {"name": secret.name, "namespace": secret.namespace} if secret is not None else {}
