"""The remedies for a claim that is stuck: ways out that the evidence supports, the cheapest first.

ADVICE-1  Advice about a volume removes all reasons why it doesn't fit, not only the first one.
ADVICE-2  The volume of another claim is never advised, nor a volume that is being deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias, assert_never

from pvbinder.insight.explanation import ReasonCode
from pvbinder.insight.remedies import (
    AddClass,
    Do,
    Kubectl,
    RecreateClaim,
    Remedy,
    merge,
    remove,
    volume_for,
)
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import named, nearest
from pvbinder.model.access_modes import short_modes
from pvbinder.model.json import Json, encode
from pvbinder.model.names import DEFAULT_CLASS, NO_PROVISIONER
from pvbinder.model.objects import Claim, StorageClass, Volume, parse_claim
from pvbinder.rules.claims import Bind, Provision, decide_claim
from pvbinder.rules.matching import Misfit, MisfitReason
from pvbinder.rules.provisioning import CannotProvision
from pvbinder.rules.satisfy import UnsuitableReason, unsuitabilities

ADVICE_LINES_MAX: Final = 6
Misses: TypeAlias = Sequence[tuple[Volume, tuple[Misfit, ...]]]
_COMPROMISES_MAX: Final = 3
_OTHERS_HAVE: Final = frozenset[MisfitReason]({"ClaimedByAnother", "NotAvailable"})


def advise(
    claim: Claim, reason: ReasonCode, own: Sequence[Remedy], misses: Misses, snapshot: Snapshot
) -> tuple[Remedy, ...]:
    """Return the remedies that let `claim` go on, at most a handful; `own` are those of the finding itself."""
    found: list[Remedy] = []
    for remedy in (*own, *_more(claim, reason, misses, snapshot)):
        if remedy not in found:
            found.append(remedy)
    return tuple(found[:ADVICE_LINES_MAX])


def _more(claim: Claim, reason: ReasonCode, misses: Misses, snapshot: Snapshot) -> Iterator[Remedy]:
    match reason:
        case "NoVolumeFits" | "ClassMissing" | "NothingProvisions" | "ProvisioningDisabled" | "ProvisioningFails":
            yield from _for_want_of_a_volume(claim, reason, misses, snapshot)
        case "ProvisionedVolumeUnsuitable":
            yield from _make_fit(claim, misses)
            yield Do("create the claim anew so that what its class provisions fits it")
            yield volume_for(claim)
        case "NamedVolumeMissing":
            yield volume_for(claim, name=claim.volume_name)
            yield from _any_volume(claim, snapshot)
        case "NamedVolumeUnsuitable":
            yield from _suit(claim, snapshot)
        case "NamedVolumeTaken":
            volume = snapshot.volume(claim.volume_name)
            if volume is not None and _can_be_freed(volume, claim):
                yield _free(volume, claim)
            yield from _any_volume(claim, snapshot)
            yield Do("create the claim anew with another volumeName")
        case "VolumeModeMismatch":
            yield from _other_mode(claim, misses)
        case "PodCannotBeScheduled":
            if not claim.volume_name:
                yield Do("make a node that the pod can run on, or a volume that fits on such a node")
                yield from _make_fit(claim, misses)
        case "PodBypassesScheduler" | "SelectorNotSupported" | "NoVolumeOnAnyNode" | "ProvisionerSilent":
            yield from _make_fit(claim, misses)
        case "NotEnoughStorage" | "NoNodeInTopology" | "PluginRefuses" | "AttributesClassUnsupported":
            yield from _make_fit(claim, misses)
        case "ClassIsBroken":
            yield AddClass(claim.storage_class, "with a volumeBindingMode", is_there=True)
        case "SelectorIsBroken":
            yield RecreateClaim(without=("selector",), because="or with a selector that can be read")
        case "Bound" | "WillBind" | "DefaultClassComes" | "IsGoingAway" | "PodIsGated":
            return
        case "WaitsForFirstConsumer" | "WaitsForPodToBeScheduled":
            return
        case "VolumeIsBeingProvisioned" | "WaitsForExternalProvisioner" | "WaitsForSnapshot":
            return
        case "LostReference" | "LostVolume" | "Misbound" | "ProtectedByPod" | "HeldByFinalizers":
            return
        case "DataSourceUnusable" | "SnapshotFails" | "AttributesClassMissing" | "DriverNotOnNode":
            return
        case "NobodyGrows" | "GrowthFails" | "GrowthWaitsForPod" | "NobodyModifies" | "ModificationFails":
            return
        case "VolumeUnreachable" | "VolumeIsGoing" | "PodOnWrongNode" | "PodNodeMissing" | "UsedOnAnotherNode":
            return
        case "PodCannotStart" | "ClaimMissing" | "ClaimIsAnothers":  # the last two are reasons of pods
            return
        case _:
            assert_never(reason)


# ------------------------------------------------------------------------------------------------ no volume


def _for_want_of_a_volume(claim: Claim, reason: ReasonCode, misses: Misses, snapshot: Snapshot) -> Iterator[Remedy]:
    storage_class = snapshot.storage_class(claim.storage_class) if claim.storage_class else None
    if reason == "ProvisioningFails":
        yield Do("put right what the message above says; it is tried again by itself")
    if storage_class is not None:
        yield from _install(storage_class, snapshot)
    yield from _freed(claim, misses)
    if not claim.has_class:
        yield from _give_a_class(claim, snapshot)
    near = nearest(claim.storage_class, (each.name for each in snapshot.storage_classes()))
    if reason == "ClassMissing" and near:
        yield RecreateClaim(storage_class=near, because="did you mean that one?")
    yield volume_for(claim)
    if reason == "ClassMissing":
        yield AddClass(claim.storage_class, "with a provisioner")
    if reason == "NothingProvisions" and storage_class is not None:
        yield AddClass(storage_class.name, "with a provisioner that exists", is_there=True)
    if reason == "ProvisioningDisabled":
        yield Do("start the binder with --enable-dynamic-provisioning")
    yield from _changed(claim, misses)


def _install(storage_class: StorageClass, snapshot: Snapshot) -> Iterator[Remedy]:
    """The advice to install the class's CSI driver, if it is missing; an in-tree provisioner needs none."""
    provisioner = storage_class.provisioner
    driver = snapshot.settings.migrations.driver_of(provisioner) or provisioner
    is_known = snapshot.knows("CSIDriver") and not driver.startswith("kubernetes.io/")
    if is_known and snapshot.driver(driver) is None:
        yield Do(f"install the driver {driver}: there is no CSIDriver object of that name")


