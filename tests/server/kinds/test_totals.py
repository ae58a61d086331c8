"""The totals of a namespace's objects: right at any moment, and counted once (TOTALS-1, TOTALS-2)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from tests.server.store.test_pending_writes import SlowCommits
from tests.server.watchdog import Watchdog, watchdog  # noqa: F401  (a fixture)

from pvbinder.model.json import encode
from pvbinder.model.quantity import ZERO, Quantity
from pvbinder.model.resources import CONFIG_MAPS
from pvbinder.server.kinds import totals
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.kinds.stored_objects import StoredObjects
from pvbinder.server.objects.kind import Json
from pvbinder.server.store import Store

OF_KIND = CONFIG_MAPS.qualified


@dataclass(frozen=True)
class Size:
    """The number in an object; it counts how often it is asked."""

    asked: list[int] = field(default_factory=list, compare=False)

    def __call__(self, obj: Json) -> dict[str, Quantity]:
        self.asked.append(1)
        return {"size": Quantity(obj["size"] * 10**9)}


class Sizes:
    """A store of objects with sizes, and their expected total."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.objects = StoredObjects(store, Registry())
        self.measure = Size()
        self.sizes: dict[str, int] = {}

    def put(self, key: str, size: int) -> asyncio.Future[None]:
        self.sizes[key] = size
        return self.store.put(OF_KIND, key, lambda _: encode({"kind": "ConfigMap", "apiVersion": "v1", "size": size}))[
            1
        ]

    def delete(self, key: str) -> asyncio.Future[None]:
        del self.sizes[key]
        return self.store.delete(OF_KIND, key)[1]

    def check(self, namespace: str = "shop") -> None:
        expected = sum(size for key, size in self.sizes.items() if key.startswith(f"{namespace}/"))
        total = self.objects.total(CONFIG_MAPS, namespace, self.measure)
        assert total.get("size", ZERO) == Quantity(expected * 10**9)


@pytest.mark.parametrize("seed", range(5))
async def test_totals_1_a_total_is_what_counting_all_would_give(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    async with Store(tmp_path) as store:
        all_sizes = Sizes(store)
        slow = SlowCommits(store)
        done: list[asyncio.Future[None]] = []
        with slow.patch:
            for _ in range(200):
                key = f"{random.choice(['shop', 'mill', 'shop-2'])}/{random.randrange(8)}"
                if key in all_sizes.sizes and random.random() < 0.4:
                    done.append(all_sizes.delete(key))
                else:
                    done.append(all_sizes.put(key, random.randrange(100)))
                if random.random() < 0.5:
                    slow.let_one_go()
                    await asyncio.sleep(0)
                if random.random() < 0.3:
                    await all_sizes.objects.prepare_total(CONFIG_MAPS, "shop", all_sizes.measure)
                all_sizes.check(random.choice(["shop", "mill"]))
            for _ in range(400):
                slow.let_one_go()
            await asyncio.gather(*done)
        all_sizes.check()


async def test_totals_2_one_more_object_costs_one_look(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        sizes = Sizes(store)
        await asyncio.gather(*(sizes.put(f"shop/{number}", number) for number in range(300)))
        sizes.check()
        for number in range(300, 310):
            sizes.measure.asked.clear()
            await sizes.put(f"shop/{number}", number)
            await sizes.put(f"mill/{number}", number)
            sizes.check()
            assert len(sizes.measure.asked) == 1


async def test_totals_2_what_the_history_has_forgotten_is_counted_anew(tmp_path: Path) -> None:
    async with Store(tmp_path, history_changes=10) as store:
        sizes = Sizes(store)
        await sizes.put("shop/a", 1)
        sizes.check()
        for number in range(40):
            await sizes.put(f"shop/{number}", number)
        sizes.check()


async def test_totals_2_very_many_objects_are_counted_in_turns(tmp_path: Path, watchdog: Watchdog) -> None:  # noqa: F811
    async with Store(tmp_path) as store:
        sizes = Sizes(store)
        await asyncio.gather(*(sizes.put(f"shop/{number}", number) for number in range(6 * totals.OBJECTS_PER_TURN)))
        watchdog.reset()
        preparing = asyncio.create_task(sizes.objects.prepare_total(CONFIG_MAPS, "shop", sizes.measure))
        await asyncio.sleep(0)
        written = sizes.put("shop/in-between", 7)
        turns = 1
        while not preparing.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns >= 6
        await written
        sizes.measure.asked.clear()
        sizes.check()
        assert len(sizes.measure.asked) <= 2
        watchdog.check()


async def test_the_totals_that_are_kept_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "TOTALS_MAX", 3)
    async with Store(tmp_path) as store:
        sizes = Sizes(store)
        for number in range(10):
            await sizes.put(f"n{number}/a", number)
            sizes.check(f"n{number}")
        assert len(sizes.objects._totals._kept) == 3
