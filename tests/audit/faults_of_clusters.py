"""Worlds with a planted fault each: pairs, classes, workloads, capacity and leaks."""

from __future__ import annotations

from typing import Any

from tests.audit.world import (
    attachment,
    content,
    csi_node,
    daemon_set,
    deployment,
    job,
    pair,
    quota,
    ready,
    stateful_set,
)
from tests.insight.builders import (
    BY_HAND,
    CSI,
    DELAYED,
    HOST,
    ZONE,
    Document,
    affinity,
    attributes_class,
    bound,
    capacity,
    claim,
    driver,
    in_zone,
    node,
    pod,
    storage_class,
    topologies,
    volume,
    volume_snapshot,
)

FAST = storage_class()
ORDERS = "PersistentVolumeClaim shop/orders"
CLASS = "StorageClass fast"
DEFAULT = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
SSD = {"labels": {"disk": "ssd"}}
AT_ONCE = storage_class("kubernetes.io/no-provisioner", "Immediate")
LOCAL: Document = {"local": {"path": "/mnt/disk"}}
STATIC: Document = {"volume": {"capacity": {"storage": "100Gi"}}}


def later(name: str, **spec: Any) -> Document:
    """A claim that came after the orders."""
    return claim(name, meta={"creationTimestamp": "2026-03-02T09:00:00Z"}, **spec)


