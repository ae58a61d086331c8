"""The totals of a kind's objects in a namespace, kept current by the store's history.

TOTALS-1  A total is what counting all objects now would give, writes under way included.
TOTALS-2  It costs as much as what has changed since it was last asked for. Only the first time, and when the history
          doesn't reach back so far, all objects are gone through; `prepare` does that in turns, so that a namespace of
          very many objects holds nobody up.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from pvbinder.model.quantity import ZERO, Quantity
from pvbinder.server.kinds.storage import Storage
from pvbinder.server.objects.kind import Json
from pvbinder.server.store import Cursor, HistoryLost, RevisionExpired, Stored, StoreView

Amounts = Mapping[str, Quantity]

TOTALS_MAX: Final = 1024  # kept; of others all objects are gone through again
OBJECTS_PER_TURN: Final = 500  # about 10 ms


class Measure(Hashable, Protocol):
    """The measure of one object; equal ones give equal amounts for an object."""

    def __call__(self, obj: Json, /) -> Amounts:
        """Return the amounts of `obj`, which isn't changed."""
        ...


@dataclass(slots=True)
class _Total:
    cursor: Cursor
    amounts: dict[str, Quantity]


class Totals:
    """The totals over one store that somebody has asked for lately."""

    def __init__(self, store: StoreView) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[str, str, Measure], _Total] = OrderedDict()

    def of(self, storage: Storage, namespace: str, measure: Measure) -> Amounts:
        """Return what all objects of `namespace` amount to (TOTALS-1)."""
        prefix = storage.prefix(namespace)
        total = self._current(storage, prefix, measure)
        if total is None:
            total = self._begin(storage)
            _add(total, storage, measure, self._committed(storage, prefix))
            self._keep((storage.store_name, prefix, measure), total)
        amounts = dict(total.amounts)
        for committed, head in self._store.pending(storage.store_name, prefix):
            _change(amounts, storage, measure, committed, head)
        return amounts

    async def prepare(self, storage: Storage, namespace: str, measure: Measure) -> None:
        """See that `of` has little to do, and let others have their turn meanwhile (TOTALS-2)."""
        prefix = storage.prefix(namespace)
        if self._current(storage, prefix, measure) is not None:
            return
        total = self._begin(storage)
        committed = self._committed(storage, prefix)
        for start in range(0, len(committed), OBJECTS_PER_TURN):
            if start:
                await asyncio.sleep(0)
            _add(total, storage, measure, committed[start : start + OBJECTS_PER_TURN])
        self._keep((storage.store_name, prefix, measure), total)

    def _begin(self, storage: Storage) -> _Total:
        return _Total(self._store.watch(storage.store_name, self._store.revision), {})

    def _committed(self, storage: Storage, prefix: str) -> list[Stored]:
        return [stored for _, stored in self._store.objects(storage.store_name, prefix)]

    def _keep(self, where: tuple[str, str, Measure], total: _Total) -> None:
        self._kept[where] = total
        while len(self._kept) > TOTALS_MAX:
            self._kept.popitem(last=False)

    def _current(self, storage: Storage, prefix: str, measure: Measure) -> _Total | None:
        """Return the total that is kept, with all committed changes in it; None if there is none any more."""
        where = (storage.store_name, prefix, measure)
        total = self._kept.get(where)
        if total is None:
            return None
        try:
            while changes := total.cursor.take(OBJECTS_PER_TURN):
                for change in changes:
                    if change.key.startswith(prefix):
                        _change(total.amounts, storage, measure, change.previous, change.after)
        except (HistoryLost, RevisionExpired):
            del self._kept[where]
            return None
        self._kept.move_to_end(where)
        return total


def _add(total: _Total, storage: Storage, measure: Measure, objects: Iterable[Stored]) -> None:
    for stored in objects:
        _change(total.amounts, storage, measure, None, stored)


def _change(
    amounts: dict[str, Quantity], storage: Storage, measure: Measure, before: Stored | None, now: Stored | None
) -> None:
    if before is not None:
        for name, amount in measure(storage.served(before.data)).items():
            amounts[name] = amounts.get(name, ZERO) - amount
            if amounts[name] == ZERO:
                del amounts[name]  # names that nobody uses any more are not kept for ever
    if now is not None:
        for name, amount in measure(storage.served(now.data)).items():
            amounts[name] = amounts.get(name, ZERO) + amount
