"""The manifests of remedies: tests/insight/test_advice.py carries them out; here is what they look like."""

from __future__ import annotations

from tests.insight.builders import bound, claim, pod
from tests.insight.situations import SITUATIONS
from tests.insight.test_remedies import ALL

from pvbinder.insight.remedies import AddClass, AddVolume, Do, Kubectl, RecreateClaim, RecreatePod
from pvbinder.insight.remedy_manifests import PATH, PROVISIONER, manifest_of


def test_remedy_manifests_1_what_only_a_person_knows_is_in_capitals() -> None:
    volume = manifest_of(AddVolume("10Gi", ("ReadWriteOnce",), "Filesystem", "fast", node="n1"), None)
    storage_class = manifest_of(AddClass("fast", "with a provisioner"), None)
    assert volume is not None
    assert volume["spec"]["hostPath"]["path"] == PATH
    assert volume["spec"]["nodeAffinity"]
    assert storage_class is not None
    assert storage_class["provisioner"] == PROVISIONER


def test_remedy_manifests_2_a_claim_made_anew_has_what_its_owner_wrote_only() -> None:
    there = bound(labels={"app": "shop"}, dataSource=None)
    there["metadata"]["annotations"] |= {"team": "orders", "volume.kubernetes.io/storage-provisioner": "csi"}
    there["metadata"]["finalizers"] = ["kubernetes.io/pvc-protection"]
    made = manifest_of(RecreateClaim(storage_class="slow", storage_max="5Gi", without=("volumeName",)), there)
    assert made is not None
    assert made["metadata"]["annotations"] == {"team": "orders"}
    assert made["metadata"].keys() <= {"name", "namespace", "labels", "annotations"}
    assert "status" not in made
    assert "volumeName" not in made["spec"]
    assert (made["spec"]["storageClassName"], made["spec"]["resources"]) == ("slow", {"requests": {"storage": "5Gi"}})
    assert there["spec"]["volumeName"]


def test_a_pod_of_a_workload_is_changed_in_its_template_so_there_is_no_manifest() -> None:
    alone = RecreatePod("shop/web", ("spec.nodeName",), {"zone": "a"})
    made = manifest_of(alone, pod(on="n1"))
    assert made is not None
    assert "nodeName" not in made["spec"]
    assert made["spec"]["nodeSelector"] == {"zone": "a"}
    assert manifest_of(RecreatePod("shop/web", owner="Deployment web"), pod()) is None


def test_a_command_and_the_work_of_people_have_no_manifest() -> None:
    assert manifest_of(Kubectl("x", ("get", "pv")), claim()) is None
    assert manifest_of(Do("ask somebody"), claim()) is None
    assert manifest_of(RecreateClaim(), None) is None


def test_most_ways_out_are_a_command_or_a_manifest() -> None:
    assert SITUATIONS
    shown = [each for each in ALL if isinstance(each, Kubectl) or manifest_of(each, claim()) is not None]
    assert len(shown) > len(ALL) / 2
