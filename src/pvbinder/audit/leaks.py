"""Findings about what is left over (8xx): snapshots, contents, attachments, and the storage of a driver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pvbinder.audit.finding import AuditSubject, Evidence, Finding, FindingLevel
from pvbinder.audit.survey import Survey, kept_on_purpose
from pvbinder.audit.users import name_of, part
from pvbinder.insight.remedies import Do, Kubectl
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import encode
from pvbinder.model.quantity import Quantity
from pvbinder.model.snapshots import SnapshotContent, VolumeSnapshot, parse_snapshot_content

if TYPE_CHECKING:  # it brings gRPC, which takes time to import
    from pvbinder.controllers.csi.audit import AuditFindings

_LISTED_MAX: Final = 1000  # entries of a driver that are told one by one
_SOURCE_PROTECTION: Final = "snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection"


def leak_findings(survey: Survey) -> Iterator[Finding]:
    """Yield what leads to something that is gone."""
    contents = {each.name: each for each in _contents(survey)}
    for content in contents.values():
        yield from _content(content, survey)
    for snapshot in survey.snapshot.volume_snapshots():
        yield from _snapshot(snapshot, contents, survey)
    yield from _attachments(survey)


def _contents(survey: Survey) -> Iterator[SnapshotContent]:
    for document in survey.snapshot.others("VolumeSnapshotContent"):
        try:
            yield parse_snapshot_content(encode(document))
        except PvbinderError:
            continue


def _content(content: SnapshotContent, survey: Survey) -> Iterator[Finding]:
    ref = content.ref
    if not ref.uid or not survey.snapshot.knows("VolumeSnapshot"):
        return
    there = survey.snapshot.volume_snapshot(ref.key)
    if there is not None and (not there.uid or there.uid == ref.uid):
        return
    found = f"has uid {there.uid}" if there is not None else "doesn't exist"
    kept = kept_on_purpose(content.labels, content.annotations)
    is_kept = content.deletion_policy == "Retain" or bool(kept)
    level: FindingLevel = "information" if is_kept else "warning"
    yield Finding(
        code="PVB802",
        level=level,
        subject=AuditSubject("VolumeSnapshotContent", "", content.name),
        summary=f"its snapshot {ref.key} {found}",
        evidence=(
            Evidence("spec.volumeSnapshotRef", f"{ref.key} (uid {ref.uid})", there.uid if there is not None else ""),
            Evidence("deletionPolicy", content.deletion_policy),
            Evidence("snapshotHandle", content.handle or content.given_handle or "none"),
        ),
        rules=("DS-8",),
        way_out=(
            Kubectl("delete it, if the snapshot isn't needed", ("delete", "volumesnapshotcontent", content.name)),
        ),
    )


def _snapshot(snapshot: VolumeSnapshot, contents: dict[str, SnapshotContent], survey: Survey) -> Iterator[Finding]:
    subject = AuditSubject("VolumeSnapshot", snapshot.namespace, snapshot.name)
    name = snapshot.bound_content or snapshot.source_content
    if name and name not in contents and survey.snapshot.knows("VolumeSnapshotContent"):
        yield Finding(
            code="PVB802",
            level="warning",
            subject=subject,
            summary=f"its content {name} doesn't exist",
            evidence=(Evidence("boundVolumeSnapshotContentName", name),),
            rules=("DS-8",),
            way_out=(Kubectl("delete it", ("delete", "volumesnapshot", snapshot.name, "-n", snapshot.namespace)),),
        )
    if not snapshot.is_deleting or _SOURCE_PROTECTION not in snapshot.finalizers:
        return
    if survey.is_settling(snapshot.deletion_timestamp):
        return
    users = [claim.key for claim in survey.pending if _is_made_from(claim.document(), snapshot)]
    if not users:
        yield Finding(
            code="PVB802",
            level="warning",
            subject=subject,
            summary=f"it is being deleted and held by {_SOURCE_PROTECTION}, and no claim is being made from it",
            evidence=(Evidence("deletionTimestamp", snapshot.deletion_timestamp or ""),),
            rules=("DE-3",),
            way_out=(Do("see that the snapshotter runs; it removes the finalizer"),),
            about="finalizer",
        )


def _is_made_from(document: dict[str, object], snapshot: VolumeSnapshot) -> bool:
    spec = part(document, "spec")
    source = part(spec, "dataSourceRef") or part(spec, "dataSource")
    return source.get("kind") == "VolumeSnapshot" and source.get("name") == snapshot.name


def _attachments(survey: Survey) -> Iterator[Finding]:
    snapshot = survey.snapshot
    for document in snapshot.others("VolumeAttachment"):
        spec = part(document, "spec")
        volume = str(part(spec, "source").get("persistentVolumeName") or "")
        node, driver = str(spec.get("nodeName") or ""), str(spec.get("attacher") or "")
        gone: list[tuple[str, str]] = []
        if node and snapshot.knows("Node") and snapshot.node(node) is None:
            gone.append(("node", node))
        if volume and snapshot.knows("PersistentVolume") and snapshot.volume(volume) is None:
            gone.append(("volume", volume))
        if driver and snapshot.knows("CSIDriver") and snapshot.driver(driver) is None:
            gone.append(("driver", driver))
        if gone:
            what = " and ".join(f"{kind} {name}" for kind, name in gone)
            name = name_of(document)
            yield Finding(
                code="PVB803",
                level="warning",
                subject=AuditSubject("VolumeAttachment", "", name),
                summary=f"it leads to {what}, which {'doesn' if len(gone) == 1 else 'don'}'t exist",
                evidence=tuple(Evidence(kind, name) for kind, name in gone),
                rules=("DV-4",),
                way_out=(
                    Kubectl(
                        "delete it once it is certain that nothing writes there any more",
                        ("delete", "volumeattachment", name),
                    ),
                ),
            )


def driver_findings(compared: AuditFindings) -> Iterator[Finding]:
    """Yield what a driver has and no object names (PVB801), and the reverse (PVB804); open requests count as theirs."""
    for what, one in (("volume", compared.volumes), ("snapshot", compared.snapshots)):
        if one is None:
            continue
        for entry in one.orphans[:_LISTED_MAX]:
            size = f", {Quantity(entry.bytes * 10**9, 'BinarySI')}" if entry.bytes else ""
            yield Finding(
                code="PVB801",
                level="error",
                subject=AuditSubject("CSIDriver", "", compared.driver),
                summary=f"it has {what} {entry.id}{size}, and no object names it",
                evidence=(Evidence(f"{what} of the driver", entry.id, "an object that names it"),),
                way_out=(Do("see `pvbinder csi audit --delete-orphans`, if no other cluster uses this storage"),),
                about=f"{what} {entry.id}",
            )
        for named in one.missing[:_LISTED_MAX]:
            yield Finding(
                code="PVB804",
                level="error",
                subject=AuditSubject("CSIDriver", "", compared.driver),
                summary=f"{named.object} names {what} {named.id}, which the driver doesn't have",
                evidence=(Evidence(f"{what} of {named.object}", named.id, "one that the driver lists"),),
                way_out=(Do("look at the storage itself before anything is deleted"),),
                about=f"{what} {named.id}",
            )
