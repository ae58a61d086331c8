"""The evidence of an explanation: notes on a claim's class, volumes, pods, node and events."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import UNSET, UnsetType

from pvbinder.insight.explanation import ClassNote, EventNote, NodeNote, PodNote, VolumeNote, VolumeReach, Wants
from pvbinder.insight.scheduling import nodes_for, shown_affinity
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import listed, why_not
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import decode, encode
from pvbinder.model.names import IN_TREE_PREFIX
from pvbinder.model.objects import Claim, Pod, StorageClass, Volume
from pvbinder.model.selectors import SelectorError
from pvbinder.rules.matching import Misfit, nearest_misses, selector_of

_EVENTS_SHOWN_MAX = 3
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_NOT_FOUND = re.compile(r'(storageclass|volumeattributesclass)[a-z.0-9]* "([^"]+)" not found')
_FAILED_STARTS = ("FailedAttachVolume", "FailedMount", "FailedMapVolume")


def other_volumes(claim: Claim, snapshot: Snapshot) -> list[tuple[Volume, tuple[Misfit, ...]]]:
    """Return every other volume with the reasons against it; a volume that would fit has none (delayed binding)."""
    try:
        misses = nearest_misses(snapshot.volumes, claim, settings=snapshot.settings)
        selector_of(claim)
    except SelectorError:
        return []
    if claim.volume_name:
        return [miss for miss in misses if miss[0].name == claim.volume_name]
    unfit = {volume.name for volume, _ in misses}
    fitting: list[tuple[Volume, tuple[Misfit, ...]]] = [
        (volume, ()) for volume in snapshot.volumes if volume.name not in unfit
    ]
    return sorted(fitting, key=lambda fit: (fit[0].size.nano, fit[0].name)) + misses


def volume_note(volume: Volume, reasons: tuple[Misfit, ...], snapshot: Snapshot, claim: Claim) -> VolumeNote:
    """Say why `volume` is not the claim's; without `reasons` it would fit once a pod uses the claim."""
    if not reasons:
        nodes = [node.name for node in snapshot.nodes() if _usable(volume, node.name, node.labels)]
        where = f" on {listed(sorted(nodes))}" if volume.node_affinity is not None and nodes else ""
        why = "fits" + where + ("; a pod must use the claim first" if claim.storage_class else "")
        if volume.node_affinity is not None and not nodes:
            why = "would fit, but no node matches its node affinity"
        return VolumeNote(name=volume.name, rule="FM-11", reason="WaitsForConsumer", why=why, wanted="", found="")
    first = reasons[0]
    codes = tuple(reason.reason for reason in reasons)
    return VolumeNote(
        name=volume.name,
        rule=first.rule,
        reason=first.reason,
        why=why_not(first),
        wanted=first.wanted,
        found=first.found,
        all_reasons=codes,
    )


def _usable(volume: Volume, node: str, labels: dict[str, str]) -> bool:
    return volume.node_affinity is None or volume.node_affinity.matches(labels, node)


def wants_of(claim: Claim) -> Wants:
    """Return the request of `claim`."""
    selector = ""
    if claim.selector is not None:
        selector = encode(claim.document()["spec"]["selector"]).decode()
    storage_class = claim.storage_class if claim.has_class else None
    modes = claim.access_modes
    return Wants(str(claim.request), modes, claim.volume_mode, storage_class, selector, claim.attributes_class)


def class_note(claim: Claim, snapshot: Snapshot) -> ClassNote | None:
    """Return the note on the class that `claim` names; None if it names none."""
    if not claim.storage_class:
        return None
    storage_class = snapshot.storage_class(claim.storage_class)
    if storage_class is None:
        return ClassNote(claim.storage_class, exists=False)
    provisioner = storage_class.provisioner
    driver = snapshot.settings.migrations.driver_of(provisioner) or provisioner  # MG-3
    may_be_csi = not driver.startswith(IN_TREE_PREFIX)
    return ClassNote(
        storage_class.name,
        exists=True,
        provisioner=provisioner,
        binding_mode=storage_class.volume_binding_mode or "",
        allow_expansion=bool(storage_class.allow_volume_expansion),
        driver=driver if driver != provisioner else "",
        default=_default(claim, storage_class),
        driver_registered=snapshot.driver(driver) is not None if may_be_csi and snapshot.knows("CSIDriver") else None,
    )


def _default(claim: Claim, storage_class: StorageClass) -> Literal["CameFromIt", "IsIt"] | UnsetType:
    """Whether the claim's class is the default class, and whether the claim got it by default."""
    if not storage_class.is_default:
        return UNSET
    applied = claim.annotations.get(LAST_APPLIED)
    if applied is None:
        return "IsIt"
    try:
        spec = decode(applied).get("spec")
    except PvbinderError:
        return "IsIt"
    return "IsIt" if isinstance(spec, dict) and spec.get("storageClassName") is not None else "CameFromIt"


