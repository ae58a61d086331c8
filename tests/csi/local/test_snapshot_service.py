"""Snapshots and clones of the local driver, over gRPC."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from tests.csi.local.calls import MIB, NO_VOLUME, capability, driver_in, of_snapshot, of_volume, volume_request

from pvbinder.csi.errors import Code
from pvbinder.csi.wire import methods


async def test_snapshots_2_a_snapshot_is_the_volume_as_it_was(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        volume = await calls.volume(required=MIB)
        (calls.data(volume.volume_id) / "file").write_text("before")
        snapshot = await calls.snapshot("snap-1", volume.volume_id)
        assert snapshot.ready_to_use
        assert (snapshot.size_bytes, snapshot.source_volume_id) == (MIB, volume.volume_id)
        assert abs(snapshot.creation_time.ToSeconds() - time.time()) < 60
        (calls.data(volume.volume_id) / "file").write_text("after")
        await calls.call(methods.DELETE_VOLUME, volume_id=volume.volume_id)
        assert await calls.snapshot("snap-1", volume.volume_id) == snapshot, "it stays when its volume goes"
        source = of_snapshot(snapshot.snapshot_id)
        restored = await calls.volume("restored", volume_content_source=source)
        assert restored.capacity_bytes == MIB
        assert restored.content_source == source
        assert (calls.data(restored.volume_id) / "file").read_text() == "before"
        await calls.call(methods.DELETE_SNAPSHOT, snapshot_id=snapshot.snapshot_id)
        assert (calls.data(restored.volume_id) / "file").read_text() == "before"


@pytest.mark.parametrize("block", [False, True])
async def test_a_clone_has_the_data_and_may_be_larger(tmp_path: Path, block: bool) -> None:
    async with driver_in(tmp_path) as calls:
        form: dict[str, Any] = {"volume_capabilities": [capability(block=block)]}
        volume = await calls.volume(required=MIB, **form)
        data = calls.data(volume.volume_id)
        with (data if block else data / "file").open("r+b" if block else "wb") as file:
            file.write(b"content")
        source = of_volume(volume.volume_id)
        clone = await calls.volume("clone", required=3 * MIB, volume_content_source=source, **form)
        assert (clone.capacity_bytes, clone.content_source) == (3 * MIB, source)
        copied = calls.data(clone.volume_id)
        assert (copied if block else copied / "file").read_bytes().startswith(b"content")
        if block:
            assert copied.stat().st_size == 3 * MIB
        assert await calls.volume("clone", required=3 * MIB, volume_content_source=source, **form) == clone
        await calls.call(methods.DELETE_VOLUME, volume_id=volume.volume_id)
        again = await calls.volume("clone", required=3 * MIB, volume_content_source=source, **form)
        assert again == clone, "the same name, though its source is gone"


async def test_a_copy_that_can_not_be_what_is_asked_is_refused(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        volume = await calls.volume(required=2 * MIB)
        snapshot = await calls.snapshot("s", volume.volume_id)
        for source in (of_volume(volume.volume_id), of_snapshot(snapshot.snapshot_id)):
            cases: list[tuple[Code, dict[str, Any]]] = [
                (Code.OUT_OF_RANGE, {"required": MIB}),
                (Code.OUT_OF_RANGE, {"required": MIB, "limit": MIB}),
                (Code.OUT_OF_RANGE, {"limit": MIB}),
                (Code.INVALID_ARGUMENT, {"volume_capabilities": [capability(block=True)]}),
            ]
            for code, fields in cases:
                fields["volume_content_source"] = source
                await calls.refused(code, methods.CREATE_VOLUME, volume_request("copy", **fields))
        await calls.volume("copy", volume_content_source=of_volume(volume.volume_id))
        await calls.refused(
            Code.ALREADY_EXISTS,
            methods.CREATE_VOLUME,
            volume_request("copy", volume_content_source=of_snapshot(snapshot.snapshot_id)),
        )
        await calls.refused(Code.ALREADY_EXISTS, methods.CREATE_VOLUME, volume_request("copy"))


async def test_snapshots_1_a_name_makes_one_snapshot(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        first, second = await calls.volume("a"), await calls.volume("b")
        found = await asyncio.gather(*(calls.snapshot("s", first.volume_id) for _ in range(10)))
        assert len({snapshot.snapshot_id for snapshot in found}) == 1
        assert all(snapshot == found[0] for snapshot in found)
        method = methods.CREATE_SNAPSHOT
        await calls.refused(Code.ALREADY_EXISTS, method, name="s", source_volume_id=second.volume_id)
        await calls.refused(Code.INVALID_ARGUMENT, method, name="", source_volume_id=first.volume_id)
        await calls.refused(Code.INVALID_ARGUMENT, method, name="a\x9fb", source_volume_id=first.volume_id)
        await calls.refused(Code.NOT_FOUND, method, name="t", source_volume_id=NO_VOLUME)
        await calls.refused(
            Code.INVALID_ARGUMENT, method, name="t", source_volume_id=first.volume_id, parameters={"color": "red"}
        )
        await calls.call(
            method,
            name="\N{SNOWMAN} with spaces",
            source_volume_id=first.volume_id,
            parameters={"csi.storage.k8s.io/volumesnapshot/name": "s"},
        )
        assert len(await calls.snapshot_ids()) == 2


async def test_snapshots_are_listed_by_page_by_id_and_by_volume(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        first, second = await calls.volume("a"), await calls.volume("b")
        of_first = {(await calls.snapshot(f"a{number}", first.volume_id)).snapshot_id for number in range(3)}
        of_second = {(await calls.snapshot(f"b{number}", second.volume_id)).snapshot_id for number in range(2)}

        async def listed(**fields: Any) -> tuple[list[str], str]:
            answer = await calls.call(methods.LIST_SNAPSHOTS, **fields)
            return [entry.snapshot.snapshot_id for entry in answer.entries], answer.next_token

        assert await listed() == (sorted(of_first | of_second), "")
        assert await listed(source_volume_id=first.volume_id) == (sorted(of_first), "")
        one = min(of_second)
        assert await listed(snapshot_id=one) == ([one], "")
        assert await listed(snapshot_id=one, source_volume_id=first.volume_id) == ([], "")
        assert await listed(snapshot_id="nothing") == ([], "")
        assert await listed(source_volume_id="nothing") == ([], "")
        page, token = await listed(max_entries=2, source_volume_id=first.volume_id)
        assert len(page) == 2
        rest, end = await listed(max_entries=2, source_volume_id=first.volume_id, starting_token=token)
        assert page + rest == sorted(of_first)
        assert end == ""
        await calls.refused(Code.INVALID_ARGUMENT, methods.LIST_SNAPSHOTS, max_entries=-1)
        for wrong in ("1", "x", "snapshots-after-", f"volumes-after-{NO_VOLUME}", token + "\n"):
            await calls.refused(Code.ABORTED, methods.LIST_SNAPSHOTS, starting_token=wrong)
        await calls.refused(Code.ABORTED, methods.LIST_VOLUMES, starting_token=token)
        found = await calls.call(methods.GET_SNAPSHOT, snapshot_id=one)
        assert (found.snapshot.snapshot_id, found.snapshot.ready_to_use) == (one, True)


async def test_a_volume_is_not_removed_while_it_is_copied(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        volume = await calls.volume()
        for number in range(30):
            (calls.data(volume.volume_id) / str(number)).write_text("x")
        copies = [calls.snapshot(f"s{number}", volume.volume_id) for number in range(3)]
        removal = calls.call(methods.DELETE_VOLUME, volume_id=volume.volume_id)
        found = await asyncio.gather(*copies, removal, return_exceptions=True)
        for snapshot in found[:-1]:  # each is whole, or there was no volume any more
            if not isinstance(snapshot, BaseException):
                data = calls.root / "snapshots" / snapshot.snapshot_id / "data"
                assert len(list(data.iterdir())) == 30
        assert not await calls.ids()
