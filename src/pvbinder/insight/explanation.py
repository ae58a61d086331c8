"""An explanation, as values: the terminal and ``-o json`` show the same ones.

The JSON form is an interface: `version` grows when a field goes or changes its meaning, not when one is added; a
`ReasonCode` never changes its meaning.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from pvbinder.insight.remedies import Remedy

Verdict = Literal["Bound", "OnItsWay", "Stuck"]

ReasonCode = Literal[
    # nobody has to do anything
    "Bound",
    "WillBind",
    "DefaultClassComes",
    "WaitsForFirstConsumer",
    "WaitsForPodToBeScheduled",
    "VolumeIsBeingProvisioned",
    "WaitsForExternalProvisioner",
    "WaitsForSnapshot",
    "IsGoingAway",
    # somebody must act
    "NoVolumeFits",
    "ClassMissing",
    "NothingProvisions",
    "ProvisioningDisabled",
    "ProvisioningFails",
    "ProvisionedVolumeUnsuitable",
    "NamedVolumeMissing",
    "NamedVolumeUnsuitable",
    "NamedVolumeTaken",
    "VolumeModeMismatch",
    "PodCannotBeScheduled",
    "PodIsGated",
    "LostReference",
    "LostVolume",
    "Misbound",
    "ClassIsBroken",
    "SelectorIsBroken",
    "ProtectedByPod",
    "HeldByFinalizers",
    "ClaimMissing",
    "ClaimIsAnothers",
    # a person must act: the next controller is known to refuse
    "PodBypassesScheduler",
    "NoVolumeOnAnyNode",
    "NoNodeInTopology",
    "NotEnoughStorage",
    "SelectorNotSupported",
    "DataSourceUnusable",
    "SnapshotFails",
    "AttributesClassMissing",
    "AttributesClassUnsupported",
    "PluginRefuses",
    "DriverNotOnNode",
    "ProvisionerSilent",
    # somebody must act although the claim is bound
    "NobodyGrows",
    "GrowthFails",
    "GrowthWaitsForPod",
    "NobodyModifies",
    "ModificationFails",
    "VolumeUnreachable",
    "VolumeIsGoing",
    "PodOnWrongNode",
    "PodNodeMissing",
    "UsedOnAnotherNode",
    "PodCannotStart",
]


class VolumeNote(Struct, frozen=True, rename="camel", kw_only=True):
    """The reason why one volume is not the claim's: the first rule that it fails, and the reasons of all rules."""

    name: str
    rule: str
    reason: str
    why: str
    wanted: str
    found: str
    all_reasons: tuple[str, ...] = ()


class ClassNote(Struct, frozen=True, rename="camel"):
    """The class that the claim names, whether it exists, and its provisioner."""

    name: str
    exists: bool
    provisioner: str = ""
    binding_mode: str = ""
    allow_expansion: bool = False
    driver: str = ""  # the CSI driver that acts for an in-tree provisioner (MG-3)
    driver_registered: bool | None = None  # None: unknown, or no CSI driver is needed
    # set for the default class; CameFromIt: the claim's manifest named no class
    default: Literal["CameFromIt", "IsIt"] | UnsetType = UNSET


class VolumeGroup(Struct, frozen=True, rename="camel"):
    """Volumes without a row of their own: their names, and the reason that they share."""

    what: str
    names: tuple[str, ...]


class VolumeReach(Struct, frozen=True, rename="camel"):
    """The nodes on which the claim's own volume can be used: its node affinity, and the nodes that match it."""

    affinity: str  # "": everywhere
    nodes: tuple[str, ...] = ()
    nodes_known: bool = False


class PodNote(Struct, frozen=True, rename="camel"):
    """A pod that uses the claim."""

    name: str
    phase: str
    node: str = ""
    problem: str = ""  # the scheduler's words for why it isn't scheduled


class NodeNote(Struct, frozen=True, rename="camel"):
    """The node that the scheduler chose for the claim."""

    name: str
    exists: bool


class EventNote(Struct, frozen=True, rename="camel"):
    """The last event about the claim, and its reporter."""

    type: str
    reason: str
    message: str
    time: str = ""
    count: int = 1


class Wants(Struct, frozen=True, rename="camel"):
    """The request of the claim; a `storage_class` of None is an unset one, ``""`` is the wish for no class."""

    storage: str
    access_modes: tuple[str, ...]
    volume_mode: str
    storage_class: str | None
    selector: str = ""
    attributes_class: str = ""


