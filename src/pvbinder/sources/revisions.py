"""The moment that a store of revisions is read at, and why another one can't be."""

from __future__ import annotations

from pvbinder.sources.errors import DumpFileError


class Moment:
    """A revision between the compacted ones and the newest one."""

    def __init__(self, name: str, compacted: int, newest: int, asked: int | None) -> None:
        """Take the newest revision unless another one is asked for; `DumpFileError` if that isn't there (ETCD-2)."""
        there = f"there are {compacted or 1} to {newest}"
        if asked is not None and asked > newest:
            raise DumpFileError(f"{name} has no revision {asked} yet", hint=there)
        if asked is not None and asked < compacted:
            raise DumpFileError(f"{name} has revision {asked} no more: it was compacted", hint=there)
        self.revision = newest if asked is None else asked