def _give_a_class(claim: Claim, snapshot: Snapshot) -> Iterator[Remedy]:
    """The two ways to a class for a claim without one: a default class, or a name in the claim as it is (DC-3)."""
    provisioning = [
        each
        for each in snapshot.storage_classes()
        if each.provisioner != NO_PROVISIONER and _would_provision(each, snapshot)
    ]
    for storage_class in sorted(provisioning, key=lambda each: (not _is_served(each, snapshot), each.name))[:1]:
        yield Kubectl(
            f"make class {storage_class.name} the default",
            ("annotate", "storageclass", storage_class.name, f"{DEFAULT_CLASS}=true", "--overwrite"),
        )
        change: Json = {"spec": {"storageClassName": storage_class.name}}
        yield merge("pvc", claim, change, f"give it class {storage_class.name}")


def _would_provision(storage_class: StorageClass, snapshot: Snapshot) -> bool:
    """Whether the class may have a provisioner: an installed plugin, or an external one."""
    provisioner = storage_class.provisioner
    if snapshot.settings.migrations.driver_of(provisioner) is not None:
        return provisioner != NO_PROVISIONER
    plugin = snapshot.plugins.named(provisioner)
    return plugin.can_provision if plugin is not None else not provisioner.startswith("kubernetes.io/")


