"""The growth of a bound claim, and the change of its volume's attributes, as far as they are not over."""

from __future__ import annotations

from typing import Final, assert_never

from pvbinder.insight.bound_claim import stuck_with, what_it_has
from pvbinder.insight.evidence import latest_event
from pvbinder.insight.explanation import Finding
from pvbinder.insight.provisioning import attributes_class_problem
from pvbinder.insight.remedies import Do, Kubectl, Remedy, merge
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import listed
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Volume
from pvbinder.rules.csi.claim_progress import progress_of
from pvbinder.rules.csi.modifying import IN_PROGRESS, INFEASIBLE, MODIFY_ERROR, MODIFYING
from pvbinder.rules.csi.resize_writes import CONTROLLER_ERROR
from pvbinder.rules.csi.resizing import CONTROLLER_IN_PROGRESS, CONTROLLER_INFEASIBLE
from pvbinder.rules.expansion import (
    FILE_SYSTEM_RESIZE_PENDING,
    ForgetOldCapacity,
    Grow,
    HandToDriver,
    MarkForNode,
    NotBoundToEachOther,
    NoteOldCapacity,
    NothingToExpand,
    WaitForExternal,
    decide_expansion,
)

ONLY_OFFLINE: Final = "only supports offline expansion"  # as the resizer tells of a volume in use (RS-8)
STILL_MODIFYING: Final = "Still modifying to VAC"  # as it tells of a call that may be running (VM-9)

# ------------------------------------------------------------------------------------------------ growing


