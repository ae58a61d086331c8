"""Volumes and snapshots on disk, and what is served of them after a restart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.csi.local.calls import MIB, capability, driver_in

from pvbinder.csi.errors import Code
from pvbinder.csi.local import records
from pvbinder.csi.local.records import ID
from pvbinder.csi.wire import methods


async def test_shelf_2_a_driver_that_is_back_has_all_of_it(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        volume = await calls.volume(required=MIB, parameters={"quotaBytes": "5"})
        disk = await calls.volume("disk", volume_capabilities=[capability(block=True)])
        snapshot = await calls.snapshot("s", volume.volume_id)
        listed = await calls.call(methods.LIST_VOLUMES)
        capacity = await calls.call(methods.GET_CAPACITY)
    async with driver_in(tmp_path) as calls:
        assert await calls.call(methods.LIST_VOLUMES) == listed
        assert await calls.call(methods.GET_CAPACITY) == capacity
        assert await calls.volume(required=MIB, parameters={"quotaBytes": "5"}) == volume
        assert await calls.volume("disk", volume_capabilities=[capability(block=True)]) == disk
        assert await calls.snapshot("s", volume.volume_id) == snapshot


async def test_shelf_2_an_answer_comes_after_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with driver_in(tmp_path) as calls:
        synced: list[str] = []
        real = os.fsync

        def fsync(opened: int) -> None:
            synced.append(str(Path(f"/proc/self/fd/{opened}").readlink()))
            real(opened)

        monkeypatch.setattr(os, "fsync", fsync)
        volume = await calls.volume()
        draft = calls.root / "temporary" / volume.volume_id
        assert synced == [*map(str, (draft / "data", draft / "volume.json", draft, calls.root / "volumes"))]
        synced.clear()
        await calls.call(methods.DELETE_VOLUME, volume_id=volume.volume_id)
        assert synced[0] == str(calls.root / "volumes")


@pytest.mark.parametrize("text", ["", "nonsense", "{}", '{"id":"x"}', "[" * 100_000, None])
async def test_shelf_3_one_that_is_damaged_is_known_and_kept(tmp_path: Path, text: str | None) -> None:
    async with driver_in(tmp_path) as calls:
        volume, other = await calls.volume("a"), await calls.volume("b")
        file = calls.root / "volumes" / volume.volume_id / "volume.json"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    async with driver_in(tmp_path) as calls:
        listed = (await calls.call(methods.LIST_VOLUMES)).entries
        assert {entry.volume.volume_id: entry.status.volume_condition.abnormal for entry in listed} == {
            volume.volume_id: True,
            other.volume_id: False,
        }
        await calls.refused(Code.INTERNAL, methods.CONTROLLER_GET_VOLUME, volume_id=volume.volume_id)
        await calls.refused(Code.INTERNAL, methods.DELETE_VOLUME, volume_id=volume.volume_id)
        assert calls.data(volume.volume_id).is_dir()


async def test_shelf_3_a_copy_of_a_volume_is_no_second_one(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        volume = await calls.volume()
        copy = "vol-" + "f" * 32
        (calls.root / "volumes" / copy).mkdir()
        original = calls.root / "volumes" / volume.volume_id / "volume.json"
        (calls.root / "volumes" / copy / "volume.json").write_bytes(original.read_bytes())
        (calls.root / "volumes" / copy / "volume.json").chmod(0o600)
    async with driver_in(tmp_path) as calls:
        assert await calls.volume() == volume
        await calls.refused(Code.INTERNAL, methods.DELETE_VOLUME, volume_id=copy)


async def test_shelf_4_ids_are_ours_and_names_are_no_paths(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as calls:
        for name in ("../../up", "/etc/passwd", ".", "\N{SNOWMAN}", "n" * 128, "a\tb", "con/sub"):
            volume = await calls.volume(name)
            assert ID.fullmatch(volume.volume_id)
            assert await calls.volume(name) == volume
        assert sorted(path.name for path in tmp_path.iterdir() if not path.is_socket()) == ["pods", "root"]
    assert records.ID.fullmatch("vol-" + "0" * 32 + "\n") is None
