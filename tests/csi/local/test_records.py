"""Volumes and snapshots on disk, and what is served of them after a restart."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.csi.local.calls import MIB, NODE, capability, driver_in

from pvbinder.csi.errors import Code
from pvbinder.csi.local import records
from pvbinder.csi.local.pool import Pool
from pvbinder.csi.local.publishing import Publisher
from pvbinder.csi.local.records import ID, DataForm, Shelf, StoredSnapshot, StoredVolume, VolumeSettings
from pvbinder.csi.local.root import opened_root
from pvbinder.csi.local.volumes import Size, Volumes, Wish
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


@contextmanager
def volumes_in(directory: Path) -> Iterator[tuple[Volumes, Shelf[StoredVolume], Pool]]:
    with opened_root(directory / "root", node=NODE) as root:
        shelf = Shelf(root, StoredVolume, "volume")
        pool = Pool(root, 100 * MIB)
        snapshots = Shelf(root, StoredSnapshot, "snapshot")
        yield Volumes(shelf, snapshots, pool, Publisher(root, "link"), lambda: None), shelf, pool


def wish(name: str, *, form: DataForm = "directory") -> Wish:
    return Wish(name, Size(MIB), form, VolumeSettings(), None, is_reachable=True)


class Disk:
    """What was synced and renamed, in order, as steps below the root; `broken` are the ends of what can't be synced."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[tuple[str, str]] = []
        self.broken: tuple[str, ...] = ()
        self.look: Callable[[], object] = lambda: None
        self._root = directory / "root"
        self._fsync, self._rename = os.fsync, os.rename
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(os, "rename", self.rename)

    def fsync(self, opened: int) -> None:
        path = Path(f"/proc/self/fd/{opened}").readlink()
        self.steps.append(("sync", str(path.relative_to(self._root))))
        self.look()
        if self.broken and str(path).endswith(self.broken):
            raise OSError(errno.EIO, "broken")
        self._fsync(opened)

    def rename(self, old: Path, new: Path) -> None:
        self.steps.append(("rename", str(new.relative_to(self._root))))
        self._rename(old, new)


def test_shelf_5_a_name_leads_only_to_what_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with volumes_in(tmp_path) as (volumes, shelf, _):
        disk = Disk(tmp_path, monkeypatch)
        found: list[StoredVolume] = []
        disk.look = lambda: found.extend(shelf.all())
        made = [volumes.create(wish("alone"))]
        assert not found, "it is found when all is synced"
        alone = disk.steps.copy()
        disk.steps.clear()
        disk.look = lambda: None
        for each in volumes.create_all([wish("a"), wish("b", form="file"), wish("c")]):
            assert isinstance(each, StoredVolume)
            made.append(each)
        assert shelf.all() == sorted(made, key=lambda each: each.id)
    for steps, volumes_made in ((alone, made[:1]), (disk.steps, made[1:])):
        assert [step for step in steps if step == ("sync", "volumes")] == [steps[-1]], "once, when all is done"
        for each in volumes_made:
            draft = f"temporary/{each.id}"
            synced = [f"{draft}/data", f"{draft}/volume.json", draft]
            expected = [*(("sync", path) for path in synced), ("rename", f"volumes/{each.id}")]
            assert [step for step in steps if each.id in step[1]] == expected


@pytest.mark.parametrize("broken", ["/data", "/volume.json"])
def test_shelf_5_one_that_fails_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    with volumes_in(tmp_path) as (volumes, shelf, pool):
        ids = iter(["vol-" + digit * 32 for digit in "123"])
        monkeypatch.setattr(shelf, "new_id", lambda: next(ids))
        disk = Disk(tmp_path, monkeypatch)
        disk.broken = (f"vol-{'2' * 32}{broken}",)
        before = pool.available_bytes()
        first, second, third = volumes.create_all([wish("a"), wish("b"), wish("c")])
        assert isinstance(second, OSError)
        assert shelf.all() == [first, third]
        assert pool.available_bytes() == before - 2 * MIB
        assert not list((tmp_path / "root" / "temporary").iterdir())
        assert len(list((tmp_path / "root" / "volumes").iterdir())) == 2


def test_shelf_5_what_may_not_last_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with volumes_in(tmp_path) as (volumes, shelf, pool):
        disk = Disk(tmp_path, monkeypatch)
        disk.broken = ("/volumes",)
        before = pool.available_bytes()
        assert [type(each) for each in volumes.create_all([wish("a"), wish("b")])] == [OSError, OSError]
        assert pool.available_bytes() == before
        for folder in ("volumes", "temporary"):
            assert not list((tmp_path / "root" / folder).iterdir())
        disk.broken = ()
        made = volumes.create(wish("a"))
        assert shelf.all() == [made]
        assert [path.name for path in (tmp_path / "root" / "volumes").iterdir()] == [made.id]
