"""Predicted is actual: what a plan or a rehearsal of a dump says is what happens in the cluster that was dumped.

The cluster lives from its beginning: objects are created and deleted one by one while its controllers run. Then it is
dumped, the plan is made of the dump alone - reduced, and on a copy of its own -, and the same manifests are created in
the living cluster. Several worlds, which have nothing to do with each other, share a cluster: many take seconds.

`PVBINDER_WORLDS` says how many (5000 as a soak, ten minutes); a disagreement is a fault.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Final

import pytest
from tests.foresight.worlds import (
    MONDAY,
    claim,
    csi_node,
    delayed,
    node,
    pod,
    sourced,
    stateful_set,
    storage_class,
    volume,
)

from pvbinder.foresight import reduction
from pvbinder.foresight.acting import act
from pvbinder.foresight.applying import resource_of
from pvbinder.foresight.differences import Difference, differences, picture_of
from pvbinder.foresight.outcomes import outcomes
from pvbinder.foresight.plan import plan
from pvbinder.foresight.preparing import Prepared, prepare
from pvbinder.foresight.reading import READ
from pvbinder.foresight.reduction import reduce, touched_by, touched_by_steps
from pvbinder.foresight.rehearsal import Rehearsal, rehearsal, run_rehearsal
from pvbinder.foresight.rehearse import rehearse
from pvbinder.foresight.steps import parse_step
from pvbinder.kube.transport import Request
from pvbinder.model.json import Json, encode

WORLDS: Final = int(os.environ.get("PVBINDER_WORLDS", "60"))
IN_A_CLUSTER: Final = 20  # worlds
SIZES: Final = ("1Gi", "2Gi", "5Gi", "10Gi")
NODES: Final = [node("a1", "a"), csi_node("a1"), node("b1", "b"), csi_node("b1"), node("b2", "b"), csi_node("b2")]
pytestmark = pytest.mark.slow

SHOP: Final = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


@pytest.fixture(autouse=True)
def always_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduction, "WHOLE_MAX", 0)


class World:
    """A world of its own: names and classes end in its number."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.chance = chance
        self.number = number
        self.claims: list[str] = []
        self.volumes: list[str] = []

    def name(self, what: str) -> str:
        return f"{what}{self.number}"

    def beginning(self) -> Iterator[Json]:
        """Give the objects that are there first, in the order in which they come."""
        chance = self.chance
        yield delayed(self.name("late"))
        yield storage_class(self.name("fast"), reclaimPolicy=chance.choice(["Delete", "Retain"]))
        for place in range(chance.randrange(5)):
            yield self.volume(f"v{place}-")
        for place in range(chance.randrange(4)):
            yield self.claim(f"c{place}-")
        if self.claims and chance.random() < 0.6:
            yield pod(self.name("p-"), *chance.sample(self.claims, chance.randint(1, min(2, len(self.claims)))))
        if chance.random() < 0.3:
            yield stateful_set(self.name("db"), chance.randint(1, 2), self.a_class())

    def gone(self) -> Iterator[str]:
        """Give the steps by which some of it goes before the dump."""
        if self.claims and self.chance.random() < 0.5:
            yield f"delete pvc/{self.chance.choice(self.claims)} -n shop"
        if self.volumes and self.chance.random() < 0.2:
            yield f"delete pv/{self.chance.choice(self.volumes)}"

    def new(self) -> Iterator[Json]:
        """Give the manifests that are planned."""
        chance = self.chance
        if chance.random() < 0.4:
            yield self.volume("w-")
        made = [self.claim(f"n{place}-") for place in range(chance.randint(1, 3))]
        yield from made
        if chance.random() < 0.6:
            yield pod(self.name("q-"), *chance.sample(self.claims, chance.randint(1, 2) if len(self.claims) > 1 else 1))
        if chance.random() < 0.3:
            yield stateful_set(self.name("web"), chance.randint(1, 2), self.a_class())

    def a_class(self) -> str:
        return self.name(self.chance.choice(["slow", "slow", "late", "fast"]))

    def volume(self, what: str) -> Json:
        chance = self.chance
        name = self.name(what)
        self.volumes.append(name)
        fields: Json = {"persistentVolumeReclaimPolicy": chance.choice(["Retain", "Retain", "Delete"])}
        fields["accessModes"] = chance.choice([["ReadWriteOnce"], ["ReadWriteOnce", "ReadOnlyMany"], ["ReadWriteMany"]])
        if chance.random() < 0.3:
            terms = [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": [chance.choice("ab")]}]
            fields["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": terms}]}}
        if chance.random() < 0.15:
            fields["claimRef"] = {"namespace": "shop", "name": self.name(chance.choice(["c0-", "n0-", "x-"]))}
        return volume(name, chance.choice(SIZES), self.name(chance.choice(["slow", "slow", "late"])), **fields)

    def claim(self, what: str) -> Json:
        chance = self.chance
        name = self.name(what)
        self.claims.append(name)
        fields: Json = {}
        if self.volumes and chance.random() < 0.1:
            fields["volumeName"] = chance.choice(self.volumes)
        return claim(name, chance.choice(SIZES), self.a_class(), **fields)


