"""The reason why a claim isn't bound: the binder's decision in words, and the next controller's part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from pvbinder.insight.evidence import provisioning_failure, scheduling_problem
from pvbinder.insight.explanation import Finding, ReasonCode, on_its_way, stuck
from pvbinder.insight.provisioning import (
    external_refusal,
    plugin_refusal,
    silence,
    volumes_on_no_node,
)
from pvbinder.insight.remedies import Do, Kubectl, RecreatePod, Remedy, merge, remove, volume_for
from pvbinder.insight.restores import restore_problem
from pvbinder.insight.scheduling import fits_on_a_node, foretold
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.unplaced import gates_of, is_nowhere, other_scheduler, ways_to_a_node
from pvbinder.insight.wording import listed, nearest
from pvbinder.model.names import SELECTED_NODE
from pvbinder.model.objects import Claim, Pod, Volume
from pvbinder.rules.claims import Fail, FailReason, Provision, Wait, WaitReason
from pvbinder.rules.csi.refusals import INFEASIBLE
from pvbinder.rules.matching import choose_for_node
from pvbinder.rules.provisioning import (
    CannotProvision,
    NoProvisionerReason,
    ProvisionInTree,
    ProvisionOutside,
    decide_provisioning,
    volume_name_for,
)
from pvbinder.rules.satisfy import unsuitabilities

DELAYED = ("SC-U5", "DB-2")
HOSTNAME = "kubernetes.io/hostname"


def provisioning(claim: Claim, action: Provision, snapshot: Snapshot) -> Finding:
    """Name the provisioner of `claim`, or the reason why there is none."""
    match action.by:
        case CannotProvision():
            return _no_provisioner(claim, action, action.by, snapshot)
        case ProvisionOutside(provisioner=provisioner, rule=rule):
            going = on_its_way(
                "WaitsForExternalProvisioner",
                (action.rule, rule),
                f"no volume fits it; the external provisioner {provisioner} has to make one",
                f"{provisioner} makes a volume, if it is running and sees the claim",
            )
        case ProvisionInTree(plugin=plugin, rule=rule):
            going = on_its_way(
                "VolumeIsBeingProvisioned",
                (action.rule, rule),
                f"no volume fits it; {plugin.name} makes one",
                f"a volume is provisioned by {plugin.name} and bound",
            )
        case _:
            assert_never(action.by)
    made = snapshot.volume(volume_name_for(claim))
    if made is not None and made.claim_uid == claim.uid:
        # A volume of this name is never made twice (PR-9), so nothing goes on by itself.
        summary = f"volume {made.name} was provisioned for it and doesn't fit it"
        return stuck("ProvisionedVolumeUnsuitable", going.rules, summary)
    match action.by:
        case ProvisionOutside(provisioner=provisioner):
            refused = external_refusal(claim, provisioner, going.rules, snapshot)
        case ProvisionInTree(storage_class=storage_class, plugin=plugin):
            refused = plugin_refusal(claim, storage_class, plugin, going.rules, snapshot)
        case _:
            assert_never(action.by)
    if isinstance(action.by, ProvisionOutside):
        unready = restore_problem(claim, going.rules, snapshot)
        if unready is not None:
            return unready
    if failure := provisioning_failure(claim, snapshot):  # an event counts before a foretold refusal
        rules, remedies = (refused.rules, refused.remedies) if refused is not None else (going.rules, ())
        then = "it is tried again and again, with growing pauses"
        if failure.startswith(INFEASIBLE):
            failure = failure.removeprefix(INFEASIBLE).lstrip()
            rules = (*rules, "LB-20")
            then = "it is tried again after some minutes, or sooner when its class is made anew"
        summary = f"no volume fits it and provisioning one failed: {failure}"
        return stuck("ProvisioningFails", rules, summary, *remedies, then=then)
    if refused is not None:
        return refused
    if isinstance(action.by, ProvisionOutside):
        return silence(claim, action.by.provisioner, going.rules, snapshot) or going
    return going


def _no_provisioner(claim: Claim, action: Provision, by: CannotProvision, snapshot: Snapshot) -> Finding:
    rules = (action.rule, by.rule)
    match by.reason:
        case NoProvisionerReason.SWITCHED_OFF:
            return stuck(
                "ProvisioningDisabled",
                rules,
                "no volume fits it and dynamic provisioning is switched off",
                then="nothing, until a volume that fits appears",
            )
        case NoProvisionerReason.CLASS_MISSING:
            near = nearest(claim.storage_class, (each.name for each in snapshot.storage_classes()))
            summary = f'no volume fits it and there is no StorageClass "{claim.storage_class}"'
            return stuck("ClassMissing", rules, summary + (f" (did you mean {near}?)" if near else ""))
        case NoProvisionerReason.NO_PLUGIN:
            summary = "no volume fits it and nothing will provision one"
            return stuck(
                "NothingProvisions", rules, summary + (f": {by.event.message}" if by.event is not None else "")
            )
        case _:
            assert_never(by.reason)


# ------------------------------------------------------------------------------------------------ waiting


def waiting(claim: Claim, action: Wait, snapshot: Snapshot) -> Finding:
    """Name the event that `claim` waits for, and whether it comes by itself."""
    match action.reason:
        case WaitReason.NO_CONSUMER:
            return _first_consumer(claim, snapshot)
        case WaitReason.NAMED_VOLUME_MISSING:
            name = claim.volume_name
            near = nearest(name, (volume.name for volume in snapshot.volumes))
            return stuck(
                "NamedVolumeMissing",
                (action.rule,),
                f"it names volume {name}, which doesn't exist" + (f" (did you mean {near}?)" if near else ""),
                then=f"it binds as soon as a fitting volume called {name} appears",
                volume=name,
                with_volumes=False,
            )
        case WaitReason.NAMED_VOLUME_UNSUITABLE:
            volume = snapshot.volume(claim.volume_name)
            assert volume is not None
            found = unsuitabilities(volume, claim, snapshot.settings)
            why = ", ".join(each.message for each in found)
            rules = (action.rule, *(each.rule for each in found))
            return _named(claim, "NamedVolumeUnsuitable", rules, f"won't do: {why}")
        case WaitReason.NAMED_VOLUME_TAKEN:
            return taken(claim, action, snapshot)
        case WaitReason.NOTHING_FITS:
            no_default = "" if claim.has_class else ", and no StorageClass is the default"
            return stuck(
                "NoVolumeFits",
                (action.rule,),
                f"no volume fits it and nothing will provision one, as it has no class{no_default}",
                then="it binds as soon as a volume without a class that fits appears",
            )
        case _:
            assert_never(action.reason)


def _first_consumer(claim: Claim, snapshot: Snapshot) -> Finding:
    """The wait for a first consumer: is there a pod, does the scheduler see it, can a node have its storage?"""
    pods = [pod for pod in snapshot.pods_of(claim.key) if not pod.is_terminated]
    unscheduled = [pod for pod in pods if not pod.is_scheduled]
    if pods and not unscheduled:
        return _bypassed(claim, pods, snapshot)
    no_storage = _no_storage(claim, snapshot)
    if no_storage is not None:
        return no_storage
    if not unscheduled:
        return on_its_way(
            "WaitsForFirstConsumer",
            DELAYED,
            f"class {claim.storage_class} waits for a pod that uses the claim",
            "when a pod uses it, the scheduler picks a node and a volume is chosen or made for that node",
        )
    ready = [pod for pod in unscheduled if not gates_of(pod)]
    if not ready:
        return _gated(unscheduled)
    unscheduled = ready
    names = listed(sorted(pod.name for pod in unscheduled))
    problem = next((found for pod in unscheduled if (found := scheduling_problem(pod, snapshot))), "")
    if not problem:
        decisions = [foretold(pod, snapshot) for pod in unscheduled]
        problem = decisions[0].message if decisions[0] is not None and None not in decisions else ""
    if problem:
        return stuck(
            "PodCannotBeScheduled",
            DELAYED,
            f"it waits for pod {names}, which can't be scheduled: {problem}",
            *ways_to_a_node(unscheduled[0], snapshot),
            then="the scheduler tries again when nodes, volumes or pods change",
        )
    others = sorted({name for pod in unscheduled if (name := other_scheduler(pod))})
    if others:
        return on_its_way(
            "WaitsForPodToBeScheduled",
            DELAYED,
            f"it waits for scheduler {listed(others)}, which pod {names} names, to pick a node",
            f"a volume is chosen or made for that node; whether {listed(others)} runs isn't known here",
        )
    return on_its_way(
        "WaitsForPodToBeScheduled",
        DELAYED,
        f"it waits for the scheduler to pick a node for pod {names}",
        "a volume is chosen or made for that node; if no node is picked, no scheduler is running",
    )


def _gated(pods: list[Pod]) -> Finding:
    """The finding that scheduling gates keep all pods that use it from the scheduler."""
    pod = min(pods, key=lambda each: each.name)
    gates = gates_of(pod)
    return stuck(
        "PodIsGated",
        DELAYED,
        f"it waits for pod {listed(sorted(each.name for each in pods))}, and the scheduler leaves a pod alone until "
        f"its gates are removed: {listed(gates)}",
        Do(f"see to it that whoever set {listed(gates)} removes that"),
        remove("pod", pod, "/spec/schedulingGates", "remove the gates yourself"),
        then="once the gates are gone, the scheduler picks a node",
    )


def _bypassed(claim: Claim, pods: list[Pod], snapshot: Snapshot) -> Finding:
    """The finding that its pods name their node and bypass the scheduler, which selects the claim's node (DB-1)."""
    pod = min(pods, key=lambda each: (is_nowhere(each, snapshot), each.name))
    names = listed(sorted(each.name for each in pods))
    nowhere = "; nor is there such a node" if is_nowhere(pod, snapshot) else ""
    return stuck(
        "PodBypassesScheduler",
        (*DELAYED, "DB-1"),
        f"it waits for the scheduler to choose a node, and pod {names} has spec.nodeName {pod.node_name} already, "
        f"so that the scheduler never sees it{nowhere or _and_no_storage(claim, pod, snapshot)}",
        *_around_the_scheduler(claim, pod, snapshot),
    )


