"""The volumes of a driver: made, copied, grown, changed and removed.

LOCALVOLUMES-1  A name makes one volume: asked for again it is the same one, or it is refused because it is another.
LOCALVOLUMES-2  A volume never shrinks.
LOCALVOLUMES-3  A volume that is published isn't removed.
LOCALVOLUMES-4  A change takes place as a whole or not at all.

Two calls about one volume never run at once: `work` sees to that. Blocking: call it in a thread.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from pvbinder import logs
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local.copying import copy_file, copy_tree, sync_tree
from pvbinder.csi.local.pool import Pool
from pvbinder.csi.local.publishing import Data, Publisher
from pvbinder.csi.local.records import DataForm, Shelf, Source, StoredSnapshot, StoredVolume, VolumeSettings, shown
from pvbinder.csi.local.root import DATA
from pvbinder.csi.local.walking import DataUsage, Going, usage_of
from pvbinder.model.errors import PvbinderError

DEFAULT_BYTES: Final = 1 << 30

log = logs.get(__name__)


class Size(msgspec.Struct, frozen=True):
    """A wished size; 0 is no wish."""

    required_bytes: int = 0
    limit_bytes: int = 0

    def fits(self, size_bytes: int) -> bool:
        """Tell whether a volume of this size is what is wished."""
        return size_bytes >= self.required_bytes and not 0 < self.limit_bytes < size_bytes


class Wish(msgspec.Struct, frozen=True):
    """A volume that somebody asks for."""

    name: str
    size: Size
    form: DataForm
    settings: VolumeSettings
    source: Source | None
    is_reachable: bool  # from where it is to be used


class VolumeHealth(msgspec.Struct, frozen=True):
    """How a volume is; no words if it is well."""

    trouble: str = ""


class Volumes:
    """All volumes; `going` ends long work when the driver stops."""

    def __init__(
        self,
        shelf: Shelf[StoredVolume],
        snapshots: Shelf[StoredSnapshot],
        pool: Pool,
        publisher: Publisher,
        going: Going,
    ) -> None:
        self._shelf = shelf
        self._snapshots = snapshots
        self._pool = pool
        self._publisher = publisher
        self._going = going
        for volume in shelf.all():
            pool.count(volume.id, volume.capacity_bytes)

    def create(self, wish: Wish) -> StoredVolume:
        """Return the volume of this name, a new one if there is none (LOCALVOLUMES-1); raises CallFailed or OSError."""
        outcome = self.create_all([wish])[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def create_all(self, wishes: Sequence[Wish]) -> list[StoredVolume | Exception]:
        """Do for each wish, of which no two have the same name, what `create` does for one, or say what it would raise.

        The disk is waited for once for all of them.
        """
        drafts: list[StoredVolume] = []
        outcomes = [self._found_or_drafted(wish, drafts) for wish in wishes]
        failed = self._shelf.add_all(drafts)
        for volume in drafts:
            if volume.id in failed:
                self._give_up(volume.id)
            else:
                log.info("volume created", volume=volume.id, name=volume.name, bytes=volume.capacity_bytes)
        return [one if isinstance(one, Exception) else failed.get(one.id, one) for one in outcomes]

    def delete(self, identity: str) -> None:
        """Remove a volume, if there is one (LOCALVOLUMES-3); raises CallFailed or OSError."""
        volume = self._shelf.find(identity)
        if volume is None:
            return
        # Data that is gone can be used by nobody.
        with contextlib.suppress(FileNotFoundError), self.data_of(volume) as data:
            used = [place.target for place in volume.places if self._publisher.is_at(place.target, data)]
            if used:
                raise CallFailed(Code.FAILED_PRECONDITION, f"volume {identity} is published at {shown(used[0])}")
        self._shelf.remove(volume)
        self._pool.forget(identity)
        log.info("volume removed", volume=identity, name=volume.name)

    def expand(self, identity: str, size: Size, form: DataForm | None) -> StoredVolume:
        """Give a volume at least the wished size (LOCALVOLUMES-2); raises CallFailed or OSError."""
        volume = self._shelf.get(identity)
        check_form(volume, form)
        if 0 < size.limit_bytes < volume.capacity_bytes:
            raise CallFailed(
                Code.OUT_OF_RANGE, f"volume {identity} has {volume.capacity_bytes} bytes already, and doesn't shrink"
            )
        if size.required_bytes <= volume.capacity_bytes:
            return volume
        with self._pool.promising(identity, size.required_bytes):
            if volume.form == "file":
                with self.data_of(volume) as data:
                    os.ftruncate(data.opened, size.required_bytes)
                    os.fsync(data.opened)
            grown = msgspec.structs.replace(volume, capacity_bytes=size.required_bytes)
            self._shelf.replace(grown)
        log.info("volume expanded", volume=identity, bytes=size.required_bytes)
        return grown

    def modify(self, identity: str, change: SettingsChange) -> None:
        """Change the settings that are named, all of them or none (LOCALVOLUMES-4); raises CallFailed or OSError."""
        volume = self._shelf.get(identity)
        settings = change.of(volume.settings)
        check_settings(settings, volume.form, volume.capacity_bytes)
        if settings == volume.settings:
            return
        if settings.read_only != volume.settings.read_only:
            self._remount(volume, settings)
        self._shelf.replace(msgspec.structs.replace(volume, settings=settings))
        log.info("volume modified", volume=identity, read_only=settings.read_only, quota_bytes=settings.quota_bytes)

    def settle(self) -> None:
        """Bring what is mounted into line with the settings, which a crash may have left apart."""
        for volume in self._shelf.all():
            if volume.places:
                try:
                    self._remount(volume, volume.settings)
                except (OSError, PvbinderError) as error:
                    log.warning("can't change how a volume is mounted", volume=volume.id, err=str(error))

    def usage(self, volume: StoredVolume) -> DataUsage:
        """Count what is in a volume; raises OSError or PvbinderError."""
        with self.data_of(volume) as data:
            if data.is_directory:
                return usage_of(data.opened, self._going)
            return DataUsage(os.fstat(data.opened).st_blocks * 512, 1)

    def condition(self, volume: StoredVolume, usage: DataUsage | None = None) -> VolumeHealth:
        """Say how a volume is: whether its data is there and, where it was counted, within its size."""
        try:
            with self.data_of(volume) as data:
                if not data.is_directory and os.fstat(data.opened).st_size < volume.capacity_bytes:
                    return VolumeHealth("the file of the volume is smaller than the volume")
        except (OSError, PvbinderError) as error:
            return VolumeHealth(f"the data of the volume can't be reached: {getattr(error, 'strerror', None) or error}")
        if usage is not None and usage.used_bytes > room_of(volume):
            return VolumeHealth(f"the volume has {usage.used_bytes} bytes in it, more than its {room_of(volume)}")
        return VolumeHealth()

    @contextmanager
    def data_of(self, volume: StoredVolume) -> Iterator[Data]:
        """Open the data of a volume; raises OSError or LinkRefusedError."""
        opened = self._shelf.open_data(volume)
        try:
            yield Data(opened, volume.form == "directory", str(self._shelf.data_path(volume)))
        finally:
            os.close(opened)

    def _found_or_drafted(self, wish: Wish, drafts: list[StoredVolume]) -> StoredVolume | Exception:
        try:
            found = self._shelf.named(wish.name)
            if found is not None:
                _check_same(found, wish)
                return found
            drafts.append(self._drafted(wish))
            return drafts[-1]
        except Exception as error:  # noqa: BLE001 - it is told, and the others go on
            return error

    def _drafted(self, wish: Wish) -> StoredVolume:
        """Make the data of a new volume, where nobody sees it yet."""
        if not wish.is_reachable:
            raise CallFailed(Code.RESOURCE_EXHAUSTED, "no volume of this node is accessible from where it is to be")
        size_bytes = self._size_of(wish)
        if wish.settings.quota_bytes > size_bytes:
            raise CallFailed(Code.INVALID_ARGUMENT, f"quotaBytes is more than the volume has: {size_bytes}")
        volume = StoredVolume(
            id=self._shelf.new_id(),
            name=wish.name,
            form=wish.form,
            capacity_bytes=size_bytes,
            created_with=wish.settings,
            settings=wish.settings,
            source=wish.source,
        )
        self._pool.promise(volume.id, size_bytes)
        try:
            self._fill(self._shelf.draft(volume.id) / DATA, volume)
        except BaseException:
            self._give_up(volume.id)
            raise
        return volume

    def _give_up(self, identity: str) -> None:
        """Remove what there is of a volume that can't be made."""
        self._shelf.root.remove_temporary(identity)
        self._pool.forget(identity)

    def _size_of(self, wish: Wish) -> int:
        size, least = wish.size, 0
        if wish.source is not None:
            least = self._size_of_source(wish.source, wish.form)
            if (size.required_bytes or least) < least or not size.fits(max(least, size.required_bytes)):
                raise CallFailed(Code.OUT_OF_RANGE, f"a copy of {wish.source.kind} {wish.source.id} has {least} bytes")
        default = min(DEFAULT_BYTES, size.limit_bytes or DEFAULT_BYTES)
        return size.required_bytes or least or default

    def _size_of_source(self, source: Source, form: DataForm) -> int:
        if source.kind == "snapshot":
            snapshot = self._snapshots.get(source.id)
            found, size_bytes = snapshot.form, snapshot.size_bytes
        else:
            volume = self._shelf.get(source.id)
            found, size_bytes = volume.form, volume.capacity_bytes
        if found != form:
            raise CallFailed(
                Code.INVALID_ARGUMENT, f"{source.kind} {source.id} is a {found}, and can't become a {form}"
            )
        return size_bytes

    def _fill(self, data: Path, volume: StoredVolume) -> None:
        """Make the data of a volume, on disk."""
        source = None
        if volume.source is not None and volume.source.kind == "snapshot":
            source = self._snapshots.open_data(self._snapshots.get(volume.source.id))
        elif volume.source is not None:
            source = self._shelf.open_data(self._shelf.get(volume.source.id))
        try:
            make_data(data, volume.form, source, volume.capacity_bytes, self._going)
        finally:
            if source is not None:
                os.close(source)

    def _remount(self, volume: StoredVolume, settings: VolumeSettings) -> None:
        with self.data_of(volume) as data:
            done = []
            try:
                for place in volume.places:
                    read_only = place.read_only or settings.read_only
                    self._publisher.remount(place.target, data, read_only=read_only, flags=place.flags)
                    done.append(place)
            except BaseException:
                for place in done:
                    read_only = place.read_only or volume.settings.read_only
                    with contextlib.suppress(OSError, CallFailed):
                        self._publisher.remount(place.target, data, read_only=read_only, flags=place.flags)
                raise


