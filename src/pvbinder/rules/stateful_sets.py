"""The next steps of a StatefulSet: pods and claims of its templates, in order, and who owns the claims.

`decide_set` looks at the pods and claims that are there and returns the steps to take now, in order; a step that must
wait for a pod to become ready, or to go, is left for the next time. So nothing is remembered that can't be seen.

The templates of the past are kept as ControllerRevisions (`rules.revisions`). `Versions` are the two that count: the
one that pods below the partition have, and the one of the set.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, ClaimKey, Pod
from pvbinder.model.pod_details import is_available
from pvbinder.model.selectors import SelectorError
from pvbinder.model.stateful_sets import StatefulSet

POD_NAME_LABEL: Final = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL: Final = "apps.kubernetes.io/pod-index"
REVISION_LABEL: Final = "controller-revision-hash"
API_VERSION: Final = "apps/v1"


class Claims(Protocol):
    """The claims there are, by key."""

    def get(self, key: ClaimKey, /) -> Claim | None:
        """Return the claim with `key`."""
        ...


class CreateClaim(Struct, frozen=True):
    """Make this claim for a pod that is about to be made."""

    document: Json
    pod_name: str


class CreatePod(Struct, frozen=True):
    """Make this pod."""

    document: Json


class DeletePod(Struct, frozen=True):
    """Delete this pod: it is not wanted any more, is over, or has an old template (`why`)."""

    pod: Pod
    why: str


class OwnClaim(Struct, frozen=True):
    """Write the claim with the owners that the retention policy gives it."""

    document: Json


class IdentifyPod(Struct, frozen=True):
    """Write the pod, which was adopted, with the labels that say which one of the set it is."""

    document: Json


Step: TypeAlias = CreateClaim | CreatePod | DeletePod | OwnClaim | IdentifyPod


class Versions(Struct, frozen=True):
    """The names of the revision that an update comes from and of the one it goes to, and the former's template."""

    current: str
    update: str
    current_template: Json


def versions_of(stateful_set: StatefulSet) -> Versions:
    """Return the versions of a set whose past nobody knows."""
    status = stateful_set.document().get("status") or {}
    update = stateful_set.revision
    return Versions(status.get("currentRevision") or update, update, stateful_set.template)


class SetStatus(Struct, frozen=True):
    """The status that the set should have."""

    replicas: int
    ready: int
    current: int
    updated: int
    current_revision: str
    update_revision: str
    available: int | None = None  # None: as many as are ready


# ------------------------------------------------------------------------------------------------ which pods are its


def is_owned_by(pod: Pod, stateful_set: StatefulSet) -> bool:
    """Tell whether `stateful_set` is the controller of `pod`."""
    return any(owner.controller is True and owner.uid == stateful_set.uid for owner in pod.owner_references)


def members(stateful_set: StatefulSet, pods: Iterable[Pod]) -> dict[int, Pod]:
    """Return the pods of the set by ordinal, lowest first: those it controls and that its selector matches."""
    found: dict[int, Pod] = {}
    for pod in pods:
        ordinal = stateful_set.ordinal_of(pod.name)
        if ordinal is not None and is_owned_by(pod, stateful_set) and _selects(stateful_set, pod):
            found[ordinal] = pod
    return dict(sorted(found.items()))


def _selects(stateful_set: StatefulSet, pod: Pod) -> bool:
    try:
        return stateful_set.selector.matches(pod.labels)
    except SelectorError:
        return False