def _around_the_scheduler(claim: Claim, pod: Pod, snapshot: Snapshot) -> Iterator[Remedy]:
    node = snapshot.node(pod.node_name)
    label = node.labels.get(HOSTNAME, pod.node_name) if node is not None else pod.node_name
    owner = next((each for each in pod.owner_references if each.controller), None)
    if is_nowhere(pod, snapshot):
        yield RecreatePod(
            pod=pod.key,
            without=("spec.nodeName",),
            owner=f"{owner.kind} {owner.name}" if owner is not None else "",
            because="the scheduler then picks a node that exists, and has the claim bound",
        )
        return
    volume = choose_for_node(snapshot.volumes, claim, node, settings=snapshot.settings)
    if volume is None and not _provisions(claim, snapshot):
        yield volume_for(claim, node=pod.node_name, keeps_uid=True)  # no storage to choose from
        return
    yield RecreatePod(
        pod=pod.key,
        without=("spec.nodeName",),
        node_selector={HOSTNAME: label},
        owner=f"{owner.kind} {owner.name}" if owner is not None else "",
        because="the scheduler then picks the node and has the claim bound",
    )
    if volume is not None and node is not None:
        reference = {"namespace": claim.namespace, "name": claim.name}
        yield merge("pv", volume, {"spec": {"claimRef": reference}}, f"reserve volume {volume.name} for it")
    storage_class = snapshot.storage_class(claim.storage_class)
    if storage_class is not None and _provisions(claim, snapshot):
        yield Kubectl(
            "select the node yourself",
            ("annotate", "pvc", claim.name, "-n", claim.namespace, f"{SELECTED_NODE}={pod.node_name}"),
        )


