"""The objects of a cluster as they were before a test.

PUT-BACK-1  Afterwards each object is there with its content from before and its UID, and no other; its revision is
            new.
PUT-BACK-2  It is done by writes: watches see deletions, additions and changes, as from any API server.
PUT-BACK-3  What the controllers still do of the test's is undone, too: they are waited for, and it is looked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from pvbinder.server.store import Store, Stored
from pvbinder.server.store.store import with_revision

ROUNDS_MAX: Final = 5
ObjectsBefore = Mapping[str, Mapping[str, Stored]]


def take(store: Store) -> ObjectsBefore:
    """Return all objects by kind and key; they are shared, not copied."""
    return {kind: dict(store.objects(kind)) for kind in store.statistics().objects}


async def put_back(store: Store, before: ObjectsBefore, settle: Callable[[], Awaitable[None]]) -> None:
    """Make the objects what they were (PUT-BACK-1); `settle` waits for the controllers (PUT-BACK-3)."""
    wanted = {kind: dict(objects) for kind, objects in before.items()}
    for _ in range(ROUNDS_MAX):
        if not await _write(store, wanted):
            return
        await settle()


async def _write(store: Store, wanted: dict[str, dict[str, Stored]]) -> bool:
    """Write what differs, all of it in one batch, and note the new revisions; tell whether there was anything."""
    written: list[asyncio.Future[None]] = []
    for kind in {*store.statistics().objects, *wanted}:
        want, have = wanted.setdefault(kind, {}), dict(store.heads(kind))
        for key, stored in want.items():
            now = have.get(key)
            if now is None or now.revision != stored.revision:
                want[key], kept = store.put(kind, key, partial(with_revision, stored))
                written.append(kept)
        written += [store.delete(kind, key)[1] for key in have if key not in want]
    if written:
        await asyncio.gather(*written)
    return bool(written)