def _is_served(storage_class: StorageClass, snapshot: Snapshot) -> bool:
    """Whether the provisioner of the class is known to be there: an installed plugin, or a registered driver."""
    plugin = snapshot.plugins.named(storage_class.provisioner)
    driver = snapshot.settings.migrations.driver_of(storage_class.provisioner) or storage_class.provisioner
    return (plugin is not None and plugin.can_provision) or snapshot.driver(driver) is not None


def _make_fit(claim: Claim, misses: Misses) -> Iterator[Remedy]:
    yield from _freed(claim, misses)
    yield from _changed(claim, misses)


def _freed(claim: Claim, misses: Misses) -> Iterator[Remedy]:
    """The remedy that frees a volume which then fits; the volume of an earlier claim of this name goes first."""
    fitting = [
        volume
        for volume, reasons in misses
        if _can_be_freed(volume, claim) and {reason.reason for reason in reasons} <= _OTHERS_HAVE
    ]
    for volume in sorted(fitting, key=lambda volume: volume.claim_key != claim.key)[:1]:
        yield _free(volume, claim)


def _can_be_freed(volume: Volume, claim: Claim) -> bool:
    """Whether a volume is kept with the data of a claim that is gone: its reclaim policy is Retain."""
    is_over = volume.is_released or volume.claim_key == claim.key
    return is_over and not volume.is_deleting and volume.reclaim_policy not in ("Delete", "Recycle")


def _free(volume: Volume, claim: Claim) -> Kubectl:
    if volume.claim_key == claim.key:
        why = f"let it have volume {volume.name} again, with the data of the earlier claim"
        return remove("pv", volume, "/spec/claimRef/uid", why)
    why = f"free volume {volume.name}, which still has the data of {volume.claim_key}"
    return remove("pv", volume, "/spec/claimRef", why)


# ------------------------------------------------------------------------------------------------ changes that fit


def _changed(claim: Claim, misses: Misses) -> Iterator[Remedy]:
    """The changes after which an unclaimed volume fits: to the volume if that is enough, else to the claim."""
    too_small = [volume for volume, reasons in misses if {reason.reason for reason in reasons} == {"TooSmall"}]
    if too_small:
        yield _other_claim(claim, max(too_small, key=lambda volume: volume.size), frozenset({"TooSmall"}))
    seen: set[frozenset[MisfitReason]] = set()
    for volume, reasons in misses:
        kinds = frozenset(reason.reason for reason in reasons)
        if not kinds or kinds & {"ClaimedByAnother", "BeingDeleted", "NotAvailable", "WaitsForConsumer"}:
            continue
        if kinds == {"TooSmall"}:
            continue
        if kinds == {"LabelsDontMatch"}:
            yield from _label(claim, volume)
        elif kinds not in seen and _is_near(claim, volume, kinds):
            yield _other_claim(claim, volume, kinds)
        seen.add(kinds)


def _is_near(claim: Claim, volume: Volume, kinds: frozenset[MisfitReason]) -> bool:
    """Whether `volume` is close to the claim's wishes: it misses at most two, and has at least half of the size."""
    is_much_smaller = volume.size + volume.size < claim.request
    return len(kinds) <= _COMPROMISES_MAX and not ("TooSmall" in kinds and is_much_smaller)


def _other_claim(claim: Claim, volume: Volume, kinds: frozenset[MisfitReason]) -> RecreateClaim:
    """The claim with all changes that `volume` needs to fit it (ADVICE-1)."""
    return RecreateClaim(
        storage_max=str(volume.size) if "TooSmall" in kinds else "",
        storage_class=volume.storage_class if "ClassDiffers" in kinds else None,
        access_modes=volume.access_modes if "AccessModesMissing" in kinds else (),
        volume_mode=volume.volume_mode if "VolumeModeDiffers" in kinds else "",
        attributes_class=volume.attributes_class if "AttributesClassDiffers" in kinds else None,
        without=("selector",) if "LabelsDontMatch" in kinds else (),
        because=f"{volume.name} fits then",
    )


