"""Volumes and claims counted from the caches (MT-1a, MT-1b, MT-1c)."""

from __future__ import annotations

import asyncio

from pvbinder.metrics.objects import OBJECTS_PER_TURN, ObjectCounts
from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Claim, Volume, parse_claim, parse_volume
from pvbinder.volumes.catalogue import Catalogue
from pvbinder.volumes.loading import in_tree_plugins

PLUGIN_NAME_OF = Catalogue(in_tree_plugins()).plugin_name_of


def volume(phase: str, *, storage_class: str = "", mode: str = "Filesystem", **source: Json) -> Volume:
    spec = {"storageClassName": storage_class, "volumeMode": mode, **source}
    return parse_volume(encode({"metadata": {"name": "x"}, "spec": spec, "status": {"phase": phase}}))


def claim(phase: str, *, namespace: str = "shop", **spec: str) -> Claim:
    document = {"metadata": {"name": "x", "namespace": namespace}, "spec": spec, "status": {"phase": phase}}
    return parse_claim(encode(document))


async def counted(volumes: list[Volume], claims: list[Claim]) -> dict[tuple[str, ...], float]:
    samples = ObjectCounts(volumes, claims, PLUGIN_NAME_OF).samples()
    counts: dict[tuple[str, ...], float] = {}
    async for sample in samples:
        assert isinstance(sample.value, int)
        counts[sample.family.name.removeprefix("pv_collector_"), *sample.labels] = sample.value
    return counts


async def test_volumes_are_counted_by_plugin_mode_class_and_phase() -> None:
    volumes = [
        volume("Bound", storage_class="fast", hostPath={"path": "/tmp/x"}),
        volume("Available", hostPath={"path": "/tmp/y"}),
        volume("Released", storage_class="fast", mode="Block", csi={"driver": "d", "volumeHandle": "h"}),
        volume("Failed", storage_class="fast", nfs={"server": "s", "path": "/"}),
    ]

    assert await counted(volumes, []) == {
        ("total_pv_count", "kubernetes.io/host-path", "Filesystem"): 2,
        ("total_pv_count", "N/A", "Block"): 1,
        ("total_pv_count", "kubernetes.io/nfs", "Filesystem"): 1,
        ("bound_pv_count", "fast"): 1,
        ("unbound_pv_count", ""): 1,
        ("unbound_pv_count", "fast"): 2,
    }


async def test_the_class_of_a_volume_is_its_field_and_that_of_a_claim_the_effective_one() -> None:
    beta = {"volume.beta.kubernetes.io/storage-class": "old"}
    spec = {"storageClassName": "new"}
    old_volume = parse_volume(encode({"metadata": {"name": "x", "annotations": beta}, "spec": spec}))
    old_claim = parse_claim(encode({"metadata": {"name": "x", "namespace": "shop", "annotations": beta}, "spec": spec}))

    counts = await counted([old_volume], [old_claim])

    assert counts["unbound_pv_count", "new"] == 1
    assert counts["unbound_pvc_count", "shop", "old", ""] == 1


async def test_claims_are_counted_by_namespace_and_both_classes() -> None:
    claims = [
        claim("Bound", storageClassName="fast", volumeAttributesClassName="gold"),
        claim("Pending"),
        claim("Lost"),
        claim("Pending", namespace="bank"),
    ]

    assert await counted([], claims) == {
        ("bound_pvc_count", "shop", "fast", "gold"): 1,
        ("unbound_pvc_count", "shop", "", ""): 2,
        ("unbound_pvc_count", "bank", "", ""): 1,
    }


async def test_metrics_2_others_get_their_turns_while_many_objects_are_counted() -> None:
    turns = 0

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(somebody_else())
    await counted([volume("Bound")] * (OBJECTS_PER_TURN * 10), [])
    other.cancel()

    assert turns >= 9
