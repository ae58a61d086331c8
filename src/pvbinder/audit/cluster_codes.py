"""The codes of findings about pairs (3xx), classes (4xx), workloads (6xx), capacity (7xx) and leaks (8xx)."""

from __future__ import annotations

from typing import Final

from pvbinder.audit.code import FindingCode

PAIRS: Final = (
    FindingCode(
        "PVB301",
        "error",
        "OneSided",
        "Claim and volume don't agree about their binding",
        "One of them names the other, which names nobody or somebody else.",
        "The evidence has both references; correct the one that is wrong.",
        ("SC-B3", "SC-B5", "SV-4"),
    ),
    FindingCode(
        "PVB302",
        "error",
        "AnnotationsContradict",
        "The bind annotations contradict the fields",
        "A claim says that its bind is completed and names no volume, or a volume says that a controller bound it and "
        "has no claimRef. Backups that drop fields and keep annotations do this.",
        "Remove the annotations, or restore the fields.",
        ("SC-B1", "BN-1"),
    ),
    FindingCode(
        "PVB303",
        "warning",
        "Waste",
        "The claim has got much more than it asked for",
        "It has a pre-made volume of at least twice the size and at least 10 GiB more. Volumes of file servers, whose "
        "size is nominal, and provisioned ones, whose provisioner has a smallest size, are information.",
        "Ask for what is used, or make volumes of fitting sizes.",
        ("FM-5",),
    ),
    FindingCode(
        "PVB304",
        "warning",
        "Ambiguous",
        "The claim's volume depends on chance",
        "Two volumes of the same size fit equally well and aren't alike, or two claims want the same volume and the "
        "first to come gets it.",
        "Name the volume in the claim, or reserve it with a claimRef.",
        ("FM-5", "FM-4"),
    ),
    FindingCode(
        "PVB305",
        "warning",
        "BetterAssignment",
        "More claims could be bound with another assignment",
        "The binder gives each claim the smallest volume that fits, in the order in which claims come. Another "
        "assignment of the same volumes would serve more claims.",
        "Reserve the volumes with the claimRef patches that are given.",
        ("FM-5", "SC-U3"),
    ),
    FindingCode(
        "PVB306",
        "warning",
        "TakesAnothers",
        "The claim takes a volume that is meant for another",
        "It has no selector, and the volume is the only one that matches the selector of another claim.",
        "Reserve the volume with a claimRef, or give it a class of its own.",
        ("FM-13", "FM-5"),
    ),
)

CLASSES: Final = (
    FindingCode(
        "PVB401",
        "warning",
        "SeveralDefaults",
        "Several classes are marked as the default",
        "The newest of them is given to claims that name none, then the first by name.",
        "Unmark all but one.",
        ("DC-2",),
    ),
    FindingCode(
        "PVB402",
        "warning",
        "NoDefault",
        "No class is the default",
        "Claims and templates that name no class get no volume provisioned. It is a warning when there are such.",
        "Mark a class as the default.",
        ("DC-1", "DC-2"),
    ),
    FindingCode(
        "PVB403",
        "error",
        "ProvisionerUnknown",
        "Nobody here serves the class's provisioner",
        "No CSIDriver has that name, no node has the driver, no volume was ever made by it, and it is no plugin of "
        "Kubernetes.",
        "Install the driver, or correct the name: a class's provisioner can't be changed, so the class is made anew.",
        ("PR-4",),
    ),
    FindingCode(
        "PVB404",
        "warning",
        "ImmediateWithTopology",
        "The class binds at once, and its volumes are tied to zones or nodes",
        "A volume is chosen or made before the scheduler knows where the pod can run: the pod is then bound to that "
        "place, or can't run at all.",
        "Make the class anew with volumeBindingMode WaitForFirstConsumer.",
        ("SC-U5", "DB-4"),
    ),
    FindingCode(
        "PVB405",
        "warning",
        "TopologiesUnsatisfied",
        "No node satisfies the allowedTopologies of the class",
        "Volumes of the class can be made nowhere.",
        "Make the class anew with topologies that nodes have.",
        ("DB-4",),
    ),
    FindingCode(
        "PVB406",
        "warning",
        "DeletesWithStatefulSet",
        "A StatefulSet deletes its claims, and the class deletes their storage",
        "Deleting the StatefulSet, or scaling it down, deletes the data at once.",
        "Set persistentVolumeClaimRetentionPolicy to Retain, or use a class that retains.",
        ("RC-4",),
    ),
    FindingCode(
        "PVB407",
        "information",
        "ClassUnused",
        "Nothing uses the class",
        "No claim, volume or template names it, and it isn't the default.",
        "Nothing, or delete it.",
    ),
    FindingCode(
        "PVB408",
        "error",
        "ParametersRefused",
        "The class has parameters that its provisioner refuses",
        "A key under csi.storage.k8s.io/ is unknown, half of a reference to a secret is missing, its template makes no "
        "sense, or the secret doesn't exist. Provisioning fails for each claim of the class, or for the one named.",
        "Make the class anew with right parameters, or create the secret.",
        ("CP-17", "SE-3", "SE-4", "SE-6"),
    ),
    FindingCode(
        "PVB409",
        "warning",
        "AttributesClassDriver",
        "No driver here serves the VolumeAttributesClass",
        "No CSIDriver has the name in driverName.",
        "Correct the name, or install the driver.",
        ("CP-8",),
    ),
)