def is_ready(pod: Pod) -> bool:
    """Tell whether `pod` runs and is ready."""
    if pod.phase != "Running":
        return False
    conditions = (pod.document().get("status") or {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def is_available_for(stateful_set: StatefulSet, pod: Pod, now: datetime | None) -> bool:
    """Tell whether `pod` is ready, and has been for ``minReadySeconds``; without `now` that isn't asked."""
    if now is None or not stateful_set.ready_seconds_min:
        return is_ready(pod)
    return is_ready(pod) and is_available(pod, stateful_set.ready_seconds_min, now)


class _View(Struct, frozen=True):
    """The facts for a decision beside the set's pods."""

    stateful_set: StatefulSet
    claims: Claims
    versions: Versions
    now: datetime | None

    def is_healthy(self, pod: Pod) -> bool:
        return not pod.is_deleting and is_available_for(self.stateful_set, pod, self.now)

    def pod(self, ordinal: int) -> Json:
        """The pod to make: below the partition as before the update."""
        owner, versions = self.stateful_set, self.versions
        if not owner.updates_on_delete and ordinal - owner.first_ordinal < owner.partition:
            return pod_document(owner, ordinal, versions.current_template, versions.current)
        return pod_document(owner, ordinal, owner.template, versions.update)


# ------------------------------------------------------------------------------------------------ the decision


def decide_set(
    stateful_set: StatefulSet,
    pods: Mapping[int, Pod],
    claims: Claims,
    versions: Versions | None = None,
    now: datetime | None = None,
) -> list[Step]:
    """Return the steps to take now; `pods` are the `members`, `claims` finds one by its key."""
    steps: list[Step] = []
    if stateful_set.is_deleting:
        return steps
    view = _View(stateful_set, claims, versions or versions_of(stateful_set), now)
    for ordinal, pod in pods.items():
        steps += _owners_to_write(stateful_set, ordinal, pod, claims)
        document = identified(pod, ordinal)
        if document is not None:
            steps.append(IdentifyPod(document))
    if not _all_wanted_are_there(view, pods, steps):
        return steps
    if not _all_unwanted_are_gone(stateful_set, pods, steps):
        return steps
    _replace_outdated(view, pods, steps)
    return steps


def identified(pod: Pod, ordinal: int) -> Json | None:
    """Return `pod` with the labels that say which one of the set it is, or None if it has them."""
    wanted = {POD_NAME_LABEL: pod.name, POD_INDEX_LABEL: str(ordinal)}
    if pod.is_deleting or wanted.items() <= pod.labels.items():
        return None
    document = pod.document()
    document["metadata"]["labels"] = {**pod.labels, **wanted}
    return document


def _all_wanted_are_there(view: _View, pods: Mapping[int, Pod], steps: list[Step]) -> bool:
    """Add what makes the wanted pods; False if an ordered set must wait for one of them."""
    stateful_set, claims = view.stateful_set, view.claims
    in_order = not stateful_set.is_parallel
    for ordinal in stateful_set.ordinals:
        pod = pods.get(ordinal)
        if pod is None:
            missing = _missing_claims(stateful_set, ordinal, claims)
            if missing is None:
                if in_order:
                    return False
                continue  # an old claim is still going: its name isn't free yet
            steps += missing
            steps.append(CreatePod(view.pod(ordinal)))
        elif pod.phase in ("Succeeded", "Failed") and not pod.is_deleting:
            steps.append(DeletePod(pod, "it is over and is made anew"))
        elif view.is_healthy(pod):
            continue
        elif not pod.is_deleting and pod.phase in ("", "Pending"):
            steps += _missing_claims(stateful_set, ordinal, claims) or ()  # somebody deleted one of a pod that waits
        if in_order:
            return False
    return True


def _all_unwanted_are_gone(stateful_set: StatefulSet, pods: Mapping[int, Pod], steps: list[Step]) -> bool:
    """Add what ends the pods beyond the wanted ones, the highest first; False if an ordered set must wait for one."""
    unwanted = [ordinal for ordinal in sorted(pods, reverse=True) if ordinal not in stateful_set.ordinals]
    for ordinal in unwanted:
        pod = pods[ordinal]
        if not pod.is_deleting:
            steps.append(DeletePod(pod, "it is not wanted any more"))
        if not stateful_set.is_parallel:
            return False
    return True


def _replace_outdated(view: _View, pods: Mapping[int, Pod], steps: list[Step]) -> None:
    """Add the deletion of the highest pod with an old template, when all above it are healthy (rolling update)."""
    stateful_set = view.stateful_set
    if stateful_set.updates_on_delete:
        return
    revision = view.versions.update
    for ordinal in reversed(stateful_set.ordinals):
        pod = pods.get(ordinal)
        if pod is None or ordinal - stateful_set.first_ordinal < stateful_set.partition:
            return
        if pod.labels.get(REVISION_LABEL) != revision and not pod.is_deleting:
            steps.append(DeletePod(pod, "its template is outdated"))
            return
        if not view.is_healthy(pod):
            return


def set_status(
    stateful_set: StatefulSet,
    pods: Mapping[int, Pod],
    versions: Versions | None = None,
    now: datetime | None = None,
) -> SetStatus:
    """Return what the status of the set should say of its `pods`."""
    versions = versions or versions_of(stateful_set)
    current, update = versions.current, versions.update
    there = list(pods.values())
    ready = sum(is_ready(pod) for pod in there)
    updated = sum(not pod.is_deleting and pod.labels.get(REVISION_LABEL) == update for pod in there)
    wanted = stateful_set.replicas
    if not stateful_set.updates_on_delete and updated == wanted == len(there) and ready == wanted:
        current = update
    of_current = sum(not pod.is_deleting and pod.labels.get(REVISION_LABEL) == current for pod in there)
    available = sum(is_available_for(stateful_set, pod, now) for pod in there) if now is not None else None
    return SetStatus(len(there), ready, of_current, updated, current, update, available)


def with_set_status(stateful_set: StatefulSet, wanted: SetStatus) -> Json | None:
    """Return `stateful_set` with that status, or None if it says so already."""
    document = stateful_set.document()
    before: Json = document.get("status") or {}
    after: Json = {
        **before,
        "observedGeneration": stateful_set.generation,
        "replicas": wanted.replicas,
        "readyReplicas": wanted.ready,
        "availableReplicas": wanted.ready if wanted.available is None else wanted.available,
        "currentReplicas": wanted.current,
        "updatedReplicas": wanted.updated,
        "currentRevision": wanted.current_revision,
        "updateRevision": wanted.update_revision,
        "collisionCount": before.get("collisionCount") or 0,
    }
    for field in ("readyReplicas", "currentReplicas", "updatedReplicas"):
        if not after[field]:
            del after[field]
    if after == before:
        return None
    document["status"] = after
    return document


# ------------------------------------------------------------------------------------------------ claims


def claim_name(stateful_set: StatefulSet, template: Json, ordinal: int) -> str:
    """Return the name of the claim that `template` makes for the pod with `ordinal`."""
    return f"{template['metadata']['name']}-{stateful_set.name}-{ordinal}"


def _claim_keys(stateful_set: StatefulSet, ordinal: int) -> list[tuple[Json, ClaimKey]]:
    return [
        (template, ClaimKey(f"{stateful_set.namespace}/{claim_name(stateful_set, template, ordinal)}"))
        for template in stateful_set.claim_templates
    ]


def _missing_claims(stateful_set: StatefulSet, ordinal: int, claims: Claims) -> list[CreateClaim] | None:
    """Return the steps that make the pod's missing claims; None if one is going, or will go, and must be gone first."""
    missing = []
    for template, key in _claim_keys(stateful_set, ordinal):
        claim = claims.get(key)
        if claim is None:
            document = claim_document(stateful_set, template, ordinal)
            missing.append(CreateClaim(document, f"{stateful_set.name}-{ordinal}"))
        elif claim.is_deleting or _goes_with_former_pod(claim, f"{stateful_set.name}-{ordinal}"):
            return None
    return missing


def _goes_with_former_pod(claim: Claim, pod_name: str) -> bool:
    """Whether the claim belongs to a pod of that name that is gone, and will go too."""
    return any(owner.kind == "Pod" and owner.name == pod_name for owner in claim.owner_references)


def claim_document(stateful_set: StatefulSet, template: Json, ordinal: int) -> Json:
    """Return the claim that `template` makes for the pod with `ordinal`."""
    metadata = copy.deepcopy(template["metadata"])
    metadata["name"] = claim_name(stateful_set, template, ordinal)
    metadata["namespace"] = stateful_set.namespace
    metadata["labels"] = {**(metadata.get("labels") or {}), **(stateful_set.selector.match_labels or {})}
    for field in ("uid", "resourceVersion", "creationTimestamp"):
        metadata.pop(field, None)
    if not stateful_set.retain_when_deleted:
        metadata["ownerReferences"] = [*(metadata.get("ownerReferences") or []), _reference_to_set(stateful_set)]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": copy.deepcopy(template["spec"]),
    }


def _owners_to_write(stateful_set: StatefulSet, ordinal: int, pod: Pod, claims: Claims) -> list[OwnClaim]:
    """The claims of `pod` whose owners aren't what the retention policy says."""
    steps = []
    for _, key in _claim_keys(stateful_set, ordinal):
        claim = claims.get(key)
        if claim is None or claim.is_deleting:
            continue
        document = with_owners(claim, stateful_set, pod, is_wanted=ordinal in stateful_set.ordinals)
        if document is not None:
            steps.append(OwnClaim(document))
    return steps


def with_owners(claim: Claim, stateful_set: StatefulSet, pod: Pod, *, is_wanted: bool) -> Json | None:
    """Return `claim` with the owners that the retention policy gives it, or None if it has them.

    With `whenScaled: Delete` the claim of a pod that is no longer wanted belongs to that pod, and goes with it. Else
    with `whenDeleted: Delete` it belongs to the set. A claim that somebody else controls is left to them.
    """
    document = claim.document()
    before: list[Json] = document["metadata"].get("ownerReferences") or []
    others = [owner for owner in before if owner.get("uid") not in (stateful_set.uid, pod.uid)]
    after = list(others)
    if not any(owner.get("controller") for owner in others):
        if not stateful_set.retain_when_scaled and not is_wanted:
            after.append(_reference("v1", "Pod", pod.name, pod.uid))
        elif not stateful_set.retain_when_deleted:
            after.append(_reference_to_set(stateful_set))
    if after == before:
        return None
    if after:
        document["metadata"]["ownerReferences"] = after
    else:
        document["metadata"].pop("ownerReferences", None)
    return document


def _reference_to_set(stateful_set: StatefulSet) -> Json:
    return _reference(API_VERSION, "StatefulSet", stateful_set.name, stateful_set.uid)


def _reference(api_version: str, kind: str, name: str, uid: str) -> Json:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


# ------------------------------------------------------------------------------------------------ pods


def pod_document(
    stateful_set: StatefulSet, ordinal: int, template: Json | None = None, revision: str | None = None
) -> Json:
    """Return the pod with `ordinal`, made of the template: its name, its labels, its claims as volumes."""
    name = f"{stateful_set.name}-{ordinal}"
    template = copy.deepcopy(stateful_set.template if template is None else template)
    from_template = template.get("metadata") or {}
    metadata: Json = {
        "name": name,
        "generateName": f"{stateful_set.name}-",
        "namespace": stateful_set.namespace,
        "labels": {
            **(from_template.get("labels") or {}),
            POD_INDEX_LABEL: str(ordinal),
            REVISION_LABEL: stateful_set.revision if revision is None else revision,
            POD_NAME_LABEL: name,
        },
        "ownerReferences": [_reference_to_set(stateful_set)],
    }
    for field in ("annotations", "finalizers"):
        if from_template.get(field):
            metadata[field] = from_template[field]
    spec: Json = template.get("spec") or {}
    spec["hostname"] = name
    if stateful_set.service_name:
        spec["subdomain"] = stateful_set.service_name
    own = {
        claim["metadata"]["name"]: claim_name(stateful_set, claim, ordinal) for claim in stateful_set.claim_templates
    }
    volumes: list[Json] = [
        {"name": volume, "persistentVolumeClaim": {"claimName": claim}} for volume, claim in own.items()
    ]
    volumes += [volume for volume in spec.get("volumes") or [] if volume["name"] not in own]
    if volumes:
        spec["volumes"] = volumes
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
