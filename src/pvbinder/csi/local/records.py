"""What a volume and a snapshot are, and how they are kept: a directory each, with one file that says what it is.

SHELF-1  A volume or a snapshot is there whole, with its data, or not at all: it is made in the temporary directory
         and renamed into its place, and renamed out of it before it is removed.
SHELF-2  What is acknowledged is on disk, whenever the process or the machine stops.
SHELF-3  One that can't be read is kept as it is, and known as damaged; the others are served.
SHELF-4  Ids are ours, made by chance; no text of a caller ever becomes a part of a path.
SHELF-5  A name leads only to what is on disk. What is added is synced (its data, the file that says what it is, the
         directory around them), then renamed into its place, then the folder that has its name is synced; only after
         that is it found. Each of several that are added together has all of that, with the folder synced once for
         all; one that can't be added keeps no other from it, and nothing of it is in its place.

Blocking: call it in a thread.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Generic, Literal, TypeAlias, TypeVar

import msgspec

from pvbinder import logs
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local.root import DATA, Root
from pvbinder.model.errors import PvbinderError
from pvbinder.server.files.private_files import create_private, read_secret, replacing, sync_directory

DataForm: TypeAlias = Literal["directory", "file"]
By: TypeAlias = Literal["mount", "link"]

ID: Final = re.compile(r"(?:vol|snap)-[0-9a-f]{32}")
_CAN_ADVISE: Final = hasattr(os, "posix_fadvise")  # not on macOS
RECORD_BYTES_MAX: Final = 16 << 20  # of a volume that is published in very many places

log = logs.get(__name__)


class VolumeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What can be changed of a volume (ControllerModifyVolume); a quota of 0 is none."""

    read_only: bool = False
    quota_bytes: int = 0


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The snapshot or volume that a volume began as a copy of."""

    kind: Literal["snapshot", "volume"]
    id: str


class Publication(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a volume is published, and how it was asked for."""

    target: str
    access_mode: int
    flags: tuple[str, ...]
    read_only: bool
    by: By


class StoredVolume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A volume; `created_with` are the settings at the start, which a repeated CreateVolume must name again."""

    id: str
    name: str
    form: DataForm
    capacity_bytes: int
    created_with: VolumeSettings
    settings: VolumeSettings
    source: Source | None = None
    places: tuple[Publication, ...] = ()


class StoredSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A snapshot; `size_bytes` is what a volume made of it has at least."""

    id: str
    name: str
    volume: str
    form: DataForm
    size_bytes: int
    created_ns: int


T = TypeVar("T", StoredVolume, StoredSnapshot)