class SettingsChange(msgspec.Struct, frozen=True):
    """New values of settings; None leaves one as it is."""

    read_only: bool | None = None
    quota_bytes: int | None = None

    def of(self, settings: VolumeSettings) -> VolumeSettings:
        """Return `settings`, changed."""
        return VolumeSettings(
            read_only=settings.read_only if self.read_only is None else self.read_only,
            quota_bytes=settings.quota_bytes if self.quota_bytes is None else self.quota_bytes,
        )

    def over(self, other: SettingsChange) -> SettingsChange:
        """Return both changes as one, of which this one counts more."""
        return msgspec.structs.replace(
            self,
            read_only=other.read_only if self.read_only is None else self.read_only,
            quota_bytes=other.quota_bytes if self.quota_bytes is None else self.quota_bytes,
        )


def room_of(volume: StoredVolume) -> int:
    """Return how many bytes may be in a volume."""
    return min(volume.capacity_bytes, volume.settings.quota_bytes or volume.capacity_bytes)


def check_form(volume: StoredVolume, form: DataForm | None) -> None:
    """Refuse to use a directory as a block device, or the other way round."""
    if form is not None and form != volume.form:
        raise CallFailed(Code.INVALID_ARGUMENT, f"volume {volume.id} is a {volume.form}, and no {form}")


