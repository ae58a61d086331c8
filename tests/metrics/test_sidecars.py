"""The metrics of a sidecar, with a driver on a socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from tests.controllers.cluster import claim, cluster
from tests.controllers.csi.fake_driver import NAME, FakeDriver, handlers
from tests.controllers.csi.stage import PROTECTION, storage_class

from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.csi.capacity import CapacityTracker
from pvbinder.controllers.csi.measures import CapacityStatistics, CsiMeasures, HasCapacities
from pvbinder.controllers.csi.sidecar import CsiSidecar
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS, ControllerDeclaration
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.serving import serving
from pvbinder.kube.client import Client
from pvbinder.kube.election import Election, ElectionOptions
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.metrics.controllers import ControllerSource, sidecars_of
from pvbinder.metrics.metrics import Metrics
from pvbinder.model.json import Json


async def test_volumes_calls_and_elections_are_counted(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/csi.sock"
    driver = FakeDriver()
    refuses = True

    def refuse_once(_: object) -> None:
        nonlocal refuses
        if refuses:
            refuses = False
            raise CallFailed(Code.UNAVAILABLE, "not yet")

    driver.before = refuse_once

    def sidecar(context: ControllerContext) -> Controller:
        return CsiSidecar(context, address)

    known = (*CONTROLLERS, ControllerDeclaration("csi", user="", make=sidecar))
    chosen = ControllerOptions(controllers=f"persistentvolume-binder,csi,{PROTECTION}")
    async with serving(address, handlers(driver)), cluster(chosen, known) as c:
        await c.create(storage_class(), claim("orders", storageClassName="fast"))
        await c.until(lambda: any(one.phase == "Bound" for one in c.of(CLAIMS)))
        document: Json = (await c.client.get(CLAIMS, "orders", "default")).document()
        document["metadata"]["finalizers"] = []
        await c.client.replace(CLAIMS, document)
        await c.client.delete(CLAIMS, "orders", "default")
        await c.until(lambda: not list(c.of(VOLUMES)))
        await c.settle()
        elections = [Election(Client(c.line), "lease", ElectionOptions("default"))]
        text = (await Metrics([ControllerSource(c.manager, elections)]).text()).decode()
        await c.stop()

    seen = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert seen["controller_persistentvolumeclaim_provision_total", "", "fast"] == 1
    assert seen["controller_persistentvolumeclaim_provision_failed_total", "", "fast"] == 1
    assert seen["controller_persistentvolumeclaim_provision_duration_seconds_count", "", "fast"] == 1
    assert seen["controller_persistentvolume_delete_total", "fast"] == 1
    assert seen["controller_persistentvolume_delete_duration_seconds_count", "fast"] == 1
    calls = "csi_sidecar_operations_seconds_count"
    assert seen[calls, "/csi.v1.Controller/CreateVolume", "OK", NAME] == 1
    assert seen[calls, "/csi.v1.Controller/CreateVolume", "Unavailable", NAME] == 1
    assert seen[calls, "/csi.v1.Controller/DeleteVolume", "OK", NAME] == 1
    assert seen["leader_election_master_status", "lease"] == 0
    assert "# HELP controller_persistentvolume_delete_total Total number of persistent volumes deleted" in text


def test_a_sidecar_is_found_inside_of_what_serves_a_driver() -> None:
    class Sidecar:
        def __init__(self) -> None:
            self.csi_measures = CsiMeasures()

        def capacities(self) -> Iterator[CapacityStatistics]:
            return iter(())

    class Around:
        def __init__(self, sidecar: object) -> None:
            self.sidecar = sidecar

    inner = Sidecar()
    assert list(sidecars_of(Around(Around(inner)))) == [inner]
    assert list(sidecars_of(Around(None))) == []
    assert issubclass(CapacityTracker, HasCapacities)  # CA-6
