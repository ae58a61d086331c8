"""Where the embedded server keeps its objects: revisions, durable batches, history, watches.

One counter of revisions for all kinds. Everything here runs on the event loop's thread, except the commit itself,
which has a thread of its own (`server.store.database`).

    a write ─▶ head state (at once) ─▶ batch ─▶ SQLite, synced ─▶ committed state ─▶ history ─▶ watchers, the answer

Read `interfaces.py` for the methods that users of the store see, `store.py` for the promises, `state.py` for the map,
`history.py` for watches and lists of the past, `database.py` for the disk, and `recovery.py` for a damaged one.
"""

from pvbinder.server.store.errors import DamagedDataError, DataDirectoryError, WriteFailed
from pvbinder.server.store.history import Cursor, HistoryLost, StoredChange
from pvbinder.server.store.interfaces import (
    Page,
    ReadView,
    RevisionExpired,
    RevisionFromTheFuture,
    StoreView,
    WatchableView,
    WriteView,
)
from pvbinder.server.store.state import Stored
from pvbinder.server.store.store import Store

__all__ = [
    "Cursor",
    "DamagedDataError",
    "DataDirectoryError",
    "HistoryLost",
    "Page",
    "ReadView",
    "RevisionExpired",
    "RevisionFromTheFuture",
    "Store",
    "StoreView",
    "Stored",
    "StoredChange",
    "WatchableView",
    "WriteFailed",
    "WriteView",
]
