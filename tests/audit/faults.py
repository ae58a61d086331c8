"""Worlds with a planted fault each: the code and the object of the finding that an audit must have. Claims, volumes."""

from __future__ import annotations

from typing import TypeAlias

from tests.audit.faults_of_clusters import CLUSTERS
from tests.audit.world import deployment, namespace, pair
from tests.insight.builders import (
    BY_HAND,
    CSI,
    DELAYED,
    DELETED,
    EARLIER,
    HOST,
    INVOICES,
    OLD_UID,
    RESTORE,
    UNSCHEDULABLE,
    WAITED,
    ZONE,
    Document,
    affinity,
    attributes_class,
    bound,
    capacity,
    claim,
    driver,
    event,
    in_zone,
    its,
    node,
    pod,
    storage_class,
    topologies,
    volume,
    volume_snapshot,
)

Fault: TypeAlias = tuple[str, str, tuple[Document, ...]]
ORDERS = "PersistentVolumeClaim shop/orders"
DISK = "PersistentVolume disk"
FAST = storage_class()
OLD = {"creationTimestamp": "2026-01-01T09:00:00Z", "annotations": {"pv.kubernetes.io/bind-completed": "yes"}}
GONE = {"namespace": "shop", "name": "orders", "uid": OLD_UID}


def _claims() -> dict[str, Fault]:
    worlds: dict[str, tuple[str, tuple[Document, ...]]] = {
        "no volume is large enough, and the class has no provisioner": (
            "PVB101",
            (claim(), volume("disk", "5Gi"), storage_class("kubernetes.io/no-provisioner")),
        ),
        "no volume offers the mode, and the claim wants no class": (
            "PVB101",
            (claim(storageClassName="", accessModes=["ReadWriteMany"]), volume("disk", storageClassName=None)),
        ),
        "a volume is reserved for it and has another volume mode": (
            "PVB101",
            (
                claim(volumeMode="Block"),
                volume("disk", claimRef={"namespace": "shop", "name": "orders"}),
                storage_class("kubernetes.io/no-provisioner"),
            ),
        ),
        "the class is misspelt": ("PVB102", (claim(storageClassName="fsat"), FAST, driver())),
        "the class doesn't exist and nothing is like it": ("PVB102", (claim(storageClassName="gold"), FAST, driver())),
        "no class, and none is the default": ("PVB103", (claim(storageClassName=None), FAST, driver())),
        "no class, and the default came later": (
            "PVB103",
            (
                claim(storageClassName=None),
                storage_class(meta={"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}),
            ),
        ),
        "it names a volume that isn't there": ("PVB104", (claim(volumeName="disc"), volume("disk"), FAST)),
        "it names another's volume": (
            "PVB104",
            (claim(volumeName="disk"), volume("disk", phase="Bound", claimRef=INVOICES), FAST),
        ),
        "it names a volume that is too small": ("PVB104", (claim(volumeName="disk"), volume("disk", "5Gi"), FAST)),
        "it names a volume of another class": (
            "PVB104",
            (claim(volumeName="disk"), volume("disk", storageClassName="slow"), FAST),
        ),
        "it names a volume of another mode": (
            "PVB104",
            (claim(volumeName="disk"), volume("disk", volumeMode="Block"), FAST),
        ),
        "it names a volume without its access mode": (
            "PVB104",
            (claim(volumeName="disk", accessModes=["ReadWriteMany"]), volume("disk"), FAST),
        ),
        "its volume was deleted": ("PVB105", (bound(), volume("other"), FAST)),
        "it was restored and has another UID": (
            "PVB105",
            (bound(), volume("disk", phase="Bound", claimRef=EARLIER), FAST),
        ),
        "its volumeName was removed": ("PVB105", (bound(disk=""), volume("disk"), FAST)),
        "the volume that it was bound to is another's": (
            "PVB105",
            (bound(), volume("disk", phase="Bound", claimRef=INVOICES), FAST),
        ),
        "its pod names a node": ("PVB106", (claim(), DELAYED, driver(), node(), pod(on="n1"))),
        "its pod can't be scheduled": (
            "PVB106",
            (claim(), DELAYED, driver(), node(), pod(nodeSelector={"disk": "ssd"})),
        ),
        "the scheduler says that its pod can't be scheduled": (
            "PVB106",
            (
                claim(),
                DELAYED,
                driver(),
                node(),
                pod(conditions=[UNSCHEDULABLE | {"message": "0/1 nodes are available: 1 Too many pods."}]),
            ),
        ),
        "its pod needs two claims that no one node has volumes for": (
            "PVB106",
            (
                claim(),
                claim("logs"),
                BY_HAND,
                volume("local-1", "10Gi", **affinity(HOST, "n1")),
                volume("local-2", "10Gi", **affinity(HOST, "n2")),
                node("n1"),
                node("n2"),
                pod(claims=("orders", "logs")),
            ),
        ),
        "nothing uses it since it was made": (
            "PVB107",
            (*pair("orders"), deployment("other"), pod(claims=()), FAST, driver()),
        ),
        "nothing uses it, by its condition": (
            "PVB107",
            (
                {
                    **pair("orders")[0],
                    "status": {
                        "phase": "Bound",
                        "conditions": [
                            {"type": "Unused", "status": "True", "lastTransitionTime": "2026-02-01T00:00:00Z"}
                        ],
                    },
                },
                pair("orders")[1],
                deployment("other"),
                pod(claims=()),
                FAST,
                driver(),
            ),
        ),
        "the StatefulSet that it was made for is gone": (
            "PVB107",
            (
                *pair("orders", meta={**OLD, "labels": {"app": "db"}}),
                deployment("other"),
                pod(claims=()),
                FAST,
                driver(),
            ),
        ),
        "it is being deleted and a pod keeps it": (
            "PVB108",
            (
                bound() | {"metadata": bound()["metadata"] | {"deletionTimestamp": "2026-03-01T10:00:00Z"}},
                its(**CSI),
                pod(on="n1", phase="Running"),
                FAST,
                driver(),
            ),
        ),
        "it is being deleted and a backup's finalizer keeps it": (
            "PVB108",
            (
                bound()
                | {
                    "metadata": bound()["metadata"]
                    | {"deletionTimestamp": "2026-03-01T10:00:00Z", "finalizers": ["backup.example.com/hold"]}
                },
                its(**CSI),
                FAST,
                driver(),
            ),
        ),
        "it wants to grow, and the driver says that it can't": (
            "PVB109",
            (
                bound(
                    resources={"requests": {"storage": "20Gi"}},
                    status={
                        "allocatedResources": {"storage": "20Gi"},
                        "allocatedResourceStatuses": {"storage": "ControllerResizeInfeasible"},
                    },
                ),
                its(**CSI),
                FAST,
                driver(),
            ),
        ),
        "it wants to grow, and nobody grows such volumes": (
            "PVB109",
            (bound(resources={"requests": {"storage": "20Gi"}}), its(nfs={"server": "f", "path": "/"}), FAST),
        ),
        "its modification is infeasible": (
            "PVB109",
            (
                bound(
                    volumeAttributesClassName="gold",
                    status={
                        "currentVolumeAttributesClassName": "silver",
                        "modifyVolumeStatus": {"status": "Infeasible", "targetVolumeAttributesClassName": "gold"},
                    },
                ),
                its(**CSI, volumeAttributesClassName="silver"),
                attributes_class("gold"),
                attributes_class("silver"),
                FAST,
                driver(),
            ),
        ),
        "it has a selector, and only a provisioner": (
            "PVB110",
            (claim(selector={"matchLabels": {"disk": "ssd"}}), FAST, driver()),
        ),
        "its provisioner fails": (
            "PVB111",
            (claim(), FAST, driver(), event("ProvisioningFailed", "rpc error: quota exceeded")),
        ),
        "the snapshot that it is made from isn't there": (
            "PVB112",
            (claim(dataSource=RESTORE), FAST, driver(), volume_snapshot("tuesday")),
        ),
        "the snapshot that it is made from is larger": (
            "PVB112",
            (claim(dataSource=RESTORE), FAST, driver(), volume_snapshot(readyToUse=True, restoreSize="20Gi")),
        ),
        "the claim that it is a clone of isn't there": (
            "PVB112",
            (claim(dataSource={"kind": "PersistentVolumeClaim", "name": "master"}), FAST, driver()),
        ),
        "its provisioner is silent for hours": ("PVB113", (claim(), FAST, WAITED, driver("other.csi.example.com"))),
        "no part of the cluster has room for it": (
            "PVB114",
            (
                claim(),
                DELAYED,
                driver(storageCapacity=True),
                capacity("5Gi", "a"),
                in_zone("n1", "a"),
                pod(),
            ),
        ),
        "its class allows a zone that isn't there": (
            "PVB114",
            (claim(), storage_class(allowedTopologies=topologies("z")), driver(), in_zone("n1", "a")),
        ),
        "no node has a volume for it": ("PVB114", (claim(), BY_HAND, volume("disk", "1Gi"), node("n1"), pod())),
        "its attributes class doesn't exist": (
            "PVB115",
            (claim(volumeAttributesClassName="glod"), attributes_class("gold"), FAST, driver()),
        ),
        "its attributes class is another driver's": (
            "PVB115",
            (
                claim(volumeAttributesClassName="gold"),
                attributes_class("gold", "other.csi.example.com"),
                FAST,
                driver(),
            ),
        ),
        "its pod is on a node that can't reach the volume": (
            "PVB116",
            (bound(), its(**affinity(HOST, "n1"), **CSI), pod(on="n2"), node("n1"), node("n2"), FAST, driver()),
        ),
        "no node can reach its volume": (
            "PVB116",
            (bound(), its(**affinity(HOST, "gone"), **CSI), node("n1"), FAST, driver()),
        ),
        "another node has its volume": (
            "PVB116",
            (
                bound(),
                its(**CSI),
                pod(on="n1", phase="Running"),
                pod("web-2", on="n2"),
                node("n1"),
                node("n2"),
                FAST,
                driver(),
            ),
        ),
        "its selector can't be read": (
            "PVB117",
            (
                claim(selector={"matchExpressions": [{"key": "a", "operator": "In", "values": []}]}),
                volume("disk"),
                FAST,
            ),
        ),
    }
    return {name: (code, ORDERS, world) for name, (code, world) in worlds.items()}


def _volumes() -> dict[str, Fault]:
    worlds: dict[str, tuple[str, tuple[Document, ...]]] = {
        "it is released and kept": ("PVB201", (volume("disk", phase="Released", claimRef=GONE), FAST)),
        "it is released, and a claim of the same name waits": (
            "PVB201",
            (volume("disk", phase="Released", claimRef=GONE), claim(), FAST, driver()),
        ),
        "its claimRef has the UID of a claim that is gone": (
            "PVB202",
            (volume("disk", claimRef=GONE), claim("other"), FAST, driver()),
        ),
        "its claimRef has the UID of an earlier claim": (
            "PVB202",
            (volume("disk", claimRef=EARLIER), claim(), FAST, driver()),
        ),
        "no node satisfies its affinity": ("PVB202", (volume("disk", **affinity(HOST, "gone")), node("n1"), BY_HAND)),
        "no zone satisfies its affinity": (
            "PVB202",
            (volume("disk", **affinity(ZONE, "z")), in_zone("n1", "a"), BY_HAND),
        ),
        "it offers no access mode": ("PVB202", (volume("disk", accessModes=[]), BY_HAND)),
        "it is reserved for a claim that wants more": (
            "PVB202",
            (volume("disk", "5Gi", claimRef={"namespace": "shop", "name": "orders"}), claim(), BY_HAND),
        ),
        "it is reserved for a claim that has another volume": (
            "PVB202",
            (volume("disk", claimRef={"namespace": "shop", "name": "orders"}), *pair("orders", disk="better"), BY_HAND),
        ),
        "it has failed, with the words of the plugin": (
            "PVB203",
            (
                {
                    **volume("disk", phase="Failed", claimRef=GONE, persistentVolumeReclaimPolicy="Recycle"),
                    "status": {"phase": "Failed", "message": "no recycler"},
                },
                FAST,
            ),
        ),
        "the driver says that it can't delete it": (
            "PVB203",
            (
                volume(
                    "disk",
                    phase="Released",
                    claimRef=GONE,
                    persistentVolumeReclaimPolicy="Delete",
                    hostPath=None,
                    **CSI,
                ),
                event("VolumeFailedDelete", "volume is in use", about="PersistentVolume/disk"),
                driver(),
            ),
        ),
        "nobody is there to delete it": (
            "PVB203",
            (
                volume(
                    "disk",
                    phase="Released",
                    claimRef=GONE,
                    persistentVolumeReclaimPolicy="Delete",
                    hostPath=None,
                    **CSI,
                ),
                driver("other.csi.example.com"),
            ),
        ),
        "it deletes a share that another volume has": (
            "PVB204",
            (
                volume("disk", persistentVolumeReclaimPolicy="Delete", nfs={"server": "f", "path": "/e"}),
                volume("disk-2", nfs={"server": "f", "path": "/e/"}),
                BY_HAND,
            ),
        ),
        "it is being deleted while its claim has it": (
            "PVB205",
            (bound(), its(meta=DELETED, **CSI), FAST, driver(), pod(on="n1", phase="Running")),
        ),
        "it is being deleted and an attacher keeps it": (
            "PVB205",
            (
                volume(
                    "disk",
                    phase="Released",
                    claimRef=GONE,
                    meta={
                        "deletionTimestamp": "2026-03-01T10:00:00Z",
                        "finalizers": ["external-attacher/csi-example-com"],
                    },
                ),
                FAST,
            ),
        ),
        "another volume has the same handle": (
            "PVB206",
            (volume("disk", hostPath=None, **CSI), volume("disk-2", hostPath=None, **CSI), FAST, driver()),
        ),
        "another volume has the same export": (
            "PVB206",
            (
                volume("disk", nfs={"server": "f", "path": "/e"}),
                volume("disk-2", nfs={"server": "f", "path": "/e"}),
                FAST,
            ),
        ),
        "another volume is the same directory of the node": (
            "PVB206",
            (
                volume("disk", local={"path": "/mnt/a"}, **affinity(HOST, "n1")),
                volume("disk-2", local={"path": "/mnt/a"}, **affinity(HOST, "n1")),
                BY_HAND,
                node("n1"),
            ),
        ),
        "nobody here can take it": (
            "PVB207",
            (volume("disk", storageClassName="forgotten"), FAST, driver(), claim("other")),
        ),
        "its affinity excludes the node of its pod": (
            "PVB208",
            (
                bound(),
                its(**affinity(ZONE, "b"), **CSI),
                pod(on="n1", phase="Running"),
                in_zone("n1", "a"),
                in_zone("n2", "b"),
                FAST,
                driver(),
            ),
        ),
        "its claim doesn't exist": (
            "PVB301",
            (pair("orders", disk="disk")[1], claim("other"), FAST, driver(), namespace(), node()),
        ),
        "its claim has another volume": (
            "PVB301",
            (pair("orders", disk="disk")[1], *pair("orders", disk="better"), FAST, driver()),
        ),
        "a controller is said to have bound it, and it has no claimRef": (
            "PVB302",
            (volume("disk", meta={"annotations": {"pv.kubernetes.io/bound-by-controller": "yes"}}), FAST),
        ),
    }
    return {name: (code, DISK, world) for name, (code, world) in worlds.items()}


FAULTS: dict[str, Fault] = {**_claims(), **_volumes(), **CLUSTERS}
