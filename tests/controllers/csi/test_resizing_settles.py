"""Whatever happens, and whenever the process dies: claim, volume and driver agree on size and attributes in the end.

The weather is that of `test_nothing_leaks`; users ask for more, step back, and name other classes meanwhile. At no time
does a claim have more than the driver's volume.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random

import pytest
from tests.controllers.csi.fake_driver import FakeDriver
from tests.controllers.csi.stage import Stage, attributes_class, stage, storage_class
from tests.controllers.csi.test_nothing_leaks import Weather, start
from tests.virtual_time import on_virtual_time

from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Change
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.model.objects import Claim

CHOSEN = "persistentvolume-binder,csi-provisioner,csi-resizer,csi-modifier"
NAMES = ("red", "green")
STEPS = 25
WELL_SECONDS = 3000.0  # more than twice the longest back-off
SEEDS = [random.randrange(10**9) for _ in range(100)] if os.environ.get("PVBINDER_SEEDS") == "new" else range(3)


async def tell(s: Stage, chance: random.Random, weather: Weather) -> None:
    """Let users change their minds, and the process die."""
    for _ in range(STEPS):
        s.driver.seconds = chance.choice((0.0, 0.0, 0.01, 0.5, 8.0))
        weather.is_there = chance.random() < 0.85
        what, name = chance.random(), chance.choice(NAMES)
        with contextlib.suppress(ApiFailure):  # less than the claim has
            if what < 0.5:
                await s.grow(f"{chance.randrange(1100, 4000)}Mi", name)
            elif what < 0.8:
                await s.edit({"spec": {"volumeAttributesClassName": chance.choice(("silver", "gold", "lead"))}}, name)
            else:
                await s.cluster.stop()
                await start(s, weather)
        for _ in range(chance.choice((0, 1, 5, 30, 200))):  # to die at any await
            await asyncio.sleep(0)
        await asyncio.sleep(chance.choice((0.0, 0.001, 0.02, 1.0, 20.0)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_csi_resizer_1_all_agree_whatever_happens_and_whenever_the_process_dies(seed: int) -> None:  # CSI_MODIFIER-1
    @on_virtual_time
    async def story() -> None:
        chance = random.Random(seed)
        driver = FakeDriver()
        weather = Weather(chance, driver)
        async with stage(driver, chosen=CHOSEN) as s:
            await s.cluster.create(storage_class(allowVolumeExpansion=True))
            await s.cluster.create(attributes_class("silver"), attributes_class("gold"), attributes_class("lead"))
            for name in NAMES:
                await s.want(name, volumeAttributesClassName="silver")
                await s.until_bound(name)
            liars: list[str] = []

            def look(change: Change[Claim]) -> None:
                claim = change.object
                there = driver.volumes[claim.volume_name].capacity_bytes
                if claim.status_capacity is not None and claim.status_capacity.whole_units() > there:
                    liars.append(f"{claim.key} has {claim.status_capacity}, and its volume {there}")

            s.cluster.of(CLAIMS).add_handler(look)
            driver.before, driver.after = weather.before_call, weather.after_call
            await s.cluster.stop()
            await start(s, weather)
            await tell(s, chance, weather)

            weather.is_bad, driver.seconds = False, 0.0
            await asyncio.sleep(WELL_SECONDS)
            assert liars == []
            for name in NAMES:
                claim = await s.cluster.client.get(CLAIMS, name, "default")
                volume = await s.cluster.client.get(VOLUMES, claim.volume_name)
                made = driver.volumes[claim.volume_name]
                assert claim.status_capacity == volume.size
                assert volume.size.whole_units() == made.capacity_bytes
                assert claim.request <= volume.size
                assert claim.current_attributes_class == volume.attributes_class == claim.attributes_class
                given = driver.attributes.get(made.volume_id, {"tier": "silver"})
                assert given == {"tier": claim.attributes_class}
                status = claim.document()["status"]
                assert {"conditions", "allocatedResourceStatuses", "modifyVolumeStatus"}.isdisjoint(status)

    story()
