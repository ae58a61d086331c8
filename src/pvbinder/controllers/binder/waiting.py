"""Claims for which nothing can be done now, found again by the object whose change could help.

WAITING-1  A free volume is offered to one waiting claim at a time, the smallest that fits it; if that claim ends up
           without it, to the next. So a thousand claims that wait don't all wake for every volume.
WAITING-2  All claims that wait for a class, for a default class or for a node are woken when it changes.
WAITING-3  Nothing here is needed to be right: the resync looks at every unsettled claim anyway. It is only sooner.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, TypeAlias

from msgspec import Struct

from pvbinder.model.access_modes import sorted_modes
from pvbinder.model.objects import Claim, ClaimKey, Volume
from pvbinder.model.selectors import SelectorError
from pvbinder.rules.matching import check_fit
from pvbinder.rules.settings import Settings
from pvbinder.rules.sorted_keys import SortedKeys

_Kind: TypeAlias = tuple[str, str, str, tuple[str, ...]]  # class, volume mode, attributes class, access modes

NO_CLASS: Final = ""  # in `by_class`: claims that would take a default class


class _Waiter(Struct, frozen=True):
    claim: Claim
    kind: _Kind | None  # None: a free volume is no use to it


class Waiting:
    """The waiting claims and their indexes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiters: dict[ClaimKey, _Waiter] = {}
        self._by_kind: dict[_Kind, SortedKeys] = {}
        self._by_class: defaultdict[str, dict[ClaimKey, None]] = defaultdict(dict)
        self._by_node: defaultdict[str, dict[ClaimKey, None]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._waiters)

    def __contains__(self, key: ClaimKey) -> bool:
        return key in self._waiters

    def add(self, claim: Claim, *, takes_free_volume: bool) -> None:
        """Remember that `claim` waits; a delayed one takes no free volume (FM-11)."""
        self.remove(claim.key)
        key = claim.key
        kind = None
        if takes_free_volume:
            modes = sorted_modes(claim.access_modes)
            kind = (claim.storage_class, claim.volume_mode, claim.attributes_class, modes)
            self._by_kind.setdefault(kind, SortedKeys()).add((claim.request.nano, key))
        self._waiters[key] = _Waiter(claim, kind)
        self._by_class[claim.storage_class if claim.has_class else NO_CLASS][key] = None
        if claim.selected_node:
            self._by_node[claim.selected_node][key] = None

    def remove(self, key: ClaimKey) -> None:
        """Forget the claim with `key`, if it waits."""
        waiter = self._waiters.pop(key, None)
        if waiter is None:
            return
        claim = waiter.claim
        if waiter.kind is not None:
            keys = self._by_kind[waiter.kind]
            keys.remove((claim.request.nano, key))
            if not keys:
                del self._by_kind[waiter.kind]
        _discard(self._by_class, claim.storage_class if claim.has_class else NO_CLASS, key)
        if claim.selected_node:
            _discard(self._by_node, claim.selected_node, key)

    def taker_of(self, volume: Volume, besides: ClaimKey | None = None) -> ClaimKey | None:
        """Return a waiting claim, other than `besides`, that could have the free `volume`, or None (WAITING-1)."""
        offered = frozenset(volume.access_modes)
        kind = (volume.storage_class, volume.volume_mode, volume.attributes_class)
        size = volume.size.nano
        for (*wanted, modes), keys in self._by_kind.items():
            if tuple(wanted) != kind or not offered.issuperset(modes):
                continue
            for request, key in keys:
                if request > size:
                    break
                if key != besides and self._fits(volume, ClaimKey(key)):
                    return ClaimKey(key)
        return None

    def _fits(self, volume: Volume, key: ClaimKey) -> bool:
        try:
            return check_fit(volume, self._waiters[key].claim, settings=self._settings) is None
        except SelectorError:
            return False

    def for_class(self, name: str, *, is_default: bool) -> Iterable[ClaimKey]:
        """Return the claims that a change of the class may help (WAITING-2)."""
        found = list(self._by_class.get(name, ()))
        return found + list(self._by_class.get(NO_CLASS, ())) if is_default else found

    def for_node(self, name: str) -> Iterable[ClaimKey]:
        """Return the claims whose selected node this is (WAITING-2, DB-5)."""
        return list(self._by_node.get(name, ()))


def _discard(index: dict[str, dict[ClaimKey, None]], value: str, key: ClaimKey) -> None:
    keys = index[value]
    del keys[key]
    if not keys:
        del index[value]
