"""Volumes with the same backend: two names for one storage (PVB204, PVB206)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from pvbinder.audit.finding import Evidence, Finding, FindingLevel, of_volume
from pvbinder.audit.survey import Survey
from pvbinder.audit.users import part
from pvbinder.insight.remedies import Do, merge
from pvbinder.insight.scheduling import shown_affinity
from pvbinder.model.objects import Volume

Backend: TypeAlias = tuple[str, ...]  # the kind of source, then what makes it one
_MANY: Final = frozenset({"ReadWriteMany", "ReadOnlyMany"})
_KEYS: Final = {  # of other sources: the fields that say which storage it is
    "local": ("path",),
    "iscsi": ("targetPortal", "iqn", "lun"),
    "fc": ("targetWWNs", "lun", "wwids"),
    "awsElasticBlockStore": ("volumeID", "partition"),
    "gcePersistentDisk": ("pdName", "partition"),
    "azureDisk": ("diskURI",),
    "azureFile": ("secretNamespace", "secretName", "shareName"),
    "cinder": ("volumeID",),
    "vsphereVolume": ("volumePath",),
    "cephfs": ("monitors", "path"),
    "rbd": ("monitors", "pool", "image"),
    "glusterfs": ("endpoints", "path"),
    "flexVolume": ("driver", "options"),
}


def backend_findings(survey: Survey) -> Iterator[Finding]:
    """Yield the volumes whose storage another has, too: a finding for each group, and for each that deletes."""
    groups: dict[Backend, list[Volume]] = {}
    for volume in survey.snapshot.volumes:
        backend = backend_of(volume)
        if backend is not None:
            groups.setdefault(backend, []).append(volume)
    for backend, volumes in groups.items():
        if len(volumes) > 1:
            yield from _shared(backend, sorted(volumes, key=lambda each: each.name))


def backend_of(volume: Volume) -> Backend | None:
    """Return what tells the storage of `volume` from any other; None if its source doesn't say."""
    if volume.csi is not None:
        return ("csi", volume.csi.driver or "", volume.csi.volume_handle or "") if volume.csi.volume_handle else None
    if volume.nfs is not None:
        path = (volume.nfs.path or "").rstrip("/") or "/"
        return ("nfs", volume.nfs.server or "", path) if volume.nfs.server else None
    if volume.host_path is not None:
        path = (volume.host_path.path or "").rstrip("/") or "/"
        return ("hostPath", shown_affinity(volume), path)
    source = volume.source
    keys = _KEYS.get(source)
    if keys is None:
        return None
    spec = part(part(volume.document(), "spec"), source)
    place = shown_affinity(volume) if source == "local" else ""
    return (source, place, *(str(spec.get(key) or "") for key in keys))


def _shared(backend: Backend, volumes: list[Volume]) -> Iterator[Finding]:
    first, *others = volumes
    names = ", ".join(each.name for each in others[:5]) + (" and more" if len(others) > 5 else "")
    shown = " ".join(filter(None, backend))
    deleting = [each for each in volumes if each.reclaim_policy in ("Delete", "Recycle")]
    level = _level(volumes)
    yield Finding(
        code="PVB206",
        level=level,
        subject=of_volume(first),
        summary=f"it has the same backend as volume {names}: {shown}",
        evidence=tuple(
            Evidence(each.name, f"{each.phase or 'Pending'}, claim {each.claim_key or 'none'}, {each.reclaim_policy}")
            for each in volumes[:10]
        ),
        rules=("FM-6",),
        way_out=(Do("delete the volume object that isn't needed, with policy Retain, so that its storage stays"),),
        others=tuple(of_volume(each) for each in others),
        about=shown,
    )
    for each in deleting:
        change = {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
        rest = [other.name for other in volumes if other.name != each.name]
        yield Finding(
            code="PVB204",
            level="error",
            subject=of_volume(each),
            summary=f"its policy is {each.reclaim_policy}, and {', '.join(rest[:5])} has the same backend: {shown}",
            evidence=(Evidence("persistentVolumeReclaimPolicy", each.reclaim_policy, "Retain"),),
            rules=("RC-4",) if each.reclaim_policy == "Delete" else ("RC-3",),
            way_out=(merge("pv", each, change, "keep the storage when its claim goes"),),
            others=tuple(of_volume(other) for other in volumes if other.name != each.name),
        )


def _level(volumes: list[Volume]) -> FindingLevel:
    if all(set(each.access_modes) & _MANY and each.reclaim_policy == "Retain" for each in volumes):
        return "information"  # a file system that is shared on purpose, one volume for each namespace
    if sum(not each.is_released for each in volumes) <= 1:
        return "information"  # the others are what is left of earlier claims
    return "error"
