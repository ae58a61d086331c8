"""``-v 3`` shows the decision about each object, with its rule, also the decision to do nothing."""

from __future__ import annotations

import logging

import pytest
from tests.controllers.cluster import claim, cluster, pod, using, volume

from pvbinder import logs
from pvbinder.controllers.options import ControllerOptions

ALL = ControllerOptions(controllers="persistentvolume-binder,persistentvolume-expander,scheduler")


async def test_what_is_decided_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "pvbinder")
    waiting = pod("web", using("orders"))
    del waiting["spec"]["schedulerName"]
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}
    async with cluster(ALL) as c:
        await c.create(node, volume("disk"), claim("orders"), claim("more"), waiting)
        await c.settle()
    said = {(record.getMessage(), *map(str, logs.fields_of(record).values())) for record in caplog.records}
    assert {
        ("volume decided", "disk", "SetPhase", "SV-1"),
        ("claim decided", "default/orders", "Bind", "SC-U3"),
        ("claim decided", "default/more", "Wait", "SC-U7"),
        ("expansion decided", "default/orders", "disk", "NothingToExpand"),
    } <= said
    assert ("pod decided", "default/web") in {words[:2] for words in said}