def growth(claim: Claim, volume: Volume, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
    """Say how far the growth of the claim is, unless it has what it asks for."""
    if claim.status_capacity is None or claim.request <= claim.status_capacity:
        return None
    summary = f"{what_it_has(claim, volume)} and waits to grow to {claim.request}"
    decision = decide_expansion(claim, volume, snapshot.settings.migrations)
    match decision:
        case HandToDriver(driver=driver):
            grower, rule = driver, "EX-5"
        case WaitForExternal() if volume.csi is not None:
            grower, rule = volume.csi.driver or "", "EX-6"
        case WaitForExternal():
            return _nobody_grows(
                claim, volume, (*rules, "EX-6"), summary, f"nobody grows {volume.source or 'such'} volumes"
            )
        case (
            NotBoundToEachOther() | NothingToExpand() | ForgetOldCapacity() | Grow() | MarkForNode() | NoteOldCapacity()
        ):
            then = "it grows when the controllers and its node have done their part"
            return _growing(summary, then, (*rules, "EX-9"), volume)
        case _:
            assert_never(decision)
    rules = (*rules, rule)
    return (
        _growth_failed(claim, volume, rules, summary, snapshot)
        or _growth_on_node(claim, volume, rules, summary, snapshot)
        or _growth_at_work(claim, volume, rules, summary, grower)
        or (
            _nobody_grows(claim, volume, rules, summary, f"there is no CSIDriver {grower}")
            if snapshot.knows("CSIDriver") and snapshot.driver(grower) is None
            else _growing(summary, f"the resizer of {grower} grows it, if it is running", rules, volume)
        )
    )


def _growing(summary: str, then: str, rules: tuple[str, ...], volume: Volume) -> Finding:
    return Finding(
        verdict="Bound",
        reason="Bound",
        rules=rules,
        summary=summary,
        next=then,
        volume=volume.name,
        with_volumes=False,
    )


def _nobody_grows(claim: Claim, volume: Volume, rules: tuple[str, ...], summary: str, why: str) -> Finding:
    remedies: list[Remedy] = [
        Do(f"create another claim with {claim.request} and move the data there"),
    ]
    if volume.csi is None:
        remedies.append(
            Do("leave it as it is, if its storage is that large already: only the number in the status differs")
        )
    else:
        remedies.insert(0, Do(f"install {volume.csi.driver} with its resizer"))
    return stuck_with("NobodyGrows", rules, summary, volume, *remedies, then=f"nothing: {why}")


def _growth_failed(
    claim: Claim, volume: Volume, rules: tuple[str, ...], summary: str, snapshot: Snapshot
) -> Finding | None:
    status = claim.document().get("status") or {}
    progress = progress_of(claim)
    condition = _condition(status, CONTROLLER_ERROR) or _condition(status, "NodeResizeError")
    event = latest_event(claim, snapshot, {"VolumeResizeFailed", "VolumeResizeSuccessful", "FileSystemResizeRequired"})
    told = event.message if event is not None and event.reason == "VolumeResizeFailed" else ""
    if not (condition or told or progress.resize_state.endswith("Infeasible")):
        return None
    why = told.rpartition('" failed: ')[2] or str((condition or {}).get("message") or progress.resize_state)
    remedies = [Do("put right what the message above says; it is tried again by itself")]
    pods = sorted(pod.name for pod in snapshot.pods_of(claim.key) if not pod.is_terminated)
    if ONLY_OFFLINE in why and pods:
        remedies = [Do(f"stop pod {listed(pods)}: the driver expands only what nobody uses")]
    smaller = f"ask for less than {claim.request}, but more than {claim.status_capacity}, if that much is possible"
    if progress.resize_state == CONTROLLER_IN_PROGRESS and condition is None:
        goal = progress.allocated if progress.allocated is not None else claim.request
        smaller += f": tried when the driver has answered for good, as it may still be growing it to {goal}"
    remedies.append(Do(smaller))
    then = "it is tried again and again, with growing pauses"
    if progress.resize_state == CONTROLLER_INFEASIBLE:
        then = "it is tried again after the longest pause, or at once when the claim asks for another size"
    return stuck_with(
        "GrowthFails", (*rules, "RS-14", "RF-1"), f"{summary}, which failed: {why}", volume, *remedies, then=then
    )


def _growth_at_work(claim: Claim, volume: Volume, rules: tuple[str, ...], summary: str, grower: str) -> Finding | None:
    """Say that the resizer has begun, and with which size: after a smaller request it is the larger one (RF-2)."""
    progress = progress_of(claim)
    if progress.resize_state != CONTROLLER_IN_PROGRESS:
        return None
    goal = progress.allocated if progress.allocated is not None else claim.request
    first = f", and is being expanded to {goal} first" if goal != claim.request else ""
    then = f"the claim goes on when {grower} has expanded volume {volume.name} to {goal}"
    return _growing(f"{summary}{first}", then, (*rules, "RS-7"), volume)


def _growth_on_node(
    claim: Claim, volume: Volume, rules: tuple[str, ...], summary: str, snapshot: Snapshot
) -> Finding | None:
    status = claim.document().get("status") or {}
    if _condition(status, FILE_SYSTEM_RESIZE_PENDING) is None:
        return None
    running = [pod for pod in snapshot.pods_of(claim.key) if pod.phase == "Running" and not pod.is_terminated]
    if running:
        names = listed(sorted(pod.name for pod in running))
        return _growing(summary, f"the kubelet grows its file system where pod {names} runs", (*rules, "RS-12"), volume)
    return stuck_with(
        "GrowthWaitsForPod",
        (*rules, "RS-12"),
        f"{summary}; the volume has grown, its file system grows when a pod uses it, and none runs",
        volume,
        Do(f"start a pod that uses claim {claim.name}"),
        then="the kubelet grows the file system as soon as a pod uses the claim",
    )


def _condition(status: Json, type_: str) -> Json | None:
    for each in status.get("conditions") or []:
        if isinstance(each, dict) and each.get("type") == type_ and each.get("status") == "True":
            return each
    return None


# ------------------------------------------------------------------------------------------------ attributes


def modification(claim: Claim, volume: Volume, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
    """Say how far the change of the volume's attributes is, unless it has those that are wanted."""
    progress = progress_of(claim).modification
    wanted, has = claim.attributes_class, claim.current_attributes_class or volume.attributes_class
    is_at_work = progress is not None and progress.status == IN_PROGRESS
    if (not wanted and not is_at_work) or (wanted == has and progress is None):
        return None
    target = progress.target_volume_attributes_class_name if progress is not None else ""
    if not wanted:
        summary = f"{what_it_has(claim, volume)} and is being changed to attributes class {target}"
    elif wanted == has:
        summary = f"{what_it_has(claim, volume)} and goes back to attributes class {wanted}"
    else:
        summary = f"{what_it_has(claim, volume)} and waits for attributes class {wanted} instead of {has or 'none'}"
    back = merge("pvc", claim, {"spec": {"volumeAttributesClassName": has}}, f"go back to {has}")
    backwards = [back] if has and has != wanted else []
    if volume.csi is None:
        return stuck_with(
            "NobodyModifies",
            (*rules, "VM-1"),
            summary,
            volume,
            *backwards,
            Do(f"create another claim with attributes class {wanted} and move the data there"),
            then=f"nothing: nobody changes the attributes of {volume.source or 'such'} volumes, only CSI drivers do",
        )
    driver = volume.csi.driver or ""
    problem = attributes_class_problem(claim, driver, rules, snapshot)
    if problem is not None:
        return stuck_with(
            problem.reason,
            (*rules, "VM-5"),
            f"{summary}; {problem.summary}",
            volume,
            *backwards,
            *(each for each in problem.remedies if isinstance(each, Do)),
            then="the resizer looks again by and by",
        )
    failed = _modification_failed(claim, volume, (*rules, "VM-9"), summary, snapshot, backwards)
    if failed is not None:
        return failed
    if is_at_work:
        first = f", and is being changed to {target} first" if wanted and target != wanted else ""
        then = f"the claim goes on when {driver} has changed volume {volume.name} to {target}"
        return _growing(f"{summary}{first}", then, (*rules, "VM-6"), volume)
    if snapshot.knows("CSIDriver") and snapshot.driver(driver) is None:
        return stuck_with(
            "NobodyModifies",
            (*rules, "VM-1"),
            summary,
            volume,
            Do(f"install {driver} with its resizer"),
            *backwards,
            then=f"nothing: there is no CSIDriver {driver}",
        )
    return _growing(summary, f"the resizer of {driver} changes it, if it is running", (*rules, "VM-1"), volume)


def _modification_failed(
    claim: Claim,
    volume: Volume,
    rules: tuple[str, ...],
    summary: str,
    snapshot: Snapshot,
    backwards: list[Kubectl],
) -> Finding | None:
    status = claim.document().get("status") or {}
    progress = progress_of(claim).modification
    condition = _condition(status, MODIFY_ERROR)
    event = latest_event(claim, snapshot, {"VolumeModifyFailed", "VolumeModifySuccessful"})
    told = event.message if event is not None and event.reason == "VolumeModifyFailed" else ""
    is_infeasible = progress is not None and progress.status == INFEASIBLE
    if not (condition or told or is_infeasible):
        return None
    target = progress.target_volume_attributes_class_name if progress is not None else ""
    if is_infeasible and target and target != claim.attributes_class:
        return None  # another one is wanted by now: what failed is no obstacle
    modifying = _condition(status, MODIFYING)
    if modifying is not None and str(modifying.get("message") or "").endswith(" is in progress."):
        return None  # begun anew: the error is that of the try before
    why = str((condition or {}).get("message") or told or "the driver says that it is infeasible")
    driver = (volume.csi.driver if volume.csi is not None else None) or "its driver"
    another = f"name an attributes class that {driver} can change the volume to"
    if STILL_MODIFYING in told:
        another += f": tried when the driver has answered for good, as it may still be changing it to {target}"
    then = "it is tried again and again, with growing pauses"
    if is_infeasible:
        then = "it is tried again after the longest pause, or at once when the claim names another class"
    return stuck_with(
        "ModificationFails",
        rules,
        f"{summary}, which failed: {why}",
        volume,
        *backwards,
        Do(another),
        then=then,
    )
