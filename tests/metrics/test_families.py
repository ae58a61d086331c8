"""Every metric as it is declared: the reference's names and labels, and measures that fit them."""

from __future__ import annotations

import re

import pytest

from pvbinder.metrics.families import BINDS, BY_NAME, FAMILIES, LATENCY, QUEUE_DEPTH
from pvbinder.model.histogram import Histogram

REFERENCE = {  # MT-1 to MT-8, EV-6: name: (type, labels)
    "pv_collector_total_pv_count": ("gauge", ("plugin_name", "volume_mode")),
    "pv_collector_bound_pv_count": ("gauge", ("storage_class",)),
    "pv_collector_unbound_pv_count": ("gauge", ("storage_class",)),
    "pv_collector_bound_pvc_count": ("gauge", ("namespace", "storage_class", "volume_attributes_class")),
    "pv_collector_unbound_pvc_count": ("gauge", ("namespace", "storage_class", "volume_attributes_class")),
    "volume_operation_total_seconds": ("histogram", ("plugin_name", "operation_name")),
    "volume_operation_errors_total": ("counter", ("plugin_name", "operation_name")),
    "volume_operation_total_errors": ("counter", ("plugin_name", "operation_name")),
    "retroactive_storageclass_total": ("counter", ()),
    "retroactive_storageclass_errors_total": ("counter", ()),
    "storage_operation_duration_seconds": ("histogram", ("volume_plugin", "operation_name", "status", "migrated")),
    "ephemeral_volume_controller_create_total": ("counter", ()),
    "ephemeral_volume_controller_create_failures_total": ("counter", ()),
    "workqueue_depth": ("gauge", ("name",)),
    "workqueue_adds_total": ("counter", ("name",)),
    "workqueue_queue_duration_seconds": ("histogram", ("name",)),
    "workqueue_work_duration_seconds": ("histogram", ("name",)),
    "workqueue_unfinished_work_seconds": ("gauge", ("name",)),
    "workqueue_longest_running_processor_seconds": ("gauge", ("name",)),
    "workqueue_retries_total": ("counter", ("name",)),
}
SIDECARS = {  # of kubernetes-csi, and of every election
    "controller_persistentvolumeclaim_provision_total": ("counter", ("class", "source")),
    "controller_persistentvolumeclaim_provision_failed_total": ("counter", ("class", "source")),
    "controller_persistentvolumeclaim_provision_duration_seconds": ("histogram", ("class", "source")),
    "controller_persistentvolume_delete_total": ("counter", ("class",)),
    "controller_persistentvolume_delete_failed_total": ("counter", ("class",)),
    "controller_persistentvolume_delete_duration_seconds": ("histogram", ("class",)),
    "csi_sidecar_operations_seconds": ("histogram", ("driver_name", "method_name", "grpc_status_code")),
    "snapshot_controller_operation_total_seconds": (
        "histogram",
        ("driver_name", "operation_name", "snapshot_type", "operation_status"),
    ),
    "snapshot_controller_operations_in_flight": ("gauge", ()),
    "csistoragecapacities_desired_goal": ("gauge", ()),
    "csistoragecapacities_desired_current": ("gauge", ()),
    "csistoragecapacities_obsolete": ("gauge", ()),
    "leader_election_master_status": ("gauge", ("name",)),
}


def test_the_references_metrics_have_its_names_types_and_labels() -> None:
    assert {family.name: (family.type, family.labels) for family in FAMILIES if not family.is_ours} == {
        **REFERENCE,
        **SIDECARS,
    }


def test_the_references_metrics_are_alpha_and_the_twin_is_deprecated() -> None:
    assert all(family.help.startswith("[ALPHA] ") != (family.is_ours or family.is_sidecars) for family in FAMILIES)
    assert BY_NAME["volume_operation_total_errors"].help.startswith("[ALPHA] (Deprecated since 1.36.0) ")


@pytest.mark.parametrize("name", [family.name for family in FAMILIES if family.is_ours])
def test_our_own_names_follow_the_conventions(name: str) -> None:
    family = BY_NAME[name]

    assert re.fullmatch(r"pvbinder_[a-z_]+", name)
    assert name.endswith("_total") == (family.type == "counter")
    assert name.endswith("_seconds") == (family.type == "histogram")
    assert family.meaning[0].isupper() or family.meaning[0].isdigit()


def test_a_name_is_declared_once() -> None:
    assert len(BY_NAME) == len(FAMILIES)


def test_a_measure_that_does_not_fit_its_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="has the labels"):
        QUEUE_DEPTH(1)
    with pytest.raises(ValueError, match="is a histogram"):
        LATENCY(1.0, "get")
    with pytest.raises(ValueError, match="is a counter"):
        BINDS(Histogram().value())
