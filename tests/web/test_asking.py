"""Explanations that are worked out aside."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from tests.insight.builders import claim, storage_class, volume
from tests.web.visitor import Changing, view_of

from pvbinder.rules.plugins import NoPlugins
from pvbinder.web.asking import WAITING_MAX, Questions, ShownExplanation, TooBusyError

SHOP = (claim(), storage_class(), volume("small", "1Gi"))


def questions() -> Questions:
    return Questions(Changing(map(view_of, SHOP)), plugins=NoPlugins())


async def test_asking_2_the_loop_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = questions()
    where: list[threading.Thread] = []
    told = asked._told

    def noted(*arguments: Any) -> ShownExplanation | None:
        where.append(threading.current_thread())
        return told(*arguments)

    monkeypatch.setattr(asked, "_told", noted)
    assert await asked.explain("claim", "shop/orders") is not None
    assert where
    assert where[0] is not threading.main_thread()
    asked.close()


async def test_asking_3_one_more_than_can_wait_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = questions()
    go = threading.Event()
    monkeypatch.setattr(asked, "_told", lambda *_: go.wait(30))
    async with asyncio.TaskGroup() as group:
        for _ in range(WAITING_MAX):
            group.create_task(asked.explain("claim", "shop/orders"))
        await asyncio.sleep(0)
        with pytest.raises(TooBusyError):
            await asked.explain("claim", "shop/orders")
        assert await asked.explain("claim", "shop/gone") is None
        go.set()
    asked.close()


async def test_asking_1_what_went_meanwhile_isnt_there(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = Changing(map(view_of, SHOP))
    asked = Questions(objects, plugins=NoPlugins())
    views = objects.views
    monkeypatch.setattr(objects, "views", lambda: [view for view in views() if view.name != "orders"])
    assert await asked.explain("claim", "shop/orders") is None
    asked.close()
