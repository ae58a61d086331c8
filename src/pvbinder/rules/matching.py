"""Which volume can serve which claim, and if not, why not.

A `Misfit` names the rule, a reason code that stays the same from release to release, and both values. The binder stops
at the first one (`check_fit`), `explain` shows them all (`misfits`). The choice among many volumes is made by
`rules.volume_index`; the plain scan that it must agree with is in the tests.

Rules: docs/rules/binder.md#51-predicates-used-everywhere, docs/rules/binder.md#52-findbestmatch
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

from msgspec import Struct

from pvbinder.model.access_modes import short_modes
from pvbinder.model.names import SELECTED_NODE
from pvbinder.model.objects import Claim, Node, Volume
from pvbinder.model.selectors import LabelSelector, SelectorError
from pvbinder.rules.settings import DEFAULTS, Settings

MisfitReason = Literal[
    "ClaimedByAnother",
    "TooSmall",
    "VolumeModeDiffers",
    "AttributesClassDiffers",
    "BeingDeleted",
    "WaitsForConsumer",
    "NotAvailable",
    "LabelsDontMatch",
    "ClassDiffers",
    "AccessModesMissing",
]

_RULES: Final[Mapping[MisfitReason, str]] = {
    "AccessModesMissing": "FM-2",
    "ClaimedByAnother": "FM-6",
    "TooSmall": "FM-6a",
    "VolumeModeDiffers": "FM-7a",
    "AttributesClassDiffers": "FM-8",
    "BeingDeleted": "FM-9",
    "WaitsForConsumer": "FM-11",
    "NotAvailable": "FM-12",
    "LabelsDontMatch": "FM-13",
    "ClassDiffers": "FM-14",
}


class Misfit(Struct, frozen=True):
    """Why a volume can't serve a claim."""

    reason: MisfitReason
    wanted: str
    found: str

    @property
    def rule(self) -> str:
        """The rule that it fails."""
        return _RULES[self.reason]


def is_bound_to(volume: Volume, claim: Claim) -> bool:
    """Tell whether `volume` is bound to or reserved for `claim` (IB-1)."""
    ref = volume.claim_ref
    return (
        ref is not None
        and (ref.name or "") == claim.name
        and (ref.namespace or "") == claim.namespace
        and (not ref.uid or ref.uid == claim.uid)
    )


def offers_modes(volume: Volume, claim: Claim) -> bool:
    """Tell whether `volume` offers every access mode that `claim` asks for (CS-6)."""
    return set(claim.access_modes) <= set(volume.access_modes)


def modes_differ(volume: Volume, claim: Claim) -> bool:
    """Tell whether the volume modes differ; one that isn't set is `Filesystem` (FM-7)."""
    return volume.volume_mode != claim.volume_mode


def attributes_classes_differ(volume: Volume, claim: Claim, settings: Settings) -> bool:
    """Tell whether the attributes classes differ (FM-8); with the gate off, any at all is a difference."""
    if settings.attributes_classes:
        return volume.attributes_class != claim.attributes_class
    return bool(volume.attributes_class or claim.attributes_class)


def selector_of(claim: Claim) -> LabelSelector | None:
    """Return the selector of `claim`, checked; raise `SelectorError` with the reference's text (FM-13)."""
    if claim.selector is not None:
        try:
            claim.selector.check()
        except SelectorError as error:
            text = f"error creating internal label selector for claim: {claim.key}: {error.message}"
            raise SelectorError(text) from error
    return claim.selector


def check_fit(
    volume: Volume, claim: Claim, *, is_delayed: bool = False, settings: Settings = DEFAULTS
) -> Misfit | None:
    """Return the first reason why the binder can't give `volume` to `claim`, or None if it fits (FM-6 to FM-14).

    The order is the spec's: users see the first reason only, so it is part of the behaviour. Access modes come first,
    because volumes that lack one are in no candidate group (FM-2). Raises `SelectorError` for a malformed selector.
    """
    return next(_misfits(volume, claim, is_delayed, settings), None)


def misfits(
    volume: Volume, claim: Claim, *, is_delayed: bool = False, settings: Settings = DEFAULTS
) -> tuple[Misfit, ...]:
    """Return every reason why the binder can't give `volume` to `claim`, in the order of `check_fit`."""
    return tuple(_misfits(volume, claim, is_delayed, settings))


