"""Every verdict that explain can give, as the words and codes that people and scripts see."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.insight.claims import explain_claim
from pvbinder.insight.explanation import ClaimExplanation
from pvbinder.insight.pods import explain_pod
from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.objects import claim_key
from pvbinder.rules.csi.refusals import INFEASIBLE
from pvbinder.rules.settings import Settings
from pvbinder.volumes.loading import in_tree_plugins, load_catalogue

Document = dict[str, Any]


def volume(
    name: str, size: str = "10Gi", *, status: str = "Available", meta: Document | None = None, **spec: Any
) -> Document:
    base = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    spec.setdefault("storageClassName", "fast")
    return {
        "kind": "PersistentVolume",
        "metadata": {"name": name, **(meta or {})},
        "spec": base | spec,
        "status": {"phase": status},
    }


def claim(*, meta: Document | None = None, status: Document | None = None, **spec: Any) -> Document:
    base = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}
    spec.setdefault("storageClassName", "fast")
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "orders", "namespace": "shop", "uid": "u1", **(meta or {})},
        "spec": {key: value for key, value in (base | spec).items() if value is not None},
        "status": {"phase": "Pending", **(status or {})},
    }


def storage_class(provisioner: str, mode: str = "Immediate", name: str = "fast", **meta: Any) -> Document:
    return {
        "kind": "StorageClass",
        "metadata": {"name": name, **meta},
        "provisioner": provisioner,
        "volumeBindingMode": mode,
    }


def pod(
    name: str = "web", node: str = "", *, claim_name: str = "orders", conditions: Any = (), **meta: Any
) -> Document:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": "p1", **meta},
        "spec": {
            "nodeName": node,
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim_name}}],
        },
        "status": {"phase": "Running" if node else "Pending", "conditions": list(conditions)},
    }


def event(reason: str, message: str) -> Document:
    about = {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "orders", "uid": "u1"}
    return {"kind": "Event", "involvedObject": about, "type": "Warning", "reason": reason, "message": message}


BOUND = {"pv.kubernetes.io/bind-completed": "yes"}
REF = {"namespace": "shop", "name": "orders", "uid": "u1"}
OTHER = {"namespace": "shop", "name": "invoices", "uid": "u2"}
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available",
}
WAITS = storage_class("csi.example.com", "WaitForFirstConsumer")
HELD = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["kubernetes.io/pvc-protection"]}

CASES: dict[str, tuple[list[Document], str, str]] = {
    "bound (SC-B4)": (
        [
            claim(
                meta={"annotations": BOUND},
                volumeName="disk",
                status={"phase": "Bound", "capacity": {"storage": "10Gi"}},
            ),
            volume("disk", claimRef=REF, status="Bound"),
        ],
        "Bound",
        "it has volume disk with 10Gi",
    ),
    "bound and growing": (
        [
            claim(
                meta={"annotations": BOUND},
                volumeName="disk",
                resources={"requests": {"storage": "20Gi"}},
                status={"phase": "Bound", "capacity": {"storage": "10Gi"}},
            ),
            volume("disk", claimRef=REF, status="Bound"),
        ],
        "NobodyGrows",
        "it has volume disk with 10Gi and waits to grow to 20Gi",
    ),
    "a volume fits (SC-U3)": ([claim(), volume("disk")], "WillBind", "it gets volume disk"),
    "no class at all, and a default one exists (SC-U4)": (
        [
            claim(storageClassName=None),
            storage_class("csi.example.com", annotations={"storageclass.kubernetes.io/is-default-class": "true"}),
        ],
        "DefaultClassComes",
        "it has no class and gets the default class fast",
    ),
    "no class and no volume (SC-U7)": (
        [claim(storageClassName="")],
        "NoVolumeFits",
        "no volume fits it and nothing will provision one, as it has no class",
    ),
    "the class is missing (PR-2)": ([claim()], "ClassMissing", 'no volume fits it and there is no StorageClass "fast"'),
    "an in-tree name without a plugin (PR-4)": (
        [claim(), storage_class("kubernetes.io/no-provisioner")],
        "NothingProvisions",
        "no volume fits it and nothing will provision one: no volume plugin matched name: kubernetes.io/no-provisioner",
    ),
    "an external provisioner (PR-20)": (
        [claim(), storage_class("csi.example.com")],
        "WaitsForExternalProvisioner",
        "no volume fits it; the external provisioner csi.example.com has to make one",
    ),
    "an external provisioner that fails": (
        [claim(), storage_class("csi.example.com"), event("ProvisioningFailed", "out of space")],
        "ProvisioningFails",
        "no volume fits it and provisioning one failed: out of space",
    ),
    "an external provisioner that can't ever (LB-20)": (
        [claim(), storage_class("csi.example.com"), event("ProvisioningFailed", f"{INFEASIBLE} never")],
        "ProvisioningFails",
        "no volume fits it and provisioning one failed: never",
    ),
    "an in-tree provisioner (PR-6)": (
        [claim(), storage_class("kubernetes.io/host-path")],
        "VolumeIsBeingProvisioned",
        "no volume fits it; kubernetes.io/host-path makes one",
    ),
    "what was provisioned for it doesn't fit (PR-9, FM-8)": (
        [
            claim(volumeAttributesClassName="gold"),
            storage_class("kubernetes.io/host-path"),
            volume("pvc-u1", claimRef=REF, status="Pending"),
        ],
        "ProvisionedVolumeUnsuitable",
        "volume pvc-u1 was provisioned for it and doesn't fit it",
    ),
    "nobody uses it yet (DB-2)": (
        [claim(), WAITS],
        "WaitsForFirstConsumer",
        "class fast waits for a pod that uses the claim",
    ),
    "its pod has no node yet (DB-2)": (
        [claim(), WAITS, pod()],
        "WaitsForPodToBeScheduled",
        "it waits for the scheduler to pick a node for pod web",
    ),
    "its pod can't be scheduled": (
        [claim(), WAITS, pod(conditions=[UNSCHEDULABLE])],
        "PodCannotBeScheduled",
        "it waits for pod web, which can't be scheduled: 0/1 nodes are available",
    ),
    "the volume it names is missing (SC-P1)": (
        [claim(volumeName="disk")],
        "NamedVolumeMissing",
        "it names volume disk, which doesn't exist",
    ),
    "the volume it names is too small (SC-P2)": (
        [claim(volumeName="disk"), volume("disk", "1Gi")],
        "NamedVolumeUnsuitable",
        "it names volume disk, which won't do: requested PV is too small",
    ),
    "the volume it names is taken (SC-P5)": (
        [claim(volumeName="disk"), volume("disk", claimRef=OTHER, status="Bound")],
        "NamedVolumeTaken",
        "it names volume disk, which is bound to or reserved for shop/invoices",
    ),
    "the volume it was given is taken (SC-P6)": (
        [
            claim(volumeName="disk", meta={"annotations": {"pv.kubernetes.io/bound-by-controller": "yes"}}),
            volume("disk", claimRef=OTHER, status="Bound"),
        ],
        "NamedVolumeTaken",
        "it names volume disk, which is bound to or reserved for shop/invoices",
    ),
    "a volume is reserved for it in another mode (SV-6)": (
        [claim(), volume("disk", claimRef=REF, volumeMode="Block")],
        "VolumeModeMismatch",
        "volume disk is reserved for it but has another volume mode",
    ),
    "its reference is lost (SC-B1)": (
        [claim(meta={"annotations": BOUND}, status={"phase": "Lost"})],
        "LostReference",
        "it was bound, and its volumeName was removed",
    ),
    "its volume is lost (SC-B2)": (
        [claim(meta={"annotations": BOUND}, volumeName="disk", status={"phase": "Lost"})],
        "LostVolume",
        "it was bound to volume disk, which is gone",
    ),
    "its volume is another's (SC-B5)": (
        [claim(meta={"annotations": BOUND}, volumeName="disk"), volume("disk", claimRef=OTHER, status="Bound")],
        "Misbound",
        "it says that it is bound to volume disk, which belongs to shop/invoices by its claimRef",
    ),
    "its restored volume doesn't say the uid (SC-B5)": (
        [
            claim(meta={"annotations": BOUND}, volumeName="disk"),
            volume("disk", claimRef={"namespace": "shop", "name": "orders"}, status="Available"),
        ],
        "Misbound",
        "it says that it is bound to volume disk, which belongs to shop/orders without saying which one by its uid",
    ),
    "its class says no binding mode (SC-U1)": (
        [claim(), {"kind": "StorageClass", "metadata": {"name": "fast"}, "provisioner": "x/y"}],
        "ClassIsBroken",
        'VolumeBindingMode not set for StorageClass "fast"',
    ),
    "its selector can't be read (SC-U2)": (
        [claim(selector={"matchExpressions": [{"key": "a", "operator": "Near", "values": ["b"]}]}), volume("disk")],
        "SelectorIsBroken",
        (
            'error finding PV for claim "shop/orders": error creating internal label selector for claim: '
            'shop/orders: "Near" is not a valid label selector operator'
        ),
    ),
    "deleted while a pod uses it (PC-11)": (
        [claim(meta=HELD), pod(node="n1")],
        "ProtectedByPod",
        "it is being deleted and kept as long as pod web uses it",
    ),
    "deleted and held by somebody": (
        [claim(meta=HELD | {"finalizers": ["example.com/backup"]})],
        "HeldByFinalizers",
        "it is being deleted and held by example.com/backup",
    ),
    "deleted and unused": ([claim(meta=HELD)], "IsGoingAway", "it is being deleted and nothing uses it"),
}


def explained(documents: list[Document], **settings: Any) -> ClaimExplanation:
    plugins = load_catalogue(in_tree_plugins(), installed=())
    snapshot = Snapshot(documents, plugins=plugins, settings=Settings(**settings))
    assert not snapshot.unreadable
    found = snapshot.claim(claim_key("shop", "orders"))
    assert found is not None
    return explain_claim(found, snapshot)


@pytest.mark.parametrize(("documents", "reason", "summary"), CASES.values(), ids=CASES.keys())
def test_the_verdict_says_what_is_the_matter(documents: list[Document], reason: str, summary: str) -> None:
    explanation = explained(documents)
    assert (explanation.reason, explanation.summary) == (reason, summary)


def test_explain_1_provisioning_that_is_switched_off_is_said_so() -> None:
    """PR-1: the settings of the decision are the ones that the explanation is given."""
    explanation = explained([claim(), storage_class("csi.example.com")], dynamic_provisioning=False)
    assert explanation.reason == "ProvisioningDisabled"


WAY_OUT_NEEDED = {"WillBind", "DefaultClassComes", "Bound", "IsGoingAway"} | {
    "WaitsForFirstConsumer",
    "WaitsForPodToBeScheduled",
    "WaitsForExternalProvisioner",
    "VolumeIsBeingProvisioned",
}


@pytest.mark.parametrize(("documents", "reason", "summary"), CASES.values(), ids=CASES.keys())
def test_explain_2_whoever_is_stuck_is_told_what_to_do(documents: list[Document], reason: str, summary: str) -> None:
    explanation = explained(documents)
    assert explanation.needs_action is (reason not in WAY_OUT_NEEDED)
    assert bool(explanation.advice) is explanation.needs_action
    assert explanation.next


def test_explain_3_every_volume_is_there_the_nearest_miss_first() -> None:
    explanation = explained(
        [
            claim(),
            volume("far", "1Gi", storageClassName="slow", accessModes=["ReadWriteMany"], status="Released"),
            volume("small", "8Gi"),
            volume("smaller", "2Gi"),
            volume("taken", claimRef=OTHER, status="Bound"),
        ]
    )
    assert [(note.name, note.rule, note.why) for note in explanation.volumes] == [
        ("small", "FM-6a", "8Gi is less than 10Gi"),
        ("smaller", "FM-6a", "2Gi is less than 10Gi"),
        ("taken", "FM-6", "claimed by shop/invoices"),
        ("far", "FM-2", "offers RWX, not RWO"),
    ]


def test_a_waiting_claim_shows_the_volumes_that_would_fit_and_where() -> None:
    affinity = {
        "required": {
            "nodeSelectorTerms": [
                {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]}]}
            ]
        }
    }
    node = {"kind": "Node", "metadata": {"name": "n1", "labels": {"kubernetes.io/hostname": "n1"}}}
    explanation = explained([claim(), WAITS, node, volume("local", nodeAffinity=affinity)])
    assert [(note.name, note.why) for note in explanation.volumes] == [
        ("local", "fits on n1; a pod must use the claim first")
    ]


GROWN = {
    "a hostPath volume, which nobody grows (EX-6)": (
        {"hostPath": {"path": "/x"}},
        "nothing: nobody grows hostPath volumes",
        "EX-6",
    ),
    "a CSI volume (EX-6)": (
        {"hostPath": None, "csi": {"driver": "csi.example.com", "volumeHandle": "h"}},
        "the resizer of csi.example.com grows it, if it is running",
        "EX-6",
    ),
    "an in-tree volume that has moved (EX-5)": (
        {"hostPath": None, "gcePersistentDisk": {"pdName": "d"}},
        "the resizer of pd.csi.storage.gke.io grows it, if it is running",
        "EX-5",
    ),
}


@pytest.mark.parametrize(("source", "then", "rule"), GROWN.values(), ids=GROWN.keys())
def test_a_growing_claim_is_told_who_has_to_grow_it(source: Document, then: str, rule: str) -> None:
    bound = claim(
        meta={"annotations": BOUND},
        volumeName="disk",
        resources={"requests": {"storage": "20Gi"}},
        status={"phase": "Bound", "capacity": {"storage": "10Gi"}},
    )
    explanation = explained([bound, volume("disk", claimRef=REF, status="Bound", **source)])
    assert (explanation.next, explanation.rules) == (then, ("SC-B4", rule))


def test_the_driver_that_acts_for_an_in_tree_name_is_looked_for() -> None:
    """MG-3: what counts is the CSIDriver that acts, not the in-tree name."""
    snapshot = Snapshot([claim(), storage_class("kubernetes.io/aws-ebs")], knows_drivers=True)
    found = snapshot.claim(claim_key("shop", "orders"))
    assert found is not None
    note = explain_claim(found, snapshot).storage_class
    assert note is not None
    assert (note.driver, note.driver_registered) == ("ebs.csi.aws.com", False)


def test_a_released_volume_can_be_freed_with_the_command_that_is_shown() -> None:
    explanation = explained([claim(), volume("old", claimRef=OTHER, status="Released")])
    assert explanation.advice[0] == (
        "free volume old, which still has the data of shop/invoices: kubectl patch pv old --type=json "
        '-p \'[{"op":"remove","path":"/spec/claimRef"}]\''
    )


def test_a_pod_is_as_badly_off_as_its_worst_claim() -> None:
    documents = [
        claim(),
        claim(meta={"name": "logs"}, storageClassName=""),
        volume("disk"),
        {
            **pod(),
            "spec": {
                "volumes": [
                    {"name": "a", "persistentVolumeClaim": {"claimName": "orders"}},
                    {"name": "b", "persistentVolumeClaim": {"claimName": "logs"}},
                    {"name": "c", "persistentVolumeClaim": {"claimName": "none"}},
                    {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
                ]
            },
        },
    ]
    snapshot = Snapshot(documents)
    found = snapshot.pod("shop/web")
    assert found is not None
    explanation = explain_pod(found, snapshot)
    assert explanation.needs_action
    assert explanation.summary == "somebody must act for claim logs and none"
    assert [(each.claim, each.reason) for each in explanation.claims] == [
        ("shop/logs", "NoVolumeFits"),
        ("shop/none", "ClaimMissing"),
        ("shop/orders", "WillBind"),
        ("shop/web-scratch", "WillBind"),
    ]


def test_a_claim_that_isnt_the_pods_own_is_no_ephemeral_volume() -> None:
    """EV-3."""
    documents = [
        claim(meta={"name": "web-scratch"}),
        {**pod(), "spec": {"volumes": [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}]}},
    ]
    snapshot = Snapshot(documents)
    found = snapshot.pod("shop/web")
    assert found is not None
    assert explain_pod(found, snapshot).claims[0].reason == "ClaimIsAnothers"
