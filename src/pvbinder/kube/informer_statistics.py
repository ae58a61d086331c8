"""The numbers that an informer counts, and the values that it shows of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InformerStatistics:
    """The state of one informer, and the number of everything that happened to it."""

    objects: int
    has_synced: bool
    resource_version: str
    lists: int
    watches: int
    events: int
    echoes: int  # states that the cache had already, from our own writes
    stale: int  # states older than the one in the cache
    expired: int  # 410, and 504 of a server that is behind
    failures: int  # of lists and watches, in total
    unreadable: int


@dataclass(slots=True)
class Counts:
    """The counters of an informer."""

    lists: int = 0
    watches: int = 0
    events: int = 0
    echoes: int = 0
    stale: int = 0
    expired: int = 0
    failures: int = 0
    unreadable: int = 0
