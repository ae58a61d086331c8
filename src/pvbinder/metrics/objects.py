"""Volumes and claims counted from the caches (MT-1)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from typing import Final, TypeVar

from pvbinder.metrics.families import (
    BOUND_CLAIMS,
    BOUND_VOLUMES,
    UNBOUND_CLAIMS,
    UNBOUND_VOLUMES,
    VOLUMES,
    Family,
    Sample,
)
from pvbinder.model.objects import Claim, Volume

OBJECTS_PER_TURN: Final = 2000  # counting takes about a microsecond for each

T = TypeVar("T")
_Series = tuple[Family, tuple[str, ...]]


class ObjectCounts:
    """Counts what is in two caches; there are no series with a count of zero."""

    def __init__(
        self, volumes: Iterable[Volume], claims: Iterable[Claim], plugin_name_of: Callable[[Volume], str]
    ) -> None:
        self._volumes = volumes
        self._claims = claims
        self._plugin_name_of = plugin_name_of

    async def samples(self) -> AsyncIterator[Sample]:
        """Give the five counts."""
        counts: Counter[_Series] = Counter()
        async for volumes in _in_turns(list(self._volumes)):
            counts.update(series for volume in volumes for series in self._series_of(volume))
        async for claims in _in_turns(list(self._claims)):
            counts.update(_series_of_claim(claim) for claim in claims)
        for (family, labels), count in counts.items():
            yield family(count, *labels)

    def _series_of(self, volume: Volume) -> tuple[_Series, _Series]:
        family = BOUND_VOLUMES if volume.phase == "Bound" else UNBOUND_VOLUMES
        return (
            (VOLUMES, (self._plugin_name_of(volume), volume.volume_mode)),
            (family, (volume.class_field,)),
        )


def _series_of_claim(claim: Claim) -> _Series:
    family = BOUND_CLAIMS if claim.phase == "Bound" else UNBOUND_CLAIMS
    return family, (claim.namespace, claim.storage_class, claim.attributes_class)


async def _in_turns(objects: Collection[T]) -> AsyncIterator[list[T]]:
    """Give `objects` in pieces, with a turn for everybody else in between (METRICS-2)."""
    listed = list(objects)
    for start in range(0, len(listed), OBJECTS_PER_TURN):
        yield listed[start : start + OBJECTS_PER_TURN]
        await asyncio.sleep(0)
