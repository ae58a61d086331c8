"""An attributes class stays while one names it (VP-1 to VP-5), on a real API server."""

from __future__ import annotations

from tests.controllers.cluster import claim, cluster, volume
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.kinds import ATTRIBUTES_CLASSES, CLAIMS, VOLUMES
from pvbinder.model.json import Json
from pvbinder.model.names import VAC_PROTECTION_FINALIZER

ONLY = ControllerOptions(controllers="volumeattributesclass-protection-controller,pvc-protection,pv-protection")


def attributes_class(name: str) -> Json:
    kind = "VolumeAttributesClass"
    body = {"driverName": "disk.example", "parameters": {"tier": name}}
    return {"apiVersion": "storage.k8s.io/v1", "kind": kind, "metadata": {"name": name}, **body}


CSI = {"driver": "disk.example", "volumeHandle": "1"}


@on_virtual_time
async def test_an_unused_class_goes_at_once() -> None:
    async with cluster(ONLY) as c:
        await c.create(attributes_class("gold"))
        await c.client.delete(ATTRIBUTES_CLASSES, "gold")

        await c.until(lambda: "gold" not in c.of(ATTRIBUTES_CLASSES))


@on_virtual_time
async def test_a_class_goes_with_the_last_that_names_it() -> None:  # VP-2, VP-3
    async with cluster(ONLY) as c:
        await c.create(
            attributes_class("gold"),
            volume("disk", hostPath=None, csi=CSI, volumeAttributesClassName="gold", storageClassName="fast"),
            claim("orders", volumeAttributesClassName="gold", storageClassName="fast"),
        )
        await c.until(lambda: "disk" in c.of(VOLUMES) and "default/orders" in c.of(CLAIMS))
        await c.settle()
        await c.client.delete(ATTRIBUTES_CLASSES, "gold")
        await c.until(lambda: c.of(ATTRIBUTES_CLASSES)["gold"].is_deleting)
        await c.settle()

        await c.client.delete(VOLUMES, "disk")
        await c.until(lambda: "disk" not in c.of(VOLUMES))
        await c.settle()
        assert VAC_PROTECTION_FINALIZER in c.of(ATTRIBUTES_CLASSES)["gold"].finalizers
        await c.client.delete(CLAIMS, "orders", "default")

        await c.until(lambda: "gold" not in c.of(ATTRIBUTES_CLASSES))


@on_virtual_time
async def test_a_missing_finalizer_is_put_back() -> None:  # VP-5
    async with cluster(ONLY) as c:
        await c.create(attributes_class("gold"))
        stripped = (await c.client.get(ATTRIBUTES_CLASSES, "gold")).document()
        stripped["metadata"]["finalizers"] = []
        changed = await c.client.replace(ATTRIBUTES_CLASSES, stripped)
        before = int(changed.resource_version)

        await c.until(lambda: any(int(x.resource_version) > before for x in c.of(ATTRIBUTES_CLASSES)))

        assert c.of(ATTRIBUTES_CLASSES)["gold"].finalizers == (VAC_PROTECTION_FINALIZER,)