class Shelf(Generic[T]):
    """All volumes, or all snapshots: by id, and by the name that their caller gave them."""

    def __init__(self, root: Root, kind: type[T], noun: Literal["volume", "snapshot"]) -> None:
        """Read what is there."""
        self.root = root
        self.noun = noun
        self.damaged: set[str] = set()
        self._folder = f"{noun}s"
        self._drafts = root.path / "temporary"
        self._places = root.path / self._folder
        self._kind: type[T] = kind
        self._by_id: dict[str, T] = {}
        self._ids: dict[str, str] = {}
        for directory in sorted(self._places.iterdir()):
            if ID.fullmatch(directory.name) is not None:
                self._load(directory.name)

    def all(self) -> list[T]:
        """Return all, sorted by id."""
        return [record for _, record in sorted(self._by_id.copy().items())]

    def find(self, identity: str) -> T | None:
        """Return the one with this id; raises CallFailed for a damaged one (SHELF-3)."""
        if identity in self.damaged:
            place = f"{self._folder}/{identity}"
            raise CallFailed(Code.INTERNAL, f"{self.noun} {identity} is damaged: see {place} in the driver's root")
        return self._by_id.get(identity)

    def get(self, identity: str) -> T:
        """Return the one with this id; raises CallFailed if there is none."""
        found = self.find(identity)
        if found is None:
            raise CallFailed(Code.NOT_FOUND, f"there is no {self.noun} {shown(identity)}")
        return found

    def named(self, name: str) -> T | None:
        """Return the one that was made under this name."""
        identity = self._ids.get(name)
        return None if identity is None else self._by_id.get(identity)

    def new_id(self) -> str:
        """Return an id that nothing has (SHELF-4)."""
        return f"{'vol' if self.noun == 'volume' else 'snap'}-{secrets.token_hex(16)}"

    def draft(self, identity: str) -> Path:
        """Make the temporary directory that `identity` is made in."""
        draft = self._drafts / identity
        draft.mkdir(mode=0o700)
        return draft

    def add(self, record: T) -> None:
        """Put what was drafted into its place, for good (SHELF-1, SHELF-5); what is in its data is on disk already."""
        for error in self.add_all([record]).values():
            raise error

    def add_all(self, records: Sequence[T]) -> dict[str, Exception]:
        """Do for all of them what `add` does for one; return by id what was in the way of some (SHELF-5)."""
        failed: dict[str, Exception] = {}
        with ExitStack() as opened:
            drafts: dict[str, tuple[int, int]] = {}
            for record in records:
                try:
                    drafts[record.id] = self._write_draft(record, opened)
                except Exception as error:  # noqa: BLE001 - it is told, and the others go on
                    failed[record.id] = error
            for identity, (file, directory) in drafts.items():
                try:
                    _sync_in(directory, DATA)
                    os.fsync(file)
                    os.fsync(directory)
                except OSError as error:
                    failed[identity] = error
        placed = [record for record in records if record.id not in failed and self._placed(record.id, failed)]
        try:
            if placed:
                sync_directory(self._places)
        except OSError as error:
            for record in placed:
                self._put_back(record.id)
                failed[record.id] = error
        else:
            for record in placed:
                self._take_in(record)
        return failed

    def replace(self, record: T) -> None:
        """Write `record` in the place of the one with its id, for good."""
        self._write(self._places / record.id, record)
        self._take_in(record)

    def remove(self, record: T) -> None:
        """Remove it and its data; it is gone for good before its files are (SHELF-1)."""
        (self._places / record.id).rename(self._drafts / record.id)
        sync_directory(self._places)
        del self._by_id[record.id]
        del self._ids[record.name]
        self.root.remove_temporary(record.id)

    def open_data(self, record: T) -> int:
        """Open the data of a volume or snapshot: no link leads there; raises OSError or LinkRefusedError."""
        if record.form == "directory":
            return self.root.open_in(self._folder, record.id, DATA)
        around = self.root.open_in(self._folder, record.id)
        try:
            return os.open(DATA, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=around)
        finally:
            os.close(around)

    def data_path(self, record: T) -> Path:
        """Return where the data is."""
        return self._places / record.id / DATA

    def _load(self, identity: str) -> None:
        file = self._places / identity / f"{self.noun}.json"
        try:
            record = msgspec.json.decode(read_secret(file, bytes_max=RECORD_BYTES_MAX), type=self._kind)
        except (OSError, PvbinderError, msgspec.DecodeError) as error:
            log.error(f"{self.noun} is damaged", volume=identity, file=str(file), err=str(error))
            self.damaged.add(identity)
            return
        if record.id != identity or record.name in self._ids:
            log.error(f"{self.noun} is damaged", volume=identity, file=str(file), err="it is a copy of another one")
            self.damaged.add(identity)
            return
        self._take_in(record)

    def _take_in(self, record: T) -> None:
        self._by_id[record.id] = record
        self._ids[record.name] = record.id

    def _write_draft(self, record: T, opened: ExitStack) -> tuple[int, int]:
        """Write the file that says what it is; return it and the directory that it is in, open."""
        data = memoryview(self._encoded(record))
        draft = self._drafts / record.id
        directory = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, directory)
        file = create_private(draft / f"{self.noun}.json")  # nobody sees a half of it: the draft isn't there yet
        opened.callback(os.close, file)
        while data:
            data = data[os.write(file, data) :]
        if _CAN_ADVISE:  # the disk begins with it while the others are written, and fsync waits for less
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        return file, directory

    def _placed(self, identity: str, failed: dict[str, Exception]) -> bool:
        try:
            (self._drafts / identity).rename(self._places / identity)
        except OSError as error:
            failed[identity] = error
            return False
        return True

    def _put_back(self, identity: str) -> None:
        """Take what isn't there for good out of its place again."""
        try:
            (self._places / identity).rename(self._drafts / identity)
        except OSError as error:
            log.error(f"can't take back a {self.noun}", volume=identity, err=str(error))

    def _write(self, directory: Path, record: T) -> None:
        data = self._encoded(record)
        with replacing(directory / f"{self.noun}.json") as file:
            file.write(data)

    def _encoded(self, record: T) -> bytes:
        data = msgspec.json.encode(record)
        if len(data) > RECORD_BYTES_MAX:
            raise CallFailed(Code.RESOURCE_EXHAUSTED, f"{self.noun} {record.id} is published in too many places")
        return data


def shown(text: str) -> str:
    """Return a caller's text as an error shows it: no longer than a line, with nothing unprintable."""
    return ascii(text if len(text) <= 128 else text[:128] + "…")


def _sync_in(directory: int, name: str) -> None:
    opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