def _and_no_storage(claim: Claim, pod: Pod, snapshot: Snapshot) -> str:
    node = snapshot.node(pod.node_name)
    volume = choose_for_node(snapshot.volumes, claim, node, settings=snapshot.settings)
    return "" if volume is not None or _provisions(claim, snapshot) else "; nor is there a volume that fits"


def _provisions(claim: Claim, snapshot: Snapshot) -> bool:
    return not isinstance(decide_provisioning(claim, snapshot, snapshot.settings), CannotProvision)


def _no_storage(claim: Claim, snapshot: Snapshot) -> Finding | None:
    """The finding that no node can have a volume for `claim`, whatever its pod asks for."""
    if fits_on_a_node(claim, snapshot):
        return None
    storage_class = snapshot.storage_class(claim.storage_class)
    assert storage_class is not None, "what waits for a consumer has a class"
    by = decide_provisioning(claim, snapshot, snapshot.settings)
    match by:
        case ProvisionOutside(provisioner=provisioner, rule=rule):
            refused = external_refusal(claim, provisioner, (*DELAYED, rule), snapshot)
        case ProvisionInTree(plugin=plugin, rule=rule):
            refused = plugin_refusal(claim, storage_class, plugin, (*DELAYED, rule), snapshot)
        case CannotProvision(rule=rule):
            refused = volumes_on_no_node(claim, (*DELAYED, rule), snapshot)
        case _:
            assert_never(by)
    return refused


# ------------------------------------------------------------------------------------------------ failures


def failing(claim: Claim, action: Fail, snapshot: Snapshot) -> Finding:
    """Name the fault of `claim`."""
    match action.reason:
        case FailReason.CLASS_IS_BROKEN:
            return stuck("ClassIsBroken", (action.rule,), action.message, then="the same again", with_volumes=False)
        case FailReason.SELECTOR_IS_BROKEN:
            return stuck("SelectorIsBroken", (action.rule,), action.message, then="the same again", with_volumes=False)
        case FailReason.BOUND_VOLUME_TAKEN:
            return taken(claim, action, snapshot)
        case _:
            assert_never(action.reason)


def taken(claim: Claim, action: Wait | Fail, snapshot: Snapshot) -> Finding:
    """Name the claim that has the volume that `claim` names."""
    volume = snapshot.volume(claim.volume_name)
    assert volume is not None
    return _named(claim, "NamedVolumeTaken", (action.rule,), f"is {holder_of(volume, claim)}")


def holder_of(volume: Volume, claim: Claim) -> str:
    """Name the owner of `volume`, seen from `claim`: another claim, or an earlier one of the same name."""
    key = volume.claim_key or ""
    if key == claim.key and volume.claim_uid not in ("", claim.uid):
        return f"reserved for an earlier claim {key} (uid {volume.claim_uid}), which is gone"
    return f"bound to or reserved for {key}"


def _named(claim: Claim, reason: ReasonCode, rules: tuple[str, ...], why: str) -> Finding:
    name = claim.volume_name
    return stuck(
        reason,
        rules,
        f"it names volume {name}, which {why}",
        then=f"it binds as soon as volume {name} is free and fits",
        volume=name,
    )
