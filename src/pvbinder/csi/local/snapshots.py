"""The snapshots of a driver: whole copies of volumes, which stay when the volume goes.

SNAPSHOTS-1  A name makes one snapshot: asked for again it is the same one, or refused if it is of another volume.
SNAPSHOTS-2  A snapshot is served when all of it is there, and is then ready to use.

Blocking: call it in a thread.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pvbinder import logs
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local.pool import Pool
from pvbinder.csi.local.records import Shelf, StoredSnapshot, StoredVolume, shown
from pvbinder.csi.local.root import DATA
from pvbinder.csi.local.volumes import make_data
from pvbinder.csi.local.walking import Going

log = logs.get(__name__)


class Snapshots:
    """All snapshots; `going` ends long work when the driver stops, `now_ns` is the time since 1970."""

    def __init__(
        self,
        shelf: Shelf[StoredSnapshot],
        volumes: Shelf[StoredVolume],
        pool: Pool,
        going: Going,
        *,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._shelf = shelf
        self._volumes = volumes
        self._pool = pool
        self._going = going
        self._now_ns = now_ns
        for snapshot in shelf.all():
            pool.count(snapshot.id, snapshot.size_bytes)

    def create(self, name: str, volume_id: str) -> StoredSnapshot:
        """Return the snapshot of this name, a new one if there is none (SNAPSHOTS-1); raises CallFailed or OSError."""
        found = self._shelf.named(name)
        if found is not None:
            if found.volume != volume_id:
                raise CallFailed(
                    Code.ALREADY_EXISTS, f"there is a snapshot {shown(name)} already, of volume {found.volume}"
                )
            return found
        volume = self._volumes.get(volume_id)
        identity = self._shelf.new_id()
        with self._pool.promising(identity, volume.capacity_bytes):
            snapshot = StoredSnapshot(
                id=identity,
                name=name,
                volume=volume.id,
                form=volume.form,
                size_bytes=volume.capacity_bytes,
                created_ns=self._now_ns(),
            )
            with _drafted(self._shelf, identity) as draft:
                source = self._volumes.open_data(volume)
                try:
                    make_data(draft / DATA, volume.form, source, volume.capacity_bytes, self._going)
                finally:
                    os.close(source)
                self._shelf.add(snapshot)
        log.info("snapshot created", volume=volume.id, snapshot=identity, name=name)
        return snapshot

    def delete(self, identity: str) -> None:
        """Remove a snapshot, if there is one; raises CallFailed or OSError."""
        snapshot = self._shelf.find(identity)
        if snapshot is None:
            return
        self._shelf.remove(snapshot)
        self._pool.forget(identity)
        log.info("snapshot removed", snapshot=identity, name=snapshot.name)


@contextmanager
def _drafted(shelf: Shelf[StoredSnapshot], identity: str) -> Iterator[Path]:
    """Give the directory in which a snapshot is made; what is left in it after an error is removed."""
    draft = shelf.draft(identity)
    try:
        yield draft
    except BaseException:
        shelf.root.remove_temporary(identity)
        raise
