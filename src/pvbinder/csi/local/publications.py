"""Where volumes are published: noted before it is done, and crossed out after it is undone.

PUBLICATIONS-1  The place is on disk before the mount or link is made, so that a driver that dies knows it when it is
                back.
PUBLICATIONS-2  A second call for the same path, or for another path, is answered as the specification's table says: by
                access mode, and by whether the arguments are the same.
PUBLICATIONS-3  A place whose mount is gone (after a restart of the machine) keeps nobody else out.

Two calls about one volume never run at once: `work` sees to that. Blocking: call it in a thread.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pvbinder import logs
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local.publishing import Data, Publisher
from pvbinder.csi.local.records import DataForm, Publication, Shelf, StoredVolume, shown
from pvbinder.csi.local.volumes import Volumes
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.volumes.directories import steps_of

_MODE = csi.VolumeCapability.AccessMode
SEVERAL_PLACES: Final = frozenset(
    {
        _MODE.MULTI_NODE_READER_ONLY,
        _MODE.MULTI_NODE_SINGLE_WRITER,
        _MODE.MULTI_NODE_MULTI_WRITER,
        _MODE.SINGLE_NODE_MULTI_WRITER,
    }
)
READERS: Final = frozenset({_MODE.SINGLE_NODE_READER_ONLY, _MODE.MULTI_NODE_READER_ONLY})

log = logs.get(__name__)


class Publications:
    """The places of all volumes."""

    def __init__(self, shelf: Shelf[StoredVolume], volumes: Volumes, publisher: Publisher) -> None:
        self._shelf = shelf
        self._volumes = volumes
        self._publisher = publisher

    def publish(
        self, identity: str, target: str, *, access_mode: int, form: DataForm, flags: tuple[str, ...], read_only: bool
    ) -> None:
        """Put a volume to the path `target`; raises CallFailed or OSError."""
        volume = self._shelf.get(identity)
        if form != volume.form:
            raise CallFailed(Code.FAILED_PRECONDITION, f"volume {identity} is a {volume.form}, and no {form}")
        place = Publication(
            target=normal(target),
            access_mode=access_mode,
            flags=flags,
            read_only=read_only or access_mode in READERS or "ro" in flags,
            by=self._publisher.by,
        )
        with self._volumes.data_of(volume) as data:
            volume = self._noted(volume, place, data)
            read_only = place.read_only or volume.settings.read_only
            try:
                self._publisher.publish(place.target, data, read_only=read_only, flags=flags)
            except BaseException:
                if not self._publisher.is_at(place.target, data):
                    self._shelf.replace(_without(volume, place.target))
                raise
        log.info("volume published", volume=identity, path=place.target, by=place.by, read_only=read_only)

    def unpublish(self, identity: str, target: str) -> None:
        """Take a volume away from the path `target`; raises CallFailed or OSError."""
        volume = self._shelf.get(identity)
        path = normal(target)
        is_recorded = any(place.target == path for place in volume.places)
        with self._volumes.data_of(volume) as data:
            self._publisher.unpublish(path, data, is_recorded=is_recorded)
        if is_recorded:
            self._shelf.replace(_without(volume, path))
            log.info("volume unpublished", volume=identity, path=path)

    def published_at(self, identity: str, path: str) -> StoredVolume:
        """Return a volume that is published at `path`; raises CallFailed if it isn't."""
        volume = self._shelf.get(identity)
        there = normal(path) if path.startswith("/") else path
        with self._volumes.data_of(volume) as data:
            if any(place.target == there for place in volume.places) and self._publisher.is_at(there, data):
                return volume
        raise CallFailed(Code.NOT_FOUND, f"volume {identity} is not published at {shown(path)}")

    def _noted(self, volume: StoredVolume, place: Publication, data: Data) -> StoredVolume:
        """Note the place if it may be, and cross out those that are gone (PUBLICATIONS-1 to PUBLICATIONS-3)."""
        others = []
        for other in volume.places:
            if other.target == place.target:
                if not _is_same(other, place) and self._publisher.is_at(other.target, data):
                    raise CallFailed(
                        Code.ALREADY_EXISTS,
                        f"volume {volume.id} is published at {shown(place.target)} already, in another way",
                    )
            elif self._publisher.is_at(other.target, data):
                others.append(other)
        alone = [other for other in [*others, place] if other.access_mode not in SEVERAL_PLACES]
        if others and alone:
            raise CallFailed(
                Code.FAILED_PRECONDITION,
                f"volume {volume.id} is published at {shown(others[0].target)}, and may be in one place only",
            )
        noted = msgspec.structs.replace(volume, places=(*others, place))
        if noted != volume:
            self._shelf.replace(noted)
        return noted


def normal(path: str) -> str:
    """Return the path as it is kept: without empty steps."""
    return "/" + "/".join(steps_of(path))


def _is_same(one: Publication, other: Publication) -> bool:
    return (one.access_mode, one.flags, one.read_only) == (other.access_mode, other.flags, other.read_only)


def _without(volume: StoredVolume, target: str) -> StoredVolume:
    return msgspec.structs.replace(volume, places=tuple(place for place in volume.places if place.target != target))
