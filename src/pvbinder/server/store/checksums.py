"""Checksums of rows: SQLite notices a torn page, but not that a stored object has other bytes than were written.

Each row has a checksum over all of it, and the row that holds the revision has the totals: how many objects there are,
and the sum of their checksums. So bytes that changed, a row that is missing and a page from an earlier time are all
noticed when the file is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

from pvbinder.server.store.state import Stored


def checksum_of(kind: str, key: str, stored: Stored) -> int:
    """Return the checksum of a row."""
    return crc32(stored.data, crc32(f"{kind}\0{key}\0{stored.revision}".encode(errors="surrogatepass")))


def checksum_of_totals(meta: Stored, identity: str) -> int:
    """Return the checksum of the row of the revision, which is also one over the identity of the directory.

    So a log of another directory, which has this row in it whatever else it has, is not taken for ours.
    """
    return checksum_of("", identity, meta)


@dataclass(frozen=True, slots=True)
class Totals:
    """How many objects there are, and the sum of their checksums."""

    objects: int = 0
    checksums: int = 0

    def changed(self, *, added: int, removed: int, checksums: int) -> Totals:
        """Return the totals after a batch; `checksums` is by how much their sum grew."""
        return Totals(self.objects + added - removed, self.checksums + checksums)

    def after(
        self, written: Mapping[tuple[str, str], Stored | None], replaced: Mapping[tuple[str, str], Stored]
    ) -> Totals:
        """Return the totals after a batch: the object now, None for none, and the one before."""
        now = {where: stored for where, stored in written.items() if stored is not None}
        grown = sum(checksum_of(*where, stored) for where, stored in now.items())
        shrunk = sum(checksum_of(*where, stored) for where, stored in replaced.items())
        return self.changed(added=len(now), removed=len(replaced), checksums=grown - shrunk)

    def encode(self) -> bytes:
        """Return the bytes that the row of the revision holds."""
        return b"%d %d" % (self.objects, self.checksums)

    @staticmethod
    def decode(data: bytes) -> Totals:
        """Read what `encode` wrote; raises ValueError."""
        objects, checksums = data.split()
        return Totals(int(objects), int(checksums))
