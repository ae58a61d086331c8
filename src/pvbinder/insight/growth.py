"""The growth of a bound claim, and the change of its volume's attributes, as far as they are not over."""

from __future__ import annotations

from typing import assert_never

from pvbinder.insight.bound_claim import stuck_with, what_it_has
from pvbinder.insight.evidence import latest_event
from pvbinder.insight.explanation import Finding
from pvbinder.insight.provisioning import attributes_class_problem
from pvbinder.insight.remedies import Do, Remedy, merge
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import listed
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Volume
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

# ------------------------------------------------------------------------------------------------ growing


def growth(claim: Claim, volume: Volume, rules: tuple[str, ...], snapshot: Snapshot) -> Finding | None:
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
    state = str((status.get("allocatedResourceStatuses") or {}).get("storage") or "")
    condition = _condition(status, "ControllerResizeError") or _condition(status, "NodeResizeError")
    event = latest_event(claim, snapshot, {"VolumeResizeFailed", "VolumeResizeSuccessful", "FileSystemResizeRequired"})
    told = event.message if event is not None and event.reason == "VolumeResizeFailed" else ""
    if not (condition or told or state.endswith("Infeasible")):
        return None
    why = str((condition or {}).get("message") or told or state)
    smaller = f"ask for less than {claim.request}, but more than {claim.status_capacity}, if that much is possible"
    return stuck_with(
        "GrowthFails",
        (*rules, "RS-14"),
        f"{summary}, which failed: {why}",
        volume,
        Do("put right what the message above says; it is tried again by itself"),
        Do(smaller),
        then="it is tried again and again, with growing pauses",
    )


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
    wanted, has = claim.attributes_class, claim.current_attributes_class or volume.attributes_class
    if not wanted or wanted == has:
        return None
    summary = f"{what_it_has(claim, volume)} and waits for attributes class {wanted} instead of {has or 'none'}"
    back = merge("pvc", claim, {"spec": {"volumeAttributesClassName": has}}, f"go back to {has}") if has else None
    backwards = [back] if back is not None else []
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
    problem = attributes_class_problem(claim, volume.csi.driver or "", rules, snapshot)
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
    status = claim.document().get("status") or {}
    failed = _condition(status, "ModifyVolumeError")
    event = latest_event(claim, snapshot, {"VolumeModifyFailed", "VolumeModifySuccessful"})
    told = event.message if event is not None and event.reason == "VolumeModifyFailed" else ""
    infeasible = (status.get("modifyVolumeStatus") or {}).get("status") == "Infeasible"
    if failed or told or infeasible:
        why = str((failed or {}).get("message") or told or "the driver says that it is infeasible")
        return stuck_with(
            "ModificationFails",
            (*rules, "VM-9"),
            f"{summary}, which failed: {why}",
            volume,
            *backwards,
            Do(f"name an attributes class that {volume.csi.driver} can change the volume to"),
            then="it is tried again and again, with growing pauses",
        )
    if snapshot.knows("CSIDriver") and snapshot.driver(volume.csi.driver or "") is None:
        return stuck_with(
            "NobodyModifies",
            (*rules, "VM-1"),
            summary,
            volume,
            Do(f"install {volume.csi.driver} with its resizer"),
            *backwards,
            then=f"nothing: there is no CSIDriver {volume.csi.driver}",
        )
    return _growing(
        summary, f"the resizer of {volume.csi.driver} changes it, if it is running", (*rules, "VM-1"), volume
    )
