"""Admission: namespaces, default class, finalizers, pods, nodes (CD-5, DC-2, AD-1 to AD-5, RA-1 to RA-3).

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kinds.writes import ANA, Objects, create, new, stored

from pvbinder.model.resources import NAMESPACES, STORAGE_CLASSES
from pvbinder.server.api import admission
from pvbinder.server.api.admission.chain import PLUGINS
from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.built_in.namespaces import NAMESPACE
from pvbinder.server.kinds.built_in.nodes import NODE
from pvbinder.server.kinds.built_in.persistent_volume_claims import PERSISTENT_VOLUME_CLAIM
from pvbinder.server.kinds.built_in.persistent_volumes import PERSISTENT_VOLUME
from pvbinder.server.kinds.built_in.pods import POD
from pvbinder.server.kinds.built_in.quotas import PRIORITY_CLASSES
from pvbinder.server.kinds.built_in.secrets import CONFIG_MAP
from pvbinder.server.objects.kind import Json, ServedKind

CLAIM: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
VOLUME: Json = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def storage_class(
    name: str, *, time: str = "2026-01-01T00:00:00Z", annotation: str = IS_DEFAULT, value: str = "true"
) -> Any:
    metadata = {"name": name, "creationTimestamp": time, "annotations": {annotation: value}}
    return STORAGE_CLASSES, {"metadata": metadata}


def test_admission_1_plugins_run_in_the_references_order() -> None:
    names = [plugin.name for plugin in PLUGINS]
    reference = [
        "NamespaceLifecycle",
        "LimitRanger",
        "ServiceAccount",
        "TaintNodesByCondition",
        "Priority",
        "DefaultTolerationSeconds",
        "DefaultStorageClass",
        "StorageObjectInUseProtection",
        "PersistentVolumeClaimResize",
        "RuntimeClass",
        "CertificateApproval",
        "CertificateSubjectRestriction",
        "DefaultIngressClass",
        "ServiceAddresses",  # what the reference does in the storage of services
        "ValidatingAdmissionPolicy",
        "ResourceQuota",
    ]
    assert names == [name for name in reference if name in names]


def test_admission_2_a_write_that_concerns_no_plugin_reads_nothing() -> None:
    class NothingToRead(Objects):
        def get(self, *_: object) -> Json | None:
            raise AssertionError("nothing was to be read")

    obj = stored(PERSISTENT_VOLUME, new("v", spec=VOLUME))
    on = admission.AdmissionAttributes(PERSISTENT_VOLUME, "", "v", ANA)
    admission.admit(NothingToRead(), on, obj, obj)
    admission.validate(NothingToRead(), on, obj, obj)


def test_nothing_is_made_in_a_missing_namespace() -> None:
    with pytest.raises(ApiError, match='namespaces "none" not found') as refused:
        create(CONFIG_MAP, new(metadata={"namespace": "none"}))
    assert refused.value.code == 404


def test_nothing_is_made_in_an_ending_namespace() -> None:
    ending = Objects((NAMESPACES, {"metadata": {"name": "old", "deletionTimestamp": "t"}}))
    with pytest.raises(ApiError) as refused:
        create(CONFIG_MAP, new(metadata={"namespace": "old"}), ending)
    assert refused.value.code == 403
    assert refused.value.message == (
        'configmaps "a" is forbidden: unable to create new content in namespace old because it is being terminated'
    )
    assert refused.value.details == {
        "name": "a",
        "kind": "configmaps",
        "causes": [
            {
                "reason": "NamespaceTerminating",
                "message": "namespace old is being terminated",
                "field": "metadata.namespace",
            }
        ],
    }


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_some_namespaces_stay(name: str) -> None:
    with pytest.raises(ApiError, match=f'namespaces "{name}" is forbidden: this namespace may not be deleted'):
        admission.admit_delete(admission.AdmissionAttributes(NAMESPACE, "", name, ANA), {})
    admission.admit_delete(admission.AdmissionAttributes(NAMESPACE, "", "shop", ANA), {})


DEFAULTS = {  # DC-2, CD-5
    "none": ([], None),
    "one": ([storage_class("a")], "a"),
    "by the older annotation": (
        [storage_class("a", annotation="storageclass.beta.kubernetes.io/is-default-class")],
        "a",
    ),
    "exactly true": ([storage_class("a", value="True")], None),
    "the newest": ([storage_class("b"), storage_class("a", time="2025-01-01T00:00:00Z")], "b"),
    "of equally new ones the first by name": ([storage_class("b"), storage_class("a")], "a"),
}


@pytest.mark.parametrize(("classes", "name"), DEFAULTS.values(), ids=DEFAULTS.keys())
def test_the_default_class(classes: list[Any], name: str | None) -> None:
    obj = stored(PERSISTENT_VOLUME_CLAIM, new(spec=CLAIM), Objects(*classes))
    assert obj["spec"].get("storageClassName") == name


def test_a_class_that_is_set_is_kept() -> None:  # CD-5
    objects = Objects(storage_class("a"))
    assert (
        stored(PERSISTENT_VOLUME_CLAIM, new(spec={**CLAIM, "storageClassName": ""}), objects)["spec"][
            "storageClassName"
        ]
        == ""
    )
    annotated = new(spec=CLAIM, metadata={"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}})
    assert "storageClassName" not in stored(PERSISTENT_VOLUME_CLAIM, annotated, objects)["spec"]


PROTECTED: list[tuple[ServedKind, Json, str]] = [
    (PERSISTENT_VOLUME, VOLUME, "kubernetes.io/pv-protection"),  # AD-1
    (PERSISTENT_VOLUME_CLAIM, CLAIM, "kubernetes.io/pvc-protection"),  # AD-2
]


@pytest.mark.parametrize(("kind", "spec", "finalizer"), PROTECTED)
def test_finalizers_come_behind_those_that_are_there(kind: ServedKind, spec: Json, finalizer: str) -> None:  # AD-5
    obj = stored(kind, new(spec=spec, metadata={"finalizers": ["example.com/x"]}))
    assert obj["metadata"]["finalizers"] == ["example.com/x", finalizer]
    again = stored(kind, new(spec=spec, metadata={"finalizers": [finalizer]}))
    assert again["metadata"]["finalizers"] == [finalizer]


def test_other_kinds_get_no_finalizer() -> None:  # AD-4
    assert "finalizers" not in stored(CONFIG_MAP, new())["metadata"]


def pod(**spec: Any) -> Json:
    return new("p", spec={"containers": [{"name": "c", "image": "i"}], **spec})


def test_a_pod_that_tolerates_everything_gets_no_more_tolerations() -> None:
    everything = [{"operator": "Exists"}]
    assert stored(POD, pod(tolerations=everything))["spec"]["tolerations"] == everything


def test_priorities() -> None:
    high = (PRIORITY_CLASSES, {"metadata": {"name": "high"}, "value": 100, "preemptionPolicy": "Never"})
    spec = stored(POD, pod(priorityClassName="high"), Objects(high))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (100, "Never")
    assert stored(POD, pod(priorityClassName="system-node-critical"))["spec"]["priority"] == 2_000_001_000
    usual = (PRIORITY_CLASSES, {"metadata": {"name": "usual"}, "value": 7, "globalDefault": True})
    assert stored(POD, pod(), Objects(usual))["spec"]["priorityClassName"] == "usual"
    with pytest.raises(ApiError, match="no PriorityClass with name none was found"):
        create(POD, pod(priorityClassName="none"))


def test_a_new_node_is_tainted_once() -> None:
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    assert stored(NODE, new(spec={"taints": [taint]}))["spec"]["taints"] == [taint]
