"""What somebody could do for a claim that is stuck: ways out that the evidence supports, the cheapest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from pvbinder.insight.explanation import ClaimExplanation
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import named
from pvbinder.model.access_modes import short_modes
from pvbinder.model.objects import Claim, Volume
from pvbinder.rules.matching import Misfit
from pvbinder.rules.satisfy import Unsuitable, check_named_volume
from pvbinder.rules.settings import Settings

_ADVICE_LINES_MAX = 6


def advise(
    explanation: ClaimExplanation, claim: Claim, misses: Sequence[tuple[Volume, tuple[Misfit, ...]]], snapshot: Snapshot
) -> list[str]:
    """Return what would let `claim` go on, at most a handful of sentences without a full stop."""
    return list(dict.fromkeys(_advice(explanation, claim, misses, snapshot)))[:_ADVICE_LINES_MAX]


def unsuitability(volume: Volume, claim: Claim, settings: Settings) -> Unsuitable:
    """Return why the `volume` that `claim` names won't do; there must be a reason."""
    found = check_named_volume(volume, claim, settings)
    assert found is not None
    return found


def _advice(
    explanation: ClaimExplanation, claim: Claim, misses: Sequence[tuple[Volume, tuple[Misfit, ...]]], snapshot: Snapshot
) -> Iterator[str]:
    match explanation.reason:
        case "NoVolumeFits" | "ClassMissing" | "NothingProvisions" | "ProvisioningDisabled" | "ProvisioningFails":
            yield from _for_want_of_a_volume(explanation, claim, misses)
        case "ProvisionedVolumeUnsuitable":
            yield "create the claim anew so that what its class provisions fits it"
            yield from _for_want_of_a_volume(explanation, claim, misses)
        case "NamedVolumeMissing":
            yield f"create volume {claim.volume_name} with {_demands(claim)}"
            yield "create the claim anew without volumeName, so that any volume that fits is taken"
        case "NamedVolumeUnsuitable":
            volume = snapshot.volume(claim.volume_name)
            if volume is not None:
                yield f"change volume {volume.name}: it must be {_demands(claim)}"
            yield "create the claim anew so that it fits, or without volumeName"
        case "NamedVolumeTaken":
            volume = snapshot.volume(claim.volume_name)
            if volume is not None and volume.is_released:
                yield _free(volume)
            yield "create the claim anew with another volumeName, or without one"
        case "VolumeModeMismatch":
            yield f"create the claim anew with the volume mode of the volume (it asks for {claim.volume_mode})"
            yield "remove claimRef from the volume, so that the claim may get another one"
        case "PodCannotBeScheduled":
            yield "make a node that the pod can run on, or a volume that fits on such a node"
            yield from _for_want_of_a_volume(explanation, claim, misses)
        case "LostReference":
            yield "delete the claim; the data is still on its volume, whose claimRef names this claim"
        case "LostVolume":
            yield f"create volume {claim.volume_name} again with claimRef.uid {claim.uid}, if its storage still exists"
            yield "delete the claim and create it anew, if the data is not needed"
        case "Misbound":
            volume = snapshot.volume(claim.volume_name)
            if volume is not None and volume.claim_key == claim.key:
                yield (
                    f"set the uid in the volume's claimRef: kubectl patch pv {volume.name} --type=merge "
                    f'-p \'{{"spec":{{"claimRef":{{"uid":"{claim.uid}"}}}}}}\''
                )
            yield "delete this claim: the volume belongs to another"
        case "ClassIsBroken":
            yield f"create StorageClass {claim.storage_class} anew with a volumeBindingMode"
        case "SelectorIsBroken":
            yield "create the claim anew with a selector that can be read"
        case "ProtectedByPod":
            yield "delete the pods that use it, finished ones too"
        case "HeldByFinalizers":
            yield "see why whoever put the finalizer there hasn't removed it; removing it by hand skips its clean-up"
        case "Bound" | "WillBind" | "DefaultClassComes" | "IsGoingAway":
            return
        case "WaitsForFirstConsumer" | "WaitsForPodToBeScheduled":
            return
        case "VolumeIsBeingProvisioned" | "WaitsForExternalProvisioner":
            return
        case "ClaimMissing" | "ClaimIsAnothers":  # said of a pod; there is no claim to give advice for
            return
        case _:
            assert_never(explanation.reason)


def _for_want_of_a_volume(
    explanation: ClaimExplanation, claim: Claim, misses: Sequence[tuple[Volume, tuple[Misfit, ...]]]
) -> Iterator[str]:
    storage_class = explanation.storage_class
    if explanation.reason == "ProvisioningFails":
        yield "put right what the message above says; it is tried again by itself"
    if storage_class is not None and storage_class.driver_registered is False:
        driver = storage_class.driver or storage_class.provisioner
        yield f"install the driver {driver}: there is no CSIDriver object of that name"
    for volume, reasons in misses:
        kinds = {reason.reason for reason in reasons}
        if volume.is_released and kinds <= {"ClaimedByAnother", "NotAvailable"}:
            yield _free(volume)
            break
    yield f"add a volume with {_demands(claim)}"
    if explanation.reason == "ClassMissing":
        yield f"create StorageClass {claim.storage_class} with a provisioner"
    if explanation.reason == "NothingProvisions" and storage_class is not None:
        yield f"create StorageClass {storage_class.name} anew with a provisioner that exists"
    if explanation.reason == "ProvisioningDisabled":
        yield "start the binder with --enable-dynamic-provisioning"
    yield from _other_claims(claim, misses)


def _other_claims(claim: Claim, misses: Sequence[tuple[Volume, tuple[Misfit, ...]]]) -> Iterator[str]:
    """What another claim would have to ask for; the spec of an unbound claim can't be changed (VU-8)."""
    fits = [volume for volume, reasons in misses if {reason.reason for reason in reasons} == {"TooSmall"}]
    if fits:
        largest = max(fits, key=lambda volume: volume.size)
        yield f"create the claim anew with at most {largest.size} ({largest.name} fits then)"
    for volume, reasons in misses:
        match [reason.reason for reason in reasons]:
            case ["ClassDiffers"]:
                if volume.storage_class:
                    yield f"create the claim anew with class {volume.storage_class} ({volume.name} fits then)"
                else:
                    yield f'create the claim anew with storageClassName "" ({volume.name} fits then)'
            case ["AccessModesMissing"]:
                yield f"create the claim anew with {short_modes(volume.access_modes)} ({volume.name} fits then)"
            case ["LabelsDontMatch"]:
                yield f"label volume {volume.name} so that the claim's selector matches it"
            case ["VolumeModeDiffers"]:
                yield f"create the claim anew with volumeMode {volume.volume_mode} ({volume.name} fits then)"
            case _:
                continue


def _demands(claim: Claim) -> str:
    """What a volume for `claim` must be."""
    parts = [f"at least {claim.request}", short_modes(claim.access_modes)]
    if claim.volume_mode != "Filesystem":
        parts.append(f"volumeMode {claim.volume_mode}")
    parts.append(f"class {named(claim.storage_class)}" if claim.storage_class else "no class")
    if claim.attributes_class:
        parts.append(f"attributes class {claim.attributes_class}")
    if claim.selector is not None:
        parts.append("labels that match the selector")
    return ", ".join(part for part in parts if part)


def _free(volume: Volume) -> str:
    return (
        f"free volume {volume.name}, which still has the data of {volume.claim_key}: "
        f'kubectl patch pv {volume.name} --type=json -p \'[{{"op":"remove","path":"/spec/claimRef"}}]\''
    )
