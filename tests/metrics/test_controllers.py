"""The metrics of real controllers on a real server after real work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.controllers.cluster import Cluster, claim, cluster, storage_class, volume

from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.metrics.controllers import ControllerSource
from pvbinder.metrics.families import BY_NAME, FAMILIES
from pvbinder.metrics.metrics import Metrics
from pvbinder.metrics.server import ServerSource


class Scrape:
    """What one scrape said."""

    def __init__(self, text: str) -> None:
        self.values = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        self.families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}

    def __getitem__(self, series: tuple[str, ...] | str) -> float:
        return self.values[(series,) if isinstance(series, str) else series]


async def scrape(running: Cluster) -> Scrape:
    metrics = Metrics([ServerSource(running.server), ControllerSource(running.manager)])
    return Scrape((await metrics.text()).decode())


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Cluster]:
    options = ControllerOptions(enable_hostpath_provisioner=True, hostpath_root=str(tmp_path))
    async with cluster(options) as found:
        yield found


def is_bound(found: Cluster, key: str) -> bool:
    claim = found.of(CLAIMS).get(key)
    return claim is not None and claim.phase == "Bound"


async def test_a_bind_is_seen_in_all_that_it_touches(tmp_path: Path) -> None:
    """MT-1, MT-8."""
    async with running(tmp_path) as found:
        await found.create(volume("disk-1"), volume("disk-2"), claim("orders"))
        await found.until(lambda: is_bound(found, "default/orders"))
        await found.settle()
        seen = await scrape(found)

    assert seen["pvbinder_binds_total"] == 1
    assert seen["pvbinder_decisions_total", "claim", "Bind", "SC-U3"] >= 1
    assert seen["pv_collector_total_pv_count", "kubernetes.io/host-path", "Filesystem"] == 2
    assert seen["pv_collector_bound_pv_count", ""] == seen["pv_collector_unbound_pv_count", ""] == 1
    assert seen["pv_collector_bound_pvc_count", "default", "", ""] == 1
    assert seen["workqueue_adds_total", "claims"] >= 1
    assert seen["workqueue_depth", "claims"] == 0
    assert seen["workqueue_work_duration_seconds_count", "claims"] >= 1
    assert seen["pvbinder_informer_objects", "persistentvolumes"] == 2
    assert seen["pvbinder_api_writes_in_flight"] == 0
    assert seen["pvbinder_server_objects", "persistentvolumes"] == 2
    assert seen["pvbinder_server_watches", "persistentvolumes"] >= 1
    assert seen["pvbinder_server_commit_duration_seconds_count"] == seen["pvbinder_server_commits_total"] > 0


async def test_provisioning_and_deletion_are_timed(tmp_path: Path) -> None:
    """MT-2, MT-3, MT-4, MT-7."""
    plugin = "kubernetes.io/host-path"
    fast = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "fast"},
        "provisioner": plugin,
    }
    async with running(tmp_path) as found:
        await found.create(fast, claim("orders", storageClassName="fast"))
        await found.until(lambda: is_bound(found, "default/orders"))
        await found.client.delete(CLAIMS, "orders", "default")
        await found.until(lambda: not len(found.of(VOLUMES)))
        await found.settle()
        seen = await scrape(found)

    assert seen["volume_operation_total_seconds_count", plugin, "provision"] == 1
    assert seen["volume_operation_total_seconds_count", plugin, "delete"] == 1
    assert seen["storage_operation_duration_seconds_count", plugin, "volume_provision", "success", "false"] == 1
    assert seen["storage_operation_duration_seconds_count", plugin, "volume_delete", "success", "false"] >= 1
    assert seen["pvbinder_operations_started_total"] >= 2


async def test_a_default_class_that_is_filled_in_counts(tmp_path: Path) -> None:
    """MT-6a, MT-6b."""
    wanted = claim("orders")
    del wanted["spec"]["storageClassName"]
    default = storage_class("fast", "kubernetes.io/host-path", is_default=True)
    async with running(tmp_path) as found:
        await found.create(wanted, default)
        await found.until(lambda: is_bound(found, "default/orders"))
        seen = await scrape(found)

    assert seen["retroactive_storageclass_total"] == 1
    assert seen["retroactive_storageclass_errors_total"] == 0


async def test_only_what_is_declared_is_shown(tmp_path: Path) -> None:
    async with running(tmp_path) as found:
        await found.create(volume("disk-1"), claim("orders"))
        await found.settle()
        seen = await scrape(found)

    library = {name for name in seen.families if name.startswith(("process_", "python_"))}
    assert seen.families - library <= set(BY_NAME)
    silent = {family.name for family in FAMILIES if not family.is_sidecars} - seen.families
    assert silent <= {  # series that need other events than this test's
        "pv_collector_bound_pv_count",
        "pv_collector_bound_pvc_count",
        "pv_collector_unbound_pv_count",
        "pv_collector_unbound_pvc_count",
        "volume_operation_total_seconds",
        "volume_operation_errors_total",
        "volume_operation_total_errors",
        "storage_operation_duration_seconds",
        "pvbinder_plugin_calls_running",
        "pvbinder_plugin_calls_late_total",
        "leader_election_master_status",
        "pvbinder_api_write_window",
        "pvbinder_api_writes_waiting",
        "pvbinder_api_write_window_cuts_total",
        "pvbinder_finding",
    }


@pytest.mark.parametrize("controllers", ["", "persistentvolume-protection-controller"])
async def test_without_a_binder_there_are_no_counts_of_volumes(tmp_path: Path, controllers: str) -> None:
    async with cluster(ControllerOptions(controllers=controllers)) as found:
        await found.create(volume("disk-1"))
        await found.settle()
        seen = await scrape(found)

    assert not any(name.startswith("pv_collector_") for name in seen.families)
    assert "pvbinder_server_objects" in seen.families
