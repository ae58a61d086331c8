"""Worlds that look wrong and are right: an audit has nothing to say of them above information."""

from __future__ import annotations

from tests.audit.healthy_clusters import HEALTHY_CLUSTERS
from tests.audit.world import (
    cron_job,
    deployment,
    job,
    namespace,
    pair,
    stateful_set,
)
from tests.insight.builders import (
    BY_HAND,
    DELAYED,
    HOST,
    ZONE,
    Document,
    affinity,
    claim,
    driver,
    in_zone,
    node,
    pod,
    storage_class,
    topologies,
    volume,
)

FAST = storage_class(mode="WaitForFirstConsumer")
USED = deployment("shop", "orders")
DEFAULT = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
LOCAL: Document = {"local": {"path": "/mnt/disk"}}
NFS: Document = {"nfs": {"server": "files.example.com", "path": "/export"}}
OWNED_BY_CLUSTER = [
    {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "name": "db", "uid": "u", "controller": True}
]

HEALTHY: dict[str, tuple[Document, ...]] = {
    "a claim of a delayed class without a pod": (claim(), DELAYED, driver(), node()),
    "the same with a provisioner that is no CSI driver": (
        claim(),
        storage_class("rancher.io/local-path", "WaitForFirstConsumer"),
        node(),
        driver("other.csi.example.com"),
    ),
    "a claim for local volumes without a pod": (claim(), BY_HAND, volume("local-1", **affinity(HOST, "n1")), node()),
    "a claim whose pod the scheduler is about to place": (claim(), DELAYED, driver(), node(), pod()),
    "a claim whose pod has a scheduling gate": (
        claim(),
        DELAYED,
        driver(),
        node(),
        pod(schedulingGates=[{"name": "example.com/wait"}]),
    ),
    "a claim that its provisioner is at work for": (
        claim(meta={"creationTimestamp": "2026-03-20T11:59:30Z"}),
        storage_class(),
        driver(),
    ),
    "a claim without a class, and a default class": (
        claim(storageClassName=None),
        storage_class(meta=DEFAULT),
        driver(),
    ),
    "a claim without a class that a volume without a class fits": (
        claim(storageClassName=None),
        volume("disk", storageClassName=None),
    ),
    "a claim that names a volume which is reserved for it": (
        claim(volumeName="disk"),
        volume("disk", claimRef={"namespace": "shop", "name": "orders"}),
    ),
    "a volume that is reserved for a claim which comes later": (
        volume("disk", claimRef={"namespace": "shop", "name": "orders"}),
        claim("invoices", storageClassName="slow"),
        storage_class(name="slow"),
        driver(),
        namespace(),
    ),
    "pre-made volumes that nobody has asked for yet": (
        *(volume(f"disk-{number}") for number in range(5)),
        BY_HAND,
        namespace(),
        node(),
    ),
    "local volumes of one size on many nodes": (
        claim(),
        BY_HAND,
        *(volume(f"local-{number}", **LOCAL, **affinity(HOST, f"n{number}")) for number in range(3)),
        *(node(f"n{number}") for number in range(3)),
    ),
    "equal volumes for a claim that binds at once": (claim(), volume("disk-1"), volume("disk-2"), storage_class()),
    "two claims and two equal volumes": (
        claim("one", storageClassName=""),
        claim("two", storageClassName=""),
        volume("disk-1", storageClassName=None),
        volume("disk-2", storageClassName=None),
    ),
    "a pair that a pod uses": (*pair("orders"), FAST, driver(), node("n1"), pod(on="n1", phase="Running")),
    "a claim of a StatefulSet that is scaled to none": (
        *pair("data-db-0"),
        *pair("data-db-1"),
        stateful_set("db", replicas=0),
        FAST,
        driver(),
        pod(claims=()),
    ),
    "the claims of replicas that a StatefulSet has no more": (
        *pair("data-db-0"),
        *pair("data-db-1"),
        *pair("data-db-2"),
        stateful_set("db", replicas=1),
        pod("db-0", on="n1", claims=("data-db-0",), phase="Running"),
        FAST,
        driver(),
    ),
    "a claim of a CronJob between its runs": (
        *pair("orders"),
        cron_job("backup", "orders"),
        pod(claims=()),
        FAST,
        driver(),
    ),
    "a claim of a Job that is done": (
        *pair("orders"),
        job("import", "orders"),
        pod("import-x", phase="Succeeded"),
        FAST,
        driver(),
    ),
    "a claim of a Deployment with no replicas": (
        *pair("orders"),
        deployment("shop", "orders", replicas=0),
        pod(claims=()),
        FAST,
        driver(),
    ),
    "a claim that an operator's object owns": (
        *pair(
            "orders",
            meta={"ownerReferences": OWNED_BY_CLUSTER, "annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        ),
        deployment("other"),
        pod(claims=()),
        FAST,
        driver(),
    ),
    "a golden image that others are cloned from": (
        *pair("golden"),
        *pair("orders", claim={"dataSource": {"kind": "PersistentVolumeClaim", "name": "golden"}}),
        USED,
        pod(on="n1", phase="Running"),
        FAST,
        driver(),
    ),
    "an unused claim that is kept by label": (
        *pair(
            "orders",
            meta={"labels": {"example.com/keep": "true"}, "annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        ),
        deployment("other"),
        pod(claims=()),
        FAST,
        driver(),
    ),
    "an unused claim of yesterday": (
        *pair(
            "orders",
            meta={
                "creationTimestamp": "2026-03-19T12:00:00Z",
                "annotations": {"pv.kubernetes.io/bind-completed": "yes"},
            },
        ),
        deployment("other"),
        pod(claims=()),
        FAST,
        driver(),
    ),
    "pods are known, and workloads aren't": (*pair("orders"), pod(claims=()), FAST, driver()),
    "bound claims without their volumes": (pair("orders")[0], FAST, driver()),
    "claims alone": (claim(), claim("invoices", storageClassName="")),
    "volumes alone": (pair("orders")[1], volume("disk-2")),
    "a released volume that is kept by label": (
        volume(
            "disk",
            phase="Released",
            claimRef={"namespace": "shop", "name": "orders", "uid": "gone"},
            meta={"labels": {"retain": "yes"}},
        ),
        BY_HAND,
    ),
    "a released volume that is kept as an archive": (
        volume(
            "disk",
            phase="Released",
            claimRef={"namespace": "shop", "name": "orders", "uid": "gone"},
            meta={"annotations": {"example.com/purpose": "archive"}},
        ),
        BY_HAND,
    ),
    "a released volume that its driver is deleting": (
        volume(
            "disk",
            phase="Released",
            claimRef={"namespace": "shop", "name": "orders", "uid": "gone"},
            persistentVolumeReclaimPolicy="Delete",
            csi={"driver": "csi.example.com", "volumeHandle": "h"},
            hostPath=None,
        ),
        FAST,
        driver(),
    ),
    "a claim that is just being deleted": (
        *pair(
            "orders",
            meta={
                "deletionTimestamp": "2026-03-20T11:58:00Z",
                "annotations": {"pv.kubernetes.io/bind-completed": "yes"},
                "finalizers": ["kubernetes.io/pvc-protection"],
            },
        ),
        pod(on="n1", phase="Running"),
        FAST,
        driver(),
    ),
    "a file system that namespaces share on purpose": (
        *pair("one", accessModes=["ReadWriteMany"], volume={"persistentVolumeReclaimPolicy": "Retain", **NFS}),
        *pair("two", accessModes=["ReadWriteMany"], volume={"persistentVolumeReclaimPolicy": "Retain", **NFS}),
        deployment("shop", "one", "two"),
    ),
    "directories of the same name on different nodes": (
        volume("local-1", local={"path": "/mnt/disk"}, hostPath=None, **affinity(HOST, "n1")),
        volume("local-2", local={"path": "/mnt/disk"}, hostPath=None, **affinity(HOST, "n2")),
        BY_HAND,
        node("n1"),
        node("n2"),
    ),
    "two drivers with the same handle": (
        *pair("one", volume={"csi": {"driver": "a.csi.example.com", "volumeHandle": "1"}}),
        *pair("two", volume={"csi": {"driver": "b.csi.example.com", "volumeHandle": "1"}}),
        deployment("shop", "one", "two"),
    ),
    "a small claim on a large share": (
        *pair("orders", volume={"capacity": {"storage": "1Ti"}, "persistentVolumeReclaimPolicy": "Retain", **NFS}),
        USED,
    ),
    "a provisioner that has a smallest size": (
        *pair(
            "orders",
            "1Gi",
            volume={
                "capacity": {"storage": "100Gi"},
                "meta": {"annotations": {"pv.kubernetes.io/provisioned-by": "csi.example.com"}},
            },
        ),
        USED,
        FAST,
        driver(),
    ),
    "a volume that is a little larger": (
        *pair("orders", volume={"capacity": {"storage": "12Gi"}}),
        USED,
        FAST,
        driver(),
    ),
    "a provisioner without a CSIDriver that has made volumes": (
        *pair("orders", volume={"meta": {"annotations": {"pv.kubernetes.io/provisioned-by": "nfs.csi.example.org"}}}),
        storage_class("nfs.csi.example.org", "Immediate"),
        driver("csi.example.com"),
        USED,
    ),
    "an in-tree name that a driver stands in for": (
        storage_class("kubernetes.io/aws-ebs", "WaitForFirstConsumer"),
        driver("ebs.csi.aws.com"),
    ),
    "no default class, and nobody who needs one": (*pair("orders"), USED, FAST, driver()),
    "a class that binds at once, in one zone": (
        *pair("orders", volume=affinity(ZONE, "a")),
        USED,
        storage_class(mode="Immediate"),
        driver(),
        in_zone("n1", "a"),
        in_zone("n2", "a"),
    ),
    "a class that binds at once, for storage without places": (
        *pair("orders"),
        USED,
        storage_class(mode="Immediate"),
        driver(),
        in_zone("n1", "a"),
        in_zone("n2", "b"),
    ),
    "a class for one of two zones": (
        storage_class(mode="WaitForFirstConsumer", allowedTopologies=topologies("a")),
        driver(),
        in_zone("n1", "a"),
        in_zone("n2", "b"),
    ),
    "secrets by template, and secrets that weren't read": (
        storage_class(
            parameters={
                "csi.storage.k8s.io/node-stage-secret-name": "${pvc.name}",
                "csi.storage.k8s.io/node-stage-secret-namespace": "${pvc.namespace}",
                "csi.storage.k8s.io/provisioner-secret-name": "admin",
                "csi.storage.k8s.io/provisioner-secret-namespace": "kube-system",
                "csi.storage.k8s.io/fstype": "ext4",
            }
        ),
        driver(),
    ),
    **HEALTHY_CLUSTERS,
}
