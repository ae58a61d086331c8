"""Findings about volumes (2xx): released, failed, held, out of reach, and those that nobody can ever have."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from pvbinder.audit.finding import Evidence, Finding, FindingLevel, of_claim, of_pod, of_volume
from pvbinder.audit.survey import Survey, kept_on_purpose
from pvbinder.insight.finalizers import shown_finalizers
from pvbinder.insight.instants import how_long
from pvbinder.insight.remedies import Do, Kubectl, Remedy, merge, remove
from pvbinder.insight.scheduling import shown_affinity
from pvbinder.insight.wording import why_not
from pvbinder.model.objects import Claim, Volume
from pvbinder.rules.matching import Misfit, is_usable_on, misfits, modes_differ
from pvbinder.rules.migration import is_migrated
from pvbinder.rules.reclaim import CannotDelete, Leave, RefusePolicy, StartDeleting, decide_reclaim, find_deleter

_FAILURES = frozenset({"VolumeFailedDelete", "VolumeFailedRecycle", "VolumeDeleteFailed"})


def volume_findings(survey: Survey) -> Iterator[Finding]:
    """Yield what is wrong with each volume."""
    for volume in survey.snapshot.volumes:
        if volume.is_deleting:
            yield _going(volume, survey)
        elif volume.is_released or volume.phase == "Bound":
            yield from _had(volume, survey)
        else:
            yield from _never_bindable(volume, survey)
            yield from _stranded(volume, survey)
        yield from _against_pods(volume, survey)


def _had(volume: Volume, survey: Survey) -> Iterator[Finding]:
    """What becomes of a volume that a claim has or had."""
    if volume.phase == "Failed":
        yield _failed(volume, survey)
    elif volume.phase == "Released":
        yield from _released(volume, survey)


# ------------------------------------------------------------------------------------------------ released, failed


def _released(volume: Volume, survey: Survey) -> Iterator[Finding]:
    reclaim = decide_reclaim(volume)
    failure = _failure(volume, survey)
    if failure or isinstance(reclaim, RefusePolicy):
        yield _failed(volume, survey)
        return
    if isinstance(reclaim, Leave) and not (is_migrated(volume) and volume.reclaim_policy == "Delete"):
        yield _retained(volume, reclaim.rule, survey)
        return
    attached = sorted(each.node for each in survey.snapshot.attachments_of(volume.name))
    nobody = _nobody_deletes(volume, survey) if isinstance(reclaim, StartDeleting | Leave) else ""
    if attached or nobody:
        why = nobody or f"it is still attached to {', '.join(attached)}"
        yield _problem(
            volume,
            "PVB203",
            "error" if nobody else "warning",
            f"claim {volume.claim_key} is gone, and its storage isn't deleted: {why}",
            (Evidence("persistentVolumeReclaimPolicy", volume.reclaim_policy), Evidence("phase", volume.phase)),
            (reclaim.rule, "DV-4" if attached else "DL-3"),
            merge("pv", volume, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}, "keep its data"),
        )


def _nobody_deletes(volume: Volume, survey: Survey) -> str:
    """Why nobody deletes the storage of `volume`; ``""`` if somebody may."""
    found = find_deleter(volume, survey.snapshot.plugins)
    if isinstance(found, CannotDelete):
        return found.why
    driver = (volume.csi.driver or "") if volume.csi is not None else ""
    if driver and survey.snapshot.knows("CSIDriver") and survey.snapshot.driver(driver) is None:
        return f"there is no CSIDriver {driver}"
    return ""


def _retained(volume: Volume, rule: str, survey: Survey) -> Finding:
    key = volume.claim_key or "unknown"
    kept = kept_on_purpose(volume.labels, volume.annotations)
    there = survey.snapshot.claim(volume.claim_key) if volume.claim_key is not None else None
    remedies: list[Remedy] = []
    if there is not None and not there.volume_name:
        remedies.append(remove("pv", volume, "/spec/claimRef/uid", f"give it to the claim {key} that there is now"))
    remedies.append(remove("pv", volume, "/spec/claimRef", "free it for any claim, with the data that is on it"))
    remedies.append(Kubectl("delete the object; the storage itself stays", ("delete", "pv", volume.name)))
    since = _released_since(volume, survey)
    evidence = [Evidence("claimRef", f"{key} (uid {volume.claim_uid or 'none'})"), Evidence("size", str(volume.size))]
    if since:
        evidence.append(Evidence("released since", since))
    if kept:
        evidence.append(Evidence("kept on purpose", kept))
    price = survey.options.prices.get(volume.storage_class)
    if price is not None:
        cost = price * volume.size.nano / 10**9 / 2**30
        evidence.append(Evidence("cost of a month", f"{cost:.2f}"))
    return _problem(
        volume,
        "PVB201",
        "information" if kept else "warning",
        f"claim {key}, which had it, is gone; its data is kept (Retain) and no claim can get it",
        tuple(evidence),
        ("SV-5", rule),
        *remedies,
    )


def _released_since(volume: Volume, survey: Survey) -> str:
    """When the volume was released, and how long ago that is, as far as the object says it; else ``""``."""
    status = volume.document().get("status") or {}
    text = str(status.get("lastPhaseTransitionTime") or "")
    age = survey.age_seconds(text)
    return f"{text} ({how_long(age)})" if age is not None else ""


def _failure(volume: Volume, survey: Survey) -> str:
    told = survey.snapshot.events_about("PersistentVolume", "", volume.name, volume.uid)
    return next((each.message for each in reversed(told) if each.reason in _FAILURES), "")


def _failed(volume: Volume, survey: Survey) -> Finding:
    words = _failure(volume, survey) or volume.message
    what = "scrubbing" if volume.reclaim_policy == "Recycle" else "deleting"
    change = {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
    reclaim = decide_reclaim(volume)
    return _problem(
        volume,
        "PVB203",
        "error",
        f"{what} its storage failed" + (f": {words}" if words else ""),
        (
            Evidence("phase", volume.phase),
            Evidence("persistentVolumeReclaimPolicy", volume.reclaim_policy),
            Evidence("claimRef", volume.claim_key or "none"),
        ),
        (reclaim.rule,),
        Do("put right what the message says"),
        merge("pv", volume, change, "keep its data, whatever becomes of the object"),
    )


# ------------------------------------------------------------------------------------------------ going


def _going(volume: Volume, survey: Survey) -> Finding:
    held = shown_finalizers(volume, survey.snapshot)
    claim = survey.snapshot.claim(volume.claim_key) if volume.claim_key is not None else None
    has_claim = claim is not None and claim.uid == volume.claim_uid and volume.phase == "Bound"
    level: FindingLevel = "warning"
    remedies: list[Remedy] = []
    summary = f"it is being deleted since {volume.deletion_timestamp}"
    if has_claim:
        summary += f", while claim {volume.claim_key} has it"
        level = "error" if volume.reclaim_policy == "Delete" else "warning"
        if level == "error":
            change = {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
            remedies.append(merge("pv", volume, change, "keep the storage when the volume object goes"))
        remedies.append(Do("move the data to another claim; a deletion can't be taken back"))
    elif not held or survey.is_settling(volume.deletion_timestamp):
        level = "information"
    else:
        remedies.append(Do("see why the finalizer's owner hasn't removed it; removing it by hand skips its clean-up"))
    return _problem(
        volume,
        "PVB205",
        "warning" if level == "error" else level,
        summary + (f"; held by {held}" if held else ""),
        (Evidence("finalizers", ", ".join(volume.finalizers) or "none"),),
        ("PP-2",) if has_claim else ("DE-3",),
        *remedies,
    )


# ------------------------------------------------------------------------------------------------ never bindable


def _never_bindable(volume: Volume, survey: Survey) -> Iterator[Finding]:
    why = [*_impossible(volume, survey)]
    if why:
        yield _problem(
            volume,
            "PVB202",
            "error",
            f"no claim can ever have it: {why[0][0].what} {why[0][0].found}".rstrip(),
            tuple(evidence for evidence, _, _ in why),
            tuple(dict.fromkeys(rule for _, rule, _ in why)),
            *(remedy for _, _, remedy in why),
        )


def _impossible(volume: Volume, survey: Survey) -> Iterator[tuple[Evidence, str, Remedy]]:
    if not volume.access_modes:
        yield Evidence("spec.accessModes", "is empty", "at least one"), "FM-2", Do("give it access modes")
    if volume.size.nano <= 0:
        yield Evidence("spec.capacity", "is zero or missing", "a size"), "FM-6a", Do("give it its capacity")
    nodes = survey.nodes_of(volume)
    if nodes is not None and not nodes:
        wanted = shown_affinity(volume)
        remedy = Do(f"create the volume anew with the affinity of a node that there is, or give a node {wanted}")
        yield Evidence("spec.nodeAffinity", "is satisfied by no node", wanted), "FM-15", remedy
    ref = volume.claim_ref
    if ref is None or not survey.knows_claims_of(ref.namespace or ""):
        return
    claim = survey.snapshot.claim(ref.key)
    if ref.uid and (claim is None or claim.uid != ref.uid):
        now = f"{ref.key} has uid {claim.uid}" if claim is not None else f"claim {ref.key} doesn't exist"
        found = f"{ref.uid} is that of a claim that is gone ({now})"
        yield Evidence("spec.claimRef.uid", found), "SV-4", _free(volume, claim)
    elif claim is not None:
        yield from _wrong_reservation(volume, claim, survey)


def _free(volume: Volume, claim: Claim | None) -> Remedy:
    if claim is not None and not claim.bind_completed:
        return remove("pv", volume, "/spec/claimRef/uid", f"give it to the claim {claim.key} that there is now")
    return remove("pv", volume, "/spec/claimRef", "free it for any claim")


def _wrong_reservation(volume: Volume, claim: Claim, survey: Survey) -> Iterator[tuple[Evidence, str, Remedy]]:
    """Why the claim that `volume` is reserved for can't have it."""
    free = remove("pv", volume, "/spec/claimRef", f"let claim {claim.key} go")
    if claim.volume_name not in ("", volume.name):
        found = f"names claim {claim.key}, which has volume {claim.volume_name}"
        yield Evidence("spec.claimRef", found, volume.name), "SV-5", free
        return
    if claim.volume_name:
        return  # told of the claim: PVB104
    for reason in misfits(volume, claim, settings=survey.snapshot.settings):
        found = f"names claim {claim.key}, which can't have it: {why_not(reason)}"
        yield Evidence("spec.claimRef", found, reason.wanted), _rule(volume, claim, reason), free


