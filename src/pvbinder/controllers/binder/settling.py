"""Volumes that are on their way to `Available` when the binder starts, so that no claim waits for all of them.

SETTLING-1  A claim's choice is the one that it would have if all these volumes were `Available` already (FM-12): which
            of them have been written by then makes no difference (INDEX-5).
SETTLING-2  A volume is settled once, by the first claim that wants it or by its own sync, whoever begins; who wants it
            meanwhile waits for that, with the volume reserved, and then decides anew.
SETTLING-3  A volume that the server won't let become `Available` is no choice any more until it is. A failure that may
            pass changes no choice: the claim's sync fails, comes back and chooses as before.

A volume whose claim reference is about to be taken away (SV-10) can't be expected in that way: the claims wait until it
is settled. There is hardly ever one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from pvbinder.controllers.binder.caches import Caches
from pvbinder.controllers.binder.errors import SyncError
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.model.errors import PvbinderError
from pvbinder.model.objects import Volume, VolumeName
from pvbinder.rules.volumes import is_bound_elsewhere, will_be_available

VOLUMES_PER_TURN: Final = 500


class Settling:
    """The volumes that are expected to become `Available`, and those that are being settled now."""

    def __init__(self, caches: Caches, sync: Callable[[Volume], Awaitable[None]]) -> None:
        """`sync` carries out what a volume needs next."""
        self._caches = caches
        self._index = caches.index
        self._sync = sync
        self._under_way: dict[VolumeName, asyncio.Event] = {}

    async def begin(self) -> list[VolumeName]:
        """Expect the volumes that need nothing but their phase; return those that claims have to wait for."""
        waited_for: list[VolumeName] = []
        for number, name in enumerate(self._caches.volumes.keys(), 1):
            volume = self._caches.volume(name)
            if volume is not None and will_be_available(volume):
                self._index.expect(volume.key)
            elif volume is not None and is_bound_elsewhere(volume, self._caches):
                waited_for.append(volume.key)
            if number % VOLUMES_PER_TURN == 0:
                await asyncio.sleep(0)
        return waited_for

    def is_expected(self, name: VolumeName) -> bool:
        """Whether the volume isn't `Available` yet, but will be."""
        return self._index.is_expected(name)

    def is_under_way(self, name: VolumeName) -> bool:
        """Whether somebody is settling the volume."""
        return name in self._under_way

    async def settle(self, volume: Volume) -> None:
        """Have `volume` settled, or wait for who is at it; raise what the one who writes should retry (SETTLING-3)."""
        name = volume.key
        under_way = self._under_way.get(name)
        if under_way is not None:
            await under_way.wait()
            return
        self._under_way[name] = done = asyncio.Event()
        is_over = True
        try:
            await self._sync(volume)
        except PvbinderError as error:
            is_over = not _may_pass(error)
            raise
        except asyncio.CancelledError:
            is_over = False
            raise
        finally:
            if is_over:
                self._index.expect_no_longer(name)
            del self._under_way[name]
            done.set()


def _may_pass(error: PvbinderError) -> bool:
    """Whether the same write may be let through later."""
    cause = error.__cause__ if isinstance(error, SyncError) else error
    match cause:
        case ConnectionFailed():
            return True
        case ApiFailure():
            return cause.is_conflict or cause.is_transient or cause.leaves_write_unknown
        case _:
            return False
