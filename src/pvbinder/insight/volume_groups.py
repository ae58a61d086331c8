"""The volumes of a large cluster in groups, so that only volumes within reach of the claim take a row each.

GROUPS-1  Every volume is in a row or in exactly one group; a group has the number of its volumes and their reason.
GROUPS-2  A row is for a volume that fits, lacks one thing, or would fit once freed; another claim's volume has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pvbinder.insight.explanation import VolumeGroup
from pvbinder.insight.wording import listed
from pvbinder.model.objects import Volume
from pvbinder.rules.matching import Misfit, MisfitReason

UNGROUPED_VOLUMES_MAX: Final = 6  # volumes; fewer need no groups
ROWS_MAX: Final = 8
_FREED_ROWS_MAX: Final = 2
_NOT_FREE: Final = frozenset[MisfitReason]({"ClaimedByAnother", "NotAvailable"})


def groups_of(misses: Sequence[tuple[Volume, tuple[Misfit, ...]]]) -> tuple[VolumeGroup, ...]:
    """Return the groups of the volumes that take no row; none in a small cluster."""
    if len(misses) <= UNGROUPED_VOLUMES_MAX:
        return ()
    near: list[str] = []
    groups: dict[str, list[str]] = {}
    for volume, reasons in misses:
        what = _group(volume, frozenset(reason.reason for reason in reasons))
        (near if what is None else groups.setdefault(what, [])).append(volume.name)
    freed = groups.get(WOULD_FIT, [])
    if len(freed) <= _FREED_ROWS_MAX:
        near += groups.pop(WOULD_FIT, [])
    if len(near) > ROWS_MAX:
        groups.setdefault(NEARLY, []).extend(near[ROWS_MAX:])
    return tuple(VolumeGroup(what, tuple(groups[what])) for what in ORDER if what in groups)


TAKEN: Final = "taken by other claims"
WOULD_FIT: Final = "Released and would fit once freed"
RELEASED: Final = "Released and wouldn't fit"
GOING: Final = "being deleted"
NEARLY: Final = "free and lack one thing"
OTHERS: Final = "free and don't fit for several reasons"
ORDER: Final = (WOULD_FIT, NEARLY, OTHERS, TAKEN, RELEASED, GOING)


def _group(volume: Volume, kinds: frozenset[MisfitReason]) -> str | None:
    if "BeingDeleted" in kinds:
        return GOING
    if volume.is_released:
        return WOULD_FIT if kinds <= _NOT_FREE else RELEASED
    if "ClaimedByAnother" in kinds:
        return TAKEN
    return None if len(kinds) <= 1 else OTHERS


def told(group: VolumeGroup) -> str:
    """Return the line of a group."""
    count = len(group.names)
    return f"{count} {'are' if count > 1 else 'is'} {group.what}: {listed(list(group.names))}"
