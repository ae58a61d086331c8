"""The place of the database in a store that keeps nothing: for rehearsals and tests, which begin anew each time.

MEMORY-1  Nothing is written to a disk, and no thread is used: a batch is kept as soon as it is committed.
MEMORY-2  A commit never fails, and there is always room.

What there is is in the store's own map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from pvbinder.server.store.database import Database
from pvbinder.server.store.state import Stored


class NoDatabase(Database):
    """Keeps nothing; no method of `Database` that uses a file is left."""

    def __init__(self) -> None:
        """Open nothing."""
        self.is_full = False

    @property
    def noted_bytes(self) -> int:
        """Return 0: no list is kept."""
        return 0

    def commit(
        self,
        written: Mapping[tuple[str, str], Stored | None],
        revision: int,
        replaced: Mapping[tuple[str, str], Stored] = MappingProxyType({}),
    ) -> None:
        """Do nothing (MEMORY-2)."""

    def load(self) -> Iterator[tuple[str, str, Stored]]:
        """Give no object."""
        return iter(())

    def revision(self) -> int:
        """Return 0: nothing was ever written."""
        return 0

    def room_for(self, pages: int) -> bool:
        """Tell that there is room (MEMORY-2)."""
        return pages >= 0

    def give_up_reserve(self) -> None:
        """Do nothing: no disk, no reserve."""

    def hold_reserve(self) -> None:
        """Do nothing: no disk, no reserve."""

    def close(self) -> None:
        """Do nothing: no file is open."""
