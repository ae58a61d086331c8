"""Worlds that look wrong and are right: workloads, capacity, leaks, and what came later."""

from __future__ import annotations

from tests.audit.world import (
    attachment,
    content,
    csi_node,
    daemon_set,
    deployment,
    pair,
    quota,
    ready,
    stateful_set,
    template,
)
from tests.insight.builders import (
    BY_HAND,
    DELAYED,
    HOST,
    UNSCHEDULABLE,
    ZONE,
    Document,
    affinity,
    attributes_class,
    capacity,
    claim,
    driver,
    in_zone,
    node,
    pod,
    storage_class,
    volume_snapshot,
)

FAST = storage_class(mode="WaitForFirstConsumer")
USED = deployment("shop", "orders")
LOCAL: Document = {"local": {"path": "/mnt/disk"}}
NFS: Document = {"nfs": {"server": "files.example.com", "path": "/export"}}


HEALTHY_CLUSTERS: dict[str, tuple[Document, ...]] = {
    "a StatefulSet that deletes its claims, and a class that retains": (
        stateful_set("db", replicas=0, retention={"whenDeleted": "Delete", "whenScaled": "Delete"}),
        storage_class(reclaimPolicy="Retain"),
        driver(),
    ),
    "a database on local volumes, one on each node": (
        *(
            each
            for number in range(3)
            for each in pair(
                f"data-db-{number}",
                volume={**LOCAL, "persistentVolumeReclaimPolicy": "Retain", **affinity(HOST, f"n{number}")},
            )
        ),
        *(pod(f"db-{number}", on=f"n{number}", claims=(f"data-db-{number}",), phase="Running") for number in range(3)),
        *(ready(node(f"n{number}")) for number in range(3)),
        stateful_set("db", replicas=3),
        BY_HAND,
    ),
    "a node that is cordoned, with pods that can go elsewhere": (
        *pair("orders"),
        pod(on="n1", phase="Running"),
        ready(node("n1"), cordoned=True),
        ready(node("n2")),
        USED,
        FAST,
        driver(),
    ),
    "one replica with RollingUpdate": (
        *pair("orders"),
        deployment("shop", "orders", strategy="RollingUpdate"),
        FAST,
        driver(),
    ),
    "replicas that share ReadWriteMany": (
        *pair("orders", accessModes=["ReadWriteMany"]),
        deployment("shop", "orders", replicas=3),
        FAST,
        driver(),
    ),
    "replicas that must run on one node": (
        *pair("orders"),
        deployment("shop", "orders", replicas=3, nodeSelector={HOST: "n1"}),
        FAST,
        driver(),
        node("n1"),
        node("n2"),
    ),
    "replicas on the only node": (
        *pair("orders"),
        deployment("shop", "orders", replicas=3),
        FAST,
        driver(),
        node("n1"),
    ),
    "a DaemonSet that only reads a shared volume": (
        *pair("orders", accessModes=["ReadOnlyMany"]),
        daemon_set("agent", "orders"),
        FAST,
        driver(),
        node("n1"),
        node("n2"),
    ),
    "raw block devices on several nodes": (
        *pair("orders", accessModes=["ReadWriteMany"], volumeMode="Block"),
        USED,
        storage_class("ebs.csi.aws.com", "WaitForFirstConsumer"),
        driver("ebs.csi.aws.com"),
        driver(),
    ),
    "a quota that is nearly used, with nothing waiting": (
        quota(
            {"requests.storage": "20Gi", "persistentvolumeclaims": "2"},
            {"requests.storage": "20Gi", "persistentvolumeclaims": "2"},
        ),
        *pair("one"),
        *pair("two"),
        deployment("shop", "one", "two"),
    ),
    "a part of the cluster without room, and another with room": (
        *pair("orders"),
        USED,
        FAST,
        driver(storageCapacity=True),
        {**capacity("0", "a"), "metadata": {"name": "c-a", "namespace": "kube-system"}},
        {**capacity("100Gi", "b"), "metadata": {"name": "c-b", "namespace": "kube-system"}},
        in_zone("n1", "a"),
        in_zone("n2", "b"),
    ),
    "attachments of a running pod": (
        *pair("orders"),
        pod(on="n1", phase="Running"),
        attachment("a1", "disk-orders", "n1"),
        csi_node("n1", "csi.example.com", limit=2),
        csi_node("n2", "csi.example.com", limit=2),
        node("n1"),
        node("n2"),
        USED,
        FAST,
        driver(),
    ),
    "a node with as many volumes as it can have, and another with room": (
        *pair("orders"),
        pod(on="n1", phase="Running"),
        attachment("a1", "disk-orders", "n1"),
        csi_node("n1", "csi.example.com", limit=1),
        csi_node("n2", "csi.example.com", limit=1),
        node("n1"),
        node("n2"),
        USED,
        FAST,
        driver(),
    ),
    "the content of a snapshot that is kept after the snapshot": (
        content("c", "gone", "u", policy="Retain"),
        volume_snapshot("other", boundVolumeSnapshotContentName="c2"),
        content("c2", "other", "uid-of-other"),
    ),
    "a content that waits for its snapshot": (
        content("c", "monday"),
        volume_snapshot("other", boundVolumeSnapshotContentName="c2"),
        content("c2", "other", "uid-of-other"),
    ),
    "an attributes class that isn't used yet": (attributes_class("gold"), driver(), FAST),
    "a volume that is larger in another unit": (
        *pair("orders", volume={"capacity": {"storage": "10240Mi"}}),
        USED,
        FAST,
        driver(),
    ),
    "a pod that has finished, whose claim is gone": (pod(phase="Succeeded"), claim("other"), DELAYED, driver()),
    "an ephemeral volume whose claim comes at once": (
        pod(
            claims=(),
            volumes=[
                {
                    "name": "scratch",
                    "ephemeral": {
                        "volumeClaimTemplate": {
                            "spec": {
                                "accessModes": ["ReadWriteOnce"],
                                "storageClassName": "fast",
                                "resources": {"requests": {"storage": "1Gi"}},
                            }
                        }
                    },
                }
            ],
        ),
        DELAYED,
        driver(),
        node(),
        claim("other", storageClassName="fast"),
    ),
    "a scheduler that is right to wait for a taint": (
        *pair("orders"),
        pod(conditions=[UNSCHEDULABLE | {"message": "0/1 nodes are available: 1 Insufficient cpu."}]),
        FAST,
        driver(),
        node(),
    ),
    "a claim that the template of a StatefulSet names, which is scaled to none": (
        *pair("orders"),
        {
            **stateful_set("db", replicas=0),
            "spec": stateful_set("db", replicas=0)["spec"] | {"template": template("orders")},
        },
        pod(claims=()),
        FAST,
        driver(),
    ),
    "a class that binds at once, whose volumes reach every zone": (
        *pair("orders", volume=affinity(ZONE, "a", "b")),
        USED,
        storage_class(mode="Immediate"),
        driver(),
        in_zone("n1", "a"),
        in_zone("n2", "b"),
    ),
    "an export that offers both modes and is shared on purpose": (
        *pair(
            "one",
            accessModes=["ReadWriteOnce", "ReadWriteMany"],
            volume={"persistentVolumeReclaimPolicy": "Retain", **NFS},
        ),
        *pair(
            "two",
            accessModes=["ReadWriteOnce", "ReadWriteMany"],
            volume={"persistentVolumeReclaimPolicy": "Retain", **NFS},
        ),
        deployment("shop", "one", "two"),
    ),
    "a chart that uses a claim of somebody else": (deployment("web", "uploads"), claim("cache"), DELAYED, driver()),
    "a claim that grows": (
        *pair("orders", claim={"resources": {"requests": {"storage": "20Gi"}}}),
        USED,
        storage_class(mode="WaitForFirstConsumer", allowVolumeExpansion=True),
        driver(),
    ),
    "a quota that forbids a class": (
        quota({"gold.storageclass.storage.k8s.io/requests.storage": "0"}),
        claim(),
        DELAYED,
    ),
}
