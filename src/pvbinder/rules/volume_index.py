"""The volumes, so ordered that the right one for a claim is found without looking at the others (FM-1 to FM-14).

INDEX-1  `choose` gives what a plain scan by the spec gives; where the spec leaves the choice open (ties, equal-size
         groups, several volumes reserved for one claim) it is always the same one: the claim's own by uid, else the
         smallest, else the first name.
INDEX-2  A choice without a selector costs two binary searches per access-mode set, however many volumes there are; with
         a selector it looks at volumes of the claim's class, mode and size only, smallest first.
INDEX-3  A reserved volume (`reserve`) is nobody else's choice until it is released, even if it is added again.
INDEX-4  The index holds the newest state that was added, nothing else: `add` replaces, `remove` forgets.
INDEX-5  A volume that is expected to become `Available` (`expect`) is chosen as if it were so already; until it is
         `Available`, claimed or removed, or the expectation is given up.

Not promised: anything about which of two states is newer; the caller must compare them (B-10).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from pvbinder.model.access_modes import sorted_modes
from pvbinder.model.objects import Claim, ClaimKey, Volume, VolumeName
from pvbinder.rules.matching import attributes_classes_differ, is_bound_to, modes_differ, selector_of
from pvbinder.rules.settings import DEFAULTS, Settings
from pvbinder.rules.sorted_keys import Key, SortedKeys

_Modes: TypeAlias = tuple[str, ...]
_Kind: TypeAlias = tuple[str, str, str]  # class, volume mode, attributes class


class _Group:
    """The volumes with one set of access modes (FM-2): all by name, and the free ones by kind and size."""

    __slots__ = ("free", "modes", "names")

    def __init__(self, modes: _Modes) -> None:
        self.modes = frozenset(modes)
        self.names: set[VolumeName] = set()
        self.free: dict[_Kind, SortedKeys] = {}


class VolumeIndex:
    """All volumes by name, and the way to the best one for a claim."""

    def __init__(self, volumes: Iterable[Volume] = (), settings: Settings = DEFAULTS) -> None:
        self._settings = settings
        self._volumes: dict[VolumeName, Volume] = {}
        self._groups: dict[_Modes, _Group] = {}
        self._in_order: list[_Group] = []  # fewest modes first (FM-3)
        self._claimed: dict[ClaimKey, tuple[VolumeName, ...]] = {}  # hardly ever more than one
        self._reserved: dict[VolumeName, ClaimKey] = {}
        self._expected: set[VolumeName] = set()
        for volume in volumes:
            self.add(volume)

    def __len__(self) -> int:
        return len(self._volumes)

    def __iter__(self) -> Iterator[Volume]:
        return iter(self._volumes.values())

    def get(self, name: str) -> Volume | None:
        """Return the volume called `name`."""
        return self._volumes.get(VolumeName(name))

    # -- keeping current

    def add(self, volume: Volume) -> None:
        """Take in `volume`, in place of one of its name (INDEX-4)."""
        name = volume.key
        known = self._volumes.get(name)
        if known is not None:
            self._take_out(known)
        if name in self._expected and (volume.phase == "Available" or volume.claim_ref is not None):
            self._expected.discard(name)
        self._volumes[name] = volume
        self._put_in(volume)

    def _put_in(self, volume: Volume) -> None:
        name = volume.key
        modes = sorted_modes(volume.access_modes)
        group = self._groups.get(modes)
        if group is None:
            group = self._groups[modes] = _Group(modes)
            self._in_order = sorted(self._groups.values(), key=lambda each: (len(each.modes), sorted_modes(each.modes)))
        group.names.add(name)
        if volume.claim_ref is not None:
            key = volume.claim_ref.key
            self._claimed[key] = (*self._claimed.get(key, ()), name)
        elif self._is_free(volume) and name not in self._reserved:
            group.free.setdefault(_kind_of(volume), SortedKeys()).add(_key_of(volume))

    def remove(self, name: str) -> Volume | None:
        """Forget the volume called `name` and return its last state; a reservation stays until it is released."""
        known = self._volumes.pop(VolumeName(name), None)
        if known is not None:
            self._take_out(known)
            self._expected.discard(known.key)
        return known

    def _take_out(self, volume: Volume) -> None:
        name = volume.key
        modes = sorted_modes(volume.access_modes)
        group = self._groups[modes]
        group.names.discard(name)
        if volume.claim_ref is not None:
            key = volume.claim_ref.key
            others = tuple(other for other in self._claimed[key] if other != name)
            if others:
                self._claimed[key] = others
            else:
                del self._claimed[key]
        elif self._is_free(volume) and name not in self._reserved:
            self._take_from_free(group, volume)
        if not group.names:
            del self._groups[modes]
            self._in_order.remove(group)

    def _is_free(self, volume: Volume) -> bool:
        """FM-9 and FM-12; that nobody claims it is asked beside."""
        return (volume.phase == "Available" or volume.key in self._expected) and volume.deletion_timestamp is None

    @staticmethod
    def _take_from_free(group: _Group, volume: Volume) -> None:
        kind = _kind_of(volume)
        keys = group.free[kind]
        keys.remove(_key_of(volume))
        if not keys:
            del group.free[kind]

    # -- reservations

    def reserve(self, name: str, claim: ClaimKey) -> bool:
        """Keep the volume for `claim` (INDEX-3); False if another claim has it reserved."""
        holder = self._reserved.get(VolumeName(name))
        if holder is not None:
            return holder == claim
        volume = self._volumes.get(VolumeName(name))
        if volume is not None and volume.claim_ref is None and self._is_free(volume):
            self._take_from_free(self._groups[sorted_modes(volume.access_modes)], volume)
        self._reserved[VolumeName(name)] = claim
        return True

    def release(self, name: str) -> None:
        """End the reservation of the volume, if there is one."""
        if self._reserved.pop(VolumeName(name), None) is None:
            return
        volume = self._volumes.get(VolumeName(name))
        if volume is not None and volume.claim_ref is None and self._is_free(volume):
            group = self._groups[sorted_modes(volume.access_modes)]
            group.free.setdefault(_kind_of(volume), SortedKeys()).add(_key_of(volume))

    def reserved_for(self, name: str) -> ClaimKey | None:
        """Return the claim that has the volume reserved."""
        return self._reserved.get(VolumeName(name))

    # -- expectations

    def expect(self, name: VolumeName) -> None:
        """Take the volume, which nobody claims, for `Available` from now on (INDEX-5)."""
        volume = self._volumes.get(name)
        if volume is not None and volume.phase != "Available" and volume.claim_ref is None:
            self._take_out(volume)
            self._expected.add(name)
            self._put_in(volume)

    def expect_no_longer(self, name: VolumeName) -> None:
        """Take the volume for what it is."""
        if name in self._expected:
            known = self._volumes[name]
            self._take_out(known)
            self._expected.discard(name)
            self._put_in(known)

    def is_expected(self, name: VolumeName) -> bool:
        """Whether the volume isn't `Available` yet, and counts as if it were."""
        return name in self._expected

    # -- choosing

    def choose(self, claim: Claim, *, is_delayed: bool = False) -> Volume | None:
        """Return the best volume for `claim`, or None if none fits (FM-2 to FM-14).

        Raises `SelectorError` if the claim's selector is malformed (SC-U2).
        """
        wanted = frozenset(claim.access_modes)
        selector = selector_of(claim)
        own = self._own_volumes(claim)
        kind = (claim.storage_class, claim.volume_mode, claim.attributes_class)
        may_search = not is_delayed and (self._settings.attributes_classes or not claim.attributes_class)
        for group in self._in_order:
            if not wanted <= group.modes:
                continue
            for volume in own:
                if volume.key in group.names:
                    return volume  # FM-10
            if not may_search:
                continue  # FM-11
            keys = group.free.get(kind)
            if keys is None:
                continue
            for _, name in keys.at_least(claim.request.nano):
                volume = self._volumes[VolumeName(name)]
                if selector is None or selector.matches(volume.labels):
                    return volume
        return None

    def claimed_by(self, key: ClaimKey) -> list[Volume]:
        """Return the volumes whose claim reference names the claim `key`, whatever its uid, by name."""
        return [self._volumes[name] for name in sorted(self._claimed.get(key, ()))]

    def _own_volumes(self, claim: Claim) -> list[Volume]:
        """The volumes that FM-10 lets `claim` have, the preferred one first."""
        names = self._claimed.get(claim.key)
        if names is None:
            return []
        own = [
            volume
            for volume in (self._volumes[name] for name in names)
            if is_bound_to(volume, claim)
            and volume.size >= claim.request
            and not modes_differ(volume, claim)
            and not attributes_classes_differ(volume, claim, self._settings)
            and not volume.is_deleting
        ]
        return sorted(own, key=lambda volume: (not volume.claim_uid, volume.size.nano, volume.name))

    # -- the groups themselves

    def mode_sets(self, modes: Iterable[str]) -> list[tuple[str, ...]]:
        """Return every set of access modes that some volume has and that includes `modes`, fewest first (FM-3)."""
        wanted = frozenset(modes)
        return [sorted_modes(group.modes) for group in self._in_order if wanted <= group.modes]

    def with_modes(self, modes: Iterable[str]) -> list[Volume]:
        """Return the volumes whose access modes are exactly `modes`, smallest first (FM-2)."""
        group = self._groups.get(sorted_modes(modes))
        volumes = [self._volumes[name] for name in group.names] if group is not None else []
        return sorted(volumes, key=_key_of)


def _kind_of(volume: Volume) -> _Kind:
    return (volume.storage_class, volume.volume_mode, volume.attributes_class)


def _key_of(volume: Volume) -> Key:
    return (volume.size.nano, volume.name)