def nearest_misses(
    volumes: Iterable[Volume], claim: Claim, *, is_delayed: bool = False, settings: Settings = DEFAULTS
) -> list[tuple[Volume, tuple[Misfit, ...]]]:
    """Return all volumes that don't fit, those with the fewest reasons first, then by distance in size and by name."""
    found = [(volume, misfits(volume, claim, is_delayed=is_delayed, settings=settings)) for volume in volumes]
    request = claim.request.nano
    return sorted(
        ((volume, reasons) for volume, reasons in found if reasons),
        key=lambda miss: (len(miss[1]), abs(miss[0].size.nano - request), miss[0].name),
    )


def _misfits(volume: Volume, claim: Claim, is_delayed: bool, settings: Settings) -> Iterator[Misfit]:
    selector = selector_of(claim)
    if not offers_modes(volume, claim):
        yield Misfit("AccessModesMissing", short_modes(claim.access_modes), short_modes(volume.access_modes))
    is_bound = is_bound_to(volume, claim)
    if volume.claim_ref is not None and not is_bound:
        yield Misfit("ClaimedByAnother", *_claimants(volume, claim))
    if volume.size < claim.request:
        yield Misfit("TooSmall", str(claim.request), str(volume.size))
    if modes_differ(volume, claim):
        yield Misfit("VolumeModeDiffers", claim.volume_mode, volume.volume_mode)
    if attributes_classes_differ(volume, claim, settings):
        yield Misfit("AttributesClassDiffers", claim.attributes_class, volume.attributes_class)
    if volume.deletion_timestamp is not None:
        yield Misfit("BeingDeleted", "", volume.deletion_timestamp)
    if is_bound:
        return  # FM-10: a reservation by a user overrules class, selector and phase
    if is_delayed:
        yield Misfit("WaitsForConsumer", SELECTED_NODE, "")
    if volume.phase != "Available":
        yield Misfit("NotAvailable", "Available", volume.phase)
    if selector is not None and not selector.matches(volume.labels):
        yield Misfit("LabelsDontMatch", shown_selector(selector), _shown_labels(volume.labels))
    if volume.storage_class != claim.storage_class:
        yield Misfit("ClassDiffers", claim.storage_class, volume.storage_class)


def _claimants(volume: Volume, claim: Claim) -> tuple[str, str]:
    key = volume.claim_key or ""
    if key == claim.key:  # the same name, another uid: only the uid tells them apart
        return f"{claim.key} (uid {claim.uid})", f"{key} (uid {volume.claim_uid})"
    return claim.key, key


def shown_selector(selector: LabelSelector) -> str:
    """Return `selector` in words."""
    parts = [f"{key}={value}" for key, value in sorted((selector.match_labels or {}).items())]
    for requirement in selector.match_expressions or ():
        values = f" ({','.join(requirement.values)})" if requirement.values else ""
        parts.append(f"{requirement.key} {requirement.operator}{values}")
    return ", ".join(parts)


def _shown_labels(labels: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


# ------------------------------------------------------------------------------------------------ with a node


def is_usable_on(volume: Volume, labels: dict[str, str], node_name: str = "") -> bool:
    """Tell whether the node affinity of `volume` allows a node with `labels`; none allows every node (FM-15)."""
    return volume.node_affinity is None or volume.node_affinity.matches(labels, node_name)


def choose_for_node(
    volumes: Iterable[Volume],
    claim: Claim,
    node: Node | None,
    *,
    excluded: frozenset[str] = frozenset(),
    is_delayed: bool = False,
    settings: Settings = DEFAULTS,
) -> Volume | None:
    """Return the smallest of `volumes` that can serve `claim` on `node`, as a scheduler asks (FM-16), or None.

    Names in `excluded` are left out. A volume reserved for the claim that can't be used on the node ends the search.
    Without a node it is the search of FM-5 in one group. Raises `SelectorError` for a malformed selector.
    """
    selector = selector_of(claim)
    best: Volume | None = None
    for volume in volumes:
        if volume.name in excluded or _is_out(volume, claim, settings):
            continue
        is_usable = node is None or is_usable_on(volume, node.labels, node.name)
        if is_bound_to(volume, claim):
            return volume if is_usable else None
        if node is None and is_delayed:
            continue
        if (
            volume.phase == "Available"
            and (selector is None or selector.matches(volume.labels))
            and volume.storage_class == claim.storage_class
            and is_usable
            and (node is None or offers_modes(volume, claim))
            and (best is None or volume.size < best.size)
        ):
            best = volume
    return best


def _is_out(volume: Volume, claim: Claim, settings: Settings) -> bool:
    """FM-6 to FM-9, which hold for reserved volumes too."""
    return (
        (volume.claim_ref is not None and not is_bound_to(volume, claim))
        or volume.size < claim.request
        or modes_differ(volume, claim)
        or attributes_classes_differ(volume, claim, settings)
        or volume.is_deleting
    )
