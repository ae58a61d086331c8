"""Objects of informers and of files."""

from __future__ import annotations

from typing import Any

from tests.insight.builders import claim, volume
from tests.kube.informers import VOLUME, running, settle
from tests.kube.small_server import SmallServer
from tests.virtual_time import on_virtual_time
from tests.web.visitor import view_of

from pvbinder.kube.client import Client
from pvbinder.kube.informer import Informer
from pvbinder.kube.kinds import VOLUMES, metadata_of
from pvbinder.model.resources import PERSISTENT_VOLUMES
from pvbinder.web.objects import FixedObjects, InformedObjects


def body(name: str, **fields: Any) -> dict[str, Any]:
    return volume(name, **fields)


@on_virtual_time
async def test_objects_shown_1_changes_are_told_once_they_can_be_read() -> None:
    server = SmallServer()
    server.apply(f"{VOLUME}/old", body("old"))
    informer = Informer(Client(server), VOLUMES)
    objects = InformedObjects({"volume": informer})
    async with running(informer):
        heard: list[str] = []

        def hear(kind: str, before: Any, after: Any) -> None:
            name = (after or before).name
            heard.append(
                f"{kind} {name} {before is not None}>{after is not None} {objects.get('volume', name) == after}"
            )

        objects.listen(hear)
        server.apply(f"{VOLUME}/new", body("new"))
        server.apply(f"{VOLUME}/old", body("old", phase="Released"))
        server.delete(f"{VOLUME}/new")
        await settle()
        assert heard == ["volume new False>True True", "volume old True>True True", "volume new True>False True"]
        assert objects.keys("volume") == ["old"]
        assert objects.keys("claim") == []
        assert objects.known() == ("PersistentVolume",)


@on_virtual_time
async def test_objects_shown_2_what_is_there_is_no_change() -> None:
    server = SmallServer()
    for name in ("a", "b"):
        server.apply(f"{VOLUME}/{name}", body(name))
    informer = Informer(Client(server), VOLUMES)
    heard: list[str] = []
    async with running(informer):
        InformedObjects({"volume": informer}).listen(lambda kind, before, after: heard.append(kind))
        await settle()
        assert heard == []
        server.delete(f"{VOLUME}/a")
        await settle()
        assert heard == ["volume"]


@on_virtual_time
async def test_objects_shown_3_another_view_is_read_anew() -> None:
    server = SmallServer()
    server.apply(f"{VOLUME}/v", body("v"))
    server.apply(f"{VOLUME}/broken", {**body("broken"), "spec": "?"})
    informer = Informer(Client(server), metadata_of(PERSISTENT_VOLUMES))
    objects = InformedObjects({"volume": informer})
    async with running(informer):
        found = objects.get("volume", "v")
        assert found is not None
        assert str(found.size) == "10Gi"  # type: ignore[union-attr]
        assert objects.get("volume", "broken") is None
        assert [view.name for view in objects.views()] == ["v"]


def test_files_have_objects_by_kind() -> None:
    objects = FixedObjects(map(view_of, (claim(), volume("v"))), ["PersistentVolume"])
    assert objects.keys("claim") == ["shop/orders"]
    assert [view.name for view in objects.views()] == ["v", "orders"]
    assert not objects.is_live