def pod_note(pod: Pod, snapshot: Snapshot) -> PodNote:
    """Return the note on the state of `pod`."""
    problem = scheduling_problem(pod, snapshot) or starting_problem(pod, snapshot)
    return PodNote(pod.name, "Terminating" if pod.is_deleting else pod.phase, pod.node_name, problem)


def scheduling_problem(pod: Pod, snapshot: Snapshot) -> str:
    """Return why `pod` can't be scheduled, in the scheduler's words; ``""`` if nobody says so."""
    status = decode(pod.raw).get("status") or {}
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("message") or condition.get("reason") or "")
    if pod.is_scheduled:
        return ""
    told = snapshot.events_about("Pod", pod.namespace, pod.name, pod.uid)
    return next((event.message for event in reversed(told) if event.reason == "FailedScheduling"), "")


def starting_problem(pod: Pod, snapshot: Snapshot) -> str:
    """Return the problem that keeps `pod`, which has a node, from its volumes, as its event says it; ``""`` if none."""
    if not pod.is_scheduled or pod.is_terminated or pod.phase == "Running":
        return ""
    told = snapshot.events_about("Pod", pod.namespace, pod.name, pod.uid)
    return next((event.message for event in reversed(told) if event.reason in _FAILED_STARTS), "")


def node_note(claim: Claim, snapshot: Snapshot) -> NodeNote | None:
    """Return the node that the scheduler chose for `claim`, while that matters."""
    if claim.selected_node is None or claim.volume_name:
        return None
    return NodeNote(claim.selected_node, exists=snapshot.node(claim.selected_node) is not None)


def event_notes(claim: Claim, snapshot: Snapshot) -> tuple[EventNote, ...]:
    """Return the latest events about `claim`."""
    return notes_about("PersistentVolumeClaim", claim.namespace, claim.name, claim.uid, snapshot)


def notes_about(kind: str, namespace: str, name: str, uid: str, snapshot: Snapshot) -> tuple[EventNote, ...]:
    """Return the latest events about an object, each text only once."""
    found = snapshot.events_about(kind, namespace, name, uid)
    told: dict[tuple[str, str, str], EventNote] = {}
    for each in found:  # the oldest first: a repeated event is as new as its last time
        before = told.pop((each.type, each.reason, each.message), None)
        count = (each.count or 1) + (before.count if before is not None else 0)
        told[each.type, each.reason, each.message] = EventNote(each.type, each.reason, each.message, each.time, count)
    return tuple(list(told.values())[-_EVENTS_SHOWN_MAX:])


def latest_event(claim: Claim, snapshot: Snapshot, reasons: set[str]) -> EventNote | None:
    """Return the last event about `claim` with one of `reasons`."""
    found = snapshot.events_about("PersistentVolumeClaim", claim.namespace, claim.name, claim.uid)
    for event in reversed(found):
        if event.reason in reasons:
            return EventNote(event.type, event.reason, event.message, event.time, event.count or 1)
    return None


def provisioning_failure(claim: Claim, snapshot: Snapshot) -> str:
    """Return what the last attempt to make a volume failed with; ``""`` if it didn't, or if that is out of date.

    A failure for want of a class is out of date when the class is there: it was made later.
    """
    last = latest_event(claim, snapshot, {"ProvisioningFailed", "ProvisioningSucceeded"})
    if last is None or last.reason != "ProvisioningFailed":
        return ""
    missing = _NOT_FOUND.search(last.message)
    if missing is None:
        return last.message
    kind, name = missing.groups()
    found = snapshot.storage_class(name) if kind.startswith("storageclass") else snapshot.attributes_class(name)
    return last.message if found is None else ""


def reach_of(claim: Claim, snapshot: Snapshot) -> VolumeReach | UnsetType:
    """Return the reach of the claim's own volume; unset if it has none, or one that can be used everywhere."""
    volume = snapshot.volume(claim.volume_name) if claim.volume_name else None
    return reach_of_volume(volume, snapshot) if volume is not None else UNSET


def reach_of_volume(volume: Volume, snapshot: Snapshot) -> VolumeReach | UnsetType:
    """Return the reach of `volume`; unset if it can be used everywhere."""
    if volume.node_affinity is None:
        return UNSET
    names = tuple(sorted(node.name for node in nodes_for(volume, snapshot)))
    return VolumeReach(shown_affinity(volume), names, snapshot.knows("Node"))