class ClaimExplanation(Struct, frozen=True, rename="camel", tag_field="kind", tag="ClaimExplanation"):
    """The reason for a claim's state, its next step, and the ways to change it."""

    claim: str
    phase: str
    verdict: Verdict
    reason: ReasonCode
    rules: tuple[str, ...]
    summary: str  # one sentence without the claim's name and phase
    next: str  # the next step, by itself or not
    wants: Wants | None = None
    volume: str = ""  # the volume that the claim has, gets next, or names
    storage_class: ClassNote | None = None
    volumes: tuple[VolumeNote, ...] = ()
    pods: tuple[PodNote, ...] = ()
    node: NodeNote | None = None
    events: tuple[EventNote, ...] = ()
    advice: tuple[str, ...] = ()
    version: int = 1
    reach: VolumeReach | UnsetType = UNSET  # set if its own volume can't be used everywhere
    volume_groups: tuple[VolumeGroup, ...] | UnsetType = UNSET  # of volumes without a row in `volumes`

    @property
    def needs_action(self) -> bool:
        """Tell whether somebody must act."""
        return self.verdict == "Stuck"


class PodExplanation(Struct, frozen=True, rename="camel", tag_field="kind", tag="PodExplanation"):
    """The reason why a pod lacks its storage: the explanations of its claims, the worst first."""

    pod: str
    phase: str
    node: str
    verdict: Verdict
    summary: str
    problem: str = ""
    claims: tuple[ClaimExplanation, ...] = ()
    version: int = 1

    @property
    def needs_action(self) -> bool:
        """Tell whether somebody must act."""
        return self.verdict == "Stuck"


VolumeReasonCode = Literal[
    # nobody has to do anything
    "Bound",
    "Available",
    "WillBeAvailable",
    "Reserved",
    "WillBind",
    "WillBeReleased",
    "IsBeingDeleted",
    "IsBeingScrubbed",
    # somebody must act
    "Released",
    "DeletionFails",
    "Failed",
    "HeldByFinalizers",
    "HeldByClaim",
    "Unreachable",
]


class WaitingClaim(Struct, frozen=True, rename="camel"):
    """A claim that waits, and the reason why this volume isn't its own."""

    claim: str
    rule: str
    why: str


class VolumeExplanation(Struct, frozen=True, rename="camel", tag_field="kind", tag="VolumeExplanation", kw_only=True):
    """The reason for a volume's state, and the claims that could have it."""

    volume: str
    phase: str
    verdict: Verdict
    reason: VolumeReasonCode
    rules: tuple[str, ...]
    summary: str
    next: str
    claim: str = ""
    offers: str = ""
    reclaim_policy: str = ""
    reach: VolumeReach | UnsetType = UNSET
    attached_to: tuple[str, ...] = ()
    events: tuple[EventNote, ...] = ()
    waiting: tuple[WaitingClaim, ...] = ()
    advice: tuple[str, ...] = ()
    version: int = 1

    @property
    def needs_action(self) -> bool:
        """Tell whether somebody must act."""
        return self.verdict == "Stuck"


class SetExplanation(Struct, frozen=True, rename="camel", tag_field="kind", tag="StatefulSetExplanation", kw_only=True):
    """The pods of a StatefulSet that wait for their storage, and the reasons."""

    stateful_set: str
    verdict: Verdict
    summary: str
    remarks: tuple[str, ...] = ()
    pods: tuple[PodExplanation, ...] = ()
    advice: tuple[str, ...] = ()
    version: int = 1

    @property
    def needs_action(self) -> bool:
        """Tell whether somebody must act."""
        return self.verdict == "Stuck"


Explanation: TypeAlias = ClaimExplanation | PodExplanation | VolumeExplanation | SetExplanation


class Finding(Struct, frozen=True, kw_only=True):
    """The verdict with its words, before the evidence is added."""

    verdict: Verdict
    reason: ReasonCode
    rules: tuple[str, ...]
    summary: str
    next: str
    volume: str = ""
    with_volumes: bool = True
    remedies: tuple[Remedy, ...] = ()


UNTIL = "nothing, until one of the things below is done"


def stuck(
    reason: ReasonCode,
    rules: tuple[str, ...],
    summary: str,
    *remedies: Remedy,
    then: str = UNTIL,
    volume: str = "",
    with_volumes: bool = True,
) -> Finding:
    """Return the finding that somebody must act."""
    return Finding(
        verdict="Stuck",
        reason=reason,
        rules=rules,
        summary=summary,
        next=then,
        volume=volume,
        with_volumes=with_volumes,
        remedies=remedies,
    )


def on_its_way(
    reason: ReasonCode,
    rules: tuple[str, ...],
    summary: str,
    then: str,
    *,
    volume: str = "",
    with_volumes: bool = True,
) -> Finding:
    """Return the finding that the claim goes on by itself."""
    return Finding(
        verdict="OnItsWay",
        reason=reason,
        rules=rules,
        summary=summary,
        next=then,
        volume=volume,
        with_volumes=with_volumes,
    )
