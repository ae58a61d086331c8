"""The objects of a running cluster that a copy needs, read once and never written.

COPYING-1  Only kinds that decide something about storage are read; no secret is.
COPYING-2  A kind that the user may not read is left out and named; claims and volumes have to be readable.
"""

from __future__ import annotations

from typing import Final

from pvbinder.kube.client import Client
from pvbinder.kube.discovery import discover
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import metadata_of
from pvbinder.model.json import Json

READ: Final = frozenset(
    {
        "ControllerRevision",
        "CronJob",
        "CSIDriver",
        "CSINode",
        "CSIStorageCapacity",
        "CustomResourceDefinition",
        "DaemonSet",
        "Deployment",
        "Event",
        "Job",
        "LimitRange",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "PodDisruptionBudget",
        "PriorityClass",
        "ReplicaSet",
        "ResourceQuota",
        "StatefulSet",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
        "VolumeAttributesClass",
        "VolumeSnapshot",
        "VolumeSnapshotClass",
        "VolumeSnapshotContent",
    }
)
NEEDED: Final = frozenset({"PersistentVolume", "PersistentVolumeClaim"})
SOURCE: Final = "the cluster"


async def read_copy(client: Client) -> tuple[list[tuple[str, Json]], list[str]]:
    """Return the cluster's objects, each with the name of its source, and a line about what it didn't show.

    Raises `ApiFailure` if claims or volumes may not be read, and `ConnectionFailed`.
    """
    found: list[tuple[str, Json]] = []
    refused: list[str] = []
    for kind in (await discover(client)).kinds:
        resource = kind.resource
        is_repeated = (resource.group, resource.kind) == ("events.k8s.io", "Event")
        if resource.kind not in READ or not kind.allows("list", "create") or is_repeated:
            continue
        try:
            listed = await client.list_all(metadata_of(resource))
        except ApiFailure as failure:
            if resource.kind in NEEDED or failure.status not in (403, 404, 405):
                raise
            refused.append(f"the answer does without {resource.qualified}: {failure.message}")
            continue
        typed = {"apiVersion": resource.api_version, "kind": resource.kind}
        found += ((SOURCE, {**typed, **each.document()}) for each in listed)
    return found, refused