def _rule(volume: Volume, claim: Claim, reason: Misfit) -> str:
    return "SV-6" if modes_differ(volume, claim) and reason.reason == "VolumeModeDiffers" else reason.rule


def _stranded(volume: Volume, survey: Survey) -> Iterator[Finding]:
    """The information that no claim here could take `volume`, which is free."""
    if volume.claim_ref is not None or volume.phase != "Available":
        return
    snapshot = survey.snapshot
    if not snapshot.knows("PersistentVolumeClaim") or not snapshot.knows("StorageClass"):
        return
    if volume.storage_class and snapshot.storage_class(volume.storage_class) is not None:
        return
    if any(claim.storage_class == volume.storage_class for claim in survey.pending):
        return
    kept = kept_on_purpose(volume.labels, volume.annotations)
    if kept:
        return
    named = f'class "{volume.storage_class}" doesn\'t exist' if volume.storage_class else "it has no class"
    yield _problem(
        volume,
        "PVB207",
        "information",
        f"it is available, and no claim here asks for it: {named}",
        (Evidence("spec.storageClassName", volume.storage_class or '""'), Evidence("size", str(volume.size))),
        ("FM-14",),
    )


# ------------------------------------------------------------------------------------------------ pods elsewhere


def _against_pods(volume: Volume, survey: Survey) -> Iterator[Finding]:
    if volume.node_affinity is None or volume.claim_key is None or not survey.nodes:
        return
    for pod in survey.snapshot.pods_of(volume.claim_key):
        node = survey.snapshot.node(pod.node_name) if pod.node_name else None
        if pod.is_terminated or pod.phase != "Running" or node is None:
            continue
        if not is_usable_on(volume, node.labels, node.name):
            claim = survey.snapshot.claim(volume.claim_key)
            finding = _problem(
                volume,
                "PVB208",
                "warning",
                f"its node affinity excludes node {node.name}, where pod {pod.key} uses it",
                (Evidence("spec.nodeAffinity", shown_affinity(volume)), Evidence("node of the pod", node.name)),
                ("FM-15",),
                Do(f"correct the labels of node {node.name} or the affinity of volume {volume.name}"),
            )
            others = (of_pod(pod), *((of_claim(claim),) if claim is not None else ()))
            yield structs.replace(finding, others=others)
            return


def _problem(
    volume: Volume,
    code: str,
    level: FindingLevel,
    summary: str,
    evidence: tuple[Evidence, ...],
    rules: tuple[str, ...],
    *way_out: Remedy,
) -> Finding:
    return Finding(
        code=code,
        level=level,
        subject=of_volume(volume),
        summary=summary,
        evidence=evidence,
        rules=rules,
        way_out=way_out,
    )
