"""Advice is tried: it is carried out on a real API server with the real binder, and the claim then binds."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from typing import Any

import pytest
from tests.controllers.cluster import Cluster, cluster
from tests.insight.builders import Document
from tests.insight.carrying_out import carry_out, is_bound, provision_outside
from tests.insight.situations import SITUATIONS
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.insight.claims import explain_with_remedies
from pvbinder.insight.remedies import Do, Remedy, sentence
from pvbinder.insight.snapshot import Snapshot
from pvbinder.kube.kinds import EVENTS
from pvbinder.model.objects import claim_key
from pvbinder.volumes.loading import in_tree_plugins, load_catalogue

KEY = "shop/orders"
CONTROLLERS = ControllerOptions(
    controllers="persistentvolume-binder,scheduler,persistentvolumeclaim-protection-controller",
    enable_hostpath_provisioner=True,
    pvclaimbinder_sync_period=1.0,
)
ROUNDS = 20  # of half a second, in virtual time


def remedies_of(documents: tuple[Document, ...]) -> tuple[Remedy, ...]:
    plugins = load_catalogue(in_tree_plugins(), installed=())
    snapshot = Snapshot(copy.deepcopy(documents), plugins=plugins)
    claim = snapshot.claim(claim_key(*KEY.split("/")))
    assert claim is not None
    _, remedies = explain_with_remedies(claim, snapshot)
    return remedies


def cures() -> Iterator[Any]:
    for name, situation in SITUATIONS.items():
        if situation.cured:
            for remedy in remedies_of(situation.documents):
                if not isinstance(remedy, Do):
                    yield pytest.param(situation.documents, remedy, id=f"{name}: {sentence(remedy)[:60]}")


async def binds(c: Cluster, rounds: int = ROUNDS) -> bool:
    """Wait until everybody has done what they do by themselves, and say whether the claim is bound."""
    for _ in range(rounds):
        await asyncio.sleep(0.5)
        await provision_outside(c)
        if is_bound(c, KEY):
            return True
    return False


@pytest.mark.parametrize(("documents", "remedy"), list(cures()))
@on_virtual_time
async def test_remedy_1_what_is_advised_lets_it_bind(documents: tuple[Document, ...], remedy: Remedy) -> None:
    found = [each for each in copy.deepcopy(documents) if each["kind"] != "Event"]
    async with cluster(CONTROLLERS, load=found) as c:
        await carry_out(remedy, KEY, c)
        assert await binds(c), [event.document()["message"] for event in c.of(EVENTS)]


@pytest.mark.parametrize(
    "documents",
    [pytest.param(each.documents, id=name) for name, each in SITUATIONS.items() if each.cured],
)
@on_virtual_time
async def test_without_it_nothing_happens(documents: tuple[Document, ...]) -> None:
    found = [each for each in copy.deepcopy(documents) if each["kind"] != "Event"]
    async with cluster(CONTROLLERS, load=found) as c:
        assert not await binds(c, rounds=6)
