"""Which keys a resync looks at (UNSETTLED-1, UNSETTLED-2)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.controllers.cluster import claim, cluster, volume

from pvbinder.controllers.binder import unsettled
from pvbinder.controllers.binder.unsettled import Unsettled
from pvbinder.controllers.binder_controller import BinderController
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.model.names import BINDER_CONTROLLER

ONLY = ControllerOptions(controllers="persistentvolume-binder", pvclaimbinder_sync_period=3600)
LARGE = {"requests": {"storage": "900Ti"}}


async def test_unsettled_1_a_complete_pair_is_settled_until_either_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsettled, "SETTLED_PER_LOOK", 0)
    async with cluster(ONLY) as c:
        await c.create(volume("disk"), volume("free"), claim("orders"), claim("waits", resources=LARGE))
        await c.until(lambda: "default/orders" in c.of(CLAIMS) and c.of(CLAIMS)["default/orders"].phase == "Bound")
        await c.settle()
        controller = c.manager.controllers[BINDER_CONTROLLER]
        assert isinstance(controller, BinderController)
        binder = controller.binder
        await binder.resync()

        def looked_at() -> tuple[Sequence[str], Sequence[str]]:
            return binder._unsettled_claims.to_look_at(), binder._unsettled_volumes.to_look_at()

        bound = c.of(CLAIMS)["default/orders"].volume_name
        other = next(each.name for each in c.of(VOLUMES) if each.name != bound)
        assert looked_at() == (["default/waits"], [other])

        await c.client.patch(VOLUMES, bound, "", {"metadata": {"labels": {"a": "b"}}}, patch_type="merge")
        await c.until(lambda: c.of(VOLUMES)[bound].labels == {"a": "b"})
        await c.settle()
        assert sorted(looked_at()[0]) == ["default/orders", "default/waits"]
        assert sorted(looked_at()[1]) == ["disk", "free"]
        await binder.resync()

        await c.client.patch(CLAIMS, "orders", "default", {"metadata": {"labels": {"a": "b"}}}, patch_type="merge")
        await c.until(lambda: c.of(CLAIMS)["default/orders"].labels == {"a": "b"})
        await c.settle()
        assert sorted(looked_at()[1]) == ["disk", "free"]


def test_unsettled_2_the_settled_ones_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsettled, "SETTLED_PER_LOOK", 2)
    keys: Unsettled[str] = Unsettled(lambda: ["a", "b", "c", "d", "e"])
    keys.add("d")
    keys.add("gone")
    keys.settle("gone")

    assert [sorted(keys.to_look_at()) for _ in range(4)] == [["a", "b", "d"], ["c", "d"], ["d", "e"], ["a", "b", "d"]]
    assert len(keys) == 1