def _label(claim: Claim, volume: Volume) -> Iterator[Remedy]:
    selector = claim.selector
    pairs = selector.match_labels or {} if selector is not None else {}
    if selector is not None and not selector.match_expressions and pairs:
        missing = {key: value for key, value in pairs.items() if volume.labels.get(key) != value}
        arguments = (f"{key}={value}" for key, value in sorted(missing.items()))
        why = f"label volume {volume.name} so that the claim's selector matches it"
        yield Kubectl(why, ("label", "pv", volume.name, *arguments, "--overwrite"))
    else:
        yield Do(f"label volume {volume.name} so that the claim's selector matches it")


def _other_mode(claim: Claim, misses: Misses) -> Iterator[Remedy]:
    for volume, reasons in misses:
        if volume.claim_key == claim.key and any(reason.reason == "VolumeModeDiffers" for reason in reasons):
            because = f"as volume {volume.name} has it"
            yield RecreateClaim(volume_mode=volume.volume_mode, because=because)
            yield remove("pv", volume, "/spec/claimRef", f"let volume {volume.name} go, so that it may get another")
            return


# ------------------------------------------------------------------------------------------------ a named volume


def _suit(claim: Claim, snapshot: Snapshot) -> Iterator[Remedy]:
    """The changes after which the named volume is suitable: one for each check that failed (ADVICE-1)."""
    volume = snapshot.volume(claim.volume_name)
    if volume is None:
        return
    failed = {each.reason for each in unsuitabilities(volume, claim, snapshot.settings)}
    if "BeingDeleted" in failed:
        yield from _any_volume(claim, snapshot)
        yield Do(f"create the claim anew with another volumeName: volume {volume.name} is being deleted")
        return
    spec: Json = {}
    if "ClassDiffers" in failed:
        spec["storageClassName"] = claim.storage_class
    if "AccessModesMissing" in failed:
        spec["accessModes"] = sorted({*volume.access_modes, *claim.access_modes})
    if "TooSmall" in failed:
        spec["capacity"] = {"storage": str(claim.request)}
    if spec and not failed & {"AttributesClassDiffers", "VolumeModeDiffers"}:
        yield merge("pv", volume, {"spec": spec}, _change_of(volume, claim, failed))
    yield RecreateClaim(
        storage_max=str(volume.size) if "TooSmall" in failed else "",
        storage_class=volume.storage_class if "ClassDiffers" in failed else None,
        access_modes=volume.access_modes if "AccessModesMissing" in failed else (),
        volume_mode=volume.volume_mode if "VolumeModeDiffers" in failed else "",
        attributes_class=volume.attributes_class if "AttributesClassDiffers" in failed else None,
        because=f"{volume.name} will do then",
    )
    yield from _any_volume(claim, snapshot)


def _any_volume(claim: Claim, snapshot: Snapshot) -> Iterator[Remedy]:
    """The advice to name no volume: only if the binder then finds one, or a provisioner makes one."""
    document = claim.document()
    document["spec"].pop("volumeName", None)
    action = decide_claim(parse_claim(encode(document)), snapshot, snapshot.settings)
    match action:
        case Bind(volume=volume):
            yield RecreateClaim(without=("volumeName",), because=f"{volume.name} fits then")
        case Provision(by=by) if not isinstance(by, CannotProvision):
            yield RecreateClaim(without=("volumeName",), because="a volume is made for it then")
        case _:
            return


def _change_of(volume: Volume, claim: Claim, failed: set[UnsuitableReason]) -> str:
    parts = []
    if "TooSmall" in failed:
        parts.append(f"its size to {claim.request}, if its storage has that")
    if "ClassDiffers" in failed:
        parts.append(f"its class to {named(claim.storage_class)}")
    if "AccessModesMissing" in failed:
        parts.append(f"its access modes to have {short_modes(claim.access_modes)}, if its storage can do that")
    return f"change volume {volume.name}, {' and '.join(parts)}"