CLUSTERS: dict[str, tuple[str, str, tuple[Document, ...]]] = {
    "its volume names nobody": ("PVB301", ORDERS, (bound(), volume("disk", hostPath=None, **CSI), FAST, driver())),
    "its bind is said to be completed, and it names no volume": (
        "PVB302",
        ORDERS,
        (claim(meta={"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}), FAST, driver()),
    ),
    "its phase is Bound, and it names no volume": (
        "PVB302",
        ORDERS,
        (claim(status={"phase": "Bound"}), FAST, driver()),
    ),
    "it asked for little and has much": (
        "PVB303",
        ORDERS,
        (*pair("orders", **STATIC), deployment("shop", "orders"), FAST),
    ),
    "two volumes fit it and are labelled differently": (
        "PVB304",
        ORDERS,
        (claim(), volume("disk-1", meta=SSD), volume("disk-2", meta={"labels": {"disk": "hdd"}}), AT_ONCE),
    ),
    "two volumes fit it and have other policies": (
        "PVB304",
        ORDERS,
        (claim(), volume("disk-1"), volume("disk-2", persistentVolumeReclaimPolicy="Delete"), AT_ONCE),
    ),
    "another claim came first to the only volume": (
        "PVB304",
        "PersistentVolumeClaim shop/invoices",
        (claim(), later("invoices"), volume("disk"), AT_ONCE),
    ),
    "the binder wastes the volume that another needs": (
        "PVB305",
        "PersistentVolumeClaim shop/invoices",
        (
            claim(),
            later("invoices", selector={"matchLabels": {"disk": "ssd"}}),
            volume("disk-1", meta=SSD),
            volume("disk-2", "20Gi"),
            AT_ONCE,
        ),
    ),
    "it takes the volume that another selects": (
        "PVB306",
        ORDERS,
        (
            claim(),
            later("invoices", selector={"matchLabels": {"disk": "ssd"}}),
            volume("disk-1", meta=SSD),
            volume("disk-2", "20Gi"),
            AT_ONCE,
        ),
    ),
    "it takes the volume that another names": (
        "PVB306",
        ORDERS,
        (claim(), later("invoices", volumeName="disk"), volume("disk"), AT_ONCE),
    ),
    "several classes are the default": (
        "PVB401",
        "StorageClass fast",
        (
            storage_class(meta={**DEFAULT, "creationTimestamp": "2026-02-01T00:00:00Z"}),
            storage_class(name="slow", meta={**DEFAULT, "creationTimestamp": "2026-01-01T00:00:00Z"}),
            driver(),
        ),
    ),
    "a claim needs a default class": (
        "PVB402",
        "Cluster default class",
        (claim(storageClassName=None), FAST, driver()),
    ),
    "the provisioner is misspelt": ("PVB403", CLASS, (storage_class("csi.exmaple.com"), driver())),
    "the driver isn't installed": ("PVB403", CLASS, (storage_class("ebs.csi.aws.com"), driver())),
    "the in-tree plugin is gone": ("PVB403", CLASS, (storage_class("kubernetes.io/glusterfs"), driver())),
    "the driver that stands in isn't installed": ("PVB403", CLASS, (storage_class("kubernetes.io/gce-pd"), driver())),
    "the driver runs on no node": (
        "PVB403",
        CLASS,
        (FAST, driver(), driver("other.csi.example.com"), csi_node("n1", "other.csi.example.com"), node("n1")),
    ),
    "it binds at once, and its volumes are in zones": (
        "PVB404",
        CLASS,
        (*pair("orders", volume=affinity(ZONE, "a")), FAST, driver(), in_zone("n1", "a"), in_zone("n2", "b")),
    ),
    "it binds at once, and its volumes are on nodes": (
        "PVB404",
        CLASS,
        (volume("disk", **LOCAL, **affinity(HOST, "n1")), AT_ONCE, node("n1"), node("n2")),
    ),
    "its topologies are of no node": (
        "PVB405",
        CLASS,
        (storage_class(allowedTopologies=topologies("z")), driver(), in_zone("n1", "a")),
    ),
    "its topologies have a key that nodes lack": (
        "PVB405",
        CLASS,
        (storage_class(allowedTopologies=topologies("a")), driver(), node("n1")),
    ),
    "a StatefulSet deletes its claims": (
        "PVB406",
        CLASS,
        (stateful_set("db", retention={"whenDeleted": "Delete"}), FAST, driver()),
    ),
    "a StatefulSet deletes its claims when it is scaled": (
        "PVB406",
        CLASS,
        (
            stateful_set("db", retention={"whenScaled": "Delete"}, storageClassName=None),
            storage_class(meta=DEFAULT),
            driver(),
        ),
    ),
    "nothing uses it": ("PVB407", "StorageClass slow", (*pair("orders"), FAST, storage_class(name="slow"), driver())),
    "a parameter is misspelt": (
        "PVB408",
        CLASS,
        (storage_class(parameters={"csi.storage.k8s.io/fs-type": "ext4"}), driver()),
    ),
    "a secret has no namespace": (
        "PVB408",
        CLASS,
        (storage_class(parameters={"csi.storage.k8s.io/provisioner-secret-name": "admin"}), driver()),
    ),
    "a secret doesn't exist": (
        "PVB408",
        CLASS,
        (
            storage_class(
                parameters={
                    "csi.storage.k8s.io/provisioner-secret-name": "admin",
                    "csi.storage.k8s.io/provisioner-secret-namespace": "kube-system",
                }
            ),
            driver(),
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other", "namespace": "kube-system"}},
        ),
    ),
    "the secret of a claim that waits doesn't exist": (
        "PVB408",
        CLASS,
        (
            storage_class(
                parameters={
                    "csi.storage.k8s.io/provisioner-secret-name": "of-${pvc.name}",
                    "csi.storage.k8s.io/provisioner-secret-namespace": "${pvc.namespace}",
                }
            ),
            driver(),
            claim(),
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "of-another", "namespace": "shop"}},
        ),
    ),
    "a secret's template can't be worked out": (
        "PVB408",
        CLASS,
        (
            storage_class(
                parameters={
                    "csi.storage.k8s.io/secret-name": "${pvc.nmae}",
                    "csi.storage.k8s.io/secret-namespace": "${pvc.namespace}",
                }
            ),
            driver(),
        ),
    ),
    "an attributes class is for a driver that isn't there": (
        "PVB409",
        "VolumeAttributesClass gold",
        (attributes_class("gold", "csi.exmaple.com"), driver()),
    ),
    "a cordoned node has the only volumes of pods": (
        "PVB601",
        "Node n1",
        (
            *pair("orders", volume={**LOCAL, **affinity(HOST, "n1")}),
            pod(on="n1", phase="Running"),
            ready(node("n1"), cordoned=True),
            ready(node("n2")),
            deployment("shop", "orders"),
        ),
    ),
    "a node that isn't ready has the only volumes of pods": (
        "PVB601",
        "Node n1",
        (
            *pair("orders", volume={**LOCAL, **affinity(HOST, "n1")}),
            pod(on="n1", phase="Running"),
            ready(node("n1"), is_ready=False),
            ready(node("n2")),
        ),
    ),
    "pods can run in no other zone": (
        "PVB602",
        "Zone a",
        (
            *pair("orders", volume=affinity(ZONE, "a")),
            pod(on="n1", phase="Running"),
            in_zone("n1", "a"),
            in_zone("n2", "a"),
            in_zone("n3", "b"),
        ),
    ),
    "a StatefulSet wants more replicas than there are volumes": (
        "PVB603",
        "StatefulSet shop/db",
        (
            *pair("data-db-0", volume={**LOCAL, **affinity(HOST, "n1")}),
            stateful_set("db", replicas=2),
            BY_HAND,
            node("n1"),
        ),
    ),
    "a StatefulSet wants more replicas than its driver has room for": (
        "PVB603",
        "StatefulSet shop/db",
        (stateful_set("db", replicas=2), FAST, driver(storageCapacity=True), capacity("5Gi", "a"), in_zone("n1", "a")),
    ),
    "every node has as many volumes as it can": (
        "PVB603",
        "CSIDriver csi.example.com",
        (
            *pair("orders"),
            attachment("a1", "disk-orders", "n1"),
            csi_node("n1", "csi.example.com", limit=1),
            node("n1"),
            FAST,
            driver(),
        ),
    ),
    "replicas share a claim for one node": (
        "PVB604",
        "Deployment shop/web",
        (*pair("orders"), deployment("web", "orders", replicas=3), FAST, driver(), node("n1"), node("n2")),
    ),
    "a DaemonSet shares a claim for one node": (
        "PVB604",
        "DaemonSet shop/agent",
        (*pair("orders"), daemon_set("agent", "orders"), FAST, driver(), node("n1"), node("n2")),
    ),
    "a block device is to be mounted on several nodes": (
        "PVB605",
        ORDERS,
        (
            claim(accessModes=["ReadWriteMany"]),
            storage_class("ebs.csi.aws.com", "WaitForFirstConsumer"),
            driver("ebs.csi.aws.com"),
        ),
    ),
    "a quota doesn't hold the replicas that are wanted": (
        "PVB701",
        "ResourceQuota shop/storage",
        (
            quota({"requests.storage": "15Gi"}, {"requests.storage": "10Gi"}),
            *pair("data-db-0"),
            stateful_set("db", replicas=2),
            FAST,
            driver(),
        ),
    ),
    "a quota of a class is full": (
        "PVB701",
        "ResourceQuota shop/storage",
        (
            quota(
                {"fast.storageclass.storage.k8s.io/persistentvolumeclaims": "1"},
                {"fast.storageclass.storage.k8s.io/persistentvolumeclaims": "1"},
            ),
            *pair("orders"),
            FAST,
        ),
    ),
    "the driver has no room for another claim": (
        "PVB701",
        CLASS,
        (*pair("orders"), FAST, driver(storageCapacity=True), capacity("5Gi", "a"), in_zone("n1", "a")),
    ),
    "how much still fits is told": (
        "PVB702",
        CLASS,
        (*pair("orders"), FAST, driver(storageCapacity=True), capacity("50Gi", "a"), in_zone("n1", "a")),
    ),
    "a claim is being provisioned": (
        "PVB119",
        ORDERS,
        (claim(meta={"annotations": {"volume.kubernetes.io/storage-provisioner": "csi.example.com"}}), FAST, driver()),
    ),
    "how many volumes are free on which node is told": (
        "PVB702",
        CLASS,
        (AT_ONCE, volume("disk"), node("n1")),
    ),
    "how many more volumes a node can attach is told": (
        "PVB702",
        "CSIDriver csi.example.com",
        (csi_node("n1", "csi.example.com", limit=2), node("n1"), driver(), *pair("orders"), FAST),
    ),
    "a content has lost its snapshot": (
        "PVB802",
        "VolumeSnapshotContent c",
        (content("c", "gone", "u"), volume_snapshot("other")),
    ),
    "the content's snapshot was made anew": (
        "PVB802",
        "VolumeSnapshotContent c",
        (content("c", "monday", "u"), volume_snapshot("monday")),
    ),
    "a snapshot has lost its content": (
        "PVB802",
        "VolumeSnapshot shop/monday",
        (volume_snapshot(boundVolumeSnapshotContentName="c"), content("other", "tuesday")),
    ),
    "a finalizer holds a snapshot that nobody restores": (
        "PVB802",
        "VolumeSnapshot shop/monday",
        (
            {
                **volume_snapshot(),
                "metadata": {
                    "name": "monday",
                    "namespace": "shop",
                    "deletionTimestamp": "2026-03-01T10:00:00Z",
                    "finalizers": ["snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection"],
                },
            },
            claim("other", storageClassName="fast"),
            DELAYED,
            driver(),
        ),
    ),
    "an attachment leads to a node that is gone": (
        "PVB803",
        "VolumeAttachment a1",
        (*pair("orders"), attachment("a1", "disk-orders", "gone"), node("n1"), driver(), FAST),
    ),
    "an attachment leads to a volume that is gone": (
        "PVB803",
        "VolumeAttachment a1",
        (*pair("orders"), attachment("a1", "gone", "n1"), node("n1"), driver(), FAST),
    ),
    "an attachment leads to a driver that is gone": (
        "PVB803",
        "VolumeAttachment a1",
        (*pair("orders"), attachment("a1", "disk-orders", "n1", "gone.csi.example.com"), node("n1"), driver(), FAST),
    ),
    "a pod needs a claim that isn't there": (
        "PVB118",
        "Pod shop/web",
        (pod(claims=("ordres",)), claim(), DELAYED, driver()),
    ),
    "a Deployment needs a claim that isn't there": (
        "PVB118",
        "Deployment shop/web",
        (deployment("web", "ordres"), claim(), DELAYED, driver()),
    ),
    "two claims name the same volume": (
        "PVB304",
        "PersistentVolumeClaim shop/invoices",
        (claim(volumeName="disk"), later("invoices", volumeName="disk"), volume("disk"), AT_ONCE),
    ),
    "the node that was chosen for it is gone": (
        "PVB106",
        ORDERS,
        (
            claim(
                meta={
                    "creationTimestamp": "2026-03-20T11:59:00Z",
                    "annotations": {"volume.kubernetes.io/selected-node": "gone"},
                }
            ),
            DELAYED,
            driver(),
            node("n1"),
        ),
    ),
    "the pods of a Job share a claim for one node": (
        "PVB604",
        "Job shop/import",
        (
            *pair("orders"),
            {**job("import", "orders"), "spec": job("import", "orders")["spec"] | {"parallelism": 4}},
            FAST,
            driver(),
            node("n1"),
            node("n2"),
        ),
    ),
}
