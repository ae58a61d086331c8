"""The bytes that all connections of a listener hold together.

LEDGER-1  The bodies of requests that haven't come whole hold at most `BODIES_BYTES_MAX` together; a body over that is
          refused with 429 and may be sent again.
LEDGER-2  Pieces of answers that wait for their readers hold at most `UNSENT_BYTES_MAX` together; over that, the
          receiver that has taken nothing for longest is cut off; one that reads never is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pvbinder.server.errors import ApiError

BODIES_BYTES_MAX = 64 << 20
UNSENT_BYTES_MAX = 64 << 20


@dataclass(slots=True)
class Bodies:
    """The bytes of bodies that haven't come whole."""

    held: int = 0

    def add(self, count: int) -> None:
        """Hold `count` more; ApiError 429 if that is too much (LEDGER-1). The caller must take back what it added."""
        self.held += count
        if self.held > BODIES_BYTES_MAX:
            raise too_many_bodies()

    def take_back(self, count: int) -> None:
        """Hold `count` less."""
        self.held -= count


def too_many_bodies() -> ApiError:
    """429 while others' bodies take all the room there is."""
    message = "the server has received too many requests and has asked us to try again later"
    return ApiError(429, "TooManyRequests", message, details={"retryAfterSeconds": 1}, headers={"Retry-After": "1"})


@dataclass(slots=True, eq=False)
class Receiver:
    """Somebody an answer is sent to."""

    cut_off: Callable[[], None]
    pending: int = 0


@dataclass(slots=True)
class Unsent:
    """The pieces of answers that wait for their readers."""

    held: int = 0
    _readers: dict[Receiver, None] = field(default_factory=dict)  # the one that has waited longest is first

    @contextmanager
    def reader(self, cut_off: Callable[[], None]) -> Iterator[Receiver]:
        """Count a receiver while an answer is sent to it; `cut_off` ends that at once."""
        reader = Receiver(cut_off)
        try:
            yield reader
        finally:
            self.set(reader, 0)

    def set(self, reader: Receiver, pending: int) -> None:
        """Note how many bytes a receiver is still to get; less than before means that it reads (LEDGER-2)."""
        before = reader.pending
        if pending == before:
            return
        self.held += pending - before
        reader.pending = pending
        if not pending:
            self._readers.pop(reader, None)
            return
        if pending < before or not before:
            self._readers.pop(reader, None)
            self._readers[reader] = None
        while self.held > UNSENT_BYTES_MAX and self._readers:
            victim = next(iter(self._readers))
            del self._readers[victim]
            self.held -= victim.pending
            victim.pending = 0
            victim.cut_off()
