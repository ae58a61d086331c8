"""A local driver that is killed: at each step that it makes on the file system, in turn."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.csi.local.calls import MODE, NODE

from pvbinder.csi.local.pool import Pool
from pvbinder.csi.local.publications import Publications
from pvbinder.csi.local.publishing import Publisher
from pvbinder.csi.local.records import Shelf, Source, StoredSnapshot, StoredVolume, VolumeSettings
from pvbinder.csi.local.root import opened_root
from pvbinder.csi.local.snapshots import Snapshots
from pvbinder.csi.local.volumes import SettingsChange, Size, Volumes, Wish

KILLED: Final = 9
STEPS: Final = ("open", "os.", "shutil.", "fcntl.")
FILES: Final = {"a/deep": "deep", "file": "content"}


@dataclass(frozen=True)
class Parts:
    """A driver's parts, without a socket."""

    shelf: Shelf[StoredVolume]
    snapshot_shelf: Shelf[StoredSnapshot]
    volumes: Volumes
    snapshots: Snapshots
    places: Publications
    pods: Path

    def files_of(self, record: StoredVolume | StoredSnapshot) -> dict[str, str]:
        shelf = self.shelf if isinstance(record, StoredVolume) else self.snapshot_shelf
        top = shelf.data_path(record)  # type: ignore[arg-type]
        return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}


@contextmanager
def parts_in(directory: Path) -> Iterator[Parts]:
    with opened_root(directory / "root", node=NODE) as root:
        shelf, snapshot_shelf = Shelf(root, StoredVolume, "volume"), Shelf(root, StoredSnapshot, "snapshot")
        pool, publisher = Pool(root, 1 << 40), Publisher(root, "link")
        volumes = Volumes(shelf, snapshot_shelf, pool, publisher, lambda: None)
        snapshots = Snapshots(snapshot_shelf, shelf, pool, lambda: None)
        yield Parts(
            shelf, snapshot_shelf, volumes, snapshots, Publications(shelf, volumes, publisher), directory / "pods"
        )


def wish(name: str, source: Source | None = None, *, form: str = "directory") -> Wish:
    return Wish(name, Size(1000), form, VolumeSettings(), source, is_reachable=True)  # type: ignore[arg-type]


def named(parts: Parts, name: str) -> StoredVolume:
    found = parts.shelf.named(name)
    assert found is not None
    return found


def create(parts: Parts) -> None:
    parts.volumes.create(wish("new"))


def create_several(parts: Parts) -> None:
    made = parts.volumes.create_all([wish("new"), wish("newer"), wish("old")])
    assert [parts.shelf.named(name) for name in ("new", "newer", "old")] == made


def clone(parts: Parts) -> None:
    made = parts.volumes.create(wish("new", Source("volume", named(parts, "old").id)))
    assert parts.files_of(made) == FILES


def snapshot(parts: Parts) -> None:
    made = parts.snapshots.create("new", named(parts, "old").id)
    assert parts.files_of(made) == FILES


def delete(parts: Parts) -> None:
    found = parts.shelf.named("old")
    if found is not None:
        parts.volumes.delete(found.id)
    assert parts.shelf.named("old") is None


def expand(parts: Parts) -> None:
    grown = parts.volumes.expand(named(parts, "disk").id, Size(5000), "file")
    assert parts.shelf.data_path(grown).stat().st_size == 5000


def modify(parts: Parts) -> None:
    parts.volumes.modify(named(parts, "old").id, SettingsChange(quota_bytes=7))


def publish(parts: Parts) -> None:
    target = str(parts.pods / "target")
    parts.places.publish(
        named(parts, "old").id,
        target,
        access_mode=MODE.SINGLE_NODE_WRITER,
        form="directory",
        flags=(),
        read_only=False,
    )
    assert (parts.pods / "target" / "file").read_text() == "content"


def unpublish(parts: Parts) -> None:
    parts.places.unpublish(named(parts, "old").id, str(parts.pods / "target"))
    assert not os.path.lexists(parts.pods / "target")


OPERATIONS: Final[tuple[tuple[Callable[[Parts], None], Callable[[Parts], None] | None], ...]] = (
    (create, None),
    (create_several, None),
    (clone, None),
    (snapshot, None),
    (delete, None),
    (expand, None),
    (modify, None),
    (publish, None),
    (unpublish, publish),
)


def prepare(directory: Path) -> None:
    (directory / "pods").mkdir(parents=True)
    with parts_in(directory) as parts:
        old = parts.volumes.create(wish("old"))
        for name, text in FILES.items():
            path = parts.shelf.data_path(old) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        parts.volumes.create(wish("disk", form="file"))


def killed_at(step: int, directory: Path, operation: Callable[[Parts], None]) -> bool:
    """Do it in a process that dies before its file system step of that number; False if it had fewer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads in the parent: the child uses none
        child = os.fork()
    if child == 0:
        left = step
        try:
            with parts_in(directory) as parts:

                def hook(event: str, _: object) -> None:
                    nonlocal left
                    if event.startswith(STEPS):
                        left -= 1
                        if left < 0:
                            os._exit(KILLED)

                sys.addaudithook(hook)
                operation(parts)
                left = 1 << 30
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "before"), OPERATIONS, ids=[each.__name__ for each, _ in OPERATIONS])
def test_shelf_1_a_kill_at_any_step_leaves_nothing_half_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    operation: Callable[[Parts], None],
    before: Callable[[Parts], None] | None,
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # the machine goes on, only the process dies
    steps = 0
    while True:
        directory = tmp_path / str(steps)
        prepare(directory)
        if before is not None:
            with parts_in(directory) as parts:
                before(parts)
        was_killed = killed_at(steps, directory, operation)
        with parts_in(directory) as parts:
            assert not list((directory / "root" / "temporary").iterdir())
            assert not parts.shelf.damaged
            assert not parts.snapshot_shelf.damaged
            records: list[StoredVolume | StoredSnapshot] = [*parts.shelf.all(), *parts.snapshot_shelf.all()]
            for record in records:
                if record.form == "directory":
                    is_new = operation in (create, create_several) and record.name.startswith("new")
                    assert parts.files_of(record) == ({} if is_new else FILES)
                else:
                    assert isinstance(record, StoredVolume)
                    assert not parts.volumes.condition(record).trouble
            if os.path.lexists(directory / "pods" / "target"):
                assert named(parts, "old").places, "what is published is known (PUBLICATIONS-1)"
            operation(parts)
            added = (operation in (create, clone)) + 2 * (operation is create_several) - (operation is delete)
            assert len(parts.shelf.all()) == 2 + added
            assert len(parts.snapshot_shelf.all()) == (operation is snapshot)
        if not was_killed:
            break
        steps += 1
    assert steps > 3