async def create(cluster: Rehearsal, document: Json) -> None:
    """Create an object as a user does, and let the controllers see it before the next one comes."""
    resource = resource_of(cluster, document)
    path = resource.path("shop" if resource.namespaced else None)
    await cluster.client.request("create", resource, Request("POST", path, body=encode(document)))
    await cluster.wait(1.0)


async def lived(cluster: Rehearsal, worlds: list[World]) -> Prepared:
    """Let the worlds begin, and some of them go; return the dump."""
    for document in [SHOP, *NODES, *(one for world in worlds for one in world.beginning())]:
        await create(cluster, document)
    await cluster.settle()
    for text in [text for world in worlds for text in world.gone()]:
        await act(cluster, parse_step(text), lambda _: [])
    await cluster.settle()
    return prepare(sourced(*cluster.documents(READ)), read_at=cluster.clock())


def changes(found: tuple[Difference, ...]) -> set[tuple[str, str, str, str]]:
    """Return what is compared of differences: the names of volumes that are made anew are chance."""
    compared: set[tuple[str, str, str, str]] = set()
    for one in found:
        if one.kind == "PersistentVolume" and one.name.startswith("pvc-") and one.before is None:
            continue
        partner = "" if one.after is None or one.after.partner.startswith("pvc-") else one.after.partner
        compared.add((one.kind, one.name, "gone" if one.after is None else one.after.phase, partner))
    return compared


@pytest.mark.parametrize("seed", range(max(WORLDS * 2 // 3 // IN_A_CLUSTER, 1)))
def test_what_a_plan_says_is_what_happens(seed: int) -> None:
    chance = random.Random(seed)
    worlds = [World(number, chance) for number in range(IN_A_CLUSTER)]

    async def live() -> tuple[Prepared, list[Json], dict[str, tuple[str, str, str]], set[tuple[str, str, str, str]]]:
        async with rehearsal(prepare([], read_at=MONDAY)) as cluster:
            dump = await lived(cluster, worlds)
            new = [one for world in worlds for one in world.new()]
            before = cluster.snapshot()
            for document in new:
                await create(cluster, document)
            await cluster.settle()
            after = cluster.snapshot()
            known = {claim.key for claim in before.claims()}
            came = {str(claim.key) for claim in after.claims() if claim.key not in known}
            got = {one.claim: one.signature for one in outcomes(before, after, came)}
            return dump, new, got, changes(differences(picture_of(before), picture_of(after)))

    dump, new, happened, changed = run_rehearsal(live)
    part = reduce(dump, touched_by(new))

    said = plan(part, sourced(*new), namespace="shop")

    assert not said.refused
    assert {one.claim: one.signature for one in said.claims if one.is_new} == happened
    own = {one.claim for one in said.claims} | {one.volume for one in said.claims}
    own |= {f"shop/{one['metadata']['name']}" for one in new if one["kind"] == "Pod"}
    others = {one for one in changed if one[1] not in own and not _is_new(one[1], new)}
    assert {one for one in changes(said.others) if not _is_new(one[1], new)} == others


def _is_new(name: str, new: list[Json]) -> bool:
    """Tell whether an object is a manifest's own, or of a set of the manifests."""
    names = {str(one["metadata"]["name"]) for one in new}
    bare = name.rpartition("/")[2]
    return bare in names or bare.rpartition("-")[0] in names


STEPS: Final = (
    "drain node/b1",
    "lose zone=b",
    "delete node/b2",
    "scale sts/db1=3 -n shop",
    "delete storageclass/late2",
)


@pytest.mark.parametrize("seed", range(max(WORLDS // 3 // IN_A_CLUSTER, 1)))
def test_what_a_rehearsal_says_is_what_happens(seed: int) -> None:
    chance = random.Random(1_000_000 + seed)
    worlds = [World(number, chance) for number in range(IN_A_CLUSTER)]

    async def live() -> tuple[Prepared, list[str], set[tuple[str, str, str, str]]]:
        async with rehearsal(prepare([], read_at=MONDAY)) as cluster:
            dump = await lived(cluster, worlds)
            before = cluster.snapshot()
            there = {claim.key for claim in before.claims() if not claim.is_deleting}  # the others may go by themselves
            texts = [f"delete pvc/{one} -n shop" for world in worlds for one in world.claims if f"shop/{one}" in there]
            sets = {one.name for one in before.stateful_sets()}
            usual = [text for text in STEPS if "sts/" not in text or "db1" in sets]
            steps = [*chance.sample(usual, 2), *chance.sample(texts, min(3, len(texts)))]
            for text in steps:
                await act(cluster, parse_step(text), lambda _: [])
                await cluster.settle()
            return dump, steps, changes(differences(picture_of(before), picture_of(cluster.snapshot())))

    dump, texts, happened = run_rehearsal(live)
    steps = [(text, parse_step(text)) for text in texts]
    part = reduce(dump, touched_by_steps([step for _, step in steps], dump.documents, lambda _: []))

    said = rehearse(part, steps, lambda _: [])

    assert changes(said.anyway) == set()
    assert changes(said.differences) == happened
