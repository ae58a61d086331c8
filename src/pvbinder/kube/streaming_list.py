"""A list that comes as the beginning of a watch: all objects as if they were added, then a bookmark that says so.

It costs one request, and neither side holds a page of it. Kubernetes serves it by default from 1.34 on.
"""

from __future__ import annotations

from typing import Final

from pvbinder.kube.revisions import number
from pvbinder.kube.views import T, WatchEvent
from pvbinder.model.errors import PvbinderError

FIRST_SILENCE_SECONDS: Final = 10.0  # in the middle of such a list: then another way is taken


class NoStreamingList(PvbinderError):  # noqa: N818  (pages are read)
    """The server doesn't send lists as the beginning of a watch."""


class StreamingList:
    """Such a list so far: the keys of its objects, and the epoch in which it began."""

    def __init__(self, epoch: int) -> None:
        self.keys: set[str] = set()
        self.epoch = epoch

    def note(self, event: WatchEvent[T]) -> bool:
        """Note an event; True if it ends the list, `NoStreamingList` if it can't be one of a list."""
        if event.type == "BOOKMARK":
            if not event.ends_initial or number(event.resource_version) < 0:
                raise NoStreamingList("the server began a watch without a list")
            return True
        seen = event.object or event.unreadable
        if seen is not None and event.type == "DELETED":
            self.keys.discard(seen.key)
        elif seen is not None:
            self.keys.add(seen.key)
        return False
