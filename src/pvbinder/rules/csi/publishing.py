"""The CSI volumes of a pod: which of them are mounted on its node, and how, as a kubelet decides it.

Only volumes that a container mounts, or has as a device, count; a kubelet passes over the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from msgspec import Struct

from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, ClaimKey, Pod, Volume
from pvbinder.rules.csi.capabilities import AccessMode, AccessModesError, Capability, single_mode
from pvbinder.rules.csi.secrets import SecretReference
from pvbinder.rules.pod_lifecycle import Mounts

_PREFIX: Final = "csi.storage.k8s.io"


class MountModeError(PvbinderError):
    """A volume is used in another way than it can be."""


class PodCsiVolume(Struct, frozen=True):
    """A CSI volume of a pod; `name` is its PersistentVolume's, or that in the pod if it is ephemeral."""

    name: str
    driver: str
    handle: str
    is_block: bool = False
    read_only: bool = False
    access_mode: str = "ReadWriteOnce"
    fs_type: str = ""
    mount_flags: tuple[str, ...] = ()
    attributes: Mapping[str, str] = {}
    stage_secret: SecretReference | None = None
    publish_secret: SecretReference | None = None
    expand_secret: SecretReference | None = None
    is_ephemeral: bool = False


def csi_volumes(pod: Pod, mounts: Mounts, serves: Callable[[str], bool]) -> tuple[PodCsiVolume, ...]:
    """Return the volumes of `pod` whose drivers `serves` knows; raise MountModeError. All its claims are bound."""
    if not _may_have(pod, mounts, serves):
        return ()
    spec = pod.document().get("spec") or {}
    mounted, devices = _used(spec, "volumeMounts"), _used(spec, "volumeDevices")
    claims = {volume.name: ClaimKey(f"{pod.namespace}/{volume.claim_name}") for volume in pod.volumes}
    found = []
    for volume in spec.get("volumes") or []:
        name = volume.get("name", "")
        if name not in mounted and name not in devices:
            continue
        inline = volume.get("csi")
        if inline is not None:
            if serves(inline.get("driver", "")):
                found.append(_ephemeral(pod, name, inline))
            continue
        bound = _volume_of(mounts, claims.get(name))
        if bound is not None and bound.csi is not None and serves(bound.csi.driver or ""):
            _check_mode(name, bound, mounted, devices)
            read_only = bool((volume.get("persistentVolumeClaim") or {}).get("readOnly"))
            found.append(persistent(bound, read_only=read_only))
    return tuple(found)


def persistent(volume: Volume, *, read_only: bool = False) -> PodCsiVolume:
    """Return the CSI volume that a PersistentVolume stands for."""
    spec = volume.document()["spec"]
    source: Json = spec["csi"]
    return PodCsiVolume(
        name=volume.name,
        driver=source.get("driver", ""),
        handle=source.get("volumeHandle", ""),
        is_block=volume.volume_mode == "Block",
        read_only=read_only,
        access_mode=volume.access_modes[0] if volume.access_modes else "ReadWriteOnce",
        fs_type=source.get("fsType") or "",
        mount_flags=tuple(spec.get("mountOptions") or ()),
        attributes=source.get("volumeAttributes") or {},
        stage_secret=_secret(source.get("nodeStageSecretRef")),
        publish_secret=_secret(source.get("nodePublishSecretRef")),
        expand_secret=_secret(source.get("nodeExpandSecretRef")),
    )


def capability(volume: PodCsiVolume, *, several_writers: bool) -> Capability:
    """Return how a volume is used; `several_writers` is the driver's SINGLE_NODE_MULTI_WRITER on nodes."""
    try:
        mode = single_mode([volume.access_mode], several_writers=several_writers)
    except AccessModesError:  # a mode that nobody knows
        mode = AccessMode.SINGLE_NODE_WRITER
    if volume.is_block:
        return Capability(mode, block=True)
    return Capability(mode, False, volume.fs_type, volume.mount_flags)


def pod_info(pod: Pod, *, is_ephemeral: bool) -> dict[str, str]:
    """Return what a driver learns of a pod, if its CSIDriver says so (`podInfoOnMount`)."""
    spec = pod.document().get("spec") or {}
    return {
        f"{_PREFIX}/pod.name": pod.name,
        f"{_PREFIX}/pod.namespace": pod.namespace,
        f"{_PREFIX}/pod.uid": pod.uid,
        f"{_PREFIX}/serviceAccount.name": spec.get("serviceAccountName") or "",
        f"{_PREFIX}/ephemeral": "true" if is_ephemeral else "false",
    }


def lifecycle_problem(volume: PodCsiVolume, csi_driver: Json | None) -> str | None:
    """Say why a driver can't have such a volume, by its CSIDriver."""
    mode = "Ephemeral" if volume.is_ephemeral else "Persistent"
    if csi_driver is None:
        why = "no CSIDriver object"
        return f'volume mode "{mode}" not supported by driver {volume.driver} ({why})' if volume.is_ephemeral else None
    modes = (csi_driver.get("spec") or {}).get("volumeLifecycleModes") or ["Persistent"]
    if mode in modes:
        return None
    listed = " ".join(f'"{one}"' for one in modes)
    return f'volume mode "{mode}" not supported by driver {volume.driver} (only supports [{listed}])'


def fs_group(pod: Pod) -> str:
    """Return the group that the pod's files are to belong to, as text; ``""`` if it doesn't say."""
    context = (pod.document().get("spec") or {}).get("securityContext") or {}
    group = context.get("fsGroup")
    return "" if group is None else str(group)


def _may_have(pod: Pod, mounts: Mounts, serves: Callable[[str], bool]) -> bool:
    """Tell whether the pod can have such a volume, without a look at all of it."""
    if b'"csi"' in pod.raw:
        return True
    bound = (_volume_of(mounts, key) for key in pod.claim_keys)
    return any(one is not None and one.csi is not None and serves(one.csi.driver or "") for one in bound)


def _volume_of(mounts: Mounts, key: ClaimKey | None) -> Volume | None:
    claim: Claim | None = mounts.claim(key) if key is not None else None
    return mounts.volume(claim.volume_name) if claim is not None and claim.volume_name else None


def _used(spec: Json, field: str) -> frozenset[str]:
    return frozenset(_names_of(spec, field))


def _names_of(spec: Json, field: str) -> Iterator[str]:
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(group) or []:
            for use in container.get(field) or []:
                yield use.get("name", "")


def _check_mode(name: str, volume: Volume, mounted: Collection[str], devices: Collection[str]) -> None:
    for used, field, mode in ((mounted, "volumeMounts", "Filesystem"), (devices, "volumeDevices", "Block")):
        if name in used and volume.volume_mode != mode:
            raise MountModeError(f"volume {name} has volumeMode {volume.volume_mode}, but is specified in {field}")


def _ephemeral(pod: Pod, name: str, source: Json) -> PodCsiVolume:
    secret = (source.get("nodePublishSecretRef") or {}).get("name")
    return PodCsiVolume(
        name=name,
        driver=source.get("driver", ""),
        handle=f"csi-{hashlib.sha256(f'{pod.uid}{name}'.encode()).hexdigest()}",
        read_only=bool(source.get("readOnly")),
        fs_type=source.get("fsType") or "",
        attributes=source.get("volumeAttributes") or {},
        publish_secret=SecretReference(secret, pod.namespace) if secret else None,
        is_ephemeral=True,
    )


def _secret(reference: Json | None) -> SecretReference | None:
    if not reference or not reference.get("name"):
        return None
    return SecretReference(reference["name"], reference.get("namespace") or "")
