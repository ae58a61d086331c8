"""A store that keeps nothing."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from tests.virtual_time import on_virtual_time

from pvbinder.server.store import Store


def body(revision: int) -> bytes:
    return b'{"metadata":{"name":"a","resourceVersion":"%d"}}' % revision


@on_virtual_time
async def test_memory_1_what_is_written_is_there_without_a_thread() -> None:
    threads = threading.active_count()
    async with Store(None, keep_copy=True) as store:
        stored, durable = store.put("claims", "shop/a", body)
        await durable

        assert store.get("claims", "shop/a") == stored
        assert threading.active_count() == threads
        _, gone = store.delete("claims", "shop/a")
        await gone
        assert store.get("claims", "shop/a") is None


@on_virtual_time
async def test_memory_2_a_thousand_writes_at_once_are_all_kept() -> None:
    async with Store(None) as store:
        await asyncio.gather(*(store.put("claims", f"shop/{number}", body)[1] for number in range(1000)))

        assert store.statistics().objects == {"claims": 1000}
        assert store.statistics().failed_commits == 0
        assert store.why_not_writable is None


@pytest.mark.parametrize("in_memory", [True, False])
def test_memory_1_only_a_store_with_a_directory_writes_files(tmp_path: Path, in_memory: bool) -> None:
    async def write() -> None:
        async with Store(None if in_memory else tmp_path) as store:
            await store.put("claims", "shop/a", body)[1]

    asyncio.run(write())

    assert (list(tmp_path.iterdir()) == []) is in_memory