WORKLOADS: Final = (
    FindingCode(
        "PVB601",
        "warning",
        "LostWithNode",
        "Pods can run nowhere else if the node is lost",
        "Their volumes can be used on this node only. That is in the nature of local volumes, and information; it is a "
        "warning when the node is in trouble already.",
        "Replicate the data, or use storage that several nodes reach.",
        ("FM-15",),
    ),
    FindingCode(
        "PVB602",
        "warning",
        "LostWithZone",
        "Pods can run nowhere else if the zone is lost",
        "Their volumes can be used in this zone only. It is a warning when no node of the zone is ready.",
        "Replicate the data over zones.",
        ("FM-15",),
    ),
    FindingCode(
        "PVB603",
        "warning",
        "NoRoomForReplica",
        "One more replica doesn't fit",
        "No node can attach another volume of the driver, or there is no volume, provisioner or room for one more "
        "claim of the template. It is a warning when replicas are missing already.",
        "Add nodes or volumes.",
        ("FM-16",),
    ),
    FindingCode(
        "PVB604",
        "warning",
        "SharedByReplicas",
        "Replicas on several nodes share a claim that one node may use",
        "ReadWriteOnce volumes are attached to one node: replicas on other nodes don't start. With one replica and "
        "RollingUpdate the new pod may wait for the old one; that is information.",
        "Use ReadWriteMany, a StatefulSet with claim templates, or the strategy Recreate.",
        ("FM-2",),
    ),
    FindingCode(
        "PVB605",
        "warning",
        "ModeUnsupported",
        "The claim asks for an access mode that its driver's volumes don't have",
        "Block devices can't be mounted as a file system on several nodes.",
        "Ask for ReadWriteOnce, volumeMode Block, or another class.",
        ("FM-2",),
    ),
)

CAPACITY: Final = (
    FindingCode(
        "PVB701",
        "warning",
        "Full",
        "The quota or the storage is full",
        "The next claim, or a replica that a StatefulSet already wants, will be refused.",
        "Raise the quota, or add storage.",
        ("CA-3",),
    ),
    FindingCode(
        "PVB702",
        "information",
        "HeadRoom",
        "So many more claims fit",
        "How many more claims of the usual size each class and each node takes: what drivers publish, the volumes "
        "that are free, and how many more a node can attach.",
        "Nothing.",
        ("CA-3",),
    ),
)

LEAKS: Final = (
    FindingCode(
        "PVB801",
        "error",
        "StorageLeft",
        "The driver has a volume or snapshot that no object names",
        "It costs money, and nothing here will ever delete it; or the storage is another cluster's, too.",
        "See `pvbinder csi audit`, which can delete it.",
    ),
    FindingCode(
        "PVB802",
        "warning",
        "SnapshotOneSided",
        "Snapshot and content don't belong together",
        "A VolumeSnapshotContent whose snapshot is gone, a VolumeSnapshot whose content is gone, or a finalizer that "
        "nobody will remove.",
        "Delete the side that is left over; the policy of the content says what becomes of the storage.",
        ("DS-8",),
    ),
    FindingCode(
        "PVB803",
        "warning",
        "AttachmentLeft",
        "An attachment leads to something that is gone",
        "A VolumeAttachment names a node, a volume or a driver that doesn't exist: the volume can't be attached "
        "elsewhere, or deleted, until it goes.",
        "Delete the VolumeAttachment when it is certain that the node doesn't write any more.",
        ("DV-4",),
    ),
    FindingCode(
        "PVB804",
        "error",
        "StorageMissing",
        "The driver doesn't have the storage of a volume or snapshot",
        "The object names a handle that the driver doesn't list: the data is gone, or the driver is another one.",
        "Look at the storage itself before anything is deleted.",
    ),
)
