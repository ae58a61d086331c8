"""The manifests of a finding's way out, where a command doesn't do."""

from __future__ import annotations

from pvbinder.audit.finding import Finding
from pvbinder.insight.remedies import Remedy
from pvbinder.insight.remedy_manifests import manifest_of
from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.json import Json
from pvbinder.model.objects import claim_key


def manifest_for(finding: Finding, remedy: Remedy, snapshot: Snapshot) -> Json | None:
    """Return the object that `remedy` of `finding` creates, if it creates one."""
    return manifest_of(remedy, _there(finding, snapshot))


def _there(finding: Finding, snapshot: Snapshot) -> Json | None:
    subject = finding.subject
    match subject.kind:
        case "PersistentVolumeClaim":
            claim = snapshot.claim(claim_key(subject.namespace, subject.name))
            return {**claim.document(), "kind": subject.kind} if claim is not None else None
        case "Pod":
            pod = snapshot.pod(subject.key)
            return {**pod.document(), "kind": subject.kind} if pod is not None else None
        case _:
            return None
