"""The codes of findings about claims (1xx) and volumes (2xx)."""

from __future__ import annotations

from typing import Final

from pvbinder.audit.code import FindingCode

CLAIMS: Final = (
    FindingCode(
        "PVB101",
        "error",
        "NothingFits",
        "No volume fits the claim and nobody will provision one",
        "Every volume fails a check, and the class has no provisioner that makes volumes. The claim stays Pending, and "
        "with it each pod that uses it, until a volume or the class changes. The nearest miss is in the evidence.",
        "Add a volume that fits, or create the claim anew so that the nearest miss fits it.",
        ("SC-U6", "SC-U7", "PR-4"),
    ),
    FindingCode(
        "PVB102",
        "error",
        "ClassMissing",
        "The class that the claim names doesn't exist",
        "No volume of that class is free, and without the class nobody provisions one. Often the name is misspelt: the "
        "nearest existing name is in the evidence. The class of a claim can't be changed, so the claim is made anew.",
        "Create the StorageClass, or create the claim anew with a class that exists.",
        ("PR-2", "SC-U6"),
    ),
    FindingCode(
        "PVB103",
        "error",
        "NoDefaultClass",
        "The claim names no class, and no class is the default",
        "A claim without a class gets the default class as soon as there is one, even later. Until then it waits for a "
        "volume without a class. If a default class has come meanwhile, this is information: the binder sets it.",
        "Mark a class as the default, or create the claim anew with a class.",
        ("SC-U7", "DC-1", "DC-3"),
    ),
    FindingCode(
        "PVB104",
        "error",
        "NamedVolumeUnusable",
        "The volume that the claim names is missing, another's, or won't do",
        "A claim with spec.volumeName takes this volume or none. It waits for ever if the volume doesn't exist, is "
        "bound to or reserved for another claim, is too small, or has another class, mode or attributes class.",
        "Correct the volume where that can be done, or create the claim anew without or with another volumeName.",
        ("SC-P1", "SC-P2", "SC-P5", "CS-1"),
    ),
    FindingCode(
        "PVB105",
        "error",
        "Lost",
        "The claim has lost its volume",
        "The claim was bound once. Its volume has been deleted, or the claimRef of the volume has another UID, as "
        "happens when claims are restored from a backup and get new UIDs. Pods that use it can't start.",
        "Bring the volume back, or set the claim's UID in the claimRef of the volume.",
        ("SC-B1", "SC-B2", "SC-B5"),
    ),
    FindingCode(
        "PVB106",
        "warning",
        "FirstConsumer",
        "The claim waits for its first consumer",
        "That a claim of a class with WaitForFirstConsumer is Pending is right as long as no pod uses it: information. "
        "It is a warning when a pod uses it and can't be scheduled, names its node and so bypasses the scheduler, or "
        "needs several claims that no one node has storage for.",
        "Nothing without a consumer. Otherwise let the scheduler choose the node, and see what it says about the pod.",
        ("SC-U5", "DB-1", "DB-2"),
    ),
    FindingCode(
        "PVB107",
        "warning",
        "Unused",
        "Nothing uses the claim",
        "No pod, no template of a workload, no owner and no other claim names it. StatefulSets that are scaled down, "
        "CronJobs between their runs and Deployments with 0 replicas count as users. It is a warning once it is a week "
        "old and all workloads are known; before that, information.",
        "Delete the claim if its data isn't needed; see first what becomes of its volume (reclaim policy).",
        ("PC-6",),
    ),
    FindingCode(
        "PVB108",
        "warning",
        "ClaimTerminating",
        "The claim is being deleted and is held",
        "A finalizer keeps it: kubernetes.io/pvc-protection as long as a pod uses it, others until their owners are "
        "done. A deletion can't be taken back: once nothing holds the claim it goes, with its data if the volume's "
        "policy is Delete.",
        "Stop what uses it, or set the policy of its volume to Retain before you do.",
        ("PC-11", "PC-16", "DE-3"),
    ),
    FindingCode(
        "PVB109",
        "error",
        "ChangeFails",
        "The expansion or modification of the claim fails",
        "The driver has refused the size or the attributes that the claim asks for, or nobody carries them out. The "
        "volume stays as it is. Since Kubernetes 1.34 a claim can step back to a smaller size, as long as it is above "
        "what the volume has, and to its former attributes class.",
        "Step back to what the volume has, or put right what the driver says.",
        ("RS-14", "RF-1", "VM-9"),
    ),
    FindingCode(
        "PVB110",
        "error",
        "SelectorPreventsProvisioning",
        "The selector of the claim makes provisioning impossible",
        "Provisioners make no volumes for claims with a selector, and no existing volume matches it.",
        "Create the claim anew without selector, or label a volume so that it matches.",
        ("CP-9", "FM-13"),
    ),
    FindingCode(
        "PVB111",
        "error",
        "ProvisioningFails",
        "Provisioning a volume for the claim fails",
        "The provisioner has said why, or it is known that it will refuse. It tries again and again.",
        "Put right what the provisioner says.",
        ("PR-7", "PR-10"),
    ),
    FindingCode(
        "PVB112",
        "error",
        "DataSourceUnusable",
        "The claim's data source can't be used",
        "The snapshot or claim that it is to be made from doesn't exist, isn't ready, is being deleted, or is larger "
        "than the claim.",
        "Bring the data source into order, or create the claim anew without it.",
        ("DS-8", "DS-9"),
    ),
    FindingCode(
        "PVB113",
        "error",
        "ProvisionerAbsent",
        "The provisioner of the claim's class doesn't answer",
        "The claim has waited for more than ten minutes and nothing was heard of its provisioner, or no driver of that "
        "name is registered, or not on the node that was chosen.",
        "Install or repair the provisioner.",
        ("PR-4", "TP-2"),
    ),
    FindingCode(
        "PVB114",
        "error",
        "NoPlaceForIt",
        "No node can have storage for the claim",
        "The class allows only topologies that no node has, or no part of the cluster has enough room left, or no node "
        "has a volume that fits.",
        "Give the driver more room, correct allowedTopologies, or ask for less.",
        ("DB-4", "CA-3", "FM-16"),
    ),
    FindingCode(
        "PVB115",
        "error",
        "AttributesClassUnusable",
        "The claim's VolumeAttributesClass doesn't exist or is for another driver",
        "Such a claim isn't provisioned, and a bound one isn't modified.",
        "Create the VolumeAttributesClass, or name one of the same driver.",
        ("CP-8", "VM-5"),
    ),
    FindingCode(
        "PVB116",
        "error",
        "PodKeptFromVolume",
        "A pod can't use the volume of its bound claim",
        "The volume can be used on some nodes only and the pod is elsewhere, another node has the volume, or the pod "
        "can't be scheduled because of it.",
        "Let the pod run where the volume is, or move the data.",
        ("FM-15",),
    ),
    FindingCode(
        "PVB117",
        "error",
        "ClaimMalformed",
        "The claim or its class can't be understood",
        "The selector can't be read, or the class has no volumeBindingMode. The binder reports an error at each try.",
        "Create the claim or the class anew without the mistake.",
        ("SC-U1", "SC-U2"),
    ),
    FindingCode(
        "PVB118",
        "error",
        "ClaimMissing",
        "A pod or workload needs a claim that doesn't exist",
        "The pod stays Pending until somebody creates the claim. The nearest existing name is in the evidence.",
        "Create the claim, or correct the name in the pod's template.",
        ("PC-6", "EV-3"),
    ),
    FindingCode(
        "PVB119",
        "information",
        "OnItsWay",
        "The claim is on its way",
        "It will be bound to a volume that there is, or its provisioner is at work. Nobody has to act.",
        "Nothing; if it takes long, see whether the binder and the provisioner run.",
        ("SC-U3", "PR-4"),
    ),
)

