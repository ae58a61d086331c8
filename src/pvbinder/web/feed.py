"""The rows and their changes for one reader, as server-sent events.

FEED-1  A reader gets all rows first, in pieces of at most `PIECE_ROWS`, in the order of `KINDS`, the last one marked;
        then what changes: whatever it missed while rows were sent comes as a change.
FEED-2  Changes come in batches, at most one each `BATCH_SECONDS`; of a row that changed ten times, the newest state.
FEED-3  A reader that is too slow costs bounded memory: what waits for it are ids, and beyond `WAITING_MAX` of them it
        begins anew (``reset``).
FEED-4  The loop gets a turn at least each `TURN_SECONDS`, however many rows there are.
FEED-5  With nothing to tell, a comment goes out each `BEAT_SECONDS`.
FEED-6  Decisions follow the rows: the newest `DECISIONS_FIRST` first, then each once, in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec

from pvbinder.web.journal import Journal
from pvbinder.web.rows import KINDS, RowKind, ShownRow

PIECE_ROWS: Final = 500
BATCH_ROWS: Final = 1_000
BATCH_SECONDS: Final = 0.1
FIRST_SECONDS: Final = 0.02  # from the first change after a pause to its batch
BEAT_SECONDS: Final = 15.0
TURN_SECONDS: Final = 0.01
WAITING_MAX: Final = 10_000
DECISIONS_FIRST: Final = 2_000

_encode: Final = msgspec.json.Encoder().encode
RowOf = Callable[[RowKind, str], ShownRow | None]


def event(name: str, value: Any) -> bytes:
    """Return one server-sent event; JSON as we write it has no line feeds."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(value))


class Feed:
    """What one reader is told; `keys_of` and `row_of` are where rows come from."""

    def __init__(self, keys_of: Callable[[RowKind], list[str]], row_of: RowOf, journal: Journal | None = None) -> None:
        self._keys_of = keys_of
        self._row_of = row_of
        self._journal = journal if journal is not None else Journal()
        self._told_until = max(0, self._journal.last - DECISIONS_FIRST)  # the number of a decision
        self._changed: dict[tuple[RowKind, str], None] = {}  # the oldest first
        self._is_lost = False  # too much has changed: the reader begins anew
        self._is_closed = False
        self._wake = asyncio.Event()

    def changed(self, kind: RowKind, key: str) -> None:
        """Note that a row has changed, came or went."""
        if not self._is_lost:
            self._changed[kind, key] = None
            if len(self._changed) > WAITING_MAX:
                self.begin_anew()
            self._wake.set()

    def decided(self) -> None:
        """Note that there are new decisions."""
        self._wake.set()

    def begin_anew(self) -> None:
        """Have the reader forget everything and get all rows again (FEED-3)."""
        self._changed.clear()
        self._is_lost = True
        self._wake.set()

    def close(self) -> None:
        """End the stream."""
        self._is_closed = True
        self._wake.set()

    async def events(self) -> AsyncIterator[bytes]:
        """Yield what goes to the reader, until the feed is closed."""
        while not self._is_closed:
            async for piece in self._all():
                yield piece
            async for piece in self._decisions():
                yield piece
            async for piece in self._changes():
                yield piece
            if not self._is_closed:
                yield event("reset", {})

    async def _all(self) -> AsyncIterator[bytes]:
        """Yield all rows (FEED-1, FEED-4)."""
        self._changed.clear()
        self._is_lost = False
        turn = _Turn()
        rows: list[ShownRow] = []
        for kind in KINDS:
            for key in self._keys_of(kind):
                row = self._row_of(kind, key)
                if row is not None:
                    if len(rows) == PIECE_ROWS:
                        yield event("rows", {"rows": rows, "done": False})
                        rows = []
                    rows.append(row)
                await turn.pause_if_long()
                if self._is_closed or self._is_lost:
                    return
        yield event("rows", {"rows": rows, "done": True})

    async def _changes(self) -> AsyncIterator[bytes]:
        """Yield changes until the reader has to begin anew, or the feed is closed (FEED-2, FEED-5)."""
        loop = asyncio.get_running_loop()
        last = loop.time() - BATCH_SECONDS
        while not self._is_lost and not self._is_closed:
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                yield b":\n\n"
                continue
            await asyncio.sleep(max(FIRST_SECONDS, last + BATCH_SECONDS - loop.time()))
            last = loop.time()
            async for piece in self._batch():
                yield piece
            async for piece in self._decisions():
                yield piece
            if not self._has_news:
                self._wake.clear()

    @property
    def _has_news(self) -> bool:
        has_decisions = self._journal.last > self._told_until
        return bool(self._changed) or has_decisions or self._is_lost or self._is_closed

    async def _decisions(self) -> AsyncIterator[bytes]:
        """Yield the decisions that the reader hasn't been told (FEED-6)."""
        while found := self._journal.after(self._told_until, PIECE_ROWS):
            self._told_until = found[-1].seq
            yield event("decisions", {"decisions": found})
            await asyncio.sleep(0)

    async def _batch(self) -> AsyncIterator[bytes]:
        turn = _Turn()
        rows: list[ShownRow] = []
        gone: list[str] = []
        while self._changed and len(rows) + len(gone) < BATCH_ROWS:
            kind, key = next(iter(self._changed))
            del self._changed[kind, key]
            row = self._row_of(kind, key)
            if row is not None:
                rows.append(row)
            else:
                gone.append(f"{kind}/{key}")
            await turn.pause_if_long()
        if rows or gone:
            yield event("change", {"rows": rows, "gone": gone})


class _Turn:
    """How long this task has had the loop."""

    def __init__(self) -> None:
        self._time = asyncio.get_running_loop().time
        self._until = self._time() + TURN_SECONDS

    async def pause_if_long(self) -> None:
        """Give the others a turn if we have had ours (FEED-4)."""
        if self._time() >= self._until:
            await asyncio.sleep(0)
            self._until = self._time() + TURN_SECONDS
