"""The evidence of an explanation: what is known of a claim's class, volumes, pods, node and events, as notes."""

from __future__ import annotations

from pvbinder.insight.explanation import ClassNote, EventNote, NodeNote, PodNote, VolumeNote, Wants
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import listed, why_not
from pvbinder.model.json import decode, encode
from pvbinder.model.names import IN_TREE_PREFIX
from pvbinder.model.objects import Claim, Pod, Volume
from pvbinder.model.selectors import SelectorError
from pvbinder.rules.matching import Misfit, nearest_misses, selector_of

_EVENTS_SHOWN_MAX = 3


def other_volumes(claim: Claim, snapshot: Snapshot) -> list[tuple[Volume, tuple[Misfit, ...]]]:
    """Return every volume that is not the claim's, with its reasons; one that would fit has none (delayed binding)."""
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
    """Say what `claim` asks for."""
    selector = ""
    if claim.selector is not None:
        selector = encode(claim.document()["spec"]["selector"]).decode()
    storage_class = claim.storage_class if claim.has_class else None
    modes = claim.access_modes
    return Wants(str(claim.request), modes, claim.volume_mode, storage_class, selector, claim.attributes_class)


def class_note(claim: Claim, snapshot: Snapshot) -> ClassNote | None:
    """Say what is known of the class that `claim` names; None if it names none."""
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
        driver_registered=driver in snapshot.drivers if may_be_csi and snapshot.knows_drivers else None,
    )


def pod_note(pod: Pod) -> PodNote:
    """Say where `pod` is."""
    return PodNote(pod.name, "Terminating" if pod.is_deleting else pod.phase, pod.node_name, scheduling_problem(pod))


def scheduling_problem(pod: Pod) -> str:
    """Return why `pod` can't be scheduled, in the scheduler's words; ``""`` if nobody says so."""
    status = decode(pod.raw).get("status") or {}
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("message") or condition.get("reason") or "")
    return ""


def node_note(claim: Claim, snapshot: Snapshot) -> NodeNote | None:
    """Say which node the scheduler chose for `claim`, while that matters."""
    if claim.selected_node is None or claim.volume_name:
        return None
    return NodeNote(claim.selected_node, exists=snapshot.node(claim.selected_node) is not None)


def event_notes(claim: Claim, snapshot: Snapshot) -> tuple[EventNote, ...]:
    """Return what was last told about `claim`."""
    found = snapshot.events_about("PersistentVolumeClaim", claim.namespace, claim.name, claim.uid)
    latest = list(found)[-_EVENTS_SHOWN_MAX:]
    return tuple(EventNote(each.type, each.reason, each.message, each.time, each.count or 1) for each in latest)


def latest_event(claim: Claim, snapshot: Snapshot, reasons: set[str]) -> EventNote | None:
    """Return the last event about `claim` with one of `reasons`."""
    found = snapshot.events_about("PersistentVolumeClaim", claim.namespace, claim.name, claim.uid)
    for event in reversed(found):
        if event.reason in reasons:
            return EventNote(event.type, event.reason, event.message, event.time, event.count or 1)
    return None
