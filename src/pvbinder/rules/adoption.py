"""The owner of an object: a workload keeps, adopts or lets go what its selector matches (DE-8 for who deletes it then).

ADOPTION-1  What another controls is left to it. An object that we control and no longer select is let go, unless we are
            being deleted.
ADOPTION-2  An object that nobody controls and that we select is adopted, unless it or we are being deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

from pvbinder.model.objects import OwnerReference
from pvbinder.model.selectors import LabelSelector, SelectorError
from pvbinder.model.workloads import controller_of

Belonging: TypeAlias = Literal["ours", "adopt", "release", "not ours"]


class Claimable(Protocol):
    """An object that can belong to a workload."""

    @property
    def owner_references(self) -> tuple[OwnerReference, ...]:
        """Its owners."""
        ...

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        ...

    @property
    def is_deleting(self) -> bool:
        """Tell whether it is being deleted."""
        ...


def decide_belonging(obj: Claimable, uid: str, *, is_selected: bool, owner_is_going: bool) -> Belonging:
    """Say whether `obj` belongs to the workload with `uid` (ADOPTION-1, ADOPTION-2)."""
    controller = controller_of(obj.owner_references)
    if controller is not None:
        if controller.uid != uid:
            return "not ours"
        if is_selected:
            return "ours"
        return "not ours" if owner_is_going else "release"
    if owner_is_going or obj.is_deleting or not is_selected:
        return "not ours"
    return "adopt"


def selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Tell whether `selector` selects; one that selects everything, or means nothing, selects nothing here."""
    if selector is None or not (selector.match_labels or selector.match_expressions):
        return False
    try:
        return selector.matches(dict(labels))
    except SelectorError:
        return False