def check_settings(settings: VolumeSettings, form: DataForm, capacity_bytes: int) -> None:
    """Refuse settings that the volume can't have."""
    if settings.quota_bytes and form == "file":
        raise CallFailed(Code.INVALID_ARGUMENT, "a block volume has no quotaBytes: its size is what is in it")
    if settings.quota_bytes > capacity_bytes:
        raise CallFailed(Code.INVALID_ARGUMENT, f"quotaBytes is more than the volume has: {capacity_bytes}")


def make_data(data: Path, form: DataForm, source: int | None, size_bytes: int, going: Going) -> None:
    """Make `data`, empty or a copy of the open `source`, what is in a directory on disk; raises OSError, too."""
    if form == "directory":
        data.mkdir(mode=0o700)
        if source is None:
            return
        opened = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    else:
        opened = os.open(data, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if form == "file":
            if source is not None:
                copy_file(source, opened, going)
            os.ftruncate(opened, max(size_bytes, os.fstat(opened).st_size))
        elif source is not None:
            copy_tree(source, opened, going)
            sync_tree(opened, going)
    finally:
        os.close(opened)


def _check_same(found: StoredVolume, wish: Wish) -> None:
    """Refuse a wish that the volume of its name doesn't meet (LOCALVOLUMES-1)."""
    if not wish.size.fits(found.capacity_bytes):
        why = f"it has {found.capacity_bytes} bytes"
    elif found.form != wish.form:
        why = f"it is a {found.form}"
    elif found.source != wish.source:
        why = "it was made from something else"
    elif found.created_with != wish.settings:
        why = "it was made with other parameters"
    elif not wish.is_reachable:
        why = "it is not accessible from where it is to be"
    else:
        return
    raise CallFailed(Code.ALREADY_EXISTS, f"there is a volume {shown(found.name)} already, and {why}")
