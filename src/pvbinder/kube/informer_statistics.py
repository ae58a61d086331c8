"""What informers count, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InformerStatistics:
    """What one informer holds and has been through."""

    objects: int
    has_synced: bool
    resource_version: str
    lists: int
    watches: int
    events: int
    echoes: int  # states that we had already, from our own writes
    stale: int  # states older than what we had
    expired: int  # 410, and 504 of a server that is behind
    failures: int  # of lists and watches, in total
    unreadable: int


@dataclass(slots=True)
class Counts:
    """What an informer counts."""

    lists: int = 0
    watches: int = 0
    events: int = 0
    echoes: int = 0
    stale: int = 0
    expired: int = 0
    failures: int = 0
    unreadable: int = 0
