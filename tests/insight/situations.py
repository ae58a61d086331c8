"""What people have asked about claims that don't bind and pods that don't start, as objects, with the right answer.

Each is a family that was met in public bug reports, in our own words: what is asked about, the exit code, the reason,
and what the answer and its advice must say. Where `cured` is set, the tests carry out each piece of advice and wait for
the claim to bind (test_advice).
"""

from __future__ import annotations

from tests.insight.builders import (
    BY_HAND,
    DAY,
    DELAYED,
    EARLIER,
    HOST,
    INVOICES,
    MASTER,
    OLD_UID,
    RESTORE,
    UID,
    UNSCHEDULABLE,
    WAITED,
    ZONE,
    affinity,
    attributes_class,
    bound,
    capacity,
    claim,
    driver,
    event,
    in_zone,
    node,
    pod,
    storage_class,
    topologies,
    volume,
    volume_snapshot,
)
from tests.insight.situation import Situation
from tests.insight.situations_afterwards import AFTERWARDS
from tests.insight.situations_of_pods import UNPLACED

WAITING = {
    "a pod names its node, and the class waits for the scheduler": Situation(
        (claim(), DELAYED, driver(), node(), pod(on="n1")),
        "PodBypassesScheduler",
        ("spec.nodeName n1", "scheduler never sees it"),
        ("without spec.nodeName", "nodeSelector {kubernetes.io/hostname: n1}", "selected-node=n1"),
        cured=True,
    ),
    "the same with disks of nodes, which nothing provisions": Situation(
        (claim(), BY_HAND, node(), pod(on="n1"), volume("local-1", **affinity(HOST, "n1"))),
        "PodBypassesScheduler",
        ("spec.nodeName n1",),
        ("without spec.nodeName", "reserve volume local-1"),
        cured=True,
    ),
    "the same, and there is no disk": Situation(
        (claim(), BY_HAND, node(), pod(on="n1")),
        "PodBypassesScheduler",
        ("spec.nodeName n1", "nor is there a volume that fits"),
        ("on node n1, claimRef shop/orders",),
        cured=True,
    ),
    "the same from a template": Situation(
        (
            claim(),
            DELAYED,
            node(),
            pod(
                on="n1",
                meta={
                    "ownerReferences": [
                        {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "web", "uid": "u", "controller": True}
                    ]
                },
            ),
        ),
        "PodBypassesScheduler",
        ("nodeName",),
        ("change the template of DaemonSet web",),
    ),
    "a failure that was told before the class was made": Situation(
        (
            claim(),
            storage_class(),
            driver(),
            event("ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found'),
        ),
        "WaitsForExternalProvisioner",
        code=0,
    ),
    "a failure for want of an attributes class that was made since": Situation(
        (
            claim(volumeAttributesClassName="gold"),
            storage_class(),
            driver(),
            attributes_class("gold"),
            event("ProvisioningFailed", 'volumeattributesclasses.storage.k8s.io "gold" not found'),
        ),
        "WaitsForExternalProvisioner",
        code=0,
    ),
    "one pod names its node, another waits for the scheduler": Situation(
        (claim(), DELAYED, driver(), node(), pod(on="n1"), pod("next")),
        "WaitsForPodToBeScheduled",
        ("pod next",),
        code=0,
    ),
    "nobody uses it yet": Situation((claim(), DELAYED, driver(), node()), "WaitsForFirstConsumer", code=0),
    "a selector, and a provisioner": Situation(
        (claim(selector={"matchLabels": {"tier": "gold"}}), storage_class(), driver()),
        "SelectorNotSupported",
        ("selector (tier=gold)", "csi.example.com makes none for a claim with a selector"),
        ("without selector",),
        cured=True,
    ),
    "a selector, and a class that waits": Situation(
        (claim(selector={"matchLabels": {"tier": "gold"}}), DELAYED, driver(), node(), pod()),
        "SelectorNotSupported",
        ("tier=gold",),
        ("without selector",),
        cured=True,
    ),
    "a selector that a volume lacks by one label": Situation(
        (claim(storageClassName="", selector={"matchLabels": {"tier": "gold"}}), volume("disk", storageClassName="")),
        "NoVolumeFits",
        ("labels (none) don't match tier=gold",),
        ("kubectl label pv disk tier=gold",),
        cured=True,
    ),
    "topologies that no node has": Situation(
        (
            claim(),
            storage_class(mode="WaitForFirstConsumer", allowedTopologies=topologies("eu-9")),
            driver(),
            in_zone("n1", "eu-1"),
        ),
        "NoNodeInTopology",
        ("allowedTopologies", f"{ZONE}=eu-9"),
        (f"{ZONE} is eu-1",),
    ),
    "the same with a pod that waits": Situation(
        (
            claim(),
            storage_class(mode="WaitForFirstConsumer", allowedTopologies=topologies("eu-8", "eu-9")),
            driver(),
            in_zone("n1", "eu-1"),
            pod(conditions=[{**UNSCHEDULABLE, "message": "0/1 nodes are available: 1 node(s) didn't find ..."}]),
        ),
        "NoNodeInTopology",
        (f"{ZONE} in (eu-8, eu-9)",),
        (f"{ZONE} is eu-1",),
    ),
    "topologies that no node has, at once": Situation(
        (claim(), storage_class(allowedTopologies=topologies("eu-9")), driver(), in_zone("n1", "eu-1")),
        "NoNodeInTopology",
        ("eu-9",),
        ("allowedTopologies",),
    ),
    "topologies that a node has": Situation(
        (claim(), storage_class(allowedTopologies=topologies("eu-1")), driver(), in_zone("n1", "eu-1")),
        "WaitsForExternalProvisioner",
        code=0,
    ),
    "no room that is large enough": Situation(
        (
            claim(),
            DELAYED,
            driver(storageCapacity=True),
            in_zone("n1", "eu-1"),
            capacity("5Gi", "eu-1"),
            capacity("8Gi", "eu-1"),
        ),
        "NotEnoughStorage",
        ("it wants 10Gi", "8Gi"),
        ("at most 8Gi", "CSIStorageCapacity of at least 10Gi"),
    ),
    "room, but where no node is": Situation(
        (
            claim(),
            DELAYED,
            driver(storageCapacity=True),
            in_zone("n1", "eu-1"),
            capacity("5Gi", "eu-1"),
            capacity("80Gi", "eu-2"),
        ),
        "NotEnoughStorage",
        ("it wants 10Gi",),
    ),
    "room that is large enough": Situation(
        (claim(), DELAYED, driver(storageCapacity=True), in_zone("n1", "eu-1"), capacity("80Gi", "eu-1")),
        "WaitsForFirstConsumer",
        code=0,
    ),
    "an attributes class that there is not": Situation(
        (claim(volumeAttributesClassName="golt"), storage_class(), driver(), attributes_class("gold")),
        "AttributesClassMissing",
        ('there is no VolumeAttributesClass "golt"', "did you mean gold?"),
        ("attributes class gold", "create VolumeAttributesClass golt"),
        cured=True,
    ),
    "an attributes class of another driver": Situation(
        (
            claim(volumeAttributesClassName="gold"),
            storage_class(),
            driver(),
            attributes_class("gold", "other.example.com"),
        ),
        "AttributesClassUnsupported",
        ("for driver other.example.com",),
        ("without volumeAttributesClassName",),
        cured=True,
    ),
    "a clone of a claim that there is not": Situation(
        (
            claim(dataSource=MASTER, dataSourceRef=MASTER),
            storage_class(),
            driver(),
        ),
        "DataSourceUnusable",
        ("clone of claim shop/master, which doesn't exist",),
        ("create claim shop/master", "without dataSource"),
        cured=True,
    ),
    "a snapshot that isn't there": Situation(
        (claim(dataSource=RESTORE), storage_class(), driver(), volume_snapshot("mondy")),
        "DataSourceUnusable",
        ("restored from snapshot shop/monday, which doesn't exist (did you mean mondy?)",),
        ("create VolumeSnapshot shop/monday", "without dataSource"),
        cured=False,
    ),
    "a snapshot that failed": Situation(
        (claim(dataSource=RESTORE), storage_class(), driver(), volume_snapshot(error={"message": "no room left"})),
        "SnapshotFails",
        ("restored from snapshot shop/monday, which isn't ready: no room left",),
        ("snapshot shop/monday", "without dataSource"),
    ),
    "a snapshot that failed, and a provisioner that said so": Situation(
        (
            claim(dataSource=RESTORE),
            storage_class(),
            driver(),
            volume_snapshot(error={"message": "no room left"}),
            event("ProvisioningFailed", "snapshot monday is not Ready"),
        ),
        "SnapshotFails",
        ("no room left",),
    ),
    "a snapshot that is being taken": Situation(
        (
            claim(dataSource=RESTORE),
            storage_class(),
            driver(),
            volume_snapshot(boundVolumeSnapshotContentName="c", readyToUse=False),
        ),
        "WaitsForSnapshot",
        ("which isn't ready yet: it is being taken",),
        code=0,
    ),
    "a snapshot that nobody has begun, and a class that waits": Situation(
        (claim(dataSource=RESTORE), DELAYED, driver(), node(), pod(), volume_snapshot()),
        "WaitsForSnapshot",
        ("it is not begun yet",),
        code=0,
    ),
    "a snapshot that is larger than the claim": Situation(
        (claim(dataSource=RESTORE), storage_class(), driver(), volume_snapshot(readyToUse=True, restoreSize="20Gi")),
        "DataSourceUnusable",
        ("it asks for 10Gi, and snapshot shop/monday needs 20Gi",),
        ("at least 20Gi",),
    ),
    "a snapshot that is ready": Situation(
        (claim(dataSource=RESTORE), storage_class(), driver(), volume_snapshot(readyToUse=True, restoreSize="10Gi")),
        "WaitsForExternalProvisioner",
        code=0,
    ),
    "a provisioner that was never heard of": Situation(
        (claim(), storage_class(), driver("other.example.com"), WAITED),
        "ProvisionerSilent",
        ("csi.example.com has made none for 3 h", "no CSIDriver"),
        ("install csi.example.com",),
    ),
    "a provisioner that was never heard of, and a class nearly of that name": Situation(
        (
            claim(),
            storage_class(),
            storage_class(name="fast2"),
            storage_class("other.example.com", name="fasts"),
            driver("other.example.com"),
            WAITED,
        ),
        "ProvisionerSilent",
        ("csi.example.com has made none for 3 h",),
        ("create the claim anew with class fasts",),  # fast2 has the same provisioner
    ),
    "a provisioner without CSI that doesn't run": Situation(
        (claim(), storage_class("rancher.io/local-path"), WAITED),
        "ProvisionerSilent",
        ("rancher.io/local-path has made none for 3 h",),
        ("pods and logs of rancher.io/local-path",),
    ),
    "a provisioner that was asked just now": Situation(
        (claim(), storage_class(), event("ExternalProvisioning", "Waiting", lastTimestamp=f"{DAY}09:00:20Z")),
        "WaitsForExternalProvisioner",
        code=0,
    ),
    "a provisioner that is at work": Situation(
        (
            claim(),
            storage_class(),
            driver(),
            WAITED,
            event("Provisioning", "External provisioner is provisioning volume"),
        ),
        "WaitsForExternalProvisioner",
        code=0,
    ),
    "a driver that doesn't run on the node that was selected": Situation(
        (
            claim(meta={"annotations": {"volume.kubernetes.io/selected-node": "n1"}}),
            DELAYED,
            driver(),
            node(),
            {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": "n1"}, "spec": {"drivers": []}},
        ),
        "DriverNotOnNode",
        ("CSINode n1",),
        ("node plugin of csi.example.com on node n1",),
    ),
    "a class for disks of nodes, and no disk": Situation(
        (claim(), BY_HAND, node()),
        "NoVolumeOnAnyNode",
        ("no node has a volume that fits",),
        ("on node n1",),
    ),
    "a disk of a node that there is not": Situation(
        (claim(), BY_HAND, node("n2"), volume("local-1", **affinity(HOST, "n1"))),
        "NoVolumeOnAnyNode",
        ("no node matches its node affinity",),
    ),
    "a pod that no node is good enough for": Situation(
        (claim(), DELAYED, driver(), node(), pod(nodeSelector={"gpu": "yes"})),
        "PodCannotBeScheduled",
        ("didn't match Pod's node affinity/selector",),
    ),
    "an in-tree plugin that can't make a volume from another": Situation(
        (
            claim(dataSource=MASTER, dataSourceRef=MASTER),
            storage_class("kubernetes.io/host-path"),
        ),
        "PluginRefuses",
        ("Only CSI plugin",),
        ("without dataSource",),
        cured=True,
    ),
}
CLASSES = {
    "no class, no default, a volume with a class": Situation(
        (claim(storageClassName=None), storage_class(), driver(), volume("disk")),
        "NoVolumeFits",
        ("no StorageClass is the default",),
        ("make class fast the default", "give it class fast", "with class fast (disk fits then)"),
        cured=True,
    ),
    "a class nearly of that name": Situation(
        (claim(storageClassName="gp2"), storage_class(name="gp3"), driver()),
        "ClassMissing",
        ('no StorageClass "gp2"', "did you mean gp3?"),
        ("create the claim anew with class gp3",),
        cured=True,
    ),
    "the class came from the default, and the volume has none": Situation(
        (
            claim(
                meta={
                    "annotations": {
                        "kubectl.kubernetes.io/last-applied-configuration": '{"kind":"PersistentVolumeClaim","spec":{}}'
                    }
                }
            ),
            storage_class(
                "kubernetes.io/no-provisioner",
                meta={"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            ),
            volume("disk", storageClassName=None),
        ),
        "NothingProvisions",
        ("class fast came from the default class",),
        ('storageClassName ""',),
        cured=True,
    ),
    "no class on purpose, and only volumes with one": Situation(
        (claim(storageClassName=""), storage_class(), driver(), volume("disk")),
        "NoVolumeFits",
        ("class is fast",),
        ("create the claim anew with class fast",),
        cured=True,
    ),
}
VOLUMES = {
    "a volume that kept the data of an earlier claim of that name": Situation(
        (claim(), storage_class("kubernetes.io/no-provisioner"), volume("disk", phase="Released", claimRef=EARLIER)),
        "NothingProvisions",
        (f"an earlier claim shop/orders (uid {OLD_UID}), which is gone",),
        ("kubectl patch pv disk", "/spec/claimRef/uid"),
        cured=True,
    ),
    "the volume that it names kept the data of an earlier claim of that name": Situation(
        (claim(volumeName="disk"), volume("disk", phase="Released", claimRef=EARLIER)),
        "NamedVolumeTaken",
        ("reserved for an earlier claim shop/orders", OLD_UID, "gone"),
        ("kubectl patch pv disk", "/spec/claimRef/uid"),
        cured=True,
    ),
    "a Lost claim whose volume names an earlier one": Situation(
        (bound(status={"phase": "Lost"}), volume("disk", phase="Released", claimRef=EARLIER)),
        "Misbound",
        ("an earlier claim of that name", OLD_UID),
        (f'"uid":"{UID}"',),
        cured=True,
    ),
    "its volume is gone": Situation(
        (bound(status={"phase": "Lost"}),),
        "LostVolume",
        ("volume disk, which is gone",),
        (f"create volume disk with at least 10Gi, RWO, class fast, claimRef shop/orders with uid {UID}",),
        cured=True,
    ),
    "a volume of somebody else that is released": Situation(
        (claim(storageClassName=""), volume("disk", storageClassName="", phase="Released", claimRef=INVOICES)),
        "NoVolumeFits",
        ("claimed by shop/invoices",),
        ("kubectl patch pv disk",),
        cured=True,
    ),
    "a released volume that is to be deleted": Situation(
        (
            claim(storageClassName=""),
            volume(
                "disk", storageClassName="", phase="Released", claimRef=INVOICES, persistentVolumeReclaimPolicy="Delete"
            ),
        ),
        "NoVolumeFits",
    ),
    "too small and of another class": Situation(
        (claim(), storage_class("kubernetes.io/no-provisioner"), volume("disk", "8Gi", storageClassName="slow")),
        "NothingProvisions",
        ("8Gi is less than 10Gi",),
        ("with at most 8Gi and with class slow (disk fits then)",),
        cured=True,
    ),
    "other access modes": Situation(
        (claim(storageClassName="", accessModes=["ReadWriteMany"]), volume("disk", storageClassName="")),
        "NoVolumeFits",
        ("offers RWO, not RWX",),
        ("create the claim anew with RWO (disk fits then)",),
        cured=True,
    ),
    "another volume mode": Situation(
        (claim(storageClassName="", volumeMode="Block"), volume("disk", storageClassName="")),
        "NoVolumeFits",
        ("volume mode is Filesystem, not Block",),
        ("create the claim anew with volumeMode Filesystem",),
        cured=True,
    ),
    "the volume that it names is of another class": Situation(
        (claim(volumeName="disk"), storage_class(), volume("disk", storageClassName="slow")),
        "NamedVolumeUnsuitable",
        ("storageClassName does not match",),
        ("change volume disk, its class to fast", "create the claim anew with class slow"),
        cured=True,
    ),
    "the volume that it names fails in two ways": Situation(
        (claim(volumeName="disk"), storage_class(), volume("disk", "8Gi", storageClassName="slow")),
        "NamedVolumeUnsuitable",
        ("requested PV is too small, storageClassName does not match",),
        ("its size to 10Gi", "its class to fast", "with at most 8Gi and with class slow"),
        cured=True,
    ),
    "the volume that it names isn't there": Situation(
        (claim(volumeName="disk-01"), volume("disk-1")),
        "NamedVolumeMissing",
        ("did you mean disk-1?",),
        ("create volume disk-01 with at least 10Gi, RWO, class fast", "without volumeName"),
        cured=True,
    ),
}
SITUATIONS = {**WAITING, **UNPLACED, **CLASSES, **VOLUMES, **AFTERWARDS}