VOLUMES: Final = (
    FindingCode(
        "PVB201",
        "warning",
        "Released",
        "The volume is released and its data waits for a decision",
        "Its claim is gone and its policy is Retain. No claim can get it as long as its claimRef names the old claim. "
        "A volume with a label or annotation that says that it is kept on purpose is information.",
        "Remove the UID from claimRef to give it to a claim of the same name, the whole claimRef to free it for "
        "anybody, or delete the object; the storage stays.",
        ("RC-2", "SV-5"),
    ),
    FindingCode(
        "PVB202",
        "error",
        "NeverBindable",
        "The volume can never be bound by anyone",
        "It offers no access mode or no capacity, its claimRef has the UID of a claim that doesn't exist, the claim it "
        "is reserved for wants another size or mode, or no node satisfies its node affinity.",
        "Correct the field that the evidence names; the affinity of a volume can't be changed, so it is made anew.",
        ("SV-4", "SV-6", "FM-2", "FM-15"),
    ),
    FindingCode(
        "PVB203",
        "error",
        "Failed",
        "Reclaiming the volume failed",
        "Deleting or scrubbing its storage failed; the words of the plugin or driver are in the evidence.",
        "Put right what the message says, or set the policy to Retain and clean up by hand.",
        ("RC-3", "RC-4", "RC-5", "DL-3"),
    ),
    FindingCode(
        "PVB204",
        "error",
        "DeletesSharedStorage",
        "The volume's policy deletes storage that another volume has, too",
        "Two volumes have the same backend, and this one's policy is Delete: when its claim goes, the data of the "
        "other goes, too.",
        "Set its policy to Retain.",
        ("RC-4",),
    ),
    FindingCode(
        "PVB205",
        "warning",
        "VolumeTerminating",
        "The volume is being deleted and is held",
        "A finalizer keeps it; the evidence says whose it is and when it goes.",
        "See why its owner hasn't removed the finalizer; removing it by hand skips its clean-up.",
        ("PP-2", "DE-3"),
    ),
    FindingCode(
        "PVB206",
        "error",
        "SharedBackend",
        "Two volumes have the same backend",
        "The same driver and handle, server and path, or node and path: two claims write to the same data, each "
        "believing to be alone. File systems that are shared on purpose (ReadWriteMany or ReadOnlyMany, Retain) are "
        "information.",
        "Delete the volume that isn't needed, or make both ReadWriteMany if the storage can do that.",
        ("FM-6",),
    ),
    FindingCode(
        "PVB207",
        "information",
        "Stranded",
        "The volume is available, and no claim here could take it",
        "No claim that waits asks for anything like it, and no class of its name exists.",
        "Nothing, or delete it if it was forgotten.",
        ("FM-14",),
    ),
    FindingCode(
        "PVB208",
        "warning",
        "AffinityAgainstPod",
        "The node affinity of the volume excludes the node of a pod that uses it",
        "The pod runs, and will not start there again.",
        "Correct the affinity or the labels of the node, or move the pod.",
        ("FM-15",),
    ),
)
