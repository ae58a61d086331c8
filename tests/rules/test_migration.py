"""CSI migration and deletion finalizers."""

from __future__ import annotations

import pytest
from tests.rules.objects import volume

from pvbinder.rules.finalizers import deletion_finalizers
from pvbinder.rules.migration import claim_annotations, is_migrated, volume_annotations
from pvbinder.rules.settings import IN_TREE_DRIVERS, Migrations

GA, BETA = "volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"
BY, TO = "pv.kubernetes.io/provisioned-by", "pv.kubernetes.io/migrated-to"
EBS, EBS_CSI = "kubernetes.io/aws-ebs", "ebs.csi.aws.com"
IN_TREE, EXTERNAL = "kubernetes.io/pv-controller", "external-provisioner.volume.kubernetes.io/finalizer"


@pytest.mark.parametrize(("plugin", "driver"), IN_TREE_DRIVERS.items())
def test_all_migrated_plugins(plugin: str, driver: str) -> None:  # MG-3
    assert volume_annotations({BY: plugin}, Migrations()) == {BY: plugin, TO: driver}


CLAIMS = {  # MG-1
    "no provisioner": ({TO: "x"}, None),
    "migrated": ({GA: EBS}, {GA: EBS, TO: EBS_CSI}),
    "migrated, beta only": ({BETA: EBS}, {BETA: EBS, TO: EBS_CSI}),
    "GA before beta": ({GA: "foreign", BETA: EBS, TO: "x"}, {GA: "foreign", BETA: EBS}),
    "right already": ({GA: EBS, TO: EBS_CSI}, None),
    "another driver": ({GA: EBS, TO: "x"}, {GA: EBS, TO: EBS_CSI}),
    "no longer migrated": ({GA: "kubernetes.io/rbd", TO: "x"}, {GA: "kubernetes.io/rbd"}),
    "never migrated": ({GA: "kubernetes.io/rbd"}, None),
    "empty is as good as none": ({GA: "kubernetes.io/rbd", TO: ""}, None),
}


@pytest.mark.parametrize(("found", "wanted"), CLAIMS.values(), ids=CLAIMS.keys())
def test_claim_annotations(found: dict[str, str], wanted: dict[str, str] | None) -> None:
    assert claim_annotations(found, Migrations()) == wanted


def test_a_volume_is_migrated_by_its_annotation() -> None:  # RC-1
    assert is_migrated(volume(annotations={TO: "x"}))
    assert not is_migrated(volume(annotations={TO: ""}))
    assert not is_migrated(volume())


FINALIZERS = {  # provisioned by, policy, found, wanted (None: right already)
    "FZ-1 made by hand": (None, "Delete", [IN_TREE, EXTERNAL], None),
    "FZ-2 migrated": (EBS, "Delete", [IN_TREE, EXTERNAL], [EXTERNAL]),
    "FZ-3 foreign": ("csi.example.com", "Delete", [IN_TREE], None),
    "FZ-4 missing": ("kubernetes.io/host-path", "Delete", ["mine"], ["mine", IN_TREE]),
    "FZ-4 there": ("kubernetes.io/host-path", "Delete", [IN_TREE], None),
    "FZ-4 to be kept": ("kubernetes.io/host-path", "Retain", [IN_TREE, "mine"], ["mine"]),
    "FZ-4 to be recycled": ("kubernetes.io/host-path", "Recycle", [IN_TREE], []),
    "FZ-5 left from migration": ("kubernetes.io/host-path", "Delete", [EXTERNAL], [IN_TREE]),
}


@pytest.mark.parametrize(("by", "policy", "found", "wanted"), FINALIZERS.values(), ids=FINALIZERS.keys())
def test_deletion_finalizers(by: str | None, policy: str, found: list[str], wanted: list[str] | None) -> None:
    annotations = {BY: by} if by is not None else None
    result = deletion_finalizers(volume(annotations=annotations, policy=policy, finalizers=found), Migrations())
    assert (list(result) if result is not None else None) == wanted


def test_no_finalizer_is_added_to_what_is_being_deleted() -> None:  # FZ-4, its note
    found = volume(annotations={BY: "kubernetes.io/host-path"}, policy="Delete", is_deleting=True)
    assert deletion_finalizers(found, Migrations()) is None
